"""read and nav."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import InvalidQuery, InvalidValue, LimitExceeded
from holdall.haystack.adapter.taking import plain_id
from holdall.haystack.grid import NO_TAGS, Col
from holdall.haystack.kinds import Number, Ref
from holdall.server.answers import Answer, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.server.answers import Row
    from holdall.server.ops.contract import Call

_SHOWN: Final = 200
_LONGEST_FILTER: Final = 65_536


async def read(call: Call) -> Answer:
    """Entities of a filter, or of ids in their order."""
    if call.grid.has_col("filter"):
        return await _by_filter(call)
    if call.grid.has_col("id"):
        return rows_of(await call.storage.by_ids(few(call)))
    raise InvalidValue("read takes a column 'filter' (and 'limit'), or a column 'id'")


async def nav(call: Call) -> Answer:
    """What lies under a place of the tree; each row with the `navId` under which more lies."""
    value = call.row.get("navId")
    if value is not None and not isinstance(value, (Ref, str)):
        raise InvalidValue(f"navId is {value!r}, and it takes a Str or Ref")
    of = None if value is None or value == "" else plain_id(value)
    rows = [_with_place(row) for row in await call.storage.nav(of)]
    known = columns(rows) if rows else ()
    if not any(col.name == "navId" for col in known):
        known = (*known, Col("navId"))
    return Answer(rows, cols=known)


def check_length(filter_str: str) -> None:
    """Refuse a filter that takes so long to understand that others would wait.

    Raises:
        LimitExceeded: It is longer than 65,536 characters.
    """
    if len(filter_str) > _LONGEST_FILTER:
        raise LimitExceeded(
            f"the filter has {len(filter_str):,} characters, and it may have {_LONGEST_FILTER:,}: "
            "read by ids, or in several requests"
        )


def rows_of(rows: Sequence[Row | None], meta: Mapping[str, Any] = NO_TAGS) -> Answer:
    """Entities in the order in which they were asked for; a row of nulls for a missing one."""
    there: list[Row] = [NO_TAGS if row is None else row for row in rows]
    known = columns(there) if any(there) else (Col("id"),)
    return Answer(there, meta, known)


async def _by_filter(call: Call) -> Answer:
    text, limit = call.text("filter"), call.number("limit")
    if text is None:
        raise InvalidValue("the column 'filter' is empty, and it takes a filter such as 'site'")
    check_length(text)
    most = call.config.max_read
    if limit == 0:
        return Answer(cols=(Col("id"),))
    try:
        found = await call.storage.read(text, most if limit is None else min(limit, most))
    except InvalidQuery as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise InvalidQuery(f"the filter {shown!r}: {error}") from error
    if found.more and (limit is None or limit > most):
        dis = f"The first {most:,} entities: others follow"
        return Answer(found.rows, {"incomplete": {"dis": dis, "limit": Number(most)}})
    return Answer(found.rows) if found.rows else Answer(cols=(Col("id"),))


def _with_place(row: Row) -> Row:
    if "navId" in row or not any(tag in row for tag in ("site", "space", "equip")):
        return row
    return {**row, "navId": str(row["id"])}


def few(call: Call) -> list[str]:
    """The ids of a request, where they are no more than one `read` answers.

    Raises:
        LimitExceeded: They are more.
    """
    ids, most = call.ids(), call.config.max_read
    if len(ids) > most:
        raise LimitExceeded(f"{len(ids):,} ids, and max_read allows {most:,} at once")
    return ids
