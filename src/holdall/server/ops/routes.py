"""The routes of the operations, and of `load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import Request  # noqa: TC002 (FastAPI reads it in the annotations)
from starlette.responses import Response

from holdall.haystack.codecs.media import codecs
from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of, codec_wanted, guarded, perform
from holdall.server.loading import load
from holdall.server.ops.registry import OPS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fastapi import FastAPI

    from holdall.server.access import Door
    from holdall.server.actions import Action
    from holdall.server.config import ServerConfig
    from holdall.server.ops.contract import Op
    from holdall.server.storage import Storage

_SOME: Final = {"filter": "Which of them", "limit": "At most so many"}
_PARAMETERS: Final[dict[str, dict[str, str]]] = {
    "defs": _SOME,
    "libs": _SOME,
    "ops": _SOME,
    "filetypes": _SOME,
    "read": {**_SOME, "id": "The id of an entity, in place of a filter"},
    "nav": {"navId": "Of a row that nav answered; none for the sites"},
    "hisRead": {
        "id": "The id of a point",
        "range": "As today, 2024-06-15 or 2024-06-01,2024-06-30",
    },
}
"""Those of a GET, by the operation: each a text, or a value as Zinc writes it."""


def add_ops(
    app: FastAPI,
    behind: Storage,
    settings: ServerConfig,
    actions: Mapping[str, Action],
    door: Door,
) -> None:
    """Add the operations of the Haystack HTTP API to an application.

    Args:
        app: The application.
        behind: What they ask.
        settings: The settings.
        actions: Functions for `invokeAction`, by name.
        door: Who is let in; `close` ends a session of it.
    """

    def answering(op: Op) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if op.name == "close":  # whatever else is wrong with the request
                await door.close(request.state.caller)
            return await perform(op, request, behind, settings, actions)

        return answer

    for op in OPS.values():
        _route(app, f"{settings.prefix}/{op.name}", op.name, op.summary, answering(op), op.reads)

    async def loading(request: Request) -> Response:
        caller_of(request, Role.ADMIN)
        codec = codec_wanted(request)
        return await guarded(lambda: load(request, behind, settings), codec, settings)

    for path in dict.fromkeys((f"{settings.prefix}/load", "/load")):
        _route(app, path, f"load{path}", "Keep entities of any format", loading, False)


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
            openapi_extra=_request_body() if method == "POST" else _parameters(name),
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
        (408, "The body did not come"),
        (413, "The body is too large"),
        (415, "No such format is read"),
        (429, "Too many wrong passwords, or logins"),
        (431, "A header is too long"),
        (503, "The accounts cannot be read now"),
    ):
        told[status] = {"description": text, "content": {"text/plain": {}}}
    return told


def _request_body() -> dict[str, Any]:
    return {"requestBody": {"description": "A grid", "content": _content()}}


def _parameters(name: str) -> dict[str, Any]:
    known = _PARAMETERS.get(name, {})
    return {
        "parameters": [
            {"name": one, "in": "query", "description": text, "schema": {"type": "string"}}
            for one, text in known.items()
        ]
    }
