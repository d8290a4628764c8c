"""The cache on the disk: what it keeps, how it is found again, and what it does not believe."""

import asyncio
import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import NotFound, Timeout
from holdall.core.reference import Reference
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.layers.cache_disk import BLOCK_BYTES, Damaged, Disk, DiskFile
from holdall.objects.options import DELETE, GET, WRITE, GetOptions
from holdall.objects.results import ObjectMeta
from objects.layers.scripted import Mode, Scripted

LARGE = hashlib.shake_128(b"large").digest(3 * BLOCK_BYTES + 17)
REF = Reference("s3", "bucket", "k")


@pytest.fixture(params=[True, False], ids=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


class Shelf:
    """A cache with a folder, around a store whose large bodies come in pieces."""

    def __init__(self, mode: Mode, folder: Path, **settings: Any) -> None:
        self.mode = mode
        self.folder = folder
        self.settings = CacheSettings(
            max_bytes=100_000, disk=str(folder), ttl=timedelta(seconds=5), **settings
        )
        self.inner = Scripted(mode.runtime)
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


@pytest.fixture
def shelf(mode: Mode, tmp_path: Path) -> Shelf:
    shelf = Shelf(mode, tmp_path / "cache")
    shelf.put(LARGE)
    return shelf


@pytest.mark.parametrize("size", [None, 100_000, 8 * BLOCK_BYTES])
def test_a_large_object_is_fetched_once(shelf: Shelf, size: int | None) -> None:
    assert [shelf.read(size=size) == LARGE for _ in range(2)] == [True, True]
    assert (shelf.sent, shelf.cache.stats().hits) == (["get"], 1)


def test_a_large_object_that_comes_with_the_answer_is_fetched_once(shelf: Shelf) -> None:
    for _ in range(2):
        assert shelf.mode.run(shelf.cache.get(shelf.ref, GET)).length == len(LARGE)
    assert (shelf.sent, len(shelf.files)) == (["get"], 1)


def test_what_is_on_the_disk_survives_a_restart(shelf: Shelf) -> None:
    shelf.read()
    shelf.restart()
    assert (shelf.read() == LARGE, shelf.sent) == (True, ["get", "head"])


def test_a_range_is_read_from_the_disk(shelf: Shelf) -> None:
    shelf.read()
    start, end = BLOCK_BYTES - 3, 2 * BLOCK_BYTES + 3
    assert shelf.read(GetOptions(start=start, end=end)) == LARGE[start:end]
    assert shelf.sent == ["get"]


def test_another_version_is_not_served_from_the_disk(shelf: Shelf) -> None:
    shelf.read()
    other = LARGE[::-1]
    shelf.mode.run(shelf.inner.inner.put(shelf.ref, other, WRITE))
    shelf.restart()
    assert shelf.read() == other
    assert shelf.read() == other
    assert shelf.sent == ["get", "head", "get"]


def test_a_body_that_was_not_read_to_its_end_is_not_kept(shelf: Shelf) -> None:
    shelf.inner.bodies.append([])

    async def a_part() -> None:
        async with await shelf.cache.get(shelf.ref, GET) as stream:
            await stream.read(1000)

    shelf.mode.run(a_part())
    assert shelf.files == []


def test_what_was_left_of_a_body_that_was_dropped_is_removed_by_the_next(shelf: Shelf) -> None:
    shelf.inner.bodies.append([])

    async def a_part() -> None:
        await (await shelf.cache.get(shelf.ref, GET)).read(1000)

    shelf.mode.run(a_part())
    shelf.read()
    assert [path.suffix for path in shelf.files] == [".object"]


def test_what_was_written_over_while_it_was_read_is_not_kept(shelf: Shelf) -> None:
    shelf.inner.bodies.append([])

    async def overtaken() -> bytes:
        stream = await shelf.cache.get(shelf.ref, GET)
        first = await stream.read(1000)
        await shelf.cache.put(shelf.ref, b"new", WRITE)
        return first + await stream.read_all()

    assert shelf.mode.run(overtaken()) == LARGE
    assert shelf.files == []


def test_what_was_deleted_is_gone_from_the_disk(shelf: Shelf) -> None:
    shelf.read()
    shelf.mode.run(shelf.cache.delete([shelf.ref], DELETE))
    assert shelf.files == []
    with pytest.raises(NotFound):
        shelf.read()


def test_a_small_object_is_not_on_the_disk(shelf: Shelf) -> None:
    shelf.put(b"small")
    shelf.read()
    assert shelf.files == []


def test_an_object_above_a_quarter_of_the_budget_is_not_kept(mode: Mode, tmp_path: Path) -> None:
    shelf = Shelf(mode, tmp_path / "cache", disk_bytes=4 * len(LARGE) - 1)
    shelf.put(LARGE)
    assert (shelf.read() == LARGE, shelf.files) == (True, [])


def test_folder_and_files_are_their_owners_alone(shelf: Shelf) -> None:
    shelf.read()
    modes = [path.stat().st_mode & 0o777 for path in [shelf.folder, *shelf.files]]
    assert modes == [0o700, 0o600]


def test_a_folder_that_is_open_to_others_is_not_used(shelf: Shelf) -> None:
    shelf.folder.mkdir(mode=0o755)
    assert (shelf.read() == LARGE, shelf.files) == (True, [])
    assert shelf.cache.stats().write_errors == 1


def test_a_disk_that_takes_nothing_fails_no_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
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
def test_a_damaged_file_is_read_from_the_store_and_replaced(shelf: Shelf, damage: Damage) -> None:
    shelf.read()
    damage(shelf.files[0])
    shelf.restart()
    assert shelf.read() == LARGE
    assert "get" in shelf.sent[1:]
    shelf.read()
    gets = shelf.sent.count("get")
    assert (shelf.read() == LARGE, shelf.sent.count("get")) == (True, gets)


@pytest.mark.parametrize("damage", ["body", "later block", "truncated", "foreign"])
def test_a_damaged_file_is_removed(shelf: Shelf, damage: str) -> None:
    shelf.read()
    DAMAGES[damage](shelf.files[0])
    shelf.restart()
    shelf.read(GetOptions(start=0, end=len(LARGE) - 1))
    assert shelf.files == []


def test_a_deadline_that_passes_says_nothing_of_the_disk(tmp_path: Path) -> None:
    shelf = Shelf(Mode(blocking=True), tmp_path / "cache")
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


def test_a_folder_in_the_place_of_a_file_is_left_alone(shelf: Shelf) -> None:
    shelf.read()
    path = shelf.files[0]
    path.unlink()
    path.mkdir()
    shelf.restart()
    assert (shelf.read() == LARGE, path.is_dir()) == (True, True)


@given(st.data())
def test_no_change_of_a_file_is_ever_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    disk = Disk(str(tmp_path_factory.mktemp("disk") / "cache"), 1 << 20)
    body = b"0123456789" * 20
    meta = ObjectMeta(REF.parent, "k", len(body), 7, "etag")
    _write(disk, REF, meta, body)
    path = next(Path(disk.folder).iterdir())
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(max_size=4))
    changed = whole[:at] + piece + whole[at + data.draw(st.integers(0, 4)) :]
    path.write_bytes(changed)
    file = disk.open(REF, meta)
    if file is not None:
        try:
            assert file.read(0, len(body)) == body
        except Damaged:
            assert changed != whole
        finally:
            file.close()


def _write(disk: Disk, ref: Reference, meta: ObjectMeta, body: bytes) -> None:
    writer = disk.write(ref, meta)
    assert writer is not None
    writer.write(body)
    writer.finish()


def _kept(disk: Disk, key: str, size: int = 100) -> ObjectMeta:
    ref = Reference("s3", "bucket", key)
    meta = ObjectMeta(REF.parent, key, size, 7, "etag")
    _write(disk, ref, meta, bytes(size))
    return meta


def _find(disk: Disk, meta: ObjectMeta) -> DiskFile | None:
    file = disk.open(Reference("s3", "bucket", meta.key), meta)
    if file is not None:
        file.close()
    return file


@pytest.mark.parametrize(
    "other",
    [
        ObjectMeta(REF.parent, "k", 100, 7, "other"),
        ObjectMeta(REF.parent, "k", 101, 7, "etag"),
        ObjectMeta(REF.parent, "k", 100, 8, "etag"),
    ],
    ids=["etag", "size", "time"],
)
def test_a_file_of_another_version_is_removed(tmp_path: Path, other: ObjectMeta) -> None:
    disk = Disk(str(tmp_path / "cache"), 1 << 20)
    _kept(disk, "k")
    assert _find(disk, other) is None
    assert os.listdir(disk.folder) == []


def test_what_was_not_used_for_the_longest_time_is_removed_first(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 4000)
    metas = [_kept(disk, key, 900) for key in "abc"]
    names = {meta.key: disk._path(Reference("s3", "bucket", meta.key)) for meta in metas}
    for age, key in enumerate("abc"):
        os.utime(names[key], (1000 + age, 1000 + age))
    _find(disk, metas[0])
    _kept(disk, "d", 900)
    assert [_find(disk, meta) is not None for meta in metas] == [True, False, True]


@given(st.lists(st.integers(0, 2000), max_size=20))
def test_the_folder_never_takes_more_than_its_budget(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    disk = Disk(str(tmp_path_factory.mktemp("disk") / "cache"), 8000)
    for number, size in enumerate(sizes):
        _kept(disk, str(number), size)
        assert sum(path.stat().st_size for path in Path(disk.folder).iterdir()) <= 8000


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 4000)
    os.mkdir(disk.folder, 0o700)
    mine = Path(disk.folder) / "notes.txt"
    mine.write_bytes(b"x" * 10_000)
    for key in "abcdef":
        _kept(disk, key, 900)
    assert mine.exists()


def test_what_a_process_that_died_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 1 << 20)
    os.mkdir(disk.folder, 0o700)
    parts = [Path(disk.folder) / f"{digit * 32}.part" for digit in "ab"]
    for path in parts:
        path.write_bytes(b"x")
    os.utime(parts[0], (1000, 1000))
    _kept(disk, "k")
    assert [path.exists() for path in parts] == [False, True]


def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 1 << 20)
    file = disk.open(REF, _kept(disk, "k"))
    disk.remove(REF)
    assert file is not None
    assert file.read(0, 100) == bytes(100)
    file.close()


def test_two_writers_of_one_object_disturb_no_reader(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 64 << 20)
    meta = ObjectMeta(REF.parent, "k", len(LARGE), 7, "etag")
    _write(disk, REF, meta, LARGE)
    stop = threading.Event()

    def write() -> None:
        other = Disk(disk.folder, 64 << 20)
        while not stop.is_set():
            _write(other, REF, meta, LARGE)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            file = disk.open(REF, meta)
            assert file is not None
            assert file.read(0, len(LARGE)) == LARGE
            file.close()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_another_process_finds_what_this_one_wrote(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 1 << 20)
    _kept(disk, "k")
    code = (
        "import sys\n"
        "from holdall.core.reference import Reference\n"
        "from holdall.objects.layers.cache_disk import Disk\n"
        "from holdall.objects.results import ObjectMeta\n"
        "ref = Reference('s3', 'bucket', 'k')\n"
        "meta = ObjectMeta(ref.parent, 'k', 100, 7, 'etag')\n"
        "file = Disk(sys.argv[1], 1 << 20).open(ref, meta)\n"
        "assert file.read(0, 100) == bytes(100)\n"
    )
    subprocess.run([sys.executable, "-c", code, disk.folder], check=True)


def test_a_cancelled_read_leaves_nothing(tmp_path: Path) -> None:
    shelf = Shelf(Mode(blocking=False), tmp_path / "cache")
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
