"""Fast File and nginx with kernel TLS, beside each other in emulated machines, whose kernels have it.

All servers run at once and take turns at one large file that is in the page cache, in another order every round. Writes ktls.json
and ktls.md.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import prepare
import report
import servers
from compare import rounded
from ktls_vm import SERVERS
from prepare import HERE, MIB, PROJECT

PEER, _, OURS, OURS_USER = (server.name for server in SERVERS)
WAYS = {"loopback": "Over loopback, to a client in the machine", "network": "Over the emulated network, to a client outside"}
FIGURES = {"server_s_gib": "server", "machine_s_gib": "whole machine"}

MACHINES = {
    "x86_64": {"debian": "amd64", "packages": ["qemu-system-x86"]},
    "aarch64": {"debian": "arm64", "packages": ["qemu-system-arm"]},
}
CROSS = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
# What the programs are linked with, nginx's included.
LIBRARIES = ["libssl-dev", "liburing-dev", "libcrypt-dev", "libseccomp-dev", "libinih-dev", "libexpat1-dev", "libcmocka-dev", "libpcre2-8-0", "zlib1g"]


def arguments():
    parser = argparse.ArgumentParser(prog="bench/ktls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machines", nargs="*", metavar="ARCH", help=f"of {' '.join(MACHINES)} (default: all that can be built for here)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--size", type=int, default=32, metavar="MIB", help="of the file; default: 32")
    parser.add_argument("--timed", action="store_true",
                        help="two processors that run as fast as the emulation can, instead of one whose clock counts instructions: "
                             "nearer to a real machine in what waits for what, but noisy")
    parser.add_argument("--out", metavar="DIR", default=f"{PROJECT}/build-bench", help="default: build-bench")
    options = parser.parse_args()
    possible = [arch for arch in MACHINES if arch in (platform.machine(), "aarch64")]
    options.machines = options.machines or possible
    if wrong := [arch for arch in options.machines if arch not in possible]:
        parser.error(f"no {wrong[0]!r}; there are: {' '.join(possible)}")
    return options


# --- what the machine gets ------------------------------------------------------------------------------------

def install(arch):
    suffix = "" if arch == platform.machine() else ":arm64"
    packages = [*prepare.PACKAGES, "openssl", "e2fsprogs", *MACHINES[arch]["packages"], *(CROSS if suffix else []),
                *(library + suffix for library in LIBRARIES)]
    if why := prepare.install(packages):
        sys.exit(f"bench: {why}")


def build(arch):
    if arch == platform.machine():
        return prepare.build()
    folder = f"{PROJECT}/build-{arch}"
    subprocess.run([f"{PROJECT}/tools/build", folder, "--buildtype=release", "--cross-file", f"tools/cross-{arch}.ini", "-Dtests=enabled"],
                   check=True, stdout=sys.stderr, cwd=PROJECT)
    return f"{folder}/fastfile"


def build_discard(arch, folder):
    compiler = "gcc" if arch == platform.machine() else f"{arch}-linux-gnu-gcc"
    subprocess.run([compiler, "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
                    "-o", f"{folder}/discard", f"{HERE}/discard.c", "-lssl", "-lcrypto"], check=True)
    return f"{folder}/discard"


def fetch_nginx(arch, folder):
    """Unpacks this system's package: nothing of it is installed here. Returns the program and its version."""
    done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", f"nginx:{MACHINES[arch]['debian']}"],
                          cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: nginx cannot be downloaded (apt-get update?): {done.stderr.strip()}")
    package = next(f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    version = subprocess.run(["dpkg-deb", "-f", package, "Version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{folder}/usr/sbin/nginx", version


def measure(arch, options):
    install(arch)
    binary = build(arch)
    with tempfile.TemporaryDirectory(prefix="fastfile-bench-") as folder:
        nginx, version = fetch_nginx(arch, folder)
        discard, result = build_discard(arch, folder), f"{folder}/result.json"
        inside = ["/usr/bin/python3", f"{HERE}/ktls_vm.py", nginx, discard, str(options.rounds), str(options.size * MIB), result]
        subprocess.run([f"{PROJECT}/tests/vm/boot", *([] if options.timed else ["--steady"]), "--program", binary, "--with", nginx,
                        "--with", discard, arch, *inside], check=True, stdout=sys.stderr)
        with open(result, encoding="utf-8") as file:
            found = json.load(file)
    records = [{key: rounded(value) for key, value in record.items()} for record in found["records"]]
    return {"kernel": found["kernel"], "nginx": version, "records": records}


# --- report ---------------------------------------------------------------------------------------------------

class Results:
    """Of one machine, in one way."""

    def __init__(self, records, way):
        self.records = [record for record in records if record["way"] == way]

    def rounds(self, server, figure):
        """{round: figure}; none if one of them went wrong."""
        found = [record for record in self.records if record["server"] == server]
        return {} if any("error" in record for record in found) else {record["round"]: record[figure] for record in found}

    def ratios(self, server, peer, figure):
        ours, theirs = self.rounds(server, figure), self.rounds(peer, figure)
        return [ours[number] / theirs[number] for number in ours if number in theirs]


def table(results):
    rows = []
    for server in SERVERS:
        cells = [server.name]
        for figure in FIGURES:
            found, ratios = results.rounds(server.name, figure), results.ratios(server.name, PEER, figure)
            cells += [report.significant(statistics.median(found.values())) if found else "error",
                      report.with_spread(ratios) if ratios else "–"]
        rows.append(cells)
    return report.table(["", *(head for name in FIGURES.values() for head in (f"{name}: CPU s/GiB", f"× {PEER}"))], rows)


def goals(arch):
    """[(whose CPU time, in relation to whose, is how much at most)]"""
    return [(OURS, PEER, 0.9)] + [(OURS, OURS_USER, 1.0)] * (arch == "aarch64")


def verdict(ratios, limit):
    if not ratios:
        return "not measured"
    value = statistics.median(ratios)
    return f"{value:.2f}, {'reached' if value <= limit else '**not reached**'}"


def goals_table(data):
    rows = []
    for arch, machine in data["machines"].items():
        for ours, peer, limit in goals(arch):
            rows.append([f"{arch}: {ours} ≤ {limit:g} × {peer}", *(
                verdict(Results(machine["records"], way).ratios(ours, peer, figure), limit) for way in WAYS for figure in FIGURES)])
    return report.table(["goal", *(f"{way}, {name}" for way in WAYS for name in FIGURES.values())], rows)


def markdown(data):
    clock = "two processors, emulated time" if data["timed"] else "one processor whose instructions take 8 ns each"
    text = (f"{data['date']}, QEMU, {clock}; {data['rounds']} rounds with {data['size_mib']} MiB.\n\n"
            "Medians of the rounds; ratios within each round, median (smallest–largest).\n\n"
            f"### Goals\n\n{goals_table(data)}\n")
    for arch, machine in data["machines"].items():
        text += f"### {arch}: Linux {machine['kernel']}, nginx {machine['nginx']}\n\n"
        text += "".join(f"{title}:\n\n{table(Results(machine['records'], way))}\n" for way, title in WAYS.items())
        text += "".join(f"error: {record['server']}, {record['way']}, round {record['round']}: {record['error']}\n\n"
                        for record in machine["records"] if "error" in record)
    return text


def main():
    options = arguments()
    prepare.make_output(options.out)
    data = {"date": prepare.machine()["date"], "timed": options.timed, "rounds": options.rounds, "size_mib": options.size, "machines": {}}
    for arch in options.machines:
        data["machines"][arch] = measure(arch, options)
        servers.write(f"{options.out}/ktls.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        servers.write(f"{options.out}/ktls.md", markdown(data))
    print(markdown(data))
    print(f"Results are in {os.path.relpath(options.out)}/: ktls.json, ktls.md")


if __name__ == "__main__":
    main()
