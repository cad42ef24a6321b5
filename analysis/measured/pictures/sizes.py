# SPDX-License-Identifier: GPL-2.0-only
"""Curves over a size: run time, bandwidth, misses."""
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..cells import curves, x_words
from ..text import short
from .style import Picture, curve, figure, finish, log_time, look

ARMS = ("cold", "forced", "now", "warm", "floor")


def pictures(folder):
    """run-time, bandwidth and misses of a folder whose cells make curves over a file size."""
    groups = {g: c for g, c in curves(folder.cells).items()
              if "bytes" in (c[0]["x_label"] or "") and c[0]["x"] > 0
              and any(x.values("cold") for x in c)}
    if not groups:
        return []
    names = ", ".join(groups)
    found = [Picture(
        "run-time", "Run time by file size",
        "Each line joins medians; bars are their 95 % bound, small dots are single runs. Both "
        "axes are logarithmic. The nearer forced comes to floor, the less there is left to gain; "
        "where forced is above cold, forcing loses.",
        f"Lines of run time over file size, cold, forced, warm and floor, one panel each for "
        f"{names}.", lambda: _times(folder, groups, False)), Picture(
        "bandwidth", "Bandwidth by file size",
        "File size divided by run time, of the same runs: higher is faster. Floor is what the "
        "device itself can do.",
        f"Lines of bandwidth over file size, one panel each for {names}.",
        lambda: _times(folder, groups, True))]
    if any(c.misses_before() for cells in groups.values() for c in cells):
        found.append(Picture(
            "misses", "Misses by file size, without and with forcing",
            "How often the reader found its page absent. From 1 on the scale is logarithmic; 0 "
            "is at its foot. What is left with forcing are the reader's first pages, before "
            "forcing is ahead of it.",
            f"Lines of misses over file size, without and with forcing, one panel each for "
            f"{names}.", lambda: _misses(folder, groups)))
    return found


def _panels(folder, groups, title):
    """A figure with a panel for each group: (figure, [(axis, cells, is it at the left?)])."""
    columns = min(len(groups), 2)
    rows = -(-len(groups) // columns)
    fig = figure(title, 0.9 + 2.6 * rows, folder)
    axes = list(fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis in axes[len(groups):]:
        axis.set_visible(False)
    panels = []
    for i, (axis, (group, cells)) in enumerate(zip(axes, groups.items())):
        axis.set_title(short(group, 48))
        axis.set_xscale("log")
        if i >= len(groups) - columns:
            axis.set_xlabel(short(cells[0]["x_label"].replace(", bytes", ""), 40))
            axis.tick_params(labelbottom=True)
        panels.append((axis, cells, i % columns == 0))
    return fig, panels


def _x_axis(axis, groups):
    """A tick at some of the sizes that there are, from the largest down, so that their words do
    not touch."""
    cell = next(iter(groups.values()))[0]
    places = sorted({c["x"] for cells in groups.values() for c in cells}, reverse=True)
    apart = (places[0] / places[-1]) ** (1 / 5)
    ticks = places[:1]
    for x in places:
        if ticks[-1] / x >= apart * 0.99:
            ticks.append(x)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: x_words(cell, int(x))))


def _series(cells):
    """The (arm, engine) that any of the cells has, in the order in which they are drawn."""
    there = {s for c in cells for s in c.arms()}
    return sorted((s for s in there if s[0] in ARMS),
                  key=lambda s: (ARMS.index(s[0]), s[1] or ""))


def _curve(axis, points, how, label, nudge):
    """The series stand side by side, so that none hides another."""
    curve(axis, [(x * 2 ** nudge, values) for x, values in points], how, label)


def _times(folder, groups, as_bandwidth):
    title = "Bandwidth by file size" if as_bandwidth else "Run time by file size"
    legend = {}
    series = _series([c for cells in groups.values() for c in cells])
    forcers = sum(arm == "forced" for arm, _ in series)
    fig, panels = _panels(folder, groups, title)
    for axis, cells, first in panels:
        for i, (arm, engine) in enumerate(series):
            points = [(c["x"], c.values(arm, engine)) for c in cells]
            if as_bandwidth:
                points = [(c["x"], [c["file_bytes"] / 1.048576 / v for v in values if v])
                          for c, (_, values) in zip(cells, points) if c["file_bytes"]]
            label = f"{arm}, {engine}" if arm == "forced" and forcers > 1 else arm
            _curve(axis, points, look(arm, engine), short(label, 24),
                   0.16 * (i - (len(series) - 1) / 2))
        axis.set_yscale("log")
        _x_axis(axis, groups)
        if as_bandwidth:
            axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
        else:
            log_time(axis.yaxis)
        if first:
            axis.set_ylabel("MiB/s" if as_bandwidth else "run time")
        legend.update(zip(*axis.get_legend_handles_labels()[::-1]))
    return finish(fig, (list(legend.values()), list(legend)))


def _misses(folder, groups):
    legend = {}
    most = max(max(c.misses_before(), default=1) for cells in groups.values() for c in cells)
    fig, panels = _panels(folder, groups, "Misses by file size, without and with forcing")
    for axis, cells, first in panels:
        _curve(axis, [(c["x"], c.misses_before()) for c in cells], look("cold"),
               "without forcing", -0.1)
        engines = list(dict.fromkeys(e for c in cells for e in c.forced()))
        for i, engine in enumerate(engines):
            _curve(axis, [(c["x"], c.misses_left(engine)) for c in cells],
                   look("forced", engine), short(f"with forcing, {engine}", 24), 0.1 + 0.12 * i)
        axis.set_yscale("symlog", linthresh=1, linscale=0.5)
        axis.set_ylim(0, 2 * most)
        axis.yaxis.set_major_locator(FixedLocator(
            [0] + [10 ** i for i in range(len(str(int(most))) + 1)]))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        _x_axis(axis, groups)
        if first:
            axis.set_ylabel("misses")
        legend.update(zip(*axis.get_legend_handles_labels()[::-1]))
    return finish(fig, (list(legend.values()), list(legend)))
