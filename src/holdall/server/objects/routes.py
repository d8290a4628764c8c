"""The routes of objects: `/objects` and `/objects/{key}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002 (FastAPI reads it in the annotations)
from starlette.responses import Response
from starlette.routing import Route

from holdall.core.errors import InvalidConfig
from holdall.objects.async_data_store import AsyncDataStore
from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of
from holdall.server.objects.describing import ROUTES
from holdall.server.objects.listing import list_objects
from holdall.server.objects.reading import read_headers, read_object
from holdall.server.objects.writing import Turns, delete_object, write_object
from holdall.server.paths import REST
from holdall.server.refusing import Refusing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI

    from holdall.server.config import ServerConfig
    from holdall.server.objects.describing import Described

PLACE: Final = "/objects"
_ONE: Final = f"{PLACE}/{{key:{REST}}}"


def add_objects(
    app: FastAPI, data_store: AsyncDataStore, settings: ServerConfig
) -> Callable[[], AbstractAsyncContextManager[object]]:
    """Serve the objects of a store.

    Args:
        app: The application.
        data_store: The store, which is closed when the application ends.
        settings: The settings.

    Raises:
        InvalidConfig: The store is not one for asyncio.
    """
    if not isinstance(data_store, AsyncDataStore):
        raise InvalidConfig(
            f"data_store is a {type(data_store).__name__}, and a server takes an AsyncDataStore: "
            "open it with holdall.open_async"
        )

    turns = Turns()

    async def listing(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        return await list_objects(request, data_store)

    async def reading(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        return await read_object(request, data_store, settings)

    async def asking(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        return await read_headers(request, data_store)

    async def writing(request: Request) -> Response:
        caller_of(request, Role.OPERATOR)
        return await write_object(request, data_store, settings)

    async def deleting(request: Request) -> Response:
        caller_of(request, Role.OPERATOR)
        return await delete_object(request, data_store, turns)

    _add(app, PLACE, ROUTES["LIST"], listing)
    # What everybody writes; a key is never empty.
    _add(app, f"{PLACE}/", ROUTES["LIST"], listing, shown=False)
    _add(app, _ONE, ROUTES["GET"], reading)
    _add(app, _ONE, ROUTES["HEAD"], asking)
    _add(app, _ONE, ROUTES["PUT"], writing)
    _add(app, _ONE, ROUTES["DELETE"], deleting)
    # They stand last, and take what no route before them does.
    for path, methods in (
        (PLACE, "GET"),
        (f"{PLACE}/", "GET"),
        (_ONE, "GET, HEAD, PUT, DELETE"),
    ):
        app.router.routes.append(Route(path, Refusing(methods), include_in_schema=False))

    return lambda: data_store


def _add(
    app: FastAPI,
    path: str,
    told: Described,
    answer: Callable[[Request], Awaitable[Response]],
    *,
    shown: bool = True,
) -> None:
    app.add_api_route(
        path,
        answer,
        methods=[told.method],
        summary=told.summary,
        operation_id=told.name,
        response_class=Response,
        status_code=told.status,
        responses=told.responses,
        openapi_extra=told.extra,
        include_in_schema=shown,
    )
