# SPDX-License-Identifier: GPL-2.0-only
"""What ratrace recorded of a step, in raw/ of a folder."""
import os
from collections import Counter
from dataclasses import dataclass

from .source import Bad, check, records

ARMS = ("trace-cold", "trace-forced")
KINDS = ("sync", "async", "order", "unbounded", "force")
MISSES = ("sync", "order")      # a read that missed, a fault that missed


@dataclass(frozen=True)
class Trace:
    """`events` are ratrace's records of kind event of one file, by time. `us` of each is its ts_us
    since the first event, because programs take some time before they read."""
    page_size: int
    events: list


def traces(cell, folder):
    """{arm: Trace} of a cell's traced steps that have events; of each the file with most
    events. Raises Bad where a file in raw/ is not as ratrace writes it."""
    found = {}
    for arm in ARMS:
        for run in cell.runs:
            for name in run.get("raw") or [] if run["arm"] == arm else []:
                trace = _load(folder.raw(name))
                if trace and trace.events:
                    found[arm] = trace
    return found


def _load(path):
    """The Trace in a file; None in one of another program."""
    if not os.path.exists(path):
        raise Bad(f"{path}: No such file or directory")
    with open(path, "rb") as f:
        if b'"ratrace"' not in f.readline(4096):
            return None
    lines, cut = records(path)
    if cut:
        raise Bad(f"{path}:{cut}: breaks off in the middle of a record")
    check(lines[0][1], path, lines[0][0], page_size=(int,))
    events = []
    for line, record in lines[1:]:
        if record.get("record") == "event":
            check(record, path, line, ts_us=(int, float), kind=(str,), index=(int,),
                  start=(int,), size=(int,), async_size=(int, None), file=(str, None))
            if record["kind"] not in KINDS:
                raise Bad(f"{path}:{line}: an unknown kind of event: {record['kind']!r}")
            events.append(record)
    most = Counter(e.get("file") for e in events).most_common(1)
    events = [e for e in events if e.get("file") == most[0][0]]
    first = min((e["ts_us"] for e in events), default=0)
    return Trace(lines[0][1]["page_size"], sorted(({**e, "us": e["ts_us"] - first} for e in events),
                                                  key=lambda e: e["us"]))
