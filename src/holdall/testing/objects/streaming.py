"""Facts about writing from streams, and about writers."""

from __future__ import annotations

import gc
import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, Corrupt, NotFound
from holdall.testing.objects.asking import keys_of, needs, uploads_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from holdall.objects.async_data_store import AsyncDataStore

_CHUNKS = [b"one ", b"", b"two ", b"three"]
_WHOLE = b"one two three"


class _AsyncReader:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int) -> bytes:
        return self._file.read(size)


async def _async_chunks() -> AsyncIterator[bytes]:
    for chunk in _CHUNKS:
        yield chunk


_SOURCES: dict[str, Callable[[], Any]] = {
    "reader": lambda: io.BytesIO(_WHOLE),
    "asynchronous reader": lambda: _AsyncReader(_WHOLE),
    "list": lambda: list(_CHUNKS),
    "iterator": lambda: iter(_CHUNKS),
    "asynchronous iterator": _async_chunks,
    "views": lambda: [memoryview(_WHOLE)[:4], bytearray(_WHOLE[4:])],
}


def _keyword(name: str, value: Any) -> Any:
    return {name: value}


class _Broken(Exception):
    """What a source raises in the middle."""


def _breaking() -> Iterator[bytes]:
    yield b"first part, "
    yield b"second part, "
    raise _Broken


async def _breaking_later() -> AsyncIterator[bytes]:
    for chunk in _breaking():
        yield chunk


async def _write_and_break(store: AsyncDataStore) -> None:
    async with await store.open_writer("a") as writer:
        await writer.write(b"x" * 3_000_000)
        raise _Broken


class StreamFacts(Facts):
    """Facts about `write` with streams, and `open_writer`."""

    @pytest.mark.parametrize("kind", _SOURCES)
    async def test_every_kind_of_source_is_written(self, store: AsyncDataStore, kind: str) -> None:
        meta = await store.write("a/b", _SOURCES[kind]())
        assert (meta.key, meta.size) == ("a/b", len(_WHOLE))
        assert await store.read("a/b") == _WHOLE

    @pytest.mark.parametrize("kind", _SOURCES)
    async def test_a_source_of_the_announced_size_is_written(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        await store.write("a", _SOURCES[kind](), size=len(_WHOLE))
        assert await store.read("a") == _WHOLE

    async def test_a_source_without_bytes_makes_an_empty_object(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", io.BytesIO())
        await store.write("b", [], size=0)
        assert [await store.read("a"), await store.read("b")] == [b"", b""]

    async def test_a_source_longer_than_a_part_is_written(self, store: AsyncDataStore) -> None:
        chunk = bytes(range(250)) * 1000
        await store.write("a", (chunk for _ in range(40)))
        digest = hashlib.sha256()
        async for piece in store.stream("a", chunk_size=100_003):
            assert 0 < len(piece) <= 100_003
            digest.update(piece)
        assert digest.digest() == hashlib.sha256(chunk * 40).digest()

    async def test_a_chunk_longer_than_a_part_is_written(self, store: AsyncDataStore) -> None:
        chunk = bytes(range(251)) * 36_000
        await store.write("a", [b"<", chunk, b">"])
        assert await store.read("a") == b"<" + chunk + b">"

    @pytest.mark.parametrize("kind", _SOURCES)
    async def test_a_source_that_ends_early_makes_no_object(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        with pytest.raises(Corrupt):
            await store.write("a", _SOURCES[kind](), size=len(_WHOLE) + 1)
        assert not await store.exists("a")
        assert await keys_of(store) == []

    async def test_a_source_that_ends_early_leaves_the_old_object(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", b"old")
        with pytest.raises(Corrupt):
            await store.write("a", [b"new"], size=4)
        assert await store.read("a") == b"old"

    async def test_what_came_of_a_source_that_ended_early_can_be_gone_on_with(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.resume == "staged", "staged uploads")
        with pytest.raises(Corrupt):
            await store.write("a", [_WHOLE[:5]], size=len(_WHOLE))
        (info,) = await uploads_of(store)
        assert (info.key, info.offset) == ("a", 5)
        upload = await self.another().upload("a", resume=info.id)
        await upload.write(_WHOLE[5:])
        await upload.commit(len(_WHOLE), hashlib.sha256(_WHOLE).hexdigest())
        assert await store.read("a") == _WHOLE
        assert await uploads_of(store) == []

    async def test_a_source_that_ends_early_leaves_no_upload_where_none_can_be_resumed(
        self, store: AsyncDataStore
    ) -> None:
        if store.capabilities.resume != "none":
            pytest.skip("the store can go on with uploads")
        with pytest.raises(Corrupt):
            await store.write("a", [_WHOLE[:5]], size=len(_WHOLE))
        assert await uploads_of(store) == []

    @pytest.mark.parametrize("kind", _SOURCES)
    async def test_a_source_that_is_too_long_makes_no_object(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        with pytest.raises(Corrupt):
            await store.write("a", _SOURCES[kind](), size=len(_WHOLE) - 1)
        assert not await store.exists("a")

    @pytest.mark.parametrize("source", [_breaking, _breaking_later])
    async def test_a_source_that_raises_publishes_nothing(
        self, store: AsyncDataStore, source: Callable[[], Any]
    ) -> None:
        with pytest.raises(_Broken):
            await store.write("a", source())
        assert not await store.exists("a")
        assert await keys_of(store) == []

    @pytest.mark.parametrize("source", [_breaking, _breaking_later])
    async def test_a_source_that_raises_leaves_the_old_object(
        self, store: AsyncDataStore, source: Callable[[], Any]
    ) -> None:
        old = await store.write("a", b"old")
        with pytest.raises(_Broken):
            await store.write("a", source())
        assert await store.read("a", if_match=old.etag) == b"old"

    @pytest.mark.parametrize(("name", "digits"), [("content_md5", 32), ("sha256", 64)])
    async def test_a_wrong_digest_of_a_source_publishes_nothing(
        self, store: AsyncDataStore, name: str, digits: int
    ) -> None:
        await store.write("a", b"old")
        with pytest.raises(Corrupt):
            await store.write("a", list(_CHUNKS), **_keyword(name, "0" * digits))
        assert await store.read("a") == b"old"

    async def test_a_right_digest_of_a_source_is_reported(self, store: AsyncDataStore) -> None:
        digest = hashlib.sha256(_WHOLE).hexdigest()
        await store.write("a", list(_CHUNKS), sha256=digest)
        assert (await store.stat("a")).sha256 == digest

    async def test_what_is_kept_with_a_source_comes_back(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        metadata = {"large": "x" * 1500, "unicode": "日本語"}
        await store.write("a", list(_CHUNKS), metadata=metadata)
        assert (await store.stat("a")).metadata == metadata

    async def test_a_source_that_only_creates_replaces_nothing(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        await store.write("a", b"old")
        with pytest.raises(AlreadyExists):
            await store.write("a", list(_CHUNKS), if_none_match="*")
        assert await store.read("a") == b"old"

    # Writers

    async def test_a_writer_publishes_at_the_end_of_its_block(self, store: AsyncDataStore) -> None:
        async with await store.open_writer("a") as writer:
            await writer.write(b"one ")
            await writer.write(b"two")
            assert writer.tell() == 7
            assert not await store.exists("a")
        assert await store.read("a") == b"one two"
        assert writer.meta is not None
        assert writer.meta.size == 7

    async def test_a_writer_of_nothing_publishes_an_empty_object(
        self, store: AsyncDataStore
    ) -> None:
        async with await store.open_writer("a"):
            pass
        assert await store.read("a") == b""

    async def test_a_writer_of_much_publishes_all_of_it(self, store: AsyncDataStore) -> None:
        chunk = bytes(range(250)) * 1000
        async with await store.open_writer("a") as writer:
            for _ in range(40):
                await writer.write(chunk)
        assert await store.read("a") == chunk * 40

    async def test_an_exception_in_the_block_of_a_writer_publishes_nothing(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", b"old")
        with pytest.raises(_Broken):
            await _write_and_break(store)
        assert await store.read("a") == b"old"
        assert await uploads_of(store) == []

    async def test_a_writer_that_is_dropped_publishes_nothing(self, store: AsyncDataStore) -> None:
        writer: Any = await store.open_writer("a")
        await writer.write(b"x" * 3_000_000)
        del writer
        gc.collect()
        assert not await store.exists("a")
        assert await keys_of(store) == []

    async def test_a_writer_that_was_aborted_publishes_nothing(self, store: AsyncDataStore) -> None:
        async with await store.open_writer("a") as writer:
            await writer.write(b"data")
            await writer.abort()
        assert not await store.exists("a")
        assert await uploads_of(store) == []

    async def test_a_writer_commits_early_and_then_is_closed(self, store: AsyncDataStore) -> None:
        async with await store.open_writer("a") as writer:
            await writer.write(b"data")
            meta = await writer.commit(4, hashlib.sha256(b"data").hexdigest())
            assert meta.size == 4
            assert writer.closed
            with pytest.raises(ValueError, match="closed"):
                await writer.write(b"more")
        assert await store.read("a") == b"data"

    async def test_a_writer_with_a_wrong_digest_publishes_nothing(
        self, store: AsyncDataStore
    ) -> None:
        with pytest.raises(Corrupt):
            async with await store.open_writer("a", sha256="0" * 64) as writer:
                await writer.write(b"data")
        with pytest.raises(NotFound):
            await store.stat("a")

    async def test_a_writer_that_only_creates_replaces_nothing(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        writer = await store.open_writer("a", if_none_match="*")
        await writer.write(b"new")
        await store.write("a", b"old")
        with pytest.raises(AlreadyExists):
            async with writer:
                pass
        assert await store.read("a") == b"old"
