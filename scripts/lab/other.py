# SPDX-License-Identifier: GPL-2.0-only
"""Cells whose arms are their own: what watching costs, how lists scale, other tools."""
import json
import os
import shutil
import signal
import subprocess
import time

from lab import cache, tools
from lab.cell import Cell, Step
from lab.tools import CACHEMISS, PCFORCE, RATRACE, WORKLOAD, Failed

BPFTRACE = "tracepoint:filemap:mm_filemap_get_pages { @ = count(); }"


class Watcher:
    """A tool that runs in the background while something is timed."""

    def __init__(self, out, args, ready, settle):
        self.out = out
        with open(out, "wb") as f:
            self.process = subprocess.Popen(args, stdout=f, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL)
        try:
            self._await(args[0], ready)
            time.sleep(settle)
        except BaseException:
            self.stop()
            raise

    def _await(self, program, ready):
        deadline = time.monotonic() + 30
        while ready not in self.text():
            if self.process.poll() is not None:
                raise Failed(f"{program} ended: {self.text().strip()[-300:]}")
            if time.monotonic() > deadline:
                raise Failed(f"{program} does not start")
            time.sleep(0.05)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def lookups(self):
        """How many lookups the tool counted, which proves that it was attached all the time. None if
        it counts no lookups."""
        for line in self.text().splitlines():
            if line.startswith("@: "):
                return int(line[3:])
            if line.startswith('{"record":"file"'):
                return json.loads(line).get("accesses")
        return None


class Overhead(Cell):
    """What a cached 4 KiB pread costs with nothing attached, and under each tool."""

    unit = "ns a lookup"
    LOOPS = 1000        # over 4 MiB: a million lookups a run
    WATCHED, OTHER = "cachemiss, the file", "cachemiss, another file"

    def __init__(self, rounds, engines, quick):
        self.loops = self.LOOPS // 4 if quick else self.LOOPS
        self.another = None
        arms = ["nothing", self.WATCHED, self.OTHER, "ratrace, the file"]
        arms += [f"pcforce {engine}, another file" for engine in engines]
        if shutil.which("bpftrace") and os.path.isdir("/sys/kernel/tracing/events/filemap"):
            arms.append("bpftrace, one tracepoint")
        super().__init__(
            "overhead", "4 KiB reads of cached pages", lambda *_: None, rounds, engines,
            size=4 * cache.MIB, kind="read", arms=arms,
            marks=[{"mark": "cost", "arm": self.WATCHED, "over": "nothing", "at_most": 150},
                   {"mark": "cost", "arm": self.OTHER, "over": "nothing", "at_most": 100}])

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def seconds(self):
        return 2.5 * len(self.arms)

    def open(self, lab):
        super().open(lab)
        self.another = cache.make_file(os.path.join(self.work, "another"), cache.MIB)
        self.list = os.path.join(self.work, "overhead.offsets")
        with open(self.list, "w", encoding="ascii") as f:
            f.write("0+16\n")

    def close(self):
        super().close()
        if self.another:
            self.another.close()

    def _tool(self, arm):
        """(arguments, the tool's word when it is attached, seconds until it really is)."""
        program, _, which = arm.partition(", ")
        path = self.file.path if which == "the file" else self.another.path
        if program == "bpftrace":
            return ["bpftrace", "-e", BPFTRACE], "Attaching", 3     # it says so long before
        if program.startswith("pcforce "):
            return [PCFORCE, "-e", program.split()[1], "-f", path, "-o", self.list, "-j"], \
                '"meta"', 0.5
        return [{"cachemiss": CACHEMISS, "ratrace": RATRACE}[program], "-f", path, "-j"], \
            '"meta"', 0.5

    def make(self, step):
        self.file.load()
        out = os.path.join(self.work, "watcher.out")
        watcher = None if step.arm == "nothing" else Watcher(out, *self._tool(step.arm))
        try:
            said = tools.run_ok([WORKLOAD, "read", "-n", str(self.loops), "-r", "1",
                                 self.file.path])
        finally:
            if watcher:
                watcher.stop()
        seen = watcher.lookups() if watcher else None
        wanted = self.loops * self.file.pages
        if step.arm in (self.WATCHED, "bpftrace, one tracepoint") and (seen or 0) < wanted:
            raise Failed(f"{step.arm}: counted {seen} of {wanted} lookups")
        return {**self.fields(step), "value": tools.last_object(said, WORKLOAD)["ns_per_access"],
                "accesses": wanted,
                "raw": [self.results.keep(self._raw(step, "reader.json"), said)]}


class Loading(Cell):
    """How long pcforce takes to read a list of so many extents and to ask which of its pages are cached,
    and how much memory it needs. The file is a hole, so that no disk is measured."""

    def __init__(self, extents, rounds):
        self.count = extents
        super().__init__(f"load-{extents}", f"a list of {extents:,} extents, loaded and planned",
                         lambda *_: None, rounds, [None], size=2 * extents * cache.PAGE,
                         group="load", x=extents, x_label="extents", arms=["load"])

    def steps(self, seed):
        return [Step("load", None, number) for number in range(1, self.rounds + 1)]

    def seconds(self):
        return 0.2 + self.count * 1e-6

    def room(self):
        return 16 * self.count

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        path = os.path.join(self.work, "hole")
        with open(path, "wb") as f:
            f.truncate(self.size)
        self.file = cache.File(path)
        self.list = os.path.join(self.work, "hole.offsets")
        with open(self.list, "w", encoding="ascii") as f:
            # Every other page in a scattered order: steps of a number that has no common divisor with the
            # count reach each page once.
            at, stride = 0, 7368787
            for _ in range(self.count):
                f.write(f"{2 * at}\n")
                at = (at + stride) % self.count

    def close(self):
        if self.file:
            self.file.close()
        for name in ("hole", "hole.offsets"):
            if os.path.exists(os.path.join(self.work, name)):
                os.unlink(os.path.join(self.work, name))

    def make(self, step):
        receipt, memory = (os.path.join(self.work, name) for name in ("load.jsonl", "load.rss"))
        # time(1) reports the peak. A direct child's would include that of this program before exec(2).
        start = time.monotonic()
        status, _, err = tools.run(["time", "-f", "%M", "-o", memory, PCFORCE, "--now", "--dry-run",
                                    "-f", self.file.path, "-o", self.list, "-j", "-O", receipt])
        us = (time.monotonic() - start) * 1e6
        if status not in (0, 4):
            raise Failed(f"pcforce --dry-run: status {status}: {err.strip()}")
        found = tools.records(receipt, "receipt")
        if not found or found[0]["requested"] != self.count:
            raise Failed(f"pcforce --dry-run: {found}")
        with open(memory, encoding="ascii") as f:
            kib = int(f.read().split()[-1])     # if the status is not 0, a line before says so
        return {**self.fields(step), "value": us, "receipt": found[0],
                "more": {"extents": self.count, "max_rss_bytes": kib * 1024}}


class Peers(Cell):
    """Other tools on the same list: until all its pages are readable, and the reader after it."""

    OURS = "pcforce --now"

    def __init__(self, name, workload, reader, rounds, engines, **options):
        arms = [self.OURS, "cat", "fadvise", "fadvise, sorted"]
        if shutil.which("vmtouch"):
            arms.append("vmtouch -t")
        super().__init__(name, workload, reader, rounds, engines, arms=arms, **options)

    def _prefetch(self, arm):
        path = self.file.path
        if arm == self.OURS:
            tools.run_ok([PCFORCE, "--now", "-f", path, "-o", self.list, "-O", "/dev/null"], (0, 4))
        elif arm == "cat":
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
        elif arm == "vmtouch -t":
            tools.run_ok(["vmtouch", "-t", "-q", path])
        else:
            # What a one-liner would do; a longer call would be clamped silently.
            wanted = self.extents if arm == "fadvise, sorted" else cache.read_extents(self.list)
            for first, n in wanted:
                for at in range(first, first + n, 256):
                    os.posix_fadvise(self.file.fd, at * cache.PAGE,
                                     min(256, first + n - at) * cache.PAGE,
                                     os.POSIX_FADV_WILLNEED)

    def make(self, step):
        if step.arm == "record":
            return super().make(step)
        self._cool()
        for program in (["vmtouch", "-V"], ["cat", "/dev/null"]):
            if shutil.which(program[0]):
                tools.run(program)
        start = time.monotonic()
        self._prefetch(step.arm)
        returned = time.monotonic()
        # Some tools only queue the reads: wait until the data is cached, but not for ever.
        pages = self.bytes // cache.PAGE
        ready, readable = returned, self.file.readable(self.extents)
        while readable < pages and time.monotonic() - returned < 2:
            time.sleep(0.002)
            last, ready, readable = readable, time.monotonic(), self.file.readable(self.extents)
            if readable == last and time.monotonic() - returned > 0.5:
                break
        if readable < pages:        # some tools never read all: then the reader waits for the rest
            ready = returned
        fields = self._read(step, self.reader.command)
        took = (ready - start) * 1e6
        more = {"ready_us": took, "reader_us": fields["value"], "readable": readable,
                "cached_bytes": self.file.resident() * cache.PAGE,
                "typed_us": round(took) + fields["more"]["typed_us"]}
        return {**self.fields(step), **fields, "value": took + fields["value"], "more": more}
