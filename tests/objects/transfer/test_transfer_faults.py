"""What fails is reported, and nothing is lost by it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import holdall
from holdall import AsyncDataStore, DataStore
from holdall.core.errors import (
    InvalidConfig,
    KeyConflict,
    NotFound,
    PartialFailure,
    PermissionDenied,
    Unavailable,
    Unsupported,
)
from holdall.objects import transfer
from holdall.objects.transfer import Step, SyncOptions
from objects.transfer.places import Places, contents, fill

DELETE = SyncOptions(delete=True, workers=3)
SOME = {"a.txt": b"one", "b/c": b"", "c": b"three"}


def test_nothing_is_deleted_when_something_failed(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(places.source, {"a": b"1", "b": b"2"})
    fill(places.target, {"old": b""})

    def prepare(source: DataStore | AsyncDataStore, target: object) -> None:
        fail_on(source, "get", "a", PermissionDenied("not yours"))

    places.prepare = prepare
    report = places.sync(DELETE)
    assert [failure.key for failure in report.failed] == ["a"]
    assert report.not_deleted is not None
    assert sorted(contents(places.target)) == ["b", "old"]


def fail_on(face: DataStore | AsyncDataStore, method: str, key: str, error: Exception) -> None:
    """Make one method of a store fail for one key; for every key when it is empty."""
    store = face.store
    real = getattr(store, method)

    async def failing(ref: Any, *rest: Any) -> Any:
        if not key or ref.relative_to(store.root) == key:
            raise error
        return await real(ref, *rest)

    setattr(store, method, failing)


def test_one_failure_does_not_stop_the_others(places: Places) -> None:
    fill(places.source, {"a": b"1", "b": b"2", "c": b"3"})
    error = PermissionDenied("not yours")
    places.prepare = lambda source, target: fail_on(target, "put", "b", error)
    report = places.sync()
    assert report.copied == 2
    assert [(failure.key, failure.error) for failure in report.failed] == [("b", error)]
    with pytest.raises(PartialFailure, match="not yours"):
        report.check()


def test_a_full_disk_ends_it_early(places: Places) -> None:
    fill(places.source, {f"{n:03}": b"x" for n in range(100)})
    full = Unavailable("no space left", transient=False)
    full.__cause__ = OSError(28, "no space left")
    places.prepare = lambda source, target: fail_on(target, "put", "", full)
    report = places.sync()
    assert report.stopped is full
    assert len(report.failed) <= 3
    assert not report.ok


def test_a_store_that_answers_nothing_any_more_ends_it_early(places: Places) -> None:
    fill(places.source, {f"{n:03}": b"x" for n in range(100)})
    places.prepare = lambda source, target: fail_on(target, "put", "", Unavailable("gone"))
    report = places.sync()
    assert report.stopped is not None
    assert 20 <= len(report.failed) < 30


def test_a_listing_that_fails_is_an_error_and_deletes_nothing(places: Places) -> None:
    fill(places.source, {"a": b"1"})
    fill(places.target, {"old": b""})
    places.prepare = lambda source, target: fail_on(source, "list", "", Unavailable("gone"))
    with pytest.raises(Unavailable, match="gone"):
        places.sync(DELETE)
    assert contents(places.target) == {"old": b""}


def test_a_source_that_is_not_there_is_an_error(files: Places, tmp_path: Path) -> None:
    fill(files.target, {"old": b""})
    (tmp_path / "source").rmdir()
    with pytest.raises(NotFound, match="is the address right"):
        files.sync(DELETE)
    with pytest.raises(NotFound, match="is the address right"):
        files.plan(DELETE)
    assert contents(files.target) == {"old": b""}


def test_an_empty_folder_is_no_error_unless_it_would_empty_the_target(files: Places) -> None:
    fill(files.target, {"old": b""})
    assert files.sync().extra == 1
    with pytest.raises(NotFound, match="would empty the target"):
        files.sync(DELETE)
    assert contents(files.target) == {"old": b""}


def test_an_empty_source_may_empty_the_target_when_allowed(places: Places) -> None:
    fill(places.target, {"old": b""})
    report = places.sync(SyncOptions(delete=True, allow_empty=True))
    assert report.deleted == 1
    assert contents(places.target) == {}


def test_a_key_that_the_target_cannot_hold_is_reported(onto_disk: Places) -> None:
    fill(onto_disk.source, {"a": b"1", "a/b": b"2", "c": b"3"})
    report = onto_disk.sync(SyncOptions(workers=1))
    assert [type(failure.error) for failure in report.failed] == [KeyConflict]
    assert contents(onto_disk.target) == {"a": b"1", "c": b"3"}


def test_a_conflict_that_delete_cannot_solve_is_reported(onto_disk: Places) -> None:
    fill(onto_disk.source, {"a": b"1", "a/b": b"2"})
    fill(onto_disk.target, {"old": b""})
    report = onto_disk.sync(SyncOptions(workers=1, delete=True))
    assert [type(failure.error) for failure in report.failed] == [KeyConflict]


@pytest.mark.parametrize(
    ("before", "now"), [({"a": b"1"}, {"a/b": b"2"}), ({"a/b": b"1", "a/c": b""}, {"a": b"2"})]
)
def test_with_delete_a_file_may_become_a_folder(
    files: Places, tmp_path: Path, before: dict[str, bytes], now: dict[str, bytes]
) -> None:
    fill(files.source, before)
    files.sync()
    shutil.rmtree(tmp_path / "source")
    fill(files.source, now)
    report = files.sync(DELETE)
    assert report.ok
    assert contents(files.target) == now


def test_a_store_is_not_synced_into_itself(files: Places, tmp_path: Path) -> None:
    fill(files.source, SOME)
    for target in (tmp_path / "source", tmp_path / "source" / "b", tmp_path):
        files.target_url = f"file://{target}"
        with pytest.raises(InvalidConfig, match="one place"):
            files.sync()


def test_neighbours_with_a_common_beginning_are_two_places(tmp_path: Path) -> None:
    source = holdall.open(str(tmp_path / "a"))
    source.write("k", b"")
    assert transfer.sync(source, holdall.open(str(tmp_path / "a-copy"))).copied == 1


def test_both_stores_must_wait_in_the_same_way() -> None:
    blocking, other = holdall.open("memory://"), holdall.open_async("memory://")
    mixed: Any = other
    with pytest.raises(InvalidConfig, match="with holdall"):
        transfer.sync(blocking, mixed)


def test_a_listing_out_of_order_is_refused(memories: Places) -> None:
    fill(memories.source, {"a": b"", "b": b""})

    def prepare(source: DataStore | AsyncDataStore, target: object) -> None:
        real = source.store.list

        async def backward(*args: Any) -> Any:
            page = await real(*args)
            return replace(page, objects=page.objects[::-1])

        setattr(source.store, "list", backward)  # noqa: B010 (it is a method)

    memories.prepare = prepare
    with pytest.raises(Unsupported, match="byte order"):
        memories.sync()


def test_a_callback_that_raises_ends_it(memories: Places) -> None:
    fill(memories.source, {f"{n:03}": b"x" for n in range(100)})

    def refuse(step: Step) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        memories.sync(on_step=refuse)
    assert len(contents(memories.target)) < 100


def test_metadata_that_the_target_cannot_keep_is_reported(places: Places) -> None:
    fill(places.source, {"a": b"1", "b": b"2"})
    places.prepare = name_metadata_badly
    report = places.sync()
    assert [(failure.key, type(failure.error)) for failure in report.failed] == [("a", Unsupported)]
    assert contents(places.target) == {"b": b"2"}


def name_metadata_badly(source: DataStore | AsyncDataStore, target: object) -> None:
    """Let the source have metadata that another service took and ours refuse."""
    real = source.store.get

    async def named(ref: Any, *rest: Any) -> Any:
        stream = await real(ref, *rest)
        if stream.meta.key == "a":
            stream.meta = replace(stream.meta, metadata={"Bad Name": "x"})
        return stream

    setattr(source.store, "get", named)  # noqa: B010 (it is a method)


def test_a_conflict_is_told_as_a_step_too(onto_disk: Places) -> None:
    fill(onto_disk.source, {"a": b"1", "a/b": b"2"})
    steps: list[Step] = []
    onto_disk.sync(DELETE, on_step=steps.append)
    assert sorted(step.action for step in steps) == ["copy", "fail"]
