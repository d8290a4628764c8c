"""The body of a request, piece by piece, within limits of size and time."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from holdall.core.errors import CodecError, Unsupported
from holdall.haystack.codecs.contract import Limits
from holdall.haystack.codecs.media import codec_for
from holdall.haystack.grid import Grid
from holdall.server.errors import HttpFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from holdall.haystack.codecs.contract import Codec
    from holdall.server.config import ServerConfig

INLINE: Final = 16 * 1024
"""Bytes that are decoded at once; more of them in a thread, so that others are answered."""
_SLOWEST: Final = 1024  # bytes a second
EMPTY: Final = Grid(cols=["empty"])


def codec_of(request: Request) -> Codec:
    """The codec of a request's body.

    Raises:
        HttpFault: 400 where it does not say, 415 where there is none for it.
    """
    check_plain(request)
    kind = single(request, "content-type")
    if not kind:
        raise HttpFault(400, "the request has no Content-Type, such as text/zinc")
    try:
        return codec_for(kind)
    except Unsupported as error:
        raise HttpFault(415, str(error)) from error


def single(request: Request, name: str) -> str | None:
    """The one header of a name; None where there is none.

    Raises:
        HttpFault: 400 where it comes twice, as nobody knows which of them others went by.
    """
    lines = request.headers.getlist(name)
    if len(lines) > 1:
        raise HttpFault(400, f"the header {name} comes {len(lines)} times")
    return lines[0].strip() if lines else None


def check_plain(request: Request) -> None:
    """Refuse a body that is packed.

    Raises:
        HttpFault: 415 where it is.
    """
    coding = (single(request, "content-encoding") or "identity").lower()
    if coding != "identity":
        raise HttpFault(415, f"the Content-Encoding {coding[:40]!r} is not taken here: send plain")


async def pieces(
    request: Request, *, limit: int, timeout: float, setting: str
) -> AsyncIterator[bytes]:
    """The pieces of a body, as they come.

    Args:
        request: Whose.
        limit: Bytes that it may have; 0 is no limit.
        timeout: Seconds that the next piece may take; and all of them, besides one for each KiB.
        setting: What the limit is called.

    Raises:
        HttpFault: 413 where it is larger, 408 where it takes longer, 400 where it breaks off.
    """
    said = request.headers.get("content-length", "")
    if limit and said.isdecimal() and int(said[:20]) > limit:
        raise _too_large(limit, setting)
    size, waited = 0, 0.0
    while True:
        began = monotonic()
        try:
            async with asyncio.timeout(timeout):
                message = await request.receive()
        except TimeoutError as error:
            raise HttpFault(408, f"nothing came for {timeout:g} seconds") from error
        if message["type"] == "http.disconnect":
            raise HttpFault(400, "the request broke off")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        waited += monotonic() - began
        if waited > timeout + size / _SLOWEST:
            raise HttpFault(408, f"{size:,} bytes came in {waited:.0f} seconds, which is too slow")
        if limit and size > limit:
            raise _too_large(limit, setting)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def read_grid(request: Request, config: ServerConfig) -> Grid:
    """The grid of a request that was posted.

    Raises:
        HttpFault: It cannot be read.
    """
    found = [
        piece
        async for piece in pieces(
            request, limit=config.max_body, timeout=config.body_timeout, setting="max_body"
        )
    ]
    data = b"".join(found)
    if not data:
        return EMPTY
    codec = codec_of(request)
    try:
        if len(data) <= INLINE:
            return codec.decode(data, limits=limits(config))
        return await asyncio.to_thread(codec.decode, data, limits=limits(config))
    except CodecError as error:
        raise HttpFault(400, f"the body is no {codec.name}: {error}") from error


def limits(config: ServerConfig) -> Limits:
    """What a request's grid may hold."""
    return Limits(depth=config.max_depth, rows=config.max_rows)


def _too_large(limit: int, setting: str) -> HttpFault:
    return HttpFault(
        413, f"the body is larger than {limit:,} bytes, which {setting} allows: send less at once"
    )
