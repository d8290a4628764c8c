"""Records as data frames of pandas and polars, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec

from holdall.records.encoding import from_plain
from holdall.records.exchange.columns import IDENTIFIER, JSON, NOTE
from holdall.records.exchange.drivers import arrow, frames
from holdall.records.exchange.importing import Line, line_of
from holdall.records.exchange.rows import record_of
from holdall.records.exchange.tables import TableMaker, lines_of, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

FrameKind: TypeAlias = Literal["pandas", "polars", "arrow"]

_CHUNK_ROWS = 1000
_NANOSECONDS = 1000


class FrameMaker(TableMaker):
    """Makes a data frame of all records, a row each.

    Args:
        kind: Of which library.

    Raises:
        InvalidConfig: A library is not installed.
        ValueError: There is no such kind.
    """

    def __init__(self, kind: FrameKind) -> None:
        if kind not in get_args(FrameKind):
            known = ", ".join(get_args(FrameKind))
            raise ValueError(f"kind={kind!r} is unknown; there are {known}")
        super().__init__()
        self._kind = kind
        self._library = None if kind == "arrow" else frames(kind)

    def frame(self) -> Any:
        """The data frame of what it was given."""
        table = self.table()
        if self._library is None:
            return table
        return self._library.from_arrow(table) if self._kind == "polars" else _pandas(table)


def _pandas(table: Any) -> Any:
    # Whole numbers with a gap would become floats otherwise, and large ones other numbers.
    frame = table.to_pandas(integer_object_nulls=True)
    pandas = frames("pandas")
    for field, column in zip(table.schema, table.columns, strict=True):
        read = _OBJECTS.get((field.metadata or {}).get(NOTE, b"").decode())
        if read is not None:
            values = [None if text is None else read(text) for text in column.to_pylist()]
        elif _numpy_would_change(column):
            values = column.to_pylist()
        else:
            continue
        # Of objects, because pandas would make floats of whole numbers here, too.
        frame[field.name] = pandas.Series(values, dtype=object)
    return frame


def _numpy_would_change(column: Any) -> bool:
    """Whether these are lists whose arrays would have no zone, or NaN for what is missing."""
    types = arrow().types
    if not types.is_list(column.type):
        return False
    items = column.type.value_type
    if types.is_timestamp(items):
        return True
    return types.is_floating(items) and any(part.flatten().null_count for part in column.chunks)


def _uuid(text: str) -> UUID:
    from uuid import UUID

    return UUID(text)


_OBJECTS = {
    JSON: lambda text: from_plain(msgspec.json.decode(text)),
    IDENTIFIER: _uuid,
}


def frame_lines(frame: Any, id_field: str) -> Iterator[Line]:
    """Go through the rows of a data frame as records.

    Args:
        frame: A `DataFrame` of pandas or polars, or a `Table` of Arrow.
        id_field: The column that holds the id.

    Raises:
        TypeError: It is no data frame, or a column's name is no text.
        ValueError: Two columns have one name.
    """
    library = type(frame).__module__.partition(".")[0]
    if library == "pandas":
        yield from _pandas_lines(frame, id_field)
    elif library == "polars" and hasattr(frame, "iter_rows"):
        yield from _polars_lines(frame, id_field)
    elif library == "pyarrow" and hasattr(frame, "to_batches"):
        number = 0
        for batch in frame.to_batches():
            yield from lines_of(batch, number, "the table", id_field)
            number += batch.num_rows
    else:
        raise TypeError(
            f"{type(frame).__name__} is no data frame of pandas or polars, and no table of Arrow"
        )


def _pandas_lines(frame: Any, id_field: str) -> Iterator[Line]:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # an index with a name is a column that was set aside
    names = [*frame.columns]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the column {name!r} has no text as its name: rename it")
    if len({*names}) < len(names):
        raise ValueError("several columns have one name: rename them")
    missing = frames("pandas").isna
    number = 0
    for start in range(0, len(frame), _CHUNK_ROWS):
        part = frame.iloc[start : start + _CHUNK_ROWS]
        columns = [part[name].tolist() for name in names]
        for values in zip(*columns, strict=True):
            number += 1
            row = {
                name: plain
                for name, value in zip(names, values, strict=True)
                if (plain := _plain(value)) is not None and not _is_missing(plain, missing)
            }
            yield line_of(number, record_of, row, id_field)


def _plain(value: Any) -> Any:
    """A value of numpy as one of Python."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    return tidy(value)


def _is_missing(value: Any, missing: Any) -> bool:
    return not isinstance(value, (list, tuple, dict, str, bytes)) and bool(missing(value))


def _polars_lines(frame: Any, id_field: str) -> Iterator[Line]:
    fine = [name for name in frame.columns if _is_finer(frame[name])]
    if fine:
        raise ValueError(f"the column {fine[0]!r} is finer than a microsecond: round it")
    for number, row in enumerate(frame.iter_rows(named=True), 1):
        values = {name: tidy(value) for name, value in row.items() if value is not None}
        yield line_of(number, record_of, values, id_field)


def _is_finer(column: Any) -> bool:
    """Whether polars would cut something off to make Python's datetimes and times of it."""
    kind = column.dtype
    if str(kind) != "Time" and getattr(kind, "time_unit", None) != "ns":
        return False
    if str(kind).startswith("Duration"):
        return False
    return bool((column.dt.nanosecond() % _NANOSECONDS != 0).any())
