"""The circuit breaker: what counts, when it opens, and what it tells."""

from __future__ import annotations

import asyncio
import logging
import pickle
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.config import load_settings
from holdall.core.errors import (
    AlreadyExists,
    CircuitOpen,
    Corrupt,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers.breaker import Breaker, BreakerSettings, BreakerStats
from holdall.objects.layers.retry import Retry
from holdall.objects.options import DELETE, GET, HEAD, LIST, WRITE
from holdall.objects.results import DeleteFailure
from objects.layers.scripted import Bench, Mode, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(blocking=request.param == "blocking")


def _down() -> Unavailable:
    return Unavailable("the service is down")


def _lost() -> Unavailable:
    error = Unavailable("may have been applied", transient=False)
    error.uncertain = True
    return error


# Opening


def test_it_opens_after_five_failures_in_a_row(mode: Mode) -> None:
    bench = Bench(mode)
    states = []
    for _ in range(5):
        bench.call(_down())
        states.append(bench.state)
    assert states == ["closed"] * 4 + ["open"]
    assert bench.breaker.is_circuit_open()


def test_what_is_open_sends_nothing(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    assert isinstance(bench.call(), CircuitOpen)
    assert bench.sent == 5


def test_a_success_between_failures_keeps_it_closed(mode: Mode) -> None:
    bench = Bench(mode, max_failures=2)
    for _ in range(5):
        bench.call(_down())
        bench.call()
    assert (bench.state, bench.stats.failures) == ("closed", 0)


@pytest.mark.parametrize(
    "error",
    [
        _down(),
        Timeout("late"),
        Timeout("late, and may have been applied", transient=False),
        _lost(),
        HoldallError("passes", transient=True),
    ],
    ids=["Unavailable", "Timeout", "a change that timed out", "a lost change", "transient"],
)
def test_what_says_that_the_service_is_down_counts(mode: Mode, error: HoldallError) -> None:
    bench = Bench(mode, max_failures=1)
    bench.call(error)
    assert bench.state == "open"


@pytest.mark.parametrize(
    "error",
    [
        NotFound("none"),
        PreconditionFailed("another"),
        AlreadyExists("there"),
        InvalidKey("a//b"),
        LimitExceeded("too large"),
        PermissionDenied("no"),
        Unsupported("cannot"),
        Corrupt("damaged"),
        CircuitOpen("another breaker"),
        Unavailable("the answer is 400", transient=False),
        ValueError("bad input"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_of_the_kind_does_not_count(error: BaseException) -> None:
    bench = Bench(Mode(blocking=True), max_failures=1)
    assert bench.call(error) is error
    assert (bench.state, bench.stats.failures) == ("closed", 0)
    assert bench.stats.last_failure_time is None


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (NotFound("none"), 0),
        (PermissionDenied("no"), 0),
        (InvalidKey("a//b"), 1),
        (Unsupported("cannot"), 1),
        (CircuitOpen("another breaker"), 1),
        (OSError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_ends_a_row_of_failures_and_what_was_never_sent_does_not(
    mode: Mode, error: Exception, left: int
) -> None:
    bench = Bench(mode)
    bench.call(_down())
    bench.call(error)
    assert bench.stats.failures == left


def test_the_deadline_of_a_caller_does_not_count(mode: Mode) -> None:
    bench = Bench(mode, max_failures=1)

    async def sent() -> Any:
        return await mode.runtime.call(lambda: None, None)

    bench.store.script.append(sent)

    async def use() -> None:
        async with mode.runtime.deadline(0):
            await bench.breaker.list(bench.breaker.root, LIST)

    with pytest.raises(Timeout):
        mode.run(use())
    assert (bench.state, bench.stats.failures) == ("closed", 0)


def test_a_deadline_further_inside_counts(mode: Mode) -> None:
    bench = Bench(mode, max_failures=1)

    async def slow() -> None:
        async with mode.runtime.deadline(0):
            await mode.runtime.call(lambda: None, None)
            await mode.runtime.sleep(0)

    assert isinstance(bench.call(slow), Timeout)
    assert bench.state == "open"


def test_a_time_out_of_the_driver_counts_although_the_deadline_has_passed_too() -> None:
    mode = Mode(blocking=True)
    bench = Bench(mode, max_failures=1)
    late = Timeout("the driver waited long enough")
    late.__cause__ = TimeoutError("read timed out")

    async def use() -> None:
        async with mode.runtime.deadline(0):
            await bench.breaker.list(bench.breaker.root, LIST)

    bench.store.script.append(late)
    with pytest.raises(Timeout, match="long enough"):
        mode.run(use())
    assert bench.state == "open"


# Steps and deletes


def test_the_steps_of_an_upload_count(mode: Mode) -> None:
    bench = Bench(mode, None, _down(), _down(), max_failures=2)

    async def use() -> None:
        upload = await bench.breaker.upload(bench.store.ref("a"), WRITE, None)
        for step in (upload.write(b"1"), upload.commit()):
            with pytest.raises(Unavailable):
                await step
        with pytest.raises(CircuitOpen):
            await upload.commit()

    mode.run(use())
    assert bench.store.operations == ["upload", "write", "commit"]


def test_the_steps_of_a_body_count(mode: Mode) -> None:
    bench = Bench(mode, max_failures=2)
    bench.store.bodies.append([_down(), _down()])

    async def use() -> None:
        await bench.store.inner.put(bench.store.ref("a"), b"data", WRITE)
        async with await bench.breaker.get(bench.store.ref("a"), GET) as stream:
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await stream.read(1)
            with pytest.raises(CircuitOpen):
                await stream.read(1)

    mode.run(use())


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        ([_down(), _down()], "open"),
        ([_down()], "closed"),
        ([_down(), PermissionDenied("no")], "closed"),
        ([_down(), Unsupported("cannot")], "open"),
        ([], "closed"),
    ],
    ids=[
        "all of it failed so",
        "some were deleted",
        "some were refused",
        "some were never sent",
        "all were deleted",
    ],
)
def test_a_delete_fails_when_nothing_of_it_got_through(
    mode: Mode, errors: list[HoldallError], state: str
) -> None:
    bench = Bench(mode, max_failures=1)
    refs = [bench.store.ref(key) for key in "ab"]
    failures = [DeleteFailure(ref, error) for ref, error in zip(refs, errors, strict=False)]
    bench.store.script.append(lambda: failures)
    assert mode.run(bench.breaker.delete(refs, DELETE)) == failures
    assert bench.state == state


def test_a_delete_that_was_never_sent_gives_its_place_back(mode: Mode) -> None:
    bench = Bench(mode, half_open_max_requests=1)
    bench.open()
    bench.wait()
    ref = bench.store.ref("a")
    errors: list[HoldallError] = [Unsupported("cannot"), CircuitOpen("another breaker")]
    for error in errors:
        failures = [DeleteFailure(ref, error)]
        bench.store.script.append(partial(list, failures))
        assert mode.run(bench.breaker.delete([ref], DELETE)) == failures
        assert bench.state == "half-open"
    assert mode.run(bench.breaker.delete([ref], DELETE)) == []
    assert bench.state == "closed"


# What it tells


def test_a_refusal_says_who_failed_how_often_with_what_and_until_when(mode: Mode) -> None:
    bench = Bench(mode, name="archive")
    bench.open()
    bench.wait(10)
    refusal = bench.call()
    assert isinstance(refusal, CircuitOpen)
    assert str(refusal) == (
        f"{bench.breaker.root}: not sent, since archive has failed 5 times in a row; it is tried "
        "again in 20 s (circuit breaker). The last error was Unavailable: the service is down"
    )
    assert refusal.retry_after == 20
    assert refusal.reference == bench.breaker.root
    assert pickle.loads(pickle.dumps(refusal)).retry_after == 20


def test_a_refusal_says_that_others_are_trying(mode: Mode) -> None:
    bench = Bench(mode, half_open_max_requests=1)
    bench.open()
    bench.wait()

    async def meanwhile() -> None:
        with pytest.raises(CircuitOpen, match="other calls are trying it now") as refused:
            await bench.breaker.list(bench.breaker.root, LIST)
        assert refused.value.retry_after is None

    assert bench.call(meanwhile) is None


def test_statistics_are_a_value(mode: Mode) -> None:
    bench = Bench(mode, name="archive", max_failures=7, timeout=timedelta(seconds=12))
    before = datetime.now(UTC)
    bench.call(_down())
    stats = bench.stats
    assert stats == BreakerStats(
        name="archive",
        state="closed",
        failures=1,
        successes=0,
        max_failures=7,
        timeout_seconds=12.0,
        last_failure_time=stats.last_failure_time,
    )
    assert stats.last_failure_time is not None
    assert before <= stats.last_failure_time <= datetime.now(UTC)
    assert stats.last_failure_time.utcoffset() == timedelta(0)


def test_the_failures_that_opened_it_are_told_while_it_is_tried(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    bench.wait()
    assert (bench.state, bench.stats.failures) == ("half-open", 5)
    bench.call(_down())
    assert (bench.state, bench.stats.failures) == ("open", 6)


def test_without_a_name_it_has_the_address_of_the_store(mode: Mode) -> None:
    bench = Bench(mode)
    assert bench.stats.name == str(bench.store.root)


def test_a_reset_closes_it_and_forgets_the_failures(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    bench.breaker.reset_circuit_breaker()
    assert (bench.state, bench.stats.failures) == ("closed", 0)
    assert bench.call() is None


def test_each_change_of_state_is_told(mode: Mode) -> None:
    told: list[tuple[str, str, str]] = []
    bench = Bench(mode, name="archive", on_change=lambda *change: told.append(change))
    bench.open()
    bench.wait()
    for act in (None, _down()):
        bench.call(act)
    bench.wait()
    for _ in range(3):
        bench.call()
    bench.breaker.reset_circuit_breaker()  # is closed, so that nothing changes
    assert told == [
        ("archive", "closed", "open"),
        ("archive", "open", "half-open"),
        ("archive", "half-open", "open"),
        ("archive", "open", "half-open"),
        ("archive", "half-open", "closed"),
    ]


def test_who_is_told_may_ask_and_reset(mode: Mode) -> None:
    told: list[tuple[str, str, str]] = []

    def on_change(name: str, old: str, new: str) -> None:
        if new == "open":
            bench.breaker.reset_circuit_breaker()
        told.append((old, new, bench.state))

    bench = Bench(mode, on_change=on_change)
    bench.open()
    # The second change, made while the first was told, is told after it.
    assert told == [("closed", "open", "closed"), ("open", "closed", "closed")]


def test_an_error_of_who_is_told_is_logged_and_goes_no_further(
    mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    def on_change(*change: str) -> None:
        raise ZeroDivisionError

    bench = Bench(mode, name="archive", on_change=on_change)
    bench.open()
    assert bench.state == "open"
    assert "on_change of the circuit breaker of archive failed" in caplog.text


def test_a_change_of_state_is_logged(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "holdall.objects")
    bench = Bench(mode, name="archive")
    bench.open()
    bench.wait()
    assert bench.state == "half-open"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the circuit breaker of archive is open, and was closed"),
        ("INFO", "the circuit breaker of archive is half-open, and was open"),
    ]


# Finding it, and its settings

FACES: dict[str, Callable[[Any], Any]] = {
    "store": lambda store: store,
    "DataStore": DataStore,
    "AsyncDataStore": AsyncDataStore,
}


@pytest.mark.parametrize("face", FACES)
def test_the_breaker_of_a_store_is_found_behind_layers_and_faces(face: str) -> None:
    breaker = Bench(Mode(blocking=True)).breaker
    assert Breaker.of(FACES[face](Retry(breaker))) is breaker


@pytest.mark.parametrize("face", FACES)
def test_a_store_without_a_breaker_says_how_to_get_one(face: str) -> None:
    store = Scripted(BlockingRuntime())
    with pytest.raises(Unsupported, match=r"resilient\(store\)"):
        Breaker.of(FACES[face](store))


def test_settings_are_read_from_a_configuration() -> None:
    given = {"maxFailures": 2, "timeout": "1m", "half_open_max_requests": 1, "name": "archive"}
    assert load_settings(BreakerSettings, given) == BreakerSettings(
        max_failures=2, timeout=timedelta(minutes=1), half_open_max_requests=1, name="archive"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("max_failures", 0), ("half_open_max_requests", 0), ("timeout", -1)]
)
def test_a_setting_that_is_too_small_is_refused(name: str, value: int) -> None:
    with pytest.raises(InvalidConfig, match=name):
        load_settings(BreakerSettings, {name: value})


def test_a_store_that_is_opened_again_has_a_breaker_that_is_closed() -> None:
    breaker = Breaker(Scripted(BlockingRuntime()).inner, BreakerSettings(max_failures=1))
    again = pickle.loads(pickle.dumps(breaker))
    assert isinstance(again, Breaker)
    assert again.settings == breaker.settings
    assert not again.is_circuit_open()


def test_a_call_that_goes_well_is_answered_as_it_is(mode: Mode) -> None:
    bench = Bench(mode)

    async def use() -> bytes | None:
        await bench.breaker.put(bench.store.ref("a"), b"data", WRITE)
        assert (await bench.breaker.head(bench.store.ref("a"), HEAD)).size == 4
        return (await bench.breaker.get(bench.store.ref("a"), GET)).whole

    assert mode.run(use()) == b"data"
