# SPDX-License-Identifier: GPL-2.0-only
"""A cell of an experiment: one workload, its arms, and what follows from them."""
import statistics
from collections import Counter

from .source import is_number
from .stats import summary
from .text import size

# The arms of docs/results.md. Those of one experiment only are in a cell's `arms`.
TIMED = ("cold", "forced", "now", "warm", "floor")
UNTIMED = ("record", "sweep", "count", "trace-cold", "trace-forced")


class Cell:
    """`about` is the cell's object in meta.json, `runs` are its objects in runs.jsonl; `label` is
    its name in tables. A series is an arm and the engine that forced, or None."""

    def __init__(self, about, runs, label):
        self.about = about
        self.runs = runs
        self.label = label

    def __getitem__(self, field):
        return self.about.get(field)

    @property
    def name(self):
        return self.about["cell"]

    @property
    def in_time(self):
        """Are its values times, in microseconds?"""
        return self.about["unit"] == "us"

    @property
    def has_clock(self):
        """Are its values times by the reader's own clock? Otherwise they are times of the line."""
        return self.in_time and self["clock"] != "typed"

    def of(self, arm, engine=None):
        """The runs of a series, in the order in which they were made."""
        return [r for r in self.runs if r["arm"] == arm and r.get("engine") == engine]

    def rounds(self, arm, engine=None):
        """{round: value} of a timed series, in the cell's unit. The floor is measured in two ways;
        that with the lower median counts."""
        runs = [r for r in self.of(arm, engine) if r["value"] is not None]
        if arm == "floor":
            way = self.floor_way()
            runs = [r for r in runs if r.get("how") == way]
        return {r["round"]: r["value"] for r in runs}

    def floor_way(self):
        """`how` of the floor's way that counts, or None."""
        ways = {}
        for r in self.of("floor"):
            if r["value"] is not None:
                ways.setdefault(r.get("how"), []).append(r["value"])
        return min(ways, key=lambda way: statistics.median(ways[way]), default=None)

    def values(self, arm, engine=None):
        return list(self.rounds(arm, engine).values())

    def median(self, arm, engine=None):
        """The median of a series in the cell's unit; None without a run."""
        return summary(self.values(arm, engine))["median"]

    def engines(self, *arms):
        """The engines that forced in these arms, in the order of the runs; None if a run names none."""
        return list(dict.fromkeys(r.get("engine") for r in self.runs if r["arm"] in arms))

    def forced(self):
        """The engines whose forced arm has a time, the fastest first."""
        found = [e for e in self.engines("forced") if self.values("forced", e)]
        return sorted(found, key=lambda e: self.median("forced", e))

    def arms(self):
        """The timed series that have a value, as (arm, engine)."""
        found = dict.fromkeys((r["arm"], r.get("engine")) for r in self.runs
                              if r["value"] is not None and r["arm"] not in UNTIMED)
        order = [*self.about["arms"], *TIMED]
        return sorted(found, key=lambda series: order.index(series[0]))

    def series_label(self, arm, engine):
        """The arm, with its engine where there is more than one."""
        several = engine and len(self.engines(arm)) > 1
        return f"{arm}, {engine}" if several else arm

    def paired(self, function, *series):
        """[function(values of one round)] over the rounds that have them all; each series is a
        tuple (arm,) or (arm, engine)."""
        return together(function, *(self.rounds(*s) for s in series))

    def gain(self, engine):
        """cold / forced of each round."""
        return self.paired(lambda c, f: c / f, ("cold",), ("forced", engine))

    def of_limit(self, engine):
        """forced / (floor + warm) of each round: 1 where they come one after the other, less where
        they overlap."""
        return self.paired(lambda f, d, w: f / (d + w), ("forced", engine), ("floor",), ("warm",))

    def of_warm(self, engine):
        return self.paired(lambda f, w: f / w, ("forced", engine), ("warm",))

    def possible(self):
        """cold / (floor + warm) of each round: what could be gained."""
        return self.paired(lambda c, d, w: c / (d + w), ("cold",), ("floor",), ("warm",))

    def limit(self):
        """floor + warm, of their medians; None where one is missing."""
        floor, warm = self.median("floor"), self.median("warm")
        return None if floor is None or warm is None else floor + warm

    def misses_before(self):
        """Misses without forcing, one for each run that counted them."""
        return self._misses("record") or self._misses("cold")

    def misses_left(self, engine):
        """Misses with forcing, one for each run that counted them."""
        return self._misses("count", engine) or self._misses("count")

    def _misses(self, arm, engine=None):
        return [r["misses"] for r in self.of(arm, engine) if r.get("misses") is not None]

    def first_us(self, engine):
        """From the forced reader's open to its first data, microseconds."""
        return [r["first_us"] for r in self.of("forced", engine) if r.get("first_us") is not None]

    def more(self, figure, arm, engine=None):
        """{round: value} of one further figure of a series."""
        found = {r["round"]: (r.get("more") or {}).get(figure) for r in self.of(arm, engine)}
        return {i: v for i, v in found.items() if is_number(v)}

    def typed(self, arm, engine=None):
        """{round: microseconds} of the whole line as it was typed, tool included."""
        return self.more("typed_us", arm, engine)

    @property
    def is_typed(self):
        """Is it known what the whole lines took, cold and forced?"""
        return bool(self.typed("cold") and any(self.typed("forced", e) for e in self.forced()))

    def line(self, arm, engine=None):
        """{round: microseconds} that a person waits: as typed, or by the reader's clock if only
        that is known of the cell."""
        return self.typed(arm, engine) if self.is_typed else self.rounds(arm, engine)

    def line_gain(self, engine, arm="forced"):
        """cold / forced of each round, of line()."""
        return together(lambda c, f: c / f, self.line("cold"), self.line(arm, engine))

    def typed_now(self, engine):
        """typed() of `now`, by this engine or by the one that there is."""
        return self.typed("now", engine) or self.typed("now")

    def typed_gain(self, engine):
        """cold / forced of each round, by the whole lines."""
        return together(lambda c, f: c / f, self.typed("cold"), self.typed("forced", engine))

    def typed_cost(self, engine):
        """forced - cold of each round, by the whole lines, in microseconds."""
        return together(lambda c, f: f - c, self.typed("cold"), self.typed("forced", engine))

    def typed_of_now(self, engine):
        """forced / now of each round, by the whole lines."""
        return together(lambda f, n: f / n, self.typed("forced", engine), self.typed_now(engine))

    def typed_of_limit(self, engine):
        """forced / (floor + warm) of each round, by the whole lines; the device has none."""
        return together(lambda f, d, w: f / (d + w), self.typed("forced", engine),
                        self.rounds("floor"), self.typed("warm"))

    def typed_of_longer(self, engine):
        """forced / the longer of floor and warm, by the whole lines: that is the limit where the
        two overlap."""
        return together(lambda f, d, w: f / max(d, w), self.typed("forced", engine),
                        self.rounds("floor"), self.typed("warm"))

    def typed_less(self, engine, allowed_us):
        """The forced line of each round, less the time that a tool may take to start, over floor + warm
        by the reader's own clock."""
        return together(lambda f, d, w: (f - allowed_us) / (d + w), self.typed("forced", engine),
                        self.rounds("floor"), self.rounds("warm"))

    def figures(self):
        """The names of the further numbers of the timed runs, except `typed_us`."""
        timed = [r.get("more") or {} for r in self.runs if r["arm"] not in UNTIMED]
        return list(dict.fromkeys(name for more in timed for name, value in more.items()
                                  if name != "typed_us" and is_number(value)))


def together(function, *rounds):
    """[function(values of one round)] over the rounds that all have: each is {round: value}. A
    round with a ratio to 0 (a clock too coarse) has none."""
    found = []
    for i in sorted(set(rounds[0]).intersection(*rounds[1:])):
        try:
            found.append(function(*(r[i] for r in rounds)))
        except ZeroDivisionError:
            pass
    return found


def largest(cells):
    """The cells that stand for all: of each group the one furthest along x, and those that have
    no place on a curve."""
    last = {}
    for cell in cells:
        if cell["group"] is not None and cell["x"] is not None:
            best = last.get(cell["group"])
            if best is None or cell["x"] > best["x"]:
                last[cell["group"]] = cell
    return [c for c in cells if c["group"] is None or c["x"] is None or last[c["group"]] is c]


def curves(cells):
    """{group: cells by x} of the groups that have more than one x."""
    groups = {}
    for cell in cells:
        if cell["group"] is not None and cell["x"] is not None:
            groups.setdefault(cell["group"], []).append(cell)
    several = {g: c for g, c in groups.items() if max(Counter(x["x"] for x in c).values()) == 1
               and len(c) > 1}
    return {g: sorted(c, key=lambda cell: cell["x"]) for g, c in several.items()}


def x_words(cell, x):
    """A place on a cell's axis, in words."""
    if x is None:
        return "-"
    return size(x) if "bytes" in (cell["x_label"] or "") else f"{x:,}"


def base_arm(cell):
    """The series to which the others of a cell add a cost, as its marks say; None without."""
    return next(((mark["over"], None) for mark in cell["marks"] if mark["mark"] == "cost"), None)
