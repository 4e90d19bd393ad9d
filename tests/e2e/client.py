"""Talks to the server byte by byte, so that a test can also say what no polite client would."""
import base64
import json
import socket
import ssl
import threading
import time


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def trusting_context(**options):
    """A TLS context that takes any certificate. Options are attributes of ssl.SSLContext, and `ciphers`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ciphers := options.pop("ciphers", None):
        context.set_ciphers(ciphers)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def end_sending(connection):
    """The stream ends, in TLS without close_notify, and what comes can be read still (SSLSocket's own shutdown() forgets its keys)."""
    socket.socket.shutdown(connection.socket, socket.SHUT_WR)


class ClosedEarly(Exception):
    """The connection ended in the middle of a response; `received` is what came."""

    def __init__(self, received):
        super().__init__(f"closed after {len(received)} bytes: {received[:200]!r}")
        self.received = received


class Response:
    def __init__(self, status, reason, version, fields):
        self.status = status
        self.reason = reason
        self.version = version
        self.fields = fields  # [(name, value), ...] as sent
        self.body = b""

    def field(self, name):
        """The value of a field that is there at most once."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name):
        return [value for other, value in self.fields if other.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        assert self.field("Content-Type").startswith("application/json"), self.field("Content-Type")
        return json.loads(self.body)

    def __repr__(self):
        return f"<Response {self.status} {self.fields} {self.body[:200]!r}>"


class Connection:
    """One connection. Give raw bytes to send(), or let request() write a request."""

    def __init__(self, address, context=None, source=None, timeout=20, session=None, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost", session=session,
                                              suppress_ragged_eofs=False)
        self.address = address
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # --- sending ---

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_request(self, method, target, fields=None, body=None, auth=None, version="HTTP/1.1"):
        """Writes one request. A field whose value is None is left out (so Host can be)."""
        all_fields = {"Host": f"localhost:{self.address[1]}"}
        if auth:
            all_fields["Authorization"] = basic(*auth)
        if body is not None:
            all_fields["Content-Length"] = str(len(body))
        all_fields.update(fields or {})
        lines = [f"{method} {target} {version}"]
        lines += [f"{name}: {value}" for name, value in all_fields.items() if value is not None]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + (body or b""))

    def request(self, method, target, **options):
        self.send_request(method, target, **options)
        return self.read_response(method)

    # --- receiving ---

    def _more(self):
        """Reads what is there; False at the end of the stream, which in TLS is a close_notify."""
        try:
            data = self.socket.recv(65536)
        except ssl.SSLEOFError:
            raise ClosedEarly(self.buffer) from None
        self.buffer += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise ClosedEarly(self.buffer)
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def _exactly(self, length):
        pieces = []
        while length > 0:
            if not self.buffer and not self._more():
                raise ClosedEarly(b"".join(pieces))
            piece, self.buffer = self.buffer[:length], self.buffer[length:]
            length -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def read_chunks(self):
        pieces = []
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            pieces.append(self._exactly(size))
            assert self._exactly(2) == b"\r\n"
        assert self._until(b"\r\n") == b"", "trailers are not expected"
        return b"".join(pieces)

    def read_head(self):
        head = self._until(b"\r\n\r\n").decode("latin-1")
        assert "\n" not in head.replace("\r\n", ""), f"bare LF in {head!r}"
        status_line, *lines = head.split("\r\n")
        version, status, reason = (status_line + " ").split(" ", 2)
        assert version == "HTTP/1.1", status_line
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name.strip() == name, f"malformed field {line!r}"
            fields.append((name, value.strip()))
        return Response(int(status), reason.strip(), version, fields)

    def read_response(self, method="GET", interim=False):
        """The next response, and its body. 100 (Continue) is passed over unless `interim`."""
        response = self.read_head()
        if 100 <= response.status < 200:
            return response if interim else self.read_response(method)
        if method == "HEAD" or response.status in (204, 304):
            return response
        if (response.field("Transfer-Encoding") or "").lower() == "chunked":
            assert response.field("Content-Length") is None
            response.body = self.read_chunks()
        elif (length := response.field("Content-Length")) is not None:
            response.body = self._exactly(int(length))
        else:
            response.body = self.read_rest()
        return response

    def read_rest(self):
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def is_closed(self, within=3.0, politely=True):
        """Whether the server ends the connection in that time; nothing else may come. politely: with close_notify."""
        self.socket.settimeout(within)
        try:
            data = self.buffer or self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except (ssl.SSLEOFError, ConnectionResetError) as error:
            assert not politely, f"not closed, but {error!r}"
            return True
        finally:
            self.socket.settimeout(20)
        assert data == b"", f"unexpected bytes: {data[:200]!r}"
        return True


def together(count, function):
    """What function(0), function(1), ... return when all of them begin at once."""
    results = [None] * count
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        results[number] = function(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def wait_for(condition, timeout, what, interval=0.05):
    """Waits until condition() gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s for {what}")
        time.sleep(interval)
