"""Uploads to file systems that have no links, no modes, no owners and coarse time stamps: what SD cards and USB sticks come with."""
import calendar
import contextlib
import email.utils
import os
import shutil
import time

import loop_fs
import pytest
from client import wait_for
from server import ALICE, IO, SLOW, Server
from small_fs import KINDS, SIZE, mount

pytestmark = [pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}"),
              pytest.mark.skipif(IO is not None, reason="other file systems, which are the same with epoll")]


@pytest.fixture(scope="module", params=KINDS)
def ground(request):
    """(server, what is mounted at its folder)"""
    server = Server(start=False, plain=True)
    fs = mount(request.param, server.dir)
    try:
        if not fs:
            pytest.skip(f"uploads to {request.param} (neither this kernel nor FUSE has it)")
        server.start()
        yield server, fs
        server.stop()
    finally:
        if fs:
            fs.finish()
        server.finish()


@pytest.fixture
def server(ground):
    process, before = ground[0].process, ground[0].roles()
    yield ground[0]
    assert ground[0].process != process or ground[0].roles() == before
    ground[0].check_log()
    for name in os.listdir(ground[0].dir):
        os.unlink(ground[0].path(name))


def put(server, target, body, **fields):
    return server.request("PUT", target, body=body, fields={name.replace("_", "-"): value for name, value in fields.items()})


def listed(server):
    return {entry["name"] for entry in server.get("/", fields={"Accept": "application/json"}).json()["entries"]}


@pytest.mark.parametrize("size", [0, 1, 40_000, 3_000_000])
def test_new_and_replaced(server, size):
    old, new = os.urandom(size), os.urandom(size + 1)
    assert put(server, "/a.bin", old).status == 201
    assert server.get("/a.bin").body == old
    response = put(server, "/a.bin", new)
    assert response.status == 204
    found = server.get("/a.bin")
    assert found.body == new
    assert response.field("ETag") in (None, found.field("ETag"))
    assert os.listdir(server.dir) == ["a.bin"]


def test_the_time_that_a_client_wants(server):
    """To two seconds, and the answer does not promise more than is kept."""
    wanted = calendar.timegm((2021, 3, 4, 5, 6, 7))
    response = put(server, "/old.bin", b"x", X_OC_Mtime=str(wanted))
    assert response.status == 201
    got = email.utils.parsedate_to_datetime(server.head("/old.bin").field("Last-Modified")).timestamp()
    assert abs(got - wanted) < 2


def test_preconditions(server):
    assert put(server, "/a.bin", b"one").status == 201
    assert put(server, "/a.bin", b"two", If_None_Match="*").status == 412
    assert put(server, "/a.bin", b"two", If_Match='"other"').status == 412

    def tag():
        found = server.head("/a.bin").field("ETag")
        return None if found.startswith("W/") else found
    found = wait_for(tag, 10 * SLOW, "a strong tag")
    assert put(server, "/a.bin", b"three", If_Match=found).status == 204
    assert put(server, "/a.bin", b"four!", If_Match=found).status == 412, "that is not the file any more"
    assert server.get("/a.bin").body == b"three"


def test_nothing_is_seen_before_it_is_complete(server):
    assert put(server, "/a.bin", b"old").status == 201
    with server.connect() as connection:
        connection.send_request("PUT", "/a.bin", auth=ALICE, fields={"Content-Length": "3000000"})
        connection.send(b"x" * 2_000_000)
        there = wait_for(lambda: set(os.listdir(server.dir)) - {"a.bin"}, 10 * SLOW, "the temporary file")
        assert listed(server) == {"a.bin"}
        for name in there:
            assert name.startswith(".fastfile-")
            assert server.get(f"/{name}").status == 404
            assert put(server, f"/{name}", b"x").status == 404
        assert server.get("/a.bin").body == b"old"
    wait_for(lambda: os.listdir(server.dir) == ["a.bin"], 10 * SLOW, "the end of the temporary file")
    assert server.get("/a.bin").body == b"old"


def test_many_at_once_and_one_wins(server):
    """Two that create the same name: the file system cannot say who was first, we can."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(20)]
        for number, connection in enumerate(connections):
            connection.send_request("PUT", "/first.bin", auth=ALICE, fields={"Content-Length": "2", "If-None-Match": "*"})
            connection.send(b"%d" % (number % 10))
        for number, connection in enumerate(connections):
            connection.send(b"%d" % (number // 10))
        statuses = [connection.read_response().status for connection in connections]
    assert sorted(statuses) == [201] + [412] * 19
    winner = statuses.index(201)
    assert server.get("/first.bin").body == b"%d%d" % (winner % 10, winner // 10)


def test_names(server):
    """One name in two spellings, and one that cannot be."""
    assert put(server, "/Name.bin", b"one").status == 201
    assert put(server, "/name.BIN", b"two").status == 204
    assert len(os.listdir(server.dir)) == 1
    assert server.get("/name.bin").body == b"two"
    response = put(server, "/a%3Ab%3F.bin", b"x")
    assert 400 <= response.status < 500, response
    assert len(os.listdir(server.dir)) == 1


def test_the_servers_own_folder_has_no_other_name(server):
    """Neither in capitals nor as FAT calls it besides."""
    fields = {"Upload-Complete": "?0", "Upload-Length": "9", "Upload-Draft-Interop-Version": "8"}
    try:
        begun = server.request("PUT", "/a.bin", body=b"SECRET", fields=fields)
        assert begun.status == 201, begun
        data, = (name for name in os.listdir(server.path(".fastfile/uploads")) if name.endswith(".data"))
        for own in (".FASTFILE", ".FastFile", ".fastfile.", "FASTFI~1", "fastfi~1", "FASTFILE"):
            for target in (f"/{own}", f"/{own}/", f"/{own}/uploads/", f"/{own}/UPLOADS/?archive=tar", f"/{own}/uploads/{data}"):
                response = server.get(target)
                assert response.status in (403, 404), (target, response)
            assert put(server, f"/{own}/uploads/{data}", b"x").status in (403, 404, 409), own
            assert server.request("DELETE", f"/{own}/").status in (403, 404), own
        assert server.get("/?archive=tar&name=FASTFI~1").status in (200, 404)
        assert b"SECRET" not in server.get("/?archive=tar").body
        assert listed(server) == set()
        assert server.request("HEAD", begun.field("Location"), fields=fields).field("Upload-Offset") == "6"
        assert server.request("DELETE", begun.field("Location")).status == 204
    finally:
        shutil.rmtree(server.path(".fastfile"), ignore_errors=True)


def test_it_is_full(server, ground):
    assert put(server, "/old.bin", b"old").status == 201
    before = ground[1].room()[0]
    with server.connect() as connection:
        response = connection.request("PUT", "/old.bin", auth=ALICE, fields={"Content-Length": str(SIZE)})
        assert response.status == 507
    with server.connect() as connection:
        connection.send_request("PUT", "/old.bin", auth=ALICE, fields={"Transfer-Encoding": "chunked"})
        with contextlib.suppress(OSError):  # it has answered
            for _ in range(SIZE // 1_000_000 + 10):
                connection.send(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
                time.sleep(0.001)
        with contextlib.suppress(OSError):
            assert connection.read_response().status == 507
    wait_for(lambda: ground[1].room()[0] == before, 10 * SLOW, "the space")
    assert server.get("/old.bin").body == b"old"
    assert listed(server) == {"old.bin"}


def test_it_lasts(server, ground):
    """Mounted again, it is the same, and so is its tag."""
    body = os.urandom(100_000)
    assert put(server, "/a.bin", body).status == 201
    tag = wait_for(lambda: (found := server.head("/a.bin").field("ETag")).startswith('"') and found, 10 * SLOW, "a strong tag")
    server.stop()
    ground[1].unmount()
    ground[1].mount()
    server.start()
    found = server.get("/a.bin")
    assert found.body == body
    print("the tag stays" if found.field("ETag") == tag else f"the tag was {tag}, now {found.field('ETag')}")
