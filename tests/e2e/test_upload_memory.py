"""An upload takes as much memory as it ever will from its first megabyte on."""
import os
import re
import subprocess
import threading

import loop_fs
import pytest
from server import ALICE, IO, SLOW, Server, own

PIECE = 1 << 20
MORE_MOST = 2 << 20  # than at rest


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable: +(\d+)", file.read())[1]) << 10


MOST = 4096 if memory_available() > 8 << 30 else 512  # pieces

pytestmark = [pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}"),
              pytest.mark.skipif(SLOW > 1 or IO is not None, reason="memory under a sanitizer says nothing, and is the same with epoll"),
              pytest.mark.skipif(memory_available() < 2 << 30, reason="a large upload into memory (there is too little of it)")]


def proportional(pid):
    """Bytes of a process, its share of what is shared included."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss: +(\d+)", file.read(), re.M)[1]) << 10


class Watcher:
    """The most that a process has while this is open."""

    def __init__(self, pid):
        self.pid, self.most, self.looks = pid, 0, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, proportional(self.pid))
            self.looks += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


@pytest.fixture
def in_memory():
    """Makes a server whose folder is in memory, which is not its own."""
    made = []

    def make(*options, **more):
        server = Server(*options, start=False, **more)
        made.append(server)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MOST + 64}m,mode=755", "tmpfs", server.dir], check=True)
        own(server.dir)
        server.start()
        return server

    yield make
    for server in made:
        try:
            server.stop()
        finally:
            subprocess.run(["umount", "-l", server.dir], check=True)
            server.finish()


def piece(number):
    return number.to_bytes(8, "big") * (PIECE // 8)


@pytest.mark.parametrize("pieces, durability, plain, chunked", [
    (MOST, "none", True, False), (MOST, "file", True, False), (MOST // 4, "file", False, False), (MOST // 4, "file", True, True)],
    ids=["none", "file", "TLS", "chunked"])
def test_it_stays_flat(in_memory, pieces, durability, plain, chunked):
    server = in_memory("--durability", durability, plain=plain)
    assert server.get("/").status == 200
    home = server.pid_of("home")
    idle = proportional(home)
    with Watcher(home) as watcher, server.connect(timeout=120) as connection:
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(pieces * PIECE)}
        connection.send_request("PUT", "/large", auth=ALICE, fields=length)
        for number in range(pieces):
            connection.send(b"%x\r\n%b\r\n" % (PIECE, piece(number)) if chunked else piece(number))
        if chunked:
            connection.send(b"0\r\n\r\n")
        assert connection.read_response().status == 201
    print(f"{pieces} MiB: idle {idle >> 10} KiB, at most {watcher.most >> 10} KiB, {watcher.looks} looks")
    assert watcher.looks >= 10
    assert watcher.most <= idle + MORE_MOST
    with open(server.path("large"), "rb") as file:
        assert os.fstat(file.fileno()).st_size == pieces * PIECE
        for number in range(0, pieces, 61):
            file.seek(number * PIECE)
            assert file.read(PIECE) == piece(number)
