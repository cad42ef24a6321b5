# SPDX-License-Identifier: GPL-2.0-only
"""Cells of experiment hints: what libpagehint costs its caller, and what a reader gains that knows
64 reads ahead, each compared with system calls for the same; and what memory shared with BPF costs,
compared with calls for the same."""
import contextlib
import os
import random
import shutil
import subprocess
import time

from lab import cache, tools
from lab.cell import Cell
from lab.tools import CACHEMISS, CHANGING, FLOOR, HINTS, PCFORCE, ROOT, SHARING, Failed

FADVISE, HINT = "posix_fadvise", "hint"
# The arms whose hints go to a server, and which of its engines reads: kfunc needs the module.
SERVED, SERVED_STAT = "hint, a server", "pagehint_stat, a server"
AT_LOOKUPS = "hint, a server by kfunc"
ENGINE = {SERVED: "user", SERVED_STAT: "user", AT_LOOKUPS: "kfunc"}


@contextlib.contextmanager
def server(path, engine):
    """A server of hints at the socket PATH, reading by ENGINE, while the block runs."""
    with subprocess.Popen([PCFORCE, "--serve", path, "-e", engine], stdin=subprocess.DEVNULL) as p:
        try:
            while not os.path.exists(path):
                if p.poll() is not None:
                    raise Failed(f"pcforce --serve {path}: status {p.returncode}")
                time.sleep(0.01)
            yield
        finally:
            p.terminate()


class Hints(Cell):
    """Arms are the ways of `build/tests/hints`, each on a cold file. ENGINES are those that this
    kernel has: arms of other engines are left out."""

    WAYS = {}

    def __init__(self, name, workload, rounds, size, marks, pages, engines=("user",)):
        arms = [arm for arm in self.WAYS if ENGINE.get(arm, "user") in engines]
        super().__init__(name, workload, None, rounds, [None], size=size, kind="read", arms=arms,
                         marks=[m for m in marks if m["arm"] in arms], pages=pages)

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return 2 * len(self.arms)

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.file = lab.file_of(self.size)

    def said(self, step, what, before=()):
        """The program's result of an arm that was run cold, with the words BEFORE in front."""
        self._cool()
        tools.run([HINTS])              # the program itself is cached
        words = [*before, HINTS, what, self.WAYS[step.arm], self.file.path]
        if step.arm in ENGINE:
            path = os.path.join(self.work, "hints.socket")
            with server(path, ENGINE[step.arm]):
                out = tools.run_ok([*words, path])
        else:
            out = tools.run_ok(words)
        return self.last(step, out)

    @staticmethod
    def last(step, out):
        """The object that the program printed, if all of its hints were taken."""
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


KNOWN = 64      # reads ahead, of the reader of build/tests/hints
READERS = {"nothing": "none", FADVISE: "fadvise", HINT: "hint", SERVED: "hint",
           AT_LOOKUPS: "hint"}


class Read(Hints):
    """How long the reader takes, and how much processor time its own thread takes. Two more arms
    bound what can be gained: the reader of pages that another process has just read,
    and the device alone, which reads as many pages, as many at a time as the reader knows."""

    BEFORE, DEVICE = "nothing, read in before", f"the device alone, {KNOWN} at a time"
    WAYS = {**READERS, BEFORE: "before", DEVICE: None}

    def __init__(self, rounds, size, engines):
        super().__init__("hint-read", "10 % of the pages at random, known 64 reads ahead", rounds, size, [
            *({"mark": "ratio", "arm": arm, "over": FADVISE, "figure": figure, "at_most": most}
              for arm in (HINT, SERVED) for figure, most in ((None, 1.0), ("cpu_us", 0.5))),
            {"mark": "ratio", "arm": AT_LOOKUPS, "over": SERVED, "figure": "reading_us",
             "at_most": 1.0}],
            size // cache.PAGE // 10, engines)

    def make(self, step):
        if step.arm == self.DEVICE:
            return {**self.fields(step), "value": self.device_us(step)}
        found = self.said(step, "read")
        return {**self.fields(step), "value": found["us"], "accesses": found["accesses"],
                "more": {name: found[name] for name in ("cpu_us", "reading_us", "sleeps")}}

    def device_us(self, step):
        """The time that the device takes for as many random pages."""
        self._cool()
        pages = os.path.join(self.work, "hints.offsets")
        rng = random.Random(step.round)
        with open(pages, "w", encoding="ascii") as f:
            f.write("# page2cache offsets 1\n")
            f.writelines(f"{page}\n" for page in rng.sample(range(self.file.pages), self.guess))
        way = f"direct:{KNOWN}:{cache.PAGE}"
        out = tools.run_ok([FLOOR, "-o", way, "-f", self.file.path, pages])
        return tools.last_object(out, FLOOR)["best_us"]


class Missed(Hints):
    """How many of its reads still miss, of 100."""

    unit = "% of the reads miss"
    WAYS = READERS

    def __init__(self, rounds, size, engines):
        super().__init__("hint-missed", "the same reader, counted by cachemiss", rounds, size,
                         [{"mark": "value", "arm": arm, "figure": None, "at_most": 2}
                          for arm in (HINT, SERVED, AT_LOOKUPS)],
                         size // cache.PAGE // 10, engines)

    def make(self, step):
        counted = os.path.join(self.work, "hints.jsonl")
        found = self.said(step, "read", [CACHEMISS, "-f", self.file.path, "-j", "-O", counted, "--"])
        record = tools.records(counted, "file")[0]
        if record["accesses"] != found["accesses"]:
            raise Failed(f"{step.arm}: {found['accesses']} reads, and {record['accesses']} counted")
        return {**self.fields(step), "value": 100 * record["misses"] / record["accesses"],
                "accesses": record["accesses"], "misses": record["misses"],
                "more": {"late": record["late"]}}


class Example(Hints):
    """A program of hint/examples as typed, on a file of its own: ROWS that came in another order
    than that of their keys, read in that of their keys."""

    WAYS = {"nothing": False, HINT: True}
    FILES = ()
    NEEDS = ()
    ROWS = 30_000

    def __init__(self, name, workload, rounds):
        super().__init__(name, workload, rounds, 64 * cache.MIB, [
            {"mark": "ratio", "arm": HINT, "over": "nothing", "figure": None, "at_most": 1.0}],
            self.ROWS // 3)
        self.folder = self.answer = None

    def missing(self):
        gone = [name for name in ("cc", *self.NEEDS) if not shutil.which(name)]
        return f"{gone[0]} is not installed" if gone else None

    def describe(self, seed):
        return {**super().describe(seed), "file_bytes": None, "clock": "typed"}

    def seconds(self):
        return 3 * len(self.arms)

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.folder = os.path.join(lab.work, self.name)
        os.mkdir(self.folder)
        self.file = cache.File(self.made())
        os.sync()

    def close(self):
        if self.file:
            self.file.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def at(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def compiled(source, out, *options):
        """An example, with the library that has been built; OUT."""
        tools.run_ok(["cc", "-O2", *options, os.path.join(ROOT, "hint/examples", source), "-o", out,
                      "-I", os.path.join(ROOT, "hint"),
                      os.path.join(ROOT, "build/hint/libpagehint.a"), "-pthread"])
        return out

    def made(self):
        """Makes the file and its reader, and returns the file's path."""
        raise NotImplementedError

    def line(self, hints):
        raise NotImplementedError

    @staticmethod
    def answer_of(out):
        """The part of the output that must be the same in all arms."""
        return out

    def make(self, step):
        self._cool()
        line = self.line(self.WAYS[step.arm])
        tools.run([line[0], "--version"])       # the program itself is cached
        start = time.monotonic()
        answer = self.answer_of(tools.run_ok(line))
        took = round((time.monotonic() - start) * 1e6)
        self.answer = self.answer or answer
        if answer != self.answer:
            raise Failed(f"{step.arm}: {answer.strip()}, and before: {self.answer.strip()}")
        return {**self.fields(step), "value": took}


class Sorted(Example):
    """A table that is walked along its index."""

    def __init__(self, rounds):
        super().__init__("example-sorted", f"a table of {self.ROWS:,} records, along its index",
                         rounds)

    def made(self):
        table, index = self.at("table"), self.at("index")
        tools.run_ok([self.compiled("sorted.c", self.at("sorted")), "build", table, index,
                      str(self.ROWS)])
        return table

    def line(self, hints):
        return [self.at("sorted"), "walk", self.at("table"), self.at("index"),
                str(KNOWN if hints else 0)]

    @staticmethod
    def answer_of(out):
        return out.rsplit(",", 1)[0]    # without the time


class Sqlite(Example):
    """A range of a table of SQLite, through its own VFS and through that of the example."""

    NEEDS = ("sqlite3",)

    def __init__(self, rounds):
        super().__init__("example-sqlite", f"SQLite, a range of {self.ROWS // 2:,} rows", rounds)

    def missing(self):
        if not os.path.exists("/usr/include/sqlite3ext.h"):
            return "SQLite's headers are not installed (Debian package libsqlite3-dev)"
        return super().missing()

    def made(self):
        self.compiled("sqlite.c", self.at("pagehint.so"), "-shared", "-fPIC")
        rows = self.ROWS
        tools.run_ok(["sqlite3", self.at("rows.db"), f"""
            CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB);
            WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < {rows - 1})
            INSERT INTO t SELECT (i * 19001) % 30011, randomblob(1000) FROM c;"""])
        return self.at("rows.db")

    def line(self, hints):
        vfs = "pagehint" if hints else "unix"
        return ["sqlite3", "-batch", "-cmd", f".load {self.at('pagehint.so')}", "-cmd",
                f".open 'file:{self.at('rows.db')}?vfs={vfs}'", ":memory:",
                f"SELECT sum(k), sum(length(v)) FROM t WHERE k BETWEEN {self.ROWS // 4} "
                f"AND {3 * self.ROWS // 4}"]


class Stat(Hints):
    """What it costs to ask which pages of a file were used, and what the cheapest calls to the kernel
    cost."""

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


class Changing(Hints):
    """A reader that changes its pattern, and policies that decide what is forced: arms are those
    of `build/tests/changing`, on a cold file. The file is TIMES as large as
    those of other cells, so that a phase takes a second or more. The policies that learn nothing
    only show the bounds of the phases, so they have fewer rounds."""

    TIMES, BOUND_ROUNDS = 6, 5

    ALWAYS, NEVER, ONE, BATCH = "always", "never", "perceptron", "perceptron, bpf() of 64"
    WAYS = {ALWAYS: "always", NEVER: "never", "the plan's rule": "rule", ONE: "one", BATCH: "batch"}
    PHASES = ("seq_us", "random_us", "mmap_us", "strided_us")

    def __init__(self, rounds, size):
        within = [{"mark": "ratio", "arm": self.ONE, "over": over, "figure": phase, "at_most": 1.05}
                  for phase in self.PHASES for over in (self.ALWAYS, self.NEVER)]
        super().__init__("changing", "in order, a list at random, mapped, in strides; the list forced",
                         rounds, self.TIMES * size,
                         [{"mark": "gain", "arm": self.ONE, "over": self.BATCH, "above": 1.0,
                           "pairs": 21}, *within],
                         self.TIMES * size // cache.PAGE)

    def steps(self, seed):
        return [step for step in super().steps(seed)
                if step.arm in (self.ONE, self.BATCH) or step.round <= self.BOUND_ROUNDS]

    def seconds(self):
        return 2 * self.size / cache.MIB / 300

    def make(self, step):
        self._cool()
        tools.run([CHANGING])           # the program itself is cached
        out = tools.run_ok([CHANGING, self.WAYS[step.arm], self.file.path])
        found = tools.last_object(out, CHANGING)
        return {**self.fields(step), "value": found["us"], "accesses": found["listed"],
                "more": {name: found[name] for name in (*self.PHASES, "forced", "right", "without")}}


class Sharing(Cell):
    """Memory that is shared with BPF, compared with calls; no file is read. Arms are words of
    `build/tests/sharing` behind SUBJECT."""

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
    """What a record costs the program that writes it and the BPF program that takes it, together.
    RECORDS of SIZE bytes are written, then taken by one run."""

    unit = "ns a record"
    OURS, BATCH, OTHER = "the queue", "the queue, all at once", "bpf_user_ringbuf"
    WAYS = {OURS: "ring", BATCH: "batch", OTHER: "user"}
    LEAST = 1.26    # how many times as quick as bpf_user_ringbuf the queue is to be at least

    def __init__(self, rounds, name, size, records, least=LEAST, **more):
        super().__init__(name, f"{records} records of {size} bytes, to a BPF program", rounds,
                         "queue", [{"mark": "ratio", "arm": self.OURS, "over": self.OTHER,
                                    "figure": None, "at_most": round(1 / least, 3)}],
                         [str(size), str(records)], **more)


def queues(rounds):
    """A word a record, by how many there are; and as many as there can be, by their size."""
    least = {32: 2, 256: 7}
    return [Queue(rounds, f"queue-{n}", 8, n, least.get(n, Queue.LEAST), group="queue", x=n,
                  x_label="records") for n in (32, 64, 128, 256)] \
        + [Queue(rounds, f"queue-bytes-{size}", size, 256, group="queue-bytes", x=size,
                 x_label="record, bytes") for size in (24, 64, 256)]


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
