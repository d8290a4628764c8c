"""Reading: one request for a small body, a stream for a large one, several to have all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from msgspec import structs

from holdall.core.errors import (
    HoldallError,
    InvalidRange,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from holdall.core.runtime.blocking import drive
from holdall.objects.backends.cloud import forks
from holdall.objects.backends.cloud.bodies import CloudBytes, CloudStream
from holdall.objects.backends.cloud.faults import Asked
from holdall.objects.backends.cloud.service import Known
from holdall.objects.integrity import check_conditions
from holdall.objects.options import GET, PART_BYTES
from holdall.objects.results import BytesStream, ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.container import Container
    from holdall.objects.options import GetOptions

_EAGER_BYTES = 1024 * 1024  # a body of up to this size comes with the answer
_PARALLEL_BYTES = 4 * PART_BYTES  # a body above this is read by several requests at once
# What obstore names, of a service that answers with no part of an object.
_NO_PART = ("NotPartial", "ParseContentRange")
_MOST_RACES = 20


@final
class Reader:
    """Reads objects of one container."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._service = container.service
        self._runtime = container.runtime
        # At hand, since finding them takes as long as all else that a small read costs.
        self._driver = container.service.driver
        self._ask, self._ask_async = container.obstore.get, container.obstore.get_async
        self._describe = container.answered

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        """Open a body; as `ObjectStore.get`."""
        if options.start or options.end is not None or options.if_match is not None or options.tags:
            return self._get(ref, options)
        # The most frequent case: all of an object, and no coroutine where none is needed.
        return self._runtime.call_two(self.get_all, self.get_all_async, ref, options)

    def get_all(self, ref: Reference, options: GetOptions) -> ObjectStream:
        """Open the body of a whole object, blocking, of which no tags are asked for."""
        if not forks.ready:
            forks.check()
        try:
            answer = self._ask(self._driver, ref.key)
            if answer.range[1] <= _EAGER_BYTES and (options is GET or self._takes(answer, options)):
                return CloudBytes(answer.bytes().to_bytes(), answer, self._describe)
        except self._container.errors as error:
            raise drive(self._fault(ref, None, error)) from error
        return self._stream_all(ref, answer, options)

    async def get_all_async(self, ref: Reference, options: GetOptions) -> ObjectStream:
        """The same on a loop."""
        if not forks.ready:
            forks.check()
        try:
            answer = await self._ask_async(self._driver, ref.key)
            if answer.range[1] <= _EAGER_BYTES and (options is GET or self._takes(answer, options)):
                body = (await answer.bytes_async()).to_bytes()
                return CloudBytes(body, answer, self._describe)
        except self._container.errors as error:
            raise await self._fault(ref, None, error) from error
        return self._stream_all(ref, answer, options)

    @staticmethod
    def _takes(answer: Any, options: GetOptions) -> bool:
        return not options.max_size or bool(answer.range[1] <= options.max_size)

    def _stream_all(self, ref: Reference, answer: Any, options: GetOptions) -> CloudStream:
        meta = self._describe(answer)
        start, end = options.span(meta.size, ref)
        return self._stream(ref, meta, start, end, answer)

    async def _get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        for _ in range(_MOST_RACES):
            stream = await self._once(ref, options)
            if stream is not None:
                return stream
        raise _restless(ref)

    async def _once(self, ref: Reference, options: GetOptions) -> ObjectStream | None:
        """Open a body; None where the object was replaced between two requests about it."""
        asked: tuple[int, int] | dict[str, int] | None = None
        if options.start or options.end is not None:
            asked = self._service.range_of(options)
            if asked is None:
                # The service cannot be asked for this range before the size is known.
                known = await self._container.run(self._service.head, ref)
                asked = start, end = _span(known, ref, options)
                if start == end:
                    return await self._nothing(ref, options, known, start)
        return await self._open(ref, options, asked)

    async def _open(self, ref: Reference, options: GetOptions, asked: Any) -> ObjectStream | None:
        forks.check()
        wanted: dict[str, Any] = {}
        if asked is not None:
            wanted["range"] = asked
        if options.if_match is not None and not self._service.reads_replaced:
            wanted.update(self._service.read_condition(options.if_match))
        try:
            answer = await self._runtime.call(
                self._container.get, self._container.get_async, ref.key, wanted or None
            )
        except self._container.errors as error:
            return await self._outside(ref, options, error)
        meta = self._container.answered(answer)
        if options.if_match is not None:
            check_conditions(meta.etag, options.if_match, None, ref)
        start, end = options.span(meta.size, ref)
        if answer.range != (start, end):
            return None  # the range was made for another size
        stream: ObjectStream = self._stream(ref, meta, start, end, answer)
        if end - start <= _EAGER_BYTES:
            # Piece by piece: a service may send more than it announces, which is cut then.
            stream = BytesStream(meta, start, await stream.read_all())
        if not options.tags:
            return stream
        metadata = dict(answer.attributes.items())
        known = Known(ref.key, meta.size, meta.modified_ns, meta.etag or "", metadata=metadata)
        return await self._tagged(ref, stream, known)

    async def _nothing(
        self, ref: Reference, options: GetOptions, known: Known, start: int
    ) -> ObjectStream | None:
        stream = BytesStream(self._container.described(known), start, b"")
        return await self._tagged(ref, stream, known) if options.tags else stream

    async def _tagged(
        self, ref: Reference, stream: ObjectStream, known: Known
    ) -> ObjectStream | None:
        """The same body with the tags of the object; None where they are of another write."""
        tags = await self._tags(ref, known)
        if tags is None:
            await stream.close()
            return None
        stream.meta = structs.replace(stream.meta, tags=tags)
        return stream

    async def head_tagged(self, ref: Reference) -> ObjectMeta:
        """Answer what is known of an object with its tags, all of one write."""
        for _ in range(_MOST_RACES):
            known = await self._container.run(self._service.head, ref)
            tags = await self._tags(ref, known)
            if tags is not None:
                return self._container.described(known, tags)
        raise _restless(ref)

    async def _tags(self, ref: Reference, known: Known) -> dict[str, str] | None:
        """The tags of an object; None where it was replaced since that was known of it."""
        tags = await self._container.run(self._service.tags, ref, known)
        if not self._service.tags_apart:
            return tags
        # They name no object that they are of, so that it is looked at once more.
        now = await self._container.run(self._service.head, ref)
        same = (now.etag, now.modified_ns) == (known.etag, known.modified_ns)
        return tags if same else None

    async def _outside(
        self, ref: Reference, options: GetOptions, error: Exception
    ) -> ObjectStream | None:
        """Nothing, where a range of nothing was refused; None where the object has it by now."""
        fault = await self._fault(ref, options.if_match, error)
        refused = isinstance(fault, InvalidRange)
        # What services answer to whoever wants the last bytes of an object that has none.
        if refused or (options.start < 0 and any(one in str(error) for one in _NO_PART)):
            known = await self._container.run(self._service.head, ref)
            if refused or not known.size:
                start, end = _span(known, ref, options)
                if start < end:
                    return None
                return await self._nothing(ref, options, known, start)
        raise fault from error

    async def _fault(self, ref: Reference, etag: str | None, error: Exception) -> HoldallError:
        """What an error of obstore means.

        Args:
            ref: What was asked for.
            etag: Which one of it; None for any.
            error: What obstore raised.
        """
        fault = self._container.fault(error, Asked(ref, conditional=etag is not None))
        if isinstance(fault, NotFound):
            await self._container.look_once()
        if etag is not None and isinstance(fault, (NotFound, PreconditionFailed)):
            # Some services say the one for the other: there is none, or there is another.
            known = await self._container.run(self._service.head, ref)
            check_conditions(known.etag, etag, None, ref)
        return fault

    def _stream(
        self, ref: Reference, meta: ObjectMeta, start: int, end: int, answer: Any
    ) -> CloudStream:
        length = end - start

        def fault_of(error: Exception) -> HoldallError:
            return self._container.fault(error, Asked(ref))

        async def rest() -> bytes:
            return await self._read_parallel(ref, meta, start, end)

        return CloudStream(
            meta,
            start,
            length,
            answer,
            self._runtime,
            self._container.errors,
            fault_of,
            rest if length > _PARALLEL_BYTES and self._container.workers > 1 else None,
        )

    async def _read_parallel(self, ref: Reference, meta: ObjectMeta, start: int, end: int) -> bytes:
        """Read a large body by several requests at once, all of the same object."""
        whole = bytearray(end - start)
        condition = self._service.read_condition(meta.etag or "")

        async def read(at: int) -> None:
            last = min(at + PART_BYTES, end)
            try:
                wanted = {"range": (at, last), **condition}
                answer = await self._runtime.call(
                    self._container.get, self._container.get_async, ref.key, wanted
                )
                data = await self._runtime.call(answer.bytes, answer.bytes_async)
            except self._container.errors as error:
                raise await self._fault(ref, meta.etag or "", error) from error
            if len(data) != last - at:
                raise Unavailable(
                    f"{ref}: {last - at} bytes were announced, and {len(data)} came", reference=ref
                )
            whole[at - start : last - start] = data

        async for _ in self._runtime.map(
            read, range(start, end, PART_BYTES), self._container.workers
        ):
            pass
        return bytes(whole)


def _span(known: Known, ref: Reference, options: GetOptions) -> tuple[int, int]:
    """As `GetOptions.span`, of an object that must have the etag that was asked for."""
    if options.if_match is not None:
        check_conditions(known.etag, options.if_match, None, ref)
    return options.span(known.size, ref)


def _restless(ref: Reference) -> Unavailable:
    return Unavailable(f"{ref} is replaced faster than it can be read", reference=ref)
