# SPDX-License-Identifier: GPL-2.0-only
"""One session of an experiment: its cells in turn, each step recorded when it is done, with
progress and the time that is left."""
import fcntl
import os
import shutil
import sys
import tempfile
import time

from lab import cache, place
from lab.tools import Disturbed, Failed

LOCK = "/run/page2cache-experiment.lock"


def alone():
    """Takes the lock, as two experiments at a time would measure each other. It ends with the process."""
    lock = open(LOCK, "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        raise Failed("another experiment is running on this machine: measure alone") from e
    return lock


class Progress:
    """Counts steps, and guesses the time left: from the time that the cells took so far, in
    proportion to the time that was expected."""

    def __init__(self, cells, seed):
        self.total = sum(len(cell.steps(seed)) for cell in cells)
        self.expected = sum(cell.seconds() * cell.rounds for cell in cells)
        self.done, self.passed = 0, 0.0
        self.start = time.monotonic()

    def left(self):
        """The time left, in words; empty before enough is done to guess it."""
        if self.passed < 0.02 * self.expected:
            return ""
        took = time.monotonic() - self.start
        seconds = took * (self.expected - self.passed) / self.passed
        return f"; {seconds / 60:.0f} min left" if seconds > 90 else f"; {seconds:.0f} s left"

    def say(self, text, always=False):
        """Prints a line that overwrites the last one on a terminal; elsewhere only if ALWAYS."""
        line = f"[{self.done}/{self.total}] {text}{self.left()}"
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K" + line)
        elif always:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def step_done(self, cell, steps):
        self.done += 1
        self.passed += cell.seconds() * cell.rounds / steps

    @staticmethod
    def end():
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")


class Lab:
    """Lends cells a work folder on the disk that is measured, a file, and the results."""

    def __init__(self, folder, results):
        self.results = results
        self.work = tempfile.mkdtemp(prefix="page2cache-lab.", dir=folder)
        self.file = None

    def file_of(self, size):
        """A file of that size. There is one at a time: the last one is kept if it has that size."""
        if self.file and self.file.size == size:
            return self.file
        self._drop_file()
        place.check_room(self.work, size)
        self.file = cache.make_file(os.path.join(self.work, "data"), size)
        return self.file

    def _drop_file(self):
        if self.file:
            os.unlink(self.file.path)
            self.file.close()
            self.file = None

    def close(self):
        self._drop_file()
        shutil.rmtree(self.work, ignore_errors=True)


def run_cell(cell, lab, seed, progress, readahead):
    progress.say(f"{cell.workload}: preparing", True)
    steps = cell.steps(seed)
    try:
        cell.open(lab)
        for step in steps:
            number = f", round {step.round} of {cell.rounds}" if step.round else ""
            progress.say(f"{cell.workload}{number}: {step.arm}")
            lab.results.append(cell.make(step))
            readahead.check()
            progress.step_done(cell, len(steps))
    finally:
        cell.close()


def run(cells, results, folder, readahead):
    """Makes all steps of CELLS. Returns why it is not complete, None if it is; a cell that fails
    does not keep the others from being measured."""
    seed = results.meta["seed"]
    lab = Lab(folder, results)
    progress = Progress(cells, seed)
    try:
        for cell in cells:
            try:
                run_cell(cell, lab, seed, progress, readahead)
            except (Failed, OSError) as e:
                progress.end()
                print(f"experiment: {cell.name}: {e}", file=sys.stderr)
                results.meta["failed"][cell.name] = str(e)
                if isinstance(e, Disturbed):
                    return str(e)
    finally:
        progress.end()
        lab.close()
    failed = results.meta["failed"]
    return f"failed: {', '.join(failed)}" if failed else None
