"""Facts about the runtime that never suspends, and about driving its coroutines."""

import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import count
from typing import Any, TypeVar

import pytest

from holdall.core.errors import NotFound, Timeout
from holdall.core.runtime import blocking
from holdall.core.runtime.blocking import BlockingRuntime, drive, drive_iterator

T = TypeVar("T")

FOREVER = 3600.0
runtime = BlockingRuntime()
variable: ContextVar[str] = ContextVar("variable", default="unset")


def collect(
    function: Callable[[T], Awaitable[Any]], items: Iterable[T], workers: int = 4
) -> list[Any]:
    return list(drive_iterator(runtime.map(function, items, workers)))


def in_threads(works: Iterable[Callable[[], None]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if true():
            return
        time.sleep(0.002)
    raise AssertionError("it never came true")


def working_threads() -> list[threading.Thread]:
    """The threads of maps; an upload that another test dropped has one of another name."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("holdall_")]


async def double(number: int) -> int:
    return 2 * number


# Driving


def test_a_coroutine_that_never_suspends_is_driven_to_its_answer() -> None:
    assert drive(double(21)) == 42


def test_the_error_of_a_driven_coroutine_is_raised() -> None:
    async def fail() -> None:
        raise NotFound("gone")

    with pytest.raises(NotFound, match="gone"):
        drive(fail())


def test_a_coroutine_that_suspends_is_an_error_that_helps() -> None:
    import asyncio

    closed = []

    async def wait() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match=r"open_async") as caught:
        drive(wait())
    assert "wait" in str(caught.value)
    assert closed == [True]


def test_an_iterator_is_driven_to_its_end() -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    assert list(drive_iterator(numbers())) == [0, 1, 2]


def test_a_driven_iterator_is_closed_when_it_is_left() -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in count():
                yield number
        finally:
            closed.append(True)

    for number in drive_iterator(numbers()):
        if number == 2:
            break
    assert closed == [True]


def test_the_error_of_a_driven_iterator_is_raised() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        raise NotFound("gone")

    driven = drive_iterator(numbers())
    assert next(driven) == 1
    with pytest.raises(NotFound):
        next(driven)


# Calls, sleeps and deadlines


def test_a_call_is_made_here_and_not_by_the_coroutine_function() -> None:
    async def never() -> int:
        raise AssertionError

    assert drive(runtime.call(threading.get_ident, never)) == threading.get_ident()


def test_a_call_hands_on_its_arguments_and_errors() -> None:
    assert drive(runtime.call(divmod, None, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        drive(runtime.call(divmod, None, 7, 0))


def test_no_call_begins_after_the_deadline() -> None:
    called: list[int] = []

    async def main() -> None:
        async with runtime.deadline(0):
            await runtime.call(called.append, None, 1)

    with pytest.raises(Timeout, match="deadline of 0 s"):
        drive(main())
    assert called == []


@pytest.mark.parametrize(("outer", "inner"), [(FOREVER, 0.0), (0.0, FOREVER)])
def test_the_tightest_of_nested_deadlines_counts(outer: float, inner: float) -> None:
    async def main() -> None:
        async with runtime.deadline(outer), runtime.deadline(inner):
            await runtime.call(int, None)

    with pytest.raises(Timeout):
        drive(main())


@pytest.mark.parametrize(("outer", "inner"), [(FOREVER, 0.01), (0.01, FOREVER)])
def test_a_deadline_cuts_a_sleep(outer: float, inner: float) -> None:
    async def main() -> None:
        async with runtime.deadline(outer), runtime.deadline(inner):
            await runtime.sleep(FOREVER)

    with pytest.raises(Timeout, match=r"deadline of 0\.01 s"):
        drive(main())


def test_a_deadline_that_was_left_does_not_count() -> None:
    async def main() -> int:
        async with runtime.deadline(0):
            pass
        return await runtime.call(int, None)

    assert drive(main()) == 0


def test_a_deadline_that_an_error_left_does_not_count() -> None:
    async def main() -> int:
        with pytest.raises(NotFound):
            async with runtime.deadline(0):
                raise NotFound("gone")
        return await runtime.call(int, None)

    assert drive(main()) == 0


def test_a_sleep_within_the_deadline_ends_well() -> None:
    async def main() -> None:
        await runtime.sleep(0)
        async with runtime.deadline(FOREVER):
            await runtime.sleep(0.001)

    drive(main())


def test_a_deadline_counts_in_the_threads_of_a_map() -> None:
    async def work(number: int) -> None:
        await runtime.sleep(FOREVER)

    async def main() -> None:
        async with runtime.deadline(0.02):
            async for _ in runtime.map(work, range(4), 2):
                raise AssertionError

    with pytest.raises(Timeout):
        drive(main())
    assert working_threads() == []


def test_a_clean_up_goes_on_after_the_deadline() -> None:
    called: list[int] = []

    async def main() -> None:
        async with runtime.deadline(0):
            try:
                await runtime.call(called.append, None, 1)
            finally:
                async with runtime.cleaning():
                    await runtime.call(called.append, None, 2)
                    await runtime.sleep(0.001)
                with pytest.raises(Timeout):
                    await runtime.call(called.append, None, 3)

    with pytest.raises(Timeout, match="deadline of 0 s"):
        drive(main())
    assert called == [2]


def test_a_clean_up_has_limits_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with runtime.cleaning(), runtime.deadline(0):
            await runtime.call(int, None)

    with pytest.raises(Timeout, match="deadline of 0 s"):
        drive(main())

    async def clean() -> None:
        async with runtime.cleaning():
            await runtime.sleep(FOREVER)

    monkeypatch.setattr(blocking, "CLEANING_SECONDS", 0.01)
    with pytest.raises(Timeout, match=r"clean-up of 0\.01 s"):
        drive(clean())


def test_a_timeout_from_within_is_raised_as_it_is() -> None:
    async def fail(number: int) -> None:
        raise Timeout("the service is slow")

    async def main() -> None:
        async with runtime.deadline(FOREVER):
            async for _ in runtime.map(fail, range(4), 2):
                raise AssertionError

    with pytest.raises(Timeout, match="the service is slow"):
        drive(main())


# Locks


def test_a_lock_lets_in_one_at_a_time() -> None:
    lock = runtime.lock()
    total = 0

    async def add() -> None:
        nonlocal total
        for _ in range(50):
            async with lock:
                seen = total
                time.sleep(0)
                total = seen + 1

    join(in_threads([lambda: drive(add())] * 8))
    assert total == 400


def test_a_lock_is_free_after_an_error() -> None:
    lock = runtime.lock()

    async def main() -> None:
        with pytest.raises(NotFound):
            async with lock:
                raise NotFound("gone")
        async with lock:
            pass

    drive(main())


def test_a_deadline_cuts_the_wait_for_a_lock() -> None:
    lock = runtime.lock()

    async def main() -> None:
        async with lock, runtime.deadline(0.01), lock:
            raise AssertionError

    with pytest.raises(Timeout):
        drive(main())


@pytest.mark.parametrize("slots", [1, 3])
def test_a_semaphore_lets_in_as_many_as_it_has_slots(slots: int) -> None:
    semaphore = runtime.semaphore(slots)
    together = threading.Barrier(slots)
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with semaphore:
            inside.append(number)
            most = max(most, len(inside))
            together.wait(60)  # comes to an end only if all slots are used
            inside.pop()

    collect(work, range(slots * 6), 8)
    assert most <= slots


def test_a_deadline_cuts_the_wait_for_a_slot() -> None:
    semaphore = runtime.semaphore(1)

    async def main() -> None:
        async with semaphore, runtime.deadline(0.01), semaphore:
            raise AssertionError

    with pytest.raises(Timeout):
        drive(main())


# Single flight


def waiting(flight: Any) -> int:
    """How many wait for the answer under the key `k`."""
    return len(flight._flights["k"]._condition._waiters)


def test_100_callers_make_one_call() -> None:
    flight = runtime.single_flight()
    calls: list[int] = []
    answers: list[object] = []

    async def work() -> object:
        calls.append(1)
        wait_until(lambda: waiting(flight) == 99)
        return "answer"

    join(in_threads([lambda: answers.append(drive(flight.run("k", work)))] * 100))
    assert len(calls) == 1
    assert answers == ["answer"] * 100


def test_the_next_caller_calls_again() -> None:
    flight = runtime.single_flight()
    numbers = count()

    async def work() -> int:
        return next(numbers)

    assert [drive(flight.run("k", work)) for _ in range(3)] == [0, 1, 2]


def test_other_keys_do_not_wait() -> None:
    flight = runtime.single_flight()

    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        return "outer " + await flight.run("other", inner)

    assert drive(flight.run("k", outer)) == "outer inner"


def test_the_error_of_the_one_call_goes_to_all() -> None:
    flight = runtime.single_flight()
    errors: list[str] = []

    async def work() -> None:
        wait_until(lambda: waiting(flight) == 9)
        raise NotFound("gone")

    def run() -> None:
        try:
            drive(flight.run("k", work))
        except NotFound as error:
            errors.append(str(error))

    join(in_threads([run] * 10))
    assert errors == ["gone"] * 10


def test_a_failed_call_is_not_remembered() -> None:
    flight = runtime.single_flight()

    async def fail() -> int:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        drive(flight.run("k", fail))
    assert drive(flight.run("k", lambda: double(1))) == 2


def test_when_the_caller_that_runs_is_interrupted_the_others_get_an_answer() -> None:
    flight = runtime.single_flight()
    outcomes: list[object] = []
    first = threading.Event()

    async def work() -> str:
        if not first.is_set():
            first.set()
            wait_until(lambda: waiting(flight) == 9)
            raise KeyboardInterrupt
        return "answer"

    def run() -> None:
        try:
            outcomes.append(drive(flight.run("k", work)))
        except KeyboardInterrupt:
            outcomes.append("interrupted")

    join(in_threads([run] * 10))
    assert sorted(map(str, outcomes)) == ["answer"] * 9 + ["interrupted"]


def test_a_deadline_cuts_the_wait_for_the_answer_of_another() -> None:
    flight = runtime.single_flight()
    begun, done = threading.Event(), threading.Event()

    async def slow() -> str:
        begun.set()
        done.wait(60)
        return "answer"

    async def impatient() -> object:
        async with runtime.deadline(0.01):
            return await flight.run("k", slow)

    answers: list[object] = []
    threads = in_threads([lambda: answers.append(drive(flight.run("k", slow)))])
    begun.wait(60)
    with pytest.raises(Timeout):
        drive(impatient())
    done.set()
    join(threads)
    assert answers == ["answer"]


# Map


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_answers_come_in_the_order_of_the_items(workers: int) -> None:
    async def work(number: int) -> int:
        await runtime.sleep(0.001 * (number % 3))
        return 2 * number

    assert collect(work, range(30), workers) == [2 * number for number in range(30)]


def test_a_map_over_nothing_gives_nothing() -> None:
    assert collect(double, []) == []


def test_items_may_come_from_an_asynchronous_iterator() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(5):
            yield number

    for workers in (1, 3):
        assert list(drive_iterator(runtime.map(double, items(), workers))) == [0, 2, 4, 6, 8]


def test_a_map_works_at_as_many_items_as_it_has_workers() -> None:
    together = threading.Barrier(3)
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        inside.append(number)
        most = max(most, len(inside))
        together.wait(60)  # comes to an end only if all three work
        inside.pop()

    collect(work, range(12), 3)
    assert most == 3


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (1, 8), (8, 1), (4, 4)])
def test_nested_maps_do_not_wait_for_each_other(outer: int, inner: int) -> None:
    async def work(number: int) -> int:
        total = 0
        async for answer in runtime.map(double, range(number), inner):
            total += answer
        return total

    expected = [number * (number - 1) for number in range(10)]
    assert collect(work, range(10), outer) == expected


@pytest.mark.parametrize("workers", [1, 4])
def test_context_variables_are_carried_into_each_call(workers: int) -> None:
    async def work(number: int) -> str:
        seen = variable.get()
        variable.set(f"changed by {number}")
        return seen

    async def main() -> list[str]:
        variable.set("outside")
        return [seen async for seen in runtime.map(work, range(4), workers)]

    if workers == 1:
        # In the caller's own context, as in a plain loop.
        assert drive(main())[0] == "outside"
    else:
        assert drive(main()) == ["outside"] * 4
    variable.set("unset")


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_ends_the_map(workers: int) -> None:
    begun: list[int] = []
    through = threading.Semaphore(0)

    async def work(number: int) -> int:
        begun.append(number)
        if number == 5:
            for _ in range(5):  # else those before it would be stopped on its account
                through.acquire()
            raise NotFound("gone")
        if number < 5:
            through.release()
        return number

    answers: list[int] = []
    with pytest.raises(NotFound):
        answers.extend(drive_iterator(runtime.map(work, range(10_000), workers)))
    assert answers == [0, 1, 2, 3, 4]
    assert len(begun) < 100
    assert working_threads() == []


def test_an_error_interrupts_the_sleep_of_the_others() -> None:
    async def work(number: int) -> None:
        if number == 0:
            raise NotFound("gone")
        await runtime.sleep(FOREVER)

    with pytest.raises(NotFound):
        collect(work, range(4))


def test_an_error_interrupts_a_sleep_in_a_nested_map() -> None:
    begun = threading.Event()

    async def inner(number: int) -> None:
        begun.set()
        await runtime.sleep(FOREVER)

    async def work(number: int) -> None:
        if number == 0:
            begun.wait(60)
            raise NotFound("gone")
        async for _ in runtime.map(inner, range(4), 2):
            raise AssertionError

    with pytest.raises(NotFound):
        collect(work, range(4))
    assert working_threads() == []


def test_an_error_interrupts_a_sleep_under_a_deadline() -> None:
    begun = threading.Event()

    async def work(number: int) -> None:
        if number == 0:
            begun.wait(60)
            raise NotFound("gone")
        async with runtime.deadline(FOREVER):
            begun.set()
            await runtime.sleep(FOREVER)

    with pytest.raises(NotFound):
        collect(work, range(2))
    assert working_threads() == []


def test_an_error_interrupts_no_clean_up() -> None:
    begun = threading.Event()
    called: list[int] = []

    async def work(number: int) -> None:
        if number == 0:
            begun.wait(60)
            raise NotFound("gone")
        try:
            begun.set()
            await runtime.sleep(FOREVER)
        finally:
            async with runtime.cleaning():
                await runtime.call(called.append, None, number)

    with pytest.raises(NotFound):
        collect(work, range(2))
    assert called == [1]


def test_an_error_interrupts_the_wait_for_a_lock() -> None:
    lock = runtime.lock()

    async def work(number: int) -> None:
        if number == 0:
            raise NotFound("gone")
        async with lock:
            raise AssertionError

    async def main() -> None:
        async with lock:
            async for _ in runtime.map(work, range(2), 2):
                raise AssertionError

    with pytest.raises(NotFound):
        drive(main())
    assert working_threads() == []


def test_the_error_that_came_first_is_raised_whichever_is_met_first() -> None:
    failed = threading.Event()

    async def work(number: int) -> None:
        if number == 1:
            failed.set()
            raise NotFound("gone")
        failed.wait(60)
        try:
            await runtime.sleep(FOREVER)
        finally:
            raise ValueError("in consequence")

    with pytest.raises(NotFound, match="gone"):
        collect(work, range(2))


def test_the_error_that_came_first_keeps_its_cause() -> None:
    cause = OSError("of the driver")

    async def work(number: int) -> None:
        if number == 1:
            raise NotFound("gone") from cause
        await runtime.sleep(FOREVER)

    with pytest.raises(NotFound) as caught:
        collect(work, range(2))
    assert caught.value.__cause__ is cause


def test_an_error_of_the_items_ends_the_map() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise NotFound("gone")

    with pytest.raises(NotFound):
        collect(double, items())
    assert working_threads() == []


def test_a_map_that_is_left_stops_its_threads() -> None:
    async def work(number: int) -> int:
        if number > 2:
            await runtime.sleep(FOREVER)
        return number

    for answer in drive_iterator(runtime.map(work, range(100), 3)):
        if answer == 2:
            break
    assert working_threads() == []


def test_a_map_that_is_dropped_stops_its_threads() -> None:
    answers = drive_iterator(runtime.map(double, count(), 3))
    assert next(answers) == 0
    del answers
    assert working_threads() == []


@pytest.mark.parametrize("workers", [1, 4])
def test_items_are_taken_only_a_little_ahead(workers: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    answers = drive_iterator(runtime.map(double, items(), workers))
    for number in range(20):
        assert next(answers) == 2 * number
        assert len(taken) <= number + 1 + 2 * workers
    answers.close()  # type: ignore[attr-defined]


def test_ctrl_c_while_items_are_taken_stops_the_threads() -> None:
    async def work(number: int) -> None:
        await runtime.sleep(FOREVER)

    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(work, items())
    assert working_threads() == []


def test_ctrl_c_before_the_end_of_a_map_was_told_lets_no_item_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    leave = threading.Event()

    async def work(number: int) -> None:
        begun.append(number)
        if number:
            leave.wait(60)

    def interrupted(scope: object) -> None:
        raise KeyboardInterrupt

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            leave.set()
            super().shutdown(wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(blocking._Scope, "end", interrupted)
    monkeypatch.setattr(blocking, "ThreadPoolExecutor", Pool)
    answers = drive_iterator(runtime.map(work, range(100), 2))
    next(answers)
    wait_until(lambda: len(begun) == 3)  # and one more waits for a thread
    with pytest.raises(KeyboardInterrupt):
        answers.close()  # type: ignore[attr-defined]
    assert sorted(begun) == [0, 1, 2]


def test_ctrl_c_while_threads_are_awaited_lets_the_caller_out_and_no_item_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    leave = threading.Event()
    threads: list[threading.Thread] = []

    async def work(number: int) -> None:
        begun.append(number)
        if number:
            leave.wait(60)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(False, cancel_futures=cancel_futures)
            threads.extend(self._threads)
            raise KeyboardInterrupt  # it comes while the threads are waited for

    monkeypatch.setattr(blocking, "ThreadPoolExecutor", Pool)
    answers = drive_iterator(runtime.map(work, range(100), 2))
    next(answers)
    wait_until(lambda: len(begun) == 3)
    with pytest.raises(KeyboardInterrupt):
        answers.close()  # type: ignore[attr-defined]
    assert any(thread.is_alive() for thread in threads)
    leave.set()
    join(threads)
    assert sorted(begun) == [0, 1, 2]


_INTERRUPTED = """
import os, signal, sys, threading
from holdall.core.runtime.blocking import BlockingRuntime, drive_iterator

runtime = BlockingRuntime()
begun = threading.Barrier(5)

async def work(number):
    begun.wait()
    await runtime.sleep(3600)

def interrupt():
    begun.wait()
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=interrupt).start()
try:
    list(drive_iterator(runtime.map(work, range(100), 4)))
except KeyboardInterrupt:
    left = [thread for thread in threading.enumerate() if thread.name.startswith("holdall")]
    print("interrupted", left)
"""


def test_ctrl_c_while_answers_are_awaited_stops_the_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("interrupted []\n", "")


def test_ctrl_c_while_a_thread_starts_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, leave = threading.Event(), threading.Event()
    done: list[int] = []

    async def work(number: int) -> None:
        begun.set()
        leave.wait(60)
        done.append(sum(range(1_000_000)))  # takes a while

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait, cancel_futures=cancel_futures)
            leave.set()

    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        original(thread)
        begun.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(blocking, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        collect(work, range(1))
    assert len(done) == 1
    assert working_threads() == []
