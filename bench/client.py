"""A small HTTP/1.1 client, and the loads that wrk, hey and curl do not produce."""
import base64
import multiprocessing
import signal
import socket
import ssl
import time
from dataclasses import dataclass

USER = PASSWORD = "bench"
CREDENTIAL = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
FORK = multiprocessing.get_context("fork")


class WrongAnswer(Exception):
    """What came back must not be counted."""


def expect(ok, otherwise):
    if not ok:
        raise WrongAnswer(otherwise)


@dataclass(frozen=True)
class Target:
    port: int
    tls: bool = True
    credential: str | None = None

    @property
    def url(self):
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}"

    @property
    def options(self):
        """For hey, wrk and curl."""
        return ["-H", f"Authorization: {self.credential}"] if self.credential else []


def make_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


CONTEXT = make_context()


class Connection:
    """One connection, for many requests."""

    def __init__(self, target, session=None, receive_buffer=0, timeout=30):
        self.target, self.reader, self.first_byte = target, None, 0
        self.socket = socket.socket()
        try:
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(timeout)
            self.socket.connect(("127.0.0.1", target.port))
            if target.tls:
                self.socket = CONTEXT.wrap_socket(self.socket, session=session)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.reader:
            self.reader.close()
        self.socket.close()

    def send(self, method, path, body=None, fields=()):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.target.port}", *fields]
        if self.target.credential:
            lines.append(f"Authorization: {self.target.credential}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def receive(self):
        """(status, body); first_byte is the time when the answer began."""
        reader = self.reader = self.reader or self.socket.makefile("rb", 65536)
        reader.peek(1)
        self.first_byte = time.perf_counter()
        status, length, chunked = 0, None, False
        while status < 200:  # 100 Continue and the like come before the answer
            words = reader.readline().split()
            if len(words) < 2:
                raise ConnectionError("closed by the server")
            status = int(words[1])
            while (line := reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.lower().partition(b":")
                if name == b"content-length":
                    length = int(value)
                elif name == b"transfer-encoding":
                    chunked = b"chunked" in value
        if status in (204, 304):
            return status, b""
        if chunked:
            parts = []
            while size := int(reader.readline().split(b";")[0], 16):
                parts.append(self._exactly(size))
                reader.readline()
            while reader.readline() not in (b"\r\n", b""):
                pass
            return status, b"".join(parts)
        return status, reader.read() if length is None else self._exactly(length)

    def _exactly(self, size):
        data = self.reader.read(size)
        if len(data) < size:
            raise ConnectionError("the body ended early")
        return data

    def request(self, method, path, body=None, fields=()):
        self.send(method, path, body, fields)
        return self.receive()

    def get(self, path, size, fields=()):
        """GETs a file whose size is known."""
        status, body = self.request("GET", path, fields=fields)
        expect(status == 200 and len(body) == size, f"GET {path}: status {status}, {len(body)} bytes")
        return body


# --- loads; each is bounded in count and time ---------------------------------------------------------------

def in_processes(count, function, *arguments, timeout=120):
    """function(number, *arguments) in `count` processes at once; what each returned. (A pool can hang when it is ended.)"""
    def run(pipe, number):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            pipe.send(function(number, *arguments))
        except Exception as error:  # the one who waits raises it
            pipe.send(error)

    pipes = [FORK.Pipe(duplex=False) for _ in range(count)]
    processes = [FORK.Process(target=run, args=(theirs, number), daemon=True) for number, (_, theirs) in enumerate(pipes)]
    try:
        for process, (_, theirs) in zip(processes, pipes):
            process.start()
            theirs.close()
        end = time.monotonic() + timeout
        return [result_of(ours, end) for ours, _ in pipes]
    finally:
        for process in filter(lambda one: one.pid, processes):
            process.kill()
            process.join()


def result_of(pipe, end):
    if not pipe.poll(max(0, end - time.monotonic())):
        raise multiprocessing.TimeoutError("a client does not come to an end")
    try:
        result = pipe.recv()
    except EOFError:
        raise WrongAnswer("a client has died") from None
    if isinstance(result, Exception):
        raise result
    return result


def connect_again_and_again(_, target, seconds, resume):
    """Connection, GET of 1 KiB, close; again. Returns (times of each, how many were resumed)."""
    times, resumed, session = [], 0, None
    began = time.perf_counter()
    while (start := time.perf_counter()) < began + seconds and len(times) < 20000:
        with Connection(target, session) as connection:
            connection.get("/1k.bin", 1024, ("Connection: close",))
            resumed += connection.socket.session_reused
            if resume:
                session = connection.socket.session  # a ticket is for one use only (RFC 8446, C.4)
        times.append(time.perf_counter() - start)
    return times, resumed


def latencies(target, count, seconds):
    """Times of GETs of 1 KiB, one after the other on one connection."""
    times, end = [], time.perf_counter() + seconds
    with Connection(target, timeout=seconds) as connection:
        while len(times) < count and (start := time.perf_counter()) < end:
            connection.get("/1k.bin", 1024)
            times.append(time.perf_counter() - start)
    return times


def put_share(number, target, folder, count, size, step):
    """PUTs every step-th of `count` new files, on one connection. Returns when it began and ended."""
    body = bytes(size)
    with Connection(target) as connection:
        began = time.perf_counter()
        for i in range(number, count, step):
            status, _ = connection.request("PUT", f"{folder}/{i:05}.bin", body)
            expect(status in (200, 201, 204), f"PUT: status {status}")
        return began, time.perf_counter()


class SlowReaders:
    """A process with `count` connections that each take `rate` bytes a second of a large file."""

    def __init__(self, target, count, rate, seconds):
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=self._run, args=(theirs, target, count, rate, seconds), daemon=True)
        self.process.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def established(self, seconds):
        """How many connections there are, once all were tried; 0 if that takes longer than this."""
        return self.pipe.recv() if self.pipe.poll(seconds) else 0

    def finish(self):
        """Ends them; returns the bytes a second that each got."""
        self.pipe.send("end")
        return self.pipe.recv() if self.pipe.poll(5) else 0

    @staticmethod
    def _run(pipe, target, count, rate, seconds):
        connections, end = [], time.monotonic() + seconds
        for _ in range(count):
            if time.monotonic() > end - seconds / 2:
                break
            try:
                connection = Connection(target, receive_buffer=65536, timeout=3)
                connection.send("GET", "/big.bin")
                connection.socket.setblocking(False)
                connections.append(connection)
            except OSError:
                pass
        pipe.send(len(connections))
        began, got = time.monotonic(), [0] * len(connections)
        while (now := time.monotonic()) < end and not pipe.poll():
            due = int(rate * (now - began))
            for i, connection in enumerate(connections):
                try:
                    while got[i] < due and (data := connection.socket.recv(min(due - got[i], 16384))):
                        got[i] += len(data)
                except OSError:  # nothing there yet is one too
                    pass
            time.sleep(0.1)
        pipe.send(sum(got) / max(time.monotonic() - began, 0.1) / max(len(got), 1))
        pipe.poll(5)
