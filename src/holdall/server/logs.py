"""One log record a request, with its id; and those records as lines of JSON.

A record has the id, method, path, status, time and size of a request, and who sent it from where.
It has no query, header or body, in which there may be secrets. A WebSocket has two: one when it is
open, and one with its time, messages and bytes when it is closed.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from holdall.server.observing.figures import Figures

LOG: Final = logging.getLogger("holdall.server")
_GIVEN = re.compile(rb"[A-Za-z0-9_\-]{1,64}")
_FIELDS: Final = (
    "request", "method", "path", "status", "ms", "bytes", "received", "sent", "user", "address",
)  # fmt: skip
request_id: ContextVar[str] = ContextVar("holdall_request_id", default="-")


class RequestLog:
    """Gives each request an id, which is answered as `X-Request-ID`, and logs it.

    A client's own `X-Request-ID` is taken when it is letters, digits, `_` and `-`.

    Args:
        app: What answers.
        figures: What counts them besides, where something does.
    """

    def __init__(self, app: ASGIApp, figures: Figures | None = None) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        id_ = given.decode() if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        token = request_id.set(id_)
        try:
            if scope["type"] == "http":
                await self._request(id_, scope, receive, send)
            else:
                await self._socket(id_, scope, receive, send)
        finally:
            request_id.reset(token)

    async def _request(self, id_: str, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status, received, size = 0, 0, 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", id_.encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        figures = self._figures
        if figures is not None:
            figures.began()
        try:
            await self._app(scope, receiving, sending)
        finally:
            seconds = time.perf_counter() - began
            if figures is not None:
                route = getattr(scope.get("route"), "path", "")
                figures.ended(route, scope["method"], status, seconds, received, size)
            LOG.info(
                "request",
                extra={
                    "request": id_,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "bytes": size,
                    **_asked_by(scope),
                },
            )

    async def _socket(self, id_: str, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status, opened = 0, False
        received, sent = [0, 0], [0, 0]

        async def receiving() -> Message:
            nonlocal status
            message = await receive()
            if message["type"] == "websocket.receive":
                _count(message, received)
            elif message["type"] == "websocket.disconnect":
                status = message.get("code") or status
            return message

        async def sending(message: Message) -> None:
            nonlocal status, opened
            await send(message)
            if message["type"] == "websocket.accept":
                opened = True
                if self._figures is not None:
                    self._figures.socket_opened()
                LOG.info(
                    "websocket opened",
                    extra={"request": id_, "path": scope["path"], **_asked_by(scope)},
                )
            elif message["type"] == "websocket.send":
                _count(message, sent)
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]

        try:
            await self._app(scope, receiving, sending)
        finally:
            if opened and self._figures is not None:
                self._figures.socket_closed()
            LOG.info(
                "websocket closed" if opened else "websocket refused",
                extra={
                    "request": id_,
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1000, 2),
                    "received": received[0],
                    "sent": sent[0],
                    "bytes": sent[1],
                    **_asked_by(scope),
                },
            )


class JsonLines(logging.Formatter):
    """Log records as lines of JSON, with what a request's record has besides.

    Args:
        worker: Which of several workers writes them; 0 where there is one.
    """

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker:
            line["worker"] = self._worker
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: _whole(value) for name, value in line.items()}).decode()


def _asked_by(scope: Scope) -> dict[str, Any]:
    caller, client = scope.get("state", {}).get("caller"), scope.get("client")
    return {
        "user": None if caller is None else caller.name,
        "address": client[0] if client else None,
    }


def _count(message: Message, counts: list[int]) -> None:
    """Count a message of a WebSocket, and what it holds: bytes, or characters of a text."""
    counts[0] += 1
    counts[1] += len(message.get("bytes") or message.get("text") or b"")


def _whole(value: Any) -> Any:
    """A value without halves of characters, with which the record would be lost."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value
