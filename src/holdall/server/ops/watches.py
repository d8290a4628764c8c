"""watchSub, watchUnsub and watchPoll."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdall.core.errors import InvalidValue
from holdall.haystack.codecs.scalars import read_scalar
from holdall.haystack.grid import Col
from holdall.haystack.kinds import Number
from holdall.server.answers import NOTHING, Answer
from holdall.server.ops.reading import few, rows_of

if TYPE_CHECKING:
    from holdall.haystack.kinds import Kind
    from holdall.server.ops.contract import Call


async def watch_sub(call: Call) -> Answer:
    """Open a watch, or add to the one that is named."""
    watch, lease = call.grid.meta.get("watchId"), _lease(call.grid.meta.get("lease"))
    ids = few(call)
    if watch is None:
        done = await call.storage.watch_open(ids, lease)
    else:
        done = await call.storage.watch_add(_named(watch), ids)
    return rows_of(done.rows, {"watchId": done.id, "lease": Number(done.lease, "sec")})


async def watch_unsub(call: Call) -> Answer:
    """Take entities out of a watch, or close it."""
    watch, close = _named(call.grid.meta.get("watchId")), "close" in call.grid.meta
    await call.storage.watch_unsub(watch, [] if close else call.ids(), close=close)
    return NOTHING


async def watch_poll(call: Call) -> Answer:
    """What changed of the entities of a watch; all of them for `refresh`."""
    watch = _named(call.grid.meta.get("watchId"))
    rows = await call.storage.watch_poll(watch, refresh="refresh" in call.grid.meta)
    meta = {"watchId": watch}
    return Answer(rows, meta) if rows else Answer((), meta, (Col("empty"),))


def _lease(lease: Kind) -> Number | None:
    """A lease; some clients write the Number as a text."""
    if isinstance(lease, str):
        with suppress(ValueError):
            lease = read_scalar(lease)
    if lease is None or isinstance(lease, Number):
        return lease
    raise InvalidValue(f"lease is {lease!r}, and it takes a Number such as 5min")


def _named(watch: object) -> str:
    if not isinstance(watch, str) or not watch:
        raise InvalidValue(f"the grid has the watchId {watch!r}: it takes what watchSub answered")
    return watch
