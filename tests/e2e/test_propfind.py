"""PROPFIND and OPTIONS: every property, each Depth, what nobody may see, and bodies that no client should send."""
import calendar
import contextlib
import email.utils
import os as host
import subprocess
import threading
import time
import urllib.parse

import pytest
from client import wait_for
from dav import APACHE, DAV, hrefs, names, prop, properties, propfind, read_multistatus
from machine import IN_VM, not_in_the_vm, open, os
from processes import status as process_status
from server import ALICE, BOB, IS_ROOT, SLOW, own

ALLPROP = b'<propfind xmlns="DAV:"><allprop/></propfind>'
PROPNAME = b'<propfind xmlns="DAV:"><propname/></propfind>'
OF_FILES = {"getcontentlength", "getcontenttype", "getetag"}
OF_ALL = {"creationdate", "displayname", "getlastmodified", "resourcetype", "lockdiscovery", "supportedlock"}
QUOTA = {"quota-available-bytes", "quota-used-bytes"}


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    module_server.write("kinds/page.html", "<p>")
    module_server.write("kinds/run.sh", "#!/bin/sh\n", mode=0o755)
    module_server.write("kinds/sub/deep/file.txt", "deep")
    module_server.write("kinds/sub/other", "")
    module_server.mkdir("kinds/empty")
    os.utime(module_server.path("kinds/page.html"), (1_600_000_000,) * 2)


# --- properties --------------------------------------------------------------------------------------------


def test_each_property_of_a_file(server):
    time.sleep(0.03)  # the tag is strong from now on
    st = os.stat(server.path("kinds/page.html"))
    found = properties(server, "/kinds/page.html", *OF_FILES, *OF_ALL, *QUOTA, APACHE + "executable")
    get = server.get("/kinds/page.html")
    assert found["getcontentlength"] == str(st.st_size) == get.field("Content-Length")
    assert found["getcontenttype"] == get.field("Content-Type")
    assert found["getetag"] == get.field("ETag") and not found["getetag"].startswith("W/")
    assert found["getlastmodified"] == get.field("Last-Modified") == email.utils.formatdate(1_600_000_000, usegmt=True)
    assert found["displayname"] == "page.html"
    assert found["resourcetype"] == found["lockdiscovery"] == found["supportedlock"] == ""
    assert found[APACHE + "executable"] == "F"
    assert not QUOTA & found.keys()
    assert properties(server, "/kinds/run.sh", APACHE + "executable") == {APACHE + "executable": "T"}


def test_when_it_was_made(server):
    before = int(time.time())
    server.write("made.txt", "x")
    os.utime(server.path("made.txt"), (1_000_000_000,) * 2)
    found = properties(server, "/made.txt", "creationdate")
    born = subprocess.run(["stat", "-c", "%W", server.path("made.txt")], capture_output=True, check=True).stdout if not IN_VM else None
    if born and int(born) == 0:
        pytest.skip("creationdate (the file system does not know it)")
    made = time.strptime(found["creationdate"], "%Y-%m-%dT%H:%M:%SZ")
    assert before - 2 <= calendar.timegm(made) <= time.time() + 2
    os.unlink(server.path("made.txt"))


def test_each_property_of_a_folder(server):
    (found,) = read_multistatus(propfind(server, "/kinds/", prop(*OF_FILES, *OF_ALL, *QUOTA, APACHE + "executable"))).values()
    missing = {name.removeprefix(DAV) for name, (status, _) in found.items() if status == 404}
    assert missing == OF_FILES | {APACHE + "executable"}
    status, kind = found[DAV + "resourcetype"]
    assert status == 200 and [child.tag for child in kind] == [DAV + "collection"]
    assert found[DAV + "displayname"][1].text == "kinds"


@not_in_the_vm("its file system is looked at from outside")
def test_quota(server):
    def expected():
        fs = host.statvfs(server.dir)
        return fs.f_bavail * fs.f_frsize, (fs.f_blocks - fs.f_bfree) * fs.f_frsize

    def near(a, b):
        return abs(a - b) < 256 << 20  # others write too

    found = properties(server, "/", *QUOTA)
    assert near(int(found["quota-available-bytes"]), expected()[0]) and near(int(found["quota-used-bytes"]), expected()[1])
    below = read_multistatus(propfind(server, "/kinds/", prop(*QUOTA), depth="1"))
    assert below["/kinds/sub/"][DAV + "quota-used-bytes"][0] == 200 and below["/kinds/run.sh"][DAV + "quota-used-bytes"][0] == 404


def test_the_root_has_no_name(server):
    found = read_multistatus(propfind(server, "/", prop("displayname", "resourcetype")))
    assert list(found) == ["/"] and found["/"][DAV + "displayname"][0] == 404 and found["/"][DAV + "resourcetype"][0] == 200


@pytest.mark.parametrize("body", [None, ALLPROP])
def test_all_properties(server, body):
    found = read_multistatus(propfind(server, "/kinds/", body, depth="1"))
    of_file = {name.removeprefix(DAV): status for name, (status, _) in found["/kinds/page.html"].items()}
    of_folder = {name.removeprefix(DAV): status for name, (status, _) in found["/kinds/sub/"].items()}
    assert set(of_file) | {"creationdate"} == OF_FILES | OF_ALL and set(of_file.values()) == {200}
    assert set(of_folder) | {"creationdate"} == OF_ALL and set(of_folder.values()) == {200}


def test_names_of_properties(server):
    found = read_multistatus(propfind(server, "/kinds/", PROPNAME, depth="1"))
    for properties_ in found.values():
        assert all(status == 200 and element.text is None and not len(element) for status, element in properties_.values())
    assert {DAV + name for name in OF_FILES} <= set(found["/kinds/run.sh"]) and APACHE + "executable" in found["/kinds/run.sh"]
    assert {DAV + name for name in QUOTA} <= set(found["/kinds/"])


def test_included(server):
    body = b'<propfind xmlns="DAV:"><allprop/><include><quota-used-bytes/></include></propfind>'
    (found,) = read_multistatus(propfind(server, "/kinds/", body)).values()
    assert {DAV + "quota-used-bytes", DAV + "getlastmodified"} <= set(found)


def test_what_the_server_does_not_know(server):
    strange = ["{http://owncloud.org/ns}checksums", "{x&amp;y}z", "{}alone", "nothing", "{http://www.w3.org/XML/1998/namespace}x"]
    body = prop("getcontentlength", *strange[:4]).replace(b"</prop>", b"<xml:x/></prop>")
    (found,) = read_multistatus(propfind(server, "/kinds/page.html", body)).values()
    assert {name: status for name, (status, _) in found.items()} == {
        DAV + "getcontentlength": 200, "{http://owncloud.org/ns}checksums": 404, "{x&y}z": 404, "alone": 404, DAV + "nothing": 404, strange[4]: 404}


@pytest.mark.parametrize("field, applied", [(("Brief", "t"), None), (("Prefer", "return=minimal"), "return=minimal")])
def test_brief(server, field, applied):
    response = propfind(server, "/kinds/page.html", prop("getcontentlength", "nothing", "quota-used-bytes"), fields=dict([field]))
    (found,) = read_multistatus(response).values()
    assert set(found) == {DAV + "getcontentlength"} and response.field("Preference-Applied") == applied


def test_listings_agree(server):
    """What is told of a file is the same by each way, also when it comes from memory."""
    for _ in range(3):
        listed = {entry["name"]: entry for entry in server.get("/kinds/?format=json").json()["entries"]}
        found = read_multistatus(propfind(server, "/kinds/", ALLPROP, depth="1"))
        for name, entry in listed.items():
            if entry["type"] == "file":
                one = found["/kinds/" + name]
                assert one[DAV + "getetag"][1].text == entry["etag"] and one[DAV + "getcontentlength"][1].text == str(entry["size"])
        assert len(found) == len(listed) + 1


# --- Depth -------------------------------------------------------------------------------------------------


def test_depths(server):
    assert hrefs(server, "/kinds/", "0") == ["/kinds/"]
    assert names(server, "/kinds/") == {"page.html", "run.sh", "sub/", "empty/"}
    deep = names(server, "/kinds/", depth="infinity")
    assert deep == {"page.html", "run.sh", "sub/", "empty/", "sub/deep/", "sub/other", "sub/deep/file.txt"}
    assert names(server, "/kinds/", depth=None) == deep == names(server, "/kinds/", depth="Infinity")
    assert {"kinds/sub/deep/file.txt", "kinds/"} <= names(server, "/", depth="infinity")
    for depth in ("0", "1", "infinity"):
        assert hrefs(server, "/kinds/page.html", depth) == ["/kinds/page.html"]
    assert "/kinds/" not in hrefs(server, "/kinds/", "1,noroot") and len(hrefs(server, "/kinds/", "1,noroot")) == 4


@pytest.mark.parametrize("depth", ["2", "-1", "", "one", "0,1", "infinity, 1", "0 1"])
def test_no_depth(server, depth):
    assert propfind(server, "/kinds/", depth=depth).status == 400


def test_without_its_slash(server):
    response = propfind(server, "/kinds", depth="1")
    assert response.field("Content-Location") == "/kinds/"
    assert set(read_multistatus(response)) == {"/kinds/", "/kinds/page.html", "/kinds/run.sh", "/kinds/sub/", "/kinds/empty/"}
    assert propfind(server, "/kinds/").field("Content-Location") is None


def test_what_is_not_there(server):
    for target, status in (("/none", 404), ("/none/", 404), ("/kinds/page.html/", 404), ("/kinds/page.html/x", 404), ("/.fastfile", 404),
                           ("/kinds/.fastfile-1", 404), ("/.fastfile/x", 404), ("/a%00b", 400), ("/../x", 400), ("/" + "n" * 256, 414)):
        for depth in ("0", "1", "infinity"):
            assert propfind(server, target, depth=depth).status == status, target


def test_more_than_a_length_tells(server, make_server):
    """What is short has a length, which some clients want; what is long comes in pieces, and all of it."""
    one = make_server()
    for number in range(1000):
        one.write(f"many/file {number}.txt", "x" * (number % 10))
    response = propfind(one, "/many/", depth="1")
    assert response.field("Content-Length") is None and response.field("Transfer-Encoding") == "chunked"
    found = read_multistatus(response)
    assert set(found) == {"/many/"} | {f"/many/file%20{number}.txt" for number in range(1000)}
    assert all(found[f"/many/file%20{number}.txt"][DAV + "getcontentlength"][1].text == str(number % 10) for number in range(1000))
    assert propfind(server, "/kinds/", depth="1").field("Content-Length")
    # An old client gets it until the connection ends.
    with one.connect() as connection:
        old = connection.request("PROPFIND", "/many/", auth=ALICE, version="HTTP/1.0", fields={"Depth": "1", "Host": "x"})
        assert set(read_multistatus(old)) == set(found)


def test_too_deep(make_server):
    server = make_server()
    server.mkdir("wide")
    for number in range(6):
        folder = server.path(f"wide/{number}")
        os.mkdir(folder)
        for name in range(9000):
            open(os.path.join(folder, str(name)), "w").close()
    own(server.path("wide"))
    response = propfind(server, "/wide/", depth="infinity")
    assert response.status == 403
    assert b'<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>' in response.body
    assert propfind(server, "/", depth=None).status == 403
    assert len(hrefs(server, "/wide/", "1")) == 7
    assert len(hrefs(server, "/wide/0/", "infinity", prop("getetag"))) == 9001


# --- names -------------------------------------------------------------------------------------------------


def test_names_of_all_sorts(server):
    """Each comes back as it was, and its address leads to it."""
    strange = ["a b", "ä ö ü", "日本語.txt", "<&\">'.txt", "100%", "a+b=c;d,e", "#hash?", "[x]", "(1)", "-", "~", "$@!*", "%41", "a:b", ".hidden",
               "back\\slash", "\U0001f600", "n" * 255]
    for name in strange:
        server.write(f"strange/{name}", name)
    found = read_multistatus(propfind(server, "/strange/", prop("displayname", "getcontentlength"), depth="1"))
    by_name = {properties_[DAV + "displayname"][1].text: href for href, properties_ in found.items()}
    assert set(by_name) == set(strange) | {"strange"}
    for name in strange:
        assert server.get(by_name[name]).body == name.encode()
        assert urllib.parse.unquote(by_name[name]) == f"/strange/{name}"
        assert by_name[name].isascii() and " " not in by_name[name]
        assert hrefs(server, by_name[name], "0") == [by_name[name]]


def test_names_that_are_no_text(server):
    server.write(b"bytes/\xff\xfe.txt", "x")
    found = read_multistatus(propfind(server, "/bytes/", prop("displayname"), depth="1"))
    assert found["/bytes/%FF%FE.txt"][DAV + "displayname"][1].text == "\ufffd\ufffd.txt"
    assert server.get("/bytes/%FF%FE.txt").body == b"x"


def test_names_with_control_characters(server):
    """XML can hold three of them."""
    name = "".join(map(chr, range(1, 32))) + "\x7f\x80\x9b\x9f\xa0"
    server.write(f"control/{name}/{name}", "x")
    quoted = urllib.parse.quote(name)
    for depth in "1", "infinity":
        response = propfind(server, f"/control/{quoted}/", depth=depth)
        assert not [one for one in response.body.decode() if one != "\n" and (one < " " or "\x7f" <= one < "\xa0")]
        found = read_multistatus(response)
        assert set(found) == {f"/control/{quoted}/", f"/control/{quoted}/{quoted}"}
        for one in found.values():
            assert one[DAV + "displayname"][1].text == "".join(c if c in "\t\n\r" or c >= " " else "\ufffd" for c in name)
    assert read_multistatus(propfind(server, f"/control/{quoted}/{quoted}")).keys() == {f"/control/{quoted}/{quoted}"}


def test_what_nobody_sees(server):
    server.write("hiding/seen", "x")
    server.write("hiding/.fastfile-temp", "x")
    server.mkdir("hiding/.fastfile")
    server.write("hiding/.fastfile/inner", "x")
    os.mkfifo(server.path("hiding/fifo"))
    for depth in ("1", "infinity"):
        for body in (ALLPROP, PROPNAME, prop("resourcetype")):
            assert names(server, "/hiding/", depth=depth, body=body) == {"seen"}


def test_links(server):
    server.write("linked/target.txt", "12345")
    server.write("linked/folder/in.txt", "x")
    for target, name in (("target.txt", "to-file"), ("folder", "to-folder"), ("nowhere", "to-nothing"), ("/etc/passwd", "outside"), ("..", "up"),
                         ("../../..", "out")):
        os.symlink(target, server.path(f"linked/{name}"))
    listed = {entry["name"] + ("/" if entry["type"] == "folder" else "") for entry in server.get("/linked/?format=json").json()["entries"]}
    for body in (ALLPROP, prop("resourcetype"), prop("displayname")):
        assert names(server, "/linked/", body=body) == listed == {"target.txt", "folder/", "to-file", "to-folder/", "up/"}
    found = read_multistatus(propfind(server, "/linked/", prop("getcontentlength", "getetag"), depth="1"))
    assert found["/linked/to-file"][DAV + "getcontentlength"][1].text == "5"
    assert found["/linked/to-file"][DAV + "getetag"][1].text.removeprefix("W/") == server.get("/linked/to-file").field("ETag").removeprefix("W/")
    # None is followed downwards: no circles.
    assert names(server, "/linked/", depth="infinity") == listed | {"folder/in.txt"}
    assert names(server, "/linked/to-folder/") == {"in.txt"}
    assert propfind(server, "/linked/outside").status == 403 and propfind(server, "/linked/to-nothing").status == 404


@pytest.mark.parametrize("body", [ALLPROP, prop("getlastmodified"), prop("resourcetype")], ids=["allprop", "time", "type"])
@pytest.mark.parametrize("depth", ["0", "1"])
def test_no_link_leads_to_what_is_the_servers_own(server, body, depth):
    os.makedirs(server.path(".fastfile/uploads"), exist_ok=True)
    os.makedirs(server.path("owned"), exist_ok=True)
    for target, name in (("../.fastfile", "top"), ("../.fastfile/uploads", "uploads"), ("/etc", "outside")):
        with contextlib.suppress(FileExistsError):
            os.symlink(target, server.path(f"owned/{name}"))
    for path in ("/owned/top", "/owned/top/", "/owned/top/uploads", "/owned/uploads/"):
        assert propfind(server, path, body, depth=depth).status == server.get(path).status == 403, path
        assert server.request("OPTIONS", path, auth=ALICE).field("Allow") == server.request("OPTIONS", "/owned/outside", auth=ALICE).field("Allow")
    assert names(server, "/owned/", body=body) == set()


def test_what_may_not_be_read(server):
    """A listing shows it, so it has properties; nobody learns what is in it."""
    server.write("closed/secret.txt", "12345", mode=0)
    server.write("closed/folder/inside", "x")
    server.write("closed/open/inside", "x")
    os.chmod(server.path("closed/folder"), 0)
    try:
        for depth in ("0", "1", "infinity"):
            assert properties(server, "/closed/secret.txt", "getcontentlength", depth=depth) == {"getcontentlength": "5"}
        assert "resourcetype" in properties(server, "/closed/folder/", "resourcetype")
        assert propfind(server, "/closed/folder/", depth="1").status == 403
        assert propfind(server, "/closed/folder/inside").status == 403
        assert names(server, "/closed/", depth="infinity") == {"secret.txt", "folder/", "open/", "open/inside"}
    finally:
        os.chmod(server.path("closed/folder"), 0o755)


# --- who ---------------------------------------------------------------------------------------------------


def test_readers_and_strangers(server):
    assert set(hrefs(server, "/kinds/", auth=BOB)) == set(hrefs(server, "/kinds/"))
    assert propfind(server, "/kinds/", auth=None).status == 401
    assert propfind(server, "/kinds/", auth=("alice", "wrong")).status == 401


@pytest.mark.parametrize("auth, target, methods", [
    (ALICE, "*", "OPTIONS GET HEAD PUT DELETE MKCOL COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK"),
    (ALICE, "/", "OPTIONS GET HEAD PROPFIND PROPPATCH LOCK UNLOCK"),
    (ALICE, "/kinds/", "OPTIONS GET HEAD DELETE COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK"),
    (ALICE, "/kinds", "OPTIONS GET HEAD DELETE COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK"),
    (ALICE, "/kinds/run.sh", "OPTIONS GET HEAD PUT DELETE COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK"),
    (ALICE, "/kinds/none", "OPTIONS PUT MKCOL LOCK"),
    (BOB, "*", "OPTIONS GET HEAD PROPFIND"),
    (BOB, "/", "OPTIONS GET HEAD PROPFIND"),
    (BOB, "/kinds/run.sh", "OPTIONS GET HEAD PROPFIND"),
    (BOB, "/kinds/none", "OPTIONS"),
])
def test_options(server, auth, target, methods):
    response = server.request("OPTIONS", target, auth=auth)
    assert response.status == 200 and response.field("Content-Length") == "0" and response.body == b""
    assert sorted(response.field("Allow").split(", ")) == sorted(methods.split())
    assert response.field("DAV") == ("1, 3" if auth == BOB else "1, 2, 3") and response.field("MS-Author-Via") == "DAV"


def test_options_of_strangers(server):
    assert server.request("OPTIONS", "/", auth=None).status == 401
    assert server.request("OPTIONS", "/a%00b").status == 400


def test_each_allowed_method_is_one(server):
    """What Allow says is not answered with 405, and what it does not say is."""
    for target, kind in (("/kinds/", "folder"), ("/kinds/run.sh", "file")):
        allowed = server.request("OPTIONS", target).field("Allow").split(", ")
        for method in ("PUT", "MKCOL"):
            status = server.request(method, target, body=b"x" if method == "PUT" else None, fields={"If-Match": '"no"'}).status
            assert (status == 405) == (method not in allowed), (method, kind)


# --- bodies ------------------------------------------------------------------------------------------------


BOMB = b'<!DOCTYPE a [<!ENTITY a0 "ha">' + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)) + \
    b']><propfind xmlns="DAV:"><prop><x>&a9;</x></prop></propfind>'

MALFORMED = {
    "no XML": b"hello",
    "blanks": b"  ",
    "not closed": b'<propfind xmlns="DAV:"><allprop/>',
    "twice": ALLPROP + ALLPROP,
    "another element": b'<propertyupdate xmlns="DAV:"/>',
    "another namespace": b'<propfind xmlns="dav:"><allprop/></propfind>',
    "nothing asked": b'<propfind xmlns="DAV:"/>',
    "two things asked": b'<propfind xmlns="DAV:"><allprop/><propname/></propfind>',
    "prefix without a namespace": b'<D:propfind xmlns:D="DAV:"><D:prop><x:y/></D:prop></D:propfind>',
    "empty prefix": b'<D:propfind xmlns:D="DAV:"><D:prop><bar:foo xmlns:bar=""/></D:prop></D:propfind>',
    "DOCTYPE": b'<!DOCTYPE propfind><propfind xmlns="DAV:"><allprop/></propfind>',
    "entity of a file": b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><propfind xmlns="DAV:"><prop>&e;</prop></propfind>',
    "entity bomb": BOMB,
    "not UTF-8": b'<propfind xmlns="DAV:"><prop><\xff/></prop></propfind>',
    "NUL": b'<propfind xmlns="DAV:"><allprop/>\0</propfind>',
    "unknown encoding": b'<?xml version="1.0" encoding="EBCDIC-US"?>' + ALLPROP,
}

TOO_MUCH = {
    "long": b'<propfind xmlns="DAV:"><allprop/><!--' + b"x" * 65536 + b"--></propfind>",
    "deep": b'<propfind xmlns="DAV:"><prop>' + b"<x>" * 31 + b"</x>" * 31 + b"</prop></propfind>",
    "many attributes": b'<propfind xmlns="DAV:"><allprop ' + b" ".join(b'a%d=""' % n for n in range(65)) + b"/></propfind>",
    "long name": b'<propfind xmlns="DAV:"><prop><a:x xmlns:a="' + b"'" * 1024 + b'"/></prop></propfind>',
    "many names": prop(*(f"x{n}" for n in range(65))),
    "many elements": b'<propfind xmlns="DAV:"><allprop>' + b"".join(b"<n%x/>" % n for n in range(8000)) + b"</allprop></propfind>",
}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("what", [*MALFORMED, *TOO_MUCH])
def test_bodies_that_are_refused(server, what, chunked):
    body = MALFORMED.get(what) or TOO_MUCH[what]
    descriptors = server.descriptors() if what == "entity bomb" else 0
    with server.connect() as connection:
        if chunked:
            sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            connection.send_request("PROPFIND", "/kinds/", auth=ALICE, fields={"Depth": "1", "Transfer-Encoding": "chunked"})
            connection.send(sent)
        else:
            connection.send_request("PROPFIND", "/kinds/", auth=ALICE, fields={"Depth": "1"}, body=body)
        response = connection.read_response()
        assert response.status == (400 if what in MALFORMED else 413)
        if response.field("Connection") != "close":
            assert connection.request("PROPFIND", "/kinds/", auth=ALICE, fields={"Depth": "0"}).status == 207
    if descriptors:
        assert server.descriptors() <= descriptors  # earlier connections may have ended meanwhile


def test_bodies_that_are_taken(server):
    wanted = set(hrefs(server, "/kinds/", "1"))
    utf16 = ('<?xml version="1.0" encoding="utf-16"?>' + ALLPROP.decode()).encode("utf-16")
    most = b'<propfind xmlns="DAV:"><allprop/><!--' + b"x" * (65536 - 53) + b"--></propfind>"
    assert len(most) <= 65536
    for body in (utf16, b"\xef\xbb\xbf" + ALLPROP, most, ALLPROP.replace(b"<allprop/>", b"<x><y/></x><allprop/><z/>")):
        assert set(read_multistatus(propfind(server, "/kinds/", body, depth="1"))) == wanted
    with server.connect() as connection:
        connection.send_request("PROPFIND", "/kinds/", auth=ALICE, fields={"Depth": "1", "Transfer-Encoding": "chunked"})
        for byte in ALLPROP:
            connection.send(b"1\r\n%c\r\n" % byte)
        connection.send(b"0\r\n\r\n")
        assert set(read_multistatus(connection.read_response())) == wanted
        response = connection.request("PROPFIND", "/kinds/", auth=ALICE, body=ALLPROP, fields={"Depth": "1", "Content-Type": "text/html"})
        assert set(read_multistatus(response)) == wanted


def test_malformed_chunks(server):
    with server.connect() as connection:
        connection.send_request("PROPFIND", "/", auth=ALICE, fields={"Transfer-Encoding": "chunked"})
        connection.send(b"zz\r\n")
        assert connection.read_response().status == 400


# --- folders that change, and large ones -----------------------------------------------------------------


def test_a_change_shows_at_once(server):
    server.write("changing/a", "x")
    time.sleep(3.1)  # it is remembered from now on
    assert names(server, "/changing/") == {"a"} == names(server, "/changing/")
    for number in range(20):
        server.write(f"changing/{number}", "x")
        assert f"{number}" in names(server, "/changing/")
        os.unlink(server.path(f"changing/{number}"))
        assert names(server, "/changing/") == {"a"}
    with open(server.path("changing/a"), "w") as file:
        file.write("longer")
    found = read_multistatus(propfind(server, "/changing/", prop("getcontentlength"), depth="1"))
    assert found["/changing/a"][DAV + "getcontentlength"][1].text == "6"


@pytest.fixture(scope="module")
def large(module_server):
    module_server.mkdir("large")
    for number in range(10_000):
        open(module_server.path(f"large/file number {number}.txt"), "w").close()
    own(module_server.path("large"))
    return {f"/large/file%20number%20{number}.txt" for number in range(10_000)}


def test_ten_thousand_at_once(server, large):
    body = prop("resourcetype", "getcontentlength", "getlastmodified", "getetag")
    home = server.pid_of("home")
    assert set(hrefs(server, "/large/", body=body)) == large | {"/large/"}
    before = int(process_status(home, "VmRSS").split()[0])

    def ask():
        for _ in range(3):
            assert set(hrefs(server, "/large/", body=body)) == large | {"/large/"}

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    # What a ring keeps of folders, and what it is just being offered.
    if SLOW == 1:
        assert int(process_status(home, "VmRSS").split()[0]) < before + 16 * 1024 * max(1, len(host.sched_getaffinity(0)))


def test_clients_that_leave(server, large):
    descriptors = server.descriptors()
    for _ in range(10):
        with server.connect() as connection:
            connection.send_request("PROPFIND", "/large/", auth=ALICE, fields={"Depth": "1"})
            connection.read_head()
    wait_for(lambda: server.descriptors() <= descriptors, 10 * SLOW, "what the clients had is closed")
    assert server.get("/kinds/page.html").status == 200
