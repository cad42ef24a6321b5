# SPDX-License-Identifier: GPL-2.0-only
"""The records as text."""
import shlex

from perflib import stages

SHOWN = 0.02  # the share of a function's samples from which an instruction is shown


def report(records, top, whole):
    """TOP of the hottest functions; machine code as a whole, or its hot instructions only."""
    of = {}
    for r in records:
        of.setdefault(r["record"], []).append(r)
    arms = [r["arm"] for r in of["command"] if r["samples"] is not None]
    parts = [head(of["meta"][0]), commands(of["command"])]
    if arms:
        stage = by_arm(of.get("stage", []), arms, lambda r: r["stage"])
        parts.append(table(["STAGE", *heads(arms)],
                           [[s, *cells(stage[s])] for s in stages.ORDER if s in stage]))
        function = by_arm(of.get("function", []), arms, lambda r: (r["function"], r["stage"]))
        hottest = sorted(function, key=lambda key: -max(us(r) for r in function[key]))[:top]
        parts.append(table(["FUNCTION", "STAGE", *heads(arms)],
                           [[*key, *cells(function[key])] for key in hottest], words=2))
    if "program" in of:
        parts.append(programs(of["program"]))
    for name in dict.fromkeys(r["function"] for r in of.get("instruction", [])):
        parts.append(listing(name, [r for r in of["instruction"] if r["function"] == name], whole))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def table(titles, rows, words=1):
    """The first columns hold words, the others figures."""
    rows = [titles, *rows]
    width = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(w) if i < words else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(row, width))).rstrip() for row in rows]


def ms(value):
    return "-" if value is None else f"{value / 1000:.1f}"


def number(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share):
    return f"{100 * share:.1f}%"


def head(meta):
    what = shlex.join(meta["command"])
    if meta["watch"]:
        what += ", watched by " + shlex.join(meta["watch"])
    how = f"Linux {meta['kernel']}, "
    how += (f"event {meta['event']}, {meta['frequency']} samples a second of CPU time"
            if meta["event"] else "no samples")
    return [what, how] + [missing(m) for m in meta["missing"]]


def missing(what):
    return f"not here: {what['what']} ({what['reason']}). It takes {what['brings']}"


def commands(rows):
    lines = table(["RUN", "RUNS", "WALL ms", "CPU ms", "FROM-TO", "TOOL ms", "SAMPLES"], [
        [r["arm"], str(r["runs"]), ms(r["wall_us"]), ms(r["cpu_us"]),
         f"{ms(r['cpu_us_min'])}-{ms(r['cpu_us_max'])}" if r["runs"] > 1 else "-",
         ms(r["tool_cpu_us"]), number(r["samples"])] for r in rows])
    for r in rows:
        if r["status"] != 0:
            how = f"signal {r['signal']}" if r["signal"] else f"status {r['status']}"
            lines.append(f"COMMAND ended with {how} ({r['arm']})")
    return lines


def by_arm(rows, arms, key):
    """{key: [a record, or None, for each arm]}"""
    found = {}
    for row in rows:
        found.setdefault(key(row), [None] * len(arms))[arms.index(row["arm"])] = row
    return found


def us(row):
    return row["cpu_us"] if row else 0


def heads(arms):
    if len(arms) == 1:
        return ["CPU ms", "SHARE"]
    return [*(f"{arm.upper()} ms" for arm in arms), "MORE ms"]


def cells(rows):
    """Columns of one arm: time and share; of two arms: both times and their difference."""
    if len(rows) == 1:
        return [ms(us(rows[0])), percent(rows[0]["share"])]
    return [*map(ms, map(us, rows)), f"{(us(rows[1]) - us(rows[0])) / 1000:+.1f}"]


def programs(rows):
    rows = sorted(rows, key=lambda r: -(r["run_ns"] or r["cpu_us"] or 0))
    return table(["BPF PROGRAM", "OF", "RUNS", "NS/RUN", "COUNTED ms", "SAMPLED ms"], [
        [r["program"], r["owner"] or "-", number(r["runs"]), number(r["ns_per_run"], 1),
         ms(r["run_ns"] and r["run_ns"] / 1000), ms(r["cpu_us"])] for r in rows], words=2)


def listing(name, rows, whole):
    """Instructions under the source lines that they came from."""
    shown = [r for r in rows if whole or r["share"] >= SHOWN]
    what = "all its code" if whole else (f"instructions with {SHOWN:.0%} of its samples or more"
                                         f" ({len(shown)} of {len(rows)})")
    lines, source = [f"{name}: {what}"], None
    for r in shown:
        if r["source"] != source:
            source = r["source"]
            lines.append(f"                 {source}")
        lines.append(f"{percent(r['share']):>7}  {r['offset']:>5x}      {r['code']}")
    return lines
