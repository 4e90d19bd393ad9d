"""What locks forbid, on all that changes something: without the token 423 and nothing has changed, with it all goes as ever;
and what goes away takes its locks with it. The locks are there when the server starts."""
import base64
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest
from changes import change, content, copy, failures, move, shape
from lock_files import Lock, new_token, read_locks, write_locks
from machine import IN_VM, open, os
from server import ALICE, BOB, Server

pytestmark = pytest.mark.skipif(IN_VM, reason="files of the server's state, which are in the machine")

CAROL = ("carol", "carols password")
USERS = {ALICE[0]: (ALICE[1], False), BOB[0]: (BOB[1], True), CAROL[0]: (CAROL[1], False)}
VERSION = {"Upload-Draft-Interop-Version": "8"}
TUS = {"Tus-Resumable": "1.0.0"}
DAV = "{DAV:}"

# name -> (what is locked in a folder of its own, with all below?, what is asked for, status of success)
CHANGES = {
    "PUT": ("file", False, ("PUT", "file"), 204),
    "PUT that asks before": ("file", False, ("PUT that asks", "file"), 204),
    "PUT through a link": ("file", False, ("PUT", "link"), 204),
    "PUT in a locked folder": ("", False, ("PUT", "new"), 201),
    "PUT in a folder locked as a whole": ("", True, ("PUT", "tree/deep"), 204),
    "PUT that can be resumed": ("file", False, ("IETF", "file"), 204),
    "tus": ("file", False, ("tus", "file"), 201),
    "MKCOL": ("", False, ("MKCOL", "new"), 201),
    "DELETE": ("file", False, ("DELETE", "file"), 204),
    "DELETE from a locked folder": ("", False, ("DELETE", "file"), 204),
    "DELETE of a link": ("file", False, ("DELETE", "link"), 204),
    "DELETE of a tree": ("tree", True, ("DELETE", "tree"), 204),
    "MOVE": ("file", False, ("MOVE", "file", "new"), 201),
    "MOVE out of a locked folder": ("tree", False, ("MOVE", "tree/deep", "new"), 201),
    "MOVE into a locked folder": ("tree", False, ("MOVE", "file", "tree/new"), 201),
    "MOVE onto": ("file", False, ("MOVE", "other", "file"), 204),
    "MOVE onto a tree": ("tree", True, ("MOVE", "file", "tree"), 204),
    "COPY into a locked folder": ("tree", False, ("COPY", "file", "tree/new"), 201),
    "COPY onto": ("file", False, ("COPY", "other", "file"), 204),
    "COPY of a tree onto": ("file", False, ("COPY", "tree", "file"), 204),
}
ONLY_MEMBERS = {
    "DELETE": ("tree/deep", ("DELETE", "tree"), 204),
    "MOVE": ("tree/deep", ("MOVE", "tree", "new"), 201),
    "MOVE onto": ("tree/deep", ("MOVE", "file", "tree"), 204),
    "COPY onto": ("tree/deep", ("COPY", "file", "tree"), 204),
}
BEFORE = {"file": "old", "other": "another", "link": "-> file", "tree/": None, "tree/deep": "deep", "tree/small": "small"}


def place_of(name):
    return name.replace(" ", "_")


LOCKS = {name: Lock("/".join(filter(None, (place_of(name), path))), deep=deep) for name, (path, deep, *_) in CHANGES.items()}
MEMBERS = {name: Lock(f"members_{place_of(name)}/{path}") for name, (path, *_) in ONLY_MEMBERS.items()}
SHARED = [Lock("shared/file", user, shared=True) for user in ("alice", "carol")]
GONE = [Lock("gone/tree"), Lock("gone/tree/deep"), Lock("gone/tree-not", "carol")]
PARTLY = [Lock("partly/tree"), Lock("partly/tree/open"), Lock("partly/tree/closed/deep")]
MOVED = [Lock("moved/tree"), Lock("moved/tree/deep"), Lock("moved/other")]
TOLD = [Lock("told/tree")]
REPLACED = [Lock("replaced/tree"), Lock("replaced/tree/deep")]


@pytest.fixture(scope="module")
def module_server():
    made = Server(users=USERS)
    made.stop()
    write_locks(made, [*LOCKS.values(), *MEMBERS.values(), *SHARED, *GONE, *PARTLY, *MOVED, *TOLD, *REPLACED])
    made.start()
    yield made
    made.finish()


def make_place(server, place):
    for name, text in BEFORE.items():
        if text and name != "link":
            server.write(f"{place}/{name}", text)
    os.symlink("file", server.path(f"{place}/link"))


def ask(server, place, method, path, target=None, dav_if=None, auth=ALICE):
    fields, url, body = {"If": dav_if}, f"/{place}/{path}", None
    if target:
        fields["Destination"] = f"/{place}/{target}"
    if method == "PUT that asks":
        method, body, fields["Expect"] = "PUT", b"new", "100-continue"
    elif method == "PUT":
        body = b"new"
    elif method == "IETF":
        method, body = "PUT", b"new"
        fields.update({"Upload-Complete": "?1", "Upload-Length": "3", **VERSION})
    elif method == "tus":
        name = base64.b64encode(f"{place}/{path}".encode()).decode()
        method, url, body = "POST", "/.fastfile/tus/", b"new"
        fields.update({"Upload-Length": "3", "Upload-Metadata": f"path {name}",
                       "Content-Type": "application/offset+octet-stream", **TUS})
    return change(server, method, url, fields=fields, body=body, auth=auth)


def locks_told(response):
    """The hrefs in a 423."""
    assert response.status == 423 and response.field("Content-Type") == "application/xml; charset=utf-8", response
    root = ElementTree.fromstring(response.body)
    assert root.tag == DAV + "error"
    (submitted,) = root
    assert submitted.tag == DAV + "lock-token-submitted"
    assert all(href.tag == DAV + "href" for href in submitted)
    return [urllib.parse.unquote(href.text) for href in submitted]


@pytest.mark.parametrize("name", CHANGES)
def test_a_token_is_needed(server, name):
    _, _, how, success = CHANGES[name]
    place, lock = place_of(name), LOCKS[name]
    make_place(server, place)
    wrong = f"<{new_token()}>"
    for dav_if, auth, status in ((None, ALICE, 423), (None, CAROL, 423), (lock.tagged, CAROL, 423), (f"({wrong})", ALICE, 412),
                                 (f"({wrong}) (Not <DAV:no-lock>)", ALICE, 423), (None, BOB, 403)):
        response = ask(server, place, *how, dav_if=dav_if, auth=auth)
        assert response.status == status, (dav_if, auth, response)
        if status == 423:
            assert locks_told(response) == ["/" + lock.path]
        if how[0] == "tus" and auth != BOB:
            assert response.field("Tus-Resumable") == "1.0.0"
        assert shape(server, place) == BEFORE
    response = ask(server, place, *how, dav_if=lock.tagged)
    assert response.status == success, response
    assert shape(server, place) != BEFORE


@pytest.mark.parametrize("name", ONLY_MEMBERS)
def test_only_members_are_locked(server, name):
    _, how, success = ONLY_MEMBERS[name]
    place, lock = f"members_{place_of(name)}", MEMBERS[name]
    make_place(server, place)
    assert failures(ask(server, place, *how)) == {"/" + lock.path: 423}
    assert shape(server, place) == BEFORE
    assert ask(server, place, *how, dav_if=lock.tagged).status == success


def test_what_must_not_be_replaced_is_told_first(server):
    make_place(server, "told")
    for method in (move, copy):
        assert method(server, "/told/file", "/told/tree", overwrite="F").status == 412
        assert locks_told(method(server, "/told/file", "/told/tree")) == ["/told/tree"]
    assert shape(server, "told") == BEFORE


def test_reading_needs_no_token(server):
    make_place(server, "shared")
    assert server.get("/shared/file").body == b"old"
    assert copy(server, "/shared/file", "/copied").status == 201
    assert server.request("PROPFIND", "/shared/", fields={"Depth": "1"}).status == 207


def test_one_of_several_shared_locks_is_enough(server):
    path = "/shared/file"
    server.write("shared/file", "old")
    response = change(server, "PUT", path, body=b"new")
    assert locks_told(response) == [path]
    for auth, lock, status in ((ALICE, SHARED[0], 204), (CAROL, SHARED[1], 204), (ALICE, SHARED[1], 423)):
        response = change(server, "PUT", path, body=auth[0].encode(), auth=auth, fields={"If": lock.tagged})
        assert response.status == status
    assert content(server, "shared/file") == b"carol"
    assert {lock.token for lock in SHARED} <= read_locks(server)


# --- what becomes of the locks of what goes away ---


def kept(server, locks):
    """The paths of those of them that the server has written down."""
    tokens = read_locks(server)
    return {lock.path for lock in locks if lock.token in tokens}


def test_what_is_deleted_is_not_locked_any_more(server):
    make_place(server, "gone")
    make_place(server, "gone/tree-not")
    assert change(server, "DELETE", "/gone/tree", fields={"If": GONE[0].tagged}).status == 207
    assert kept(server, GONE) == {lock.path for lock in GONE}
    both = f"{GONE[0].tagged} {GONE[1].tagged}"
    assert change(server, "DELETE", "/gone/tree", fields={"If": both}).status == 204
    assert kept(server, GONE) == {"gone/tree-not"}
    assert change(server, "MKCOL", "/gone/tree", auth=CAROL).status == 201
    assert change(server, "PUT", "/gone/tree/deep", auth=CAROL, body=b"new").status == 201


def test_of_what_is_deleted_in_part_the_rest_stays_locked(server):
    server.write("partly/tree/closed/deep", "deep")
    server.write("partly/tree/open", "open")
    os.chmod(server.path("partly/tree/closed"), 0o555)
    try:
        response = change(server, "DELETE", "/partly/tree", fields={"If": " ".join(lock.tagged for lock in PARTLY)})
        assert failures(response) == {"/partly/tree/closed/deep": 403}
        assert shape(server, "partly") == {"tree/": None, "tree/closed/": None, "tree/closed/deep": "deep"}
        assert kept(server, PARTLY) == {"partly/tree", "partly/tree/closed/deep"}
    finally:
        os.chmod(server.path("partly/tree/closed"), 0o755)


def test_a_lock_does_not_move_along(server):
    make_place(server, "moved")
    both = f"{MOVED[0].tagged} {MOVED[1].tagged}"
    assert move(server, "/moved/tree", "/moved/new", If=both).status == 201
    assert kept(server, MOVED) == {"moved/other"}
    assert change(server, "PUT", "/moved/new/deep", body=b"x", auth=CAROL).status == 204
    assert change(server, "PUT", "/moved/tree", body=b"x", auth=CAROL).status == 201


def test_what_is_replaced_stays_locked_but_not_what_was_in_it(server):
    make_place(server, "replaced")
    both = f"{REPLACED[0].tagged} {REPLACED[1].tagged}"
    assert copy(server, "/replaced/file", "/replaced/tree", If=both).status == 204
    assert kept(server, REPLACED) == {"replaced/tree"}
    assert change(server, "PUT", "/replaced/tree", body=b"x").status == 423


def test_what_has_ended_does_not_come_back():
    server = Server(users=USERS)
    try:
        locks = [Lock("file"), Lock("other")]
        server.stop()
        write_locks(server, locks)
        server.start()
        server.write("file", "old")
        server.write("other", "old")
        assert change(server, "DELETE", "/file", fields={"If": locks[0].tagged}).status == 204
        server.stop()
        server.start()
        assert change(server, "PUT", "/file", body=b"new").status == 201
        assert change(server, "PUT", "/other", body=b"new").status == 423
    finally:
        server.finish()


# --- uploads that take several requests ---


@pytest.fixture
def locked_later():
    """A server, and uploads of files that were locked when they had begun."""
    server = Server(users=USERS)
    locks = {name: Lock(name) for name in ("ietf", "tus")}
    try:
        urls = {}
        response = server.request("PUT", "/ietf", body=b"ne", fields={"Upload-Complete": "?0", "Upload-Length": "3", **VERSION})
        urls["ietf"] = response.field("Location")
        response = server.request("POST", "/.fastfile/tus/", body=b"ne", fields={
            "Upload-Length": "3", "Upload-Metadata": "path " + base64.b64encode(b"tus").decode(),
            "Content-Type": "application/offset+octet-stream", **TUS})
        urls["tus"] = response.field("Location")
        server.stop()
        write_locks(server, locks.values())
        server.start()
        yield server, urls, locks
    finally:
        server.finish()


def patch(server, name, url, offset, body, dav_if=None):
    fields = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1", **VERSION}
    if name == "tus":
        fields = {"Content-Type": "application/offset+octet-stream", **TUS}
    return server.request("PATCH", url, body=body, fields={"Upload-Offset": str(offset), "If": dav_if, **fields})


@pytest.mark.parametrize("name", ["ietf", "tus"])
def test_an_upload_waits_for_the_end_of_a_lock(locked_later, name):
    server, urls, locks = locked_later
    url = urls[name]
    for offset, body in ((2, b"w"), (3, b"")):
        assert locks_told(patch(server, name, url, offset, body)) == ["/" + name]
        assert not os.path.exists(server.path(name))
    response = server.head(url, fields=TUS if name == "tus" else VERSION)
    if name == "ietf":
        assert response.status == 204 and response.field("Upload-Offset") == "3"
        assert response.field("Upload-Complete") == "?0"
    else:
        assert response.status == 423  # it would complete it
    assert patch(server, name, url, 3, b"", locks[name].tagged).status in (201, 204)
    assert content(server, name) == b"new"
    assert read_locks(server) == {lock.token for lock in locks.values()}
