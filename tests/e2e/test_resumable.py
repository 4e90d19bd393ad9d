"""Uploads that can be resumed, by the IETF's draft and by tus: what is there after whatever breaks, and what is refused."""
import base64
import contextlib
import hashlib
import random
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest
from client import ClosedEarly, basic, wait_for
from machine import IN_VM, IS_ROOT, open, os
from server import ALICE, BOB, IO, SANITIZER, SLOW, own

CAROL = ("carol", "carols password")
MIB = 1024 * 1024
LARGE = 64 * MIB if SANITIZER or IN_VM or IO else 2048 * MIB
CUTS = 20
VERSION = {"Upload-Draft-Interop-Version": "8"}
TUS = {"Tus-Resumable": "1.0.0"}


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class Ietf:
    name = "ietf"
    head_status = 204

    def create(self, server, path, length, body=b"", fields=None, auth=ALICE):
        said = {"Upload-Length": str(length)} if length is not None else {}
        return server.request("PUT", path, body=body, auth=auth,
                              fields={"Upload-Complete": "?0", **said, **VERSION, **(fields or {})})

    def head(self, server, url, auth=ALICE):
        return server.request("HEAD", url, auth=auth, fields=VERSION)

    def patch_fields(self, offset, last=False):
        return {"Upload-Offset": str(offset), "Upload-Complete": "?1" if last else "?0",
                "Content-Type": "application/partial-upload", **VERSION}

    def cancel(self, server, url, auth=ALICE):
        return server.request("DELETE", url, auth=auth)


class Tus:
    name = "tus"
    head_status = 200

    def create(self, server, path, length, body=b"", fields=None, auth=ALICE):
        said = {"Upload-Length": str(length)} if length is not None else {"Upload-Defer-Length": "1"}
        kind = {"Content-Type": "application/offset+octet-stream"} if body else {}
        return server.request("POST", "/.fastfile/tus/", body=body, auth=auth, fields={
            "Upload-Metadata": f"path {b64(path.lstrip('/'))}", **TUS, **said, **kind, **(fields or {})})

    def head(self, server, url, auth=ALICE):
        return server.request("HEAD", url, auth=auth, fields=TUS)

    def patch_fields(self, offset, last=False):
        del last  # the length says it
        return {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **TUS}

    def cancel(self, server, url, auth=ALICE):
        return server.request("DELETE", url, auth=auth, fields=TUS)


both = pytest.mark.parametrize("protocol", [Ietf(), Tus()], ids=lambda protocol: protocol.name)


def begin(protocol, server, path, length, body=b"", **options):
    """The URL of a new upload."""
    response = protocol.create(server, path, length, body, **options)
    assert response.status == 201, response
    return response.field("Location")


def offset_of(protocol, server, url):
    response = protocol.head(server, url)
    assert response.status == protocol.head_status, response
    assert response.field("Cache-Control") == "no-store"
    return int(response.field("Upload-Offset"))


def append(protocol, server, url, offset, body, last=False, fields=None, auth=ALICE):
    return server.request("PATCH", url, body=body, auth=auth,
                          fields={**protocol.patch_fields(offset, last), **(fields or {})})


def content(server, name):
    with open(server.path(name), "rb") as file:
        return file.read()


def uploads(server, top=""):
    """The names of the files of uploads, in the folder where they lie."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(os.path.join(server.path(top), ".fastfile", "uploads")))
    return []


def data_of(server, url, top=""):
    """The path of an upload's data."""
    token = url.rsplit("/", 1)[1]
    name, = (name for name in uploads(server, top) if name.endswith(token + ".data"))
    return os.path.join(server.path(top), ".fastfile", "uploads", name)


# --- from beginning to end -------------------------------------------------------------------------------------


@both
def test_in_parts(server, protocol):
    body = os.urandom(3 * MIB + 12345)
    path = f"/parts-{protocol.name}.bin"
    url = begin(protocol, server, path, len(body), body[:MIB])
    assert offset_of(protocol, server, url) == MIB
    assert server.get(path).status == 404
    at = MIB
    while at < len(body):
        part = body[at:at + 700_001]
        response = append(protocol, server, url, at, part, last=at + len(part) == len(body))
        at += len(part)
        assert response.status == (204 if at < len(body) or protocol.name == "tus" else 201), response
    if protocol.name == "ietf":
        assert response.field("Location") == path and response.field("Upload-Complete") == "?1"
        assert response.field("ETag") == server.get(path).field("ETag")
    assert content(server, path[1:]) == body
    assert stat.S_IMODE(os.stat(server.path(path[1:])).st_mode) == 0o644
    # Who missed the answer learns that it is done.
    response = protocol.head(server, url)
    assert int(response.field("Upload-Offset")) == int(response.field("Upload-Length")) == len(body)
    assert not any(name.endswith(".data") for name in uploads(server))


@both
def test_names_with_control_characters(server, protocol):
    """What is kept of it has a line for each thing."""
    name = "two\nlines\r\nend\nuser bob\n\x1b\t\x7f.txt"
    folder = f"control-{protocol.name}"
    server.mkdir(folder)
    path = f"/{folder}/{name}"
    url = begin(protocol, server, path if protocol.name == "tus" else urllib.parse.quote(path), 4, b"ab")
    assert offset_of(protocol, server, url) == 2
    assert append(protocol, server, url, 2, b"cd", last=True).status in (201, 204)
    assert os.listdir(server.path(folder)) == [name] and content(server, f"{folder}/{name}") == b"abcd"


@both
def test_nobody_sees_it(server, protocol):
    path = f"/unseen-{protocol.name}"
    url = begin(protocol, server, path, 1000, b"secret content" * 10)
    token = url.rsplit("/", 1)[1]
    stored = data_of(server, url)
    for target in ("/", "/?format=json", "/.fastfile/", "/.fastfile/uploads/", f"/.fastfile/uploads/{os.path.basename(stored)}",
                   "/?archive=tar"):
        response = server.get(target)
        assert token.encode() not in response.body and b"secret content" not in response.body
        assert b".fastfile/uploads" not in response.body
    assert server.get(f"/.fastfile/uploads/{os.path.basename(stored)}").status == 404
    assert server.get(url).status == 405
    assert stat.S_IMODE(os.stat(os.path.dirname(stored)).st_mode) == 0o700
    assert protocol.cancel(server, url).status == 204


@both
def test_nothing_at_all(server, protocol):
    response = protocol.create(server, f"/empty-{protocol.name}", 0)
    assert response.status == 201
    if protocol.name == "ietf":
        response = append(protocol, server, response.field("Location"), 0, b"", last=True)
        assert response.status == 201
    assert content(server, f"empty-{protocol.name}") == b""


def test_a_whole_file_in_one_request(server):
    body = os.urandom(2 * MIB)
    with server.connect() as connection:
        connection.send_request("PUT", "/whole.bin", auth=ALICE, body=body, fields={"Upload-Complete": "?1", **VERSION})
        interim = connection.read_response(interim=True)
        assert interim.status == 104 and interim.field("Upload-Draft-Interop-Version") == "8"
        assert interim.field("Location").startswith("/.fastfile/upload/")
        unit, seconds = interim.field("Upload-Limit").split("=")
        assert unit == "max-age" and 7 * 86400 - 60 <= int(seconds) <= 7 * 86400
        response = connection.read_response()
        assert response.status == 201 and response.field("Upload-Complete") == "?1"
        assert response.field("Location") == "/whole.bin"
    assert content(server, "whole.bin") == body


def test_chunked_and_of_unknown_length(server):
    protocol = Ietf()
    url = begin(protocol, server, "/unknown", None, b"12345")
    assert protocol.head(server, url).field("Upload-Length") is None
    with server.connect() as connection:
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(5, last=True), "Transfer-Encoding": "chunked"})
        connection.send(b"3\r\n678\r\n2\r\n90\r\n0\r\n\r\n")
        assert connection.read_response().status == 201
    assert content(server, "unknown") == b"1234567890"
    assert protocol.head(server, url).field("Upload-Length") == "10"


def test_tus_says_the_length_later(server):
    protocol = Tus()
    url = begin(protocol, server, "/later", None)
    assert protocol.head(server, url).field("Upload-Defer-Length") == "1"
    assert append(protocol, server, url, 0, b"12345").status == 204
    assert append(protocol, server, url, 5, b"678", fields={"Upload-Length": "10"}).status == 204
    assert append(protocol, server, url, 8, b"", fields={"Upload-Length": "11"}).status == 400
    assert append(protocol, server, url, 8, b"90").status == 204
    assert content(server, "later") == b"1234567890"


def test_another_version_of_the_draft(server):
    """Nothing is announced, and what is sent in parts is not taken for a whole."""
    with server.connect() as connection:
        response = connection.request("PUT", "/other-version", body=b"whole", auth=ALICE,
                                      fields={"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "3"})
        assert response.status == 201 and content(server, "other-version") == b"whole"
        connection.send_request("PUT", "/other-version-parts", body=b"part", auth=ALICE, fields={"Upload-Complete": "?0"})
        response = connection.read_response(interim=True)
        assert response.status == 201 and response.field("Upload-Offset") == "4"
        assert response.field("Location").startswith("/.fastfile/upload/")
        assert connection.request("GET", "/other-version-parts", auth=ALICE).status == 404


def test_expects_to_go_on(server):
    with server.connect() as connection:
        connection.send_request("PUT", "/expects", auth=ALICE, fields={
            "Upload-Complete": "?1", "Content-Length": "5", "Expect": "100-continue", **VERSION})
        assert [connection.read_response(interim=True).status for _ in range(2)] == [104, 100]
        connection.send(b"hello")
        assert connection.read_response().status == 201


def test_what_is_offered(server):
    response = server.request("OPTIONS", "/some/file")
    assert response.field("Accept-Patch") == "application/partial-upload"
    response = server.request("OPTIONS", "/.fastfile/tus/")
    assert response.status == 204 and response.field("Tus-Version") == "1.0.0"
    assert set(response.field("Tus-Extension").split(",")) >= {"creation", "expiration", "checksum", "termination"}
    assert "sha1" in response.field("Tus-Checksum-Algorithm").split(",") and int(response.field("Tus-Max-Size")) > 2**40
    assert response.field("Tus-Resumable") == "1.0.0"
    assert "Accept-Patch" not in dict(server.request("OPTIONS", "/x", auth=BOB).fields)


@both
def test_rights_and_times(server, protocol):
    """As if the file had been made in its folder; one that is replaced keeps its mode."""
    name = f"rights-{protocol.name}"
    server.mkdir(name)
    os.chmod(server.path(name), 0o2775)
    other = [group for group in os.getgroups() if group != os.stat(server.path(name)).st_gid] if not IS_ROOT else [12]
    if other:
        os.chown(server.path(name), -1, other[0])
        os.chmod(server.path(name), 0o2775)
    server.write(f"{name}/old", "old", mode=0o600)
    for file in ("new", "old"):
        url = begin(protocol, server, f"/{name}/{file}", 5, fields={"X-OC-Mtime": "1234567890"})
        assert append(protocol, server, url, 0, b"hello", last=True).status in (201, 204)
    new, old = (os.stat(server.path(f"{name}/{file}")) for file in ("new", "old"))
    assert new.st_gid == os.stat(server.path(name)).st_gid
    assert stat.S_IMODE(new.st_mode) == 0o644 and stat.S_IMODE(old.st_mode) == 0o600
    assert int(new.st_mtime) == int(old.st_mtime) == 1234567890


@pytest.mark.skipif(IN_VM, reason="not run in the VM: no extended attributes from outside")
def test_default_acl(server):
    server.mkdir("acl")
    entries = [(1, 7, -1), (2, 6, 4321), (4, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(server.path("acl"), "system.posix_acl_default", acl)
    except OSError as error:
        pytest.skip(f"no ACLs here: {error}")
    assert server.request("PUT", "/acl/put", body=b"hello").status == 201
    protocol = Ietf()
    url = begin(protocol, server, "/acl/resumed", 5)
    assert append(protocol, server, url, 0, b"hello", last=True).status == 201
    put, resumed = (server.path(f"acl/{name}") for name in ("put", "resumed"))
    assert os.getxattr(resumed, "system.posix_acl_access") == os.getxattr(put, "system.posix_acl_access")
    assert os.stat(resumed).st_mode == os.stat(put).st_mode


# --- what breaks -----------------------------------------------------------------------------------------------


class Content:
    """Any length of content that need not be kept: blocks that differ by their number."""

    def __init__(self, length):
        self.length = length
        self.block = os.urandom(MIB)

    def pieces(self, start=0):
        while start < self.length:
            number, within = divmod(start, MIB)
            block = struct.pack("<Q", number) + self.block[8:]
            piece = block[within:min(MIB, within + self.length - start)]
            yield piece
            start += len(piece)

    def sha256(self):
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


def send_some(connection, pieces, most):
    """Sends until `most` bytes are sent; ends the connection in one of the ways in which they end."""
    for piece in pieces:
        connection.send(piece[:max(0, most)])
        most -= len(piece)
        if most <= 0:
            break
    if random.randrange(2):  # a reset
        raw = connection.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.socket.shutdown(socket.SHUT_WR)
    connection.close()


def sha256_of(path):
    digest = hashlib.sha256()
    if IN_VM:
        with open(path, "rb") as file:
            digest.update(file.read())
        return digest.hexdigest()
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()


@both
def test_a_connection_that_is_cut_20_times(make_server, protocol):
    server = make_server()
    whole = Content(LARGE)
    if protocol.name == "ietf":  # the first request is one that wanted to send it all
        connection = server.connect()
        connection.send_request("PUT", "/large.bin", auth=ALICE, fields={
            "Upload-Complete": "?1", "Content-Length": str(LARGE), **VERSION})
        interim = connection.read_response(interim=True)
        assert interim.status == 104
        url = interim.field("Location")
        send_some(connection, whole.pieces(), LARGE // (CUTS + 1))
    else:
        url = begin(protocol, server, "/large.bin", LARGE)
    offsets = [0]
    for cut in range(CUTS):
        offset = offset_of(protocol, server, url)
        assert offset >= offsets[-1]
        offsets.append(offset)
        connection = server.connect()
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(offset, last=True), "Content-Length": str(LARGE - offset)})
        send_some(connection, whole.pieces(offset), (LARGE - offset) // (CUTS + 1 - cut) + random.randrange(1000))
    offset = offset_of(protocol, server, url)
    assert len(set(offsets)) > CUTS // 2 and offset < LARGE
    with server.connect(timeout=60 * SLOW) as connection:
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(offset, last=True), "Content-Length": str(LARGE - offset)})
        for piece in whole.pieces(offset):
            connection.send(piece)
        assert connection.read_response().status in (201, 204)
    assert os.stat(server.path("large.bin")).st_size == LARGE
    assert sha256_of(server.path("large.bin")) == whole.sha256()


@both
@pytest.mark.parametrize("what", ["home", "all"])
def test_killed_in_the_middle(make_server, protocol, what):
    """kill -9: of the process that has the folder, or of all of them and then another start."""
    server = make_server()
    body = os.urandom(8 * MIB)
    url = begin(protocol, server, "/killed.bin", len(body), body[:MIB])
    for _ in range(3):
        offset = offset_of(protocol, server, url)
        assert offset >= MIB
        connection = server.connect()
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(offset, last=True), "Content-Length": str(len(body) - offset)})
        connection.send(body[offset:offset + MIB])
        time.sleep(random.random() * 0.05)
        if what == "home":
            pid = server.pid_of("home")
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: server.roles().get("home") not in (None, [pid]), 10 * SLOW, "another home")
            wait_for(server.answers, 10 * SLOW, "an answer")
        else:
            server.kill()
            server.start()
        connection.close()
        assert not os.path.exists(server.path("killed.bin"))
    offset = offset_of(protocol, server, url)
    assert append(protocol, server, url, offset, body[offset:], last=True).status in (201, 204)
    assert content(server, "killed.bin") == body


@both
def test_all_has_come_and_it_was_not_completed(server, protocol):
    """Home can end just then. Who sees that the offset is the length shall find the file, or be told that it is not."""
    name = f"all-there-{protocol.name}"
    url = begin(protocol, server, f"/{name}", 10)
    with open(data_of(server, url), "wb") as file:
        file.write(b"helloworld")
    response = protocol.head(server, url)
    assert response.status == protocol.head_status and response.field("Upload-Offset") == "10"
    if protocol.name == "ietf":
        assert response.field("Upload-Complete") == "?0"
        assert append(protocol, server, url, 10, b"", last=True).status == 201
    assert content(server, name) == b"helloworld"


@both
def test_what_was_received_is_kept(server, protocol):
    """Also what does not fill a buffer."""
    url = begin(protocol, server, f"/kept-{protocol.name}", 500_000)
    connection = server.connect()
    connection.send_request("PATCH", url, auth=ALICE, fields={
        **protocol.patch_fields(0, last=True), "Content-Length": "500000"})
    connection.send(b"x" * 300_001)
    connection.socket.shutdown(socket.SHUT_WR)  # to close would reset it: there are session tickets to read
    wait_for(lambda: os.stat(data_of(server, url)).st_size == 300_001, 5 * SLOW, "the bytes that were sent")
    connection.close()
    assert offset_of(protocol, server, url) == 300_001
    assert protocol.cancel(server, url).status == 204


def info_of(server, url):
    return data_of(server, url).removesuffix("data") + "info"


def mark_of(server, url):
    """Up to where the data is on the disk."""
    with open(info_of(server, url), "rb") as file:
        return int(re.search(rb"^mark (\d{15}) ", file.read(), re.MULTILINE)[1])


def forget_the_boot(server, url):
    """As if it had been begun before the machine was started."""
    with open(info_of(server, url), "r+b") as file:
        text = re.sub(rb"^(mark \d{15}) .{36}$", rb"\1 " + 36 * b"0", file.read(), flags=re.MULTILINE)
        file.seek(0)
        file.write(text)


def tells_what_was_written(path):
    return subprocess.check_output(["stat", "-f", "-c", "%T", path], text=True).strip() in ("ext2/ext3", "xfs")


@both
@pytest.mark.parametrize("sign", ["boot", "blocks"])
def test_longer_than_what_has_come_in(server, protocol, sign):
    """After a power cut a file may have a length that its bytes have not arrived for. They are zeros, and do not count."""
    if sign == "blocks" and not tells_what_was_written(server.dir):
        pytest.skip("blocks that nothing was written to (this file system does not tell of them)")
    body = os.urandom(300_000)
    path = f"/longer-{protocol.name}-{sign}"
    url = begin(protocol, server, path, len(body), body[:100_001])
    assert mark_of(server, url) == 100_001
    if sign == "boot":
        os.truncate(data_of(server, url), 100_005)  # in the same block
        forget_the_boot(server, url)
    else:
        with open(data_of(server, url), "r+b") as file:
            os.posix_fallocate(file.fileno(), 100_001, 100_000)
    assert offset_of(protocol, server, url) == 100_001
    assert os.stat(data_of(server, url)).st_size == 100_001
    assert append(protocol, server, url, 100_001, body[100_001:], last=True).status in (201, 204)
    assert content(server, path[1:]) == body


@both
def test_what_a_power_cut_costs(server, protocol):
    """Of a long body the most is on the disk before it has all come in."""
    part = os.urandom(MIB)
    path = f"/costs-{protocol.name}"
    url = begin(protocol, server, path, 200 * MIB)
    with server.connect() as connection:
        connection.send_request("PATCH", url, auth=ALICE, fields={**protocol.patch_fields(0, last=True), "Content-Length": str(200 * MIB)})
        for _ in range(150):
            connection.send(part)
        wait_for(lambda: mark_of(server, url) >= 64 * MIB, 20 * SLOW, "a sync")
    wait_for(lambda: offset_of(protocol, server, url) > 64 * MIB, 5 * SLOW, "the rest")
    mark = mark_of(server, url)
    assert mark == offset_of(protocol, server, url)  # which was told, so it is on the disk
    os.truncate(data_of(server, url), mark + MIB)
    forget_the_boot(server, url)
    assert offset_of(protocol, server, url) == mark
    assert protocol.cancel(server, url).status == 204


@both
@pytest.mark.parametrize("size, sent", [
    (100_000, 40_000),
    (8 * MIB, 4 * MIB + 40_000),  # so much has come quickly that the rest is waited for in large pieces
])
def test_the_later_request_wins(server, protocol, size, sent):
    """A client that comes back does not wait for its own dead connection. The earlier request is told."""
    path = f"/later-wins-{protocol.name}-{size}"
    url = begin(protocol, server, path, size)
    with server.connect() as earlier:
        earlier.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(0, last=True), "Content-Length": str(size)})
        earlier.send(b"a" * sent)
        wait_for(lambda: server.request("GET", "/.fastfile/health").status == 200, 5 * SLOW, "an answer")
        time.sleep(0.1 * SLOW)
        started = time.monotonic()
        offset = offset_of(protocol, server, url)
        assert time.monotonic() - started < 2 * SLOW
        assert 0 <= offset <= sent
        assert append(protocol, server, url, offset, b"b" * (size - offset), last=True).status in (201, 204)
        assert earlier.read_response().status == 423
    assert content(server, path[1:]) == b"a" * offset + b"b" * (size - offset)


@both
def test_many_writers(server, protocol):
    """Whatever they do at the same time, the file is one of those that can have been meant."""
    path = f"/many-{protocol.name}"
    url = begin(protocol, server, path, 200_000)
    results = []

    def write(letter):
        with contextlib.suppress(ClosedEarly, OSError):
            offset = offset_of(protocol, server, url)
            results.append(append(protocol, server, url, offset, letter * (200_000 - offset), last=True).status)
    threads = [threading.Thread(target=write, args=(bytes([65 + number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) <= {201, 204, 400, 409, 413, 423}, results
    offset = offset_of(protocol, server, url)
    if offset < 200_000:
        assert append(protocol, server, url, offset, b"z" * (200_000 - offset), last=True).status in (201, 204)
    elif not os.path.exists(server.path(path[1:])):
        assert append(protocol, server, url, offset, b"", last=True).status in (201, 204)
    assert len(content(server, path[1:])) == 200_000


# --- what is refused -------------------------------------------------------------------------------------------


@both
def test_wrong_offset(server, protocol):
    url = begin(protocol, server, f"/offset-{protocol.name}", 100, b"0123456789")
    for offset in (0, 9, 11, 99):
        response = append(protocol, server, url, offset, b"x")
        assert response.status == 409, response
        if protocol.name == "ietf":
            assert response.field("Upload-Offset") == "10" and response.field("Upload-Complete") == "?0"
            assert response.field("Content-Type") == "application/problem+json"
            assert b'"expected-offset":10,' in response.body and f'"provided-offset":{offset}}}'.encode() in response.body
    for wrong in ("-1", "x", "", "10, 10"):
        assert append(protocol, server, url, 0, b"x", fields={"Upload-Offset": wrong}).status == 400
    assert offset_of(protocol, server, url) == 10


@both
def test_lengths_that_contradict(server, protocol):
    path = f"/lengths-{protocol.name}"
    status = 400 if protocol.name == "ietf" else 413
    assert protocol.create(server, path, 3, b"more").status == status
    url = begin(protocol, server, path, 10, b"01234")
    assert append(protocol, server, url, 5, b"567890").status == status
    assert append(protocol, server, url, 5, b"56789", fields={"Upload-Length": "11"}).status == 400
    if protocol.name == "ietf":
        response = append(protocol, server, url, 5, b"567", last=True)
        assert response.status == 400 and b"#inconsistent-upload-length" in response.body
    assert offset_of(protocol, server, url) == 5
    # More than was said, and the length of the request did not give it away.
    with server.connect() as connection:
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(5, last=True), "Transfer-Encoding": "chunked"})
        connection.send(b"6\r\n567890\r\n0\r\n\r\n")
        assert connection.read_response().status == status
    assert not os.path.exists(server.path(path[1:]))


@both
def test_when_it_is_done_it_is_done(server, protocol):
    url = begin(protocol, server, f"/done-{protocol.name}", 5)
    assert append(protocol, server, url, 0, b"hello", last=True).status in (201, 204)
    assert append(protocol, server, url, 5, b"more", last=True).status in (400, 413)
    assert append(protocol, server, url, 0, b"hello", last=True).status in (400, 409)
    response = append(protocol, server, url, 5, b"", last=True)
    if protocol.name == "ietf":
        assert response.status == 400 and b"#completed-upload" in response.body
    else:
        assert response.status == 204
    assert content(server, f"done-{protocol.name}") == b"hello"


@both
def test_where_no_file_can_be(server, protocol):
    server.write("a-file", "x")
    server.mkdir("a-folder")
    for path, status in (("/a-file/x", 409), ("/no-folder/x", 409), ("/a-folder", 405), ("/" + "n" * 300, 414)):
        assert protocol.create(server, path, 10).status == status, path
    for path in ("/.fastfile/x", "/a-folder/.fastfile/uploads/x"):
        assert protocol.create(server, path, 10).status in (400, 404, 405), path


def test_names_that_tus_may_not_say(server):
    def create(metadata, target="/.fastfile/tus/"):
        return server.request("POST", target, body=b"", fields={**TUS, "Upload-Length": "5", "Upload-Metadata": metadata}).status
    for metadata in ("", "path", "path !!", f"path {b64('../x')}", f"path {b64('a/../../x')}", f"filename {b64('a/b')}", f"path {b64('a/')}",
                     f"path {b64(chr(0))}", f"path {b64('.fastfile/upload')}", f"filename {b64('..')}", f"path {b64('a' + chr(10) + '/../..')}",
                     f"other {b64('x')}", f"path {b64('x' * 5000)}"):
        assert create(metadata) in (400, 404, 414), metadata
    assert create(f"filename {b64('x')},other {b64('y' * 9000)}") == 413
    server.mkdir("tus here")
    assert create(f"filename {b64('n&m é')},filetype {b64('text/plain')},empty", "/.fastfile/tus/tus%20here") == 201
    assert create(f"filename {b64('x')}", "/.fastfile/tus/nowhere/") == 409


def test_tus_versions(server):
    protocol = Tus()
    for version in (None, "0.2.2", "1.0"):
        response = protocol.create(server, "/version", 5, fields={"Tus-Resumable": version})
        assert response.status == 412 and response.field("Tus-Version") == "1.0.0"
    url = begin(protocol, server, "/version", 5)
    assert server.head(url).status == 412
    assert append(protocol, server, url, 0, b"hello", fields={"Content-Type": "text/plain"}).status == 415
    with server.connect() as connection:  # a proxy that lets no PATCH through
        response = connection.request("POST", url, body=b"hello", auth=ALICE, fields={
            **protocol.patch_fields(0), "X-HTTP-Method-Override": "PATCH"})
        assert response.status == 204
    assert content(server, "version") == b"hello"


def test_media_type_of_the_draft(server):
    protocol = Ietf()
    url = begin(protocol, server, "/type", 5)
    response = append(protocol, server, url, 0, b"hello", last=True, fields={"Content-Type": "text/plain"})
    assert response.status == 415 and response.field("Accept-Patch") == "application/partial-upload"
    assert append(protocol, server, url, 0, b"hello", fields={"Upload-Complete": None}).status == 400
    assert append(protocol, server, url, 0, b"hello", fields={"Upload-Complete": "1"}).status == 400


def test_wrong_checksums_of_tus(server):
    protocol = Tus()
    url = begin(protocol, server, "/sums", 10)
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        digest = b64(hashlib.new(algorithm, b"other").digest())
        response = append(protocol, server, url, 0, b"hello", fields={"Upload-Checksum": f"{algorithm} {digest}"})
        assert response.status == 460 and response.reason == "Checksum Mismatch"
    for bad in ("sha3 AAAA", "sha1", "sha1 AAAA", "sha1 !"):
        assert append(protocol, server, url, 0, b"hello", fields={"Upload-Checksum": bad}).status == 400
    assert offset_of(protocol, server, url) == 0
    # Half of what a checksum is about is not known to be right.
    connection = server.connect()
    connection.send_request("PATCH", url, auth=ALICE, fields={
        **protocol.patch_fields(0), "Content-Length": "10", "Upload-Checksum": f"sha1 {b64(hashlib.sha1(b'helloworld').digest())}"})
    connection.send(b"hello")
    connection.close()
    assert offset_of(protocol, server, url) == 0
    for offset, part in ((0, b"hello"), (5, b"world")):
        digest = b64(hashlib.sha1(part).digest())
        assert append(protocol, server, url, offset, part, fields={"Upload-Checksum": f"sha1 {digest}"}).status == 204
    assert content(server, "sums") == b"helloworld"


def test_wrong_digests(server):
    protocol = Ietf()
    server.write("digest", "old")
    wrong = {"Repr-Digest": f"sha-256=:{b64(hashlib.sha256(b'other').digest())}:"}
    url = begin(protocol, server, "/digest", 10, b"hello", fields=wrong)
    response = append(protocol, server, url, 5, b"world", last=True)
    assert response.status == 400 and response.field("Upload-Complete") == "?1"
    assert content(server, "digest") == b"old"
    assert protocol.head(server, url).status == 404
    assert protocol.create(server, "/digest", 10, fields={"Repr-Digest": "sha-256=:AAAA:"}).status == 400
    with server.connect() as connection:  # in two lines, of which one would be kept
        connection.send("PUT /digest HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nUpload-Complete: ?0\r\nRepr-Digest: a=1\r\n"
                        f"Authorization: {basic(*ALICE)}\r\nRepr-Digest: {wrong['Repr-Digest']}\r\n\r\n")
        assert connection.read_response().status == 400
    assert protocol.create(server, "/digest", 10, b"hello", fields={"Content-Digest": "sha-256=:AAAA:"}).status == 400
    right = {"Repr-Digest": f"sha-256=:{b64(hashlib.sha256(b'helloworld').digest())}:",
             "OC-Checksum": f"SHA1:{hashlib.sha1(b'helloworld').hexdigest()}"}
    url = begin(protocol, server, "/digest", 10, b"hello", fields=right)
    part = {"Content-Digest": f"sha-256=:{b64(hashlib.sha256(b'other').digest())}:"}
    response = append(protocol, server, url, 5, b"world", last=True, fields=part)
    assert response.status == 400 and response.field("Upload-Complete") == "?0"
    assert offset_of(protocol, server, url) == 5
    assert append(protocol, server, url, 5, b"world", last=True).status == 204
    assert content(server, "digest") == b"helloworld"


@both
def test_preconditions(server, protocol):
    name = f"conditions-{protocol.name}"
    server.write(name, "old")
    assert protocol.create(server, f"/{name}", 5, fields={"If-None-Match": "*"}).status == 412
    assert protocol.create(server, f"/{name}", 5, fields={"If-Match": '"other"'}).status == 412
    time.sleep(0.05)  # until its tag is a strong one
    tag = server.get(f"/{name}").field("ETag")
    url = begin(protocol, server, f"/{name}", 5, fields={"If-Match": tag})
    server.write(name, "changed meanwhile")
    assert append(protocol, server, url, 0, b"hello", last=True).status == 412
    assert content(server, name) == b"changed meanwhile"
    assert protocol.head(server, url).status == 404
    url = begin(protocol, server, f"/{name}-new", 5, fields={"If-None-Match": "*"})
    server.write(f"{name}-new", "was quicker")
    assert append(protocol, server, url, 0, b"hello", last=True).status == 412
    assert content(server, f"{name}-new") == b"was quicker"


# --- whose it is -----------------------------------------------------------------------------------------------


@both
def test_of_another_user(make_server, protocol):
    server = make_server(users={ALICE[0]: (ALICE[1], False), CAROL[0]: (CAROL[1], False)})
    url = begin(protocol, server, "/mine", 10, b"hello")
    assert protocol.head(server, url, auth=CAROL).status == 404
    assert append(protocol, server, url, 5, b"world", last=True, auth=CAROL).status == 404
    assert protocol.cancel(server, url, auth=CAROL).status == 404
    assert append(protocol, server, url, 5, b"world", last=True).status in (201, 204)
    assert content(server, "mine") == b"helloworld"


@both
def test_tokens_that_do_not_exist(server, protocol):
    url = begin(protocol, server, f"/token-{protocol.name}", 10)
    for other in (url[:-1], url + "0", url[:-1] + "g", "/.fastfile/upload/", "/.fastfile/upload", url.replace("upload/", "upload/nowhere/"),
                  "/.fastfile/upload/" + "0" * 32, url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("upload/", "upload/.fastfile/")):
        for response in (protocol.head(server, other), append(protocol, server, other, 0, b"x"), protocol.cancel(server, other)):
            assert response.status == 404, (other, response)
    assert protocol.cancel(server, url).status == 204


@both
def test_who_may_only_read(server, make_server, protocol):
    assert protocol.create(server, "/readers", 5, auth=BOB).status == 403
    url = begin(protocol, server, f"/readers-{protocol.name}", 5)
    assert append(protocol, server, url, 0, b"hello", auth=BOB).status == 403
    assert protocol.cancel(server, url, auth=BOB).status == 403
    for field in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert protocol.create(server, "/foreign", 5, fields=field).status == 403
        assert append(protocol, server, url, 0, b"hello", fields=field).status == 403
    assert protocol.cancel(server, url).status == 204
    nobody = make_server("--read-only")
    assert protocol.create(nobody, "/readers", 5).status == 403
    assert protocol.head(nobody, url).status == 403
    assert os.listdir(nobody.dir) == []


# --- what is left ----------------------------------------------------------------------------------------------


@both
def test_cancelled(server, protocol):
    before = uploads(server)
    url = begin(protocol, server, f"/cancelled-{protocol.name}", 10 * MIB, os.urandom(MIB))
    assert len(uploads(server)) == len(before) + 2
    assert protocol.cancel(server, url).status == 204
    assert uploads(server) == before
    assert protocol.head(server, url).status == protocol.cancel(server, url).status == 404


@both
def test_cancelled_while_it_is_sent(server, protocol):
    before = uploads(server)
    url = begin(protocol, server, f"/cancelled2-{protocol.name}", 10 * MIB)
    with server.connect() as connection:
        connection.send_request("PATCH", url, auth=ALICE, fields={
            **protocol.patch_fields(0), "Content-Length": str(10 * MIB)})
        connection.send(os.urandom(MIB))
        assert protocol.cancel(server, url).status == 204
        assert connection.read_response().status == 423
    assert uploads(server) == before


@both
def test_expired(make_server, protocol):
    server = make_server()
    old = time.time() - 8 * 24 * 3600
    url, other, fresh, touched = (begin(protocol, server, f"/expires{number}", 10, b"hello") for number in range(4))
    for one in (url, other, touched):
        os.utime(data_of(server, one), (old, old))
    for one in (url, other):
        os.utime(info_of(server, one), (old, old))
    assert protocol.head(server, url).status == 410
    assert protocol.head(server, url).status == 404
    server.stop()
    server.start()  # another process sweeps when the first upload begins
    begin(protocol, server, "/expires4", 10)
    assert not any(other.rsplit("/", 1)[1] in name for name in uploads(server))
    assert offset_of(protocol, server, fresh) == offset_of(protocol, server, touched) == 5


def test_debris(make_server):
    """What a crash can leave, and files that are none of ours."""
    server = make_server()
    protocol = Ietf()
    url = begin(protocol, server, "/debris", 10, b"hello")
    folder = os.path.dirname(data_of(server, url))
    name = os.path.basename(data_of(server, url))[:-len(".data")]
    old = time.time() - 2 * 24 * 3600
    for other in (name[:-1] + "x.data", name[:-1] + "x.new", "foreign"):
        with open(os.path.join(folder, other), "wb") as file:
            file.write(b"x")
        os.utime(os.path.join(folder, other), (old, old))
    own(folder)
    server.stop()
    server.start()
    begin(protocol, server, "/debris2", 10)
    assert {name[:-1] + "x.data", name[:-1] + "x.new"}.isdisjoint(uploads(server)) and "foreign" in uploads(server)
    info = os.path.join(folder, name + ".info")
    with open(info, "rb") as file:
        text = file.read()
    for wrong in (b"", text[:-1], text + b"x", text.replace(b"alice", b"bob"), text.replace(b"path debris", b"path ../debris")):
        with open(info, "wb") as file:
            file.write(wrong)
        assert protocol.head(server, url).status == 404, wrong
    with open(info, "wb") as file:
        file.write(text)
    assert offset_of(protocol, server, url) == 5


def test_expired_and_nobody_uploads(make_server):
    """The space comes back when somebody who may change something looks at the folder."""
    server = make_server()
    protocol = Ietf()
    old = time.time() - 8 * 24 * 3600
    urls = [begin(protocol, server, f"/expires{number}", 10, b"hello") for number in range(3)]
    for path in (path for url in urls[:2] for path in (data_of(server, url), info_of(server, url))):
        os.utime(path, (old, old))
    server.stop()
    server.start()  # so that it is the first look
    assert server.get("/", auth=BOB).status == 200
    assert len(uploads(server)) == 6
    assert server.get("/?format=json").status == 200
    wait_for(lambda: len(uploads(server)) == 2, 5 * SLOW, "the end of what has expired")
    assert offset_of(protocol, server, urls[2]) == 5


def complete_many(server, count):
    with server.connect() as connection:
        return [connection.request("POST", "/.fastfile/tus/", body=b"", auth=ALICE, fields={
            **TUS, "Upload-Length": "0", "Upload-Metadata": f"path {b64('done')}"}) for _ in range(count)]


@pytest.mark.skipif(SLOW > 1, reason="not run where all is slow: it is about a number")
def test_many_that_are_done(make_server):
    """They can be asked for, the last ones, and keep nobody from uploading."""
    server = make_server("--durability", "none")
    responses = complete_many(server, 600)
    assert {response.status for response in responses} == {201}
    assert 128 <= len(uploads(server)) <= 257
    protocol = Tus()
    for response in responses[-100:]:
        assert offset_of(protocol, server, response.field("Location")) == 0
    assert protocol.head(server, responses[0].field("Location")).status == 404


@pytest.mark.skipif(SLOW > 1 or IN_VM, reason="not run where all is slow: it makes 65,536 files")
def test_a_folder_full_of_what_is_done(make_server):
    """By whomever: it goes before somebody is refused."""
    server = make_server("--durability", "none")
    protocol = Tus()
    url = begin(protocol, server, "/kept", 5)
    folder = os.path.dirname(data_of(server, url))
    before = time.time() - 600
    for number in range(65_536):
        path = f"{folder}/0123456789abcdef-{number:032x}.info"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.utime(path, (before, before))
    own(folder)
    assert protocol.create(server, "/another", 5).status == 201
    assert len(uploads(server)) < 1000
    assert offset_of(protocol, server, url) == 0


@pytest.mark.skipif(SLOW > 1, reason="not run where all is slow: it is about a number")
def test_too_many(make_server):
    server = make_server()
    protocol = Tus()
    with server.connect() as connection:
        statuses = [connection.request("POST", "/.fastfile/tus/", body=b"", auth=ALICE, fields={
            **TUS, "Upload-Length": "5", "Upload-Metadata": f"path {b64(f'f{number}')}"}).status for number in range(257)]
    assert statuses == [201] * 256 + [429]
    assert server.request("PUT", "/f0", body=b"x").status == 201


# --- other file systems ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts need root outside of the VM")
@both
def test_on_another_file_system(make_server, protocol):
    """It has its own uploads at its top. When it is full that is said, and what came before stays."""
    server = make_server(start=False)
    server.mkdir("sub/disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", server.path("sub/disk")], check=True)
    try:
        server.mkdir("sub/disk/folder")
        own(server.path("sub"))
        server.start()
        body = os.urandom(2 * MIB)
        url = begin(protocol, server, "/sub/disk/folder/x", len(body), body[:MIB])
        assert url.startswith("/.fastfile/upload/sub/disk/")
        assert len(uploads(server, "sub/disk")) == 2 and uploads(server) == []
        server.kill()
        server.start()
        assert offset_of(protocol, server, url) == MIB
        assert append(protocol, server, url, MIB, body[MIB:], last=True).status in (201, 204)
        assert content(server, "sub/disk/folder/x") == body
        assert protocol.create(server, "/sub/disk/too-large", 10 * MIB).status == 507
        url = begin(protocol, server, "/sub/disk/full", None)
        response = append(protocol, server, url, 0, os.urandom(3 * MIB))
        assert response.status == 507
        assert 0 < offset_of(protocol, server, url) <= 2 * MIB
        assert protocol.cancel(server, url).status == 204
        filesystem = os.statvfs(server.path("sub/disk"))
        assert filesystem.f_bavail * filesystem.f_frsize > 1.5 * MIB
    finally:
        if server.process:
            server.stop()
        subprocess.run(["umount", "-l", server.path("sub/disk")], check=True)


@both
def test_where_the_top_may_not_be_written(make_server, protocol):
    server = make_server(start=False)
    server.mkdir("mine")
    os.chmod(server.dir, 0o555)
    server.start()
    url = begin(protocol, server, "/mine/x", 5)
    assert url.startswith("/.fastfile/upload/mine/")
    assert append(protocol, server, url, 0, b"hello", last=True).status in (201, 204)
    assert content(server, "mine/x") == b"hello"


@pytest.mark.skipif(IN_VM, reason="not run in the VM: links are made outside")
def test_by_a_link(server):
    server.mkdir("real")
    server.write("real/target", "old")
    os.symlink("real/target", server.path("linked"))
    protocol = Ietf()
    url = begin(protocol, server, "/linked", 5)
    assert append(protocol, server, url, 0, b"hello", last=True).status == 204
    assert content(server, "real/target") == b"hello" and os.path.islink(server.path("linked"))
