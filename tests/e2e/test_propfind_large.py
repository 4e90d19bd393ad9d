"""A folder of 100,000 files by PROPFIND: constant memory, and nobody else notices."""
import multiprocessing
import time

import pytest
from client import Connection, trusting_context, wait_for
from dav import prop
from machine import not_in_the_vm, open
from processes import status as process_status
from server import ALICE, SLOW, Server, own

pytestmark = not_in_the_vm("it measures")

ENTRIES = 100_000
TIMES = 5
BODY = prop("resourcetype", "getcontentlength", "getlastmodified", "getetag")


@pytest.fixture(scope="module")
def site():
    made = Server("--threads", "1")
    made.write("small", "x" * 1000)
    made.mkdir("large")
    for number in range(ENTRIES):
        open(made.path(f"large/file number {number}.txt"), "w").close()
    own(made.path("large"))
    yield made
    made.finish()


def read_all(port, results):
    """The whole listing, again and again; each time how many entries it had, and what the first byte and all of them took."""
    with Connection(("127.0.0.1", port), context=trusting_context(), timeout=60 * SLOW) as connection:
        for _ in range(TIMES):
            started = time.monotonic()
            connection.send_request("PROPFIND", "/large/", auth=ALICE, body=BODY, fields={"Depth": "1"})
            connection.read_head()
            first = time.monotonic() - started
            entries = connection.read_chunks().count(b"</D:response>")
            results.put((entries, first, time.monotonic() - started))


def times_of_gets(server, goes_on):
    times = []
    with server.connect() as connection:
        assert connection.request("GET", "/small", auth=ALICE).status == 200  # the password is hashed once
        while goes_on() or len(times) < 300:
            started = time.monotonic()
            assert connection.request("GET", "/small", auth=ALICE).status == 200
            times.append(time.monotonic() - started)
            time.sleep(0.002)
    return sorted(times)


def test_a_hundred_thousand_entries(site):
    home = site.pid_of("home")

    def resident():
        return int(process_status(home, "VmRSS").split()[0])

    alone = times_of_gets(site, lambda: False)
    before = most = resident()
    results = multiprocessing.Queue()
    reader = multiprocessing.Process(target=read_all, args=(site.port, results))

    def goes_on():
        nonlocal most
        most = max(most, resident())
        return reader.is_alive()

    reader.start()
    beside = times_of_gets(site, goes_on)
    read = [results.get(timeout=10) for _ in range(TIMES)]
    reader.join()
    p99, p99_alone = (times[len(times) * 99 // 100] for times in (beside, alone))
    print(f"entries, first byte, all: {read}; GET beside: {len(beside)}, p99 {p99 * 1e3:.1f} ms, alone {p99_alone * 1e3:.1f}; "
          f"memory {before} KiB, then {most}")
    assert [entries for entries, _, _ in read] == [ENTRIES + 1] * TIMES
    assert reader.exitcode == 0
    assert most <= before + 8 * 1024 or SLOW > 1
    assert p99 < 3 * p99_alone + 0.1 * SLOW
    wait_for(lambda: resident() <= before + 8 * 1024 or SLOW > 1, 10 * SLOW, "memory given back")
