"""`GET` and `HEAD` of an object.

What is announced is what is sent: status, etag and length come from the one read that the body is
of. A body that fails half way breaks the connection off, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, final

from starlette.responses import Response, StreamingResponse

from holdall.core.errors import HoldallError, InvalidRange
from holdall.objects.options import GET, HEAD, HEAD_TAGS, GetOptions
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id
from holdall.server.objects.conditions import Conditions, failed, fits
from holdall.server.objects.faults import told
from holdall.server.objects.headers import object_headers, version_headers
from holdall.server.objects.keys import reference_of
from holdall.server.objects.ranges import range_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Send

    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import ObjectMeta, ObjectStream
    from holdall.server.config import ServerConfig
    from holdall.server.objects.ranges import Range

PIECE_BYTES: Final = 256 * 1024
"""How much of a body is in memory for a client that takes it slowly."""
_BODY: Final = "http.response.body"
TAGS: Final = "tags"
"""The query's parameter that asks for the header `X-Tags`."""


async def read_object(
    request: Request, data_store: AsyncDataStore, config: ServerConfig
) -> Response:
    """Answer an object, or a range of it.

    Raises:
        HttpFault: There is none, a condition does not hold, or the range is not in it.
    """
    ref = reference_of(request, data_store.root, (TAGS,))
    conditions, wanted = Conditions.of_reading(request), range_of(request)
    with told(request.path_params["key"]):
        if conditions.given:
            # A body that nobody wants is not asked for.
            early = _judged(conditions, await data_store.store.head(ref, HEAD))
            if early is not None:
                return early
        stream, partial = await _opened(request, data_store, ref, wanted)
        early = _judged(conditions, stream.meta)
        if early is not None:
            await stream.close()
            return early
    meta, headers = stream.meta, object_headers(stream.meta)
    headers["Content-Length"] = str(stream.length)
    if partial:
        last = stream.start + stream.length - 1
        headers["Content-Range"] = f"bytes {stream.start}-{last}/{meta.size}"
    return ObjectResponse(stream, 206 if partial else 200, headers, config.body_timeout)


async def read_headers(request: Request, data_store: AsyncDataStore) -> Response:
    """Answer what is known of an object, as a `GET` of all of it would.

    Raises:
        HttpFault: There is none, or a condition does not hold.
    """
    ref = reference_of(request, data_store.root, (TAGS,))
    conditions = Conditions.of_reading(request)
    with told(request.path_params["key"]):
        options = HEAD_TAGS if TAGS in request.query_params else HEAD
        meta = await data_store.store.head(ref, options)
    early = _judged(conditions, meta)
    if early is not None:
        return early
    return Response(headers={**object_headers(meta), "Content-Length": str(meta.size)})


def _judged(conditions: Conditions, meta: ObjectMeta) -> Response | None:
    """The answer to a request whose conditions do not hold; None where they do.

    Raises:
        HttpFault: 412.
    """
    status = conditions.judged(meta)
    if status == 412:
        raise failed("the object is another one", meta)
    return Response(status_code=304, headers=version_headers(meta)) if status == 304 else None


async def _opened(
    request: Request, data_store: AsyncDataStore, ref: Reference, wanted: Range | None
) -> tuple[ObjectStream, bool]:
    """Open what a request wants, and say whether that is a range.

    It is the whole where the range is for another version, or changed size while it was asked for.

    Raises:
        HttpFault: 416: the range is not in the object.
    """
    store, tags = data_store.store, TAGS in request.query_params
    # A service has no file that another program could change under the answer.
    steady = store.capabilities.local
    whole = GetOptions(tags=tags, steady=steady) if tags or steady else GET
    if wanted is None:
        return await store.get(ref, whole), False
    first, size = wanted.start, None
    if first < 0:
        # Not every service has the last bytes of an object that has fewer.
        size = (await store.head(ref, HEAD)).size
        first = max(first + size, 0)
    try:
        options = GetOptions(start=first, end=wanted.end, tags=tags, steady=steady)
        stream = await store.get(ref, options)
    except InvalidRange:
        meta = await store.head(ref, HEAD)
    else:
        meta = stream.meta
        if stream.length and size in {None, meta.size} and fits(request, meta):
            return stream, True
        await stream.close()
    if size is None and fits(request, meta):
        raise HttpFault(
            416,
            f"the range is not in the object, whose size is {meta.size:,}",
            {"Content-Range": f"bytes */{meta.size}"},
        )
    return await store.get(ref, whole), False


@final
class ObjectResponse(StreamingResponse):
    """Sends a body as it is read.

    Args:
        stream: The body; closed at the end, whatever happens.
        status: Of the answer.
        headers: Of the answer; the length is that of the stream.
        seconds: How long a client may take nothing.
    """

    def __init__(
        self, stream: ObjectStream, status: int, headers: Mapping[str, str], seconds: float
    ) -> None:
        self._stream = stream
        self._seconds = seconds
        super().__init__((), status, headers)

    async def stream_response(self, send: Send) -> None:
        """Send all of it, and close it."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        async with self._stream:
            await send(start)
            try:
                while piece := await self._stream.read(PIECE_BYTES):
                    async with asyncio.timeout(self._seconds):
                        await send({"type": _BODY, "body": piece, "more_body": True})
            except (HoldallError, TimeoutError) as error:
                LOG.error(
                    "an object was broken off", extra={"request": request_id.get()}, exc_info=error
                )
                raise
            await send({"type": _BODY, "body": b"", "more_body": False})
