"""What work costs as there is more of it, beside nginx: more connections, larger files, longer folders.

Servers take turns at each point, freshly started, in another order every round. Writes grow.json, grow.md and a plot
of each curve.
"""
import argparse
import json
import os
import resource
import statistics
import sys
from dataclasses import dataclass

import plot
import prepare
import report
import servers
from client import expect
from compare import names_in, rounded
from prepare import GIB, KIB, MIB
from workloads import FAILURES, download, meter, read_listing, read_through, wrk

NGINX = "nginx"
FEW = 100  # connections whose handshakes do not count beside 3 s of requests


# --- each at one point: {"cost": ..., "rate": ...} ----------------------------------------------------------

def connections(it, count, seconds):
    """Of many connections the handshakes would be much of the work: there a shorter run is taken off a longer one."""
    def run(duration):
        with meter(it) as got:
            answered, _ = wrk(it.target, "/1k.bin", KIB, count, duration)
        return got["cpu"], answered

    if count <= FEW:
        cpu, answered = run(seconds)
    else:
        short = 1 + count // 1000
        seconds = max(seconds, short)  # enough not to drown in the noise of both
        before, after = run(short), run(short + seconds)
        cpu, answered = after[0] - before[0], after[1] - before[1]
        expect(cpu > 0 and answered > 0, "the longer run did less than the shorter one")
    return {"cost": cpu / answered * 1e6, "rate": answered / seconds}


def sizes(it, size, seconds):
    name = f"size-{size}.bin"
    read_through(f"{it.site.folder}/{name}")
    with meter(it) as got:
        if size < GIB:
            _, received = wrk(it.target, f"/{name}", 0 if size > MIB else size, 4, seconds)
        else:
            download(it.target, f"/{name}", size, 1)
            received = size
    return {"cost": got["cpu"] / (received / GIB), "rate": received / MIB / got["wall"]}


def listings(it, entries, seconds):
    found = read_listing(it, f"/entries-{entries}/", entries, limit_s=seconds)
    return {"cost": found["cpu_ms"] * 1000 / entries, "rate": found["whole_ms"]}


# --- the curves ---------------------------------------------------------------------------------------------

def add_size(ground, size):
    ground.add_file(f"size-{size}.bin", size, sparse=size > GIB)


def add_entries(ground, entries):
    ground.add_listing(f"entries-{entries}", entries)


def size_text(size):
    unit, name = next((unit, name) for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if size >= unit)
    return f"{size // unit} {name}"


def count_text(count):
    return f"{count:,}"


@dataclass(frozen=True)
class Curve:
    run: object
    points: tuple
    quick: int         # how many of the points --quick takes
    title: str
    x_title: str
    cost: str          # what "cost" is
    rate: str          # what "rate" is
    label: object      # a point as text
    add: object = None  # puts what a point needs into the folder


CURVES = {
    "connections": Curve(connections, (1, 10, 100, 1000, 10_000), 3, "Keep-alive GET of 1 KiB", "connections",
                         "CPU µs a request", "requests/s", count_text),
    "sizes": Curve(sizes, (KIB, 10 * KIB, 100 * KIB, MIB, 10 * MIB, 100 * MIB, GIB, 10 * GIB), 5, "Download over TLS",
                   "size of the file", "CPU s a GiB", "MiB/s", size_text, add_size),
    "listings": Curve(listings, (10, 100, 1000, 10_000, 100_000), 3, "A folder as HTML", "files in it",
                      "CPU µs a file", "ms for the page", count_text, add_entries),
}


def arguments():
    parser = argparse.ArgumentParser(prog="bench/grow", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names_in(CURVES), default=list(CURVES), metavar="A,B",
                        help="curves, of " + " ".join(CURVES) + " (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="only the first points, briefly")
    parser.add_argument("--binary", metavar="FILE", help="measure this program instead of building one")
    parser.add_argument("--out", metavar="DIR", default=f"{prepare.PROJECT}/build-bench", help="default: build-bench")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def possible(name, point, ground):
    """Or says why this machine cannot."""
    why = ""
    if name == "connections" and resource.getrlimit(resource.RLIMIT_NOFILE)[0] < point + 1000:
        why = "too few descriptors (ulimit -Hn)"
    files = os.statvfs(ground.tmp)
    if name == "sizes" and point <= GIB and files.f_bavail * files.f_frsize < 2 * point + GIB:
        why = "too little space"
    if why:
        print(f"{name}, {point:,} is left out: {why}", file=sys.stderr)
    return not why


def measure(curve, point, server, ground, seconds):
    try:
        with servers.running(server, ground) as it:
            return curve.run(it, point, seconds)
    except FAILURES as error:
        return {"error": f"{type(error).__name__}: {error}"[:600]}


# --- report -------------------------------------------------------------------------------------------------

def figures(records, curve, point, server, figure):
    """{round: figure}"""
    return {record["round"]: record[figure] for record in records
            if (record["curve"], record["point"], record["server"]) == (curve, point, server) and figure in record}


def markdown(data):
    machine = data["machine"]
    text = (f"{machine['date']}, {machine['cores']} × {machine['processor']}, kernel {machine['kernel']}.\n\n"
            "Medians of the rounds; ratio of the costs in the same round (smallest–largest).\n\n")
    for name, curve in CURVES.items():
        rows = []
        for point in dict.fromkeys(record["point"] for record in data["records"] if record["curve"] == name):
            cells = [curve.label(point)]
            for figure in ("cost", "rate"):
                for server in (NGINX, report.OURS):
                    found = figures(data["records"], name, point, server, figure)
                    cells.append(report.significant(statistics.median(found.values())) if found else "error")
            theirs, ours = (figures(data["records"], name, point, server, "cost") for server in (NGINX, report.OURS))
            ratios = [ours[number] / theirs[number] for number in ours if number in theirs]
            cells.append(report.with_spread(ratios) if ratios else "–")
            rows.append(cells)
        if rows:
            text += f"### {curve.title}\n\n" + report.table(
                [curve.x_title, *(f"{server}: {what}" for what in (curve.cost, curve.rate)
                                  for server in (NGINX, report.OURS)), "ratio"], rows) + "\n"
    return text


def save(data, folder):
    servers.write(f"{folder}/grow.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    servers.write(f"{folder}/grow.md", markdown(data))
    for name, curve in CURVES.items():
        series = {}
        for point in curve.points:
            for server in (report.OURS, NGINX):
                if found := figures(data["records"], name, point, server, "cost"):
                    series.setdefault(server, []).append((point, statistics.median(found.values())))
        if series:
            labels = {point: curve.label(point) for points in series.values() for point, _ in points}
            servers.write(f"{folder}/grow-{name}.svg",
                          plot.lines(curve.title, curve.x_title, curve.cost, series, labels))


def main():
    options = arguments()
    prepare.install_tools()
    peers = prepare.install_peers([peer for peer in servers.PEERS if peer.name == NGINX])
    options.binary = options.binary or prepare.build()
    found = peers + servers.product(options.binary)[:1]
    prepare.make_output(options.out)
    data = {"machine": prepare.machine(), "versions": {server.name: server.asked_version() for server in found},
            "records": []}
    seconds = 1 if options.quick else 3
    with prepare.ground(options.binary) as ground:
        points = []
        for name in options.only:
            curve = CURVES[name]
            for point in curve.points[:curve.quick if options.quick else None]:
                if possible(name, point, ground):
                    if curve.add:
                        curve.add(ground, point)
                    points.append((name, point))
        for number in range(options.rounds):
            for name, point in points:
                for server in found if number % 2 == 0 else reversed(found):
                    record = measure(CURVES[name], point, server, ground, seconds)
                    data["records"].append({"round": number, "server": server.name, "curve": name, "point": point,
                                            **{key: rounded(value) for key, value in record.items()}})
                    if "error" in record:
                        print(f"  {server.name}, {name}, {point}: {record['error']}", file=sys.stderr)
                print(f"round {number + 1}, {name}: {CURVES[name].label(point)}", file=sys.stderr)
            save(data, options.out)
    print(markdown(data))
    print(f"Results are in {os.path.relpath(options.out)}/: grow.json, grow.md, grow-*.svg")


if __name__ == "__main__":
    main()
