"""What the records of a run say: tables, ratios to the peers of the same rounds, and whether the goals are reached.

A record is a dict with "round", "server", "workload" and its figures, or "error".
"""
import math
import statistics
from dataclasses import dataclass

from prepare import GIB, MIB

OURS, OURS_BASIC, OURS_SYNCED = "fastfile", "fastfile+basic", "fastfile+sync"


@dataclass(frozen=True)
class Goal:
    limit: float
    against: str = ""  # "best": the best peer; a peer's name; "": the figure itself


GOALS = {
    ("burst", "rate"): Goal(1.08, "best"),
    ("burst", "p99_ms"): Goal(0.9, "nginx"),
    ("new", "cpu_us"): Goal(0.8, "best"),
    ("resumed", "cpu_us"): Goal(0.7, "best"),
    ("idle", "kib"): Goal(3),
    ("idle", "rest_mib"): Goal(10),
    ("burst", "after_mib"): Goal(10),
    ("small-1k", "cpu_us"): Goal(0.7, "best"),
    ("small-16k", "cpu_us"): Goal(0.75, "best"),
    ("medium-100k", "cpu_us"): Goal(0.8, "best"),
    ("large-1", "cpu_s_gib"): Goal(0.8, "best"),
    ("large-4", "cpu_s_gib"): Goal(0.8, "best"),
    ("large-plain", "cpu_s_gib"): Goal(0.9, "nginx"),
    ("list", "cpu_ms"): Goal(0.6, "nginx"),
    ("list-json", "cpu_ms"): Goal(0.6, "nginx"),
    ("propfind", "cpu_ms"): Goal(0.6, "best"),
    ("propfind", "whole_ms"): Goal(0.6, "best"),
    ("propfind", "first_ms"): Goal(3),
    ("put-small-8", "rate"): Goal(1, "best"),
    ("put-large", "cpu_s_gib"): Goal(0.75, "best"),
    ("slow", "growth"): Goal(1.2),
    ("slow-crowd", "growth"): Goal(1.2),
}


@dataclass(frozen=True)
class Row:
    label: str
    workload: str
    figure: str
    digits: int
    better: str = "less"  # or "more"; "" where neither is


SECTIONS = [
    ("Connections, each with one GET of 1 KiB", [
        Row("burst: connections/s", "burst", "rate", 0, "more"),
        Row("burst: p50, ms", "burst", "p50_ms", 0),
        Row("burst: p99, ms", "burst", "p99_ms", 0),
        Row("burst: CPU µs", "burst", "cpu_us", 0),
        Row("new, full handshake: CPU µs", "new", "cpu_us", 0),
        Row("new: connections/s", "new", "rate", 0, ""),
        Row("resumed: CPU µs", "resumed", "cpu_us", 0),
        Row("resumed: connections/s", "resumed", "rate", 0, "")]),
    ("Memory", [
        Row("idle connection, KiB", "idle", "kib", 1),
        Row("at rest, MiB", "idle", "rest_mib", 1),
        Row("after the bursts, MiB", "burst", "after_mib", 1)]),
    ("Keep-alive GET", [
        Row("1 KiB: CPU µs", "small-1k", "cpu_us", 1),
        Row("1 KiB: requests/s", "small-1k", "rate", 0, "more"),
        Row("16 KiB: CPU µs", "small-16k", "cpu_us", 1),
        Row("16 KiB: requests/s", "small-16k", "rate", 0, "more"),
        Row("100 KiB: CPU µs", "medium-100k", "cpu_us", 1),
        Row("100 KiB: requests/s", "medium-100k", "rate", 0, "more")]),
    ("Download of {big}", [
        Row("1 stream: CPU s/GiB", "large-1", "cpu_s_gib", 3),
        Row("1 stream: MiB/s", "large-1", "mib_s", 0, "more"),
        Row("4 streams: CPU s/GiB", "large-4", "cpu_s_gib", 3),
        Row("4 streams: MiB/s", "large-4", "mib_s", 0, "more"),
        Row("plain HTTP: CPU s/GiB", "large-plain", "cpu_s_gib", 3),
        Row("plain HTTP: MiB/s", "large-plain", "mib_s", 0, "more")]),
    ("Folder of {entries} files", [
        Row("HTML: CPU ms", "list", "cpu_ms", 1),
        Row("HTML: first byte, ms", "list", "first_ms", 1),
        Row("HTML: whole, ms", "list", "whole_ms", 1),
        Row("HTML: KiB", "list", "kib", 0, ""),
        Row("JSON: CPU ms", "list-json", "cpu_ms", 1),
        Row("JSON: whole, ms", "list-json", "whole_ms", 1),
        Row("JSON: KiB", "list-json", "kib", 0, ""),
        Row("PROPFIND: CPU ms", "propfind", "cpu_ms", 1),
        Row("PROPFIND: first byte, ms", "propfind", "first_ms", 1),
        Row("PROPFIND: whole, ms", "propfind", "whole_ms", 1)]),
    ("GET of 1 KiB beside slow readers", [
        Row("alone: p99, ms", "slow", "alone_ms", 2),
        Row("beside {readers}: p99, ms", "slow", "p99_ms", 2),
        Row("beside {readers}: p99 / alone", "slow", "growth", 2),
        Row("beside {readers}: memory, MiB", "slow", "mib", 0),
        Row("beside {crowd}: p99, ms", "slow-crowd", "p99_ms", 2),
        Row("beside {crowd}: p99 / alone", "slow-crowd", "growth", 2),
        Row("beside {crowd}: memory, MiB", "slow-crowd", "mib", 0)]),
    ("PUT, with Basic", [
        Row("10 KiB, one after the other: CPU µs", "put-small-1", "cpu_us", 0),
        Row("10 KiB, 8 at once: CPU µs", "put-small-8", "cpu_us", 0),
        Row("10 KiB, 8 at once: files/s", "put-small-8", "rate", 0, "more"),
        Row("{big}: CPU s/GiB", "put-large", "cpu_s_gib", 2),
        Row("{big}: the same without a server", "put-large", "floor_s_gib", 2, ""),
        Row("{big}: peak of memory, MiB", "put-large", "peak_mib", 0)]),
]


class Results:
    def __init__(self, records):
        self.records = records
        self.servers = list(dict.fromkeys(record["server"] for record in records))
        self.peers = [name for name in self.servers if name not in (OURS, OURS_BASIC, OURS_SYNCED)]
        self._rounds = {}
        for record in records:
            self._rounds.setdefault((record["server"], record["workload"]), {})[record["round"]] = record

    def rounds(self, server, row):
        """{round: figure}, of the rounds that went well."""
        found = self._rounds.get((server, row.workload), {})
        return {number: record[row.figure] for number, record in found.items() if record.get(row.figure) is not None}

    def median(self, server, row):
        values = self.rounds(server, row).values()
        return statistics.median(values) if values else None

    def failed(self, server, row):
        return any("error" in record for record in self._rounds.get((server, row.workload), {}).values())

    def best_peer(self, row):
        found = {name: value for name in self.peers if (value := self.median(name, row)) is not None}
        if not found or not row.better:
            return None
        return (min if row.better == "less" else max)(found, key=found.get)

    def ratios(self, server, peer, row):
        """Server / peer, round by round: what the machine does to both in a round cancels out."""
        ours, theirs = self.rounds(server, row), self.rounds(peer, row)
        return [ours[number] / theirs[number] for number in ours if theirs.get(number)]

    def verdict(self, row, server=OURS):
        """(figure that the goal limits, reached) or None: no goal, or nothing measured."""
        goal = GOALS.get((row.workload, row.figure))
        if not goal:
            return None
        if goal.against:
            peer = self.best_peer(row) if goal.against == "best" else goal.against
            ratios = self.ratios(server, peer, row)
            value = statistics.median(ratios) if ratios else None
        else:
            value = self.median(server, row)
        if value is None:
            return None
        return value, value >= goal.limit if row.better == "more" else value <= goal.limit


def goal_text(row):
    goal = GOALS[row.workload, row.figure]
    sign = "≥" if row.better == "more" else "≤"
    return f"{sign} {goal.limit:g}" + {"": "", "best": " × best"}.get(goal.against, f" × {goal.against}")


def ratio_text(results, row):
    best = results.best_peer(row)
    ratios = results.ratios(OURS, best, row) if best else []
    if not ratios:
        return "–"
    return f"{with_spread(ratios)} × {best}"


def with_spread(ratios):
    spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{statistics.median(ratios):.2f}{spread}"


def significant(value):
    """Three digits at least, and no powers of ten."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def goal_cell(results, row):
    if (row.workload, row.figure) not in GOALS:
        return ""
    found = results.verdict(row)
    return goal_text(row) + (": not measured" if not found else
                             f": {found[0]:.2f}, {'reached' if found[1] else '**not reached**'}")


def figure_cell(results, server, row):
    value = results.median(server, row)
    if value is None:
        return "error" if results.failed(server, row) else "–"
    return f"{value:,.{row.digits}f}"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows]) + "\n"


def amounts(scale):
    """The numbers in the headings."""
    big = scale["big"]
    return {**{key: f"{value:,}" for key, value in scale.items()},
            "big": f"{big // GIB} GiB" if big >= GIB else f"{big // MIB} MiB"}


def goals_table(results, words):
    rows, reached = [], 0
    for _, section in SECTIONS:
        for row in section:
            if found := results.verdict(row):
                basic = results.verdict(row, OURS_BASIC)
                reached += found[1]
                rows.append([row.label.format(**words), goal_text(row), f"{found[0]:.2f}",
                             f"{basic[0]:.2f}" if basic else "–", "reached" if found[1] else "**not reached**"])
    if not rows:
        return ""
    return (f"### Goals: {reached} of {len(rows)} reached\n\n"
            + table(["", "goal", OURS, "with Basic", ""], rows) + "\n")


def markdown(data):
    results, words = Results(data["records"]), amounts(data["scale"])
    machine = data["machine"]
    text = (f"{machine['date']}, {machine['cores']} × {machine['processor']}, {machine['memory_gib']} GiB, kernel "
            f"{machine['kernel']}; {1 + max(record['round'] for record in data['records'])} rounds.\n\n"
            "Medians of the rounds. Ratios: ours / the best peer's in the same round, median (smallest–largest).\n\n")
    text += "".join(f"* {name}: {version}\n" for name, version in data["versions"].items()) + "\n"
    text += goals_table(results, words)
    for title, section in SECTIONS:
        measured = [row for row in section if any(results.median(name, row) is not None or results.failed(name, row)
                                                  for name in results.servers)]
        if measured:
            rows = [[row.label.format(**words), *(figure_cell(results, name, row) for name in results.servers),
                     ratio_text(results, row), goal_cell(results, row)] for row in measured]
            heads = ["", *results.servers, "ratio", "goal"]
            text += f"### {title.format(**words)}\n\n" + table(heads, rows) + "\n"
    speeds = [record["speed_ms"] for record in data["records"] if "speed_ms" in record]
    others = [record["others_percent"] for record in data["records"] if "others_percent" in record]
    if speeds:
        text += (f"The machine: a fixed piece of work took {min(speeds):.0f} to {max(speeds):.0f} ms of CPU, median "
                 f"{statistics.median(speeds):.0f}; others used up to {max(others):.0f} %, median "
                 f"{statistics.median(others):.0f} %.\n")
    errors = [record for record in data["records"] if "error" in record]
    text += "".join(f"\nerror: {record['server']}, {record['workload']}: {record['error'].splitlines()[0]}\n"
                    for record in errors)
    return text


# --- the plot -------------------------------------------------------------------------------------------------

BARS = [("new", "cpu_us", "new connection"), ("resumed", "cpu_us", "resumed"), ("small-1k", "cpu_us", "1 KiB"),
        ("small-16k", "cpu_us", "16 KiB"), ("medium-100k", "cpu_us", "100 KiB"), ("large-1", "cpu_s_gib", "1 stream"),
        ("large-4", "cpu_s_gib", "4 streams"), ("large-plain", "cpu_s_gib", "plain HTTP"),
        ("list", "cpu_ms", "folder, HTML"), ("list-json", "cpu_ms", "folder, JSON")]


def bar_order(one):
    """Ours first, then the best."""
    name, ratio = one
    return (0, len(name)) if name in (OURS, OURS_BASIC, OURS_SYNCED) else (1, ratio)


def bar_groups(data):
    """For plot.bars(): ratios to the best peer, ours first."""
    results, groups = Results(data["records"]), []
    for workload, figure, title in BARS:
        row = Row(title, workload, figure, 2)
        best = results.best_peer(row)
        if best:
            found = [(name, statistics.median(ratios)) for name in results.servers
                     if (ratios := results.ratios(name, best, row))]
            goal = GOALS.get((workload, figure))
            mine = goal.limit if goal and goal.against in ("best", best) else None
            groups.append((title, mine, sorted(found, key=bar_order)))
    return groups
