"""File systems on which two files can share what they have in common, xfs and btrfs: a COPY takes no room, and the two stay apart. Needs root."""
import base64
import contextlib
import fcntl
import os
import shutil
import struct

import loop_fs
import pytest
from changes import copy, move, names
from server import IO, Server, own

pytestmark = [pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}"),
              pytest.mark.skipif(IO is not None, reason="clones, which are the same with epoll")]

# What mkfs.xfs takes is 300 MB at least.
KINDS = {"xfs": (400 << 20, ("mkfs.xfs", "-q", "-f")), "btrfs": (256 << 20, ("mkfs.btrfs", "-q", "-f"))}
SIZE = 24 << 20
CONTENT = os.urandom(SIZE)
LITTLE = 3 << 20  # room that notes about clones may take
IETF = {"Upload-Draft-Interop-Version": "8"}
TUS = {"Tus-Resumable": "1.0.0"}

# <linux/fiemap.h>
FS_IOC_FIEMAP, FIEMAP_FLAG_SYNC, FIEMAP_EXTENT_SHARED = 0xc020660b, 1, 0x2000
FIEMAP, EXTENT, EXTENTS_MAX = struct.Struct("=QQIIII"), struct.Struct("=QQQQQIIII"), 200


def extents(path):
    """[(where in the file, where on the disk, length, whether another file has it too)]"""
    request = bytearray(FIEMAP.pack(0, 2**64 - 1, FIEMAP_FLAG_SYNC, 0, EXTENTS_MAX, 0) + bytes(EXTENT.size * EXTENTS_MAX))
    with open(path, "rb") as file:
        fcntl.ioctl(file, FS_IOC_FIEMAP, request)
    count = FIEMAP.unpack_from(request)[3]
    assert 0 < count < EXTENTS_MAX
    found = [EXTENT.unpack_from(request, FIEMAP.size + number * EXTENT.size) for number in range(count)]
    return [(at, physical, length, bool(flags & FIEMAP_EXTENT_SHARED)) for at, physical, length, _, _, flags, *_ in found]


def are_clones(one, other):
    return extents(one) == extents(other) and all(shared for *_, shared in extents(one))


@pytest.fixture(scope="module", params=KINDS)
def ground(request):
    """(server, what is mounted at its folder)"""
    size, mkfs = KINDS[request.param]
    if not shutil.which(mkfs[0], path=loop_fs.PATH):
        pytest.skip(f"clones on {request.param} ({mkfs[0]} is not there)")
    server = Server(start=False, plain=True)
    with contextlib.ExitStack() as stack:
        stack.callback(server.finish)
        fs = loop_fs.LoopFileSystem(server.dir, size, mkfs, request.param)
        stack.callback(fs.finish)
        try:
            fs.mount()
        except AssertionError:
            pytest.skip(f"clones on {request.param} (this kernel does not have it)")
        own(server.dir)
        server.start()
        yield server, fs
        server.stop()


@pytest.fixture
def server(ground):
    process, before = ground[0].process, ground[0].roles()
    yield ground[0]
    assert ground[0].process != process or ground[0].roles() == before
    ground[0].check_log()
    for name in os.listdir(ground[0].dir):
        path = ground[0].path(name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def settle(fs):
    """What was removed counts until then."""
    loop_fs.run("sync", "-f", fs.mountpoint)


def used(fs):
    settle(fs)
    at = os.statvfs(fs.mountpoint)
    return (at.f_blocks - at.f_bfree) * at.f_frsize


def put(server, target, body):
    return server.request("PUT", target, body=body).status


def change_in_place(server, name, at, data):
    """As another program does."""
    with open(server.path(name), "r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_copy_is_a_clone(server, ground):
    assert put(server, "/a", CONTENT) == 201
    before = used(ground[1])
    assert copy(server, "/a", "/b").status == 201
    assert used(ground[1]) - before < LITTLE
    assert are_clones(server.path("a"), server.path("b"))
    assert server.get("/b").body == CONTENT
    # Whoever changes one does not change the other.
    new = os.urandom(1 << 20)
    change_in_place(server, "b", 5_000_001, new)
    changed = CONTENT[:5_000_001] + new + CONTENT[5_000_001 + len(new):]
    assert server.get("/a").body == CONTENT and server.get("/b").body == changed
    change_in_place(server, "a", 0, b"first")
    assert server.get("/a").body == b"first" + CONTENT[5:] and server.get("/b").body == changed
    assert put(server, "/a", b"short") == 204
    assert server.get("/a").body == b"short" and server.get("/b").body == changed


def test_a_copy_over_another(server):
    assert put(server, "/a", CONTENT) == put(server, "/b", CONTENT[::-1]) == 201
    assert copy(server, "/a", "/b").status == 204
    assert are_clones(server.path("a"), server.path("b"))
    assert server.get("/b").body == CONTENT and names(server) == {"a", "b"}


def test_a_copy_of_a_folder_is_of_clones(server, ground):
    for name in ("x/one", "x/inner/two"):
        server.mkdir(os.path.dirname(name))
        own(server.path("x"))
        assert put(server, f"/{name}", CONTENT) == 201
    before = used(ground[1])
    assert copy(server, "/x/", "/y/").status == 201
    assert used(ground[1]) - before < LITTLE
    for name in ("one", "inner/two"):
        assert are_clones(server.path(f"x/{name}"), server.path(f"y/{name}"))
    change_in_place(server, "x/one", 0, b"first")
    assert server.get("/y/one").body == server.get("/y/inner/two").body == CONTENT


def test_a_copy_where_no_room_is(server, ground):
    settle(ground[1])
    with open(server.path("large"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, ground[1].room()[0] * 6 // 10)
    own(server.path("large"))
    size = os.stat(server.path("large")).st_size
    settle(ground[1])
    assert size > ground[1].room()[0]
    assert copy(server, "/large", "/again").status == 201
    assert os.stat(server.path("again")).st_size == size


@pytest.mark.parametrize("size", [0, 5000, 3_000_000])
def test_uploads_and_moves(server, size):
    first, second = CONTENT[:size], CONTENT[size:2 * size + 1]
    assert put(server, "/a", first) == put(server, "/b", first) == 201
    assert put(server, "/a", second) == 204
    assert server.get("/a").body == second
    assert move(server, "/a", "/b").status == 204
    server.mkdir("x")
    own(server.path("x"))
    assert move(server, "/b", "/x/c").status == 201
    assert move(server, "/x/", "/y/").status == 201
    assert server.get("/y/c").body == second
    assert names(server) == {"y"} and names(server, "y") == {"c"}
    assert server.request("DELETE", "/y/").status == 204 and names(server) == set()


def begin_ietf(server, target, part, length):
    response = server.request("PUT", target, body=part, fields={"Upload-Complete": "?0", "Upload-Length": str(length), **IETF})
    assert response.status == 201
    return response.field("Location")


def end_ietf(server, url, rest, offset):
    fields = {"Upload-Complete": "?1", "Upload-Offset": str(offset), "Content-Type": "application/partial-upload", **IETF}
    return server.request("PATCH", url, body=rest, fields=fields).status == 204


def begin_tus(server, target, part, length):
    fields = {"Upload-Length": str(length), "Upload-Metadata": "path " + base64.b64encode(target[1:].encode()).decode(),
              "Content-Type": "application/offset+octet-stream", **TUS}
    response = server.request("POST", "/.fastfile/tus/", body=part, fields=fields)
    assert response.status == 201
    return response.field("Location")


def end_tus(server, url, rest, offset):
    fields = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **TUS}
    return server.request("PATCH", url, body=rest, fields=fields).status == 204


@pytest.mark.parametrize("begin, end", [(begin_ietf, end_ietf), (begin_tus, end_tus)], ids=["ietf", "tus"])
def test_an_upload_that_goes_on(server, begin, end):
    """After another start of the server, over a file that has a clone."""
    assert put(server, "/a", CONTENT) == 201 and copy(server, "/a", "/b").status == 201
    new, cut = CONTENT[::-1], SIZE // 3 + 1
    url = begin(server, "/a", new[:cut], SIZE)
    server.stop()
    server.start()
    assert server.get("/a").body == CONTENT
    assert end(server, url, new[cut:], cut)
    assert server.get("/a").body == new and server.get("/b").body == CONTENT


def test_it_lasts(server, ground):
    assert put(server, "/a", CONTENT) == 201 and copy(server, "/a", "/b").status == 201
    server.stop()
    ground[1].unmount()
    ground[1].mount()
    server.start()
    assert server.get("/a").body == server.get("/b").body == CONTENT
    assert are_clones(server.path("a"), server.path("b"))
