"""PUT: what is on the disk afterwards, what is answered, and that whatever fails leaves the old file."""
import base64
import contextlib
import hashlib
import random
import stat
import threading
import time

import pytest
from client import ClosedEarly, end_sending, together, wait_for
from machine import IN_VM, IS_ROOT, open, os
from server import ALICE, SLOW, own

MANY = 20 if SLOW > 1 else 100


def put(server, target, body=b"", fields=None, **options):
    return server.request("PUT", target, body=body, fields=fields, auth=ALICE, **options)


def content(server, name):
    with open(server.path(name), "rb") as file:
        return file.read()


def names(server, folder=""):
    """All that is there, also what no listing shows."""
    return set(os.listdir(server.path(folder)))


def chunked(body, step=1000, end="0\r\n\r\n"):
    pieces = [body[at:at + step] for at in range(0, len(body), step)]
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + end.encode()


def send_chunked(connection, target, encoded, **fields):
    connection.send_request("PUT", target, auth=ALICE, fields={"Transfer-Encoding": "chunked", **fields})
    connection.send(encoded)


# --- what is written ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 65536, 262143, 262144, 262145, 524289, 3_000_001])
def test_sizes(make_server, plain, size):
    server = make_server(plain=plain)
    body = os.urandom(size)
    with server.connect() as connection:
        response = connection.request("PUT", "/new.bin", body=body, auth=ALICE)
        assert response.status == 201 and response.body == b""
        assert response.field("Location") == "/new.bin"
        assert connection.request("GET", "/new.bin", auth=ALICE).body == body
        connection.send_request("PUT", "/chunked.bin", auth=ALICE, fields={"Transfer-Encoding": "chunked"})
        connection.send(chunked(body, step=random.randrange(500, 70_000)))
        assert connection.read_response().status == 201
        assert connection.request("GET", "/chunked.bin", auth=ALICE).body == body
    assert names(server) == {"new.bin", "chunked.bin"}


def test_several_on_one_connection(server):
    """Bodies of all kinds, sent at once, each with the next request right behind it."""
    bodies = [os.urandom(size) for size in (5, 0, 70_000, 300_000, 1, 20_000)]
    with server.connect() as connection:
        for number, body in enumerate(bodies):
            if number % 2:
                send_chunked(connection, f"/several{number}", chunked(body, 997))
            else:
                connection.send_request("PUT", f"/several{number}", body=body, auth=ALICE)
        assert [connection.read_response().status for _ in bodies] == [201] * len(bodies)
        for number, body in enumerate(bodies):
            assert connection.request("GET", f"/several{number}", auth=ALICE).body == body


def test_bit_by_bit(server):
    body = os.urandom(3000)
    encoded = chunked(body, 7)
    with server.connect() as connection:
        connection.send_request("PUT", "/bits", auth=ALICE, fields={"Content-Length": str(len(body))})
        for at in range(0, len(body), 100):
            connection.send(body[at:at + 100])
            time.sleep(0.002)
        assert connection.read_response().status == 201
        connection.send_request("PUT", "/bits", auth=ALICE, fields={"Transfer-Encoding": "chunked"})
        for at in range(0, len(encoded), 301):
            connection.send(encoded[at:at + 301])
            time.sleep(0.002)
        assert connection.read_response().status == 204
    assert content(server, "bits") == body


def test_curl(server, tmp_path):
    upload = tmp_path / "upload.bin"
    body = os.urandom(5_000_000)
    upload.write_bytes(body)
    done = server.curl("-u", "alice:wonderland", "-T", str(upload), "-w", "%{http_code}", server.url("/curl.bin"))
    assert done.stdout == b"201", done.stderr
    done = server.curl("-u", "alice:wonderland", "-T", "-", "-w", "%{http_code}", server.url("/curl.bin"), input=body[:-1])
    assert done.stdout == b"204", done.stderr  # chunked: curl does not know the length
    assert content(server, "curl.bin") == body[:-1]


def test_names(server):
    os.makedirs(server.path("Grüße & mehr"))
    own(server.path("Grüße & mehr"))
    response = put(server, "/Gr%C3%BC%C3%9Fe%20&%20mehr/50%25%20%3F.txt", b"x")
    assert response.status == 201 and response.field("Location") == "/Gr%C3%BC%C3%9Fe%20%26%20mehr/50%25%20%3F.txt"
    assert content(server, "Grüße & mehr/50% ?.txt") == b"x"


# --- what is answered ----------------------------------------------------------------------------------------


def test_replacing(server):
    first = put(server, "/again.txt", b"one")
    assert first.status == 201
    second = put(server, "/again.txt", b"two, longer")
    assert second.status == 204 and second.field("Location") is None
    assert second.field("ETag") != first.field("ETag")
    got = server.get("/again.txt")
    assert got.body == b"two, longer" and got.field("ETag") == second.field("ETag")


def test_the_tag_is_strong_and_good_for_the_next_change(server):
    tag = put(server, "/tagged.txt", b"1").field("ETag")
    assert tag.startswith('"')
    for number in range(20):  # at once, each with what the last one answered
        response = put(server, "/tagged.txt", str(number).encode(), {"If-Match": tag})
        assert response.status == 204
        assert response.field("ETag") != tag
        tag = response.field("ETag")
    assert put(server, "/tagged.txt", b"x", {"If-Match": '"other"'}).status == 412
    assert content(server, "tagged.txt") == b"19"


def test_a_weak_tag_replaces_nothing(server):
    """Another program has just written: whoever saw that state may not have seen the last of it."""
    server.write("weak.txt", "by another program")
    tag = server.get("/weak.txt").field("ETag")
    if tag.startswith("W/"):
        assert put(server, "/weak.txt", b"x", {"If-Match": tag}).status == 412
    with open(server.path("weak.txt"), "w") as file:
        file.write("by another PROGRAM")
    assert put(server, "/weak.txt", b"x", {"If-Match": tag}).status == 412
    assert content(server, "weak.txt") == b"by another PROGRAM"


def test_a_date_replaces_nothing_within_its_second(server):
    """Another program has just written, and may write once more before the second is over: no date tells these states apart."""
    for _ in range(20):  # until both are in the same second
        server.write("dated.txt", "by another program")
        response = server.get("/dated.txt")
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(os.stat(server.path("dated.txt")).st_mtime))
        at_once = put(server, "/dated.txt", b"x", {"If-Unmodified-Since": date}).status
        with open(server.path("dated.txt"), "w") as file:
            file.write("by another PROGRAM")
        now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(os.stat(server.path("dated.txt")).st_mtime))
        if now == date:
            break
    else:
        pytest.skip("two changes within a second (it is too slow here)")
    assert response.field("Last-Modified") is None  # so nobody who saw that state has a date that fits the other one
    assert at_once == 412
    time.sleep(1.1)
    assert server.get("/dated.txt").field("Last-Modified") == date
    assert put(server, "/dated.txt", b"by us", {"If-Unmodified-Since": date}).status == 204
    assert content(server, "dated.txt") == b"by us"


@pytest.mark.parametrize("fields, status", [
    ({"If-None-Match": "*"}, 412),
    ({"If-None-Match": '"x"'}, 204),
    ({"If-Match": "*"}, 204),
    ({"If-Match": '"x"'}, 412),
    ({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 412),
    ({"If-Unmodified-Since": "Sun, 06 Nov 2044 08:49:37 GMT"}, 204),
], ids=str)
def test_preconditions_of_a_file_that_is_there(server, fields, status):
    server.write("there.txt", "old")
    assert put(server, "/there.txt", b"new", fields).status == status
    assert content(server, "there.txt") == (b"new" if status == 204 else b"old")


@pytest.mark.parametrize("fields, status", [({"If-None-Match": "*"}, 201), ({"If-Match": "*"}, 412), ({"If-Match": '"x"'}, 412)],
                         ids=str)
def test_preconditions_of_a_file_that_is_not_there(server, fields, status):
    name = f"none{random.random()}"
    assert put(server, f"/{name}", b"new", fields).status == status
    assert os.path.exists(server.path(name)) == (status == 201)


def test_the_time_that_a_client_wants(server):
    for text, seconds in (("1234567890", 1234567890), ("1600000000.75", 1600000000)):
        response = put(server, "/dated.txt", b"x", {"X-OC-Mtime": text})
        assert response.field("X-OC-Mtime") == "accepted"
        assert int(os.stat(server.path("dated.txt")).st_mtime) == seconds
    assert put(server, "/dated.txt", b"x", {"X-OC-Mtime": "yesterday"}).status == 400
    assert put(server, "/dated.txt", b"x").field("X-OC-Mtime") is None
    assert abs(os.stat(server.path("dated.txt")).st_mtime - time.time()) < 60 * SLOW or IN_VM


def digest(algorithm, body, wrong=False):
    value = hashlib.new(algorithm, body + b"!" * wrong).digest()
    return base64.b64encode(value).decode()


@pytest.mark.parametrize("size", [10, 1_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_ends_early(server, size, is_chunked):
    """Its client may still listen."""
    server.write("early.txt", "old")
    with server.connect() as connection:
        if is_chunked:
            send_chunked(connection, "/early.txt", chunked(b"x" * size, end=""))
        else:
            connection.send_request("PUT", "/early.txt", auth=ALICE, fields={"Content-Length": str(size + 1)})
            connection.send(b"x" * size)
        end_sending(connection)
        response = connection.read_response()
        assert response.status == 400 and response.field("Connection") == "close"
    assert content(server, "early.txt") == b"old"


def test_more_digests_than_are_checked(server):
    """None is left out in silence, however many come before it."""
    right = f"sha-256=:{base64.b64encode(hashlib.sha256(b'hello').digest()).decode()}:"
    wrong = f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"
    for count in range(12):
        assert put(server, "/many-sums.txt", b"hello", {"Repr-Digest": ", ".join([right] * count + [wrong])}).status == 400, count
    assert not os.path.exists(server.path("many-sums.txt"))
    assert put(server, "/many-sums.txt", b"hello", {"Repr-Digest": ", ".join([right] * 5)}).status == 201


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_digests(server, field, algorithm):
    body = os.urandom(100_000)
    name = algorithm.replace("-", "")
    server.write("summed.bin", "old")
    wrong = put(server, "/summed.bin", body, {field: f"{algorithm}=:{digest(name, body, wrong=True)}:"})
    assert wrong.status == 400 and content(server, "summed.bin") == b"old"
    right = put(server, "/summed.bin", body, {field: f"unknown=:AA==:, {algorithm}=:{digest(name, body)}:"})
    assert right.status == 204 and content(server, "summed.bin") == body
    assert put(server, "/summed.bin", b"", {field: f"{algorithm}=:AAAA:"}).status == 400


@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "SHA256"])
def test_checksums_of_owncloud(server, algorithm):
    body = os.urandom(50_000)
    server.write("summed.bin", "old")
    right = hashlib.new(algorithm, body).hexdigest()
    wrong = hashlib.new(algorithm, body + b"!").hexdigest()
    assert put(server, "/summed.bin", body, {"OC-Checksum": f"{algorithm}:{wrong}"}).status == 400
    assert content(server, "summed.bin") == b"old"
    assert put(server, "/summed.bin", body, {"OC-Checksum": f"{algorithm}:{right}"}).status == 204


def test_options(server):
    assert "PUT" in server.request("OPTIONS", "/x", auth=ALICE).field("Allow")
    assert "PUT" in server.request("POST", "/x", auth=ALICE).field("Allow")


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.fixture
def untouched(server):
    """Nothing on the disk may be another afterwards."""
    server.write("old.txt", "old")
    os.makedirs(server.path("sub"), exist_ok=True)
    own(server.path("sub"))

    def state():
        found = {}
        for folder, _, files in os.walk(server.path("")):
            for name in files:
                path = os.path.join(folder, name)
                found[path] = (os.lstat(path).st_size, os.lstat(path).st_mtime, os.lstat(path).st_ino)
            found[folder] = os.stat(folder).st_mtime
        return found

    before = state()
    yield
    wait_for(lambda: state() == before, 5 * SLOW, "everything being as it was")


@pytest.mark.parametrize("target, status", [
    ("/sub", 405), ("/sub/", 405), ("/", 405), ("/none/x", 409), ("/none/deep/x", 409), ("/old.txt/x", 409),
    ("/old.txt/", 405), ("/.fastfile/x", 404), ("/.fastfile", 404), ("/.fastfile-abc", 404), ("/sub/.fastfile/x", 404),
    ("/sub/.fastfile-0", 404), ("/" + "n" * 256, 414), ("/" + "%C3%BC" * 128, 414), ("/a%2Fb", 400), ("/a%00b", 400), ("/../x", 400),
], ids=lambda value: str(value)[:20])
def test_places_where_no_file_can_be(server, untouched, target, status):
    with server.connect() as connection:
        response = connection.request("PUT", target, body=b"content", auth=ALICE)
        assert response.status == status
        if status == 405:
            assert "GET" in response.field("Allow")
        if response.field("Connection") != "close":  # what is not wanted is not taken for a request
            assert connection.request("GET", "/old.txt", auth=ALICE).body == b"old"


@pytest.mark.parametrize("fields, status", [
    ({"Content-Range": "bytes 0-1/5"}, 400), ({"Content-Encoding": "gzip"}, 415), ({"Content-Encoding": "identity"}, 204),
    ({"Repr-Digest": "sha-256=x"}, 400), ({"OC-Checksum": "MD5:xyz"}, 400), ({"If-Match": '"x"'}, 412),
], ids=str)
def test_fields_that_cannot_be_honoured(server, fields, status):
    server.write("old.txt", "old")
    assert put(server, "/old.txt", b"new", fields).status == status
    assert content(server, "old.txt") == (b"new" if status == 204 else b"old")


@pytest.mark.parametrize("target, fields, status", [
    ("/none/x", {}, 409), ("/old.txt", {"If-None-Match": "*"}, 412), ("/sub", {}, 405), ("/old.txt", {"Content-Encoding": "br"}, 415)])
def test_no_body_is_asked_for_in_vain(server, untouched, target, fields, status):
    with server.connect() as connection:
        connection.send_request("PUT", target, auth=ALICE, fields={"Expect": "100-continue", "Content-Length": "10", **fields})
        assert connection.read_response(interim=True).status == status


def test_a_body_is_asked_for(server):
    with server.connect() as connection:
        connection.send_request("PUT", "/asked", auth=ALICE, fields={"Expect": "100-continue", "Content-Length": "10"})
        assert connection.read_response(interim=True).status == 100
        connection.send(b"0123456789")
        assert connection.read_response().status == 201
    assert content(server, "asked") == b"0123456789"


@pytest.mark.parametrize("body", [b"x\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5\r\nhelloXX0\r\n\r\n", b"-1\r\n\r\n",
                                  b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
                                  b"5\r\nhello\r\n0\r\n: bad trailer\r\n\r\n"], ids=repr)
def test_bad_chunks(server, untouched, body):
    with server.connect() as connection:
        send_chunked(connection, "/old.txt", body)
        assert connection.read_response().status == 400
        assert connection.is_closed()


@pytest.mark.parametrize("how", ["length", "chunked", "chunked without an end"])
def test_a_body_that_ends_too_early(server, untouched, how):
    with server.connect() as connection:
        if how == "length":
            connection.send_request("PUT", "/old.txt", auth=ALICE, fields={"Content-Length": "100000"})
            connection.send(b"x" * 50_000)
        else:
            send_chunked(connection, "/old.txt", chunked(b"x" * 50_000, end="" if how == "chunked" else "0\r\n"))
        time.sleep(0.05)
    assert server.get("/old.txt").body == b"old"


def test_read_only(make_server):
    server = make_server("--read-only")
    server.write("old.txt", "old")
    assert put(server, "/old.txt", b"new").status == 403
    assert put(server, "/new.txt", b"new").status == 403
    assert "PUT" not in server.request("OPTIONS", "/old.txt", auth=ALICE).field("Allow")
    assert names(server) == {"old.txt"} and content(server, "old.txt") == b"old"


def test_what_this_user_may_not_write(server):
    server.write("mine.txt", "old")
    os.makedirs(server.path("closed"), exist_ok=True)
    own(server.path("closed"))
    os.chmod(server.path("mine.txt"), 0o444)
    os.chmod(server.path("closed"), 0o555)
    assert put(server, "/mine.txt", b"new").status == 403
    assert put(server, "/closed/x", b"new").status == 403
    assert content(server, "mine.txt") == b"old" and names(server, "closed") == set()


# --- rights, links, folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_a_replaced_file_keeps_its_mode(server, mode):
    server.write("rights.txt", "old")
    os.chmod(server.path("rights.txt"), mode)
    assert put(server, "/rights.txt", b"new").status == 204
    assert stat.S_IMODE(os.stat(server.path("rights.txt")).st_mode) == mode


def test_a_new_file_has_the_umask_and_the_folders_group(server):
    os.makedirs(server.path("shared"), exist_ok=True)
    own(server.path("shared"))
    if IS_ROOT:
        os.chown(server.path("shared"), -1, 12345)
    os.chmod(server.path("shared"), 0o2775)
    assert put(server, "/shared/x", b"new").status == 201
    st = os.stat(server.path("shared/x"))
    assert stat.S_IMODE(st.st_mode) == 0o644
    assert st.st_gid == os.stat(server.path("shared")).st_gid


def test_links(server):
    """What is read under a name is replaced under it; nothing outside is."""
    outside = os.path.join(server.base, "outside.txt")
    with open(outside, "w") as file:
        file.write("outside")
    own(outside)
    server.write("real/file.txt", "old")
    own(server.path("real"))
    for link, target in (("inside", "real/file.txt"), ("folder", "real"), ("dangling", "real/new.txt"), ("absolute", outside),
                         ("up", "../outside.txt"), ("loop", "loop"), ("ours", ".fastfile/x"), ("to folder", "real")):
        os.symlink(target, server.path(link))
    assert put(server, "/inside", b"1").status == 204 and content(server, "real/file.txt") == b"1"
    assert put(server, "/folder/file.txt", b"2").status == 204 and content(server, "real/file.txt") == b"2"
    assert put(server, "/dangling", b"3").status == 201 and content(server, "real/new.txt") == b"3"
    assert os.path.islink(server.path("inside")) and os.path.islink(server.path("dangling"))
    for link in ("absolute", "up", "loop", "ours"):
        assert put(server, f"/{link}", b"x").status in (403, 404, 409), link
        assert os.path.islink(server.path(link))
    assert put(server, "/to%20folder", b"x").status == 405
    with open(outside) as file:
        assert file.read() == "outside"


def test_what_is_no_file(server):
    os.mkfifo(server.path("fifo"))
    assert put(server, "/fifo", b"x").status == 403
    assert stat.S_ISFIFO(os.stat(server.path("fifo")).st_mode)


def test_a_folder_that_cannot_be_read(server):
    os.makedirs(server.path("dropbox"), exist_ok=True)
    own(server.path("dropbox"))
    os.chmod(server.path("dropbox"), 0o333)
    assert put(server, "/dropbox/x", b"new").status == 201
    assert put(server, "/dropbox/x", b"newer").status == 204
    assert content(server, "dropbox/x") == b"newer"
    os.chmod(server.path("dropbox"), 0o755)


# --- many at once, and what readers see -----------------------------------------------------------------------------


def put_interrupted(server, name, meanwhile, fields=()):
    """The status of a PUT of "new", between whose beginning and end something is done."""
    with server.connect() as connection:
        connection.send_request("PUT", f"/{name}", auth=ALICE, fields={"Content-Length": "3", "Expect": "100-continue", **dict(fields)})
        while connection.read_response(interim=True).status != 100:
            pass
        meanwhile(server.path(name))
        connection.send(b"new")
        return connection.read_response().status


def make_file(server, name):
    server.write(name, "other")


def make_folder(server, name):
    os.mkdir(server.path(name))


def make_link(server, name):
    os.symlink("elsewhere", server.path(name))


@pytest.mark.parametrize("make, fields, status", [
    (make_file, {}, 204),
    (make_file, {"If-None-Match": "*"}, 412),
    (make_file, {"If": "(Not <DAV:no-lock>)"}, 204),
    (make_folder, {}, 405),
    (make_link, {}, 403),
])
def test_what_appears_meanwhile(server, make, fields, status):
    name = "-".join(["appears", make.__name__, *fields])
    assert put_interrupted(server, name, lambda _: make(server, name), fields) == status
    if make is make_file:
        assert content(server, name) == (b"new" if status == 204 else b"other")
    else:
        assert not os.path.isfile(server.path(name))


@pytest.mark.parametrize("resumed", [False, True], ids=["PUT", "resumed"])
@pytest.mark.parametrize("before", ["nothing", "a file"])
def test_rights_that_change_meanwhile(server, resumed, before):
    """What the file has when it is replaced counts, not what it had when the upload began."""
    fields = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"} if resumed else {}

    def upload(name, meanwhile):
        path = server.path(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if before == "a file":
            server.write(name, "old", mode=0o644)
        return put_interrupted(server, name, meanwhile, fields)

    def make(mode):
        def meanwhile(path):
            if before == "nothing":
                server.write(os.path.basename(path), "other", mode=mode)
            else:
                os.chmod(path, mode)
        return meanwhile

    name = f"rights-meanwhile-{resumed}"
    for mode in 0o600, 0o660:
        assert upload(name, make(mode)) == 204
        assert content(server, name) == b"new" and stat.S_IMODE(os.stat(server.path(name)).st_mode) == mode
    assert upload(name, make(0o444)) == 403
    assert content(server, name) == (b"other" if before == "nothing" else b"old")
    assert stat.S_IMODE(os.stat(server.path(name)).st_mode) == 0o444
    os.unlink(server.path(name))


def test_one_of_many_with_the_same_tag(server):
    for _ in range(3):
        tag = put(server, "/race.txt", b"start").field("ETag")
        statuses = together(MANY, lambda number: put(server, "/race.txt", f"{number}".encode(), {"If-Match": tag}).status)
        assert sorted(statuses) == [204] + [412] * (MANY - 1)
        assert content(server, "race.txt") == str(statuses.index(204)).encode()


def test_one_of_many_creates(server):
    for number in range(3):
        statuses = together(MANY, lambda who: put(server, f"/first{number}", f"{who}".encode(), {"If-None-Match": "*"}).status)
        assert sorted(statuses) == [201] + [412] * (MANY - 1)
        assert content(server, f"first{number}") == str(statuses.index(201)).encode()


def test_readers_see_one_or_the_other(server):
    bodies = {bytes([letter]) * 200_000 for letter in b"abcd"}
    put(server, "/swapped", min(bodies))
    seen, over = set(), threading.Event()

    def read():
        with server.connect() as connection:
            while not over.is_set():
                seen.add(connection.request("GET", "/swapped", auth=ALICE).body)

    reader = threading.Thread(target=read)
    reader.start()
    with server.connect() as connection:
        for _ in range(20):
            for body in bodies:
                assert connection.request("PUT", "/swapped", body=body, auth=ALICE).status == 204
    over.set()
    reader.join()
    assert seen <= bodies


def test_many_large_ones_at_once(server):
    """More than get large buffers."""
    bodies = [os.urandom(1_500_000 + number) for number in range(4)]

    def one(number):
        return put(server, f"/crowd{number}", bodies[number % 4]).status

    assert together(40, one) == [201] * 40
    for number in range(40):
        assert content(server, f"crowd{number}") == bodies[number % 4]
        os.unlink(server.path(f"crowd{number}"))


# --- limits of the system -----------------------------------------------------------------------------------------


def test_a_file_larger_than_this_user_may_have(make_server):
    server = make_server(wrapper=["prlimit", "--fsize=1000000:1000000"])
    server.write("old.bin", "old")
    for fields, body in (({}, os.urandom(2_000_000)), ({"Transfer-Encoding": "chunked"}, chunked(os.urandom(2_000_000), 50_000))):
        with server.connect() as connection:
            connection.send_request("PUT", "/old.bin", auth=ALICE, fields=fields or {"Content-Length": str(len(body))})
            try:
                connection.send(body)
            except OSError:
                pass  # closed, and the answer is there all the same
            assert connection.read_response().status == 413
    assert names(server) == {"old.bin"} and content(server, "old.bin") == b"old"
    assert put(server, "/old.bin", b"small").status == 204


def test_more_than_there_is_room_for(server):
    with server.connect() as connection:
        connection.send_request("PUT", "/vast", auth=ALICE, fields={"Content-Length": str(1 << 60), "Expect": "100-continue"})
        assert connection.read_response(interim=True).status in (413, 507)
    assert not os.path.exists(server.path("vast"))


def test_the_sender_is_gone(server, untouched):
    for number in range(30 if SLOW > 1 else 100):
        with server.connect() as connection:
            connection.send_request("PUT", "/old.txt" if number % 2 else "/sub/new", auth=ALICE, fields={"Content-Length": "1000000"})
            connection.send(b"x" * random.randrange(200_000))


def test_nothing_is_left_open(server):
    def files():
        path, count = f"/proc/{server.pid_of('home')}/fd", 0
        for one in os.listdir(path):
            with contextlib.suppress(FileNotFoundError):  # closed since
                count += os.readlink(f"{path}/{one}").startswith("/")
        return count

    put(server, "/closed.txt", b"1")
    before = files()
    for number in range(50):
        put(server, "/closed.txt", b"x" * number * 1000, {"If-Match": '"x"'} if number % 3 == 0 else {})
        with server.connect() as connection:
            connection.send_request("PUT", "/closed.txt", auth=ALICE, fields={"Content-Length": "100"})
    wait_for(lambda: files() <= before, 5 * SLOW, "as few open files as before")


def test_durability_none(make_server):
    server = make_server("--durability", "none")
    assert put(server, "/a", b"1").status == 201 and put(server, "/a", b"2").status == 204
    assert content(server, "a") == b"2" and names(server) == {"a"}


@pytest.mark.parametrize("length", [0, 5, 70_000])
def test_http_1_0(server, length):
    with server.connect() as connection:
        connection.send_request("PUT", "/http10", body=b"x" * length, auth=ALICE, version="HTTP/1.0")
        response = connection.read_response()
        assert response.status in (201, 204)
    assert content(server, "http10") == b"x" * length


def test_the_answer_is_lost_and_the_file_is_there(server):
    """Gone before the answer: either state is right, half a one is not."""
    for number in range(20):
        with server.connect() as connection:
            try:
                connection.send_request("PUT", f"/lost{number}", body=b"y" * 100_000, auth=ALICE)
            except (OSError, ClosedEarly):
                pass
    time.sleep(0.2 * SLOW)
    for number in range(20):
        path = server.path(f"lost{number}")
        assert not os.path.exists(path) or os.stat(path).st_size == 100_000
