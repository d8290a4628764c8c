"""Writing an object by one request, and making one of parts."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any, final

from msgspec import Struct

from holdall.core.errors import HoldallError
from holdall.objects.backends.cloud import forks
from holdall.objects.backends.cloud.faults import asked_by
from holdall.objects.integrity import Hashed, check_digests
from holdall.objects.options import WRITE, WriteOptions, check_write
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.container import Container
    from holdall.objects.backends.cloud.service import Part, Service
    from holdall.objects.contract import Data


_MOST_PREPARED = 8192


class _Told(Struct, frozen=True, gc=False):
    """What obstore is told beside the bytes.

    Args:
        options: What it says.
        attributes: Headers and metadata.
        tags: Tags.
        mode: What must be there before; None for anything.
    """

    options: WriteOptions
    attributes: dict[str, str] | None
    tags: dict[str, str] | None = None
    mode: str | dict[str, str] | None = None


_PLAIN = _Told(WRITE, None)


@final
class Writer:
    """Writes objects of one container.

    Args:
        container: Where.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._service = container.service
        self._call = container.runtime.call_two
        self._conditional = False
        self._digest = _digest_name(container.service)
        # At hand, since finding them takes as long as all else that a small write costs.
        self._root, self._skip = container.root, len(container.prefix)
        self._driver, self._etag_name = container.service.driver, container.service.etag_name
        self._send, self._send_async = container.obstore.put, container.obstore.put_async
        self._errors, self._alone = container.errors, container.service.puts_alone
        # What obstore is told of options that were looked at before, by their identity.
        self._prepared: dict[int, _Told] = {}

    def prepare(self, options: Sequence[WriteOptions]) -> None:
        """Look at options before they are written with; as `ObjectStore.prepare`."""
        if self._alone:
            return
        prepared: dict[int, _Told] = {}
        for one in options:
            if one.sha256 is not None or one.content_md5 is not None:
                continue  # these belong to bytes that are not known yet
            try:
                check_write(one, self._service.capabilities, self._root)
                told = self._told(one)
            except (HoldallError, ValueError, TypeError):
                continue  # `put` says so
            if told is not None:
                prepared[id(one)] = told
        if len(self._prepared) > _MOST_PREPARED:
            self._prepared.clear()  # nobody came for them
        self._prepared.update(prepared)

    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        """Write an object; as `ObjectStore.put`."""
        # No coroutine where none is needed: it would cost as much as all else that is done here.
        if self._digest is not None and _keeps_digest_alone(options, data):
            # What a sync writes most.
            kept = _Told(options, {self._digest: options.sha256 or ""})
            return self._call(self._put_kept, self._put_kept_async, ref, (data, kept))
        known = self._prepared.pop(id(options), None) if self._prepared else None
        if known is None or known.options is not options:
            known = None
            check_write(options, self._service.capabilities, ref)
            check_digests(data, options, ref)
        asks = options.if_none_match is not None or options.if_match is not None
        if asks and not self._conditional:
            return self._put_first(ref, data, options)
        told = known or self._told(options)
        if told is None or self._alone:
            return self._put_alone(ref, data, options)
        return self._call(self._put_kept, self._put_kept_async, ref, (data, told))

    def put_plain(self, ref: Reference, data: Data) -> ObjectMeta:
        """Write bytes and nothing else, blocking, where obstore can (`puts_alone`)."""
        if not forks.ready:
            forks.check()
        key = ref.key
        try:
            answer = self._send(self._driver, key, data, use_multipart=False)
        except self._errors as error:
            raise self._container.fault(error, asked_by(ref, WRITE)) from error
        if self._skip:
            key = key[self._skip :]
        etag = answer[self._etag_name].strip('"')
        return ObjectMeta(self._root, key, len(data), time_ns(), etag)

    async def put_plain_async(self, ref: Reference, data: Data) -> ObjectMeta:
        """The same on a loop."""
        return await self._put_kept_async(ref, (data, _PLAIN))

    def _put_kept(self, ref: Reference, sent: tuple[Data, _Told]) -> ObjectMeta:
        if not forks.ready:
            forks.check()
        data, told = sent
        try:
            answer = self._send(
                self._driver,
                ref.key,
                data,
                attributes=told.attributes,
                tags=told.tags,
                mode=told.mode,
                use_multipart=False,
            )
        except self._errors as error:
            raise self._container.fault(error, asked_by(ref, told.options)) from error
        etag = answer[self._etag_name].strip('"')
        return self._written(ref, len(data), etag, told.options)

    async def _put_kept_async(self, ref: Reference, sent: tuple[Data, _Told]) -> ObjectMeta:
        forks.check()
        data, told = sent
        try:
            answer = await self._send_async(
                self._driver,
                ref.key,
                data,
                attributes=told.attributes,
                tags=told.tags,
                mode=told.mode,
                use_multipart=False,
            )
        except self._errors as error:
            raise self._container.fault(error, asked_by(ref, told.options)) from error
        etag = answer[self._etag_name].strip('"')
        return self._written(ref, len(data), etag, told.options)

    async def _put_first(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write the first object that asks for a condition."""
        await self._check_conditional()
        return await self.put(ref, data, options)

    async def _put_alone(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write an object without obstore."""
        etag = await self._container.run(self._service.put, ref, data, options)
        return self._written(ref, len(data), etag, options)

    def _told(self, options: WriteOptions) -> _Told | None:
        """What obstore is told beside the bytes; None when it cannot say all of it."""
        sent = self._service.attributes(options)
        if sent is None:
            return None
        attributes, tags = sent
        mode: str | dict[str, str] | None = None
        if options.if_none_match is not None:
            mode = "create"
        elif options.if_match is not None:
            mode = self._service.condition(options.if_match)
        return _Told(options, attributes or None, tags or None, mode)

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
        if not self._conditional:
            await self._container.run(self._service.check_conditional, self._container.root)
            self._conditional = True


def _digest_name(service: Service) -> str | None:
    """What a SHA-256 is kept under; None where obstore cannot write it."""
    sent = None if service.puts_alone else service.attributes(WriteOptions(sha256="0" * 64))
    return None if sent is None else next(iter(sent[0]))


def _keeps_digest_alone(options: WriteOptions, data: Data) -> bool:
    """Whether nothing is asked but to keep the SHA-256 that was taken from these very bytes."""
    return (
        type(options) is Hashed
        and options.data is data
        and options.sha256 is not None
        and not (options.metadata or options.tags)
        and options.content_type is None
        and options.storage_class is None
        and options.content_md5 is None
        and options.if_match is None
        and options.if_none_match is None
    )
