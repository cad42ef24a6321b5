# SPDX-License-Identifier: GPL-2.0-only
"""Runs COMMAND under perf, beside the tool that watches it, while the kernel counts BPF programs."""
import collections
import contextlib
import os
import select
import shutil
import signal
import subprocess
import time

from perflib import bpf

Event = collections.namedtuple("Event", "name brings")
EVENTS = (Event("cycles", "hardware counters: a machine, or a host that passes them to its guests"),
          Event("cpu-clock", "a kernel with perf events that lockdown lets look into it"))

Run = collections.namedtuple("Run", "arm data wall_us cpu_us tool_us status signal counts")


class Failed(Exception):
    """A step that is possible here has failed: status 1."""


def quietly(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)


def last_line(done):
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1].strip()


class Means:
    """The abilities of this machine: the event to sample, if any; whether runs of BPF programs can be
    counted; and what is missing: {what, reason, brings}."""

    def __init__(self, work):
        self.missing = []
        self.event = self.find_event(work)
        try:
            bpf.count_runs().close()
            self.counting = True
        except OSError as e:
            self.counting = False
            self.lacks("runs of BPF programs", e.strerror, "Linux 5.8 or newer, CAP_SYS_ADMIN")

    def lacks(self, what, reason, brings):
        self.missing.append({"what": what, "reason": reason, "brings": brings})

    def find_event(self, work):
        if not shutil.which("perf"):
            self.lacks("samples", "perf is not installed", "scripts/setup perf")
        elif symbols_hidden():
            self.lacks("samples", "the kernel hides its symbols", "sysctl kernel.kptr_restrict=0")
        else:
            return next((e.name for e in EVENTS if self.works(e, f"{work}/try.data")), None)
        return None

    def works(self, event, data):
        """Tries the event with perf stat, which says if it is not supported; perf record would silently
        take another event."""
        done = quietly("perf", "stat", "-x,", "-e", event.name, "--", "true")
        if "<not supported>" in done.stderr:
            self.lacks(event.name, "perf stat says that it is not supported", event.brings)
            return False
        if not done.returncode:
            done = quietly("perf", "record", "-N", "--no-bpf-event", "-e", event.name, "-o", data,
                           "--", "true")
        if done.returncode:
            self.lacks(event.name, last_line(done), event.brings)
        return not done.returncode


def symbols_hidden():
    with open("/proc/kallsyms", encoding="ascii") as f:
        return all(int(line.split()[0], 16) == 0 for line, _ in zip(f, range(100)))


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP end the current run, and no other run begins."""

    def __init__(self):
        self.number = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.note)

    def note(self, number, _):
        self.number = number


def start(command, **more):
    """Starts a process in a session of its own, so that only this script gets a Ctrl-C, and ends the
    processes in its own order."""
    return subprocess.Popen(command, start_new_session=True, **more)


def stop(process, first=signal.SIGINT, patience=10):
    """Ends a process that still runs, stopped or not, and its session."""
    for number in (first, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        os.killpg(process.pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def cpu_seconds(process):
    """CPU time of all threads of a running process: its clock is that of clock_getcpuclockid(3)."""
    return time.clock_gettime(~process.pid << 3 | 2)


def busy_seconds():
    """CPU time of all processors since the start of the system."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, *_ = map(int, f.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def tool(words, interrupts, log):
    """The tool that watches COMMAND, once it is attached."""
    now = set()
    with open(log, "w+", encoding="utf-8", errors="replace") as said:
        process = start(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            begun = since = time.monotonic()
            # A tool that has loaded BPF programs, and loads no more, is attached.
            while (not now or time.monotonic() < since + 0.5) and not interrupts.number:
                time.sleep(0.05)
                if process.poll() is not None or time.monotonic() > begun + 60:
                    said.seek(0)
                    lines = said.read().strip().splitlines() or ["it loads no BPF program"]
                    raise Failed(f"{words[0]} does not watch: {lines[-1]}")
                if bpf.ids_of(process.pid) != now:
                    now, since = bpf.ids_of(process.pid), time.monotonic()
            yield process
        finally:
            stop(process)


@contextlib.contextmanager
def perf(event, frequency, data, whom):
    """perf record, which samples from here on."""
    theirs, orders = os.pipe()
    answers, ours = os.pipe()
    with open(data + ".log", "w+", encoding="utf-8") as said:
        # -N: no copies of what COMMAND runs in ~/.debug, which would be further names of it.
        process = start(["perf", "record", "-N", "-e", event, "-F", str(frequency),
                         "--call-graph", "fp", "-D", "-1", "--control", f"fd:{theirs},{ours}",
                         "-o", data, *whom],
                        stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=(theirs, ours))
        os.close(ours)
        try:
            os.write(orders, b"enable\n")
            if not os.read(answers, 64):
                process.wait()
                said.seek(0)
                raise Failed("perf record: " + said.read().strip())
            yield
        finally:
            stop(process, patience=60)
            for fd in (theirs, orders, answers):
                os.close(fd)


def run(arm, command, means, args, interrupts, programs, data=None, count=False, watcher=None):
    """Runs COMMAND once, sampled into data, counted, watched; returns what came of it."""
    with contextlib.ExitStack() as all_of_it:
        # COMMAND stops itself before its first own instruction, until all others are attached.
        child = start(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command],
                      stdin=subprocess.DEVNULL, stdout=2)
        all_of_it.callback(stop, child)
        os.waitpid(child.pid, os.WUNTRACED)
        if data:
            whom = ["-a"] if args.all else ["-p", str(child.pid)]
            all_of_it.enter_context(perf(means.event, args.frequency, data, whom))
        programs.look()
        if count:
            all_of_it.enter_context(bpf.count_runs())
        before = {p.id: p.runs() for p in programs.known.values()}
        tool_cpu = cpu_seconds(watcher) if watcher else None
        busy = busy_seconds()
        begun = time.monotonic()
        os.killpg(child.pid, signal.SIGCONT)
        usage = wait(child, interrupts, programs)
        wall = time.monotonic() - begun
        cpu = busy_seconds() - busy if args.all else usage.ru_utime + usage.ru_stime
        tool_us = (cpu_seconds(watcher) - tool_cpu) * 1e6 if watcher else None
        counts = {p.id: difference(p.runs(), before.get(p.id, (0, 0)))
                  for p in programs.known.values()} if count else None
    code = child.returncode
    return Run(arm, data, wall * 1e6, cpu * 1e6, tool_us, code if code >= 0 else None,
               -code if code < 0 else None, counts)


def difference(after, before):
    return tuple(a - b for a, b in zip(after, before))


def wait(child, interrupts, programs):
    """Until COMMAND ends, or is ended by a signal to us; sees the programs that come meanwhile.
    Returns what COMMAND used."""
    end = os.pidfd_open(child.pid)
    told = None
    try:
        while not select.select([end], [], [], 0.05)[0]:
            programs.look()
            if interrupts.number and not told:
                told = time.monotonic()
                os.killpg(child.pid, signal.SIGTERM)
            elif told and time.monotonic() > told + 5:
                os.killpg(child.pid, signal.SIGKILL)
    finally:
        os.close(end)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage
