"""CSV: a header of column names, and a row a record (RFC 4180, UTF-8).

The columns are those of `holdall.records.exchange.rows`. A cell holds the text of a value; lists
and dicts stand in it as JSON. An empty cell is a field that is missing, so that None and the empty
text do not come back. Types do not either, unless they are named.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any

from holdall.core.errors import CodecError, Corrupt
from holdall.records.exchange.cells import inferred, parser_of, to_text
from holdall.records.exchange.exporting import Writer
from holdall.records.exchange.importing import Line, line_of
from holdall.records.exchange.rows import record_of, row_of
from holdall.records.exchange.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdall.records.exchange.cells import CellTypes
    from holdall.records.record import Record

    Parser = Callable[[str], Any]

# The standard library stops at cells of 128 KiB unless it is told otherwise.
_LARGEST_CELL = 2**31 - 1
_BOM = b"\xef\xbb\xbf"


class CsvWriter(Writer):
    """Writes records, which are kept in a temporary file until all columns are known.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._spool = Spool()

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            self._spool.add(row_of(record))

    def finish(self) -> None:
        """Write all rows.

        Raises:
            CodecError: A text holds a lone surrogate, which UTF-8 has no form for, or a number
                has more digits than Python writes.
        """
        text = io.TextIOWrapper(self._stream, "utf-8", newline="", write_through=True)
        try:
            writer = csv.writer(text)
            columns = self._spool.columns
            if columns:
                writer.writerow(columns)
            for row, _ in self._spool.rows():
                try:
                    writer.writerow([to_text(row.get(name)) for name in columns])
                except ValueError as error:
                    raise CodecError(
                        f"the record {row['id']!r} holds what CSV cannot: {error}"
                    ) from error
        finally:
            text.detach()  # or it would close what it wraps

    def close(self) -> None:
        self._spool.close()


def read_csv(stream: IO[bytes], name: str, id_field: str, types: CellTypes) -> Iterator[Line]:
    """Read records.

    Args:
        stream: The text, in UTF-8, with a byte order mark or without.
        name: What the file is called.
        id_field: The column that holds the id.
        types: The types of columns by name; `infer` guesses that of each cell. Else all is text.

    Raises:
        CodecError: The file cannot be read on; knows the line.
        ValueError: A type is unknown, or that of a column that is not there.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))
    reader = csv.reader(_lines(stream, name), strict=True)
    header: list[str] | None = None
    parsers: list[Parser] = []
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CodecError(
                f"this is no CSV, in {name}: {error}",
                line=reader.line_num,
                column=1,
                reference=name,
            ) from error
        if row is None:
            return
        if header is None:
            header = _header(row, number, name)
            parsers = _parsers(header, types, name)
        elif row:
            yield line_of(number, _record, row, header, parsers, (number, name, id_field))


def _lines(stream: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield (line.removeprefix(_BOM) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise CodecError(
                f"this is no UTF-8, in {name}",
                line=number,
                column=error.start + 1,
                reference=name,
            ) from error


def _header(row: list[str], number: int, name: str) -> list[str]:
    for at, column in enumerate(row):
        if not column or column in row[:at]:
            what = f"there is a column {column!r} already" if column else "a column has no name"
            raise CodecError(f"{what}, in {name}", line=number, column=at + 1, reference=name)
    return row


def _parsers(header: Sequence[str], types: CellTypes, name: str) -> list[Parser]:
    if types == "infer":
        return [inferred] * len(header)
    named = types or {}
    for column in named:
        if column not in header:
            raise ValueError(f"types names the column {column!r}, which {name} does not have")
    return [parser_of(named.get(column, "str")) for column in header]


def _record(
    row: list[str], header: list[str], parsers: list[Parser], place: tuple[int, str, str]
) -> Record:
    number, name, id_field = place
    if len(row) > len(header):
        raise CodecError(
            f"a row of {len(row)} cells under a header of {len(header)}, in {name}",
            line=number,
            column=len(header) + 1,
            reference=name,
        )
    values: dict[str, Any] = {}
    for at, (column, text) in enumerate(zip(header, row, strict=False)):
        if not text:
            continue
        # An id stays what it is, also where it looks like a number.
        parse = str if column == id_field else parsers[at]
        try:
            values[column] = parse(text)
        except (ArithmeticError, LookupError, ValueError, Corrupt) as error:
            raise CodecError(
                f"{text[:80]!r} cannot be in the column {column!r}, in {name}",
                line=number,
                column=at + 1,
                reference=name,
            ) from error
    return record_of(values, id_field)
