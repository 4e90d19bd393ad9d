"""Archives of folders: what is in them, read by four readers, and what happens when the folder does not keep still."""
import hashlib
import io
import os as host
import random
import stat
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import zipfile

import pytest
from client import ClosedEarly, wait_for
from machine import IN_VM, IS_ROOT, open, os
from server import ALICE, BOB, SLOW, SANITIZER, own

NOTES = "INCOMPLETE.txt"
KINDS = ["tar", "zip"]
FILE, FOLDER, LINK = "file", "folder", "link"


def archive(server, target, kind, *names, **options):
    query = urllib.parse.urlencode([("archive", kind)] + [("name", name) for name in names])
    return server.get(f"{urllib.parse.quote(target)}?{query}", **options)


# --- trees, as {path: (kind, content's hash, mode, mtime)} --------------------------------------------


def digest(content):
    return hashlib.sha256(content).hexdigest()


def tree_of(server, name, top):
    """What is on the disk, as an archive should have it."""
    base = server.path(name)
    found = {}
    for folder, folders, files in os.walk(base):
        folders[:] = [one for one in folders if one != ".fastfile" and not os.path.islink(os.path.join(folder, one))]
        files = [one for one in files if not one.startswith(".fastfile-")]
        inside = os.path.relpath(folder, base)
        for one in [""] + files:
            path = os.path.join(folder, one) if one else folder
            shown = os.fsencode(os.path.normpath(os.path.join(top, inside, one)))
            st = os.stat(path)
            content = open(path, "rb").read() if one else b""
            found[shown] = (FILE if one else FOLDER, digest(content), stat.S_IMODE(st.st_mode), int(st.st_mtime))
    return found


def tree_of_tar(body):
    found = {}
    with tarfile.open(fileobj=io.BytesIO(body), errors="surrogateescape", encoding="utf-8") as tar:
        for member in tar:
            assert member.uid == member.gid == 0 and member.isfile() or member.isdir()
            content = tar.extractfile(member).read() if member.isfile() else b""
            path = os.fsencode(member.name)
            assert path not in found
            found[path] = (FILE if member.isfile() else FOLDER, digest(content), member.mode, int(member.mtime))
    return found


def zip_path(info):
    return (info.filename.encode() if info.flag_bits & 0x800 else info.filename.encode("cp437")).rstrip(b"/")


def zip_mtime(info):
    """The seconds of Info-ZIP's field."""
    extra = info.extra
    while extra:
        kind, length = (int.from_bytes(extra[at:at + 2], "little") for at in (0, 2))
        if kind == 0x5455:
            assert extra[4] == 1
            return int.from_bytes(extra[5:9], "little")
        extra = extra[4 + length:]
    return None


def tree_of_zip(body):
    found = {}
    with zipfile.ZipFile(io.BytesIO(body)) as archived:
        for info in archived.infolist():
            content = archived.read(info)  # checks the CRC
            kind = FOLDER if info.is_dir() else FILE
            mode = info.external_attr >> 16
            assert stat.S_ISDIR(mode) == (kind == FOLDER) and info.compress_type == zipfile.ZIP_STORED
            assert zip_path(info) not in found
            found[zip_path(info)] = (kind, digest(content), stat.S_IMODE(mode), zip_mtime(info))
    return found


TREES = {"tar": tree_of_tar, "zip": tree_of_zip}


def names_in(kind, body):
    return {os.fsdecode(path) for path in TREES[kind](body)}


def text_in(kind, body, name):
    if kind == "zip":
        return zipfile.ZipFile(io.BytesIO(body)).read(name).decode()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return tar.extractfile(name).read().decode()


def extracted(tmp_path, body, command):
    """What a program makes of an archive, which it gets as a file or, with "-", through a pipe."""
    place = tmp_path / "out"
    place.mkdir()
    path = tmp_path / "archive"
    path.write_bytes(body)
    command = [str(path) if word == "FILE" else word for word in command]
    done = subprocess.run(command, cwd=place, input=body if "-" in command else None, capture_output=True, check=False, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"})
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    found = {}
    for folder, _, files in host.walk(host.fsencode(place)):
        for one in [b""] + files:
            whole = host.path.join(folder, one) if one else folder
            st = host.lstat(whole)
            content = open_here(whole) if one else b""
            found[host.path.relpath(whole, host.fsencode(place))] = (
                FILE if one else FOLDER, digest(content), stat.S_IMODE(st.st_mode), int(st.st_mtime))
    found.pop(b".", None)
    return found


def open_here(path):
    with io.open(path, "rb") as file:
        return file.read()


# --- the folder that most tests have ------------------------------------------------------------------


LONG = "n" * 255
DEEP = "/".join(f"{number:02}-a-folder-of-a-deep-path" for number in range(14))


@pytest.fixture(autouse=True, scope="module")
def files(module_server):
    one = module_server
    for name, content in {
        "a.txt": b"hello", "empty.txt": b"", ".hidden": b"dot", "Grüße & Öl.txt": "Öl".encode(), "日本/語.bin": b"\x00\xff" * 300,
        "with blanks/ x .txt": b"x", LONG: b"long", f"{DEEP}/bottom.txt": b"deep", "\\back:slash?*.txt": b"b",
        "one block": b"b" * 512, "block and one": b"b" * 513, "record": os.urandom(16384), "record and one": os.urandom(16385),
        "large": os.urandom(3_000_001), "script.sh": b"#!/bin/sh\n", "new\nline": b"nl",
    }.items():
        one.write(f"tree/{name}", content)
    os.chmod(one.path("tree/script.sh"), 0o755)
    os.chmod(one.path("tree/a.txt"), 0o600)
    one.mkdir("tree/nothing in here")
    one.mkdir("tree/empty")
    one.write("tree/.fastfile/upload", "no")
    one.write("tree/.fastfile-0123456789abcdef", "an upload to a file system without O_TMPFILE")
    one.write("tree/日本/.fastfile/upload", "no")
    own(one.path("tree"))
    for number, path in enumerate(["tree/a.txt", "tree/large", "tree/empty", "tree/script.sh"]):
        os.utime(one.path(path), (1_234_567_890 + number * 1_000_001,) * 2)


# --- content ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_folder(server, kind):
    assert TREES[kind](archive(server, "/tree/", kind).body) == tree_of(server, "tree", "tree")


@pytest.mark.parametrize("command", [
    ["tar", "-xpf", "FILE"], ["tar", "-xpf", "-"], ["bsdtar", "-xpf", "FILE"], ["bsdtar", "-xpf", "-"],
], ids=["tar", "tar pipe", "bsdtar", "bsdtar pipe"])
def test_tar_by_other_readers(server, tmp_path, command):
    found = extracted(tmp_path, archive(server, "/tree/", "tar").body, command)
    assert found == tree_of(server, "tree", "tree")


@pytest.mark.parametrize("command", [
    ["unzip", "-q", "FILE"], ["bsdtar", "-xpf", "FILE"], ["bsdtar", "-xf", "-"], [sys.executable, "-m", "zipfile", "-e", "FILE", "."],
], ids=["unzip", "bsdtar", "bsdtar pipe", "python"])
def test_zip_by_other_readers(server, tmp_path, command):
    found = extracted(tmp_path, archive(server, "/tree/", "zip").body, command)
    expected = tree_of(server, "tree", "tree")
    kept = {"unzip": 4, "bsdtar": 2 if "-" in command else 4}.get(command[0], 2)
    if command[0] == "unzip":  # it drops control characters
        expected = {path.replace(b"\n", b""): entry for path, entry in expected.items()}
    assert {path: entry[:kept] for path, entry in found.items()} == {path: entry[:kept] for path, entry in expected.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_folder(server, kind):
    server.mkdir("bare")
    assert TREES[kind](archive(server, "/bare/", kind).body) == tree_of(server, "bare", "bare")


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_not_utf8(server, tmp_path, kind):
    server.write(b"bytes/\xff\xfe.txt", "odd")
    server.write(b"bytes/" + b"\xff" * 200 + b"/" + b"\xfe" * 120, "long and odd")
    body = archive(server, "/bytes/", kind).body
    assert TREES[kind](body) == tree_of(server, "bytes", "bytes")
    assert extracted(tmp_path, body, ["tar" if kind == "tar" else "bsdtar", "-xpf", "FILE"]) == tree_of(server, "bytes", "bytes")


@pytest.mark.parametrize("kind", KINDS)
def test_random_trees(server, tmp_path, kind):
    """Names of all lengths and kinds of characters, nested, with sizes around those of blocks and records."""
    numbers = random.Random(kind)
    letters = "abcXYZ019 .-_()'&%$#@!~äßéλЖ日本語🐟"
    sizes = [0, 1, 511, 512, 513, 4095, 16383, 16384, 16385, 65535, 65536, 65537, 200_000]
    for round_number in range(3 if SANITIZER or IN_VM else 8):
        name = f"random-{kind}-{round_number}"
        folders = [name]
        for _ in range(60):
            one = "".join(numbers.choice(letters) for _ in range(numbers.choice([1, 5, 30, 60])))
            one = (one.strip(". ") or "x") + str(len(folders))
            path = f"{numbers.choice(folders)}/{one}"
            if len(os.fsencode(one)) > 255 or len(os.fsencode(path)) > 3000:
                continue
            if numbers.random() < 0.4:
                server.mkdir(path)
                folders.append(path)
            else:
                server.write(path, numbers.randbytes(numbers.choice(sizes)))
                when = numbers.randrange(400_000_000, 2_000_000_000)
                os.utime(server.path(path), (when, when))
        body = archive(server, f"/{name}/", kind).body
        assert TREES[kind](body) == tree_of(server, name, name)
        (tmp_path / str(round_number)).mkdir()
        found = extracted(tmp_path / str(round_number), body, ["bsdtar", "-xpf", "FILE"])
        assert found == tree_of(server, name, name)


@pytest.mark.parametrize("kind", KINDS)
def test_times_before_and_after_what_formats_know(server, kind):
    for name, when in (("before", -5), ("first", 0), ("late", 5_000_000_000), ("zip's last", 4_354_819_199)):
        path = server.path(server.write(f"times/{name}", "x").lstrip("/"))
        os.utime(path, (when, when))
    found = TREES[kind](archive(server, "/times/", kind).body)
    expected = {"before": -5, "first": 0, "late": 5_000_000_000, "zip's last": 4_354_819_199}
    if kind == "zip":  # of which the exact field has 31 bits
        expected = {name: when if 0 <= when < 2**31 else None for name, when in expected.items()}
    assert {name: found[b"times/" + name.encode()][3] for name in expected} == expected


# --- what can be asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, form", [("tar", "application/x-tar"), ("zip", "application/zip")])
def test_fields(server, kind, form):
    with server.connect() as connection:
        for method in ("HEAD", "GET", "HEAD"):
            response = connection.request(method, f"/tree/?archive={kind}", auth=ALICE)
            assert response.status == 200
            assert response.field("Content-Type") == form
            assert response.field("Transfer-Encoding") == "chunked"
            assert response.field("Content-Disposition") == f"attachment; filename=\"tree.{kind}\"; filename*=UTF-8''tree.{kind}"
            assert response.field("Cache-Control") == "no-store"
            assert response.field("X-Content-Type-Options") == "nosniff"
            assert bool(response.body) == (method == "GET")


def test_the_root_is_called_files(make_server):
    one = make_server()
    one.write("a.txt", "x")
    response = archive(one, "/", "zip")
    assert 'filename="files.zip"' in response.field("Content-Disposition")
    assert names_in("zip", response.body) == {"files", "files/a.txt"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_selection(server, kind):
    body = archive(server, "/tree/", kind, "a.txt", "Grüße & Öl.txt", "日本", "nothing in here", "a.txt", "empty").body
    assert names_in(kind, body) == {"a.txt", "Grüße & Öl.txt", "日本", "日本/語.bin", "nothing in here", "empty"}
    everything = tree_of(server, "tree", "")
    assert all(everything[path] == entry for path, entry in TREES[kind](body).items())


@pytest.mark.parametrize("query, status", [
    ("archive=rar", 400), ("archive=", 400), ("archive", 400), ("archive=ZIP", 400), ("archive=tar%00", 400), ("archive=" + "x" * 3000, 400),
    ("archive=zip&name=", 400), ("archive=zip&name=..", 400), ("archive=zip&name=.", 400), ("archive=zip&name=a%2Fb", 400),
    ("archive=zip&name=..%2Fsecret", 400), ("archive=zip&name=%zz", 400), ("archive=zip&name=a%00", 400), ("archive=zip&name=a%0A", 404),
    ("archive=zip&name=new%0Aline", 200), ("archive=tar&name=new%0Aline&name=a.txt", 200),
    ("archive=zip&name=" + "x" * 255, 404), ("archive=zip&name=" + "x" * 300, 400),
    ("archive=zip&name=a.txt&name=missing", 404), ("archive=zip&name=.fastfile", 404), ("archive=zip&name=" + "&name=a.txt" * 1000, 400),
    ("archive=tar&name=.fastfile-0123456789abcdef", 404),
    ("archive=zip" + "&name=a.txt" * 1200, 200), ("archive=tar&name=a+b&archive=zip", 404),
])
def test_queries(server, query, status):
    for method in ("GET", "HEAD"):
        assert server.request(method, f"/tree/?{query}").status == status


@pytest.mark.parametrize("line_end", ["", "\r\n"])
def test_more_names_than_a_head_has_room_for(server, line_end):
    names = [f"{number:05}" + "ü" * 100 for number in range(400)]
    for name in names:
        server.write(f"many/{name}", name)
    raw = os.fsdecode(b"\xff \xfe")
    server.write(f"many/{raw}", "x")
    body = urllib.parse.urlencode([("name", os.fsencode(name)) for name in names[1:] + [raw, names[1]]]) + line_end
    response = server.request("POST", "/many/?archive=zip", body=body.encode())
    assert response.status == 200 and names_in("zip", response.body) == {*names[1:], raw}
    both = server.request("POST", f"/many/?archive=tar&name={names[0][:5]}" + urllib.parse.quote("ü" * 100), body=body.encode())
    assert names_in("tar", both.body) == {*names, raw}
    with server.connect() as connection:
        connection.send_request("POST", "/many/?archive=zip", {"Transfer-Encoding": "chunked"}, auth=ALICE)
        connection.send(b"7\r\nname=%F\r\n6\r\nF+%FE\n\r\n0\r\n\r\n")
        assert names_in("zip", connection.read_response().body) == {raw}
    assert names_in("zip", server.request("POST", "/tree/?archive=zip", body=b"").body) == names_in("zip", archive(server, "/tree/", "zip").body)


@pytest.mark.parametrize("body, status", [
    ("name=missing", 404), ("name=..", 400), ("name=a.txt&name=a%2Fb", 400), ("name=%zz", 400), ("name=.fastfile", 404), ("x" * (1 << 20), 200),
    ("x" * (1 << 20) + "x", 413), ("&name=a.txt" * 16_384, 200), ("&name=a.txt" * 16_385, 413),
])
def test_bodies(server, body, status):
    assert server.request("POST", "/tree/?archive=tar", body=body.encode()).status == status


def test_a_post_is_for_archives_only(server):
    assert server.request("POST", "/tree/", body=b"name=a.txt").status == 405
    assert server.request("POST", "/tree/a.txt?archive=zip", body=b"").status == 400
    assert server.request("POST", "/tree/?archive=zip", body=b"", auth=BOB).status == 200  # who may read only


@pytest.mark.parametrize("target, status", [
    ("/tree/a.txt?archive=zip", 400), ("/missing/?archive=zip", 404), ("/.fastfile/?archive=zip", 404), ("/tree/a.txt/?archive=tar", 404),
    ("/tree/../../?archive=tar", 400),
])
def test_what_has_no_archive(server, target, status):
    assert server.get(target).status == status


def test_a_folder_without_its_slash(server):
    response = server.get("/tree?archive=zip&name=a.txt")
    assert (response.status, response.field("Location")) == (308, "/tree/?archive=zip&name=a.txt")


def test_only_for_those_who_may(server):
    assert server.get("/tree/?archive=zip", auth=None).status == 401


def test_http_1_0(server):
    with server.connect() as connection:
        response = connection.request("GET", "/tree/?archive=tar", auth=ALICE, version="HTTP/1.0")
    assert response.field("Transfer-Encoding") is None and response.field("Connection") == "close"
    assert tree_of_tar(response.body) == tree_of(server, "tree", "tree")


@pytest.mark.parametrize("kind", KINDS)
def test_one_after_the_other_on_one_connection(server, kind):
    with server.connect() as connection:
        connection.send_request("GET", f"/tree/?archive={kind}&name=large", auth=ALICE)
        connection.send_request("GET", "/tree/a.txt", auth=ALICE)
        assert names_in(kind, connection.read_response().body) == {"large"}
        assert connection.read_response().body == b"hello"


@pytest.mark.parametrize("kind", KINDS)
def test_plain(make_server, kind):
    """Without TLS the kernel sends files by itself."""
    one = make_server(plain=True)
    for size in (0, 100, 65535, 65536, 70_000, 5_000_000):
        one.write(f"x/{size}", os.urandom(size))
    assert TREES[kind](archive(one, "/x/", kind).body) == tree_of(one, "x", "x")


# --- links, and what cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_links(server, kind):
    server.write("links/inner/file.txt", "content")
    with open(os.path.join(server.base, "secret"), "w", encoding="ascii") as file:
        file.write("SECRET")
    for name, target in {"to-file": "inner/file.txt", "to-folder": "inner", "to-above": "..", "absolute": "/etc/passwd", "outside": "../../secret",
                         "nowhere": "missing", "circle": "circle", "\x9b31mtwo\nlines\x7fü": "missing", "inner/up-and-down": "../inner/file.txt"}.items():
        if not os.path.lexists(server.path(f"links/{name}")):
            os.symlink(target, server.path(f"links/{name}"))
    if not os.path.lexists(server.path("links/fifo")):
        os.mkfifo(server.path("links/fifo"))
    own(server.path("links"))
    body = archive(server, "/links/", kind).body
    assert b"SECRET" not in body and b"root:" not in body
    assert names_in(kind, body) == {"links", "links/inner", "links/inner/file.txt", "links/to-file", "links/inner/up-and-down", f"links/{NOTES}"}
    assert text_in(kind, body, "links/to-file") == text_in(kind, body, "links/inner/up-and-down") == "content"
    notes = text_in(kind, body, f"links/{NOTES}")
    assert "\r\n?31mtwo?lines?ü: " in notes
    for name in ("to-folder", "to-above", "absolute", "outside", "nowhere", "circle", "fifo"):
        assert f"\r\n{name}: " in notes
    # Also where they are chosen by name.
    assert names_in(kind, archive(server, "/links/", kind, "to-file", "outside", "to-folder").body) == {"to-file", NOTES}


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read(server, kind):
    server.write("locked/open.txt", "x")
    server.write("locked/closed.txt", "CLOSED", mode=0)
    server.write("locked/closed/inner.txt", "CLOSED")
    server.write(f"locked/{NOTES}", "mine")
    os.chmod(server.path("locked/closed"), 0)
    try:
        body = archive(server, "/locked/", kind).body
    finally:
        os.chmod(server.path("locked/closed"), 0o755)
    other = "locked/INCOMPLETE (about this archive).txt"
    assert b"CLOSED" not in body
    assert names_in(kind, body) == {"locked", "locked/open.txt", f"locked/{NOTES}", other}
    assert text_in(kind, body, f"locked/{NOTES}") == "mine"
    notes = text_in(kind, body, other)
    assert "\r\nclosed.txt: no permission" in notes and "\r\nclosed: no permission" in notes


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_called_as_the_list_would_be(server, kind):
    server.write(f"named/{NOTES}/x", "x")
    if not os.path.lexists(server.path("named/link")):
        os.symlink("missing", server.path("named/link"))
    body = archive(server, "/named/", kind).body
    other = "named/INCOMPLETE (about this archive).txt"
    assert names_in(kind, body) == {"named", f"named/{NOTES}", f"named/{NOTES}/x", other}
    assert "link: " in text_in(kind, body, other)


def test_the_list_of_what_is_missing_has_an_end(server):
    server.mkdir("gone")
    for number in range(3000):
        os.symlink("missing", server.path(f"gone/link-{number}"))
    notes = text_in("tar", archive(server, "/gone/", "tar").body, f"gone/{NOTES}")
    lines = notes.count("leads nowhere")
    assert 1000 < lines < 3000 and f"and {3000 - lines} more" in notes


# --- folders that do not keep still -------------------------------------------------------------------------


def begin(server, target, **options):
    """A client that has read the head and no more."""
    connection = server.connect(receive_buffer=4096, **options)
    connection.send_request("GET", target, auth=ALICE)
    assert connection.read_head().status == 200
    return connection


def read_chunks(connection):
    """The body, decoded; ClosedEarly if it does not come to its end."""
    return connection.read_chunks()


BIG = 40 * 1024 * 1024


def sparse(server, name, size):
    path = server.path(server.write(name, b"").lstrip("/"))
    with open(path, "r+b") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_shrinks(make_server, kind, plain):
    one = make_server(plain=plain)
    path = sparse(one, "x/shrinking", BIG)
    with begin(one, f"/x/?archive={kind}") as connection:
        os.truncate(path, 1000)
        with pytest.raises((ClosedEarly, ConnectionResetError)):
            read_chunks(connection)
    assert one.get("/x/?format=json").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_grows(server, kind):
    path = sparse(server, "growing/log", BIG)
    with begin(server, f"/growing/?archive={kind}") as connection:
        with open(path, "ab") as file:
            file.write(b"more")
        body = read_chunks(connection)
    assert TREES[kind](body)[b"growing/log"][:2] == (FILE, digest(bytes(BIG)))
    assert "\r\nlog: it changed" in text_in(kind, body, f"growing/{NOTES}")
    os.unlink(path)


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_come_and_go_meanwhile(server, kind):
    """However it is seen, the archive is whole and has what stayed."""
    sparse(server, "busy/0/first", 3_000_000)
    for number in range(50):
        server.write(f"busy/{number}/stays", "s")
    done = threading.Event()

    def bustle():
        number = 0
        while not done.is_set():
            number += 1
            folder = f"busy/{number % 50}"
            server.write(f"{folder}/new-{number}", "x" * 2000)
            server.mkdir(f"{folder}/sub-{number}")
            os.rename(server.path(f"{folder}/sub-{number}"), server.path(f"busy/sub-{number}"))
            os.unlink(server.path(f"{folder}/new-{number}"))
            os.rmdir(server.path(f"busy/sub-{number}"))

    thread = threading.Thread(target=bustle)
    thread.start()
    try:
        for _ in range(5):
            found = names_in(kind, archive(server, "/busy/", kind).body)
            assert {f"busy/{number}/stays" for number in range(50)} <= found
    finally:
        done.set()
        thread.join()


def test_a_client_that_leaves(server):
    sparse(server, "left/big", 4 * BIG)
    before = server.descriptors()
    for kind in KINDS * 3:
        begin(server, f"/left/?archive={kind}").close()
    wait_for(lambda: server.descriptors() <= before, 10 * SLOW, "the end of archives that nobody reads")


@pytest.mark.measures
def test_slow_clients_hold_nobody_up(server):
    """More clients than there are helper threads have an archive each and do not read on."""
    sparse(server, "slow/big", 4 * BIG)
    server.write("quick.txt", "quick")
    connections = [begin(server, f"/slow/?archive={KINDS[number % 2]}") for number in range(24)]
    try:
        for _ in range(5):
            started = time.monotonic()
            server.write(f"new/{time.monotonic_ns()}", "x")
            assert server.get("/new/?format=json").status == 200 and server.get("/quick.txt").body == b"quick"
            assert names_in("zip", archive(server, "/tree/", "zip", "a.txt").body) == {"a.txt"}
            assert time.monotonic() - started < 1 * SLOW
    finally:
        for connection in connections:
            connection.close()


# --- large ones -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_levels(server, kind):
    server.write("/".join(["levels"] + ["d"] * 200 + ["bottom"]), "b")
    assert TREES[kind](archive(server, "/levels/", kind).body) == tree_of(server, "levels", "levels")


@pytest.mark.skipif(IN_VM, reason="not run in the VM: works with descriptors")
def test_deeper_than_a_path(server):
    """What no path leads to is told, not lost in silence."""
    server.mkdir("bottomless")
    fds = [os.open(server.path("bottomless"), os.O_RDONLY)]
    try:
        for _ in range(30):
            os.mkdir("n" * 200, dir_fd=fds[-1])
            fds.append(os.open("n" * 200, os.O_RDONLY, dir_fd=fds[-1]))
        body = archive(server, "/bottomless/", "tar").body
        assert "its path is too long" in text_in("tar", body, f"bottomless/{NOTES}")
        assert max(name.count("/") for name in names_in("tar", body)) >= 20
    finally:
        while len(fds) > 1:
            os.close(fds.pop())
            os.rmdir("n" * 200, dir_fd=fds[-1])
        os.close(fds[0])


@pytest.mark.skipif(not IS_ROOT or IN_VM, reason="mounts need root outside of the VM")
@pytest.mark.parametrize("kind", KINDS)
def test_other_file_systems_below(make_server, kind):
    """They may be slow: their files are opened and read by other helpers."""
    one = make_server(start=False)
    one.mkdir("x/mounted")
    one.write("x/beside", "b")
    subprocess.run(["mount", "-t", "ramfs", "none", one.path("x/mounted")], check=True)
    try:
        for name in ("a.txt", "sub/b.txt", "sub/deeper/c.txt"):
            one.write(f"x/mounted/{name}", name * 10_000)
        os.symlink("mounted/a.txt", one.path("x/link"))
        own(one.path("x"))
        one.start()
        found = TREES[kind](archive(one, "/x/", kind).body)
        assert found == tree_of(one, "x", "x")
        assert b"x/mounted/sub/deeper/c.txt" in found
    finally:
        subprocess.run(["umount", "-l", one.path("x/mounted")], check=True)


def test_the_page_has_links_to_both(server):
    page = server.get("/tree/", fields={"Accept": "text/html"}).text
    for kind in KINDS:
        assert f'href="?archive={kind}"' in page
