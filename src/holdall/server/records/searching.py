"""Searches: a page as JSON, everything as JSON Lines, or a number."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec
from anyio import to_thread
from msgspec import Struct
from starlette.responses import Response

from holdall.core.errors import InvalidQuery, InvalidValue
from holdall.records.predicate import And, Like, Node, Not, Or, Regex
from holdall.records.query import Query
from holdall.records.text import parse_condition
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id
from holdall.server.records.accepting import wants_lines
from holdall.server.records.addresses import checked_names, parameters
from holdall.server.records.reading import JSON, LINES, read_object, text_of
from holdall.server.sending import PatientResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from starlette.requests import Request

    from holdall.records.record import Record
    from holdall.server.config import ServerConfig
    from holdall.server.records.one import Served

SEARCH: Final = ("filter", "sort", "select", "limit", "token", "count")
"""The parameters of a search."""
PAGE: Final = 100
"""Records of a page, where nobody says how many."""
MOST: Final = 1_000
"""Records of a page at most."""
LONGEST: Final = 65_536
"""Characters of a filter at most."""
LONGEST_PARAMETER: Final = 4_096
"""Characters of a parameter in an address, whose head of a request has 64 KiB at most."""
_INLINE: Final = 500
_HELD: Final = 500
_MOST_SORTS: Final = 10
_MOST_FIELDS: Final = 1_000
_LONGEST_TEXT: Final = 1_000
_MOST_NAMES: Final = 100
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}


class Asked(Struct, frozen=True):
    """What a search asks.

    Attributes:
        query: Which records, in which order, and which fields.
        limit: How many of them; None where nobody said.
        token: Where the page before ended.
        count: Whether they are counted, too.
    """

    query: Query
    limit: int | None = None
    token: str | None = None
    count: bool = False


async def search(request: Request, served: Served) -> Response:
    """Records by the parameters of a GET."""
    given = parameters(request, SEARCH)
    return await _answer(request, served, await _understood(_typed(given), served.settings))


async def search_posted(request: Request, served: Served) -> Response:
    """Records by a JSON object, which may be longer than an address."""
    parameters(request)
    given = await read_object(request, served.settings)
    checked_names(given, SEARCH, "a search")
    return await _answer(request, served, await _understood(given, served.settings))


async def count(request: Request, served: Served) -> Response:
    """How many records meet a condition."""
    given = parameters(request, ("filter",))
    asked = await _understood(_typed(given), served.settings)
    number = await served.database.count(asked.query)
    return Response(msgspec.json.encode({"count": number}), headers={"Content-Type": JSON})


async def _answer(request: Request, served: Served, asked: Asked) -> Response:
    if wants_lines(request):
        return await _lines(served, asked)
    size = PAGE if asked.limit is None else asked.limit
    if not 1 <= size <= MOST:
        raise InvalidValue(
            f"limit is {size:,}, and a page has 1 to {MOST:,} records: more of them come as JSON "
            f"Lines, with Accept: {LINES}"
        )
    page = await served.database.page(asked.query, asked.token, size)
    number = await served.database.count(asked.query) if asked.count else None
    body = await to_thread.run_sync(_page, page.records, page.token, number)
    return Response(body, headers={"Content-Type": JSON})


def _page(records: list[Record], token: str | None, number: int | None) -> bytes:
    shown = ",".join(record.to_json() for record in records)
    counted = "" if number is None else f',"count":{number}'
    following = "null" if token is None else f'"{token}"'
    return f'{{"records":[{shown}],"next":{following}{counted}}}'.encode()


async def _lines(served: Served, asked: Asked) -> Response:
    """All records as they are read; a connection that is cut says that some are missing."""
    if asked.token is not None or asked.count:
        raise InvalidValue("token and count are for pages, and JSON Lines are everything")
    query = asked.query if asked.limit is None else asked.query.limit(asked.limit)
    chunks = _chunks(served, query)
    first = await anext(chunks, b"")  # what fails early gets a status

    async def sent() -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks):
            yield first
            try:
                async for chunk in chunks:
                    yield chunk
            except Exception:
                number = request_id.get()
                LOG.error("a search broke off", extra={"request": number})
                raise

    return PatientResponse(sent(), served.settings.body_timeout, headers={"Content-Type": LINES})


async def _chunks(served: Served, query: Query) -> AsyncGenerator[bytes, None]:
    waiting: list[Record] = []
    async with aclosing(served.database.stream_read(query, _HELD)) as records:  # type: ignore[type-var]
        async for record in records:
            waiting.append(record)
            if len(waiting) == _HELD:
                yield await to_thread.run_sync(_text, waiting)
                waiting = []
    if waiting:
        yield await to_thread.run_sync(_text, waiting)


def _text(records: list[Record]) -> bytes:
    return "".join(f"{record.to_json()}\n" for record in records).encode()


def _typed(given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a GET, as a JSON object has them."""
    for name, text in given.items():
        if len(text) > LONGEST_PARAMETER:
            raise HttpFault(
                400,
                f"{name} has {len(text):,} characters, and in an address it may have "
                f"{LONGEST_PARAMETER:,}: POST to /records:search takes longer ones",
            )
    typed: dict[str, Any] = dict(given)
    if "limit" in given:
        text = given["limit"]
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise HttpFault(400, f"limit is {text[:40]!r}, and it takes a whole number")
        typed["limit"] = int(text)
    if "count" in given:
        flag = _FLAGS.get(given["count"])
        if flag is None:
            raise HttpFault(400, f"count is {given['count'][:40]!r}, and it takes 1 or 0")
        typed["count"] = flag
    return typed


async def _understood(given: Mapping[str, Any], config: ServerConfig) -> Asked:
    """What parameters mean; a long filter is read in a thread, so that others are answered."""
    text = given.get("filter")
    if type(text) is str and len(text) > _INLINE:
        return await to_thread.run_sync(_asked, given, config)
    return _asked(given, config)


def _asked(given: Mapping[str, Any], config: ServerConfig) -> Asked:
    """What parameters mean.

    Raises:
        InvalidQuery: The filter means nothing; says where. Or one is too long.
        InvalidValue: One is of another type.
    """
    data = dict(given)
    query = _filtered(text_of(data, "filter") or "", config)
    for name in _names(data, "sort", _MOST_SORTS):
        query = query.sort(name.removeprefix("-"), "desc" if name.startswith("-") else "asc")
    if data.get("select") is not None:
        query = query.select(*_names(data, "select", _MOST_FIELDS))
    limit, counted = data.get("limit"), data.get("count")
    if type(limit) is float and limit.is_integer():  # 1.0 is a whole number of JSON
        limit = int(limit)
    if limit is not None and (type(limit) is not int or not 0 <= limit < 2**53):
        raise InvalidValue("limit takes a whole number from 0")
    if counted is not None and type(counted) is not bool:
        raise InvalidValue("count takes true or false")
    return Asked(query, limit, text_of(data, "token"), bool(counted))


def _filtered(text: str, config: ServerConfig) -> Query:
    if len(text) > LONGEST:
        raise InvalidQuery(f"the filter has {len(text):,} characters, and it may have {LONGEST:,}")
    try:
        condition = parse_condition(text)
    except InvalidQuery as error:
        raise InvalidQuery(f"the filter: {error}") from error
    for node in _leaves(condition):
        if isinstance(node, Regex) and not config.regex:
            raise InvalidQuery(
                "the filter: regex is not taken here, as some expressions never end; use like, or "
                "let the server take it (the setting regex)"
            )
        if isinstance(node, Like) and len(node.pattern) > _LONGEST_TEXT:
            raise InvalidQuery(f"like takes {_LONGEST_TEXT:,} characters at most")
    return Query().filter(condition)


def _leaves(node: Node) -> Iterator[Node]:
    """The conditions that a condition is made of."""
    match node:
        case And(nodes) | Or(nodes):
            for one in nodes:
                yield from _leaves(one)
        case Not(inner):
            yield from _leaves(inner)
        case _:
            yield node


def _names(data: dict[str, Any], name: str, most: int) -> list[str]:
    """Names of fields: a list, or a text with commas between."""
    given = data.get(name)
    if given is None:
        return []
    names = [one.strip() for one in given.split(",")] if type(given) is str else given
    if type(names) is not list or not all(type(one) is str for one in names):
        raise InvalidValue(f"{name} takes names of fields, with commas between or in a list")
    if len(names) > most or any(
        len(one) > _LONGEST_TEXT or one.count(".") >= _MOST_NAMES for one in names
    ):
        raise InvalidQuery(f"{name} takes {most:,} names of {_LONGEST_TEXT:,} characters at most")
    return names
