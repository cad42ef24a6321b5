# SPDX-License-Identifier: GPL-2.0-only
"""What an operator needs to know, in sentences."""
from dataclasses import dataclass

from .cells import base_arm, curves, largest, x_words
from .stats import bound
from .text import duration, figure, share, size, times

# What has to be gained to be worth the trouble: of a run by forcing, half of it; of an engine's
# time by an installation, all of it.
WORTH = 0.10
INSTALL = {"kfunc": "the module bpf_page2cache", "helper": "the kernel patch"}


@dataclass(frozen=True)
class Saving:
    """What an engine saves, or could save, of another's time: microseconds, and why it
    cannot be used yet (None: it was measured, or nothing is known)."""
    cell: str
    engine: str
    measured: bool
    saved: float
    of: float
    over: str

    @property
    def part(self):
        return self.saved / self.of if self.of else 0

    @property
    def worth(self):
        return self.part > WORTH


def sentences(folder):
    """[text] for a folder: the gain of each workload, the largest first (of a curve: of its last
    point, and its range), then what watching costs and the like, then whether an engine is worth
    installing."""
    chosen = largest(folder.cells)
    ranges = curves(folder.cells)
    out = []
    pairs = [c for c in chosen if _timed_pair(c)]
    for cell in sorted(pairs, key=lambda c: c.median("forced", c.forced()[0]) / c.median("cold")):
        out.append(_gain(cell))
        if cell["group"] in ranges:
            out += _range(cell["group"], ranges[cell["group"]])
    out += [_plain(c) for c in chosen if c not in pairs and c.arms()]
    return out + _installations(folder)


def _timed_pair(cell):
    return cell.in_time and cell.median("cold") and cell.forced()


def _gain(cell):
    cold, engines = cell.median("cold"), cell.forced()
    took = {e: cell.median("forced", e) for e in engines}
    best = engines[0]
    out = f"{cell.label}: forcing this list takes "
    if len(engines) == 1:
        out += duration(took[best])
    else:
        out += ", ".join(f"{duration(took[e])} with {e or 'pcforce'} ({_times(cell, e)})"
                         for e in engines)
    floor, warm = cell.median("floor"), cell.median("warm")
    if floor is not None:
        out += f", the device's floor is {duration(floor)}"
    out += f"; without forcing it is {duration(cold)}"
    if took[best] > cold * (1 + WORTH / 2):
        return out + f": forcing loses here ({_times(cell, best)}), leave it."
    if not _gains(cell):
        return out + ": forcing gains nothing worth mentioning here, leave it."
    out += f": you gain {_times(cell, best)}."
    if floor is not None and warm is not None:
        out += (f" The floor and a warm run, one after the other, take "
                f"{duration(floor + warm)}: this is {figure(bound(cell.of_limit(best))[1])} "
                "of that.")
    elif warm:
        out += (f" A warm run takes {duration(warm)}: this is "
                f"{figure(bound(cell.of_warm(best))[1])} of that.")
    return out


def _gains(cell):
    return cell.median("forced", cell.forced()[0]) <= cell.median("cold") * (1 - WORTH / 2)


def _times(cell, engine):
    return times(bound(cell.gain(engine))[1])


def _range(group, cells):
    gains = [(bound(c.gain(c.forced()[0]))[1], c) for c in cells if _timed_pair(c)]
    gains = [(g, c) for g, c in gains if g is not None]
    if len(gains) < 2:
        return []
    (low, at_low), (high, at_high) = (f(gains, key=lambda g: g[0]) for f in (min, max))
    first, last = gains[0][1], gains[-1][1]
    return [f"{group}, {x_words(first, first['x'])} to {x_words(last, last['x'])}: the "
            f"gain goes from {times(low)} (at {x_words(at_low, at_low['x'])}) to {times(high)} "
            f"(at {x_words(at_high, at_high['x'])})."]


def _plain(cell):
    """A cell without cold and forced: what its arms took, or add to what it takes without."""
    words = duration if cell.in_time else figure
    base = base_arm(cell)
    if base and cell.values(*base):
        costs = {s: bound(cell.paired(lambda a, b: a - b, s, base))[1]
                 for s in cell.arms() if s != base}
        parts = [f"{words(cell.median(*base))}{'' if cell.in_time else ' ' + cell['unit']} with "
                 + base[0]]
        parts += [f"{cell.series_label(*s)} adds {words(cost)}" for s, cost in costs.items()
                  if cost is not None]
    else:
        parts = [f"{cell.series_label(*s)} {words(cell.median(*s))}" for s in
                 sorted(cell.arms(), key=lambda s: cell.median(*s))]
    memory = [v for s in cell.arms() for v in cell.more("max_rss_bytes", *s).values()]
    if memory:
        parts.append(f"memory {size(max(memory))} at most")
    return f"{cell.label}: " + "; ".join(parts) + "."


def _installations(folder):
    """Of the module and the patch: what they are worth where they are worth most. Of a curve
    its last point counts: a large part of a tiny file's time is nothing."""
    out = []
    chosen = largest(folder.cells)
    for engine, what in INSTALL.items():
        savings = [s for s in (_saving(c, engine) for c in chosen) if s]
        if savings:
            out.append(_worth(max(savings, key=lambda s: s.part), what, folder,
                              many=len(chosen) > 1))
    return out


def _saving(cell, engine):
    """Saving of an engine in a cell; None where the cell does not tell. Of one that was not
    measured it is estimated that it comes to the floor and a warm run, one after the other."""
    if not _timed_pair(cell) or not _gains(cell):
        return None
    took = {e: cell.median("forced", e) for e in cell.forced()}
    best = cell.forced()[0]
    if engine in took:
        before = next((e for e in (("kfunc", "user") if engine == "helper" else ("user",))
                       if e in took), None)
        return before and Saving(cell.label, engine, True, took[before] - took[engine],
                                 took[before], before)
    limit = cell.limit()
    if limit is None or best == "helper":       # there is none above it
        return None
    return Saving(cell.label, engine, False, took[best] - limit, took[best], best)


def _worth(saving, what, folder, many):
    where = f" (most in: {saving.cell})" if many else ""
    what = _capital(what)
    amount = f"{duration(max(saving.saved, 0))} ({share(max(saving.saved, 0), saving.of)})"
    if saving.measured:
        if saving.saved <= 0:
            return f"{what} is not worth it here: it is no faster than engine {saving.over}."
        return (f"{what} is {'' if saving.worth else 'not '}worth it here: it saves {amount} of "
                f"engine {saving.over}'s {duration(saving.of)}{where}.")
    if not saving.worth:
        if saving.part < WORTH / 10:
            return f"{what} would gain nothing more here."
        return f"{what} is not worth it here: about {amount} are left to save{where}."
    out = f"{what} may be worth it: about {amount} are left to save{where}."
    reason = folder.engines.get(saving.engine)
    if reason:
        out += f" It is not here: {reason.rstrip('.')}."
    elif saving.engine in folder.engines:
        out += " This machine has it: scripts/experiment engines tells."
    return out


def _capital(words):
    return words[:1].upper() + words[1:]
