"""A large object whose upload fails for a moment goes on in the same run."""

from typing import Any

import pytest
from msgspec.structs import replace

import holdall
from holdall import DataStore
from holdall.core.errors import CircuitOpen, HoldallError, PermissionDenied, Timeout, Unavailable
from holdall.objects import transfer
from holdall.objects.backends.memory import MemoryStore
from holdall.objects.transfer import SyncOptions, SyncReport, copying, trying
from holdall.testing import Fault, FaultRule, Faults

PART = 1000
LARGE = bytes(range(256)) * 30  # 7,680 bytes: seven whole parts and some
PARTS = 8
BROKEN = Fault(error=Unavailable)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, and no wait."""
    monkeypatch.setattr(copying, "PART_BYTES", PART)
    monkeypatch.setattr(trying, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def source() -> DataStore:
    store = holdall.open("memory://")
    store.write("big", LARGE, metadata={"a": "b"})
    return store


@pytest.fixture
def target() -> DataStore:
    return holdall.open("memory://")


def sync_with(source: DataStore, target: DataStore, *rules: FaultRule) -> tuple[SyncReport, Faults]:
    faults = Faults(target.store, rules)
    return transfer.sync(source, DataStore(faults), SyncOptions(workers=1)), faults


CASES = {
    "write": (FaultRule(fault=BROKEN, operation="write", nth=3), PARTS + 1),
    "late": (FaultRule(fault=Fault(error=Timeout), operation="write", nth=3), PARTS + 1),
    "cut": (FaultRule(fault=Fault(cut=300), operation="write", nth=3), PARTS + 1),
    "lost": (FaultRule(fault=Fault(lost=True), operation="write", nth=3), PARTS + 1),
    "often": (FaultRule(fault=BROKEN, operation="write", nth=3, times=3), PARTS + 3),
    "commit": (FaultRule(fault=BROKEN, operation="commit"), PARTS),
    "commit lost": (FaultRule(fault=Fault(lost=True), operation="commit"), PARTS),
}


@pytest.mark.parametrize(("rule", "writes"), CASES.values(), ids=CASES)
def test_an_upload_that_failed_for_a_moment_goes_on(
    source: DataStore, target: DataStore, rule: FaultRule, writes: int
) -> None:
    report, faults = sync_with(source, target, rule)
    assert (report.ok, report.copied, report.bytes) == (True, 1, len(LARGE))
    assert target.read("big") == LARGE
    assert target.stat("big").metadata == {"a": "b"}
    assert list(target.uploads()) == []
    assert (faults.seen["upload"], faults.seen["write"]) == (1, writes)


def test_the_source_is_read_once(source: DataStore, target: DataStore) -> None:
    counted = Faults(source.store)
    sync_with(DataStore(counted), target, FaultRule(fault=BROKEN, operation="write", nth=7))
    assert counted.seen["get"] == 1


def test_tries_are_counted_by_step(source: DataStore, target: DataStore) -> None:
    rules = [FaultRule(fault=BROKEN, operation="write", nth=1 + 4 * n, times=3) for n in range(8)]
    report, _ = sync_with(source, target, *rules)
    assert report.ok
    assert target.read("big") == LARGE


def test_who_comes_on_slowly_comes_to_the_end(source: DataStore, target: DataStore) -> None:
    rule = FaultRule(fault=Fault(cut=100), operation="write", nth=3, times=9)
    report, _ = sync_with(source, target, rule)
    assert report.ok
    assert target.read("big") == LARGE


@pytest.mark.parametrize("operation", ["write", "commit"])
def test_what_keeps_failing_ends_after_some_tries_and_stays_staged(
    source: DataStore, target: DataStore, operation: Any
) -> None:
    rule = FaultRule(fault=BROKEN, operation=operation, nth=1, times=None)
    report, faults = sync_with(source, target, rule)
    assert [type(failure.error) for failure in report.failed] == [Unavailable]
    assert faults.faults[operation] == trying.TRIES
    assert [info.key for info in target.uploads()] == ["big"]
    assert transfer.sync(source, target).ok
    assert target.read("big") == LARGE


@pytest.mark.parametrize("error", [PermissionDenied, CircuitOpen])
def test_what_would_fail_again_is_not_tried_again(
    source: DataStore, target: DataStore, error: type[HoldallError]
) -> None:
    rule = FaultRule(fault=Fault(error=error), operation="write", nth=3, times=None)
    report, faults = sync_with(source, target, rule)
    assert not report.ok
    assert faults.faults["write"] == 1


def test_a_service_that_asks_for_time_gets_it(
    source: DataStore, target: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Unavailable("slow down")
    busy.retry_after = 7.0
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(target.store.runtime, "sleep", sleep)
    rule = FaultRule(fault=Fault(error=busy), operation="write", nth=3)
    assert sync_with(source, target, rule)[0].ok
    assert max(waits) == 7.0


def test_bytes_that_are_not_the_source_s_are_never_published(
    source: DataStore, target: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = target.store.upload

    async def upload(*arguments: Any) -> Any:
        begun = await real(*arguments)
        monkeypatch.setattr(target.store, "upload", real)
        await begun.write(b"?" * PART)
        begun.offset = 0  # the store lies about what arrived
        return begun

    monkeypatch.setattr(target.store, "upload", upload)
    rule = FaultRule(fault=BROKEN, operation="write", nth=3)
    report, _ = sync_with(source, target, rule)
    assert not report.ok
    assert not target.exists("big")


# Where no bytes are kept


@pytest.fixture
def forgetful(target: DataStore, monkeypatch: pytest.MonkeyPatch) -> DataStore:
    """A target whose uploads nobody can go on with."""
    can = replace(target.capabilities, resume="none")
    monkeypatch.setattr(MemoryStore, "capabilities", property(lambda _: can))
    return target


def test_where_nothing_can_go_on_it_begins_at_byte_zero(
    source: DataStore, forgetful: DataStore
) -> None:
    rule = FaultRule(fault=BROKEN, operation="write", nth=3)
    report, faults = sync_with(source, forgetful, rule)
    assert (report.ok, report.bytes) == (True, len(LARGE))
    assert forgetful.read("big") == LARGE
    assert (faults.seen["upload"], faults.seen["write"]) == (2, 3 + PARTS)


def test_where_nothing_can_go_on_the_part_that_arrived_is_deleted(
    source: DataStore, forgetful: DataStore
) -> None:
    rule = FaultRule(fault=BROKEN, operation="write", nth=3, times=None)
    report, faults = sync_with(source, forgetful, rule)
    assert not report.ok
    assert faults.seen["abort"] == faults.seen["upload"] == trying.TRIES
    assert list(forgetful.uploads()) == []
    assert not forgetful.exists("big")


def test_a_source_that_changed_meanwhile_is_not_begun_anew(
    source: DataStore, forgetful: DataStore
) -> None:
    def script(call: Any) -> Fault | None:
        if call.operation != "write":
            return None
        source.write("big", LARGE[::-1])
        return BROKEN

    faults = Faults(forgetful.store, script)
    report = transfer.sync(source, DataStore(faults), SyncOptions(workers=1))
    assert "PreconditionFailed" in {type(failure.error).__name__ for failure in report.failed}
    assert not forgetful.exists("big")


def test_bytes_that_came_twice_are_told_once(source: DataStore, forgetful: DataStore) -> None:
    moved: list[int] = []
    rule = FaultRule(fault=BROKEN, operation="write", nth=3)
    faulty = DataStore(Faults(forgetful.store, [rule]))
    transfer.copy(source, "big", faulty, "big", on_bytes=moved.append)
    assert sum(moved) == len(LARGE)
    assert min(moved) == -2 * PART
