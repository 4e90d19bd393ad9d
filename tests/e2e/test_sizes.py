"""Large files, whole, by each cipher suite, and places far inside of larger ones.

The files are sparse, with a stamp at the start of each MiB, so that they cost no disk and yet nothing can change places.
"""
import hashlib
import subprocess
import time

import pytest
from machine import open, os
from server import ALICE, SLOW, own

MIB = 1 << 20
SIZE_MIB = int(os.environ.get("FASTFILE_BIG_MIB", "1024")) // (1 if SLOW == 1 else 16 * SLOW)
SUITES = {suite: ["--tlsv1.3", "--tls13-ciphers", suite]
          for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")}
SUITES |= {suite: ["--tls-max", "1.2", "--ciphers", suite]
           for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")}


def stamp(number):
    return f"MiB {number}".encode()


@pytest.fixture(scope="module")
def large(module_server):
    """Makes /large.bin; returns its SHA-256."""
    digest = hashlib.sha256()
    path = module_server.path("large.bin")
    with open(path, "wb") as file:
        file.truncate(SIZE_MIB * MIB)
        for number in range(SIZE_MIB):
            file.seek(number * MIB)
            file.write(stamp(number))
            digest.update(stamp(number).ljust(MIB, b"\0"))
    own(path)
    return digest.hexdigest()


def digest_by_curl(server, *options):
    """What `curl | openssl sha256` says (sha256sum takes six times as long)."""
    command = ["curl", "-k", "-sS", "--fail", "--noproxy", "*", "-u", ":".join(ALICE), *options, server.url("/large.bin")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        said = subprocess.run(["openssl", "dgst", "-sha256", "-r"], stdin=curl.stdout, capture_output=True, timeout=100 * SLOW, check=True).stdout
        curl.stdout.close()
    assert curl.returncode == 0
    return said.decode().split()[0]


@pytest.mark.parametrize("suite", SUITES)
def test_whole_by_each_suite(server, large, suite):
    assert digest_by_curl(server, *SUITES[suite]) == large


def test_whole_without_tls(make_server, large, module_server):
    plain = make_server(plain=True)
    os.link(module_server.path("large.bin"), plain.path("large.bin"))
    assert digest_by_curl(plain) == large


@pytest.mark.parametrize("size", [2**31 - 1, 2**31 + 1, 2**32 - 1, 2**32 + 1, 5 << 40], ids=lambda size: f"{size} bytes")
def test_places_far_inside(server, size):
    """Where 31 or 32 bits do not suffice: the length, ranges from both ends, parts."""
    path = server.path("vast.bin")
    end = b"the end."
    with open(path, "wb") as file:
        try:
            file.truncate(size)
        except OSError:
            pytest.skip(f"a file of {size} bytes (the file system takes none)")
        file.seek(size - len(end))
        file.write(end)
    own(path)
    try:
        assert server.head("/vast.bin").field("Content-Length") == str(size)
        for field, first in ((f"bytes={size - 8}-", size - 8), ("bytes=-8", size - 8), (f"bytes={size - 8}-{size + 100}", size - 8)):
            response = server.get("/vast.bin", fields={"Range": field})
            assert response.status == 206 and response.body == end
            assert response.field("Content-Range") == f"bytes {first}-{size - 1}/{size}"
        parts = server.get("/vast.bin", fields={"Range": f"bytes=0-0,{size - 4}-"})
        assert f"bytes {size - 4}-{size - 1}/{size}\r\n\r\nend.".encode() in parts.body
        beyond = server.get("/vast.bin", fields={"Range": f"bytes={size}-"})
        assert beyond.status == 416 and beyond.field("Content-Range") == f"bytes */{size}"
        listed = server.get("/", fields={"Accept": "application/json"}).json()
        assert f"{size}" in str(listed)
    finally:
        os.unlink(path)


# --- bodies one behind the other, each on its own way ------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
def test_bodies_behind_bodies(make_server, plain):
    """What waits to be sent from one answer goes out before the next, however that is sent."""
    server = make_server(plain=plain)
    sizes = [40_000, 1 << 20, 16 << 10, 3_000_000, 1, 300_000, 70_000, 65_536]
    contents = {f"/{size}": os.urandom(size) for size in sizes}
    for target, content in contents.items():
        server.write(target[1:], content)
    with server.connect() as connection:
        for _ in range(3):
            for target in contents:
                connection.send_request("GET", target, auth=ALICE)
            for content in contents.values():
                assert connection.read_response().body == content
    big = contents["/3000000"]
    ranges = [(0, 40_000), (100_000, 2_000_000), (2_100_000, 2_100_010), (2_200_000, 2_999_999)]
    wanted = b"".join(big[first:last + 1] for first, last in ranges)
    with server.connect() as connection:
        response = connection.request("GET", "/3000000", auth=ALICE, fields={
            "Range": "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)})
    assert response.status == 206
    boundary = response.field("Content-Type").partition("boundary=")[2].strip('"').encode()
    parts = response.body.split(b"\r\n--" + boundary)
    assert b"".join(part.partition(b"\r\n\r\n")[2] for part in parts) == wanted


@pytest.mark.parametrize("plain", [False, True], ids=["TLS", "plain"])
def test_ranges_from_anywhere_in_a_page(make_server, plain):
    """Where the kernel seals, the first record ends with a page of the file if one ends in it; pages are of 4 or of 16 KiB."""
    server = make_server(plain=plain)
    size = 1_300_000
    content = os.urandom(size)
    server.write("file", content)
    with server.connect() as connection:
        for first in (0, 1, 4095, 4096, 5000, 16_383, 16_384, 16_385, 32_000, 100_001):
            for length in (65_535, 65_536, 81_920, 1_100_000):
                response = connection.request("GET", "/file", auth=ALICE, fields={"Range": f"bytes={first}-{first + length - 1}"})
                assert response.status == 206 and response.body == content[first:first + length]


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_the_end_of_the_last_answer_reaches_a_slow_reader(server, version):
    content = os.urandom(3_000_000)
    server.write("last", content)
    with server.connect(receive_buffer=4096) as connection:
        connection.send_request("GET", "/last", auth=ALICE, version=version, fields={"Connection": "close"})
        assert connection.read_head().status == 200
        body = b""
        for number in range(30):
            body += connection._exactly(len(content) // 30)
            time.sleep(0.02 if number < 29 else 0.5)
        assert body == content
        assert connection.is_closed(within=10)
