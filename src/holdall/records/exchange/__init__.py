"""Records to files and data frames, and back.

    from holdall.records.exchange import export_records, import_records

    export_records(db, "people.jsonl")
    report = import_records(db, "more.csv", types={"age": "int"})
    report.check()

Each function has a twin for asyncio, `export_records_async` and so on: files are read and written
in threads there, so that no loop waits for them.

JSON Lines keeps every value as it is. CSV, Parquet, Arrow and data frames have columns, which
`holdall.records.exchange.rows` names; CSV keeps texts only, and what the others keep of types
stands in `holdall.records.exchange.columns`. Nothing but data frames is held in memory as a whole.

Parquet, Arrow and data frames need pyarrow (`pip install 'holdall[arrow]'`), and data frames pandas
or polars too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.core.runtime.blocking import drive
from holdall.records.exchange.csv_text import CsvWriter, read_csv
from holdall.records.exchange.exporting import BATCH, entered, write_records
from holdall.records.exchange.files import format_of, name_of, reading, writing
from holdall.records.exchange.frames import FrameMaker, frame_lines
from holdall.records.exchange.importing import ImportFailure, ImportReport, write_rows
from holdall.records.exchange.json_lines import LinesWriter, read_lines
from holdall.records.exchange.tables import TableWriter, read_table

if TYPE_CHECKING:
    from typing import IO

    from holdall.records.async_database import AsyncDatabase
    from holdall.records.contract import RecordStore
    from holdall.records.database import Database
    from holdall.records.exchange.cells import CellTypes
    from holdall.records.exchange.exporting import OnProgress, Writer
    from holdall.records.exchange.files import Format, Place
    from holdall.records.exchange.frames import FrameKind
    from holdall.records.exchange.importing import ImportMode
    from holdall.records.query import Query

__all__ = [
    "BATCH",
    "ImportFailure",
    "ImportReport",
    "export_records",
    "export_records_async",
    "from_dataframe",
    "from_dataframe_async",
    "import_records",
    "import_records_async",
    "to_dataframe",
    "to_dataframe_async",
]


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
    return drive(_export(db.store, place, format, query, progress))


async def export_records_async(
    db: AsyncDatabase,
    place: Place,
    format: str | None = None,  # noqa: A002
    query: Query | None = None,
    progress: OnProgress | None = None,
) -> int:
    """Write records to a file; answer how many; see `export_records`."""
    return await _export(db.store, place, format, query, progress)


async def _export(
    store: RecordStore,
    place: Place,
    named: str | None,
    query: Query | None,
    progress: OnProgress | None,
) -> int:
    kind = format_of(place, named)
    async with entered(writing(place), store.runtime) as stream:
        return await write_records(store, query, _writer(kind, stream), progress)


def _writer(kind: Format, stream: IO[bytes]) -> Writer:
    if kind == "jsonl":
        return LinesWriter(stream)
    return CsvWriter(stream) if kind == "csv" else TableWriter(stream, kind)


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
    kind = _import_format(place, format, types)
    return drive(_import(db.store, place, kind, mode, batch, id_field, progress, types))


async def import_records_async(
    db: AsyncDatabase,
    place: Place,
    format: str | None = None,  # noqa: A002
    mode: ImportMode = "create",
    batch: int = BATCH,
    id_field: str = "id",
    progress: OnProgress | None = None,
    *,
    types: CellTypes = None,
) -> ImportReport:
    """Write the records of a file to a database; answer what came of them; see `import_records`."""
    kind = _import_format(place, format, types)
    return await _import(db.store, place, kind, mode, batch, id_field, progress, types)


def _import_format(place: Place, named: str | None, types: CellTypes) -> Format:
    kind = format_of(place, named)
    if types is not None and kind != "csv":
        raise ValueError(f"types are for CSV: {kind} has its own")
    return kind


async def _import(
    store: RecordStore,
    place: Place,
    kind: Format,
    mode: ImportMode,
    batch: int,
    id_field: str,
    progress: OnProgress | None,
    types: CellTypes,
) -> ImportReport:
    name = name_of(place)
    async with entered(reading(place), store.runtime) as stream:
        if kind == "jsonl":
            lines = read_lines(stream, name, id_field)
        elif kind == "csv":
            lines = read_csv(stream, name, id_field, types)
        else:
            lines = read_table(stream, name, id_field, kind)
        return await write_rows(store, lines, mode, batch, progress)


def to_dataframe(db: Database, query: Query | None = None, kind: FrameKind = "pandas") -> Any:
    """Answer records as a data frame, all of them in memory.

    Lists of several types, dicts and UUIDs are objects in pandas, and text in polars and Arrow.
    Lists of moments, and of floats with a gap, are lists of Python in pandas, and no arrays.

    Args:
        db: Where from.
        query: Which records, in which order, and which fields; None for all.
        kind: `pandas`, `polars`, or `arrow` for a `pyarrow.Table`.

    Raises:
        InvalidConfig: A library is not installed.
        ValueError: There is no such kind.
    """
    return drive(_to_frame(db.store, query, kind))


async def to_dataframe_async(
    db: AsyncDatabase, query: Query | None = None, kind: FrameKind = "pandas"
) -> Any:
    """Answer records as a data frame, all of them in memory; see `to_dataframe`."""
    return await _to_frame(db.store, query, kind)


async def _to_frame(store: RecordStore, query: Query | None, kind: FrameKind) -> Any:
    maker = FrameMaker(kind)
    await write_records(store, query, maker, None)
    return await store.runtime.call(maker.frame, None)


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
    return drive(_from_frame(db.store, frame, mode, batch, id_field, progress))


async def from_dataframe_async(
    db: AsyncDatabase,
    frame: Any,
    mode: ImportMode = "create",
    batch: int = BATCH,
    id_field: str = "id",
    progress: OnProgress | None = None,
) -> ImportReport:
    """Write the rows of a data frame to a database; see `from_dataframe`."""
    return await _from_frame(db.store, frame, mode, batch, id_field, progress)


async def _from_frame(
    store: RecordStore,
    frame: Any,
    mode: ImportMode,
    batch: int,
    id_field: str,
    progress: OnProgress | None,
) -> ImportReport:
    lines = frame_lines(frame, id_field)
    total = len(frame) if hasattr(frame, "__len__") else None
    return await write_rows(store, lines, mode, batch, progress, total)
