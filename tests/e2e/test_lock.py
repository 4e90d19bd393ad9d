"""LOCK and UNLOCK: RFC 4918, section by section; whose locks they are; and that they outlive the server."""
import contextlib
import errno
import signal
import stat
import time

import pytest
from client import together, wait_for
from dav import (DAV, condition_of, lock, lockinfo, locks, locks_told, prop, propfind, read_locks, read_multistatus, refresh,
                 statuses, token_of, unlock, update)
from faults import ALWAYS, Faults
from machine import IN_VM, not_in_the_vm, open, os
from server import ALICE, BOB, SLOW, Server

CAROL = ("carol", "carpenter")  # writes too
USERS = {ALICE[0]: (ALICE[1], False), BOB[0]: (BOB[1], True), CAROL[0]: (CAROL[1], False)}
UNKNOWN = "opaquelocktoken:00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def module_server():
    made = Server(users=USERS)
    yield made
    made.finish()


@pytest.fixture
def tree(server, request):
    """A folder of the test's own, without locks: its path, with slashes around it."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    for path in ("file", "other", "sub/file", "sub/deep/file"):
        server.write(f"{name}/{path}", "content")
    yield f"/{name}/"
    for one in read_multistatus(propfind(server, f"/{name}/", prop("lockdiscovery"), depth="infinity")).values():
        for held in read_locks(one[DAV + "lockdiscovery"][1]):
            for auth in (ALICE, CAROL):
                unlock(server, held["root"], held["token"], auth=auth)
    assert locks(server, "/") == []


# --- what a lock is ----------------------------------------------------------------------------------------


def test_a_file_is_locked(server, tree):
    response = lock(server, tree + "file", timeout="Second-600")
    assert response.status == 200
    (told,) = locks_told(response)
    assert told == {"scope": "exclusive", "depth": "0", "owner": "mailto:me@example.org", "seconds": 600,
                    "token": token_of(response), "root": tree + "file"}
    for auth in (ALICE, BOB, CAROL):
        (found,) = locks(server, tree + "file", auth=auth)
        assert 590 <= found.pop("seconds") <= 600
        assert found == {name: value for name, value in told.items() if name != "seconds"}
    assert locks(server, tree + "other") == [] == locks(server, tree)
    assert server.get(tree + "file", auth=BOB).body == b"content"
    assert unlock(server, tree + "file", token_of(response)).status == 204
    assert locks(server, tree + "file") == []


def test_locks_that_there_can_be(server, tree):
    (found,) = read_multistatus(propfind(server, tree + "file", prop("supportedlock"))).values()
    entries = [[part[0].tag.removeprefix(DAV) for part in entry] for entry in found[DAV + "supportedlock"][1]]
    assert entries == [["exclusive", "write"], ["shared", "write"]]
    (found,) = read_multistatus(propfind(server, tree + "file", prop("supportedlock"), auth=BOB)).values()
    assert len(found[DAV + "supportedlock"][1]) == 0


def test_a_locked_folder_locks_what_is_in_it(server, tree):
    token = token_of(lock(server, tree))
    assert [one["token"] for one in locks(server, tree + "sub/deep/file")] == [token]
    assert locks(server, tree + "sub/deep/file")[0]["depth"] == "infinity"
    listed = read_multistatus(propfind(server, tree, prop("lockdiscovery"), depth="infinity"))
    assert len(listed) == 7
    for found in listed.values():
        assert [one["token"] for one in read_locks(found[DAV + "lockdiscovery"][1])] == [token]
        assert read_locks(found[DAV + "lockdiscovery"][1])[0]["root"] == tree.rstrip("/")
    assert lock(server, tree + "sub/deep/file", auth=CAROL).status == 423
    assert unlock(server, tree + "sub/deep/file", token).status == 204, "any resource that it covers will do (section 9.11)"
    assert locks(server, tree) == []


def test_a_folder_alone(server, tree):
    token = token_of(lock(server, tree, depth="0"))
    assert [one["depth"] for one in locks(server, tree)] == ["0"] and locks(server, tree + "file") == []
    listed = read_multistatus(propfind(server, tree, prop("lockdiscovery"), depth="1"))
    assert [href for href, found in listed.items() if len(found[DAV + "lockdiscovery"][1])] == [tree]
    assert unlock(server, tree + "file", token).status == 409


def test_each_member_has_its_own(server, tree):
    wanted = {tree + path: token_of(lock(server, tree + path)) for path in ("file", "sub/file", "sub/deep/")}
    listed = read_multistatus(propfind(server, tree, prop("lockdiscovery"), depth="infinity"))
    found = {href: [one["token"] for one in read_locks(one[DAV + "lockdiscovery"][1])] for href, one in listed.items()}
    for href, tokens in found.items():
        expected = wanted.get(href) or (href.startswith(tree + "sub/deep/") and wanted[tree + "sub/deep/"])
        assert tokens == ([expected] if expected else []), href


def test_a_slash_more_or_less(server, tree):
    token = token_of(lock(server, tree.rstrip("/")))
    assert [one["token"] for one in locks(server, tree)] == [token]
    assert unlock(server, tree, token).status == 204
    assert lock(server, tree + "file/").status == 404 and locks(server, tree + "file") == []


def test_of_nothing_is_an_empty_file(server, tree):
    response = lock(server, tree + "new.txt")
    assert response.status == 201 and locks_told(response)[0]["token"] == token_of(response)
    st = os.stat(server.path(tree[1:] + "new.txt"))
    assert stat.S_ISREG(st.st_mode) and st.st_size == 0 and st.st_mode & 0o111 == 0
    assert server.get(tree + "new.txt").body == b""
    assert "new.txt" in {entry["name"] for entry in server.get(tree + "?format=json").json()["entries"]}
    assert lock(server, tree + "new.txt", auth=CAROL).status == 423
    assert unlock(server, tree + "new.txt", token_of(response)).status == 204
    assert os.path.exists(server.path(tree[1:] + "new.txt")), "there are no lock-null resources (section 7.3)"


def test_of_nothing_where_nothing_can_be(server, tree):
    assert lock(server, tree + "none/new.txt").status == 409
    assert lock(server, tree + "file/new.txt").status == 409
    assert lock(server, tree + "new/").status == 409, "a LOCK makes no folder"
    assert not os.path.exists(server.path(tree[1:] + "new"))
    assert lock(server, "/.fastfile/new").status == 404
    assert lock(server, tree + "n" * 256).status == 414


def test_a_folder_that_is_locked_gets_no_new_file(server, tree):
    token = token_of(lock(server, tree, depth="0"))
    response = lock(server, tree + "new.txt", auth=CAROL, fields={"If": f"<{tree}> (<{token}>)"})
    assert response.status == 423 and condition_of(response) == ("lock-token-submitted", [tree.rstrip("/")])
    response = lock(server, tree + "new.txt")
    assert response.status == 423 and not os.path.exists(server.path(tree[1:] + "new.txt")), "it is to be shown also by who has it"
    response = lock(server, tree + "new.txt", fields={"If": f"<{tree}> (<{token}>)"})
    assert response.status == 201 and os.path.exists(server.path(tree[1:] + "new.txt"))
    assert lock(server, tree + "file", auth=CAROL).status == 200, "what is there already is not locked with Depth 0"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_member_of_a_locked_folder_is_not_replaced_by_name(server, tree, method):
    """Overwrite is a DELETE first, and that changes the folder."""
    server.write(tree[1:] + "sub/other", "other")
    before = server.get(tree + "file").body
    token = token_of(lock(server, tree, depth="0"))
    fields = {"Destination": tree + "file", "Overwrite": "T"}
    response = server.request(method, tree + "sub/other", auth=ALICE, fields=fields)
    assert response.status == 423 and server.get(tree + "file").body == before
    response = server.request(method, tree + "sub/other", auth=ALICE, fields={**fields, "If": f"<{tree}> (<{token}>)"})
    assert response.status == 204 and server.get(tree + "file").body == b"other"


def test_a_lock_holds_although_folders_change_their_names_meanwhile(server, tree):
    """Where a PUT began has another name when it ends, and a lock by that name."""
    def rename(old, new):
        assert server.request("MOVE", old, auth=ALICE, fields={"Destination": new, "Overwrite": "F"}).status == 201

    half = b"x" * (1 << 20)
    other = tree.rstrip("/") + "-elsewhere/"
    rename(tree, other)
    before = server.get(other + "file").body
    with server.connect() as connection:
        connection.send_request("PUT", other + "file", auth=ALICE, fields={"Content-Length": str(len(half) * 2)})
        connection.send(half)
        time.sleep(0.3 * SLOW)  # its place has been found
        rename(other, tree)
        token = token_of(lock(server, tree + "file", auth=CAROL))
        connection.send(half)
        assert connection.read_response().status == 409
    assert server.get(tree + "file").body == before
    assert unlock(server, tree + "file", token, auth=CAROL).status == 204


@pytest.mark.skipif(IN_VM, reason="a FIFO on the other side")
def test_neither_file_nor_folder(server, tree):
    os.mkfifo(server.path(tree[1:] + "fifo"))
    assert lock(server, tree + "fifo").status == 404


def test_what_may_not_be_written_is_not_locked(server, tree):
    os.chmod(server.path(tree[1:] + "file"), 0o444)
    assert lock(server, tree + "file").status == 403 and locks(server, tree + "file") == []
    os.chmod(server.path(tree[1:] + "sub"), 0o555)
    assert lock(server, tree + "sub/new").status == 403
    os.chmod(server.path(tree[1:] + "sub"), 0o755)
    assert lock(server, tree + "sub/new").status == 201, "a lock that was granted for it is gone"


def test_through_links(server, tree):
    inside = server.path(tree[1:])
    os.symlink("file", inside + "link")
    os.symlink("sub", inside + "way")
    os.symlink("nothing.txt", inside + "dangling")
    os.symlink("/etc/passwd", inside + "out")
    token = token_of(lock(server, tree + "link"))
    assert locks(server, tree + "file") == locks(server, tree + "link") != []
    assert locks(server, tree + "file")[0]["root"] == tree + "file"
    assert lock(server, tree + "file", auth=CAROL).status == 423
    assert unlock(server, tree + "file", token).status == 204
    token = token_of(lock(server, tree + "way/deep/"))
    assert [one["token"] for one in locks(server, tree + "sub/deep/file")] == [token]
    listed = read_multistatus(propfind(server, tree + "way/", prop("lockdiscovery"), depth="1"))
    assert [one["token"] for one in read_locks(listed[tree + "way/deep/"][DAV + "lockdiscovery"][1])] == [token]
    assert lock(server, tree + "dangling").status == 201 and os.path.exists(inside + "nothing.txt")
    assert lock(server, tree + "out").status == 403


# --- who gets one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first, second, status", [
    (("file", "exclusive", "0"), ("file", "exclusive", "0"), 423),
    (("file", "exclusive", "0"), ("file", "shared", "0"), 423),
    (("file", "shared", "0"), ("file", "exclusive", "0"), 423),
    (("file", "shared", "0"), ("file", "shared", "0"), 200),
    (("file", "exclusive", "0"), ("other", "exclusive", "0"), 200),
    (("", "exclusive", "0"), ("file", "exclusive", "0"), 200),
    (("", "exclusive", "0"), ("", "shared", "0"), 423),
    (("", "exclusive", "infinity"), ("sub/deep/file", "exclusive", "0"), 423),
    (("", "exclusive", "infinity"), ("sub/", "shared", "0"), 423),
    (("", "shared", "infinity"), ("sub/deep/file", "shared", "0"), 200),
    (("", "shared", "infinity"), ("sub/deep/file", "exclusive", "0"), 423),
    (("sub/", "exclusive", "infinity"), ("", "exclusive", "0"), 200),
    (("sub/", "exclusive", "infinity"), ("", "exclusive", "infinity"), 207),
    (("sub/deep/file", "shared", "0"), ("", "exclusive", "infinity"), 207),
    (("sub/deep/file", "shared", "0"), ("", "shared", "infinity"), 200),
    (("sub/", "exclusive", "infinity"), ("other", "exclusive", "0"), 200),
])
@pytest.mark.parametrize("auth", [ALICE, CAROL])
def test_who_gets_one(server, tree, first, second, status, auth):
    """One's own locks are in the way as well (section 6.1)."""
    assert lock(server, tree + first[0], first[1], first[2]).status == 200
    response = lock(server, tree + second[0], second[1], second[2], auth=auth)
    assert response.status == status
    is_covered = second[0] == first[0] or (first[2] == "infinity" and second[0].startswith(first[0]))
    assert len(locks(server, tree + second[0])) == is_covered + (status == 200)


def test_what_was_in_the_way_is_told(server, tree):
    token_of(lock(server, tree + "sub/"))
    response = lock(server, tree + "sub/deep/file")
    assert response.status == 423 and condition_of(response) == ("no-conflicting-lock", [tree + "sub"])
    lock(server, tree + "file")
    response = lock(server, tree)
    assert statuses(response) == {tree + "sub": 423, tree + "file": 423, tree.rstrip("/"): 424}
    assert locks(server, tree) == []


def test_one_of_many_gets_it(server, tree):
    for name in ("file", "new"):
        answers = together(20, lambda n, name=name: lock(server, tree + name, auth=(ALICE, CAROL)[n % 2]).status)
        assert sorted(answers)[0] in (200, 201) and sorted(answers)[1:] == [423] * 19
        assert len(locks(server, tree + name)) == 1


def test_the_root(server):
    response = lock(server, "/", depth="infinity")
    assert response.status == 200 and locks_told(response)[0]["root"] == "/"
    assert lock(server, "/any-new-one", auth=CAROL).status == 423 and not os.path.exists(server.path("any-new-one"))
    assert unlock(server, "/", token_of(response)).status == 204
    assert locks(server, "/") == []


def test_readers_lock_nothing(server, tree):
    token = token_of(lock(server, tree + "file"))
    assert lock(server, tree + "other", auth=BOB).status == 403
    assert refresh(server, tree + "file", token, auth=BOB).status == 403
    assert unlock(server, tree + "file", token, auth=BOB).status == 403
    assert lock(server, tree + "file", auth=None).status == 401
    assert len(locks(server, tree + "file")) == 1 and locks(server, tree + "other") == []


def test_other_sites_lock_nothing(server, tree):
    assert lock(server, tree + "file", fields={"Origin": "https://evil.example"}).status == 403
    assert lock(server, tree + "file", fields={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert locks(server, tree + "file") == []


def test_nothing_is_locked_where_nothing_can_be_changed(make_server):
    made = make_server("--read-only")
    made.write("file", "x")
    assert lock(made, "/file").status == 403 and unlock(made, "/file", UNKNOWN).status == 403
    response = made.request("OPTIONS", "/file")
    assert response.field("DAV") == "1, 3" and "LOCK" not in response.field("Allow")


def test_without_users(make_server):
    made = make_server("--no-auth", users=None)
    made.write("file", "x")
    token = token_of(lock(made, "/file", auth=None))
    assert lock(made, "/file", auth=None).status == 423
    assert unlock(made, "/file", token, auth=None).status == 204


# --- fields and bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("field, seconds", [
    (None, 1800), ("Second-600", 600), ("second-600", 600), ("Second-0", 60), ("Second-10", 60), ("Infinite", 3600), ("Second-4100000000", 3600),
    ("Second-99999999999999999999", 3600), ("Infinite, Second-4100000000", 3600), ("Second-700, Infinite", 700)])
def test_timeouts(server, tree, field, seconds):
    response = lock(server, tree + "file", timeout=field)
    assert locks_told(response)[0]["seconds"] == seconds


@pytest.mark.parametrize("field, value", [
    ("Depth", "1"), ("Depth", "2"), ("Depth", ""), ("Depth", "infinity,noroot"), ("Timeout", "600"), ("Timeout", "Second-"),
    ("Timeout", "Second-x"), ("Timeout", "Infinite, x"), ("If", "x"), ("If", "()"), ("If", "(<a> "), ("If", "<a>")])
def test_malformed_fields(server, tree, field, value):
    for target in ("file", "new"):
        assert lock(server, tree + target, fields={field: value}).status == 400
    assert locks(server, tree + "file") == [] and not os.path.exists(server.path(tree[1:] + "new"))


WRITE = b"<D:locktype><D:write/></D:locktype>"
EXCLUSIVE = b"<D:lockscope><D:exclusive/></D:lockscope>"


def info(inside):
    return b'<D:lockinfo xmlns:D="DAV:">' + inside + b"</D:lockinfo>"


BODIES = {
    "no XML": (b"x", 400),
    "nothing asked": (info(b""), 400),
    "no scope": (info(WRITE), 400),
    "no type": (info(EXCLUSIVE), 400),
    "two scopes": (info(WRITE + EXCLUSIVE * 2), 400),
    "another type": (info(EXCLUSIVE + b"<D:locktype><D:read/></D:locktype>"), 400),
    "another element": (b'<propfind xmlns="DAV:"><allprop/></propfind>', 400),
    "DOCTYPE": (b"<!DOCTYPE x>" + info(WRITE + EXCLUSIVE), 400),
    "not closed": (info(WRITE + EXCLUSIVE)[:-1], 400),
    "prefix without a namespace": (info(WRITE + EXCLUSIVE + b"<x:y/>"), 400),
    "long owner": (info(WRITE + EXCLUSIVE + b"<D:owner>" + b"o" * 1025 + b"</D:owner>"), 413),
    "long": (info(WRITE + EXCLUSIVE + b" " * 65536), 413),
    "deep": (info(WRITE + EXCLUSIVE + b"<x>" * 40 + b"</x>" * 40), 413),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_no_client_should_send(server, tree, name):
    body, status = BODIES[name]
    for target in ("file", "new"):
        assert lock(server, tree + target, body=body).status == status
    assert locks(server, tree + "file") == [] and not os.path.exists(server.path(tree[1:] + "new"))


def test_the_owner_comes_back_as_it_was(server, tree):
    owner = '<D:href>a&amp;b</D:href><x:y xmlns:x="urn:x" x:z="1">\u00e4 <x:w/></x:y>'
    response = lock(server, tree + "file", body=lockinfo(owner=owner))
    assert locks_told(response)[0]["owner"] == "a&b\u00e4 "
    (found,) = read_multistatus(propfind(server, tree + "file", prop("lockdiscovery"))).values()
    told = found[DAV + "lockdiscovery"][1].find(f"{DAV}activelock/{DAV}owner")
    assert [child.tag for child in told] == [DAV + "href", "{urn:x}y"] and told[1].get("{urn:x}z") == "1" and told[1][0].tag == "{urn:x}w"


def test_conditions(server, tree):
    assert lock(server, tree + "file", fields={"If-None-Match": "*"}).status == 412
    assert lock(server, tree + "file", fields={"If-Match": '"no"'}).status == 412
    assert lock(server, tree + "file", fields={"If": '(["no"])'}).status == 412
    assert lock(server, tree + "new", fields={"If-Match": "*"}).status == 412
    assert locks(server, tree + "file") == [] and not os.path.exists(server.path(tree[1:] + "new"))
    assert lock(server, tree + "new", fields={"If-None-Match": "*"}).status == 201
    tag = server.head(tree + "file").field("ETag")
    assert lock(server, tree + "file", fields={"If": f"([{tag}])"}).status == 200
    assert lock(server, tree + "other", fields={"If": f"(Not <{UNKNOWN}>)"}).status == 200


def test_old_office_gets_no_lockroot(server, tree):
    office = {"User-Agent": "Microsoft Data Access Internet Publishing Provider DAV 1.1"}
    assert locks_told(lock(server, tree + "file", fields=office))[0]["root"] is None
    assert locks(server, tree + "file", fields=office)[0]["root"] is None and locks(server, tree + "file")[0]["root"]


# --- refreshing and ending ---------------------------------------------------------------------------------


def test_refresh(server, tree):
    token = token_of(lock(server, tree, timeout="Second-100"))
    response = refresh(server, tree, token, "Second-500")
    assert response.status == 200 and response.field("Lock-Token") is None
    assert [(one["token"], one["seconds"]) for one in locks_told(response)] == [(token, 500)]
    assert refresh(server, tree + "sub/deep/file", token).status == 200, "by what it covers as well"
    assert 1790 <= locks(server, tree)[0]["seconds"] <= 1800
    assert refresh(server, tree + "none", token).status == 200, "what is not there yet is covered too"


def test_refresh_of_one_of_many(server, tree):
    first, second = (token_of(lock(server, tree + "file", "shared", auth=auth)) for auth in (ALICE, CAROL))
    response = server.request("LOCK", tree + "file", fields={"If": f"(<{first}>) (<{second}>)", "Timeout": "Second-70"})
    assert {one["token"]: one["seconds"] > 1000 for one in locks_told(response)} == {first: False, second: True}


def test_what_is_not_refreshed(server, tree):
    token = token_of(lock(server, tree + "file", timeout="Second-100"))
    assert server.request("LOCK", tree + "file").status == 400
    assert refresh(server, tree + "file", UNKNOWN).status == 412
    assert refresh(server, tree + "other", token).status == 412
    response = server.request("LOCK", tree + "file", fields={"If": f"(Not <{UNKNOWN}>)"})
    assert response.status == 412 and condition_of(response)[0] == "lock-token-matches-request-uri"
    assert refresh(server, tree + "file", token, auth=CAROL).status == 403
    assert server.request("LOCK", tree + "file", fields={"If": f'(<{token}> ["no"])'}).status == 412
    assert refresh(server, tree + "file", token, "x").status == 400
    assert locks(server, tree + "file")[0]["seconds"] <= 100


def test_unlock(server, tree):
    token = token_of(lock(server, tree + "file"))
    for value in (None, "", "<>", "<a b>", "<a", f"<{token}> x"):
        assert server.request("UNLOCK", tree + "file", fields={"Lock-Token": value}).status == 400, value
    for target, other in (("file", UNKNOWN), ("file", "x"), ("other", token), ("", token), ("none", token), ("none/none", token)):
        response = unlock(server, tree + target, other)
        assert response.status == 409 and condition_of(response) == ("lock-token-matches-request-uri", [])
    assert unlock(server, tree + "file", token, auth=CAROL).status == 403
    assert len(locks(server, tree + "file")) == 1
    assert server.request("UNLOCK", tree + "file", fields={"Lock-Token": token}).status == 204, "as Windows sends it"
    assert unlock(server, tree + "file", token).status == 409


def test_unlock_of_what_another_program_took_away(server, tree):
    token = token_of(lock(server, tree + "sub/deep/file"))
    for path in ("sub/deep/file", "sub/deep", "sub/file", "sub"):
        path = server.path(tree[1:] + path)
        (os.rmdir if os.path.isdir(path) else os.unlink)(path)
    assert refresh(server, tree + "sub/deep/file", token).status == 200
    assert unlock(server, tree + "sub/deep/file", token).status == 204


def test_locks_leave_files_as_they_are(server, tree):
    before = os.stat(server.path(tree[1:] + "file"))
    tag = server.head(tree + "file").field("ETag")
    token = token_of(lock(server, tree + "file"))
    refresh(server, tree + "file", token)
    unlock(server, tree + "file", token)
    after = os.stat(server.path(tree[1:] + "file"))
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ctime_ns, after.st_ino)
    assert server.head(tree + "file").field("ETag").removeprefix("W/") == tag.removeprefix("W/")


# --- and changes -------------------------------------------------------------------------------------------


def test_as_clients_save(server, tree):
    """What Finder and Windows do: an empty file, a lock, its content with the token, and the end of the lock."""
    with server.connect() as connection:
        def ask(method, target, **options):
            return connection.request(method, tree + target, auth=ALICE, **options)

        assert ask("PUT", "saved", body=b"").status == 201
        token = token_of(ask("LOCK", "saved", body=lockinfo(), fields={"Timeout": "Second-3600"}))
        shown = {"If": f"(<{token}>)"}
        assert server.request("PUT", tree + "saved", auth=CAROL, body=b"hers").status == 423
        assert server.request("PUT", tree + "saved", auth=CAROL, body=b"hers", fields=shown).status == 423, "a token is its user's"
        assert ask("PUT", "saved", body=b"his").status == 423
        assert ask("PUT", "saved", body=b"his", fields=shown).status == 204
        assert [one["token"] for one in locks(server, tree + "saved")] == [token], "it stays, though the file is another one"
        assert ask("PUT", "saved", body=b"again", fields={"If": f"<{tree}saved> (<{token}>)"}).status == 204
        assert ask("UNLOCK", "saved", fields={"Lock-Token": f"<{token}>"}).status == 204
        assert server.request("PUT", tree + "saved", auth=CAROL, body=b"hers").status == 204
        assert ask("GET", "saved").body == b"hers"


def test_as_davfs2_saves(server, tree):
    """An empty file by LOCK, perhaps the right to execute, its tag by HEAD, and the content with the token, all within milliseconds."""
    with server.connect() as connection:
        for number in range(10):
            target = f"{tree}new {number}".replace(" ", "%20")
            response = connection.request("LOCK", target, auth=ALICE, body=lockinfo())
            assert response.status == 201
            shown = {"If": f"<{target}> (<{token_of(response)}>)"}
            if number % 2:
                body = update(("{http://apache.org/dav/props/}executable", "T"))
                assert connection.request("PROPPATCH", target, auth=ALICE, body=body, fields=shown).status == 207
            tag = connection.request("HEAD", target, auth=ALICE).field("ETag")
            assert tag.startswith('"'), "davfs2 takes a weak one for a strong one"
            assert connection.request("PUT", target, auth=ALICE, body=b"new", fields={**shown, "If-Match": tag}).status == 204
            assert connection.request("UNLOCK", target, auth=ALICE, fields={"Lock-Token": f"<{token_of(response)}>"}).status == 204


def test_a_lock_that_comes_during_an_upload(server, tree):
    with server.connect() as connection:
        connection.send_request("PUT", tree + "file", auth=ALICE, fields={"Content-Length": "200000"})
        connection.send(b"n" * 100_000)
        token = token_of(lock(server, tree + "file", auth=CAROL))
        connection.send(b"n" * 100_000)
        assert connection.read_response("PUT").status == 423
    assert server.get(tree + "file").body == b"content"
    assert unlock(server, tree + "file", token, auth=CAROL).status == 204


@not_in_the_vm("a large tree")
def test_either_the_lock_or_the_change(server, tree):
    """Nobody gets a lock on what is just going away, and nothing that is locked goes away."""
    seen = set()
    for n in range(8):
        for i in range(400):
            server.write(f"{tree[1:]}large-{n}/{i % 20}/{i}")

        def ask(number, target=f"{tree}large-{n}/", pause=n * 0.002):
            if number == 0:
                return server.request("DELETE", target).status
            time.sleep(pause)
            response = lock(server, target, auth=CAROL)
            return response.status, response
        deleted, (locked, response) = together(2, ask)
        seen.add((deleted, locked))
        assert (deleted, locked) in {(204, 409), (204, 423), (423, 200)}
        assert os.path.exists(server.path(f"{tree[1:]}large-{n}/0/0")) == (deleted == 423)
        if locked == 200:
            assert unlock(server, f"{tree}large-{n}/", token_of(response), auth=CAROL).status == 204
    print(seen)


# --- many rings, and the time after this process -----------------------------------------------------------


def test_all_rings_have_the_same(make_server):
    made = make_server("--threads", "4", users=USERS)
    made.write("file", "x")
    token = token_of(lock(made, "/file"))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(made.connect()) for _ in range(16)]
        for connection in connections:
            assert connection.request("LOCK", "/file", auth=CAROL, body=lockinfo()).status == 423
        assert connections[3].request("UNLOCK", "/file", auth=ALICE, fields={"Lock-Token": f"<{token}>"}).status == 204
        answers = [connection.request("LOCK", "/file", auth=CAROL, body=lockinfo("shared")).status for connection in connections]
        assert answers == [200] * 16


def kill_home(server):
    old = server.pid_of("home")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: server.roles().get("home", [old]) not in ([old], []) and server.answers(), 10 * SLOW, "another home")


@not_in_the_vm("processes are killed")
@pytest.mark.parametrize("end", ["kill home", "stop", "kill all"])
def test_locks_outlive_the_server(make_server, end):
    made = make_server(users=USERS)
    for name in ("a\nb\x7f", "dir/file"):
        made.write(name, "x")
    kept = token_of(lock(made, "/a%0Ab%7F", "shared", timeout="Second-600")), token_of(lock(made, "/dir/", auth=CAROL)), \
        token_of(lock(made, "/new"))
    ended = token_of(lock(made, "/other"))
    assert unlock(made, "/other", ended).status == 204
    if end == "kill home":
        kill_home(made)
    else:
        made.stop() if end == "stop" else made.kill()
        made.start()
    (found,) = locks(made, "/a%0Ab%7F")
    assert found["root"] == "/a%0Ab%7F"
    assert found["token"] == kept[0] and found["scope"] == "shared" and found["owner"] == "mailto:me@example.org" and 540 < found["seconds"] <= 600
    (found,) = locks(made, "/dir/file")
    assert found["token"] == kept[1] and found["depth"] == "infinity" and found["scope"] == "exclusive"
    assert locks(made, "/new")[0]["token"] == kept[2] and locks(made, "/other") == []
    assert lock(made, "/dir/file").status == 423, "they are as good as before"
    assert unlock(made, "/dir/file", kept[1]).status == 403 and unlock(made, "/dir/file", kept[1], auth=CAROL).status == 204
    new = token_of(lock(made, "/dir/"))
    assert new not in kept
    kill_home(made)
    assert [one["token"] for one in locks(made, "/dir/")] == [new]


@not_in_the_vm("calls are made to fail")
@pytest.mark.parametrize("error, status", [(errno.ENOSPC, 507), (errno.EIO, 500)])
def test_what_cannot_be_written_down_is_not_locked(error, status):
    made = Server(start=False)
    try:
        faults = Faults(made)
        made.start()
        made.write("file", "x")
        first = token_of(lock(made, "/file", "shared"))
        faults.set("fsync", error)
        assert lock(made, "/file", "shared").status == status
        assert [one["token"] for one in locks(made, "/file")] == [first]
        assert refresh(made, "/file", first).status == status
        faults.clear()
        assert lock(made, "/file", "shared").status == 200 and len(locks(made, "/file")) == 2
        kill_home(made)
        assert len(locks(made, "/file")) == 2 and locks(made, "/file")[0]["token"] == first
    finally:
        made.finish()


@not_in_the_vm("calls are made to fail")
@pytest.mark.parametrize("times", [1, ALWAYS])
def test_what_was_refused_does_not_come_back(times):
    """It may have been written, and only the disk did not say so."""
    made = Server(start=False)
    try:
        faults = Faults(made)
        made.start()
        made.write("file", "x")
        first = token_of(lock(made, "/file", "shared"))
        for _ in range(2):
            faults.set("fsync", errno.EIO, times=times)
            assert lock(made, "/file", "shared").status == 500
            kill_home(made)
            assert [one["token"] for one in locks(made, "/file")] == [first]
        faults.clear()
        second = token_of(lock(made, "/file", "shared"))
        kill_home(made)
        assert [one["token"] for one in locks(made, "/file")] == [first, second]
    finally:
        made.finish()


@not_in_the_vm("the state folder is outside")
def test_where_nothing_can_be_kept_there_are_locks_all_the_same():
    made = Server(start=False)
    try:
        state = os.path.join(made.base, "state", "fastfile", "home")
        made.start()
        made.stop()
        for name in os.listdir(state):
            os.unlink(os.path.join(state, name))
        os.rmdir(state)
        with open(state, "wb"):
            pass  # in the way
        made.start()
        made.wait_for_log("locks of WebDAV clients end when the server is restarted")
        made.write("file", "x")
        token = token_of(lock(made, "/file"))
        assert lock(made, "/file").status == 423 and unlock(made, "/file", token).status == 204
    finally:
        made.finish()
