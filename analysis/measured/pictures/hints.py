# SPDX-License-Identifier: GPL-2.0-only
"""What an application pays for hints, and for memory that it shares with BPF: bars of costs that
lie orders of magnitude apart."""
from matplotlib.ticker import FuncFormatter, NullLocator

from ..cells import TIMED
from ..stats import bound
from ..text import duration, figure as digits, short
from .bars import bar, rows
from .style import Picture, figure, finish, look


def pictures(folder):
    """hints, of a folder of that experiment: its cells, each with its own arms."""
    cells = [c for c in folder.cells if c.arms()
             and not {arm for arm, _ in c.arms()}.intersection(TIMED)]
    if folder.meta["experiment"] != "hints" or not cells:
        return []
    told = " ".join(f"{c.label}: " + ", ".join(
        f"{arm} {_words(c, c.median(arm))}" for arm, _ in c.arms()) + "." for c in cells)
    return [Picture(
        "hints", "What a hint costs, and what it gains",
        "Bars are medians, the line at their end is the 95 % bound, dots are single runs; "
        "shorter is better. Where arms lie far apart, the scale is logarithmic.",
        f"Horizontal bars of each way. {told}", lambda: _draw(folder, cells))]


def _words(cell, value):
    return duration(value) if cell.in_time else f"{digits(value)} {cell['unit'].split()[0]}"


def _draw(folder, cells):
    heights = [0.95 + 0.34 * len(c.arms()) for c in cells]
    fig = figure("What a hint costs, and what it gains", sum(heights) + 0.6, folder)
    panels = fig.subplots(len(cells), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, cell in zip(panels[:, 0], cells):
        of = 1e3 if cell.in_time else 1
        values = {arm: [v / of for v in cell.values(arm)] for arm, _ in cell.arms()}
        least = min(bound(v)[1] for v in values.values())
        end = max(bar(axis, i, v, look("", None, i), _words(cell, bound(v)[1] * of))
                  for i, v in enumerate(values.values()))
        axis.set_title(short(cell.label, 70), loc="left", weight="bold")
        rows(axis, list(values), end, "ms" if cell.in_time else cell["unit"], 0.3)
        if least > 0 and end / least > 20:
            axis.set_xscale("log")
            axis.set_xlim(least / 3, end * 6)
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
    return finish(fig)
