"""A cache with a folder, and a body that is too large for its memory."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from holdall.core.reference import Reference
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.layers.cache_disk import BLOCK_BYTES
from holdall.objects.options import GET, WRITE, GetOptions
from objects.layers.scripted import Mode, Scripted

LARGE = hashlib.shake_128(b"large").digest(3 * BLOCK_BYTES + 17)


class DiskShelf:
    """A cache with a folder, around a store whose large bodies come in pieces."""

    def __init__(self, mode: Mode, folder: Path, *, terse: bool = False, **settings: Any) -> None:
        self.mode = mode
        self.folder = folder
        self.settings = CacheSettings(
            max_bytes=100_000, disk=str(folder), ttl=timedelta(seconds=5), **settings
        )
        self.inner = Scripted(mode.runtime, terse=terse)
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is in memory."""
        self.cache = Cache(self.inner, self.settings, clock=self.mode.clock)

    def put(self, data: bytes) -> None:
        self.mode.run(self.cache.put(self.ref, data, WRITE))

    @property
    def ref(self) -> Reference:
        return self.inner.ref("k")

    @property
    def sent(self) -> list[str]:
        return [name for name in self.inner.operations if name in {"get", "head"}]

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.exists() else []

    def read(self, options: GetOptions = GET, size: int | None = None) -> bytes:
        self.inner.bodies.append([])

        async def all_of_it() -> bytes:
            stream = await self.cache.get(self.ref, options)
            if size is None:
                return await stream.read_all()
            chunks = []
            while chunk := await stream.read(size):
                chunks.append(chunk)
            await stream.close()
            return b"".join(chunks)

        return self.mode.run(all_of_it())
