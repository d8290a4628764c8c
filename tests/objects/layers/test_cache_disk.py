"""The cache on the disk: what it keeps, how it is found again, and what it does not believe."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdall.core.errors import NotFound, PreconditionFailed, Timeout
from holdall.objects.layers.cache import Cache
from holdall.objects.layers.cache_disk import BLOCK_BYTES, Disk, DiskWriter
from holdall.objects.layers.concurrency import Concurrency, ConcurrencySettings
from holdall.objects.options import DELETE, GET, HEAD, WRITE, GetOptions
from objects.layers.disk_shelf import LARGE, DiskShelf
from objects.layers.scripted import Mode


@pytest.fixture(params=[True, False], ids=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def shelf(mode: Mode, tmp_path: Path) -> DiskShelf:
    shelf = DiskShelf(mode, tmp_path / "cache")
    shelf.put(LARGE)
    return shelf


@pytest.mark.parametrize("size", [None, 100_000, 8 * BLOCK_BYTES])
def test_a_large_object_is_fetched_once(shelf: DiskShelf, size: int | None) -> None:
    assert [shelf.read(size=size) == LARGE for _ in range(2)] == [True, True]
    assert (shelf.sent, shelf.cache.stats().hits) == (["get"], 1)


def test_a_large_object_that_comes_with_the_answer_is_fetched_once(shelf: DiskShelf) -> None:
    for _ in range(2):
        assert shelf.mode.run(shelf.cache.get(shelf.ref, GET)).length == len(LARGE)
    assert (shelf.sent, len(shelf.files)) == (["get"], 1)


def test_what_is_on_the_disk_survives_a_restart(shelf: DiskShelf) -> None:
    shelf.read()
    shelf.restart()
    assert (shelf.read() == LARGE, shelf.sent) == (True, ["get", "head"])


def test_what_is_on_the_disk_is_found_by_a_time_that_is_finer(mode: Mode, tmp_path: Path) -> None:
    shelf = DiskShelf(mode, tmp_path / "cache", terse=True)
    shelf.put(LARGE)
    for _ in range(2):
        assert shelf.read() == LARGE
        mode.clock.now += 10
    shelf.restart()
    assert shelf.read() == LARGE
    assert shelf.sent == ["get", "head", "head"]


def test_a_range_is_read_from_the_disk(shelf: DiskShelf) -> None:
    shelf.read()
    start, end = BLOCK_BYTES - 3, 2 * BLOCK_BYTES + 3
    assert shelf.read(GetOptions(start=start, end=end)) == LARGE[start:end]
    assert shelf.sent == ["get"]


def test_another_version_is_not_served_from_the_disk(shelf: DiskShelf) -> None:
    shelf.read()
    other = LARGE[::-1]
    shelf.mode.run(shelf.inner.inner.put(shelf.ref, other, WRITE))
    shelf.restart()
    assert shelf.read() == other
    assert shelf.read() == other
    assert shelf.sent == ["get", "head", "get"]


def test_a_newer_version_on_the_disk_is_not_served_for_the_etag_of_an_older_one(
    shelf: DiskShelf,
) -> None:
    shelf.read()
    older = shelf.cache
    etag = shelf.mode.run(older.head(shelf.ref, HEAD)).etag
    shelf.mode.run(shelf.inner.inner.put(shelf.ref, LARGE[::-1], WRITE))
    shelf.restart()
    shelf.read()
    shelf.cache = older
    shelf.mode.clock.now += 10
    with pytest.raises(PreconditionFailed):
        shelf.read(GetOptions(if_match=etag))


def test_a_body_that_was_not_read_to_its_end_is_not_kept(shelf: DiskShelf) -> None:
    shelf.inner.bodies.append([])

    async def a_part() -> None:
        async with await shelf.cache.get(shelf.ref, GET) as stream:
            await stream.read(1000)

    shelf.mode.run(a_part())
    assert shelf.files == []


@pytest.mark.parametrize("size", [1, len(LARGE), None], ids=["a part", "all of it", "dropped"])
def test_nothing_is_remembered_of_a_body_that_is_over(shelf: DiskShelf, size: int | None) -> None:
    shelf.inner.bodies.append([])

    async def use() -> None:
        stream = await shelf.cache.get(shelf.ref, GET)
        if size is not None:
            await stream.read(size)
            await stream.close()
        del stream
        with pytest.raises(NotFound):
            await shelf.cache.head(shelf.inner.ref("other"), HEAD)
        assert shelf.cache._entries._fills == {}

    shelf.mode.run(use())


def test_what_was_left_of_a_body_that_was_dropped_is_removed_by_the_next(shelf: DiskShelf) -> None:
    shelf.inner.bodies.append([])

    async def a_part() -> None:
        await (await shelf.cache.get(shelf.ref, GET)).read(1000)

    shelf.mode.run(a_part())
    shelf.read()
    assert [path.suffix for path in shelf.files] == [".object"]


def test_what_was_written_over_while_it_was_read_is_not_kept(shelf: DiskShelf) -> None:
    shelf.inner.bodies.append([])

    async def overtaken() -> bytes:
        stream = await shelf.cache.get(shelf.ref, GET)
        first = await stream.read(1000)
        await shelf.cache.put(shelf.ref, b"new", WRITE)
        return first + await stream.read_all()

    assert shelf.mode.run(overtaken()) == LARGE
    assert shelf.files == []


def test_what_was_deleted_is_gone_from_the_disk(shelf: DiskShelf) -> None:
    shelf.read()
    shelf.mode.run(shelf.cache.delete([shelf.ref], DELETE))
    assert shelf.files == []
    with pytest.raises(NotFound):
        shelf.read()


def test_a_small_object_is_not_on_the_disk(shelf: DiskShelf) -> None:
    shelf.put(b"small")
    shelf.read()
    assert shelf.files == []


def test_an_object_above_a_quarter_of_the_budget_is_not_kept(mode: Mode, tmp_path: Path) -> None:
    shelf = DiskShelf(mode, tmp_path / "cache", disk_bytes=4 * len(LARGE) - 1)
    shelf.put(LARGE)
    assert (shelf.read() == LARGE, shelf.files) == (True, [])


def test_folder_and_files_are_their_owners_alone(shelf: DiskShelf) -> None:
    shelf.read()
    modes = [path.stat().st_mode & 0o777 for path in [shelf.folder, *shelf.files]]
    assert modes == [0o700, 0o600]


def test_a_folder_that_is_open_to_others_is_not_used(shelf: DiskShelf) -> None:
    shelf.folder.mkdir(mode=0o755)
    assert (shelf.read() == LARGE, shelf.files) == (True, [])
    assert shelf.cache.stats().write_errors == 1


def test_a_disk_that_takes_nothing_fails_no_read(
    shelf: DiskShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("holdall.objects.layers.cache_disk._write", full)
    assert [shelf.read() == LARGE for _ in range(2)] == [True, True]
    assert (shelf.cache.stats().write_errors, shelf.files) == (2, [])


Damage = Callable[[Path], object]


def _flip(at: int) -> Damage:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return flip


def _cut(path: Path) -> None:
    os.truncate(path, len(LARGE))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _link(path: Path) -> None:
    target = path.parent.parent / "target"
    path.rename(target)
    path.symlink_to(target)


DAMAGES: dict[str, Damage] = {
    "body": _flip(0),
    "later block": _flip(2 * BLOCK_BYTES + 5),
    "last block": _flip(len(LARGE) - 1),
    "digests": _flip(len(LARGE) + 3),
    "description": _flip(len(LARGE) + 4 * 16 + 8),
    "end": _flip(-1),
    "truncated": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b"something else" * 1000),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "readable by others": lambda path: path.chmod(0o644),
    "fifo": _fifo,
    "link": _link,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_read_from_the_store_and_replaced(
    shelf: DiskShelf, damage: Damage
) -> None:
    shelf.read()
    damage(shelf.files[0])
    shelf.restart()
    assert shelf.read() == LARGE
    assert "get" in shelf.sent[1:]
    shelf.read()
    gets = shelf.sent.count("get")
    assert (shelf.read() == LARGE, shelf.sent.count("get")) == (True, gets)


@pytest.mark.parametrize("damage", ["body", "later block", "truncated", "foreign"])
def test_a_damaged_file_is_removed(shelf: DiskShelf, damage: str) -> None:
    shelf.read()
    DAMAGES[damage](shelf.files[0])
    shelf.restart()
    shelf.read(GetOptions(start=0, end=len(LARGE) - 1))
    assert shelf.files == []


def test_a_deadline_that_passes_says_nothing_of_the_disk(tmp_path: Path) -> None:
    shelf = DiskShelf(Mode(blocking=True), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.read()

    async def hurried() -> bytes:
        stream = await shelf.cache.get(shelf.ref, GET)
        with pytest.raises(Timeout):
            async with shelf.mode.runtime.deadline(0):
                await stream.read(1000)
        return await stream.read_all()

    assert shelf.mode.run(hurried()) == LARGE
    assert (len(shelf.files), shelf.sent) == (1, ["get"])


def test_a_deadline_before_the_disk_is_written_holds_no_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = DiskShelf(Mode(blocking=True), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.inner.bodies.append([])
    slots = Concurrency(shelf.inner, ConcurrencySettings(slots=1))
    cache = Cache(slots, shelf.settings)

    def late(*args: object) -> None:
        raise Timeout("the deadline of the caller")

    monkeypatch.setattr(Disk, "write", late)

    async def use() -> None:
        with pytest.raises(Timeout, match="of the caller") as found:
            await cache.get(shelf.ref, GET)
        async with shelf.mode.runtime.deadline(0.005):
            await slots.head(shelf.ref, HEAD)  # while the error is at hand, and all its frames
        assert found.value.__traceback__ is not None

    shelf.mode.run(use())
    assert cache.stats().write_errors == 0


def test_what_is_damaged_in_the_middle_is_not_mixed_with_a_newer_version(shelf: DiskShelf) -> None:
    shelf.read()
    path = shelf.files[0]

    async def use() -> None:
        async with await shelf.cache.get(shelf.ref, GET) as stream:
            assert await stream.read(BLOCK_BYTES) == LARGE[:BLOCK_BYTES]
            data = bytearray(path.read_bytes())
            data[2 * BLOCK_BYTES] ^= 1
            with path.open("r+b") as file:
                file.write(data)
            await shelf.inner.inner.put(shelf.ref, LARGE[::-1], WRITE)
            with pytest.raises(PreconditionFailed):
                await stream.read_all()

    shelf.mode.run(use())


def test_a_folder_in_the_place_of_a_file_is_left_alone(shelf: DiskShelf) -> None:
    shelf.read()
    path = shelf.files[0]
    path.unlink()
    path.mkdir()
    shelf.restart()
    assert (shelf.read() == LARGE, path.is_dir()) == (True, True)


def test_a_cancelled_read_leaves_nothing(tmp_path: Path) -> None:
    shelf = DiskShelf(Mode(blocking=False), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.inner.bodies.append([])

    async def run() -> None:
        stream = await shelf.cache.get(shelf.ref, GET)
        await stream.read(1000)
        task = asyncio.create_task(stream.read_all())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [path for path in shelf.files if path.suffix == ".part"] == []


def test_a_read_that_went_away_while_the_disk_was_written_loses_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = DiskShelf(Mode(blocking=True), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.inner.bodies.append([])
    write = DiskWriter.write

    def late(writer: DiskWriter, data: bytes) -> None:
        monkeypatch.setattr(DiskWriter, "write", write)
        raise Timeout("the deadline of the caller")

    async def use() -> bytes:
        async with await shelf.cache.get(shelf.ref, GET) as stream:
            first = await stream.read(1000)
            monkeypatch.setattr(DiskWriter, "write", late)
            with pytest.raises(Timeout):
                await stream.read(1000)
            second = await stream.read(700)
            assert len(second) == 700
            return first + second + await stream.read_all()

    assert shelf.mode.run(use()) == LARGE
    assert shelf.read() == LARGE


def test_a_read_that_was_cancelled_while_the_disk_was_written_loses_no_byte(
    tmp_path: Path,
) -> None:
    shelf = DiskShelf(Mode(blocking=False), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.inner.bodies.append([])

    async def use() -> bytes:
        async with await shelf.cache.get(shelf.ref, GET) as stream:
            first = await stream.read(1000)
            task = asyncio.create_task(stream.read(1000))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return first + await stream.read_all()

    assert asyncio.run(use()) == LARGE
    assert shelf.read() == LARGE


def test_nothing_is_read_of_a_body_that_was_closed_after_a_read_went_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = DiskShelf(Mode(blocking=True), tmp_path / "cache")
    shelf.put(LARGE)
    shelf.inner.bodies.append([])

    def late(writer: DiskWriter, data: bytes) -> None:
        raise Timeout("the deadline of the caller")

    async def use() -> None:
        stream = await shelf.cache.get(shelf.ref, GET)
        monkeypatch.setattr(DiskWriter, "write", late)
        with pytest.raises(Timeout):
            await stream.read(1000)
        await stream.close()
        assert await stream.read(1000) == b""

    shelf.mode.run(use())
