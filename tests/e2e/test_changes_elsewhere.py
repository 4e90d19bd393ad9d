"""MKCOL, DELETE, MOVE and COPY on file systems that can do little, and from them to others and back."""
import concurrent.futures
import contextlib
import errno
import os
import shutil

import loop_fs
import pytest
from changes import change, copy, failures, move, names, shape
from client import together
from faults import Faults
from server import ALICE, IO, Server
from small_fs import KINDS, bare_fs, mount

pytestmark = [pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}"),
              pytest.mark.skipif(not os.access("/dev/fuse", os.W_OK), reason="file systems by FUSE (/dev/fuse)"),
              pytest.mark.skipif(IO is not None, reason="other file systems, which are the same with epoll")]


@contextlib.contextmanager
def mounted(server, kind):
    if kind == "bare":
        with bare_fs(server, "usb"):
            yield
        return
    server.mkdir("usb")
    fs = mount(kind, server.path("usb"))
    if not fs:
        pytest.skip(f"changes on {kind} (neither this kernel nor FUSE has it)")
    try:
        yield
    finally:
        fs.finish()


@pytest.fixture(scope="module", params=[*KINDS, "bare"])
def ground(request):
    """A server with two folders: `usb` on such a file system, and `disk` on an ordinary one."""
    server = Server(start=False, plain=True)
    server.kind = request.param
    server.faults = Faults(server)
    server.mkdir("disk")
    try:
        with mounted(server, request.param):
            server.start()
            yield server
            server.stop()
    finally:
        server.finish()


@pytest.fixture
def server(ground):
    before = ground.roles()
    yield ground
    ground.faults.clear()
    assert ground.roles() == before
    ground.check_log()
    for top in "usb", "disk":
        left = [name for name in shape(ground, top) if ".fastfile" in name]
        assert not left, "something is left behind"
        for name in names(ground, top):
            whole = ground.path(f"{top}/{name}")
            shutil.rmtree(whole) if os.path.isdir(whole) and not os.path.islink(whole) else os.unlink(whole)


def make(server, *files, top):
    """As tree(), but by the server: what it makes it may change, whoever owns it."""
    for name in files:
        parts = name.split("/")[:-1]
        for depth in range(len(parts)):
            assert change(server, "MKCOL", f"/{top}/" + "/".join(parts[:depth + 1])).status in (201, 405)
        assert change(server, "PUT", f"/{top}/{name}", body=name.encode()).status == 201


def test_new_folders(server):
    assert change(server, "MKCOL", "/usb/new/").status == 201
    assert change(server, "MKCOL", "/usb/new/sub").status == 201
    assert change(server, "MKCOL", "/usb/new").status == 405
    assert change(server, "MKCOL", "/usb/missing/new").status == 409
    assert shape(server, "usb") == {"new/": None, "new/sub/": None}
    assert sorted(one.status for one in together(10, lambda _: change(server, "MKCOL", "/usb/once"))) == [201] + [405] * 9


def test_deleting(server):
    make(server, "file", "a/x", "a/b/y", "a/b/c/z", top="usb")
    for target, status in (("/usb/file", 204), ("/usb/file", 404), ("/usb/a/", 204), ("/usb/a", 404), ("/usb", 403)):
        assert change(server, "DELETE", target).status == status, target
    assert names(server, "usb") == set()
    make(server, *[f"many/{number}" for number in range(200)], top="usb")
    assert change(server, "DELETE", "/usb/many").status == 204
    assert names(server, "usb") == set()


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
def test_files(server, method):
    make(server, "a", "b", "sub/c", top="usb")
    assert move(server, "/usb/a", "/usb/sub/new", method=method).status == 201
    assert move(server, "/usb/b", "/usb/sub/c", "F", method=method).status == 412
    assert move(server, "/usb/b", "/usb/sub/c", method=method).status == 204
    rest = {"a": "a", "b": "b"} if method == "COPY" else {}
    assert shape(server, "usb") == {"sub/": None, "sub/new": "a", "sub/c": "b", **rest}
    assert move(server, "/usb/missing", "/usb/x", method=method).status == 404
    assert move(server, "/usb/sub/c", "/usb/missing/x", method=method).status == 409
    assert move(server, "/usb/sub/c", "/usb/sub/c", method=method).status == 403


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
def test_folders(server, method):
    make(server, "a/x", "a/y/z", "full/old", "full/deep/old", "other/p", top="usb")
    assert change(server, "MKCOL", "/usb/empty").status == 201
    whole = shape(server, "usb/a")
    assert move(server, "/usb/a/", "/usb/new/", method=method).status == 201
    source = "a" if method == "COPY" else "new"
    assert move(server, f"/usb/{source}", "/usb/full", "F", method=method).status == 412
    assert move(server, f"/usb/{source}", "/usb/full", method=method).status == 204
    assert shape(server, "usb/full") == whole
    assert move(server, "/usb/full", "/usb/empty", method=method).status == 204
    assert shape(server, "usb/empty") == whole
    assert move(server, "/usb/empty", "/usb/empty/y/new", method=method).status == 403
    assert move(server, "/usb/empty/y", "/usb/empty", method=method).status == 403
    assert names(server, "usb") == {"empty", "other"} | ({"a", "new", "full"} if method == "COPY" else set())


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
def test_files_and_folders_onto_each_other(server, method):
    make(server, "file", "full/x", "folder/y", "file2", top="usb")
    assert move(server, "/usb/file", "/usb/full", method=method).status == 204
    assert move(server, "/usb/folder", "/usb/file2", method=method).status == 204
    rest = {"file": "file", "folder/": None, "folder/y": "folder/y"} if method == "COPY" else {}
    assert shape(server, "usb") == {"full": "file", "file2/": None, "file2/y": "folder/y", **rest}


@pytest.mark.parametrize("source, target", [("usb", "disk"), ("disk", "usb")])
def test_to_another_file_system_and_back(server, source, target):
    make(server, "file", "folder/x", "folder/y/z", "empty/x", top=source)
    make(server, "old", "full/old", top=target)
    assert change(server, "DELETE", f"/{source}/empty/x").status == 204
    whole = shape(server, source)
    for name in ("file", "folder", "empty"):
        assert copy(server, f"/{source}/{name}", f"/{target}/copy").status in (201, 204)
        assert copy(server, f"/{source}/{name}", f"/{target}/copy", "F").status == 412
    assert change(server, "DELETE", f"/{target}/copy").status == 204
    assert shape(server, source) == whole and names(server, target) == {"old", "full"}
    for name, to, status in (("file", "old", 204), ("folder", "full", 204), ("empty", "empty", 201)):
        response = move(server, f"/{source}/{name}", f"/{target}/{to}")
        assert response.status == status, response
    assert names(server, source) == set()
    assert shape(server, target) == {"old": "file", "full/": None, "full/x": "folder/x", "full/y/": None, "full/y/z": "folder/y/z",
                                     "empty/": None}


def test_a_large_file(server):
    body = os.urandom(3_000_000)
    assert change(server, "PUT", "/usb/a", body=body).status == 201
    assert copy(server, "/usb/a", "/usb/b").status == 201
    assert move(server, "/usb/b", "/disk/b").status == 201
    assert move(server, "/disk/b", "/usb/c").status == 201
    assert names(server, "usb") == {"a", "c"} and server.get("/usb/c").body == body


def test_what_changes_before_the_original_goes_stays(server):
    """Whatever time it has."""
    make(server, "a/x", "a/y/z", "old/p", "file", top="usb")
    for name, call in (("a", "syncfs"), ("file", "fsync")):
        server.faults.set(call, -2000, times=1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(move, server, f"/usb/{name}", f"/disk/{name}")
            while not server.faults.hits(call):
                assert not answer.done(), answer.result()
            if name == "a":
                os.rename(server.path("usb/old"), server.path("usb/a/y/old"))
            with open(server.path("usb/a/x" if name == "a" else "usb/file"), "ab") as file:
                file.write(b", more")
            found = failures(answer.result())
        assert found.pop("/usb/a/x" if name == "a" else "/usb/file") == 409
        assert all(href.startswith("/usb/a/y/old") and status == 409 for href, status in found.items())
    assert shape(server, "usb") == {"a/": None, "a/x": "a/x, more", "a/y/": None, "a/y/old/": None, "a/y/old/p": "old/p",
                                    "file": "file, more"}
    assert shape(server, "disk") == {"a/": None, "a/x": "a/x", "a/y/": None, "a/y/z": "a/y/z", "file": "file"}


def test_spellings_of_one_name(server):
    """Where there is no upper and lower case one of those who want to be the first has it."""
    if server.kind == "bare":
        pytest.skip("changes of a name's case (this one tells them apart)")
    for number in range(10):
        found = together(10, lambda n: change(server, "PUT", f"/usb/{'Name' if n % 2 else 'nAME'}{number}", body=b"x", fields={"If-None-Match": "*"}).status)
        assert sorted(found) == [201] + [412] * 9
    make(server, "here/x", top="usb")
    assert move(server, "/usb/here/x", "/usb/here/X").status in (201, 204)
    assert move(server, "/usb/here", "/usb/Here").status in (201, 204)
    assert names(server, "usb") >= {"Here"} and names(server, "usb/Here") == {"X"}


def test_many_at_once(server):
    def one(number):
        done = []
        with server.connect(timeout=60) as connection:
            for turn in range(3):
                source, target = f"/usb/{(number + turn) % 5}", f"/usb/{(number * 7 + turn * 3 + 1) % 5}"
                method = ("MOVE", "COPY", "DELETE", "MOVE")[number % 4]
                fields = {} if method == "DELETE" else {"Destination": target, "Overwrite": "FT"[number % 2]}
                done.append(connection.request(method, source, fields=fields, auth=ALICE).status)
        return done

    for _ in range(3):
        for number in range(5):
            if not os.path.exists(server.path(f"usb/{number}")):
                make(server, *([f"{number}/{name}" for name in "abc"] if number % 2 else [f"{number}"]), top="usb")
        found = {status for done in together(12, one) for status in done}
        assert found <= {201, 204, 403, 404, 409, 412, 207}, found


def test_a_folder_that_cannot_be_read(server):
    """What is done in it is synced all the same."""
    if server.kind != "bare":
        pytest.skip("folders that cannot be read (here everything can)")
    assert change(server, "MKCOL", "/usb/dropbox").status == 201
    assert change(server, "PUT", "/usb/dropbox/x", body=b"x").status == 201
    assert change(server, "MKCOL", "/usb/dropbox/new").status == 201
    server.faults.set("syncfs", errno.EIO)
    assert change(server, "DELETE", "/usb/dropbox/x").status == 500
    server.faults.clear()
    assert change(server, "DELETE", "/usb/dropbox/x").status == 404
    assert change(server, "PUT", "/usb/dropbox/y", body=b"y").status == 201
    assert change(server, "DELETE", "/usb/dropbox/y").status == 204
    assert move(server, "/usb/dropbox/new", "/usb/new").status == 201
    assert change(server, "DELETE", "/usb/dropbox").status == 204
    assert names(server, "usb") == {"new"}
