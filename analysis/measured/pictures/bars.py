# SPDX-License-Identifier: GPL-2.0-only
"""Bars: engines side by side against floor and warm; the cost of watching."""
from ..cells import base_arm, largest
from ..stats import bound
from ..text import duration, figure as digits, short, times
from .style import HALO, Picture, figure, finish, look, spread

GAINS = "What forcing gains, and how far the limit is"
MOST = 5                # cells in one picture


def pictures(folder):
    """engines, of the cells that were run cold and forced; overhead, of those whose arms add a
    cost to one of them."""
    found = []
    cells = [c for c in largest(folder.cells)
             if c.in_time and c.values("cold") and _forcing(c)]
    for i, some in enumerate(cells[at:at + MOST] for at in range(0, len(cells), MOST)):
        found.append(Picture(
            f"engines-{i + 1}" if i else "engines", GAINS,
            "Bars are medians, the line at their end is the 95 % bound, dots are single runs. "
            "Left, the run without and with forcing, with cold / forced: as typed, where that was "
            "measured. Right, the forced runs by the reader's own clock, at a larger scale, "
            "against what the device (floor) and the program itself (warm) need at least: the "
            "dashed line.",
            "Horizontal bars: " + " ".join(_told(c) for c in some),
            lambda some=some: _engines(folder, some)))
    costs = [c for c in folder.cells if base_arm(c) and c.values(*base_arm(c))]
    if costs:
        found.append(Picture(
            "overhead", "What watching adds",
            "Bars are medians of the difference to the run with nothing attached in the same "
            "round, lines their 95 % bound, dots single rounds. The thick mark is the limit, "
            "where there is one.",
            "Horizontal bars of the cost that each way of watching adds.",
            lambda: _overhead(folder, costs)))
    return found


def _forcing(cell):
    """The series that force, as they are drawn: forced by each engine, then now."""
    there = cell.arms()
    return [s for s in there if s[0] == "forced"] + [s for s in there if s[0] == "now"]


def _told(cell):
    parts = [f"{cell.series_label(*s)} {duration(bound(cell.line(*s).values())[1])}"
             for s in [("cold", None), *_forcing(cell)]]
    parts += [f"{arm} {duration(cell.median(arm))}" for arm in ("warm", "floor")
              if cell.median(arm)]
    return f"{cell.label}: {', '.join(parts)}."


def bar(axis, place, values, how, label, left=0, reach=0):
    """One bar with its bound, its points, and a word at its end, or beyond `reach`."""
    axis.barh(place, bound(values)[1], height=0.62, left=left, color=how.color, hatch=how.hatch,
              edgecolor="white", linewidth=0, zorder=2)
    return points(axis, place, values, label, left, reach)


def points(axis, place, values, label, left=0, reach=0):
    """What a bar has at its end: the bound, the single runs, a word; returns where they end."""
    low, median, high = bound(values)
    if low is not None:
        drawn = axis.errorbar(left + median, place, xerr=[[median - low], [high - median]],
                              color="#000000", capsize=4, elinewidth=1.2, zorder=5)
        for line in (*drawn[1], *drawn[2]):
            line.set_path_effects(HALO)
    axis.plot([left + v for v in values], [place + d for d in spread(len(values), 0.2)],
              linestyle="none", marker="o", markersize=2.8, markerfacecolor="white",
              markeredgecolor="#222222", markeredgewidth=0.6, zorder=4)
    end = max(reach, left + max(values))
    axis.annotate(label, (end, place), xytext=(5, 0), textcoords="offset points", va="center",
                  fontsize=8)
    return end


def rows(axis, labels, end, unit, room=0.42):
    """Names beside bars that go down, and room at the right for the words at their ends."""
    axis.set_yticks(range(len(labels)), [short(words, 26) for words in labels])
    axis.set_ylim(len(labels) - 0.45, -0.55)
    axis.set_xlim(min(0, axis.get_xlim()[0]), end * (1 + room))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
    axis.locator_params(axis="x", nbins=5)
    axis.set_xlabel(unit)


def _engines(folder, cells):
    heights = [0.8 + 0.34 * (len(_forcing(c)) + 1) for c in cells]
    fig = figure(GAINS, sum(heights) + 0.7, folder)
    panels = fig.subplots(len(cells), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    for (left, right), cell in zip(panels, cells):
        unit, of = _unit(cell.line("cold").values())
        _gain(left, cell, unit, of)
        if cell.limit() is None and cell.median("warm") is None:
            right.set_visible(False)        # there is no series to compare with
        else:
            _left(right, cell, *_unit([cell.median(*s) for s in _forcing(cell)]))
        left.set_title(short(cell.label, 44), loc="left", weight="bold")
    return finish(fig)


def _unit(values):
    return ("s", 1e6) if max(values) >= 1e6 else ("ms", 1e3)


def _gain(axis, cell, unit, of):
    labels, end = [], 0
    for i, series in enumerate([("cold", None)] + _forcing(cell)):
        took = cell.line(*series).values()
        values, words = [v / of for v in took], duration(bound(took)[1])
        if i:
            ratio = bound(cell.line_gain(series[1], series[0]))[1]
            words += f" ({times(ratio)})" if ratio else ""
        end = max(end, bar(axis, i, values, look(*series), words))
        labels.append(cell.series_label(*series))
    rows(axis, labels, end, f"run time, {unit}")


def _left(axis, cell, unit, of):
    labels, end = [], 0
    limit = sum(cell.median(arm) or 0 for arm in ("floor", "warm"))
    for i, series in enumerate(_forcing(cell)):
        values = [v / of for v in cell.values(*series)]
        least = [(arm,) for arm in ("floor", "warm") if cell.values(arm)]
        ratio = bound(cell.paired(lambda f, *parts: f / sum(parts), series, *least))[1]
        words = f"{ratio:.2f} x the least" if least and ratio else ""
        end = max(end, bar(axis, i, values, look(*series), words))
        labels.append(cell.series_label(*series))
    place, at, ends = len(labels), 0, []
    for arm in ("floor", "warm"):
        values = [v / of for v in cell.values(arm)]
        if values:
            end = max(end, bar(axis, place, values, look(arm), "", at))
            at += cell.median(arm) / of
            ends.append(arm)
    if ends:
        labels.append(" + ".join(ends))
        axis.annotate(duration(limit), (max(at, end if place == 0 else at), place),
                      xytext=(10, 0), textcoords="offset points", va="center", fontsize=8)
        axis.axvline(limit / of, color="#000000", linestyle="--", linewidth=1, zorder=3)
    rows(axis, labels, end, f"run time, {unit}", 0.5)


def _overhead(folder, cells):
    heights = [0.9 + 0.36 * (len(c.arms()) - 1) for c in cells]
    fig = figure("What watching adds", sum(heights) + 0.7, folder)
    panels = fig.subplots(len(cells), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, cell in zip(panels[:, 0], cells):
        base, unit = base_arm(cell), "us" if cell.in_time else cell["unit"]
        limits = {m["arm"]: m["at_most"] for m in cell["marks"] if m["mark"] == "cost"}
        labels, end = [], 0
        for series in cell.arms():
            values = cell.paired(lambda a, b: a - b, series, base) if series != base else []
            if not values:
                continue
            place = len(labels)
            words = f"+{digits(bound(values)[1])}"
            if series[0] in limits:
                most = limits[series[0]]
                words += f" (limit {most:g})"
                axis.plot([most, most], [place - 0.4, place + 0.4], color="#000000",
                          linewidth=3, solid_capstyle="butt", zorder=6)
            end = max(end, bar(axis, place, values, look("", None, place), words,
                               reach=limits.get(series[0], 0)))
            labels.append(cell.series_label(*series))
        axis.set_title(f"{short(cell.label, 50)}: on top of {digits(cell.median(*base))} {unit} "
                       f"with {base[0]}", loc="left", weight="bold")
        axis.axvline(0, color="#000000", linewidth=0.8)
        rows(axis, labels, end, f"{unit} more", 0.3)
    return finish(fig)
