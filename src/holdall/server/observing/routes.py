"""The routes that tell how a server is: health, readiness, figures."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import Request  # noqa: TC002 (FastAPI reads annotations when it runs)
from starlette.responses import Response

from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of
from holdall.server.errors import HttpFault
from holdall.server.observing.exposition import Siblings, exposed, families
from holdall.server.observing.figures import MISSING
from holdall.server.observing.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI

    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.records.async_database import AsyncDatabase
    from holdall.server.access import Door
    from holdall.server.observing.figures import Figures
    from holdall.server.storage import Storage

PUBLIC: Final = frozenset({"/health/live", "/health/ready"})
"""Paths that need no account: they tell whether a server answers, and nothing of what it holds."""
_ABSENT: Final = "holdall-ready"
"""A key and an id that are asked for; it does not matter whether there is one."""
_JSON: Final = "application/json"
_HEALTH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["ok", "failing", "ending"]},
        "failing": {
            "type": "array",
            "items": {"enum": ["accounts", "storage", "objects", "records"]},
        },
    },
    "required": ["status"],
}


def add_observing(
    app: FastAPI,
    behind: Storage,
    data_store: AsyncDataStore | None,
    database: AsyncDatabase | None,
    door: Door,
    figures: Figures | None,
) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Tell how the server is.

    Who runs the application may set `app.state.ending`, from when on it is not ready, and
    `app.state.siblings` before it starts, where it is one of several workers.

    Args:
        app: The application.
        behind: The store of entities.
        data_store: Objects.
        database: Records.
        door: Who holds the accounts.
        figures: What is counted; None where nothing is.
    """
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "accounts": door.users.exist,
        "storage": behind.about,
    }
    if data_store is not None:
        questions["objects"] = lambda: data_store.exists(_ABSENT)
    if database is not None:
        questions["records"] = lambda: database.exists(_ABSENT)
    readiness = Readiness(questions)
    app.state.ending, app.state.siblings = False, None
    if figures is not None:
        figures.watch_count(lambda: app.state.live.watches)

    async def live(_: Request) -> Response:
        return _health("ok")

    async def ready(_: Request) -> Response:
        if app.state.ending:
            return _health("ending")
        failing = await readiness.failing()
        return _health("failing", failing) if failing else _health("ok")

    async def metrics(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        if figures is None:
            raise HttpFault(501, MISSING)
        mine, siblings = families(figures.registry), app.state.siblings
        if siblings is None:
            text, kind = exposed({0: mine})
        else:
            text, kind = exposed({siblings.number: mine} | await siblings.told())
        return Response(text, headers={"Content-Type": kind})

    _route(app, "/health/live", live, "Whether the server runs", {200: _told("It does", _HEALTH)})
    _route(
        app,
        "/health/ready",
        ready,
        "Whether the server and what it stands on answer",
        {200: _told("They do", _HEALTH), 503: _told("Which of them does not", _HEALTH)},
    )
    texts: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {"text/plain": {"schema": {"type": "string"}}}}
        for status, text in (
            (200, "The figures"),
            (400, "A header cannot be read"),
            (401, "Log in first"),
            (403, "Not allowed"),
            (429, "Too many wrong passwords, or logins"),
            (431, "A header is too long"),
            (501, "prometheus-client is not installed"),
            (503, "The accounts cannot be read now"),
        )
    }
    _route(app, "/metrics", metrics, "Figures for Prometheus", texts)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        siblings: Siblings | None = app.state.siblings
        if siblings is None or figures is None:
            yield
            return
        async with siblings.telling(figures.registry):
            yield

    return running


def _route(
    app: FastAPI,
    path: str,
    answer: Callable[[Request], Awaitable[Response]],
    summary: str,
    responses: dict[int | str, dict[str, Any]],
) -> None:
    app.add_api_route(
        path,
        answer,
        methods=["GET"],
        summary=summary,
        operation_id=f"{path.strip('/').replace('/', '_')}_GET",
        response_class=Response,
        responses=responses,
    )


def _told(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": schema}}}


def _health(status: str, failing: list[str] | None = None) -> Response:
    told: dict[str, Any] = {"status": status} | ({"failing": failing} if failing else {})
    return Response(
        msgspec.json.encode(told),
        status_code=200 if status == "ok" else 503,
        headers={"Content-Type": _JSON, **({} if status == "ok" else {"Retry-After": "5"})},
    )
