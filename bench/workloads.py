"""The workloads: each puts one kind of work on one running server and returns what that cost."""
import contextlib
import os
import re
import resource
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass

import client
from client import Connection, WrongAnswer, expect
from prepare import GIB, KIB, MIB
from servers import running
from tree import OWN, cpu_clock

SETTLE_S = 5  # servers give back what a burst needed a little later
OTHERS_PERCENT = 10  # of the machine: more, and a measurement is made once more

PROPFIND = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>"""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""
    seconds: int = 3
    idle: int = 1000
    burst: int = 1000
    bursts: int = 3
    big: int = GIB
    entries: int = 10_000
    files: int = 1000
    readers: int = 200
    crowd: int = 1000


QUICK = Scale(seconds=1, idle=100, burst=200, bursts=1, big=64 * MIB, files=100, readers=20, crowd=100)


# --- measuring ----------------------------------------------------------------------------------------------

def machine_cpu():
    """Seconds that all cores together were busy or stolen."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_cpu():
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


@contextlib.contextmanager
def meter(it):
    """Fills a dict: wall, cpu (the server's) and others (everybody's but the server's and ours), in seconds."""
    got = {}
    before = it.tree.cpu(), own_cpu(), machine_cpu(), time.perf_counter()
    yield got
    wall, busy, ours = time.perf_counter() - before[3], machine_cpu() - before[2], own_cpu() - before[1]
    time.sleep(0.05)  # closing is the server's work too
    cpu = it.tree.cpu() - before[0]
    got.update(wall=wall, cpu=cpu, others=max(0, busy - cpu - ours))


def speed_ms():
    """CPU time of a fixed piece of work: shows when the machine itself became slower or faster."""
    start = time.process_time()
    sum(i * i for i in range(300_000))
    return (time.process_time() - start) * 1000


def run_tool(command, timeout=120):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    expect(done.returncode == 0, f"{command[0]}: exit {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
    return done.stdout


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def mib(size):
    return None if size is None else size / MIB


def read_through(path):
    """Into the page cache."""
    with open(path, "rb", buffering=0) as file:
        while file.read(4 * MIB):
            pass


# --- connections --------------------------------------------------------------------------------------------

def idle(it, scale):
    """Memory at rest, and what each connection adds that has made a request and waits."""
    time.sleep(SETTLE_S)
    rest, before = it.tree.memory(), it.tree.memory(*OWN)
    with contextlib.ExitStack() as stack, meter(it) as got:
        for _ in range(scale.idle):
            connection = stack.enter_context(Connection(it.target))
            connection.get("/1k.bin", KIB)
        time.sleep(SETTLE_S)
        after = it.tree.memory(*OWN)
        connection.get("/1k.bin", KIB)  # they are still there
    known = before is not None and after is not None
    return {**got, "rest_mib": mib(rest), "kib": (after - before) / scale.idle / KIB if known else None}


def one_burst(it, count):
    with meter(it) as got:
        out = run_tool(["hey", "-n", str(count), "-c", str(count), "-disable-keepalive", "-host", "localhost",
                        *it.target.options, it.target.url + "/1k.bin"])
    ok = re.search(r"\[200\]\s+(\d+) responses", out)
    expect(ok and int(ok[1]) == count, f"hey: {out[-400:]}")
    late = {share: float(re.search(rf"{share}% in ([\d.]+) secs", out)[1]) * 1000 for share in (50, 99)}
    return {**got, "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "p50_ms": late[50],
            "p99_ms": late[99], "cpu_us": got["cpu"] / count * 1e6}


def burst(it, scale):
    """All connect at once, each for one request. The middle one of some bursts counts; and the memory afterwards."""
    one_burst(it, 100)
    found = []
    for _ in range(scale.bursts):
        time.sleep(1)
        found.append(one_burst(it, scale.burst))
    time.sleep(SETTLE_S)
    middle = sorted(found, key=lambda one: one["rate"])[len(found) // 2]
    return {**middle, "after_mib": mib(it.tree.memory())}


def connecting(resume):
    def run(it, scale):
        with meter(it) as got:
            found = client.in_processes(4, client.connect_again_and_again, it.target, scale.seconds, resume)
        times = sum((one[0] for one in found), [])
        resumed = sum(one[1] for one in found)
        expect(resumed == 0 or resume, "resumed what should be new")
        expect(not resume or resumed > 0.9 * len(times), f"resumed only {resumed} of {len(times)}")
        return {**got, "rate": len(times) / scale.seconds, "cpu_us": got["cpu"] / len(times) * 1e6,
                "p50_ms": quantile(times, .5) * 1000}
    return run


# --- downloads ----------------------------------------------------------------------------------------------

def wrk(target, path, size, connections, seconds):
    """Keep-alive GETs of a file; returns how many were answered and the bytes received."""
    out = run_tool(["wrk", "-t", str(min(2, connections)), "-c", str(connections), "-d", f"{seconds}s",
                    "--timeout", "30s", *target.options, target.url + path], timeout=seconds + 60)
    expect("Non-2xx" not in out and "Socket errors" not in out, f"wrk: {out[-300:]}")
    count = int(re.search(r"(\d+) requests in", out)[1])
    amount, unit = re.search(r"in [\d.]+\w+, ([\d.]+)([KMGT]?)B read", out).groups()
    received = float(amount) * 1024 ** " KMGT".index(unit or " ")
    expect(count and received > 0.99 * count * size, f"wrk: bodies too short: {out[-300:]}")
    return count, received


def keep_alive(kib, connections):
    def run(it, scale):
        with meter(it) as got:
            count, _ = wrk(it.target, f"/{kib}k.bin", kib * KIB, connections, scale.seconds)
        return {**got, "rate": count / got["wall"], "cpu_us": got["cpu"] / count * 1e6}
    return run


def download(target, path, size, streams):
    command = ["curl", "-sk", "--http1.1", "-m", "100", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
               *target.options, target.url + path]
    procs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(streams)]
    said = [proc.communicate()[0] for proc in procs]
    expect(all(one == f"200 {size}" for one in said), f"curl: {said}")


def large(streams):
    def run(it, scale):
        read_through(f"{it.site.folder}/big.bin")
        total, end = 0, time.perf_counter() + scale.seconds
        with meter(it) as got:
            while not total or time.perf_counter() < end:
                download(it.target, "/big.bin", scale.big, streams)
                total += streams * scale.big
        return {**got, "mib_s": total / MIB / got["wall"], "cpu_s_gib": got["cpu"] / (total / GIB)}
    return run


# --- folders ------------------------------------------------------------------------------------------------

def read_listing(it, path, entries, method="GET", fields=(), body=None, want=200, limit_s=1.5):
    """Reads a folder again and again, 3 to 30 times."""
    first, whole = [], []
    with meter(it) as got, Connection(it.target, timeout=60) as connection:
        end = time.perf_counter() + limit_s
        while len(whole) < 3 or len(whole) < 30 and time.perf_counter() < end:
            start = time.perf_counter()
            status, answer = connection.request(method, path, body, fields)
            whole.append(time.perf_counter() - start)
            first.append(connection.first_byte - start)
    names = len(set(re.findall(rb"file-(\d{6})\.txt", answer)))
    expect(status == want and names == entries, f"{method} {path}: status {status}, {names} names")
    return {**got, "first_ms": statistics.median(first) * 1000, "whole_ms": statistics.median(whole) * 1000,
            "kib": len(answer) / KIB, "cpu_ms": got["cpu"] / len(whole) * 1000}


def listing(it, scale):
    return read_listing(it, "/list/", scale.entries)


def listing_json(it, scale):
    return read_listing(it, it.server.json.format("/list/"), scale.entries)


def propfind(it, scale):
    return read_listing(it, "/list/", scale.entries, "PROPFIND", ("Depth: 1", "Content-Type: application/xml"),
                        PROPFIND, 207)


# --- uploads ------------------------------------------------------------------------------------------------

def write_file(path, size):
    """CPU seconds of writing a file without any server; the file is gone afterwards."""
    block, start = os.urandom(64 * KIB), time.process_time()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(block)):
            file.write(block)
    cost = time.process_time() - start
    os.unlink(path)
    return cost


def write_floor(it, size):
    """The better of two, as others may use the machine."""
    return min(write_file(f"{it.site.ground.tmp}/floor.bin", size) for _ in range(2))


def put_small(clients):
    def run(it, scale):
        folder = f"/put-{time.time_ns()}"
        with Connection(it.target) as connection:
            status, _ = connection.request("MKCOL", folder + "/")
        expect(status == 201, f"MKCOL: status {status}")
        with meter(it) as got:
            spans = client.in_processes(clients, client.put_share, it.target, folder, scale.files, 10 * KIB, clients)
        sizes = [entry.stat().st_size for entry in os.scandir(it.site.folder + folder)]
        expect(sizes == [10 * KIB] * scale.files, f"{len(sizes)} files on disk")
        os.sync()  # and they stay until the end: ext4 makes creating dearer for minutes after many deletions
        wall = max(end for _, end in spans) - min(began for began, _ in spans)
        return {**got, "rate": scale.files / wall, "cpu_us": got["cpu"] / scale.files * 1e6}
    return run


def put_large(it, scale):
    source, name = f"{it.site.folder}/big.bin", f"put-{time.time_ns()}.bin"
    floor = write_floor(it, scale.big)
    read_through(source)
    peak, done = [], threading.Event()

    def watch():
        while not done.wait(0.05):
            peak.append(it.tree.resident() or 0)

    watcher = threading.Thread(target=watch)
    try:
        with meter(it) as got:
            watcher.start()
            status = run_tool(["curl", "-sk", "--http1.1", "-m", "100", "-o", "/dev/null", "-w", "%{http_code}",
                               *it.target.options, "-H", "Expect:", "-T", source, f"{it.target.url}/{name}"])
        expect(status in ("200", "201", "204"), f"PUT: status {status}")
        same = subprocess.run(["cmp", "-s", source, f"{it.site.folder}/{name}"], check=False).returncode == 0
        expect(same, "what is on disk is not what was sent")
    finally:
        done.set()
        watcher.join()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{it.site.folder}/{name}")
        os.sync()
    return {**got, "mib_s": scale.big / MIB / got["wall"], "cpu_s_gib": got["cpu"] / (scale.big / GIB),
            "floor_s_gib": floor / (scale.big / GIB), "peak_mib": mib(max(peak, default=0))}


# --- others who are slow ------------------------------------------------------------------------------------

def beside_slow(which):
    def run(it, scale):
        read_through(f"{it.site.folder}/big.bin")
        alone = client.latencies(it.target, 5000, scale.seconds)
        count = getattr(scale, which)
        with client.SlowReaders(it.target, count, 10 * KIB, 30) as readers:
            expect(readers.established(15) == count, "not all slow readers could connect")
            time.sleep(1)
            theirs = readers.process.pid
            before = cpu_clock(theirs)
            with meter(it) as got:
                try:
                    beside = client.latencies(it.target, 5000, scale.seconds)
                except OSError as error:
                    raise WrongAnswer(f"stalled: {error}") from error
            got["others"] = max(0, got["others"] - (cpu_clock(theirs) - before))
            memory, rate = it.tree.memory(), readers.finish()
        p99 = quantile(alone, .99), quantile(beside, .99)
        return {**got, "alone_ms": p99[0] * 1000, "p50_ms": quantile(beside, .5) * 1000, "p99_ms": p99[1] * 1000,
                "growth": p99[1] / p99[0], "each_kib_s": rate / KIB, "mib": mib(memory)}
    return run


# --- all of them --------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Workload:
    run: object
    needs: str = ""      # what the server must be able to do
    basic: bool = False  # also for the product with a credential in each request
    plain: bool = False  # without TLS
    writes: bool = False
    again: bool = True   # where others used much of the machine meanwhile

    def suits(self, server):
        if server.basic or server.synced:
            return self.basic if server.basic else self.writes
        return not self.needs or self.needs in server.can


WORKLOADS = {
    "idle": Workload(idle, basic=True, again=False),  # memory only
    "burst": Workload(burst, basic=True),
    "new": Workload(connecting(resume=False), basic=True),
    "resumed": Workload(connecting(resume=True), basic=True),
    "small-1k": Workload(keep_alive(1, 32), basic=True),
    "small-16k": Workload(keep_alive(16, 32), basic=True),
    "medium-100k": Workload(keep_alive(100, 16)),
    "large-1": Workload(large(1)),
    "large-4": Workload(large(4)),
    "large-plain": Workload(large(1), needs="plain", plain=True),
    "list": Workload(listing, needs="list"),
    "list-json": Workload(listing_json, needs="json"),
    "propfind": Workload(propfind, needs="propfind"),
    "slow": Workload(beside_slow("readers")),
    "slow-crowd": Workload(beside_slow("crowd"), needs="crowd"),
    # Not again: write-back runs in the kernel, which looks like others.
    "put-small-1": Workload(put_small(1), needs="put", writes=True, again=False),
    "put-small-8": Workload(put_small(8), needs="put", writes=True, again=False),
    "put-large": Workload(put_large, needs="put", writes=True, again=False),
}

FAILURES = (WrongAnswer, OSError, subprocess.SubprocessError, client.multiprocessing.TimeoutError)


def measure(workload, server, ground, scale):
    """One record: what a workload found on a fresh server, or why it could not. Where others used much of the
    machine meanwhile it is done once more, and the quieter one counts."""
    best = None
    for _ in range(2):
        try:
            speed = speed_ms()
            with running(server, ground, auth=workload.writes, plain=workload.plain) as it:
                found = {**workload.run(it, scale), "speed_ms": speed}
        except FAILURES as error:
            return best or {"error": f"{type(error).__name__}: {error}"[:600]}
        found["others_percent"] = 100 * found.pop("others") / (found["wall"] * os.cpu_count())
        if best is None or found["others_percent"] < best["others_percent"]:
            best = found
        if not workload.again or best["others_percent"] < OTHERS_PERCENT:
            break
    return best
