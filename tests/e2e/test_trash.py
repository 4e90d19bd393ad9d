"""--trash: what is deleted lies in the desktop's trash, from where it can be put back."""
import configparser
import contextlib
import datetime
import errno
import os as host
import signal
import subprocess
import threading
import urllib.parse

import pytest
from client import ClosedEarly, together, wait_for
from dav import lock, token_of, unlock
from faults import Faults
from machine import IN_VM, IS_ROOT, USER, not_in_the_vm, open, os
from server import ALICE, BOB, SLOW, own

pytestmark = not_in_the_vm("a folder outside the one that is served")
needs_mounts = pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts")
MANY = 20 if SLOW > 1 else 100


def delete(server, target, auth=ALICE, **fields):
    return server.request("DELETE", target, auth=auth, fields={name.replace("_", "-"): value for name, value in fields.items()})


def restore(server, token, auth=ALICE, **fields):
    return server.request("POST", "/.fastfile/restore", auth=auth, body=urllib.parse.urlencode({"token": token}).encode(),
                          fields={"Content-Type": "application/x-www-form-urlencoded",
                                  **{name.replace("_", "-"): value for name, value in fields.items()}})


def home_trash(server):
    return os.path.join(server.environment["HOME"], ".local/share/Trash")


def info(trash, name):
    parser = configparser.RawConfigParser(strict=True)
    with open(os.path.join(trash, "info", name + ".trashinfo")) as file:
        text = file.read()
    assert text.startswith("[Trash Info]\n")
    parser.read_string(text)
    section = parser["Trash Info"]
    return urllib.parse.unquote(section["Path"], errors="surrogateescape"), section["DeletionDate"]


def lies_there(trash, top=""):
    """{name: where it was}, and that there is one for the other."""
    files, infos = (set(os.listdir(os.path.join(trash, one))) for one in ("files", "info"))
    assert {name + ".trashinfo" for name in files} == infos
    return {name: os.path.relpath(info(trash, name)[0], top or "/") if top else info(trash, name)[0] for name in files}


@contextlib.contextmanager
def mounted(folder):
    """An empty file system of the user's."""
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    try:
        own(folder)
        yield folder
    finally:
        subprocess.run(["umount", "-R", "-l", folder], check=True)


@contextlib.contextmanager
def server_on_a_disk(make_server, *options, **how):
    """(one that serves a folder on a file system of its own, where that is mounted); it is started by who uses it."""
    one = make_server("--trash", *options, start=False, dir_name="disk/files", **how)
    with mounted(os.path.dirname(one.dir)) as disk:
        os.mkdir(one.dir)
        own(one.dir)
        yield one, disk
        one.stop()


@contextlib.contextmanager
def server_with_a_disk_below(make_server):
    one = make_server("--trash", start=False)
    one.mkdir("usb")
    with mounted(one.path("usb")):
        yield one
        one.stop()


@pytest.fixture
def server(make_server):
    return make_server("--trash")


def test_files_folders_and_links(server):
    server.write("a/file.txt", "content")
    server.write("a/folder/sub/x", "x")
    os.symlink("file.txt", server.path("a/link"))
    inode = os.stat(server.path("a/file.txt")).st_ino
    before = datetime.datetime.utcnow().replace(microsecond=0)
    for name in ("file.txt", "folder/", "link"):
        response = delete(server, f"/a/{name}")
        assert (response.status, response.body) == (204, b"")
    assert os.listdir(server.path("a")) == []
    assert delete(server, "/a/file.txt").status == 404
    trash = home_trash(server)
    assert lies_there(trash) == {name: server.path(f"a/{name}") for name in ("file.txt", "folder", "link")}
    date = datetime.datetime.strptime(info(trash, "file.txt")[1], "%Y-%m-%dT%H:%M:%S")
    assert before <= date <= before + datetime.timedelta(seconds=60)  # TZ is UTC
    assert os.stat(os.path.join(trash, "files/file.txt")).st_ino == inode
    assert os.readlink(os.path.join(trash, "files/link")) == "file.txt"
    for folder in (trash, trash + "/files", trash + "/info"):
        assert os.stat(folder).st_mode & 0o7777 == 0o700 and os.stat(folder).st_uid == USER.pw_uid
    os.rename(os.path.join(trash, "files/folder"), info(trash, "folder")[0])
    assert server.get("/a/folder/sub/x").body == b"x"


@pytest.mark.parametrize("name", ["ä ö", "100%", "#?&+=", "=x", ".hidden", "n" * 255, "ü" * 127, "a\\b", "[x]",
                                  "two\nlines\r\n[Trash Info]\nPath=etc\t\x1b\x7f"])
def test_names(server, name):
    for number in range(3):
        target = server.write(f"d/{name}", str(number))
        assert delete(server, urllib.parse.quote(target)).status == 204
    found = lies_there(home_trash(server))
    assert len(found) == 3 and set(found.values()) == {server.path(f"d/{name}")}
    contents = {open(os.path.join(home_trash(server), "files", one)).read() for one in found}
    assert contents == {"0", "1", "2"}
    if len(name.encode()) < 200:
        assert set(found) == {name, f"{name}.2", f"{name}.3"}


def test_what_is_refused_stays(server):
    server.write("x", "x")
    server.write("closed/y", "y")
    os.chmod(server.path("closed"), 0o555)
    for target, fields, status in (("/x", {"If_Match": '"other"'}, 412), ("/missing", {}, 404), ("/x/", {}, 404), ("/", {}, 403),
                                   ("/closed/y", {}, 403), ("/closed", {"Depth": "0"}, 400)):
        assert delete(server, target, **fields).status == status, target
    assert delete(server, "/x", auth=BOB).status == 403
    assert lies_there(home_trash(server)) == {}
    assert server.get("/x").body == b"x" and server.get("/closed/y").body == b"y"
    os.chmod(server.path("closed"), 0o755)


def test_many_at_once(server):
    for number in range(MANY):
        server.write(f"f{number}/same", str(number))
    with_results = [None] * 2 * MANY

    def run(number):
        with_results[number] = delete(server, f"/f{number % MANY}/same").status

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2 * MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert with_results.count(204) == MANY and with_results.count(404) == MANY
    found = lies_there(home_trash(server))
    assert sorted(found.values()) == sorted(server.path(f"f{number}/same") for number in range(MANY))


def test_a_trash_in_the_folder_itself(make_server):
    """What lies in the trash is deleted for good."""
    one = make_server("--trash", start=False)
    one.environment["XDG_DATA_HOME"] = one.path(".data")
    one.start()
    trash = one.path(".data/Trash")
    for name in ("x", "folder/y"):
        one.write(name, name)
    assert delete(one, "/x").status == 204 and delete(one, "/folder").status == 204
    assert set(lies_there(trash)) == {"x", "folder"}
    assert one.get("/.data/Trash/files/x").body == b"x"
    assert delete(one, "/.data/Trash/files/x").status == 204
    assert delete(one, "/.data/Trash/info/x.trashinfo").status == 204
    assert set(lies_there(trash)) == {"folder"}
    assert delete(one, "/.data").status == 403
    assert delete(one, "/.data/Trash/files/folder").status == 204
    assert os.listdir(trash + "/files") == []


def test_what_is_covered_is_left_alone(make_server):
    one = make_server("--trash", start=False)
    one.environment["XDG_STATE_HOME"] = one.path("state")
    os.makedirs(one.path("state"))
    own(one.path("state"))
    one.write("beside", "x")
    one.start()
    wait_for(lambda: os.path.isdir(one.path("state/fastfile")), 5 * SLOW, "its state folder")
    inside = set(os.listdir(one.path("state/fastfile")))
    assert delete(one, "/state/fastfile").status in (403, 409)
    assert delete(one, "/beside").status == 204
    assert set(os.listdir(one.path("state/fastfile"))) >= inside
    assert set(lies_there(home_trash(one))) == {"beside"}


def test_from_the_configuration_file(make_server):
    one = make_server(start=False)
    path = os.path.join(one.base, "fastfile.ini")
    with open(path, "w") as file:
        file.write("trash = yes\n")
    own(path)
    one.options += ["--config", path]
    one.write("x", "x")
    one.start()
    assert delete(one, "/x").status == 204
    assert set(lies_there(home_trash(one))) == {"x"}


def test_without_it_things_are_gone(make_server):
    one = make_server()
    one.write("x", "x")
    assert delete(one, "/x").status == 204
    assert not os.path.exists(home_trash(one))


def children_of(pid):
    with host.fdopen(host.open(f"/proc/{pid}/task/{pid}/children", host.O_RDONLY)) as file:
        return [int(one) for one in file.read().split()]


def home_and_children(server):
    return next((pid, children) for pid in server.roles()["home"] if (children := children_of(pid)))


def answers(ask):
    """What ask() returns, False where home has ended before it answered."""
    try:
        return ask()
    except (OSError, ClosedEarly):
        return False


def test_its_processes_live_and_die_with_home(server):
    home, children = home_and_children(server)
    for child in children:
        open_there = [os.readlink(f"/proc/{child}/fd/{number}") for number in os.listdir(f"/proc/{child}/fd")]
        assert sum(one.startswith("socket:") for one in open_there) == 1
        assert {line.split()[1] for line in open(f"/proc/{child}/status") if line.startswith("Seccomp:")} == {"2"}
    os.kill(home, 9)
    wait_for(lambda: not any(os.path.exists(f"/proc/{child}") for child in children), 5 * SLOW, "their end")
    server.write("x", "x")
    wait_for(lambda: answers(lambda: delete(server, "/x").status == 204), 10 * SLOW, "another one")
    assert set(lies_there(home_trash(server))) == {"x"}


def test_who_waits_for_the_disk_holds_up_nobody(server):
    """As if all of its processes but one were at it."""
    _, children = home_and_children(server)
    waiting, free = children[1:], children[:1]
    assert waiting and free
    for number in range(len(children)):
        server.write(f"f{number}", "x")
    statuses = []

    def run(number):
        statuses.append(delete(server, f"/f{number}").status)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(children))]
    try:
        for child in waiting:
            os.kill(child, signal.SIGSTOP)
        for thread in threads:
            thread.start()
        wait_for(lambda: statuses, 5 * SLOW, "one of the deletions")
    finally:
        for child in waiting:
            os.kill(child, signal.SIGCONT)
        for thread in threads:
            thread.join()
    assert statuses == [204] * len(children)
    assert set(lies_there(home_trash(server))) == {f"f{number}" for number in range(len(children))}


@pytest.mark.parametrize("call", ["fsync", "fsync_folder"])
def test_a_disk_that_fails(make_server, call):
    """Where it was is on the disk before it moves: if that fails it stays."""
    one = make_server("--trash", start=False)
    faults = Faults(one)
    one.write("x", "x")
    one.start()
    assert one.get("/x").body == b"x"  # who serves the folder has synced what it keeps itself
    faults.set(call, errno.EIO, times=1)
    assert delete(one, "/x").status == 500
    assert one.get("/x").body == b"x" and lies_there(home_trash(one)) == {}
    faults.set("fsync_folder", errno.EIO, skip=1, times=1)  # it has moved, and nobody knows whether that lasts
    assert delete(one, "/x").status == 500
    assert set(lies_there(home_trash(one))) == {"x"}
    one.stop()


def test_nothing_is_synced_where_nobody_wants_it(make_server):
    one = make_server("--trash", "--durability", "none", start=False)
    faults = Faults(one)
    one.write("x", "x")
    one.start()
    assert one.get("/x").body == b"x"  # as above
    for call in "fsync", "fsync_folder", "syncfs":
        faults.set(call, errno.EIO)
    response = delete(one, "/x")
    assert response.status == 204 and set(lies_there(home_trash(one))) == {"x"}
    assert restore(one, response.field("Trash-Token")).status == 201 and lies_there(home_trash(one)) == {}
    assert not any(faults.hits(call) for call in ("fsync", "fsync_folder", "syncfs"))
    one.stop()


@needs_mounts
def test_at_the_top_of_another_file_system(make_server):
    with server_on_a_disk(make_server) as (one, disk):
        one.write("a/x", "x")
        one.start()
        assert delete(one, "/a/x").status == 204
        assert lies_there(f"{disk}/.Trash-{USER.pw_uid}") == {"x": "files/a/x"}
        assert not os.path.exists(home_trash(one)) or lies_there(home_trash(one)) == {}


@needs_mounts
def test_started_by_root(make_server):
    """The trash is that of whose files are served, with his rights."""
    with server_on_a_disk(make_server, "--run-as", USER.pw_name, as_root=True) as (one, disk):
        one.write("x", "x")
        one.start()
        assert delete(one, "/x").status == 204
        trash = f"{disk}/.Trash-{USER.pw_uid}"
        assert lies_there(trash) == {"x": "files/x"} and os.stat(trash).st_uid == USER.pw_uid


@needs_mounts
def test_what_is_mounted_below_has_its_own(make_server):
    with server_with_a_disk_below(make_server) as one:
        for name in ("usb/a/b/x", "usb/y", "here", "usb/a/z"):
            one.write(name, name)
        os.symlink("usb/a", one.path("link"))
        one.start()
        for target in ("/usb/a/b/x", "/usb/y", "/here", "/link/z"):
            assert delete(one, target).status == 204, target
        trash = one.path(f"usb/.Trash-{USER.pw_uid}")
        assert lies_there(trash) == {"x": "a/b/x", "y": "y", "z": "z"}
        assert lies_there(home_trash(one)) == {"here": one.path("here")}
        assert delete(one, f"/usb/.Trash-{USER.pw_uid}/files/x").status == 204
        assert not os.path.exists(trash + "/files/x")
        assert delete(one, "/usb").status == 403
        assert delete(one, f"/usb/.Trash-{USER.pw_uid}").status == 403


@pytest.mark.skipif(not IS_ROOT, reason="somebody else's folder")
def test_where_no_trash_can_be(make_server):
    one = make_server("--trash", start=False)
    data = os.path.join(one.base, "data")
    os.mkdir(data)
    os.chmod(data, 0o755)
    one.environment["XDG_DATA_HOME"] = data
    code, log = one.run_to_failure()
    assert code != 0 and "--trash: there is no trash for" in log


# --- and back ----------------------------------------------------------------------------------------------


def test_a_deletion_is_taken_back(server):
    server.write("a ü/file.txt", "content")
    server.write("a ü/folder/sub/x", "x")
    os.symlink("file.txt", server.path("a ü/link"))
    before = {name: os.lstat(server.path(f"a ü/{name}")) for name in ("file.txt", "folder", "link")}
    tokens = {}
    for name in before:
        response = delete(server, f"/a%20%C3%BC/{name}")
        assert response.status == 204
        tokens[name] = response.field("Trash-Token")
    assert len(set(tokens.values())) == 3 and os.listdir(server.path("a ü")) == []
    for name, token in tokens.items():
        response = restore(server, token)
        assert (response.status, response.body) == (201, b"")
        assert response.field("Location") == f"/a%20%C3%BC/{name}" + ("/" if name == "folder" else "")
        after = os.lstat(server.path(f"a ü/{name}"))
        assert (after.st_ino, after.st_mode, after.st_mtime_ns) == tuple(
            getattr(before[name], what) for what in ("st_ino", "st_mode", "st_mtime_ns"))
        assert restore(server, token).status == 404, "once"
    assert lies_there(home_trash(server)) == {}
    assert server.get("/a%20%C3%BC/folder/sub/x").body == b"x"


def test_what_is_taken_back_replaces_nothing(server):
    for number, other in enumerate(("file", "folder", "link")):
        target = server.write(f"d{number}/x", "old")
        token = delete(server, target).field("Trash-Token")
        if other == "file":
            server.write(f"d{number}/x", "new")
        elif other == "folder":
            server.mkdir(f"d{number}/x")
        else:
            os.symlink("nowhere", server.path(f"d{number}/x"))
        what = os.lstat(server.path(f"d{number}/x"))
        for _ in range(2):
            assert restore(server, token).status == 409
        assert os.lstat(server.path(f"d{number}/x")) == what
        os.rename(server.path(f"d{number}/x"), server.path(f"d{number}/y"))
        assert restore(server, token).status == 201, "when the name is free again"
        assert server.get(target).body == b"old"
    assert lies_there(home_trash(server)) == {}


def test_where_its_folder_is_gone(server):
    target = server.write("d/sub/x", "x")
    token = delete(server, target).field("Trash-Token")
    folder = delete(server, "/d/").field("Trash-Token")
    assert restore(server, token).status == 409
    server.write("d", "a file")
    assert restore(server, token).status == 409
    os.remove(server.path("d"))
    assert [restore(server, one).status for one in (folder, token)] == [201, 201]
    assert server.get(target).body == b"x" and lies_there(home_trash(server)) == {}


def test_what_a_desktop_has_done_meanwhile(server):
    trash = home_trash(server)
    tokens = {name: delete(server, server.write(f"d/{name}", name)).field("Trash-Token") for name in ("gone", "back", "new", "moved")}
    for name in tokens:
        os.remove(f"{trash}/info/{name}.trashinfo")
    os.remove(f"{trash}/files/gone")
    os.rename(f"{trash}/files/back", server.path("d/back"))
    with open(f"{trash}/other", "w") as file:
        file.write("the desktop's")
    os.rename(f"{trash}/other", f"{trash}/files/new")
    for name, path in (("new", "d/new"), ("moved", "elsewhere")):
        with open(f"{trash}/info/{name}.trashinfo", "w") as file:
            file.write(f"[Trash Info]\nPath={server.path(path)}\nDeletionDate=2026-01-01T00:00:00\n")
    for name, token in tokens.items():
        assert restore(server, token).status == 404, name
    assert sorted(os.listdir(server.path("d"))) == ["back"]
    assert sorted(os.listdir(trash + "/files")) == ["moved", "new"] == sorted(one[:-10] for one in os.listdir(trash + "/info"))


def test_a_desktop_deletes_it_again_meanwhile(server):
    """The same name, the same place, the same time: and yet another deletion."""
    trash = home_trash(server)
    token = delete(server, server.write("d/x", "x")).field("Trash-Token")
    with open(f"{trash}/info/x.trashinfo") as file:
        text = file.read()
    lines = text.splitlines(keepends=True)
    assert [line.split("=")[0] for line in lines] == ["[Trash Info]\n", "Path", "DeletionDate", "X-Fastfile-Deletion"]
    for other in ("".join(lines[:3]), text[:-2] + "~\n"):
        with open(f"{trash}/info/x.trashinfo", "w") as file:
            file.write(other)
        assert restore(server, token).status == 404
    assert set(lies_there(trash)) == {"x"}
    with open(f"{trash}/info/x.trashinfo", "w") as file:
        file.write(text)
    assert restore(server, token).status == 201, "what was missing may come again"
    assert lies_there(trash) == {}


def test_its_folder_under_another_name(server):
    token = delete(server, server.write("d/x", "x")).field("Trash-Token")
    os.rename(server.path("d"), server.path("e"))
    for _ in range(2):
        response = restore(server, token)
        assert response.status == 409 and b"folder" in response.body
    os.rename(server.path("e"), server.path("d"))
    assert restore(server, token).status == 201


def test_whose_deletion_it_was(make_server):
    carol = ("carol", "carpenter")
    one = make_server("--trash", users={ALICE[0]: (ALICE[1], False), BOB[0]: (BOB[1], True), carol[0]: (carol[1], False)})
    token = delete(one, one.write("x", "x")).field("Trash-Token")
    assert restore(one, token, auth=BOB).status == 403
    assert restore(one, token, auth=None).status == 401
    assert restore(one, token, auth=carol).status == 404
    assert restore(one, token, Sec_Fetch_Site="cross-site").status == 403
    assert restore(one, token, Origin="https://other.example").status == 403
    guesses = ["", "x", token[:-1], token + "0", "ffff" + token[4:], token[:4] + "0" * 32, "../" * 12, "g" * 36, token.upper()]
    for guess in guesses:
        assert restore(one, guess).status in (400, 404) or guess == token, guess
    assert set(lies_there(home_trash(one))) == {"x"} and not os.path.exists(one.path("x"))
    assert restore(one, token, Origin=one.origin, Sec_Fetch_Site="same-origin").status == 201


def test_requests_that_are_none(server):
    token = delete(server, server.write("x", "x")).field("Trash-Token")
    assert server.request("POST", "/.fastfile/restore", body=b"token=" + token.encode()).status == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for target, body, status in (("", b"", 400), ("", b"other=x", 400), ("", b"token=%00", 400), ("", b"a" * 9000, 413),
                                 ("/", b"token=" + token.encode(), 404), ("/x", b"token=" + token.encode(), 404)):
        response = server.request("POST", "/.fastfile/restore" + target, body=body, fields=form)
        assert response.status == status or (target, response.status) == ("/", 201), (target, body)
    assert server.get("/.fastfile/restore").status == 404


def test_the_conditions_of_a_change_hold(server):
    target = server.write("d/x", "x")
    token = delete(server, target).field("Trash-Token")
    locked = token_of(lock(server, "/d/"))
    response = restore(server, token)
    assert response.status == 423 and b"/d" in response.body
    assert restore(server, token, If_Match="*").status == 412
    assert restore(server, token, If="(").status == 400
    assert not os.path.exists(server.path("d/x"))
    assert restore(server, token, If=f"</d/> (<{locked}>)").status == 201
    assert unlock(server, "/d/", locked).status == 204
    assert server.get(target).body == b"x"


def test_a_folder_that_may_not_be_written(server):
    token = delete(server, server.write("d/x", "x")).field("Trash-Token")
    os.chmod(server.path("d"), 0o555)
    assert restore(server, token).status == 403
    os.chmod(server.path("d"), 0o755)
    assert restore(server, token).status == 201


def test_many_are_taken_back_at_once(server):
    tokens = [delete(server, server.write(f"f{number}/same", str(number))).field("Trash-Token") for number in range(20)]
    statuses = together(40, lambda number: restore(server, tokens[number % 20]).status)
    assert sorted(statuses) == [201] * 20 + [404] * 20
    for number in range(20):
        assert server.get(f"/f{number}/same").body == str(number).encode()
    assert lies_there(home_trash(server)) == {}


def test_what_cannot_be_taken_back(make_server):
    one = make_server("--trash", start=False)
    one.environment["XDG_DATA_HOME"] = one.path(".data")
    one.start()
    token = delete(one, one.write("x", "x")).field("Trash-Token")
    response = delete(one, "/.data/Trash/files/x")
    assert response.status == 204 and response.field("Trash-Token") is None, "for good"
    assert restore(one, token).status == 404
    other = make_server()
    response = delete(other, other.write("x", "x"))
    assert response.status == 204 and response.field("Trash-Token") is None
    assert restore(other, token).status == 404


def test_another_home_knows_nothing_of_it(server):
    token = delete(server, server.write("x", "x")).field("Trash-Token")
    os.kill(home_and_children(server)[0], 9)
    wait_for(lambda: answers(lambda: server.get("/").status == 200), 10 * SLOW, "another one")
    assert restore(server, token).status == 404
    assert set(lies_there(home_trash(server))) == {"x"}


def test_a_disk_that_fails_on_the_way_back(make_server):
    """What is not certainly back can still be found in the trash's notes."""
    one = make_server("--trash", start=False)
    faults = Faults(one)
    for name in "xy":
        one.write(name, name)
    one.start()
    tokens = [delete(one, f"/{name}").field("Trash-Token") for name in "xy"]
    faults.set("fsync_folder", errno.EIO, times=1)
    assert restore(one, tokens[0]).status == 500
    assert one.get("/x").body == b"x"
    assert sorted(os.listdir(home_trash(one) + "/info")) == ["x.trashinfo", "y.trashinfo"]
    faults.set("fsync_folder", errno.EIO, skip=1, times=1)
    assert restore(one, tokens[1]).status == 500
    assert one.get("/y").body == b"y" and os.listdir(home_trash(one) + "/files") == []
    assert [restore(one, token).status for token in tokens] == [404, 404]
    one.stop()


@needs_mounts
def test_back_to_what_is_mounted_below(make_server):
    with server_with_a_disk_below(make_server) as one:
        for name in ("usb/a/b/x", "usb/y", "usb/a/z"):
            one.write(name, name)
        os.symlink("usb/a", one.path("link"))
        one.start()
        tokens = {target: delete(one, target).field("Trash-Token") for target in ("/usb/a/b/x", "/usb/y", "/link/z", "/usb/a/b/")}
        assert restore(one, tokens["/usb/a/b/x"]).status == 409
        for target in ("/usb/a/b/", "/usb/a/b/x", "/usb/y", "/link/z"):
            response = restore(one, tokens[target])
            assert (response.status, response.field("Location")) == (201, target), target
        for name in ("usb/a/b/x", "usb/y", "usb/a/z"):
            assert one.get("/" + name).body == name.encode()
        assert lies_there(one.path(f"usb/.Trash-{USER.pw_uid}")) == {}
        token = delete(one, "/usb/y").field("Trash-Token")
        os.remove(one.path(f"usb/.Trash-{USER.pw_uid}/files/y"))
        assert restore(one, token).status == 404


@needs_mounts
def test_back_to_what_is_not_mounted_any_more(make_server):
    """Shared, so that home sees what is mounted later."""
    one = make_server("--trash", start=False, dir_name="top/files")
    top, disk = os.path.dirname(one.dir), os.path.join(one.base, "disk")
    os.mkdir(disk)
    with mounted(top), mounted(disk):
        subprocess.run(["mount", "--make-shared", top], check=True)
        os.mkdir(one.dir)
        one.mkdir("usb")
        subprocess.run(["mount", "--bind", disk, one.path("usb")], check=True)
        one.write("usb/x", "x")
        one.start()
        token = delete(one, "/usb/x").field("Trash-Token")
        subprocess.run(["umount", "-l", one.path("usb")], check=True)
        for _ in range(2):
            response = restore(one, token)
            assert response.status == 409 and b"folder" in response.body
        assert os.listdir(one.path("usb")) == []
        subprocess.run(["mount", "--bind", disk, one.path("usb")], check=True)
        os.rename(f"{disk}/.Trash-{USER.pw_uid}", f"{disk}/aside")
        assert restore(one, token).status == 404
        assert os.listdir(disk) == ["aside"], "no trash is made on the way back"
        os.rename(f"{disk}/aside", f"{disk}/.Trash-{USER.pw_uid}")
        assert restore(one, token).status == 201
        assert one.get("/usb/x").body == b"x"
        one.stop()


@needs_mounts
def test_back_from_the_top_of_another_file_system(make_server):
    with server_on_a_disk(make_server) as (one, disk):
        one.write("a/x", "x")
        one.start()
        assert restore(one, delete(one, "/a/x").field("Trash-Token")).status == 201
        assert one.get("/a/x").body == b"x" and lies_there(f"{disk}/.Trash-{USER.pw_uid}") == {}
