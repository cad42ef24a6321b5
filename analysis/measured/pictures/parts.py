# SPDX-License-Identifier: GPL-2.0-only
"""Runs that have two parts: bars of one part on top of the other."""
from matplotlib.patches import Patch

from ..stats import bound
from ..text import duration, short
from .bars import points, rows
from .style import Picture, figure, finish, look

# picture: title, the figure that is the first part, what it is, what the rest is, caption
KINDS = {
    "peers": ("Other tools with the same list", "ready_us", "until the pages are readable",
              "the reader after it",
              "Bars are medians: first the tool reads the pages in, then the reader runs. The "
              "line is the 95 % bound of the whole, dots are single runs."),
    "snapshot": ("Restoring a microVM", "restore_us", "until the guest runs again",
                 "until its first answer",
                 "Bars are medians of both parts. The line is the 95 % bound of the whole, dots "
                 "are single runs. Forced includes all that pcforce does."),
}


def pictures(folder):
    """peers and snapshot, where runs have `ready_us` or `restore_us`."""
    found = []
    for name, (title, first, *_, caption) in KINDS.items():
        cells = [c for c in folder.cells if c.in_time and first in c.figures()]
        if cells:
            told = " ".join(f"{c.label}: " + ", ".join(
                f"{c.series_label(*s)} {duration(c.median(*s))}" for s in c.arms()) + "."
                for c in cells)
            found.append(Picture(name, title, caption, f"Horizontal bars in two parts. {told}",
                                 lambda cells=cells, name=name: _draw(folder, cells, name)))
    return found


def _draw(folder, cells, name):
    title, figure_name, first, rest, _ = KINDS[name]
    heights = [0.85 + 0.34 * len(c.arms()) for c in cells]
    fig = figure(title, sum(heights) + 0.9, folder)
    panels = fig.subplots(len(cells), 1, squeeze=False, sharex=True,
                          gridspec_kw={"height_ratios": heights})
    lower, upper = look("forced"), look("warm")
    for axis, cell in zip(panels[:, 0], cells):
        labels, end = [], 0
        for series in cell.arms():
            values = [v / 1e3 for v in cell.values(*series)]
            part = bound(cell.more(figure_name, *series).values())[1]
            end = max(end, _bar(axis, len(labels), values, (part or 0) / 1e3, (lower, upper)))
            labels.append(cell.series_label(*series))
        axis.set_title(short(cell.label, 70), loc="left", weight="bold")
        rows(axis, labels, end, "time, ms", 0.16)
        axis.tick_params(labelbottom=True)
    handles = [Patch(facecolor=h.color, hatch=h.hatch, edgecolor="white") for h in (lower, upper)]
    return finish(fig, (handles, [first, rest]))


def _bar(axis, place, values, part, looks):
    """A bar of `part`, and of what `values` (of the whole) have beyond it."""
    median = bound(values)[1]
    for left, width, how in ((0, part, looks[0]), (part, median - part, looks[1])):
        axis.barh(place, width, height=0.62, left=left, color=how.color, hatch=how.hatch,
                  edgecolor="white", linewidth=0, zorder=2)
    return points(axis, place, values, duration(median * 1e3))
