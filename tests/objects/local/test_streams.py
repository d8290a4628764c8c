"""Facts about bodies that are read from an open file."""

import asyncio
import os
import time
from pathlib import Path

import pytest

import holdall
from holdall.core.errors import Corrupt, NotFound, Timeout
from holdall.core.runtime.blocking import drive
from holdall.objects.options import COPY, GET, WRITE, GetOptions
from objects.local.conftest import OpenStore, descriptors, left_over

SIZE = 3_000_000


@pytest.fixture
def store(open_store: OpenStore) -> holdall.DataStore:
    store = open_store()
    store.write("large", bytes(range(256)) * (SIZE // 256) + b"\0" * (SIZE % 256))
    return store


def test_a_file_cut_while_it_is_streamed_is_an_error(store: holdall.DataStore, place: Path) -> None:
    chunks = iter(store.stream("large", chunk_size=1_000_000))
    assert len(next(chunks)) == 1_000_000
    os.truncate(place / "large", 1_500_000)
    assert len(next(chunks)) == 500_000
    with pytest.raises(Corrupt, match="changed the file in place"):
        next(chunks)


def test_a_steady_body_that_nobody_changes_comes_whole(store: holdall.DataStore) -> None:
    store.write("small", b"bytes")
    stream = drive(store.store.get(store.reference("small"), GetOptions(steady=True)))
    assert stream.whole == b"bytes"


def test_a_steady_body_that_changes_while_it_is_read_comes_in_pieces(
    store: holdall.DataStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("small", b"bytes")
    real = os.pread

    def changing(*args: int) -> bytes:
        data = real(*args)
        os.utime(place / "small", (5, 5))
        return data

    monkeypatch.setattr(os, "pread", changing)
    stream = drive(store.store.get(store.reference("small"), GetOptions(steady=True)))
    assert stream.whole is None
    assert drive(stream.read_all()) == b"bytes"


def test_a_stream_that_is_left_is_closed(store: holdall.DataStore) -> None:
    before = descriptors()
    for _ in store.stream("large", chunk_size=1000):
        break
    assert descriptors() == before


def test_a_reader_that_is_dropped_is_closed(store: holdall.DataStore) -> None:
    before = descriptors()
    reader = store.open_reader("large")
    assert reader.read(10)
    assert descriptors() == before + 1
    del reader
    assert descriptors() == before


def test_a_body_that_is_dropped_is_closed(store: holdall.DataStore) -> None:
    before = descriptors()
    stream = drive(store.store.get(store.reference("large"), GET))
    assert descriptors() == before + 1
    del stream
    assert descriptors() == before


async def closed(before: int) -> None:
    """Wait until no more descriptors are open; a thread may be about to drop its last task."""
    for _ in range(1500):
        if descriptors() <= before:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a descriptor stays open")


def test_a_stream_that_is_left_on_a_loop_is_closed(store: holdall.DataStore, place: Path) -> None:
    async def main() -> None:
        async with holdall.open_async({"type": "file", "path": str(place)}) as other:
            await other.stat("large")
            before = descriptors()
            async for _ in other.stream("large", chunk_size=1000):
                break
            await closed(before)
            reader = await other.open_reader("large")
            await reader.read(10)
            del reader
            await closed(before)

    asyncio.run(main())


def test_a_closed_body_gives_no_more_bytes(store: holdall.DataStore) -> None:
    stream = drive(store.store.get(store.reference("large"), GET))
    drive(stream.close())
    with pytest.raises(ValueError, match="closed"):
        drive(stream.read(10))


def test_a_deadline_ends_a_stream_between_two_chunks(store: holdall.DataStore) -> None:
    runtime = store.store.runtime

    async def main() -> int:
        stream = await store.store.get(store.reference("large"), GET)
        async with stream:
            first = await stream.read(1000)
            with pytest.raises(Timeout):
                async with runtime.deadline(0):
                    await stream.read(1000)
            # What was left is whole.
            return len(first) + len(await stream.read_all())

    assert drive(main()) == SIZE


def test_a_deadline_ends_a_streamed_write_and_nothing_is_visible(
    store: holdall.DataStore,
) -> None:
    async def main() -> None:
        upload = await store.store.upload(store.reference("new"), WRITE, None)
        await upload.write(b"data")
        with pytest.raises(Timeout):
            async with store.store.runtime.deadline(0):
                await upload.write(b"more")
        assert upload.offset == 4
        await upload.abort()

    drive(main())
    with pytest.raises(NotFound):
        store.read("new")


@pytest.mark.parametrize("turns", range(0, 24, 3))
def test_a_cancelled_copy_leaves_nothing_open_and_nothing_behind(
    store: holdall.DataStore, place: Path, turns: int
) -> None:
    async def main() -> None:
        async with holdall.open_async({"type": "file", "path": str(place)}) as other:
            await other.copy("large", "copy")  # opens what stays open, such as locks
            before = descriptors()
            task = asyncio.create_task(other.copy("large", "copy"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await closed(before)
            assert left_over(place) == []

    asyncio.run(main())


def test_a_deadline_ends_a_copy_and_leaves_nothing_behind(
    store: holdall.DataStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "copy_file_range"):
        pytest.skip("this system copies no ranges of files")
    store.write("other", b"")
    before = descriptors()
    original = os.copy_file_range

    def slowly(*args: int) -> int:
        time.sleep(0.02)
        return original(*args)

    async def main() -> None:
        source, target = store.reference("large"), store.reference("copy")
        async with store.store.runtime.deadline(0.01):
            await store.store.copy(source, target, COPY)

    monkeypatch.setattr(os, "copy_file_range", slowly)
    with pytest.raises(Timeout):
        drive(main())
    assert descriptors() == before
    assert left_over(place) == []
    assert not store.exists("copy")
