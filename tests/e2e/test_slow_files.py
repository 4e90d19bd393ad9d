"""A file system below the folder that hardly answers: whoever wants something from it waits, and nobody else."""
import concurrent.futures
import contextlib
import functools
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
    """Everybody asks for something of the slow file system at once, each on a connection of its own. All have asked when this
    is made."""

    def __init__(self, server, targets):
        self.server = server
        self.responses = {}
        self.asked = threading.Barrier(len(targets) + 1, timeout=60 * SLOW)
        self.threads = [threading.Thread(target=self.ask, args=(target,), daemon=True) for target in targets]
        for thread in self.threads:
            thread.start()
        self.asked.wait()

    def ask(self, target):
        with self.server.connect(timeout=120 * SLOW) as connection:
            connection.send_request("GET", target, auth=("alice", "wonderland"))
            self.asked.wait()
            self.responses[target] = connection.read_response()

    def are_waiting(self):
        return any(thread.is_alive() for thread in self.threads)


EVERY = 0.05  # seconds between two requests of a watcher


def watch(server, ask, going_on):
    """How long each took, counted from when it was due: so one that keeps those behind it waiting counts for all of them."""
    times = []
    with server.connect() as connection:
        begun = time.monotonic()
        while going_on():
            due = begun + len(times) * EVERY
            time.sleep(max(0, due - time.monotonic()))
            assert ask(connection, len(times)).status == 200
            times.append(time.monotonic() - due)
    return sorted(times)


def get_anew(server, _connection, _count):
    return server.get("/quick/1")


def get(target):
    return lambda server, connection, count: connection.request("GET", target.format(count % FILES_BESIDE), auth=("alice", "wonderland"))


FILES_BESIDE = 2000
WATCHERS = {"cached": get("/quick/0"), "many": get("/quick/{}"), "listing": get("/few/"), "new connections": get_anew}


def watch_all(servers, going_on):
    """One file again and again, many in turn, listings (which helpers read), new connections; all at once, for each server."""
    with concurrent.futures.ThreadPoolExecutor(len(servers) * len(WATCHERS)) as pool:
        watching = [{name: pool.submit(watch, server, functools.partial(ask, server), going_on) for name, ask in WATCHERS.items()}
                    for server in servers]
        return [{name: one.result() for name, one in those.items()} for those in watching]


def p99(times):
    return times[len(times) * 99 // 100]


def visit_and_watch(server, control):
    """What keeps any of the others waiting, in words; none if nothing does."""
    visitors = Visitors(server, [f"/slow/{number:02}" for number in range(FILES)] + ["/slow/"])
    beside, alone = watch_all((server, control), visitors.are_waiting)
    for number in range(FILES):
        response = visitors.responses[f"/slow/{number:02}"]
        assert response.status == 200 and response.body == content_of(number)
    assert visitors.responses["/slow/"].status == 200 and len(content_of(0)) == SIZE
    found = []
    for name in WATCHERS:
        said = (f"{name}: {len(beside[name])}, p99 {p99(beside[name]) * 1e3:.1f} ms, alone {p99(alone[name]) * 1e3:.1f}; "
                f"longest {beside[name][-1] * 1e3:.0f}, alone {alone[name][-1] * 1e3:.0f}")
        print(said)
        assert len(beside[name]) > 100
        if p99(beside[name]) > 3 * p99(alone[name]) + 0.1 * SLOW or beside[name][-1] > PAUSE * 0.75 * SLOW:
            found.append(said)
    return found


def test_nobody_else_waits(slow_server, make_server):
    """Beside another server, which nobody asks for slow files, at the same time: what else this machine does keeps both waiting. Or
    one of them; so the quieter of two times counts."""
    control = make_server()
    for server in (slow_server, control):
        for number in range(FILES_BESIDE):
            server.write(f"quick/{number}", str(number))
        for number in range(20):
            server.write(f"few/{number}", str(number))  # listings of many take longer than waiting would
    found = visit_and_watch(slow_server, control)
    if found:
        print("Once more.")
        found = visit_and_watch(slow_server, control)
    assert not found


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
