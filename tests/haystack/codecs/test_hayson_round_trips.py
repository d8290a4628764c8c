"""JSON of both versions: whatever is written is read the same, by us and by a client of others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import phable.kinds as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phable.io.ph_json import ph_from_json, ph_to_json

from holdall.core.errors import CodecError
from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Col,
    Coord,
    Grid,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    same,
)
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.hayson import HAYSON, from_hayson, to_hayson
from holdall.haystack.codecs.json3 import JSON3
from holdall.testing.haystack.strategies import grids, kinds

BOTH = pytest.mark.parametrize("codec", [HAYSON, JSON3], ids=["hayson", "json3"])


def fits(codec: Codec, grid: Grid) -> bool:
    """Whether a format can carry a grid: JSON 3 has a few shapes that it cannot tell apart."""
    try:
        codec.encode(grid)
    except CodecError as error:
        if codec is JSON3 and re.search("reads as a grid|beside its name", str(error)):
            return False
        raise
    return True


@BOTH
@given(grid=grids())
def test_what_is_written_is_read_the_same(codec: Codec, grid: Grid) -> None:
    if fits(codec, grid):
        assert same(codec.decode(codec.encode(grid)), grid)


@BOTH
@given(grid=grids(), size=st.integers(1, 60))
def test_pieces_are_read_the_same(codec: Codec, grid: Grid, size: int) -> None:
    if fits(codec, grid):
        data = b"".join(codec.encode_rows(Head(grid.meta, grid.cols), iter(grid)))
        given_pieces = (data[at : at + size] for at in range(0, len(data), size))
        head, rows = codec.decode_rows(given_pieces)
        assert same(Grid.of_checked(head.meta, head.cols, rows), grid)


@given(grids())
def test_from_one_version_to_the_other_and_back(grid: Grid) -> None:
    if fits(JSON3, grid):
        assert same(HAYSON.decode(HAYSON.encode(JSON3.decode(JSON3.encode(grid)))), grid)


@given(kinds())
def test_a_value_on_its_own_is_read_the_same(kind: Any) -> None:
    value = to_hayson(kind)
    assert same(from_hayson(value), kind)
    assert same(from_hayson(json.loads(json.dumps(value))), kind)
    assert same(from_hayson(kind), kind)


def error_of(codec: Codec, data: bytes, limits: Limits = NO_LIMITS) -> list[CodecError]:
    """What is raised when these bytes are read at once, and in two pieces."""
    errors = []
    try:
        codec.decode(data, limits=limits)
    except CodecError as error:
        errors.append(error)
    try:
        list(codec.decode_rows([data[:50], data[50:]], limits=limits)[1])
    except CodecError as error:
        errors.append(error)
    return errors


@BOTH
@given(grid=grids(), cut=st.integers(0, 2000), junk=st.binary(max_size=6), more=st.integers(0, 9))
def test_what_is_damaged_is_read_or_refused_with_a_place(
    codec: Codec, grid: Grid, cut: int, junk: bytes, more: int
) -> None:
    if fits(codec, grid):
        data = codec.encode(grid)
        data = data[:cut] + junk + data[cut + more :]
        for error in error_of(codec, data):
            assert (error.line or 0) in range(1, data.count(b"\n") + 2)
            assert (error.column or 0) in range(1, len(data) + 2)


@BOTH
@given(data=st.binary(), limits=st.sampled_from([Limits(), Limits(depth=0), Limits(1, 20, 1, 1)]))
def test_any_bytes_are_read_or_refused(codec: Codec, data: bytes, limits: Limits) -> None:
    for error in error_of(codec, data, limits):
        assert error.line is not None


@BOTH
@pytest.mark.parametrize(
    ("data", "at"),
    [
        # No UTF-8 where nobody looks: in a name that is passed over, beside another fault.
        (b'{"meta":{},"cols":[{"name":"a","\xbaeta":{"x":7}}],"rows":[]}', (1, 33)),
        (b'{"x":"\xf0","rows":[{"a":"\xed"},7]}', (1, 7)),
        # A string without an end swallowed the bracket that stood for the end of the piece.
        (b'[{"a":true},{"a":"x', (1, 20)),
        # What had no meaning was stepped over unread.
        (b'{"keta":ind":"grid","meta":{"ver":"3.0"},"cols":[],"rows":[]}', (1, 9)),
        (b'{"dis":"x","n":{"kind":"number","val""ver":"3.0"},"rows":[]}', (1, 38)),
        (b'{"rows":[{"a":true}],"meta":{"a" 7}}', (1, 34)),
        # An empty value was taken for the end.
        (b"}}", (1, 1)),
    ],
)
def test_what_fuzzing_found_stays_found(codec: Codec, data: bytes, at: tuple[int, int]) -> None:
    assert [(error.line, error.column) for error in error_of(codec, data)] == [at, at]


# phable, a client by others. It makes floats of numbers with units and decimals of six digits of
# degrees, reads no null, and writes infinity and not a number as what is no JSON.


def _ours(value: Any) -> Any:
    """What phable made, as our kinds."""
    if isinstance(value, theirs.Number):
        return Number(float(value.val), value.unit)
    if isinstance(value, theirs.Ref):
        return Ref(value.val, value.dis)
    if isinstance(value, theirs.Coord):
        return Coord(float(value.lat), float(value.lng))
    if isinstance(value, theirs.XStr):
        return XStr(value.type, value.val)
    if isinstance(value, (theirs.Symbol, theirs.Uri)):
        return (Symbol if isinstance(value, theirs.Symbol) else Uri)(value.val)
    if isinstance(value, (theirs.Marker, theirs.NA, theirs.Remove)):
        return {"Marker": MARKER, "NA": NA, "Remove": REMOVE}[type(value).__name__]
    if isinstance(value, dict):
        return {name: _ours(item) for name, item in value.items() if name != "ver"}
    if isinstance(value, list):
        return [_ours(item) for item in value]
    if isinstance(value, theirs.Grid):
        cols = [Col(col.name, _ours(col.meta or {})) for col in value.cols]
        return Grid(map(_ours, value.rows), meta=_ours(dict(value.meta)), cols=cols)
    return value


def _theirs(value: Any) -> Any:
    """Our kinds, as phable's."""
    if isinstance(value, Number):
        return theirs.Number(value.val, value.unit)
    if isinstance(value, Ref):
        return theirs.Ref(value.val, value.dis)
    if isinstance(value, Coord):
        return theirs.Coord(value.lat, value.lng)  # type: ignore[arg-type]
    if isinstance(value, XStr):
        return theirs.XStr(value.type, value.val)
    if isinstance(value, (Symbol, Uri)):
        return (theirs.Symbol if isinstance(value, Symbol) else theirs.Uri)(value.val)
    if value is MARKER or value is NA or value is REMOVE:
        return {MARKER: theirs.Marker, NA: theirs.NA, REMOVE: theirs.Remove}[value]()  # type: ignore[no-untyped-call]
    if isinstance(value, list):
        return [_theirs(item) for item in value]
    if isinstance(value, Grid):
        cols = [theirs.GridCol(col.name, _theirs(dict(col.meta))) for col in value.cols]
        meta = {"ver": "3.0", **_theirs(dict(value.meta))}
        return theirs.Grid(meta, cols, [_theirs(dict(row)) for row in value])
    if isinstance(value, dict):
        return {name: _theirs(item) for name, item in value.items()}
    return value


def _shared(value: Any) -> Any:
    """A value that phable carries as it is, in place of one that it may not."""
    if value is None:
        return MARKER
    if isinstance(value, Number):
        return value if abs(value.val) <= 2**53 else Number(0, value.unit)
    if isinstance(value, Coord):
        return Coord(1.5, -2.25)
    if isinstance(value, datetime):
        # It knows no zone by its whole name, and another one by `West`; and what no clock shows
        # becomes what one does.
        zone = UTC if str(value.tzinfo).endswith("/West") else value.tzinfo
        return value.astimezone(UTC).astimezone(zone)
    if isinstance(value, list):
        return [_shared(item) for item in value]
    if isinstance(value, Grid):
        cols = [Col(col.name, _shared(col.meta)) for col in value.cols]
        return Grid(map(_shared, value.rows), meta=_shared(value.meta), cols=cols)
    if isinstance(value, Mapping):
        return {name: _shared(item) for name, item in value.items()}
    return value


@given(grids().map(_shared))
def test_what_we_write_phable_reads_equal(grid: Grid) -> None:
    assert _ours(ph_from_json(HAYSON.encode(grid).decode())) == grid


@given(grids().map(_shared))
def test_what_phable_writes_we_read_equal(grid: Grid) -> None:
    assert HAYSON.decode(ph_to_json(_theirs(grid)).encode()) == grid
