"""PROPPATCH: what clients keep with files, times, the right to execute; all of it or nothing; and with whom it stays."""
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import stat
import time
import xml.etree.ElementTree as ElementTree

import loop_fs
import pytest
import small_fs
from dav import APACHE, DAV, WIN32, element, patch, prop, propfind, proppatch, properties, read_multistatus, read_statuses, update
from machine import IS_ROOT, not_in_the_vm
from server import ALICE, BOB, SLOW, Server

OWN = "user.fastfile.properties"
A, B, C = "{urn:test}a", "{urn:test}b", "{}c"
SEPTEMBER = 1_600_000_000  # Sun, 13 Sep 2020 12:26:40 GMT


def keeps_attributes():
    path = f"/tmp/fastfile-attributes-{os.getpid()}"
    with open(path, "w", encoding="ascii"):
        pass
    try:
        os.setxattr(path, "user.test", b"x")
        return True
    except OSError:
        return False
    finally:
        os.unlink(path)


pytestmark = [not_in_the_vm("attributes are looked at from outside"),
              pytest.mark.skipif(not keeps_attributes(), reason="properties (/tmp keeps no attributes)")]


@pytest.fixture
def file(server):
    """A file of 4 bytes whose tag is strong."""
    server.write("file.txt", "text")
    os.utime(server.path("file.txt"), (SEPTEMBER - 1,) * 2)
    yield "/file.txt"
    server.request("DELETE", "/file.txt")


def kept(server, target, *names, **options):
    """{name: text} of these."""
    return properties(server, target, *names, **options)


def value_of(server, target, name):
    """The element of one, or None."""
    (found,) = read_multistatus(propfind(server, target, prop(name))).values()
    status, only = found[name.removeprefix("{}")]
    return only if status == 200 else None


def settle():
    time.sleep(0.03)  # tags are strong from now on


# --- what is kept ---


def test_set_replaced_and_removed(server, file):
    assert patch(server, file, (A, "1"), (B, "2"), (C, "3")) == 200
    assert kept(server, file, A, B, C) == {A: "1", B: "2", "c": "3"}
    assert patch(server, file, (A, "new"), (B, None)) == 200
    assert kept(server, file, A, B, C) == {A: "new", "c": "3"}
    assert patch(server, file, (A, None), (C, None), ("{urn:test}never", None)) == 200
    assert kept(server, file, A, B, C) == {}
    assert OWN not in os.listxattr(server.path("file.txt"))
    assert server.get(file).body == b"text"


def test_the_order_of_the_document_counts(server, file):
    assert patch(server, file, (A, "1"), (A, None)) == 200
    assert kept(server, file, A) == {}
    assert patch(server, file, (A, None), (A, "2"), (A, "3")) == 200
    assert kept(server, file, A) == {A: "3"}


def test_values_are_markup(server, file):
    inside = ('text &lt;&amp;&gt; <x:b xmlns:x="urn:x" x:y="&quot;&#10;" z="1"><c xmlns=""/>\u00e4\U00010000</x:b><![CDATA[<raw>]]>')
    assert patch(server, file, (A, inside)) == 200
    expected = ElementTree.fromstring(element(A, inside).encode())
    assert ElementTree.canonicalize(ElementTree.tostring(value_of(server, file, A))) == \
        ElementTree.canonicalize(ElementTree.tostring(expected))


def test_their_language(server, file):
    body = (b'<D:propertyupdate xmlns:D="DAV:" xml:lang="de"><D:set><D:prop><a xmlns="urn:test">x</a>'
            b'<b xmlns="urn:test" xml:lang="en">y</b></D:prop></D:set></D:propertyupdate>')
    assert patch(server, file, body=body) == 200
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    assert value_of(server, file, A).get(language) == "de" and value_of(server, file, B).get(language) == "en"


def test_of_folders_and_of_the_root(server):
    server.mkdir("folder")
    for target in ("/folder/", "/folder", "/"):
        assert patch(server, target, (A, target)) == 200
        assert kept(server, target, A) == {A: target}
        assert patch(server, target, (A, None)) == 200


def test_through_a_link(server, file):
    os.symlink("file.txt", server.path("link"))
    assert patch(server, "/link", (A, "1")) == 200
    assert kept(server, file, A) == kept(server, "/link", A) == {A: "1"}
    os.unlink(server.path("link"))


def test_in_listings(server):
    for name in ("one", "two", "three"):
        server.write(f"many/{name}", name)
    server.write("many/sub/deep", "deep")
    os.symlink("one", server.path("many/link"))
    for name in ("one", "two", "sub/deep", "sub", ""):
        assert patch(server, f"/many/{name}", (A, f"of {name}")) == 200
    for depth, wanted in (("1", {"", "one", "two", "link", "sub/"}), ("infinity", {"", "one", "two", "link", "sub/", "sub/deep"})):
        for body in (prop(A), None):
            found = read_multistatus(propfind(server, "/many/", body, depth=depth))
            texts = {href.removeprefix("/many/"): of[A][1].text for href, of in found.items() if of.get(A, (404,))[0] == 200}
            assert texts == {name: "of one" if name == "link" else f"of {name.rstrip('/')}" for name in wanted}
            assert "/many/three" in found
    names = read_multistatus(propfind(server, "/many/one", b'<propfind xmlns="DAV:"><propname/></propfind>'))["/many/one"]
    assert names[A][0] == 200 and not names[A][1].text
    brief = read_multistatus(propfind(server, "/many/", prop(A, B), depth="1", fields={"Brief": "t"}))
    assert A in brief["/many/one"] and B not in brief["/many/one"] and A not in brief["/many/three"]
    shutil.rmtree(server.path("many"))


def test_so_many_in_a_folder(server):
    """More than there is room for in one batch."""
    server.mkdir("wide")
    value = "v" * 3000
    for i in range(60):
        server.write(f"wide/{i}", "x")
        assert patch(server, f"/wide/{i}", (A, f"{i} {value}")) == 200
    found = read_multistatus(propfind(server, "/wide/", prop(A), depth="1"))
    assert {of[A][1].text for href, of in found.items() if href != "/wide/"} == {f"{i} {value}" for i in range(60)}
    shutil.rmtree(server.path("wide"))


def test_attributes_of_others_spoil_nothing(server, file):
    for wrong in (b"", b"1", b"1\0", b"1\0a\0b\0\0", b"1\0urn:test\0a\0\0<b>\0", b"1\0urn:test\0a\0\0</a><a>\0", b"1\0urn:test\0a b\0\0x\0", b"\xff" * 40_000,
                  b"1\0" + b"urn:test\0a\0\0x\0" * 257):
        try:
            os.setxattr(server.path("file.txt"), OWN, wrong)
        except OSError:
            continue  # more than the file system takes
        for body in (None, prop(A)):
            (found,) = read_multistatus(propfind(server, file, body)).values()
            assert found.get(A, (404,))[0] == 404
        assert patch(server, file, (B, "1")) == 200
        assert kept(server, file, B) == {B: "1"}


@contextlib.contextmanager
def leased(path):
    """Nobody opens the file before this program has given it back, which it never does; the kernel takes it away after 45 s."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # somebody wants it
    with open(path, "r+b") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            with pytest.raises(BlockingIOError):
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            yield
        finally:
            signal.signal(signal.SIGIO, before)


def test_what_cannot_be_opened_now_has_none(server):
    """But it is there, and spoils nothing for the others."""
    for name in ("free", "leased"):
        server.write(f"busy/{name}", "text")
        assert patch(server, f"/busy/{name}", (A, name)) == 200
    os.symlink("leased", server.path("busy/link"))
    os.mkfifo(server.path("busy/fifo"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(server.path("busy/socket"))
    found = {"/busy/free": "free", "/busy/leased": "leased", "/busy/link": "leased"}
    with leased(server.path("busy/leased")):
        for body in None, prop(A, "getcontentlength"):
            for depth in "1", "infinity":
                told = read_multistatus(propfind(server, "/busy/", body, depth=depth))
                assert set(told) == {"/busy/", *found}
                for href in found:
                    assert told[href][DAV + "getcontentlength"][1].text == "4"
                    assert (told[href].get(A, (404,))[0] == 200) == (href == "/busy/free")
            for href in "/busy/leased", "/busy/link":
                (told,) = read_multistatus(propfind(server, href, body)).values()
                assert told[DAV + "getcontentlength"][1].text == "4" and told.get(A, (404,))[0] == 404
        assert propfind(server, "/busy/fifo").status == propfind(server, "/busy/socket").status == 404
    told = read_multistatus(propfind(server, "/busy/", prop(A), depth="1"))
    assert {href: of[A][1].text for href, of in told.items() if href != "/busy/"} == found
    shutil.rmtree(server.path("busy"))


# --- all or nothing ---


def snapshot(server, name="file.txt"):
    path = server.path(name)
    st = os.stat(path)
    return st.st_mtime_ns, st.st_atime_ns, st.st_mode, {one: os.getxattr(path, one) for one in os.listxattr(path)}


@pytest.mark.parametrize("name, value, status", [
    ("getetag", "x", 403), ("displayname", "x", 403), ("creationdate", "x", 403), ("unknown", "x", 403), ("resourcetype", None, 403),
    ("getlastmodified", "soon", 409), ("getlastmodified", None, 403), (APACHE + "executable", "yes", 409), (APACHE + "executable", None, 403),
    ("{http://owncloud.org/ns}favorite", "1", 403), ("{urn:test}large", "v" * 40_000, 507),
])
def test_one_step_fails(server, file, name, value, status):
    assert patch(server, file, (A, "before")) == 200
    before = snapshot(server)
    steps = [(A, "new"), (B, "new"), ("lastmodified", str(SEPTEMBER)), (APACHE + "executable", "T")]
    for at in (0, 2, 4):
        if name == APACHE + "executable":
            some = [step for step in steps if step[0] != name]
        else:
            some = steps
        answer = read_statuses(proppatch(server, file, *some[:at], (name, value), *some[at:]))
        wrong = name if name.startswith("{") else DAV + name
        assert answer.pop(wrong) == status
        assert set(answer.values()) == {424}
    assert snapshot(server) == before
    assert kept(server, file, A, B) == {A: "before"}


def test_why_it_is_protected(server, file):
    response = proppatch(server, file, ("getetag", "x"))
    (only,) = ElementTree.fromstring(response.body)
    assert only.find(f"{DAV}propstat/{DAV}error/{DAV}cannot-modify-protected-property") is not None
    assert only.findtext(DAV + "href") == file


def test_as_much_as_there_is_room_for(server, file):
    """On ext4 that is some 4 KiB; more is 507, and what was there stays."""
    size = 1000
    while size < 60_000 and patch(server, file, (A, "v" * size)) == 200:
        assert kept(server, file, A) == {A: "v" * size}
        last, size = size, size * 2
    assert patch(server, file, (A, "v" * size)) == 507 and size < 60_000
    assert kept(server, file, A) == {A: "v" * last}


def test_as_many_as_are_kept(server, file):
    numbered = [("{}p%d" % i, "") for i in range(256)]
    assert patch(server, file, *numbered[:128]) == 200
    assert patch(server, file, *numbered[128:]) == 200
    assert patch(server, file, (C, ""), ("{}p0", "new")) == {"c": 507, "p0": 424}
    assert len(kept(server, file, *(name for name, _ in numbered[:64]))) == 64
    (found,) = read_multistatus(propfind(server, file)).values()
    assert {f"p{i}" for i in range(256)} <= set(found) and "c" not in found
    assert patch(server, file, ("{}p0", "new"), ("{}p1", None), (C, "")) == 200
    assert kept(server, file, "{}p0", "{}p1", C) == {"p0": "new", "c": ""}


# --- requests that are none ---


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"no XML", 400), (b'<propfind xmlns="DAV:"><allprop/></propfind>', 400), (update(), 400),
    (b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop/></D:set></D:propertyupdate>', 400),
    (b'<!DOCTYPE a>' + update((A, "1")).removeprefix(b'<?xml version="1.0" encoding="utf-8"?>'), 400),
    (update((A, "1"))[:-3], 400),
    (update(*[("{urn:test}p%d" % i, "") for i in range(129)]), 413), (update((A, "<b>" * 40 + "</b>" * 40)), 413), (update((A, "x" * 66_000)), 413),
    (update(("{" + "n" * 1100 + "}a", "")), 413),
])
def test_bodies_that_no_client_should_send(server, file, body, status):
    before = snapshot(server)
    response = server.request("PROPPATCH", file, body=body)
    assert response.status == status, response
    assert snapshot(server) == before


def test_of_nothing(server, file):
    assert proppatch(server, "/none", (A, "1")).status == 404
    assert proppatch(server, "/none/deeper", (A, "1")).status == 404
    assert proppatch(server, "/file.txt/", (A, "1")).status == 404
    assert proppatch(server, "/file.txt/x", (A, "1")).status == 404
    assert proppatch(server, "/.fastfile-x", (A, "1")).status == 404
    os.mkfifo(server.path("fifo"))
    assert proppatch(server, "/fifo", (A, "1")).status == 404
    os.unlink(server.path("fifo"))


def test_readers(server, file):
    assert patch(server, file, (A, "1")) == 200
    before = snapshot(server)
    assert proppatch(server, file, (A, "2"), auth=BOB).status == 403
    assert proppatch(server, file, (A, "2"), auth=None).status == 401
    assert proppatch(server, file, (A, "2"), fields={"Origin": "https://elsewhere"}).status == 403
    assert snapshot(server) == before
    assert kept(server, file, A, auth=BOB) == {A: "1"}
    assert "PROPPATCH" in server.request("OPTIONS", file).field("Allow")
    assert "PROPPATCH" not in server.request("OPTIONS", file, auth=BOB).field("Allow")


def test_preconditions(server, file):
    settle()
    tag = server.head(file).field("ETag")
    for fields in ({"If-Match": '"other"'}, {"If-None-Match": "*"}, {"If": '(["other"])'}, {"If": "(<opaquelocktoken:x>)"}):
        assert proppatch(server, file, (A, "1"), fields=fields).status == 412
    assert kept(server, file, A) == {}
    for fields in ({"If-Match": tag}, {"If": f"([{tag}])"}, {"If": "(Not <opaquelocktoken:x>)"}):
        assert patch(server, file, (A, "1"), fields=fields) == 200


@pytest.mark.skipif(not IS_ROOT, reason="files of others (this is an ordinary user)")
def test_files_of_others(server):
    server.write("others", "x")
    os.chown(server.path("others"), 0, 0)
    os.chmod(server.path("others"), 0o644)
    before = snapshot(server, "others")
    assert patch(server, "/others", (A, "1")) == 403
    assert patch(server, "/others", ("lastmodified", str(SEPTEMBER))) == 403
    assert patch(server, "/others", (APACHE + "executable", "T")) == 403
    assert patch(server, "/others", (WIN32 + "Win32LastModifiedTime", "Sun, 13 Sep 2020 12:26:40 GMT")) == 200
    assert snapshot(server, "others") == before
    os.chmod(server.path("others"), 0o666)  # written by anybody: then properties can be kept, and what follows is taken back
    assert read_statuses(proppatch(server, "/others", (A, "1"), (APACHE + "executable", "T"))) == {A: 424, APACHE + "executable": 403}
    assert OWN not in os.listxattr(server.path("others"))
    os.chmod(server.path("others"), 0o600)
    assert proppatch(server, "/others", (A, "1")).status == 403
    os.unlink(server.path("others"))


# --- times, and the right to execute ---


@pytest.mark.parametrize("name", ["getlastmodified", "lastmodified", WIN32 + "Win32LastModifiedTime"])
@pytest.mark.parametrize("value", ["Sun, 13 Sep 2020 12:26:40 GMT", "2020-09-13T12:26:40Z", "2020-09-13T14:26:40.123+02:00", "1600000000", "1600000000.5"])
def test_when_it_was_changed(server, file, name, value):
    assert patch(server, file, (name, value)) == 200
    assert os.stat(server.path("file.txt")).st_mtime_ns == SEPTEMBER * 10**9
    assert properties(server, file, "getlastmodified")["getlastmodified"] == "Sun, 13 Sep 2020 12:26:40 GMT"
    assert kept(server, file, name) == ({} if name != "getlastmodified" else {name: "Sun, 13 Sep 2020 12:26:40 GMT"})


def test_when_a_folder_was_changed(server):
    server.mkdir("dated")
    assert patch(server, "/dated/", ("lastmodified", str(SEPTEMBER))) == 200
    assert os.stat(server.path("dated")).st_mtime == SEPTEMBER
    assert 'Sun, 13 Sep 2020 12:26:40 GMT' in propfind(server, "/", prop("getlastmodified"), depth="1").text
    os.rmdir(server.path("dated"))


def test_what_explorer_sets(server, file):
    date = "Sun, 13 Sep 2020 12:26:40 GMT"
    assert patch(server, file, (WIN32 + "Win32CreationTime", date), (WIN32 + "Win32LastAccessTime", "Mon, 14 Sep 2020 12:26:40 GMT"),
                 (WIN32 + "Win32LastModifiedTime", date), (WIN32 + "Win32FileAttributes", "00000020")) == 200
    st = os.stat(server.path("file.txt"))
    assert (st.st_mtime, st.st_atime) == (SEPTEMBER, SEPTEMBER + 86400)
    assert os.listxattr(server.path("file.txt")) == []
    # Nonsense does no harm, and a time of access alone leaves the other.
    assert patch(server, file, (WIN32 + "Win32LastModifiedTime", "never"), (WIN32 + "Win32LastAccessTime", date)) == 200
    st = os.stat(server.path("file.txt"))
    assert (st.st_mtime, st.st_atime) == (SEPTEMBER, SEPTEMBER)


def test_the_right_to_execute(server):
    server.write("run.sh", "#!/bin/sh\n", mode=0o640)
    for value, mode in (("T", 0o750), ("T", 0o750), ("F", 0o640), ("F", 0o640)):
        assert patch(server, "/run.sh", (APACHE + "executable", value)) == 200
        assert stat.S_IMODE(os.stat(server.path("run.sh")).st_mode) == mode
        assert kept(server, "/run.sh", APACHE + "executable") == {APACHE + "executable": value}
    assert patch(server, "/", (APACHE + "executable", "T")) == 403
    os.unlink(server.path("run.sh"))


# --- tags that stay, and that do not ---


def tag(server, target):
    return server.head(target).field("ETag")


def test_tags_stay(server, file):
    settle()
    before = tag(server, file)
    assert not before.startswith("W/")
    assert patch(server, file, (A, "1")) == 200
    assert tag(server, file) == before
    assert patch(server, file, (APACHE + "executable", "T"), (A, "2")) == 200
    assert tag(server, file) == properties(server, file, "getetag")["getetag"] == before
    assert server.request("MOVE", file, fields={"Destination": "/moved.txt"}).status == 201
    assert tag(server, "/moved.txt") == before
    assert read_multistatus(propfind(server, "/", prop("getetag"), depth="1"))["/moved.txt"][DAV + "getetag"][1].text == before
    # As davfs2 does it.
    assert server.request("PUT", "/moved.txt", body=b"new!", fields={"If-Match": before}).status == 204
    after = tag(server, "/moved.txt")
    assert after != before
    # Its own, though it is young.
    assert patch(server, "/moved.txt", (A, "3")) == 200
    assert tag(server, "/moved.txt") == after and not after.startswith("W/")
    # Who writes to it in place is seen, also with the same size, and with the time that it had.
    st = os.stat(server.path("moved.txt"))
    with open(server.path("moved.txt"), "r+b") as there:
        there.write(b"NEW!")
    os.utime(server.path("moved.txt"), ns=(st.st_atime_ns, st.st_mtime_ns))
    settle()
    assert tag(server, "/moved.txt") != after
    server.request("DELETE", "/moved.txt")


def test_another_time_is_another_tag(server, file):
    settle()
    before = tag(server, file)
    assert patch(server, file, ("lastmodified", str(SEPTEMBER))) == 200
    assert tag(server, file) != before


# --- with whom it stays ---


@pytest.fixture
def marked(server, file):
    """A file with a property, and an attribute of somebody else's."""
    assert patch(server, file, (A, "<b xmlns=''>1</b>"), (C, "2")) == 200
    os.setxattr(server.path("file.txt"), "user.other", b"theirs")
    return file


def attributes(server, name):
    path = server.path(name)
    return {one: os.getxattr(path, one) for one in os.listxattr(path)}


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_put_leaves_it(server, marked, size):
    before = attributes(server, "file.txt")
    assert len(before) == 2
    assert server.request("PUT", marked, body=b"x" * size).status == 204
    assert attributes(server, "file.txt") == before
    assert server.get(marked).body == b"x" * size
    # Whatever its rights are.
    os.chmod(server.path("file.txt"), 0o400)
    assert server.request("PUT", marked, body=b"y").status in (204, 403)
    assert attributes(server, "file.txt") == before


def test_what_changes_while_a_put_is_on_its_way(server, marked):
    with server.connect() as connection:
        connection.send_request("PUT", marked, auth=ALICE, fields={"Content-Length": "1000000"})
        connection.send(b"x" * 500_000)
        time.sleep(0.2 * SLOW)
        assert patch(server, marked, (A, None), (B, "late")) == 200
        os.removexattr(server.path("file.txt"), "user.other")
        connection.send(b"x" * 500_000)
        assert connection.read_response("PUT").status == 204
    assert kept(server, marked, A, B, C) == {B: "late", "c": "2"}
    assert "user.other" not in attributes(server, "file.txt")


def test_the_first_property_while_a_put_is_on_its_way(server, file):
    with server.connect() as connection:
        connection.send_request("PUT", file, auth=ALICE, fields={"Content-Length": "1000000"})
        connection.send(b"x" * 500_000)
        time.sleep(0.2 * SLOW)
        assert patch(server, file, (A, "late")) == 200
        connection.send(b"x" * 500_000)
        assert connection.read_response("PUT").status == 204
    assert kept(server, file, A) == {A: "late"}


def test_a_resumed_upload_leaves_it(server, marked):
    before = attributes(server, "file.txt")
    made = server.request("POST", "/.fastfile/tus/", body=b"", fields={
        "Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": "path ZmlsZS50eHQ="})
    assert made.status == 201
    url = made.field("Location")
    url = url[url.index("/.fastfile"):]
    done = server.request("PATCH", url, body=b"new", fields={
        "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"})
    assert done.status == 204
    assert server.get(marked).body == b"new" and attributes(server, "file.txt") == before


def test_copies_have_it(server, marked):
    before = attributes(server, "file.txt")
    assert server.request("COPY", marked, fields={"Destination": "/copy.txt"}).status == 201
    assert attributes(server, "copy.txt") == before
    # What was replaced leaves nothing.
    assert patch(server, "/copy.txt", (B, "of the old one")) == 200
    assert server.request("COPY", marked, fields={"Destination": "/copy.txt"}).status == 204
    assert attributes(server, "copy.txt") == before
    assert server.request("MOVE", "/copy.txt", fields={"Destination": "/moved.txt"}).status == 201
    assert attributes(server, "moved.txt") == before
    server.request("DELETE", "/moved.txt")


def make_tree(server):
    server.write("tree/sub/file", "x")
    server.write("tree/sub/locked", "x", mode=0o400)
    for name in ("tree", "tree/sub", "tree/sub/file"):
        assert patch(server, f"/{name}", (A, name)) == 200
    os.setxattr(server.path("tree/sub/locked"), "user.other", b"theirs")


def check_tree(server, name):
    assert kept(server, f"/{name}/", A) == {A: "tree"}
    assert kept(server, f"/{name}/sub/", A) == {A: "tree/sub"}
    assert kept(server, f"/{name}/sub/file", A) == {A: "tree/sub/file"}
    assert os.getxattr(server.path(f"{name}/sub/locked"), "user.other") == b"theirs"


def test_copies_of_folders_have_it(server):
    make_tree(server)
    assert server.request("COPY", "/tree/", fields={"Destination": "/copied/"}).status == 201
    check_tree(server, "copied")
    assert server.request("COPY", "/tree/", fields={"Destination": "/alone/", "Depth": "0"}).status == 201
    assert kept(server, "/alone/", A) == {A: "tree"} and os.listdir(server.path("alone")) == []
    for name in ("tree", "copied", "alone"):
        shutil.rmtree(server.path(name))


# --- other file systems ---

needs_mounts = pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}")


@pytest.fixture(scope="module")
def other():
    """A server below whose folder there is another ext4 at "ext4", and a vfat at "vfat" where there is such a thing."""
    server = Server(start=False, plain=True)
    mounts = []
    try:
        server.mkdir("ext4")
        server.mkdir("vfat")
        ext4 = loop_fs.LoopFileSystem(server.path("ext4"), 32 << 20)
        mounts.append(ext4)
        ext4.mount()
        server.own_below("ext4")
        vfat = small_fs.mount("vfat", server.path("vfat"))
        if vfat:
            mounts.append(vfat)
        server.has_vfat = bool(vfat)
        server.start()
        yield server
        server.stop()
    finally:
        for one in mounts:
            one.finish()
        server.finish()


@needs_mounts
def test_moves_to_another_file_system(other):
    make_tree(other)
    assert other.request("MOVE", "/tree/", fields={"Destination": "/ext4/tree/"}).status == 201
    check_tree(other, "ext4/tree")
    assert not os.path.exists(other.path("tree"))
    assert other.request("MOVE", "/ext4/tree/sub/file", fields={"Destination": "/file"}).status == 201
    assert kept(other, "/file", A) == {A: "tree/sub/file"}
    assert patch(other, "/ext4/tree/", (B, "there")) == 200 and kept(other, "/ext4/tree/", B) == {B: "there"}
    shutil.rmtree(other.path("ext4/tree"))
    os.unlink(other.path("file"))


@needs_mounts
def test_where_nothing_can_be_kept(other):
    if not other.has_vfat:
        pytest.skip("properties on vfat (neither this kernel nor FUSE has it)")
    other.write("vfat/file", "x")
    before = os.stat(other.path("vfat/file")).st_mtime
    response = proppatch(other, "/vfat/file", (A, "1"), ("lastmodified", str(SEPTEMBER)))
    assert read_statuses(response) == {A: 507, DAV + "lastmodified": 424}
    assert "This file system keeps no properties." in response.text
    assert os.stat(other.path("vfat/file")).st_mtime == before
    assert patch(other, "/vfat/file", (A, None)) == 200
    assert patch(other, "/vfat/file", ("lastmodified", str(SEPTEMBER))) == 200
    assert abs(os.stat(other.path("vfat/file")).st_mtime - SEPTEMBER) <= 2
    assert kept(other, "/vfat/file", A) == {}
    # It is lost there, as owners and modes are.
    other.write("marked", "x")
    assert patch(other, "/marked", (A, "1")) == 200
    assert other.request("COPY", "/marked", fields={"Destination": "/vfat/copy"}).status == 201
    assert other.request("MOVE", "/marked", fields={"Destination": "/vfat/moved"}).status == 201
    assert other.get("/vfat/moved").body == b"x" and other.request("PUT", "/vfat/moved", body=b"y").status == 204


@needs_mounts
def test_no_room(other):
    """A copy that cannot have its properties is none; nor is there a PROPPATCH on a full file system."""
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("a full file system")
    other.write("large", "x")
    try:
        os.setxattr(other.path("large"), "user.large", b"v" * 3500)
    except OSError:
        pytest.skip("long attributes")
    other.write("ext4/other", "x")
    with open(other.path("ext4/filler"), "wb") as filler:
        block = b"\0" * 4096
        try:
            while True:
                filler.write(block * 64)
                filler.flush()
        except OSError:
            pass
        try:
            while True:
                filler.write(block)
                filler.flush()
        except OSError:
            pass
    try:
        assert other.request("COPY", "/large", fields={"Destination": "/ext4/copy"}).status == 507
        assert not os.path.exists(other.path("ext4/copy"))
        assert patch(other, "/ext4/other", (A, "v" * 3500)) == 507
    finally:
        os.unlink(other.path("ext4/filler"))
    os.unlink(other.path("large"))
