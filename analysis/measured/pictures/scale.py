# SPDX-License-Identifier: GPL-2.0-only
"""Extents against time and memory."""
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from ..text import short, size
from .style import Picture, curve, figure, finish, log_time, look


def pictures(folder):
    """scale, of the cells whose place on a curve is a number of extents."""
    cells = [c for c in folder.cells if c.in_time and c["x_label"] == "extents" and c.arms()]
    if len({c["x"] for c in cells}) < 2:
        return []
    memory = any("max_rss_bytes" in c.figures() for c in cells)
    return [Picture(
        "scale", "Time" + (" and memory" if memory else "") + " by length of the list",
        "Lines join medians, bars are their 95 % bound, small dots single runs. All axes are "
        "logarithmic: where a line falls beside the thin grey one, ten times the extents take "
        "ten times as much.",
        "Lines over the number of extents.", lambda: _draw(folder, cells, memory))]


def _draw(folder, cells, memory):
    fig = figure("Time and memory by length of the list" if memory else
                 "Time by length of the list", 3.6, folder)
    axes = fig.subplots(1, 2 if memory else 1, squeeze=False)[0]
    series = list(dict.fromkeys((c["group"], *s) for c in cells for s in c.arms()))
    for i, (group, arm, engine) in enumerate(series):
        some = [c for c in cells if c["group"] == group]
        how = look(arm, engine, i)
        words = ", ".join(x for x in (arm, engine) if x)
        curve(axes[0], [(c["x"], c.values(arm, engine)) for c in some], how, short(words, 30))
        if memory:
            curve(axes[1], [(c["x"], list(c.more("max_rss_bytes", arm, engine).values()))
                             for c in some], how, None)
    places = sorted({c["x"] for c in cells})
    for axis, words in zip(axes, ("time", "memory at most")):
        axis.set_xscale("log")
        axis.set_yscale("log", base=10 if axis is axes[0] else 2)
        axis.set_xlabel("extents")
        axis.set_title(words)
        axis.xaxis.set_major_locator(FixedLocator(places))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _count(v)))
    _in_proportion(axes[0], places)
    log_time(axes[0].yaxis)
    if memory:
        axes[1].yaxis.set_major_formatter(FuncFormatter(lambda v, _: size(v)))
        axes[1].yaxis.set_minor_formatter(NullFormatter())
    return finish(fig, axes[0].get_legend_handles_labels())


def _in_proportion(axis, places):
    """A thin line through the middle, for the eye."""
    low, high = axis.get_ylim()
    top = (places[-1], high / 1.5)
    axis.plot([top[0] * low / top[1], top[0]], [low, top[1]], color="#bbbbbb", linewidth=0.8,
              zorder=1)
    axis.set_ylim(low, high)
    axis.set_xlim(places[0] / 1.6, places[-1] * 1.6)


def _count(n):
    for unit, of in (("M", 1e6), ("k", 1e3)):
        if n >= of:
            return f"{n / of:g}{unit}"
    return f"{n:g}"
