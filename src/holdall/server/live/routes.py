"""The route of the WebSocket: `/ws`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002 (FastAPI reads it)
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from holdall.haystack.adapter.face import HaystackAdapter
from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of
from holdall.server.errors import HttpFault, fault_response
from holdall.server.live.connection import Connection, Serving
from holdall.server.live.following import Following
from holdall.server.live.hub import Hub
from holdall.server.live.polling import Polling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI
    from starlette.websockets import WebSocket

    from holdall.server.access import Door
    from holdall.server.actions import Action
    from holdall.server.config import ServerConfig
    from holdall.server.storage import Storage

PROTOCOL: Final = "holdall"
"""The subprotocol, for clients that have to name one: browsers that send a token as another."""


def add_live(
    app: FastAPI,
    behind: Storage,
    settings: ServerConfig,
    actions: Mapping[str, Action],
    door: Door,
) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Serve the WebSocket, at `/ws` and below the prefix.

    Args:
        app: The application; its `state.live` is the hub, which counts connections and watches.
        behind: What is asked.
        settings: The settings.
        actions: Functions for `invokeAction`, by name.
        door: Who is let in.
    """
    adapter = behind.adapter
    source = Following(adapter) if isinstance(adapter, HaystackAdapter) else Polling(behind)
    hub = Hub(source, settings)
    app.state.live = hub
    serving = Serving(hub, door, behind, settings, actions)

    async def connected(socket: WebSocket) -> None:
        connection = Connection(socket, serving)
        try:
            hub.enter(connection)
        except HttpFault as fault:
            await socket.send_denial_response(fault_response(fault))
            return
        try:
            offered = socket.scope.get("subprotocols", ())
            await socket.accept(PROTOCOL if PROTOCOL in offered else None)
            await connection.run()
        finally:
            hub.leave(connection)
            connection.gone.set()

    async def plain(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        raise HttpFault(
            426, f"{request.url.path} is a WebSocket: ask for an upgrade", {"Upgrade": "websocket"}
        )

    for path in dict.fromkeys(("/ws", f"{settings.prefix}/ws")):
        app.router.routes.append(WebSocketRoute(path, connected))
        app.add_api_route(
            path,
            plain,
            methods=["GET"],
            status_code=426,
            summary="The WebSocket of operations and watches",
            operation_id=f"live{path}_get".replace("/", "_"),
            response_class=Response,
            responses={
                status: {"description": text, "content": {"text/plain": {}}}
                for status, text in (
                    (400, "A header cannot be read"),
                    (401, "Log in first"),
                    (403, "Not allowed"),
                    (426, "It takes an upgrade to a WebSocket, which answers 101"),
                    (429, "Too many wrong passwords, or logins"),
                    (431, "A header is too long"),
                    (503, "The accounts cannot be read now"),
                )
            },
        )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        telling = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            await hub.end()

    return running
