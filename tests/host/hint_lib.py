# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of libpagehint share: its functions, files of which nothing is cached, and checks,
which are lines of got, want and name."""
import ctypes
import errno
import os
import subprocess
import time

PAGE = os.sysconf("SC_PAGESIZE")
END_U64 = UNKNOWN = 2 ** 64 - 1


class Range(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("length", ctypes.c_uint64)]


class Stat(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("hits", "misses", "late", "forced", "used")]


def load(path):
    """The library, its functions declared."""
    lib = ctypes.CDLL(path, use_errno=True)
    handle, u64 = ctypes.c_void_p, ctypes.c_uint64
    lib.pagehint_connect.restype = handle
    lib.pagehint_connect.argtypes = [ctypes.c_char_p]
    lib.pagehint_file.argtypes = [handle, ctypes.c_int]
    lib.pagehint_forget.argtypes = [handle, ctypes.c_int]
    lib.pagehint_willneed.argtypes = [handle, ctypes.c_int, u64, u64]
    lib.pagehint_willneed_many.argtypes = [handle, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    lib.pagehint_dropped.argtypes = [handle]
    lib.pagehint_dropped.restype = u64
    lib.pagehint_stat.argtypes = [handle, ctypes.c_int, ctypes.c_void_p]
    lib.pagehint_close.argtypes = [handle]
    return lib


def name(code):
    return errno.errorcode[-code] if code < 0 else code


def is_(got, want, what):
    print(got, want, what, sep="\t", flush=True)


def skip_(why, checks):
    print("# skip", why, checks, sep="\t", flush=True)


def wait_for(true, seconds=60):
    """Until that is so, for at most so long; says whether it is."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def ranges_of(pages):
    """1 2 3 7 as 1-3 7; a page that is not valid stands alone, with its mark."""
    out = []
    for p in pages:
        if out and p.isdigit() and str(out[-1][1]).isdigit() and int(p) == int(out[-1][1]) + 1:
            out[-1][1] = p
        else:
            out.append([p, p])
    return " ".join(a if a == b else a + "-" + b for a, b in out)


class Files:
    """Files, looked at by the programs in PROGS."""

    def __init__(self, progs):
        self.progs = progs

    def make(self, path, pages):
        with open(path, "wb") as f:
            f.write(os.urandom(pages * PAGE))
        self.evict(path)

    def evict(self, path):
        subprocess.run([self.progs + "/access", "--evict", "-l", "4k", "-n", "0", path], check=True,
                       stdout=subprocess.DEVNULL)

    def cached(self, path):
        """The pages of a file that are cached, as text."""
        out = subprocess.run([self.progs + "/cached", path], check=True, capture_output=True, text=True)
        return ranges_of(out.stdout.split()) or "none"

    def becomes(self, path, want, what):
        """These pages are cached, no others. Hints are served in order: the last one is among these.
        What somebody else has dropped meanwhile never comes."""
        wait_for(lambda: self.cached(path) == want, 20)
        is_(self.cached(path), want, what)
