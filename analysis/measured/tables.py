# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a folder, made once for text and for HTML."""
from dataclasses import dataclass, replace

from .cells import TIMED, base_arm
from .stats import bound
from .text import clean, figure, ms, number, short, size


MOST = 60               # characters of a name in text


@dataclass(frozen=True)
class Table:
    """`head` names the columns; a row is a list of (value, bound), both texts, the bound ""
    where there is none. The first `names` columns are words, and so is one that is called
    `note`. `wide`: bounds have a line of their own in text."""
    title: str
    head: list
    rows: list
    names: int = 1
    wide: bool = False

    def is_words(self, column):
        return column < self.names or self.head[column] == "note"


def tables(folder):
    """[Table]: times as typed and by the reader's clock; cells with arms of their own; further
    figures."""
    return [_filled(t) for t in (_typed(folder), _times(folder), *_own(folder), _more(folder))
            if t.rows]


def _filled(table):
    """The table without empty columns, and without the column of the engine if there is only one,
    which is then in the title."""
    title, names, keep = table.title, table.names, []
    for i, head in enumerate(table.head):
        found = {value for (value, _) in (row[i] for row in table.rows)}
        one = head == "engine" and len(found) == 1
        if one and found != {"-"}:
            title += f"; engine {min(found)}"
        if one or found <= {"-", ""}:
            names -= i < table.names
        else:
            keep.append(i)
    return replace(table, title=title, names=names, head=[table.head[i] for i in keep],
                   rows=[[row[i] for i in keep] for row in table.rows])


def _bounded(values, words):
    low, median, high = bound(values)
    return words(median), "" if low in (None, high) else f"{words(low)} to {words(high)}"


def _typed(folder):
    """Times of the line as a person types it, which include the tool's own start and end."""
    rows = []
    for cell in folder.cells:
        for engine in cell.engines("forced"):
            if not cell.in_time or not cell.typed("forced", engine):
                continue
            lines = (_bounded(list(found.values()), ms) for found in (
                cell.typed("cold"), cell.typed("forced", engine), cell.typed_now(engine),
                cell.typed("warm")))
            cold, forced, now, warm = lines
            rows.append([
                (cell.label, ""), (engine or "-", ""), cold, forced,
                *(_bounded(ratios(engine), figure) for ratios in (
                    cell.typed_gain, cell.typed_of_limit, cell.typed_of_longer)), now, warm])
    return Table("As typed: medians of the whole line in ms, with their 95 % bound",
                 ["", "engine", "cold", "forced", "cold / forced", "forced / (floor + warm)",
                  "forced / longer of floor, warm", "now", "warm"], rows, 2, wide=True)


def _times(folder):
    rows = []
    for cell in folder.cells:
        if not cell.has_clock or not any(arm in ("cold", "forced", "now") for arm, _ in
                                         cell.arms()):
            continue
        for engine in cell.engines("forced", "now") or [None]:
            now = ("now", engine) if cell.values("now", engine) else ("now", None)
            rows.append([
                (cell.label, ""), (engine or "-", ""),
                *(_bounded(cell.values(*series), ms) for series in (("cold",), ("forced", engine))),
                _bounded(cell.gain(engine), figure), _bounded(cell.of_limit(engine), figure),
                *(_bounded(cell.values(*series), ms) for series in (("floor",), ("warm",), now)),
                _bounded(cell.misses_before(), number),
                _bounded(cell.misses_left(engine), number)])
    return Table("By the reader's own clock: medians in ms, with their 95 % bound",
                 ["", "engine", "cold", "forced", "cold / forced", "forced / (floor + warm)",
                  "floor", "warm", "now", "misses", "left"], rows, 2, wide=True)


def _own(folder):
    """Cells with arms that only one experiment has: a table for each unit and base."""
    found = {}
    for cell in folder.cells:
        if cell.in_time and {arm for arm, _ in cell.arms()}.issubset(TIMED):
            continue
        base = base_arm(cell)
        words = ms if cell.in_time else figure
        rows = found.setdefault(("ms" if cell.in_time else cell["unit"], base), [])
        for arm in cell.arms():
            row = [(cell.label, ""), (cell.series_label(*arm), ""),
                   _bounded(cell.values(*arm), words)]
            if base:
                more = cell.paired(lambda a, b: a - b, arm, base) if arm != base else []
                row.append(_bounded(more, words))
            rows.append(row)
    for (unit, base), rows in found.items():
        yield Table(f"Medians in {unit}, with their 95 % bound",
                    ["", "arm", "median", *([f"more than {base[0]}"] if base else [])], rows, 2)


def _more(folder):
    rows = []
    figures = list(dict.fromkeys(name for cell in folder.cells for name in cell.figures()))
    columns = [_figure(name) for name in figures]
    for cell in folder.cells:
        for arm in cell.arms():
            values = [list(cell.more(name, *arm).values()) for name in figures]
            if any(values):
                rows.append([(cell.label, ""), (cell.series_label(*arm), ""),
                             *(_bounded(v, words) for v, (_, words) in zip(values, columns))])
    return Table("Further figures, medians with their 95 % bound",
                 ["", "arm", *(name for name, _ in columns)], rows, 2)


def _figure(name):
    """A figure's heading and its format, by its unit."""
    if name.endswith("_us"):
        return name[:-3].replace("_", " ") + ", ms", ms
    if name.endswith("_bytes"):
        return name[:-6].replace("_", " "), size
    return name.replace("_", " "), number


def marks_table(judged):
    """The marks as a table: verdict, where, what, the forced line's time, value with bound, why it
    is open."""
    rows = [[(j.verdict, ""), (j.cell, ""), (j.engine or "-", ""), (j.what, ""),
             (ms(j.typed_us), ""),
             (figure(j.value), "" if j.low in (None, j.high) else
              f"{figure(j.low)} to {figure(j.high)}"), (j.why or "", "")] for j in judged]
    return _filled(Table("Marks", ["", "workload", "engine", "mark", "typed, ms", "reached",
                                   "note"], rows, 4))


def as_text(table):
    """A table for a terminal, the bound behind its value or on a line below."""
    lines = [[short(words, MOST) for words in table.head]]
    for row in table.rows:
        bounds = [b.replace(" to ", "..") for _, b in row]
        if table.wide:
            lines.append([short(value, MOST) for value, _ in row])
            lines += [bounds] if any(bounds) else []
        else:
            lines.append([short(value, MOST) + (f" [{b}]" if b else "")
                          for (value, _), b in zip(row, bounds)])
    widths = [max(len(cells[i]) for cells in lines) for i in range(len(table.head))]
    return "\n".join([clean(table.title)] + ["  ".join(
        c.ljust(w) if table.is_words(i) else c.rjust(w)
        for i, (c, w) in enumerate(zip(cells, widths))).rstrip() for cells in lines])
