"""Values as JSON and back."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import Corrupt
from holdall.records.encoding import (
    dump,
    from_plain,
    instant_text,
    load,
    plain_json,
    to_plain,
)
from holdall.records.values import adopt
from holdall.testing.records.samples import VALUES

_zones = st.timezones() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.datetimes(
        datetime(2, 1, 1),  # noqa: DTZ001
        datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=_zones,
    )
    | st.times()
    | st.uuids()
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)


@given(st.dictionaries(names, trees))
def test_what_was_dumped_is_loaded(fields: dict[str, Any]) -> None:
    fields = adopt(fields, "fields")
    body, _ = dump(fields)
    again = load(body)
    assert again == fields
    assert repr(to_plain(again)) == repr(to_plain(fields))
    assert list(again) == list(fields)


@given(st.dictionaries(names, trees))
def test_what_needs_no_marker_is_written_as_it_stands(fields: dict[str, Any]) -> None:
    fields = adopt(fields, "fields")
    body, odd = dump(fields)
    if (plain := plain_json((fields,), fields)) is not None:
        assert (plain, False) == (body, odd)
    else:
        # A text that looks like a marker is no reason either way.
        assert odd or b'"$' in body


@given(st.dictionaries(names, trees))
def test_what_was_dumped_is_plain_json(fields: dict[str, Any]) -> None:
    body, _ = dump(fields)
    text = body.decode()
    assert "\\u0000" not in text
    assert json.loads(text) == {name: to_plain(value) for name, value in fields.items()}


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) - 2, 2**53 + 2) | st.floats()
    | st.sampled_from(["$", '"$', "$a", "a\0", "\\u0000", "\udc80", "é", -0.0, 2.0**53, 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
)  # fmt: skip


def _numbers(value: Any) -> list[float]:
    if type(value) is float:
        return [value] if math.isfinite(value) and value != int(value) else []
    inside = value.values() if type(value) is dict else value if type(value) is list else ()
    return [number for one in inside for number in _numbers(one)]


@given(st.dictionaries(names, _plain | trees))
def test_a_row_is_odd_when_something_in_it_is(fields: dict[str, Any]) -> None:
    fields = adopt(fields, "fields")
    odd: list[bool] = []
    marked = [to_plain(value, odd) for value in fields.values()]
    fractions: list[float] = []
    body, shown = dump(fields, fractions)
    assert shown == (bool(odd) or any(name.startswith("$") for name in fields))
    assert json.loads(body) == dict(zip(fields, marked, strict=True))
    assert fractions == _numbers(fields)


@pytest.mark.parametrize("name", VALUES)
def test_what_a_database_would_change_is_odd(name: str) -> None:
    odd = {
        "a NUL", "a lone surrogate", "beyond floats", "beyond 64 bits", "far below",
        "a large float", "a float of 2^53", "minus zero", "infinity", "minus infinity",
        "a decimal", "a long decimal", "a decimal with exponent", "a dict",
        "a dict like a marker", "a dict of a marker",
    }  # fmt: skip
    assert dump({"value": VALUES[name]})[1] == (name in odd)


@given(
    st.lists(
        st.datetimes(
            datetime(2, 1, 1),  # noqa: DTZ001
            datetime(9998, 1, 1),  # noqa: DTZ001
            timezones=_zones,
        )
    )
)
def test_moments_as_text_are_in_order(moments: list[datetime]) -> None:
    in_order = sorted(moments)
    assert sorted(map(instant_text, moments)) == list(map(instant_text, in_order))


def test_a_moment_of_an_early_year_has_four_digits() -> None:
    assert instant_text(datetime(7, 1, 1, tzinfo=UTC)) == "0007-01-01T00:00:00.000000Z"


def test_a_zone_that_nobody_knows_keeps_its_offset() -> None:
    marker = {"$instant": "2024-01-01T00:00:00.000000Z", "offset": 3600, "zone": "No/Where"}
    assert from_plain(marker).isoformat() == "2024-01-01T01:00:00+01:00"


def test_the_longest_ints_are_kept() -> None:
    assert load(dump({"x": 10**6000})[0]) == {"x": 10**6000}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b'{"x": {"$none": 1}}',
        b'{"x": {"$int": "1x"}}',
        b'{"x": {"$int": []}}',
        b'{"x": {"$instant": "yesterday"}}',
        b'{"x": {"$instant": "2024-01-01T00:00:00Z", "offset": "1"}}',
        b'{"x": {"$instant": "2024-01-01T00:00:00Z", "offset": 1e9}}',
        b'{"x": {"$datetime": "2024-01-01T00:00:00Z"}}',
        b'{"x": {"$decimal": "one"}}',
        b'{"x": {"$bytes": "?"}}',
        b'{"x": {"$text": "/w=="}}',
        b'{"x": {"$uuid": 1}}',
        b'{"x": {"$dict": 1}}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_what_dump_never_writes_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt):
        load(body)


def test_a_decimal_keeps_its_digits() -> None:
    assert str(load(dump({"x": Decimal("1.50")})[0])["x"]) == "1.50"
