# SPDX-License-Identifier: GPL-2.0-only
"""Formats numbers, and words from results, for people."""
import math


def clean(words):
    """Any text on one line, without characters that control a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(words))


def short(words, most):
    """The same in at most so many characters."""
    words = clean(words)
    return words if len(words) <= most else words[:most - 2] + ".."


def tail(words, most):
    """The same, of which the end is kept: of a path, what tells it from others."""
    words = clean(words)
    return words if len(words) <= most else ".." + words[2 - most:]


def number(value):
    """A count, thousands apart; "-" for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def figure(value):
    """Something measured, with three digits that count: 0.123, 1.23, 12.3, 1,234; "-" for None,
    "inf"."""
    if value is None:
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    before = 1 + math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(3 - before, 0), 9)}f}"


def value(v):
    """A count or a measured figure, whichever it is."""
    return figure(v) if v is None or math.isinf(v) or v != int(v) else number(v)


def ms(us):
    """Microseconds as milliseconds, for a table."""
    return "-" if us is None else f"{us / 1000:.{2 if us < 10_000 else 1}f}"


def duration(us):
    """Microseconds in the unit that suits them, for a sentence."""
    if us >= 100_000:
        return f"{figure(us / 1e6)} s"
    if us >= 1000:
        return f"{figure(us / 1000)} ms"
    return f"{figure(us)} us"


def durations(*values):
    """The same of several, in the one unit that suits the shortest."""
    unit, of = next(((u, n) for u, n in (("s", 1e6), ("ms", 1e3)) if min(values) >= n / 10),
                    ("us", 1))
    return [f"{figure(us / of)} {unit}" for us in values]


def times(value):
    """A ratio: 14x, 5.4x, 1.08x; "-" for None."""
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 9.95 else 1 if value >= 1.95 else 2}f}x"


def share(part, whole):
    return f"{100 * part / whole:.0f} %"


def size(nbytes):
    """Bytes: 32 KiB, 2 GiB, 1.5 MiB; "-" for None."""
    if nbytes is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            break
        nbytes /= 1024
    else:
        unit = "TiB"
    return f"{nbytes:.0f} {unit}" if nbytes == int(nbytes) else f"{nbytes:.1f} {unit}"


def counted(n, what):
    return f"{n:,} {what}{'' if n == 1 else 's'}"
