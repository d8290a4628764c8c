"""The folder of a cache: what is found in it, and how much there may be."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from holdall.core.reference import Reference
from holdall.objects.layers.cache_disk import BLOCK_BYTES, Damaged, Disk, DiskFile
from holdall.objects.results import ObjectMeta

LARGE = hashlib.shake_128(b"large").digest(3 * BLOCK_BYTES + 17)
REF = Reference("s3", "bucket", "k")


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


def test_a_file_whose_time_was_told_in_seconds_is_found_by_one_that_is_finer(
    tmp_path: Path,
) -> None:
    disk = Disk(str(tmp_path / "cache"), 1 << 20)
    second = 1_700_000_000_000_000_000
    told = ObjectMeta(REF.parent, "k", 100, second, "etag")
    for kept, found in ((second, second + 7), (second + 7, second + 7)):
        _write(disk, REF, replace(told, modified_ns=kept), bytes(100))
        assert _find(disk, replace(told, modified_ns=found)) is not None
    for kept, found in ((second + 7, second), (second + 7, second + 8), (second, 2 * second)):
        _write(disk, REF, replace(told, modified_ns=kept), bytes(100))
        assert _find(disk, replace(told, modified_ns=found)) is None


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


def test_writers_that_exceed_the_budget_together_end_well(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "cache"), 10_000)
    refs = [Reference("s3", "bucket", str(number)) for number in range(8)]
    writers = [disk.write(ref, ObjectMeta(ref.root, ref.key, 2000, 0, "e")) for ref in refs]
    for writer in writers:
        assert writer is not None
        writer.write(bytes(2000))
    for writer in writers:
        assert writer is not None
        writer.finish()
    disk.write(REF, ObjectMeta(REF.root, REF.key, 10, 0, "e"))
    files = [path for path in Path(disk.folder).iterdir() if path.suffix == ".object"]
    assert 0 < sum(path.stat().st_size for path in files) <= 10_000


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
