"""Copies within one container, made by the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from holdall.core.errors import AlreadyExists, HoldallError, NotFound, PreconditionFailed
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
    known, etag = await _copy(container, source, target, options, create)
    if options.move:
        try:
            await container.run(service.delete_same, source, known.etag)
        except (NotFound, PreconditionFailed) as error:
            # Nor is the copy removed: who moved the source to the same target relies on it.
            error.add_note(f"a copy of what {source} was is at {target}")
            raise
    made = structs.replace(known, key=target.key, etag=etag)
    return container.described(await _now(container, target, made, options.move))


async def _copy(
    container: Container, source: Reference, target: Reference, options: CopyOptions, create: bool
) -> tuple[Known, str]:
    """Copy one state of the source; answer which, and the etag of the copy."""
    races = 0
    while True:
        known = await container.run(container.service.head, source)
        check_conditions(known.etag, options.if_match, None, source)
        try:
            etag = await container.run(container.service.copy, known, source, target, create)
        except AlreadyExists:
            raise
        except PreconditionFailed:
            races += 1  # the source was replaced since it was looked at
            if options.if_match is not None or races == _MOST_RACES:
                raise
        else:
            return known, etag


async def _now(container: Container, target: Reference, made: Known, moved: bool) -> Known:
    """What the service knows of the copy; what was made where somebody has replaced it since."""
    try:
        known = await container.run(container.service.head, target)
    except NotFound:
        return made
    except HoldallError:
        if not moved:
            raise
        return made  # the source is gone: whoever tried again would find none
    return known if made.etag in {"", known.etag} else made
