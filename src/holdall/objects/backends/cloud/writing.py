"""Writing an object by one request, and making one of parts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from holdall.objects.backends.cloud import forks
from holdall.objects.backends.cloud.faults import Asked
from holdall.objects.integrity import check_digests
from holdall.objects.options import WRITE, check_write
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.container import Container
    from holdall.objects.backends.cloud.service import Part
    from holdall.objects.contract import Data
    from holdall.objects.options import WriteOptions


@final
class Writer:
    """Writes objects of one container.

    Args:
        container: Where.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._service = container.service
        self._runtime = container.runtime

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write an object; as `ObjectStore.put`."""
        service = self._service
        sent: tuple[dict[str, str], dict[str, str]] | None = ({}, {})
        if options is not WRITE:
            check_write(options, service.capabilities, ref)
            check_digests(data, options, ref)
            sent = service.attributes(options)
        size = len(data)
        asked = Asked(
            ref, options.if_none_match is not None, options.if_match is not None, writes=True
        )
        if asked.creates or asked.conditional:
            await self._check_conditional()
        if sent is None or service.puts_alone:
            etag = await self._container.run(service.put, ref, data, options)
            return self._written(ref, size, etag, options)
        forks.check()
        mode: Any = "overwrite"
        if options.if_none_match is not None:
            mode = "create"
        if options.if_match is not None:
            mode = service.condition(options.if_match)
        try:
            answer = await self._runtime.call(
                self._container.put,
                self._container.put_async,
                ref.key,
                data,
                sent[0],
                sent[1],
                mode,
            )
        except self._container.errors as error:
            raise self._container.fault(error, asked) from error
        return self._written(ref, size, service.etag(answer), options)

    async def finish(
        self,
        ref: Reference,
        session: str,
        parts: Sequence[Part],
        options: WriteOptions,
        size: int,
    ) -> ObjectMeta:
        """Make the parts of an upload the object."""
        if options.if_none_match is not None or options.if_match is not None:
            await self._check_conditional()
        etag = await self._container.run(self._service.finish, ref, session, parts, options)
        return self._written(ref, size, etag, options)

    def _written(self, ref: Reference, size: int, etag: str, options: WriteOptions) -> ObjectMeta:
        if options is WRITE:
            return ObjectMeta(
                self._container.root, self._container.relative(ref.key), size, time.time_ns(), etag
            )
        return ObjectMeta(
            self._container.root,
            self._container.relative(ref.key),
            size,
            time.time_ns(),
            etag,
            options.content_type,
            dict(options.metadata),
            None,
            options.content_md5,
            options.sha256,
            options.storage_class,
        )

    async def _check_conditional(self) -> None:
        """Raise `Unsupported` where the service takes a condition and ignores it."""
        await self._container.run(self._service.check_conditional, self._container.root)
