# SPDX-License-Identifier: GPL-2.0-only
"""Cells of experiment hints: what libpagehint costs its caller, and what a reader gains that knows
64 reads ahead, beside the system calls that say the same; and what memory costs that is shared
with BPF, beside calls that do the same."""
import contextlib
import os
import subprocess
import time

from lab import cache, tools
from lab.cell import Cell
from lab.tools import CACHEMISS, HINTS, PCFORCE, SHARING, Failed

FADVISE, HINT = "posix_fadvise", "hint"
# The arms whose hints go to a server.
SERVED, SERVED_STAT = "hint, a server", "pagehint_stat, a server"


@contextlib.contextmanager
def server(path):
    """Serves hints at PATH meanwhile."""
    with subprocess.Popen([PCFORCE, "--serve", path], stdin=subprocess.DEVNULL) as p:
        try:
            while not os.path.exists(path):
                if p.poll() is not None:
                    raise Failed(f"pcforce --serve {path}: status {p.returncode}")
                time.sleep(0.01)
            yield
        finally:
            p.terminate()


class Hints(Cell):
    """Arms are the ways of `build/tests/hints`, each on a file of which nothing is cached."""

    WAYS = {}

    def __init__(self, name, workload, rounds, size, marks, pages):
        super().__init__(name, workload, None, rounds, [None], size=size, kind="read",
                         arms=list(self.WAYS), marks=marks, pages=pages)

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return 2 * len(self.arms)

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.file = lab.file_of(self.size)

    def said(self, step, what, before=()):
        """What the program says, of an arm that was run cold behind the words BEFORE."""
        self._cool()
        tools.run([HINTS])              # the program itself is cached
        words = [*before, HINTS, what, self.WAYS[step.arm], self.file.path]
        if step.arm in (SERVED, SERVED_STAT):
            path = os.path.join(self.work, "hints.socket")
            with server(path):
                out = tools.run_ok([*words, path])
        else:
            out = tools.run_ok(words)
        found = tools.last_object(out, HINTS)
        if found.get("dropped"):
            raise Failed(f"{step.arm}: {found['dropped']} hints were dropped")
        return found


class Call(Hints):
    """What one call costs its caller."""

    unit = "ns a call"
    ASLEEP = "hint, the thread asleep"
    WAYS = {"nothing": "none", HINT: "hint", ASLEEP: "hint-asleep", SERVED: "hint",
            "hint, 1,000 ranges a call": "hint-many", FADVISE: "fadvise",
            "readahead(2)": "readahead", "IORING_OP_FADVISE": "uring",
            "the same, SQPOLL": "sqpoll"}

    def __init__(self, rounds, size):
        super().__init__("hint-call", "a page that is not cached, said to be read soon", rounds, size, [
            {"mark": "value", "arm": HINT, "figure": None, "at_most": 15},
            {"mark": "value", "arm": self.ASLEEP, "figure": None, "at_most": 15},
            {"mark": "ratio", "arm": HINT, "over": FADVISE, "figure": None, "at_most": 0.02}],
            13_000)

    def make(self, step):
        found = self.said(step, "call")
        return {**self.fields(step), "value": found["ns"], "more": {"worst_ns": found["worst_ns"]}}


class Read(Hints):
    """How long the reader takes, and how much of that its own thread takes of a processor."""

    WAYS = {"nothing": "none", FADVISE: "fadvise", HINT: "hint", SERVED: "hint"}

    def __init__(self, rounds, size):
        super().__init__("hint-read", "10 % of the pages at random, known 64 reads ahead", rounds, size, [
            {"mark": "ratio", "arm": arm, "over": FADVISE, "figure": figure, "at_most": most}
            for arm in (HINT, SERVED) for figure, most in ((None, 1.0), ("cpu_us", 0.5))],
            size // cache.PAGE // 10)

    def make(self, step):
        found = self.said(step, "read")
        return {**self.fields(step), "value": found["us"], "accesses": found["accesses"],
                "more": {"cpu_us": found["cpu_us"]}}


class Missed(Hints):
    """How many of its reads still miss, of 100."""

    unit = "% of the reads miss"
    WAYS = Read.WAYS

    def __init__(self, rounds, size):
        super().__init__("hint-missed", "the same reader, counted by cachemiss", rounds, size,
                         [{"mark": "value", "arm": arm, "figure": None, "at_most": 2}
                          for arm in (HINT, SERVED)],
                         size // cache.PAGE // 10)

    def make(self, step):
        counted = os.path.join(self.work, "hints.jsonl")
        found = self.said(step, "read", [CACHEMISS, "-f", self.file.path, "-j", "-O", counted, "--"])
        record = tools.records(counted, "file")[0]
        if record["accesses"] != found["accesses"]:
            raise Failed(f"{step.arm}: {found['accesses']} reads, and {record['accesses']} counted")
        return {**self.fields(step), "value": 100 * record["misses"] / record["accesses"],
                "accesses": record["accesses"], "misses": record["misses"],
                "more": {"late": record["late"]}}


class Stat(Hints):
    """What it costs to ask what has become of a file, and to ask the kernel for as little as can be."""

    unit = "ns a call"
    OURS = "pagehint_stat"
    OTHERS = {"cachestat(2), one page": "cachestat", "fstatfs(2)": "statfs",
              "bpf(2), a look-up": "bpf"}
    WAYS = {OURS: OURS, SERVED_STAT: OURS, **OTHERS}

    def __init__(self, rounds, size):
        super().__init__("hint-stat", "what has become of a file", rounds, size, [
            {"mark": "ratio", "arm": arm, "over": other, "figure": None, "at_most": 0.05}
            for arm in (self.OURS, SERVED_STAT) for other in self.OTHERS], 0)

    def make(self, step):
        found = self.said(step, "stat")
        return {**self.fields(step), "value": found["ns"], "more": {"worst_ns": found["worst_ns"]}}


class Sharing(Cell):
    """Memory that is shared with BPF, beside calls: no file. Arms are words of
    `build/tests/sharing`, whose first ones are SUBJECT."""

    WAYS = {}

    def __init__(self, name, workload, rounds, subject, marks, after=(), **more):
        super().__init__(name, workload, None, rounds, [None], size=cache.PAGE,
                         arms=list(self.WAYS), marks=marks, pages=1, **more)
        self.subject, self.after = subject, after

    def describe(self, seed):
        return {**super().describe(seed), "file_bytes": None}

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return len(self.arms)

    def room(self):
        return 0

    def open(self, lab):
        self.results, self.work = lab.results, lab.work

    def make(self, step):
        out = tools.run_ok([SHARING, self.subject, self.WAYS[step.arm], *self.after])
        found = tools.last_object(out, SHARING)
        return {**self.fields(step), "value": found["ns"],
                "more": {name: found[name] for name in ("put_ns", "take_ns") if name in found}}


class Queue(Sharing):
    """What a record costs in all: the program that writes it, and the BPF program that takes it."""

    unit = "ns a record"
    OURS, BATCH, OTHER = "the queue", "the queue, 32 at a time", "bpf_user_ringbuf"
    WAYS = {OURS: "ring", BATCH: "batch", OTHER: "user"}
    # How many times as quick as bpf_user_ringbuf the queue is to be; 1.26 where the size is another one.
    LEAST = {32: 2, 256: 7}

    def __init__(self, rounds, size):
        least = self.LEAST.get(size, 1.26)
        super().__init__(f"queue-{size}", "a record, to a BPF program", rounds, "queue", [
            {"mark": "ratio", "arm": self.OURS, "over": self.OTHER, "figure": None,
             "at_most": round(1 / least, 3)}],
            [str(size)], group="queue", x=size, x_label="record, bytes")


class Perceptron(Sharing):
    """What a prediction and its outcome cost."""

    unit = "ns to predict and learn"
    SHARED, ONE, BATCH = "shared memory", "bpf(), one by one", "bpf(), 64 at a time"
    WAYS = {SHARED: "shared", ONE: "one", BATCH: "batch"}

    def __init__(self, rounds):
        super().__init__("perceptron", "a prediction from eight features, and its outcome", rounds,
                         "perceptron", [
            {"mark": "value", "arm": self.SHARED, "figure": None, "at_most": 40},
            {"mark": "ratio", "arm": self.SHARED, "over": self.ONE, "figure": None,
             "at_most": 0.05},
            {"mark": "ratio", "arm": self.SHARED, "over": self.BATCH, "figure": None,
             "at_most": 1.0}])
