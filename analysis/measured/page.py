# SPDX-License-Identifier: GPL-2.0-only
"""A folder as one HTML page that needs nothing else. Needs matplotlib and jinja2."""
import base64
import hashlib
import os
import shlex

import jinja2

from . import machine, marks, pictures, sentences, tables
from .text import clean

HERE = os.path.dirname(os.path.abspath(__file__))
VERDICTS = ("MISS", "open", "pass")


def render(folder):
    """The page, a str. Raises source.Bad where raw/ is not as it should be."""
    judged = marks.judge(folder.cells)
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(os.path.join(HERE, "page")),
                             autoescape=True, trim_blocks=True, lstrip_blocks=True,
                             undefined=jinja2.StrictUndefined, finalize=_printable)
    style = env.loader.get_source(env, "style.css")[0]
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    meta = folder.meta
    return env.get_template("report.html").render(
        title=meta["experiment"], style=style, style_hash=style_hash,
        opening=sentences.opening(folder), skipped=folder.skipped,
        line=machine.line(folder), scope=machine.scope(folder),
        partial=folder.partial, failed=folder.failed, quick=bool(meta.get("quick")),
        sentences=sentences.sentences(folder),
        counts=[(v, sum(j.verdict == v for j in judged)) for v in VERDICTS],
        marks=tables.marks_table(judged) if judged else None, tables=tables.tables(folder),
        pictures=[_picture(p) for p in pictures.of(folder)], notes=pictures.notes(folder),
        facts=machine.facts(folder),
        again=_again(folder))


def _picture(picture):
    svg = base64.b64encode(pictures.render(picture, "svg")).decode()
    return {"name": picture.name, "title": picture.title, "alt": picture.alt,
            "caption": picture.caption, "source": f"data:image/svg+xml;base64,{svg}"}


def _printable(value):
    """Words from results without control characters; our own markup unchanged."""
    return clean(value) if type(value) is str else value    # Markup is a str, too


def _again(folder):
    """The commands that repeat this experiment, or resume it."""
    lines = [folder.meta.get("command") or ""]
    if folder.partial:
        name = shlex.quote(os.path.abspath(folder.path))
        lines.append(f"scripts/experiment --resume {name}    # the steps that are missing")
    return [x for x in lines if x]
