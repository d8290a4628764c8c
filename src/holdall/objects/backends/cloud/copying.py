"""Copies within one container, made by the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed
from holdall.objects.integrity import check_conditions

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.container import Container
    from holdall.objects.backends.cloud.service import Known
    from holdall.objects.options import CopyOptions
    from holdall.objects.results import ObjectMeta

_MOST_RACES = 20


async def copy(
    container: Container, source: Reference, target: Reference, options: CopyOptions
) -> ObjectMeta:
    """Copy or move an object; the arguments of `ObjectStore.copy`."""
    service = container.service
    create = options.if_none_match is not None
    if source.key == target.key:
        meta = container.described(await container.run(service.head, source))
        check_conditions(meta.etag, options.if_match, options.if_none_match, source)
        return meta
    if create:
        await container.run(service.check_conditional, container.root)
    known = await _copy(container, source, target, options, create)
    meta = container.described(await container.run(service.head, target))
    if options.move:
        try:
            await container.run(service.delete_same, source, known.etag)
        except (NotFound, PreconditionFailed):
            # Somebody else has moved, deleted or replaced it meanwhile: this move did not happen.
            await _take_back(container, target, meta)
            raise
    return meta


async def _copy(
    container: Container, source: Reference, target: Reference, options: CopyOptions, create: bool
) -> Known:
    """Copy one state of the source, and answer which."""
    races = 0
    while True:
        known = await container.run(container.service.head, source)
        check_conditions(known.etag, options.if_match, None, source)
        try:
            await container.run(container.service.copy, known, source, target, create)
        except AlreadyExists:
            raise
        except PreconditionFailed:
            races += 1  # the source was replaced since it was looked at
            if options.if_match is not None or races == _MOST_RACES:
                raise
        else:
            return known


async def _take_back(container: Container, target: Reference, meta: ObjectMeta) -> None:
    try:
        await container.run(container.service.delete_same, target, meta.etag or "")
    except (NotFound, PreconditionFailed):
        return  # it was replaced by yet another writer, and is theirs
