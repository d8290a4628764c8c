"""Zinc written value by value: every kind, however deep, and errors that name what was written.

What writes a collection is a generator that yields the writer of what lies in it, so that depth
costs no stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdall.core.errors import CodecError
from holdall.haystack.codecs.scalars import write_scalar
from holdall.haystack.grid import Grid
from holdall.haystack.kinds import MARKER, Kind

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from holdall.haystack.grid import Col

Pieces: TypeAlias = "Generator[Pieces, str, str]"

_VERSION: Final = 'ver:"3.0"'
NO_COLUMNS: Final = "empty"
"""The column of a grid that has none: the format does not go without."""


def write_value(value: Kind) -> str:
    """Write a value of any kind.

    Raises:
        CodecError: The format cannot carry it.
    """
    try:
        return _run(_value(value))
    except (TypeError, ValueError) as error:
        raise CodecError(str(error)) from error


def write_head(meta: Mapping[str, Kind], cols: Sequence[Col]) -> str:
    """Write the two lines that stand before the rows.

    Raises:
        CodecError: The format cannot carry a tag; says which.
    """
    for place, tags in [("the grid", meta), *((f"column {c.name!r}", c.meta) for c in cols)]:
        for name, value in tags.items():
            try:
                write_value(value).encode()
            except ValueError as error:
                raise CodecError(f"{place}, tag {name!r}: {reason(error)}") from error
    try:
        return _run(_head(meta, cols))
    except ValueError as error:
        raise CodecError(str(error)) from error


def write_row(row: Mapping[str, Kind], names: Sequence[str], place: str) -> str:
    """Write a row with its newline.

    Args:
        row: Its cells.
        names: The columns.
        place: What an error calls the row.

    Raises:
        CodecError: The format cannot carry a cell, or there is no column for it; says which.
    """
    extra = row.keys() - set(names)
    if extra:
        raise CodecError(f"{place} has the tag {min(extra)!r}, and the grid no such column")
    cells = []
    for name in names:
        try:
            text = _cell(row.get(name))
            text.encode()
        except ValueError as error:
            raise CodecError(f"{place}, column {name!r}: {reason(error)}") from error
        cells.append(text)
    return line(cells)


def line(cells: Sequence[str]) -> str:
    """Put the cells of a row together."""
    if len(cells) > 1:
        return ",".join(cells) + "\n"
    return (cells[0] if cells and cells[0] else "N") + "\n"


def _cell(value: Kind) -> str:
    return "" if value is None else write_value(value)


def reason(error: ValueError) -> str:
    """Say what cannot be written."""
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start]!r} is half of a character, which UTF-8 has not"
    return str(error)


def _run(pieces: Pieces) -> str:
    stack = [pieces]
    text: Any = None
    while stack:
        try:
            inner = stack[-1].send(text)
        except StopIteration as done:
            stack.pop()
            text = done.value
        else:
            stack.append(inner)
            text = None
    return str(text)


def _value(value: Kind) -> Pieces:
    if isinstance(value, (list, tuple)):
        items = []
        for item in value:
            items.append((yield _value(item)))  # noqa: PERF401  # it waits within
        return f"[{','.join(items)}]"
    if isinstance(value, Mapping):
        return f"{{{(yield _tags(value))}}}"
    if isinstance(value, Grid):
        lines = [(yield _head(value.meta, value.cols))]
        names = value.names
        for row in value.rows:
            cells = []
            for name in names:
                inner = row.get(name)
                cells.append("" if inner is None else (yield _value(inner)))
            lines.append(line(cells))
        return f"<<\n{''.join(lines)}>>"
    return write_scalar(value)


def _tags(tags: Mapping[str, Kind]) -> Pieces:
    texts = []
    for name, value in tags.items():
        texts.append(name if value is MARKER else f"{name}:{(yield _value(value))}")
    return " ".join(texts)


def _head(meta: Mapping[str, Kind], cols: Sequence[Col]) -> Pieces:
    if "ver" in meta:
        raise ValueError("a grid has no tag 'ver' of its own: the format writes one")
    first = f"{_VERSION} {(yield _tags(meta))}" if meta else _VERSION
    texts = []
    for col in cols:
        tags = f" {(yield _tags(col.meta))}" if col.meta else ""
        texts.append(col.name + tags)
    return f"{first}\n{','.join(texts) or NO_COLUMNS}\n"
