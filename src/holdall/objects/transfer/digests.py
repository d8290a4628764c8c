"""SHA-256, of what is on its way and of what is there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from holdall.core.errors import Corrupt
from holdall.objects.options import GET, HEAD, PART_BYTES

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.contract import Data, ObjectStore
    from holdall.objects.results import ObjectMeta

_INLINE_BYTES = 64 * 1024  # hashing less than this takes no longer than handing it to a thread


class Digest:
    """A SHA-256 that grows without blocking an event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._hash = hashlib.sha256()

    async def add(self, data: Data) -> None:
        """Add bytes."""
        if self._runtime.blocking or len(data) < _INLINE_BYTES:
            self._hash.update(data)
        else:
            await self._runtime.call(self._hash.update, None, data)

    def text(self) -> str:
        """The digest so far, hexadecimal."""
        return self._hash.hexdigest()


async def digest_of(data: bytes, runtime: Runtime) -> str:
    """Answer the SHA-256 of bytes that are all there, hexadecimal."""
    if runtime.blocking or len(data) < _INLINE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await runtime.call(hashlib.sha256, None, data)).hexdigest()


async def read_digest(store: ObjectStore, ref: Reference) -> tuple[ObjectMeta, str]:
    """Read an object, one part in memory at a time; answer what is known of it and its SHA-256."""
    digest = Digest(store.runtime)
    async with await store.get(ref, GET) as stream:
        while chunk := await stream.read(PART_BYTES):
            await digest.add(chunk)
    return stream.meta, digest.text()


def check_record(meta: ObjectMeta, sha256: str) -> None:
    """Raise `Corrupt` unless an object's bytes have the SHA-256 recorded for it, if one is."""
    if meta.sha256 is not None and meta.sha256 != sha256:
        raise Corrupt(
            f"{meta.ref} has SHA-256 {sha256}, and {meta.sha256} was recorded when it was written",
            reference=meta.ref,
        )


async def known_digest(store: ObjectStore, meta: ObjectMeta) -> tuple[ObjectMeta, str]:
    """Answer what is known of an object, and its SHA-256: recorded, or else that of its bytes."""
    if meta.sha256 is None:
        meta = await store.head(meta.ref, HEAD)
    if meta.sha256 is not None:
        return meta, meta.sha256
    return await read_digest(store, meta.ref)
