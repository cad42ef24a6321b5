# SPDX-License-Identifier: GPL-2.0-only
"""Loads result folders in the format of docs/results.md, and checks all of their content."""
import os
from collections import Counter

from .cells import TIMED, UNTIMED, Cell, x_words
from .source import Bad, check, parse, read, records

SCHEMA = 1
NUMBER = (int, float, None)
MARKS = {
    "limit": {"at_most": (int, float)},
    "of-warm": {"at_most": (int, float)},
    "no-loss": {"at_least": (int, float), "pairs": (int,), "clock": (str, None),
                "from_us": NUMBER},
    "of-cold": {"at_most": (int, float)},
    "of-now": {"at_most": (int, float)},
    "typed-limit": {"at_most": (int, float), "plus_us": (int, float)},
    "more-than-cold": {"at_most_us": (int, float)},
    "first": {"arm": (str,), "figure": (str, None), "at_most": (int, float)},
    "at-most": {"at_most_us": (int, float), "arm": (str,), "figure": (str, None)},
    "speedup": {"at_least": (int, float)},
    "first-data": {"at_most_us": (int, float)},
    "cost": {"at_most": (int, float), "arm": (str,), "over": (str,)},
    "value": {"at_most": (int, float), "arm": (str,), "figure": (str, None)},
    "ratio": {"at_most": (int, float), "arm": (str,), "over": (str,), "figure": (str, None)},
    "gain": {"above": (int, float), "arm": (str,), "over": (str,), "pairs": (int,)},
}
STATES = ("running", "partial", "complete")


class Folder:
    """A folder of results: `path`; `meta`, the object of meta.json; `cells`, a list of Cell; `steps`,
    the number of steps done; `cut`, the number of runs.jsonl's last line if it breaks off, else None."""

    def __init__(self, path):
        """Loads the folder. Raises Bad where it differs from docs/results.md."""
        self.path = path
        if not os.path.isdir(path):
            raise Bad(f"{path}: no folder of results" if os.path.exists(path) else
                      f"{path}: No such file or directory")
        self.meta_path = os.path.join(path, "meta.json")
        self.runs_path = os.path.join(path, "runs.jsonl")
        self.meta = self._meta()
        # An experiment that ended in its first step has no figures, but a reason.
        none = self.meta["state"] != "complete" and not (
            os.path.exists(self.runs_path) and os.path.getsize(self.runs_path))
        runs, self.cut = ([], None) if none else records(self.runs_path)
        if self.cut and self.meta["state"] == "complete":
            raise Bad(f"{self.runs_path}:{self.cut}: breaks off, though meta.json says complete")
        self.steps = len(runs)
        self.cells = self._cells(runs)
        if self.meta["state"] == "complete" and self.steps != self.meta["steps_total"]:
            raise Bad(f"{self.runs_path}:{max(runs, default=(1,))[0]}: {self.steps} steps, though "
                      f"meta.json says complete with {self.meta['steps_total']}")

    @property
    def partial(self):
        """Why the folder is not complete, in words; None if it is."""
        if self.meta["state"] == "complete":
            return None
        why = self.meta.get("reason")
        words = "still running" if self.meta["state"] == "running" else why or "interrupted"
        return (f"{self.steps} of {self.meta['steps_total']} steps are done ({words})"
                + (f"; line {self.cut} of runs.jsonl breaks off" if self.cut else ""))

    @property
    def failed(self):
        """{cell: why it could not be measured}."""
        return self.meta.get("failed") or {}

    @property
    def skipped(self):
        """{cell: why that machine could not run it}."""
        return self.meta.get("skipped") or {}

    @property
    def machine(self):
        return self.meta["machine"]

    @property
    def engines(self):
        """{engine: why it could not be used there, None if it could}."""
        return self.meta.get("engines") or {}

    def raw(self, name):
        """The path of a file below raw/. Raises Bad for a name that leads out of raw/."""
        path = os.path.join(self.path, "raw", name)
        if os.path.isabs(name) or ".." in name.split("/"):
            raise Bad(f"{self.runs_path}: raw {name!r} is not below raw/")
        return path

    def _meta(self):
        path = self.meta_path
        meta = parse(read(path), path)
        if not isinstance(meta, dict) or meta.get("record") != "experiment":
            raise Bad(f"{path}:1: not the meta.json of an experiment")
        if meta.get("schema") != SCHEMA:
            raise Bad(f"{path}:1: schema {meta.get('schema')!r}, and only {SCHEMA} is known here")
        check(meta, path, 1, experiment=(str,), state=(str,), reason=(str, None),
              command=(str, None), quick=(bool, None), rounds=(int, None), seed=(int, None),
              steps_total=(int,), machine=(dict,), cells=(list,), engines=(dict, None),
              failed=(dict, None), skipped=(dict, None),
              started=(str, None), finished=(str, None))
        check(meta["machine"], path, 1, cpus=(int, None), memory_bytes=(int, None))
        if meta["state"] not in STATES:
            raise Bad(f"{path}:1: state {meta['state']!r} is none of {', '.join(STATES)}")
        for field, kinds in (("engines", (str, type(None))), ("failed", str), ("skipped", str)):
            for name, why in (meta.get(field) or {}).items():
                if not isinstance(why, kinds):
                    raise Bad(f"{path}:1: {field}: {name} is not a text")
        for cell in meta["cells"]:
            self._check_cell(cell)
        twice = [n for n, k in Counter(c["cell"] for c in meta["cells"]).items() if k > 1]
        if twice:
            raise Bad(f"{path}:1: cell {twice[0]!r} is there twice")
        return meta

    def _check_cell(self, cell):
        path = self.meta_path
        if not isinstance(cell, dict):
            raise Bad(f"{path}:1: a cell is not an object")
        check(cell, path, 1, cell=(str,), workload=(str,), group=(str, None), x=NUMBER,
              x_label=(str, None), unit=(str,), kind=(str, None), clock=(str, None),
              file_bytes=(int, None), rounds=(int, None), arms=(list,), marks=(list,))
        where = f"{path}:1: cell {cell['cell']!r}"
        if not all(isinstance(arm, str) for arm in cell["arms"]):
            raise Bad(f"{where}: an arm is not a text")
        for mark in cell["marks"]:
            wanted = MARKS.get(mark.get("mark")) if isinstance(mark, dict) else None
            if wanted is None:
                raise Bad(f"{where}: an unknown mark")
            check(mark, path, 1, **wanted)

    def _cells(self, runs):
        names = {c["cell"]: set(TIMED + UNTIMED).union(c["arms"]) for c in self.meta["cells"]}
        by_cell = {name: [] for name in names}
        seen = {}
        for line, run in runs:
            self._check_run(run, line, names)
            key = tuple(run.get(k) for k in ("cell", "arm", "engine", "round", "how"))
            if key in seen:
                raise Bad(f"{self.runs_path}:{line}: the same step as line {seen[key]}")
            seen[key] = line
            by_cell[run["cell"]].append(run)
        labels = _labels(self.meta["cells"])
        return [Cell(c, by_cell[c["cell"]], labels[c["cell"]]) for c in self.meta["cells"]]

    def _check_run(self, run, line, names):
        path = self.runs_path
        if run.get("record") != "run":
            raise Bad(f"{path}:{line}: not the record of a run")
        check(run, path, line, cell=(str,), arm=(str,), round=(int,), engine=(str, None),
              how=(str, None), value=NUMBER, first_us=NUMBER, accesses=NUMBER, misses=NUMBER,
              receipt=(dict, None), more=(dict, None), raw=(list, None))
        if run["cell"] not in names:
            raise Bad(f"{path}:{line}: meta.json has no cell {run['cell']!r}")
        if run["arm"] not in names[run["cell"]]:
            raise Bad(f"{path}:{line}: cell {run['cell']!r} has no arm {run['arm']!r}")
        run.setdefault("value", None)
        if not all(isinstance(name, str) for name in run.get("raw") or []):
            raise Bad(f"{path}:{line}: a name in raw is not a text")


def _labels(cells):
    """{cell: its name in tables}: the workload, and more words where others have the same workload."""
    found = {c["cell"]: c["workload"] for c in cells}
    for more in (lambda c: f", {x_words(c, c['x'])}", lambda c: f" ({c['cell']})"):
        often = Counter(found.values())
        for c in cells:
            if often[found[c["cell"]]] > 1:
                found[c["cell"]] += more(c)
    return found
