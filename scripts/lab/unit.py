# SPDX-License-Identifier: GPL-2.0-only
"""Cells of experiment unit: a service's cold start beside the command of page2cache@.service.

systemd takes no part. The service is the control group of that name, which pcforce waits for, and a
socket stands for systemd's, on which pcforce says that the service may start."""
import contextlib
import os
import socket
import subprocess
import time

from lab import cache, place
from lab.programs import Postgres
from lab.tools import PCFORCE, Failed, run, run_ok

# Joins the groups before --, then becomes the command behind it.
JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
LEARN_FOR = 3       # seconds; longer than the start that is measured takes
PATIENCE = 60


def mounts(kind):
    """Where control groups of that kind are mounted: "cgroup2", or "cgroup" for version 1."""
    return run(["findmnt", "-n", "-l", "-o", "TARGET", "-t", kind])[1].split()


def write(path, words):
    with open(path, "w", encoding="ascii") as f:
        f.write(words)


class Unit(Postgres):
    """A server from the start of page2cache@ to the last of its look-ups. IOPS: no more reads a second
    than that, of the server and of pcforce together."""

    QUERIES, ROWS = 500, 200_000
    ARMS = {"no page2cache@": None, "it records": [], "it only forces": ["--relearn-after", "7d"]}
    NAME = "page2cache-lab.service"

    def __init__(self, name, workload, rounds, shrink, room, iops=None):
        super().__init__(name, workload, rounds, shrink, room)
        self.arms, self.iops = list(self.ARMS), iops
        self.groups, self.both, self.service = [], [], None     # both: the group that limits both

    def missing(self):
        if not mounts("cgroup2"):
            return "no control groups of version 2 are mounted"
        if self.iops and not self._throttle():
            return "control groups of this system do not throttle reads"
        return super().missing()

    @staticmethod
    def _throttle():
        """(folder, file, its words) of the kind of groups that can limit reads, None without one."""
        with open(mounts("cgroup2")[0] + "/cgroup.subtree_control", encoding="ascii") as f:
            if "io" in f.read().split():
                return mounts("cgroup2")[0], "io.max", "{} riops={}"
        for folder in mounts("cgroup"):
            if os.path.exists(folder + "/blkio.throttle.io_serviced"):
                return folder, "blkio.throttle.read_iops_device", "{} {}"
        return None

    def steps(self, seed):
        return [step for step in super().steps(seed) if step.arm in self.arms]

    def _group(self, *path):
        group = os.path.join(*path)
        os.mkdir(group)
        self.groups.append(group)
        return group

    def open(self, lab):
        slice_ = f"page2cache-lab-{os.getpid()}.slice"
        parent = self._group(mounts("cgroup2")[0], slice_)
        self.service = os.path.join(parent, self.NAME)
        super().open(lab)
        if self.iops:
            folder, file, words = self._throttle()
            limited = parent if file == "io.max" else self._group(folder, slice_)
            device = place.first_line(f"/sys/block/{place.disk_of(self.work)}/dev")
            write(os.path.join(limited, file), words.format(device, self.iops))
            self.both = [limited]
        for _ in range(2):              # makes its list, as it is after some starts of the service
            self._start([])
        self._read_list()
        # Files that other processes use, such as the C library, are never cold, also after a boot.
        self.listed = [file for file in self.listed if not cache.evict_listed([file])]

    def close(self):
        super().close()
        for group in reversed(self.groups):
            os.rmdir(group)
        self.groups = []

    def _in(self, groups, command):
        return ["sh", "-c", JOIN, "sh", *self.both, *groups, "--", *command]

    def _page2cache(self, stack, options):
        """The command of page2cache@, from when it is ready on."""
        path = os.path.join(self.work, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(path)
            stack.callback(os.unlink, path)
            ready.settimeout(PATIENCE)
            pcforce = stack.enter_context(subprocess.Popen(
                self._in([], [PCFORCE, "-q", "--learn", "--unit", self.NAME, "-o", self.list,
                              "--learn-for", str(LEARN_FOR), *options]),
                stdin=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": path}))
            stack.callback(pcforce.terminate)
            ready.recv(64)
        return pcforce

    def _start(self, options):
        """[when page2cache@ was started, the service, when it was ready, when it had looked up all
        rows], in seconds; OPTIONS None: without page2cache@."""
        times = [time.monotonic()]
        with contextlib.ExitStack() as stack:
            pcforce = None if options is None else self._page2cache(stack, options)
            os.mkdir(self.service)
            stack.callback(self._stop)
            times.append(time.monotonic())
            for part in self.parts:
                run_ok(self._in([self.service], part))
                times.append(time.monotonic())
            if pcforce:
                self._end_of(pcforce)
        return times

    @staticmethod
    def _end_of(pcforce):
        try:
            if pcforce.wait(PATIENCE) not in (0, 4):
                raise Failed(f"{PCFORCE}: status {pcforce.returncode}")
        except subprocess.TimeoutExpired as e:
            raise Failed(f"{PCFORCE} does not end") from e

    def _stop(self):
        self.after()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return os.rmdir(self.service)
            except OSError:             # its last process is about to end
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def make(self, step):
        self._cool()
        begin, service, ready, done = self._start(self.ARMS[step.arm])
        us = round((done - begin) * 1e6)
        return {**self.fields(step), "value": us,
                "more": {"typed_us": us, "ready_us": round((ready - service) * 1e6),
                         "rows_us": round((done - service) * 1e6)}}
