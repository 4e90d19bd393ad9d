"""Archives of gigabytes and of 66,000 files: what is in them, and what they take."""
import concurrent.futures
import contextlib
import fcntl
import io
import os
import struct
import subprocess
import tarfile
import time
import zipfile
import zlib

import pytest
from machine import IN_VM
from server import SLOW, SANITIZER, Server, own

pytestmark = pytest.mark.skipif(bool(SANITIZER) or IN_VM, reason="not run with sanitizers or in the VM: gigabytes")
KINDS = ["tar", "zip"]


def sparse(server, name, size):
    path = server.path(server.write(name, b"").lstrip("/"))
    with open(path, "r+b") as file:
        file.truncate(size)
    return path


def read_stream(server, target, into, timeout=120):
    """curl into another program, so that nothing large is kept; returns what that says."""
    with subprocess.Popen(["curl", "-k", "-sS", "--fail", "--noproxy", "*", server.url(target)], stdout=subprocess.PIPE) as curl:
        done = subprocess.run(into, stdin=curl.stdout, capture_output=True, timeout=timeout * SLOW, check=False,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"})
        curl.stdout.close()
        assert done.returncode == 0, done.stderr[-2000:]
        assert curl.wait() == 0
    return done.stdout


@pytest.fixture(scope="module")
def open_server():
    """Without TLS and without users: large archives are about something else."""
    made = Server("--no-auth", users=None, plain=True)
    yield made
    made.finish()


def home_kib(server):
    pids = server.roles()["home"]
    return sum(int(line.split()[1]) for pid in pids for line in open(f"/proc/{pid}/status", encoding="ascii").readlines()
               if line.startswith("RssAnon"))


class Tail(io.RawIOBase):
    """The end of a file, for whoever reads the list there: believes nothing that is not there."""

    def __init__(self, kept, total):
        super().__init__()
        self.kept, self.total, self.at = kept, total, 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.total)[whence]
        return self.at

    def tell(self):
        return self.at

    def read(self, n=-1):
        begin = self.at - (self.total - len(self.kept))
        assert begin >= 0
        data = self.kept[begin:] if n < 0 else self.kept[begin:begin + n]
        self.at += len(data)
        return data


HUGE = (4 << 30) + 1_000_001
PIECE = 1 << 20
KEPT = 64 << 10
# What is not nothing in a huge file, and the other file behind it.
ISLANDS = {at: os.urandom(size) for at, size in ((0, 100_000), (1_000_000_000, 1), ((4 << 30) - 50_000, 100_000), (HUGE - 70_000, 70_000))}
ISLANDS[HUGE] = b"end"
NOTHING = bytes(PIECE)
DESCRIPTOR = struct.Struct("<4sIQQ")


def is_huge_content(data, at):
    """Of both files, one behind the other."""
    if all(at + len(data) <= start or start + len(island) <= at for start, island in ISLANDS.items()):
        return data == NOTHING[:len(data)]
    content = bytearray(len(data))
    for start, island in ISLANDS.items():
        begin, end = max(start, at), min(start + len(island), at + len(data))
        if begin < end:
            content[begin - at:end - at] = island[begin - start:end - start]
    return data == content


def compare_huge(stream):
    """(how much there is, where it is wrong); all of it is read, so that nobody waits."""
    at, wrong, buffer = 0, [], bytearray(PIECE)
    while length := os.readv(stream.fileno(), [buffer]):
        if not is_huge_content(buffer if length == PIECE else buffer[:length], at):
            wrong.append(at)
        at += length
    return at, wrong


def pass_on(connection, pipe):
    """A chunked body that is too large to be kept, to somebody else; returns its end and how long it is."""
    kept, total = b"", 0
    while left := int(connection._until(b"\r\n"), 16):  # pylint: disable=protected-access
        total += left
        while left > 0:
            if left > KEPT and not connection.buffer:
                moved = os.splice(connection.socket.fileno(), pipe.fileno(), min(left - KEPT, PIECE))
                assert moved > 0, "the connection ended"
            else:
                piece = connection._exactly(min(left, len(connection.buffer) or left))  # pylint: disable=protected-access
                moved, kept = len(piece), (kept + piece)[-KEPT:]
                with contextlib.suppress(BrokenPipeError):  # it has read enough
                    pipe.write(piece)
            left -= moved
        connection._exactly(2)  # pylint: disable=protected-access
    return kept, total


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_4_gib(open_server, kind):
    """What another program makes of it, from front to back, is what is in the files; the zip's list, at its end, has it as it is."""
    if not os.path.exists(open_server.path("huge")):
        with open(sparse(open_server, "huge/1", HUGE), "r+b") as file:
            for at, island in ISLANDS.items():
                os.pwrite(file.fileno(), island, at)
            file.truncate(HUGE)
        open_server.write("huge/z/last", ISLANDS[HUGE])
    with open_server.connect() as connection, concurrent.futures.ThreadPoolExecutor(1) as pool, \
            subprocess.Popen(["bsdtar", "-b", "2048", "-xOf", "-", "huge/1", "huge/z/last"], bufsize=0, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) as reader:
        for pipe in reader.stdin, reader.stdout:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIECE)
        compared = pool.submit(compare_huge, reader.stdout)
        connection.send_request("GET", f"/huge/?archive={kind}", auth=None)
        assert connection.read_head().status == 200
        connection.socket.settimeout(None)
        kept, total = pass_on(connection, reader.stdin)
        reader.stdin.close()
        length, wrong = compared.result()
    assert reader.returncode == 0
    assert (length, wrong) == (HUGE + 3, [])
    if kind == "zip":
        infos = {info.filename: info for info in zipfile.ZipFile(Tail(kept, total)).infolist()}
        assert set(infos) == {"huge/", "huge/1", "huge/z/", "huge/z/last"}
        # Behind the file bsdtar has found what it is recognized by, its right CRC.
        behind = infos["huge/z/"].header_offset - DESCRIPTOR.size - (total - len(kept))
        _, crc, *sizes = DESCRIPTOR.unpack_from(kept, behind)
        assert (infos["huge/1"].file_size, infos["huge/1"].CRC, sizes) == (HUGE, crc, [HUGE, HUGE])
        last = infos["huge/z/last"]
        assert (last.file_size, last.CRC) == (3, zlib.crc32(b"end")) and last.header_offset > HUGE


def test_8_gib_in_the_head_of_a_tar(open_server):
    """What the field of ustar cannot say; nobody waits for all of it."""
    size = 9 << 30
    sparse(open_server, "larger/1", size)
    with open_server.connect() as connection:
        connection.send_request("GET", "/larger/?archive=tar", auth=None)
        connection.read_head()
        # The folder's block, and the file's, with its records in front.
        beginning = b""
        while len(beginning) < 2048:
            chunk = int(connection._until(b"\r\n"), 16)  # pylint: disable=protected-access
            beginning += connection._exactly(min(chunk, 4096))  # pylint: disable=protected-access
            if chunk <= 4096:
                connection._exactly(2)  # pylint: disable=protected-access
    with tarfile.open(fileobj=io.BytesIO(beginning), mode="r|") as tar:
        assert [(tar.next().name, tar.offset) for _ in range(1)] == [("larger", 512)]
        assert tar.next().size == size


def test_memory_does_not_grow(open_server):
    sparse(open_server, "two/gigabytes", 2 << 30)
    read_stream(open_server, "/two/?archive=zip", ["wc", "-c"])  # what is kept for the next ones is there now
    before = home_kib(open_server)
    most = 0
    for kind in KINDS:
        with subprocess.Popen(["curl", "-k", "-sS", "--noproxy", "*", "-o", "/dev/null", open_server.url(f"/two/?archive={kind}")]) as curl:
            while curl.poll() is None:
                most = max(most, home_kib(open_server))
                time.sleep(0.01)
    assert most - before < 4096, f"{before} KiB became {most}"


@pytest.mark.parametrize("kind", KINDS)
def test_more_entries_than_16_bits_count(open_server, tmp_path, kind):
    base = open_server.path("many")
    if not os.path.exists(base):
        for folder in range(66):
            os.makedirs(f"{base}/{folder}")
            for number in range(1000):
                os.mknod(f"{base}/{folder}/{number}")
        with open(f"{base}/65/999", "w", encoding="ascii") as file:
            file.write("last")
        own(base)
    path = tmp_path / "archive"
    with open(path, "wb") as file:
        file.write(open_server.get(f"/many/?archive={kind}", auth=None).body)
    expected = {"many"} | {f"many/{folder}" for folder in range(66)} | {f"many/{folder}/{number}" for folder in range(66) for number in range(1000)}
    if kind == "tar":
        with tarfile.open(path) as tar:
            assert set(tar.getnames()) == expected
        return
    with zipfile.ZipFile(path) as archived:
        assert {name.rstrip("/") for name in archived.namelist()} == expected
        assert archived.read("many/65/999") == b"last"
    done = subprocess.run(["unzip", "-tq", path], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-500:]
    listed = subprocess.run(["bsdtar", "-tf", path], capture_output=True, check=True, timeout=60)
    assert len(listed.stdout.splitlines()) == len(expected)
