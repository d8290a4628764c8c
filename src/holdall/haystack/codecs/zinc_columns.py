"""Zinc read column by column: many tokens at once, with the loops of the interpreter left out.

A column of a block of rows mostly holds one kind of value, and those of one kind are made together
(see `zinc_alike`). Whatever does not look so is read token by token, as everywhere else, and so
the values are the same. Nothing is kept longer than the call that made a `Columns`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.codecs.zinc_alike import alike, read_token

if TYPE_CHECKING:
    from collections.abc import Sequence

# A cell without grids, and without lists and dicts in one another: commas between quotes, brackets
# and the like are part of it.
_PLAIN = r'[^",`\[{<(\r\n]*+'
_QUOTED = r'"(?:[^"\\\n]++|\\.)*+"|`(?:[^`\\\n]++|\\.)*+`'
_WITHIN = rf'(?:[^\[\]{{}}<"`\r\n]++|{_QUOTED})*+'
_CELL = (
    rf"({_PLAIN}(?:(?:{_QUOTED}|\[{_WITHIN}\]|\{{{_WITHIN}\}}|\((?:[^()\"`\r\n]++|{_QUOTED})*+\))"
    rf"{_PLAIN})*+)"
)
_CONTROLS: Final = bytes(range(32))
_ALL_BUT_CONTROLS: Final = bytes(set(range(256)) - set(_CONTROLS))
# What says where the cells of a line are, or that it is no plain one.
_BETWEEN: Final = b',"`[{<(' + _CONTROLS
_ALL_BUT_BETWEEN: Final = bytes(set(range(256)) - set(_BETWEEN))
_KNOWN: Final = 8192
MOST_COLUMNS: Final = 128
_FEW: Final = 16
_SAMPLE: Final = 32


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
    if len(names) < 6:
        a, b, c, d = names[:4]
        rows = [{a: v, b: w, c: x, d: y} for v, w, x, y in zip(*columns[:4], strict=True)]
        taken = 4
    else:
        a, b, c, d, e, f = names[:6]
        rows = [
            {a: u, b: v, c: w, d: x, e: y, f: z}
            for u, v, w, x, y, z in zip(*columns[:6], strict=True)
        ]
        taken = 6
    for name, column in zip(names[taken:], columns[taken:], strict=True):
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return rows


def _plain_columns(block: str, width: int) -> list[Sequence[str]] | None:
    # The tokens, by splitting: where there are no escapes, and a Str column has nothing but Strs.
    if width == 1 or "\\" in block:
        return None
    end = block.index("\n") + 1
    if end < len(block) and _plain_columns(block[:end], width) is None:
        return None  # which is known without a look at the other lines
    texts: list[str] = []
    if '"' in block:
        parts = block.split('"')
        texts = parts[1::2]
        block = '"'.join(parts[::2])  # one for each Str
        if len(parts) % 2 == 0 or "".join(texts).encode().translate(None, _ALL_BUT_CONTROLS):
            return None
    # All lines have to be made like the first one.
    between = block.encode().translate(None, _ALL_BUT_BETWEEN)
    first = between[: between.index(b"\n") + 1]
    rows = len(between) // len(first)
    if between != first * rows:
        return None
    cells = first[:-1].split(b",")
    if len(cells) != width or not {b"", b'"'}.issuperset(cells):
        return None
    flat = block.replace("\n", ",").split(",")
    columns: list[Sequence[str]] = [flat[place:-1:width] for place in range(width)]
    quoted = [place for place, cell in enumerate(cells) if cell]
    for nth, place in enumerate(quoted):
        if columns[place].count('"') != rows:
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
    if len(tokens) > _FEW and not brackets:
        sample = tokens[:_SAMPLE]
        if len(set(sample)) * 2 > len(sample):
            return _many(tokens)
    distinct = set(tokens)
    if not distinct <= known.keys():
        if brackets and any("[" in token or "{" in token for token in distinct):
            values = list(map(read_token, tokens))  # each row has a list or dict of its own
            return values, any(value is None for value in values)
        if len(tokens) > _FEW and len(distinct) * 2 > len(tokens):
            return _many(tokens)
        if len(known) > _KNOWN:
            known.clear()
            known[""] = None
        fresh = list(distinct - known.keys())
        known.update(zip(fresh, alike(fresh)[0], strict=True))
    some = any(known[token] is None for token in distinct)
    return list(map(known.__getitem__, tokens)), some


def _many(tokens: Sequence[str]) -> tuple[Sequence[Any], bool]:
    # The values of tokens that are mostly different, and whether there are nulls among them.
    if "" not in tokens:
        return alike(tokens)
    filled = [token for token in tokens if token]
    values = iter(alike(filled)[0] if filled else ())
    return [next(values) if token else None for token in tokens], True
