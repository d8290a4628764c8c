"""Writing an object by one request, and making one of parts."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any, final

from holdall.objects.backends.cloud import forks
from holdall.objects.backends.cloud.faults import asked_by
from holdall.objects.integrity import check_digests
from holdall.objects.options import WRITE, check_write
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

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
        # At hand, since finding them takes as long as all else that a small write costs.
        self._root, self._skip = container.root, len(container.prefix)
        self._driver, self._etag = container.service.driver, container.service.etag
        self._send, self._send_async = container.obstore.put, container.obstore.put_async

    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        """Write an object; as `ObjectStore.put`."""
        if options is WRITE and not self._service.puts_alone:
            # The most frequent case: bytes alone, and no coroutine where none is needed.
            return self._runtime.call(self._put_plain, self._put_plain_async, ref, data)
        return self._put(ref, data, options)

    def _put_plain(self, ref: Reference, data: Data) -> ObjectMeta:
        forks.check()
        try:
            answer = self._send(self._driver, ref.key, data, use_multipart=False)
        except self._container.errors as error:
            raise self._container.fault(error, asked_by(ref, WRITE)) from error
        key = ref.key[self._skip :]
        return ObjectMeta(self._root, key, len(data), time_ns(), self._etag(answer))

    async def _put_plain_async(self, ref: Reference, data: Data) -> ObjectMeta:
        forks.check()
        try:
            answer = await self._send_async(self._driver, ref.key, data, use_multipart=False)
        except self._container.errors as error:
            raise self._container.fault(error, asked_by(ref, WRITE)) from error
        key = ref.key[self._skip :]
        return ObjectMeta(self._root, key, len(data), time_ns(), self._etag(answer))

    async def _put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        service = self._service
        more: dict[str, Any] | None = {}
        if options is not WRITE:
            check_write(options, service.capabilities, ref)
            check_digests(data, options, ref)
            if options.if_none_match is not None or options.if_match is not None:
                await self._check_conditional()
            more = self._keywords(options)
        if more is None or service.puts_alone:
            etag = await self._container.run(service.put, ref, data, options)
            return self._written(ref, len(data), etag, options)
        forks.check()
        try:
            answer = await self._runtime.call(
                self._container.put, self._container.put_async, ref.key, data, more
            )
        except self._container.errors as error:
            raise self._container.fault(error, asked_by(ref, options)) from error
        return self._written(ref, len(data), service.etag(answer), options)

    def _keywords(self, options: WriteOptions) -> dict[str, Any] | None:
        """What obstore is told beside the bytes; None when it cannot say all of it."""
        sent = self._service.attributes(options)
        if sent is None:
            return None
        attributes, tags = sent
        more: dict[str, Any] = {}
        if attributes:
            more["attributes"] = attributes
        if tags:
            more["tags"] = tags
        if options.if_none_match is not None:
            more["mode"] = "create"
        elif options.if_match is not None:
            more["mode"] = self._service.condition(options.if_match)
        return more

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
        return ObjectMeta(
            self._root,
            ref.key[self._skip :],
            size,
            time_ns(),
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
