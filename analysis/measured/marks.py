# SPDX-License-Identifier: GPL-2.0-only
"""The marks that a cell is measured against (docs/results.md), and whether they are met."""
from dataclasses import dataclass

from .stats import bound


@dataclass(frozen=True)
class Judged:
    """A mark, judged: `verdict` is "pass", "MISS" or "open", `why` says why it is open.
    `value`, `low` and `high` are None where nothing was measured."""
    cell: str
    engine: str | None
    what: str
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    why: str | None
    values: int


def judge(cells):
    """[Judged], one for each mark of each cell, and for each engine that forced there."""
    found = []
    for cell in cells:
        for mark in cell["marks"]:
            if mark["mark"] == "cost":
                found.append(_cost(cell, mark))
            else:
                for engine in cell.forced() or [None]:
                    found.append(JUDGES[mark["mark"]](cell, engine, mark))
    return found


def _judged(cell, engine, what, values, met, open_because=lambda *_: None):
    """met(low, median) decides; open_because(low) may say why it is not decided."""
    low, median, high = bound(values)
    why = "nothing measured" if median is None else open_because(low)
    verdict = "open" if why else "pass" if met(low, median) else "MISS"
    return Judged(cell.label, engine, what, median, low, high, verdict, why, len(values))


def _limit(cell, engine, mark):
    return _judged(cell, engine, f"forced / (floor + warm) <= {mark['at_most']:g}",
                   cell.of_limit(engine), lambda _, m: m <= mark["at_most"])


def _of_warm(cell, engine, mark):
    return _judged(cell, engine, f"forced / warm <= {mark['at_most']:g}",
                   cell.of_warm(engine), lambda _, m: m <= mark["at_most"])


def _no_loss(cell, engine, mark):
    pairs = cell.gain(engine)

    def too_few(low):
        if len(pairs) < mark["pairs"] or low is None:
            return f"{len(pairs)} pairs, and it takes {mark['pairs']}"
        return None
    return _judged(cell, engine,
                   f"never a loss: low of cold / forced >= {mark['at_least']:g}",
                   pairs, lambda low, _: low >= mark["at_least"], too_few)


def _speedup(cell, engine, mark):
    possible = bound(cell.possible())[1]

    def not_possible(_):
        if possible is None:
            return "what the device allows was not measured"
        if possible < 1.1 * mark["at_least"]:
            return f"the device allows {possible:.1f}"
        return None
    return _judged(cell, engine, f"cold / forced >= {mark['at_least']:g}",
                   cell.gain(engine), lambda _, m: m >= mark["at_least"], not_possible)


def _first_data(cell, engine, mark):
    return _judged(cell, engine, f"first data <= {mark['at_most_us']:g} us",
                   cell.first_us(engine), lambda _, m: m <= mark["at_most_us"])


def _cost(cell, mark):
    cost = cell.paired(lambda a, over: a - over, (mark["arm"],), (mark["over"],))
    return _judged(cell, None, f"{mark['arm']} - {mark['over']} <= {mark['at_most']:g} "
                   f"{cell['unit']}", cost, lambda _, m: m <= mark["at_most"])


JUDGES = {"limit": _limit, "of-warm": _of_warm, "no-loss": _no_loss, "speedup": _speedup,
          "first-data": _first_data}
