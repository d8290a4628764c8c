"""Zinc read column by column: many tokens at once, with the loops of the interpreter left out.

A column of a block of rows mostly holds one kind of value. One regular expression over all its
tokens says whether they look as that kind is written, and then they are made by functions that
are mapped over them. Whatever does not look so is read token by token, as everywhere else, and so
the values are the same. Nothing is kept longer than the call that made a `Columns`.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import repeat
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import force_setattr

from holdall.haystack.codecs.contract import NO_LIMITS
from holdall.haystack.codecs.scalars import (
    read_moment,
    read_number,
    read_offset,
    read_scalar,
)
from holdall.haystack.codecs.zinc_reading import Reader
from holdall.haystack.kinds import Number, Ref
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A cell without grids, and without lists and dicts in one another: commas between quotes, brackets
# and the like are part of it.
_PLAIN = r'[^",`\[{<(\r\n]*+'
_QUOTED = r'"(?:[^"\\\n]++|\\.)*+"|`(?:[^`\\\n]++|\\.)*+`'
_WITHIN = rf'(?:[^\[\]{{}}<"`\r\n]++|{_QUOTED})*+'
_CELL = (
    rf"({_PLAIN}(?:(?:{_QUOTED}|\[{_WITHIN}\]|\{{{_WITHIN}\}}|\((?:[^()\"`\r\n]++|{_QUOTED})*+\))"
    rf"{_PLAIN})*+)"
)
_NOT_PLAIN: Final = "\\`[{<(\r\0"
_CONTROL = re.compile("[\x00-\x1f]")
_REFS = re.compile(r"(?:@[a-zA-Z0-9_:\-.~]++\n)*+")
_STRS = re.compile(r'(?:"[^"\\\x00-\x08\x0a-\x1f]*+"\n)*+')
_WALLS = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{3}|\.[0-9]{6})?\n)*+"
)
_WALL = re.compile(r"[0-9\-]{10}T[0-9:]{8}(?:\.[0-9]{6}|\.[0-9]{3})?(?![0-9])")
_TAIL = re.compile(r"(Z|[+-][0-9]{2}:[0-9]{2}) ([A-Z][A-Za-z0-9_+\-/]{0,99})")
_NUMBERS = re.compile(r"(?:-?[0-9]{1,300}+(?:\.[0-9]{1,300}+)?(?:[eE][+-]?[0-9]{1,300}+)?\n)*+")
_FLOAT = re.compile("[.eE]")
_KNOWN: Final = 8192
MOST_COLUMNS: Final = 128
_FEW: Final = 16
_TAILS: Final = 16


_REF: Final = Ref("a")
_UTC: Final = zone("UTC")


class Columns:
    """Reads blocks of lines that hold nothing but simple cells.

    Args:
        names: The columns of the grid: at least one, at most `MOST_COLUMNS`.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._known: list[dict[str, Any]] = [{"": None} for _ in names]

    def rows(self, block: str, *, few: bool = False) -> tuple[list[dict[str, Any]], int]:
        """Read the simple lines that a block begins with.

        Args:
            block: Whole lines.
            few: Whether there may be too few of them to be worth a pattern for a line.

        Returns:
            Their rows, and how many characters they take. Where there are none: how many
            characters had better be read exactly.
        """
        used = len(block)
        if not block.endswith("\n"):
            if block.endswith("\r"):  # which alone ends no line
                return [], used
            block += "\n"
        columns = _plain_columns(block, len(self._names))
        if columns is None:
            if few:
                return [], used
            columns = self._columns(block)
        if columns is None:
            lines, until = self._simple_lines(block)
            used = min(used, until)
            if not lines:
                return [], block.index("\n") + 1
            columns = self._turned(lines)
        try:
            return self._rows(columns, brackets="[" in block or "{" in block), used
        except ValueError:
            return [], used

    def _columns(self, block: str) -> list[Sequence[str]] | None:
        lines = _line_of(len(self._names)).findall(block)
        return self._turned(lines) if len(lines) == block.count("\n") else None

    def _turned(self, lines: list[Any]) -> list[Sequence[str]]:
        return list(zip(*lines, strict=True)) if len(self._names) > 1 else [lines]

    def _simple_lines(self, block: str) -> tuple[list[Any], int]:
        # Those up to the first one that is not simple.
        lines = []
        at = 0
        line = _line_of(len(self._names))
        while (found := line.match(block, at)) is not None:
            lines.append(found.groups() if len(self._names) > 1 else found.group(1))
            at = found.end()
        return lines, at

    def _rows(self, tokens: list[Sequence[str]], *, brackets: bool) -> list[dict[str, Any]]:
        nulls = False
        columns = []
        for column, known in zip(tokens, self._known, strict=True):
            values, some = _column(column, known, brackets=brackets)
            columns.append(values)
            nulls = nulls or some
        names = self._names
        if nulls:
            return [
                {name: value for name, value in zip(names, row, strict=True) if value is not None}
                for row in zip(*columns, strict=True)
            ]
        return _dicts(names, columns)


def _dicts(names: tuple[str, ...], columns: list[Sequence[Any]]) -> list[dict[str, Any]]:
    # The quickest way to make a dict is to write it down, as far as its length is known.
    if len(names) == 2:
        a, b = names
        return [{a: v, b: w} for v, w in zip(*columns, strict=True)]
    if len(names) < 4:
        return list(map(dict, map(zip, repeat(names), zip(*columns, strict=True))))
    a, b, c, d = names[:4]
    rows = [{a: v, b: w, c: x, d: y} for v, w, x, y in zip(*columns[:4], strict=True)]
    for name, column in zip(names[4:], columns[4:], strict=True):
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return rows


def _plain_columns(block: str, width: int) -> list[Sequence[str]] | None:
    # The tokens, by splitting: where there are no escapes, and a Str column has nothing but Strs.
    if width == 1 or any(char in block for char in _NOT_PLAIN):
        return None
    texts: list[str] = []
    if '"' in block:
        parts = block.split('"')
        texts = parts[1::2]
        block = "\0".join(parts[::2])
        if len(parts) % 2 == 0 or _CONTROL.search("".join(texts)):
            return None
    rows = block.count("\n")
    if set(map(str.count, block.split("\n"), repeat(","))) != {width - 1, 0}:
        return None
    flat = block.replace("\n", ",").split(",")
    if len(flat) != rows * width + 1:  # an empty line among them
        return None
    columns: list[Sequence[str]] = [flat[place:-1:width] for place in range(width)]
    if texts:
        quoted = [place for place, column in enumerate(columns) if column[0] == "\0"]
        if len(texts) != rows * len(quoted):
            return None
        for nth, place in enumerate(quoted):
            if columns[place].count("\0") != rows:
                return None
            columns[place] = Strs(texts[nth :: len(quoted)])
    return columns


class Strs(list[str]):
    """Tokens that are Strs without their quotes."""


@lru_cache(maxsize=64)
def _line_of(width: int) -> re.Pattern[str]:
    # A line of so many simple cells. One that is blank ends the grid, also where it is one cell.
    return re.compile(rf"^(?![ \t]*+\r?\n){','.join([_CELL] * width)}\r?\n", re.MULTILINE)


def _column(
    tokens: Sequence[str], known: dict[str, Any], *, brackets: bool
) -> tuple[Sequence[Any], bool]:
    # The values, and whether there are nulls among them.
    if type(tokens) is Strs:
        return tokens, False
    distinct = set(tokens)
    if not distinct <= known.keys():
        if brackets and any("[" in token or "{" in token for token in distinct):
            values = list(map(_read, tokens))  # each row has a list or dict of its own
            return values, any(value is None for value in values)
        if len(tokens) > _FEW and len(distinct) * 2 > len(tokens):
            return _many(tokens, distinct)
        if len(known) > _KNOWN:
            known.clear()
            known[""] = None
        fresh = list(distinct - known.keys())
        known.update(zip(fresh, _alike(fresh)[0], strict=True))
    some = any(known[token] is None for token in distinct)
    return list(map(known.__getitem__, tokens)), some


def _many(tokens: Sequence[str], distinct: set[str]) -> tuple[Sequence[Any], bool]:
    # The values of tokens that are mostly different, and whether there are nulls among them.
    if "" not in distinct:
        return _alike(tokens)
    filled = iter(_alike([token for token in tokens if token])[0])
    return [next(filled) if token else None for token in tokens], True


def _alike(tokens: Sequence[str]) -> tuple[Sequence[Any], bool]:
    first = tokens[0]
    values: Sequence[Any] | None = None
    if first[0] == "@":
        values = _refs(tokens)
    elif first[0] == '"':
        values = _strs(tokens)
    elif first[10:11] == "T":
        values = _moments(tokens)
    elif first[0] in "-0123456789":
        values = _numbers(tokens)
    if values is not None:
        return values, False
    values = list(map(_read, tokens))
    return values, any(value is None for value in values)


def _refs(tokens: Sequence[str]) -> Sequence[Any] | None:
    if not _all(_REFS, tokens):
        return None
    return copies(_REF, "val", [token[1:] for token in tokens])


def _strs(tokens: Sequence[str]) -> Sequence[Any] | None:
    return [token[1:-1] for token in tokens] if _all(_STRS, tokens) else None


def _numbers(tokens: Sequence[str]) -> Sequence[Any] | None:
    unit = read_number(tokens[0]).unit
    joined = "\n".join(tokens) + "\n"
    texts = tokens
    if unit is not None:
        if joined.count(f"{unit}\n") != len(tokens):
            return None
        end = -len(unit)
        texts = [token[:end] for token in tokens]
        joined = "\n".join(texts) + "\n"
    if _NUMBERS.fullmatch(joined) is None:
        return None
    values: Sequence[float]
    if "e" in joined or "E" in joined:
        values = [float(text) if _FLOAT.search(text) else int(text) for text in texts]
        if not all(map(isfinite, values)):
            return None
    elif joined.count(".") == len(texts):
        values = list(map(float, texts))
    else:
        values = [float(text) if "." in text else int(text) for text in texts]
    return copies(Number(0, unit), "val", values)


def copies(of: Any, field: str, values: Sequence[Any]) -> list[Any]:
    """Copies of a value with a field that is known to be right: a third of the time of a check."""
    copy = of.__copy__
    made = [copy() for _ in values]
    deque(map(force_setattr, made, repeat(field), values), maxlen=0)
    return made


def _moments(tokens: Sequence[str]) -> Sequence[Any] | None:
    found = _WALL.match(tokens[0])
    if found is None:
        return None
    width = found.end()
    walls = [token[:width] for token in tokens]
    if not _all(_WALLS, walls):
        return None
    end = tokens[0][width:]
    joined = "\n".join(tokens) + "\n"
    # No end begins within a wall clock time, and so these two say that all have this one.
    one = joined.count(f"{end}\n") == len(tokens)
    one = one and len(joined) == len(tokens) * (width + len(end) + 1)
    zones = _placings({end} if one else {token[width:] for token in tokens})
    if zones is None:
        return None
    naive = list(map(datetime.fromisoformat, walls))
    times = map(datetime.time, naive)
    if len(zones) == 1:
        ((at, delta),) = zones.values()
        made = list(map(datetime.combine, naive, times, repeat(at)))
        if (at is _UTC and not delta) or set(map(datetime.utcoffset, made)) == {delta}:
            return made
        deltas: Iterable[timedelta] = repeat(delta)
    else:
        placings = [zones[token[width:]] for token in tokens]
        made = list(map(datetime.combine, naive, times, [at for at, _ in placings]))
        deltas = [delta for _, delta in placings]
    # What has another offset is the second of two equal hours, or wrong.
    return [
        moment if moment.utcoffset() == delta else read_moment(token)
        for moment, delta, token in zip(made, deltas, tokens, strict=False)
    ]


def _placings(tails: set[str]) -> dict[str, tuple[tzinfo, timedelta]] | None:
    # The zone and offset for each of the ends that moments have.
    if len(tails) > _TAILS:
        return None
    placings: dict[str, tuple[tzinfo, timedelta]] = {}
    for tail in tails:
        if tail == "Z":
            placings[tail] = zone("UTC"), timedelta()
            continue
        found = _TAIL.fullmatch(tail)
        if found is None:
            return None
        offset, name = found.groups()
        placings[tail] = zone(name), read_offset(offset)
    return placings


def _all(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    return pattern.fullmatch("\n".join(texts) + "\n") is not None


def _read(token: str) -> Any:
    token = token.strip(" ")
    if not token:
        return None
    if token[0] + token[-1] in ("[]", "{}"):
        return Reader(token, NO_LIMITS).single()
    return read_scalar(token)
