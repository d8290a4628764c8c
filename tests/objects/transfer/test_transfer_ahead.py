"""Keys that are walked before a worker is free for them."""

import hashlib

import pytest
from msgspec.structs import replace

import holdall
from holdall import DataStore
from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import drive
from holdall.objects.contract import ObjectStore
from holdall.objects.options import ListOptions
from holdall.objects.results import Page
from holdall.objects.transfer import SyncOptions, engine, sync
from holdall.testing import Fault, FaultRule, Faults
from objects.transfer.places import Places, contents, fill

KEYS = [f"{number:03}" for number in range(3 * engine._AHEAD + 1)]


@pytest.mark.parametrize("workers", [1, 3])
def test_keys_that_are_walked_ahead_are_copied_once_each(memories: Places, workers: int) -> None:
    for key in KEYS:
        memories.source.write(key, key.encode())
    report = memories.sync(SyncOptions(workers=workers))
    assert (report.copied, report.bytes) == (len(KEYS), 3 * len(KEYS))
    assert contents(memories.target) == {key: key.encode() for key in KEYS}


def test_a_small_object_is_kept_with_the_digest_of_its_bytes(places: Places) -> None:
    places.source.write("a", b"bytes")
    places.sync()
    assert places.target.stat("a").sha256 == hashlib.sha256(b"bytes").hexdigest()


def test_a_listing_that_fails_behind_what_is_walked_ahead_is_told(
    memories: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS:
        memories.source.write(key, b"x")
    whole = type(memories.source.backend).list

    async def failing(store: ObjectStore, prefix: object, options: ListOptions) -> Page:
        if options.token is not None:
            raise Unavailable("the listing broke off")
        few = ListOptions(max_items=engine._AHEAD + 1, etags=options.etags)
        return await whole(store, prefix, few)  # type: ignore[arg-type]

    monkeypatch.setattr(type(memories.source.backend), "list", failing)
    with pytest.raises(Unavailable, match="broke off"):
        memories.sync()
    assert sorted(contents(memories.target)) == KEYS[: engine._AHEAD + 1]


def test_a_small_object_that_cannot_be_read_keeps_nothing_else() -> None:
    source, target = holdall.open("memory://"), holdall.open("memory://")
    fill(source, dict.fromkeys(KEYS, b"x"))
    broken = FaultRule(fault=Fault(error=Unavailable("not now")), operation="get", nth=3)
    report = sync(DataStore(Faults(source.store, [broken])), target, SyncOptions(workers=1))
    assert [failure.key for failure in report.failed] == [KEYS[2]]
    assert sorted(contents(target)) == sorted({*KEYS} - {KEYS[2]})
    assert report.copied == report.bytes == len(KEYS) - 1


def test_a_source_that_answers_nothing_is_read_no_further() -> None:
    source, target = holdall.open("memory://"), holdall.open("memory://")
    fill(source, dict.fromkeys(KEYS, b"x"))
    down = FaultRule(fault=Fault(error=Unavailable("down")), operation="get", nth=41, times=None)
    faults = Faults(source.store, [down])
    report = sync(DataStore(faults), target, SyncOptions(workers=1))
    assert (report.copied, len(report.failed)) == (40, 20)
    assert isinstance(report.stopped, Unavailable)
    assert faults.seen["get"] == 60


@pytest.mark.parametrize("size", [engine._AHEAD, 100_000])
def test_an_object_that_has_grown_since_it_was_listed_is_copied(
    memories: Places, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for key in ("a", "b", "c"):
        memories.source.write(key, b"x" * size if key == "b" else b"x")
    whole = type(memories.source.backend).list

    async def old(store: ObjectStore, prefix: object, options: ListOptions) -> Page:
        page = await whole(store, prefix, options)  # type: ignore[arg-type]
        return replace(page, objects=tuple(replace(meta, size=1) for meta in page.objects))

    monkeypatch.setattr(type(memories.source.backend), "list", old)
    report = memories.sync()
    assert (report.copied, report.bytes) == (3, size + 2)
    assert contents(memories.target) == {"a": b"x", "b": b"x" * size, "c": b"x"}


def test_what_was_copied_before_an_interruption_is_counted() -> None:
    source, target = holdall.open("memory://"), holdall.open("memory://")
    fill(source, dict.fromkeys(KEYS, b"x"))
    stop = FaultRule(fault=Fault(error=KeyboardInterrupt()), operation="put", nth=5)
    work = engine.Sync(
        source.store, Faults(target.store, [stop]), SyncOptions(workers=1), None, None
    )
    with pytest.raises(KeyboardInterrupt):
        drive(work.run())
    assert work.report.copied == len(contents(target)) == 4


def test_the_fewer_are_left_the_fewer_one_worker_takes(memories: Places) -> None:
    for key in KEYS[:20]:
        memories.source.write(key, b"x")
    options = SyncOptions(workers=4)
    work = engine.Sync(memories.source.store, memories.target.store, options, None, None)
    drive(work._look_ahead())
    sizes = []
    while taken := work._take()[0]:
        sizes.append(len(taken))
    assert sizes == [3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
