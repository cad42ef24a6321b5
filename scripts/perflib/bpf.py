# SPDX-License-Identifier: GPL-2.0-only
"""bpf(2), as far as it tells which programs are loaded, what they cost, and their machine code.

The figures are those of `bpftool prog`. This module also gets the figures of programs that end
before bpftool could look, and the machine code, which Debian's bpftool cannot show (no libbfd)."""
import collections
import contextlib
import ctypes
import itertools
import os
import struct

SYSCALL = 321  # of x86-64
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
BTF_GET_FD_BY_ID, ENABLE_STATS = 19, 32

Function = collections.namedtuple("Function", "name program start size")
LIBC = ctypes.CDLL(None, use_errno=True)


class ProgInfo(ctypes.Structure):
    """struct bpf_prog_info of linux/bpf.h"""
    _fields_ = [(name, ctypes.c_uint64 if size == 8 else ctypes.c_uint32 if size == 4
                 else ctypes.c_char * size) for name, size in (
        ("type", 4), ("id", 4), ("tag_low", 4), ("tag_high", 4), ("jited_prog_len", 4),
        ("xlated_prog_len", 4), ("jited_prog_insns", 8), ("xlated_prog_insns", 8),
        ("load_time", 8), ("created_by_uid", 4), ("nr_map_ids", 4), ("map_ids", 8), ("name", 16),
        ("ifindex", 4), ("gpl_compatible", 4), ("netns_dev", 8), ("netns_ino", 8),
        ("nr_jited_ksyms", 4), ("nr_jited_func_lens", 4), ("jited_ksyms", 8),
        ("jited_func_lens", 8), ("btf_id", 4), ("func_info_rec_size", 4), ("func_info", 8),
        ("nr_func_info", 4), ("nr_line_info", 4), ("line_info", 8), ("jited_line_info", 8),
        ("nr_jited_line_info", 4), ("line_info_rec_size", 4), ("jited_line_info_rec_size", 4),
        ("nr_prog_tags", 4), ("prog_tags", 8), ("run_time_ns", 8), ("run_cnt", 8))]


class BtfInfo(ctypes.Structure):
    """struct bpf_btf_info of linux/bpf.h"""
    _fields_ = [("btf", ctypes.c_uint64), ("btf_size", ctypes.c_uint32), ("id", ctypes.c_uint32)]


def call(command, layout, *values):
    """bpf(2)'s return value, and its argument after the call."""
    attr = ctypes.create_string_buffer(struct.pack(layout, *values), 128)
    got = LIBC.syscall(SYSCALL, command, attr, len(attr))
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got, attr.raw


def ask(fd, info):
    call(OBJ_GET_INFO_BY_FD, "=IIQ", fd, ctypes.sizeof(info), ctypes.addressof(info))
    return info


def wanted(**arrays):
    """A ProgInfo that asks for these arrays, each named by the field that has its length."""
    info = ProgInfo()
    for field, array in arrays.items():
        pointer = "jited_prog_insns" if field == "jited_prog_len" else field.removeprefix("nr_")
        setattr(info, field, len(array))
        setattr(info, pointer, ctypes.addressof(array))
        if field.endswith("line_info"):
            setattr(info, pointer + "_rec_size", ctypes.sizeof(array._type_))
    return info


def count_runs():
    """Makes the kernel count the runs and time of each program, until the returned file is closed, in
    whatever way this process ends. kernel.bpf_stats_enabled is not changed."""
    return os.fdopen(call(ENABLE_STATS, "=I", 0)[0], "rb", buffering=0)


class Program:
    """A loaded program. It is held open, so that its figures can be read after its owner has ended."""

    def __init__(self, number):
        self.fd = call(PROG_GET_FD_BY_ID, "=I", number)[0]
        info = ask(self.fd, ProgInfo())
        self.id, self.name = number, info.name.decode()
        self.tag = struct.pack("=II", info.tag_low, info.tag_high).hex()

    def runs(self):
        """How often it ran while counted, and for how many nanoseconds in all."""
        info = ask(self.fd, ProgInfo())
        return info.run_cnt, info.run_time_ns

    def functions(self, names):
        """Its functions in memory, with their names from /proc/kallsyms (NAMES). None where the kernel
        hides addresses."""
        size = ask(self.fd, ProgInfo()).nr_jited_ksyms
        starts, sizes = (ctypes.c_uint64 * size)(), (ctypes.c_uint32 * size)()
        ask(self.fd, wanted(nr_jited_ksyms=starts, nr_jited_func_lens=sizes))
        return [Function(names.get(start, f"bpf_prog_{self.tag}_{self.name}"), self, start, length)
                for start, length in zip(starts, sizes) if start]

    def code(self, function):
        """The machine code of one of its functions."""
        image = (ctypes.c_ubyte * ask(self.fd, ProgInfo()).jited_prog_len)()
        ask(self.fd, wanted(jited_prog_len=image))
        others = itertools.takewhile(lambda f: f.start != function.start, self.functions({}))
        before = sum(f.size for f in others)
        return bytes(image[before:before + function.size])

    def source(self):
        """{address where the code of a line begins: source line}"""
        info = ask(self.fd, ProgInfo())
        if not info.btf_id or info.nr_line_info != info.nr_jited_line_info:
            return {}
        lines = (ctypes.c_uint32 * 4 * info.nr_line_info)()
        addresses = (ctypes.c_uint64 * info.nr_line_info)()
        ask(self.fd, wanted(nr_line_info=lines, nr_jited_line_info=addresses))
        words = strings(info.btf_id)
        text = [words[off:words.index(b"\0", off)].decode().strip() for _, _, off, _ in lines]
        return dict(zip(addresses, text))


def strings(btf_id):
    """The strings of a BTF object."""
    fd = call(BTF_GET_FD_BY_ID, "=I", btf_id)[0]
    try:
        blob = (ctypes.c_ubyte * ask(fd, BtfInfo()).btf_size)()
        ask(fd, BtfInfo(btf=ctypes.addressof(blob), btf_size=len(blob)))
    finally:
        os.close(fd)
    header, _, _, start, size = struct.unpack_from("=IIIII", bytes(blob), 4)
    return bytes(blob)[header + start:header + start + size]


def numbers():
    """The ids of all loaded programs."""
    number = 0
    while True:
        try:
            number = struct.unpack_from("=II", call(PROG_GET_NEXT_ID, "=II", number, 0)[1])[1]
        except FileNotFoundError:
            return
        yield number


def ids_of(pid):
    """The programs that a process has open, or that its open links attach."""
    folder, found = f"/proc/{pid}/fdinfo", set()
    with contextlib.suppress(OSError):  # it has ended, or we may not look
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError), open(f"{folder}/{fd}", encoding="ascii") as f:
                found.update(int(line.split()[1]) for line in f if line.startswith("prog_id:"))
    return found


class Programs:
    """All loaded programs; look() adds those that were loaded since."""

    def __init__(self):
        self.known = {}
        self.owner = {}  # {id: name of a process that has the program open}

    def look(self):
        """Opens programs that are new."""
        new = set(numbers()) - set(self.known)
        for number in new:
            with contextlib.suppress(FileNotFoundError):  # unloaded meanwhile
                self.known[number] = Program(number)
        if new:
            self.find_owners()

    def find_owners(self):
        """Finds the owners. This process holds all programs, so it does not count as one."""
        for pid in set(filter(str.isdigit, os.listdir("/proc"))) - {str(os.getpid())}:
            ids = ids_of(pid)
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                self.owner.update(dict.fromkeys(ids, f.read().strip()))
