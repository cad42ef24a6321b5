# SPDX-License-Identifier: GPL-2.0-only
"""The experiments: each a function from the options to its cells."""
import argparse
import os
import random
import shutil

from lab import cache, hints as hint_cells, readers
from lab.cell import Cell
from lab.neighbour import Neighbour
from lab.other import Loading, Overhead, Peers
from lab.programs import Git, Grep, Node, Postgres, Python, Sqlite
from lab.restore import Restore
from lab.start import FirstPage, Start
from lab.tools import WORKLOAD
from lab.unit import Unit

SEED = "20240229"       # the workloads' seed, so that each run makes the same accesses
# Rounds: six are the fewest for a 95 % bound of a median; a cell in which forcing must never lose has 21.
ROUNDS, LOSS_ROUNDS, START_ROUNDS, QUICK_ROUNDS = 9, 21, 20, 6
ENGINES = ("cold", "forced", "warm", "floor")
PLAIN = (*ENGINES, "count")
NOW = (*PLAIN, "now")

# Sizes of experiment thesis, by four from 32 KiB to 2 GiB. Its fio job gives no advice (fadvise_hint=0).
THESIS_SIZES = [(32 << 10) << 2 * i for i in range(9)]
PEER_SIZES = (128 << 20, 512 << 20)
# Larger files are not traced, as their traces are too long for a picture.
TRACED = 8 << 20


def limit(at_most):
    return [{"mark": "limit", "at_most": at_most}, {"mark": "first-data", "at_most_us": 5000}]


def no_loss(clock, from_us=None):
    return {"mark": "no-loss", "at_least": 0.95, "pairs": LOSS_ROUNDS, "clock": clock,
            "from_us": from_us}


# As typed, lines of less than 100 ms may lose the time that a tool takes to start, for which there are marks
# of their own.
NO_LOSS = [no_loss("typed", 100_000), no_loss("reader")]
# As typed, a forced line must not be slower than `pcforce --now` and then the line.
OF_NOW = [{"mark": "of-now", "at_most": 1.05}]


def words(nbytes):
    """32K, 2M, 1G"""
    for unit, shift in (("G", 30), ("M", 20), ("K", 10)):
        if nbytes >= 1 << shift and not nbytes % (1 << shift):
            return f"{nbytes >> shift}{unit}"
    return str(nbytes)


def own(mode, *options):
    """Our own reader, which knows what it reads."""
    return lambda file, _: readers.Own([WORKLOAD, mode, *options, file.path])


def fio(engine, rw):
    return lambda file, work: readers.Fio(engine, file.path, [f"--rw={rw}", f"--size={file.size}",
                                                              "--fadvise_hint=0"], work)


def rounds(a, many=ROUNDS):
    return a.rounds or (QUICK_ROUNDS if a.quick else many)


def data(a):
    """The file of an experiment: the operator's (--file), or one of --size."""
    return {"path": a.file} if a.file else {"size": a.size}


def thesis(a):
    """fio's psync and mmap engines, sequential and random, 32 KiB to 2 GiB: times and misses"""
    found = []
    for size in THESIS_SIZES[::2] if a.quick else THESIS_SIZES:
        if size > a.size:
            continue
        for engine, kind in (("psync", "read"), ("mmap", "mmap")):
            for rw, order in (("read", "seq"), ("randread", "rand")):
                found.append(Cell(
                    f"{engine}-{order}-{words(size)}", f"fio {engine} {order} {words(size)}",
                    fio(engine, rw), rounds(a), a.best, size=size, kind=kind,
                    group=f"{engine} {order}", x=size, x_label="file size, bytes", arms=PLAIN,
                    trace=size == TRACED))
    return found


def whole(a):
    """every page of a file, random and sequential, read and mmap"""
    speedup = [{"mark": "speedup", "at_least": 8}]
    return [
        Cell("random-read", "all pages at random, read", own("read", "-r", SEED), rounds(a),
             a.best, kind="read", arms=NOW, marks=limit(1.10) + speedup + OF_NOW, **data(a)),
        Cell("random-mmap", "all pages at random, mmap", own("mmap", "-r", SEED), rounds(a),
             a.best, kind="mmap", arms=NOW, marks=limit(1.15) + OF_NOW, **data(a)),
        Cell("seq-read", "front to back, read", own("read"), rounds(a, LOSS_ROUNDS), a.best,
             kind="read", arms=NOW, marks=NO_LOSS, trace=True, **data(a)),
        Cell("seq-mmap", "front to back, mmap", own("mmap"), rounds(a, LOSS_ROUNDS), a.best,
             kind="mmap", arms=NOW, marks=NO_LOSS, trace=True, **data(a)),
    ]


def half(a):
    """the first half of a file, front to back: where forcing can lose"""
    return [Cell(f"half-{mode}", f"the first half, {mode}", own(mode, "-H"),
                 rounds(a, LOSS_ROUNDS), a.best, kind=mode, arms=NOW, marks=NO_LOSS, trace=True,
                 **data(a)) for mode in ("read", "mmap")]


def make_replay(path, pages):
    """A list as applications make them: a fifth of the file, in clusters that are visited in random
    order, each mostly forward, in runs of 1 to 64 pages with gaps."""
    rng = random.Random(SEED)
    starts = list(range(0, pages, 512))
    rng.shuffle(starts)
    left = max(pages // 5, 1)
    with open(path, "w", encoding="ascii") as f:
        for start in starts:
            at, end = start + rng.randrange(32), min(start + 512, pages)
            while at < end and left > 0 and rng.random() < 0.97:
                n = min(1 << rng.randrange(7), end - at, left)
                f.write(f"{at}+{n}\n" if n > 1 else f"{at}\n")
                at += n + 1 + rng.randrange(48)
                left -= n


def replayed(mode):
    """A reader of such a list: our own for mmap, else fio from an iolog, with which fio's mmap engine
    would map 0 bytes."""
    def reader(file, work):
        path = os.path.join(work, "replay.offsets")
        make_replay(path, file.pages)
        if mode == "fio":
            return readers.fio_replay("psync", file.path, cache.read_extents(path), work,
                                      cache.PAGE)
        return readers.Own([WORKLOAD, mode, "-l", path, file.path])
    return reader


def sparse(a):
    """one page in ten at random, and the list of an application, replayed"""
    pages = os.path.getsize(a.file) // cache.PAGE if a.file else a.size // cache.PAGE
    typed = [{"mark": "typed-limit", "at_most": 1.10, "plus_us": 10_000}]
    found = [Cell(f"sparse-{mode}", f"10 % of the pages at random, {mode}",
                  own(mode, "-r", SEED, "-p", "10"), rounds(a), a.best, kind=mode, arms=NOW,
                  marks=limit(1.05) + typed, trace=True, pages=pages // 10, **data(a))
             for mode in ("read", "mmap")]
    found += [Cell(f"list-{mode}", f"an application's list, {mode}", replayed(mode), rounds(a),
                   a.best, kind=mode, arms=NOW, pages=pages // 5, **data(a))
              for mode in ("read", "mmap")]
    return found + [Cell("list-fio", "an application's list, fio psync from its iolog",
                         replayed("fio"), rounds(a), a.best, kind="read", arms=NOW,
                         pages=pages // 5, **data(a))]


def written(write):
    """A reader of the list that WRITE makes: a function of (path, pages)."""
    def of(mode):
        def reader(file, work):
            path = os.path.join(work, "engines.offsets")
            write(path, file.pages)
            return readers.Own([WORKLOAD, mode, "-a", "random", "-l", path, file.path])
        return reader
    return of


def scattered(path, pages):
    chosen = random.Random(1).sample(range(pages), min(4096, pages // 2 or 1))
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{page}\n" for page in chosen)


def runs(path, pages):
    """Half of the file, or 256 runs, of 128 pages each."""
    starts = list(range(0, pages, 256))
    random.Random(1).shuffle(starts)
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{start}+{min(128, pages - start)}\n" for start in starts[:256])


GIVEN = "given.offsets"


def given(path):
    """A reader of the file's pages in a list."""
    def reader(file, work):
        own = os.path.join(work, GIVEN)
        cache.write_section(path, file.path, own)
        return readers.Own([WORKLOAD, "read", "-a", "random", "-l", own, file.path])
    return reader


def engines(a):
    """every engine that this kernel has, side by side, on lists of three kinds; with --file, on the
    operator's file: a COMMAND's cold start, --list, or pages at random"""
    options = {"arms": ENGINES, **data(a)}
    if a.command or a.list:
        reader = (lambda *_: readers.of_command(a.command)) if a.command else given(a.list)
        what = os.path.basename(a.command[0]) if a.command else os.path.basename(a.list)
        return [Cell("own", f"{what} on {a.file}", reader, rounds(a), a.usable,
                     offsets=GIVEN if a.list else None, **options)]
    if a.file:
        return [Cell("scattered", f"scattered pages of {a.file}", written(scattered)("read"),
                     rounds(a), a.usable, kind="read", pages=4096, **options)]
    found = []
    for name, what, write in (("scattered", "scattered pages", scattered),
                              ("runs", "runs of 128 pages", runs)):
        for mode in ("read", "mmap"):
            found.append(Cell(f"{name}-{mode}", f"{what}, {mode}", written(write)(mode), rounds(a),
                              a.usable, kind=mode, pages=4096, **options))
    return found + [Cell(f"random-{mode}", f"all pages at random, {mode}", own(mode, "-r", "1"),
                         rounds(a), a.usable, kind=mode, **options) for mode in ("read", "mmap")]


def every_other(path, pages):
    chosen = list(range(0, pages, 2))
    random.Random(1).shuffle(chosen)
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{page}\n" for page in chosen)


def scale(a):
    """a thousand to ten million extents: a list's loading; up to a million single pages, forced"""
    counts = [10 ** i for i in range(3, 7 if a.quick else 8)]
    found = [Loading(count, rounds(a)) for count in counts]
    for count in counts:
        size = 2 * count * cache.PAGE
        if size > (1 << 30 if a.quick else 8 << 30):
            continue
        found.append(Cell(f"force-{count}", f"{count:,} single pages, forced",
                          written(every_other)("read"),
                          a.rounds or (rounds(a) if count < 10 ** 6 else 3),
                          a.best, size=size, kind="read", group="force", x=count,
                          x_label="extents", arms=PLAIN, pages=count))
    return found


def overhead(a):
    """what a lookup costs while a tool is attached"""
    return [Overhead(rounds(a, 11), a.usable, a.quick)]


def snapshot(a):
    """a microVM restored from its snapshot, to the guest's first answer"""
    vmms = ["qemu"] + [vmm for vmm in ("firecracker",) if shutil.which(vmm)]
    return [Restore(vmm, vmm, 512 << 20, rounds(a), a.best) for vmm in vmms]


def peers(a, size=None):
    """cat, fadvise and vmtouch on the same lists"""
    where = {"size": size} if size else data(a)
    first = [{"mark": "first", "arm": Peers.OURS, "figure": figure, "at_most": 1.0}
             for figure in ("ready_us", None)]
    return [Peers(f"peers-{name}-{words(size)}" if size else name,
                  f"{what}, {words(size)}, other tools" if size else what, reader, rounds(a),
                  a.best, kind="read", marks=first, **where)
            for name, what, reader in (
                ("random", "all pages at random", own("read", "-r", SEED)),
                ("sparse", "10 % of the pages at random", own("read", "-r", SEED, "-p", "10")),
                ("list", "an application's list", replayed("read")))]


def ahead(a):
    """Cells of the sizes at which pcforce must be faster than the other tools."""
    return [cell for size in ((a.size,) if a.quick else PEER_SIZES) for cell in peers(a, size)]


def start(a):
    """what a line takes more because a tool starts in front of it, everything cached; and how soon
    pcforce reads its first page"""
    return [Start(rounds(a, START_ROUNDS)), FirstPage(rounds(a, START_ROUNDS))]


def neighbour(a):
    """how long another reader waits for its pages meanwhile, on a device of 3,000 requests a second"""
    return [Neighbour(rounds(a), a.size, a.usable, {"runs of 128 pages": runs,
                                                    "single pages": every_other},
                      2 if a.quick else 5)]


def small(a):
    """small files from front to back, which are read before a list can help: what it costs"""
    return [Cell(f"small-{mode}-{words(size)}", f"{words(size)} front to back, {mode}", own(mode),
                 rounds(a, LOSS_ROUNDS), a.best, size=size, kind=mode, arms=("cold", "forced"),
                 brief=True, marks=[no_loss("reader"),
                                    {"mark": "more-than-cold", "at_most_us": 5000}])
            for size in (32 << 10, 2 << 20) for mode in ("read", "mmap")]


def programs(a):
    """real programs, as typed: python3, sqlite, git status, node, a PostgreSQL restart, and grep
    over 20,000 files"""
    def of_cold(at_most):
        return {"mark": "of-cold", "at_most": at_most}

    shrink = 10 if a.quick else 1

    def program(kind, name, workload, room, *marks):
        return kind(name, workload, rounds(a), shrink, room * cache.MIB, marks)
    return [
        program(Python, "python3", "python3, some two dozen modules", 16, of_cold(0.80),
                {"mark": "of-now", "at_most": 1.0}),
        program(Sqlite, "sqlite", f"sqlite, {Sqlite.QUERIES // shrink:,} random queries", 256),
        program(Git, "git-status", f"git status, {Git.FILES // shrink:,} files", 64),
        program(Node, "node", "node, eight modules", 1),
        program(Postgres, "postgresql",
                f"PostgreSQL restart, {Postgres.QUERIES // shrink:,} look-ups", 512),
        program(Grep, "grep", f"grep -r, {Grep.FILES // shrink:,} files", 128, of_cold(0.6)),
    ]


def unit(a):
    """a PostgreSQL server's cold start without page2cache@, with one that records, and with one that
    only forces; from the disk as it is, and limited to 3,000 reads a second"""
    shrink = 10 if a.quick else 1
    what = f"PostgreSQL start, {Unit.QUERIES // shrink} look-ups"
    return [Unit("unit", what, rounds(a), shrink, 128 * cache.MIB),
            Unit("unit-3000", what + ", 3,000 reads a second", rounds(a), shrink, 128 * cache.MIB,
                 3000)]


def hints(a):
    """what a hint of libpagehint costs its caller, and what a reader gains that knows 64 reads
    ahead, by a thread or by a server with each of its engines, beside posix_fadvise(2),
    readahead(2) and io_uring; what a table that is read along its index gains, and a range of
    SQLite's; what pagehint_stat() costs beside cachestat(2), statfs(2) and bpf(2); a queue to BPF
    beside bpf_user_ringbuf, a perceptron beside bpf(), and what it decides under a changing
    reader"""
    return ([hint_cells.Call(rounds(a), a.size)]
            + [cell(rounds(a), a.size, a.usable) for cell in (hint_cells.Read, hint_cells.Missed)]
            + [hint_cells.Stat(rounds(a), a.size), hint_cells.Sorted(rounds(a)),
               hint_cells.Sqlite(rounds(a))]
            + hint_cells.queues(rounds(a))
            + [hint_cells.Perceptron(rounds(a)), hint_cells.Changing(rounds(a, LOSS_ROUNDS), a.size)])


def typed(a):
    """what a person who types the line waits for: start, small, programs, peers, and of whole,
    half and sparse the cells that have marks as typed"""
    # The half of a file of twice the size takes about as long as the whole files of the other cells.
    twice = argparse.Namespace(**{**vars(a), "size": 2 * a.size})
    lists = [cell for cell in whole(a) + half(twice) + sparse(a) if cell.marks]
    for cell in lists:
        cell.arms.remove("count")       # no mark as typed is about misses
    return start(a) + small(a) + programs(a) + ahead(a) + lists


def marks(a):
    """what the project is measured by: whole, sparse, half, overhead, snapshot, start, small,
    programs and peers in one folder"""
    return (whole(a) + sparse(a) + half(a) + overhead(a) + snapshot(a) + start(a) + small(a)
            + programs(a) + ahead(a))


EXPERIMENTS = {f.__name__: f for f in (thesis, engines, sparse, half, whole, scale, overhead,
                                       snapshot, peers, start, neighbour, small, programs,
                                       unit, hints, typed, marks)}
