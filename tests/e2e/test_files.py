"""Files over GET and HEAD: content, validators, conditions, ranges, names, and what must stay unreachable."""
import contextlib
import email.utils
import re
import stat
import time
import urllib.parse

import pytest
from client import ClosedEarly, basic, wait_for
from machine import not_in_the_vm, open, os
from server import ALICE, IS_ROOT, SLOW, own

SIZE = 10_000
CONTENT = bytes(os.urandom(SIZE))
OLD = 1_000_000_000  # 2001-09-09 01:46:40 UTC
OLD_DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
EARLIER, LATER = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:41 GMT"


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("data.bin", CONTENT)
    os.utime(module_server.path("data.bin"), (OLD, OLD))
    module_server.write("empty.txt")
    module_server.write("sub/inner.txt", "inner")
    with open(os.path.join(module_server.base, "secret"), "w", encoding="ascii") as file:
        file.write("SECRET")
    own(file.name)
    time.sleep(0.1)  # a tag is strong once its file has rested


def conditional(server, method="GET", target="/data.bin", **fields):
    """One request with such fields: If_Match becomes If-Match."""
    return server.request(method, target, fields={name.replace("_", "-"): value for name, value in fields.items()})


# --- content and validators ------------------------------------------------------------------------


def test_a_file(server):
    response = server.get("/data.bin")
    assert (response.status, response.body) == (200, CONTENT)
    assert response.field("Content-Length") == str(SIZE)
    assert response.field("Last-Modified") == OLD_DATE
    assert response.field("Accept-Ranges") == "bytes"
    assert re.fullmatch(r'"[^"]+"', response.field("ETag"))
    assert response.field("X-Content-Type-Options") == "nosniff"


def test_an_empty_file(server):
    response = server.get("/empty.txt")
    assert (response.status, response.field("Content-Length"), response.body) == (200, "0", b"")


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 65536, 1_000_003])
def test_sizes_around_records_and_buffers(server, size):
    content = os.urandom(size)
    target = server.write(f"size-{size}", content)
    assert server.get(target).body == content


def test_head_says_what_get_says(server):
    response = server.head("/data.bin")
    assert (response.status, response.field("Content-Length"), response.body) == (200, str(SIZE), b"")
    assert response.field("ETag") == server.get("/data.bin").field("ETag")


@pytest.mark.parametrize("name, kind", [
    ("a.txt", "text/plain"), ("a.png", "image/png"), ("a.JPG", "image/jpeg"), ("a.mp4", "video/mp4"),
    ("a.pdf", "application/pdf"), ("a.unheardof", "application/octet-stream"), ("noextension", "application/octet-stream"),
])
def test_content_type(server, name, kind):
    assert server.get(server.write(f"types/{name}", "x")).field("Content-Type").split(";")[0] == kind


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "page.xhtml", "data.xml"])
def test_active_content_cannot_act_as_this_site(server, name):
    response = server.get(server.write(f"active/{name}", "<script>alert(1)</script>"))
    assert response.field("X-Content-Type-Options") == "nosniff"
    policy = dict(part.split(" ", 1) if " " in part else (part, "") for part in response.field("Content-Security-Policy").split("; "))
    assert policy == {"sandbox": "", "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data:", "font-src": "data:"}
    assert (response.field("Content-Disposition") or "").startswith("attachment")


def test_download_as_attachment(server):
    target = server.write('Grüße "x".txt', "hello")
    response = server.get(urllib.parse.quote(target) + "?download")
    assert response.body == b"hello"
    disposition = response.field("Content-Disposition")
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22.txt" in disposition
    assert disposition.isascii()


def test_the_tag_changes_with_the_content(server):
    tags = set()
    for content in ("one", "two", "two plus"):
        target = server.write("changing.txt", content)
        time.sleep(0.05)
        tags.add(server.get(target).field("ETag"))
    assert len(tags) == 3 and not any(tag.startswith("W/") for tag in tags)


@not_in_the_vm("who seals makes no difference to tags; test_etag has them")
def test_quick_replacements_never_share_a_strong_tag(server):
    """Same size, by another program, as fast as it goes: in place, by rename, with the old time stamp."""
    seen = {}
    path = server.path("quick.bin")
    server.write("quick.bin", "00000000")
    with server.connect() as connection:
        for number in range(2000):
            content = f"{number:08}".encode()
            if number % 2:
                with open(path, "r+b") as file:
                    file.write(content)
            else:
                with open(path + ".new", "wb") as file:
                    file.write(content)
                os.replace(path + ".new", path)
            if number % 3 == 0:
                os.utime(path, (OLD, OLD))
            response = connection.request("GET", "/quick.bin", auth=ALICE)
            tag = response.field("ETag")
            if tag and not tag.startswith("W/"):
                assert seen.setdefault(tag, response.body) == response.body
            assert response.body == content


# --- conditions, in RFC 9110's order ------------------------------------------------------------------

ANY = "*"
CONDITIONS = [
    # method, fields, status; TAG stands for the file's tag
    ("GET", {"If_Match": "TAG"}, 200),
    ("GET", {"If_Match": '"other", TAG'}, 200),
    ("GET", {"If_Match": ANY}, 200),
    ("GET", {"If_Match": '"other"'}, 412),
    ("GET", {"If_Match": "W/TAG"}, 412),  # strong comparison
    ("HEAD", {"If_Match": '"other"'}, 412),
    ("GET", {"If_Unmodified_Since": OLD_DATE}, 200),
    ("GET", {"If_Unmodified_Since": LATER}, 200),
    ("GET", {"If_Unmodified_Since": EARLIER}, 412),
    ("GET", {"If_Unmodified_Since": "yesterday"}, 200),
    ("GET", {"If_None_Match": "TAG"}, 304),
    ("HEAD", {"If_None_Match": "TAG"}, 304),
    ("GET", {"If_None_Match": "W/TAG"}, 304),  # weak comparison
    ("GET", {"If_None_Match": '"a" , TAG,"b"'}, 304),
    ("GET", {"If_None_Match": ANY}, 304),
    ("GET", {"If_None_Match": '"other"'}, 200),
    ("GET", {"If_Modified_Since": OLD_DATE}, 304),
    ("GET", {"If_Modified_Since": LATER}, 304),
    ("HEAD", {"If_Modified_Since": OLD_DATE}, 304),
    ("GET", {"If_Modified_Since": EARLIER}, 200),
    ("GET", {"If_Modified_Since": "Sunday, 09-Sep-01 01:46:40 GMT"}, 304),  # RFC 850
    ("GET", {"If_Modified_Since": "Sun Sep  9 01:46:40 2001"}, 304),        # asctime
    ("GET", {"If_Modified_Since": "nonsense"}, 200),
    # precedence
    ("GET", {"If_Match": "TAG", "If_Unmodified_Since": EARLIER}, 200),
    ("GET", {"If_Match": '"other"', "If_None_Match": "TAG"}, 412),
    ("GET", {"If_None_Match": '"other"', "If_Modified_Since": OLD_DATE}, 200),
    ("GET", {"If_None_Match": "TAG", "If_Modified_Since": EARLIER}, 304),
    ("GET", {"If_Match": "TAG", "If_None_Match": "TAG"}, 304),
    ("GET", {"If_Unmodified_Since": EARLIER, "If_Modified_Since": OLD_DATE}, 412),
    ("GET", {"If_None_Match": "TAG", "Range": "bytes=0-9"}, 304),
    ("GET", {"If_Match": "TAG", "Range": "bytes=0-9"}, 206),
]


@pytest.mark.parametrize("method, fields, status", CONDITIONS,
                         ids=[f"{m} {' '.join(f'{k}={v}' for k, v in f.items())}" for m, f, _ in CONDITIONS])
def test_condition(server, method, fields, status):
    tag = server.head("/data.bin").field("ETag")
    response = conditional(server, method, **{name: value.replace("TAG", tag) for name, value in fields.items()})
    assert response.status == status
    if status == 304:
        assert response.body == b"" and response.field("ETag") == tag and response.field("Date")
    if status == 200 and method == "GET":
        assert response.body == CONTENT


@pytest.mark.parametrize("name, value", [("If-Match", '"x"'), ("If-Match", ANY), ("If-None-Match", '"x"')])
def test_conditions_on_what_is_missing(server, name, value):
    """A precondition says nothing about a response that is not a success (RFC 9110 section 13.2.1)."""
    assert server.get("/none", fields={name: value}).status in (404, 412)


# --- ranges ----------------------------------------------------------------------------------------

WHOLE = "whole"
RANGES = [
    # the field, and what has to come: (first, last), several of them, WHOLE, or 416
    ("bytes=0-0", (0, 0)),
    ("bytes=0-99", (0, 99)),
    ("bytes=100-199", (100, 199)),
    ("bytes=9999-9999", (9999, 9999)),
    ("bytes=9999-", (9999, 9999)),
    ("bytes=5000-", (5000, 9999)),
    ("bytes=0-", (0, 9999)),
    ("bytes=0-9999", (0, 9999)),
    ("bytes=0-10000", (0, 9999)),
    ("bytes=9990-20000", (9990, 9999)),
    ("bytes=-1", (9999, 9999)),
    ("bytes=-500", (9500, 9999)),
    ("bytes=-10000", (0, 9999)),
    ("bytes=-20000", (0, 9999)),
    ("bytes=00-09", (0, 9)),
    ("BYTES=0-9", (0, 9)),
    ("bytes=0-99999999999999999999999", (0, 9999)),
    ("bytes=-99999999999999999999999", (0, 9999)),
    ("bytes=,0-9", (0, 9)),
    ("bytes=0-9,", (0, 9)),
    ("bytes=10000-", 416),
    ("bytes=10000-10001", 416),
    ("bytes=20000-30000", 416),
    ("bytes=-0", 416),
    ("bytes=99999999999999999999999-", 416),
    ("bytes=20000-,30000-30001", 416),
    ("bytes=", WHOLE),
    ("bytes=-", WHOLE),
    ("bytes=5", WHOLE),
    ("bytes=5-4", WHOLE),
    ("bytes=a-b", WHOLE),
    ("bytes=0-9;x", WHOLE),
    ("bytes=0x0-0x9", WHOLE),
    ("bytes=--1", WHOLE),
    ("bytes 0-9", WHOLE),
    ("items=0-9", WHOLE),
    ("bytes=0-9,5-4", WHOLE),
    ("bytes=0-9,x", WHOLE),
    ("bytes=0-9,20-29", [(0, 9), (20, 29)]),
    ("bytes=20-29,0-9", [(20, 29), (0, 9)]),
    ("bytes=0-9 , 20-29", [(0, 9), (20, 29)]),
    ("bytes=0-9,,20-29", [(0, 9), (20, 29)]),
    ("bytes=0-0,-1", [(0, 0), (9999, 9999)]),
    ("bytes=0-9,10-19", (0, 19)),
    ("bytes=0-99,50-149", (0, 149)),
    ("bytes=0-9,5-15,100-109", [(0, 15), (100, 109)]),
    ("bytes=0-9,20000-20001", (0, 9)),
    ("bytes=" + ",".join(f"{n * 100}-{n * 100 + 9}" for n in range(16)), [(n * 100, n * 100 + 9) for n in range(16)]),
    ("bytes=" + ",".join(f"{n * 100}-{n * 100 + 9}" for n in range(17)), WHOLE),
    ("bytes=" + ",".join(["0-"] * 16), (0, 9999)),
    ("bytes=" + ",".join(["0-"] * 400), WHOLE),
]


def parts_of(response):
    """[(first, last, data)] of a multipart/byteranges response, taken apart strictly."""
    match = re.fullmatch(r'multipart/byteranges; ?boundary="?([\w\'()+,./:=?-]{1,70})"?', response.field("Content-Type"))
    mark = b"--" + match[1].encode()
    preamble, *parts, end = re.split(rb"(?:^|\r\n)" + re.escape(mark), response.body)
    assert preamble == b"" and end in (b"--", b"--\r\n")
    found = []
    for part in parts:
        head, data = part.split(b"\r\n\r\n", 1)
        content_range = re.search(rb"\r\nContent-Range: bytes (\d+)-(\d+)/(\d+)", head)
        assert content_range and int(content_range[3]) == SIZE and b"\r\nContent-Type: " in head
        found.append((int(content_range[1]), int(content_range[2]), data))
    return found


@pytest.mark.parametrize("field, expected", RANGES, ids=[field[:40] for field, _ in RANGES])
def test_range(server, field, expected):
    response = server.get("/data.bin", fields={"Range": field})
    assert len(response.body) <= 1.1 * SIZE
    if expected == WHOLE:
        assert (response.status, response.body) == (200, CONTENT)
        assert response.field("Content-Range") is None
    elif expected == 416:
        assert (response.status, response.field("Content-Range")) == (416, f"bytes */{SIZE}")
    elif isinstance(expected, tuple):
        first, last = expected
        assert response.status == 206
        assert response.field("Content-Range") == f"bytes {first}-{last}/{SIZE}"
        assert response.body == CONTENT[first:last + 1]
    else:
        assert response.status == 206 and response.field("Content-Range") is None
        assert parts_of(response) == [(first, last, CONTENT[first:last + 1]) for first, last in expected]
    if response.status in (200, 206):
        assert response.field("ETag") and response.field("Last-Modified") == OLD_DATE


def test_head_ignores_range(server):
    response = server.head("/data.bin", fields={"Range": "bytes=0-9"})
    assert (response.status, response.field("Content-Length")) == (200, str(SIZE))


def test_range_of_an_empty_file(server):
    assert server.get("/empty.txt", fields={"Range": "bytes=0-"}).status in (200, 416)


def test_the_parts_of_a_download_make_the_whole(server):
    with server.connect() as connection:
        pieces = [connection.request("GET", "/data.bin", auth=ALICE, fields={"Range": f"bytes={n}-{n + 336}"}).body
                  for n in range(0, SIZE, 337)]
    assert b"".join(pieces) == CONTENT


@pytest.mark.parametrize("value, status", [
    ("TAG", 206), (OLD_DATE, 206), ('"other"', 200), ("W/TAG", 200), (EARLIER, 200), (LATER, 200), ("nonsense", 200),
    ("TAG, TAG", 200),
])
def test_if_range(server, value, status):
    tag = server.head("/data.bin").field("ETag")
    response = conditional(server, Range="bytes=0-9", If_Range=value.replace("TAG", tag))
    assert response.status == status
    assert response.body == (CONTENT[:10] if status == 206 else CONTENT)


def test_if_range_with_a_file_that_just_changed(server):
    """Its weak tag proves nothing, so the whole file has to come."""
    target = server.write("fresh.txt", "0123456789")
    tag = server.head(target).field("ETag")
    server.write("fresh.txt", "abcdefghij")
    assert server.get(target, fields={"Range": "bytes=5-", "If-Range": tag}).body == b"abcdefghij"


# --- a file that changes while it is sent --------------------------------------------------------------


def start_download(server, name, size):
    """A connection that has read the head of a large download, and little more."""
    with open(server.path(name), "wb") as file:
        file.truncate(size)
    own(server.path(name))
    connection = server.connect(receive_buffer=4096)
    connection.send_request("GET", "/" + name, auth=ALICE)
    head = connection.read_head()
    assert head.status == 200 and head.field("Content-Length") == str(size)
    return connection


def test_a_file_that_shrinks_closes_the_connection(server):
    size = 64 << 20
    with start_download(server, "shrinks.bin", size) as connection:
        os.truncate(server.path("shrinks.bin"), 1000)
        with pytest.raises((ClosedEarly, ConnectionResetError, OSError)):
            connection._exactly(size)


def test_a_file_that_grows_is_sent_as_announced_or_not_to_the_end(server):
    size = 64 << 20
    with start_download(server, "grows.bin", size) as connection:
        with open(server.path("grows.bin"), "ab") as file:
            file.write(b"x" * 100_000)
        try:
            assert connection._exactly(size).count(b"\0") == size
        except (ClosedEarly, ConnectionResetError) as error:
            assert b"x" not in getattr(error, "received", b"")
        else:
            assert connection.request("GET", "/empty.txt", auth=ALICE).status == 200


def test_a_client_that_leaves_in_the_middle_costs_nothing(server):
    before = server.descriptors()
    for _ in range(10):
        start_download(server, "abandoned.bin", 64 << 20).close()
    deadline = time.monotonic() + 10 * SLOW
    while server.descriptors() > before:
        assert time.monotonic() < deadline, f"{before} descriptors became {server.descriptors()}"
        time.sleep(0.2)


# --- names -------------------------------------------------------------------------------------------

NAMES = ["Ünïcödé 文件.txt", "a b+c&d=e#f?g.txt", "100%.txt", "semi;colon,comma'quote.txt", "🐟.txt", "~tilde", "-dash",
         "…", "a" * 255, "colon:name", "back\\slash", "[brackets]{braces}", b"\xff\xfe latin1 \xe9".decode("utf-8", "surrogateescape"),
         "e\u0301.txt", "\u00e9.txt"]  # the last two: NFD and NFC are different files


def quoted(name):
    return urllib.parse.quote(os.fsencode(name))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_name(server, name):
    server.write(f"names/{name}", name.encode("utf-8", "surrogateescape"))
    response = server.get(f"/names/{quoted(name)}")
    assert (response.status, response.body) == (200, os.fsencode(name))


def test_a_folder_without_slash_redirects(server):
    response = server.get("/sub")
    assert response.status in (301, 302, 307, 308)
    assert urllib.parse.urljoin("/sub", response.field("Location")) == "/sub/"


def test_the_redirect_stays_on_this_site(server):
    server.mkdir("evil.example")
    for target in ("//evil.example", "/%2fevil.example", "/\\evil.example", "//evil.example/.."):
        response = server.get(target)
        if 300 <= response.status < 400:
            assert re.match(r"/[^/\\]|[^/\\:]+/$", response.field("Location")), response.field("Location")


def test_a_file_with_slash_is_not_there(server):
    assert server.get("/data.bin/").status == 404
    assert server.get("/data.bin/x").status == 404


@pytest.mark.parametrize("target, status", [
    ("/none", 404), ("/sub/none", 404), ("/none/none", 404), ("/" + "a" * 300, 414),
    ("/" + "a/" * 3000, 414),
])
def test_missing(server, target, status):
    assert server.get(target).status == status


def test_no_permission(server):
    target = server.write("locked.txt", "SECRET", mode=0o000)
    server.write("locked/inner.txt", "SECRET")
    os.chmod(server.path("locked"), 0o000)
    try:
        assert server.get(target).status == 403
        assert server.get("/locked/inner.txt").status == 403
    finally:
        os.chmod(server.path("locked"), 0o755)


CONTROL = "two\nlines\r\n\x1b[31m\ttab\x7f.txt"


def test_names_with_control_characters(server):
    target = urllib.parse.quote(server.write(CONTROL, "odd"))
    response = server.get(target)
    assert (response.status, response.body) == (200, b"odd")
    assert response.field("Content-Type").startswith("text/plain")
    for target in target, target.replace("%0A", "%0a"):
        disposition = server.get(target + "?download").field("Content-Disposition")
        assert disposition.isprintable()
        plain, whole = re.fullmatch("attachment; filename=\"([^\"]*)\"; filename\\*=UTF-8''(\\S*)", disposition).groups()
        assert plain == re.sub(r"[\x00-\x1f\x7f]", "_", CONTROL) and urllib.parse.unquote(whole) == CONTROL
    assert server.get(target + "x").status == 404
    for accept in "text/html", "application/json", "text/plain":
        body = server.get("/%0d%0aX:%20y%1b%7f", fields={"Accept": accept}).body
        assert not {*range(10), *range(11, 32), 127} & set(body) and b"X:" not in body


@pytest.mark.parametrize("byte", [*range(1, 32), 127])
def test_control_characters_that_are_not_encoded(server, byte):
    with server.connect() as connection:
        connection.send(f"GET /a{chr(byte)}b HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n\r\n".encode())
        assert connection.read_response().status == 400


# --- what must stay unreachable --------------------------------------------------------------------------

TRAVERSALS = [
    "/../secret", "/../../../../../../etc/passwd", "/sub/../../secret", "/%2e%2e/secret", "/%2E%2E%2Fsecret",
    "/..%2fsecret", "/sub/..%2f..%2fsecret", "/sub%2f..%2f..%2fsecret", "/.%2e/secret", "/%252e%252e/secret",
    "/..%5csecret", "/..\\secret", "/sub/..\\..\\secret", "/..;/secret", "/%c0%ae%c0%ae/secret", "/%c0%ae%c0%ae%c0%afsecret",
    "/..%c0%afsecret", "/..%00/secret", "/data.bin%00.txt", "/%00", "//../secret", "/./../secret", "/sub/./../../secret",
    "/sub/.../secret", "///etc/passwd", "/etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd",
    "/files/../../secret", "/..", "/sub/../..", "/%u002e%u002e/secret", "/%", "/%2", "/%zz", "/a%0d%0aX:y", "/a%0ab", "/%7f",
]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_traversal(server, target):
    response = server.get(target)
    assert response.status in (400, 403, 404), response
    assert b"SECRET" not in response.body and b"root:" not in response.body
    assert response.field("X") is None


@pytest.mark.parametrize("target", ["/sub/../data.bin", "/./data.bin", "//data.bin", "/sub/%2e%2e/data.bin", "/d%61ta.bin"])
def test_harmless_spellings(server, target):
    assert server.get(target).body == CONTENT


@pytest.fixture(scope="module")
def links(module_server):
    os.makedirs(module_server.path("links"), exist_ok=True)
    for name, destination in {
        "inside": "../data.bin", "inside-folder": "../sub", "chain": "inside", "outside": "../../secret", "to-root": "/",
        "absolute": os.path.join(module_server.base, "secret"), "passwd": "/etc/passwd", "up": "../..", "loop": "loop",
        "dangling": "nothing", "proc": "/proc/self/root", "magic": "/proc/self/fd/0",
    }.items():
        os.symlink(destination, module_server.path(f"links/{name}"))
    own(module_server.path("links"))


@pytest.mark.parametrize("name", ["inside", "chain"])
def test_links_that_stay_inside_are_followed(server, links, name):
    assert server.get(f"/links/{name}").body == CONTENT


def test_links_to_folders_inside(server, links):
    assert server.get("/links/inside-folder/inner.txt").body == b"inner"


@pytest.mark.parametrize("target", ["outside", "absolute", "passwd", "up/secret", "up/", "to-root/etc/passwd", "to-root/",
                                    "proc/etc/passwd", "magic", "loop"])
def test_links_that_leave_are_refused(server, links, target):
    response = server.get(f"/links/{target}")
    assert response.status == 403
    assert b"SECRET" not in response.body and b"root:" not in response.body


def test_dangling_link(server, links):
    assert server.get("/links/dangling").status == 404


def test_a_link_cannot_be_swapped_in_time(server):
    """Somebody with access to the folder exchanges a file and a link as fast as he can."""
    server.write("race/file", "harmless")
    os.symlink("../../secret", server.path("race/link"))
    path = server.path("race/target")
    answers = set()
    with server.connect() as connection:
        for number in range(400):
            os.link(server.path("race/file" if number % 2 else "race/link"), path + ".new", follow_symlinks=False)
            os.replace(path + ".new", path)
            if os.path.lexists(path + ".new"):
                os.unlink(path + ".new")
            response = connection.request("GET", "/race/target", auth=ALICE)
            answers.add(response.status)
            assert b"SECRET" not in response.body
    assert answers == {200, 403}


def test_special_files_are_not_there_and_do_not_block(server):
    os.mkfifo(server.path("fifo"), 0o666)
    os.mknod(server.path("socket"), 0o666 | stat.S_IFSOCK)
    names = ["fifo", "socket"]
    if IS_ROOT:
        try:
            os.mknod(server.path("zero"), 0o666 | stat.S_IFCHR, os.makedev(1, 5))
            names.append("zero")
        except PermissionError:
            pass  # a container that may not make devices
    for name in names:
        own(server.path(name))
        started = time.monotonic()
        for method in ("GET", "HEAD"):
            assert server.request(method, "/" + name).status == 404
        assert time.monotonic() - started < 2 * SLOW


def test_the_servers_own_folder_is_reserved(server):
    server.write(".fastfile/secret", "SECRET")
    server.write("sub/.fastfile/secret", "SECRET")
    for target in ("/.fastfile/secret", "/sub/../.fastfile/secret", "/%2efastfile/secret", "//.fastfile/secret",
                   "/./.fastfile/secret", "/.FASTFILE/secret", "/.fastfile./secret", "/sub/.Fastfile%20/secret"):
        response = server.get(target)
        assert response.status in (400, 404) and b"SECRET" not in response.body


def test_no_way_into_the_servers_own_folder(server):
    """Links that another program has made lead there, to a file or to a folder above."""
    server.write("ways/.fastfile/uploads/x.data", "SECRET")
    server.write("ways/sub/file", "public")
    for name, to in (("all", ".fastfile/uploads"), ("own", ".fastfile"), ("sub/up", "../.fastfile"), ("twice", "sub/up/uploads"),
                     ("file", "all/x.data"), ("fine", "sub"), ("here", "."), ("fine-file", "fine/file")):
        os.symlink(to, server.path(f"ways/{name}"))
    into = ("/all/", "/all/x.data", "/own/uploads/", "/own/uploads/x.data", "/sub/up/uploads/x.data", "/twice/", "/twice/x.data", "/file",
            "/fine/up/uploads/x.data", "/here/all/x.data")
    for target in into:
        for query in ("", "?archive=tar", "?archive=zip", "?format=json"):
            for _ in range(2):  # the second time it could be remembered
                response = server.get(f"/ways{target}{query}")
                assert response.status in (403, 404) and b"SECRET" not in response.body and b"x.data" not in response.body, (target, response)
        assert server.request("PUT", f"/ways{target.rstrip('/')}", body=b"x").status in (403, 404, 405), target
    for target in ("/all/x.data", "/twice/x.data"):
        assert server.request("DELETE", f"/ways{target}").status == 403
        for method in "COPY", "MOVE":
            assert server.request(method, f"/ways{target}", fields={"Destination": "/ways/stolen"}).status == 403
        assert server.request("MKCOL", f"/ways{target}-folder").status == 403
        assert server.request("COPY", "/ways/sub/file", fields={"Destination": f"/ways{target}"}).status == 403
    response = server.get("/ways/?archive=tar")
    assert response.status == 200 and b"SECRET" not in response.body
    # Nor is shown what nobody gets.
    for folder, names in ("", {"fine", "fine-file", "here", "sub"}), ("sub/", {"file"}), ("here/sub/", {"file"}):
        listed = server.get(f"/ways/{folder}?format=json").json()
        assert {entry["name"].rstrip("/") for entry in listed["entries"]} == names
        page = server.get(f"/ways/{folder}", fields={"Accept": "text/html"}).text
        assert "fastfile/uploads" not in page and not any(f'href="{name}' in page for name in ("all/", "own/", "up/", "twice/"))
    assert os.listdir(server.path("ways/.fastfile/uploads")) == ["x.data"]
    for target in ("/fine/file", "/fine-file", "/here/fine/file", "/here/here/sub/file"):
        assert server.get(f"/ways{target}").body == b"public"
    for target in ("/fine/", "/here/", "/here/sub/"):
        assert server.get(f"/ways{target}").status == 200


def test_last_modified_of_odd_times(server):
    """Before 1970, and in the future: a valid date, never one that is later than now (RFC 9110 section 8.8.2.1)."""
    target = server.write("odd.txt", "x")
    for when in (-86400, 0, int(time.time()) + 10 * 86400):
        os.utime(server.path("odd.txt"), (when, when))
        response = server.get(target)
        assert response.status == 200
        if date := response.field("Last-Modified"):
            assert email.utils.parsedate_to_datetime(date).timestamp() <= time.time() + 1


def test_a_removed_file_gives_its_space_back(server):
    """It may stay open for a moment, for the next request; not for longer."""
    server.write("brief.bin", os.urandom(100_000))
    assert server.get("/brief.bin").status == 200
    os.unlink(server.path("brief.bin"))
    assert server.get("/brief.bin").status == 404

    def kept():
        folder = f"/proc/{server.pid_of('home')}/fd"
        found = []
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.append(os.readlink(f"{folder}/{number}"))
        return [name for name in found if "brief.bin" in name]

    wait_for(lambda: not kept(), 8 * SLOW, "the end of an open file")
