# SPDX-License-Identifier: GPL-2.0-only
"""Machine code of functions, each instruction with its share of the function's samples."""
import collections
import re
import subprocess
import tempfile

Instruction = collections.namedtuple("Instruction", "share offset code source")


def of_bpf(function, us, names):
    """The machine code that the kernel made of a BPF program's function. us is
    {(name, offset): microseconds}, names is {address: name}."""
    image, source = function.program.code(function), function.program.source()
    with tempfile.NamedTemporaryFile() as file:
        file.write(image)
        file.flush()
        listing = subprocess.run(
            ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn",
             f"--adjust-vma={function.start:#x}", file.name],
            capture_output=True, text=True, check=True)

    def target(match):
        """The target of a call by its name, of a jump by its offset."""
        address = int(match[1], 16)
        inside = 0 <= address - function.start < len(image)
        return f"{address - function.start:x}" if inside else names.get(address, match[0])

    mine = {offset: t for (name, offset), t in us.items() if name == function.name}
    line, found = "", []
    for row in re.finditer(r"^\s*([0-9a-f]+):\t(.*)$", listing.stdout, re.M):
        offset = int(row[1], 16) - function.start
        line = source.get(function.start + offset, line)
        text = re.sub(r"0x([0-9a-f]{9,})", target, row[2])
        share = mine.get(offset, 0) / (sum(mine.values()) or 1)
        found.append(Instruction(share, offset, " ".join(text.split()), line))
    return found


def of_others(symbol, data):
    """Machine code by perf annotate: of programs with symbols, and of the kernel where its image is
    available."""
    done = subprocess.run(["perf", "annotate", "--stdio", "-i", data, "-s", symbol],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)
    found, line = [], ""
    for text in done.stdout.splitlines():
        if row := re.match(r"\s+(\d+\.\d+)\s+:\s+([0-9a-f]+):\s+(.*)", text):
            text = " ".join(row[3].split())
            found.append(Instruction(float(row[1]) / 100, int(row[2], 16), text, line))
        elif row := re.match(r"\s+:\s+\d+\s+(\S.*)", text):
            line = row[1]
    if not found:
        words = [w for w in done.stderr.split("\n") if w.strip() and not w.startswith("Error")]
        raise LookupError(" ".join(words[:2]) or "perf annotate shows nothing of it")
    first = found[0].offset
    return [i._replace(offset=i.offset - first) for i in found]
