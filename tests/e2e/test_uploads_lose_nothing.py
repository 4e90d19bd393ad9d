"""Uploads that do not get to their end: the old file is as it was, byte for byte, nothing new is there, and the space comes back."""
import collections
import concurrent.futures
import contextlib
import errno
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import time

import loop_fs
import pytest
from client import ClosedEarly, end_sending, wait_for
from faults import Faults
from server import ALICE, IO, SANITIZER, SLOW, Server, own

pytestmark = pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}")

# As often as it takes to believe it; under a sanitizer what counts is that nothing is wrong with memory.
KILLS, ABORTS, FULL, SYNCS = (200, 200, 50, 50) if SLOW == 1 and IO is None else (12, 30, 12, 12)
AT_ONCE = 4
SIZE = 300_000
OLD = os.urandom(SIZE)
LEFTOVER = re.compile(r"\.fastfile-[0-9a-f]{16}")
GONE = (ClosedEarly, ssl.SSLError, ConnectionError)


class Ground:
    """A server whose folder is on a file system of its own, with a file `old` in it."""

    def __init__(self, *options, size=64 << 20, mkfs=("-m", "0"), **server_options):
        self.server = Server(*options, start=False, dir_name="disk/files", **server_options)
        self.fs = loop_fs.LoopFileSystem(os.path.dirname(self.server.dir), size, ("mkfs.ext4", "-q", "-F", *mkfs))
        self.fs.mount()
        os.mkdir(self.server.dir)
        own(self.server.dir)
        self.hidden = 0  # leftovers that no listing shows

    def start(self):
        self.server.start()
        self.fill("old", OLD)
        self.room = self.settled_room()
        return self

    def finish(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.finish)
            stack.callback(self.fs.finish)
            self.server.stop()

    def fill(self, name, content):
        assert self.server.request("PUT", f"/{name}", body=content).status in (201, 204)

    def settled_room(self):
        """What is free when nothing is on its way to the disk any more."""
        self.fs.sync()
        return self.fs.room()

    def names(self):
        """What is there, without leftovers that the server itself would take away in a week (src/files/leftovers.c)."""
        names = set(os.listdir(self.server.dir))
        for name in [name for name in names if LEFTOVER.fullmatch(name)]:
            self.hidden += 1
            os.unlink(self.server.path(name))
            names.remove(name)
        return names

    def content(self, name="old"):
        with open(self.server.path(name), "rb") as file:
            return file.read()

    def check_nothing_changed(self, more=()):
        assert self.content() == OLD
        assert self.names() == {"old", *more}
        wait_for(lambda: self.settled_room() == self.room, 10 * SLOW, f"the space: {self.room}, not {self.settled_room()}")


@pytest.fixture
def ground():
    made = []

    def make(*options, faults=False, **more):
        one = Ground(*options, **more)
        made.append(one)
        one.faults = Faults(one.server) if faults else None
        return one.start()

    yield make
    for one in made:
        one.finish()


class Upload:
    """Part of a body, on its way."""

    def __init__(self, server, target, body, chunked=False, fields=None):
        self.connection = server.connect()
        self.body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in
                             (body[at:at + 30_000] for at in range(0, len(body), 30_000))) + b"0\r\n\r\n" if chunked else body
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
        self.connection.send_request("PUT", target, auth=ALICE, fields={**length, **(fields or {})})
        self.sent = 0

    def wait_until_wanted(self):
        """With Expect: 100-continue; then home is at it."""
        assert self.connection.read_response(interim=True).status == 100

    def send(self, share):
        """As much of it as there is room for; the last byte only with a share of 1."""
        until = int(share * (len(self.body) - 1)) if share < 1 else len(self.body)
        self.connection.send(self.body[self.sent:until])
        self.sent = until

    def answer(self):
        """The status, or None if the connection ended without one."""
        try:
            return self.connection.read_response().status
        except GONE:
            return None
        finally:
            self.close_at_once()

    def close_at_once(self):
        """What is still on its way nobody waits for."""
        self.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def send_until_answered(self):
        """All of it, or as much as the server wants before it answers; the status."""
        step = 64 << 10
        with contextlib.suppress(*GONE):
            for at in range(self.sent, len(self.body), step):
                if self.is_answered():
                    break
                self.connection.send(self.body[at:at + step])
        return self.answer()

    def is_answered(self):
        """Whether something is there to be read; in TLS also tickets come."""
        raw, timeout = self.connection.socket, self.connection.socket.gettimeout()
        raw.settimeout(0)
        try:
            self.connection.buffer += raw.recv(65536)
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            raw.settimeout(timeout)

    def break_off(self, how):
        if how == "reset":
            self.close_at_once()
        elif how == "half-closed":
            end_sending(self.connection)
            assert self.answer() == 400, "part of a body is none"
        self.connection.close()


# --- the server's process ends ---


def test_home_is_killed(ground):
    """On several servers at once, as most of the time is waiting for the next home."""
    grounds = [ground(plain=True) for _ in range(AT_ONCE)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        counts = sum(pool.map(kill_again_and_again, grounds), collections.Counter())
    print(f"{counts['kills']} times: {dict(counts)}, {sum(one.hidden for one in grounds)} hidden leftovers")
    assert counts["kills"] == KILLS
    assert counts["new"] and counts["old"]


def kill_again_and_again(one):
    server, counts = one.server, collections.Counter()
    for number in range(KILLS // AT_ONCE):
        if number % 3 == 0 and number > 0:  # home that dies again and again is started again ever later
            server.stop()
            server.start()
        new = os.urandom(SIZE)
        uploads = {name: Upload(server, f"/{name}", new, fields={"Expect": "100-continue"}) for name in ("old", "new")}
        for upload in uploads.values():
            upload.wait_until_wanted()
        for upload in uploads.values():
            upload.send(random.choice([0, random.random(), 1]))
        time.sleep(random.uniform(0, 0.006) * SLOW)
        home = server.pid_of("home")
        os.kill(home, 9)
        statuses = {name: upload.answer() for name, upload in uploads.items()}
        wait_for(lambda: server.roles().get("home", [home]) != [home], 10 * SLOW, "the next home", interval=0.01)
        check_killed(one, uploads, statuses, new, counts)
        counts["kills"] += 1
    return counts


def check_killed(one, uploads, statuses, new, counts):
    """Complete uploads may be there, and are if they were acknowledged; nothing else is."""
    there = {name: one.content(name) for name in one.names()}
    assert set(there) <= {"old", "new"}
    assert there["old"] in (OLD, new)
    assert there.get("new", new) == new
    is_new = {"old": there["old"] == new, "new": "new" in there}
    for name, upload in uploads.items():
        assert statuses[name] in (None, 201, 204)
        assert is_new[name] or statuses[name] is None, "acknowledged, and not there"
        assert upload.sent == len(upload.body) or not is_new[name], "there, although it was not complete"
        counts["new" if is_new[name] else "old"] += 1
        counts["acknowledged"] += statuses[name] is not None
    if is_new["new"]:
        os.unlink(one.server.path("new"))
    if is_new["old"]:
        one.fill("old", OLD)
    one.check_nothing_changed()


# --- the client goes ---


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
def test_clients_break_off(ground, plain):
    one = ground(plain=plain)
    before = one.server.descriptors()

    def break_one_off(number):
        upload = Upload(one.server, random.choice(["/old", "/new"]), os.urandom(SIZE), chunked=number % 2 == 0)
        upload.send(random.random())
        time.sleep(random.uniform(0, 0.003))
        upload.break_off(["closed", "reset", "half-closed"][number % 3])

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, ABORTS // 2, AT_ONCE * 3):
            list(pool.map(break_one_off, range(start, min(start + AT_ONCE * 3, ABORTS // 2))))
            one.check_nothing_changed()
    wait_for(lambda: one.server.descriptors() <= before, 10 * SLOW, "its descriptors")
    assert one.hidden == 0


# --- the disk is full ---


def leave_free(one, size):
    """Fills the file system up to so many bytes, and a few."""
    with open(os.path.join(one.fs.mountpoint, "filler"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, one.fs.room()[0] - size)
    one.room = one.settled_room()
    assert one.room[0] <= size


def no_room_by_length(one, target):
    """Answered before a byte of the body is sent."""
    upload = Upload(one.server, target, os.urandom(one.room[0] + 8192))
    assert upload.answer() == 507


def no_room_while_it_comes(one, target):
    upload = Upload(one.server, target, os.urandom(one.room[0] + (2 << 20)), chunked=True)
    assert upload.send_until_answered() == 507


def no_room_for_both(one, _target):
    """Each fits; not both. `old` is not touched."""
    body = os.urandom(one.room[0] * 6 // 10)
    uploads = [Upload(one.server, f"/both{number}", body) for number in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(Upload.send_until_answered, uploads))
    assert sorted(statuses) in ([201, 507], [507, 507])
    for number, status in enumerate(statuses):
        assert os.path.exists(one.server.path(f"both{number}")) == (status == 201)
        if status == 201:
            assert one.content(f"both{number}") == body
            os.unlink(one.server.path(f"both{number}"))


@pytest.mark.parametrize("way", [no_room_by_length, no_room_while_it_comes, no_room_for_both])
@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
def test_the_disk_is_full(ground, way, plain):
    one = ground(plain=plain, size=24 << 20)
    for number in range((FULL + 5) // 6):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(one.fs.mountpoint, "filler"))
        one.settled_room()
        leave_free(one, random.randrange(600_000, 3_000_000))
        way(one, "/old" if number % 2 else "/new")
        one.check_nothing_changed()
    assert one.hidden == 0


def test_room_is_reserved_and_comes_back(ground):
    """Of what is long enough, for as long as it may come: so two that do not fit together need not both be sent in vain."""
    one = ground(plain=True, size=64 << 20)
    first = Upload(one.server, "/first", os.urandom(40 << 20), fields={"Expect": "100-continue"})
    first.wait_until_wanted()
    assert one.settled_room()[0] <= one.room[0] - (40 << 20)
    assert Upload(one.server, "/second", os.urandom(40 << 20), fields={"Expect": "100-continue"}).answer() == 507
    first.send(0.5)
    first.break_off("reset")
    one.check_nothing_changed()
    assert one.server.request("PUT", "/second", body=b"x" * (40 << 20)).status == 201
    assert os.stat(one.server.path("second")).st_blocks * 512 < (40 << 20) + 65536


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("error, status", [(errno.EPERM, 204), (errno.ENOSYS, 204), (errno.EOPNOTSUPP, 204), (errno.ENOSPC, 507), (errno.EDQUOT, 507)],
                         ids=lambda value: errno.errorcode.get(value, str(value)))
def test_room_that_cannot_be_reserved(ground, error, status):
    one = ground(plain=True, faults=True, size=24 << 20)
    body = os.urandom(1 << 20)
    one.faults.set("fallocate", error)
    upload = Upload(one.server, "/old", body)
    assert upload.send_until_answered() == status
    assert one.faults.hits("fallocate") == 1
    if status == 204:
        assert one.content() == body
    else:
        one.check_nothing_changed()


def test_no_inode_is_free(ground):
    one = ground(plain=True, size=16 << 20, mkfs=("-m", "0", "-N", "32"))
    taken = 0
    with contextlib.suppress(OSError):
        while True:
            with open(os.path.join(one.fs.mountpoint, f"taken{taken}"), "wb"):
                taken += 1
    assert taken > 5
    one.room = one.settled_room()
    for target in ("/old", "/new") * 3:
        assert one.server.request("PUT", target, body=b"x" * 1000).status == 507
        one.check_nothing_changed()
    os.unlink(os.path.join(one.fs.mountpoint, "taken0"))
    assert one.server.request("PUT", "/old", body=OLD[::-1]).status == 204


# --- the disk fails ---


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("error, status", [(errno.EIO, 500), (errno.ENOSPC, 507), (errno.EDQUOT, 507)])
def test_fsync_fails(ground, error, status):
    """fsync says once what is lost; it is not asked again, and the file is not taken."""
    one = ground(plain=True, faults=True)
    for number in range((SYNCS + 2) // 3):
        one.faults.set("fsync", error, 0, 1)
        target = "/old" if number % 2 else "/new"
        upload = Upload(one.server, target, os.urandom(random.choice([0, 1, 5000, SIZE, 2_000_000])), chunked=number % 4 < 2)
        assert upload.send_until_answered() == status
        assert one.faults.hits("fsync") == 1
        one.check_nothing_changed()
    one.faults.clear()
    assert one.server.request("PUT", "/old", body=OLD[::-1]).status == 204


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_filter_without_sync_file_range(ground, error):
    """As a container's may be: the file is synced then, and what that says counts."""
    one = ground(plain=True, faults=True)
    new = {"small": OLD[:5000], "large": OLD[::-1]}
    one.faults.set("sync_range", error)
    one.faults.set("fsync", -1)  # a millisecond later, and counted
    for number, (name, content) in enumerate(new.items(), 1):
        one.fill(name, content)
        assert one.content(name) == content
        assert one.faults.hits("sync_range") == one.faults.hits("fsync") == number
    one.room = one.settled_room()
    for of_range, of_fsync in (error, errno.EIO), (errno.EIO, -1):
        one.faults.set("sync_range", of_range)
        one.faults.set("fsync", of_fsync)
        for target in ("/old", "/newer"):
            assert one.server.request("PUT", target, body=OLD[::-1]).status == 500
        one.check_nothing_changed(more=new)


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
def test_fsync_of_an_unfinished_upload_fails(ground):
    """What was not synced comes again, and what is told the next time is there."""
    one = ground(plain=True, faults=True)
    body = os.urandom(300_000)
    version = {"Upload-Draft-Interop-Version": "8"}
    begun = one.server.request("PUT", "/new", body=body[:100_001], fields={"Upload-Complete": "?0", "Upload-Length": "300000", **version})
    assert begun.status == 201
    url = begun.field("Location")

    def offset():
        return one.server.request("HEAD", url, fields=version).field("Upload-Offset")

    def append(offset, end, completes="?0"):
        return one.server.request("PATCH", url, body=body[offset:end], fields={
            "Upload-Offset": str(offset), "Upload-Complete": completes, "Content-Type": "application/partial-upload", **version}).status

    for error, status in (errno.EIO, 500), (errno.ENOSPC, 507):
        for end, completes in (200_000, "?0"), (300_000, "?1"):
            one.faults.set("fsync", error, 0, 1)
            assert append(100_001, end, completes) == status
            assert one.faults.hits("fsync") == 1
            one.faults.clear()
            assert offset() == "100001"
            assert one.names() == {"old", ".fastfile"}
    assert append(100_001, 300_000, "?1") == 201
    assert one.content("new") == body


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
def test_an_upload_that_could_not_be_completed_does_not_expire(ground):
    """Although its data has the time by then that the file was to have."""
    one = ground(plain=True, faults=True)
    version = {"Upload-Draft-Interop-Version": "8"}
    begun = one.server.request("PUT", "/new", body=b"hello", fields={
        "Upload-Complete": "?0", "Upload-Length": "5", "X-OC-Mtime": "1234567890", **version})
    url = begun.field("Location")
    complete = {"Upload-Offset": "5", "Upload-Complete": "?1", "Content-Type": "application/partial-upload", **version}
    one.faults.set("fsync", errno.EIO, 0, 1)
    assert one.server.request("PATCH", url, fields=complete).status == 500
    assert one.faults.hits("fsync") == 1
    one.faults.clear()
    assert one.server.request("HEAD", url, fields=version).field("Upload-Offset") == "5"
    assert one.server.request("PATCH", url, fields=complete).status == 201
    assert os.stat(one.server.path("new")).st_mtime // 1 == 1234567890


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("protocol", ["ietf", "tus"])
def test_done_is_not_told_before_it_lasts(ground, protocol):
    """Home can end between giving the file its name and syncing that; whoever comes then is told when it is made up for."""
    one = ground(plain=True, faults=True)
    server = one.server
    if protocol == "ietf":
        fields = {"Upload-Draft-Interop-Version": "8"}
        begun = server.request("PUT", "/new", body=b"hello", fields={"Upload-Complete": "?0", "Upload-Length": "5", **fields})
        append = {"Upload-Offset": "5", "Upload-Complete": "?1", "Content-Type": "application/partial-upload", **fields}
    else:
        fields = {"Tus-Resumable": "1.0.0"}
        begun = server.request("POST", "/.fastfile/tus/", body=b"hell", fields={
            "Upload-Length": "5", "Upload-Metadata": "path bmV3", "Content-Type": "application/offset+octet-stream", **fields})
        append = {"Upload-Offset": "5", "Content-Type": "application/offset+octet-stream", **fields}
    assert begun.status == 201, begun
    url = begun.field("Location")
    uploads = server.path(".fastfile/uploads")
    data, = (name for name in os.listdir(uploads) if name.endswith(".data"))
    with open(os.path.join(uploads, data), "wb") as file:
        file.write(b"hello")
    os.rename(os.path.join(uploads, data), server.path("new"))

    one.faults.set("syncfs", errno.EIO)
    assert server.request("HEAD", url, fields=fields).status == 500
    assert server.request("PATCH", url, fields=append).status == 500
    assert one.faults.hits("syncfs") == 2
    one.faults.clear()
    head = server.request("HEAD", url, fields=fields)
    assert head.status in (200, 204) and head.field("Upload-Offset") == "5"
    # Once is enough, and what was completed without an interruption needs none.
    one.faults.set("syncfs", errno.EIO)
    assert server.request("HEAD", url, fields=fields).status == head.status
    fields = {"Upload-Draft-Interop-Version": "8"}
    begun = server.request("PUT", "/newer", body=b"hello", fields={"Upload-Complete": "?0", **fields})
    url = begun.field("Location")
    complete = {"Upload-Offset": "5", "Upload-Complete": "?1", "Content-Type": "application/partial-upload", **fields}
    assert server.request("PATCH", url, fields=complete).status == 201
    assert server.request("HEAD", url, fields=fields).field("Upload-Complete") == "?1"
    assert one.faults.hits("syncfs") == 0


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("which", [0, 1], ids=["where it goes", "where it was"])
def test_fsync_of_a_folder_of_an_upload_fails(ground, which):
    """Both folders of the rename have to last."""
    one = ground(plain=True, faults=True)
    version = {"Upload-Draft-Interop-Version": "8"}
    begun = one.server.request("PUT", "/new", body=b"he", fields={"Upload-Complete": "?0", "Upload-Length": "5", **version})
    one.faults.set("fsync_folder", errno.EIO, which, 1)
    response = one.server.request("PATCH", begun.field("Location"), body=b"llo", fields={
        "Upload-Offset": "2", "Upload-Complete": "?1", "Content-Type": "application/partial-upload", **version})
    assert response.status == 500 and one.faults.hits("fsync_folder") == 1
    one.faults.clear()
    assert one.content("new") == b"hello"


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
def test_fsync_of_the_folder_fails(ground):
    """The name is there then, and whether it lasts nobody knows: no success is reported, and the file is whole."""
    one = ground(plain=True, faults=True)
    for number in range((SYNCS + 2) // 3):
        new = os.urandom(SIZE)
        target = "old" if number % 2 else "new"
        one.faults.set("fsync_folder", errno.EIO, 0, 1)
        assert one.server.request("PUT", f"/{target}", body=new).status == 500
        assert one.faults.hits("fsync_folder") == 1
        one.faults.clear()
        assert one.names() <= {"old", "new"}
        assert all(one.content(name) in (OLD, new) for name in one.names())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(one.server.path("new"))
        one.fill("old", OLD)
        one.check_nothing_changed()
    assert one.hidden == 0


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
def test_other_changes_whose_folder_fails(ground):
    """Nor is a success of these reported that may not last."""
    one = ground(plain=True, faults=True)
    server = one.server
    for method, target, fields in (("MKCOL", "/folder/", {}), ("COPY", "/old", {"Destination": "/copy"}), ("MOVE", "/copy", {"Destination": "/moved"}),
                                   ("COPY", "/folder/", {"Destination": "/folder2/"}), ("MOVE", "/folder/", {"Destination": "/folder3/"}),
                                   ("DELETE", "/moved", {}), ("DELETE", "/folder2/", {})):
        one.faults.set("fsync_folder", errno.EIO)
        response = server.request(method, target, fields=fields)
        assert response.status == 500, (method, target, response)
        assert one.faults.hits("fsync_folder") > 0
        one.faults.clear()
        assert one.content() == OLD
        # Whatever came of it, it can be asked for again.
        assert server.request(method, target, fields=fields).status in (201, 204, 404, 405), (method, target)
    assert one.names() <= {"old", "folder3"}
    assert one.hidden == 0


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
@pytest.mark.parametrize("error, status", [(errno.EIO, 500), (errno.ENOSPC, 507)])
def test_fsync_of_a_copy_fails(ground, error, status):
    one = ground(plain=True, faults=True)
    one.server.write("folder/a", os.urandom(SIZE))
    one.server.write("folder/b", os.urandom(SIZE))
    one.room = one.settled_room()
    for source, call in ("/old", "fsync"), ("/folder/", "syncfs"):
        one.faults.set(call, error, 0, 1)
        response = one.server.request("COPY", source, fields={"Destination": source.replace("/", "/copy-of-", 1)})
        assert response.status == status, (source, response)
        assert one.faults.hits(call) == 1
        one.check_nothing_changed(more={"folder"})
    assert one.hidden == 0


@pytest.mark.skipif(SANITIZER == "thread", reason="a library before ThreadSanitizer's")
def test_what_a_crash_has_left(ground):
    """It goes a week later, when somebody who may change something looks at the folder. What is no name of the server's own stays."""
    one = ground(plain=True, faults=True)
    folder = os.path.join(one.server.dir, "sub")
    tree = os.path.join(folder, ".fastfile-0123456789abcdef")
    os.makedirs(os.path.join(tree, "a", "b"))
    kept = [".fastfile-0123456789abcde", ".fastfile-0123456789abcdefg", ".fastfile-0123456789ABCDEF", ".fastfile-notes", "visible"]
    leftovers = [f".fastfile-0123456789abc{number:03x}" for number in range(20)]
    for path in [*kept, *leftovers, os.path.join(tree, "a", "file")]:
        with open(os.path.join(folder, path), "wb"):
            pass
    os.symlink("/etc/passwd", os.path.join(tree, "link"))
    os.chmod(os.path.join(tree, "a", "b"), 0o500)
    subprocess.run(["chown", "-hR", "--reference", one.server.dir, folder], check=True)
    everything = set(os.listdir(folder))

    def look(ahead_days):
        one.faults.set("clock", 24 * ahead_days)
        for _ in range(2):
            assert one.server.request("GET", "/sub/?format=json").status == 200
            assert one.server.request("GET", "/.fastfile/health").status == 200

    look(6)
    assert set(os.listdir(folder)) == everything
    look(8)
    # The clock stays ahead: a thread sweeps, and looks at it when its turn has come.
    wait_for(lambda: set(os.listdir(folder)) == set(kept), 20 * SLOW, "the end of it")
    one.faults.clear()
    assert os.path.exists("/etc/passwd")


def test_the_disk_goes_away(ground):
    """Everything fails from then on, with an answer, and the server lives on; the disk is as it was."""
    one = ground(plain=True)
    server, before = one.server, one.server.roles()
    uploads = [Upload(server, f"/{name}", os.urandom(2_000_000)) for name in ("old", "new", "newer", "old")]
    for upload in uploads:
        upload.send(random.random())
    one.fs.cut_power()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for status in pool.map(lambda upload: upload.send_until_answered(), uploads):
            assert status == 500
    for target in ("/old", "/other"):
        assert server.request("PUT", target, body=b"x" * 1000).status == 500
    assert server.get("/.fastfile/health").status == 200
    assert server.roles() == before
    server.stop()
    one.fs.unmount()
    one.fs.mount()
    assert one.content() == OLD
    assert one.names() == {"old"}
    server.start()
    assert server.get("/old").body == OLD
