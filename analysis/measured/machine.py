# SPDX-License-Identifier: GPL-2.0-only
"""The machine that was measured, and how, in words."""
from .text import clean, counted, size


def line(folder, brief=False):
    """One line: kernel, processor, memory, disk and readahead."""
    m = folder.machine
    parts = [f"Linux {m.get('kernel')}", _kernel_extras(m)]
    if not brief:
        parts += [m.get("cpu"), counted(m["cpus"], "CPU") if m.get("cpus") else "",
                  size(m["memory_bytes"]) if m.get("memory_bytes") else "",
                  f"virtual ({m['virtualization']})" if m.get("virtualization") else ""]
    parts.append(f"{m.get('filesystem')} on {m.get('device')}"
                 + (f" ({m['device_model']})" if m.get("device_model") and not brief else ""))
    if not brief:
        parts += [f"scheduler {m.get('scheduler')}", f"read_ahead_kb {m.get('read_ahead_kb')}",
                  commit(m)]
    parts.append(str(m.get("date") or folder.meta.get("started") or ""))
    return clean(", ".join(p for p in parts if p))


def place(folder):
    """The machine in a few words, for a sentence."""
    m = folder.machine
    what = "a virtual machine" if m.get("virtualization") else "a machine"
    has = [counted(m["cpus"], "processor") if m.get("cpus") else "",
           f"{size(m['memory_bytes'])} of memory" if m.get("memory_bytes") else ""]
    has = " and ".join(x for x in has if x)
    return clean(f"on {what}{' with ' + has if has else ''}, Linux {m.get('kernel')}, files on "
                 f"{m.get('filesystem')} ({m.get('device')})")


def _kernel_extras(m):
    have = [what for field, what in (("patch", "with the patch"), ("module", "with the module"))
            if m.get(field)]
    return " and ".join(have)


def commit(m):
    if not m.get("commit"):
        return ""
    return f"commit {str(m['commit'])[:12]}{' and changes' if m.get('uncommitted') else ''}"


def scope(folder):
    """One line: how much was measured."""
    meta = folder.meta
    rounds = sorted({c["rounds"] for c in folder.cells if c["rounds"]})
    words = [counted(len(folder.cells), "cell"), counted(folder.steps, "step")]
    if rounds:
        words.append("rounds: " + ", ".join(str(r) for r in rounds))
    if meta.get("seed") is not None:
        words.append(f"seed {meta['seed']}")
    return "; ".join(words)


def facts(folder):
    """[(name, value)] of all that is known of the machine, in the order of docs/results.md."""
    names = {"memory_bytes": "memory", "read_ahead_kb": "read_ahead_kb", "nr_requests":
             "nr_requests", "transparent_hugepage": "transparent huge pages"}
    found = []
    for field, value in folder.machine.items():
        name = names.get(field, field.replace("_", " "))
        if value is None:
            value = "-"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif field.endswith("_bytes") and isinstance(value, int):
            value = size(value)
        found.append((clean(name), clean(value)))
    return found
