"""The two JSON formats of the standard: what they share as codecs.

They differ in how a single value is written, and in where the tags of a column stand. A codec
says both with a `JsonReading` and a `JsonWriting`; each call makes one of its own.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Raw

from holdall.core.errors import CodecError
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.json_pieces import JsonPieces
from holdall.haystack.codecs.json_text import BOM, Fault, JsonText, Way
from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import Kind, checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from holdall.haystack.codecs.json_reading import JsonReading
    from holdall.haystack.codecs.json_writing import JsonWriting

T = TypeVar("T")

_FIRST = re.compile(rb"[ \t\r\n]*+(.?)", re.DOTALL)
_AT_ONCE: Final = 512  # rows that are written in one piece
_UNWRITABLE: Final = (ValueError, TypeError, OverflowError, RecursionError)


class JsonCodec(Codec):
    """A format of JSON."""

    @abstractmethod
    def _reading(self, limits: Limits) -> JsonReading: ...

    @abstractmethod
    def _writing(self) -> JsonWriting: ...

    def decode(self, data: bytes, *, limits: Limits = NO_LIMITS) -> Grid:
        if limits.size and len(data) > limits.size:
            raise CodecError(
                f"the text is larger than the limit, {limits.size} bytes", line=1, column=1
            )
        text = JsonText(bytes(data).removeprefix(BOM))
        if not text.data.isascii():
            text.chars()  # the parser passes over what it does not need, and over faults there
        with text.places(limits.depth):
            return _whole(self._reading(limits), text)

    def decode_rows(
        self, pieces: Iterable[bytes], *, limits: Limits = NO_LIMITS
    ) -> tuple[Head, Iterator[dict[str, Any]]]:
        return _Stream(self._reading(limits), JsonPieces(pieces, limits)).start()

    def encode(self, grid: Grid) -> bytes:
        return b"".join(self._write(Head(grid.meta, grid.cols), grid.rows, known=True))

    def encode_rows(self, head: Head, rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
        return self._write(head, rows, known=False)

    def _write(
        self, head: Head, rows: Iterable[Mapping[str, Kind]], *, known: bool
    ) -> Iterator[bytes]:
        """Write a grid; where nobody knows its columns before its rows, they come last."""
        writing = self._writing()
        names = {col.name: None for col in head.cols}
        if len(names) != len(head.cols):
            raise CodecError("a column comes twice")
        first = known or bool(names)
        yield writing.opening + b'"meta":' + _meta(writing, head.meta)
        if first:
            yield b',"cols":' + _cols(writing, head.cols)
        yield b',"rows":['
        left = iter(rows)
        at = 0
        while chunk := list(islice(left, _AT_ONCE)):
            if not known:
                _take_names(chunk, at, names, may_grow=not first)
            try:
                data = writing.alike(chunk)
                if data is None:
                    data = msgspec.json.encode([writing.row(row) for row in chunk])[1:-1]
            except _UNWRITABLE as error:
                raise _blamed(writing, chunk, at, error) from error
            yield b"," + data if at else data
            at += len(chunk)
        if first:
            yield b"]}"
        else:
            yield b'],"cols":' + _cols(writing, [Col(name) for name in names]) + b"}"


def _whole(reading: JsonReading, text: JsonText) -> Grid:
    """Read a text that is there as a whole; see `JsonText.places` for what it raises."""
    depth = reading.limits.depth
    found = _FIRST.match(text.data)
    first = b"" if found is None else found.group(1)
    if first == b"[":
        reading.untold = True
        rows = reading.rows(text.parse(list[Raw], depth), None)
        return Grid.of_checked({}, reading.cols_of(rows), rows)
    if first != b"{":
        text.parse(None, depth)  # perhaps it is not even JSON
        raise _no_grid()
    parts = text.parse(dict[str, Raw], depth)
    with Way("_kind"):
        kind = _parsed(parts.get("_kind"))
        is_grid = reading.is_grid(kind, _is_list(parts.get("rows")))
    if not is_grid:
        row = reading.only_row(Raw(text.data))
        return Grid.of_checked({}, reading.cols_of([row]), [row])
    meta: Mapping[str, Kind] = {}
    cols: Sequence[Col] = ()
    names = None
    if "meta" in parts:
        with Way("meta"):
            meta = reading.meta(_parsed(parts["meta"]))
    if "cols" in parts:
        with Way("cols"):
            cols = reading.cols(_parsed(parts["cols"]))
            names = {col.name for col in cols}
    with Way("rows"):
        if not _is_list(parts.get("rows")):
            raise Fault("expected the rows of the grid, a list")
        rows = reading.rows(msgspec.json.decode(parts["rows"], type=list[Raw]), names)
        if names is None:
            cols = reading.cols_of(rows)
    return Grid.of_checked(meta, cols, rows)


def _no_grid() -> Fault:
    return Fault("expected a grid, a list of rows or a dict")


def _parsed(raw: Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _is_list(raw: Raw | None) -> bool:
    return raw is not None and bytes(memoryview(raw)[:1]) == b"["


class _Stream:
    """A grid that is read in pieces."""

    def __init__(self, reading: JsonReading, source: JsonPieces) -> None:
        self._reading = reading
        self._source = source
        self._depth = reading.limits.depth
        self._parts: dict[str, JsonText] = {}

    def start(self) -> tuple[Head, Iterator[dict[str, Any]]]:
        """Read up to the rows."""
        first = self._source.peek()
        if first == "[":
            self._reading.untold = True
            return Head(), self._rows(None)
        if first != "{":
            with self._value().places(self._depth):
                raise _no_grid()
        self._source.take("{")
        if self._source.peek() == "}":
            self._source.take("}")
        else:
            while True:
                name = self._name()
                if name == "rows" and self._source.peek() == "[" and self._is_grid(has_rows=True):
                    return self._grid()
                self._parts[name] = self._value()
                if self._source.take(",", "}") == "}":
                    break
        return self._only_row()

    def _name(self) -> str:
        if self._source.peek() != '"':
            raise self._source.unexpected("a key in double quotes")
        name = self._source.value().parse(str, self._depth)
        self._source.take(":")
        return name

    def _value(self) -> JsonText:
        text = self._source.value()
        if not text.data:
            raise self._source.unexpected("a value")
        text.parse(Raw, self._depth)  # though nobody may ask for it
        return text

    def _is_grid(self, *, has_rows: bool) -> bool:
        def read(kind: Any) -> bool:
            return self._reading.is_grid(kind, has_rows)

        return read(None) if "_kind" not in self._parts else bool(self._part("_kind", read))

    def _grid(self) -> tuple[Head, Iterator[dict[str, Any]]]:
        meta = self._part("meta", self._reading.meta)
        cols = self._part("cols", self._reading.cols)
        names = None if cols is None else {col.name for col in cols}
        return Head(meta or {}, cols or ()), self._rows(names, in_object=True)

    def _part(self, name: str, read: Callable[[Any], T]) -> T | None:
        text = self._parts.get(name)
        if text is None:
            return None
        with text.places(self._depth):
            return read(text.parse(None, self._depth))

    def _rows(
        self, names: AbstractSet[str] | None, *, in_object: bool = False
    ) -> Iterator[dict[str, Any]]:
        for text, raws in self._source.items():
            with text.places(self._depth):
                rows = self._reading.rows(raws, names)
            yield from rows
        while in_object and self._source.take(",", "}") == ",":
            name = self._name()
            if name == "rows":
                raise self._source.unexpected("no second list of rows")
            self._parts[name] = self._value()
        if names is None:
            self._check_what_came_late()
        self._end()

    def _check_what_came_late(self) -> None:
        if not self._is_grid(has_rows=True):
            kind = self._parts["_kind"]
            message = "expected a grid, not a dict: its rows came before this"
            raise CodecError(message, line=kind.line, column=kind.column)
        self._part("meta", self._reading.meta)
        cols = self._part("cols", self._reading.cols)
        late = None if cols is None else self._reading.known - {col.name for col in cols}
        if late:
            raise self._source.unexpected(f"a column {min(late)!r} before that, which a row has")

    def _only_row(self) -> tuple[Head, Iterator[dict[str, Any]]]:
        if self._is_grid(has_rows=False):
            raise self._source.unexpected("the rows of the grid before that")
        self._end()
        row: dict[str, Any] = {}
        for name, text in self._parts.items():
            key = msgspec.json.encode(name)
            whole = JsonText(
                b"{" + key + b":" + text.data + b"}",
                text.line,
                text.column - len(key.decode()) - 2,
            )
            with whole.places(self._depth):
                raw = whole.parse(Raw, self._depth)
                row |= self._reading.only_row(raw)
        with JsonText(b"{}").places(self._depth):
            return Head(cols=self._reading.cols_of([row])), iter([row])

    def _end(self) -> None:
        if self._source.peek():
            raise self._source.unexpected("the end of the text")


def _meta(writing: JsonWriting, tags: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(writing.meta(tags))
    except _UNWRITABLE as error:
        raise _blame(writing, tags, "the tags of the grid", error) from error


def _cols(writing: JsonWriting, cols: Iterable[Col]) -> bytes:
    made = []
    for col in cols:
        try:
            made.append(msgspec.json.encode(writing.col(col)))
        except _UNWRITABLE as error:
            raise _blame(writing, col.meta, f"column {col.name!r}", error) from error
    return b"[" + b",".join(made) + b"]"


def _take_names(
    rows: Sequence[Mapping[str, Any]], at: int, names: dict[str, None], *, may_grow: bool
) -> None:
    for number, row in enumerate(rows, at):
        if row.keys() <= names.keys():
            continue
        for name in row:
            if name in names:
                continue
            if not may_grow:
                raise CodecError(f"row {number} has the tag {name!r}, and the grid no such column")
            try:
                names[checked_name(name)] = None
            except ValueError as error:
                raise CodecError(f"row {number}: {error}") from error


def _blamed(
    writing: JsonWriting, rows: Iterable[Mapping[str, Any]], at: int, error: Exception
) -> CodecError:
    for number, row in enumerate(rows, at):
        try:
            msgspec.json.encode(writing.row(row))
        except _UNWRITABLE as found:
            return _blame(writing, row, f"row {number}", found)
    return CodecError(f"the rows from {at} on cannot be written: {error}")


def _blame(
    writing: JsonWriting, tags: Mapping[str, Any], place: str, error: Exception
) -> CodecError:
    """The error for tags of which one cannot be written: names the first such."""
    for name, kind in tags.items():
        try:
            msgspec.json.encode(writing.value(kind))
        except _UNWRITABLE as found:
            return CodecError(f"{place}, {name!r}: {_why(found)}")
    return CodecError(f"{place}: {_why(error)}")


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a surrogate pair, which UTF-8 cannot carry"
    if isinstance(error, RecursionError):
        return "lists, dicts and grids lie too deep in one another"
    return str(error)
