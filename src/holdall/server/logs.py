"""One log record a request, with its id; and those records as lines of JSON.

A record has the id, method, path, status, time and size of a request, and who sent it from where.
It has no query, header or body, in which there may be secrets.
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

LOG: Final = logging.getLogger("holdall.server")
_GIVEN = re.compile(rb"[A-Za-z0-9_\-]{1,64}")
_FIELDS: Final = ("request", "method", "path", "status", "ms", "bytes", "user", "address")
request_id: ContextVar[str] = ContextVar("holdall_request_id", default="-")


class RequestLog:
    """Gives each request an id, which is answered as `X-Request-ID`, and logs it.

    A client's own `X-Request-ID` is taken when it is letters, digits, `_` and `-`.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        id_ = given.decode() if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        token = request_id.set(id_)
        began = time.perf_counter()
        status, size = 0, 0

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

        try:
            await self._app(scope, receive, sending)
        finally:
            caller = scope.get("state", {}).get("caller")
            client = scope.get("client")
            LOG.info(
                "request",
                extra={
                    "request": id_,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1000, 2),
                    "bytes": size,
                    "user": None if caller is None else caller.name,
                    "address": client[0] if client else None,
                },
            )
            request_id.reset(token)


class JsonLines(logging.Formatter):
    """Log records as lines of JSON, with what a request's record has besides."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: _whole(value) for name, value in line.items()}).decode()


def _whole(value: Any) -> Any:
    """A value without halves of characters, with which the record would be lost."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value
