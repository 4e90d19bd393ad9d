"""Downloads under stress: many at once, in tiny pieces, broken off anywhere, with changing keys, and beside each other.

Everything over TLS, sealed by whoever FASTFILE_TLS says, and without.
"""
import asyncio
import concurrent.futures
import contextlib
import hashlib
import random
import re
import selectors
import socket
import ssl
import struct
import threading
import time

import machine
import pytest
from client import basic, trusting_context, wait_for
from crowds import many_descriptors, needs_descriptors  # noqa: F401
from machine import IN_VM, os
from openssl import OpenSSLConnection
from server import ALICE, BOB, SLOW, TLS_MODE, Server

KIB, MIB = 1 << 10, 1 << 20
LARGE = 8 * MIB // (1 if SLOW == 1 else 4)
HUGE = 64 * MIB // (1 if SLOW == 1 else 4)
# Downloads at once; in the virtual machine and under sanitizers: 166, 250 (addresses), 100 (threads).
CROWD = 1000 // SLOW


@pytest.fixture(scope="module", params=["TLS", "plain"])
def module_server(request):
    """Stands for conftest's: all tests here have both kinds, unless they say which."""
    made = Server(plain=request.param == "plain")
    made.write("small", "hello")
    made.content = os.urandom(LARGE)
    made.write("large", made.content)
    made.get("/small")  # whoever starts slowly has started now
    time.sleep(2.5)  # and has let go of the file
    made.at_rest = made.descriptors()
    yield made
    made.finish()


only_tls = pytest.mark.parametrize("module_server", ["TLS"], indirect=True)


def head(target, auth=ALICE, **fields):
    lines = [f"GET {target} HTTP/1.1", "Host: x", f"Authorization: {basic(*auth)}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(server, **options):
    """A connection of which the test has the TCP stream too."""
    return server.connect_plain(**options) if server.plain else OpenSSLConnection(server, **options)


def tcp_of(connection):
    return getattr(connection.socket, "tcp", connection.socket)


def seal(connection, data):
    """The bytes that go over TCP for it."""
    return connection.socket.seal(data) if hasattr(connection.socket, "seal") else data


# --- many at once ----------------------------------------------------------------------------------------------


def sizes(rng):
    """One for each of the crowd: around what a record, and a body that the kernel sends, begin with; any; and a few large ones."""
    special = [0, 1, *(border + step for border in (16 * KIB, 64 * KIB, 256 * KIB) for step in (-1, 0, 1))]
    special += [rng.randrange(2 * MIB, 5 * MIB) for _ in range(4)]
    return special + rng.sample(range(300 * KIB), CROWD - len(special))


async def length_of_answer(reader):
    fields = await reader.readuntil(b"\r\n\r\n")
    assert fields.startswith(b"HTTP/1.1 200 "), fields
    return int(re.search(rb"Content-Length: (\d+)", fields)[1])


async def ask_for(server, context, turns, target):
    options = {"ssl": context, "server_hostname": "localhost"} if context else {}
    tcp = socket.socket()
    tcp.setblocking(False)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # otherwise the loopback takes 2 MiB at a time
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
    async with turns:
        await asyncio.get_running_loop().sock_connect(tcp, ("127.0.0.1", server.port))
        reader, writer = await asyncio.open_connection(sock=tcp, **options)
        writer.write(head(target))
        return reader, writer, await length_of_answer(reader)


async def digest_of_body(reader, length):
    return hashlib.sha256(await reader.readexactly(length)).digest()


async def digests_of_all(server, targets):
    """Each on a connection of its own; nobody takes more of a body than buffers hold before everybody's answer has begun. Then
    each asks for what its neighbour got, which home answers without the way from gate."""
    context = None if server.plain else trusting_context()
    turns = asyncio.Semaphore(1 if IN_VM else CROWD)  # QEMU accepts one after the other
    connections = await asyncio.gather(*(ask_for(server, context, turns, target) for target in targets))
    first = await asyncio.gather(*(digest_of_body(reader, length) for reader, _, length in connections))
    for (_, writer, _), target in zip(connections, targets[1:] + targets[:1]):
        writer.write(head(target))
    lengths = await asyncio.gather(*(length_of_answer(reader) for reader, _, _ in connections))
    second = await asyncio.gather(*(digest_of_body(reader, length) for (reader, _, _), length in zip(connections, lengths)))
    for _, writer, _ in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer, _ in connections))
    return first, second[-1:] + second[:-1]


def test_a_thousand_at_once(server):
    needs_descriptors(4 * CROWD)
    rng = random.Random(1)
    material = rng.randbytes(8 * MIB)
    wanted = {}
    for number, size in enumerate(sizes(rng)):
        start = rng.randrange(len(material) - size)
        content = material[start:start + size]
        wanted[server.write(f"crowd/{number}-{size}", content)] = hashlib.sha256(content).digest()
    answers = asyncio.run(asyncio.wait_for(digests_of_all(server, list(wanted)), 60 * SLOW))
    for digests in answers:
        assert [target for target, digest in zip(wanted, digests) if digest != wanted[target]] == []


# --- tiny buffers --------------------------------------------------------------------------------------------------

RANGES = {"whole": [(0, LARGE - 1)], "range": [(12_345, LARGE - 54_321)],
          "ranges": [(0, 99), (16_383, 1_000_000), (1_000_002, LARGE - 70_000), (LARGE - 1, LARGE - 1)]}


def read_in_pieces(connection, length, rng):
    """Odd pieces of a few bytes to a few KiB, off TCP, with pauses that fill all buffers."""
    data = bytearray(connection.buffer)
    while len(data) < length:
        size = 2 * rng.randrange(1, 1500) + 1
        if hasattr(connection.socket, "piece"):
            connection.socket.piece = size
        got = connection.socket.recv(min(size, length - len(data)))
        assert got, f"ended after {len(data)} of {length} bytes"
        data += got
        if rng.randrange(50) == 0:
            time.sleep(0.002)
    return bytes(data)


def parts_of(response):
    """What its parts have, without their heads, behind each other."""
    mark = response.field("Content-Type").partition("boundary=")[2].strip('"')
    return b"".join(part.partition(b"\r\n\r\n")[2] for part in response.body.split(b"\r\n--" + mark.encode()))


def test_tiny_pieces(server):
    """Two of each kind at once: the server can never send a whole record, and is always in the middle of something."""
    def read(number, kind):
        rng = random.Random(number)
        with connect(server, receive_buffer=4096, timeout=20 * SLOW) as connection:
            field = ",".join(f"{first}-{last}" for first, last in RANGES[kind])
            connection.send(head("/large", **({} if kind == "whole" else {"Range": f"bytes={field}"})))
            response = connection.read_head()
            assert response.status == (200 if kind == "whole" else 206)
            response.body = read_in_pieces(connection, int(response.field("Content-Length")), rng)
            return parts_of(response) if kind == "ranges" else response.body

    kinds = [*RANGES] * 2
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        for kind, body in zip(kinds, pool.map(read, range(len(kinds)), kinds)):
            assert body == b"".join(server.content[first:last + 1] for first, last in RANGES[kind]), kind


# --- gone ------------------------------------------------------------------------------------------------------------


def receive_exactly(tcp, length):
    while length > 0:
        got = len(tcp.recv(length))
        assert got, f"the stream ended {length} bytes early"
        length -= got


def ask_on_tcp(server, target):
    connection = connect(server, timeout=20 * SLOW)
    connection.send(head(target, **({"Connection": "close"} if target == "/small" else {})))
    return connection


def stream_of(server, target, length):
    """The response as it goes over TCP: so much of it, or all that there is."""
    data = b""
    with ask_on_tcp(server, target) as connection:
        while len(data) < length and (piece := tcp_of(connection).recv(length - len(data))):
            data += piece
    return data


def borders(server, stream):
    """Where the head ends, or where the records begin."""
    if server.plain:
        return [stream.index(b"\r\n\r\n") + 4]
    found = [0]
    while found[-1] + 5 < len(stream):
        found.append(found[-1] + 5 + int.from_bytes(stream[found[-1] + 3:found[-1] + 5], "big"))
    return found


def places(server, target):
    """Around each border among the first bytes; every few bytes of the first 600; and anywhere."""
    stream = stream_of(server, target, 200 * KIB // SLOW)
    length = len(stream) if target == "/small" else LARGE
    rng = random.Random(length)
    found = {border + step for border in borders(server, stream) for step in (-1, 0, 1, 5, 6)}
    found |= {*range(0, 600, 5 * SLOW), *(rng.randrange(length) for _ in range(40 // SLOW)), length}
    return sorted(place for place in found if 0 <= place <= length)


def close(tcp):
    """Says the end of its stream first, so that this is not only a reset, whatever has not been read."""
    tcp.shutdown(socket.SHUT_WR)


def reset(tcp):
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_gone_after_any_byte(server):
    for target in ("/small", "/large"):
        for place in places(server, target):
            for leave in (close, reset):
                with ask_on_tcp(server, target) as connection:
                    receive_exactly(tcp_of(connection), place)
                    leave(tcp_of(connection))
    assert server.get("/small").body == b"hello" and server.get("/large").body == server.content
    wait_for(lambda: server.descriptors() <= server.at_rest, 15 * SLOW, "the descriptors of those who are gone")


# --- new keys, other owners ----------------------------------------------------------------------------------------


@only_tls
@pytest.mark.parametrize("ask", [False, True], ids=["ours", "ours and theirs"])
def test_new_keys_through_a_row_of_downloads(server, ask):
    """Three times within each, with the request for the next one between them: 64 MiB natively.

    The server looks at them when it is through with a response, of which the end may still wait. If its kernel seals and cannot change
    keys, that response or one of the next two is the last (they may be there already), and complete.
    """
    by_kernel = TLS_MODE == "kernel"
    before = machine.kernel_tls_counters()
    count = 64 * MIB // LARGE if SLOW == 1 else 4
    rng = random.Random(2)
    digest = hashlib.sha256(server.content).digest()
    answers = 0
    with OpenSSLConnection(server, receive_buffer=65536, timeout=20 * SLOW) as connection:
        new_keys = connection.socket.key_update
        request = head("/large", Padding="x" * 1000)
        connection.send(request)
        while answers < count and (connection.buffer or connection._more()):
            assert connection.read_head().status == 200
            got, left = hashlib.sha256(), LARGE
            for following in (b"", request if answers < count - 1 else b"", b""):
                here = rng.randrange(1, left // 3)
                got.update(connection._exactly(here))
                left -= here
                connection.send_raw(new_keys(ask) + (connection.socket.seal(following) if following else b""))
            got.update(connection._exactly(left))
            assert got.digest() == digest, answers
            answers += 1
        theirs = connection.socket.key_updates_received
        if ask and by_kernel and machine.kernel_version() < (6, 14):
            assert 1 <= answers <= 3 and theirs == 0 and connection.is_closed(within=3 * SLOW)
        else:
            assert answers == count and (0 < theirs <= 3 * count if ask else theirs == 0)
    if by_kernel and theirs:
        assert machine.kernel_tls_counters()["TlsTxRekeyOk"] == before["TlsTxRekeyOk"] + theirs


@pytest.mark.parametrize("first", ["/small", "/large"])
def test_a_download_behind_each_hand_over(server, first):
    """From gate to home, back and to another owner; with what follows cut anywhere, and where first is large, by a kernel that seals already."""
    length = len(head(first))
    for cut in range(1, length + 40, 17 * SLOW):
        with connect(server, timeout=20 * SLOW) as connection:
            records = b"".join(seal(connection, head(target, auth)) for target, auth in
                               ((first, ALICE), ("/large", ALICE), ("/large", BOB), ("/small", ALICE)))
            for piece in (records[:cut], records[cut:length + cut], records[length + cut:]):
                tcp_of(connection).sendall(piece)
                time.sleep(0.001)
            bodies = [connection.read_response().body for _ in range(4)]
        assert bodies == [b"hello" if first == "/small" else server.content, server.content, server.content, b"hello"], cut


# --- beside each other ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["TLS", "plain"])
def one_ring(make_server, request):
    """One ring for all; /huge is remembered by the kernel, as what many ask for is."""
    made = make_server("--threads", "1", plain=request.param == "plain")
    made.write("small", "hello")
    content = os.urandom(HUGE)
    made.write("huge", content)
    made.digest = hashlib.sha256(content).hexdigest()
    return made


def regulars(server, stack):
    """20 connections that have been answered once, and stay."""
    for _ in range(20):
        connection = stack.enter_context(server.connect(timeout=20 * SLOW))
        assert connection.request("GET", "/small", auth=ALICE).body == b"hello"
        yield connection


@contextlib.contextmanager
def downloads(server, count):
    """So many without end, each well under way, and read as fast as TCP can: their records are not opened."""
    stop = threading.Event()

    def read(tcp):
        while not stop.is_set():
            assert tcp.recv(MIB, socket.MSG_TRUNC), "a download ended"

    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(count) as pool:
        reading = []
        try:
            for _ in range(count):
                connection = stack.enter_context(connect(server, timeout=20 * SLOW))
                connection.send(head("/huge") * 200)
                receive_exactly(tcp_of(connection), MIB)
                reading.append(pool.submit(read, tcp_of(connection)))
            yield
        finally:
            stop.set()
        for one in reading:
            one.result()


def p99(times):
    return sorted(times)[len(times) * 99 // 100]


@pytest.mark.parametrize("count", [1, 8])
def test_small_files_beside_downloads(one_ring, count):
    """1,000 requests (fewer where things are slow), 20 at a time; test_patience.py has those that begin with a new connection."""
    times = []
    with downloads(one_ring, count), contextlib.ExitStack() as stack:
        connections = [*regulars(one_ring, stack)]
        for _ in range(50 // SLOW):
            started = time.monotonic()
            for connection in connections:
                connection.send(head("/small"))
            for connection in connections:
                assert connection.read_response().body == b"hello"
                times.append(time.monotonic() - started)
    median = sorted(times)[len(times) // 2]
    print(f"beside {count}: median {median * 1e3:.1f} ms, p99 {p99(times) * 1e3:.1f} ms, longest {max(times) * 1e3:.1f} ms")
    assert median < 0.2 * SLOW and p99(times) < 0.5 * SLOW


def seconds_of_download(server, rounds):
    """Of /huge, so many times; curl gives up when 20 s bring nothing."""
    started = time.monotonic()
    done = server.curl("-u", ":".join(ALICE), "--speed-limit", "1", "--speed-time", str(20 * SLOW), *[server.url("/huge")] * rounds, timeout=60)
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == rounds * HUGE and hashlib.sha256(done.stdout[-HUGE:]).hexdigest() == server.digest
    return seconds


def test_a_download_beside_small_files(one_ring):
    """20 who always have 50 requests on the way leave it at least a fifth of its speed."""
    stop = threading.Event()

    def ask(connection):
        answers = 0
        while not stop.is_set():
            connection.send(head("/small") * 50)
            while connection.buffer.count(b"HTTP/1.1 200 ") < 50:
                assert connection._more()
            connection.buffer = b""
            answers += 50
        return answers

    rounds = 4 if SLOW == 1 else 1
    alone = seconds_of_download(one_ring, rounds)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(ask, connection) for connection in [*regulars(one_ring, stack)]]
        try:
            beside = seconds_of_download(one_ring, rounds)
        finally:
            stop.set()
        answers = [one.result() for one in asking]
    print(f"{alone:.2f} s alone, {beside:.2f} s beside {sum(answers)} answers")
    assert min(answers) > 0
    assert beside < 5 * alone + 0.5 * SLOW


# --- beside handshakes -----------------------------------------------------------------------------------------------


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def ask_until(over, connection, target):
    """How long each answer took, until the event."""
    times = []
    while not over.is_set():
        started = time.monotonic()
        assert connection.request("GET", target, auth=ALICE if target == "/small" else None).status == 200
        times.append(time.monotonic() - started)
    return times


def burst_of_handshakes(server, count):
    """So many first flights at once, while others ask gate and home. Returns how long all of that took, and the answers of either."""
    hello = client_hello()
    over = threading.Event()
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(2) as pool, selectors.DefaultSelector() as selector:
        strangers = [stack.enter_context(server.connect_plain(timeout=20 * SLOW)).socket for _ in range(count)]
        at_gate, at_home = (stack.enter_context(server.connect(timeout=20 * SLOW)) for _ in range(2))
        assert at_gate.request("GET", "/.fastfile/health").status == 200 == at_home.request("GET", "/small", auth=ALICE).status
        for stranger in strangers:
            selector.register(stranger, selectors.EVENT_READ)
        started = time.monotonic()
        for stranger in strangers:
            stranger.sendall(hello)
        asking = [pool.submit(ask_until, over, *what) for what in ((at_gate, "/.fastfile/health"), (at_home, "/small"))]
        try:
            while selector.get_map():
                ready = selector.select(20 * SLOW)
                assert ready, "a stranger is not answered"
                for key, _ in ready:
                    assert key.fileobj.recv(1)[0] == 22  # a handshake's record
                    selector.unregister(key.fileobj)
        finally:
            over.set()
        return time.monotonic() - started, *(one.result() for one in asking)


@machine.not_in_the_vm("QEMU accepts one after the other")
@pytest.mark.parametrize("one_ring", ["TLS"], indirect=True)
def test_answers_beside_a_burst_of_handshakes(one_ring):
    """Who is connected does not wait until hundreds of others have their first flight, neither with gate nor with home. The quietest of
    three bursts counts: other programs can make anybody wait."""
    count = 400 // SLOW
    shares = []
    for _ in range(3):
        burst, gate, home = burst_of_handshakes(one_ring, count)
        print(f"{count} handshakes in {burst * 1e3:.0f} ms; gate: {len(gate)} answers, longest {max(gate) * 1e3:.1f} ms; "
              f"home: {len(home)}, {max(home) * 1e3:.1f} ms")
        shares.append((max(gate) / burst, max(home) / burst))
        if max(shares[-1]) < 1 / 2:
            return
    assert False, shares
