"""Records to files and data frames, and back.

    from holdall.records.exchange import export_records, import_records

    export_records(db, "people.jsonl")
    report = import_records(db, "more.csv", types={"age": "int"})
    report.check()

JSON Lines keeps every value as it is. CSV, Parquet, Arrow and data frames have columns, which
`holdall.records.exchange.rows` names; CSV keeps texts only, and what the others keep of types
stands in `holdall.records.exchange.columns`. Nothing but data frames is held in memory as a whole.

Parquet, Arrow and data frames need pyarrow (`pip install 'holdall[arrow]'`), and data frames pandas
or polars too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.records.exchange.csv_text import read_csv, write_csv
from holdall.records.exchange.files import format_of, name_of, reading, writing
from holdall.records.exchange.frames import frame_lines, frame_of
from holdall.records.exchange.importing import ImportFailure, ImportReport, write_rows
from holdall.records.exchange.json_lines import read_lines, write_lines
from holdall.records.exchange.tables import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.records.database import Database
    from holdall.records.exchange.cells import CellTypes
    from holdall.records.exchange.files import Place
    from holdall.records.exchange.frames import FrameKind
    from holdall.records.exchange.importing import ImportMode, OnProgress
    from holdall.records.query import Query
    from holdall.records.record import Record

__all__ = [
    "BATCH",
    "ImportFailure",
    "ImportReport",
    "export_records",
    "from_dataframe",
    "import_records",
    "to_dataframe",
]

BATCH = 1000
"""How many records are written together, when the caller names no number."""


def export_records(
    db: Database,
    place: Place,
    format: str | None = None,  # noqa: A002
    query: Query | None = None,
    progress: OnProgress | None = None,
) -> int:
    """Write records to a file; answer how many.

    A file shows under its name when all is written and on disk; until then, and after an error,
    what was there before is there.

    Args:
        db: Where from.
        place: The path of a file, or one that is open in binary mode, which stays open.
        format: `jsonl`, `csv`, `parquet` or `arrow`; else the name of the file says.
        query: Which records, in which order, and which fields; None for all.
        progress: Called after each 1,000 records, and at the end, with how many were read, and
            how many there are; for that they are counted first.

    Raises:
        CodecError: The format cannot hold a value.
        InvalidConfig: A library is not installed.
        OSError: The file cannot be written.
        ValueError: The format is none of these.
    """
    kind = format_of(place, format)
    total = None if progress is None else db.count(query)
    counted = _Counted(db.stream_read(query), progress, total)
    with writing(place) as stream:
        if kind == "jsonl":
            write_lines(counted, stream)
        elif kind == "csv":
            write_csv(counted, stream)
        else:
            write_table(counted, stream, kind)
    return counted.number


def import_records(
    db: Database,
    place: Place,
    format: str | None = None,  # noqa: A002
    mode: ImportMode = "create",
    batch: int = BATCH,
    id_field: str = "id",
    progress: OnProgress | None = None,
    *,
    types: CellTypes = None,
) -> ImportReport:
    """Write the records of a file to a database; answer what came of them.

    A record that cannot be written stands in the report, and the others go on. After an
    interruption run it again: with `create`, what was written before is reported as being there
    already, and with `upsert` it is written once more.

    Args:
        db: Where to.
        place: The path of a file, or one that is open in binary mode, which stays open.
        format: `jsonl`, `csv`, `parquet` or `arrow`; else the name of the file says.
        mode: `create` writes new records only; `upsert` writes over those of the same id.
        batch: How many records are written together.
        id_field: The field or column that is the id, where the file is not from `export_records`;
            a record without it gets a new UUID, with each import another one.
        progress: Called after each batch with how many records were read, and None: the file
            does not say how many there are.
        types: Of the columns of a CSV file, by name: `int`, `float`, `bool`, `Decimal`,
            `datetime`, `date`, `time`, `UUID`, `bytes`, `list`, `dict`, or their names as text.
            `"infer"` takes for numbers, bools, lists and objects what looks like them. Otherwise
            all is text.

    Raises:
        CodecError: The file cannot be read on; knows the line and column. Whole batches before
            that are written.
        InvalidConfig: A library is not installed.
        OSError: The file cannot be read.
        ValueError: An argument cannot be.
        HoldallError: The database cannot be reached or used.
    """
    kind = format_of(place, format)
    if types is not None and kind != "csv":
        raise ValueError(f"types are for CSV: {kind} has its own")
    name = name_of(place)
    with reading(place) as stream:
        if kind == "jsonl":
            lines = read_lines(stream, name, id_field)
        elif kind == "csv":
            lines = read_csv(stream, name, id_field, types)
        else:
            lines = read_table(stream, name, id_field, kind)
        return write_rows(db.store, lines, mode, batch, progress)


def to_dataframe(db: Database, query: Query | None = None, kind: FrameKind = "pandas") -> Any:
    """Answer records as a data frame, all of them in memory.

    Lists of several types, dicts and UUIDs are objects in pandas, and text in polars and Arrow.

    Args:
        db: Where from.
        query: Which records, in which order, and which fields; None for all.
        kind: `pandas`, `polars`, or `arrow` for a `pyarrow.Table`.

    Raises:
        InvalidConfig: A library is not installed.
        ValueError: There is no such kind.
    """
    return frame_of(db.stream_read(query), kind)


def from_dataframe(
    db: Database,
    frame: Any,
    mode: ImportMode = "create",
    batch: int = BATCH,
    id_field: str = "id",
    progress: OnProgress | None = None,
) -> ImportReport:
    """Write the rows of a data frame to a database; answer what came of them.

    What is missing in a row (None, null, NaT; in pandas NaN too, which means the same there) is a
    field that is missing. An index of pandas with a name counts as a column.

    Args:
        db: Where to.
        frame: A `DataFrame` of pandas or polars, or a `pyarrow.Table`.
        mode: As for `import_records`, and so are the others.
        batch: How many records are written together.
        id_field: The column that is the id.
        progress: Called after each batch with how many rows were read, and how many there are.

    Raises:
        TypeError: It is no data frame, or a column's name is no text.
        ValueError: Two columns have one name, or one is finer than a microsecond.
        HoldallError: The database cannot be reached or used.
    """
    lines = frame_lines(frame, id_field)
    total = len(frame) if hasattr(frame, "__len__") else None
    return write_rows(db.store, lines, mode, batch, progress, total)


class _Counted:
    """Records that are counted as they go by."""

    def __init__(
        self, records: Iterator[Record], progress: OnProgress | None, total: int | None
    ) -> None:
        self._records = records
        self._progress = progress
        self._total = total
        self.number = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.number += 1
            yield record
            if self._progress is not None and self.number % BATCH == 0:
                self._progress(self.number, self._total)
        if self._progress is not None and (self.number % BATCH or not self.number):
            self._progress(self.number, self._total)
