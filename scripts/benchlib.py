# SPDX-License-Identifier: GPL-2.0-only
"""What scripts/bench measures with: residency, precautions, arms and statistics.

The precautions are those without which figures in a virtual machine are noise:
  - residency is asked of cachestat(2) just before an arm: 0 before a cold one, everything
    before a warm one (idle pages can be reclaimed at any time);
  - memory is touched and freed first: what the host took back is slow to get again;
  - everything runs within a second of that.
Inodes stay cached in every arm: pcforce has opened the file before the clock starts, which
would be an unfair advantage if the cold reader had to look it up.
"""
import ctypes
import json
import math
import mmap
import os
import re
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHEMISS = os.path.join(ROOT, "build/cachemiss")
PCFORCE = os.path.join(ROOT, "build/pcforce")
WORKLOAD = os.path.join(ROOT, "build/tests/workload")
FLOOR = os.path.join(ROOT, "build/tests/floor")
PAGE = mmap.PAGESIZE
MIB = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                      ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
NR_CACHESTAT = 451


class Failed(Exception):
    """A measurement could not be made; the message says why."""


def say(text):
    """Progress: overwrites the line on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
    else:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


# --- statistics ---------------------------------------------------------------------------

def bound(values):
    """(low, median, high): the 95 % interval of the median from order statistics, which
    assumes nothing about the distribution. Below 6 values there is no such interval."""
    v = sorted(values)
    n = len(v)
    if n < 6:
        return None, statistics.median(v), None
    k, tail = 0, 0.0
    while tail + math.comb(n, k) / 2 ** n <= 0.025:
        tail += math.comb(n, k) / 2 ** n
        k += 1
    return v[k - 1], statistics.median(v), v[n - k]


def summary(values):
    low, med, high = bound(values)
    return {"median": med, "low": low, "high": high, "values": values}


# --- lists --------------------------------------------------------------------------------

def read_extents(path):
    """The extents of a list, in its order."""
    out = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"(\d+)(?:([+-])(\d+))?\s*$", line)
            if m:
                first, n = int(m[1]), int(m[3] or 1)
                out.append((first, n - first + 1 if m[2] == "-" else n))
    return out


def merged(extents):
    out = []
    for first, n in sorted(extents):
        if out and first <= out[-1][0] + out[-1][1]:
            out[-1][1] = max(out[-1][1], first + n - out[-1][0])
        else:
            out.append([first, n])
    return out


# --- the file under test ------------------------------------------------------------------

class File:
    def __init__(self, path, size):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(size // MIB):
            os.write(self.fd, os.urandom(MIB))
        os.fsync(self.fd)
        self.size = size
        self.pages = size // PAGE

    def resident(self, extents=None):
        """Pages in the cache, of the whole file or of some extents."""
        if extents is None:
            extents = [(0, self.pages)]
        total = 0
        ask, got = (ctypes.c_uint64 * 2)(), (ctypes.c_uint64 * 5)()
        for first, n in extents:
            ask[0], ask[1] = first * PAGE, n * PAGE
            if libc.syscall(NR_CACHESTAT, self.fd, ask, got, 0):
                raise Failed("cachestat(2): " + os.strerror(ctypes.get_errno()))
            total += got[0]
        return total

    def readable(self, extents):
        """Listed pages whose data is there; mincore(2) calls one that is being read absent."""
        addr = libc.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED, self.fd, 0)
        vec = ctypes.create_string_buffer(self.pages)
        err = libc.mincore(addr, self.size, vec)
        libc.munmap(addr, self.size)
        if err:
            raise Failed("mincore(2)")
        raw = vec.raw.translate(bytes(i & 1 for i in range(256)))
        return sum(sum(raw[first:first + n]) for first, n in extents)

    def evict(self):
        for wait in (0, 0.05, 0.2, 0.5, 1):
            time.sleep(wait)
            os.fsync(self.fd)
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if not self.resident():
                return
        raise Failed(f"{self.path}: {self.resident()} pages cannot be dropped")

    def load(self):
        """Everything cached, by ordinary sequential reading (so in large folios, where the
        file system has them: the fastest state that there is)."""
        for _ in range(5):
            for off in range(0, self.size, MIB):
                os.pread(self.fd, MIB, off)
            if self.resident() == self.pages:
                return
        raise Failed(f"{self.path}: does not stay cached; is there enough memory?")


def run(args):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       check=False)
    return p.returncode, p.stdout, p.stderr


def run_json(args, allowed=(0,)):
    """The last JSON line that a program prints."""
    status, out, err = run(args)
    lines = [x for x in out.splitlines() if x.startswith("{")]
    if status not in allowed or not lines:
        raise Failed(f"{' '.join(args)}: status {status}: {err.strip()}")
    return json.loads(lines[-1])


def run_ok(args):
    """For a program that has nothing to say."""
    status, _, err = run(args)
    if status:
        raise Failed(f"{' '.join(args)}: status {status}: {err.strip()}")


def prepare(nbytes):
    """Memory for twice what is about to be read, and no other pages in the cache."""
    run([WORKLOAD, "touch", str(2 * nbytes + 64 * MIB)])
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("1")
    # the programs' own start is not what is measured
    run([PCFORCE, "-V"])
    run([WORKLOAD, "--help"])


# --- arms: each returns microseconds, and puts what else it saw into `notes` --------------

class Arms:
    def __init__(self, file, command, lst, work, fio_out=None):
        self.file = file
        self.fio_out = fio_out      # the workload is fio, which writes its result there
        self.command = command      # the workload
        self.list = lst
        self.extents = merged(read_extents(lst))
        self.bytes = sum(n for _, n in self.extents) * PAGE
        self.receipts = os.path.join(work, "receipt.json")
        self.notes = {"first_us": {}, "listed_resident_after": [], "pcforce_status": []}
        self.floor_arms = []
        self.sweep = None

    def _start_cold(self):
        self.file.evict()
        prepare(self.bytes)
        if self.file.resident():
            raise Failed("not cold")

    def _reader(self, args, arm):
        if self.fio_out:
            status, _, err = run(args)
            with open(self.fio_out, encoding="utf-8") as f:
                text = f.read()
            if status not in (0, 4) or not text.startswith("{"):
                raise Failed(f"fio: status {status}: {err.strip()} {text[:200].strip()}")
            job = json.loads(text)["jobs"][0]
            return job["read"]["runtime"] * 1000.0      # all the precision that it gives
        r = run_json(args, (0, 4))
        self.notes["first_us"].setdefault(arm, []).append(r["first_us"])
        return r["elapsed_us"]

    def cold(self):
        self._start_cold()
        return self._reader(self.command, "cold")

    def forced(self):
        self._start_cold()
        us = self._reader([PCFORCE, "-f", self.file.path, "-o", self.list, "-j", "-O",
                           self.receipts, "--"] + self.command, "forced")
        self.notes["listed_resident_after"].append(self.file.resident(self.extents))
        return us

    def now(self):
        """Forced by hand before the start: the forcing and then the run, in all."""
        self._start_cold()
        start = time.monotonic()
        status, _, err = run([PCFORCE, "--now", "-f", self.file.path, "-o", self.list, "-j",
                              "-O", self.receipts])
        us = (time.monotonic() - start) * 1e6
        if status not in (0, 4):
            raise Failed(f"pcforce --now: status {status}: {err.strip()}")
        self.notes["pcforce_status"].append(status)
        return us + self._reader(self.command, "now")

    def warm(self):
        self.file.load()
        run([WORKLOAD, "--help"])
        if self.file.resident() != self.file.pages:
            self.file.load()
        return self._reader(self.command, "warm")

    def find_floor(self):
        """The sweep; the two best of it are then run in every round."""
        self._start_cold()
        self.sweep = run_json([FLOOR, "-f", self.file.path, self.list])
        best = [a for a in self.sweep["all"] if not a["stopped"]]
        best.sort(key=lambda a: (a["runs"] == 1, a["us"]))
        self.floor_arms = [f"{a['how']}:{a['qd']}:{a['bs']}" for a in best[:2]]

    def floor(self, arm):
        self._start_cold()
        return run_json([FLOOR, "-o", arm, "-f", self.file.path, self.list])["best_us"]

    def receipt(self):
        try:
            with open(self.receipts, encoding="utf-8") as f:
                records = [json.loads(x) for x in f if x.startswith("{")]
        except OSError:
            return None
        return next((r for r in records if r.get("record") == "receipt"), None)


# --- the machine --------------------------------------------------------------------------

def first_line(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.readline().strip()
    except OSError:
        return None


class Quiet:
    """Notices when somebody else changes what is measured."""

    def __init__(self, device):
        self.path = f"/sys/block/{device}/queue/read_ahead_kb"
        self.found = first_line(self.path)

    def check(self):
        now = first_line(self.path)
        if now != self.found:
            raise Failed(f"read_ahead_kb went from {self.found} to {now} meanwhile: "
                         "something else is at work here, measure alone")


def machine(folder):
    source, fstype = (run(["findmnt", "-n", "-o", "SOURCE,FSTYPE", "--target", folder])[1].split()
                      + [None, None])[:2]
    disks = run(["lsblk", "-n", "-s", "-r", "-o", "NAME,TYPE", str(source).split("[", 1)[0]])[1]
    disk = next((x.split()[0] for x in disks.splitlines() if x.endswith(" disk")), None)
    queue = f"/sys/block/{disk}/queue/"
    scheduler = re.search(r"\[(.*?)\]", first_line(queue + "scheduler") or "")
    ra = first_line(queue + "read_ahead_kb")
    commit = run(["git", "-c", "safe.directory=" + ROOT, "-C", ROOT, "rev-parse", "HEAD"])
    dirty = run(["git", "-c", "safe.directory=" + ROOT, "-C", ROOT, "status", "--porcelain"])
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": os.uname().release, "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * PAGE,
        "filesystem": fstype, "device": disk,
        "device_model": first_line(f"/sys/block/{disk}/device/model"),
        "scheduler": scheduler[1] if scheduler else None,
        "read_ahead_kb": int(ra) if ra else None,
        "nr_requests": first_line(queue + "nr_requests"),
        "commit": commit[1].strip() if commit[0] == 0 else None,
        "uncommitted": bool(dirty[1].strip()),
        "transparent_hugepage": first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
    }
