"""Samples as files: CSV, Zinc, JSON and Parquet, with the columns id, ts and val.

Parquet has two more: `val` is a double, `unit` its unit, and `other` a literal of Zinc that counts
in their place where a value is none of a double: a Bool, a text, NA, an int among these.
"""

from __future__ import annotations

from array import array
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Final

from holdall.cli.hs_files import codec_of
from holdall.haystack.adapter.samples import in_zone
from holdall.haystack.codecs.contract import Head
from holdall.haystack.codecs.csv_text import CsvCodec
from holdall.haystack.codecs.zinc import write_value
from holdall.haystack.grid import Col
from holdall.haystack.kinds import Number, Ref
from holdall.haystack.stores.histories import is_double
from holdall.records.exchange.drivers import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdall.cli.hs_files import OnProgress
    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.stores.histories import Samples

COLUMNS: Final = ("id", "ts", "val")
PARQUET_COLUMNS: Final = (*COLUMNS, "unit", "other")


class SampleFormat(StrEnum):
    """The formats of files of samples."""

    csv = "csv"
    zinc = "zinc"
    json = "json"
    json3 = "json3"
    parquet = "parquet"


def sample_format(format: SampleFormat | None, file: str) -> SampleFormat:  # noqa: A002
    """The format that is named, or that the name of a file says.

    Raises:
        ValueError: Nothing says one.
    """
    if format is not None:
        return format
    if file.lower().endswith((".parquet", ".pq")):
        return SampleFormat.parquet
    name = codec_of(None, file).name
    if name not in SampleFormat.__members__:
        known = ", ".join(SampleFormat)
        raise ValueError(f"{file}: {name} is no format of samples; there are {known}")
    return SampleFormat(name)


def write_samples(
    stream: IO[bytes],
    format: SampleFormat,  # noqa: A002
    chunks: Iterable[tuple[Point, Samples]],
    progress: OnProgress | None,
) -> int:
    """Write samples; answers how many.

    Args:
        stream: Where to.
        format: How.
        chunks: Samples of points, in the order in which they are written.
        progress: Told how many are written.

    Raises:
        InvalidConfig: It is Parquet, and pyarrow is not installed.
    """
    number = 0

    def counted() -> Iterator[tuple[Point, Samples]]:
        nonlocal number
        for point, samples in chunks:
            yield point, samples
            number += len(samples)
            if progress is not None:
                progress(number, None)

    if format is SampleFormat.parquet:
        _write_parquet(stream, counted())
        return number
    codec = CsvCodec(names=True) if format is SampleFormat.csv else codec_of(format, "")
    for piece in codec.encode_rows(Head(cols=tuple(map(Col, COLUMNS))), sample_rows(counted())):
        stream.write(piece)
    return number


def sample_rows(chunks: Iterable[tuple[Point, Samples]]) -> Iterator[dict[str, Any]]:
    """Samples as rows of a grid."""
    for point, samples in chunks:
        ref = Ref(point.id)
        moments = in_zone(samples.ts, point.zone)
        for ts, value in zip(moments, samples.kinds(), strict=True):
            yield {"id": ref, "ts": ts, "val": value}


def _write_parquet(stream: IO[bytes], chunks: Iterable[tuple[Point, Samples]]) -> None:
    pa, parquet = arrow(), arrow("pyarrow.parquet")
    kinds = (
        pa.string(),
        pa.timestamp("us", "UTC"),
        pa.float64(),
        pa.string(),
        pa.string(),
    )
    schema = pa.schema(list(zip(PARQUET_COLUMNS, kinds, strict=True)))
    with parquet.ParquetWriter(stream, schema) as writer:
        for point, samples in chunks:
            columns = ([point.id] * len(samples), samples.ts, *_parts(samples))
            arrays = [pa.array(one, kind) for one, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _parts(samples: Samples) -> tuple[Any, list[str | None], list[str | None]]:
    """The columns val, unit and other."""
    count = len(samples)
    if isinstance(samples.vals, array):
        return samples.vals, [samples.unit] * count, [None] * count
    vals: list[float | None] = [None] * count
    units: list[str | None] = [None] * count
    others: list[str | None] = [None] * count
    for at, value in enumerate(samples.vals):
        if type(value) is Number and is_double(value):
            vals[at], units[at] = float(value.val), value.unit
            if type(value.val) is float:
                continue
        others[at] = write_value(value)
    return vals, units, others
