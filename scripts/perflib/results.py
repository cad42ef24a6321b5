# SPDX-License-Identifier: GPL-2.0-only
"""The measurements as records. Figures are means over the runs."""
import os
import statistics

from perflib import code, record, stages

VMLINUX = "this kernel's vmlinux where perf finds it, or /proc/kcore"


def results(args, means, runs, programs):
    names = functions_of_kernel()
    functions = [f for p in programs.known.values() for f in p.functions(names)]
    arms, profiles = {}, {}
    for run in runs:
        arms.setdefault(run.arm, []).append(run)
        if run.data:
            profiles.setdefault(run.arm, stages.Profile(functions)).add(run.data, run.cpu_us)
    main = next((arm for arm in ("watched", "run", "alone") if arm in profiles), None)
    profile = profiles.get(main)
    counts = next((run.counts for run in runs if run.counts is not None), {})
    instructions = []
    if profile:
        instructions = machine_code(args.annotate, means, profile, names, arms[main][-1].data)
    found = [{"record": "meta", "tool": "perf-annotate", "schema": 1, "kernel": os.uname().release,
              "event": means.event, "frequency": args.frequency, "command": args.command,
              "watch": args.watch, "all": args.all, "missing": means.missing}]
    found += [of_command(arm, its_runs, profiles.get(arm)) for arm, its_runs in arms.items()]
    for arm, its_profile in profiles.items():
        found += of_stages(arm, its_profile)
        found += of_functions(arm, its_profile)
    found += of_programs(programs, profile, counts)
    return found + instructions


def functions_of_kernel():
    """{address: name} of the kernel's functions, BPF programs included."""
    with open("/proc/kallsyms", encoding="ascii") as f:
        return {int(row[0], 16): row[2] for row in map(str.split, f) if row[1] in "tTwW"}


def of_command(arm, runs, profile):
    cpu = [run.cpu_us for run in runs]
    tool = [run.tool_us for run in runs if run.tool_us is not None]
    return {"record": "command", "arm": arm, "runs": len(runs),
            "wall_us": statistics.fmean(run.wall_us for run in runs),
            "cpu_us": statistics.fmean(cpu), "cpu_us_min": min(cpu), "cpu_us_max": max(cpu),
            "tool_cpu_us": statistics.fmean(tool) if tool else None,
            "samples": profile.number[None] if profile else None,
            "status": runs[-1].status, "signal": runs[-1].signal}


def part(us, total):
    """A part as a share. An idle machine (-a) can have samples and no CPU time, as that is counted in
    ticks."""
    return us / total if total else 0.0


def of_stages(arm, profile):
    total = sum(profile.stage.values())
    for stage, us in profile.stage.most_common():
        yield {"record": "stage", "arm": arm, "stage": stage, "samples": profile.number[stage],
               "cpu_us": us / profile.runs, "share": part(us, total)}


def of_functions(arm, profile):
    total = sum(profile.function.values())
    for key, us in profile.function.most_common():
        function, stage = key
        yield {"record": "function", "arm": arm, "function": function, "stage": stage,
               "samples": profile.number[key], "cpu_us": us / profile.runs, "share": part(us, total)}


def of_programs(programs, profile, counts):
    """The programs that ran. A program that was loaded anew for each run counts as one."""
    alike = {}
    for p in programs.known.values():
        alike.setdefault((p.name, p.tag, programs.owner.get(p.id)), []).append(p.id)
    # A program that was loaded and unloaded between two looks is known by its samples only.
    for symbol in filter(lambda key: isinstance(key, str), profile.program if profile else ()):
        _, _, tag, name = symbol.split("_", 3)
        alike[name, tag, None] = [symbol]
    for (name, tag, owner), ids in alike.items():
        counted = [counts[i] for i in ids if i in counts]
        runs, ns = map(sum, zip(*counted)) if counted else (None, None)
        sampled = sum(profile.program[i] for i in ids) / profile.runs if profile else None
        if runs or sampled:
            yield {"record": "program", "program": name, "tag": tag, "owner": owner,
                   "runs": runs, "run_ns": ns, "ns_per_run": ns / runs if runs else None,
                   "cpu_us": sampled}


def machine_code(annotate, means, profile, names, data):
    """Instructions of the function to annotate, or of the hottest BPF program and kernel function."""
    programs = {f.name: f for f in profile.bpf}
    hot = [key for key, _ in profile.function.most_common()]
    if annotate:
        chosen = [f for f, _ in hot if annotate == f.split(" (")[0]
                  or f in programs and f.endswith("_" + annotate)][:1]
        if not chosen:
            raise record.Failed(f"{annotate}: no sample is in it")
    else:
        chosen = [f for f, _ in hot if f in programs][:1]
        chosen += [f for f, stage in hot if f not in programs and stage != stages.USER][:1]
    found = []
    for name in chosen:
        try:
            if name in programs:
                lines = code.of_bpf(programs[name], profile.offset, names)
            else:
                lines = code.of_others(name.split(" (")[0], data)
        except FileNotFoundError:
            means.lacks(f"machine code of {name}", "no objdump", "scripts/setup build")
        except LookupError as e:
            means.lacks(f"machine code of {name}", str(e), VMLINUX)
        else:
            found += [{"record": "instruction", "function": name, **i._asdict()} for i in lines]
    return found
