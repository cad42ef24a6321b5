# SPDX-License-Identifier: GPL-2.0-only
"""The page cache, and what makes figures comparable.

The precautions are those without which figures in a virtual machine are noise:
  - residency is asked of cachestat(2) just before an arm: 0 before a cold one, everything
    before a warm one (idle pages can be reclaimed at any time);
  - memory that the host took back is slow to get again: some memory is touched and freed first, and
    the file is read and dropped, which leaves its pages where the next read finds them. Touching
    alone is not enough: with 512 MiB a first read took 0.57 to 0.85 s after touching, and 0.18 to
    0.19 s after reading and dropping; a random reader of forced pages took 0.32 to 0.50 s, and
    0.20 s;
  - an arm runs within a second of these preparations.
Inodes stay cached in every arm: pcforce has opened the file before the clock starts, which
would be an unfair advantage if the cold reader had to look it up.
"""
import ctypes
import errno
import functools
import mmap
import os
import re
import time
import urllib.parse

from lab.tools import Failed, PCFORCE, WORKLOAD, run

PAGE = mmap.PAGESIZE
MIB = 1 << 20
NR_CACHESTAT = 451

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                      ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


LINE = re.compile(r"(?:# file=(?P<name>\S+)|(?P<first>\d+)(?:(?P<how>[+-])(?P<n>\d+))?)"
                  r"(?:\s+@(?P<number>\d+))?(?:\s|$)")


def owned_lines(path):
    """(line, match of LINE or None, file) for each line of a list: the file is that of an extent
    or header, None before the first header that names one."""
    numbers, latest = {}, None
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            if line.startswith("# page2cache offsets "):
                numbers, latest = {}, None
            m = LINE.match(line)
            if m and m["name"]:
                latest = urllib.parse.unquote(m["name"], errors="surrogateescape")
                numbers[m["number"]] = latest
            yield line, m, numbers[m["number"]] if m and m["number"] else latest


def sections(path):
    """[(file, extents)] of a list, in its order: extents are (first page, pages) each, the file
    is None before the first header that names one."""
    out = []
    for _, m, file in owned_lines(path):
        if not m or m["name"]:
            continue
        first, n = int(m["first"]), int(m["n"] or 1)
        if not out or out[-1][0] != file:
            out.append((file, []))
        out[-1][1].append((first, n - first + 1 if m["how"] == "-" else n))
    return out


def read_extents(path):
    """The extents of a list, in its order; of all its sections."""
    return [extent for _, extents in sections(path) for extent in extents]


def write_section(path, file, out):
    """Writes the part of a list that pcforce -f FILE would force: the sections of that file, or the whole
    list if it names no file."""
    @functools.lru_cache(maxsize=None)
    def is_it(name):
        return name is None or (os.path.exists(name) and os.path.samefile(name, file))

    chosen = [line for line, m, owner in owned_lines(path) if not m or is_it(owner)]
    if all(line.startswith("#") for line in chosen):
        raise Failed(f"{path}: has nothing of {file}")
    with open(out, "w", encoding="utf-8", errors="surrogateescape") as f:
        f.writelines(chosen)


def merged(extents):
    """The extents sorted, with extents that touch or overlap made one."""
    out = []
    for first, n in sorted(extents):
        if out and first <= out[-1][0] + out[-1][1]:
            out[-1][1] = max(out[-1][1], first + n - out[-1][0])
        else:
            out.append([first, n])
    return out


class File:
    """An existing file, which is only read."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size
        self.pages = (self.size + PAGE - 1) // PAGE

    def close(self):
        os.close(self.fd)

    def resident(self, extents=None):
        """Pages in the cache, of the whole file or of some extents."""
        if extents is None:
            extents = [(0, self.pages)]
        total = 0
        ask, got = (ctypes.c_uint64 * 2)(), (ctypes.c_uint64 * 5)()
        for first, n in extents:
            ask[0], ask[1] = first * PAGE, n * PAGE
            if libc.syscall(NR_CACHESTAT, self.fd, ask, got, 0):
                if ctypes.get_errno() == errno.ENOSYS:      # before Linux 6.5
                    return self.readable(extents)
                raise Failed("cachestat(2): " + os.strerror(ctypes.get_errno()))
            total += got[0]
        return total

    def readable(self, extents):
        """Pages of these extents whose data is there; mincore(2) calls one that is being read
        absent."""
        addr = libc.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED, self.fd, 0)
        vec = ctypes.create_string_buffer(self.pages)
        err = libc.mincore(addr, self.size, vec)
        libc.munmap(addr, self.size)
        if err:
            raise Failed("mincore(2)")
        raw = vec.raw.translate(bytes(i & 1 for i in range(256)))
        return sum(sum(raw[first:first + n]) for first, n in extents)

    def evict(self):
        # What a throttled group has asked for is read for seconds after its process has ended.
        for wait in (0, 0.05, 0.2, 0.5, 1, 2, 4):
            time.sleep(wait)
            os.fsync(self.fd)
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
            left = self.resident()
            if not left:
                return
        raise Failed(f"{self.path}: {left} pages cannot be dropped: somebody is using it")

    def load(self):
        """Everything cached, by ordinary sequential reading (so in large folios, where the
        file system has them: the fastest state that there is)."""
        for _ in range(5):
            for off in range(0, self.size, MIB):
                os.pread(self.fd, MIB, off)
            if self.resident() == self.pages:
                return
        raise Failed(f"{self.path}: does not stay cached; is there enough memory?")


def make_file(path, size):
    """Makes a file of random bytes and writes it to the disk; removes the file if it does not fit."""
    try:
        with open(path, "xb") as f:
            for at in range(0, size, MIB):
                f.write(os.urandom(min(MIB, size - at)))
            os.fsync(f.fileno())
    except OSError as e:
        if os.path.exists(path):
            os.unlink(path)
        raise Failed(f"{path}: {e.strerror}") from e
    return File(path)


def drop(what):
    """Drops 1: pages that are not in use; 2: inodes and names; 3: both."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write(str(what))


def prepare(nbytes):
    """Has memory ready for twice as many bytes as are about to be read, and empties the page cache."""
    run([WORKLOAD, "touch", str(2 * nbytes + 64 * MIB)])
    drop(1)


def evict_listed(listed):
    """Drops the files of sections() one by one. Returns how many of the listed pages are still
    there, because somebody uses them."""
    left = 0
    for path, extents in listed:
        try:
            file = File(path)
        except FileNotFoundError:       # a temporary file, gone by now
            continue
        os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        left += file.resident(merged(extents))
        file.close()
    return left


def start_programs():
    """Starts the programs once, so that their own files are cached and their start is not measured."""
    run([PCFORCE, "-V"])
    run([WORKLOAD, "--help"])
