"""What a sync that was killed had finished is not compared again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall import AsyncDataStore, DataStore
from holdall.core.errors import HoldallError, PermissionDenied, Unavailable
from holdall.core.runtime.blocking import drive
from holdall.objects import transfer
from holdall.objects.backends import memory
from holdall.objects.options import DELETE, WRITE, ListOptions
from holdall.objects.transfer import Progress, SyncOptions, journal
from holdall.testing import Fault, FaultRule, Faults
from objects.transfer.places import Places, contents, fill

Face = DataStore | AsyncDataStore
KEYS = [f"{number:02}" for number in range(40)]
MANY = {key: key.encode() for key in KEYS}
ONE = SyncOptions(workers=1)
FEW = 4


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that a test of forty objects reaches."""
    monkeypatch.setattr(journal, "BATCH_ITEMS", FEW)


class Reads:
    """Counts, by key, which objects of both stores are read or looked at."""

    def __init__(self) -> None:
        self.source: list[str] = []
        self.target: list[str] = []

    def __call__(self, source: Face, target: Face) -> None:
        self._count(source, self.source)
        self._count(target, self.target)

    def _count(self, face: Face, keys: list[str]) -> None:
        for name in ("get", "head"):
            setattr(face.store, name, self._counted(face, getattr(face.store, name), keys))

    def _counted(self, face: Face, real: Any, keys: list[str]) -> Any:
        def counted(ref: Any, *rest: Any) -> Any:
            key = ref.relative_to(face.root)
            if not key.startswith(".holdall/"):
                keys.append(key)
            return real(ref, *rest)

        return counted


def cut_off(places: Places, after: int = 30, options: SyncOptions = ONE) -> None:
    """Sync so many objects, and die."""

    def stop(progress: Progress) -> None:
        if progress.objects == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        places.sync(options, on_progress=stop)


def settle(places: Places) -> None:
    """Let the files of the source be older than the grain of any clock."""
    if places.source.capabilities.local:
        for key in places.source.list():
            os.utime(Path(places.source.base_path) / key, (10**9, 10**9))


def batches(store: DataStore) -> list[Any]:
    """The objects of all journals of a store."""
    page = drive(store.store.list(store.root.reserved("journals"), ListOptions()))
    return list(page.objects)


@pytest.fixture
def half(places: Places) -> Places:
    """Places of which 30 objects of 40 are synced, by a run that died."""
    fill(places.source, MANY)
    settle(places)
    cut_off(places)
    return places


def test_what_a_run_that_died_had_finished_is_not_looked_at_again(half: Places) -> None:
    half.prepare = reads = Reads()
    report = half.sync(ONE)
    noted = 30 // FEW * FEW
    assert (report.skipped, report.copied) == (30, 10)
    assert sorted(set(reads.source)) == KEYS[noted:]
    assert set(reads.target) <= set(KEYS[noted:30])
    assert contents(half.target) == MANY


def test_without_a_journal_all_of_it_is_looked_at(half: Places) -> None:
    target = half.target
    drive(target.store.delete([meta.ref for meta in batches(target)], DELETE))
    half.prepare = reads = Reads()
    assert half.sync(ONE).skipped == 30
    assert sorted(set(reads.source)) == KEYS


def test_what_was_found_the_same_is_not_compared_again(places: Places) -> None:
    fill(places.source, MANY)
    fill(places.target, MANY)
    settle(places)
    for key in MANY:
        age(places.target, key)
    cut_off(places)
    places.prepare = reads = Reads()
    assert places.sync(ONE).skipped == 40
    noted = 30 // FEW * FEW
    assert sorted(set(reads.source)) == sorted(set(reads.target)) == KEYS[noted:]


def age(store: DataStore, key: str) -> None:
    if store.capabilities.local:
        os.utime(Path(store.base_path) / key, (10**9, 10**9))


def test_a_run_that_goes_through_leaves_no_journal(half: Places) -> None:
    assert batches(half.target)
    half.sync(ONE)
    assert batches(half.target) == []


def test_a_second_run_that_dies_adds_to_the_journal(half: Places) -> None:
    cut_off(half, 38)
    half.prepare = reads = Reads()
    assert half.sync(ONE).skipped == 38
    assert len(set(reads.source)) == 4


def test_what_changed_at_the_source_since_is_copied(half: Places) -> None:
    half.source.write("01", b"xx")
    settle(half)
    assert half.sync(ONE).copied == 11
    assert half.target.read("01") == b"xx"


def test_what_changed_at_the_target_since_is_copied_again(half: Places) -> None:
    half.target.write("01", b"xx")
    assert half.sync(ONE).copied == 11
    assert half.target.read("01") == b"01"


def test_what_went_from_the_target_since_is_copied_again(half: Places) -> None:
    half.target.delete("01")
    assert half.sync(ONE).copied == 11
    assert half.target.read("01") == b"01"


def test_a_file_that_changed_in_place_is_seen(files: Places, tmp_path: Path) -> None:
    fill(files.source, MANY)
    settle(files)
    cut_off(files)
    for side in ("source", "target"):
        path = tmp_path / side / ("01" if side == "source" else "02")
        times = path.stat()
        path.write_bytes(b"xx")
        if side == "source":
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    files.prepare = reads = Reads()
    files.sync(ONE)
    assert {"01", "02"} <= set(reads.source)
    assert files.target.read("02") == b"02"


def test_a_file_that_was_written_a_moment_before_is_not_noted(files: Places) -> None:
    # It may be written once more within the grain of the clock.
    fill(files.source, MANY)
    cut_off(files)
    assert batches(files.target) == []


def test_the_journal_of_another_source_is_not_taken(memories: Places) -> None:
    fill(memories.source, MANY)
    cut_off(memories)
    memories.source_url += "-other"
    fill(memories.source, dict.fromkeys(KEYS, b"xx"))
    assert memories.sync(ONE).copied == 40


def test_another_store_of_the_same_address_is_told_by_its_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As in another process, where the etags of memory begin with the same one again.
    def source(data: bytes) -> DataStore:
        monkeypatch.setattr(memory, "_serial", iter(range(1_000_000, 1_001_000)))
        store = holdall.open("memory://")
        fill(store, dict.fromkeys(KEYS, data))
        return store

    target = holdall.open("memory://")
    work = transfer.engine.Sync(source(b"1").store, target.store, ONE, stop_after(30), None)
    with pytest.raises(KeyboardInterrupt):
        drive(work.run())
    assert batches(target)
    other = source(b"2")
    assert other.stat("01").etag == "m1000001"
    assert transfer.sync(other, target, ONE).copied == 40


def stop_after(number: int) -> Any:
    def stop(progress: Progress) -> None:
        if progress.objects == number:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"nothing of ours",
        b"holdall journal 1\n12345",
        b"holdall journal 1\n" + bytes(100 * 16),
        b"holdall journal 2\n" + bytes(16),
    ],
    ids=["empty", "foreign", "torn", "unknown", "newer"],
)
def test_a_bad_journal_costs_no_more_than_time(half: Places, bad: bytes) -> None:
    target = half.target
    for meta in batches(target):
        drive(target.store.put(meta.ref, bad, WRITE))
    half.prepare = reads = Reads()
    report = half.sync(ONE)
    assert (report.skipped, report.copied, report.ok) == (30, 10, True)
    assert sorted(set(reads.source)) == KEYS
    assert contents(half.target) == MANY
    assert batches(half.target) == []


def test_what_is_longer_than_any_journal_is_not_read(half: Places) -> None:
    target = half.target
    for meta in batches(target):
        data = target.read(meta.ref) + bytes(64 * 1024)
        drive(target.store.put(meta.ref, data, WRITE))
    half.prepare = reads = Reads()
    half.sync(ONE)
    assert sorted(set(reads.source)) == KEYS


def test_a_damaged_entry_fits_nothing(half: Places) -> None:
    target = half.target
    first = batches(target)[0].ref
    data = bytearray(target.read(first))
    data[-1] ^= 1
    drive(target.store.put(first, data, WRITE))
    half.prepare = reads = Reads()
    assert half.sync(ONE).skipped == 30
    noted = 30 // FEW * FEW
    assert len(set(reads.source)) == 40 - noted + 1


def test_only_a_part_of_the_journal_is_in_memory(
    half: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_PAGE_BATCHES", 1)
    monkeypatch.setattr(journal, "WINDOW_ITEMS", 2 * FEW)
    most = 0
    real = journal.Journal.has

    async def has(self: Any, pair: Any) -> bool:
        nonlocal most
        found = await real(self, pair)
        most = max(most, len(self._known))
        return found

    monkeypatch.setattr(journal.Journal, "has", has)
    half.prepare = reads = Reads()
    half.sync(ONE)
    noted = 30 // FEW * FEW
    assert len(set(reads.source)) == 40 - noted
    assert 0 < most < 3 * FEW


def test_who_distrusts_what_is_recorded_reads_no_journal(half: Places) -> None:
    half.prepare = reads = Reads()
    half.sync(SyncOptions(compare="content", workers=1))
    assert sorted(set(reads.source)) == KEYS


@pytest.mark.parametrize("operation", ["list", "get", "put", "delete"])
@pytest.mark.parametrize("error", [PermissionDenied("not yours"), Unavailable("gone")])
def test_a_target_that_keeps_no_journal_is_synced(
    half: Places, operation: str, error: HoldallError
) -> None:
    half.prepare = lambda _, target: refuse(target, operation, error)
    report = half.sync(ONE)
    assert (report.ok, report.copied, report.skipped) == (True, 10, 30)
    assert contents(half.target) == MANY


def refuse(face: Face, operation: str, error: HoldallError) -> None:
    """Let an operation fail for what is beside the objects."""
    real = getattr(face.store, operation)

    async def refusing(refs: Any, *rest: Any) -> Any:
        if "/.holdall/" in str(refs):
            raise error
        return await real(refs, *rest)

    setattr(face.store, operation, refusing)


def test_a_small_sync_writes_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    source = holdall.open("memory://")
    fill(source, dict.fromkeys(KEYS[: FEW - 1], b""))
    target = DataStore(Faults(holdall.open("memory://").store))
    transfer.sync(source, target, ONE)
    assert target.store.seen["put"] == FEW - 1  # type: ignore[attr-defined]


def test_an_entry_waits_for_others_only_for_a_while(memories: Places) -> None:
    fill(memories.source, {"a": b"1", "b": b"2", "c": b"3"})
    source, target = memories.source, memories.target
    now = 0.0
    one = journal.Journal(source.store, target.store, "", 1, lambda: now)
    drive(one.open())
    for key, seconds, written in [("a", 1.0, 0), ("b", 4.0, 1), ("c", 4.9, 1)]:
        now += seconds
        target.write(key, source.read(key))
        seen = transfer.joining.Pair(key, source.stat(key), target.stat(key))
        drive(one.note(source.stat(key), seen, begun_ns=0, copied=True))
        assert len(batches(target)) == written


def test_a_run_that_was_stopped_leaves_its_journal() -> None:
    source = holdall.open("memory://")
    fill(source, MANY)
    store = holdall.open("memory://").store
    full = Unavailable("no space left", transient=False)
    full.__cause__ = OSError(28, "no space left")
    rule = FaultRule(fault=Fault(error=full), operation="put", nth=30, times=None)
    report = transfer.sync(source, DataStore(Faults(store, [rule])), ONE)
    assert report.stopped is full
    assert batches(DataStore(store))


def journals_below(folder: Path) -> Iterator[Path]:
    return (folder / ".holdall" / "journals").glob("*/*")


def test_a_process_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.mkdir()
    for number in range(3000):
        path = source / f"{number:04}"
        path.write_bytes(b"%d" % number)
        os.utime(path, (10**9, 10**9))
    place = f"file://{target}?durable=false"
    command = [sys.executable, "-m", "holdall", "sync", str(source), place, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in child.stdout:
            if any(journals_below(target)):
                break
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    noted = sum((path.stat().st_size - 18) // 16 for path in journals_below(target))
    there = len(list(holdall.open(str(target)).list()))
    assert 500 <= noted <= there < 3000
    one, other = holdall.open(str(source)), holdall.open(place)
    reads = Reads()
    reads(one, other)
    assert transfer.sync(one, other).skipped == there
    assert (len(set(reads.source)), len(set(reads.target))) == (3000 - noted, there - noted)
    assert list(journals_below(target)) == []
