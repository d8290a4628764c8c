"""Hypothesis strategies for kinds, grids and entities: what a codec or a store must carry.

Everything made here can be written and read back `same`: zones are those that a city name means,
offsets are of whole minutes, and no text holds half a surrogate pair.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import (
    MARKER,
    NA,
    REMOVE,
    Coord,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
)
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_LETTERS: Final = _LOWER + _LOWER.upper()
_WORD: Final = _LETTERS + "0123456789_"
_UNITS: Final = (
    "kW", "°F", "%", "ft²", "EER", "EUR", "e", "E", "_foo", "kWh/ft²", "$", "m³/s", "Δ°C", "inHg",
    "INF", "_", "eE", "\u00ff", "単位",
)  # fmt: skip
_CITIES: Final = (
    "UTC", "New_York", "London", "Port-au-Prince", "GMT+5", "GMT-10", "GMT", "Kolkata", "Lord_Howe",
    "Chatham", "St_Johns", "Sydney", "Berlin", "Apia", "West", "Brazil/West", "Los_Angeles",
)  # fmt: skip
# At these, clocks of some of the cities jump or stand twice.
_TURNS: Final = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2024-03-10T02:30", "2024-11-03T01:30", "2024-10-27T01:00", "2024-04-07T01:45",
        "2006-10-29T00:00:30", "2024-03-31T02:59:59",
    )
)  # fmt: skip
_FIRST: Final = datetime.fromisoformat("1972-01-01")
_LAST: Final = datetime.fromisoformat("2100-01-01")
_TEXTS: Final = (
    "", "N", "a,b", 'say "hi"', "$5", "\\", "a\\nb", "line\nline", "\r\n", "\t", "\0", "\u2028",
    "\x85", "\ufeff", "😀", "\ud7ff\ue000", "`", "[1]", "{a}", "<<", ">>", "T", "2024-01-31", "1kW",
    "@a", "^a", " lead and trail ", "// no comment", "---", "src:", "a: b", "=1+1", "true", "null",
    "n:5", "m:", "\\u0041", "é", "e\u0301", "✓", "-", "'", "\x7f", "_kind",
)  # fmt: skip
_NAMES: Final = ("id", "dis", "site", "ts", "val", "v0", "a", "tZ_9", "def", "src", "kind", "rows")


def texts(*, max_size: int = 20) -> st.SearchStrategy[str]:
    """Texts of any characters that UTF-8 has, often of those that mean something to a format."""
    free = st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)
    return st.sampled_from(_TEXTS) | free


def names() -> st.SearchStrategy[str]:
    """Names of tags and columns; never `ver`, which the formats keep for themselves."""
    free = st.builds(str.__add__, st.sampled_from(_LOWER), st.text(_WORD, max_size=6))
    return st.sampled_from(_NAMES) | free.filter(lambda name: name != "ver")


def units() -> st.SearchStrategy[str]:
    """Units: known ones, unknown ones, and those that look like the end of a number."""
    free = st.characters(min_codepoint=0x80, exclude_categories=["Cs"])
    return st.sampled_from(_UNITS) | st.text(
        st.sampled_from(_LETTERS + "%_/$") | free, min_size=1, max_size=4
    )


def numbers() -> st.SearchStrategy[Number]:
    """Numbers: ints of any size, all floats, with a unit and without; NaN has none."""
    values = (
        st.integers()
        | st.integers(-(10**30), 10**30)
        | st.floats()
        | st.sampled_from([0, -0.0, 5.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 72.1234567])
    )
    return st.builds(_number, values, st.none() | units())


def _number(value: float, unit: str | None) -> Number:
    return Number(value, None if value != value else unit)  # noqa: PLR0124  # NaN alone differs


def refs() -> st.SearchStrategy[Ref]:
    """Refs, with a display name and without."""
    return st.builds(Ref, _ids(), st.none() | texts())


def symbols() -> st.SearchStrategy[Symbol]:
    """Symbols."""
    return st.builds(Symbol, _ids())


def _ids() -> st.SearchStrategy[str]:
    return st.sampled_from(["p:demo:r:1-a", "a", "5", ".", "~", "N"]) | st.text(
        _WORD + ":-.~", min_size=1, max_size=8
    )


def moments() -> st.SearchStrategy[datetime]:
    """Datetimes in zones with names, among them times that a clock shows twice or never."""
    naive = st.datetimes(_FIRST, _LAST) | st.sampled_from(_TURNS)
    placed = st.builds(_placed, naive, st.sampled_from(_CITIES), st.sampled_from([0, 1]))
    return placed.filter(_has_minutes) | st.datetimes(timezones=st.just(zone("UTC")))


def _placed(naive: datetime, city: str, fold: int) -> datetime:
    return naive.replace(tzinfo=zone(city), fold=fold)


def _has_minutes(moment: datetime) -> bool:
    return not (moment.utcoffset() or timedelta()) % timedelta(minutes=1)


def scalars(*, exclude: Sequence[type] = ()) -> st.SearchStrategy[Any]:
    """Values of every kind but None, list, dict and grid.

    Args:
        exclude: The Python types of kinds that a format cannot carry.
    """
    kinds_of: dict[type, st.SearchStrategy[Any]] = {
        type(MARKER): st.just(MARKER),
        type(NA): st.just(NA),
        type(REMOVE): st.just(REMOVE),
        bool: st.booleans(),
        Number: numbers(),
        str: texts(),
        Uri: st.builds(
            Uri, texts() | st.sampled_from(["http://x/?a=b", r"file \#2", r"a\b", "\\"])
        ),
        Ref: refs(),
        Symbol: symbols(),
        date: st.dates(),
        time: st.times(),
        datetime: moments(),
        Coord: st.builds(Coord, st.floats(-90, 90), st.floats(-180, 180)),
        XStr: st.builds(XStr, _types(), texts()),
    }
    return st.one_of([made for kind, made in kinds_of.items() if kind not in exclude])


def _types() -> st.SearchStrategy[str]:
    free = st.builds(str.__add__, st.sampled_from(_LETTERS[26:]), st.text(_WORD, max_size=5))
    return st.sampled_from(["Color", "Bin", "C", "T", "N", "M", "NA", "INF", "NaN", "R"]) | free


def dicts(
    values: st.SearchStrategy[Any], *, max_size: int = 4
) -> st.SearchStrategy[dict[str, Any]]:
    """Dicts of tags with these values."""
    return st.dictionaries(names(), values, max_size=max_size)


def kinds(*, exclude: Sequence[type] = (), nested_grids: bool = True) -> st.SearchStrategy[Any]:
    """Values of every kind, nested to some depth; None only within lists and dicts.

    Args:
        exclude: The Python types of kinds that a format cannot carry; `list` and `dict` may be
            among them.
        nested_grids: Whether grids lie in values.
    """
    single = scalars(exclude=exclude)

    def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        choices: list[st.SearchStrategy[Any]] = []
        if list not in exclude:
            choices.append(st.lists(st.none() | inner, max_size=3))
        if dict not in exclude:
            choices.append(dicts(st.none() | inner, max_size=3))
        if nested_grids:
            choices.append(_grids_of(inner, st.nothing(), max_rows=2))
        return st.one_of(choices)

    return st.recursive(single, extend, max_leaves=6)


def grids(
    *,
    exclude: Sequence[type] = (),
    nested_grids: bool = True,
    tags: bool = True,
    max_rows: int = 6,
) -> st.SearchStrategy[Grid]:
    """Grids of at least one column; rows have values for some of the columns.

    Args:
        exclude: The Python types of kinds that a format cannot carry.
        nested_grids: Whether grids lie in cells and tags.
        tags: Whether there are tags about the grid and its columns.
        max_rows: How many rows it has at most.
    """
    values = kinds(exclude=exclude, nested_grids=nested_grids)
    meta = dicts(values, max_size=3) if tags else st.nothing()
    return _grids_of(values, meta, max_rows=max_rows)


@st.composite
def _grids_of(
    draw: st.DrawFn, values: st.SearchStrategy[Any], meta: st.SearchStrategy[Any], *, max_rows: int
) -> Grid:
    has_tags = not meta.is_empty
    known = draw(st.lists(names(), min_size=1, max_size=4, unique=True))
    cols = [
        Col(name, draw(meta)) if has_tags and draw(st.booleans()) else Col(name) for name in known
    ]
    row = st.fixed_dictionaries({}, optional=dict.fromkeys(known, values))
    rows = draw(st.lists(row, max_size=max_rows))
    return Grid(rows, meta=draw(meta) if has_tags else {}, cols=cols)


def histories(*, max_rows: int = 50) -> st.SearchStrategy[Grid]:
    """Grids of the columns `ts` and `val`, as the operation hisRead answers them."""
    values = numbers() | st.booleans() | texts() | st.just(NA)
    row = st.fixed_dictionaries({"ts": moments()}, optional={"val": values})
    return st.builds(
        lambda rows, meta: Grid(rows, meta=meta, cols=["ts", "val"]),
        st.lists(row, max_size=max_rows),
        st.fixed_dictionaries({}, optional={"id": refs(), "hisStart": moments()}),
    )


@st.composite
def entities(draw: st.DrawFn, *, exclude: Sequence[type] = ()) -> dict[str, Any]:
    """Entities: an `id` without a display name, and tags."""
    tags = draw(dicts(kinds(exclude=exclude, nested_grids=False), max_size=6))
    return {**tags, "id": Ref(draw(_ids()))}
