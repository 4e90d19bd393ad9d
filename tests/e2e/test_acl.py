"""Access control lists: what a folder says of new files counts, and a file that is replaced keeps its own."""
import shutil
import subprocess

import pytest
from machine import IN_VM
from server import IO, USER, Server, own

pytestmark = [pytest.mark.skipif(IN_VM, reason="not run in the VM: setfacl would have to be inside"),
              pytest.mark.skipif(IO is not None, reason="access control lists, which are the same with epoll"),
              pytest.mark.skipif(not shutil.which("setfacl"), reason="access control lists (setfacl is not there)")]


def acl(path):
    done = subprocess.run(["getfacl", "-p", "-c", "-n", path], capture_output=True, text=True, check=True)
    return {line.split("\t")[0].split("#")[0].strip() for line in done.stdout.splitlines() if line}


def set_acl(path, *options):
    done = subprocess.run(["setfacl", *options, path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"access control lists (not on this file system: {done.stderr.strip()})")


@pytest.fixture(scope="module")
def server():
    """With a umask that would take from others and the group what the folder's list gives."""
    made = Server(plain=True, wrapper=["sh", "-c", 'umask 077; exec "$@"', "-"])
    yield made
    made.finish()


def put(server, name, body=b"x"):
    return server.request("PUT", f"/{name}", body=body).status


def test_the_umask_without_any(server):
    assert put(server, "plain.txt") == 201
    assert acl(server.path("plain.txt")) == {"user::rw-", "group::---", "other::---"}


def test_a_folders_default_is_that_of_new_files(server):
    server.mkdir("shared")
    set_acl(server.path("shared"), "-d", "-m", "u:33:rwx,g::r-x,o::r-x")
    assert put(server, "shared/new.txt") == 201
    found = acl(server.path("shared/new.txt"))
    assert found == {"user::rw-", "user:33:rwx", "group::r-x", "mask::rw-", "other::r--"}, "as acl(5) says, whatever the umask"


def test_a_replaced_file_gives_nobody_more(server):
    """Its mode shows the mask where the group's rights would be: with that alone the group would get them. Who is named in the
    list is nobody in a user namespace, so that it cannot be kept."""
    server.write("own.txt", "old", mode=0o600)
    set_acl(server.path("own.txt"), "-m", "u:33:rw")
    before = acl(server.path("own.txt"))
    assert put(server, "own.txt", b"new") == 204
    assert acl(server.path("own.txt")) in (before, {"user::rw-", "group::---", "other::---"})


def test_a_replaced_file_keeps_its_own(server):
    """Where all that it names have numbers there too."""
    server.write("own.txt", "old", mode=0o600)
    set_acl(server.path("own.txt"), "-m", f"u:{USER.pw_uid}:rw")
    before = acl(server.path("own.txt"))
    assert before == {"user::rw-", f"user:{USER.pw_uid}:rw-", "group::---", "mask::rw-", "other::---"}
    assert put(server, "own.txt", b"new") == 204
    assert acl(server.path("own.txt")) == before


def test_a_replaced_file_gets_none_from_its_folder(server):
    """It had none, and its mode means what it says."""
    server.mkdir("late")
    server.write("late/own.txt", "old", mode=0o640)
    set_acl(server.path("late"), "-d", "-m", "u:33:rwx,g::rwx,o::r-x")
    before = acl(server.path("late/own.txt"))
    assert put(server, "late/own.txt", b"new") == 204
    assert acl(server.path("late/own.txt")) == before
    own(server.path("late"))
