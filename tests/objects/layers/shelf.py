"""A cache around a store that says what it was asked."""

from datetime import timedelta
from typing import Any

from holdall.objects.layers.cache import Cache, CacheSettings, CacheStats
from holdall.objects.options import (
    GET,
    WRITE,
    GetOptions,
    WriteOptions,
)
from holdall.objects.results import ObjectMeta, ObjectStream
from objects.layers.scripted import Mode, Scripted

TAGGED = WriteOptions(content_type="text/plain", metadata={"a": "1"}, tags={"t": "2"})


class Shelf:
    """A cache around a scripted store, which is also the door of another writer."""

    def __init__(self, mode: Mode, **settings: Any) -> None:
        self.mode = mode
        self.inner = Scripted(mode.runtime, terse=settings.pop("terse", False))
        seconds = settings.pop("ttl", 5)
        chosen = CacheSettings(ttl=timedelta(seconds=seconds), **settings)
        self.cache = Cache(self.inner, chosen, clock=mode.clock)

    def ref(self, key: str = "k") -> Any:
        return self.inner.ref(key)

    @property
    def stats(self) -> CacheStats:
        return self.cache.stats()

    @property
    def sent(self) -> list[str]:
        """The gets and heads that the store got."""
        return [name for name in self.inner.operations if name in {"get", "head"}]

    def put(self, data: bytes, key: str = "k", options: WriteOptions = WRITE) -> ObjectMeta:
        return self.mode.run(self.cache.put(self.ref(key), data, options))

    def foreign_put(self, data: bytes, key: str = "k", options: WriteOptions = WRITE) -> ObjectMeta:
        return self.mode.run(self.inner.inner.put(self.ref(key), data, options))

    def get(self, options: GetOptions = GET, key: str = "k") -> ObjectStream:
        return self.mode.run(self.cache.get(self.ref(key), options))

    def read(self, options: GetOptions = GET, key: str = "k") -> bytes:
        async def all_of_it() -> bytes:
            stream = await self.cache.get(self.ref(key), options)
            return await stream.read_all()

        return self.mode.run(all_of_it())

    def wait(self, seconds: float) -> None:
        self.mode.clock.now += seconds
