"""Fast File beside other file servers: every workload on every server, in rounds.

Within a round the servers take turns at each workload, each time freshly started and in another order every round, so
that they meet the machine in the same mood. Writes results.json, results.md and cpu.svg.
"""
import argparse
import dataclasses
import json
import os
import sys
import time

import plot
import prepare
import report
import servers
from workloads import QUICK, WORKLOADS, Scale, measure


def names_in(allowed):
    def parse(text):
        names = text.split(",")
        if unknown := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}; there are: {' '.join(allowed)}")
        return names
    return parse


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    everybody = [peer.name for peer in servers.PEERS] + [report.OURS]
    parser.add_argument("--servers", type=names_in(everybody), default=everybody, metavar="A,B",
                        help="of " + " ".join(everybody) + " (default: all)")
    parser.add_argument("--only", type=names_in(WORKLOADS), default=list(WORKLOADS), metavar="A,B",
                        help="workloads, of " + " ".join(WORKLOADS) + " (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="little of everything: does it work at all?")
    parser.add_argument("--append", action="store_true", help="add rounds to those that are in --out")
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument("--auth", action="store_true", help="Fast File only with a credential in each request")
    variant.add_argument("--no-auth", action="store_true", help="Fast File only without (default: both)")
    parser.add_argument("--binary", metavar="FILE", help="measure this program instead of building one")
    parser.add_argument("--out", metavar="DIR", default=f"{prepare.PROJECT}/build-bench", help="default: build-bench")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def contenders(options):
    """The servers that are there, ours last."""
    found = prepare.install_peers([peer for peer in servers.PEERS if peer.name in options.servers])
    if report.OURS in options.servers:
        options.binary = options.binary or prepare.build()
        plain, basic, synced = servers.product(options.binary)
        found += [plain] * (not options.auth) + [basic] * (not options.no_auth) + [synced]
    return found


def load(path, fresh, append):
    """What an earlier run left, if this one is to continue it."""
    if not append or not os.path.exists(path):
        return fresh
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    if data["scale"] != fresh["scale"]:
        sys.exit(f"bench: {path} was measured with other amounts (--quick?)")
    return {**fresh, "versions": {**data["versions"], **fresh["versions"]}, "records": data["records"]}


def rounded(value):
    """Five significant digits: more would only fill the file."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def save(data, folder):
    servers.write(f"{folder}/results.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    servers.write(f"{folder}/results.md", report.markdown(data))
    if groups := report.bar_groups(data):
        servers.write(f"{folder}/cpu.svg", plot.bars("CPU of the server for the same work", groups))


def main():
    options = arguments()
    prepare.install_tools()
    found = contenders(options)
    if not found:
        sys.exit("bench: no server to measure")
    scale = QUICK if options.quick else Scale()
    prepare.make_output(options.out)
    fresh = {"machine": prepare.machine(), "scale": dataclasses.asdict(scale),
             "versions": {server.name: server.asked_version() for server in found}, "records": []}
    data = load(f"{options.out}/results.json", fresh, options.append)
    first = 1 + max((record["round"] for record in data["records"]), default=-1)
    with prepare.ground(options.binary) as ground:
        ground.add_file("big.bin", scale.big)
        ground.add_listing("list", scale.entries)
        if any(WORKLOADS[name].writes for name in options.only):
            ground.keep_memory(3 * scale.big)
        for number in range(first, first + options.rounds):
            turn = number % len(found)
            for name in options.only:
                able = [server for server in found[turn:] + found[:turn] if WORKLOADS[name].suits(server)]
                began = time.monotonic()
                for server in able:
                    record = measure(WORKLOADS[name], server, ground, scale)
                    data["records"].append({"round": number, "server": server.name, "workload": name,
                                            **{key: rounded(value) for key, value in record.items()}})
                    if "error" in record:
                        print(f"  {server.name}, {name}: {record['error']}", file=sys.stderr)
                if able:
                    print(f"round {number + 1}, {name}: {len(able)} servers, {time.monotonic() - began:.0f} s, "
                          f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
                    save(data, options.out)
    print(report.markdown(data))
    print(f"Results are in {os.path.relpath(options.out)}/: results.json, results.md, cpu.svg")


if __name__ == "__main__":
    main()
