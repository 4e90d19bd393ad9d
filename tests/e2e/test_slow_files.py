"""A file system below the folder that hardly answers: whoever wants something from it waits, and nobody else."""
import contextlib
import os
import subprocess
import threading
import time

import pytest
from machine import IN_VM, not_in_the_vm
from server import IS_ROOT, SLOW, Server

pyfuse3 = pytest.importorskip("pyfuse3", reason="a slow file system (python3-pyfuse3 is not there)")

from slow_fs import PAUSE, SIZE, content_of  # noqa: E402

FILES = 64

pytestmark = [
    not_in_the_vm("the file system would have to be inside"),
    pytest.mark.skipif(not IN_VM and (not IS_ROOT or not os.access("/dev/fuse", os.W_OK)), reason="a slow file system (root and /dev/fuse)"),
]


@pytest.fixture
def slow_server():
    """A server whose folder has the slow file system at slow/, and quick files beside it."""
    server = Server(start=False)
    server.mkdir("slow")
    program = os.path.join(os.path.dirname(__file__), "slow_fs.py")
    with subprocess.Popen(["/usr/bin/python3", program, server.path("slow"), str(FILES)], stdout=subprocess.PIPE) as mounted:
        try:
            assert mounted.stdout.readline() == b"mounted\n"
            server.start()
            yield server
            server.stop()
        finally:
            subprocess.run(["umount", "-l", server.path("slow")], check=False)
            mounted.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                mounted.wait(10)
            mounted.kill()
            server.finish()


class Visitors:
    """Everybody asks for something of the slow file system at once, each on a connection of its own."""

    def __init__(self, server, targets):
        self.server = server
        self.responses = {}
        self.threads = [threading.Thread(target=self.ask, args=(target,), daemon=True) for target in targets]
        for thread in self.threads:
            thread.start()

    def ask(self, target):
        with self.server.connect(timeout=120 * SLOW) as connection:
            self.responses[target] = connection.request("GET", target, auth=("alice", "wonderland"))

    def are_waiting(self):
        return any(thread.is_alive() for thread in self.threads)


def slowest_of(server, ask, visitors):
    """How long the slowest of these took while the visitors wait, and how many there were."""
    slowest, count = 0, 0
    with server.connect() as connection:
        while visitors.are_waiting():
            begun = time.monotonic()
            assert ask(connection, count).status == 200
            slowest = max(slowest, time.monotonic() - begun)
            count += 1
    return slowest, count


def test_nobody_else_waits(slow_server):
    """One file again and again, many in turn, listings (which helpers read), new connections."""
    for number in range(2000):
        slow_server.write(f"quick/{number}", str(number))
    targets = [f"/slow/{number:02}" for number in range(FILES)] + ["/slow/"]
    auth = ("alice", "wonderland")
    slow_server.get("/quick/0")
    visitors = Visitors(slow_server, targets)
    found = {}

    def watch(name, ask):
        found[name] = slowest_of(slow_server, ask, visitors)

    def ask_anew(_, count):
        time.sleep(0.02)
        return slow_server.get("/quick/1")

    watchers = [threading.Thread(target=watch, args=args) for args in (
        ("cached", lambda connection, _: connection.request("GET", "/quick/0", auth=auth)),
        ("many", lambda connection, count: connection.request("GET", f"/quick/{count % 2000}", auth=auth)),
        ("listing", lambda connection, _: connection.request("GET", "/quick/", auth=auth)),
        ("new connections", ask_anew),
    )]
    for thread in watchers:
        thread.start()
    for thread in watchers:
        thread.join()
    print(found)
    assert len(found) == 4
    for name, (slowest, count) in found.items():
        assert count > 10 and slowest < PAUSE * 0.75 * SLOW, (name, slowest, count)
    for number in range(FILES):
        response = visitors.responses[f"/slow/{number:02}"]
        assert response.status == 200 and response.body == content_of(number)
    assert visitors.responses["/slow/"].status == 200 and len(content_of(0)) == SIZE


def test_the_server_ends_beside_it(slow_server):
    """It is told to stop while files are being opened and read there: it does so in time, and in order."""
    visitors = Visitors(slow_server, [f"/slow/{number:02}" for number in range(8)])
    time.sleep(PAUSE * 1.5)
    begun = time.monotonic()
    slow_server.stop()
    assert time.monotonic() - begun < 10 * SLOW
    for thread in visitors.threads:
        thread.join()
    for number in range(8):
        assert visitors.responses[f"/slow/{number:02}"].body == content_of(number)
