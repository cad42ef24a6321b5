# SPDX-License-Identifier: GPL-2.0-only
"""Pictures over time: where a file's misses were, and what readahead read."""
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch
import numpy

from ..cells import largest
from ..stats import bound
from ..text import counted, number, short
from ..trace import MISSES, traces
from .style import Picture, figure, finish, slug

WORDS = {"trace-cold": "without forcing", "trace-forced": "with forcing"}
BOXES = (72, 48)        # of a heat map, along time and along the file
LEAST = 10              # misses that make a map
FEW = 300               # misses that are shown one by one rather than as boxes
TIME = "ms since the first decision"
CLOSE = 40              # decisions that are shown close up
MANY = 200              # decisions of a kind that become an image: a page of them stays small
# kind: face, hatch, in words
LOOKS = {
    "sync": ("#111111", "", "sync: a read missed"),
    "order": ("#555555", "", "order: a fault missed"),
    "async": ("#6fa8d6", "////", "async: ahead of need"),
    "force": ("#d9a441", "....", "force: asked for by a program"),
    "unbounded": ("#c9a0c9", "xxxx", "unbounded"),
}


def _traced(folder):
    """[(cell, {arm: Trace} with misses, {arm: Trace} of which anything was read)] of each cell
    that was traced; of a curve of cells, of the traced one furthest along it. An arm without any
    has no panel: an empty one would look like a finding."""
    for cell in largest([c for c in folder.cells if _arms(c)]):
        there = traces(cell, folder)
        missed = {arm: t for arm, t in there.items() if _missed(t)}
        if max((len(_missed(t)) for t in missed.values()), default=0) < LEAST:
            missed = {}
        yield cell, missed, {arm: t for arm, t in there.items()
                             if _boxes(t, cell["file_bytes"])}


def _arms(cell):
    return [arm for arm in WORDS if any(r["arm"] == arm for r in cell.runs)]


def _missed(trace):
    """The reader's misses, without those of pcforce, for which nobody waits."""
    return [e for e in trace.events if e["kind"] in MISSES and e.get("comm") != "pcforce"]


def notes(folder):
    """[text] of traced cells without a picture."""
    found = []
    for cell, missed, read in _traced(folder):
        if not read:
            found.append(f"{cell.label}: readahead read nothing while it was traced, so there is "
                         "no picture of that.")
        if not missed:
            found.append(f"{cell.label}: fewer than {LEAST} misses were traced, so there is no "
                         "picture of where they are.")
    return found


def _absent(cell, shown, what):
    """A remark about the arms that were traced and have no panel."""
    return "".join(f" {WORDS[arm].capitalize()} there was no {what}, and so there is no panel."
                   for arm in _arms(cell) if arm not in shown)


def _differs(cell, shown):
    """Why the picture has fewer misses than the table, if it has."""
    engine = cell.forced()[0] if cell.forced() else None
    parts = []
    for arm, counted_there in (("trace-cold", cell.misses_before()),
                               ("trace-forced", cell.misses_left(engine))):
        table = bound(counted_there)[1]
        drawn = len(_missed(shown[arm])) if arm in shown else 0
        if arm in _arms(cell) and table not in (None, drawn):
            parts.append(f"{number(table)} {WORDS[arm]} there, {drawn:,} here")
    if not parts:
        return ""
    return (f" The table has other numbers of misses ({'; '.join(parts)}): they are of other runs, "
            "in which cachemiss counted accesses that missed, with forcing those of pcforce as "
            "well; here one run was traced, and the decisions of readahead are shown to which the "
            "reader's misses led.")


def pictures(folder):
    """heatmap-CELL and readahead-CELL, if there are events to show."""
    found = []
    taken = set()
    for cell, missed, read in _traced(folder):
        name = slug(cell.name)
        while name in taken:
            name += "-2"
        taken.add(name)
        if missed:
            told = "; ".join(f"{WORDS[arm]} {_misses(_missed(t))}" for arm, t in missed.items())
            found.append(Picture(
                f"heatmap-{name}", f"Where the misses are: {cell.label}",
                "Each box is a stretch of the file (upwards) in a stretch of time (to the "
                "right); the darker, the more misses. A few misses are a square each. Each "
                "panel has a time of its own. A diagonal is a reader that goes from front to "
                "back, an even grey one that jumps." + _absent(cell, missed, "miss")
                + _differs(cell, missed),
                f"Heat map of misses by file offset and time: {told}.",
                lambda cell=cell, t=missed: _heatmap(folder, cell, t)))
        if read:
            found.append(Picture(
                f"readahead-{name}", f"What readahead read: {cell.label}",
                "Each box is a decision of readahead: the pages that it reads (upwards), from "
                "when it is made until the next one; hatched, those read ahead of need. Where "
                "there are many, all of them are lines on the left, and the first few boxes on "
                "the right." + _absent(cell, read, "readahead"),
                "Boxes of readahead windows by file offset and time.",
                lambda cell=cell, t=read: _windows(folder, cell, t)))
    return found


def _misses(events):
    return f"{len(events):,} miss{'' if len(events) == 1 else 'es'}"


def _heatmap(folder, cell, there):
    fig = figure(f"Where the misses are: {short(cell.label, 60)}", 3.9, folder)
    axes = fig.subplots(1, len(there), sharey=True, squeeze=False)[0]
    top = max((e["index"] + 1) * t.page_size for t in there.values()
              for e in _missed(t)) / 1048576
    grids = []
    for arm, trace in there.items():
        events = _missed(trace)
        end = max([e["us"] for e in trace.events], default=1) / 1e3 or 1
        grid, *_ = numpy.histogram2d([e["us"] / 1e3 for e in events],
                                     [e["index"] * trace.page_size / 1048576 for e in events],
                                     bins=BOXES, range=((0, end), (0, top)))
        grids.append((arm, grid, end, events))
    # The scale begins at 0.3, so that a box with a single miss can be seen.
    norm = LogNorm(0.3, max(g.max() for _, g, *_ in grids))
    for axis, (arm, grid, end, events) in zip(axes, grids):
        if len(events) < FEW:
            axis.plot([e["us"] / 1e3 for e in events],
                      [e["index"] * there[arm].page_size / 1048576 for e in events],
                      linestyle="none", marker="s", markersize=3, color="#111111")
            axis.set_xlim(-end / 50, end)
            axis.set_ylim(0, top)
        else:
            axis.imshow(numpy.ma.masked_equal(grid.T, 0), origin="lower", aspect="auto",
                        extent=(0, end, 0, top), cmap="Greys", norm=norm,
                        interpolation="nearest", zorder=2)
        axis.set_title(f"{WORDS[arm]}: {_misses(events)}")
        axis.set_xlabel(TIME)
        axis.locator_params(nbins=6)
    axes[0].set_ylabel("file offset, MiB")
    finish(fig)
    if any(len(events) >= FEW for *_, events in grids):
        _key(fig, norm)
    return fig


def _key(fig, norm):
    """What the greys mean, in room that is made at the right."""
    at = fig.subplotpars
    right = at.right - 0.075
    fig.subplots_adjust(right=right)
    place = fig.add_axes((right + 0.02, at.bottom, 0.014, at.top - at.bottom))
    bar = fig.colorbar(ScalarMappable(norm, "Greys"), cax=place)
    bar.set_label("misses in a box")
    most = int(norm.vmax)
    bar.ax.set_ylim(1, max(most, 2))
    bar.set_ticks([x for x in (1, 10, 100, 1000, 10000) if x <= most / 2] + [max(most, 2)])
    bar.ax.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    bar.ax.minorticks_off()


def _windows(folder, cell, there):
    fig = figure(f"What readahead read: {short(cell.label, 60)}", 0.9 + 2.7 * len(there), folder)
    grid = fig.add_gridspec(len(there), 2)
    seen = {}
    for row, (arm, trace) in enumerate(there.items()):
        boxes = _boxes(trace, cell["file_bytes"])
        some = boxes[:CLOSE]
        panels = [(grid[row, 0], boxes, "all"), (grid[row, 1], some, "the first")]
        if len(boxes) <= CLOSE:
            panels = [(grid[row, :], boxes, "all")]
        for place, shown, words in panels:
            axis = fig.add_subplot(place)
            seen.update(dict.fromkeys(_draw(axis, shown)))
            axis.set_title(f"{WORDS[arm]}: {words} {counted(len(shown), 'decision')}")
            axis.set_xlabel(TIME)
            axis.locator_params(nbins=6)
            if words == "all":
                axis.set_ylabel("file offset, MiB")
    kinds = [k for k in LOOKS if k in seen]
    handles = [Patch(facecolor=LOOKS[k][0], hatch=LOOKS[k][1], edgecolor="#333333", linewidth=0.5)
               for k in kinds]
    return finish(fig, (handles, [LOOKS[k][2] for k in kinds]) if kinds else None)


def _boxes(trace, file_bytes):
    """[(kind, begin, end, low, high)] of the decisions that read anything, in ms and MiB: from
    each to the next, and no further than the file, though its window may be."""
    found = []
    for e in trace.events:
        low, high = (x * trace.page_size for x in (e["start"], e["start"] + e["size"]))
        high = min(high, file_bytes or high)
        if high > low:
            found.append((e["kind"], e["us"] / 1e3, low / 1048576, high / 1048576))
    begins = [begin for _, begin, *_ in found]
    gaps = sorted(b - a for a, b in zip(begins, begins[1:]))
    last = gaps[len(gaps) // 2] if gaps else 1
    ends = begins[1:] + [begins[-1] + last] if begins else []
    return [(kind, begin, end, low, high)
            for (kind, begin, low, high), end in zip(found, ends)]


def _draw(axis, boxes):
    """Draws the boxes and returns the kinds that there were."""
    kinds = {}
    for kind, *box in boxes:
        kinds.setdefault(kind, []).append(box)
    for kind, some in kinds.items():
        face, hatch, _ = LOOKS[kind]
        if len(boxes) <= CLOSE:
            drawn = PolyCollection([[(b, low), (b, high), (e, high), (e, low)]
                                    for b, e, low, high in some], facecolors=face, hatch=hatch,
                                   edgecolors="#333333", linewidths=0.5, zorder=2)
        else:
            # Too narrow to be boxes, and too many to be anything but one image; a dot in the
            # middle keeps a window seen that is less than a dot high.
            many = len(some) > MANY
            axis.plot([b for b, *_ in some], [(low + high) / 2 for *_, low, high in some],
                      linestyle="none", marker="s", markersize=1.4, markeredgewidth=0, color=face,
                      zorder=2, rasterized=many)
            drawn = LineCollection([[(b, low), (b, high)] for b, _, low, high in some],
                                   colors=face, linewidths=1.4, capstyle="projecting", zorder=2,
                                   rasterized=many)
        axis.add_collection(drawn)
    axis.autoscale_view()
    return kinds
