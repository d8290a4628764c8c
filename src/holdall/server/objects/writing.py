"""`PUT` and `DELETE` of an object.

A body goes to the store as it comes. What breaks off, or is not what its headers announced, leaves
nothing: the object is there once it is whole, and until then it is what it was.
"""

from __future__ import annotations

from asyncio import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from msgspec.structs import replace
from starlette.responses import Response

from holdall.core.errors import Corrupt, NotFound
from holdall.objects.options import HEAD, DeleteOptions
from holdall.objects.sources import CHUNK_BYTES
from holdall.objects.writer import AsyncObjectWriter
from holdall.server.bodies import check_plain, pieces
from holdall.server.errors import HttpFault
from holdall.server.objects.conditions import Conditions
from holdall.server.objects.faults import told
from holdall.server.objects.headers import version_headers, write_options
from holdall.server.objects.keys import reference_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.contract import ObjectStore
    from holdall.objects.options import WriteOptions
    from holdall.objects.results import ObjectMeta
    from holdall.server.config import ServerConfig


async def write_object(
    request: Request, data_store: AsyncDataStore, config: ServerConfig
) -> Response:
    """Write the body of a request as an object.

    Raises:
        HttpFault: It cannot be kept, is not what was announced, or a condition does not hold.
    """
    ref = reference_of(request, data_store.root)
    conditions, options = Conditions.of_writing(request), write_options(request)
    size = _announced(request)
    body = pieces(
        request, limit=config.max_object, timeout=config.body_timeout, setting="max_object"
    )
    with told(request.path_params["key"]):
        # A body that would be refused is not waited for.
        known = await _known(data_store.store, ref)
        if_match, if_none_match = conditions.bound(known)
        bound = replace(options, if_match=if_match, if_none_match=if_none_match)
        try:
            meta = await _written(data_store.store, ref, bound, body, size)
        except Corrupt as error:
            raise HttpFault(
                400, "the body has another size or digest than its headers say; nothing was kept"
            ) from error
    return Response(status_code=201 if known is None else 204, headers=version_headers(meta))


class Turns:
    """Lets one after another do something with the same key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def of(self, key: str) -> Lock:
        """What to hold meanwhile."""
        return self._locks.setdefault(key, Lock())


async def delete_object(request: Request, data_store: AsyncDataStore, turns: Turns) -> Response:
    """Delete an object.

    Stores do not say whether there was one. So that of many who delete it one is told that it did,
    they wait for one another, as far as this process knows of them.

    Raises:
        HttpFault: There is none, or a condition does not hold.
    """
    ref, key = reference_of(request, data_store.root), request.path_params["key"]
    conditions = Conditions.of_writing(request)
    async with turns.of(key):
        with told(key):
            await _deleted(data_store.store, ref, key, conditions)
    return Response(status_code=204)


async def _deleted(store: ObjectStore, ref: Reference, key: str, conditions: Conditions) -> None:
    known = await _known(store, ref)
    if_match, _ = conditions.bound(known)
    if known is None:
        raise NotFound(f"there is no object {key!r}")
    for failure in await store.delete((ref,), DeleteOptions(if_match=if_match)):
        raise failure.error


async def _known(store: ObjectStore, ref: Reference) -> ObjectMeta | None:
    try:
        return await store.head(ref, HEAD)
    except NotFound:
        return None


def _announced(request: Request) -> int | None:
    """The size that a request says its body has.

    Raises:
        HttpFault: 400 or 415: the body is a part of an object, or packed.
    """
    if "content-range" in request.headers:
        raise HttpFault(400, "an object is written whole: a PUT takes no Content-Range")
    check_plain(request)
    said = request.headers.get("content-length", "")
    return int(said[:20]) if said.isdecimal() else None


async def _written(
    store: ObjectStore,
    ref: Reference,
    options: WriteOptions,
    body: AsyncIterator[bytes],
    size: int | None,
) -> ObjectMeta:
    first = bytearray()
    async for piece in body:
        first += piece
        if len(first) > CHUNK_BYTES:
            break
    else:
        # A small one is one request to the store, and no upload.
        if size is not None and size != len(first):
            raise Corrupt(f"{size} bytes were announced and {len(first)} came")
        return await store.put(ref, bytes(first), options)
    async with AsyncObjectWriter(await store.upload(ref, options, None)) as writer:
        await writer.write(first)
        async for piece in body:
            await writer.write(piece)
        return await writer.commit(size)
