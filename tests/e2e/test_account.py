"""/.fastfile/account: app passwords that a browser makes, lists and removes, and the end of all sessions."""
import contextlib
import errno
import fcntl
import json
import signal
import stat
import urllib.parse

import processes
import pytest
from client import ClosedEarly, together, wait_for
from faults import Faults
from machine import IN_VM, open, os
from server import ALICE, BOB, IS_ROOT, SLOW, USER
from sessions import logged_in

pytestmark = pytest.mark.skipif(IN_VM, reason="accounts, which the kernel has no part in")

APP_PASSWORDS = 32  # LIMIT_APP_PASSWORDS
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("hello.txt", "hello")


class Page:
    """What the page of somebody who has logged in can do."""

    def __init__(self, server, **who):
        self.server = server
        self.fields = {"Cookie": logged_in(server, **who), "Origin": server.origin, "Sec-Fetch-Site": "same-origin",
                       "Sec-Fetch-Mode": "cors", "Accept": "application/json"}

    def request(self, method, target, body=None, **fields):
        return self.server.request(method, target, auth=None, body=body, fields={**self.fields, **(FORM if body is not None else {}), **fields})

    def account(self):
        response = self.request("GET", "/.fastfile/account")
        assert response.status == 200 and response.field("Cache-Control") == "no-store", response
        return response.json()

    def labels(self):
        return [app["label"] for app in self.account()["apps"]]

    def add(self, label, **more):
        return self.request("POST", "/.fastfile/account/apps", urllib.parse.urlencode({"label": label, **more}).encode())

    def add_in_turn(self, label):
        """As somebody who is told that too many of theirs wait, and comes again."""
        answers = []
        wait_for(lambda: answers.append(self.add(label)) or answers[-1].status != 503, 60 * SLOW, "a turn")
        return answers[-1]

    def made(self, label, **more):
        """The password of a new one."""
        response = self.add(label, **more)
        assert response.status == 201 and response.field("Cache-Control") == "no-store", response
        answer = response.json()
        assert answer["label"] == label
        return answer["password"]

    def remove(self, label):
        return self.request("DELETE", "/.fastfile/account/apps/" + urllib.parse.quote(label, safe=""))


def reads(server, user, password):
    return server.get("/hello.txt", auth=(user, password)).status == 200


def works(server, user, password):
    status = server.request("PUT", "/by-app.txt", auth=(user, password), body=b"x").status
    assert status in (201, 204, 401, 403)
    return status < 300


def users_text(server):
    with open(server.users_path, encoding="utf-8") as file:
        return file.read()


# --- one after the other -----------------------------------------------------------------------------------


def test_made_used_listed_removed(server):
    page = Page(server)
    assert page.account() == {"user": "alice", "writable": True, "session": True, "apps": []}
    password = page.made("My Phone")
    assert works(server, "alice", password)
    assert server.request("PROPFIND", "/", auth=("alice", password), fields={"Depth": "0"}).status == 207
    assert page.account()["apps"] == [{"label": "My Phone", "readOnly": False}]
    assert password not in users_text(server) and password.replace("-", "") not in users_text(server)
    assert stat.S_IMODE(os.stat(server.users_path).st_mode) == 0o600
    with server.connect() as connection:
        assert connection.request("GET", "/hello.txt", auth=("alice", password)).status == 200
        assert page.remove("My Phone").status == 204
        assert not works(server, "alice", password)
        try:  # what it had opened
            assert connection.request("GET", "/hello.txt", auth=("alice", password)).status == 401
        except (OSError, ClosedEarly):
            pass
    assert page.labels() == []
    assert page.remove("My Phone").status == 404


def test_removing_one_leaves_other_connections_alone(server):
    page = Page(server)
    kept, removed = page.made("kept"), page.made("removed")
    with server.connect() as by_page, server.connect() as by_app, server.connect() as by_password:
        ways = [(by_page, {"fields": page.fields}), (by_app, {"auth": ("alice", kept)}), (by_password, {"auth": ALICE})]
        for connection, how in ways:
            assert connection.request("GET", "/hello.txt", **how).status == 200
        assert reads(server, "alice", removed)
        assert page.remove("removed").status == 204
        for connection, how in ways:  # not even closed
            assert connection.request("GET", "/hello.txt", **how).status == 200
    assert page.remove("kept").status == 204


def test_one_that_may_only_look(server):
    page = Page(server)
    password = page.made("frame", readOnly="1")
    assert reads(server, "alice", password) and not works(server, "alice", password)
    assert page.account()["apps"] == [{"label": "frame", "readOnly": True}]
    assert page.remove("frame").status == 204


def test_of_a_read_only_user_it_is_read_only(server):
    page = Page(server, user="bob", password="builder")
    password = page.made("tablet")
    assert page.account() == {"user": "bob", "writable": False, "session": True, "apps": [{"label": "tablet", "readOnly": True}]}
    assert reads(server, "bob", password) and not works(server, "bob", password)
    assert not reads(server, "alice", password)
    assert Page(server).labels() == []
    assert Page(server).remove("tablet").status == 404  # somebody else's
    assert page.remove("tablet").status == 204


def test_an_open_page_sees_what_others_change(server):
    page = Page(server)
    done = server.run("passwd", "--users", server.users_path, "--app", "by hand", "alice")
    assert done.returncode == 0
    wait_for(lambda: page.labels() == ["by hand"], 5 * SLOW, "the one made by hand")
    assert page.add("by hand").status == 409
    assert page.remove("by hand").status == 204
    assert "by hand" not in users_text(server)


# --- who may not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["app", "password", "read-only password"])
def test_only_a_session_may(server, by):
    page = Page(server)
    auth = {"app": ("alice", page.made("phone")) if by == "app" else None, "password": ALICE, "read-only password": BOB}[by]
    for method, target, body in (("GET", "/.fastfile/account", None), ("POST", "/.fastfile/account/apps", b"label=x"),
                                 ("DELETE", "/.fastfile/account/apps/phone", None), ("POST", "/.fastfile/logout", b"everywhere=1")):
        response = server.request(method, target, auth=auth, body=body, fields=FORM)
        assert response.status == 403 and b"phone" not in response.body, (method, target)
    assert page.labels() == (["phone"] if by == "app" else [])
    page.remove("phone")


def test_without_a_credential(server):
    for method, target in (("GET", "/.fastfile/account"), ("POST", "/.fastfile/account/apps"), ("DELETE", "/.fastfile/account/apps/x")):
        assert server.request(method, target, auth=None, fields={"Sec-Fetch-Mode": "cors"}).status == 401


@pytest.mark.parametrize("fields", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                                    {"Sec-Fetch-Site": "same-site"}], ids=str)
def test_another_site_may_not(server, fields):
    page = Page(server)
    password = page.made("phone")
    assert page.request("POST", "/.fastfile/account/apps", b"label=theirs", **fields).status == 403
    assert page.request("DELETE", "/.fastfile/account/apps/phone", **fields).status == 403
    assert page.request("POST", "/.fastfile/logout", b"everywhere=1", **fields).status == 403
    assert page.labels() == ["phone"] and reads(server, "alice", password)
    page.remove("phone")


def test_where_nobody_logs_in_there_is_none(make_server):
    server = make_server("--no-auth", users=None)
    assert server.get("/.fastfile/account", auth=None).status == 404
    assert server.get("/.fastfile/account", auth=None, fields={"Cookie": f"__Host-fastfile-{server.port}={'A' * 43}"}).status == 404


# --- labels, forms, methods --------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["a", "x" * 64, "Jürgens Händi \U0001f4f1", "a/b", "../../etc/passwd", "100%", "#1", "<b>\"'&+ ;", "a//b", "ro"])
def test_labels(server, label):
    page = Page(server)
    password = page.made(label)
    assert page.labels() == [label]
    assert page.add(label).status == 409
    assert reads(server, "alice", password)
    assert page.remove(label).status == 204
    assert not reads(server, "alice", password)


@pytest.mark.parametrize("label", ["", " ", " a", "a ", "a:b", "x" * 65, "ü" * 33, "a\nb", "a\0", "\x1b[2J", "a\x7f", "\xa0\x85x\x9f", ".", ".."], ids=ascii)
def test_labels_that_are_not_allowed(server, label):
    before = users_text(server)
    page = Page(server)
    assert page.add(label).status == 400
    assert page.remove(label).status in (403, 404, 405)
    assert users_text(server) == before


@pytest.mark.parametrize("body", [b"", b"label", b"label=%", b"label=%ff", b"label=%c3", b"other=x", b"label=%00"])
def test_malformed_forms(server, body):
    page = Page(server)
    assert page.request("POST", "/.fastfile/account/apps", body).status == 400
    assert page.labels() == []


def test_other_bodies(server):
    page = Page(server)
    assert page.request("POST", "/.fastfile/account/apps", json.dumps({"label": "x"}).encode(), **{"Content-Type": "application/json"}).status == 400
    large = page.request("POST", "/.fastfile/account/apps", b"label=" + b"x" * 9000)
    assert large.status == 413 and b"too large" in large.body
    assert page.labels() == []


def test_methods_and_paths(server):
    page = Page(server)
    for method, target, allowed in (("PUT", "/.fastfile/account", "GET, HEAD"), ("GET", "/.fastfile/account/apps", "POST"),
                                    ("GET", "/.fastfile/account/apps/x", "DELETE")):
        response = page.request(method, target)
        assert response.status == 405 and response.field("Allow") == allowed
    for target in ("/.fastfile/account/", "/.fastfile/account/x", "/.fastfile/accounts", "/.fastfile/account/appsx"):
        assert page.request("GET", target).status == 404
    head = page.server.head("/.fastfile/account", auth=None, fields=page.fields)
    assert head.status == 200 and int(head.field("Content-Length")) > 0 and head.body == b""


# --- many at once ------------------------------------------------------------------------------------------


def test_no_more_than_there_may_be(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    with open(server.users_path, "a", encoding="ascii") as file:
        file.writelines(f"alice/{number}:{{SHA256}}{number:064x}\n" for number in range(APP_PASSWORDS - 1))
    wait_for(lambda: len(page.labels()) == APP_PASSWORDS - 1, 5 * SLOW, "what was written by hand")
    password = page.made("the last")
    response = page.add("one more")
    assert response.status == 507 and b"as many" in response.body
    assert reads(server, "alice", password) and len(page.labels()) == APP_PASSWORDS
    assert page.remove("0").status == 204
    page.made("one more")


def test_twenty_at_once_and_by_hand(make_server):
    """Whoever makes them: none gets lost."""
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)

    def make(number):
        if number % 5:
            return page.add_in_turn(f"page {number}")
        server.passwd(f"user{number}", "by-hand")
        return None

    answers = [answer for answer in together(20, make) if answer]
    assert [answer.status for answer in answers] == [201] * 16
    assert sorted(page.labels()) == sorted(f"page {number}" for number in range(20) if number % 5)
    assert all(reads(server, "alice", answer.json()["password"]) for answer in answers)
    assert all(f"\nuser{number}:" in users_text(server) for number in range(0, 20, 5))
    assert {page.remove(label).status for label in page.labels()} == {204}
    assert not any(reads(server, "alice", answer.json()["password"]) for answer in answers[:2])


def test_one_label_by_many_at_once(make_server):
    server = make_server()
    page = Page(server)
    statuses = together(8, lambda _: page.add_in_turn("the same").status)
    assert sorted(statuses) == [201] + [409] * 7
    assert page.labels() == ["the same"]


@contextlib.contextmanager
def being_edited(server):
    """The users file is locked, as it is while somebody else changes it; what this gives ends that."""
    with contextlib.ExitStack() as stack:
        folder = os.open(os.path.dirname(server.users_path), os.O_RDONLY)
        stack.callback(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield stack.close


@contextlib.contextmanager
def waiting(page, label):
    """A connection on which a change waits for the lock, or for the one that does."""
    with page.server.connect() as connection:
        connection.send_request("POST", "/.fastfile/account/apps", body=f"label={label}".encode(), fields={**page.fields, **FORM})
        wait_for(lambda: "fastfile: clerk" in commands(page.server), 5 * SLOW, "the process that waits for the lock")
        yield connection


def test_who_edits_the_file_holds_up_nobody_else(make_server):
    """It is locked meanwhile: the change waits, and everybody else is let in."""
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    with being_edited(server) as end_editing, waiting(page, "late") as connection:
        assert reads(server, *BOB) and page.labels() == []
        end_editing()
        response = connection.read_response()
        assert response.status == 201 and reads(server, "alice", response.json()["password"])
    wait_for(lambda: "fastfile: clerk" not in commands(server), 5 * SLOW, "the end of that process")


def test_an_answer_before_does_not_wait_too(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    with being_edited(server) as end_editing, server.connect() as connection:
        connection.send_request("GET", "/hello.txt", fields=page.fields)
        connection.send_request("POST", "/.fastfile/account/apps", body=b"label=late", fields={**page.fields, **FORM})
        assert connection.read_response().body == b"hello"
        end_editing()
        assert connection.read_response().status == 201


def test_who_has_another_password_meanwhile(make_server):
    """Changed by hand while the change waited for the lock: it is not made."""
    server = make_server()
    page = Page(server)
    with being_edited(server) as end_editing, waiting(page, "late") as connection:
        text = users_text(server)
        hashes = dict(line.split(":")[:2] for line in text.splitlines())
        with open(server.users_path, "w", encoding="ascii") as file:
            file.write(text.replace(hashes["alice"], hashes["bob"]))
        end_editing()
        with contextlib.suppress(OSError, ClosedEarly):  # unless it was closed because of that
            assert connection.read_response().status in (401, 403)
    wait_for(lambda: "fastfile: clerk" not in commands(server), 5 * SLOW, "the end of the change")
    assert "alice/late" not in users_text(server)


def test_the_change_ends_though_the_monitor_was_killed(make_server):
    """By itself, a little later than the monitor would have ended it."""
    server = make_server()
    page = Page(server)
    with being_edited(server), waiting(page, "late"):
        [clerk] = [pid for pid in processes.children(server.process.pid) if command(pid) == "fastfile: clerk"]
        server.process.kill()
        server.process.wait()
        server.process = None  # the others have ended with it
        wait_for(lambda: command(clerk) != "fastfile: clerk", 30 * SLOW, "the end of the one that waits for the lock")


def command(pid):
    """What a process calls itself; "" where it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="ascii") as file:
            return file.read().rstrip("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def commands(server):
    """What the server's processes call themselves."""
    return [command(pid) for pid in processes.children(server.process.pid)]


# --- what goes wrong ---------------------------------------------------------------------------------------


def folder_of(server):
    return sorted(os.listdir(os.path.dirname(server.users_path)))


def is_refused(server, page, status, pattern):
    """A change, with an answer that says so and a line in the log; nothing is changed, and the server goes on."""
    before, files = users_text(server), folder_of(server)
    at = len(server.log())
    response = page.add("phone")
    assert response.status == status and response.json()
    server.wait_for_log(pattern, start=at)
    assert users_text(server) == before and folder_of(server) == files
    assert page.labels() == [] and reads(server, *ALICE)


def test_a_folder_that_nobody_may_write(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    folder = os.path.dirname(server.users_path)
    os.chmod(folder, 0o500)
    is_refused(server, page, 500, r"users file .* could not be changed.*Permission denied")
    os.chmod(folder, 0o700)
    assert reads(server, "alice", page.made("phone"))


def test_a_full_disk(make_server):
    server = make_server(start=False)
    faults = Faults(server)
    server.start()
    server.write("hello.txt", "hello")
    page = Page(server)
    faults.set("fsync", errno.ENOSPC)
    is_refused(server, page, 507, r"users file .* could not be changed.*No space left")
    faults.clear()
    assert reads(server, "alice", page.made("phone"))


def test_a_file_that_is_broken_is_left_alone(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    with open(server.users_path, "a", encoding="ascii") as file:
        file.write("nonsense\n")
    server.wait_for_log(r"line 3")
    is_refused(server, page, 500, r"users file .* could not be changed")


def test_a_file_that_is_gone_is_not_made_anew(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    os.unlink(server.users_path)
    assert page.add("phone").status == 500
    assert page.remove("phone").status == 500
    assert not os.path.exists(server.users_path)
    assert reads(server, *ALICE)  # as whoever replaces it by hand expects


def test_a_link_stays_one(make_server):
    server = make_server(start=False)
    real = os.path.join(server.base, "users-elsewhere")
    os.rename(server.users_path, real)
    os.symlink(real, server.users_path)
    os.chown(server.base, USER.pw_uid, USER.pw_gid)
    server.start()
    server.write("hello.txt", "hello")
    assert reads(server, "alice", Page(server).made("phone"))
    assert os.path.islink(server.users_path) and os.path.isfile(real) and not os.path.islink(real)


@pytest.mark.skipif(not IS_ROOT, reason="what only root can start (this is an ordinary user)")
def test_as_root(make_server, as_root):
    server = make_server("--run-as", USER.pw_name, as_root=True, start=False)
    folder = os.path.dirname(server.users_path)
    for path in (folder, server.users_path):
        os.chown(path, 0, 0)
    server.start()
    server.write("hello.txt", "hello")
    page = Page(server)
    password = page.made("phone")
    assert works(server, "alice", password)
    st = os.stat(server.users_path)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, 0, 0o600)
    assert page.remove("phone").status == 204
    assert not reads(server, "alice", password)
    # Somebody else's file, in a folder that root may write to, stays that.
    os.chown(server.users_path, USER.pw_uid, USER.pw_gid)
    os.chmod(server.users_path, 0o644)
    is_refused(server, page, 500, r"users file .* could not be changed.*not permitted")
    assert os.stat(server.users_path).st_uid == USER.pw_uid


@pytest.mark.skipif(not IS_ROOT, reason="a file of a group that its owner is not in (this is an ordinary user)")
def test_a_group_that_cannot_be_kept(make_server):
    """It does not lose the file silently."""
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    os.chown(server.users_path, USER.pw_uid, 4711)
    os.chmod(server.users_path, 0o640)
    is_refused(server, page, 500, r"users file .* could not be changed.*not permitted")
    st = os.stat(server.users_path)
    assert (st.st_gid, stat.S_IMODE(st.st_mode)) == (4711, 0o640)


def test_home_that_dies_meanwhile(make_server):
    """Its question is answered to nobody, and the next one's questions to it."""
    server = make_server()
    server.write("hello.txt", "hello")
    page = Page(server)
    with being_edited(server):
        with waiting(page, "lost") as connection:
            home = server.pid_of("home")
            os.kill(home, signal.SIGKILL)
            with pytest.raises((OSError, ClosedEarly)):
                connection.read_response()
        wait_for(lambda: server.roles().get("home", [home]) not in ([home], []) and page.labels() == [], 10 * SLOW, "another home")
    wait_for(lambda: page.labels() == ["lost"], 5 * SLOW, "what the first one had asked for")
    assert reads(server, "alice", page.made("found"))
    assert page.remove("lost").status == 204


def test_a_change_that_is_under_way_when_the_server_ends(make_server):
    """It is made, and answered."""
    server = make_server()
    page = Page(server)
    with being_edited(server) as end_editing, waiting(page, "last") as connection:
        server.signal(signal.SIGTERM)
        server.wait_for_log("Finishing what runs")
        end_editing()
        assert connection.read_response().status == 201
    server.stop()
    assert "\nalice/last:" in users_text(server)


# --- logging out -------------------------------------------------------------------------------------------


def test_logging_out_everywhere(server):
    here, there, bob = Page(server), Page(server), Page(server, user="bob", password="builder")
    password = here.made("phone")
    with server.connect() as connection:
        assert connection.request("GET", "/hello.txt", fields=there.fields).status == 200
        response = here.request("POST", "/.fastfile/logout", b"everywhere=1")
        assert response.status == 303 and "max-age=0" in response.field("Set-Cookie").lower()
        for page in (here, there):
            assert page.request("GET", "/hello.txt").status == 401
            assert page.request("GET", "/.fastfile/account").status == 401
        try:
            assert connection.request("GET", "/hello.txt", fields=there.fields).status == 401
        except (OSError, ClosedEarly):
            pass
    assert bob.labels() == []
    assert reads(server, "alice", password)  # no session
    again = Page(server)
    assert again.labels() == ["phone"]
    again.remove("phone")


def test_logging_out_everywhere_while_changes_wait(server):
    """The connections that wait are closed; what has not begun is not done."""
    here, there = Page(server), Page(server)
    with being_edited(server), waiting(here, "first") as first, waiting(here, "second") as second:
        assert there.labels() == []
        assert there.request("POST", "/.fastfile/logout", b"everywhere=1").status == 303
        with pytest.raises((OSError, ClosedEarly)):
            first.read_response()
        with contextlib.suppress(OSError, ClosedEarly):  # unless it comes after the logout
            assert second.read_response().status == 401
    again = Page(server)
    wait_for(lambda: again.labels() == ["first"], 5 * SLOW, "the one that had begun")
    again.made("third")
    assert again.labels() == ["first", "third"]
    for label in again.labels():
        again.remove(label)


@pytest.mark.parametrize("body", [None, b"", b"everywhere=0", b"everywhere", b"everywhere=11", b"here=1", b"everywhere=1&x=" + b"x" * 9000],
                         ids=lambda body: ascii(body)[:20])
def test_logging_out_here(server, body):
    here, there = Page(server), Page(server)
    assert here.request("POST", "/.fastfile/logout", body, **FORM).status == 303
    assert here.request("GET", "/hello.txt").status == 401
    assert there.labels() == []
