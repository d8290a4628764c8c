"""`create_fastapi_app`: the server as an ASGI application."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from holdall import __version__
from holdall.haystack.codecs.media import codecs
from holdall.haystack.zones import zone
from holdall.server.access import Door, Gate, first_admin
from holdall.server.accounts.roles import Role
from holdall.server.accounts.users import Users
from holdall.server.answering import caller_of, codec_wanted, guarded, perform
from holdall.server.config import ServerConfig
from holdall.server.errors import HttpFault, fault_response
from holdall.server.loading import load
from holdall.server.logs import RequestLog
from holdall.server.ops.registry import OPS
from holdall.server.storage import storage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from holdall.haystack.adapter.protocol import StorageAdapter
    from holdall.server.actions import Action
    from holdall.server.ops.contract import Op

ADMIN: Final = "HOLDALL_ADMIN"
ADMIN_PASSWORD: Final = "HOLDALL_ADMIN_PASSWORD"  # noqa: S105 (the name of a variable)


def create_fastapi_app(
    storage: StorageAdapter,
    *,
    users: Users | None = None,
    config: ServerConfig | None = None,
    actions: Mapping[str, Action] | None = None,
) -> FastAPI:
    """Make an application that answers the Haystack HTTP API.

    The store is connected when the application starts, and closed when it ends. Where the
    environment has `HOLDALL_ADMIN` and `HOLDALL_ADMIN_PASSWORD` and there are no accounts, an
    admin of this name is made. As long as there are no accounts, only this machine may ask.

    Args:
        storage: What `holdall.open_adapter` answers, or anything with the ten methods of a
            `StorageAdapter`; that has fewer abilities, and what it lacks is told.
        users: The accounts; those kept in the store unless given, and none where a store of
            others cannot keep them.
        config: Settings; the defaults unless given.
        actions: Functions for `invokeAction`, by name.

    Raises:
        InvalidConfig: The storage is no adapter.
    """
    settings = ServerConfig() if config is None else config
    behind = storage_of(storage)
    accounts = Users(behind.accounts) if users is None else users
    known = dict(actions or {})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        codecs()  # imported before somebody waits for one
        await to_thread.run_sync(zone, "New_York")  # the names of zones are a walk through files
        await behind.connect()
        try:
            await first_admin(accounts, os.environ.get(ADMIN), os.environ.get(ADMIN_PASSWORD))
            yield
        finally:
            await behind.close()

    app = FastAPI(
        title=settings.name,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    door = Door(accounts, settings.session)
    app.add_middleware(Gate, door=door)
    app.add_middleware(RequestLog)
    app.add_exception_handler(HttpFault, _on_fault)
    app.add_exception_handler(HTTPException, _on_http)

    def answering(op: Op) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if op.name == "close":  # whatever else is wrong with the request
                door.sessions.close(request.state.caller.session)
            return await perform(op, request, behind, settings, known)

        return answer

    for op in OPS.values():
        _route(app, f"{settings.prefix}/{op.name}", op.name, op.summary, answering(op), op.reads)

    async def loading(request: Request) -> Response:
        caller_of(request, Role.ADMIN)
        codec = codec_wanted(request)
        return await guarded(lambda: load(request, behind, settings), codec, settings)

    for path in dict.fromkeys((f"{settings.prefix}/load", "/load")):
        _route(app, path, f"load{path}", "Keep entities of any format", loading, False)
    return app


def _route(
    app: FastAPI,
    path: str,
    name: str,
    summary: str,
    answer: Callable[[Request], Awaitable[Response]],
    reads: bool,
) -> None:
    for method in ("GET", "POST") if reads else ("POST",):
        app.add_api_route(
            path,
            answer,
            methods=[method],
            summary=summary,
            operation_id=f"{name}_{method}".replace("/", "_"),
            response_class=Response,
            responses=_responses(),
            openapi_extra=_request_body() if method == "POST" else None,
        )


def _content() -> dict[str, Any]:
    return {one.media_type: {"schema": {"type": "string"}} for one in codecs()}


def _responses() -> dict[int | str, dict[str, Any]]:
    told: dict[int | str, dict[str, Any]] = {
        200: {"description": "A grid; an error grid has the tag `err`", "content": _content()}
    }
    for status, text in (
        (400, "The request cannot be read"),
        (401, "Log in first"),
        (403, "Not allowed"),
        (406, "No such format is written"),
        (413, "The body is too large"),
        (415, "No such format is read"),
    ):
        told[status] = {"description": text, "content": {"text/plain": {}}}
    return told


def _request_body() -> dict[str, Any]:
    return {"requestBody": {"description": "A grid", "content": _content()}}


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
