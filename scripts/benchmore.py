# SPDX-License-Identifier: GPL-2.0-only
"""The rest of scripts/bench: what watching costs, and other tools on the same lists."""
import json
import os
import shutil
import signal
import subprocess
import time

import benchlib as lib

# --- the cost of watching -----------------------------------------------------------------

WATCHED_NS, OTHER_NS = 150, 100
LOOPS = 1000            # over 4 MiB: about a million lookups a run
BPFTRACE = "tracepoint:filemap:mm_filemap_get_pages { @ = count(); }"


class Watcher:
    """A tool that runs in the background while the loop is timed."""

    def __init__(self, out, args, ready, settle):
        self.out = out
        with open(out, "wb") as f:
            self.p = subprocess.Popen(args, stdout=f, stderr=subprocess.STDOUT,
                                      stdin=subprocess.DEVNULL)
        for _ in range(200):
            if self.p.poll() is not None:
                raise lib.Failed(f"{args[0]} ended: {self.text().strip()[-300:]}")
            if ready in self.text():
                break
            time.sleep(0.05)
        else:
            self.stop()
            raise lib.Failed(f"{args[0]} does not start")
        time.sleep(settle)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGINT)
        try:
            self.p.wait(10)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


def counted(watcher):
    """Lookups that the tool saw: the proof that it was attached all the time."""
    for line in watcher.text().splitlines():
        if line.startswith("@: "):
            return int(line[3:])
        if line.startswith("{"):
            r = json.loads(line)
            if r.get("record") == "file":
                return r["accesses"]
    return 0


def watch(work, rounds, rng):
    file = lib.File(os.path.join(work, "watched"), 4 * lib.MIB)
    other = lib.File(os.path.join(work, "other"), lib.MIB)
    out = os.path.join(work, "watch.out")
    tools = {
        "nothing": None,
        "watched file": ([lib.CACHEMISS, "-f", file.path, "-j"], '"meta"', 0.5),
        "another file": ([lib.CACHEMISS, "-f", other.path, "-j"], '"meta"', 0.5),
    }
    if shutil.which("bpftrace"):
        # it says so long before it is attached
        tools["bpftrace"] = (["bpftrace", "-e", BPFTRACE], "Attaching", 3)
    ns = {name: [] for name in tools}
    lookups = LOOPS * file.pages
    for i in range(rounds):
        order = list(tools)
        rng.shuffle(order)
        for name in order:
            lib.say(f"cost of watching: round {i + 1} of {rounds}: {name}")
            file.load()
            watcher = Watcher(out, *tools[name]) if tools[name] else None
            try:
                r = lib.run_json([lib.WORKLOAD, "read", "-n", str(LOOPS), "-r", "1", file.path])
            finally:
                if watcher:
                    watcher.stop()
            if name in ("watched file", "bpftrace") and counted(watcher) < lookups:
                raise lib.Failed(f"{name}: counted {counted(watcher)} of {lookups} lookups")
            ns[name].append(r["ns_per_access"])
    cost = {name: lib.summary([x - n for x, n in zip(ns[name], ns["nothing"])])
            for name in tools if name != "nothing"}
    marks = []
    for name, mark in (("watched file", WATCHED_NS), ("another file", OTHER_NS)):
        c = cost[name]
        marks.append({"mark": f"{name}: ns a lookup at most", "value": c["median"],
                      "low": c["low"], "high": c["high"], "wanted": mark,
                      "pass": c["median"] <= mark})
    os.unlink(file.path)
    os.unlink(other.path)
    return {"lookups": lookups, "rounds": rounds, "bpftrace": BPFTRACE,
            "ns": {name: lib.summary(v) for name, v in ns.items()}, "cost_ns": cost,
            "marks": marks}


def show_watch(r, show_marks):
    lib.say("")
    print("\ncost of watching, ns a lookup (4 KiB pread of a cached page)")
    print(f"    {'nothing attached':20}{r['ns']['nothing']['median']:8.0f}")
    for name, c in r["cost_ns"].items():
        label = name if name == "bpftrace" else "cachemiss, " + name
        print(f"    {label:24}+{c['median']:.0f}")
    show_marks(r["marks"])


# --- other tools on the same lists --------------------------------------------------------

def fadvise(file, extents):
    """What a one-liner would do; a longer call would be clamped silently."""
    for first, n in extents:
        for at in range(first, first + n, 256):
            os.posix_fadvise(file.fd, at * lib.PAGE, min(256, first + n - at) * lib.PAGE,
                             os.POSIX_FADV_WILLNEED)


def prefetchers(file, lst, extents):
    found = {
        "pcforce --now": lambda: lib.run([lib.PCFORCE, "--now", "-f", file.path, "-o", lst]),
        "cat": lambda: subprocess.run(["cat", file.path], stdout=subprocess.DEVNULL, check=True),
        "fadvise": lambda: fadvise(file, extents),
        "fadvise, sorted": lambda: fadvise(file, lib.merged(extents)),
    }
    if shutil.which("vmtouch"):
        found["vmtouch -t"] = lambda: lib.run(["vmtouch", "-t", "-q", file.path])
    return found


def one_peer(file, prefetch, extents, nbytes, reader):
    file.evict()
    lib.prepare(nbytes)
    lib.run(["vmtouch", "-V"] if shutil.which("vmtouch") else ["true"])
    lib.run(["cat", "/dev/null"])
    start = time.monotonic()
    prefetch()
    returned = time.monotonic()
    # Some only queue the reading: wait until the data is there, but not for ever.
    pages = sum(n for _, n in extents)
    ready, readable = returned, file.readable(extents)
    while readable < pages and time.monotonic() - returned < 2:
        time.sleep(0.002)
        last, ready, readable = readable, time.monotonic(), file.readable(extents)
        if readable == last and time.monotonic() - returned > 0.5:
            break
    if readable < pages:    # it never will be: the reader pays for the rest
        ready = returned
    r = lib.run_json(reader)
    return {"ready_us": (ready - start) * 1e6, "reader_us": r["elapsed_us"],
            "total_us": (ready - start) * 1e6 + r["elapsed_us"],
            "readable": readable, "cached_bytes": file.resident() * lib.PAGE}


def peers(file, work, rounds, rng, make_replay, seed):
    out = []
    lst = os.path.join(work, "peers.offsets")
    for name, options in (("random", ["-r", seed]), ("sparse", ["-r", seed, "-p", "10"]),
                          ("list", ["-l", lst])):
        if name == "list":
            make_replay(lst, file.pages)
        else:
            lib.run_ok([lib.WORKLOAD, "read", *options, "-w", lst, file.path])
        reader = [lib.WORKLOAD, "read", *options, file.path]
        raw = lib.read_extents(lst)
        extents = lib.merged(raw)
        nbytes = sum(n for _, n in extents) * lib.PAGE
        todo = prefetchers(file, lst, raw)
        runs = {peer: [] for peer in todo}
        for i in range(rounds):
            order = list(todo)
            rng.shuffle(order)
            for peer in order:
                lib.say(f"peers, {name}: round {i + 1} of {rounds}: {peer}")
                runs[peer].append(one_peer(file, todo[peer], extents,
                                           file.size if peer in ("cat", "vmtouch -t") else nbytes,
                                           reader))
        out.append({"list": name, "pages": nbytes // lib.PAGE, "rounds": rounds, "peers": {
            peer: {k: lib.summary([x[k] for x in v]) for k in v[0]}
            for peer, v in runs.items()}})
    return out


def show_peers(r):
    lib.say("")
    print("\nother tools on the same lists: ms until all listed pages are readable, and the reader")
    print(f"    {'':26}{'readable':>10}{'reader':>10}{'total':>10}{'MiB cached':>12}")
    for lst in r:
        for peer, v in sorted(lst["peers"].items(), key=lambda x: x[1]["total_us"]["median"]):
            short = "" if v["readable"]["median"] == lst["pages"] else "  (not all readable)"
            print(f"    {lst['list'] + ', ' + peer:26}"
                  + "".join(f"{v[k]['median'] / 1000:10.1f}" for k in
                            ("ready_us", "reader_us", "total_us"))
                  + f"{v['cached_bytes']['median'] / lib.MIB:12.0f}{short}")
