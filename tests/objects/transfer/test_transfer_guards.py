"""What a sync must not take for its own: what it would delete, abort, or write into itself."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig, NotFound, Unavailable
from holdall.core.runtime import blocking
from holdall.core.runtime.blocking import drive
from holdall.objects.options import PAGE_ITEMS
from holdall.objects.transfer import Step, SyncOptions, copying, engine, plan, sync, sync_async

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> holdall.DataStore:
    return holdall.open(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> holdall.DataStore:
    return holdall.open(tmp_path / "target")


def test_the_copy_of_what_became_a_link_is_not_deleted(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("docs/a", b"1")
    source.write("b", b"2")
    sync(source, target)
    (tmp_path / "source" / "docs").rename(tmp_path / "elsewhere")
    (tmp_path / "source" / "docs").symlink_to(tmp_path / "elsewhere")
    report = sync(source, target, SyncOptions(delete=True))
    assert list(target.list()) == ["b", "docs/a"]
    assert "1 entry that is no object," in (report.not_deleted or "")
    report = sync(source, target, SyncOptions(delete=True, allow_empty=True))
    assert report.not_deleted is None
    assert list(target.list()) == ["b"]


def test_why_nothing_was_deleted_counts_in_plain_words(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("b", b"2")
    target.write("extra", b"")
    for name in ("one", "two"):
        (tmp_path / "source" / name).symlink_to("b")
    report = sync(source, target, SyncOptions(delete=True))
    assert "2 entries that are no objects, such as links" in (report.not_deleted or "")


def test_a_source_of_excluded_objects_alone_is_empty(
    source: holdall.DataStore, target: holdall.DataStore
) -> None:
    source.write("a.tmp", b"")
    target.write("b", b"2")
    with pytest.raises(NotFound, match="is empty"):
        sync(source, target, SyncOptions(delete=True, exclude=("*.tmp",)))
    assert list(target.list()) == ["b"]
    assert sync(source, target, SyncOptions(exclude=("*.tmp",))).ok


def test_a_folder_that_becomes_a_link_while_objects_are_copied_is_not_deleted(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("docs/a", b"1")
    sync(source, target)
    source.write("new", b"2")
    target.write("extra", b"3")

    def link(step: Step) -> None:
        if step.key == "new":
            (tmp_path / "source" / "docs").rename(tmp_path / "elsewhere")
            (tmp_path / "source" / "docs").symlink_to(tmp_path / "elsewhere")

    report = sync(source, target, SyncOptions(delete=True, workers=1), on_step=link)
    assert report.not_deleted is not None
    assert list(target.list()) == ["docs/a", "extra", "new"]


def test_a_folder_that_becomes_a_link_while_others_are_deleted_is_not_deleted(
    source: holdall.DataStore,
    target: holdall.DataStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_DELETE_BATCH", 1)
    many = tmp_path / "source" / "many"
    many.mkdir(parents=True)
    for number in range(PAGE_ITEMS):
        (many / f"{number:04}").write_bytes(b"")
    source.write("z/a", b"the only copy")
    target.write("extra", b"")
    target.write("z/a", b"the only copy")

    def link(step: Step) -> None:
        if step.action == "delete":
            (tmp_path / "source" / "z").rename(tmp_path / "elsewhere")
            (tmp_path / "source" / "z").symlink_to(tmp_path / "elsewhere")

    report = sync(source, target, SyncOptions(delete=True, compare="size"), on_step=link)
    assert (report.deleted, report.foreign) == (1, 1)
    assert (report.not_deleted or "").startswith("nothing more was deleted: the source holds 1 ")
    assert target.exists("z/a")
    assert not target.exists("extra")


def test_what_could_not_be_deleted_keeps_nothing_else(
    source: holdall.DataStore, target: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_DELETE_BATCH", 1)
    source.write("a", b"")
    for key in "xyz":
        target.write(key, b"")
    real = target.store.delete

    async def refused(refs: Any, *args: Any) -> Any:
        if refs[0].key.endswith("/x"):
            raise Unavailable("not now")
        return await real(refs, *args)

    monkeypatch.setattr(target.store, "delete", refused)
    report = sync(source, target, SyncOptions(delete=True))
    assert report.deleted == 2
    assert report.not_deleted is None
    assert list(target.list()) == ["a", "x"]


def test_a_plan_says_why_nothing_would_be_deleted(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("b", b"")
    target.write("a", b"")
    (tmp_path / "source" / "link").symlink_to("b")
    copy, keep = plan(source, target, SyncOptions(delete=True))
    assert (copy.key, copy.action) == ("b", "copy")
    assert (keep.key, keep.action, keep.reason) == ("a", "keep", "extra")
    assert str(keep.error).startswith("nothing would be deleted: the source holds 1 entry that")
    report = sync(source, target, SyncOptions(delete=True))
    assert str(report.not_deleted) == str(keep.error).replace("would be", "was")
    steps = plan(source, target, SyncOptions(delete=True, allow_empty=True))
    assert [(step.key, step.action) for step in steps] == [("b", "same"), ("a", "delete")]


def test_a_plan_deletes_nothing_where_something_would_fail(
    source: holdall.DataStore, target: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in (source, target):
        store.write("a", b"1")
    target.write("b", b"")

    async def refused(*_: object) -> None:
        raise Unavailable("not now")

    monkeypatch.setattr(target.store, "head", refused)
    steps = list(plan(source, target, SyncOptions(delete=True)))
    assert [(step.key, step.action) for step in steps] == [("a", "fail"), ("b", "keep")]
    assert "not everything could be copied" in str(steps[1].error)
    report = sync(source, target, SyncOptions(delete=True))
    assert str(report.not_deleted) == str(steps[1].error).replace("would be", "was")


def test_a_plan_notices_a_folder_that_becomes_a_link(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("docs/a", b"1")
    sync(source, target)
    target.write("extra", b"")
    steps = plan(source, target, SyncOptions(delete=True, workers=1))
    assert next(steps).action == "same"
    (tmp_path / "source" / "docs").rename(tmp_path / "elsewhere")
    (tmp_path / "source" / "docs").symlink_to(tmp_path / "elsewhere")
    source.write("kept", b"")
    assert {(step.key, step.action) for step in steps} == {("docs/a", "keep"), ("extra", "keep")}


def test_nothing_is_told_after_an_interruption(
    source: holdall.DataStore, target: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write("a", b"1")
    told: list[Step] = []
    threads: list[threading.Thread] = []
    copied, over = threading.Event(), threading.Event()
    real_send = copying.Copier.send

    def interrupted(_: object) -> None:
        copied.wait()
        raise KeyboardInterrupt

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            threads.extend(self._threads)
            raise KeyboardInterrupt  # the second one comes while the threads are waited for

    async def send(*args: Any) -> Any:
        answer = await real_send(*args)
        copied.set()
        over.wait()
        return answer

    monkeypatch.setattr(blocking, "_answer", interrupted)
    monkeypatch.setattr(blocking, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(copying.Copier, "send", send)
    options = SyncOptions(workers=2)
    work = engine.Sync(source.store, target.store, options, None, told.append)
    with pytest.raises(KeyboardInterrupt):
        drive(work.run())
    over.set()
    for thread in threads:
        thread.join()
    assert target.exists("a")
    assert (told, work.report.copied) == ([], 0)


LARGE = bytes(range(256)) * 30


@pytest.mark.parametrize("staged", [b"other bytes", LARGE + b"more", b""])
def test_an_upload_of_somebody_else_is_not_aborted(
    source: holdall.DataStore,
    target: holdall.DataStore,
    staged: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copying, "PART_BYTES", 1000)
    source.write("big", LARGE)
    with target.upload("big") as upload:
        upload.write(staged)
    report = sync(source, target)
    assert (report.copied, report.resumed) == (1, 0)
    assert target.read("big") == LARGE
    assert [info.id for info in target.uploads()] == [upload.id]


def one_place(path: Path) -> Path:
    return path


def below(path: Path) -> Path:
    return path / "docs"


@pytest.mark.parametrize("place", [one_place, below])
def test_a_link_to_the_source_is_no_target(
    source: holdall.DataStore, tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    source.write("docs/a", b"1")
    (tmp_path / "alias").symlink_to(place(tmp_path / "source"))
    alias = holdall.open(tmp_path / "alias")
    for one, other in ((source, alias), (alias, source)):
        with pytest.raises(InvalidConfig, match="one place"):
            sync(one, other)
        with pytest.raises(InvalidConfig, match="one place"):
            list(plan(one, other))


def test_a_link_to_the_source_is_seen_on_a_loop(source: holdall.DataStore, tmp_path: Path) -> None:
    source.write("a", b"1")
    (tmp_path / "alias").symlink_to(tmp_path / "source")
    one = holdall.open_async(tmp_path / "source")
    other = holdall.open_async(tmp_path / "alias")

    async def main() -> None:
        async with one, other:
            with pytest.raises(InvalidConfig, match="one place"):
                await sync_async(one, other)

    asyncio.run(main())
