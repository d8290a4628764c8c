"""`create_fastapi_app`: the server as an ASGI application."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from holdall import __version__
from holdall.haystack.codecs.media import codecs
from holdall.haystack.zones import zone
from holdall.objects.async_data_store import AsyncDataStore
from holdall.server.access import Door, Gate, first_admin
from holdall.server.accounts.users import Users
from holdall.server.alone import check_alone
from holdall.server.config import ServerConfig
from holdall.server.errors import HttpFault, fault_response
from holdall.server.live.routes import add_live
from holdall.server.logs import RequestLog
from holdall.server.objects.routes import add_objects
from holdall.server.observing.figures import figures_of
from holdall.server.observing.routes import PUBLIC, add_observing
from holdall.server.ops.routes import add_ops
from holdall.server.records.routes import add_records
from holdall.server.storage import storage_of
from holdall.server.welcome import add_welcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from prometheus_client import CollectorRegistry
    from starlette.responses import Response

    from holdall.haystack.adapter.protocol import StorageAdapter
    from holdall.records.async_database import AsyncDatabase
    from holdall.server.actions import Action

ADMIN: Final = "HOLDALL_ADMIN"
ADMIN_PASSWORD: Final = "HOLDALL_ADMIN_PASSWORD"  # noqa: S105 (the name of a variable)


def create_fastapi_app(
    storage: StorageAdapter,
    *,
    data_store: AsyncDataStore | None = None,
    database: AsyncDatabase | None = None,
    users: Users | None = None,
    config: ServerConfig | None = None,
    actions: Mapping[str, Action] | None = None,
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """Make an application that answers the Haystack HTTP API, and serves objects and records.

    The stores are connected when the application starts, and closed when it ends. Where the
    environment has `HOLDALL_ADMIN` and `HOLDALL_ADMIN_PASSWORD` and there are no accounts, an
    admin of this name is made. As long as there are no accounts, only this machine may ask.

    Args:
        storage: What `holdall.open_adapter` answers, or anything with the ten methods of a
            `StorageAdapter`; that has fewer abilities, and what it lacks is told.
        data_store: Objects, served at `/objects`; what `holdall.open_async` answers.
        database: Records, served at `/records`; what `holdall.open_database_async` answers.
        users: The accounts; those kept in the store unless given, and none where a store of
            others cannot keep them.
        config: Settings; the defaults unless given.
        actions: Functions for `invokeAction`, by name.
        registry: Of `prometheus_client`, which `/metrics` shows; one of its own unless given, and
            none where that is not installed.

    Raises:
        InvalidConfig: The storage is no adapter, or the others are not for asyncio. When it
            starts: the storage is in memory, and uvicorn runs several workers.
    """
    settings = ServerConfig() if config is None else config
    behind = storage_of(storage)
    accounts = Users(behind.accounts) if users is None else users
    known = dict(actions or {})
    figures = figures_of(registry)
    served = data_store
    if figures is not None and isinstance(data_store, AsyncDataStore):
        served = figures.measured(data_store)
    parts: list[Callable[[], AbstractAsyncContextManager[object]]] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        check_alone(storage)
        codecs()  # imported before somebody waits for one
        await to_thread.run_sync(zone, "New_York")  # the names of zones are a walk through files
        async with AsyncExitStack() as running:
            running.push_async_callback(behind.close)
            await behind.connect()
            await first_admin(accounts, os.environ.get(ADMIN), os.environ.get(ADMIN_PASSWORD))
            await door.are_accounts()  # before anybody asks: they may go until then
            for part in parts:
                await running.enter_async_context(part())
            yield

    app = FastAPI(
        title=settings.name,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    door = app.state.door = Door(accounts, settings.session)
    app.add_middleware(Gate, door=door, public=PUBLIC)
    app.add_middleware(RequestLog, figures=figures)
    app.add_exception_handler(HttpFault, _on_fault)
    app.add_exception_handler(HTTPException, _on_http)
    add_ops(app, behind, settings, known, door)
    parts.append(add_live(app, behind, settings, known, door))
    if served is not None:
        parts.append(add_objects(app, served, settings))
    if database is not None:
        parts.append(add_records(app, database, settings))
    parts.append(add_observing(app, behind, data_store, database, door, figures))
    add_welcome(app, settings, objects=data_store is not None, records=database is not None)
    _say_who_may_ask(app)
    return app


def _say_who_may_ask(app: FastAPI) -> None:
    """Let the document of OpenAPI say that requests take a token, but for the public paths."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A machine's key, or the token of a session",
        }
        document["security"] = [{"bearer": []}]
        for path in PUBLIC:
            for operation in document["paths"].get(path, {}).values():
                operation["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to change it


async def _on_fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, HttpFault)
    return fault_response(error)


async def _on_http(request: Request, error: Exception) -> Response:
    """The statuses that the standard wants for paths and methods that are none."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method not in {"GET", "POST"}:
        return fault_response(HttpFault(501, f"{request.method} is not used here: GET or POST"))
    if error.status_code == 405:
        way = "POST: it may change something" if request.method == "GET" else "GET"
        return fault_response(HttpFault(405, f"{request.url.path} takes {way}"))
    if error.status_code == 404:
        return fault_response(HttpFault(404, f"there is no operation at {request.url.path}"))
    return fault_response(HttpFault(error.status_code, str(error.detail), error.headers))
