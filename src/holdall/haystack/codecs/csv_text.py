"""CSV (RFC 4180, UTF-8): tables for spreadsheets, by the standard's chapter Csv.

What is written, with lines that end in CR LF and no byte order mark:

    header          the `dis` of each column, or its name
    nothing         where a row has no value; the empty text, too
    `✓`             a Marker
    `@id dis`       a Ref
    `true`          a Bool
    the text        a Str or Uri
    its literal     anything else, as in Zinc: `45.5°F`, `2024-01-31`, `[1,2]`

Tags about the grid and its columns are left out, and of most kinds only the text remains. What is
read back, whether a cell stands in quotes or not:

    nothing                 no value
    `✓`, `true`, `NA`       a Marker, Bool, NA
    `@id`, `@id dis`        a Ref
    `^elec-meter`           a Symbol
    `45.5`, `45.5°F`        a Number, without a unit or with one of the standard's database;
                            zeros in front or a `+` make a text of it, for it may be a telephone
                            number, and so does a value beyond what a float can hold
    `2024-01-31`, `12:00:00`, `2024-01-31T12:00:00-05:00 New_York`
                            a date, time or datetime, where there is such a one
    `C(37.55,-77.45)`       a Coord
    anything else           a text, as it is

A cell of the header that is no name of a tag becomes one: its words of ASCII letters and digits
run together (`Equip Name` → `equipName`), `v` before what does not begin with a letter, the
position where there is no word (`v3`), and `_2` after what is there already. The header then is
the `dis` of the column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import CodecError
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.csv_lines import Record, cells_of, read_records
from holdall.haystack.codecs.scalars import (
    read_date,
    read_moment,
    read_number,
    read_time,
    write_scalar,
)
from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import MARKER, NA, Coord, Kind, Marker, Ref, Symbol, Uri, is_name
from holdall.haystack.units import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CHECK: Final = "\u2713"
_WORDS: Final[dict[str, Any]] = {_CHECK: MARKER, "true": True, "false": False, "NA": NA}
_PIECE_ROWS: Final = 256
_CACHED_CELLS: Final = 4096
_CACHED_LENGTH: Final = 64
# The last begins a file as its byte order mark, unless a quote stands before it.
_QUOTED = re.compile('[",\r\n\ufeff]')
_HAZARD = re.compile(r"'*[=+\-@\t\r]")
_WORD = re.compile(r"[A-Za-z0-9]+")

_CELL = re.compile(
    r"(?P<ref>@[a-zA-Z0-9_:\-.~]+(?: .+)?)"
    r"|(?P<symbol>\^[a-zA-Z0-9_:\-.~]+)"
    r"|(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*)"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<time>\d\d:\d\d:\d\d(?:\.\d+)?)"
    r"|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?P<unit>[^\d\s.+\-][^\s]*)?"
    r"|-?INF|NaN)"
    r"|(?P<coord>C\((?P<lat>-?\d+(?:\.\d+)?),(?P<lng>-?\d+(?:\.\d+)?)\))",
    re.ASCII | re.DOTALL,
)
_MOST_DIGITS: Final = 400
"""A number is shorter: the largest float has 309 digits."""


class CsvCodec(Codec):
    """CSV, which spreadsheets open.

    Args:
        guard: Whether a cell that a spreadsheet would run as a formula is written with an
            apostrophe before it, and read without: a Str, Uri, Ref or header that begins with
            `=`, `+`, `-`, `@`, tab or carriage return. Text is not changed otherwise, and whoever
            opens a file of texts by strangers in a spreadsheet should want this.
        names: Whether the header holds the names of the columns and not their `dis`.
    """

    name = "csv"
    media_type = "text/csv"
    suffix = ".csv"
    lossless = False

    def __init__(self, *, guard: bool = False, names: bool = False) -> None:
        self._guard = guard
        self._names = names

    def encode(self, grid: Grid) -> bytes:
        return b"".join(self.encode_rows(Head(grid.meta, grid.cols), grid.rows))

    def encode_rows(self, head: Head, rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
        names = [col.name for col in head.cols]
        if names:
            yield _bytes([self._header(head.cols)], 0, names)
        known = {*names}
        lines: list[str] = []
        number = 0
        for number, row in enumerate(rows, 1):
            if not names:
                raise CodecError("CSV has no rows without columns, and this grid has")
            if not row.keys() <= known:
                extra = next(name for name in row if name not in known)
                raise CodecError(f"row {number} has the tag {extra!r}, and no such column is there")
            line = ",".join([self._cell(row.get(name), number, name) for name in names])
            lines.append(line or '""')  # an empty line would be no row
            if len(lines) == _PIECE_ROWS:
                yield _bytes(lines, number, names)
                lines = []
        if lines:
            yield _bytes(lines, number, names)

    def _header(self, cols: Iterable[Col]) -> str:
        cells = []
        for col in cols:
            dis = col.meta.get("dis")
            text = dis if isinstance(dis, str) and dis and not self._names else col.name
            cells.append(self._text(text))
        return ",".join(cells)

    def _cell(self, value: Any, number: int, name: str) -> str:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if value is None:
            return ""
        if kind is Marker:
            return _CHECK
        if kind is bool:
            return "true" if value else "false"
        if kind is Ref:
            return self._text(f"@{value.val} {value.dis}" if value.dis else f"@{value.val}")
        if kind is Uri:
            return self._text(value.val)
        try:
            return _quoted(_literal(value))
        except ValueError as error:
            raise CodecError(f"row {number}, column {name}: {error}") from error

    def _text(self, text: str) -> str:
        return _quoted("'" + text if self._guard and _HAZARD.match(text) else text)

    def decode(self, data: bytes, *, limits: Limits = NO_LIMITS) -> Grid:
        head, rows = self.decode_rows([data], limits=limits)
        return Grid.of_checked(head.meta, head.cols, rows)

    def decode_rows(
        self, pieces: Iterable[bytes], *, limits: Limits = NO_LIMITS
    ) -> tuple[Head, Iterator[dict[str, Any]]]:
        records = read_records(pieces, limits.size)
        header = next(records, None)
        if header is None:
            return Head(), iter(())
        if limits.columns and len(header.cells) > limits.columns:
            raise CodecError(
                f"a grid of {len(header.cells)} columns, and the limit is {limits.columns}",
                line=header.line,
                column=1,
            )
        cols = self._cols(header)
        return Head(cols=cols), self._rows(records, [col.name for col in cols], limits)

    def _cols(self, header: Record) -> list[Col]:
        taken: set[str] = set()
        cols = []
        for at, cell in enumerate(header.cells, 1):
            text = self._unguarded(cell)
            name = first = text if is_name(text) else _name_of(text, at)
            number = 1
            while name in taken:
                number += 1
                name = f"{first}_{number}"
            taken.add(name)
            cols.append(Col(name) if name == text or not text else Col(name, {"dis": text}))
        return cols

    def _rows(
        self, records: Iterator[Record], names: list[str], limits: Limits
    ) -> Iterator[dict[str, Any]]:
        known: dict[str, Any] = dict(_WORDS)
        width = len(names)
        for number, record in enumerate(records, 1):
            if limits.rows and number > limits.rows:
                raise CodecError(
                    f"more rows than the limit, {limits.rows}", line=record.line, column=1
                )
            if len(record.cells) > width:
                line, column = record.place(width)
                raise CodecError(
                    f"a row of {len(record.cells)} cells under a header of {width}",
                    line=line,
                    column=column,
                )
            row: dict[str, Any] = {}
            for name, text in zip(names, record.cells, strict=False):
                if not text:
                    continue
                value = known.get(text)
                if value is None:
                    value = self._value(text)
                    if len(text) <= _CACHED_LENGTH:
                        if len(known) >= _CACHED_CELLS:  # by now mostly ids, which come once
                            known = dict(_WORDS)
                        known[text] = value
                row[name] = value
            yield row

    def _value(self, text: str) -> Any:
        plain = text
        if self._guard:
            plain = self._unguarded(text)
            if plain is not text and not plain.startswith("@"):
                return plain
        match = _CELL.fullmatch(plain)
        if match is None:
            return plain
        try:
            return _READERS[match.lastgroup or ""](plain, match)
        except ValueError:  # it looks like one, and there is no such day, zone, unit or degree
            return plain

    def _unguarded(self, text: str) -> str:
        if self._guard and text.startswith("'") and _HAZARD.match(text):
            return text[1:]
        return text


def _literal(value: Any) -> str:
    if not isinstance(value, (list, Mapping, Grid)):
        return write_scalar(value)
    from holdall.haystack.codecs.zinc import write_value  # rare, and a large module

    return write_value(value)


def _quoted(text: str) -> str:
    if _QUOTED.search(text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def _bytes(lines: list[str], last: int, names: list[str]) -> bytes:
    """Lines in UTF-8; `last` is the number of the row that the last one is, 0 the header."""
    try:
        return ("\r\n".join(lines) + "\r\n").encode()
    except UnicodeEncodeError:
        pass
    for row, line in enumerate(lines, last - len(lines) + 1):
        for name, cell in zip(names, cells_of(1, line), strict=True):
            if any("\ud800" <= char <= "\udfff" for char in cell):
                where = f"row {row}, column {name}" if row else f"the header of column {name}"
                raise CodecError(f"{where}: a lone surrogate, which UTF-8 has no form for")
    raise AssertionError("nothing else is refused by UTF-8")


def _name_of(text: str, at: int) -> str:
    words = _WORD.findall(text)
    if not words:
        return f"v{at}"
    first, *rest = words
    name = first[0].lower() + first[1:] + "".join(word[0].upper() + word[1:] for word in rest)
    return name if is_name(name) else f"v{name}"


def _ref(text: str, _: re.Match[str]) -> Ref:
    val, _blank, dis = text[1:].partition(" ")
    return Ref(val, dis or None)


def _number(text: str, match: re.Match[str]) -> Any:
    of = match["unit"]
    if len(text) > _MOST_DIGITS or (of is not None and unit(of) is None):
        raise ValueError(text)
    number = read_number(text)
    if abs(number.val) == float("inf") and "INF" not in text:
        raise ValueError(text)
    return number


_READERS: dict[str, Callable[[str, re.Match[str]], Any]] = {
    "ref": _ref,
    "symbol": lambda text, _: Symbol(text[1:]),
    "moment": lambda text, _: read_moment(text),
    "date": lambda text, _: read_date(text),
    "time": lambda text, _: read_time(text),
    "number": _number,
    "coord": lambda _, match: Coord(float(match["lat"]), float(match["lng"])),
}

CSV: Final = CsvCodec()
"""CSV as the standard has it."""
