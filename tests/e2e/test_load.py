"""Many clients at once: benchmarks, idle ones, slow ones, and those who only take up room."""
import contextlib
import os
import re
import shutil
import subprocess
import threading
import time

import processes
import pytest
from client import ClosedEarly, basic, trusting_context, wait_for
from crowds import many_descriptors, needs_descriptors  # noqa: F401
from server import ALICE, SANITIZER, SLOW, own


# --- hey ---------------------------------------------------------------------------------------------------

HEY = shutil.which("hey")
USERS = [(f"user{number}", f"password{number}") for number in range(10)]


def hey(server, *options):
    """1,000 requests on 1,000 connections; returns (statuses with their counts, requests a second, report)."""
    done = subprocess.run([HEY, "-n", "1000", "-c", "1000", "-t", str(20 * SLOW), *options, server.url("/1k.bin")],
                          capture_output=True, text=True, timeout=60 * SLOW, check=True)
    statuses = {int(status): int(count) for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", done.stdout)}
    return statuses, float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)[1]), done.stdout


@pytest.mark.skipif(not HEY, reason="hey (the program is not there)")
@pytest.mark.parametrize("how", ["no auth", "Basic, each time one that is not known yet"])
def test_hey_ten_times(make_server, how):
    needs_descriptors(3000)
    by_basic = how != "no auth"
    server = make_server(users={name: (password, False) for name, password in USERS}) if by_basic else make_server("--no-auth", users=None)
    server.write("1k.bin", os.urandom(1024))
    rates = []
    for user in USERS if SLOW == 1 else USERS[:2]:
        statuses, rate, report = hey(server, *(["-H", f"Authorization: {basic(*user)}"] if by_basic else []))
        assert statuses == {200: 1000} and "Error distribution" not in report, report
        rates.append(round(rate))
    print(how, rates, "requests/s")


# --- idle ----------------------------------------------------------------------------------------------------


def proportional_set_kib(server):
    """Memory of all the server's processes; what they share is counted once."""
    total = 0
    for pids in server.roles().values():
        for pid in pids:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    return total


@pytest.mark.skipif(bool(SANITIZER), reason="memory under a sanitizer")
def test_memory_of_idle_connections(make_server):
    """5,000 logged-in TLS connections that wait for their next request."""
    count = 5000
    needs_descriptors(count * 3)
    server = make_server()
    server.write("hello.txt", "hello")
    context = trusting_context()

    def open_one():
        """Logged in, then only its descriptor is kept: our end of TLS takes more memory than the server's."""
        connection = server.connect(context)
        assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200
        return connection.socket.detach()

    for _ in range(20):
        os.close(open_one())
    time.sleep(3)
    try:
        before = proportional_set_kib(server)
    except PermissionError:
        pytest.skip("reading the memory maps of the server's processes")
    descriptors = []
    try:
        for _ in range(count):
            descriptors.append(open_one())
        time.sleep(4)  # they come to rest
        each = (proportional_set_kib(server) - before) / count
        assert server.get("/hello.txt").status == 200
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    print(f"{each:.2f} KiB for each of {count} idle connections")
    assert each <= 4, f"{each:.2f} KiB each"


@pytest.mark.skipif(bool(SANITIZER), reason="memory under a sanitizer")
def test_memory_of_slow_readers(make_server):
    """300 who take nothing of a large file: only the first hold as much as makes a quick one quicker."""
    count = 300
    needs_descriptors(count * 3)
    server = make_server("--tls", "user", "--threads", "1")
    content = os.urandom(16 << 20)
    server.write("large.bin", content)
    context = trusting_context()
    readers = []
    try:
        with server.connect(context) as quick:
            assert quick.request("GET", "/large.bin", auth=ALICE).status == 200
        try:
            before = proportional_set_kib(server)
        except PermissionError:
            pytest.skip("reading the memory maps of the server's processes")
        for _ in range(count):
            readers.append(server.connect(context, receive_buffer=4096))
            readers[-1].send_request("GET", "/large.bin", auth=ALICE)
            assert readers[-1].read_head().status == 200
        time.sleep(1)
        each = (proportional_set_kib(server) - before) / count
        with server.connect(context) as quick:
            assert quick.request("GET", "/large.bin", auth=ALICE).body == content
    finally:
        for connection in readers:
            connection.close()
    print(f"{each:.1f} KiB for each of {count} slow readers")
    assert each <= 150, f"{each:.1f} KiB each"


# --- descriptors ---------------------------------------------------------------------------------------------


def descriptors_by_process(server):
    return {pid: processes.descriptors(pid) for pids in server.roles().values() for pid in pids}


def misbehave(server, number):
    """What goes wrong in practice, by number."""
    source = f"127.0.7.{number % 200 + 1}"
    with contextlib.suppress(OSError, ClosedEarly):
        if number % 8 < 3:  # without TLS, or not much of it
            with server.connect_plain(source=source) as connection:
                connection.send([os.urandom(300), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b""][number % 8])
        elif number % 8 == 3:
            server.get("/hello.txt", auth=("alice", f"wrong{number}"), source=source)
        else:
            with server.connect(source=source) as connection:
                if number % 8 == 4:  # half a request
                    connection.send("GET /hello.txt HTT")
                elif number % 8 == 5:  # half a body
                    connection.send_request("PUT", "/x", auth=ALICE, fields={"Content-Length": "100000"})
                    connection.send(b"x" * 1000)
                elif number % 8 == 6:  # half a response
                    connection.send_request("GET", "/large.bin", auth=ALICE)
                    connection.read_head()
                else:  # gone while the password is being hashed
                    connection.send_request("GET", "/hello.txt", auth=("alice", f"wrong{number}"))


def test_every_process_gives_its_descriptors_back(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    server.write("large.bin", bytes(8 << 20))

    def everybody():
        good = [server.connect() for _ in range(100)]
        for connection in good:
            connection.send_request("GET", "/hello.txt", auth=ALICE)
        for number in range(200 // min(SLOW, 4)):
            misbehave(server, number)
        assert {connection.read_response().status for connection in good} == {200}
        for connection in good:
            connection.close()

    server.get("/large.bin")
    server.get("/hello.txt")
    time.sleep(5)  # files stay open for up to 4 s after they were served
    before = descriptors_by_process(server)
    for _ in range(3):
        everybody()
    wait_for(lambda: descriptors_by_process(server) == before, 15 * SLOW,
             f"the descriptors to go back to {before}; they are {descriptors_by_process(server)}")


# --- slow ------------------------------------------------------------------------------------------------------


def waiting_times(server, count):
    """Seconds that so many requests took, each with a connection of its own."""
    times = []
    for _ in range(count):
        started = time.monotonic()
        assert server.get("/hello.txt").body == b"hello"
        times.append(time.monotonic() - started)
    return sorted(times)


def test_slow_clients_do_not_hold_up_others(make_server):
    """200 that hardly read, 200 that send their request byte by byte."""
    needs_descriptors(2000)
    server = make_server()
    server.write("hello.txt", "hello")
    with open(server.path("large.bin"), "wb") as file:
        file.truncate(256 << 20)
    own(server.path("large.bin"))
    context = trusting_context()
    readers = [server.connect(context, receive_buffer=4096) for _ in range(200)]
    senders = [server.connect(context) for _ in range(200)]
    stop = threading.Event()

    def be_slow():
        number = 0
        while not stop.wait(1):
            for connection in senders:
                with contextlib.suppress(OSError):  # it may have been ended: 10 s are what a head has
                    connection.send("GET / HTTP/1.1\r\nHost: x\r\n"[number % 24])
            for connection in readers:
                with contextlib.suppress(OSError):
                    connection.socket.recv(1)
            number += 1

    thread = threading.Thread(target=be_slow)
    try:
        for connection in readers:
            connection.send_request("GET", "/large.bin", auth=ALICE)
            assert connection.read_head().status == 200
        thread.start()
        times = waiting_times(server, 500)
    finally:
        stop.set()
        thread.join()
        for connection in readers + senders:
            connection.close()
    print(f"median {times[250] * 1e3:.1f} ms, p99 {times[494] * 1e3:.1f} ms, longest {times[-1] * 1e3:.1f} ms")
    assert times[494] < 0.2 * SLOW


# --- crowded ----------------------------------------------------------------------------------------------------


def nothing_said(server):
    return server.connect_plain(source="127.0.0.2")


def half_a_hello(server):
    connection = nothing_said(server)
    connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    return connection


def half_a_head(server):
    connection = server.connect(source="127.0.0.2")
    connection.send("GET / HTTP/1.1\r\nHost:")
    return connection


def after_a_handshake(server):
    return server.connect(source="127.0.0.2")


@pytest.mark.parametrize("take_up_room", [nothing_said, half_a_hello, half_a_head, after_a_handshake], ids=lambda function: function.__name__)
def test_whoever_takes_up_all_the_room_has_to_make_some(make_server, take_up_room):
    """600 connections of one address, where 512 descriptors are all there is: another address is served, each time at once."""
    server = make_server(wrapper=["prlimit", "--nofile=512:512"])
    server.write("hello.txt", "hello")
    crowd = []
    try:
        for number in range(600):
            with contextlib.suppress(OSError, ClosedEarly):  # (dropped already)
                crowd.append(take_up_room(server))
            if number % 50 == 49:
                started = time.monotonic()
                assert server.get("/hello.txt", source="127.0.0.3").body == b"hello", number
                assert time.monotonic() - started < SLOW, number
        assert server.get("/hello.txt", source="127.0.0.3").body == b"hello"
    finally:
        for connection in crowd:
            connection.close()
    assert server.get("/hello.txt", source="127.0.0.2").body == b"hello"


def test_idle_people_make_room_too(make_server):
    """600 connections of one person, logged in and idle, at home: the longest idle ones of that address go."""
    server = make_server(wrapper=["prlimit", "--nofile=512:512"])
    server.write("hello.txt", "hello")
    crowd = []
    try:
        with server.connect(source="127.0.0.3") as other:
            assert other.request("GET", "/hello.txt", auth=ALICE).status == 200
            for number in range(600):
                connection = server.connect(source="127.0.0.2")
                crowd.append(connection)
                assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200, number
            assert server.get("/hello.txt", source="127.0.0.3").body == b"hello"
            assert other.request("GET", "/hello.txt", auth=ALICE).body == b"hello", "the wrong one was dropped"
    finally:
        for connection in crowd:
            connection.close()
