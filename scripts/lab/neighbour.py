# SPDX-License-Identifier: GPL-2.0-only
"""The cell of experiment neighbour: how long another reader of the device waits for its pages while
pcforce forces. The kernel lets both together read 3,000 times a second, where it can limit a group."""
import contextlib
import os
import subprocess
import time

from lab import cache, place, readers, tools
from lab.cell import Cell
from lab.other import Watcher
from lab.tools import PCFORCE, Failed

IOPS = 3000


@contextlib.contextmanager
def limited(folder):
    """A cgroup whose processes read at most IOPS times a second from the disk of FOLDER. None where
    the kernel limits no group, or not for this disk."""
    root, controls = "/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.subtree_control"
    if "io" not in (place.first_line(f"{root}/cgroup.controllers") or "").split():
        yield None
        return
    enabled = "io" in (place.first_line(controls) or "").split()
    group = f"{root}/page2cache-neighbour-{os.getpid()}"
    try:
        write(controls, "+io")
        os.mkdir(group)
        number = place.first_line(f"/sys/block/{place.disk_of(folder)}/dev")
        try:
            write(f"{group}/io.max", f"{number} riops={IOPS}")
        except OSError:
            os.rmdir(group)
            group = None
        yield group
    finally:
        if group and os.path.isdir(group):
            os.rmdir(group)
        if not enabled:
            write(controls, "-io")


def write(path, words):
    with open(path, "w", encoding="ascii") as f:
        f.write(words)


class Neighbour(Cell):
    """An arm is what runs beside the reader; the value is the reader's 99th percentile. LISTS: {what
    the list has: a function of (path, pages) that writes the list}. TOOK: seconds of each run."""

    ALONE, READER, STARTED = "alone", "another reader, depth 1", "started, all cached"
    OWN = 64 * cache.MIB        # the reader's file
    RANDOM = ("--rw=randread", "--direct=1", "--bs=4k", "--time_based")
    PERCENTILES = {"p50_us": "50.000000", "p99_us": "99.000000", "p999_us": "99.900000"}

    def __init__(self, rounds, size, engines, lists, took):
        self.beside = {f"pcforce {engine}, {what}": (engine, what)
                       for engine in engines for what in (self.STARTED, *lists)}
        arms = [self.ALONE, self.READER, *self.beside]
        super().__init__(
            "neighbour", f"99th percentile of {IOPS:,} random reads a second", None, rounds, [None],
            size=size, kind="read", arms=arms,
            marks=[{"mark": "ratio", "arm": arm, "over": self.ALONE, "figure": None, "at_most": 2}
                   for arm in arms[1:]])
        self.writers, self.took = lists, took
        self.ends = contextlib.ExitStack()
        self.lists, self.pages = {}, {}
        self.own, self.group, self.enter = None, None, []

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return (self.took + 2) * len(self.arms)

    def room(self):
        return self.size + self.OWN

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.file = lab.file_of(self.size)
        self.own = cache.make_file(os.path.join(self.work, "own"), self.OWN)
        self.ends.callback(self.own.close)
        for what, writer in self.writers.items():
            self.lists[what] = lab.results.path("lists", f"{what.replace(' ', '-')}.offsets")
            writer(self.lists[what], self.file.pages)
            self.pages[what] = sum(n for _, n in cache.read_extents(self.lists[what]))
        self.group = self.ends.enter_context(limited(self.work))
        # Precedes each command whose reads are to be limited: the reader's, the tool's, and the one
        # whose access begins a list, because the kernel's engines charge that process.
        self.enter = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{self.group}/cgroup.procs"] \
            if self.group else []

    def close(self):
        self.ends.close()

    def make(self, step):
        engine, what = self.beside.get(step.arm, (None, None))
        (self.file.load if what == self.STARTED else self.file.evict)()
        out = os.path.join(self.work, "beside.jsonl")
        pace = [] if self.group else [f"--rate_iops={IOPS}"]
        reader = readers.Fio("psync", self.own.path,
                             [*self.RANDOM, f"--runtime={self.took}", *pace], self.work)
        turns, pages = 0, 0
        with self._background(step.arm, out), subprocess.Popen(
                [*self.enter, *reader.command], stdin=subprocess.DEVNULL) as fio:
            while fio.poll() is None:
                turns += 1
                if what in self.lists:
                    pages += self._force(fio, what)
                elif what:
                    self._start(engine)
                else:
                    fio.wait()
        job, text = reader.job("")
        more = {"iops": job["read"]["iops"],
                **{name: job["read"]["clat_ns"]["percentile"][at] / 1000
                   for name, at in self.PERCENTILES.items()}}
        if what in self.lists:
            more["pages"] = pages
            if not pages:
                raise Failed(f"{step.arm}: nothing was forced")
        elif what:
            more["starts"] = turns
        return {**self.fields(step), "value": more.pop("p99_us"), "more": more,
                "how": "io.max" if self.group else "rate_iops",
                "raw": [self.results.keep(self._raw(step, "fio.json"), text)]}

    @contextlib.contextmanager
    def _background(self, arm, out):
        """Runs what the arm has running all the time: another reader, or a pcforce that forces its
        list at each access that follows an open."""
        engine, what = self.beside.get(arm, (None, None))
        if arm == self.READER:
            line, ready = ["fio", "--name=other", *self.RANDOM, f"--filename={self.file.path}",
                           "--runtime=600"], ""
        elif what in self.lists:
            line, ready = [PCFORCE, "-e", engine, "-t", "access", "-f", self.file.path, "-o",
                           self.lists[what], "-j"], '"meta"'
        else:
            yield
            return
        watcher = Watcher(out, [*self.enter, *line], ready, 0.5)
        try:
            yield
        finally:
            watcher.stop()

    def _force(self, fio, what):
        """Has the list forced, until no more pages come, or until the reader has ended. Returns how
        many are cached then. pcforce writes a receipt only at the next open."""
        self.file.evict()
        tools.run_ok([*self.enter, "head", "-c", "1", self.file.path])
        last = 0
        while fio.poll() is None and (self.file.resident() > last or last < self.pages[what]):
            last = self.file.resident()
            time.sleep(0.1)
        return self.file.resident()

    def _start(self, engine):
        """Starts pcforce with a list whose pages are all cached, and waits for its end."""
        tools.run_ok([*self.enter, PCFORCE, "--now", "-e", engine, "-f", self.file.path, "-o",
                      next(iter(self.lists.values())), "-O", "/dev/null"])
