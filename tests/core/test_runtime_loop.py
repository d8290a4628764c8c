"""Facts about the runtime on an event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import wraps
from itertools import count
from typing import Any, ParamSpec, TypeVar

import pytest

from holdall.core.errors import NotFound, Timeout
from holdall.core.runtime.loop import LoopRuntime

T = TypeVar("T")
P = ParamSpec("P")

FOREVER = 3600.0
runtime = LoopRuntime()
variable: ContextVar[str] = ContextVar("variable", default="unset")


def on_a_loop(fact: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    @wraps(fact)
    def test(*args: P.args, **keywords: P.kwargs) -> None:
        async def main() -> None:
            before = asyncio.all_tasks()
            await asyncio.wait_for(fact(*args, **keywords), 60)
            await turns(3)
            assert asyncio.all_tasks() == before

        asyncio.run(main())

    return test


async def turns(number: int) -> None:
    """Let all others go on."""
    for _ in range(number):
        await asyncio.sleep(0)


async def collect(
    function: Callable[[T], Awaitable[Any]], items: Iterable[T], workers: int = 4
) -> list[Any]:
    return [answer async for answer in runtime.map(function, items, workers)]


async def double(number: int) -> int:
    return 2 * number


# Calls


@on_a_loop
async def test_a_blocking_function_runs_in_a_thread() -> None:
    assert await runtime.call(threading.get_ident, None) != threading.get_ident()


@on_a_loop
async def test_a_coroutine_function_is_preferred() -> None:
    def never(number: int) -> int:
        raise AssertionError

    assert await runtime.call(never, double, 21) == 42


@on_a_loop
async def test_a_call_hands_on_its_arguments_and_errors() -> None:
    assert await runtime.call(divmod, None, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await runtime.call(divmod, None, 7, 0)


@on_a_loop
async def test_context_variables_are_carried_into_the_thread() -> None:
    variable.set("outside")
    assert await runtime.call(variable.get, None) == "outside"


@on_a_loop
async def test_a_cancelled_call_waits_for_its_thread() -> None:
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    done: list[str] = []

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(60)
        done.append("thread")

    async def caller() -> None:
        try:
            await runtime.call(work, None)
        finally:
            done.append("caller")

    task = asyncio.create_task(caller())
    await begun.wait()
    for _ in range(2):  # also when it is cancelled twice
        task.cancel()
        await turns(5)
        assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["thread", "caller"]


@on_a_loop
async def test_a_cancelled_call_whose_thread_fails_is_cancelled() -> None:
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(60)
        raise NotFound("gone")

    task = asyncio.create_task(runtime.call(work, None))
    await begun.wait()
    task.cancel()
    await turns(3)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task


# Deadlines


@on_a_loop
async def test_a_deadline_cuts_a_sleep() -> None:
    with pytest.raises(Timeout, match=r"deadline of 0\.01 s"):
        async with runtime.deadline(0.01):
            await runtime.sleep(FOREVER)


@on_a_loop
async def test_no_call_begins_after_the_deadline() -> None:
    called: list[int] = []
    with pytest.raises(Timeout):
        async with runtime.deadline(0):
            await runtime.call(called.append, None, 1)
    assert called == []


@pytest.mark.parametrize(("outer", "inner"), [(FOREVER, 0.01), (0.01, FOREVER)])
@on_a_loop
async def test_the_tightest_of_nested_deadlines_counts(outer: float, inner: float) -> None:
    with pytest.raises(Timeout, match=r"deadline of 0\.01 s"):
        async with runtime.deadline(outer), runtime.deadline(inner):
            await runtime.sleep(FOREVER)


@on_a_loop
async def test_a_deadline_that_was_left_does_not_count() -> None:
    async with runtime.deadline(0.001):
        pass
    await runtime.sleep(0.01)


@on_a_loop
async def test_a_timeout_from_within_is_raised_as_it_is() -> None:
    with pytest.raises(Timeout, match="the service is slow"):
        async with runtime.deadline(FOREVER):
            raise Timeout("the service is slow")


@on_a_loop
async def test_a_foreign_timeout_from_within_is_raised_as_it_is() -> None:
    with pytest.raises(TimeoutError) as caught:
        async with runtime.deadline(FOREVER):
            raise TimeoutError("of the socket")
    assert not isinstance(caught.value, Timeout)


@on_a_loop
async def test_a_clean_up_goes_on_after_the_deadline() -> None:
    called: list[int] = []

    async def work() -> None:
        try:
            await runtime.sleep(FOREVER)
        finally:
            async with runtime.cleaning():
                await runtime.call(called.append, None, 1)
                await runtime.sleep(0.001)
                called.append(2)

    with pytest.raises(Timeout):
        async with runtime.deadline(0.01):
            await work()
    assert called == [1, 2]


@on_a_loop
async def test_a_deadline_counts_in_the_tasks_of_a_map() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await runtime.sleep(FOREVER)
        finally:
            ended.append(number)

    with pytest.raises(Timeout):
        async with runtime.deadline(0.01):
            await collect(work, range(4), 2)
    assert sorted(ended) == [0, 1]


# Locks


@on_a_loop
async def test_a_lock_lets_in_one_at_a_time() -> None:
    lock = runtime.lock()
    total = 0

    async def add() -> None:
        nonlocal total
        async with lock:
            seen = total
            await turns(2)
            total = seen + 1

    await asyncio.gather(*(add() for _ in range(50)))
    assert total == 50


@on_a_loop
async def test_a_semaphore_lets_in_as_many_as_it_has_slots() -> None:
    semaphore = runtime.semaphore(3)
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with semaphore:
            inside.append(number)
            most = max(most, len(inside))
            await turns(3)
            inside.pop()

    await collect(work, range(20), 10)
    assert most == 3


@on_a_loop
async def test_a_deadline_cuts_the_wait_for_a_lock() -> None:
    lock = runtime.lock()
    async with lock:
        with pytest.raises(Timeout):
            async with runtime.deadline(0.01), lock:
                raise AssertionError
    async with lock:
        pass


# Single flight


@on_a_loop
async def test_100_callers_make_one_call() -> None:
    flight = runtime.single_flight()
    calls: list[int] = []

    async def work() -> str:
        calls.append(1)
        await turns(5)
        return "answer"

    answers = await asyncio.gather(*(flight.run("k", work) for _ in range(100)))
    assert len(calls) == 1
    assert answers == ["answer"] * 100


@on_a_loop
async def test_the_next_caller_calls_again() -> None:
    flight = runtime.single_flight()
    numbers = count()

    async def work() -> int:
        return next(numbers)

    assert [await flight.run("k", work) for _ in range(3)] == [0, 1, 2]


@on_a_loop
async def test_other_keys_do_not_wait() -> None:
    flight = runtime.single_flight()

    async def outer() -> int:
        return await flight.run("other", lambda: double(21))

    assert await flight.run("k", outer) == 42


@on_a_loop
async def test_the_error_of_the_one_call_goes_to_all() -> None:
    flight = runtime.single_flight()

    async def work() -> None:
        await turns(3)
        raise NotFound("gone")

    runs = [flight.run("k", work) for _ in range(10)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotFound] * 10


@on_a_loop
async def test_when_the_first_caller_is_cancelled_the_others_get_the_answer() -> None:
    flight = runtime.single_flight()
    release = asyncio.Event()
    calls: list[int] = []

    async def work() -> str:
        calls.append(1)
        await release.wait()
        return "answer"

    first, *others = [asyncio.create_task(flight.run("k", work)) for _ in range(5)]
    await turns(3)
    first.cancel()
    await turns(3)
    release.set()
    assert await asyncio.gather(*others) == ["answer"] * 4
    assert first.cancelled()
    assert calls == [1]


@on_a_loop
async def test_when_a_waiting_caller_is_cancelled_the_others_get_the_answer() -> None:
    flight = runtime.single_flight()
    release = asyncio.Event()

    async def work() -> str:
        await release.wait()
        return "answer"

    *others, last = [asyncio.create_task(flight.run("k", work)) for _ in range(5)]
    await turns(3)
    last.cancel()
    await turns(3)
    release.set()
    assert await asyncio.gather(*others) == ["answer"] * 4


@on_a_loop
async def test_when_all_callers_are_cancelled_so_is_the_work() -> None:
    flight = runtime.single_flight()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    tasks = [asyncio.create_task(flight.run("k", work)) for _ in range(3)]
    await turns(3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await turns(3)
    assert ended == ["cancelled"]
    # Whoever comes now does not get what was cancelled.
    assert await flight.run("k", lambda: double(1)) == 2


# Map


@pytest.mark.parametrize("workers", [1, 2, 8])
@on_a_loop
async def test_answers_come_in_the_order_of_the_items(workers: int) -> None:
    async def work(number: int) -> int:
        await turns(number % 5)
        return 2 * number

    assert await collect(work, range(30), workers) == [2 * number for number in range(30)]


@on_a_loop
async def test_a_map_over_nothing_gives_nothing() -> None:
    assert await collect(double, []) == []


@on_a_loop
async def test_items_may_come_from_an_asynchronous_iterator() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    assert [answer async for answer in runtime.map(double, items(), 3)] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("workers", [1, 3])
@on_a_loop
async def test_a_map_works_at_as_many_items_as_it_has_workers(workers: int) -> None:
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        inside.append(number)
        most = max(most, len(inside))
        await turns(3)
        inside.pop()

    await collect(work, range(20), workers)
    assert most == workers


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (1, 8), (8, 1), (4, 4)])
@on_a_loop
async def test_nested_maps_do_not_wait_for_each_other(outer: int, inner: int) -> None:
    async def work(number: int) -> int:
        return sum(await collect(double, range(number), inner))

    expected = [number * (number - 1) for number in range(10)]
    assert await collect(work, range(10), outer) == expected


@on_a_loop
async def test_context_variables_are_carried_into_each_call() -> None:
    async def work(number: int) -> str:
        seen = variable.get()
        variable.set(f"changed by {number}")
        return seen

    variable.set("outside")
    assert await collect(work, range(4)) == ["outside"] * 4


@pytest.mark.parametrize("workers", [1, 4])
@on_a_loop
async def test_an_error_ends_the_map(workers: int) -> None:
    begun: list[int] = []

    async def work(number: int) -> int:
        begun.append(number)
        if number == 5:
            raise NotFound("gone")
        return number

    answers = runtime.map(work, range(10_000), workers)
    assert [await anext(answers) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(NotFound):
        await anext(answers)
    assert len(begun) < 100


@on_a_loop
async def test_an_error_cancels_the_others() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 0:
            await turns(3)
            raise NotFound("gone")
        try:
            await asyncio.sleep(FOREVER)
        finally:
            ended.append(number)

    with pytest.raises(NotFound):
        await collect(work, range(4))
    assert sorted(ended) == [1, 2, 3]


@on_a_loop
async def test_an_error_of_the_items_ends_the_map() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await collect(double, items())


@on_a_loop
async def test_a_cancelled_map_cancels_its_tasks() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            ended.append(number)

    task = asyncio.create_task(collect(work, range(3)))
    await turns(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]


@on_a_loop
async def test_a_map_that_is_left_cancels_its_tasks() -> None:
    ended: list[int] = []

    async def work(number: int) -> int:
        if number:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                ended.append(number)
        return number

    answers = runtime.map(work, range(4), 4)
    assert await anext(answers) == 0
    await answers.aclose()  # type: ignore[attr-defined]
    assert sorted(ended) == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 4])
@on_a_loop
async def test_items_are_taken_only_a_little_ahead(workers: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    answers = runtime.map(double, items(), workers)
    for number in range(20):
        assert await anext(answers) == 2 * number
        assert len(taken) <= number + 1 + 2 * workers
    await answers.aclose()  # type: ignore[attr-defined]
