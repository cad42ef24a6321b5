# SPDX-License-Identifier: GPL-2.0-only
"""JSON from files that anybody may have written: exactly JSON, or an error with FILE:LINE."""
import json
import math


class Bad(Exception):
    """Input that cannot be used. The message is one line: `FILE:LINE: reason`."""


def read(path):
    """The text of a file. Raises Bad where there is none, or where it is not UTF-8."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as e:
        raise Bad(f"{path}: {e.strerror}") from None
    if not data.strip():
        raise Bad(f"{path}:1: empty")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Bad(f"{path}:{1 + data.count(10, 0, e.start)}: not UTF-8 text") from None


def _constant(word):
    raise ValueError(f"{word} is no number of JSON")


def _float(word):
    if math.isinf(float(word)):
        raise ValueError("a number is too large")
    return float(word)


def _int(word):
    if len(word) > 20:      # what 64 bits hold, and a sign
        raise ValueError("a number is too large")
    return int(word)


def parse(text, path, line=1):
    """The value that `text`, which begins at `line` of `path`, stands for."""
    try:
        return json.loads(text, parse_constant=_constant, parse_float=_float,
                          parse_int=_int)
    except json.JSONDecodeError as e:
        raise Bad(f"{path}:{line + e.lineno - 1}: not JSON: {e.msg}") from None
    except RecursionError:
        raise Bad(f"{path}:{line}: not JSON: nested too deeply") from None
    except ValueError as e:
        raise Bad(f"{path}:{line}: not JSON: {e}") from None


def records(path):
    """(records, cut): records is [(line, object), ...] of a file with an object a line, cut the
    number of its last line if that breaks off in the middle, else None."""
    text = read(path)
    found = []
    lines = text.split("\n")
    for line, words in enumerate(lines, 1):
        if not words.strip():
            continue
        try:
            value = parse(words, path, line)
            if not isinstance(value, dict):
                raise Bad(f"{path}:{line}: not an object")
        except Bad:
            # A writer that was ended in the middle of a line has not written its end.
            if line == len(lines) and words.startswith("{"):
                return found, line
            raise
        found.append((line, value))
    return found, None


def check(record, path, line, **wanted):
    """Raises Bad unless each named field of the record is of its types: NAME=(type, ...), where
    None stands for null. A bool is no number, and no number of ours is negative."""
    for name, types in wanted.items():
        value = record.get(name)
        kinds = tuple(type(None) if t is None else t for t in types)
        wrong = not isinstance(value, kinds) or isinstance(value, bool) and bool not in kinds
        if name not in record and None not in types:
            raise Bad(f"{path}:{line}: no {name}")
        if wrong:
            raise Bad(f"{path}:{line}: {name} is not {_words(types)}")
        if is_number(value) and value < 0:
            raise Bad(f"{path}:{line}: {name} is negative")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _words(types):
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false",
             dict: "an object", list: "an array", None: "null"}
    return " or ".join(names[t] for t in types if not (t is int and float in types))
