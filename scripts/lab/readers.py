# SPDX-License-Identifier: GPL-2.0-only
"""The workloads: for each a command, and how the time by its own clock is read.

A reader's clock runs from its open to its last access, so it does not measure the work of a tool
before and after that."""
import collections
import json
import os
import shutil

from lab import tools
from lab.tools import Failed

# us: the workload's time, None if it has no clock. first_us: from the open to the first data, None if
# not known. accesses: how many it made. more: further figures. raw: its output, {name's end: text}.
Reading = collections.namedtuple("Reading", "us first_us accesses more raw")


class Own:
    """A program that prints one JSON line: elapsed_us, first_us, accesses and perhaps more."""

    MORE = ("restore_us",)

    def __init__(self, command):
        self.command = command

    def read(self, out):
        found = tools.last_object(out, self.command[0])
        return Reading(found["elapsed_us"], found.get("first_us"), found.get("accesses"),
                       {k: found[k] for k in self.MORE if k in found}, {"reader.json": out})


class Line:
    """A program without a clock of its own: only the whole line's time is known."""

    def __init__(self, command):
        self.command = command

    @staticmethod
    def read(_):
        return Reading(None, None, None, {}, {})


class Fio:
    """fio with a file and options. Its time is the sum of its latencies: for an engine that makes one
    request at a time that is its running time, more precise than fio's own milliseconds."""

    def __init__(self, engine, path, options, work):
        if not shutil.which("fio"):
            raise Failed("fio is not installed (scripts/setup experiment brings it)")
        self.out = os.path.join(work, "fio.json")
        # By default fio would drop the file's pages at its start.
        self.command = ["fio", "--name=page2cache", f"--filename={path}", f"--ioengine={engine}",
                        "--bs=4k", "--invalidate=0", "--thread", *options,
                        "--output-format=json", f"--output={self.out}"]

    def job(self, out):
        """What fio says of its one job, and all that it has written. OUT: what it said meanwhile."""
        with open(self.out, encoding="utf-8") as f:
            text = f.read()
        os.unlink(self.out)
        # A warning can stand before the JSON.
        if "{" not in text:
            raise Failed(f"fio: {text.strip()[:300]} {out.strip()[-300:]}")
        job = json.loads(text[text.index("{"):])["jobs"][0]
        if job["error"] or not job["read"]["lat_ns"]["N"]:
            raise Failed(f"fio: error {job['error']}, {job['read']['lat_ns']['N']} reads")
        return job, text

    def read(self, out):
        job, text = self.job(out)
        took = job["read"]["lat_ns"]
        return Reading(took["mean"] * took["N"] / 1000, None, took["N"], {}, {"fio.json": text})


def fio_replay(engine, path, extents, work, page):
    """fio reading the extents of a list, in its order."""
    log = os.path.join(work, "iolog")
    with open(log, "w", encoding="ascii") as f:
        f.write(f"fio version 2 iolog\n{path} add\n{path} open\n")
        for first, n in extents:
            f.write(f"{path} read {first * page} {n * page}\n")
        f.write(f"{path} close\n")
    reader = Fio(engine, path, [f"--read_iolog={log}"], work)
    reader.command.remove(f"--filename={path}")
    return reader


# A command's own time, without the start of pcforce before it. Some locales write a comma.
CLOCK = ('s=$EPOCHREALTIME; "$@" >/dev/null; status=$?; e=$EPOCHREALTIME; '
         'printf "{\\"elapsed_us\\":%d}\\n" $((${e/[.,]/} - ${s/[.,]/})); exit $status')


def of_command(command):
    """Any command: how long it runs."""
    return Own(["bash", "-c", CLOCK, "page2cache"] + command)
