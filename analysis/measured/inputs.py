# SPDX-License-Identifier: GPL-2.0-only
"""Result files of any kind as rows of figures, for a comparison."""
import os
from dataclasses import dataclass, field

from .folder import Folder
from .source import Bad, is_number, parse, read, records

# Fields of a record that are names, not figures.
NAMES = {"record", "file", "dev", "ino", "engine", "trigger", "reason", "meaning",
         "window_pages_hist", "status", "signal", "exact"}
RESULTS = {"cachemiss": ("file", "resident"), "ratrace": ("file",), "pcforce": ("receipt",)}
KINDS = {"meta", "interval", "file", "event", "receipt", "command", "check", "resident"}
FIO = ("read", "write", "trim")
# Follows an arm's name: times of the whole line as typed, as opposed to those by the reader's clock.
TYPED = ":typed"


@dataclass
class Input:
    """`rows` is {(subject, metric, engine or None): [values]}, each value a number or None; `same`
    is {what: (value, "FILE:LINE")} that must be the same in another input; `sizes` are the sizes of
    the files of an experiment's cells, which must be the same in both inputs."""
    path: str
    same: dict
    sizes: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def add(self, where, subject, metric, engine, *values):
        """Adds values to a row; raises Bad for one that is neither a number nor None."""
        for v in values:
            if v is not None and not is_number(v):
                raise Bad(f"{where}: {metric} is not a number")
        self.rows.setdefault((subject, metric, engine), []).extend(values)


def load(path):
    """The Input in a file or folder. Raises Bad if it is no input, or of several kinds."""
    if os.path.isdir(path):
        return _folder(path)
    if os.path.basename(path) in ("meta.json", "runs.jsonl"):
        return _folder(os.path.dirname(path) or ".")
    text = read(path)
    first = text.lstrip().split("\n", 1)[0]
    if '"record"' in first:
        return _tool(path)
    return _fio(path, text)


def mixed(before, after):
    """Raises Bad if the two cannot be compared."""
    for what, (value, where) in before.same.items():
        other, there = after.same.get(what, (None, f"{after.path}:1"))
        if value != other:
            raise Bad(f"{there}: mixed input: {what} {other or 'none'}, but {value} at {where}")
    for cell in before.sizes.keys() & after.sizes.keys():
        (value, where), (other, there) = before.sizes[cell], after.sizes[cell]
        if value != other:
            raise Bad(f"{there}: mixed input: cell {cell} on {other} bytes, but {value} at {where}")


def _folder(path):
    folder = Folder(path)
    meta = f"{folder.meta_path}:1"
    found = Input(path, {"tool": ("experiment", meta),
                         "experiment": (folder.meta["experiment"], meta)})
    found.sizes = {cell.name: (cell["file_bytes"], meta) for cell in folder.cells}
    if folder.partial:
        found.notes.append(f"PARTIAL: {folder.partial}")
    if folder.meta.get("quick"):
        found.notes.append("QUICK: a look, not a result")
    for cell in folder.cells:
        for arm, engine in cell.arms():
            typed = cell.typed(arm, engine).values()
            if typed:
                found.add(meta, cell.name, arm + TYPED, engine, *typed)
            if cell.has_clock or not typed:
                found.add(meta, cell.name, arm, engine, *cell.values(arm, engine))
            for name in cell.figures():
                values = cell.more(name, arm, engine).values()
                if values:
                    found.add(meta, cell.name, f"{arm}:{name}", engine, *values)
        if cell.misses_before():
            found.add(meta, cell.name, "misses", None, *cell.misses_before())
        for engine in cell.forced():
            if cell.misses_left(engine):
                found.add(meta, cell.name, "left", engine, *cell.misses_left(engine))
            if cell.first_us(engine):
                found.add(meta, cell.name, "first_us", engine, *cell.first_us(engine))
    return found


def _tool(path):
    """Output of cachemiss, ratrace or pcforce with -j; outputs of several runs in one file are
    repeated values."""
    lines, cut = records(path)
    if cut:
        raise Bad(f"{path}:{cut}: breaks off in the middle of a record")
    found = Input(path, {})
    for line, record in lines:
        where = f"{path}:{line}"
        kind = record.get("record")
        if not isinstance(kind, str):
            raise Bad(f"{where}: record is not a text")
        if kind == "meta":
            _agree(found, record, where)
        elif not found.same:
            raise Bad(f"{where}: no meta record before this one")
        elif kind not in KINDS:
            raise Bad(f"{where}: a record of an unknown kind: {kind!r}")
        elif kind in RESULTS[found.same["tool"][0]]:
            other, there = found.same.setdefault("records", (kind, where))
            if other != kind:
                raise Bad(f"{where}: mixed input: records {kind}, but {other} at {there}")
            _figures(found, _subject(record), record, where)
        elif kind == "command":
            _figures(found, "command", record, where)
            if record.get("status") or record.get("signal"):
                found.notes.append(f"the command ended with status {record.get('status')}, "
                                   f"signal {record.get('signal')}")
    if "records" not in found.same:
        raise Bad(f"{path}:{lines[-1][0]}: no record of a file's figures up to the end")
    return found


def _agree(found, meta, where):
    """Takes the fields of a meta record; all meta records of a file must agree."""
    if not isinstance(meta.get("tool"), str) or meta["tool"] not in RESULTS:
        raise Bad(f"{where}: not of cachemiss, ratrace or pcforce: tool {meta.get('tool')!r}")
    for what in ("tool", "schema", "page_size"):
        if not isinstance(meta.get(what), (str, int)):
            raise Bad(f"{where}: no {what}")
        value, there = found.same.setdefault(what, (meta[what], where))
        if value != meta[what]:
            raise Bad(f"{where}: mixed input: {what} {meta[what]}, but {value} at {there}")


def _subject(record):
    if record.get("file") is not None:
        return str(record["file"])
    if record.get("dev") is not None:
        return f"dev {record['dev']} ino {record.get('ino')}"
    return "(no name)"


def _figures(found, subject, record, where):
    if record.get("exact") is False:
        found.notes.append(f"{subject}: counts are lower bounds, as events were missed")
    for name, value in record.items():
        if name not in NAMES:
            found.add(where, subject, name, None, value)


def _fio(path, text):
    """fio's --output-format=json; jobs of one name are repeated values."""
    value = parse(text, path)
    if not isinstance(value, dict) or "fio version" not in value:
        raise Bad(f"{path}:1: neither of page2cache's tools nor of fio")
    jobs = value.get("jobs")
    if not isinstance(jobs, list) or not jobs:
        raise Bad(f"{path}:1: fio did no job")
    found = Input(path, {"tool": ("fio", f"{path}:1")})
    try:
        for job in jobs:
            _fio_job(found, job)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Bad(f"{path}:1: not as fio writes its jobs") from None
    return found


def _fio_job(found, job):
    where, name = f"{found.path}:1", str(job["jobname"])
    if job.get("error"):
        found.notes.append(f"job {name} ended with error {job['error']}")
    for way in FIO:
        part = job.get(way)
        if not part or not part["total_ios"]:
            continue
        found.add(where, name, f"{way}_runtime_ms", None, part["runtime"])
        found.add(where, name, f"{way}_iops", None, part["iops"])
        found.add(where, name, f"{way}_bw_bytes", None, part["bw_bytes"])
        found.add(where, name, f"{way}_lat_ns_mean", None, part["lat_ns"]["mean"])
        for percentile, ns in part.get("clat_ns", {}).get("percentile", {}).items():
            if float(percentile) in (50, 99):
                found.add(where, name, f"{way}_clat_ns_p{float(percentile):.0f}", None, ns)
    found.add(where, name, "majf", None, job.get("majf"))
