"""Entity tags while another program replaces the file, as fast as it goes and always with the same size.

Some replacements put the modification time back. The writer publishes which version it is about to write and which one it has
written, so a reader knows what an answer may be about: nothing older than what was complete when it asked, nothing newer than
what had begun when the answer was there.
"""
import multiprocessing
import random
import time

import pytest
from client import ClosedEarly, wait_for
from machine import IN_VM, os
from server import ALICE, SLOW, own

REPLACEMENTS = int(os.environ.get("FASTFILE_REPLACEMENTS") or 20_000 // SLOW)
READERS = 3
OLD_TIME = (10**9, 10**9)


def content_of(version):
    return f"{version:08}".encode()


class Writer:
    """The other program. Pauses now and then, for a tag is weak, and proves nothing, while the file is young."""

    def __init__(self, path, replace):
        self.begun = multiprocessing.Value("q", 0, lock=False)
        self.complete = multiprocessing.Value("q", 0, lock=False)
        self.process = multiprocessing.Process(target=self.main, args=(path, replace), daemon=True)
        self.process.start()

    def main(self, path, replace):
        dice = random.Random(1)
        for version in range(1, REPLACEMENTS + 1):
            self.begun.value = version
            replace(path, content_of(version), dice)
            self.complete.value = version
            if dice.random() < 0.02:
                time.sleep(dice.choice((0.002, 0.019, 0.021, 0.04)) * (4 if IN_VM else 1))  # an emulated one is asked less often

    def is_busy(self):
        return self.complete.value < REPLACEMENTS


def in_place(path, content, dice):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(descriptor, content, 0)
    if dice.random() < 0.3:
        os.utime(descriptor, OLD_TIME)
    os.close(descriptor)


def in_place_and_by_rename(path, content, dice):
    if dice.random() < 0.97:
        in_place(path, content, dice)
    else:  # ext4 begins to write the file to its disk then, which takes a hundred times as long
        in_place(path + ".new", content, dice)
        os.replace(path + ".new", path)


def by_rename(path, content, dice):
    in_place(path + ".new", content, dice)
    os.replace(path + ".new", path)


# The kernel sets the time stamps before it copies the bytes of a write. An emulated processor may stand still in between, for longer
# than a tag stays weak, so a virtual machine proves something there only if it is a steady one (tests/vm/boot).
WAYS = [by_rename] if IN_VM and not os.environ.get("FASTFILE_VM_STEADY") else [by_rename, in_place, in_place_and_by_rename]


def read_on(server, writer):
    """Asks again and again, on a condition where that can be; returns {strong tag: version} and how often what was answered."""
    known, counts = {}, {200: 0, 304: 0, None: 0}
    newest = None
    connection = server.connect()
    while writer.is_busy():
        complete = writer.complete.value
        try:
            response = connection.request("GET", "/replaced.bin", auth=ALICE, fields={"If-None-Match": newest} if newest else {})
        except ClosedEarly as error:
            assert not error.received  # it did not hold still for long enough: no answer is not a wrong answer
            counts[None] += 1
            connection.close()
            connection = server.connect()
            continue
        begun = writer.begun.value
        if response.status == 503:
            counts[None] += 1
            continue
        counts[response.status] += 1
        if response.status == 200:
            assert len(response.body) == 8, response
            version, tag = int(response.body), response.field("ETag")
            newest = None if tag.startswith("W/") else tag
            assert not newest or known.setdefault(tag, version) == version, f"{tag} is of {known[tag]} and of {version}"
        else:
            version = known[newest]
        assert complete <= version <= begun, f"{response.status} about {version}, but {complete} was complete, {begun} begun"
    connection.close()
    return known, counts


def read_and_report(server, writer, found):
    try:
        found.put(read_on(server, writer))
    except BaseException as error:  # whatever it was, the test has to know
        found.put(f"{type(error).__name__}: {error}")


@pytest.mark.measures  # and neither may a processor here that has too much to do
@pytest.mark.parametrize("replace", WAYS, ids=lambda function: function.__name__)
def test_no_two_contents_share_a_strong_tag(server, replace):
    server.write("replaced.bin", content_of(0))
    os.chmod(server.dir, 0o777)
    own(server.path("replaced.bin"))
    writer = Writer(server.path("replaced.bin"), replace)
    found = multiprocessing.Queue()
    readers = [multiprocessing.Process(target=read_and_report, args=(server, writer, found), daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        results = [found.get(timeout=60 + REPLACEMENTS * SLOW / 50) for _ in readers]
        failures = [result for result in results if isinstance(result, str)]
        assert not failures, failures
        writer.process.join(10 * SLOW)
        assert writer.process.exitcode == 0
    finally:
        for process in (*readers, writer.process):
            process.kill()
            process.join()

    versions = {}  # across the readers too
    counts = {200: 0, 304: 0, None: 0}
    for result in results:
        for tag, version in result[0].items():
            assert versions.setdefault(tag, version) == version, f"{tag} is of {versions[tag]} and of {version}"
        for status, count in result[1].items():
            counts[status] += count
    # Enough was seen for that to mean something.
    assert len(versions) > 50 // SLOW and counts[200] > 500 // SLOW and counts[304] > 50 // SLOW, (len(versions), counts)

    # Once the file has come to rest, its tag is strong and stays.
    target, final = "/replaced.bin", content_of(REPLACEMENTS)
    wait_for(lambda: not server.head(target).field("ETag").startswith("W/"), 5, "a strong tag")
    first, second = server.get(target), server.get(target)
    assert first.body == second.body == final and first.field("ETag") == second.field("ETag")
    assert server.get(target, fields={"If-None-Match": first.field("ETag")}).status == 304
