"""The cache on the disk: one request for all who read an object while it comes."""

import asyncio
import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import NotFound, Unavailable
from holdall.objects.layers.cache_disk import DiskWriter
from holdall.objects.options import DELETE, GET, HEAD, WRITE, GetOptions
from holdall.objects.results import ObjectStream
from objects.layers.disk_shelf import LARGE, DiskShelf
from objects.layers.scripted import Mode


@pytest.fixture(params=[True, False], ids=["blocking", "loop"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> DiskShelf:
    return filled(Mode(request.param), tmp_path / "cache")


def filled(mode: Mode, folder: Path, data: bytes = LARGE) -> DiskShelf:
    shelf = DiskShelf(mode, folder)
    shelf.put(data)
    shelf.inner.bodies.append([])
    return shelf


def of_one_request(shelf: DiskShelf) -> bool:
    return (shelf.sent, [path.suffix for path in shelf.files]) == (["get"], [".object"])


def remembered(shelf: DiskShelf) -> object:
    with pytest.raises(NotFound):  # the next call forgets what is over
        shelf.mode.run(shelf.cache.head(shelf.inner.ref("other"), HEAD))
    return shelf.cache._entries._fills


async def piece_by_piece(stream: ObjectStream, size: int = 300_000) -> bytes:
    pieces = []
    while piece := await stream.read(size):
        pieces.append(piece)
    await stream.close()
    return b"".join(pieces)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "pieces"])
def test_a_hundred_tasks_that_read_a_large_object_fetch_it_once(
    tmp_path: Path, whole: bool
) -> None:
    shelf = filled(Mode(blocking=False), tmp_path)

    async def read(size: int) -> bytes:
        stream = await shelf.cache.get(shelf.ref, GET)
        return await (stream.read_all() if whole else piece_by_piece(stream, size))

    async def run() -> list[bytes]:
        return await asyncio.gather(*(read(100_000 + 10_000 * at) for at in range(100)))

    assert set(asyncio.run(run())) == {LARGE}
    assert of_one_request(shelf)
    assert (shelf.cache.stats().hits, shelf.cache.stats().misses) == (99, 1)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "pieces"])
def test_a_hundred_threads_that_read_a_large_object_fetch_it_once(
    tmp_path: Path, whole: bool
) -> None:
    shelf = filled(Mode(blocking=True), tmp_path)
    begun = threading.Barrier(100)
    first = shelf.mode.run(shelf.cache.get(shelf.ref, GET))

    def read(at: int) -> bytes:
        async def all_of_it() -> bytes:
            stream = await shelf.cache.get(shelf.ref, GET) if at else first
            begun.wait()  # all have theirs before one comes to the end
            size = 100_000 + 10_000 * at
            return await (stream.read_all() if whole else piece_by_piece(stream, size))

        return shelf.mode.run(all_of_it())

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(read, range(100))) == {LARGE}
    assert of_one_request(shelf)


def test_who_comes_in_the_middle_reads_along(shelf: DiskShelf) -> None:
    async def run() -> tuple[bytes, bytes]:
        first = await shelf.cache.get(shelf.ref, GET)
        begin = await first.read(1000)
        second = await shelf.cache.get(shelf.ref, GET)
        return await second.read_all(), begin + await piece_by_piece(first)

    assert shelf.mode.run(run()) == (LARGE, LARGE)
    assert of_one_request(shelf)


def test_who_reads_slowly_holds_up_nobody(shelf: DiskShelf) -> None:
    async def run() -> bytes:
        slow = await shelf.cache.get(shelf.ref, GET)
        begin = await slow.read(10)
        assert await piece_by_piece(await shelf.cache.get(shelf.ref, GET)) == LARGE
        assert [path.suffix for path in shelf.files] == [".object"]
        await shelf.cache.delete([shelf.ref], DELETE)
        return begin + await slow.read_all()

    assert shelf.mode.run(run()) == LARGE


@pytest.mark.parametrize("dropped", [True, False], ids=["dropped", "closed"])
def test_who_goes_away_disturbs_nobody(shelf: DiskShelf, dropped: bool) -> None:
    async def run() -> bytes:
        first = await shelf.cache.get(shelf.ref, GET)
        await first.read(1000)
        second = await shelf.cache.get(shelf.ref, GET)
        if not dropped:
            await first.close()
        del first
        return await second.read_all()

    assert shelf.mode.run(run()) == LARGE
    assert of_one_request(shelf)


def test_when_all_went_away_nothing_is_left(shelf: DiskShelf) -> None:
    async def run() -> None:
        streams = [await shelf.cache.get(shelf.ref, GET) for _ in range(3)]
        await streams[1].read(1000)
        for stream in streams:
            await stream.close()
            assert await stream.read(1) == b""

    shelf.mode.run(run())
    assert shelf.files == []
    assert remembered(shelf) == {}


def test_a_failed_fetch_is_raised_once_and_the_others_go_on(shelf: DiskShelf) -> None:
    shelf.inner.bodies[0] += [1000, Unavailable("cut off")]

    async def run() -> tuple[bytes, bytes]:
        first = await shelf.cache.get(shelf.ref, GET)
        second = await shelf.cache.get(shelf.ref, GET)
        begin = await first.read(5000)
        with pytest.raises(Unavailable, match="cut off"):
            await first.read(5000)
        other = await second.read_all()
        return begin + await first.read_all(), other

    assert shelf.mode.run(run()) == (LARGE, LARGE)
    assert (shelf.sent, shelf.files) == (["get", "get"], [])


def test_a_disk_that_becomes_full_fails_no_reader(
    shelf: DiskShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    async def run() -> set[bytes]:
        streams = [await shelf.cache.get(shelf.ref, GET) for _ in range(3)]
        begins = [await streams[0].read(1000), await streams[1].read(500), b""]
        monkeypatch.setattr(DiskWriter, "write", full)
        pairs = zip(begins, streams, strict=True)
        return {begin + await stream.read_all() for begin, stream in pairs}

    assert shelf.mode.run(run()) == {LARGE}
    assert (shelf.cache.stats().write_errors, shelf.files) == (1, [])


def test_what_is_written_meanwhile_is_what_newcomers_read(shelf: DiskShelf) -> None:
    async def run() -> tuple[bytes, bytes]:
        first = await shelf.cache.get(shelf.ref, GET)
        begin = await first.read(1000)
        await shelf.cache.put(shelf.ref, LARGE[::-1], WRITE)
        shelf.inner.bodies.append([])
        second = await shelf.cache.get(shelf.ref, GET)
        return begin + await first.read_all(), await second.read_all()

    assert shelf.mode.run(run()) == (LARGE, LARGE[::-1])
    assert shelf.read() == LARGE[::-1]


@pytest.mark.parametrize("age", [0, 10])
def test_another_writer_s_version_is_seen_when_it_is_time(shelf: DiskShelf, age: int) -> None:
    async def run() -> bytes:
        async with await shelf.cache.get(shelf.ref, GET) as first:
            await first.read(1000)
            await shelf.inner.inner.put(shelf.ref, LARGE[::-1], WRITE)
            shelf.mode.clock.now += age
            return await (await shelf.cache.get(shelf.ref, GET)).read_all()

    assert shelf.mode.run(run()) == (LARGE[::-1] if age else LARGE)


@pytest.mark.parametrize("terse", [False, True])
def test_who_comes_late_asks_whether_it_is_still_this_one(shelf: DiskShelf, terse: bool) -> None:
    shelf = DiskShelf(shelf.mode, shelf.folder, terse=terse)
    shelf.put(LARGE)

    async def run() -> bytes:
        async with await shelf.cache.get(shelf.ref, GET) as first:
            await first.read(1000)
            shelf.mode.clock.now += 10
            return await (await shelf.cache.get(shelf.ref, GET)).read_all()

    assert shelf.mode.run(run()) == LARGE
    assert shelf.sent == ["get", "head"]


def test_a_range_waits_for_nothing(shelf: DiskShelf) -> None:
    async def run() -> bytes:
        async with await shelf.cache.get(shelf.ref, GET) as first:
            await first.read(1000)
            last = await shelf.cache.get(shelf.ref, GetOptions(start=len(LARGE) - 5))
            return await last.read_all()

    assert shelf.mode.run(run()) == LARGE[-5:]
    assert shelf.sent == ["get", "get"]


BODY = LARGE[:20_000]  # too large for the memory all the same
CUT = Unavailable("cut off")


async def insisted(stream: ObjectStream, cuts: int) -> bytes:
    for _ in range(cuts):
        with suppress(Unavailable):
            return await stream.read_all()
    return await stream.read_all()


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.integers(1, len(BODY)), st.sampled_from(["all", "close", "drop"])),
    ),
    max_size=30,
)


@given(
    steps=STEPS,
    fetches=st.lists(st.one_of(st.integers(1, len(BODY)), st.just(CUT)), max_size=8),
    full=st.integers(0, 10),
)
def test_whatever_readers_do_each_reads_the_object(
    tmp_path_factory: pytest.TempPathFactory, steps: Any, fetches: list[Any], full: int
) -> None:
    shelf = filled(Mode(blocking=True), tmp_path_factory.mktemp("cache"), BODY)
    shelf.inner.bodies[0] += fetches
    write, writes = DiskWriter.write, iter(range(full))

    def until_full(writer: DiskWriter, data: bytes) -> None:
        if next(writes, None) is None:
            raise OSError(errno.ENOSPC, "no space left")
        write(writer, data)

    async def run() -> None:
        streams: dict[int, ObjectStream] = {}
        came: dict[int, bytes] = {}
        for reader, step in steps:
            if reader not in streams:
                streams[reader] = await shelf.cache.get(shelf.ref, GET)
                came[reader] = b""
            stream = streams[reader]
            try:
                if step == "all":
                    assert came[reader] + await stream.read_all() == BODY
                elif step == "close":
                    await stream.close()
                elif step != "drop":
                    came[reader] += await stream.read(step)
                    assert BODY.startswith(came[reader])
                    continue
                del streams[reader], stream
            except Unavailable:
                assert CUT in fetches
        for reader, stream in streams.items():
            assert came[reader] + await insisted(stream, fetches.count(CUT)) == BODY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiskWriter, "write", until_full)
        shelf.mode.run(run())
    shelf.inner.bodies.clear()
    assert shelf.read() == BODY
    assert remembered(shelf) == {}
