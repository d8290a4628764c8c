"""Facts about how many calls begin in a second."""

import asyncio

import pytest

from holdall.core.errors import Timeout
from holdall.core.runtime.blocking import drive
from holdall.objects.layers.rate import Rate, RateSettings
from holdall.objects.options import GET, HEAD, WRITE
from objects.layers.scripted import Clock, QuickBlockingRuntime, Scripted


def _made(calls: float, burst: int | None = None) -> tuple[Rate, Clock, Scripted]:
    clock = Clock()
    inner = Scripted(QuickBlockingRuntime(clock))
    drive(inner.inner.put(inner.ref("a"), b"x" * 20, WRITE))
    return Rate(inner, RateSettings(calls=calls, burst=burst), clock=clock), clock, inner


def _ask(store: Rate) -> None:
    drive(store.head(store.root.child("a"), HEAD))


def test_the_first_calls_go_at_once_and_the_others_wait_for_their_turn() -> None:
    store, clock, _ = _made(10, burst=3)
    for _ in range(6):
        _ask(store)
    assert clock.slept == pytest.approx([0.1, 0.1, 0.1])


def test_a_rest_fills_the_bucket_and_no_more_than_that() -> None:
    store, clock, _ = _made(10, burst=2)
    clock.now += 3600
    for _ in range(4):
        _ask(store)
    assert clock.slept == pytest.approx([0.1, 0.1])


def test_a_burst_is_what_a_second_has_unless_it_is_said() -> None:
    store, clock, _ = _made(5)
    for _ in range(5):
        _ask(store)
    assert clock.slept == []
    _ask(store)
    assert clock.slept == pytest.approx([0.2])


def test_less_than_one_call_a_second_is_a_rate_too() -> None:
    store, clock, _ = _made(0.5)
    _ask(store)
    _ask(store)
    assert clock.slept == pytest.approx([2.0])


def test_the_chunks_of_a_body_do_not_count() -> None:
    store, clock, inner = _made(1)
    inner.bodies.append([5, 5, 5, 5])
    stream = drive(store.get(inner.ref("a"), GET))
    assert b"".join(drive(stream.read(5)) for _ in range(4)) == b"x" * 20
    assert clock.slept == []


def test_the_steps_of_an_upload_count() -> None:
    store, clock, inner = _made(1)
    upload = drive(store.upload(inner.ref("b"), WRITE, None))
    drive(upload.write(b"data"))
    drive(upload.commit())
    assert clock.slept == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(("calls", "burst"), [(0, None), (-1, None), (1, 0)])
def test_a_rate_must_let_something_through(calls: float, burst: int | None) -> None:
    with pytest.raises(ValueError, match=r"above 0|at least 1"):
        RateSettings(calls=calls, burst=burst)


@pytest.mark.parametrize("end", [Timeout("the deadline"), asyncio.CancelledError()])
def test_the_turn_of_a_caller_that_went_away_is_the_next_ones(end: BaseException) -> None:
    store, clock, _ = _made(1, burst=1)
    _ask(store)
    passes = clock.passes

    def goes_away(seconds: float) -> None:
        raise end

    clock.passes = goes_away  # type: ignore[method-assign]
    for _ in range(100):
        with pytest.raises(type(end)):
            _ask(store)
    clock.passes = passes  # type: ignore[method-assign]
    for _ in range(3):
        _ask(store)
    assert clock.slept == pytest.approx([1.0, 1.0, 1.0])


def test_no_turn_that_was_given_back_is_used_when_its_time_is_over() -> None:
    store, clock, inner = _made(1, burst=1)
    _ask(store)
    passes = clock.passes

    def goes_away(seconds: float) -> None:
        raise Timeout("the deadline")

    clock.passes = goes_away  # type: ignore[method-assign]
    with pytest.raises(Timeout):
        _ask(store)
    clock.passes = passes  # type: ignore[method-assign]
    clock.now += 3600
    _ask(store)
    _ask(store)
    assert clock.slept == pytest.approx([1.0])
    assert len(inner.calls) == 3
