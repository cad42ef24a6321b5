# SPDX-License-Identifier: GPL-2.0-only
"""The programs that experiments run, and how they are run."""
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHEMISS = os.path.join(ROOT, "build/cachemiss")
PCFORCE = os.path.join(ROOT, "build/pcforce")
RATRACE = os.path.join(ROOT, "build/ratrace")
WORKLOAD = os.path.join(ROOT, "build/tests/workload")
FLOOR = os.path.join(ROOT, "build/tests/floor")
HINTS = os.path.join(ROOT, "build/tests/hints")
SHARING = os.path.join(ROOT, "build/tests/sharing")
CHANGING = os.path.join(ROOT, "build/tests/changing")
PROGRAMS = (CACHEMISS, PCFORCE, RATRACE, WORKLOAD, FLOOR, HINTS, SHARING, CHANGING)


class Failed(Exception):
    """A measurement could not be made; the message says why."""


class Disturbed(Failed):
    """Somebody else changes a setting of the measurement, so that later steps are worth nothing either."""


def run(args):
    """(status, stdout, stderr) of a program that may fail; 127, as in a shell, if there is no such
    program. An interruption ends the program, and the tools pass the SIGTERM on to their COMMAND."""
    if not shutil.which(args[0]):
        return 127, "", f"{args[0]} is not installed"
    with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace") as p:
        try:
            out, err = p.communicate()
        except BaseException:
            p.terminate()
            try:
                p.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                p.kill()
            raise
    return p.returncode, out, err


def run_ok(args, allowed=(0,)):
    """The output of a program that must not fail, but for the statuses that are allowed."""
    status, out, err = run(args)
    if status not in allowed:
        raise Failed(f"{shlex.join(args)}: status {status}: {err.strip()[-500:]}")
    return out


def timed(args):
    """(wall, CPU) of a program that must not fail, in microseconds: the time from just before its
    start to its end, and the processor time of the program and of the children that it waited for.
    Its output is dropped, because a pipe and a thread to read it would take a part of a few
    milliseconds."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        streams = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in range(3)]
        start = time.monotonic()
        child = os.posix_spawnp(args[0], args, os.environ, file_actions=streams)
        _, status, used = os.wait4(child, 0)
        wall = time.monotonic() - start
    finally:
        os.close(null)
    if status:
        raise Failed(f"{shlex.join(args)}: status {os.waitstatus_to_exitcode(status)}")
    return round(wall * 1e6), round((used.ru_utime + used.ru_stime) * 1e6)


def last_object(text, what):
    """The last line of a program's output that is a JSON object."""
    lines = [x for x in text.splitlines() if x.startswith("{")]
    if not lines:
        raise Failed(f"{what}: printed no result")
    return json.loads(lines[-1])


def records(path, kind):
    """The records of that kind in a tool's -j output, in order."""
    with open(path, encoding="utf-8", errors="replace") as f:
        found = [json.loads(line) for line in f if line.startswith("{")]
    return [r for r in found if r.get("record") == kind]


def receipt_of_all(path):
    """One receipt for all files of a list."""
    found = records(path, "receipt")
    counts = ("requested", "resident", "read", "failed", "past_eof", "skipped", "left",
              "submitted")
    return {"files": len(found), "engine": found[0]["engine"],
            **{k: sum(r[k] for r in found) for k in counts}}


def engines():
    """{engine: why it cannot be used here, None if it can}, the best engine last."""
    _, out, err = run([PCFORCE, "--check", "-j"])
    rows = [json.loads(x) for x in out.splitlines() if '"engine"' in x]
    rows = [r for r in rows if r.get("record") == "check" and "engine" in r]
    if not rows:
        raise Failed(f"pcforce --check: {err.strip()}")
    return {r["engine"]: None if r["available"] else r["reason"] for r in reversed(rows)}


def summary(folder):
    """Prints the summary of an experiment, and where its results are."""
    sys.stdout.flush()
    subprocess.run([os.path.join(ROOT, "analysis/summary"), folder], check=False)
    print(f"All of it: {folder}; a page: analysis/report {folder}", flush=True)
