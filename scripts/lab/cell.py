# SPDX-License-Identifier: GPL-2.0-only
"""A cell: one workload on one file, its arms, and the steps that it takes.

The arms are those of docs/results.md. A cell is given all that it needs when it is made. It keeps
what it finds out, the list and the floor's best ways, from `open` to `close`."""
import collections
import json
import os
import random
import shutil
import time

from lab import cache, tools
from lab.tools import CACHEMISS, FLOOR, PCFORCE, RATRACE, WORKLOAD, Failed

# One step. `variant`: of an arm that forces the engine; of the floor which of the two ways.
Step = collections.namedtuple("Step", "arm variant round")

WAYS = 2        # ways of the floor that are run in every round
TRIES = 5       # tries to force a page: on a busy machine a short reader can end before any is forced


def done(program):
    """The statuses of a program that did its work. 4 is pcforce's if a page is not cached at the end."""
    return (0, 4) if program == PCFORCE else (0,)


class Cell:
    """NAME; WORKLOAD, its description; SIZE of the file that is made for it, or PATH of an existing
    file; READER, a function of (file, work folder) that makes the workload; ENGINES that force, the
    first of them also in arm `now`."""

    unit = "us"

    def __init__(self, name, workload, reader, rounds, engines, *, size=None, path=None,
                 kind=None, group=None, x=None, x_label=None, marks=(), offsets=None,
                 arms=(), trace=False, pages=None, brief=False):
        self.name, self.workload, self.reader_of = name, workload, reader
        self.rounds, self.engines, self.arms = rounds, engines, list(arms)
        self.path, self.kind, self.marks = path, kind, list(marks)
        self.size = size or os.path.getsize(path)
        self.group, self.x, self.x_label = group or name, x, x_label
        self.offsets = offsets  # a list that the reader left in the work folder; else recorded
        self.trace = trace
        self.brief = brief      # the reader may end before any page is forced
        self.guess = pages or self.size // cache.PAGE       # how many pages the reader reads
        self.bytes = self.guess * cache.PAGE
        self.file = self.reader = self.list = self.results = self.work = None
        self.extents, self.ways = [], []

    # --- what it is -----------------------------------------------------------------------

    def describe(self, seed):
        return {"cell": self.name, "workload": self.workload, "group": self.group, "x": self.x,
                "x_label": self.x_label, "unit": self.unit, "kind": self.kind,
                "file_bytes": self.size, "clock": "reader", "rounds": self.rounds,
                "arms": self.arms, "marks": self.marks, "steps": len(self.steps(seed))}

    @staticmethod
    def missing():
        """Why this machine cannot run it, None if it can."""
        return None

    def steps(self, seed):
        """All steps in the order in which they are made, which is the same for the same seed."""
        rng = random.Random(f"{seed}/{self.name}")
        steps = [] if self.offsets else [Step("record", None, 0)]
        if "floor" in self.arms:
            steps.append(Step("sweep", None, 0))
        if self.trace:
            steps += [Step("trace-cold", None, 0), Step("trace-forced", self.engines[0], 0)]
        for number in range(1, self.rounds + 1):
            turn = []
            for arm in self.arms:
                if arm in ("forced", "count"):
                    turn += [Step(arm, engine, number) for engine in self.engines]
                elif arm == "floor":
                    turn += [Step(arm, way, number) for way in range(WAYS)]
                else:
                    turn.append(Step(arm, self.engines[0] if arm == "now" else None, number))
            rng.shuffle(turn)
            steps += turn
        return steps

    def seconds(self):
        """An estimate of the seconds that a round takes, right in proportion to other cells."""
        cold = self.guess * 80e-6
        return 0.6 * (len(self.arms) + len(self.engines)) + cold * 1.5

    def room(self):
        """The bytes of disk that the cell needs."""
        return 0 if self.path else self.size

    # --- its beginning and end ------------------------------------------------------------

    def open(self, lab):
        """LAB: the lab that lends files (file_of), a work folder and the results."""
        self.results, self.work = lab.results, lab.work
        self.file = cache.File(self.path) if self.path else lab.file_of(self.size)
        self.reader = self.reader_of(self.file, self.work)
        self.list = lab.results.path("lists", self.name + ".offsets")
        if self.offsets:
            shutil.copyfile(os.path.join(self.work, self.offsets), self.list)
            self._read_list()

    def close(self):
        if self.path and self.file:
            self.file.close()

    def fields(self, step):
        """The fields of a run, before anything is known of it."""
        return {"cell": self.name, "arm": step.arm, "round": step.round, "engine": None,
                "how": None, "value": None, "first_us": None, "accesses": None, "misses": None,
                "receipt": None, "more": {}, "raw": []}

    def make(self, step):
        """Makes a step and returns the fields of its run."""
        how = getattr(self, "_" + step.arm.replace("-", "_"))
        found = how(step) if step.variant is None else how(step, step.variant)
        return {**self.fields(step), **found}

    # --- the arms -------------------------------------------------------------------------

    def _cool(self, new=False):
        """Evicts the file, and prepares the machine as lab/cache.py describes. NEW data is not read
        before."""
        self.file.evict()
        cache.prepare(self.bytes)
        if not new:
            self.file.load()
            self.file.evict()
        cache.start_programs()
        self.ready()
        if self.file.resident():
            raise Failed("not cold: somebody else reads the file")

    def ready(self):
        """Caches what the workload needs besides the file, before the clock starts: here nothing."""

    def _read_list(self):
        self.extents = cache.merged(cache.read_extents(self.list))
        self.bytes = sum(n for _, n in self.extents) * cache.PAGE
        if not self.extents:
            raise Failed(f"{self.workload}: reads nothing of {self.file.path} when it starts cold")

    def _raw(self, step, ending):
        variant = [] if step.variant is None else [str(step.variant)]
        return ".".join([self.name, step.arm, *variant, str(step.round), ending])

    def _read(self, step, command):
        """Runs a command that is the reader or ends in it. Returns the time by the reader's clock, and in
        `more` that of the whole line, for which a person who types it waits."""
        start = time.monotonic()
        out = tools.run_ok(command, done(command[0]))
        typed_us = round((time.monotonic() - start) * 1e6)
        r = self.reader.read(out)
        return {"value": typed_us if r.us is None else r.us, "first_us": r.first_us,
                "accesses": r.accesses, "more": {**r.more, "typed_us": typed_us},
                "raw": [self.results.keep(self._raw(step, end), text)
                        for end, text in r.raw.items()]}

    def _under(self, step, tool, options, command):
        """Runs a command under one of the tools, whose records are kept in raw/. Returns the reader's
        fields and the path of the records."""
        name = self._raw(step, os.path.basename(tool) + ".jsonl")
        said = self.results.path("raw", name)
        fields = self._read(step, [tool, "--tool-status", *self._only(), "-j", "-O", said,
                                   *options, "--"] + command)
        ended = tools.records(said, "command")
        if not ended or ended[0]["status"] not in done(command[0]):
            raise Failed(f"{command[0]} did not end well under {tool}: {ended}")
        fields["raw"].append(name)
        return fields, said

    def _only(self):
        """The options that name the file."""
        return ["-f", self.file.path]

    def _counted(self, step, options, command):
        fields, said = self._under(step, CACHEMISS, options, command)
        found = tools.records(said, "file")
        for k in ("accesses", "misses"):
            counts = [r[k] for r in found]
            fields[k] = None if None in counts else sum(counts)
        return fields

    @staticmethod
    def _receipt(said):
        """The first receipt, because a list may be forced again at a later open."""
        return tools.records(said, "receipt")[0]

    @staticmethod
    def _force(engine):
        """Options that use the engine as intended: those of the kernel begin at a miss, in the reader."""
        return ["-e", engine] + ([] if engine in ("user", "auto") else ["-t", "access"])

    def _forcing(self, engine):
        """The reader under pcforce, which prints nothing, so that another tool can count both."""
        return [PCFORCE, "--tool-status", *self._force(engine), *self._only(), "-o",
                self.list, "-O", "/dev/null", "--"] + self.reader.command

    def _record(self, step):
        self._cool(new=True)
        fields = self._counted(step, ["-w", self.list], self.reader.command)
        self._read_list()
        return fields

    def _sweep(self, step):
        self._cool()
        out = tools.run_ok([FLOOR, "-f", self.file.path, self.list])
        ways = tools.last_object(out, "floor")["all"]
        # A way that was stopped was clearly slower; its time is that at which it was stopped.
        ways.sort(key=lambda w: (w["stopped"], w["runs"] == 1, w["us"]))
        self.ways = [f"{w['how']}:{w['qd']}:{w['bs']}" for w in ways[:WAYS]]
        return {"raw": [self.results.keep(self._raw(step, "floor.json"), out)]}

    def _cold(self, step):
        self._cool()
        return self._read(step, self.reader.command)

    def _forced(self, step, engine):
        for _ in range(TRIES):
            self._cool()
            fields, said = self._under(step, PCFORCE, [*self._force(engine), "-o", self.list],
                                       self.reader.command)
            receipt = self._receipt(said)
            if self.brief or receipt["read"] + receipt["resident"] + receipt["left"]:
                return {**fields, "engine": receipt["engine"], "receipt": receipt}
        raise Failed(f"engine {engine} forced nothing: {json.dumps(receipt)}")

    def _count(self, step, engine):
        self._cool()
        fields = self._counted(step, [], self._forcing(engine))
        return {**fields, "engine": engine, "value": None}

    def _now(self, step, engine):
        """Forces by hand before the start. The value is the time of the forcing and of the run."""
        self._cool()
        said = os.path.join(self.work, "now.jsonl")
        start = time.monotonic()
        tools.run_ok([PCFORCE, "--now", *self._only(), "-o", self.list, "-j", "-O", said],
                     done(PCFORCE))
        us = round((time.monotonic() - start) * 1e6)
        receipt = self._receipt(said)
        fields = self._read(step, self.reader.command)
        fields["more"]["typed_us"] += us
        return {**fields, "value": us + fields["value"], "engine": receipt["engine"],
                "receipt": receipt}

    def _warm(self, step):
        self.file.load()
        self.ready()
        tools.run([WORKLOAD, "--help"])
        if self.file.resident() != self.file.pages:
            self.file.load()
        return self._read(step, self.reader.command)

    def _floor(self, step, way):
        self._cool()
        out = tools.run_ok([FLOOR, "-o", self.ways[way], "-f", self.file.path, self.list])
        return {"how": self.ways[way], "value": tools.last_object(out, "floor")["best_us"]}

    def _trace_cold(self, step):
        self._cool()
        return {**self._under(step, RATRACE, [], self.reader.command)[0], "value": None}

    def _trace_forced(self, step, engine):
        self._cool()
        fields, _ = self._under(step, RATRACE, [], self._forcing(engine))
        return {**fields, "engine": engine, "value": None}
