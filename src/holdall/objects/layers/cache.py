"""A cache: what was read a moment ago is answered from memory, or from a folder."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, final
from weakref import WeakValueDictionary

from holdall.core.errors import HoldallError, NotFound, Timeout
from holdall.objects.layers.cache_bodies import (
    CachedBytes,
    DiskStream,
    handed_out,
)
from holdall.objects.layers.cache_disk import Disk
from holdall.objects.layers.cache_entries import Entries, Entry, Fill
from holdall.objects.layers.cache_filling import Filling
from holdall.objects.layers.cache_flights import Flights, Taken
from holdall.objects.layers.cache_settings import CacheSettings, CacheStats
from holdall.objects.layers.layer import Call, Layer, Send
from holdall.objects.options import GET, HEAD, HEAD_TAGS, GetOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.layers.cache_disk import DiskWriter
    from holdall.objects.layers.cache_entries import Place
    from holdall.objects.results import ObjectMeta, ObjectStream

__all__ = ["Cache", "CacheSettings", "CacheStats"]

T = TypeVar("T")
R = TypeVar("R")

_CHANGES = frozenset({"put", "commit", "delete", "copy"})
_log = logging.getLogger("holdall.objects")


@final
class Cache(Layer):
    """Answers `get` and `head` from memory, for as long as what it has is recent enough.

    **How old an answer may be.** What a call answers was true at some moment at most `ttl` before
    the call began. An older entry is checked by a `head`: under the same etag its bytes are still
    served. With a `ttl` of 0 each call asks, and sees whatever was written before it began. What
    is written, deleted, copied or moved through this layer is forgotten before and after, also
    where that failed, so that who writes and reads through the same layer reads the newest.
    Another writer's change shows after `ttl` at the latest.

    With `if_match`, bytes that have this etag are served although the object may have changed
    meanwhile; for any other etag the store is asked.

    Only whole bodies are kept, with what is known of the object; where a `get` tells less of it
    than `head`, the first `head` after it asks the store. A range is cut out of a body that is
    here, and else read from the store. Many readers of one object share one request, that of a
    large one too while it is written to the disk; one that is cancelled disturbs no other. No
    error is kept, nor that there is no object: what was missing is often waited for. Listings are
    neither kept nor looked into.

    Args:
        inner: The store that it stands around.
        settings: See `CacheSettings`; the defaults when None.
        clock: Seconds that only grow; for tests.
    """

    name: ClassVar[str] = "cache"
    settings_type = CacheSettings

    def __init__(
        self,
        inner: ObjectStore,
        settings: Struct | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(inner, settings)
        mine = self._settings
        assert isinstance(mine, CacheSettings)
        self._on = mine.max_bytes > 0
        self._largest = mine.max_bytes // mine.share
        self._ttl = mine.ttl.total_seconds()
        self._clock = clock
        self._entries = Entries(mine.max_bytes)
        self._told_by_get = inner.capabilities.told_by_get
        self._disk = Disk(mine.disk, mine.disk_bytes) if mine.disk and mine.disk_bytes else None
        self._flights = Flights(self._entries, self._runtime, clock, self._ttl)
        self._fillings: WeakValueDictionary[Place, Filling] = WeakValueDictionary()
        self._guard = threading.Lock()
        self._misses = self._checks = self._write_errors = 0
        self._fetch_seconds = 0.0

    def stats(self) -> CacheStats:
        """What it has counted."""
        with self._guard:
            return CacheStats(
                hits=self._entries.hits,
                misses=self._misses,
                checks=self._checks,
                write_errors=self._write_errors,
                fetch_seconds=self._fetch_seconds,
                entries=len(self._entries),
                bytes=self._entries.size,
            )

    def clear(self) -> None:
        """Forget what is in memory. What is on the disk is served only after a check."""
        self._entries.clear()

    async def close(self) -> None:
        self._entries.clear()
        await super().close()

    # Not a coroutine itself, so that a hit costs one coroutine less.
    def around(self, call: Call[T], send: Send[T]) -> Coroutine[Any, Any, T]:
        if self._on:
            operation = call.operation
            if operation == "get":
                return cast("Coroutine[Any, Any, T]", self._get(call))
            if operation == "head":
                return cast("Coroutine[Any, Any, T]", self._head(call))
            if operation in _CHANGES:
                return self._change(call, send)
            if operation == "upload":
                return self._upload(call, send)
        return send(call)

    async def _get(self, call: Call[Any]) -> ObjectStream:
        ref, options = call.args
        place = (ref.key, ref.scheme, ref.container, ref.host)
        arrived = self._clock()
        entry = self._entries.body(place, arrived - self._ttl, options)
        if entry is None or entry.data is None:
            return await self._look_further(call, place, arrived)
        if options is GET:
            return CachedBytes(entry.meta, 0, entry.data, False)
        return _part(entry.meta, entry.data, ref, options)

    async def _head(self, call: Call[Any]) -> ObjectMeta:
        ref, options = call.args
        place = (ref.key, ref.scheme, ref.container, ref.host)
        arrived = self._clock()
        entry = self._entries.find(place, arrived - self._ttl, options.tags, told=True)
        if entry is not None:
            self._entries.hit()
        else:
            entry = await self._check(ref, place, options.tags, arrived)
            with self._guard:
                self._misses += 1
        return handed_out(entry.meta, options.tags)

    async def _upload(self, call: Call[T], send: Send[T]) -> T:
        return self.with_steps(call, await send(call))

    async def _change(self, call: Call[T], send: Send[T]) -> T:
        refs = call.refs
        if call.operation == "copy" and not call.args[2].move:
            refs = refs[1:]
        self._entries.drop(refs)
        try:
            return await send(call)
        finally:
            self._entries.drop(refs)
            if self._disk is not None:
                # What stays there is never served: its etag is not that of the object.
                with suppress(Timeout):
                    await self._runtime.call(self._disk.remove, None, *refs)

    async def _look_further(self, call: Call[Any], place: Place, arrived: float) -> ObjectStream:
        """Serve what is here after a check, or else read it from the store."""
        ref, options = call.args
        if await self._may_have(place, ref, options, self._entries.last(place)):
            entry = self._entries.find(place, arrived - self._ttl, options.tags)
            if entry is None:
                entry = await self._check(ref, place, options.tags, arrived)
            if entry.serves(options):
                body = await self._kept(place, ref, options, entry)
                if body is not None:
                    self._entries.hit()
                    return body
        if options.start or options.end is not None:
            return await self._send(call, self._clock())
        request = partial(self._take, call, place)
        taken = await self._flights.shared((place, options), ref, arrived, request)
        if taken is None:
            return await self._look_further(call, place, arrived)
        if taken.data is not None:
            if not taken.first():
                self._entries.hit()
            return CachedBytes(taken.meta, 0, taken.data, options.tags)
        stream = taken.first()
        if stream is not None:
            return stream
        filling = taken.filling()
        if filling is not None:
            self._entries.hit()
            return filling.join(handed_out(taken.meta, options.tags))
        return await self._send(call, self._clock())

    async def _may_have(
        self, place: Place, ref: Reference, options: GetOptions, entry: Entry | None
    ) -> bool:
        """Whether a check is worth its request, since the bytes asked for may be here."""
        if entry is not None:
            if options.if_match is not None and options.if_match != entry.meta.etag:
                return False
            if entry.data is not None:
                return True
            if entry.meta.size <= self._largest:
                return False
        if self._disk is None:
            return False
        on_disk = await self._runtime.call(self._disk.has, None, ref)
        return on_disk or place in self._fillings  # one may have begun while the disk was asked

    async def _kept(
        self, place: Place, ref: Reference, options: GetOptions, entry: Entry
    ) -> ObjectStream | None:
        """The body of an entry that was checked, from memory or disk; None where it is not here."""
        meta = entry.meta
        if entry.data is not None:
            return _part(meta, entry.data, ref, options)
        if self._disk is None or meta.etag is None:
            return None
        filling = self._fillings.get(place)
        if filling is not None and filling.serves(meta, options):
            return filling.join(handed_out(meta, options.tags))
        file = await self._runtime.call(self._disk.open, None, ref, meta)
        if file is None:
            return None
        start, end = options.span(meta.size, ref)
        known = handed_out(meta, options.tags)
        instead = partial(self._instead, ref, meta.etag)
        return DiskStream(known, start, end, file, self._runtime, instead)

    async def _instead(self, ref: Reference, etag: str, start: int, end: int) -> ObjectStream:
        """Read from the store what is damaged on the disk."""
        assert self._disk is not None
        await self._runtime.call(self._disk.remove, None, ref)
        return await self._rest(ref, etag, start, end)

    async def _rest(self, ref: Reference, etag: str, start: int, end: int) -> ObjectStream:
        """Read a part of one version from the store."""
        return await self._inner.get(ref, GetOptions(start=start, end=end, if_match=etag))

    async def _check(self, ref: Reference, place: Place, tags: bool, arrived: float) -> Entry:
        """Ask the store what is known of an object now; bytes of the same etag stay."""

        async def ask(fill: Fill) -> Entry:
            with self._guard:
                self._checks += 1
            try:
                meta = await self._inner.head(ref, HEAD_TAGS if tags else HEAD)
            except NotFound:
                self._entries.gone(fill, place)
                raise
            return self._entries.keep(fill, place, meta, None, tags, True)

        entry = None
        while entry is None:
            entry = await self._flights.shared((place, tags), ref, arrived, ask)
        return entry

    async def _take(self, call: Call[Any], place: Place, fill: Fill) -> Taken:
        """Read an object from the store, and keep it if it is small enough."""
        ref, options = call.args
        stream = await self._send(call, fill.begun)
        meta, data = stream.meta, stream.whole
        if data is None and stream.length <= self._largest:
            data = await stream.read_all()
        small = data is not None and len(data) == meta.size <= self._largest
        kept = data if small else None
        self._entries.keep(fill, place, meta, kept, options.tags, self._told_by_get)
        filling = None if small else await self._fill(place, ref, stream, fill)
        if filling is not None:
            stream = filling.join(meta)
            if data is not None:
                await stream.read_all()
        return Taken(meta, data, stream, filling)

    async def _fill(
        self, place: Place, ref: Reference, stream: ObjectStream, fill: Fill
    ) -> Filling | None:
        """Let a large body be kept on the disk, where there is one, while it is read."""
        etag = stream.meta.etag
        if self._disk is None or etag is None:
            return None
        # Begun before the old one is looked at, so that no change falls between them.
        keeping = self._entries.begin(ref, self._clock())
        try:
            writer = await self._runtime.call(self._disk.write, None, ref, stream.meta)
        except BaseException as error:
            self._entries.end(keeping)
            # A time-out is an OSError too, and says nothing of the disk.
            if not isinstance(error, OSError) or isinstance(error, HoldallError):
                await stream.close()  # the error would hold it open
                raise
            self._not_written(error)
            return None
        if writer is None or fill.dropped:
            self._entries.end(keeping)
            return None

        def ended(written: DiskWriter | None) -> None:
            try:
                if written is not None and not keeping.dropped:
                    written.finish()
            finally:
                self._entries.forget(keeping)

        rest = partial(self._rest, ref, etag)
        filling = Filling(stream, writer, self._runtime, ended, self._not_written, rest)
        self._fillings[place] = filling
        return filling

    def _not_written(self, error: OSError) -> None:
        with self._guard:
            self._write_errors += 1
            first = self._write_errors == 1
        if first:
            _log.warning("the cache of %s cannot write to the disk: %s", self._root, error)

    async def _send(self, call: Call[R], begun: float) -> R:
        """Send a get to the store."""
        with self._guard:
            self._misses += 1
        answer: R = await self._onward(call)
        seconds = self._clock() - begun
        with self._guard:
            self._fetch_seconds += seconds
        return answer


def _part(meta: ObjectMeta, data: bytes, ref: Reference, options: GetOptions) -> CachedBytes:
    """Cut out of a whole body what the options ask for."""
    start, end = options.span(len(data), ref)
    return CachedBytes(meta, start, data[start:end], options.tags)
