"""What is copied, what is deleted, what is left alone."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

from holdall import AsyncDataStore, DataStore
from holdall.objects import transfer
from holdall.objects.transfer import Step, SyncOptions
from objects.transfer.places import Places, contents, fill

SOME = {"a.txt": b"one", "b/c": b"", "b/d e%?": b"three", "z" * 200: b"four"}
DELETE = SyncOptions(delete=True, workers=3)


def test_everything_comes_over(places: Places) -> None:
    fill(places.source, SOME)
    report = places.sync()
    assert contents(places.target) == SOME
    assert (report.copied, report.skipped, report.bytes) == (4, 0, 12)
    assert report.ok


def test_content_type_and_metadata_come_along(places: Places) -> None:
    places.source.write("k", b"x", content_type="text/csv", metadata={"by": "ä"})
    places.sync()
    meta = places.target.stat("k")
    assert (meta.content_type, meta.metadata) == ("text/csv", {"by": "ä"})


def test_the_target_remembers_the_checksum(places: Places) -> None:
    places.source.write("k", b"abc")
    places.sync()
    assert places.target.stat("k").sha256 == hashlib.sha256(b"abc").hexdigest()


def test_tags_come_along_when_asked(places: Places) -> None:
    places.source.write("k", b"x", tags={"tier": "cold"})
    places.sync(SyncOptions(tags=True))
    assert places.target.stat("k", tags=True).tags == {"tier": "cold"}


def test_a_second_run_copies_nothing(places: Places) -> None:
    fill(places.source, SOME)
    places.sync()
    etags = [places.target.stat(key).etag for key in SOME]
    report = places.sync()
    assert (report.copied, report.skipped, report.bytes) == (0, 4, 0)
    assert [places.target.stat(key).etag for key in SOME] == etags


def test_the_same_size_with_other_bytes_is_copied(places: Places) -> None:
    fill(places.source, {"a": b"new", "b": b"same"})
    fill(places.target, {"a": b"old", "b": b"same"})
    report = places.sync()
    assert (report.copied, report.skipped) == (1, 1)
    assert places.target.read("a") == b"new"


def test_a_target_that_was_damaged_is_copied_again(files: Places, tmp_path: Path) -> None:
    fill(files.source, {"a": b"whole"})
    files.sync()
    (tmp_path / "target" / "a").write_bytes(b"rotte")
    assert files.sync().copied == 1
    assert files.target.read("a") == b"whole"


def test_size_only_does_not_look_at_the_bytes(places: Places) -> None:
    fill(places.source, {"a": b"new", "b": b"longer"})
    fill(places.target, {"a": b"old", "b": b"old"})
    report = places.sync(SyncOptions(compare="size"))
    assert (report.copied, report.skipped) == (1, 1)
    assert contents(places.target) == {"a": b"old", "b": b"longer"}


def test_by_time_only_what_changed_since_is_read(files: Places, tmp_path: Path) -> None:
    fill(files.source, {"a": b"new", "b": b"new"})
    fill(files.target, {"a": b"old", "b": b"old"})
    os.utime(tmp_path / "source" / "a", (1, 1))
    os.utime(tmp_path / "source" / "b", (2**32, 2**32))
    files.sync(SyncOptions(compare="modified"))
    assert contents(files.target) == {"a": b"old", "b": b"new"}


def test_what_only_the_target_has_stays_and_is_counted(places: Places) -> None:
    fill(places.source, {"a": b"1"})
    fill(places.target, {"0": b"", "b/x": b""})
    report = places.sync()
    assert (report.extra, report.deleted) == (2, 0)
    assert sorted(contents(places.target)) == ["0", "a", "b/x"]


def test_delete_removes_what_only_the_target_has(places: Places) -> None:
    fill(places.source, {"a": b"1", "c": b""})
    fill(places.target, {"0": b"", "b/x": b"", "c": b"", "d": b""})
    report = places.sync(DELETE)
    assert (report.extra, report.deleted, report.skipped) == (3, 3, 1)
    assert sorted(contents(places.target)) == ["a", "c"]


def test_excluded_keys_are_neither_copied_nor_deleted(places: Places) -> None:
    fill(places.source, {"a.tmp": b"", "b/c.tmp": b"", "skip/x/y": b"", "skipped": b"", "k": b""})
    fill(places.target, {"old.tmp": b"", "skip/old": b"", "gone": b""})
    exclude = ("*.tmp", "skip/")
    report = places.sync(SyncOptions(exclude=exclude, delete=True))
    assert sorted(contents(places.target)) == ["k", "old.tmp", "skip/old", "skipped"]
    assert (report.excluded, report.deleted) == (3, 1)


def test_a_prefix_limits_both_sides(places: Places) -> None:
    fill(places.source, {"in/a": b"", "in-between": b"", "out": b""})
    fill(places.target, {"in/old": b"", "other": b""})
    report = places.sync(SyncOptions(prefix="in/", delete=True))
    assert (report.copied, report.deleted) == (1, 1)
    assert sorted(contents(places.target)) == ["in/a", "other"]


def test_the_plan_says_what_sync_does_and_changes_nothing(places: Places) -> None:
    fill(places.source, {"a": b"1", "b": b"22", "c": b"new", "d": b"same"})
    fill(places.target, {"b": b"2", "c": b"old", "d": b"same", "e": b""})
    before = contents(places.target)
    expected = [
        Step("a", "copy", "missing", 1),
        Step("b", "copy", "size", 2),
        Step("c", "copy", "checksum", 3),
        Step("d", "same", None, 4),
        Step("e", "delete", "extra", 0),
    ]
    assert places.plan(DELETE) == expected
    assert contents(places.target) == before
    done: list[Step] = []
    places.sync(DELETE, on_step=done.append)
    assert sorted(done, key=lambda step: step.key) == expected


def test_a_plan_without_delete_keeps_what_only_the_target_has(memories: Places) -> None:
    fill(memories.source, {"a": b""})
    fill(memories.target, {"b": b""})
    assert [step.action for step in memories.plan()] == ["copy", "keep"]


def test_a_plan_makes_no_target(files: Places, tmp_path: Path) -> None:
    fill(files.source, SOME)
    files.plan()
    assert not (tmp_path / "target").exists()


def test_a_source_is_only_read(files: Places, tmp_path: Path) -> None:
    (tmp_path / "source" / "a").write_bytes(b"x")
    files.sync()
    assert os.listdir(tmp_path / "source") == ["a"]


def test_entries_that_are_no_objects_are_counted(files: Places, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a").write_bytes(b"x")
    (source / "link").symlink_to("a")
    (source / "line\nbreak").write_bytes(b"x")
    report = files.sync()
    assert (report.copied, report.foreign) == (1, 2)


def test_a_plan_reads_no_further_than_it_is_asked(memories: Places) -> None:
    source, target = memories.source, memories.target
    fill(source, {f"{n:04}": b"" for n in range(2500)})
    calls = []
    real = source.store.list

    async def counting(*args: Any) -> Any:
        calls.append(args)
        return await real(*args)

    setattr(source.store, "list", counting)  # noqa: B010 (it is a method)
    steps = transfer.plan(source, target, SyncOptions(workers=2))
    next(steps)
    assert len(calls) == 1
    assert sum(1 for _ in steps) == 2499
    assert len(calls) == 3


def test_as_many_objects_are_on_the_way_as_there_are_workers(memories: Places) -> None:
    fill(memories.source, {f"{n:02}": b"x" for n in range(40)})
    guard, now, most = threading.Lock(), 0, 0

    def prepare(source: DataStore | AsyncDataStore, target: object) -> None:
        real = source.store.get

        async def counted(*args: Any) -> Any:
            nonlocal now, most
            with guard:
                now += 1
                most = max(most, now)
            await source.store.runtime.sleep(0.002)
            try:
                return await real(*args)
            finally:
                with guard:
                    now -= 1

        setattr(source.store, "get", counted)  # noqa: B010 (it is a method)

    memories.prepare = prepare
    assert memories.sync(SyncOptions(workers=4)).copied == 40
    assert 1 < most <= 4
