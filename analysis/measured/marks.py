# SPDX-License-Identifier: GPL-2.0-only
"""The marks that a cell is measured against (docs/results.md), and whether they are met."""
from dataclasses import dataclass

from .cells import together
from .stats import LEAST, bound
from .text import counted, figure


@dataclass(frozen=True)
class Judged:
    """A judged mark: `verdict` is "pass", "MISS" or "open", `why` says why it is open, or is another
    remark. `typed_us` is the median of the forced lines as typed. `typed_us`, `value`, `low` and
    `high` are None where nothing was measured."""
    cell: str
    engine: str | None
    what: str
    typed_us: float | None
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
            if mark["mark"] in ALONE:
                found.append(ALONE[mark["mark"]](cell, mark))
            else:
                for engine in cell.forced() or [None]:
                    found.append(JUDGES[mark["mark"]](cell, engine, mark))
    return found


def _judged(cell, engine, what, values, met, open_because=lambda *_: None, note=None):
    """met(low, median) decides; open_because(low) may say why it is not decided."""
    low, median, high = bound(values)
    why = "nothing measured" if median is None else open_because(low)
    verdict = "open" if why else "pass" if met(low, median) else "MISS"
    typed = bound(cell.typed("forced", engine).values())[1]
    return Judged(cell.label, engine, what, typed, median, low, high, verdict, why or note,
                  len(values))


def _in_ms(values):
    return [v / 1000 for v in values]


def _limit(cell, engine, mark):
    return _judged(cell, engine, f"forced / (floor + warm) <= {mark['at_most']:g}",
                   cell.of_limit(engine), lambda _, m: m <= mark["at_most"])


def _of_warm(cell, engine, mark):
    return _judged(cell, engine, f"forced / warm <= {mark['at_most']:g}",
                   cell.of_warm(engine), lambda _, m: m <= mark["at_most"])


def _too_few(values, wanted):
    """Why a bound is not known well enough, None if it is."""
    if len(values) < wanted or bound(values)[0] is None:
        return f"{counted(len(values), 'pair')}, and it takes {wanted}"
    return None


def _no_loss(cell, engine, mark):
    typed = mark.get("clock") == "typed"
    pairs = cell.typed_gain(engine) if typed else cell.gain(engine)
    cold = bound(cell.typed("cold").values() if typed else cell.values("cold"))[1]

    def undecided(_):
        least = mark.get("from_us")
        if least and cold < least:
            return f"cold takes {cold / 1000:.0f} ms, and it is about {least / 1000:g} ms and more"
        return _too_few(pairs, mark["pairs"])
    return _judged(cell, engine,
                   f"never a loss{', as typed' if typed else ''}: low of cold / forced >= "
                   f"{mark['at_least']:g}",
                   pairs, lambda low, _: low >= mark["at_least"], undecided)


def _of_cold(cell, engine, mark):
    part = [1 / gain for gain in cell.typed_gain(engine)]
    return _judged(cell, engine, f"as typed: forced / cold <= {mark['at_most']:g}", part,
                   lambda _, m: m <= mark["at_most"])


def _of_now(cell, engine, mark):
    return _judged(cell, engine, f"as typed: forced / now <= {mark['at_most']:g}",
                   cell.typed_of_now(engine), lambda _, m: m <= mark["at_most"])


def _typed_limit(cell, engine, mark):
    return _judged(cell, engine, f"(forced as typed - {mark['plus_us'] / 1000:g} ms) / (floor "
                   f"+ warm) <= {mark['at_most']:g}", cell.typed_less(engine, mark["plus_us"]),
                   lambda _, m: m <= mark["at_most"])


def _more_than_cold(cell, engine, mark):
    values, most = _in_ms(cell.typed_cost(engine)), mark["at_most_us"] / 1000
    high = bound(values)[2]
    return _judged(cell, engine, f"as typed: high of forced - cold <= {most:g} ms", values,
                   lambda *_: high <= most, lambda _: _too_few(values, LEAST))


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
    most = mark["at_most_us"] / 1000
    return _judged(cell, engine, f"first data <= {most:g} ms", _in_ms(cell.first_us(engine)),
                   lambda _, m: m <= most)


def _at_most(cell, mark):
    arm, name, most = mark["arm"], mark.get("figure"), mark["at_most_us"] / 1000
    values = _in_ms(cell.more(name, arm).values() if name else cell.values(arm))
    what = f"{arm}: {_figure(name, 'wall')} <= {most:g} ms"
    receipts = [run["receipt"] for run in cell.of(arm) if run.get("receipt")]
    short = sum(r.get("resident") != r.get("requested") for r in receipts)
    note = f"the worst of {len(values)}: {figure(max(values))}" if values else None
    if short:
        note += f"; {short} receipts do not say that all was there"
    return _judged(cell, None, what, values, lambda _, m: m <= most and not short, note=note)


def _rounds(cell, arm, name):
    """{round: value} of an arm, or of one of its further figures."""
    return cell.more(name, arm) if name else cell.rounds(arm)


def _first(cell, mark):
    arm, name, most = mark["arm"], mark["figure"], mark["at_most"]

    others = {of: bound(_rounds(cell, of, name).values())[1] for of in cell["arms"]
              if of != arm and _rounds(cell, of, name)}
    best = min(others, key=others.get, default=None)
    values = together(lambda a, b: a / b, *(_rounds(cell, of, name) for of in (arm, best))) \
        if best else []
    what = f"{arm}: {_figure(name, 'with the reader')} / that of the best other <= {most:g}"
    return _judged(cell, None, what, values, lambda _, m: m <= most,
                   note=f"the best other is {best}")


def _figure(name, without):
    """A mark's figure in words, WITHOUT one the value's."""
    return without if name is None else name.removesuffix("_us").replace("_", " ")


def _value(cell, mark):
    arm, name, most = mark["arm"], mark.get("figure"), mark["at_most"]
    what = f"{arm}: {_figure(name, cell['unit'])} <= {most:g}"
    return _judged(cell, None, what, list(_rounds(cell, arm, name).values()),
                   lambda _, m: m <= most)


def _ratio(cell, mark):
    arm, over, name, most = mark["arm"], mark["over"], mark.get("figure"), mark["at_most"]
    values = together(lambda a, b: a / b, *(_rounds(cell, of, name) for of in (arm, over)))
    what = f"{_figure(name, 'time') + ' of ' if cell.in_time else ''}{arm} / {over} <= {most:g}"
    return _judged(cell, None, what, values, lambda _, m: m <= most)


def _gain(cell, mark):
    arm, over, least = mark["arm"], mark["over"], mark["above"]
    values = together(lambda a, b: b / a, *(_rounds(cell, of, None) for of in (arm, over)))
    return _judged(cell, None, f"low of {over} / {arm} > {least:g}", values,
                   lambda low, _: low > least, lambda _: _too_few(values, mark["pairs"]))


def _cost(cell, mark):
    cost = cell.paired(lambda a, over: a - over, (mark["arm"],), (mark["over"],))
    return _judged(cell, None, f"{mark['arm']} - {mark['over']} <= {mark['at_most']:g} "
                   f"{cell['unit']}", cost, lambda _, m: m <= mark["at_most"])


JUDGES = {"limit": _limit, "of-warm": _of_warm, "no-loss": _no_loss, "speedup": _speedup,
          "first-data": _first_data, "of-cold": _of_cold, "of-now": _of_now,
          "typed-limit": _typed_limit, "more-than-cold": _more_than_cold}
# Marks about arms that belong to no engine.
ALONE = {"cost": _cost, "at-most": _at_most, "first": _first,
         "value": _value, "ratio": _ratio, "gain": _gain}
