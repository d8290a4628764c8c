"""The routes of records: `/records` and `/records/{id}`.

What is done with many stands beside them, as `/records:batch`: below `/records/` there are ids and
nothing else, so that no id is ever taken for something else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastapi import Request
from starlette.responses import Response
from starlette.routing import Route

from holdall.core.errors import InvalidConfig
from holdall.records.async_database import AsyncDatabase
from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of
from holdall.server.paths import REST
from holdall.server.records import describing as told
from holdall.server.records import one, searching
from holdall.server.records.addresses import RECORDS
from holdall.server.records.batches import batch
from holdall.server.records.faults import faults
from holdall.server.records.one import Served
from holdall.server.refusing import Refusing

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI

    from holdall.server.config import ServerConfig

_ONE: Final = f"{RECORDS}/{{id:{REST}}}"

Work: TypeAlias = Callable[[Request, Served], Awaitable[Response]]


def add_records(
    app: FastAPI, database: AsyncDatabase, settings: ServerConfig
) -> Callable[[], AbstractAsyncContextManager[object]]:
    """Serve records.

    Args:
        app: The application.
        database: Where they are; closed when the application ends.
        settings: The server's settings.

    Raises:
        InvalidConfig: It is no database for asyncio.
    """
    if not isinstance(database, AsyncDatabase):
        raise InvalidConfig(
            f"database is a {type(database).__name__}, and it takes one for asyncio, such as "
            "holdall.open_database_async(…) answers"
        )
    served = Served(database, settings)
    for route in _routes():
        app.add_api_route(
            route.pop("path"),
            _answering(route.pop("work"), route.pop("role"), served),
            response_class=Response,
            **route,
        )
    for path, methods in (
        (RECORDS, "GET, POST"),
        (_ONE, "GET, HEAD, PUT, PATCH, DELETE"),
        (f"{RECORDS}:search", "POST"),
        (f"{RECORDS}:count", "GET"),
        (f"{RECORDS}:batch", "POST"),
    ):
        app.router.routes.append(Route(path, Refusing(methods), include_in_schema=False))

    return lambda: database


def _answering(work: Work, role: Role, served: Served) -> Callable[[Request], Awaitable[Response]]:
    address = served.database.store.address

    async def answer(request: Request) -> Response:
        caller_of(request, role)
        with faults(address):
            return await work(request, served)

    return answer


def _routes() -> list[dict[str, Any]]:
    return [*_routes_of_one(), *_routes_of_many()]


def _routes_of_one() -> list[dict[str, Any]]:
    """The routes of `/records/{id}`."""
    reading = {
        200: told.record_answer("The record"),
        304: {"description": "The caller has this version"},
        **told.faults((404, 412)),
    }
    writing = {
        200: told.record_answer("The record, as it is now"),
        201: told.record_answer("The record, which is new", created=True),
        **told.faults((408, 409, 412, 413, 415)),
    }
    patching = {
        200: told.record_answer("The record, as it is now"),
        **told.faults((404, 408, 409, 412, 413, 415)),
    }
    deleting = {204: {"description": "It is gone"}, **told.faults((404, 409, 412))}
    read, write = (told.ID, told.IF_MATCH, told.IF_CHANGED), (told.ID, told.IF_MATCH)
    return [
        _of_one("GET", "record_read", "Read a record", one.read, read, reading),
        _of_one("HEAD", "record_head", "The version of a record", one.read, read, _bare(reading)),
        _of_one(
            "PUT",
            "record_write",
            "Write a record",
            one.write,
            (*write, told.IF_NONE_MATCH),
            writing,
            told.body(told.WRITTEN, "The record"),
        ),
        _of_one(
            "PATCH",
            "record_patch",
            "Change some fields of a record",
            one.patch,
            write,
            patching,
            told.body(told.CHANGES, "What to change"),
        ),
        _of_one("DELETE", "record_delete", "Delete a record", one.delete, write, deleting),
    ]


def _routes_of_many() -> list[dict[str, Any]]:
    """The routes of `/records`, and of what is done with many."""
    found: dict[int | str, Any] = {
        200: told.answer(
            "A page as JSON, or all as JSON Lines", told.PAGE_OF_RECORDS, in_lines=True
        )
    }
    created = {
        201: told.record_answer("The record", created=True),
        **told.faults((408, 409, 413, 415)),
    }
    done = {
        200: told.answer(
            "A line for each: `id` and `version`, or `line` and `error`", in_lines=True
        ),
        **told.faults((408, 413, 415), in_lines=True),
    }
    return [
        _route(
            RECORDS,
            "GET",
            "records_list",
            "Search records",
            searching.search,
            found | told.faults((406,)),
            parameters=told.PARAMETERS,
        ),
        _route(
            RECORDS,
            "POST",
            "records_create",
            "Write a new record",
            one.create,
            created,
            role=Role.OPERATOR,
            body=told.body(told.WRITTEN, "The record; without an id it is given one"),
        ),
        _route(
            f"{RECORDS}:search",
            "POST",
            "records_search",
            "Search records by a long filter",
            searching.search_posted,
            found | told.faults((406, 408, 413, 415)),
            body=told.body(told.SEARCH, "What the parameters of a GET say"),
        ),
        _route(
            f"{RECORDS}:count",
            "GET",
            "records_count",
            "Count records",
            searching.count,
            {200: told.answer("How many", told.COUNT), **told.faults(())},
            parameters=(told.FILTER,),
        ),
        _route(
            f"{RECORDS}:batch",
            "POST",
            "records_batch",
            "Write or delete many records",
            batch,
            done,
            role=Role.OPERATOR,
            parameters=(told.MODE,),
            body=told.lines("A record a line"),
        ),
    ]


def _of_one(
    method: str,
    name: str,
    summary: str,
    work: Work,
    parameters: tuple[Any, ...],
    responses: Mapping[int | str, Any],
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    reads = method in {"GET", "HEAD"}
    return _route(
        _ONE,
        method,
        name,
        summary,
        work,
        responses,
        role=Role.VIEWER if reads else Role.OPERATOR,
        parameters=parameters,
        body=body,
    )


def _route(
    path: str,
    method: str,
    name: str,
    summary: str,
    work: Work,
    responses: Mapping[int | str, Any],
    *,
    role: Role = Role.VIEWER,
    parameters: tuple[Any, ...] = (),
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    extra: dict[str, Any] = {"parameters": [*parameters]} if parameters else {}
    if body is not None:
        extra["requestBody"] = body
    return {
        "path": path,
        "work": work,
        "role": role,
        "methods": [method],
        "operation_id": name,
        "summary": summary,
        "status_code": min(status for status in responses if isinstance(status, int)),
        "responses": responses,
        "openapi_extra": extra,
    }


def _bare(responses: Mapping[int | str, Any]) -> dict[int | str, Any]:
    """The answers to a HEAD, which have no body."""
    return {
        status: {name: value for name, value in one.items() if name != "content"}
        for status, one in responses.items()
    }
