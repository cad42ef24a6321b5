# SPDX-License-Identifier: GPL-2.0-only
"""The conclusions for an operator, in sentences. A ratio counts as a gain or loss only if its bound
does not contain 1."""
from .cells import base_arm, curves, largest, x_words
from .machine import place
from .stats import LEAST, bound
from .text import counted, durations, figure, share, size, times

# The gain that is worth the trouble: forcing has to save half of this share of a run, installing an
# engine all of it.
WORTH = 0.10
INSTALL = {"kfunc": "the module bpf_page2cache", "helper": "the kernel patch"}
GAIN, LOSS, LITTLE, UNKNOWN, FEW = "gain", "loss", "little", "unknown", "few"


def opening(folder):
    """For a reader who knows nothing of it: what was tried, on which machine, with which outcome."""
    pairs = [c for c in largest(folder.cells) if _timed_pair(c)]
    out = ("page2cache records which pages of its files a program waits for when it starts with "
           "nothing cached, and loads just these ahead of it at later starts (\"forcing\").")
    if not pairs:
        return f"{out} What follows was measured {place(folder)}."
    rounds = sorted({len(c.line_gain(c.forced()[0])) for c in pairs})
    how_often = " or ".join(", ".join(map(str, rounds)).rsplit(", ", 1))
    out += (f" Here {counted(len(pairs), 'workload')} ran without and with that, "
            f"{how_often + ' times' if rounds != [1] else 'once'} each, {place(folder)}.")
    if any(c.label.startswith("fio ") for c in pairs):
        out += (" (fio is a program that reads files in ways that it is told: psync reads, mmap "
                "maps the file; seq goes from front to back, rand jumps.)")
    return f"{out} {_capital(_came_of(pairs))}."


def _came_of(pairs):
    """How many workloads became faster, how many slower, and which changed most."""
    typed = "as typed, the tool's own start and end included, " if any(
        c.is_typed for c in pairs) else ""
    parts = []
    for kind, words, most in ((GAIN, "faster", max), (LOSS, "slower", min)):
        found = [c for c in pairs if _verdict(c) == kind]
        if found:
            cell = most(found, key=_gain)
            cold, forced = durations(*_took(cell, cell.forced()[:1]))
            most_of_all = "most of all " if len(found) > 1 else ""
            parts.append(f"{len(found)} of {len(pairs)} became {words}, {most_of_all}{cell.label}: "
                         f"from {cold} to {forced}")
    for kinds, words in (((UNKNOWN, LITTLE), "of {} no difference can be told, or none worth "
                          "mentioning"), ((FEW,), "of {} there are too few rounds to tell")):
        many = sum(_verdict(c) in kinds for c in pairs)
        if many:
            parts.append(words.format(many))
    return typed + "; ".join(parts)


def sentences(folder):
    """[text] for a folder: the gain of each workload, the largest first, then losses and undecided
    workloads (of a curve: its last point, and its range), then the cost of watching and the
    like, then what is known of the other engines."""
    chosen = largest(folder.cells)
    ranges = curves(folder.cells)
    out = []
    pairs = [c for c in chosen if _timed_pair(c)]
    order = (GAIN, LOSS, UNKNOWN, LITTLE, FEW)
    for cell in sorted(pairs, key=lambda c: (order.index(_verdict(c)), -_gain(c))):
        out.append(_sentence(cell))
        if cell["group"] in ranges:
            out += _range(cell["group"], ranges[cell["group"]])
    out += [_plain(c) for c in chosen if c not in pairs and c.arms()]
    return out + _installations(folder)


def _timed_pair(cell):
    return cell.in_time and cell.median("cold") and cell.forced()


def _gain(cell):
    """The median of cold / forced with the fastest engine, by the time that a person waits."""
    return bound(cell.line_gain(cell.forced()[0]))[1] or 0


def _verdict(cell):
    return _judge(bound(cell.line_gain(cell.forced()[0])))


def _judge(gain):
    """Whether a (low, median, high) of cold / forced is a gain, a loss or neither."""
    low, median, high = gain
    if low is None:
        return FEW
    if high < 1:
        return LOSS
    if low <= 1:
        return UNKNOWN
    return GAIN if median >= 1 / (1 - WORTH / 2) else LITTLE


def _took(cell, engines):
    """Medians of the time that a person waits: cold, then forced by each of these engines."""
    return [bound(cell.line(*series).values())[1]
            for series in [("cold",), *(("forced", e) for e in engines)]]


def _sentence(cell):
    engines = cell.forced()
    cold, *took = durations(*_took(cell, engines))
    gains = [_fast(bound(cell.line_gain(e))) for e in engines]
    out = f"{cell.label}: "
    if len(engines) == 1:
        out += f"{took[0]} with forcing, {cold} without"
    else:
        out += ", ".join(f"{t} with {e or 'pcforce'} ({g})" for t, e, g in
                         zip(took, engines, gains)) + f"; {cold} without forcing"
    verdict = _verdict(cell)
    if verdict == GAIN:
        return f"{out}: {gains[0]}.{_to_the_limit(cell)}"
    return out + {
        LOSS: f": forcing loses here ({gains[0]}), leave it.",
        LITTLE: f": forcing gains nothing worth mentioning here ({gains[0]}), leave it.",
        UNKNOWN: f": no difference that these rounds can tell ({gains[0]}).",
        FEW: f". That is {counted(len(cell.line_gain(engines[0])), 'round')}, and a gain takes "
             f"{LEAST} to be told from chance.{_to_the_limit(cell)}"}[verdict]


def _fast(gain):
    """17x as fast, 16x to 18x"""
    low, median, high = gain
    return f"{times(median)} as fast" + ("" if low in (None, high) else
                                         f", {times(low)} to {times(high)}")


def _to_the_limit(cell):
    """A gain compared with the largest possible one, by the reader's clock."""
    best = cell.forced()[0]
    clock = "By the reader's own clock " if cell.has_clock else "As typed "
    floor, warm, forced = (cell.median(*s) for s in (("floor",), ("warm",), ("forced", best)))
    if floor is not None and warm is not None:
        alone, cached, both, all_of_it = durations(floor, warm, floor + warm, forced)
        return (f" {clock}the device alone takes {alone} for these pages (floor) and the program "
                f"{cached} with all cached (warm), one after the other {both}; with forcing it is "
                f"{all_of_it}, {figure(bound(cell.of_limit(best))[1])} of that.")
    if warm:
        cached, all_of_it = durations(warm, forced)
        return (f" {clock}it takes {cached} with all cached (warm); with forcing it is "
                f"{all_of_it}, {figure(bound(cell.of_warm(best))[1])} of that.")
    return ""


def _range(group, cells):
    gains = [(bound(c.line_gain(c.forced()[0])), c) for c in cells if _timed_pair(c)]
    gains = [(g, c) for g, c in gains if g[1] is not None]
    if len(gains) < 2:
        return []
    (low, at_low), (high, at_high) = (f(gains, key=lambda g: g[0][1]) for f in (min, max))
    first, last = gains[0][1], gains[-1][1]
    out = (f"{group}, {x_words(first, first['x'])} to {x_words(last, last['x'])}: from "
           f"{times(low[1])} as fast (at {x_words(at_low, at_low['x'])}) to {times(high[1])} "
           f"(at {x_words(at_high, at_high['x'])})")
    for kind, words in ((LOSS, "forcing loses at"), (UNKNOWN, "no difference can be told at")):
        where = [x_words(c, c["x"]) for g, c in gains if _judge(g) == kind]
        if where:
            out += f"; {words} {', '.join(where)}"
    return [out + "."]


def _plain(cell):
    """A cell without cold and forced: the times of its arms, or what they add to the arm without a tool."""
    base = base_arm(cell)
    if base and cell.values(*base):
        costs = {s: bound(cell.paired(lambda a, b: a - b, s, base))[1]
                 for s in cell.arms() if s != base}
        costs = {s: cost for s, cost in costs.items() if cost is not None}
        alone, *more = _in_one_unit(cell, cell.median(*base), *costs.values())
        parts = [f"{alone}{'' if cell.in_time else ' ' + cell['unit']} with {base[0]}"]
        parts += [f"{cell.series_label(*s)} adds {words}" for s, words in zip(costs, more)]
    else:
        arms = sorted(cell.arms(), key=lambda s: cell.median(*s))
        parts = [f"{cell.series_label(*s)} {words}" for s, words in
                 zip(arms, _in_one_unit(cell, *(cell.median(*s) for s in arms)))]
    memory = [v for s in cell.arms() for v in cell.more("max_rss_bytes", *s).values()]
    if memory:
        parts.append(f"memory {size(max(memory))} at most")
    return f"{cell.label}: " + "; ".join(parts) + "."


def _in_one_unit(cell, *values):
    return durations(*values) if cell.in_time else [figure(v) for v in values]


def _installations(folder):
    """Sentences about the module and the patch: what they save where they save most, if they were
    measured; else only how far the limit is. Workloads without a gain by forcing are left out, with
    any engine. Of a curve the last point counts, because a large share of a tiny file's time is
    nothing."""
    cells = [c for c in largest(folder.cells) if _timed_pair(c) and _verdict(c) in (GAIN, FEW)]
    out, unmeasured = [], []
    for engine, what in INSTALL.items():
        found = [(c, before) for c in cells for before in [_before(c, engine)] if before]
        if found:
            out.append(_worth(engine, what, found))
        elif not any(c.forced()[0] == "helper" for c in cells):     # the best engine of all
            unmeasured.append((engine, what))
    return out + (_left(folder, cells, unmeasured) if unmeasured else [])


def _before(cell, engine):
    """The next best engine, of a cell that was forced by both; else None."""
    forced = cell.forced()
    if engine not in forced:
        return None
    return next((e for e in (("kfunc", "user") if engine == "helper" else ("user",))
                 if e in forced), None)


def _worth(engine, what, found):
    """What ENGINE saves of the time of the next best one, by paired rounds of [(cell, before)]."""
    def part(pair):
        cell, before = pair
        return bound(cell.paired(lambda b, e: (b - e) / b, ("forced", before), ("forced", engine)))
    cell, before = best = max(found, key=lambda pair: part(pair)[1])
    low = part(best)[0]
    of = cell.median("forced", before)
    saved = of - cell.median("forced", engine)
    where = f" (most in: {cell.label})" if len(found) > 1 else ""
    what = _capital(what)
    if low is None or low <= 0:
        return f"{what} is not worth it here: no gain over engine {before} can be told."
    amount, all_of_it = durations(saved, of)
    return (f"{what} is {'' if saved > WORTH * of else 'not '}worth it here: it saves {amount} "
            f"({share(saved, of)}) of engine {before}'s {all_of_it}{where}.")


def _left(folder, cells, unmeasured):
    """How far the forced runs are from floor + warm, and that the share of it which the other engines
    would save was not measured."""
    far = [(c.median("forced", c.forced()[0]), c.limit(), c) for c in cells
           if c.limit() is not None]
    if not far:
        return []
    forced, limit, cell = max(far, key=lambda f: (f[0] - f[1]) / f[0])
    if forced - limit <= WORTH / 10 * forced:
        return ["Another engine has nothing to gain here: nowhere does the forced run take longer "
                "than floor + warm."]
    names = " or ".join(what for _, what in unmeasured)
    both, least = durations(forced, limit)
    most = f"is furthest from floor + warm in {cell.label}: {both} and {least}" if len(far) > 1 \
        else f"takes {both}, floor + warm {least}"
    out = [f"The forced run {most}. Whether {names} would save any of the "
           "difference was not measured."]
    for engine, what in unmeasured:
        reason = folder.engines.get(engine)
        if reason:
            out.append(f"{_capital(what)} is not here: {reason.rstrip('.')}.")
        elif engine in folder.engines:
            out.append(f"This machine has {what}: scripts/experiment engines tells.")
    return [" ".join(out)]


def _capital(words):
    return words[:1].upper() + words[1:]
