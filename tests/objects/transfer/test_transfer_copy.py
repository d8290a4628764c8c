"""One object on its way: large, cut off, resumed, changed, damaged."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall import DataStore
from holdall.core.errors import Corrupt, PreconditionFailed
from holdall.objects import transfer
from holdall.objects.transfer import Progress, Step, SyncOptions, copying
from objects.transfer.places import Places, contents

PART = 1000
LARGE = bytes(range(256)) * 30  # 7,680 bytes: seven whole parts and some
SHA256 = hashlib.sha256(LARGE).hexdigest()
ONE = SyncOptions(workers=1)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of 8 MiB is only a number; the tests are faster with a smaller one."""
    monkeypatch.setattr(copying, "PART_BYTES", PART)


def stage(store: DataStore, key: str, data: bytes, **keywords: Any) -> str:
    """Leave an upload behind, as a process that was killed does."""
    with store.upload(key, **keywords) as upload:
        upload.write(data)
        return upload.id


def change_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"changed in place")
    os.utime(path, (5, 5))


def interrupt_after(size: int) -> Any:
    def on_progress(progress: Progress) -> None:
        if progress.bytes >= size:
            raise KeyboardInterrupt

    return on_progress


def test_a_large_object_comes_whole(places: Places) -> None:
    places.source.write("big", LARGE, content_type="x/y", metadata={"a": "b"})
    report = places.sync()
    meta = places.target.stat("big")
    assert contents(places.target) == {"big": LARGE}
    assert meta.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (meta.content_type, meta.metadata) == ("x/y", {"a": "b"})
    assert (report.copied, report.resumed, report.bytes) == (1, 0, len(LARGE))
    assert list(places.target.uploads()) == []


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART])
def test_every_size_comes_whole(memories: Places, size: int) -> None:
    memories.source.write("k", LARGE[:size])
    memories.sync()
    assert contents(memories.target) == {"k": LARGE[:size]}


def test_an_interruption_leaves_nothing_half_written(places: Places) -> None:
    places.source.write("big", LARGE)
    with pytest.raises(KeyboardInterrupt):
        places.sync(on_progress=interrupt_after(3 * PART))
    assert contents(places.target) == {}
    assert [info.key for info in places.target.uploads()] == ["big"]


def test_an_interrupted_upload_is_resumed(places: Places) -> None:
    places.source.write("big", LARGE)
    with pytest.raises(KeyboardInterrupt):
        places.sync(on_progress=interrupt_after(3 * PART))
    (staged,) = places.target.uploads()
    report = places.sync()
    assert contents(places.target) == {"big": LARGE}
    assert (report.copied, report.resumed) == (1, 1)
    assert report.resumed_bytes == staged.offset >= 2 * PART
    assert report.bytes == len(LARGE) - staged.offset
    assert list(places.target.uploads()) == []


@pytest.mark.parametrize("begun_with", [{}, {"class": "public"}, {"class": "secret"}])
def test_a_resumed_object_has_the_tags_of_its_source(
    places: Places, begun_with: dict[str, str]
) -> None:
    places.source.write("big", LARGE, sha256=SHA256, tags={"class": "secret"})
    with places.target.upload("big", tags=begun_with) as upload:
        upload.write(LARGE[:1234])
    report = places.sync(SyncOptions(tags=True))
    assert (report.ok, report.copied) == (True, 1)
    assert report.resumed == (begun_with == {"class": "secret"})
    assert places.target.stat("big", tags=True).tags == {"class": "secret"}
    assert contents(places.target) == {"big": LARGE}


def test_a_resumed_object_that_is_vouched_for_is_not_read_again(places: Places) -> None:
    places.source.write("big", LARGE, sha256=SHA256)
    stage(places.target, "big", LARGE[:1234], sha256=SHA256)
    steps: list[Step] = []
    report = places.sync(on_step=steps.append)
    assert (report.resumed_bytes, report.reread_bytes) == (1234, 0)
    assert [(step.resumed, step.reread) for step in steps] == [(1234, 0)]
    assert contents(places.target) == {"big": LARGE}


def test_a_resumed_object_that_nothing_vouches_for_is_read_again(places: Places) -> None:
    places.source.write("big", LARGE)
    stage(places.target, "big", LARGE[:1234])
    report = places.sync()
    assert (report.resumed_bytes, report.reread_bytes) == (1234, 1234)


def test_all_that_was_staged_and_vouched_for_is_only_committed(places: Places) -> None:
    places.source.write("big", LARGE, sha256=SHA256)
    stage(places.target, "big", LARGE, sha256=SHA256)
    report = places.sync()
    assert (report.bytes, report.resumed_bytes, report.reread_bytes) == (0, len(LARGE), 0)
    assert contents(places.target) == {"big": LARGE}


def test_staged_bytes_that_are_wrong_and_vouched_for_do_not_become_the_object(
    places: Places,
) -> None:
    places.source.write("big", LARGE, sha256=SHA256)
    name = stage(places.target, "big", LARGE[1:1235], sha256=SHA256)
    report = places.sync()
    assert (report.copied, report.resumed, report.bytes) == (1, 0, len(LARGE))
    assert contents(places.target) == {"big": LARGE}
    assert [info.id for info in places.target.uploads()] == [name]


def test_progress_of_a_resumed_object_ends_at_its_size(places: Places) -> None:
    places.source.write("big", LARGE, sha256=SHA256)
    stage(places.target, "big", LARGE[:1234], sha256=SHA256)
    seen: list[Progress] = []
    places.sync(on_progress=seen.append)
    assert seen[-1].bytes == len(LARGE)


def test_an_upload_that_lacks_only_its_commit_is_resumed(places: Places) -> None:
    places.source.write("big", LARGE)
    stage(places.target, "big", LARGE)
    assert places.sync().resumed_bytes == len(LARGE)
    assert contents(places.target) == {"big": LARGE}


def test_an_upload_may_end_in_the_middle_of_a_part(places: Places) -> None:
    places.source.write("big", LARGE)
    stage(places.target, "big", LARGE[:1234])
    assert places.sync().resumed_bytes == 1234
    assert contents(places.target) == {"big": LARGE}


@pytest.mark.parametrize("staged", [b"other bytes", LARGE + b"more", b""])
def test_staged_bytes_that_do_not_fit_are_left_alone(places: Places, staged: bytes) -> None:
    places.source.write("big", LARGE)
    name = stage(places.target, "big", staged)
    report = places.sync()
    assert (report.copied, report.resumed) == (1, 0)
    assert contents(places.target) == {"big": LARGE}
    (left,) = places.target.uploads()
    assert (left.key, left.id, left.offset) == ("big", name, len(staged))


def test_what_was_staged_of_an_older_source_is_not_written_to(places: Places) -> None:
    places.source.write("big", b"old")
    name = stage(places.target, "big", LARGE[:PART])
    (staged,) = places.target.uploads()
    # The clock of files goes in steps, and may be behind that of uploads.
    while places.source.write("big", LARGE).modified_ns <= staged.begun_ns:
        pass
    assert places.sync().resumed == 0
    assert contents(places.target) == {"big": LARGE}
    assert [(info.id, info.offset) for info in places.target.uploads()] == [(name, PART)]


def test_what_a_sync_left_of_an_older_source_is_purged_by_age(places: Places) -> None:
    places.source.write("big", LARGE)
    with pytest.raises(KeyboardInterrupt):
        places.sync(on_progress=interrupt_after(3 * PART))
    places.source.write("big", LARGE[::-1])
    places.sync()
    assert [info.key for info in places.target.uploads()] == ["big"]
    assert places.target.purge_uploads(timedelta(0)) == 1
    assert contents(places.target) == {"big": LARGE[::-1]}


def test_one_that_does_not_fit_does_not_hide_a_newer_one_that_does(places: Places) -> None:
    places.source.write("big", LARGE)
    other = stage(places.target, "big", LARGE[:-1] + b"?")
    stage(places.target, "big", LARGE[:PART])
    assert places.sync().resumed_bytes == PART
    assert [info.id for info in places.target.uploads()] == [other]


def test_an_upload_that_met_a_conflict_is_resumed_once_that_is_deleted(
    onto_disk: Places,
) -> None:
    onto_disk.source.write("big", LARGE)
    stage(onto_disk.target, "big", LARGE[:PART])
    onto_disk.target.write("big/old", b"")
    report = onto_disk.sync(SyncOptions(delete=True))
    assert (report.resumed, report.deleted) == (1, 1)
    assert contents(onto_disk.target) == {"big": LARGE}
    assert list(onto_disk.target.uploads()) == []


def test_an_upload_of_another_key_is_left_alone(places: Places) -> None:
    places.source.write("big", LARGE)
    name = stage(places.target, "bigger", LARGE[:PART])
    assert places.sync().resumed == 0
    assert [info.id for info in places.target.uploads()] == [name]


def test_a_resumed_object_has_the_metadata_of_the_source(places: Places) -> None:
    places.source.write("big", LARGE, metadata={"state": "new"})
    stage(places.target, "big", LARGE[:PART], metadata={"state": "old"})
    places.sync()
    assert places.target.stat("big").metadata == {"state": "new"}


def test_an_upload_with_a_condition_that_does_not_hold_is_left_alone(places: Places) -> None:
    places.source.write("big", LARGE)
    places.target.write("big", b"old")
    name = stage(places.target, "big", LARGE[:PART], if_none_match="*")
    assert places.sync().ok
    assert contents(places.target) == {"big": LARGE}
    assert [info.id for info in places.target.uploads()] == [name]


def test_an_upload_that_is_written_to_now_is_left_alone(files: Places) -> None:
    files.source.write("big", LARGE)
    with files.target.upload("big") as other:
        other.write(LARGE[:PART])
        assert files.sync().resumed == 0
        other.abort()
    assert contents(files.target) == {"big": LARGE}


def test_a_source_that_changes_meanwhile_fails(files: Places, tmp_path: Path) -> None:
    path = tmp_path / "source" / "k"
    path.write_bytes(LARGE)
    (tmp_path / "source" / "other").write_bytes(b"x")

    def prepare(source: Any, target: object) -> None:
        real = source.store.get

        async def changing(*args: Any) -> Any:
            stream = await real(*args)
            if stream.meta.key == "k":
                await source.store.runtime.call(change_in_place, None, path)
            return stream

        source.store.get = changing

    files.prepare = prepare
    report = files.sync()
    assert [type(failure.error) for failure in report.failed] == [PreconditionFailed]
    assert contents(files.target) == {"other": b"x"}
    assert list(files.target.uploads()) == []


def test_a_small_source_that_changes_while_it_is_read_fails(
    files: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "source" / "k"
    path.write_bytes(LARGE[:PART])
    (tmp_path / "source" / "other").write_bytes(b"x")
    real = os.pread

    def changing(*args: int) -> bytes:
        data = real(*args)
        if data == LARGE[:PART]:
            change_in_place(path)
        return data

    monkeypatch.setattr(os, "pread", changing)
    report = files.sync()
    assert [type(failure.error) for failure in report.failed] == [PreconditionFailed]
    assert contents(files.target) == {"other": b"x"}


def test_a_damaged_source_is_not_copied(files: Places, tmp_path: Path) -> None:
    path = tmp_path / "source" / "k"
    files.source.write("k", b"right", sha256=hashlib.sha256(b"right").hexdigest())
    times = path.stat()
    path.write_bytes(b"wrong")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    report = files.sync()
    assert [type(failure.error) for failure in report.failed] == [Corrupt]
    assert contents(files.target) == {}


def test_progress_ends_at_the_total(places: Places) -> None:
    sizes = {"big": len(LARGE), "same": 10, "small": 3}
    for key, size in sizes.items():
        places.source.write(key, LARGE[:size])
    places.target.write("same", LARGE[:10])
    seen: list[Progress] = []
    places.sync(on_progress=seen.append)
    assert (seen[-1].objects, seen[-1].bytes) == (3, sum(sizes.values()))
    assert {progress.key for progress in seen} == set(sizes)
    assert {progress.total_objects for progress in seen} <= {None, 3}
    assert {progress.total_bytes for progress in seen} <= {None, sum(sizes.values())}


def test_one_worker_needs_no_thread_and_no_total(memories: Places) -> None:
    memories.source.write("big", LARGE)
    assert memories.sync(ONE).copied == 1


def test_one_object_is_copied_between_stores(tmp_path: Path) -> None:
    source, target = holdall.open("memory://"), holdall.open(str(tmp_path))
    source.write("a", LARGE, content_type="x/y", metadata={"a": "b"})
    moved: list[int] = []
    meta = transfer.copy(source, "a", target, "b/c", metadata={}, on_bytes=moved.append)
    assert (meta.key, meta.content_type, meta.metadata) == ("b/c", "x/y", {})
    assert target.read("b/c") == LARGE
    assert sum(moved) == len(LARGE)
