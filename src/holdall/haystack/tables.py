"""Grids as tables of Arrow and as data frames of pandas and polars, and back.

    table = to_arrow(grid)
    frame = to_polars(history)
    grid = from_polars(frame, like=history)

A column of one kind has a type of Arrow: Bool; Number of one unit as int64 or float64; Str, Uri,
Symbol and Ref as text; Date; Time; DateTime of one zone as timestamps in that zone; Markers as
true. NAs among values are nulls where no row goes without a value. Any other column is text,
each value a literal of Zinc. What the type does not say, such as the unit, is noted in the column
(see `holdall.haystack.tables_columns`), and what `to_arrow` made, `from_arrow` makes the same grid
of (`exact` says where they may differ); so it does after a file of Parquet or Arrow.

pandas keeps those notes in `frame.attrs`, which many of its methods pass on. There NaN and missing
are one, and come back as missing. polars keeps none: `like` gives them back. Columns that have no
notes are taken by their type.

All need pyarrow (`pip install 'holdall[arrow]'`), and data frames pandas or polars too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.core.errors import CodecError
from holdall.haystack.adopting import adopt
from holdall.haystack.codecs.zinc import read_value, write_value
from holdall.haystack.grid import Col, Grid
from holdall.haystack.tables_columns import PREFIX, Notes, from_column, to_column
from holdall.records.exchange.drivers import arrow, frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.haystack.kinds import Kind

_ATTRS: Final = "haystack"
_COLUMNS: Final = "columns"
_META: Final = "meta"


def to_arrow(grid: Grid, *, exact: bool = False) -> Any:
    """Answer a grid as a `pyarrow.Table`.

    Args:
        grid: The grid.
        exact: Whether a column becomes text where a type of Arrow would not tell an int from a
            whole float (`1` and `2.0` in one column), or a time that clocks left out from the
            same instant as they show it. Otherwise such ints come back as floats, and such
            times as clocks show them.

    Raises:
        CodecError: A value has no text form; names the column.
        InvalidConfig: pyarrow is not installed.
    """
    pa = arrow()
    fields, arrays = [], []
    for col in grid.cols:
        try:
            array, notes = to_column(grid.column(col.name), exact=exact)
            if col.meta:
                notes[_META] = write_value(dict(col.meta))
            metadata = _packed(notes)
        except (CodecError, ValueError) as error:
            raise CodecError(f"column {col.name}: {error}") from error
        fields.append(pa.field(col.name, array.type, metadata=metadata))
        arrays.append(array)
    about = {_META: write_value(dict(grid.meta))} if grid.meta else {}
    if len(grid) and not fields:
        raise CodecError("Arrow has no rows without columns, and this grid has")
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=_packed(about)))


def from_arrow(table: Any, *, like: Grid | None = None) -> Grid:
    """Answer a `pyarrow.Table` as a grid.

    Args:
        table: The table; its columns are named as tags are.
        like: A grid that knows more than the table: the kinds, units and tags of its columns, and
            the tags about it, are taken where the table has no notes of its own.

    Raises:
        CodecError: A literal or note is none.
        InvalidConfig: pyarrow is not installed.
        TypeError: The type of a column means no kind; names it.
        ValueError: A value or name cannot be one, or two columns have one name; names it.
    """
    pa = arrow()
    schema = table.schema
    known = to_arrow(like).schema if like is not None else pa.schema([])
    about = _unpacked(schema.metadata) or _unpacked(known.metadata)
    cols: list[Col] = []
    columns: list[list[Any]] = []
    for field, array in zip(schema, table.columns, strict=True):
        notes = _unpacked(field.metadata)
        if not notes and field.name in known.names:
            notes = _unpacked(known.field(field.name).metadata)
        try:
            cols.append(Col(field.name, _tags(notes)))
            values = from_column(array, notes)
            nested = pa.types.is_nested(field.type)
            columns.append([adopt(value) for value in values] if nested else values)
        except (CodecError, msgspec.MsgspecError) as error:
            raise CodecError(f"column {field.name}: {error}") from error
        except TypeError as error:
            raise TypeError(f"column {field.name}: {error}") from error
        except (ValueError, OverflowError) as error:
            raise ValueError(f"column {field.name}: {error}") from error
    rows: list[dict[str, Any]] = [{} for _ in range(table.num_rows)]
    for col, values in zip(cols, columns, strict=True):
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                row[col.name] = value
    return Grid.of_checked(_tags(about), cols, rows)


def to_pandas(grid: Grid) -> Any:
    """Answer a grid as a `pandas.DataFrame`.

    Numbers that are ints are `Int64` and Bools and Markers `boolean`, so that a missing value
    changes no other; the notes are in `attrs`.

    Raises:
        CodecError: A value has no text form; names the column.
        InvalidConfig: pandas or pyarrow is not installed.
    """
    pandas = frames("pandas")
    pa = arrow()
    table = to_arrow(grid)
    types = {pa.int64(): pandas.Int64Dtype(), pa.bool_(): pandas.BooleanDtype()}
    frame = table.replace_schema_metadata(None).to_pandas(types_mapper=types.get)
    frame.attrs[_ATTRS] = {
        **_unpacked(table.schema.metadata),
        _COLUMNS: {field.name: _unpacked(field.metadata) for field in table.schema},
    }
    return frame


def from_pandas(frame: Any, *, like: Grid | None = None) -> Grid:
    """Answer a `pandas.DataFrame` as a grid; an index with a name is a column.

    Args:
        frame: The frame; its columns are named as tags are.
        like: As for `from_arrow`, where the frame has no notes in `attrs`.

    Raises:
        As `from_arrow`.
    """
    frames("pandas")
    pa = arrow()
    noted = frame.attrs.get(_ATTRS, {})
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    for name in frame.columns:
        if not isinstance(name, str):
            raise TypeError(f"the column {name!r} has no text as its name: rename it")
    if not frame.columns.is_unique:
        raise ValueError("several columns have one name: rename them")
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except pa.ArrowException as error:
        raise TypeError(f"a column holds values of several types: {error}") from error
    columns: Mapping[str, Notes] = noted.get(_COLUMNS, {})
    fields = [field.with_metadata(_packed(columns.get(field.name, {}))) for field in table.schema]
    about = {name: text for name, text in noted.items() if name != _COLUMNS}
    schema = pa.schema(fields, metadata=_packed(about))
    return from_arrow(pa.Table.from_arrays(table.columns, schema=schema), like=like)


def to_polars(grid: Grid) -> Any:
    """Answer a grid as a `polars.DataFrame`, without the notes.

    Raises:
        CodecError: A value has no text form; names the column.
        InvalidConfig: polars or pyarrow is not installed.
    """
    return frames("polars").from_arrow(to_arrow(grid))


def from_polars(frame: Any, *, like: Grid | None = None) -> Grid:
    """Answer a `polars.DataFrame` as a grid.

    Args:
        frame: The frame; its columns are named as tags are.
        like: As for `from_arrow`: the grid that the frame was made of.

    Raises:
        As `from_arrow`.
    """
    frames("polars")
    return from_arrow(frame.to_arrow(), like=like)


def _tags(notes: Mapping[str, str]) -> dict[str, Kind]:
    text = notes.get(_META)
    if text is None:
        return {}
    tags = read_value(text)
    if not isinstance(tags, dict):
        raise CodecError(f"{PREFIX}{_META} holds no dict: {text[:40]!r}")
    return tags


def _packed(notes: Notes) -> dict[str, str]:
    return {PREFIX + name: text for name, text in notes.items()}


def _unpacked(metadata: Mapping[bytes, bytes] | None) -> Notes:
    return {
        key.decode().removeprefix(PREFIX): value.decode()
        for key, value in (metadata or {}).items()
        if key.startswith(PREFIX.encode())
    }
