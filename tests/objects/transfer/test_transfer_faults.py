"""What fails is reported, and nothing is lost by it."""

import os
import shutil
from collections.abc import Callable, Sequence
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
from holdall.core.reference import Reference
from holdall.objects import transfer
from holdall.objects.options import ListOptions
from holdall.objects.results import DeleteFailure
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


def test_a_target_that_answers_nothing_any_more_is_asked_to_delete_no_more(
    places: Places,
) -> None:
    fill(places.source, {"a": b"1"})
    fill(places.target, {f"old/{n:04}": b"" for n in range(2500)})
    asked: list[int] = []

    def prepare(source: DataStore | AsyncDataStore, target: DataStore | AsyncDataStore) -> None:
        async def delete(refs: Sequence[Reference], *_: object) -> Sequence[DeleteFailure]:
            asked.append(len(refs))
            raise Unavailable("gone")

        setattr(target.store, "delete", delete)  # noqa: B010 (it is a method)

    places.prepare = prepare
    report = places.sync(DELETE)
    assert report.stopped is not None
    assert asked == [1000]
    assert len(contents(places.target)) == 2501


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


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[DataStore | AsyncDataStore], None]:
    """Let nobody read the folders named `locked` of a store, as if permissions were missing."""
    real_scandir = os.scandir

    def refusing(path: Any = ".") -> Any:
        if str(path).endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        return real_scandir(path)

    def lock(face: DataStore | AsyncDataStore) -> None:
        store = face.store
        real = store.list

        async def partial(ref: Any, *rest: Any) -> Any:
            if ref.path.endswith("/locked") or ref.relative_to(store.root) in {"", "b", "c"}:
                raise PermissionDenied(f"{ref}: Permission denied")
            return await real(ref, *rest)

        setattr(store, "list", partial)  # noqa: B010 (it is a method)

    monkeypatch.setattr(os, "scandir", refusing)
    return lock


Lock = Callable[[DataStore | AsyncDataStore], None]
MORE = {"a": b"1", "b/c": b"2", "b/locked/d": b"3", "b/z": b"4", "c/locked/e": b"", "c-d": b"5"}
SEEN = ["a", "b/c", "b/z", "c-d"]


def test_a_folder_that_may_not_be_read_stops_no_other(files: Places, locked: Lock) -> None:
    fill(files.source, MORE)
    (Path(files.source.base_path) / "b" / "link").symlink_to("c")
    fill(files.target, {"old": b"", "b/locked/d": b"kept"})
    files.prepare = lambda source, target: locked(source)
    report = files.sync(DELETE)
    assert [failure.key for failure in report.failed] == ["b/locked", "c/locked"]
    assert "source/b/locked: Permission denied" in str(report.failed[0].error)
    assert (report.copied, report.extra, report.foreign) == (4, 1, 1)
    assert report.not_deleted is not None
    assert sorted(contents(files.target)) == sorted([*SEEN, "b/locked/d", "old"])
    assert files.target.read("b/locked/d") == b"kept"


def test_a_folder_of_the_target_that_may_not_be_read_is_left_alone(
    files: Places, locked: Lock
) -> None:
    fill(files.source, MORE)
    fill(files.target, {"b/locked/d": b"kept"})
    files.prepare = lambda source, target: locked(target)
    report = files.sync(DELETE)
    assert [failure.key for failure in report.failed] == ["b/locked"]
    assert files.target.read("b/locked/d") == b"kept"
    assert report.copied == len(MORE) - 1


def test_a_listing_that_is_refused_later_on_goes_on_where_it_was(
    files: Places, locked: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(files.source, MORE)

    def prepare(source: DataStore | AsyncDataStore, target: object) -> None:
        whole = source.store.list
        locked(source)
        refused = source.store.list

        async def once(ref: Any, options: Any) -> Any:
            if ref == source.root and options.token is None:
                return await whole(ref, ListOptions(max_items=2))
            return await refused(ref, options)

        setattr(source.store, "list", once)  # noqa: B010 (it is a method)

    files.prepare = prepare
    report = files.sync(SyncOptions(workers=1))
    assert report.copied == 4
    assert sorted(contents(files.target)) == SEEN


def test_what_is_excluded_need_not_be_readable(files: Places, locked: Lock) -> None:
    fill(files.source, MORE)
    files.prepare = lambda source, target: locked(source)
    assert files.sync(SyncOptions(exclude=("*/locked", "a"), workers=2)).ok
    assert sorted(contents(files.target)) == SEEN[1:]


def test_a_plan_says_what_may_not_be_read(files: Places, locked: Lock) -> None:
    fill(files.source, MORE)
    one, other = files.source, files.target
    fill(other, {"b/locked/d": b"kept"})
    locked(one)
    steps = list(transfer.plan(one, other, DELETE))
    assert [step.key for step in steps if step.action == "copy"] == SEEN
    assert [step.key for step in steps if step.action == "fail"] == ["b/locked", "c/locked"]
    assert {step.action for step in steps} == {"copy", "fail"}


def test_what_may_not_be_read_is_not_verified(files: Places, locked: Lock) -> None:
    fill(files.target, MORE)
    fill(files.source, MORE)
    store = files.target
    locked(store)
    report = transfer.verify(store)
    assert report.unrecorded == 4
    assert [failure.key for failure in report.unreadable] == ["b/locked", "c/locked"]
    report = transfer.compare(files.source, store)
    assert (report.ok, report.missing) == (4, [])
    assert not report.sound


def test_a_source_that_may_not_be_read_at_all_is_an_error(tmp_path: Path, locked: Lock) -> None:
    source = holdall.open(str(tmp_path / "locked"))
    source.write("a", b"")
    locked(source)
    with pytest.raises(PermissionDenied):
        transfer.sync(source, holdall.open(str(tmp_path / "target")))


def test_an_object_that_may_not_be_looked_at_is_reported(
    files: Places, locked: Lock, tmp_path: Path
) -> None:
    fill(files.source, MORE)

    def prepare(source: DataStore | AsyncDataStore, target: object) -> None:
        locked(source)
        fail_on(source, "head", "a", PermissionDenied("not yours"))

    files.prepare = prepare
    assert [failure.key for failure in files.sync().failed] == ["a", "b/locked", "c/locked"]


@pytest.mark.parametrize(
    ("wrong", "kind", "word"),
    [
        ({"exclude": "*.txt"}, TypeError, "exclude"),
        ({"workers": 0}, ValueError, "workers"),
        ({"compare": "colour"}, ValueError, "compare"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    wrong: dict[str, Any], kind: type[Exception], word: str
) -> None:
    with pytest.raises(kind, match=word):
        SyncOptions(**wrong)
    if word != "compare":
        with pytest.raises(kind, match=word):
            transfer.verify(holdall.open("memory://"), **wrong)
        with pytest.raises(kind, match=word):
            transfer.compare(holdall.open("memory://"), holdall.open("memory://"), **wrong)
