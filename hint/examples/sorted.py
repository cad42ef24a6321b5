#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sorted.c's walk in Python: libpagehint by ctypes.

sorted.py TABLE INDEX AHEAD      of a table that `sorted build` made
"""
import ctypes
import os
import struct
import sys

RECORD = 1024


class Hints:
    """A handle of libpagehint. A hint that cannot be given is no error of the program."""

    def __init__(self):
        self._lib = ctypes.CDLL("libpagehint.so.0")
        self._lib.pagehint_connect.restype = ctypes.c_void_p
        self._lib.pagehint_file.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._lib.pagehint_willneed.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64,
                                                ctypes.c_uint64]
        self._lib.pagehint_close.argtypes = [ctypes.c_void_p]
        self._handle = self._lib.pagehint_connect(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lib.pagehint_close(self._handle)

    def file(self, fd):
        return self._lib.pagehint_file(self._handle, fd)

    def willneed(self, file, offset, length):
        return self._lib.pagehint_willneed(self._handle, file, offset, length)


def main(table, index, ahead):
    with open(index, "rb") as f:
        entries = list(struct.iter_unpack("=QQ", f.read()))
    fd = os.open(table, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    hinted = wrong = 0
    with Hints() as hints:
        file = hints.file(fd)
        for i, (key, offset) in enumerate(entries):
            for _, next_offset in entries[hinted:i + ahead]:
                hints.willneed(file, next_offset, RECORD)
            hinted = max(hinted, i + ahead)
            wrong += struct.unpack_from("=Q", os.pread(fd, RECORD, offset))[0] != key
    print(f"{len(entries)} records, {wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: sorted.py TABLE INDEX AHEAD")
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
