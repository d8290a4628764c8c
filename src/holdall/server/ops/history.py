"""hisRead and hisWrite, of one point and of several at once."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from holdall.core.errors import InvalidQuery, InvalidValue, LimitExceeded
from holdall.haystack.adapter.ranges import moment, read_range
from holdall.haystack.adapter.samples import items
from holdall.haystack.codecs.scalars import write_scalar
from holdall.haystack.grid import Col
from holdall.haystack.kinds import Ref
from holdall.haystack.stores.histories import END, Samples
from holdall.haystack.zones import zone
from holdall.server.answers import NOTHING, Answer, Streamed
from holdall.server.ops.contract import ref_of
from holdall.server.ops.joining import Source, joined

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.grid import Grid
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.histories import Span
    from holdall.server.answers import Row
    from holdall.server.ops.contract import Call

_MOST_POINTS: Final = 1_000
_LEAST_PAGE: Final = 500
_SHORT: Final = 2_000
_MICROSECOND: Final = timedelta(microseconds=1)


async def his_read(call: Call) -> Answer | Streamed:
    """Samples of a point, or of several side by side where the range stands in the grid's tags."""
    if "range" in call.grid.meta:
        return await _read_many(call)
    of, text = call.id(), _range(call.row.get("range"), call.texts.get("range"))
    point = (await call.storage.points([of]))[0]
    span = read_range(text, point.zone, await call.storage.now())
    pages = call.storage.samples(of, span, size=call.config.page)
    meta = {"id": Ref(of), **await _reach(call, [of], span, point.zone)}
    cols = (Col("ts"), Col("val"))
    first, second = await anext(pages, None), await anext(pages, None)
    if second is None and (first is None or len(first) <= _SHORT):
        # What is there is not worth a thread, and the others that wait for it.
        return Answer([] if first is None else _items(first, point.zone), meta, cols)
    return Streamed(_rows(_again([first, second], pages), point.zone), cols, meta)


async def his_write(call: Call) -> Answer:
    """Take samples of one point, or of several."""
    grid = call.grid
    if not grid.has_col("ts"):
        raise InvalidValue("hisWrite takes a column 'ts', and columns of values")
    if "id" in grid.meta:
        if not grid.has_col("val"):
            raise InvalidValue("the samples of one point stand in a column 'val'")
        await call.storage.his_write({ref_of(grid.meta, "id", "the grid"): grid.rows})
        return NOTHING
    columns = [col for col in grid.cols if col.name != "ts"]
    if not columns:
        raise InvalidValue(
            "nobody knows whose samples these are: the grid has an 'id', or each column of values"
        )
    of_column: dict[str, str] = {}
    for col in columns:
        of = ref_of(col.meta, "id", f"the column {col.name}")
        if of in of_column:
            raise InvalidValue(f"two columns are of @{of}")
        of_column[of] = col.name
    await call.storage.his_write(await asyncio.to_thread(_split, grid, of_column))
    return NOTHING


def _split(grid: Grid, of_column: Mapping[str, str]) -> dict[str, list[Row]]:
    """The samples of each point, by the name of its column; a null is none."""
    return {
        of: [
            {"ts": row.get("ts"), "val": value}
            for row in grid
            if (value := row.get(name)) is not None
        ]
        for of, name in of_column.items()
    }


async def _read_many(call: Call) -> Streamed:
    ids, meta = call.ids(), call.grid.meta
    if not ids:
        raise InvalidValue("hisRead takes at least one row with the id of a point")
    if len(ids) > _MOST_POINTS:
        raise LimitExceeded(f"{len(ids):,} points, and hisRead takes {_MOST_POINTS:,} at once")
    points = await call.storage.points(ids)
    where = _one_zone(points, meta.get("tz"))
    text = _range(meta.get("range"), None)
    span = read_range(text, where, await call.storage.now())
    size = max(_LEAST_PAGE, call.config.page // len(ids))
    names = [f"v{at}" for at in range(len(ids))]
    sources = [
        Source(name, call.storage.samples(of, span, size=size))
        for name, of in zip(names, ids, strict=True)
    ]
    cols = [Col("ts"), *(Col(n, {"id": Ref(of)}) for n, of in zip(names, ids, strict=True))]
    return Streamed(joined(sources, where), cols, await _reach(call, ids, span, where))


async def _again(
    read: Sequence[Samples | Sequence[Row] | None], pages: AsyncIterator[Samples | Sequence[Row]]
) -> AsyncIterator[Samples | Sequence[Row]]:
    """Pages of which some were read."""
    for page in read:
        if page is not None:
            yield page
    async for page in pages:
        yield page


async def _rows(
    pages: AsyncIterator[Samples | Sequence[Row]], where: ZoneInfo
) -> AsyncIterator[Callable[[], Iterable[Row]]]:
    async for page in pages:
        yield partial(_items, page, where)


def _items(page: Samples | Sequence[Row], where: ZoneInfo) -> Sequence[Row]:
    if isinstance(page, Samples):
        return items(page, where)
    return [_plain(row, where) for row in page]


def _plain(row: Row, where: ZoneInfo) -> Row:
    return {"ts": row["ts"].astimezone(where), "val": row.get("val")}


def _one_zone(points: Sequence[Point], tz: Kind) -> ZoneInfo:
    """The zone of an answer: the one that is asked for, or that of all its points."""
    if tz is not None:
        try:
            return zone(str(tz))
        except ValueError as error:
            raise InvalidValue(f"tz is {tz!r}: {error}") from error
    first = points[0]
    for point in points:
        if point.zone.key != first.zone.key:
            raise InvalidValue(
                f"@{first.id} is in {first.zone.key} and @{point.id} in {point.zone.key}: say in "
                "the grid's tag 'tz' in which zone to answer"
            )
    return first.zone


async def _reach(call: Call, ids: Sequence[str], span: Span, where: ZoneInfo) -> dict[str, Any]:
    """The tags that say which moments were asked for, in a zone."""
    if span.end < END:
        end = _in_zone(span.end, where)
    else:
        lasts = [await call.storage.last(of) for of in ids]
        ends = [last + _MICROSECOND for last in lasts if last is not None]
        end = max([await call.storage.now(), *ends]).astimezone(where)
    return {"hisStart": _in_zone(span.start, where), "hisEnd": end}


def _in_zone(at: int, where: ZoneInfo) -> datetime:
    try:
        return moment(at, where)
    except OverflowError:  # on the first or last day of the calendar
        return moment(at, ZoneInfo("UTC"))


def _range(value: Kind, text: str | None) -> str:
    """The text of a range; a date or moment that was written as one is its own text."""
    if value is None:
        raise InvalidQuery("there is no range: it takes one such as 'today' or '2024-06-15'")
    if isinstance(value, str):
        return value
    if text is not None:
        return text
    if isinstance(value, (date, datetime)):
        return write_scalar(value)
    raise InvalidQuery(f"the range is {value!r}, and it takes a Str such as 'today'")
