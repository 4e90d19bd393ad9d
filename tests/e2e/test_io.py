"""What the loops stand on: io_uring, or epoll where that is forbidden."""
import concurrent.futures
import contextlib
import os
import re
import signal
import sys

import pytest
from client import wait_for
from server import ALICE, IO, SLOW

# As text: the server's user may not be allowed to read where the checkout is.
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_io_uring.py"), encoding="utf-8") as source:
    WITHOUT_IO_URING = [sys.executable, "-c", source.read()]
WHY = r"fastfile: .*io_uring cannot be used here \(Operation not permitted\), so epoll does its work\."

pytestmark = pytest.mark.skipif(IO is not None, reason="the choice of io_uring or epoll, which is made already")


@pytest.fixture
def without_io_uring(make_server):
    """A server, not started, on a machine where io_uring is forbidden."""
    return make_server(start=False, wrapper=WITHOUT_IO_URING)


def mentions(server):
    """The lines of its log that speak of io_uring."""
    return [line for line in server.log().splitlines() if "io_uring" in line]


def test_epoll_takes_over_and_says_so_once(without_io_uring):
    server = without_io_uring
    server.start()
    content = os.urandom(3_000_000)
    server.write("file", content)
    assert server.get("/file", auth=ALICE).body == content
    assert len(mentions(server)) == 1 and re.match(WHY, mentions(server)[0]), server.log()
    # Who is started again knows it already.
    old = server.pid_of("home")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: server.roles().get("home", [old]) != [old], 5 * SLOW, "a new home")
    wait_for(lambda: server.get("/file", auth=ALICE).status == 200, 5 * SLOW, "an answer of it")
    assert len(mentions(server)) == 1, server.log()


def test_uring_where_it_is_forbidden(without_io_uring):
    without_io_uring.options += ["--io", "uring"]
    code, log = without_io_uring.run_to_failure()
    assert code == 1
    line, = mentions(without_io_uring)
    assert "Operation not permitted" in line and "--io" in line, log


def test_epoll_that_was_asked_for_is_nothing_to_talk_about(without_io_uring):
    without_io_uring.options += ["--io", "epoll"]
    without_io_uring.start()
    assert not mentions(without_io_uring)


@pytest.mark.parametrize("forbidden, used", [(True, "epoll"), (False, "io_uring")])
def test_check_says_what_will_be_used(make_server, forbidden, used):
    server = make_server(start=False, wrapper=WITHOUT_IO_URING if forbidden else [])
    done = server.run("check", server.dir)
    assert done.returncode == 0, done.stdout
    if not forbidden and "io_uring          no" in done.stdout:
        pytest.skip("io_uring (this machine forbids it)")
    assert re.search(rf"^I/O +{used} will be used$", done.stdout, re.M), done.stdout


def test_files_that_are_not_cached(make_server):
    """Read by helper threads, several at a time."""
    server = make_server("--io", "epoll")
    contents = {f"file{number}": os.urandom(2_000_000) for number in range(4)}
    for name, content in contents.items():
        server.write(name, content)
        with open(server.path(name), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with concurrent.futures.ThreadPoolExecutor(len(contents)) as pool:
        bodies = dict(zip(contents, pool.map(lambda name: server.get("/" + name).body, contents)))
    assert bodies == contents


@pytest.mark.parametrize("destination", ["file", "pipe"])
def test_the_access_log_without_io_uring(make_server, destination):
    """Written by helper threads: to a file, and to a pipe in blocking mode that nobody empties for a while."""
    server = make_server(start=False)
    path = os.path.join(server.base, "state", "access")
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    server.options += ["--io", "epoll", "--access-log", "-" if destination == "pipe" else path]
    server.stdout = writer
    lines = b""

    def complete():
        nonlocal lines
        if destination == "pipe":
            with contextlib.suppress(BlockingIOError):
                lines += os.read(reader, 1 << 20)
        else:
            with open(path, "rb") as file:
                lines = file.read()
        return lines.count(b"/none HTTP/1.1") == 300 and lines.endswith(b"\n")

    try:
        server.start()
        with server.connect() as connection:
            for _ in range(300):  # several times what a pipe holds
                assert connection.request("GET", "/none", auth=ALICE, fields={"User-Agent": "x" * 900}).status == 404
        wait_for(complete, 10 * SLOW, "all lines of the access log")
        assert all(line.endswith(b'"') for line in lines.splitlines())
    finally:
        os.close(reader)
        os.close(writer)
