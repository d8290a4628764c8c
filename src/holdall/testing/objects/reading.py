"""Facts about reading, and about asking for what is known of an object."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import InvalidRange, LimitExceeded, NotFound, PreconditionFailed
from holdall.objects.options import GET, GetOptions
from holdall.testing.objects.asking import needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore

_DIGITS = b"0123456789"
_LARGE = bytes(range(256)) * 12_000  # 3 MB: too much to come with the first answer


class _AsyncSink:
    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data


class ReadFacts(Facts):
    """Facts about `read`, `stream`, `open_reader`, `read_into`, `stat`, `exists` and `size`."""

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, None), (0, 10), (0, 3), (3, None), (3, 7), (9, None), (9, 10), (4, 4), (0, 0)],
    )
    async def test_a_range_is_read(self, store: AsyncDataStore, start: int, end: int) -> None:
        await store.write("a", _DIGITS)
        assert await store.read("a", start=start, end=end) == _DIGITS[start:end]

    @pytest.mark.parametrize("start", [-1, -3, -10])
    async def test_a_start_below_0_counts_from_the_end(
        self, store: AsyncDataStore, start: int
    ) -> None:
        await store.write("a", _DIGITS)
        assert await store.read("a", start=start) == _DIGITS[start:]

    async def test_a_start_from_the_end_can_have_an_end(self, store: AsyncDataStore) -> None:
        await store.write("a", _DIGITS)
        assert await store.read("a", start=-4, end=8) == b"67"

    @pytest.mark.parametrize("start", [0, 7])
    async def test_an_end_past_the_end_is_clipped(self, store: AsyncDataStore, start: int) -> None:
        await store.write("a", _DIGITS)
        assert await store.read("a", start=start, end=1000) == _DIGITS[start:]

    @pytest.mark.parametrize(
        ("start", "end"), [(10, None), (11, None), (11, 20), (10, 20), (-11, None), (5, 3)]
    )
    async def test_a_range_outside_of_the_object_is_refused(
        self, store: AsyncDataStore, start: int, end: int
    ) -> None:
        await store.write("a", _DIGITS)
        with pytest.raises(InvalidRange):
            await store.read("a", start=start, end=end)

    async def test_only_0_is_inside_of_an_empty_object(self, store: AsyncDataStore) -> None:
        await store.write("a", b"")
        assert await store.read("a", start=0) == b""
        assert await store.read("a", start=0, end=5) == b""
        with pytest.raises(InvalidRange):
            await store.read("a", start=1)

    @pytest.mark.parametrize("start", [0, 1, 1_500_000, -5, -2_000_000])
    async def test_a_range_of_a_large_object_is_read(
        self, store: AsyncDataStore, start: int
    ) -> None:
        await store.write("a", _LARGE)
        assert await store.read("a", start=start) == _LARGE[start:]

    @pytest.mark.parametrize("limit", [1, 9])
    async def test_more_than_max_size_is_refused(self, store: AsyncDataStore, limit: int) -> None:
        await store.write("a", _DIGITS)
        with pytest.raises(LimitExceeded):
            await store.read("a", max_size=limit)

    async def test_what_fits_max_size_is_read(self, store: AsyncDataStore) -> None:
        await store.write("a", _DIGITS)
        assert await store.read("a", max_size=10) == _DIGITS
        assert await store.read("a", max_size=0) == _DIGITS
        assert await store.read("a", start=2, end=5, max_size=3) == b"234"

    async def test_a_read_of_the_same_object_is_answered(self, store: AsyncDataStore) -> None:
        meta = await store.write("a", _DIGITS)
        assert await store.read("a", if_match=meta.etag) == _DIGITS

    async def test_a_read_of_another_object_is_refused(self, store: AsyncDataStore) -> None:
        meta = await store.write("a", _DIGITS)
        await store.write("a", _DIGITS[::-1])
        with pytest.raises(PreconditionFailed):
            await store.read("a", if_match=meta.etag)
        with pytest.raises(PreconditionFailed):
            await store.read("a", start=1, if_match=meta.etag)

    async def test_a_read_of_what_is_missing_finds_nothing(self, store: AsyncDataStore) -> None:
        with pytest.raises(NotFound) as caught:
            await store.read("a/b")
        assert isinstance(caught.value, FileNotFoundError)
        assert caught.value.reference == store.reference("a/b")

    async def test_a_condition_on_what_is_missing_finds_nothing(
        self, store: AsyncDataStore
    ) -> None:
        with pytest.raises(NotFound):
            await store.read("a", if_match="x")

    # Bodies

    async def test_a_stream_comes_in_chunks(self, store: AsyncDataStore) -> None:
        await store.write("a", _DIGITS)
        chunks = [chunk async for chunk in store.stream("a", chunk_size=4)]
        assert b"".join(chunks) == _DIGITS
        assert all(0 < len(chunk) <= 4 for chunk in chunks)

    @pytest.mark.parametrize("chunk_size", [100_003, 8_000_000])
    async def test_a_stream_of_a_large_object_is_whole(
        self, store: AsyncDataStore, chunk_size: int
    ) -> None:
        await store.write("a", _LARGE)
        chunks = [chunk async for chunk in store.stream("a", chunk_size=chunk_size)]
        assert b"".join(chunks) == _LARGE
        assert max(map(len, chunks)) <= chunk_size

    async def test_a_stream_of_a_range_is_that_range(self, store: AsyncDataStore) -> None:
        await store.write("a", _LARGE)
        chunks = [chunk async for chunk in store.stream("a", start=7, end=-7 + len(_LARGE))]
        assert b"".join(chunks) == _LARGE[7:-7]

    async def test_a_stream_of_an_empty_object_has_no_chunks(self, store: AsyncDataStore) -> None:
        await store.write("a", b"")
        assert [chunk async for chunk in store.stream("a")] == []

    async def test_a_stream_of_what_is_missing_finds_nothing(self, store: AsyncDataStore) -> None:
        with pytest.raises(NotFound):
            _ = [chunk async for chunk in store.stream("a")]

    async def test_a_reader_reads_and_knows_its_object(self, store: AsyncDataStore) -> None:
        meta = await store.write("a", _LARGE)
        async with await store.open_reader("a") as reader:
            assert (reader.meta.key, reader.meta.size) == ("a", len(_LARGE))
            assert reader.meta.etag == meta.etag
            first = await reader.read(10)
            assert 0 < len(first) <= 10
            assert first + await reader.read_all() == _LARGE

    async def test_a_reader_of_what_is_missing_finds_nothing(self, store: AsyncDataStore) -> None:
        with pytest.raises(NotFound):
            await store.open_reader("a")

    @pytest.mark.parametrize("size", [10, 3_000_000])
    async def test_a_body_says_where_it_begins_and_how_long_it_is(
        self, store: AsyncDataStore, size: int
    ) -> None:
        ref = (await store.write("a", b"x" * size)).ref
        stream = await store.store.get(ref, GetOptions(start=-8))
        async with stream:
            assert (stream.start, stream.length, stream.meta.size) == (size - 8, 8, size)
        stream = await store.store.get(ref, GET)
        async with stream:
            assert (stream.start, stream.length) == (0, size)

    async def test_a_body_is_empty_at_its_end_and_stays_so(self, store: AsyncDataStore) -> None:
        ref = (await store.write("a", _LARGE)).ref
        stream = await store.store.get(ref, GET)
        async with stream:
            while await stream.read(1_000_000):
                pass
            assert await stream.read(1_000_000) == b""

    async def test_a_body_may_be_closed_twice(self, store: AsyncDataStore) -> None:
        ref = (await store.write("a", _LARGE)).ref
        stream = await store.store.get(ref, GET)
        await stream.read(5)
        await stream.close()
        await stream.close()

    async def test_a_body_knows_tags_only_where_they_are_asked_for(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.tags, "tags")
        ref = (await store.write("a", b"data", tags={"b": "c"})).ref
        async with await store.store.get(ref, GetOptions(tags=True)) as asked:
            assert asked.meta.tags == {"b": "c"}
        async with await store.store.get(ref, GET) as stream:
            assert stream.meta.tags is None

    @pytest.mark.parametrize("size", [10, 3_000_000])
    async def test_a_body_tells_of_its_object_what_stat_does(
        self, store: AsyncDataStore, size: int
    ) -> None:
        can = store.capabilities
        needs(can.told_by_get, "gets that tell all of an object")
        data = b"x" * size
        await store.write(
            "a",
            data,
            content_type="text/plain" if can.content_type else None,
            metadata={"b": "c"} if can.metadata else None,
            content_md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(data).hexdigest(),
            storage_class="COLD" if can.storage_class else None,
        )
        async with await store.store.get(store.reference("a"), GET) as stream:
            assert stream.meta == await store.stat("a")

    async def test_an_object_is_read_into_a_writer(self, store: AsyncDataStore) -> None:
        await store.write("a", _LARGE)
        sink = io.BytesIO()
        assert await store.read_into("a", sink) == len(_LARGE)
        assert sink.getvalue() == _LARGE

    async def test_an_object_is_read_into_an_asynchronous_writer(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", _LARGE)
        sink = _AsyncSink()
        assert await store.read_into("a", sink) == len(_LARGE)
        assert sink.data == _LARGE

    @pytest.mark.parametrize("offset", [0, 4, 9])
    async def test_an_object_is_read_into_a_writer_from_an_offset(
        self, store: AsyncDataStore, offset: int
    ) -> None:
        await store.write("a", _DIGITS)
        sink = io.BytesIO()
        assert await store.read_into("a", sink, offset=offset) == 10 - offset
        assert sink.getvalue() == _DIGITS[offset:]

    @pytest.mark.parametrize("offset", [-1, 10, 11])
    async def test_an_offset_outside_of_the_object_is_refused(
        self, store: AsyncDataStore, offset: int
    ) -> None:
        await store.write("a", _DIGITS)
        sink = io.BytesIO()
        with pytest.raises(InvalidRange):
            await store.read_into("a", sink, offset=offset)
        assert sink.getvalue() == b""

    async def test_offset_0_of_an_empty_object_reads_nothing(self, store: AsyncDataStore) -> None:
        await store.write("a", b"")
        assert await store.read_into("a", io.BytesIO(), offset=0) == 0

    # Asking

    async def test_what_is_missing_does_not_exist(self, store: AsyncDataStore) -> None:
        assert not await store.exists("a/b")
        assert await store.size("a/b") is None
        with pytest.raises(NotFound) as caught:
            await store.stat("a/b")
        assert isinstance(caught.value, FileNotFoundError)

    async def test_what_is_there_exists(self, store: AsyncDataStore) -> None:
        await store.write("a/b", _DIGITS)
        assert await store.exists("a/b")
        assert await store.size("a/b") == 10
        assert (await store.stat("a/b")).size == 10

    async def test_a_folder_is_no_object(self, store: AsyncDataStore) -> None:
        await store.write("a/b/c", _DIGITS)
        for folder in ("a", "a/b"):
            assert not await store.exists(folder)
            for ask in (store.read, store.stat, store.open_reader):
                with pytest.raises(NotFound):
                    await ask(folder)

    async def test_what_is_below_an_object_does_not_exist(self, store: AsyncDataStore) -> None:
        await store.write("a", _DIGITS)
        assert not await store.exists("a/b")
        with pytest.raises(NotFound):
            await store.read("a/b/c")
