"""A breaker that was open: whom it lets through to try, and when it closes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from holdall.core.errors import (
    CircuitOpen,
    InvalidKey,
    NotFound,
    Unavailable,
)
from holdall.objects.options import LIST
from objects.layers.scripted import Bench, Mode


@pytest.fixture(params=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(blocking=request.param == "blocking")


def _down() -> Unavailable:
    return Unavailable("the service is down")


def test_it_stays_open_until_the_time_is_over(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    bench.wait(29.9)
    assert bench.breaker.is_circuit_open()
    bench.wait(0.1)
    assert not bench.breaker.is_circuit_open()
    assert bench.state == "half-open"


def test_it_closes_after_three_calls_that_go_well(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    bench.wait()
    states = []
    for _ in range(3):
        assert bench.call() is None
        states.append((bench.state, bench.stats.successes))
    assert states == [("half-open", 1), ("half-open", 2), ("closed", 0)]
    assert bench.stats.failures == 0


def test_one_call_that_fails_opens_it_again_for_as_long(mode: Mode) -> None:
    bench = Bench(mode)
    bench.open()
    bench.wait()
    bench.call()
    bench.call(_down())
    assert bench.breaker.is_circuit_open()
    bench.wait(29.9)
    assert isinstance(bench.call(), CircuitOpen)
    bench.wait(0.1)
    assert bench.call() is None
    assert bench.stats.successes == 1  # what went well before does not count any more


def test_not_found_shows_that_the_service_is_back(mode: Mode) -> None:
    bench = Bench(mode, half_open_max_requests=1)
    bench.open()
    bench.wait()
    bench.call(NotFound("none"))
    assert bench.state == "closed"


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), KeyboardInterrupt(), InvalidKey("a//b"), OSError()],
    ids=lambda error: type(error).__name__,
)
def test_a_call_that_says_nothing_gives_its_place_back(error: BaseException) -> None:
    bench = Bench(Mode(blocking=True), half_open_max_requests=1)
    bench.open()
    bench.wait()
    for _ in range(3):
        assert bench.call(error) is error
    assert bench.state == "half-open"
    bench.call()
    assert bench.state == "closed"


def test_a_task_that_is_cancelled_gives_its_place_back() -> None:
    mode = Mode(blocking=False)
    bench = Bench(mode, half_open_max_requests=1)
    bench.open()
    bench.wait()

    async def use() -> None:
        began = asyncio.Event()

        async def stands_still() -> None:
            began.set()
            await asyncio.Event().wait()

        bench.store.script.append(stands_still)
        task = asyncio.create_task(bench.breaker.list(bench.breaker.root, LIST))
        await began.wait()
        with pytest.raises(CircuitOpen):
            await bench.breaker.list(bench.breaker.root, LIST)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await bench.breaker.list(bench.breaker.root, LIST)

    mode.run(use())
    assert bench.state == "closed"


def test_a_call_from_before_it_opened_changes_nothing_after() -> None:
    mode = Mode(blocking=False)
    bench = Bench(mode, max_failures=1, half_open_max_requests=1)

    async def use() -> None:
        end = asyncio.Event()

        async def slow() -> NoReturn:
            await end.wait()
            raise _down()

        bench.store.script += [slow, _down()]
        old = asyncio.create_task(bench.breaker.list(bench.breaker.root, LIST))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await bench.breaker.list(bench.breaker.root, LIST)
        bench.wait()
        assert bench.state == "half-open"
        end.set()
        with pytest.raises(Unavailable):
            await old

    mode.run(use())
    assert bench.state == "half-open"


# A hundred callers


def test_of_a_hundred_tasks_three_try() -> None:
    mode = Mode(blocking=False)
    bench = Bench(mode)
    bench.open()
    bench.wait()

    async def use() -> list[Any]:
        end = asyncio.Event()
        refused = 0

        async def caller() -> None:
            nonlocal refused
            try:
                await bench.breaker.list(bench.breaker.root, LIST)
            except CircuitOpen:
                refused += 1
                if refused == 97:
                    end.set()
                raise

        bench.store.script += [end.wait] * 100
        return await asyncio.gather(*(caller() for _ in range(100)), return_exceptions=True)

    answers = mode.run(use())
    assert sum(isinstance(answer, CircuitOpen) for answer in answers) == 97
    assert bench.sent == 5 + 3
    assert bench.state == "closed"


@pytest.mark.parametrize("went_well", [True, False])
def test_of_a_hundred_threads_three_try(went_well: bool) -> None:
    mode = Mode(blocking=True)
    bench = Bench(mode)
    bench.open()
    bench.wait()
    start, end = threading.Barrier(100), threading.Event()
    lock = threading.Lock()
    refused = 0

    def probe() -> None:
        end.wait()
        if not went_well:
            raise _down()

    bench.store.script += [probe] * 100

    def caller(_: int) -> type | None:
        nonlocal refused
        start.wait()
        try:
            mode.run(bench.breaker.list(bench.breaker.root, LIST))
        except CircuitOpen as error:
            with lock:
                refused += 1
                if refused == 97:
                    end.set()
            return type(error)
        except Unavailable as error:
            return type(error)
        return None

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(caller, range(100)))
    assert answers.count(CircuitOpen) == 97
    assert answers.count(None if went_well else Unavailable) == 3
    assert bench.sent == 5 + 3
    assert bench.state == ("closed" if went_well else "open")


def test_no_failure_of_a_hundred_threads_is_lost() -> None:
    mode = Mode(blocking=True)
    bench = Bench(mode, max_failures=101)
    start = threading.Barrier(100)
    bench.store.script += [_down() for _ in range(100)]

    def caller(_: int) -> None:
        start.wait()
        with pytest.raises(Unavailable):
            mode.run(bench.breaker.list(bench.breaker.root, LIST))

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(caller, range(100)))
    assert (bench.stats.failures, bench.state) == (100, "closed")
