"""One object from one store to another, as `copy` does it within one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdall.core.errors import Corrupt, HoldallError
from holdall.objects.integrity import check_unwritten
from holdall.objects.options import (
    HEAD,
    PART_BYTES,
    CopyOptions,
    DeleteOptions,
    GetOptions,
    WriteOptions,
    check_size,
    check_write,
)

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta, ObjectStream


async def copy_across(
    source_store: ObjectStore,
    target_store: ObjectStore,
    source: Reference,
    target: Reference,
    options: CopyOptions,
) -> ObjectMeta:
    """Copy or move an object between stores, the target whole or not at all.

    One part is in memory at a time. Content type and metadata are kept, and tags where both
    stores have them; a SHA-256 that was recorded is checked on the way.

    Raises:
        NotFound: There is no source.
        PreconditionFailed: `if_match` does not hold for the source, or it changed meanwhile and
            is not removed by a move.
        AlreadyExists: `if_none_match="*"` does not hold for the target.
        Unsupported: The target cannot keep what is kept with the source.
        LimitExceeded: It is longer than what the target takes; nothing was sent.
        Corrupt: Fewer or more bytes arrived than the source has, or others than were recorded.
    """
    tags = source_store.capabilities.tags and target_store.capabilities.tags
    asked = GetOptions(if_match=options.if_match, tags=tags)
    async with await source_store.get(source, asked) as stream:
        meta = stream.meta
        check_size(stream.length, target_store.capabilities, target)
        kept = WriteOptions(
            content_type=meta.content_type,
            metadata=meta.metadata,
            tags=(meta.tags or {}) if tags else {},
            if_none_match=options.if_none_match,
            content_md5=meta.content_md5,
            sha256=meta.sha256,
        )
        check_write(kept, target_store.capabilities, target)
        written = await _write(stream, target_store, target, kept)
    if options.move:
        # What was written there meanwhile was not copied, and stays.
        if not source_store.capabilities.unique_etags:
            check_unwritten(meta, await source_store.head(source, HEAD))
        seen = meta.etag if source_store.capabilities.conditional else None
        failures = await source_store.delete([source], DeleteOptions(if_match=seen))
        if failures:
            raise failures[0].error
    return written


async def _write(
    stream: ObjectStream, store: ObjectStore, target: Reference, options: WriteOptions
) -> ObjectMeta:
    if stream.length <= PART_BYTES:
        data = await stream.read_all()
        _check_arrived(len(data), stream, target)
        return await store.put(target, data, options)
    upload = await store.upload(target, options, None)
    try:
        while chunk := await stream.read(PART_BYTES):
            await upload.write(chunk)
        _check_arrived(upload.offset, stream, target)
        return await upload.commit(stream.length)
    except BaseException:
        with suppress(HoldallError):  # what went wrong first is what is told
            async with store.runtime.cleaning():
                await upload.abort()
        raise


def _check_arrived(size: int, stream: ObjectStream, target: Reference) -> None:
    if size != stream.length:
        raise Corrupt(
            f"{stream.meta.ref} has {stream.length} bytes and gave {size}: nothing was written to "
            f"{target}",
            reference=stream.meta.ref,
        )
