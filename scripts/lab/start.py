# SPDX-License-Identifier: GPL-2.0-only
"""Cells of experiment start: how much longer a line takes with a tool in front of it."""
import contextlib
import os
import re
import shutil
import time

from lab import cache, tools
from lab.cell import Cell
from lab.tools import CACHEMISS, PCFORCE, Failed

FILES, PAGES = 300, 4       # the longer list has so many files of so many pages
TRUE = shutil.which("true") or "/bin/true"


class Files(Cell):
    """Small files, with a list of one of them and a list of all."""

    def __init__(self, name, workload, rounds, arms, marks):
        super().__init__(name, workload, None, rounds, [None], size=FILES * PAGES * cache.PAGE,
                         arms=arms, marks=marks)
        self.folder = self.paths = self.one = None

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return 0.1 * len(self.arms)

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.folder = os.path.join(lab.work, self.name)
        os.mkdir(self.folder)
        self.paths = [os.path.join(self.folder, f"file{i}") for i in range(FILES)]
        for path in self.paths:
            cache.make_file(path, PAGES * cache.PAGE).close()
        self.one, self.list = (self._listed(name, paths) for name, paths in
                               (("one", self.paths[:1]), ("all", self.paths)))

    def _listed(self, name, paths):
        out = self.results.path("lists", f"{self.name}-{name}.offsets")
        named = [word for path in paths for word in ("-f", path)]
        self._load(paths)
        tools.run_ok([CACHEMISS, "--resident", *named, "-w", out])
        return out

    @staticmethod
    def _load(paths):
        for path in paths:
            with open(path, "rb") as f:
                f.read()

    def close(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Start(Files):
    """The time of a line that starts a tool and `true`, with everything cached."""

    ONE, ALL = "pcforce, 1 file", f"pcforce, {FILES} files"
    FOLLOW, MISSES = "pcforce --follow, 1 file", "cachemiss, 1 file"
    WALL_US = {ONE: 5000, ALL: 10_000, FOLLOW: 80_000, MISSES: 80_000}
    CPU_US = {FOLLOW: 60_000, MISSES: 60_000}

    def __init__(self, rounds):
        marks = [{"mark": "at-most", "arm": arm, "figure": None, "at_most_us": us}
                 for arm, us in self.WALL_US.items()]
        marks += [{"mark": "at-most", "arm": arm, "figure": "cpu_us", "at_most_us": us}
                  for arm, us in self.CPU_US.items()]
        super().__init__("start", "`true`, everything cached", rounds,
                         ["nothing", *self.WALL_US], marks)

    def _line(self, arm, said):
        lists = {self.ONE: self.one, self.ALL: self.list, self.FOLLOW: self.one}
        if arm == "nothing":
            return [TRUE]
        if arm == self.MISSES:
            return [CACHEMISS, "-f", self.paths[0], "-j", "-O", said, "--", TRUE]
        follow = ["--follow"] if arm == self.FOLLOW else []
        return [PCFORCE, *follow, "-o", lists[arm], "-j", "-O", said, "--", TRUE]

    def make(self, step):
        self._load(self.paths)
        said = os.path.join(self.work, "start.jsonl")
        line = self._line(step.arm, said)
        tools.run_ok(line)                  # the programs themselves are cached
        wall_us, cpu_us = tools.timed(line)
        # On a busy machine `true` can end before the list is looked through: the receipt says so.
        forced = step.arm in (self.ONE, self.ALL, self.FOLLOW)
        return {**self.fields(step), "value": wall_us,
                "receipt": tools.receipt_of_all(said) if forced else None,
                "more": {"typed_us": wall_us, "cpu_us": cpu_us}}


class FirstPage(Files):
    """The time from the start of pcforce to the first listed page that enters the page cache, by the
    kernel's own tracepoint; it includes making the process."""

    ARM = f"pcforce, {FILES} files"
    SECONDS = (0.1, 1, 10)      # durations of the command: a busy machine needs a longer one

    def __init__(self, rounds):
        super().__init__("first-page", "from pcforce's start to the first listed page", rounds,
                         [self.ARM], [{"mark": "at-most", "arm": self.ARM, "figure": None,
                                       "at_most_us": 5000}])

    @staticmethod
    def missing():
        return None if os.path.isdir(Added.EVENT) else \
            f"this kernel shows no tracepoint {Added.EVENT}"

    def make(self, step):
        listed = cache.sections(self.list)
        inodes = {os.stat(path).st_ino for path in self.paths}
        for seconds in self.SECONDS:
            us = self._first_us(listed, inodes, seconds)
            if us is not None:
                break
        else:
            raise Failed("pcforce read no listed page")
        return {**self.fields(step), "value": us, "more": {"typed_us": us}}

    def _first_us(self, listed, inodes, seconds):
        """None if the command, which takes so many SECONDS, ended before a listed page entered."""
        tools.run_ok([PCFORCE, "--now", "-o", self.list, "-O", "/dev/null"])
        if cache.evict_listed(listed):
            raise Failed(f"{self.folder}: pages cannot be dropped: somebody is using them")
        tools.run_ok([PCFORCE, "-V"])
        with Added() as added:
            start = time.monotonic()
            tools.timed([PCFORCE, "-o", self.list, "-q", "--", "sleep", str(seconds)])
            firsts = [at for at, inode in added.pages() if inode in inodes]
        return round((firsts[0] - start) * 1e6) if firsts else None


class Added(contextlib.AbstractContextManager):
    """Records pages that enter the page cache while the block runs, by an instance of tracefs that
    is removed afterwards."""

    TRACING = "/sys/kernel/tracing"
    EVENT = TRACING + "/events/filemap/mm_filemap_add_to_page_cache"

    def __enter__(self):
        self.place = f"{self.TRACING}/instances/page2cache-{os.getpid()}"
        os.mkdir(self.place)
        try:
            self._write("trace_clock", "mono")          # the clock of time.monotonic()
            self._write("events/filemap/mm_filemap_add_to_page_cache/enable", "1")
        except OSError:
            os.rmdir(self.place)
            raise
        return self

    def _write(self, name, words):
        with open(os.path.join(self.place, name), "w", encoding="ascii") as f:
            f.write(words)

    def pages(self):
        """[(seconds, inode number)]"""
        with open(os.path.join(self.place, "trace"), encoding="utf-8", errors="replace") as f:
            return [(float(m[1]), int(m[2], 16)) for m in re.finditer(
                r" (\d+\.\d+): mm_filemap_add_to_page_cache: .*\bino ([0-9a-f]+) ", f.read())]

    def __exit__(self, *_):
        os.rmdir(self.place)
