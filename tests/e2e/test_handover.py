"""Connections on their way between gate, monitor and home: with bodies in flight, changing credentials, changing keys.

What test_tls.py and test_auth.py leave: there the first request is split at every byte, here what surrounds it is difficult.
"""
import hashlib
import resource
import ssl
import subprocess
import time

import pytest
from client import ClosedEarly, basic, wait_for
from machine import not_in_the_vm, open, os
from openssl import OpenSSLConnection
from server import ALICE, BOB, SLOW, TLS_MODE

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SUITES = [(V13, suite) for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")]
SUITES += [(V12, f"ECDHE-ECDSA-{suite}") for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")]
each_suite = pytest.mark.parametrize("version, suite", SUITES, ids=[suite for _, suite in SUITES])
BIG = (4 if SLOW > 1 else 32) << 20


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("hello.txt", "hello")


@pytest.fixture(scope="module")
def big(module_server):
    """SHA-256 of /big.bin."""
    content = os.urandom(BIG)
    module_server.write("big.bin", content)
    return hashlib.sha256(content).hexdigest()


def head(target="/hello.txt", auth=ALICE, method="GET", **fields):
    lines = [f"{method} {target} HTTP/1.1", "Host: x"]
    lines += [f"Authorization: {basic(*auth)}"] if auth else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- a body in flight ------------------------------------------------------------------------------------


def trickle(connection, body, pieces=20):
    step = max(1, len(body) // pieces)
    for start in range(0, len(body), step):
        connection.send(body[start:start + step])
        time.sleep(0.01)


@pytest.mark.parametrize("length", [1, 1000, 20_000, 300_000])
@pytest.mark.parametrize("with_head", [0, 1, 500], ids=lambda size: f"{size} bytes with the head")
def test_the_answer_to_a_body_that_is_still_coming(server, length, with_head):
    """The head leads from gate to home; the body comes bit by bit, to one or the other. Nobody takes a POST."""
    body = b"x" * length
    with server.connect() as connection:
        connection.send(head("/new.txt", method="POST", Content_Length=length) + body[:with_head])
        try:
            trickle(connection, body[with_head:])
        except OSError:
            pass  # closed, and the answer is there all the same
        response = connection.read_response()
        assert response.status == 405 and "GET" in response.field("Allow")
        if (response.field("Connection") or "").lower() != "close":  # nothing of the body is taken for a request
            assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


def test_the_answer_to_a_chunked_body_that_is_still_coming(server):
    with server.connect() as connection:
        connection.send(head("/new.txt", method="POST", Transfer_Encoding="chunked"))
        try:
            trickle(connection, b"5\r\nhello\r\n" * 100 + b"0\r\n\r\n")
        except OSError:
            pass
        assert connection.read_response().status == 405


@pytest.mark.parametrize("length", [1, 1000, 20_000, 300_000])
@pytest.mark.parametrize("with_head", [0, 1, 500, 300_000], ids=lambda size: f"{size} bytes with the head")
def test_a_body_that_is_kept(server, length, with_head):
    """What came to gate with the head and what comes to home later is one file."""
    body = os.urandom(length)
    with server.connect() as connection:
        connection.send(head("/kept.bin", method="PUT", Content_Length=length) + body[:with_head])
        trickle(connection, body[with_head:])
        assert connection.read_response().status in (201, 204)
        assert connection.request("GET", "/kept.bin", auth=ALICE).body == body


def test_a_body_that_is_not_wanted_is_not_asked_for(server):
    with server.connect() as connection:
        connection.send(head("/new.txt", method="POST", Content_Length=10, Expect="100-continue"))
        assert connection.read_response(interim=True).status == 405


def test_a_body_between_two_owners(server):
    """Bob's request stands behind the body of alice's, so home has to get past it and send the connection on."""
    for length in (0, 1, 5000):
        with server.connect() as connection:
            connection.send(head(Content_Length=length) + b"x" * length + head(auth=BOB))
            assert [connection.read_response().body for _ in range(2)] == [b"hello"] * 2, length


# --- another credential, again and again --------------------------------------------------------------------


@each_suite
def test_the_credential_changes_between_requests_in_any_pieces(server, version, suite):
    """To home, back to the monitor, to gate, to home under another name; in records cut where they should not be."""
    order = [ALICE, BOB, None, ALICE, ALICE, None, BOB, BOB, ALICE] * 3
    for cut in range(1, 400, 13 * SLOW):
        with OpenSSLConnection(server, version, suite) as connection:
            records = b"".join(connection.socket.seal(head(auth=auth)) for auth in order)
            for start in range(0, len(records), 400 + cut):  # in the head of a record, in its middle, in its tag
                connection.send_raw(records[start:start + 400 + cut])
                time.sleep(0.0005)
            answers = [connection.read_response() for _ in order]
        assert [answer.status for answer in answers] == [200 if auth else 401 for auth in order], cut
        assert all(answer.body == b"hello" for answer in answers if answer.status == 200)


@each_suite
def test_requests_that_share_a_record_and_not_a_credential(server, version, suite):
    order = [ALICE, None, BOB, ALICE, BOB] * 4
    with OpenSSLConnection(server, version, suite) as connection:
        connection.send(b"".join(head(auth=auth) for auth in order))
        assert [connection.read_response().status for _ in order] == [200 if auth else 401 for auth in order]


def test_a_request_cut_in_two_by_the_way_back(server):
    """Home finds bob's credential in a head of which the end is not there yet."""
    second = head(auth=BOB)
    for cut in range(1, len(second), SLOW):
        with server.connect() as connection:
            connection.send(head() + second[:cut])
            assert connection.read_response().status == 200
            connection.send(second[cut:])
            assert connection.read_response().body == b"hello", cut


# --- KeyUpdate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [False, True], ids=["ours", "ours and theirs"])
def test_new_keys_before_during_and_after_the_hand_over(server, ask):
    with OpenSSLConnection(server) as connection:
        new_keys = connection.socket.key_update
        connection.send_raw(new_keys(ask))  # gate
        connection.send(head("/.fastfile/health", auth=None))
        assert connection.read_response().status == 200
        request = head()
        seal = connection.socket.seal
        connection.send_raw(seal(request[:30]) + new_keys(ask) + seal(request[30:]) + new_keys(ask))  # on the way
        assert connection.read_response().body == b"hello"
        connection.send_raw(new_keys(ask) + seal(head()))  # home
        assert connection.read_response().body == b"hello"
        connection.send_raw(seal(head(auth=BOB)) + new_keys(ask) + seal(head(auth=None)) + seal(head()))  # and back
        assert [connection.read_response().status for _ in range(3)] == [200, 401, 200]
        # One answer may stand for several questions.
        assert 1 <= connection.socket.key_updates_received <= 5 if ask else connection.socket.key_updates_received == 0


@pytest.mark.parametrize("ask", [False, True], ids=["ours", "ours and theirs"])
def test_new_keys_in_the_middle_of_a_download(server, big, ask):
    with OpenSSLConnection(server, receive_buffer=65536) as connection:
        connection.send(head("/big.bin"))
        assert connection.read_head().status == 200
        digest = hashlib.sha256()
        for _ in range(8):
            digest.update(connection._exactly(BIG // 8))
            connection.send_raw(connection.socket.key_update(ask))
        assert digest.hexdigest() == big
        assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"
        if ask and TLS_MODE == "kernel" and not connection.socket.key_updates_received:
            # A kernel before 6.14 cannot change its keys: the answer is finished, and that is the end.
            assert connection.is_closed()
        else:
            assert bool(connection.socket.key_updates_received) == ask


@pytest.mark.parametrize("requests_before", [0, 1], ids=["gate", "home"])
@pytest.mark.parametrize("ask", [False, True], ids=["ours", "ours and theirs"])
def test_a_storm_of_new_keys_ends_that_connection_only(server, requests_before, ask):
    with server.connect() as other, OpenSSLConnection(server) as connection:
        assert other.request("GET", "/hello.txt", auth=ALICE).status == 200
        for _ in range(requests_before):
            assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200
        storm = b"".join(connection.socket.key_update(ask) for _ in range(1000))
        with pytest.raises((OSError, ClosedEarly)):
            connection.send_raw(storm)
            connection.send(head())
            connection.read_response()
        assert other.request("GET", "/hello.txt", auth=ALICE).body == b"hello"
        assert server.get("/hello.txt").status == 200


@pytest.mark.parametrize("requests_before", [0, 1], ids=["gate", "home"])
def test_now_and_then_new_keys_are_no_storm(server, requests_before):
    """100 of them, each with a request: more in all than may come in a row."""
    with OpenSSLConnection(server) as connection:
        for _ in range(100):
            connection.send_raw(connection.socket.key_update(True) + connection.socket.seal(head(Padding="x" * 1000)))
            assert connection.read_response().body == b"hello"


# --- small records, renegotiation ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_download_in_records_of_512_bytes(server, big, version):
    done = subprocess.run(["openssl", "s_client", "-quiet", version, "-maxfraglen", "512", "-connect", f"127.0.0.1:{server.port}"],
                          input=head("/big.bin", Connection="close"), capture_output=True, timeout=60 * SLOW, check=False)
    fields, body = done.stdout.split(b"\r\n\r\n", 1)
    assert fields.startswith(b"HTTP/1.1 200 ")
    assert hashlib.sha256(body).hexdigest() == big


@not_in_the_vm("the file has to leave the page cache")
def test_a_download_in_small_records_from_the_disk(server):
    """Where the next piece is read while one is sent, it is no longer than small records have room for."""
    body = os.urandom(1 << 20)
    server.write("cold.bin", body)
    with open(server.path("cold.bin"), "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    done = subprocess.run(["openssl", "s_client", "-quiet", "-maxfraglen", "512", "-connect", f"127.0.0.1:{server.port}"],
                          input=head("/cold.bin", Connection="close"), capture_output=True, timeout=60 * SLOW, check=False)
    assert done.stdout.split(b"\r\n\r\n", 1)[1:] == [body]


@pytest.mark.parametrize("length", [512, 1024, 2048, 4096])
def test_parts_in_small_records(server, length):
    """What is left of one part, or of one answer, waits for the next: more than a few small records."""
    body = os.urandom(1 << 20)
    server.write("parts.bin", body)
    both = "bytes=0-104999,200000-204999"
    asked = head("/parts.bin", Range=both) + b"".join(head("/parts.bin", Range=f"bytes={first}-{first + size - 1}") for first, size in (
        (300_000, 7000), (400_000, 105_000), (600_000, 5000), (700_000, 70_000)))
    asked += head("/parts.bin", Range=both, Connection="close")
    done = subprocess.run(["openssl", "s_client", "-quiet", "-maxfraglen", str(length), "-connect", f"127.0.0.1:{server.port}"],
                          input=asked, capture_output=True, timeout=60 * SLOW, check=False)
    at = 0
    for first, size in ((0, 105_000), (200_000, 5000), (300_000, 7000), (400_000, 105_000), (600_000, 5000), (700_000, 70_000),
                        (0, 105_000), (200_000, 5000)):
        found = done.stdout.find(body[first:first + size], at)
        assert found >= at, (first, size)
        at = found + size


@pytest.mark.parametrize("requests_before", [0, 1], ids=["gate", "home"])
def test_no_renegotiation(server, requests_before):
    """Refused with an alert; the connection may end with it, but never begins a second handshake."""
    with server.connect() as other, OpenSSLConnection(server, V12) as connection:
        assert other.request("GET", "/hello.txt", auth=ALICE).status == 200
        for _ in range(requests_before):
            assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200
        connection.send_raw(connection.socket.renegotiation())
        try:
            assert not connection.socket.recv(1000)
        except (ssl.SSLError, ConnectionResetError):
            pass
        assert connection.socket.handshakes == 1
        assert other.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


def test_many_renegotiations_cost_one_connection_each_at_most(server):
    before = server.descriptors()
    for _ in range(100 // SLOW):
        with OpenSSLConnection(server, V12) as connection:
            connection.send_raw(connection.socket.renegotiation())
    assert server.get("/hello.txt").body == b"hello"
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of refused renegotiations")


# --- a thousand at once ---------------------------------------------------------------------------------------


def hashing_seconds(server):
    """CPU time of the process that hashes passwords."""
    with open(f"/proc/{server.pid_of('hasher')}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


@pytest.mark.measures
def test_a_thousand_connections_with_one_cold_credential_cost_one_hash(make_server):
    count = 1000 // SLOW
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 4 * count:
        pytest.skip(f"a thousand connections (only {hard} open files are allowed)")
    server = make_server()
    server.write("hello.txt", "hello")
    before = hashing_seconds(server)
    started = time.monotonic()
    assert server.get("/hello.txt", auth=BOB).status == 200
    one_wait, one_hash = time.monotonic() - started, hashing_seconds(server) - before
    assert one_hash > 0.001

    connections = [server.connect(timeout=20 * SLOW) for _ in range(count)]
    before = hashing_seconds(server)
    started = time.monotonic()
    for connection in connections:
        connection.send(head())
    statuses = [connection.read_response().status for connection in connections]
    wait, hashing = time.monotonic() - started, hashing_seconds(server) - before
    for connection in connections:
        connection.close()
    assert statuses == [200] * count
    assert hashing < 2.5 * one_hash, f"{hashing:.3f} s of hashing; one takes {one_hash:.3f} s"
    print(f"{count} cold logins: {wait:.2f} s, {hashing * 1e3:.0f} ms of hashing; one: {one_wait:.3f} s, {one_hash * 1e3:.0f} ms")
