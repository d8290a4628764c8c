"""Facts about letting go of what is old."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall.core.errors import Corrupt, InvalidConfig, PartialFailure, Unavailable
from holdall.objects import transfer
from holdall.objects.backends.memory import MemoryStore
from holdall.objects.transfer import digests, retention

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three old objects and a young one."""
    store = holdall.open(str(tmp_path / "source"))
    for key in ("logs/a", "logs/b", "logs/young", "other"):
        store.write(key, key.encode(), metadata={"m": key})
    long_ago = time.time() - 3 * 86400
    for key in ("logs/a", "logs/b", "other"):
        os.utime(tmp_path / "source" / key, (long_ago, long_ago))
    return tmp_path / "source"


@pytest.fixture
def source(folder: Path) -> holdall.DataStore:
    return holdall.open(str(folder))


@pytest.fixture
def target() -> holdall.DataStore:
    return holdall.open("memory://")


def test_what_is_old_is_deleted(source: holdall.DataStore) -> None:
    report = transfer.expire(source, DAY, "logs")
    assert (report.found, report.deleted, report.bytes, report.ok) == (2, 2, 12, True)
    assert list(source.list()) == ["logs/young", "other"]


def test_a_dry_run_counts_and_changes_nothing(source: holdall.DataStore) -> None:
    report = transfer.expire(source, DAY, dry_run=True)
    assert (report.found, report.bytes, report.deleted) == (3, 17, 0)
    assert len(list(source.list())) == 4


def test_what_is_moved_is_whole_before_the_source_goes(
    source: holdall.DataStore, target: holdall.DataStore
) -> None:
    steps: list[transfer.Expired] = []
    report = transfer.expire(source, DAY, move_to=target, on_step=steps.append)
    assert (report.moved, report.deleted) == (3, 0)
    assert sorted(step.key for step in steps) == ["logs/a", "logs/b", "other"]
    assert target.read("logs/a") == b"logs/a"
    assert target.stat("logs/a").metadata == {"m": "logs/a"}
    assert list(source.list()) == ["logs/young"]


def test_what_does_not_arrive_stays(
    source: holdall.DataStore, target: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = digests.read_digest

    async def another(store: Any, ref: Any) -> Any:
        meta, _ = await read(store, ref)
        return meta, "0" * 64

    monkeypatch.setattr(retention, "read_digest", another)
    report = transfer.expire(source, DAY, "logs", move_to=target)
    assert [type(failure.error) for failure in report.failed] == [Corrupt, Corrupt]
    assert source.exists("logs/a")
    with pytest.raises(PartialFailure, match="2 of 2 objects are still there"):
        report.check()


@pytest.mark.parametrize("moves", [False, True])
def test_what_is_written_again_meanwhile_stays(
    source: holdall.DataStore,
    target: holdall.DataStore,
    monkeypatch: pytest.MonkeyPatch,
    moves: bool,
) -> None:
    handle = retention._Expiry.handle

    async def late(work: Any, meta: Any) -> Any:
        if meta.key == "logs/a":
            source.write("logs/a", b"new")
        return await handle(work, meta)

    monkeypatch.setattr(retention._Expiry, "handle", late)
    report = transfer.expire(source, DAY, "logs", move_to=target if moves else None)
    assert report.kept == 1
    assert source.read("logs/a") == b"new"
    assert not source.exists("logs/b")


def test_one_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    store = holdall.open("memory://")
    for key in "abc":
        store.write(key, b"1")
    delete: Callable[..., Any] = MemoryStore.delete

    async def failing(self: MemoryStore, refs: Any, options: Any) -> Any:
        if refs[0].key == "b":
            raise Unavailable("down", reference=refs[0])
        return await delete(self, refs, options)

    monkeypatch.setattr(MemoryStore, "delete", failing)
    report = transfer.expire(store, timedelta(0))
    assert (report.deleted, [failure.key for failure in report.failed]) == (2, ["b"])


def test_a_place_is_not_moved_into_itself(source: holdall.DataStore, folder: Path) -> None:
    with pytest.raises(InvalidConfig):
        transfer.expire(source, DAY, move_to=holdall.open(str(folder / "logs")))
    assert len(list(source.list())) == 4


@pytest.mark.parametrize("wrong", [30, -DAY])
def test_an_age_is_a_span_of_time(source: holdall.DataStore, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="older_than"):
        transfer.expire(source, wrong)


def test_it_works_on_an_event_loop(folder: Path) -> None:
    async def run() -> None:
        async with holdall.open_async(str(folder)) as store:
            assert (await transfer.expire_async(store, DAY, "logs")).deleted == 2

    asyncio.run(run())
