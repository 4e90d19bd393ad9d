"""PUT on file systems that are not as one would like, and to folders that do not stay."""
import concurrent.futures
import contextlib
import os
import shutil
import stat
import struct
import subprocess
import threading
import time

import pytest
from client import wait_for
from faults import Faults
from machine import IN_VM, not_in_the_vm
from server import ALICE, IS_ROOT, SLOW, Server, own
from small_fs import bare_fs

needs_fuse = [
    not_in_the_vm("the file system would have to be inside"),
    pytest.mark.skipif(not IN_VM and (not IS_ROOT or not os.access("/dev/fuse", os.W_OK)), reason="a file system of a test's own (root and /dev/fuse)"),
]


def put(server, target, body=b"", fields=None):
    return server.request("PUT", target, body=body, fields=fields, auth=ALICE)


@pytest.fixture
def fuse_server():
    server = Server(start=False)
    yield server
    server.finish()


class TestWithFuse:
    pytestmark = needs_fuse

    def test_a_file_system_that_can_do_little(self, fuse_server):
        server = fuse_server
        with bare_fs(server, "bare"):
            server.start()
            for status, body in ((201, b"one"), (204, b"three"), (204, b"x" * 300_000)):
                assert put(server, "/bare/file", body).status == status
                assert server.get("/bare/file").body == body
            assert put(server, "/bare/file", b"4", {"If-None-Match": "*"}).status == 412
            # What cannot be set is not said to be.
            dated = put(server, "/bare/dated", b"5", {"X-OC-Mtime": "1234567890"})
            assert dated.status == 201 and dated.field("X-OC-Mtime") is None and dated.field("ETag") is None
            assert sorted(os.listdir(server.path("bare"))) == ["dated", "file"]
            server.stop()

    def test_names_longer_than_others(self, fuse_server):
        """Linux has file systems with names of more than 255 bytes: with a long way to them they fit nowhere."""
        server = fuse_server
        deep = "/".join(["d" * 200] * 17)
        with bare_fs(server, deep, files=["n" * 1000]):
            server.start()
            home = server.pid_of("home")
            for kind in ("tar", "zip"):
                assert b"its path is too long" in server.get(f"/?archive={kind}").body
            assert server.get("/").status == 200 and server.get(f"/{deep}/").status == 200
            assert server.pid_of("home") == home
            server.stop()

    def test_what_is_mounted_on_a_name_holds_nobody_up(self, fuse_server):
        """Who wants the name itself looks at another file system, which may not answer."""
        server = fuse_server
        pause = 3 * SLOW
        with bare_fs(server, "hung", pause):
            server.write("quick/file", "quick")
            own(server.path("quick"))
            server.start()
            statuses = []

            def ask():
                with server.connect(timeout=120 * SLOW) as connection:
                    statuses.append(connection.request("PUT", "/hung", body=b"x", auth=ALICE).status)

            threads = [threading.Thread(target=ask) for _ in range(6)]
            for thread in threads:
                thread.start()
            time.sleep(0.3 * SLOW)
            begun = time.monotonic()
            assert put(server, "/quick/new", b"new").status == 201
            assert server.get("/quick/").status == 200
            assert time.monotonic() - begun < pause / 2
            for thread in threads:
                thread.join()
            assert statuses == [405] * 6
            server.stop()


@pytest.mark.measures
def test_nobody_waits_for_what_others_have_written(make_server):
    """A disk may take seconds to write what many have uploaded: who reads does not notice."""
    server = make_server(start=False)
    faults = Faults(server)
    server.write("quick/file", "quick")
    server.start()
    delay = 2 * min(SLOW, 4)
    faults.set("fsync", -1000 * delay)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        uploads = [pool.submit(put, server, f"/new{number}", b"x" * 200_000 * (number % 2)) for number in range(12)]
        wait_for(lambda: faults.hits("fsync") >= 4, delay / 2, "uploads that wait for the disk")
        begun = time.monotonic()
        assert server.get("/quick/").status == 200
        assert server.get("/quick/file").status == 200
        assert time.monotonic() - begun < delay / 2
        faults.clear()  # those that wait for it now still do
        assert [upload.result().status for upload in uploads] == [201] * 12
    assert put(server, "/new", b"x").status == 201


@pytest.mark.parametrize("fields", [{}, {"If-None-Match": "*"}], ids=str)
def test_the_folder_is_gone_meanwhile(server, fields):
    os.makedirs(server.path("going"))
    own(server.path("going"))
    with server.connect() as connection:
        connection.send_request("PUT", "/going/file", auth=ALICE, fields={"Content-Length": "10", "Expect": "100-continue", **fields})
        assert connection.read_response(interim=True).status == 100
        shutil.rmtree(server.path("going"))
        connection.send(b"0123456789")
        assert connection.read_response().status == 409
    assert not os.path.exists(server.path("going"))


def test_no_other_writer_leaves_the_same_time(server):
    """Otherwise a tag would be strong for content that another program has put there, with the time that the client had wanted."""
    for number in range(3):
        response = put(server, f"/dated{number}", b"x", {"X-OC-Mtime": "1234567890"})
        assert response.status == 201 and response.field("X-OC-Mtime") == "accepted" and response.field("ETag").startswith('"')
        assert os.stat(server.path(f"dated{number}")).st_mtime_ns // 10**9 == 1234567890
    assert len({os.stat(server.path(f"dated{number}")).st_mtime_ns for number in range(3)}) == 3


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts")
def test_one_folder_by_two_ways(make_server):
    """Of many who replace one state of a file one succeeds, whatever way they come by."""
    server = make_server("--durability", "none", start=False)  # then they are all there at once
    server.mkdir("folder")
    server.mkdir("mirror")
    subprocess.run(["mount", "--bind", server.path("folder"), server.path("mirror")], check=True)
    try:
        server.start()
        for _ in range(40):
            put(server, "/folder/file", b"old")
            tag = wait_for(lambda: not (found := server.head("/folder/file").field("ETag")).startswith("W/") and found, 5 * SLOW, "a strong tag")
            with contextlib.ExitStack() as stack:
                connections = [stack.enter_context(server.connect()) for _ in range(12)]
                for number, connection in enumerate(connections):
                    target = ("/folder/file", "/mirror/file")[number % 2]
                    connection.send_request("PUT", target, auth=ALICE, fields={"Content-Length": "40000", "If-Match": tag})
                    connection.send(b"x" * 39_999)
                for connection in connections:
                    connection.send(b"x")
                statuses = [connection.read_response().status for connection in connections]
            assert sorted(statuses) == [204] + [412] * 11
        server.stop()
    finally:
        subprocess.run(["umount", "-l", server.path("mirror")], check=True)


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="a file system of a test's own (root)")
def test_times_of_whole_seconds(make_server):
    """As on ext3: what is written within a second leaves the same times, perhaps with the same inode."""
    server = make_server(start=False)
    server.mkdir("coarse")
    image = os.path.join(server.base, "image")
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-I", "128", image], check=True)
    if subprocess.run(["/usr/bin/mount", "-o", "loop", image, server.path("coarse")], check=False).returncode != 0:
        pytest.skip("a file system of a test's own (no loop devices here)")
    try:
        own(server.path("coarse"))
        server.start()
        for fields in ({}, {"X-OC-Mtime": "1234567890"}):
            seen = {}
            for number in range(8):
                tag = put(server, "/coarse/file", b"%d" % number, fields).field("ETag")
                assert tag is None or seen.setdefault(tag, number) == number
            assert server.get("/coarse/file").field("ETag").startswith("W/")
        server.stop()
    finally:
        subprocess.run(["/usr/bin/umount", "-l", server.path("coarse")], check=True)


ACL = "system.posix_acl_access"
NOBODY = 0xffffffff


def acl(*entries):
    """As the kernel has it: version 2, then tag, rights, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_acl(path, name, value):
    try:
        os.setxattr(path, name, value)
    except OSError:
        pytest.skip("access lists (this file system has none)")


def acl_of(path):
    try:
        return os.getxattr(path, ACL)
    except OSError:
        return None


@pytest.mark.skipif(IN_VM, reason="access lists (the host's calls)")
@pytest.mark.parametrize("size", [10, 500_000])
def test_an_access_list(server, size):
    """One other user may write, the file's group may nothing: in the mode the group's bits are the most for both."""
    path = server.path("listed")
    server.write("listed", "old")
    own(path)
    ours = acl((0x01, 6, NOBODY), (0x02, 6, os.stat(path).st_uid), (0x04, 0, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY))
    set_acl(path, ACL, ours)
    assert put(server, "/listed", b"n" * size).status == 204
    assert acl_of(path) == ours and stat.S_IMODE(os.stat(path).st_mode) == 0o660
    # Somebody whom home's user namespace does not know cannot be named; but then nobody else gets his rights.
    other = ours.replace(struct.pack("<I", os.stat(path).st_uid), struct.pack("<I", 12345))
    set_acl(path, ACL, other)
    assert put(server, "/listed", b"n" * size).status == 204
    assert acl_of(path) == other or (acl_of(path) is None and stat.S_IMODE(os.stat(path).st_mode) == 0o600)


@pytest.mark.skipif(IN_VM, reason="access lists (the host's calls)")
@pytest.mark.parametrize("named, group, most, others, mode", [
    (6, 6, 7, 4, 0o664), (4, 6, 6, 4, 0o644), (0, 6, 6, 4, 0o600), (7, 7, 5, 5, 0o655), (7, 4, 7, 7, 0o647)])
def test_an_access_list_that_cannot_be_kept(server, named, group, most, others, mode):
    path = server.path("listed")
    server.write("listed", "old")
    own(path)
    there = acl((0x01, 6, NOBODY), (0x02, named, 12345), (0x04, group, NOBODY), (0x08, 7, 12345), (0x10, most, NOBODY), (0x20, others, NOBODY))
    set_acl(path, ACL, there)
    assert put(server, "/listed", b"new").status == 204
    assert acl_of(path) == there or (acl_of(path) is None and stat.S_IMODE(os.stat(path).st_mode) == mode)


@pytest.mark.skipif(IN_VM, reason="access lists (the host's calls)")
def test_no_access_list_comes_from_the_folder(server):
    """What a folder gives to new files was not given to the old one."""
    server.write("giving/old", "old")
    own(server.path("giving"))
    os.chmod(server.path("giving/old"), 0o640)
    default = acl((0x01, 7, NOBODY), (0x02, 7, 12345), (0x04, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 5, NOBODY))
    set_acl(server.path("giving"), "system.posix_acl_default", default)
    assert put(server, "/giving/old", b"new").status == 204
    assert acl_of(server.path("giving/old")) is None
    assert stat.S_IMODE(os.stat(server.path("giving/old")).st_mode) == 0o640
    assert put(server, "/giving/new", b"new").status == 201
    assert acl_of(server.path("giving/new"))


@pytest.mark.skipif(not IS_ROOT, reason="a group that the server's user is not in (root)")
@pytest.mark.parametrize("mode, expected", [(0o660, 0o600), (0o664, 0o644), (0o640, 0o600), (0o604, 0o644), (0o600, 0o600)])
def test_a_group_that_cannot_be_kept_leaves_nothing_to_another(server, mode, expected):
    server.write("grouped", "old")
    own(server.path("grouped"))
    os.chown(server.path("grouped"), -1, 12345)
    os.chmod(server.path("grouped"), mode)
    assert put(server, "/grouped", b"new").status == 204
    st = os.stat(server.path("grouped"))
    assert st.st_gid != 12345 and stat.S_IMODE(st.st_mode) == expected


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="a group that the server's user is not in (root)")
def test_nor_does_its_access_list(server):
    path = server.path("grouped")
    server.write("grouped", "old")
    own(path)
    user = os.stat(path).st_uid
    os.chown(path, -1, 12345)
    set_acl(path, ACL, acl((0x01, 6, NOBODY), (0x02, 6, user), (0x04, 7, NOBODY), (0x10, 7, NOBODY), (0x20, 4, NOBODY)))
    assert put(server, "/grouped", b"new").status == 204
    assert acl_of(path) == acl((0x01, 6, NOBODY), (0x02, 6, user), (0x04, 4, NOBODY), (0x10, 7, NOBODY), (0x20, 4, NOBODY))
