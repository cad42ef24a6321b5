# SPDX-License-Identifier: GPL-2.0-only
"""Two inputs, row by row."""
from dataclasses import dataclass

from .inputs import TYPED, mixed
from .source import Bad
from .stats import bound, ratio_of_medians
from .tables import Table
from .text import counted, tail, value


@dataclass(frozen=True)
class Row:
    """Medians of a figure before and after, their ratio after / before and its 95 % bound; None for
    a value that is not known. `counts`: the number of values on each side."""
    subject: str
    metric: str
    engine: str | None
    before: float | None
    after: float | None
    low: float | None
    ratio: float | None
    high: float | None
    counts: tuple

    @property
    def name(self):
        return "/".join(x for x in (self.subject, self.metric, self.engine) if x is not None)

    def names(self):
        """All names by which a limit may call the row."""
        own = [self.metric] + ([f"{self.metric}/{self.engine}"] if self.engine else [])
        return own + [f"{self.subject}/{name}" for name in own]


def compare(before, after):
    """[Row] of two Inputs, matched by subject, metric and engine. Raises Bad if they are of
    different kinds, or have nothing in common."""
    mixed(before, after)
    if not before.rows.keys() & after.rows.keys():
        raise Bad(f"{after.path}: no file, cell or job in common with {before.path}")
    _typed_on_both(before, after)
    rows = []
    for key in dict.fromkeys([*before.rows, *after.rows]):
        sides = [[v for v in side.rows.get(key, []) if v is not None] for side in (before, after)]
        low, ratio, high = ratio_of_medians(*sides)
        rows.append(Row(*key, bound(sides[0])[1], bound(sides[1])[1], low, ratio, high,
                        tuple(len(side) for side in sides)))
    return rows


def _typed_on_both(before, after):
    """Older results have no times as typed. Those of the other side are left out then, with a note."""
    for side, other in ((before, after), (after, before)):
        lacking = [key for key in other.rows if key[1].endswith(TYPED) and key not in side.rows
                   and (key[0], key[1].removesuffix(TYPED), key[2]) in side.rows]
        for key in lacking:
            del other.rows[key]
        if lacking:
            side.notes.append(f"{counted(len(lacking), 'arm')} without a time as typed: of "
                              "these the readers' own clocks are compared")


def table(rows):
    """The rows as a Table."""
    out, last = [], None
    for row in sorted(rows, key=lambda row: row.subject):
        subject = tail(row.subject, 60) if row.subject != last else ""
        last = row.subject
        out.append([(cell, "") for cell in (
            subject, "/".join(x for x in (row.metric, row.engine) if x), value(row.before),
            value(row.after), value(row.ratio) if row.ratio == 1 else _ratio(row.ratio),
            "-" if row.low is None else f"{_ratio(row.low)} to {_ratio(row.high)}")])
    return Table("", ["", "metric", "before", "after", "after/before", "95 % bound"], out, 2)


def _ratio(r):
    return value(r) if r is None or r in (0, float("inf")) else f"{r:.3f}"
