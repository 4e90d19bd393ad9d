"""Who waits for whom: answers are not withheld or lost, nobody is starved, nobody may wait for ever."""
import contextlib
import socket
import threading
import time

import pytest
from client import wait_for
from machine import open, os
from server import SLOW, Server


@pytest.fixture(scope="module")
def open_server():
    """Plain HTTP without a login, and one ring: what these tests look at is the same below TLS and accounts."""
    server = Server("--no-auth", "--threads", "1", plain=True, users=None)
    server.write("small", "x")
    server.write("large", os.urandom(3 << 20))
    server.mkdir("folder")
    yield server
    server.finish()


# --- nobody is starved ------------------------------------------------------------------------------------


@pytest.mark.measures
def test_fast_downloads_leave_room_for_others(open_server):
    """Readers as fast as they can, and one ring for all."""
    with open(open_server.path("huge"), "wb") as file:
        file.truncate(4 << 30)
    stop = threading.Event()

    def read():
        with open_server.connect_plain() as connection:
            connection.send_request("GET", "/huge")
            while not stop.is_set() and connection.socket.recv(1 << 20, socket.MSG_TRUNC):
                pass

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    times = []
    try:
        time.sleep(0.3)
        for _ in range(20):
            started = time.monotonic()
            assert open_server.get("/small", auth=None).body == b"x"
            times.append(time.monotonic() - started)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert sorted(times)[len(times) // 2] < 0.2 * SLOW, times


# --- answers are not withheld -------------------------------------------------------------------------------


def test_the_answer_does_not_wait_for_the_body(open_server):
    started = time.monotonic()
    with open_server.connect_plain() as connection:
        connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert connection.read_response("POST").status == 405
        assert time.monotonic() - started < 2 * SLOW
        connection.send("0123456789")  # the connection goes on behind it
        assert connection.request("GET", "/small").status == 200


@pytest.mark.parametrize("version, fields", [("HTTP/1.1", {"Connection": "close"}), ("HTTP/1.0", {})])
def test_the_answer_survives_an_unread_body(open_server, version, fields):
    """A body short enough to be dropped, on a connection that closes: the close must not overtake the answer."""
    for _ in range(10):
        with open_server.connect_plain() as connection:
            connection.send_request("POST", "/x", fields={"Content-Length": "16000", **fields}, version=version)
            for _ in range(16):
                time.sleep(0.001)
                connection.send(b"x" * 1000)
            assert connection.read_response("POST").status == 405


def test_a_large_answer_survives_what_was_pipelined_behind_it(open_server):
    for _ in range(5):
        with open_server.connect_plain() as connection:
            connection.send_request("GET", "/large", fields={"Connection": "close"})
            for _ in range(20):
                connection.send_request("GET", "/small")
            assert len(connection.read_response().body) == 3 << 20


@pytest.mark.parametrize("length", [2000, 5000, 12000])
def test_a_long_target_gets_an_answer(server, length):
    response = server.get("/" + "a" * length, auth=None, fields={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert response.status == 303 and response.field("Location").startswith("/.fastfile/login")


@pytest.mark.parametrize("length", [2000, 12000])
def test_a_long_query_gets_an_answer(open_server, length):
    response = open_server.get("/folder?" + "a" * length, auth=None)
    assert response.status == 308 and response.field("Location") == "/folder/?" + "a" * length


def test_without_a_login_no_credential_is_wrong(open_server):
    assert open_server.get("/small", auth=None, fields={"Authorization": "Bearer x"}).status == 200


# --- nobody may wait for ever -----------------------------------------------------------------------------


def test_a_body_that_trickles_is_cut_off(server):
    """One byte a second is far below the least rate."""
    with server.connect() as connection:
        connection.send_request("POST", "/.fastfile/login", fields={
            "Content-Type": "application/x-www-form-urlencoded", "Content-Length": "1000"})
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 60 * SLOW and not connection.is_closed(within=1, politely=False):
                connection.send(b"x")
        assert 25 < time.monotonic() - started < 45 * SLOW


def test_everything_ends_with_the_monitor(make_server):
    """Also while connections wait for its verdict."""
    server = make_server()
    connections = [server.connect(source=f"127.0.9.{number + 1}") for number in range(8)]
    for number, connection in enumerate(connections):
        connection.send_request("GET", "/", auth=("alice", f"wrong-{number}"))
    pids = [pid for role in server.roles().values() for pid in role]
    server.process.kill()
    server.process.wait()
    server.process = None
    for connection in connections:
        connection.close()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 5 * SLOW, "the end of all processes")
