"""Files that another program changes, replaces or removes while they are sent.

A response that is complete is one state of the file. Where that cannot be, the connection ends before the response does.
"""
import itertools
import multiprocessing
import re
import time

import pytest
from client import ClosedEarly
from machine import IN_VM, not_in_the_vm, open, os
from server import ALICE, SLOW, own

SIZE = (8 if IN_VM else 32) << 20  # more than all buffers between server and client hold
READ_FIRST = 1 << 20
BLOCK = 1 << 20


def fill(path, letter, size=SIZE):
    with open(path, "wb") as file:
        for _ in range(size // BLOCK):
            file.write(letter * BLOCK)
    own(path)


REQUESTS = {
    "whole": None,
    "range": f"bytes=1000-{SIZE - 1000}",
    "ranges": f"bytes=0-99,{BLOCK}-{SIZE - BLOCK},{SIZE - 10}-{SIZE - 1}",
}
if IN_VM:
    del REQUESTS["range"], REQUESTS["ranges"]  # slow enough; and what is sent of a file is sent in the same way


class Download:
    """A slow reader in the middle of /changing.bin, which is all "a"."""

    def __init__(self, server, kind="whole"):
        self.path = server.path("changing.bin")
        fill(self.path, b"a")
        self.connection = server.connect(receive_buffer=4096, timeout=20 * SLOW)
        field = REQUESTS[kind]
        self.connection.send_request("GET", "/changing.bin", auth=ALICE, fields={"Range": field} if field else {})
        head = self.connection.read_head()
        assert head.status == (206 if field else 200)
        self.length = int(head.field("Content-Length"))
        self.first = self.connection._exactly(READ_FIRST)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def rest(self):
        """The body to its end, without the heads of its parts; None if the connection ended before."""
        try:
            body = self.first + self.connection._exactly(self.length - READ_FIRST)
        except (ClosedEarly, ConnectionResetError):
            return None
        return re.sub(rb"\r\n--[^\r]*\r\n(.+\r\n)*\r\n|\r\n--[^\r]*--\r\n", b"", body)


def truncate(path):
    os.truncate(path, READ_FIRST // 2)


def truncate_the_last_byte(path):
    os.truncate(path, SIZE - 1)


def empty_and_write_again(path):
    fill(path, b"b")


def rewrite_in_place(path):
    with open(path, "r+b") as file:
        for _ in range(SIZE // BLOCK):
            file.write(b"b" * BLOCK)


def change_one_byte_near_the_end(path):
    with open(path, "r+b") as file:
        file.seek(SIZE - BLOCK - 5000)
        file.write(b"b")


def truncate_and_grow_back(path):
    os.truncate(path, 0)
    os.truncate(path, SIZE)


def rewrite_and_put_the_time_back(path):
    """As programs do that edit the tags of music and pictures."""
    before = os.stat(path)
    rewrite_in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = [truncate, truncate_the_last_byte, empty_and_write_again, rewrite_in_place, change_one_byte_near_the_end,
           truncate_and_grow_back, rewrite_and_put_the_time_back]


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_in_mid_download(server, change, kind):
    """Part of the old state is with the client already, so nothing but the rest of that would be right, and that is gone."""
    with Download(server, kind) as download:
        change(download.path)
        body = download.rest()
    strange = None if body is None else len(body) - body.count(b"a")
    assert strange is None, f"complete, with {strange} bytes of another state"


def test_grown_in_mid_download(server):
    """The bytes that were announced are still there: they come, and nothing else does, or not to the end."""
    with Download(server) as download:
        with open(download.path, "ab") as file:
            file.write(b"b" * BLOCK)
        body = download.rest()
        assert body is None or body == b"a" * SIZE


def test_growing_all_the_time(server):
    """A log file, or a download that is not complete yet: what comes is what was announced."""
    fill(server.path("growing.log"), b"a", 4 * BLOCK)
    connection = server.connect()
    with open(server.path("growing.log"), "ab", buffering=0) as file:
        for _ in range(100 // SLOW):
            file.write(b"a" * 1000)
            connection.send_request("GET", "/growing.log", auth=ALICE)
            file.write(b"a" * 1000)
            try:
                response = connection.read_response()
            except ClosedEarly:
                connection.close()
                connection = server.connect()
                continue
            assert response.status == 200 and response.body.count(b"a") == int(response.field("Content-Length")) == len(response.body)


@pytest.mark.parametrize("kind", REQUESTS)
def test_replaced_in_mid_download(server, kind):
    """The old file comes to its end; the next request, of the same connection too, gets the new one."""
    with Download(server, kind) as download:
        fill(download.path + ".new", b"b")
        os.replace(download.path + ".new", download.path)
        body = download.rest()
        assert body is not None and body.count(b"a") == len(body) > SIZE - 3 * BLOCK
        response = download.connection.request("GET", "/changing.bin", auth=ALICE)
        assert response.body.count(b"b") == SIZE


def test_deleted_in_mid_download(server):
    with Download(server) as download:
        os.unlink(download.path)
        assert download.rest() == b"a" * SIZE
        assert download.connection.request("GET", "/changing.bin", auth=ALICE).status == 404


def test_moved_away_in_mid_download(server):
    """It looks as if it might have changed, so that it may end early as well."""
    with Download(server) as download:
        os.rename(download.path, download.path + ".old")
        assert download.rest() in (b"a" * SIZE, None)


# --- small files: always one state ------------------------------------------------------------------------


def replace_by_rename(path, contents, stop):
    while not stop.value:
        with open(path + ".new", "wb", buffering=0) as file:
            file.write(next(contents))
        os.replace(path + ".new", path)


def empty_and_write(path, contents, stop):
    with open(path, "wb", buffering=0) as file:
        while not stop.value:
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), next(contents), 0)
            time.sleep(0.0002)


def contents_of(sizes):
    for number in itertools.count():
        yield bytes([ord("a") + number % 26]) * sizes[number % len(sizes)]


@not_in_the_vm("a writer outside is too slow for it")
@pytest.mark.parametrize("change, sizes", [
    (replace_by_rename, (1, 1000, 16_000, 17_000, 100_000)),
    (empty_and_write, (3, 500, 4000)),  # one write, one page
], ids=["replaced by rename", "emptied and written"])
def test_small_files_are_always_consistent(server, change, sizes):
    path = server.path("small.bin")
    server.write("small.bin", b"a" * sizes[0])
    os.chmod(server.dir, 0o777)
    stop = multiprocessing.Value("b", 0, lock=False)
    writer = multiprocessing.Process(target=change, args=(path, contents_of(sizes), stop), daemon=True)
    writer.start()
    seen, asked, without_answer = set(), 0, 0
    try:
        connection = server.connect()
        deadline = time.monotonic() + 20 * SLOW
        while len(seen) < 50 and time.monotonic() < deadline or asked < 3000 // SLOW:
            asked += 1
            try:
                response = connection.request("GET", "/small.bin", auth=ALICE)
            except ClosedEarly:
                without_answer += 1
                connection.close()
                connection = server.connect()
                continue
            if response.status == 503:
                without_answer += 1
                continue
            assert response.status == 200
            assert len(set(response.body)) <= 1, response
            assert len(response.body) in sizes or not response.body and change is empty_and_write
            seen.add(response.body)
        connection.close()
    finally:
        stop.value = 1
        writer.join()
    assert len(seen) >= 50 and without_answer < asked / 10, (len(seen), asked, without_answer)


# --- a file that is asked for again and again is remembered -------------------------------------------


def write_in_place(path, content):
    with open(path, "r+b", buffering=0) as file:
        file.write(content)


def write_beside(path, content):
    with open(path + ".new", "wb") as file:
        file.write(content)
    own(path + ".new")
    os.replace(path + ".new", path)


@not_in_the_vm("who seals makes no difference to what is remembered")
@pytest.mark.parametrize("change", [write_in_place, write_beside], ids=["in place", "replaced"])
@pytest.mark.parametrize("size", [1, 1024, 16 << 10, 40 << 10])
def test_a_change_is_seen_at_once(server, change, size):
    path = server.path("often.bin")
    server.write("often.bin", b"-" * size)
    os.chmod(server.dir, 0o777)
    with server.connect() as one, server.connect() as other:
        for number in range(30):
            content = bytes([ord("a") + number % 26]) * size
            change(path, content)
            tags = set()
            for _ in range(2):
                for connection in (one, other):
                    response = connection.request("GET", "/often.bin", auth=ALICE)
                    assert response.body == content
            time.sleep(0.03)  # from here its tag is strong, and it may be remembered
            for _ in range(3):
                for connection in (one, other):
                    response = connection.request("GET", "/often.bin", auth=ALICE)
                    assert response.body == content
                    tags.add(response.field("ETag"))
                    part = connection.request("GET", "/often.bin", auth=ALICE, fields={"Range": f"bytes={size - 1}-"})
                    assert part.status == 206 and part.body == content[-1:]
                    assert connection.request("HEAD", "/often.bin", auth=ALICE).field("Content-Length") == str(size)
            assert len(tags) == 1 and not tags.pop().startswith("W/")
            known = connection.request("GET", "/often.bin", auth=ALICE, fields={"If-None-Match": response.field("ETag")})
            assert known.status == 304


@not_in_the_vm("who seals makes no difference to what is remembered")
def test_a_remembered_file_is_gone_at_once(server):
    server.write("often.bin", b"x" * 100)
    time.sleep(0.03)
    with server.connect() as connection:
        for _ in range(5):
            assert connection.request("GET", "/often.bin", auth=ALICE).status == 200
        saved = connection.request("GET", "/often.bin?download", auth=ALICE)
        assert saved.field("Content-Disposition").startswith("attachment")
        assert connection.request("GET", "/often.bin", auth=ALICE).field("Content-Disposition") is None
        os.chmod(server.path("often.bin"), 0o000)
        assert connection.request("GET", "/often.bin", auth=ALICE).status == 403
        os.chmod(server.path("often.bin"), 0o644)
        assert connection.request("GET", "/often.bin", auth=ALICE).status == 200
        os.unlink(server.path("often.bin"))
        assert connection.request("GET", "/often.bin", auth=ALICE).status == 404
