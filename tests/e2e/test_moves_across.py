"""MOVE and COPY between file systems: the original goes when it is copied, and nothing of it that was not."""
import concurrent.futures
import contextlib
import errno
import os
import shutil
import subprocess
import threading

import pytest
from changes import change, copy, failures, move, names, shape, tree
from client import wait_for
from faults import Faults
from machine import IN_VM, IS_ROOT
from server import SLOW, own

pytestmark = pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts")

OLD = 1_000_000_000
PAUSE = 2 * min(SLOW, 4)  # of what it is held up in, in seconds


@contextlib.contextmanager
def mounted(server, name, *command):
    """Something mounted below the folder that the server serves."""
    server.mkdir(name)
    subprocess.run([*command, server.path(name)], check=True)
    try:
        own(server.path(name))
        yield
    finally:
        subprocess.run(["umount", "-l", server.path(name)], check=True)


@contextlib.contextmanager
def mounted_coarse(server):
    """As on ext3 what changes twice within a second shows no difference."""
    image = os.path.join(server.base, "image")
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-I", "128", image], check=True, capture_output=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(mounted(server, "coarse", "/usr/bin/mount", "-o", "loop", image))
        except subprocess.CalledProcessError:
            pytest.skip("a file system of a test's own (no loop devices here)")
        yield


@contextlib.contextmanager
def started(server, *mounts):
    """With two folders: `here`, and `there` on another file system. Its calls fail when `faults` says so."""
    server.mkdir("here")
    server.faults = Faults(server)
    with contextlib.ExitStack() as stack:
        for one in (mounted(server, "there", "mount", "-t", "tmpfs", "none"), *mounts):
            stack.enter_context(one)
        server.start()
        yield server


@pytest.fixture
def two(make_server):
    with started(make_server(start=False)) as one:
        yield one


@pytest.fixture
def coarse(make_server):
    """And a third, `coarse`."""
    one = make_server(start=False)
    with started(one, mounted_coarse(one)):
        yield one


def with_text(server, name, text):
    """Writes a file with another time than any of now, in place if it is there."""
    with open(server.path(name), "w") as file:
        file.write(text)
    own(server.path(name))
    os.utime(server.path(name), (OLD, OLD))


class Move:
    """A MOVE that is held up when it has copied everything and has removed nothing yet: then the block runs."""

    def __init__(self, server, source, target):
        self.server, self.paths = server, (f"/{source}", f"/{target}")
        self.call = "syncfs" if os.path.isdir(server.path(source)) else "fsync"
        self.pool = concurrent.futures.ThreadPoolExecutor(1)

    def __enter__(self):
        self.server.faults.set(self.call, -1000 * PAUSE, times=1)
        self.answer = self.pool.submit(move, self.server, *self.paths)
        wait_for(lambda: self.server.faults.hits(self.call), 10 * SLOW, "the end of the copying", interval=0.001)
        return self

    def __exit__(self, *_):
        self.response = self.answer.result()
        self.pool.shutdown()


@pytest.mark.parametrize("source, target", [("here", "there"), ("there", "here")])
def test_to_another_file_system(two, source, target):
    tree(two, "file", "folder/x", "folder/y/z", "folder/two\nlines\x1b\x7f", top=source)
    os.symlink("folder/x", two.path(f"{source}/link"))
    os.symlink("../file", two.path(f"{source}/folder/link"))
    os.utime(two.path(f"{source}/folder/x"), (OLD, OLD))
    whole = shape(two, source)
    assert copy(two, f"/{source}/folder", f"/{target}/copy").status == 201
    assert shape(two, f"{target}/copy") == {name.removeprefix("folder/"): text for name, text in whole.items() if name.startswith("folder/")
                                           and name != "folder/"}
    assert copy(two, f"/{source}/file", f"/{target}/copy").status == 204
    assert change(two, "DELETE", f"/{target}/copy").status == 204
    for name in ("file", "folder", "link"):
        assert move(two, f"/{source}/{name}", f"/{target}/{name}").status == 201
    assert shape(two, target) == whole and shape(two, source) == {}
    assert os.stat(two.path(f"{target}/folder/x")).st_mtime == OLD
    tree(two, "file", "folder/new", top=source)
    assert move(two, f"/{source}/file", f"/{target}/file", "F").status == 412
    assert move(two, f"/{source}/file", f"/{target}/file").status == 204
    assert move(two, f"/{source}/folder", f"/{target}/folder").status == 204
    assert shape(two, f"{target}/folder") == {"new": "folder/new"} and names(two, source) == set()


def test_a_mount_point_is_copied_and_not_moved(two):
    tree(two, "x", "y/z", top="there")
    assert move(two, "/there", "/here/new").status == 403
    assert copy(two, "/there", "/here/new").status == 201
    assert shape(two, "here/new") == {"x": "x", "y/": None, "y/z": "y/z"}
    assert names(two, "here") == {"new"} and names(two, "there") == {"x", "y"}


def test_a_move_to_another_file_system_loses_nothing(two):
    """What cannot be copied, and what has changed meanwhile, stays where it was."""
    tree(two, "a/x", "a/secret", top="here")
    os.chmod(two.path("here/a/secret"), 0)
    assert move(two, "/here/a", "/there/a").status == 403
    os.chmod(two.path("here/a/secret"), 0o644)
    os.mkfifo(two.path("here/a/fifo"))
    own(two.path("here/a"))
    assert move(two, "/here/a", "/there/a").status == 403
    assert names(two, "there") == set() and names(two, "here/a") == {"x", "secret", "fifo"}
    os.unlink(two.path("here/a/fifo"))
    os.chmod(two.path("here"), 0o555)
    response = move(two, "/here/a", "/there/a")
    assert response.status in (201, 207)
    if response.status == 207:
        assert failures(response) == {"/here/a": 403}
    assert names(two, "there/a") == {"x", "secret"}
    os.chmod(two.path("here"), 0o755)


def test_what_changes_during_a_move_to_another_file_system(two):
    stop = threading.Event()
    written = {}

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            name = f"n{number % 50}"
            with contextlib.suppress(OSError):
                with open(two.path("here/new"), "w") as file:
                    file.write(str(number))
                os.utime(two.path("here/new"), (OLD, OLD))
                os.rename(two.path("here/new"), two.path(f"here/a/{name}"))
                written[name] = str(number)

    for _ in range(20):
        tree(two, *[f"a/{number}" for number in range(200)], top="here")
        os.chmod(two.path("here/a"), 0o777)
        stop.clear()
        written.clear()
        thread = threading.Thread(target=write)
        thread.start()
        try:
            assert move(two, "/here/a", "/there/a").status in (201, 204, 207)
        finally:
            stop.set()
            thread.join()
        left = shape(two, "here/a") if os.path.exists(two.path("here/a")) else {}
        there = shape(two, "there/a")
        assert set(there) >= {str(number) for number in range(200)}
        for name, text in written.items():
            assert text in (left.get(name), there.get(name)), name
        shutil.rmtree(two.path("here/a"), ignore_errors=True)


# --- what happens between the copying and the removal -----------------------------------------------------------


def test_old_folders_that_come_in_meanwhile(two):
    """Nothing in them has changed, but they were never copied."""
    tree(two, "a/x", "a/sub/y", "one/p", "one/deep/q", "two/r", top="here")
    with Move(two, "here/a", "there/a") as moving:
        os.rename(two.path("here/one"), two.path("here/a/one"))
        os.rename(two.path("here/two"), two.path("here/a/sub/two"))
    assert failures(moving.response) == {"/here/a/one": 409, "/here/a/sub/two": 409}
    assert shape(two, "here/a") == {"one/": None, "one/p": "one/p", "one/deep/": None, "one/deep/q": "one/deep/q", "sub/": None,
                                    "sub/two/": None, "sub/two/r": "two/r"}
    assert shape(two, "there/a") == {"x": "a/x", "sub/": None, "sub/y": "a/sub/y"}


def test_folders_that_take_the_place_of_others(two):
    """With files of the same names, sizes and times."""
    for name, text in (("a/docs/x", "one"), ("other/x", "two"), ("a/new/x", "one")):
        two.mkdir(os.path.dirname(f"here/{name}"))
        with_text(two, f"here/{name}", text)
    with Move(two, "here/a", "there/a") as moving:
        os.rename(two.path("here/a/docs"), two.path("here/away"))
        os.rename(two.path("here/other"), two.path("here/a/docs"))
        os.rename(two.path("here/a/new"), two.path("here/a/newer"))
    assert failures(moving.response) == {"/here/a/docs": 409, "/here/a/newer": 409}
    assert shape(two, "here") == {"a/": None, "a/docs/": None, "a/docs/x": "two", "a/newer/": None, "a/newer/x": "one", "away/": None,
                                  "away/x": "one"}
    assert shape(two, "there/a") == {"docs/": None, "docs/x": "one", "new/": None, "new/x": "one"}


def test_what_is_new_or_changed_stays_and_nothing_else(two):
    tree(two, "a/x", "a/sub/y", "a/sub/z", "a/gone", top="here")
    os.symlink("x", two.path("here/a/link"))
    with_text(two, "here/a/same", "one")
    with Move(two, "here/a", "there/a") as moving:
        with_text(two, "here/a/same", "two")
        with_text(two, "here/a/sub/new", "new")
        os.unlink(two.path("here/a/gone"))
        os.unlink(two.path("here/a/link"))
        os.symlink("z", two.path("here/a/link"))
    assert failures(moving.response) == {"/here/a/same": 409, "/here/a/sub/new": 409, "/here/a/link": 409}
    assert shape(two, "here/a") == {"same": "two", "sub/": None, "sub/new": "new", "link": "-> z"}
    assert shape(two, "there/a") == {"x": "a/x", "sub/": None, "sub/y": "a/sub/y", "sub/z": "a/sub/z", "gone": "a/gone", "same": "one",
                                     "link": "-> x"}


@pytest.mark.parametrize("kind", ["changed", "replaced", "a folder"])
def test_a_file_that_has_changed_stays(two, kind):
    with_text(two, "here/file", "one")
    with Move(two, "here/file", "there/file") as moving:
        if kind == "changed":
            with_text(two, "here/file", "two")
        else:
            os.unlink(two.path("here/file"))
            with_text(two, "here/file", "two") if kind == "replaced" else tree(two, "file/x", top="here")
    assert failures(moving.response) == {"/here/file": 409}
    assert shape(two, "here") == ({"file/": None, "file/x": "file/x"} if kind == "a folder" else {"file": "two"})
    assert shape(two, "there") == {"file": "one"}


def test_a_folder_that_has_become_a_file(two):
    tree(two, "a/sub/x", "a/y", top="here")
    with Move(two, "here/a", "there/a") as moving:
        os.rename(two.path("here/a/sub"), two.path("here/sub"))
        with_text(two, "here/a/sub", "two")
    assert failures(moving.response) == {"/here/a/sub": 409}
    assert shape(two, "here") == {"a/": None, "a/sub": "two", "sub/": None, "sub/x": "a/sub/x"}
    with Move(two, "here/sub", "there/sub") as moving:
        os.rename(two.path("here/sub"), two.path("here/away"))
        with_text(two, "here/sub", "three")
    assert failures(moving.response) == {"/here/sub": 409}
    assert shape(two, "here") == {"a/": None, "a/sub": "two", "sub": "three", "away/": None, "away/x": "a/sub/x"}


def test_names_of_the_servers_own_stay(two):
    """They are never copied, so they are not removed either; the folder that they are in is told."""
    tree(two, "a/x", "a/sub/.fastfile-notes", "a/sub/y", "a/deep/.fastfile/mine", "b/.fastfile-notes", "b/x", top="here")
    assert failures(move(two, "/here/a", "/there/a")) == {"/here/a/sub": 409, "/here/a/deep": 409}
    assert failures(move(two, "/here/b", "/there/b")) == {"/here/b": 409}
    assert set(shape(two, "here")) == {"a/", "a/sub/", "a/sub/.fastfile-notes", "a/deep/", "a/deep/.fastfile/", "a/deep/.fastfile/mine",
                                       "b/", "b/.fastfile-notes"}
    assert shape(two, "there") == {"a/": None, "a/x": "a/x", "a/sub/": None, "a/sub/y": "a/sub/y", "a/deep/": None, "b/": None, "b/x": "b/x"}


# --- time stamps of whole seconds -------------------------------------------------------------------------------


def test_what_was_just_written_moves(coarse):
    tree(coarse, "a/x", "a/y/z", "file", top="coarse")
    assert move(coarse, "/coarse/a", "/here/a").status == 201
    assert change(coarse, "PUT", "/coarse/new", body=b"new").status == 201
    for name in ("file", "new"):
        assert move(coarse, f"/coarse/{name}", f"/here/{name}").status == 201
    assert shape(coarse, "coarse") == {"lost+found/": None}
    assert shape(coarse, "here") == {"a/": None, "a/x": "a/x", "a/y/": None, "a/y/z": "a/y/z", "file": "file", "new": "new"}


@pytest.mark.parametrize("source", ["a", "file"])
def test_a_change_within_the_same_second(coarse, source):
    name = "a/x" if source == "a" else source
    for _ in range(3):  # mostly it is the same one
        coarse.mkdir("coarse/a")
        with_text(coarse, f"coarse/{name}", "one")
        with Move(coarse, f"coarse/{source}", f"here/{source}") as moving:
            with_text(coarse, f"coarse/{name}", "two")
        assert failures(moving.response) == {f"/coarse/{name}": 409}
        assert shape(coarse, "coarse")[name] == "two" and shape(coarse, "here")[name] == "one"


def test_a_disk_that_fails_while_a_copy_is_synced(two):
    """Nothing is removed then."""
    tree(two, "a/x", "file", top="here")
    for call, name in (("syncfs", "a"), ("fsync", "file")):
        two.faults.set(call, errno.EIO)
        for method in ("COPY", "MOVE"):
            assert move(two, f"/here/{name}", f"/there/{name}", method=method).status == 500
        two.faults.clear()
    assert shape(two, "here") == {"a/": None, "a/x": "a/x", "file": "file"} and names(two, "there") == set()
