"""Samples from files: rows of an id, a moment and a value, one after another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from msgspec import Struct

from holdall.cli.hs_files import grid_rows, name_of, named, pieces_of
from holdall.cli.hs_samples import PARQUET_COLUMNS, SampleFormat
from holdall.core.errors import CodecError
from holdall.haystack.codecs.csv_lines import read_records
from holdall.haystack.codecs.scalars import read_moment, read_number
from holdall.haystack.codecs.zinc import read_value
from holdall.haystack.kinds import NA, Number, Ref
from holdall.records.exchange.drivers import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.kinds import Kind

_BATCH: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOO_FINE = re.compile(r"\.\d{6}\d*[1-9]")


class SampleRow(Struct):
    """A sample as a file has it.

    Attributes:
        place: The line of CSV, or the row of anything else.
        id: The id of its point; None where the file does not say.
        ts: A moment; a text of CSV.
        val: A value; a text of CSV.
    """

    place: int
    id: Any
    ts: Any
    val: Any


def sample_rows_of(
    stream: BinaryIO,
    format: SampleFormat,  # noqa: A002
    file: str,
    of: str | None,
) -> Iterator[SampleRow]:
    """Read the samples of a file.

    Args:
        stream: The file, open.
        format: What is in it.
        file: Its name, for errors.
        of: The point of rows that name none.

    Raises:
        CodecError: The file is not of this format, or has no columns of samples.
        InvalidConfig: It is Parquet, and pyarrow is not installed.
    """
    if format is SampleFormat.csv:
        return _csv(stream, name_of(file), of)
    if format is SampleFormat.parquet:
        return _parquet(stream, name_of(file), of)
    return _grid(stream, format, file, of)


def _columns(names: Sequence[str], file: str) -> None:
    missing = [name for name in ("ts", "val") if name not in names]
    if missing:
        shown = ", ".join(names)
        raise CodecError(
            f"{file} has no column {' and none '.join(missing)}: samples are rows of ts and val, "
            f"or of id, ts and val, and it has {shown or 'no columns'}"
        )


def _csv(stream: BinaryIO, file: str, of: str | None) -> Iterator[SampleRow]:
    with named(file):
        records = read_records(pieces_of(stream), 0)
        header = next(records, None)
        names = [cell.strip() for cell in header.cells] if header is not None else []
        _columns(names, file)
        ts, val = names.index("ts"), names.index("val")
        id_ = names.index("id") if "id" in names else None
        for record in records:
            cells = record.cells
            if len(cells) != len(names):
                raise CodecError(
                    f"a row of {len(cells)} cells under a header of {len(names)}",
                    line=record.line,
                    column=1,
                )
            point = of if id_ is None else cells[id_].strip() or of
            yield SampleRow(record.line, point, cells[ts].strip(), cells[val])


def _grid(stream: BinaryIO, format: str, file: str, of: str | None) -> Iterator[SampleRow]:  # noqa: A002
    head, rows, _ = grid_rows(stream, format, file)
    about = head.meta.get("id", of)
    # A grid of several points has a column of values for each, whose tags say of which.
    several: Mapping[str, Kind] = {
        col.name: col.meta["id"] for col in head.cols if isinstance(col.meta.get("id"), Ref)
    }
    if head.cols and not several:
        _columns([col.name for col in head.cols], name_of(file))
    for number, row in enumerate(rows, 1):
        if several:
            for name, ref in several.items():
                if name in row:
                    yield SampleRow(number, ref, row.get("ts"), row[name])
        else:
            yield SampleRow(number, row.get("id", about), row.get("ts"), row.get("val"))


def _parquet(stream: BinaryIO, file: str, of: str | None) -> Iterator[SampleRow]:
    from holdall.haystack.tables import from_arrow

    pa, parquet = arrow(), arrow("pyarrow.parquet")
    try:
        # What it holds stands at the end of the file, so that a pipe is read whole.
        whole = stream if stream.seekable() else pa.BufferReader(stream.read())
        source = parquet.ParquetFile(whole)
        names = source.schema_arrow.names
        _columns(names, file)
        number = 0
        exact = {*PARQUET_COLUMNS} <= {*names}
        for batch in source.iter_batches(_BATCH):
            table = pa.Table.from_batches([batch])
            rows: Iterable[Mapping[str, Any]] = _exact_rows(batch) if exact else from_arrow(table)
            for row in rows:
                number += 1
                yield SampleRow(number, row.get("id", of), row.get("ts"), row.get("val"))
    except (pa.ArrowException, TypeError, ValueError, OSError) as error:
        raise CodecError(f"{file}: {error}") from error


def _exact_rows(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of what `write_samples` wrote."""
    pa = arrow()
    moments = batch.column("ts").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    columns = (batch.column(name).to_pylist() for name in ("id", "val", "unit", "other"))
    for ts, of, val, unit, other in zip(moments, *columns, strict=True):
        row: dict[str, Any] = {"ts": None if ts is None else _EPOCH + timedelta(microseconds=ts)}
        if of is not None:
            row["id"] = of
        if other is not None:
            row["val"] = read_value(other)
        elif val is not None:
            row["val"] = Number(val, unit)
        yield row


def moment_of(ts: object) -> Any:
    """The moment that a row means.

    Raises:
        ValueError: It is a text, and no moment with a zone or an offset.
    """
    if not isinstance(ts, str):
        return ts
    day, clock = ts[:10], ts[11:]
    if " " in clock:
        return read_moment(ts)  # with the name of a zone
    made = datetime.fromisoformat(ts)
    if made.tzinfo is None:
        raise ValueError(
            f"{ts!r} has no zone: write {day}T{clock or '00:00:00'}Z, or an offset such as +02:00"
        )
    if _TOO_FINE.search(clock):
        raise ValueError(f"{ts!r} is finer than a microsecond: round it")
    return made.astimezone(UTC)


def value_of_text(text: str, point: Point) -> Any:
    """The value that a cell of CSV means for a point.

    Raises:
        ValueError: It is none of the point's kind.
    """
    if point.kind == "Str":
        return NA if text == "NA" else text
    plain = text.strip()
    if not plain:
        raise ValueError("there is no value; one that is not known is NA")
    if plain == "NA":
        return NA
    if point.kind != "Number" and plain.lower() in ("true", "false"):
        return plain.lower() == "true"
    if point.kind == "Bool":
        raise ValueError(f"{text!r} is no Bool: write true or false")
    try:
        return read_number(plain)
    except ValueError:
        if point.kind == "Number":
            raise
        return text
