"""Where the file process keeps what outlives it: two files of the state folder that it opened before it shut itself
in. (That locks come back is shown where there are locks.)"""
import contextlib
import hashlib
import os
import signal
import stat

import pytest
from client import wait_for
from server import IN_VM, SLOW, Server

pytestmark = pytest.mark.skipif(IN_VM, reason="files of the server's state, which are in the machine")

UNKEPT = "locks of WebDAV clients end when the server is restarted"
UNREADABLE = "locks of WebDAV clients from the run before cannot be read"


def start(server):
    """Until home is there, too: gate answers before."""
    server.start()
    wait_for(lambda: server.get("/").status == 200, 10 * SLOW, "home")


@contextlib.contextmanager
def serving(*options, **more):
    server = Server(*options, start=False, **more)
    try:
        start(server)
        yield server
    finally:
        server.finish()


def state_files(server):
    digest = hashlib.sha256(os.path.realpath(server.dir).encode()).hexdigest()[:16]
    folder = os.path.join(server.base, "state", "fastfile", "home")
    return [os.path.join(folder, f"locks-{digest}.{which}") for which in "ab"]


def home_of(server):
    (pid,) = server.roles()["home"]
    return pid


def open_in(pid, path):
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since the list was made: an earlier request's
            if os.readlink(f"/proc/{pid}/fd/{fd}") == path:
                return True
    return False


def test_two_files_and_nobody_else_has_them():
    with serving() as server:
        files = state_files(server)
        assert sorted(os.listdir(os.path.dirname(files[0]))) == sorted(os.path.basename(file) for file in files)
        for file in files:
            assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(files[0])).st_mode) == 0o700
        for role, pids in server.roles().items():
            for pid in pids:
                assert all(open_in(pid, file) == (role == "home") for file in files), role
        assert UNKEPT not in server.log() and UNREADABLE not in server.log()


def test_home_that_is_restarted_has_them_again():
    with serving() as server:
        old = home_of(server)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: server.roles().get("home", [old]) not in ([old], []) and server.get("/").status == 200, 10 * SLOW, "another home")
        assert all(open_in(home_of(server), file) for file in state_files(server))
        assert UNKEPT not in server.log()


def test_nothing_is_kept_where_nothing_can_be_changed():
    with serving("--read-only") as server:
        assert not os.path.exists(os.path.dirname(state_files(server)[0]))
        assert UNKEPT not in server.log()


def test_a_second_server_of_the_folder_serves_without_them():
    with serving() as first:
        second = Server(start=False)
        second.environment["XDG_STATE_HOME"] = first.environment["XDG_STATE_HOME"]
        own_dir, second.dir = second.dir, first.dir
        try:
            start(second)
            assert UNKEPT + ": another server" in second.log()
            second.stop()
        finally:
            second.dir = own_dir
            second.finish()


@pytest.mark.parametrize("damage", ["no folder", "a link", "a folder", "another name"])
def test_what_is_in_the_way_is_not_followed(damage):
    server = Server(start=False)
    try:
        start(server)
        server.stop()
        file = state_files(server)[0]
        victim = os.path.join(server.base, "victim")
        with open(victim, "w", encoding="ascii") as out:
            out.write("untouched")
        os.remove(file)
        if damage == "no folder":
            os.remove(state_files(server)[1])
            os.rmdir(os.path.dirname(file))
            os.symlink("nowhere", os.path.dirname(file))
        elif damage == "a link":
            os.symlink(victim, file)
        elif damage == "a folder":
            os.mkdir(file)
        else:
            os.link(victim, file)
        start(server)
        assert UNKEPT in server.log()
        server.stop()
        with open(victim, encoding="ascii") as read:
            assert read.read() == "untouched"
    finally:
        server.finish()


def test_what_is_torn_is_told():
    server = Server(start=False)
    try:
        start(server)
        server.stop()
        for file in state_files(server):
            with open(file, "wb") as out:
                out.write(b"fastfile-locks 1 7 0aa9a5ca")
        start(server)
        assert UNREADABLE in server.log() and UNKEPT not in server.log()
    finally:
        server.finish()
