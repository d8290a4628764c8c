"""From a request to an operation, and from what it answers or raises to a response."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from holdall.core.errors import CodecError, HoldallError
from holdall.haystack.codecs.contract import Limits
from holdall.haystack.codecs.media import codecs, negotiate
from holdall.haystack.codecs.zinc import read_value
from holdall.haystack.grid import Grid
from holdall.haystack.kinds import is_name
from holdall.server.answers import error_response, response
from holdall.server.bodies import EMPTY, read_grid
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id
from holdall.server.ops.contract import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from holdall.haystack.codecs.contract import Codec
    from holdall.server.accounts.roles import Caller, Role
    from holdall.server.actions import Action
    from holdall.server.answers import Answer, Streamed
    from holdall.server.config import ServerConfig
    from holdall.server.ops.contract import Op
    from holdall.server.storage import Storage


def caller_of(request: Request, least: Role) -> Caller:
    """Who asks, where they may.

    Raises:
        HttpFault: 403 where they may not.
    """
    caller: Caller = request.state.caller
    if caller.role < least:
        raise HttpFault(403, f"{caller.name} has the role {caller.role}, and this takes {least}")
    return caller


def codec_wanted(request: Request) -> Codec:
    """The codec that a request wants to be answered in.

    Raises:
        HttpFault: 406 where there is none.
    """
    codec = negotiate(", ".join(request.headers.getlist("accept")) or None)
    if codec is None:
        known = ", ".join(one.media_type for one in codecs())
        raise HttpFault(406, f"nothing that Accept asks for can be written: there are {known}")
    return codec


async def perform(
    op: Op,
    request: Request,
    storage: Storage,
    config: ServerConfig,
    actions: Mapping[str, Action],
) -> Response:
    """Answer a request to an operation.

    Raises:
        HttpFault: It never came to the operation, or the caller may not do this.
    """
    caller, codec = caller_of(request, op.role), codec_wanted(request)
    texts: dict[str, str] = {}
    if request.method == "GET":
        texts = _texts_of(request)
        grid = _grid_of(texts, config.max_depth)
    else:
        grid = await read_grid(request, config)
    call = Call(grid, caller, storage, config, actions, texts)
    return await guarded(lambda: op.function(call), codec, config)


async def guarded(
    work: Callable[[], Awaitable[Answer | Streamed | Grid]], codec: Codec, config: ServerConfig
) -> Response:
    """The response to what some work answers; an error grid where it fails.

    Raises:
        HttpFault: The work says that it is none for an error grid.
    """
    try:
        return await response(await work(), codec)
    except HttpFault:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, the standard wants a grid)
        return error_response(error_grid(error, config), codec)


def error_grid(error: Exception, config: ServerConfig) -> Grid:
    """The grid that tells an error to a client, and to the log what the client is not told."""
    number = request_id.get()
    if isinstance(error, HoldallError):
        dis = str(error)
    else:
        LOG.error("failed", extra={"request": number}, exc_info=error)
        # An adapter or action of others refuses with these; any other error may hold anything,
        # so that only the log has it.
        told = f": {error}" if isinstance(error, (ValueError, LookupError)) else ""
        dis = f"{type(error).__name__}{told}; the server's log has more under {number}"
    trace = "".join(traceback.format_exception(error)) if config.debug else None
    return Grid.error(_whole(dis), None if trace is None else _whole(trace))


def _whole(text: str) -> str:
    """A text without halves of characters, which no format carries."""
    return text.encode("utf-8", "backslashreplace").decode()


def _texts_of(request: Request) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if not is_name(name) or name in texts:
            why = "comes twice: use POST" if name in texts else "is no name of a tag"
            raise HttpFault(400, f"the parameter {name[:40]!r} {why}")
        texts[name] = text
    return texts


def _grid_of(texts: Mapping[str, str], depth: int) -> Grid:
    """The one row that the parameters of a GET make (chapter HttpApi).

    A value that is written as one of Zinc, from its first character to its last, is that value;
    any other is a text.
    """
    if not texts:
        return EMPTY
    row = {name: _value_of(text, depth) for name, text in texts.items()}
    return Grid([row], cols=list(row))


def _value_of(text: str, depth: int) -> Any:
    if not text:
        return text
    try:
        return read_value(text, limits=Limits(depth=depth))
    except CodecError:
        return text
