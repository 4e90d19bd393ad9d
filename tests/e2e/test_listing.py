"""Listings: the page that works without JavaScript, and JSON."""
import gzip
import html.parser
import re
import threading
import time
import urllib.parse

import pytest
from client import wait_for
from machine import open, os
from server import ALICE, BOB, SLOW, own

JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OPENS_A_PAGE = {**BROWSER, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}


class Page(html.parser.HTMLParser):
    """Links as (href, text), every tag, and every attribute of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.links, self._href = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "a":
            self._href, self._text = dict(attrs).get("href"), ""

    def handle_data(self, data):
        if self._href is not None:
            self._text += data

    def handle_endtag(self, tag):
        if tag == "a" and self._href is not None:
            self.links.append((self._href, self._text.strip()))
            self._href = None


def page(server, target, **options):
    response = server.get(target, fields=BROWSER, **options)
    assert response.status == 200 and response.field("Content-Type") == "text/html; charset=utf-8"
    return Page(response.text)


def names(server, target):
    """The names in the order of the JSON listing."""
    return [entry["name"] for entry in server.get(target, fields=JSON).json()["entries"]]


def names_on_page(server, target):
    """The names on the page, in its order: links that lead one step down."""
    folder = target.split("?")[0]
    found = {}
    for href, _ in page(server, target).links:
        path = urllib.parse.urlsplit(urllib.parse.urljoin(target, href)).path
        if path.startswith(folder) and path != folder and "?" not in href:
            name = urllib.parse.unquote(path.removeprefix(folder)).rstrip("/")
            if "/" not in name and not name.startswith(".fastfile"):
                found[name] = True
    return list(found)


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    for name, size, when in (("file10.txt", 5, 300), ("file2.txt", 30, 200), ("File1.txt", 10, 100), ("zebra.txt", 1, 400)):
        module_server.write(f"sort/{name}", "x" * size)
        os.utime(module_server.path(f"sort/{name}"), (1_600_000_000 + when,) * 2)
    module_server.mkdir("sort/folder10")
    module_server.mkdir("sort/folder9")
    module_server.mkdir("empty")


def test_json(server):
    time.sleep(0.03)  # the tags are strong from now on
    listing = server.get("/sort/", fields=JSON).json()
    assert listing["path"] == "/sort/" and listing["writable"] in (True, False)
    entry = {entry["name"]: entry for entry in listing["entries"]}["file2.txt"]
    assert entry["type"] == "file" and entry["size"] == 30
    assert entry["mtime"] == "2020-09-13T12:30:00.000Z"
    assert entry["etag"] == server.head("/sort/file2.txt").field("ETag")


def test_json_by_query(server):
    assert server.get("/sort/?format=json", fields=BROWSER).json() == server.get("/sort/", fields=JSON).json()


def test_json_of_an_empty_folder(server):
    assert server.get("/empty/", fields=JSON).json()["entries"] == []


def test_what_may_be_written_depends_on_who_asks(server):
    assert server.get("/sort/", fields=JSON, auth=ALICE).json()["writable"] is True
    assert server.get("/sort/", fields=JSON, auth=BOB).json()["writable"] is False


def test_folders_first_and_natural_order(server):
    expected = ["folder9", "folder10", "File1.txt", "file2.txt", "file10.txt", "zebra.txt"]
    assert names(server, "/sort/") == expected
    assert names_on_page(server, "/sort/") == expected


def test_who_opens_a_page_gets_the_file_manager(server):
    """It knows nothing of what is in the folder, and leads whoever runs no scripts to the listing."""
    answer = server.get("/sort/?sort=size&order=desc", fields=OPENS_A_PAGE)
    assert answer.status == 200 and "file10" not in answer.text
    assert '<noscript><meta http-equiv="refresh" content="0; url=?format=html&amp;sort=size&amp;order=desc"></noscript>' in answer.text
    assert 'data-user="alice" data-writable' in answer.text and "data-trash" not in answer.text
    assert "data-writable" not in server.get("/sort/", fields=OPENS_A_PAGE, auth=BOB).text
    linked = re.findall(r'(?:href|src)="(/\.fastfile/[^"]*)"', answer.text)
    assert any(link.endswith(".js") for link in linked) and any(link.endswith(".css") for link in linked)
    for link in linked:
        assert server.get(link, auth=None).status == 200, link
    policy = answer.field("Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy


def test_the_plain_listing_stays_plain(server):
    plain = page(server, "/sort/?format=html")
    assert "script" not in plain.tags
    links = [href for href, _ in plain.links if re.match(r"folder9/|\.\./|/(\?|$)|\?sort|\?format", href)]
    assert len(links) >= 6 and all("format=html" in href for href in links), links
    assert names_on_page(server, "/sort/?format=html") == [name for name in names(server, "/sort/") if not name.startswith("folder")]
    opened = server.get("/sort/?format=html", fields=OPENS_A_PAGE).text
    assert "file10" in opened and "script" not in opened


def test_sort_links(server):
    """The heading of each column is a link that sorts by it; followed again it sorts the other way."""
    seen = set()
    for column, ascending in (("size", ["zebra.txt", "file10.txt", "File1.txt", "file2.txt"]),
                              ("modified", ["File1.txt", "file2.txt", "file10.txt", "zebra.txt"])):
        target = "/sort/"
        for _ in range(2):
            link = next(href for href, text in page(server, target).links
                        if re.match(rf"{column}|{'time|date' if column == 'modified' else column}", text, re.I) and "?" in href)
            target = "/sort/?" + urllib.parse.urlsplit(link).query
            files = [name for name in names_on_page(server, target) if name.endswith(".txt")]
            assert files in (ascending, ascending[::-1])
            seen.add((column, tuple(files)))
    assert len(seen) == 4


def test_the_page_leads_up_and_down(server):
    server.write("deep/er/x.txt", "x")
    hrefs = {urllib.parse.urljoin("/deep/er/", href) for href, _ in page(server, "/deep/er/").links}
    assert {"/", "/deep/", "/deep/er/x.txt"} <= hrefs


def test_every_link_of_the_page_works(server):
    for href, _ in page(server, "/sort/").links:
        target = urllib.parse.urljoin("/sort/", href)
        if "logout" not in target and "://" not in target:
            assert server.get(target, fields=BROWSER).status == 200, href


def test_the_page_needs_no_script_and_allows_none_inline(server):
    response = server.get("/sort/", fields=BROWSER)
    policy = response.field("Content-Security-Policy")
    scripts = re.search(r"script-src([^;]*)", policy) or re.search(r"default-src([^;]*)", policy)
    assert "unsafe-inline" not in scripts[1] and "unsafe-eval" not in policy and "frame-ancestors" in policy
    assert response.field("X-Content-Type-Options") == "nosniff"
    assert not [name for name in Page(response.text).attributes if name.startswith("on")]
    assert 'name="viewport"' in response.text


NASTY = ["<img src=x onerror=alert(1)>.txt", '"><script>alert(1)<', "' onmouseover='alert(1)", "javascript:alert(1)", "&lt;b&gt;.txt",
         "%3Cscript%3E", "a\nb.txt", "tab\there", "\u202eexe.txt", "]]>", "<!--", "<b>"]


def test_names_are_text_and_nothing_else(server):
    for name in NASTY:
        server.write(f"nasty/{name}", "x")
    listed = page(server, "/nasty/")
    plain = page(server, "/empty/")
    assert set(listed.tags) <= set(plain.tags) | {"td", "tr", "a", "li", "span", "svg", "path", "use", "time", "tbody"}
    assert "onerror" not in listed.attributes and "onmouseover" not in listed.attributes
    assert set(names(server, "/nasty/")) == set(NASTY)
    for href, _ in listed.links:
        assert not href.lower().startswith("javascript:")
    assert set(NASTY) <= set(names_on_page(server, "/nasty/"))
    for name in NASTY:
        assert server.get("/nasty/" + urllib.parse.quote(name)).status == 200


def test_control_characters_are_in_no_page(server):
    name = "".join(map(chr, range(1, 32))) + "\x7f<\x9b>"
    server.write(f"control/{name}/{name}", "x")
    target = f"/control/{urllib.parse.quote(name)}/"
    for fields in BROWSER, JSON:
        response = server.get(target, fields=fields)
        assert response.status == 200
        assert not {*range(10), *range(11, 32), 127} & set(response.body)
        assert "Not shown" not in response.text
    assert names(server, target) == [name] and server.get(target, fields=JSON).json()["path"] == f"/control/{name}/"
    assert f'href="{urllib.parse.quote(name)}"' in server.get(target, fields=BROWSER).text
    response = server.get(target[:-1] + "?a=b")
    assert (response.status, urllib.parse.unquote(response.field("Location"))) == (308, f"/control/{name}/?a=b")


def test_names_that_are_not_utf8(server):
    server.write("bytes/" + os.fsdecode(b"\xff\xfe.txt"), "odd")
    listing = server.get("/bytes/", fields=JSON)
    listing.text.encode("utf-8")  # valid all the same
    assert len(listing.json()["entries"]) == 1
    href = next(href for href, _ in page(server, "/bytes/").links if "%FF%FE" in href.upper())
    assert server.get(urllib.parse.urljoin("/bytes/", href)).body == b"odd"


def test_what_is_listed_and_what_is_not(server):
    server.write("kinds/.hidden", "x")
    server.write("kinds/.fastfile/upload", "x")
    os.mkfifo(server.path("kinds/fifo"))
    os.symlink("../sort/file2.txt", server.path("kinds/link"))
    os.symlink("../../secret", server.path("kinds/outside"))
    server.write("kinds/locked.txt", "x", mode=0)
    own(server.path("kinds"))
    listed = names(server, "/kinds/")
    assert ".fastfile" not in listed
    assert {"link", "locked.txt"} <= set(listed)


def test_a_change_is_visible_at_once(server):
    server.write("live/a", "x")
    assert names(server, "/live/") == ["a"]
    server.write("live/b", "x")
    os.unlink(server.path("live/a"))
    assert names(server, "/live/") == ["b"]


def test_a_folder_that_cannot_be_read(server):
    server.mkdir("closed")
    os.chmod(server.path("closed"), 0)
    try:
        assert server.get("/closed/", fields=JSON).status == 403
    finally:
        os.chmod(server.path("closed"), 0o755)


def test_head_of_a_listing(server):
    response = server.head("/sort/", fields=JSON)
    assert response.status == 200 and response.field("Content-Type").startswith("application/json")


@pytest.fixture(scope="module")
def large(module_server):
    module_server.mkdir("large")
    for number in range(10_000):
        with open(module_server.path(f"large/photo-{number}.jpg"), "wb"):
            pass
    own(module_server.path("large"))


def test_ten_thousand_entries(server, large):
    expected = [f"photo-{number}.jpg" for number in range(10_000)]
    assert names(server, "/large/") == expected
    assert names_on_page(server, "/large/") == expected


@pytest.mark.measures
def test_a_large_listing_does_not_hold_up_others(server, large):
    """While one client lists again and again, another's requests stay quick."""
    server.write("small.txt", "small")
    done = threading.Event()

    def list_all():
        with server.connect() as connection:
            while not done.is_set():
                connection.request("GET", "/large/", auth=ALICE, fields=JSON)

    lister = threading.Thread(target=list_all)
    lister.start()
    try:
        times = []
        with server.connect() as connection:
            for _ in range(100):
                started = time.monotonic()
                assert connection.request("GET", "/small.txt", auth=ALICE).body == b"small"
                times.append(time.monotonic() - started)
                time.sleep(0.005)
    finally:
        done.set()
        lister.join()
    assert sorted(times)[98] < 0.2 * SLOW, sorted(times)[-5:]


def test_a_client_that_leaves_in_the_middle_of_a_listing(server, large):
    before = server.descriptors()
    for _ in range(5):
        with server.connect(receive_buffer=4096) as connection:
            connection.send_request("GET", "/large/", auth=ALICE, fields=JSON)
            connection.read_head()
    wait_for(lambda: server.descriptors() <= before, 10 * SLOW, "the end of abandoned listings")


def test_the_pages_own_files_need_no_login(server):
    """Style and pictures: reachable before the login, with a type, and to be kept as long as they stay the same."""
    listing = server.get("/sort/", fields=BROWSER).text
    login = server.get("/.fastfile/login", fields=BROWSER, auth=None).text
    for text in (listing, login):
        addresses = set(re.findall(r'(?:href|src)="(/\.fastfile/[^"]+\.(?:css|js|svg|png|ico)[^"]*)"', text))
        assert addresses
        for address in addresses:
            response = server.get(address.replace("&amp;", "&"), auth=None)
            assert response.status == 200 and response.body and response.field("Content-Type"), address
            assert server.get(address, auth=None, fields={"If-None-Match": response.field("ETag")}).status == 304


# --- assets ---------------------------------------------------------------------------------------------


def asset_links(server):
    return re.findall(r'(?:href|src)="(/\.fastfile/ui/[^"]*)"', server.get("/", fields=OPENS_A_PAGE).text)


def test_assets_are_kept_for_ever(server):
    for link in asset_links(server):
        answer = server.get(link, auth=None)
        assert answer.field("Cache-Control") == "public, max-age=31536000, immutable"
        assert answer.field("Content-Encoding") is None and answer.field("Vary") == "Accept-Encoding"
        again = server.get(link, auth=None, fields={"If-None-Match": answer.field("ETag")})
        assert again.status == 304 and again.body == b""
        old = re.sub("/ui/[^/]*/", "/ui/0123456789abcdef/", link)  # a page from before an update asks for it
        answer_to_old = server.get(old, auth=None)
        assert answer_to_old.body == answer.body and answer_to_old.field("Cache-Control") == "public, no-cache"
    for wrong in ("/.fastfile/ui.css", "/.fastfile/ui/", "/.fastfile/ui/x/", "/.fastfile/ui/x/none.js", "/.fastfile/ui/x/../ui.css"):
        assert server.get(wrong).status in (400, 404), wrong
    assert server.request("PUT", asset_links(server)[0], body=b"x").status in (404, 405)


def test_assets_are_compressed(server):
    total = 0
    for link in set(asset_links(server)):
        plain = server.get(link, auth=None)
        packed = server.get(link, auth=None, fields={"Accept-Encoding": "br;q=1, gzip;q=0.8"})
        total += len(packed.body)
        if packed.field("Content-Encoding") is None:
            continue  # too small to gain
        assert packed.field("Content-Encoding") == "gzip" and len(packed.body) < len(plain.body)
        assert gzip.decompress(packed.body) == plain.body
        assert packed.field("ETag") != plain.field("ETag")
        assert server.get(link, auth=None, fields={"Accept-Encoding": "gzip;q=0"}).body == plain.body
    assert total < 100_000, f"{total} bytes of assets"
