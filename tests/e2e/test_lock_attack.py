"""Somebody who locks whatever he can: he is told that it is enough, and others do not notice."""
import multiprocessing
import time

import pytest
from client import Connection, trusting_context
from dav import lock, lockinfo, locks, token_of, unlock
from machine import not_in_the_vm, os
from processes import status as process_status
from server import ALICE, SLOW, Server
from test_home_state import state_files

pytestmark = not_in_the_vm("it measures")

CAROL = ("carol", "carpenter")
PER_USER = 1024
PER_NAME = 32
AT_ONCE = 100


@pytest.fixture
def site():
    made = Server("--threads", "2", users={ALICE[0]: (ALICE[1], False), CAROL[0]: (CAROL[1], False)})
    made.write("file", "x" * 1000)
    yield made
    made.finish()


def attack(port, count, target, scope, answers):
    """`count` LOCKs on one connection, many under way at once; what was answered how often."""
    counts = {}
    with Connection(("127.0.0.1", port), context=trusting_context(), timeout=60) as connection:
        for start in range(0, count, AT_ONCE):
            for n in range(start, start + AT_ONCE):
                connection.send_request("LOCK", target % n if "%" in target else target, auth=ALICE, body=lockinfo(scope, "o" * 300))
            for _ in range(AT_ONCE):
                status = connection.read_response("LOCK").status
                counts[status] = counts.get(status, 0) + 1
    answers.put(counts)


def attacked(site, count, target, scope="exclusive"):
    """Runs it beside, and gives the server's other user something to do meanwhile: (answers, times of a GET, of a PUT)."""
    answers = multiprocessing.Queue()
    attacker = multiprocessing.Process(target=attack, args=(site.port, count, target, scope, answers))
    attacker.start()
    gets, puts = [], []
    with site.connect(timeout=60) as connection:
        while attacker.is_alive() or not gets:
            for method, times in (("GET", gets), ("PUT", puts)):
                started = time.monotonic()
                response = connection.request(method, "/file" if method == "GET" else "/put", auth=CAROL, body=b"x" if method == "PUT" else None)
                times.append(time.monotonic() - started)
                assert response.status in (200, 201, 204)
            time.sleep(0.005)
    counts = answers.get(timeout=10)
    attacker.join()
    assert attacker.exitcode == 0
    return counts, sorted(gets), sorted(puts)


def resident(server):
    return int(process_status(server.pid_of("home"), "VmRSS").split()[0]) * 1024


@pytest.mark.parametrize("count, target, scope, granted", [
    (100_000, "/new-%d", "exclusive", PER_USER),
    (10_000, "/file", "shared", PER_NAME),
])
def test_somebody_locks_whatever_he_can(site, count, target, scope, granted):
    site.get("/file", auth=CAROL)
    before = resident(site)
    counts, gets, puts = attacked(site, count, target, scope)
    assert set(counts) <= {200, 201, 507} and counts[507] == count - granted
    assert resident(site) - before <= 12 << 20
    assert max(os.path.getsize(file) for file in state_files(site)) <= 4 << 20
    assert len(os.listdir(site.dir)) <= 2 + (granted if "%" in target else 0), "what could not be locked was not made either"
    assert gets[len(gets) * 99 // 100] < 0.25 * SLOW and puts[len(puts) * 99 // 100] < 1 * SLOW, (gets[-10:], puts[-10:])
    # Others have their own.
    other = "/put" if "%" not in target else "/file"
    token = token_of(lock(site, other, auth=CAROL))
    assert unlock(site, other, token, auth=CAROL).status == 204
    # And he has room again for what he gives back.
    first = "/new-0" if "%" in target else target
    assert lock(site, first if "%" not in target else "/one-more", "shared").status == 507
    assert unlock(site, first, locks(site, first)[0]["token"]).status == 204
    assert lock(site, first, "shared").status == 200
