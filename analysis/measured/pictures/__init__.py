# SPDX-License-Identifier: GPL-2.0-only
"""Pictures of a folder, one module a family. Needs matplotlib."""
import io

from ..source import Bad
from ..text import short
from . import bars, events, hints, parts, scale, sizes

FAMILIES = (sizes, bars, parts, scale, hints, events)


def of(folder, names=()):
    """[Picture] for which the folder has data, or those with these names or of these families
    (`heatmap` is all that begin with `heatmap-`). Raises Bad for a name without data."""
    there = [p for family in FAMILIES for p in family.pictures(folder)]
    for name in names:
        if not any(_named(p, name) for p in there):
            known = ", ".join(p.name for p in there) or "none"
            raise Bad(f"{folder.path}: no data for a picture {name!r}; there is: {known}")
    return [p for p in there if not names or any(_named(p, name) for name in names)]


def notes(folder):
    """[text] of what was recorded for a picture and is in none, and why."""
    return events.notes(folder)


def _named(picture, name):
    return picture.name == name or picture.name.startswith(name + "-")


def render(picture, form):
    """The picture as bytes, "svg" or "png": the same bytes for the same data."""
    out = io.BytesIO()
    metadata = {"Software": None}
    if form == "svg":
        metadata = {"Date": None, "Title": short(picture.title, 100)}
    picture.draw().savefig(out, format=form, metadata=metadata)
    return out.getvalue()
