"""Who is let in: Basic, the login page and its sessions, the users file, the throttle, foreign pages.

Tests that fail on purpose come from addresses of their own (127.0.0.x), because failures are counted by address.
"""
import re
import stat
import time

import pytest
from client import ClosedEarly, basic, wait_for
from machine import not_in_the_vm, open, os
from server import ALICE, BOB, IS_ROOT, SLOW, USER
from sessions import cookie_of, log_in, logged_in

NAVIGATION = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate",
              "Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}
SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("hello.txt", "hello")


def get_with(server, cookie, target="/hello.txt", method="GET", **fields):
    return server.request(method, target, auth=None, fields={"Cookie": cookie, **fields})


# --- without a credential ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/hello.txt", "/none", "/sub/../hello.txt"])
def test_nothing_is_told_before_the_login(server, target):
    response = server.get(target, auth=None)
    assert response.status == 401
    assert response.field("WWW-Authenticate").lower().startswith('basic realm="')
    assert 'charset="utf-8"' in response.field("WWW-Authenticate").lower()
    assert b"hello" not in response.body and response.field("ETag") is None


@pytest.mark.parametrize("authorization", [None, "Bearer"])
def test_office_may_look_whether_there_is_webdav(server, authorization):
    """Before it opens a document from a drive of Windows' own client. It is told nothing of what there is."""
    def ask(method, target, authorization=authorization, agent="Microsoft Office Existence Discovery"):
        fields = {"User-Agent": agent, "Authorization": authorization}
        return server.request(method, target, auth=None, source="127.0.0.7", fields=fields)

    def told(response):
        return response.status, [(name, value) for name, value in response.fields if name != "Date"]

    for method in ("OPTIONS", "HEAD"):
        for target in ("/none", "/none/", "/sub/../hello.txt"):
            assert told(ask(method, "/hello.txt")) == told(ask(method, target))
        response = ask(method, "/hello.txt")
        assert response.status == 200 and response.field("DAV") == "1, 2, 3" and response.field("MS-Author-Via") == "DAV"
        assert response.field("WWW-Authenticate") is None and response.field("ETag") is None and response.field("Content-Length") == "0"
        assert ask(method, "/hello.txt", agent="Microsoft-WebDAV-MiniRedir/10.0.19045").status == 401
        assert ask(method, "/hello.txt", authorization="Bearer token").status == 401
        assert ask(method, "/hello.txt", authorization=basic("alice", "wrong")).status == 401
    for method in ("GET", "PROPFIND", "LOCK", "PUT", "DELETE"):
        response = ask(method, "/hello.txt")
        assert response.status == 401 and response.field("WWW-Authenticate").startswith("Basic ")


def test_a_browser_gets_the_login_page(server):
    response = server.get("/hello.txt", auth=None, fields=NAVIGATION)
    assert response.status in (200, 303, 401, 403)
    assert response.field("WWW-Authenticate") is None
    if response.status == 303:
        response = server.get(response.field("Location"), auth=None, fields=NAVIGATION)
    for part in ('name="user"', 'name="password"', 'type="password"', 'action="/.fastfile/login"', 'name="next"',
                 'autocomplete="current-password"'):
        assert part in response.text, part
    assert "/hello.txt" in response.text  # where to go afterwards
    assert response.field("Cache-Control") == "no-store"


def test_a_script_gets_401_without_a_pop_up(server):
    response = server.get("/hello.txt", auth=None, fields=SCRIPT)
    assert response.status == 401
    assert response.field("WWW-Authenticate") is None


def test_a_post_without_credential_is_401(server):
    assert server.request("POST", "/hello.txt", auth=None, body=b"x").status == 401


# --- Basic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [ALICE, BOB], ids=lambda user: user[0])
def test_basic(server, user):
    assert server.get("/hello.txt", auth=user).body == b"hello"


@not_in_the_vm("all clients have one address there")
@pytest.mark.parametrize("number, user", enumerate([
    ("alice", "wrong"), ("alice", ""), ("", "wonderland"), ("nobody", "wonderland"), ("Alice", "wonderland"),
    ("alice", "wonderland "), ("alice", "wonderlan"), ("alice", "builder"), ("alice\0", "wonderland"), ("alice:x", "wonderland"),
]))
def test_wrong_basic(server, number, user):
    response = server.get("/hello.txt", auth=user, source=f"127.0.1.{number + 1}")
    assert response.status in (400, 401)
    assert b"hello" not in response.body


@pytest.mark.parametrize("number, field", enumerate([
    "Basic", "Basic ", "Basic !!!", "Basic YWxpY2U=", "Bearer x", "Digest username=alice", "basic", "Basic " + "A" * 4000,
    "Basic YWxpY2U6d29uZGVybGFuZA==x", "Negotiate TlRMTVNTUAAB",
]))
def test_malformed_authorization(server, number, field):
    response = server.get("/hello.txt", auth=None, fields={"Authorization": field}, source=f"127.0.2.{number + 1}")
    assert response.status in (400, 401, 431)


def test_the_scheme_is_case_insensitive(server):
    field = basic(*ALICE).replace("Basic", "bAsIc")
    assert server.get("/hello.txt", auth=None, fields={"Authorization": field}).status == 200


def test_passwords_may_hold_anything_printable(make_server):
    for number, password in enumerate(["pässwörd", "a:b:c", " blanks ", "x" * 200, "\U0001f41f"]):
        server = make_server(users={"carol": (password, False)})
        server.write("hello.txt", "hello")
        assert server.get("/hello.txt", auth=("carol", password)).status == 200, password
        assert server.get("/hello.txt", auth=("carol", password + "x"), source=f"127.0.3.{number + 1}").status == 401
        server.stop()


def test_every_request_of_a_connection_is_checked(server):
    with server.connect(source="127.0.4.1") as connection:
        for auth, status in ((ALICE, 200), (None, 401), (BOB, 200), (("alice", "wrong"), 401), (ALICE, 200), (ALICE, 200)):
            assert connection.request("GET", "/hello.txt", auth=auth).status == status, auth


def test_the_credential_may_change_between_pipelined_requests(server):
    with server.connect(source="127.0.4.2") as connection:
        order = [ALICE, BOB, None, BOB, ALICE] * 4
        for auth in order:
            connection.send_request("GET", "/hello.txt", auth=auth)
        assert [connection.read_response().status for _ in order] == [200 if auth else 401 for auth in order]


@pytest.mark.measures
def test_many_connections_with_one_new_password(make_server):
    """They cost one hash together: 50 of them are answered in the time of a few."""
    server = make_server()
    server.write("hello.txt", "hello")
    connections = [server.connect() for _ in range(50)]
    started = time.monotonic()
    for connection in connections:
        connection.send_request("GET", "/hello.txt", auth=ALICE)
    assert [connection.read_response().status for connection in connections] == [200] * 50
    assert time.monotonic() - started < 0.6 * SLOW
    for connection in connections:
        connection.close()


# --- the login form and its session ------------------------------------------------------------------------


def test_login_sets_a_cookie_and_goes_on(server):
    response = log_in(server, next_="/hello.txt")
    assert response.status == 303 and response.field("Location") == "/hello.txt"
    name_value, *attributes = [part.strip() for part in response.field("Set-Cookie").split(";")]
    name, value = name_value.split("=", 1)
    assert name == f"__Host-fastfile-{server.port}"
    assert len(value) >= 22  # 128 bits
    lower = {attribute.lower() for attribute in attributes}
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= lower
    assert not any(attribute.startswith("domain") for attribute in lower)
    assert get_with(server, name_value).body == b"hello"


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
                                   "/\r\nX: y", "/\t/evil.example", "", "evil.example", "/%0d%0aX:%20y"])
def test_login_goes_nowhere_else(server, next_):
    response = log_in(server, next_=next_)
    assert response.status == 303
    assert response.field("X") is None
    location = response.field("Location")
    assert re.match(r"/([^/\\\t]|$)", location), location
    assert "evil.example" not in location or location.startswith("/evil.example")


def test_wrong_login(server):
    response = log_in(server, password="wrong", source="127.0.5.1")
    assert response.status in (200, 401, 403)
    assert response.field("Set-Cookie") is None
    assert 'name="password"' in response.text and "wrong" not in re.sub(r"[Ww]rong (name|user|password)", "", response.text)


@pytest.mark.parametrize("body", [b"", b"user=alice", b"password=wonderland", b"user=&password=", b"%", b"user=%00&password=%00",
                                  b"a" * 9000, b"&" * 8000], ids=ascii)
def test_malformed_login(server, body):
    response = server.request("POST", "/.fastfile/login", auth=None, body=body, source="127.0.5.2",
                              fields={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status in (200, 400, 401, 403, 413)
    assert response.field("Set-Cookie") is None


def test_each_login_has_a_session_of_its_own(server):
    first, second = logged_in(server), logged_in(server)
    assert first != second
    assert get_with(server, first).status == get_with(server, second).status == 200


def test_a_login_replaces_the_session_that_came_with_it(server):
    first = logged_in(server)
    second = logged_in(server, fields={"Cookie": first})
    assert first != second
    assert get_with(server, second).status == 200
    assert get_with(server, first).status == 401


def test_a_session_cannot_be_chosen_by_somebody_else(server):
    fixed = f"__Host-fastfile-{server.port}={'A' * 43}"
    response = log_in(server, fields={"Cookie": fixed})
    assert cookie_of(response) != fixed
    assert get_with(server, fixed).status == 401


@pytest.mark.parametrize("value", ["", "x", "A" * 43, "A" * 5000, "\xff\xfe", "../../etc"])
def test_a_made_up_cookie_is_no_credential(server, value):
    assert get_with(server, f"__Host-fastfile-{server.port}={value}").status in (401, 431)


def test_the_cookie_among_others(server):
    cookie = logged_in(server)
    assert get_with(server, f"a=b; {cookie}; c=d").status == 200
    assert get_with(server, cookie.replace("__Host-", "x__Host-")).status == 401


def test_logout(server):
    cookie = logged_in(server)
    other = logged_in(server)
    with server.connect() as connection:
        fields = {"Cookie": cookie}
        assert connection.request("GET", "/hello.txt", fields=fields).status == 200
        response = get_with(server, cookie, "/.fastfile/logout", method="POST", Origin=server.origin)
        assert response.status == 303
        cleared = response.field("Set-Cookie")
        assert cleared.split("=")[0] == cookie.split("=")[0]
        assert "max-age=0" in cleared.lower() or "expires=thu, 01 jan 1970" in cleared.lower()
        # gone on every connection, also on those that are open
        assert get_with(server, cookie).status == 401
        try:
            assert connection.request("GET", "/hello.txt", fields=fields).status == 401
        except (OSError, ClosedEarly):
            pass  # closed, which is as good
    assert get_with(server, other).status == 200


def test_logout_by_a_link_does_nothing(server):
    cookie = logged_in(server)
    assert get_with(server, cookie, "/.fastfile/logout").status in (303, 404, 405)
    assert get_with(server, cookie).status == 200


def test_sessions_survive_a_restart_and_are_kept_as_hashes(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    cookie = logged_in(server)
    token = cookie.split("=", 1)[1].encode()
    server.stop()
    kept = b""
    for folder, _, names in os.walk(os.path.join(server.base, "state")):
        for name in names:
            path = os.path.join(folder, name)
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0 or name.endswith((".crt", "cert.pem")), path
            with open(path, "rb") as file:
                kept += file.read()
    assert kept and token not in kept
    server.start()
    assert get_with(server, cookie).status == 200


def test_a_page_after_login_in_one_connection(server):
    """As a browser does: everything in one pooled connection."""
    with server.connect() as connection:
        connection.request("GET", "/", fields=NAVIGATION)
        body = b"user=alice&password=wonderland&next=%2F"
        response = connection.request("POST", "/.fastfile/login", body=body, fields={
            "Content-Type": "application/x-www-form-urlencoded", "Origin": server.origin, "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "navigate"})
        fields = {**NAVIGATION, "Cookie": cookie_of(response)}
        listing = connection.request("GET", "/?format=html", fields=fields)
        assert listing.status == 200 and "hello.txt" in listing.text and "alice" in listing.text
        connection.request("POST", "/.fastfile/logout", fields={"Cookie": cookie_of(response), "Origin": server.origin}, body=b"")
        again = connection.request("GET", "/?format=html", fields=fields)
        assert "hello.txt" not in again.text


# --- foreign pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["cookie", "basic"])
@pytest.mark.parametrize("fields", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                                    {"Sec-Fetch-Site": "same-site"}], ids=str)
def test_changes_by_foreign_pages_are_refused(server, by, fields):
    who = {"Cookie": logged_in(server)} if by == "cookie" else {"Authorization": basic(*ALICE)}
    assert server.request("POST", "/.fastfile/logout", auth=None, body=b"", fields={**who, **fields}).status == 403
    assert server.request("PUT", "/new.txt", auth=None, body=b"", fields={**who, **fields}).status == 403
    assert not os.path.exists(server.path("new.txt"))
    if by == "cookie":
        assert get_with(server, who["Cookie"]).status == 200  # still logged in


def test_a_foreign_page_cannot_log_somebody_in(server):
    response = log_in(server, fields={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert response.status == 403 and response.field("Set-Cookie") is None


def test_reading_across_sites_is_allowed_to_links_only_by_the_cookie_rule(server):
    """A link from another site leads to the page: SameSite=Lax and the CSRF rule let it."""
    cookie = logged_in(server)
    assert get_with(server, cookie, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status == 200


# --- the users file --------------------------------------------------------------------------------------------


def test_the_users_file_holds_hashes_and_is_private(server):
    with open(server.users_path, encoding="ascii") as file:
        lines = file.read().splitlines()
    assert any(re.fullmatch(r"alice:\$y\$\S+", line) for line in lines)
    assert any(re.fullmatch(r"bob:\$y\$\S+:ro", line) for line in lines)
    assert "wonderland" not in "".join(lines)
    assert stat.S_IMODE(os.stat(server.users_path).st_mode) == 0o600


def test_changes_of_the_users_file_count_at_once(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    cookie = logged_in(server)

    server.passwd("carol", "newcomer")
    wait_for(lambda: server.get("/hello.txt", auth=("carol", "newcomer"), source="127.0.6.1").status == 200, 3 * SLOW,
             "the new user")

    with server.connect() as connection:
        assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200
        server.passwd("alice", "looking-glass")
        wait_for(lambda: server.get("/hello.txt", auth=("alice", "looking-glass"), source="127.0.6.2").status == 200, 3 * SLOW,
                 "the new password")
        assert server.get("/hello.txt", auth=ALICE, source="127.0.6.3").status == 401
        assert get_with(server, cookie).status == 401
        try:  # the connection that was let in with the old password
            assert connection.request("GET", "/hello.txt", auth=ALICE).status == 401
        except (OSError, ClosedEarly):
            pass

    with open(server.users_path, encoding="ascii") as file:
        kept = [line for line in file if not line.startswith("carol:")]
    with open(server.users_path, "w", encoding="ascii") as file:
        file.writelines(kept)
    wait_for(lambda: server.get("/hello.txt", auth=("carol", "newcomer"), source="127.0.6.4").status == 401, 3 * SLOW,
             "the end of the removed user")


def test_a_broken_users_file_lets_nobody_new_in_and_is_reported(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    with open(server.users_path, "a", encoding="ascii") as file:
        file.write("this line is nonsense\n")
    server.wait_for_log(r"users.*(line )?3")
    assert server.get("/hello.txt", auth=("this line is nonsense", ""), source="127.0.6.5").status == 401


def test_passwd_complains(server):
    for arguments, text in ((["passwd"], ""), (["passwd", "a:b"], "x\n"), (["passwd", "--users", "/nonexistent/x/users", "eve"], "pw\n"),
                            (["passwd", "--users", server.users_path, "eve"], "\n")):
        done = server.run(*arguments, input=text)
        assert done.returncode != 0 and done.stderr.strip(), arguments


def test_first_start_makes_a_user(make_server):
    """Without a users file and without a terminal: the password is in a file that only its owner reads."""
    server = make_server(users=None)
    server.write("hello.txt", "hello")
    path = re.search(r"(/\S*password\S*)", server.log())[1].rstrip(".,;:")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        text = file.read()
    password = re.findall(r"\S+", text)[-1]
    assert password not in server.log()
    assert server.get("/hello.txt", auth=(USER.pw_name, password)).body == b"hello"
    with open(server.users_path, encoding="ascii") as file:
        assert file.read().startswith(USER.pw_name + ":$y$")
    server.stop()
    server.start()  # the second start changes nothing
    assert server.get("/hello.txt", auth=(USER.pw_name, password)).body == b"hello"


# --- read-only users, no users -----------------------------------------------------------------------------------


def test_read_only_users_change_nothing(server):
    for method in ("PUT", "DELETE", "POST"):
        response = server.request(method, "/hello.txt", auth=BOB, body=b"x")
        assert response.status == (405 if method == "POST" else 403)
    assert server.get("/hello.txt", auth=BOB).body == b"hello"


def test_no_auth(make_server):
    server = make_server("--no-auth", users=None)
    server.write("hello.txt", "hello")
    assert server.get("/hello.txt", auth=None).body == b"hello"
    assert server.get("/hello.txt", auth=("any", "body")).body == b"hello"
    assert server.get("/", auth=None, fields=NAVIGATION).status == 200


# --- the throttle -------------------------------------------------------------------------------------------------


def fail(server, source, count, user="alice"):
    """So many wrong passwords, each another one, one after the other; returns the statuses."""
    return [server.get("/hello.txt", auth=(user, f"wrong-{number}"), source=source).status for number in range(count)]


def test_guessing_is_slowed_down(make_server):
    server = make_server()
    statuses = fail(server, "127.0.7.1", 20)
    assert statuses[0] == 401 and statuses[-1] == 429 and set(statuses) == {401, 429}
    assert statuses.count(401) <= 10
    response = server.get("/hello.txt", auth=("alice", "wrong-again"), source="127.0.7.1")
    assert response.status == 429 and int(response.field("Retry-After")) >= 1


def test_guessing_by_the_form_counts_too(make_server):
    server = make_server()
    responses = [log_in(server, password=f"wrong-{number}", source="127.0.7.2") for number in range(20)]
    assert responses[-1].status == 429 and int(responses[-1].field("Retry-After")) >= 1
    assert server.get("/hello.txt", auth=("alice", "wrong-again"), source="127.0.7.2").status == 429


def test_the_throttle_never_holds_back_who_is_known(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    cookie = logged_in(server)
    assert server.get("/hello.txt", auth=ALICE, source="127.0.7.3").status == 200
    assert 429 in fail(server, "127.0.7.3", 20)
    assert server.get("/hello.txt", auth=ALICE, source="127.0.7.3").status == 200
    assert server.request("GET", "/hello.txt", auth=None, fields={"Cookie": cookie}, source="127.0.7.3").status == 200


@not_in_the_vm("all clients have one address there")
def test_one_address_does_not_hold_back_another(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    assert 429 in fail(server, "127.0.7.4", 20, user="bob")
    assert server.get("/hello.txt", auth=ALICE, source="127.0.7.5").status == 200


def test_the_same_wrong_password_counts_once(make_server):
    """A phone that keeps trying an old password does not lock its owner out."""
    server = make_server()
    server.write("hello.txt", "hello")
    statuses = {server.get("/hello.txt", auth=("alice", "old"), source="127.0.7.6").status for _ in range(40)}
    assert statuses == {401}
    assert server.get("/hello.txt", auth=ALICE, source="127.0.7.6").status == 200


@pytest.mark.measures
@pytest.mark.skipif(SLOW > 1, reason="times under a sanitizer say nothing")
def test_an_unknown_user_takes_as_long_as_a_known_one(make_server):
    server = make_server()
    times = {"alice": [], "nobody-by-that-name": []}
    for number in range(40):
        for offset, user in enumerate(times):
            with server.connect(source=f"127.0.{8 + offset}.{number + 1}") as connection:
                started = time.monotonic()
                assert connection.request("GET", "/", auth=(user, f"wrong-{number}")).status in (401, 429)
                times[user].append(time.monotonic() - started)
    medians = [sorted(series)[len(series) // 2] for series in times.values()]
    assert abs(medians[0] - medians[1]) < 0.004, medians


@pytest.mark.skipif(not IS_ROOT, reason="what only root can start (this is an ordinary user)")
def test_run_as_serves_with_that_users_rights(make_server, as_root):
    server = make_server("--run-as", USER.pw_name, as_root=True)
    server.write("own.txt", "own")
    os.chown(server.path("own.txt"), 0, 0)
    os.chmod(server.path("own.txt"), 0o600)
    assert server.get("/own.txt").status == 403
    assert server.get(server.write("theirs.txt", "theirs", mode=0o600)).body == b"theirs"
