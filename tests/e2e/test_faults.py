"""Calls that fail in the running server: an answer may be broken off, never wrong, and the next one is right."""
import contextlib
import errno
import os
import ssl

import machine
import pytest
from client import ClosedEarly, wait_for
from faults import ALWAYS, PRETEND, Faults
from server import ALICE, SANITIZER, SLOW, Server

pytestmark = [machine.not_in_the_vm("the library that makes calls fail is not inside"),
              pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")]

SIZE = 3_000_000  # several turns of sendfile, several chunks
CONTENT = os.urandom(SIZE)
BROKEN = (ClosedEarly, ssl.SSLError, ConnectionError)


def make_pair(kind):
    server = Server(start=False, plain=kind == "plain")
    faults = Faults(server)
    if kind == "tls":
        server.options += ["--tls", "user"]
    server.start()
    server.write("large", CONTENT)
    server.write("small", CONTENT[:5000])
    return server, faults


@pytest.fixture(scope="module", params=["plain", "tls"])
def pair(request):
    """A server and its faults, shared by the tests of one kind."""
    made = make_pair(request.param)
    yield made
    made[0].finish()


@pytest.fixture
def shared(pair):
    before = pair[0].roles()
    yield pair
    check_the_next(*pair, before)


@pytest.fixture(params=["plain", "tls"])
def fresh(request):
    """One of the test's own: it has nothing in its pools."""
    made = make_pair(request.param)
    before = made[0].roles()
    yield made
    check_the_next(*made, before)
    made[0].finish()


def check_the_next(server, faults, before):
    faults.clear()
    assert server.get("/large", auth=ALICE).body == CONTENT
    assert server.get("/small", auth=ALICE).body == CONTENT[:5000]
    server.check_log()
    assert server.roles() == before, f"a process died:\n{server.log()}"


def only_plain(server):
    if not server.plain:
        pytest.skip("sending files directly, which sealing them ourselves is not")


def assert_beginning(error):
    """What came before a connection broke, which is in the error, was right."""
    body = getattr(error, "received", b"").split(b"\r\n\r\n", 1)[-1]
    assert CONTENT.startswith(body) and len(body) < SIZE


def get_or_part(server, path):
    """The response, or None where the connection broke."""
    try:
        response = server.get(path, auth=ALICE)
    except BROKEN as error:
        assert_beginning(error)
        return None
    assert response.status != 200 or response.body in (CONTENT, CONTENT[:5000])
    return response


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOMEM, errno.EPIPE], ids=errno.errorcode.get)
@pytest.mark.parametrize("skip", [0, 1, 4])
def test_sendfile_that_fails(shared, error, skip):
    server, faults = shared
    only_plain(server)
    faults.set("sendfile", error, skip, 1)
    assert get_or_part(server, "/large") is None
    assert faults.hits("sendfile") == 1


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EINTR], ids=errno.errorcode.get)
def test_sendfile_that_is_to_be_tried_again(shared, error):
    server, faults = shared
    only_plain(server)
    faults.set("sendfile", error, 1, 3)
    assert server.get("/large").body == CONTENT
    assert faults.hits("sendfile") == 3


def test_without_cachestat(shared):
    """As before Linux 6.5."""
    server, faults = shared
    only_plain(server)
    faults.set("cachestat", errno.ENOSYS)
    assert server.get("/large").body == CONTENT
    assert faults.hits("cachestat") > 1


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EOPNOTSUPP], ids=errno.errorcode.get)
@pytest.mark.parametrize("skip", [0, 1, 4])
def test_preadv2_that_would_wait(shared, error, skip):
    """What is not cached, or on a file system that cannot tell, is read by others."""
    server, faults = shared
    faults.set("preadv2", error, skip)
    for path, content in (("/large", CONTENT), ("/small", CONTENT[:5000])):
        assert server.get(path).body == content
    assert faults.hits("preadv2") >= 1  # who has waited once does not ask again


@pytest.mark.parametrize("skip", [0, 1, 4])
def test_preadv2_that_fails(shared, skip):
    server, faults = shared
    faults.set("preadv2", errno.EIO, skip, 1)
    for _ in range(2):
        get_or_part(server, "/large")
    assert faults.hits("preadv2") == 1


def test_preadv2_that_always_fails(shared):
    server, faults = shared
    faults.set("preadv2", errno.EIO)
    response = get_or_part(server, "/small")
    assert response is None or response.status in (200, 500, 503)  # 200: from memory


without_sanitizer = pytest.mark.skipif(SANITIZER != "", reason="malloc() is the sanitizer's")


@without_sanitizer
@pytest.mark.parametrize("skip, times", [(0, 1), (0, ALWAYS), (1, 3), (5, 3)])
def test_no_memory_for_chunks(fresh, skip, times):
    """Connections that hold theirs, as they are not read from, so that none is left over."""
    server, faults = fresh
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect(receive_buffer=4096)) for _ in range(12)]
        for connection in connections:  # which brings them all to home
            assert connection.request("GET", "/small", auth=ALICE).status == 200
        faults.set("malloc", errno.ENOMEM, skip, times)
        for connection in connections:
            connection.send_request("GET", "/large", auth=ALICE)
        wait_for(lambda: faults.hits("malloc") >= 1, 5 * SLOW, "calls that fail")
        broken = 0
        for connection in connections:
            try:
                assert connection.read_response("GET").body == CONTENT
            except BROKEN as error:
                assert_beginning(error)
                broken += 1
        assert 1 <= broken <= times


@without_sanitizer
@pytest.mark.parametrize("skip", range(4))
def test_no_memory_for_a_handshake(shared, skip):
    server, faults = shared
    if server.plain:
        pytest.skip("a handshake without TLS: there is none")
    for _ in range(3):
        faults.set("malloc", errno.ENOMEM, skip, 1)
        with contextlib.suppress(*BROKEN), server.connect() as connection:
            assert connection.request("GET", "/small", auth=ALICE).body == CONTENT[:5000]


def test_a_listener_without_a_limit_for_what_is_not_sent(make_server):
    server = make_server(start=False)
    faults = Faults(server)
    faults.set("notsent_lowat", errno.ENOPROTOOPT)
    server.start()
    assert faults.hits("notsent_lowat") > 0
    server.write("large", CONTENT)
    assert server.get("/large").body == CONTENT


@pytest.mark.parametrize("call", ["tcp_ulp", "tls_tx"])
def test_a_kernel_that_seals_no_more(make_server, call):
    """It could at the start, as far as the server was told; then each connection has to be sealed here after all."""
    server = make_server(start=False)
    faults = Faults(server)
    server.options += ["--tls", "kernel"]
    for name in ("tcp_ulp", "tls_tx"):
        faults.set(name, PRETEND)
    server.start()
    server.write("large", CONTENT)
    for error in (errno.ENOENT, errno.ENOMEM, errno.EBUSY):
        faults.set(call, error)
        with server.connect() as connection:
            for _ in range(2):
                assert connection.request("GET", "/large", auth=ALICE).body == CONTENT
        assert faults.hits(call) >= 2
