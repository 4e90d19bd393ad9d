"""MKCOL, DELETE, MOVE, COPY: what is there afterwards, what is answered, and that nothing outside is touched."""
import contextlib
import errno
import re
import shutil
import stat
import subprocess
import threading
import time
import urllib.parse

import pytest
from changes import change, content, copy, failures, move, names, shape, tree
from client import together, wait_for
from faults import Faults
from machine import IN_VM, IS_ROOT, USER, not_in_the_vm, open, os
from server import ALICE, BOB, SLOW, own

MANY = 20 if SLOW > 1 else 100
LARGE = 1_000 if SLOW > 1 else 10_000  # entries of a large tree
DEEP = 50 if IN_VM else 200
METHODS_WITH_TARGET = ["MOVE", "COPY"]


def open_files(server):
    path = f"/proc/{server.pid_of('home')}/fd"
    found = 0
    for one in os.listdir(path):
        with contextlib.suppress(FileNotFoundError):
            found += bool(re.match(r"/|\(deleted\)", os.readlink(f"{path}/{one}")))
    return found


@pytest.fixture
def nothing_left_open(server):
    server.get("/")
    before = open_files(server)
    yield
    wait_for(lambda: open_files(server) <= before, 5 * SLOW, "as few open files as before")


# --- MKCOL -------------------------------------------------------------------------------------------------


def test_a_new_folder(server):
    response = change(server, "MKCOL", "/new/")
    assert (response.status, response.body) == (201, b"")
    assert os.path.isdir(server.path("new")) and stat.S_IMODE(os.stat(server.path("new")).st_mode) == 0o755
    assert change(server, "MKCOL", "/new/sub").status == 201
    assert [entry["name"] for entry in server.get("/new/?format=json").json()["entries"]] == ["sub"]
    assert change(server, "MKCOL", "/new/%C3%A4%20b").status == 201
    assert names(server, "new") == {"sub", "ä b"}


def test_places_where_no_folder_can_be(server):
    server.write("there.txt", "x")
    os.symlink("nowhere", server.path("link"))
    for target, status in (("/", 405), ("/there.txt", 405), ("/link", 405), ("/missing/new", 409), ("/there.txt/new", 409),
                           ("/.fastfile", 404), ("/.fastfile-x", 404), ("/.fastfile/x", 404), ("/a%2fb", 400), ("/../x", 400),
                           ("/" + "n" * 256, 414), ("/" + "n" * 255, 201)):
        response = change(server, "MKCOL", target)
        assert response.status == status, target
        if status == 405:
            assert ("DELETE" in response.field("Allow")) == (target != "/") and "MKCOL" not in response.field("Allow")
    assert content(server, "there.txt") == b"x" and os.readlink(server.path("link")) == "nowhere"
    os.rmdir(server.path("n" * 255))


def test_a_new_folder_has_no_body_and_honours_preconditions(server):
    assert change(server, "MKCOL", "/made", body=b"<x/>").status == 415
    assert change(server, "MKCOL", "/made", fields={"If-Match": "*"}).status == 412
    assert not os.path.exists(server.path("made"))
    assert change(server, "MKCOL", "/made", fields={"If-None-Match": "*"}, body=b"").status == 201


def test_a_new_folder_has_the_umask_and_the_folders_group(server):
    os.makedirs(server.path("shared"), exist_ok=True)
    own(server.path("shared"))
    if IS_ROOT:
        os.chown(server.path("shared"), -1, 12345)
    os.chmod(server.path("shared"), 0o2775)
    assert change(server, "MKCOL", "/shared/x").status == 201
    st = os.stat(server.path("shared/x"))
    assert stat.S_IMODE(st.st_mode) == 0o2755
    assert st.st_gid == os.stat(server.path("shared")).st_gid


def test_a_new_folder_where_others_cannot_be_seen(server):
    server.mkdir("dropbox")
    os.chmod(server.path("dropbox"), 0o333)
    assert change(server, "MKCOL", "/dropbox/x").status == 201
    assert change(server, "DELETE", "/dropbox/x").status == 204
    os.chmod(server.path("dropbox"), 0o755)


def test_one_of_many_makes_it(server):
    assert sorted(one.status for one in together(20, lambda _: change(server, "MKCOL", "/once"))) == [201] + [405] * 19


# --- DELETE ------------------------------------------------------------------------------------------------


def test_a_file_goes(server, nothing_left_open):
    tree(server, "gone.txt", "stays.txt")
    assert server.get("/gone.txt").status == 200
    response = change(server, "DELETE", "/gone.txt")
    assert (response.status, response.body) == (204, b"")
    assert server.get("/gone.txt").status == 404
    assert change(server, "DELETE", "/gone.txt").status == 404
    assert not os.path.exists(server.path("gone.txt")) and os.path.exists(server.path("stays.txt"))


def test_a_change_is_seen_by_what_waits_behind_it(server):
    server.write("pipelined.txt", "x")
    with server.connect() as connection:
        for method, target in (("GET", "/pipelined.txt"), ("DELETE", "/pipelined.txt"), ("GET", "/pipelined.txt"),
                               ("MKCOL", "/pipelined.txt"), ("GET", "/pipelined.txt/")):
            connection.send_request(method, target, auth=ALICE)
        assert [connection.read_response().status for _ in range(5)] == [200, 204, 404, 201, 200]


def test_a_folder_goes_with_all_that_is_in_it(server, nothing_left_open):
    tree(server, "a", "b/c", "b/d/e", "b/.hidden", ".fastfile-debris", top="top")
    os.symlink("/etc", server.path("top/b/out"))
    os.symlink("nowhere", server.path("top/b/dangling"))
    os.mkfifo(server.path("top/b/fifo"))
    server.mkdir("top/b/empty")
    assert change(server, "DELETE", "/top").status == 204
    assert not os.path.exists(server.path("top")) and os.path.exists("/etc/passwd")
    server.mkdir("top")
    assert change(server, "DELETE", "/top/").status == 204
    assert not os.path.exists(server.path("top"))


def test_a_link_goes_and_not_what_it_leads_to(server):
    tree(server, "f", "d/x", top="kept")
    for name, target in (("to-file", "f"), ("to-folder", "d"), ("to-nothing", "-"), ("out", "/etc/passwd")):
        os.symlink(target, server.path(f"kept/{name}"))
    assert change(server, "DELETE", "/kept/to-folder/").status == 204
    for name in ("to-file", "to-nothing", "out"):
        assert change(server, "DELETE", f"/kept/{name}").status == 204
    assert names(server, "kept") == {"f", "d"} and names(server, "kept/d") == {"x"}


def test_what_cannot_be_deleted(server):
    tree(server, "file.txt")
    for target, status in (("/", 403), ("/.", 403), ("/missing", 404), ("/missing/x", 404), ("/file.txt/", 404), ("/file.txt/x", 404),
                           ("/.fastfile", 404), ("/.fastfile/x", 404), ("/.fastfile-x/y", 404), ("/../x", 400)):
        assert change(server, "DELETE", target).status == status, target
    assert content(server, "file.txt") == b"file.txt"


def test_preconditions(server):
    server.write("tagged.txt", "x")
    os.utime(server.path("tagged.txt"), (1_000_000_000, 1_000_000_000))
    time.sleep(0.1)
    tag = server.head("/tagged.txt").field("ETag")
    for fields in ({"If-Match": '"other"'}, {"If-Match": "W/" + tag}, {"If-None-Match": tag}, {"If-None-Match": "*"},
                   {"If-Unmodified-Since": "Sun, 09 Sep 2001 01:46:39 GMT"}):
        assert change(server, "DELETE", "/tagged.txt", fields=fields).status == 412, fields
    assert change(server, "DELETE", "/missing.txt", fields={"If-Match": "*"}).status in (404, 412)
    assert change(server, "DELETE", "/tagged.txt", fields={"If-Match": tag}).status == 204
    tree(server, "x", top="cond")
    assert change(server, "DELETE", "/cond", fields={"If-None-Match": "*"}).status == 412
    assert change(server, "DELETE", "/cond", fields={"If-Match": '"x"'}).status == 412
    for depth, status in (("0", 400), ("1", 400), ("x", 400), ("Infinity", 204)):
        assert change(server, "DELETE", "/cond", fields={"Depth": depth}).status == status


def test_what_stays_is_told(server, nothing_left_open):
    tree(server, "a/free", "a/closed/x", "a/closed/y & <z>", "b/c/d", "e", top="partly")
    os.chmod(server.path("partly/a/closed"), 0o555)
    response = change(server, "DELETE", "/partly/")
    assert failures(response) == {"/partly/a/closed/x": 403, "/partly/a/closed/y%20%26%20%3Cz%3E": 403}
    assert names(server, "partly") == {"a"} and names(server, "partly/a") == {"closed"}
    assert names(server, "partly/a/closed") == {"x", "y & <z>"}
    os.chmod(server.path("partly/a/closed"), 0o755)
    assert change(server, "DELETE", "/partly/").status == 204


def test_a_folder_that_may_not_go_keeps_what_is_in_it(server):
    tree(server, "in/x", "in/y/z", top="fixed")
    os.chmod(server.path("fixed"), 0o555)
    assert change(server, "DELETE", "/fixed/in").status == 403
    assert names(server, "fixed/in") == {"x", "y"}
    os.chmod(server.path("fixed"), 0o755)


def test_folders_that_cannot_be_read(server):
    tree(server, "full/x", "other", top="unread")
    server.mkdir("unread/empty")
    for name in ("full", "empty"):
        os.chmod(server.path(f"unread/{name}"), 0o333)
    assert failures(change(server, "DELETE", "/unread")) == {"/unread/full": 403}
    assert names(server, "unread") == {"full"}
    os.chmod(server.path("unread/full"), 0o755)
    assert names(server, "unread/full") == {"x"}


def test_the_list_of_what_stays_ends(server):
    for number in range(250):
        server.write(f"many/closed/{number}")
    os.chmod(server.path("many/closed"), 0o555)
    response = change(server, "DELETE", "/many")
    assert len(failures(response)) == 100
    assert "And 150 more." in response.text
    os.chmod(server.path("many/closed"), 0o755)


@not_in_the_vm("descriptors of folders")
def test_deeper_than_any_path(server, nothing_left_open):
    """All of it goes; what stays and has no address is counted."""
    server.mkdir("beyond")
    fds = [os.open(server.path("beyond"), os.O_RDONLY)]
    try:
        for _ in range(20):
            os.mkdir("n" * 250, dir_fd=fds[-1])
            os.chown("n" * 250, *([USER.pw_uid, USER.pw_gid] if IS_ROOT else [-1, -1]), dir_fd=fds[-1])
            fds.append(os.open("n" * 250, os.O_RDONLY, dir_fd=fds[-1]))
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fds[-1]))
        os.chmod(fds[-1], 0o555)
        response = change(server, "DELETE", "/beyond")
        assert failures(response) == {} and "And 1 more." in response.text
        os.chmod(fds[-1], 0o755)
        assert change(server, "DELETE", "/beyond").status == 204
        assert not os.path.exists(server.path("beyond"))
    finally:
        for fd in fds:
            os.close(fd)


def make_deep(server, top, depth):
    """From the inside: the path may be longer than any call takes."""
    server.mkdir(top)
    path = top
    for number in range(depth):
        path += f"/{number}"
        os.mkdir(server.path(path))
        server.own_below(path)
    server.write(f"{path}/bottom", "x")


def test_a_deep_tree(server, nothing_left_open):
    make_deep(server, "deep", DEEP)
    assert change(server, "DELETE", "/deep").status == 204
    assert not os.path.exists(server.path("deep"))


def test_a_large_tree(server, nothing_left_open):
    for number in range(100):
        os.makedirs(server.path(f"large/{number}"))
        for file in range(LARGE // 100):
            with open(server.path(f"large/{number}/{file}"), "wb"):
                pass
    own(server.path("large"))
    assert change(server, "DELETE", "/large").status == 204
    assert not os.path.exists(server.path("large"))


def test_many_delete_the_same_tree(server, nothing_left_open):
    for _ in range(5):
        tree(server, *[f"{a}/{b}/{c}" for a in range(5) for b in range(5) for c in range(5)], top="same")
        found = [one.status for one in together(20, lambda _: change(server, "DELETE", "/same"))]
        assert set(found) <= {204, 404} and 204 in found
        assert not os.path.exists(server.path("same"))


def test_somebody_fills_what_is_being_deleted(server):
    """Nothing new is lost unseen: either it is gone with all, or the answer tells of it."""
    stop = threading.Event()

    def fill():
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(OSError):
                os.mkdir(server.path(f"filled/{number % 7}"))
                with open(server.path(f"filled/{number % 7}/{number}"), "wb"):
                    pass

    thread = threading.Thread(target=fill)
    os.makedirs(server.path("filled"))
    own(server.path("filled"))
    os.chmod(server.path("filled"), 0o777)
    thread.start()
    try:
        for _ in range(10 if IN_VM else 50):
            response = change(server, "DELETE", "/filled")
            assert response.status in (204, 207, 404), response
            if response.status == 207:
                assert set(failures(response).values()) <= {403, 409}
            with contextlib.suppress(FileExistsError):
                os.mkdir(server.path("filled"))
                own(server.path("filled"))
                os.chmod(server.path("filled"), 0o777)
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def swapping(server, folder, victim, target):
    """Meanwhile a folder is exchanged for a link that leads outside, again and again."""
    stop = threading.Event()
    there, away = server.path(f"{folder}/{victim}"), server.path(f"{folder}/away")

    def swap():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                os.rename(there, away)
            with contextlib.suppress(OSError):
                os.symlink(target, there)
            with contextlib.suppress(OSError):
                os.unlink(there)
            with contextlib.suppress(OSError):
                os.rename(away, there)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def make_outside(server):
    """Files beside the folder that is served: {path: content}."""
    outside = os.path.join(server.base, "outside")
    files = [f"{outside}/{a}/{b}" for a in range(5) for b in range(5)]
    for path in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("precious")
    own(outside)
    return outside, files


@not_in_the_vm("the race needs many rounds")
def test_folders_that_become_links_lead_nowhere(server, nothing_left_open):
    outside, precious = make_outside(server)
    for _ in range(MANY):
        tree(server, *[f"sub/victim/{a}/{b}" for a in range(5) for b in range(5)], top="raced")
        with swapping(server, "raced/sub", "victim", outside):
            assert change(server, "DELETE", "/raced").status in (204, 207)
        shutil.rmtree(server.path("raced"), ignore_errors=True)
    assert all(open(path).read() == "precious" for path in precious)


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts")
def test_what_is_mounted_stays(make_server):
    one = make_server(start=False)
    tree(one, "x/beside", "x/deeper/y")
    one.mkdir("x/mounted")
    subprocess.run(["mount", "-t", "ramfs", "none", one.path("x/mounted")], check=True)
    try:
        tree(one, "a/b", "c", top="x/mounted")
        own(one.path("x"))
        one.start()
        assert failures(change(one, "DELETE", "/x")) == {"/x/mounted": 403}
        assert names(one, "x") == {"mounted"} and names(one, "x/mounted") == {"a", "c"}
        assert change(one, "DELETE", "/x/mounted").status == 403
        assert change(one, "MKCOL", "/x/mounted/new").status == 201
        assert change(one, "DELETE", "/x/mounted/a").status == 204
        assert change(one, "DELETE", "/x/mounted/c").status == 204
        assert names(one, "x/mounted") == {"new"}
    finally:
        subprocess.run(["umount", "-l", one.path("x/mounted")], check=True)


# --- MOVE --------------------------------------------------------------------------------------------------


@pytest.fixture
def place(server):
    """A folder of the test's own: its name."""
    name = f"place{len(names(server))}"
    server.mkdir(name)
    yield name
    assert not [one for one in shape(server, name) if ".fastfile" in one], "something is left behind"


def test_a_file_moves(server, place, nothing_left_open):
    tree(server, "a", "sub/b", top=place)
    inode = os.stat(server.path(f"{place}/a")).st_ino
    response = move(server, f"/{place}/a", f"/{place}/sub/new name".replace(" ", "%20"))
    assert (response.status, response.body) == (201, b"")
    assert shape(server, place) == {"sub/": None, "sub/b": "sub/b", "sub/new name": "a"}
    assert os.stat(server.path(f"{place}/sub/new name")).st_ino == inode
    assert move(server, f"/{place}/sub/new%20name", f"/{place}/sub/b").status == 204
    assert shape(server, place) == {"sub/": None, "sub/b": "a"}


def test_a_folder_moves(server, place, nothing_left_open):
    tree(server, "a/x", "a/y/z", "b/old", "c/d/e", top=place)
    os.symlink("x", server.path(f"{place}/a/link"))
    assert move(server, f"/{place}/a/", f"/{place}/new/").status == 201
    moved = {"new/": None, "new/x": "a/x", "new/y/": None, "new/y/z": "a/y/z", "new/link": "-> x"}
    rest = {"c/": None, "c/d/": None, "c/d/e": "c/d/e"}
    assert shape(server, place) == {**moved, **rest, "b/": None, "b/old": "b/old"}
    assert move(server, f"/{place}/b", f"/{place}/new", "F").status == 412
    assert shape(server, place) == {**moved, **rest, "b/": None, "b/old": "b/old"}
    assert move(server, f"/{place}/new", f"/{place}/b", "T").status == 204
    assert shape(server, place) == {**{name.replace("new", "b"): text for name, text in moved.items()}, **rest}


def test_folders_and_files_replace_each_other(server, place, nothing_left_open):
    tree(server, "file", "folder/x", "file2", "folder2/y", top=place)
    server.mkdir(f"{place}/empty")
    server.mkdir(f"{place}/empty2")
    assert move(server, f"/{place}/file", f"/{place}/folder/").status == 204
    assert move(server, f"/{place}/folder2", f"/{place}/file2").status == 204
    assert shape(server, place) == {"folder": "file", "file2/": None, "file2/y": "folder2/y", "empty/": None, "empty2/": None}
    assert move(server, f"/{place}/empty", f"/{place}/empty2").status == 204
    assert move(server, f"/{place}/folder", f"/{place}/empty2").status == 204
    assert move(server, f"/{place}/empty2", f"/{place}/file2/new").status == 201
    assert shape(server, place) == {"file2/": None, "file2/y": "folder2/y", "file2/new": "file"}


def test_links_are_moved_and_replaced_themselves(server, place):
    tree(server, "real/x", "other", top=place)
    os.symlink("real/x", server.path(f"{place}/link"))
    os.symlink("/etc/passwd", server.path(f"{place}/out"))
    assert move(server, f"/{place}/link", f"/{place}/real/link").status == 201
    assert move(server, f"/{place}/other", f"/{place}/out").status == 204
    assert shape(server, place) == {"real/": None, "real/x": "real/x", "real/link": "-> real/x", "out": "other"}
    os.symlink("/etc", server.path(f"{place}/folder-out"))
    os.symlink("real", server.path(f"{place}/folder-in"))
    assert move(server, f"/{place}/out", f"/{place}/folder-out/x").status == 403
    assert move(server, f"/{place}/folder-out/passwd", f"/{place}/x").status == 403
    assert move(server, f"/{place}/out", f"/{place}/folder-in/new").status == 201
    assert move(server, f"/{place}/folder-in/x", f"/{place}/folder-out").status == 204
    assert shape(server, place) == {"real/": None, "real/new": "other", "real/link": "-> real/x", "folder-in": "-> real",
                                    "folder-out": "real/x"}


def test_two_names_of_one_file(server, place):
    tree(server, "a", top=place)
    os.link(server.path(f"{place}/a"), server.path(f"{place}/b"))
    assert move(server, f"/{place}/a", f"/{place}/b").status == 204
    assert shape(server, place) == {"b": "a"}


CONTROL = "two\nlines\r\n\x1b[31m\ttab\x7f"


def test_names_with_control_characters(server, place):
    def at(name):
        return f"/{place}/" + urllib.parse.quote(name)

    assert change(server, "MKCOL", at(CONTROL)).status == 201
    response = change(server, "PUT", at(f"{CONTROL}/{CONTROL}"), body=b"x")
    assert response.status == 201 and response.field("Location") in (None, at(f"{CONTROL}/{CONTROL}"))
    assert copy(server, at(CONTROL), at(f"{CONTROL}2/")).status == 201
    assert move(server, at(f"{CONTROL}/{CONTROL}"), at(f"{CONTROL}/b\n")).status == 201
    assert move(server, at(f"{CONTROL}/b\n"), at(f"{CONTROL}2/{CONTROL}"), overwrite="F").status == 412
    assert shape(server, place) == {f"{CONTROL}/": None, f"{CONTROL}/b\n": "x", f"{CONTROL}2/": None, f"{CONTROL}2/{CONTROL}": "x"}
    assert change(server, "DELETE", at(CONTROL)).status == 204
    assert shape(server, place) == {f"{CONTROL}2/": None, f"{CONTROL}2/{CONTROL}": "x"}
    os.chmod(server.path(f"{place}/{CONTROL}2"), 0o555)
    try:
        assert failures(change(server, "DELETE", at(f"{CONTROL}2/"))) == {at(f"{CONTROL}2/{CONTROL}"): 403}
    finally:
        os.chmod(server.path(f"{place}/{CONTROL}2"), 0o755)


BAD_TARGETS = [
    (None, 400), ("", 400), ("relative", 400), ("//host/x", 400), ("/p/%zz", 400), ("/p/a%2fb", 400), ("/p/../../x", 400), ("/p/%00", 400),
    ("/p/a\tb", 400), ("/p/%0a%2f", 400),
    ("/p/x?y", 400), ("/p/x#y", 400), ("https://elsewhere.example/p/x", 502), ("ftp://localhost/p/x", 502), ("mailto:x", 502),
    ("https://user@localhost/p/x", 502), ("/" + "x/" * 3000, 414), ("/p/" + "n" * 256, 414), ("/", 403), ("/p", 403), ("/p/a", 403),
    ("/p/../p/%61", 403), ("/p/a/", 403), ("/p/a/inside", 403), ("/.fastfile/x", 403), ("/p/.fastfile-x", 403), ("/p/.fastfile", 403),
    ("/p/missing/x", 409), ("/p/file/x", 409), ("/p/alias/a/inside", 403), ("/p/alias/a", 403), ("/p/a/up/a", 403),
]


@pytest.mark.parametrize("method", METHODS_WITH_TARGET)
@pytest.mark.parametrize("target, status", BAD_TARGETS)
def test_targets_that_are_refused(server, method, target, status):
    shutil.rmtree(server.path("p"), ignore_errors=True) if not IN_VM else change(server, "DELETE", "/p")
    tree(server, "a/x", "file", top="p")
    os.symlink(".", server.path("p/alias"))
    os.symlink("..", server.path("p/a/up"))
    before = shape(server, "p")
    response = move(server, "/p/a", target, method=method)
    assert response.status == status, response
    assert shape(server, "p") == before


@pytest.mark.parametrize("method", METHODS_WITH_TARGET)
def test_into_the_way_that_leads_to_it(server, place, method):
    """What is replaced must not hold what replaces it, by no way."""
    tree(server, "a/b/c", top=place)
    os.symlink("a", server.path(f"{place}/alias"))
    before = shape(server, place)
    for source, target in ((f"/{place}/a/b", f"/{place}/a"), (f"/{place}/alias/b", f"/{place}/a"), (f"/{place}/a/b/c", f"/{place}/a/b")):
        assert move(server, source, target, method=method).status == 403, (source, target)
        assert shape(server, place) == before


@pytest.mark.parametrize("method", METHODS_WITH_TARGET)
def test_targets_that_mean_this_server(server, place, method):
    created = 201
    for target in (f"/{place}/to", f"https://localhost:{server.port}/{place}/to", f"HTTPS://LOCALHOST:{server.port}/{place}/./to",
                   f"/{place}//to", f"/{place}/x/../to"):
        tree(server, "from", top=place)
        assert move(server, f"/{place}/from", target, method=method).status == created, target
        created = 204
        assert content(server, f"{place}/to") == b"from"
    tree(server, "from", top=place)
    assert move(server, f"/{place}/from", f"http://localhost:{server.port}/{place}/to", method=method).status == 502


@pytest.mark.parametrize("method", METHODS_WITH_TARGET)
def test_sources_and_fields_that_are_refused(server, place, method):
    tree(server, "a", "d/x", top=place)
    before = shape(server, place)
    for source, status in (("/", 403), (f"/{place}/missing", 404), (f"/{place}/a/", 404), (f"/{place}/a/x", 404), ("/.fastfile/x", 404),
                           (f"/{place}/.fastfile-x", 404)):
        assert move(server, source, f"/{place}/new", method=method).status == status, source
    tag = server.head(f"/{place}/a").field("ETag").removeprefix("W/")
    for fields, status in (({"If_Match": '"x"'}, 412), ({"If_None_Match": tag}, 412), ({"Overwrite": "X"}, 400), ({"Overwrite": ""}, 400)):
        assert move(server, f"/{place}/a", f"/{place}/new", method=method, **fields).status == status, fields
    for depth in ("1", "x", *(["0"] if method == "MOVE" else [])):
        assert move(server, f"/{place}/d", f"/{place}/new", method=method, Depth=depth).status == 400
    assert move(server, f"/{place}/a", f"/{place}/d", "F", method=method).status == 412
    assert shape(server, place) == before


def test_a_replaced_folder_that_cannot_go_is_not_replaced(server, place, nothing_left_open):
    tree(server, "new/x", "old/closed/y", "old/free", top=place)
    os.chmod(server.path(f"{place}/old/closed"), 0o555)
    assert failures(move(server, f"/{place}/new", f"/{place}/old")) == {f"/{place}/old/closed/y": 403}
    assert shape(server, place) == {"new/": None, "new/x": "new/x", "old/": None, "old/closed/": None, "old/closed/y": "old/closed/y"}
    os.chmod(server.path(f"{place}/old/closed"), 0o755)


def test_moves_that_rights_forbid(server, place):
    tree(server, "closed/x", "open/y", top=place)
    os.chmod(server.path(f"{place}/closed"), 0o555)
    before = shape(server, place)
    for source, target in (("closed/x", "open/x"), ("open/y", "closed/y"), ("open/y", "closed/x"), ("open", "closed/open")):
        assert move(server, f"/{place}/{source}", f"/{place}/{target}").status == 403
    assert shape(server, place) == before
    os.chmod(server.path(f"{place}/closed"), 0o755)


@not_in_the_vm("calls that fail because a test wants it")
def test_what_replaces_a_file_is_synced(make_server):
    """Another program may have written it a moment ago: after a power cut neither would be there."""
    one = make_server(start=False)
    faults = Faults(one)
    tree(one, "new", "old", "folder/x")
    one.start()
    faults.set("fsync", errno.EIO)
    for target in "/old", "/folder":
        assert move(one, "/new", target).status == 500
    assert shape(one, "") == {"new": "new", "old": "old", "folder/": None, "folder/x": "folder/x"}
    assert move(one, "/new", "/old", "F").status == 412
    assert move(one, "/new", "/free").status == 201  # nothing is lost by that
    faults.clear()
    assert move(one, "/free", "/old").status == 204
    one.stop()


def test_many_move_and_delete_the_same_names(server, place, nothing_left_open):
    """None of it is an error of the server, and each content is there at most once."""
    def one(number):
        done = []
        with server.connect() as connection:
            for turn in range(5):
                source, target = f"/{place}/{(number + turn) % 5}", f"/{place}/{(number * 7 + turn * 3 + 1) % 5}"
                if number % 4 == 0:
                    done.append(connection.request("DELETE", source, auth=ALICE).status)
                else:
                    fields = {"Destination": target, "Overwrite": "FT"[number % 2]}
                    done.append(connection.request("MOVE", source, fields=fields, auth=ALICE).status)
        return done

    for kind in ("file", "folder", "both"):
        for number in range(5):
            folder = kind == "folder" or (kind == "both" and number % 2)
            tree(server, *[f"{number}/{name}" for name in "abc"] if folder else [f"{number}"], top=place)
        found = {status for done in together(MANY, one) for status in done}
        assert found <= {201, 204, 403, 404, 409, 412, 207}, found
        left = [text for text in shape(server, place).values() if text]
        assert len(left) == len(set(left))
        for name in names(server, place):
            change(server, "DELETE", f"/{place}/{name}")


@contextlib.contextmanager
def slow_removal(server, faults, method, source, **fields):
    """While that request removes what is in a folder, and before it is through. It must succeed with 204."""
    faults.set("unlink", -200)
    found = []
    thread = threading.Thread(target=lambda: found.append(change(server, method, source, fields=fields).status))
    thread.start()
    try:
        wait_for(lambda: faults.hits("unlink") > 3, 20 * SLOW, "the first of it to be removed")
        yield
        assert not found
    finally:
        faults.clear()
        thread.join()
    assert found == [204]


@not_in_the_vm("calls that fail because a test wants it")
def test_what_is_being_removed_does_not_move(make_server):
    """A folder that is renamed takes along what is done in it: where nobody has asked for that it would go on being removed."""
    one = make_server(start=False)
    faults = Faults(one)
    many = [f"a/b/{number}" for number in range(150)]
    tree(one, *many, top="busy")
    tree(one, "file", top="elsewhere")
    os.symlink("busy", one.path("way"))
    one.start()
    with slow_removal(one, faults, "DELETE", "/busy/a"):
        for source in "/busy", "/busy/a", "/busy/a/b", "/way/a/b":
            assert move(one, source, "/saved").status == 409, source
        assert move(one, "/elsewhere", "/saved").status == 201
        assert move(one, "/saved/file", "/busy/file").status == 201
    assert shape(one, "") == {"busy/": None, "busy/file": "file", "saved/": None, "way": "-> busy"}

    tree(one, *many, top="busy")
    with slow_removal(one, faults, "MOVE", "/saved", Destination="/busy"):
        for source in "/busy", "/way":
            assert move(one, source, "/other").status == (409 if source == "/busy" else 201)
        assert move(one, "/other", "/way").status == 201
    assert move(one, "/busy", "/other").status == 201
    assert shape(one, "") == {"other/": None, "way": "-> busy"}
    one.stop()


# --- COPY --------------------------------------------------------------------------------------------------


OLD = 1_000_000_000


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_001])
def test_a_file_is_copied(server, place, nothing_left_open, size):
    body = os.urandom(size)
    server.write(f"{place}/a", body, 0o640)
    os.utime(server.path(f"{place}/a"), (OLD, OLD))
    assert copy(server, f"/{place}/a", f"/{place}/b").status == 201
    st = os.stat(server.path(f"{place}/b"))
    assert (content(server, f"{place}/b"), st.st_mtime, stat.S_IMODE(st.st_mode)) == (body, OLD, 0o640)
    assert st.st_nlink == 1 and content(server, f"{place}/a") == body
    server.write(f"{place}/b", "other")
    assert copy(server, f"/{place}/a", f"/{place}/b", "F").status == 412
    assert content(server, f"{place}/b") == b"other"
    assert copy(server, f"/{place}/a", f"/{place}/b").status == 204
    assert content(server, f"{place}/b") == body
    assert names(server, place) == {"a", "b"}


def test_a_sparse_file_stays_so(server, place):
    with open(server.path(f"{place}/a"), "wb") as file:
        file.seek(50_000_000)
        file.write(b"middle")
        file.truncate(100_000_000)
    own(server.path(f"{place}/a"))
    assert copy(server, f"/{place}/a", f"/{place}/b").status == 201
    st = os.stat(server.path(f"{place}/b"))
    assert st.st_size == 100_000_000 and st.st_blocks * 512 < 1_000_000
    with open(server.path(f"{place}/b"), "rb") as file:
        file.seek(50_000_000)
        assert file.read(6) == b"middle"


def test_a_folder_is_copied(server, place, nothing_left_open):
    tree(server, "a/x", "a/y/z", "a/y/.fastfile/hidden", "a/.fastfile-debris", "a/script", top=place)
    server.mkdir(f"{place}/a/empty")
    os.symlink("x", server.path(f"{place}/a/link"))
    os.symlink("/etc/passwd", server.path(f"{place}/a/out"))
    os.mkfifo(server.path(f"{place}/a/fifo"))
    os.chmod(server.path(f"{place}/a/script"), 0o755)
    for name in ("x", "y/z", "y", ""):
        os.utime(server.path(f"{place}/a/{name}"), (OLD, OLD))
    for name, mode in (("y", 0o750), ("empty", 0o555)):
        os.chmod(server.path(f"{place}/a/{name}"), mode)
    expected = {"x": "a/x", "y/": None, "y/z": "a/y/z", "script": "a/script", "empty/": None, "link": "-> x", "out": "-> /etc/passwd"}
    assert copy(server, f"/{place}/a/", f"/{place}/b/", Depth="infinity").status == 201
    assert shape(server, f"{place}/b") == expected
    for name in ("x", "y/z", "y", "", "empty", "script"):
        one, other = (os.stat(server.path(f"{place}/{top}/{name}")) for top in "ab")
        assert one.st_mode == other.st_mode and one.st_mtime_ns == other.st_mtime_ns, name
    server.write(f"{place}/c/old", "old")
    assert copy(server, f"/{place}/a", f"/{place}/c", "F").status == 412
    assert copy(server, f"/{place}/a", f"/{place}/c").status == 204
    assert shape(server, f"{place}/c") == expected
    assert names(server, place) == {"a", "b", "c"}
    for name in "abc":
        os.chmod(server.path(f"{place}/{name}/empty"), 0o755)
    assert change(server, "DELETE", f"/{place}/a").status == 204


def test_a_folder_alone_is_copied(server, place):
    tree(server, "a/x", top=place)
    assert copy(server, f"/{place}/a", f"/{place}/b", Depth="0").status == 201
    assert shape(server, f"{place}/b") == {}


def test_files_and_folders_are_copied_over_each_other(server, place, nothing_left_open):
    tree(server, "file", "folder/x", "folder2/y", top=place)
    assert copy(server, f"/{place}/file", f"/{place}/folder/").status == 204
    assert copy(server, f"/{place}/folder2", f"/{place}/file").status == 204
    assert shape(server, place) == {"folder": "file", "file/": None, "file/y": "folder2/y", "folder2/": None, "folder2/y": "folder2/y"}


def test_a_link_is_copied_as_what_is_read_there(server, place):
    tree(server, "real/x", top=place)
    os.symlink("real/x", server.path(f"{place}/link"))
    os.symlink("real", server.path(f"{place}/folder"))
    os.symlink("/etc/passwd", server.path(f"{place}/out"))
    os.symlink("nowhere", server.path(f"{place}/dangling"))
    assert copy(server, f"/{place}/link", f"/{place}/a").status == 201
    assert copy(server, f"/{place}/folder/", f"/{place}/b").status == 201
    assert copy(server, f"/{place}/out", f"/{place}/c").status in (403, 404)
    assert copy(server, f"/{place}/dangling", f"/{place}/c").status == 404
    assert copy(server, f"/{place}/real/x", f"/{place}/out").status == 204
    found = shape(server, place)
    assert (found["a"], found["b/x"], found["out"]) == ("real/x",) * 3 and "c" not in found


def test_all_or_nothing_is_copied(server, place, nothing_left_open):
    tree(server, "a/x", "a/y/z", "a/y/secret", "b/old", top=place)
    os.chmod(server.path(f"{place}/a/y/secret"), 0)
    for target in ("new", "b"):
        response = copy(server, f"/{place}/a", f"/{place}/{target}")
        assert response.status == 403 and "y/secret" in response.text
    assert names(server, place) == {"a", "b"} and names(server, f"{place}/b") == {"old"}
    os.chmod(server.path(f"{place}/a/y/secret"), 0o644)
    server.write(f"{place}/b/closed/x", "x")
    os.chmod(server.path(f"{place}/b/closed"), 0o555)
    assert failures(copy(server, f"/{place}/a", f"/{place}/b")) == {f"/{place}/b/closed/x": 403}
    assert failures(copy(server, f"/{place}/a/x", f"/{place}/b")) == {f"/{place}/b/closed/x": 403}
    assert names(server, place) == {"a", "b"} and names(server, f"{place}/b") == {"closed"}
    os.chmod(server.path(f"{place}/b/closed"), 0o755)


def test_a_copy_takes_the_group_of_its_folder(server, place):
    tree(server, "a/y/x", top=place)
    server.mkdir(f"{place}/shared")
    if IS_ROOT:
        os.chown(server.path(f"{place}/shared"), -1, 12345)
    os.chmod(server.path(f"{place}/shared"), 0o2775)
    group = os.stat(server.path(f"{place}/shared")).st_gid
    assert copy(server, f"/{place}/a", f"/{place}/shared/a").status == 201
    assert copy(server, f"/{place}/a/y/x", f"/{place}/shared/x").status == 201
    for name, mode in (("a", 0o2755), ("a/y", 0o2755), ("a/y/x", 0o644), ("x", 0o644)):
        st = os.stat(server.path(f"{place}/shared/{name}"))
        assert (st.st_gid, stat.S_IMODE(st.st_mode)) == (group, mode), name


def test_a_deep_tree_is_copied_and_moved(server, place, nothing_left_open):
    make_deep(server, f"{place}/deep", DEEP)
    assert copy(server, f"/{place}/deep", f"/{place}/copy").status == 201
    assert shape(server, f"{place}/copy") == shape(server, f"{place}/deep")
    assert move(server, f"/{place}/deep", f"/{place}/copy").status == 204
    assert names(server, place) == {"copy"}


def test_a_large_tree_is_copied(server, place, nothing_left_open):
    for number in range(100):
        os.makedirs(server.path(f"{place}/large/{number}"))
        for file in range(LARGE // 100):
            with open(server.path(f"{place}/large/{number}/{file}"), "wb") as one:
                one.write(b"%d" % (number * file))
    own(server.path(f"{place}/large"))
    assert copy(server, f"/{place}/large", f"/{place}/copy").status == 201
    assert shape(server, f"{place}/copy") == shape(server, f"{place}/large")


@not_in_the_vm("the race needs many rounds")
def test_folders_that_become_links_are_not_followed_by_a_copy(server, place, nothing_left_open):
    outside, precious = make_outside(server)
    tree(server, *[f"from/victim/{a}/{b}" for a in range(5) for b in range(5)], top=place)
    with swapping(server, f"{place}/from", "victim", outside):
        for _ in range(MANY):
            assert copy(server, f"/{place}/from", f"/{place}/to").status in (201, 204, 403, 409)
            if os.path.exists(server.path(f"{place}/to")):
                assert "precious" not in shape(server, f"{place}/to").values()
    assert all(open(path).read() == "precious" for path in precious)


@not_in_the_vm("the race needs many rounds")
def test_folders_that_become_links_are_not_written_to(server, place, nothing_left_open):
    outside, precious = make_outside(server)
    tree(server, "from/a/b", "from/0/1", top=place)
    server.mkdir(f"{place}/to/victim")
    with swapping(server, f"{place}/to", "victim", outside):
        for _ in range(MANY):
            for source, target in (("from", "to/victim/0"), ("from/a/b", "to/victim/0")):
                assert copy(server, f"/{place}/{source}", f"/{place}/{target}").status in (201, 204, 403, 409)
                assert move(server, f"/{place}/{target}", f"/{place}/to/victim/2").status in (201, 204, 403, 404, 409)
    assert all(open(path).read() == "precious" for path in precious)
    assert sum(len(files) for _, _, files in os.walk(outside)) == len(precious)


def test_the_client_is_gone(server, place, nothing_left_open):
    """What was asked for is done, or not: nothing between the two."""
    for number in range(20):
        mine = f"{place}/{number}"  # what was asked for may be begun late
        tree(server, *[f"from/{a}/{b}" for a in range(10) for b in range(20)], top=mine)
        whole = shape(server, f"{mine}/from")
        with server.connect() as connection:
            connection.send_request(("COPY", "MOVE")[number % 2], f"/{mine}/from", auth=ALICE, fields={"Destination": f"/{mine}/to"})
            time.sleep(0.002 * (number // 2))
        time.sleep(0.1)
        wait_for(lambda: not [one for one in names(server, mine) if ".fastfile" in one], 5 * SLOW, "the end of it")

        def shapes():
            with contextlib.suppress(FileNotFoundError):  # it has just been moved
                return [shape(server, f"{mine}/{name}") for name in names(server, mine)]
            return shapes()

        found = shapes()
        assert found and all(one == whole for one in found)


def test_many_copies_to_the_same_name(server, place, nothing_left_open):
    for number in range(5):
        tree(server, *[f"{number}/{name}" for name in "abc"], top=place)
    found = together(MANY, lambda n: copy(server, f"/{place}/{n % 5}", f"/{place}/to", "FT"[n % 2]).status)
    assert set(found) <= {201, 204, 412, 409} and found.count(201) == 1
    inside = shape(server, f"{place}/to")
    assert inside in [{name: f"{number}/{name}" for name in "abc"} for number in range(5)]


# --- who may -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["MKCOL", "DELETE", *METHODS_WITH_TARGET])
def test_who_may_not(server, make_server, method):
    tree(server, "guarded.txt")
    target = "/not-there" if method == "MKCOL" else "/guarded.txt"
    fields = {"Destination": "/new"} if method in METHODS_WITH_TARGET else {}
    assert change(server, method, target, fields=fields, auth=BOB).status == 403
    assert change(server, method, target, fields={"Origin": "https://evil.example", **fields}).status == 403
    assert change(server, method, target, fields={"Sec-Fetch-Site": "cross-site", **fields}).status == 403
    assert change(server, method, target, fields=fields, auth=None).status == 401
    assert method in change(server, "OPTIONS", target).field("Allow")
    assert method not in change(server, "OPTIONS", target, auth=BOB).field("Allow")
    one = make_server("--read-only")
    tree(one, "guarded.txt")
    assert change(one, method, target, fields=fields).status == 403
    assert "guarded.txt" in names(server) and "new" not in {name for name in names(server) if not os.path.isdir(server.path(name))}
    assert names(one) == {"guarded.txt"}
