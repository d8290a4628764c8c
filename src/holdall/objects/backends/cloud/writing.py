"""Writing: one request for a small object, parts for a large one."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import LimitExceeded
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
        part_bytes: How large a part is, at least.
        single_bytes: Up to which size an object is written by one request.
    """

    def __init__(self, container: Container, part_bytes: int, single_bytes: int) -> None:
        self._container = container
        self._service = container.service
        self._runtime = container.runtime
        self.part_bytes = part_bytes
        self._single_bytes = single_bytes

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write an object; as `ObjectStore.put`."""
        service = self._service
        sent: tuple[dict[str, str], dict[str, str]] | None = ({}, {})
        if options is not WRITE:
            check_write(options, service.capabilities, ref)
            check_digests(data, options, ref)
            sent = service.attributes(options)
        size = len(data)
        if size > self._single_bytes:
            return await self._put_parts(ref, data, options)
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

    async def _put_parts(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write a large object in parts, several at once; nothing of it is left on an error."""
        service = self._service
        limit = self._service.capabilities.max_object_bytes
        if limit is not None and len(data) > limit:
            raise LimitExceeded(
                f"{ref}: {len(data)} bytes, and the service takes {limit} (max_object_bytes)",
                reference=ref,
            )
        part_bytes = max(self.part_bytes, -(-len(data) // service.most_parts))
        session = await self._container.run(service.begin, ref, options, uuid.uuid4().hex)
        try:
            with memoryview(data) as view:

                async def send(number: int) -> Part:
                    piece = view[(number - 1) * part_bytes : number * part_bytes]
                    return await self._container.run(service.put_part, ref, session, number, piece)

                numbers = range(1, -(-len(data) // part_bytes) + 1)
                parts = [
                    part async for part in self._runtime.map(send, numbers, self._container.workers)
                ]
            return await self.finish(ref, session, parts, options, len(data))
        except BaseException:
            await self._container.run(service.drop, ref, session)
            raise

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
