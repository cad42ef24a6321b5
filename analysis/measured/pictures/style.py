# SPDX-License-Identifier: GPL-2.0-only
"""Shared by all pictures: they can be read in black and white, and the same data gives the same file."""
import re
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .. import machine
from ..stats import bound
from ..text import short

matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.hashsalt": "page2cache",       # ids in SVG would else be random
    "svg.fonttype": "path",
    "text.parse_math": False,           # a $ in a name is a $
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.6,
    "legend.frameon": False, "hatch.linewidth": 0.6, "savefig.dpi": 160, "figure.dpi": 100,
})

WIDTH = 8.0             # inches
HALO = [withStroke(linewidth=2.6, foreground="white")]      # for lines over dark bars


@dataclass(frozen=True)
class Look:
    """How a series is drawn: grey values differ as well as forms."""
    color: str
    line: str
    marker: str
    hatch: str


LOOKS = {
    "cold": Look("#111111", "-", "o", ""),
    "user": Look("#0b5cab", "--", "s", "//"),
    "kfunc": Look("#3f8fc4", (0, (5, 1, 1, 1)), "D", "\\\\"),
    "helper": Look("#7fb9dc", (0, (3, 1, 1, 1, 1, 1)), "P", "xx"),
    "now": Look("#8a6d3b", (0, (6, 2)), "v", ".."),
    "warm": Look("#e0a030", ":", "^", "--"),
    "floor": Look("#888888", "-.", "d", ""),
}
SPARE = [Look("#444444", "-", "o", "//"), Look("#777777", "--", "s", ".."),
         Look("#a0a0a0", "-.", "^", "\\\\"), Look("#c8c8c8", ":", "D", "xx")]


def look(arm, engine=None, index=0):
    """The Look of a series: of its engine if it is a forced one, of its arm else."""
    key = engine if arm == "forced" and engine in LOOKS else "user" if arm == "forced" else arm
    return LOOKS.get(key) or SPARE[index % len(SPARE)]


@dataclass(frozen=True)
class Picture:
    """`name` is that of its file; `caption` says how to read it, `alt` describes it for readers who
    cannot see it; draw() makes a matplotlib Figure."""
    name: str
    title: str
    caption: str
    alt: str
    draw: Callable


def slug(words):
    """Any words as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-").lower()[:40] or "cell"


def figure(title, height, folder):
    """An empty Figure with its title, and the machine small in a corner."""
    fig = Figure(figsize=(WIDTH, height))
    fig.text(0.012, 1 - 0.12 / height, title, ha="left", va="top", fontsize=11, weight="bold")
    fig.text(0.992, 0.05 / height, short(machine.line(folder, brief=True), 150), ha="right",
             va="bottom", fontsize=6, color="#555555")
    return fig


def finish(fig, legend=None):
    """Lays the panels out below the title, and above the machine and, in the room that it takes,
    a legend of (handles, labels)."""
    height = fig.get_figheight()
    low = 0.25
    if legend:
        columns = min(len(legend[0]), 5)
        rows = -(-len(legend[0]) // columns)
        fig.legend(*legend, loc="lower center", ncol=columns, fontsize=8.5, handlelength=3.2,
                   bbox_to_anchor=(0.5, 0.16 / height), columnspacing=1.6)
        low += 0.05 + 0.2 * rows
    fig.tight_layout(rect=(0, low / height, 1, 1 - 0.34 / height), h_pad=1.4, w_pad=1.6)
    return fig


def curve(axis, points, how, label):
    """Joins the medians of points, [(x, values)], with bounds where there are, and raw values."""
    points = [(x, values) for x, values in points if values]
    if not points:
        return
    bounds = [(x, *bound(values)) for x, values in points]
    axis.plot([x for x, *_ in bounds], [median for _, _, median, _ in bounds], color=how.color,
              linestyle=how.line, marker=how.marker, markersize=4.5, linewidth=1.3,
              markeredgecolor="white", markeredgewidth=0.5, label=label, zorder=3)
    some = [b for b in bounds if b[1] is not None]
    if some:
        axis.errorbar([x for x, *_ in some], [median for _, _, median, _ in some],
                      yerr=[[median - low for _, low, median, _ in some],
                            [high - median for _, _, median, high in some]],
                      fmt="none", ecolor=how.color, capsize=2.5, elinewidth=1, zorder=3)
    axis.plot([x for x, values in points for _ in values], [v for _, vs in points for v in vs],
              linestyle="none", marker=".", markersize=2.5, color=how.color, alpha=0.45, zorder=2)


def words_of_us(us, _=None):
    """A time at a tick: 100 us, 5 ms, 2 s."""
    for unit, of in (("s", 1e6), ("ms", 1e3), ("us", 1)):
        if us >= of or unit == "us":
            return f"{us / of:g} {unit}"
    return ""


def log_time(axis):
    """A logarithmic axis of microseconds."""
    axis.set_major_locator(LogLocator(numticks=12))
    axis.set_major_formatter(FuncFormatter(words_of_us))
    axis.set_minor_formatter(NullFormatter())


def spread(count, width):
    """Places of `count` points side by side, from -width to width."""
    return [width * (2 * i / (count - 1) - 1) if count > 1 else 0 for i in range(count)]
