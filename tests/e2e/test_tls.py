"""TLS as real clients speak it, and as nobody should: versions, suites, splits, garbage, resumption, ends."""
import fcntl
import hashlib
import os as host
import re
import socket
import ssl
import subprocess
import time

import pytest
from client import ClosedEarly, Connection, basic, trusting_context, wait_for
from machine import open, os
from server import ALICE, SLOW

BIG = int(os.environ.get("FASTFILE_BIG_MIB", "64")) << 20
HELLO = f"GET /hello.txt HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
SUITES_12 = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("hello.txt", "hello")


def random_file(server, size):
    """Writes a file of pseudo-random bytes; returns its SHA-256."""
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with open(server.path("big.bin"), "wb") as file:
        for number in range(size >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            digest.update(piece)
    os.chmod(server.path("big.bin"), 0o644)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def big(module_server):
    return random_file(module_server, BIG if SLOW == 1 else min(BIG, 16 << 20))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """PEM files: rsa.crt, ecdsa.crt and their keys; chain.crt is an ECDSA certificate by an intermediate CA."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.key", "-out", "rsa.crt", "-subj", "/CN=rsa.test", "-days", "9")
    for name in ("ecdsa", "other", "ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.crt", "-subj", f"/CN={name}.test", "-days", "9")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "chain.key", "-out", "chain.csr", "-subj", "/CN=chain.test")
    openssl("x509", "-req", "-in", "chain.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9", "-out", "leaf.crt")
    (folder / "chain.crt").write_bytes((folder / "leaf.crt").read_bytes() + (folder / "ca.crt").read_bytes())
    return folder


def place_certificate(server, certificates, name, as_name="server"):
    """Copies a certificate and its key to where the server's user may read them; returns the options."""
    for kind in ("crt", "key"):
        path = os.path.join(server.base, f"{as_name}.{kind}")
        with open(path + ".new", "wb") as file:
            file.write((certificates / f"{name}.{kind}").read_bytes())
        os.chmod(path + ".new", 0o644)
        os.replace(path + ".new", path)
    return ["--cert", os.path.join(server.base, f"{as_name}.crt"), "--key", os.path.join(server.base, f"{as_name}.key")]


def subject(server):
    with server.connect() as connection:
        der = connection.socket.getpeercert(binary_form=True)
    shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True, check=True)
    return shown.stdout.decode().strip()


def s_client(server, *options, text=HELLO + "Connection: close\r\n\r\n", timeout=20):
    """openssl s_client; returns everything it printed."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-ign_eof", *options],
                          input=text.encode(), capture_output=True, timeout=timeout * SLOW, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


# --- versions and suites ---------------------------------------------------------------------------


def curl_digest(server, *options):
    done = server.curl(*options, "-u", ":".join(ALICE), server.url("/big.bin"), timeout=300)
    assert done.returncode == 0, done.stderr
    return hashlib.sha256(done.stdout).hexdigest()


@pytest.mark.parametrize("suite", SUITES_13)
def test_tls13_suite(server, big, suite):
    assert curl_digest(server, "--tlsv1.3", "--tls13-ciphers", suite) == big


@pytest.mark.parametrize("suite", SUITES_12)
def test_tls12_suite(server, big, suite):
    assert curl_digest(server, "--tls-max", "1.2", "--ciphers", f"ECDHE-ECDSA-{suite}") == big


@pytest.fixture(scope="module")
def rsa_server(certificates):
    from server import Server
    server = Server(start=False)
    server.options += place_certificate(server, certificates, "rsa")
    server.write("hello.txt", "hello")
    server.digest = random_file(server, 16 << 20)
    server.start()
    yield server
    server.finish()


@pytest.mark.parametrize("options", [["--tlsv1.3"]] + [["--tls-max", "1.2", "--ciphers", f"ECDHE-RSA-{suite}"] for suite in SUITES_12],
                         ids=lambda options: options[-1])
def test_rsa_certificate(rsa_server, options):
    assert curl_digest(rsa_server, *options) == rsa_server.digest


@pytest.mark.parametrize("version", [V12, V13])
def test_python(server, big, version):
    with server.connect(trusting_context(minimum_version=version, maximum_version=version)) as connection:
        assert hashlib.sha256(connection.request("GET", "/big.bin", auth=ALICE).body).hexdigest() == big
        assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


@pytest.mark.parametrize("version, groups", [("-tls1_3", "X25519"), ("-tls1_3", "P-256"), ("-tls1_2", "P-256"),
                                             ("-tls1_2", "X25519:P-256")])  # (in 1.2 the certificate's curve has to be there)
def test_groups(server, version, groups):
    assert "hello" in s_client(server, version, "-groups", groups)


def test_hello_retry_request(server):
    said = s_client(server, "-tls1_3", "-groups", "P-521:X25519", "-msg")
    assert "hello" in said and said.count(", ClientHello") == 2


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM", "AES128-GCM-SHA256",
                                   "DHE-RSA-AES128-GCM-SHA256", "NULL", "PSK-AES128-GCM-SHA256"])
def test_refused_suites(server, suite):
    said = s_client(server, "-tls1_2", "-cipher", suite + ":@SECLEVEL=0", "-psk", "1a2b3c")
    assert "hello" not in said and "Cipher is (NONE)" in said or "no ciphers available" in said


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(server, version):
    said = s_client(server, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said or "Cipher is (NONE)" in said
    assert "200 OK" not in said


def test_alpn(server):
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)):
        context = trusting_context()
        if offered:
            context.set_alpn_protocols(offered)
        with server.connect(context) as connection:
            assert connection.socket.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("length", [512, 1024, 2048, 4096])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_max_fragment_length(server, version, length):
    server.write("200k.txt", "0123456789" * 20_000 + "END")
    said = s_client(server, version, "-maxfraglen", str(length), "-msg",
                    text=HELLO.replace("hello.txt", "200k.txt") + "Connection: close\r\n\r\n")
    assert "END" in said
    # -msg shows each record's header: 17 03 03 and its length; 256 is what sealing may add
    sizes = [int(high + low, 16) for high, low in re.findall(r"<<<[^\n]*RecordHeader[^\n]*\n\s+17 03 03 (\w\w) (\w\w)", said)]
    assert len(sizes) > 200_000 / length and max(sizes) <= length + 256


def test_key_updates(server, big):
    """The client changes its keys and asks for the server's, again and again, between requests."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    said = bytearray()

    def has_said(words, times):
        while piece := process.stdout.read(65536):
            said.extend(piece)
        return said.count(words) >= times

    def tell(text, words, times):
        """One line of a letter is a command only if nothing else is read with it."""
        process.stdin.write(text)
        wait_for(lambda: has_said(words, times), 20 * SLOW, f"{words} {times} times, not {said.count(words)}")

    try:
        fcntl.fcntl(process.stdout, fcntl.F_SETFL, fcntl.fcntl(process.stdout, fcntl.F_GETFL) | host.O_NONBLOCK)
        for number in range(1, 11):
            tell(b"K\n" if number % 2 else b"k\n", b"KEYUPDATE", number)
            tell((HELLO + "\r\n").encode(), b"200 OK", number)
        tell((HELLO + "Connection: close\r\n\r\n").encode(), b"200 OK", 11)
        process.wait(20 * SLOW)
        assert said.count(b"200 OK") == 11 and said.count(b"KEYUPDATE") == 10
    finally:
        process.kill()
        process.wait()


def test_no_renegotiation(server):
    said = s_client(server, "-tls1_2", text="R\n" + HELLO + "\r\n")
    assert "200 OK" not in said or "RENEGOTIATING" in said and "no renegotiation" in said


# --- resumption -----------------------------------------------------------------------------------------


def resumed(server, session_path, version):
    said = s_client(server, version, "-sess_in", str(session_path))
    assert "hello" in said
    return "Reused," in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(server, tmp_path, version):
    path = tmp_path / "session"
    assert "hello" in s_client(server, version, "-sess_out", str(path))
    assert resumed(server, path, version)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tickets_survive_a_restart_of_gate(make_server, tmp_path, version):
    server = make_server()
    server.write("hello.txt", "hello")
    path = tmp_path / "session"
    s_client(server, version, "-sess_out", str(path))
    old = server.pid_of("gate")
    os.kill(old, 9)
    wait_for(lambda: server.roles().get("gate", [old]) != [old] and server.answers(), 3 * SLOW, "a new gate")
    assert resumed(server, path, version)


def test_a_damaged_ticket_only_costs_the_resumption(server):
    context = trusting_context(maximum_version=V12, minimum_version=V12)
    with server.connect(context) as connection:
        connection.request("GET", "/hello.txt", auth=ALICE)
        session = connection.socket.session
    with server.connect(context, session=session) as connection:
        assert connection.socket.session_reused
        assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


# --- bytes in any pieces ------------------------------------------------------------------------------------


class Wire:
    """A TLS client whose bytes are in the test's hands."""

    def __init__(self, server, version):
        self.tcp = socket.create_connection(("127.0.0.1", server.port))
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tcp.settimeout(10 * SLOW)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = trusting_context(minimum_version=version, maximum_version=version)
        self.received = b""
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tcp.close()

    def start(self):
        """The ClientHello."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def handshake(self):
        """Reads until the client has nothing more to ask; returns its last flight, not yet sent."""
        while True:
            try:
                self.tls.do_handshake()
                return self.outgoing.read()
            except ssl.SSLWantReadError:
                if flight := self.outgoing.read():  # TLS 1.2: one more round
                    return flight
                self.receive()

    def receive(self):
        data = self.tcp.recv(65536)
        if not data:
            raise ClosedEarly(b"")
        self.incoming.write(data)

    def seal(self, data):
        self.tls.write(data.encode())
        return self.outgoing.read()

    def send(self, *pieces):
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.001)  # so that the server sees the pieces one by one
            if piece:
                self.tcp.sendall(piece)

    def read_bodies(self, count=1, expected=b"hello"):
        """Reads that many responses, which may share records; true if all are as expected."""
        data = b""
        while data.count(b"\r\n\r\n" + expected) < count:
            try:
                data += self.tls.read()
            except ssl.SSLWantReadError:
                self.receive()
        return data.startswith(b"HTTP/1.1 200 ") and data.count(b"HTTP/1.1 200 ") == count


def cuts(length):
    """Where to cut; every place, unless a sanitizer makes each connection slow."""
    return range(1, length, SLOW)


@pytest.mark.parametrize("version", [V12, V13])
def test_client_hello_split_anywhere(server, version):
    with Wire(server, version) as wire:
        length = len(wire.start())
    for cut in cuts(length):
        with Wire(server, version) as wire:
            hello = wire.start()
            wire.send(hello[:cut], hello[cut:])
            flight = wire.handshake()
            if version == V13:
                wire.send(flight + wire.seal(HELLO + "\r\n"))
                assert wire.read_bodies(), cut


def finish(wire, version):
    """Everything the client sends from its last flight to the first request, as it would go out."""
    flight = wire.handshake()
    if version == V13:
        return flight + wire.seal(HELLO + "\r\n")
    return flight


@pytest.mark.parametrize("version", [V12, V13])
def test_finished_and_first_request_split_anywhere(server, version):
    with Wire(server, version) as wire:
        wire.send(wire.start())
        length = len(finish(wire, version))
    for cut in (length, *cuts(length)):
        with Wire(server, version) as wire:
            wire.send(wire.start())
            data = finish(wire, version)
            wire.send(data[:cut], data[cut:])
            if version == V12:
                wire.handshake()
                wire.send(wire.seal(HELLO + "\r\n"))
            assert wire.read_bodies(), cut


@pytest.mark.parametrize("version", [V12, V13])
def test_requests_split_anywhere(server, version):
    """The first (seen by gate, and where the connection is handed over) and the second (seen by home)."""
    with Wire(server, version) as wire:
        wire.send(wire.start())
        wire.send(wire.handshake())
        if version == V12:
            wire.handshake()
        length = len(wire.seal(HELLO + "\r\n"))
    for cut in cuts(length):
        with Wire(server, version) as wire:
            wire.send(wire.start())
            wire.send(wire.handshake())
            if version == V12:
                wire.handshake()
            first, second = wire.seal(HELLO + "\r\n"), wire.seal(HELLO + "\r\n")
            wire.send(first[:cut], first[cut:] + second[:cut], second[cut:])
            assert wire.read_bodies(2), cut


@pytest.mark.parametrize("version", [V12, V13])
def test_a_request_in_records_of_one_byte(server, version):
    with Wire(server, version) as wire:
        wire.send(wire.start())
        wire.send(wire.handshake())
        if version == V12:
            wire.handshake()
        wire.send(b"".join(wire.seal(byte) for byte in HELLO + "\r\n"))
        assert wire.read_bodies()


def test_everything_byte_by_byte(server):
    with Wire(server, V13) as wire:
        hello = wire.start()
        wire.send(*(hello[n:n + 1] for n in range(len(hello))))
        data = finish(wire, V13)
        wire.send(*(data[n:n + 1] for n in range(len(data))))
        assert wire.read_bodies()


def test_a_request_behind_a_login_that_is_still_being_sent(server):
    """A form in two halves with a request behind it: the connection is handed over with bytes in flight."""
    body = "user=alice&password=wonderland&next=%2Fhello.txt"
    login = ("POST /.fastfile/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
             f"Content-Length: {len(body)}\r\n\r\n{body}")
    text = login + HELLO + "\r\n"
    for cut in range(1, len(text), 5 * SLOW):
        with server.connect() as connection:
            connection.send(text[:cut])
            time.sleep(0.002)
            connection.send(text[cut:])
            assert connection.read_response().status == 303
            assert connection.read_response().body == b"hello", cut


# --- what is not TLS, or not for long -----------------------------------------------------------------------


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "HEAD / HTTP/1.0", "POST /x HTTP/1.1", "OPTIONS * HTTP/1.1", "PROPFIND / HTTP/1.1"])
def test_plain_http_on_the_tls_port(server, request_line):
    with server.connect_plain() as connection:
        connection.send(f"{request_line}\r\nHost: localhost\r\n\r\n")
        response = connection.read_head()
        assert response.status == 400
        assert request_line.startswith("HEAD") or "https" in connection.read_rest().decode().lower()


GARBAGE = {
    "nothing": b"",
    "zeros": bytes(2000),
    "random": bytes((n * 7919 + 13) % 256 for n in range(5000)),
    "SSLv2 hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + bytes(16),
    "record of 65535": b"\x16\x03\x01\xff\xff" + bytes(70000),
    "record of 0": b"\x16\x03\x01\x00\x00" * 1000,
    "alert first": b"\x15\x03\x03\x00\x02\x02\x28",
    "data first": b"\x17\x03\x03\x00\x20" + bytes(32),
    "hello of 16 MiB": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x3ffc),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage(server, data):
    before = server.descriptors()
    for _ in range(5):
        with server.connect_plain() as connection:
            try:
                connection.send(data)
                connection.socket.shutdown(socket.SHUT_WR)
                answer = connection.read_rest()
            except OSError:
                continue  # closed while we were still sending
            assert len(answer) < 1000
    assert server.get("/hello.txt").body == b"hello"
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of garbage")


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("requests_before", [0, 1])
def test_a_damaged_record_ends_the_connection(server, version, requests_before):
    """At gate and at home: an alert, and nothing of the request is acted on."""
    with Wire(server, version) as wire:
        wire.send(wire.start())
        wire.send(wire.handshake())
        if version == V12:
            wire.handshake()
        for _ in range(requests_before):
            wire.send(wire.seal(HELLO + "\r\n"))
            assert wire.read_bodies()
        record = bytearray(wire.seal(HELLO + "\r\n"))
        record[len(record) // 2] ^= 1
        wire.send(bytes(record))
        with pytest.raises((ssl.SSLError, ClosedEarly)) as raised:
            while True:
                try:
                    assert not wire.tls.read()
                except ssl.SSLWantReadError:
                    wire.receive()
        assert "BAD_RECORD_MAC" in str(raised.value).upper().replace(" ", "_")


@pytest.mark.parametrize("version", [V12, V13])
def test_early_close_at_every_step(server, version):
    before = server.descriptors()
    for step in range(4):
        for cut in (1, 3, 7, 50):
            with Wire(server, version) as wire:
                hello = wire.start()
                if step == 0:
                    wire.send(hello[:cut])
                    continue
                wire.send(hello)
                flight = wire.handshake()
                if step == 1:
                    wire.send(flight[:cut])
                    continue
                wire.send(flight)
                if version == V12:
                    wire.handshake()
                request = wire.seal(HELLO + "\r\n")
                wire.send(request[:cut] if step == 2 else request)
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of closed connections")


# --- the end of a connection -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V12, V13])
def test_the_server_says_goodbye(server, version):
    """is_closed() and read_rest() take nothing but a close_notify for an end."""
    context = trusting_context(minimum_version=version, maximum_version=version)
    for target in ("/hello.txt", "/", "/none"):
        with server.connect(context) as connection:
            connection.request("GET", target, fields={"Connection": "close"}, auth=ALICE)
            assert connection.is_closed()


@pytest.mark.parametrize("requests_before", [0, 1])
@pytest.mark.parametrize("version", [V12, V13])
def test_the_client_says_goodbye(server, version, requests_before):
    """close_notify is answered with close_notify."""
    with server.connect(trusting_context(minimum_version=version, maximum_version=version)) as connection:
        for _ in range(requests_before):
            connection.request("GET", "/hello.txt", auth=ALICE)
        connection.socket.settimeout(5 * SLOW)
        connection.socket.unwrap()


def test_an_answer_still_comes_after_the_clients_goodbye(server):
    """A half-closed connection: the request was complete, so it is answered (or at least closed in good order)."""
    with Wire(server, V13) as wire:
        wire.send(wire.start())
        wire.send(wire.handshake())
        request = wire.seal(HELLO + "\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            wire.tls.unwrap()
        wire.send(request + wire.outgoing.read())
        data = b""
        while piece := wire.tcp.recv(65536):
            data += piece
        assert data


# --- certificates ------------------------------------------------------------------------------------------


def test_the_certificate_made_at_first_start(server):
    with server.connect() as connection:
        der = connection.socket.getpeercert(binary_form=True)
    fingerprint = hashlib.sha256(der).hexdigest().upper()
    assert fingerprint in re.sub(r"[:\s]", "", server.log()).upper()
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der, capture_output=True, check=True).stdout.decode()
    for name in ("DNS:localhost", f"DNS:{socket.gethostname()}", "IP Address:127.0.0.1", "TLS Web Server Authentication", "NIST CURVE: P-256"):
        assert name in text, name
    end = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-checkend", str(826 * 86400)], input=der, capture_output=True, check=False)
    assert end.returncode == 1, "valid for more than 825 days"


def test_the_certificate_is_kept(make_server):
    server = make_server()
    fingerprints = []
    for _ in range(2):
        with server.connect() as connection:
            fingerprints.append(hashlib.sha256(connection.socket.getpeercert(binary_form=True)).hexdigest())
        server.stop()
        server.start()
    assert fingerprints[0] == fingerprints[1]
    for folder, _, names in os.walk(os.path.join(server.base, "state")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                if b"PRIVATE KEY" in file.read():
                    assert os.stat(file.name).st_mode & 0o077 == 0, file.name


def test_a_chain_is_sent_whole_and_verifies(make_server, certificates):
    server = make_server(start=False)
    server.options += place_certificate(server, certificates, "chain")
    server.write("hello.txt", "hello")
    server.start()
    done = server.curl("--no-insecure", "--cacert", str(certificates / "ca.crt"), "--resolve", f"chain.test:{server.port}:127.0.0.1", "-v",
                       "-u", ":".join(ALICE), f"https://chain.test:{server.port}/hello.txt")
    assert done.stdout == b"hello"
    assert s_client(server, "-showcerts").count("BEGIN CERTIFICATE") == 2


def test_sighup_takes_a_new_certificate_and_drops_no_connection(make_server, certificates):
    server = make_server(start=False)
    server.options += place_certificate(server, certificates, "ecdsa")
    server.write("hello.txt", "hello")
    server.start()
    assert "ecdsa.test" in subject(server)
    with server.connect() as fresh, server.connect() as used:
        assert used.request("GET", "/hello.txt", auth=ALICE).status == 200
        place_certificate(server, certificates, "rsa")
        server.signal(1)
        wait_for(lambda: "rsa.test" in subject(server), 3 * SLOW, "the new certificate")
        for connection in (fresh, used):
            assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


def test_sighup_keeps_the_old_certificate_if_the_new_one_is_bad(make_server, certificates):
    server = make_server(start=False)
    server.options += place_certificate(server, certificates, "ecdsa")
    server.start()
    with open(os.path.join(server.base, "server.crt"), "w", encoding="ascii") as file:
        file.write("nonsense")
    length = len(server.log())
    server.signal(1)
    server.wait_for_log(r"server\.crt", start=length)
    assert "ecdsa.test" in subject(server)


def test_a_thousand_handshakes_leave_nothing_behind(server):
    context = trusting_context()
    before = server.descriptors()
    for _ in range(1000 // SLOW):
        Connection(("127.0.0.1", server.port), context=context).close()
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of closed connections")
