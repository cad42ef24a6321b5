# SPDX-License-Identifier: GPL-2.0-only
"""--fail-if: [METRIC.]FIELD OP NUMBER, and nothing else is ever evaluated."""
import operator
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

FIELDS = ("ratio", "low", "high", "before", "after")
OPS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
       "==": operator.eq, "!=": operator.ne}
# The field is what follows the last dot: names of files and metrics may have dots.
FORM = re.compile(r"\s*(?:(?P<metric>.+)\.)?(?P<field>" + "|".join(FIELDS) + r")\s*"
                  r"(?P<op><=|>=|==|!=|<|>)\s*(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*")

HELP = """\
A limit is [METRIC.]FIELD OP NUMBER. FIELD is ratio (after / before), low or high (its 95 % bound),
before or after; OP is < <= > >= == or !=. METRIC is a shell pattern (* stands for anything) for
what is printed: a metric (misses), SUBJECT/METRIC, METRIC/ENGINE or SUBJECT/METRIC/ENGINE, where
the subject is a file, a cell, a job or `command`. Without it all rows count, but those that are
unknown on both sides. It is exceeded if it is true of any row:

  ratio<1                     anything has become less
  misses.ratio>1.1            more than a tenth more misses, of any file or cell
  forced.ratio>1.05           forced runs are slower, by the reader's own clock
  forced:typed.ratio>1.05     as typed, tool included
  misses.after>100            more than 100 misses are left
  random-read/forced.low<0.95 in that cell the lower bound says less
  '/srv/db/*/read_misses.after>0'

A ratio to 0 is inf, of 0 to 0 it is 1. A limit that no row matches, or that needs what is not
known (- in the table), is an error, status 2, and never passed over.
"""


@dataclass(frozen=True)
class Limit:
    """One --fail-if."""
    words: str
    metric: str | None
    field: str
    op: str
    number: float

    def matches(self, row):
        if self.metric is None:
            return row.before is not None or row.after is not None
        return any(fnmatchcase(name, self.metric) for name in row.names())

    def exceeded(self, row):
        """True or False; None where the row does not know the field."""
        value = getattr(row, self.field)
        return None if value is None else OPS[self.op](value, self.number)


def parse(words):
    """Parses a limit. Raises ValueError, whose message says what is wrong."""
    m = FORM.fullmatch(words)
    if not m:
        raise ValueError(f"not a limit: {words!r} (as in misses.ratio>1.1; see --help)")
    return Limit(words, m["metric"], m["field"], m["op"], float(m["number"]))


def judge(limits, rows):
    """(exceeded, errors): sentences; both empty if all limits are kept."""
    exceeded, errors = [], []
    for limit in limits:
        matched = [row for row in rows if limit.matches(row)]
        if not matched:
            errors.append(f"limit {limit.words!r} matches no row")
        for row in matched:
            over = limit.exceeded(row)
            if over is None:
                errors.append(f"limit {limit.words!r}: {limit.field} of {row.name} is not known")
            elif over:
                exceeded.append(f"limit {limit.words!r} is exceeded: {limit.field} of {row.name} "
                                f"is {getattr(row, limit.field):.6g}")
    return exceeded, errors
