"""HTTP/1.1 on the wire: what is understood, what is refused, and in what state a connection is left."""
import email.utils
import json
import os
import re
import time
import urllib.parse

import pytest
from client import basic, wait_for
from machine import CLIENT_ADDRESS
from server import ALICE, SLOW


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    for number in range(10):
        module_server.write(f"file{number}.txt", f"content {number}\n")


# --- the ordinary --------------------------------------------------------------------------------


def test_health_needs_no_login(server):
    response = server.get("/.fastfile/health", auth=None)
    assert (response.status, response.body) == (200, b"ok\n")


def test_get(server):
    response = server.get("/file1.txt")
    assert (response.status, response.reason, response.body) == (200, "OK", b"content 1\n")
    assert response.field("Content-Length") == "10"


def test_date_is_now_and_the_server_has_no_name(server):
    response = server.get("/file1.txt")
    date = response.field("Date")
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 3
    assert response.field("Server") is None


def test_head_is_get_without_the_body(server):
    with server.connect() as connection:
        head = connection.request("HEAD", "/file1.txt", auth=ALICE)
        get = connection.request("GET", "/file1.txt", auth=ALICE)  # would read HEAD's body first
    without_date = [[f for f in response.fields if f[0] != "Date"] for response in (head, get)]
    assert without_date[0] == without_date[1]
    assert (head.status, head.body, get.body) == (200, b"", b"content 1\n")


@pytest.mark.parametrize("target", ["/", "/none", "/.fastfile/health"])
def test_head_of_everything_has_no_body(server, target):
    with server.connect() as connection:
        head = connection.request("HEAD", target, auth=ALICE)
        assert head.body == b""
        assert connection.request("GET", "/file2.txt", auth=ALICE).body == b"content 2\n"


@pytest.mark.parametrize("target", ["/", "/file1.txt", "*"])
def test_options(server, target):
    response = server.request("OPTIONS", target)
    assert response.status == 200
    allowed = {method.strip() for method in response.field("Allow").split(",")}
    assert {"GET", "HEAD", "OPTIONS"} <= allowed


def test_absolute_form_of_the_target(server):
    response = server.get(f"{server.origin}/file3.txt")
    assert (response.status, response.body) == (200, b"content 3\n")


@pytest.mark.parametrize("method", ["BREW", "get", "TRACE"])
def test_unknown_method(server, method):
    with server.connect() as connection:
        response = connection.request(method, "/file1.txt", auth=ALICE)
        assert response.status in (405, 501)
        if response.status == 405:
            assert "GET" in response.field("Allow")


def test_method_not_allowed_names_the_allowed(server):
    response = server.request("POST", "/file1.txt", body=b"x")
    assert response.status == 405
    assert "GET" in response.field("Allow") and "POST" not in response.field("Allow")


# --- connections ---------------------------------------------------------------------------------


def test_keep_alive(server):
    with server.connect() as connection:
        for number in range(200):
            response = connection.request("GET", f"/file{number % 10}.txt", auth=ALICE)
            assert response.body == f"content {number % 10}\n".encode()
            assert (response.field("Connection") or "").lower() != "close"


def test_pipelining_keeps_the_order(server):
    request = "GET /file{}.txt HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n"
    with server.connect() as connection:
        connection.send("".join(request.format(number % 10, basic(*ALICE)) for number in range(50)))
        for number in range(50):
            assert connection.read_response().body == f"content {number % 10}\n".encode()


def test_pipelining_behind_a_response_without_body(server):
    with server.connect() as connection:
        connection.send_request("HEAD", "/file1.txt", auth=ALICE)
        connection.send_request("GET", "/none", auth=ALICE)
        connection.send_request("GET", "/file2.txt", auth=ALICE)
        assert connection.read_response("HEAD").status == 200
        assert connection.read_response().status == 404
        assert connection.read_response().body == b"content 2\n"


@pytest.mark.parametrize("version, field, closes", [
    ("HTTP/1.1", None, False),
    ("HTTP/1.1", "close", True),
    ("HTTP/1.1", "Close", True),
    ("HTTP/1.1", "foo, close", True),
    ("HTTP/1.0", None, True),
    ("HTTP/1.0", "keep-alive", False),
])
def test_who_closes(server, version, field, closes):
    with server.connect() as connection:
        response = connection.request("GET", "/file1.txt", fields={"Connection": field}, version=version, auth=ALICE)
        assert response.body == b"content 1\n"
        said = (response.field("Connection") or "").lower()
        if closes:
            assert version == "HTTP/1.0" or said == "close"
            assert connection.is_closed()
        else:
            assert version == "HTTP/1.1" or said == "keep-alive"
            assert connection.request("GET", "/file2.txt", auth=ALICE).body == b"content 2\n"


def test_a_request_may_arrive_byte_by_byte(server):
    request = f"GET /file1.txt HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n\r\n"
    with server.connect() as connection:
        for _ in range(2):  # once at gate, once at home
            for byte in request:
                connection.send(byte)
            assert connection.read_response().body == b"content 1\n"


def test_empty_lines_before_a_request_are_tolerated_or_refused_cleanly(server):
    with server.connect() as connection:
        connection.send(f"\r\nGET /file1.txt HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n\r\n")
        assert connection.read_response().status in (200, 400)


def test_client_goes_away_at_any_point(server):
    request = f"GET /file1.txt HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n\r\n"
    before = server.descriptors()
    for length in range(0, len(request) + 1, 7):
        with server.connect() as connection:
            connection.send(request[:length])
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of closed connections")


# --- refused: the same at gate (first request) and at home (a later one) -----------------------------

AUTHORIZED = f"Host: x\r\nAuthorization: {basic(*ALICE)}\r\n"
BAD_REQUESTS = [
    # what is wrong, the request, the statuses that say so
    ("no host", "GET / HTTP/1.1\r\n\r\n", {400}),
    ("two hosts", f"GET / HTTP/1.1\r\nHost: y\r\n{AUTHORIZED}\r\n", {400}),
    ("bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    ("bare LF", "GET / HTTP/1.1\nHost: x\n\n", {400}),
    ("bare LF in fields", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", {400}),
    ("bare CR", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", {400}),
    ("folded field", f"GET / HTTP/1.1\r\n{AUTHORIZED}A: b\r\n c\r\n\r\n", {400}),
    ("blank before colon", f"GET / HTTP/1.1\r\n{AUTHORIZED}A : b\r\n\r\n", {400}),
    ("no colon", f"GET / HTTP/1.1\r\n{AUTHORIZED}nonsense\r\n\r\n", {400}),
    ("empty name", f"GET / HTTP/1.1\r\n{AUTHORIZED}: b\r\n\r\n", {400}),
    ("NUL in a value", f"GET / HTTP/1.1\r\n{AUTHORIZED}A: b\0c\r\n\r\n", {400}),
    ("control byte in a value", f"GET / HTTP/1.1\r\n{AUTHORIZED}A: b\x1bc\r\n\r\n", {400}),
    ("leading blank", f"GET / HTTP/1.1\r\n Host: x\r\n{AUTHORIZED}\r\n", {400}),
    ("two blanks", f"GET  / HTTP/1.1\r\n{AUTHORIZED}\r\n", {400}),
    ("no version", "GET /\r\n\r\n", {400}),
    ("relative target", f"GET file1.txt HTTP/1.1\r\n{AUTHORIZED}\r\n", {400}),
    ("control byte in the target", f"GET /\x01 HTTP/1.1\r\n{AUTHORIZED}\r\n", {400}),
    ("not HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", {400}),
    ("length and chunked", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", {400}),
    ("two lengths", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 3\r\nContent-Length: 4\r\n\r\n", {400}),
    ("list of lengths", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 3, 3\r\n\r\n", {400}),
    ("signed length", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: +3\r\n\r\n", {400}),
    ("negative length", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: -3\r\n\r\n", {400}),
    ("hexadecimal length", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 0x3\r\n\r\n", {400}),
    ("empty length", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length:\r\n\r\n", {400}),
    ("length beyond 2^64", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 18446744073709551620\r\n\r\n", {400, 413}),
    ("chunked in HTTP/1.0", f"PUT /x HTTP/1.0\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n", {400}),
    ("unknown coding", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: gzip, chunked\r\n\r\n", {400, 501}),
    ("chunked not last", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked, gzip\r\n\r\n", {400, 501}),
    ("chunked twice", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked, chunked\r\n\r\n", {400, 501}),
    ("misspelt coding", f"PUT /x HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: xchunked\r\n\r\n", {400, 501}),
    ("HTTP/2.0", f"GET / HTTP/2.0\r\n{AUTHORIZED}\r\n", {505}),
    ("HTTP/0.9", f"GET / HTTP/0.9\r\n{AUTHORIZED}\r\n", {505}),
    ("lower case protocol", f"GET / http/1.1\r\n{AUTHORIZED}\r\n", {400, 505}),
    ("HTTP/1.10", f"GET / HTTP/1.10\r\n{AUTHORIZED}\r\n", {400, 505}),
    ("CONNECT", f"CONNECT x:443 HTTP/1.1\r\n{AUTHORIZED}\r\n", {400, 405, 501}),
    ("unknown expectation", f"GET / HTTP/1.1\r\n{AUTHORIZED}Expect: miracles\r\n\r\n", {417}),
    ("long target", f"GET /{'a' * 17000} HTTP/1.1\r\n{AUTHORIZED}\r\n", {414}),
    ("long method", f"{'A' * 17000} / HTTP/1.1\r\n{AUTHORIZED}\r\n", {400, 414, 501}),
    ("long field", f"GET / HTTP/1.1\r\n{AUTHORIZED}A: {'a' * 17000}\r\n\r\n", {431}),
    ("long name", f"GET / HTTP/1.1\r\n{AUTHORIZED}{'a' * 17000}: b\r\n\r\n", {431}),
    ("endless fields", f"GET / HTTP/1.1\r\n{AUTHORIZED}" + "A: b\r\n" * 5000, {431}),
    ("many fields", f"GET / HTTP/1.1\r\n{AUTHORIZED}" + "A: b\r\n" * 70 + "\r\n", {431}),
]


@pytest.mark.parametrize("at_home", [False, True], ids=["gate", "home"])
@pytest.mark.parametrize("request_text, statuses", [(text, statuses) for _, text, statuses in BAD_REQUESTS],
                         ids=[what for what, _, _ in BAD_REQUESTS])
def test_refused(server, request_text, statuses, at_home):
    with server.connect() as connection:
        if at_home:
            assert connection.request("GET", "/file1.txt", auth=ALICE).status == 200
        connection.send(request_text)
        response = connection.read_response()
        assert response.status in statuses, response
        assert len(response.body) < 500
        if response.status in (400, 414, 431, 505):
            assert response.field("Connection") == "close"
            assert connection.is_closed(), "still open after a request that nobody can trust"


def test_nothing_behind_a_bad_request_is_answered(server):
    smuggled = f"GET /file1.txt HTTP/1.1\r\n{AUTHORIZED}\r\n"
    with server.connect() as connection:
        connection.send(f"POST / HTTP/1.1\r\n{AUTHORIZED}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                        f"0\r\n\r\n{smuggled}")
        assert connection.read_response().status == 400
        assert connection.is_closed()


# --- bodies ----------------------------------------------------------------------------------------


def chunked(*chunks):
    return "".join(f"{len(chunk):x}\r\n{chunk}\r\n" for chunk in (*chunks, ""))


@pytest.mark.parametrize("body", [chunked("hello"), chunked(), chunked(*["x" * 4000] * 20),
                                  "5;extension=1\r\nhello\r\n0\r\nTrailer: yes\r\n\r\n"],
                         ids=["one", "none", "many", "extension and trailer"])
def test_a_refused_chunked_body_does_not_become_a_request(server, body):
    with server.connect() as connection:
        connection.send(f"POST /new.txt HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n{body}")
        response = connection.read_response()
        assert response.status == 405
        if response.field("Connection") == "close":
            assert connection.is_closed()
        else:
            assert connection.request("GET", "/file1.txt", auth=ALICE).body == b"content 1\n"


@pytest.mark.parametrize("body", ["x\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhelloXX0\r\n\r\n",
                                  "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
                                  "+5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"],
                         ids=["no number", "bare LF", "no CRLF behind data", "too large", "blank", "sign", "trailer"])
def test_a_bad_chunked_body_ends_the_connection(server, body):
    smuggled = f"GET /file1.txt HTTP/1.1\r\n{AUTHORIZED}\r\n"
    with server.connect() as connection:
        connection.send(f"POST /new.txt HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n{body}{smuggled}")
        assert connection.read_response().status in (400, 405)
        assert connection.is_closed()


def test_a_refused_body_with_length_is_consumed(server):
    with server.connect() as connection:
        connection.send_request("POST", "/new.txt", body=b"GET / HTTP/1.1\r\n\r\n" * 10, auth=ALICE)
        response = connection.read_response()
        assert response.status == 405
        if response.field("Connection") == "close":
            assert connection.is_closed()
        else:
            assert connection.request("GET", "/file1.txt", auth=ALICE).body == b"content 1\n"


def test_get_with_a_body(server):
    with server.connect() as connection:
        assert connection.request("GET", "/file1.txt", body=b"a body nobody wants", auth=ALICE).status in (200, 400)


def test_expect_refused_at_once(server):
    """The body is never sent: the final answer comes instead of 100."""
    with server.connect() as connection:
        connection.send_request("POST", "/new.txt", auth=ALICE,
                                fields={"Expect": "100-continue", "Content-Length": "1000000"})
        assert connection.read_response(interim=True).status == 405


def test_expect_continue_where_the_body_is_wanted(server):
    body = b"user=alice&password=wonderland&next=%2F"
    with server.connect() as connection:
        connection.send_request("POST", "/.fastfile/login", fields={
            "Expect": "100-continue", "Content-Length": str(len(body)),
            "Content-Type": "application/x-www-form-urlencoded"})
        assert connection.read_response(interim=True).status == 100
        connection.send(body)
        assert connection.read_response().status == 303


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
def test_the_answer_is_seen_in_the_middle_of_an_upload(make_server, tmp_path, plain):
    """30 of 30 clients that send 20 MB without having logged in read the 401, not a reset."""
    server = make_server(plain=plain)
    upload = tmp_path / "upload"
    with open(upload, "wb") as file:
        file.truncate(20 << 20)
    seen = [server.curl("-H", "Expect:", "-T", str(upload), "-o", os.devnull, "-w", "%{http_code}", server.url("/x"))
            for _ in range(30)]
    assert [one.stdout for one in seen] == [b"401"] * 30, [one.stderr for one in seen if one.stdout != b"401"]


def test_a_client_that_sends_all_before_it_reads_still_sees_the_answer(server):
    """512 KiB, less than what is read after a refusal."""
    with server.connect() as connection:
        connection.send_request("PUT", "/x", fields={"Content-Length": str(512 << 10)})
        for _ in range(32):
            connection.send(b"x" * (16 << 10))
            time.sleep(0.01)
        assert connection.read_response().status == 401


# --- errors for different readers --------------------------------------------------------------------


def test_errors_as_text_json_and_page(server):
    text = server.get("/none")
    assert text.field("Content-Type").startswith("text/plain") and len(text.body) < 300

    as_json = server.get("/none", fields={"Accept": "application/json"})
    assert as_json.field("Content-Type").startswith("application/json")
    assert isinstance(json.loads(as_json.body), dict)

    page = server.get("/none", fields={"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"})
    assert page.field("Content-Type").startswith("text/html") and b"<" in page.body
    assert {text.status, as_json.status, page.status} == {404}


def test_an_error_does_not_reflect_the_request(server):
    page = server.get("/%3Cscript%3Ealert(1)%3C/script%3E", fields={"Accept": "text/html"})
    assert b"<script" not in page.body


# --- time ------------------------------------------------------------------------------------------


def test_slow_heads_and_handshakes_are_ended(server):
    """Each has 10 s; all wait at the same time."""
    with server.connect_plain() as silent, server.connect_plain() as half_hello, server.connect() as half_head, \
            server.connect() as dripping:
        half_hello.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        half_head.send("GET / HTTP/1.1\r\nHost:")
        started = time.monotonic()
        dripping.send("GET / HTTP/1.1\r\nA: ")
        while time.monotonic() < started + 9:
            dripping.send("a")  # a byte now and then does not buy time
            time.sleep(1)
        limit = 5 + 2 * SLOW
        assert half_head.read_response().status == 408
        assert half_head.is_closed()
        dripping.socket.settimeout(limit)
        assert dripping.read_response().status == 408
        for connection in (silent, half_hello):
            connection.socket.settimeout(limit)
            connection.read_rest()  # an alert may come; the end has to
        assert 9.5 < time.monotonic() - started < 10 + limit


# --- the access log ----------------------------------------------------------------------------------


def test_access_log_text_is_one_safe_line_per_request(make_server):
    server = make_server("--access-log", "-")
    server.write("a b.txt", "hello")
    server.get("/a%20b.txt", fields={"User-Agent": 'evil" \xe9\x9b\xaa'})
    line = server.wait_for_log(r"^.*a(%20|\\x20| )b\.txt.*$")[0]
    assert "200" in line and "alice" in line and CLIENT_ADDRESS in line
    assert line.isascii() and line.isprintable()
    assert "wonderland" not in server.log() and basic(*ALICE).split()[1] not in server.log()


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_access_log_has_no_control_characters(make_server, form):
    server = make_server("--access-log", "-", "--log-format", form)
    name = "".join(map(chr, range(1, 32))) + "\x7f\x9b\u2028"
    assert server.get(urllib.parse.quote(server.write("x" + name, "x"))).status == 200
    with server.connect() as connection:  # bytes beyond ASCII are taken as they are
        connection.send(b"GET /y\xc2\x9b\xc2\x85end HTTP/1.1\r\n" + AUTHORIZED.encode() + b"\r\n")
        assert connection.read_response().status == 404
    with server.connect() as connection:
        connection.send(b"GET /z\x1b[31m HTTP/1.1\r\n" + AUTHORIZED.encode() + b"\r\n")
        assert connection.read_response().status == 400
    server.get("/last")
    lines = server.wait_for_log(r"^.*/last.*$") and server.log().splitlines()
    assert all(line.isprintable() for line in lines) and sum("/x%01" in line for line in lines) == 1


def test_access_log_json(make_server):
    server = make_server("--access-log", "-", "--log-format", "json")
    server.get("/none", fields={"User-Agent": 'quote " backslash \\ \xff'})
    line = server.wait_for_log(r'^\{.*/none.*$')[0]
    entry = json.loads(line)
    assert 404 in entry.values() and "alice" in entry.values()


def test_the_first_client_after_a_pause_is_welcome(make_server):
    """Deadlines count from now, not from when the server last had something to do."""
    server = make_server()
    server.get("/")
    time.sleep(12)  # longer than a handshake may take
    for _ in range(4):
        assert server.get("/").status == 200
