"""Plots as SVG text: bars and lines, readable on light and on dark ground, without any library."""
import math
from xml.sax.saxutils import escape

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .faint { fill: #59636e }
.end { text-anchor: end } .middle { text-anchor: middle } .grid { stroke: #d1d9e0; fill: none }
.one { stroke: #24292f } .goal { stroke: #bc4c00; stroke-width: 2 }
.ours { fill: #0969da; stroke: #0969da } .theirs { fill: #8c959f; stroke: #8c959f }
.bar { stroke: none } .basic { opacity: .6 } .line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #e6edf3 }
.goal { stroke: #f0883e } .ours { fill: #4493f8; stroke: #4493f8 } .theirs { fill: #7d8590; stroke: #7d8590 } }
"""


def document(width, height, title, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
            + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, style=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(words)}</text>'


def segment(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def kind(name):
    """Ours in colour, lighter with a credential; the others grey."""
    if not name.startswith("fastfile"):
        return "theirs"
    return "ours" if name == "fastfile" else "ours basic"


def bars(title, groups, longest=3.0):
    """groups: [(name, goal or None, [(server, ratio)])]; 1 is the best peer. Longer bars are cut."""
    left, right, bar, gap, top, width = 210, 70, 15, 16, 64, 760
    scale = (width - left - right) / longest
    height = top + sum(len(group[2]) * bar + gap for group in groups) + 8
    parts = [text(8, 20, title, "title"),
             text(8, 38, "Shorter is better; 1 is the best peer.", "faint")]
    parts += [text(left + scale * x, top - 10, f"{x:g}", "middle faint") for x in (0, 1, 2, 3) if x <= longest]
    if any(group[1] for group in groups):
        parts += [segment(300, 34, 316, 34, "goal"), text(322, 38, "goal", "faint")]
    parts += [segment(left + scale * x, top - 4, left + scale * x, height - 8, "one" if x == 1 else "grid")
              for x in (0, 1, 2, 3) if x <= longest]
    y = top + gap / 2
    for name, goal, found in groups:
        parts.append(text(8, y + bar - 4, name, "title"))
        for server, ratio in found:
            length = min(ratio, longest) * scale
            parts.append(text(left - 6, y + bar - 4, server, "end" + " faint" * (kind(server) == "theirs")))
            parts.append(f'<rect x="{left}" y="{y + 2:.1f}" width="{length:.1f}" height="{bar - 4}" '
                         f'class="bar {kind(server)}"/>')
            parts.append(text(width - 8, y + bar - 4, f"{ratio:.2f}", "end faint"))
            if goal and server == "fastfile":
                parts.append(segment(left + goal * scale, y - 1, left + goal * scale, y + bar, "goal"))
            y += bar
        y += gap
    return document(width, height, title, parts)


def ticks(low, high):
    """Values for a logarithmic axis: 1, 2 and 5 times powers of ten, or the powers alone where those are enough."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    return [step * 10.0 ** power for power in powers for step in steps
            if low <= step * 10.0 ** power * 1.0001 and step * 10.0 ** power <= high * 1.0001]


def lines(title, x_title, y_title, series, x_labels):
    """series: {server: [(x, y)]}, both axes logarithmic; x_labels: {x: text}."""
    width, height, left, right, top, bottom = 760, 360, 70, 130, 62, 50
    ys = [y for points in series.values() for _, y in points]
    low, high = min(ys) / 1.3, max(ys) * 1.3
    first, last = min(x_labels), max(x_labels)

    def at_x(x):
        return left + (width - left - right) * math.log(x / first) / (math.log(last / first) or 1)

    def at_y(y):
        return height - bottom - (height - top - bottom) * math.log(y / low) / math.log(high / low)

    parts = [text(8, 20, title, "title"), text(8, 40, y_title, "faint"),
             text((left + width - right) / 2, height - 10, x_title, "middle faint")]
    for y in ticks(low, high):
        parts += [segment(left, at_y(y), width - right, at_y(y), "grid"),
                  text(left - 8, at_y(y) + 4, f"{y:,.10g}", "end faint")]
    parts += [text(at_x(x), height - bottom + 18, label, "middle faint") for x, label in x_labels.items()]
    ends = []
    for server, points in series.items():
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" class="line {kind(server)}" style="fill: none"/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.5" class="{kind(server)}"/>' for x, y in points]
        ends.append((at_y(points[-1][1]), server))
    below = -math.inf
    for y, server in sorted(ends):  # names at the lines' ends, none over another
        below = max(y + 4, below + 15)
        parts.append(text(width - right + 10, below, server, "faint" * (kind(server) == "theirs")))
    return document(width, height, title, parts)
