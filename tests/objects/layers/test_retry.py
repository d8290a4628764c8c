"""Retry: what is tried again, how long it waits, and when it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from holdall.core.config import load_settings
from holdall.core.errors import (
    CircuitOpen,
    Corrupt,
    HoldallError,
    InvalidConfig,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unavailable,
)
from holdall.objects.layers.retry import Retry, RetrySettings
from holdall.objects.options import (
    COPY,
    DELETE,
    GET,
    HEAD,
    LIST,
    WRITE,
    CopyOptions,
    DeleteOptions,
    WriteOptions,
)
from holdall.objects.results import DeleteFailure
from objects.layers.scripted import Mode, Scripted

T = TypeVar("T")

Using = Callable[[Retry, Scripted], Coroutine[Any, Any, Any]]


@pytest.fixture(params=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(blocking=request.param == "blocking")


def _busy(seconds: float | None = None) -> Unavailable:
    error = Unavailable("busy")
    error.retry_after = seconds
    return error


def _around(mode: Mode, store: Scripted, chance: float = 1.0, **settings: Any) -> Retry:
    return Retry(store, RetrySettings(**settings), clock=mode.clock, chance=lambda: chance)


# What is tried again

REPEATED: dict[str, Using] = {
    "put": lambda retry, store: retry.put(store.ref("a"), b"1", WRITE),
    "get": lambda retry, store: retry.get(store.ref("a"), GET),
    "head": lambda retry, store: retry.head(store.ref("a"), HEAD),
    "list": lambda retry, store: retry.list(store.root, LIST),
    "uploads": lambda retry, store: retry.uploads(store.root, None),
    "delete": lambda retry, store: retry.delete([store.ref("a")], DELETE),
    "copy": lambda retry, store: retry.copy(store.ref("a"), store.ref("b"), COPY),
    "remove_folder": lambda retry, store: retry.remove_folder(store.root),
}
ONCE: dict[str, Using] = {
    "put if there is none": lambda retry, store: retry.put(
        store.ref("a"), b"1", WriteOptions(if_none_match="*")
    ),
    "put if it is the same": lambda retry, store: retry.put(
        store.ref("a"), b"1", WriteOptions(if_match="e")
    ),
    "upload": lambda retry, store: retry.upload(store.ref("a"), WRITE, None),
    "delete if it is the same": lambda retry, store: retry.delete(
        [store.ref("a")], DeleteOptions(if_match="e")
    ),
    "move": lambda retry, store: retry.copy(store.ref("a"), store.ref("b"), CopyOptions(move=True)),
    "copy if there is none": lambda retry, store: retry.copy(
        store.ref("a"), store.ref("b"), CopyOptions(if_none_match="*")
    ),
}


@pytest.mark.parametrize("operation", REPEATED)
def test_a_repeatable_call_is_sent_again(mode: Mode, operation: str) -> None:
    store = Scripted(mode.runtime, None, _busy(), Timeout("late"))

    async def use() -> None:
        await store.put(store.ref("a"), b"1", WRITE)
        await REPEATED[operation](_around(mode, store), store)

    mode.run(use())
    assert store.operations[1:] == [operation] * 3


@pytest.mark.parametrize("operation", ONCE)
def test_a_call_that_its_own_success_would_refuse_is_sent_once(mode: Mode, operation: str) -> None:
    store = Scripted(mode.runtime, _busy(), _busy())
    with pytest.raises(Unavailable):
        mode.run(ONCE[operation](_around(mode, store), store))
    assert len(store.calls) == 1


def test_the_steps_of_an_upload_are_sent_once(mode: Mode) -> None:
    store = Scripted(mode.runtime, None, _busy())

    async def use() -> None:
        upload = await _around(mode, store).upload(store.ref("a"), WRITE, None)
        await upload.write(b"1")

    with pytest.raises(Unavailable):
        mode.run(use())
    assert store.operations == ["upload", "write"]


@pytest.mark.parametrize(
    "error",
    [
        NotFound("none"),
        PreconditionFailed("another"),
        PermissionDenied("no"),
        Corrupt("damaged"),
        Unavailable("full", transient=False),
        CircuitOpen("open"),
        ZeroDivisionError("a defect"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_stays_is_raised_at_once(mode: Mode, error: Exception) -> None:
    store = Scripted(mode.runtime, error)
    with pytest.raises(type(error)) as raised:
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert raised.value is error
    assert not hasattr(error, "__notes__")
    assert (len(store.calls), mode.clock.slept) == (1, [])


def test_what_goes_well_at_once_waits_for_nothing(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    mode.run(_around(mode, store).put(store.ref("a"), b"1", WRITE))
    assert (len(store.calls), mode.clock.slept) == (1, [])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interruption_passes_at_once(interruption: type[BaseException]) -> None:
    mode = Mode(blocking=True)
    store = Scripted(mode.runtime, interruption())
    with pytest.raises(interruption):
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert len(store.calls) == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interruption_of_a_wait_passes_at_once(
    interruption: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = Mode(blocking=True)
    store = Scripted(mode.runtime, _busy())

    async def interrupted(seconds: float) -> None:
        raise interruption

    monkeypatch.setattr(mode.runtime, "sleep", interrupted)
    with pytest.raises(interruption):
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert len(store.calls) == 1


# How often, and how long it waits


def test_three_retries_wait_twice_as_long_each_time(mode: Mode) -> None:
    store = Scripted(mode.runtime, *(_busy() for _ in range(9)))
    with pytest.raises(Unavailable):
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert len(store.calls) == 4
    assert mode.clock.slept == pytest.approx([0.1, 0.2, 0.4])


def test_a_wait_is_drawn_between_nothing_and_all_of_it(mode: Mode) -> None:
    drawn = iter([0.0, 0.5, 1.0])
    store = Scripted(mode.runtime, _busy(), _busy(), _busy())
    retry = Retry(store, clock=mode.clock, chance=lambda: next(drawn))
    mode.run(retry.list(store.root, LIST))
    assert mode.clock.slept == pytest.approx([0.1, 0.4])  # the first of them is no wait


def test_no_wait_is_longer_than_max_delay(mode: Mode) -> None:
    store = Scripted(mode.runtime, *(_busy() for _ in range(100)))
    retry = _around(mode, store, max_retries=100, budget=None, max_delay=timedelta(seconds=3))
    mode.run(retry.list(store.root, LIST))
    assert len(mode.clock.slept) == 100
    assert max(mode.clock.slept) == 3


def test_no_retries_are_one_try(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy())
    with pytest.raises(Unavailable) as raised:
        mode.run(_around(mode, store, max_retries=0).head(store.ref("a"), HEAD))
    assert len(store.calls) == 1
    assert not hasattr(raised.value, "__notes__")


def test_what_was_sent_is_what_is_told_when_the_breaker_opens_meanwhile(mode: Mode) -> None:
    lost = Unavailable("the reply was lost")
    cause = lost.__cause__ = OSError("reset")
    store = Scripted(mode.runtime, lost, CircuitOpen("not sent, since it is open"))
    with pytest.raises(Unavailable) as found:
        mode.run(_around(mode, store).put(store.ref("a"), b"1", WRITE))
    assert found.value is lost
    assert found.value.__cause__ is cause
    assert found.value.__notes__ == ["not tried again: not sent, since it is open"]


def test_a_breaker_that_was_open_is_what_is_told(mode: Mode) -> None:
    store = Scripted(mode.runtime, CircuitOpen("open"))
    with pytest.raises(CircuitOpen):
        mode.run(_around(mode, store).put(store.ref("a"), b"1", WRITE))
    assert store.operations == ["put"]


def test_a_service_is_not_asked_sooner_than_it_wants(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy(7.0))
    mode.run(_around(mode, store, chance=0.0).list(store.root, LIST))
    assert mode.clock.slept == [7.0]


def test_callers_that_are_told_the_same_time_do_not_come_back_at_once(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy(7.0))
    mode.run(_around(mode, store, chance=0.5).list(store.root, LIST))
    assert mode.clock.slept == pytest.approx([7.05])


# When it gives up


def test_no_wait_ends_beyond_the_budget(mode: Mode) -> None:
    def slow() -> None:
        mode.clock.now += 30
        raise Timeout("late")

    store = Scripted(mode.runtime, slow, slow, slow)
    retry = _around(mode, store, chance=1.0, budget=timedelta(seconds=60))
    with pytest.raises(Timeout) as raised:
        mode.run(retry.head(store.ref("a"), HEAD))
    assert len(store.calls) == 2
    assert mode.clock.slept == pytest.approx([0.1])
    assert raised.value.__notes__ == [
        "after 2 tries in 60.1 s; a wait of 0.2 s, beyond the budget of 60 s"
    ]


def test_a_service_that_asks_for_more_than_the_budget_is_not_waited_for(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy(3600.0))
    with pytest.raises(Unavailable) as raised:
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert (len(store.calls), mode.clock.slept) == (1, [])
    assert "the service asks for 3600 s" in raised.value.__notes__[0]


@pytest.mark.parametrize("none", [None, timedelta(0)])
def test_without_a_budget_it_waits_as_long_as_it_takes(mode: Mode, none: timedelta | None) -> None:
    store = Scripted(mode.runtime, _busy(3600.0))
    mode.run(_around(mode, store, chance=0.0, budget=none).list(store.root, LIST))
    assert mode.clock.slept == [3600.0]


def test_no_try_is_made_after_the_deadline_of_the_caller(mode: Mode) -> None:
    async def use() -> None:
        async with mode.runtime.deadline(0.001):
            await _around(mode, store, max_retries=10**9, budget=None).head(store.ref("a"), HEAD)

    def never() -> None:
        store.script.append(never)
        raise _busy()

    store = Scripted(mode.runtime, never)
    with pytest.raises(Timeout, match="deadline of"):
        mode.run(use())
    assert store.calls


def test_the_last_error_is_raised_and_says_how_many_tries_there_were(mode: Mode) -> None:
    errors = [_busy(), Timeout("late"), _busy(), Timeout("the last one")]
    store = Scripted(mode.runtime, *errors)
    with pytest.raises(Timeout) as raised:
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert raised.value is errors[-1]
    assert raised.value.__notes__ == ["after 4 tries in 0.7 s"]
    assert raised.value.__context__ is None


def test_an_error_that_stays_after_a_retry_says_so_too(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy())
    with pytest.raises(NotFound) as raised:
        mode.run(_around(mode, store).head(store.ref("a"), HEAD))
    assert raised.value.__notes__ == ["after 2 tries in 0.1 s"]


# A delete of many


def _failing(store: Scripted, **errors: HoldallError) -> Callable[[], list[DeleteFailure]]:
    return lambda: [DeleteFailure(store.ref(key), error) for key, error in errors.items()]


def _sent(store: Scripted) -> list[list[str]]:
    return [[ref.key for ref in call.args[0]] for call in store.calls]


def test_of_a_delete_only_what_failed_for_a_moment_is_sent_again(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    denied = PermissionDenied("no")
    store.script += [_failing(store, a=_busy(), b=denied, c=_busy()), _failing(store, c=_busy())]
    refs = [store.ref(key) for key in "abcd"]
    failures = mode.run(_around(mode, store).delete(refs, DELETE))
    assert _sent(store) == [["a", "b", "c", "d"], ["a", "c"], ["c"]]
    assert list(failures) == [DeleteFailure(refs[1], denied)]


def test_a_delete_that_is_sent_again_is_about_what_is_left(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.script += [_failing(store, b=_busy())]
    refs = [store.ref(key) for key in "abc"]
    mode.run(_around(mode, store).delete(refs, DELETE))
    assert [list(call.refs) for call in store.calls] == [refs, refs[1:2]]


def test_a_delete_that_keeps_failing_answers_what_is_left(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    busy = _busy()
    store.script += [_failing(store, a=busy, b=busy)] * 4
    refs = [store.ref(key) for key in "abc"]
    failures = mode.run(_around(mode, store).delete(refs, DELETE))
    assert failures == [DeleteFailure(refs[0], busy), DeleteFailure(refs[1], busy)]
    assert busy.__notes__ == ["after 4 tries in 0.7 s"]  # one note, on the one error of both


def test_a_delete_that_fails_later_as_a_whole_still_answers(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    denied, down = PermissionDenied("no"), NotFound("no such bucket")
    store.script += [_failing(store, a=denied, b=_busy()), down]
    refs = [store.ref(key) for key in "abc"]
    failures = mode.run(_around(mode, store).delete(refs, DELETE))
    assert failures == [DeleteFailure(refs[0], denied), DeleteFailure(refs[1], down)]


def test_a_delete_that_fails_as_a_whole_raises(mode: Mode) -> None:
    store = Scripted(mode.runtime, *(_busy() for _ in range(4)))
    with pytest.raises(Unavailable):
        mode.run(_around(mode, store).delete([store.ref("a")], DELETE))
    assert len(store.calls) == 4


def test_a_conditional_delete_is_sent_once(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.script.append(_failing(store, a=_busy()))
    options = DeleteOptions(if_match="e")
    failures = mode.run(_around(mode, store).delete([store.ref("a")], options))
    assert (len(failures), len(store.calls)) == (1, 1)


def test_a_wait_before_a_delete_is_the_longest_that_was_asked_for(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.script.append(_failing(store, a=_busy(2.0), b=_busy(9.0), c=_busy()))
    refs = [store.ref(key) for key in "abc"]
    mode.run(_around(mode, store, chance=0.0).delete(refs, DELETE))
    assert mode.clock.slept == [9.0]


# Settings


def test_settings_are_read_from_a_configuration() -> None:
    settings = load_settings(
        RetrySettings, {"max_retries": 5, "delay": "50ms", "max_delay": 2, "budget": "1m"}
    )
    assert settings == RetrySettings(
        max_retries=5,
        delay=timedelta(milliseconds=50),
        max_delay=timedelta(seconds=2),
        budget=timedelta(minutes=1),
    )


@pytest.mark.parametrize("name", ["max_retries", "delay", "max_delay", "budget"])
def test_a_setting_below_0_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match=f"{name} is .* below 0"):
        load_settings(RetrySettings, {name: -1})


def test_a_retried_store_is_opened_again_from_its_configuration() -> None:
    mode = Mode(blocking=True)
    plain = Scripted(mode.runtime).inner
    text = Retry(plain, RetrySettings(max_retries=7, budget=None)).config_json()
    again = Retry.from_config_json(text, mode.runtime)
    assert isinstance(again, Retry)
    assert again.settings == RetrySettings(max_retries=7, budget=None)


@pytest.mark.parametrize("budget", [None, timedelta.max])
@pytest.mark.parametrize("seconds", [1e12, float("inf"), float("nan")])
def test_a_wait_that_no_clock_can_measure_is_not_begun(
    mode: Mode, seconds: float, budget: timedelta | None
) -> None:
    error = _busy(seconds)
    store = Scripted(mode.runtime, *[error] * 4)
    with pytest.raises(Unavailable) as found:
        mode.run(_around(mode, store, budget=budget).list(store.root, LIST))
    assert found.value is error
    assert all(0 <= slept < 1 for slept in mode.clock.slept)


def test_a_time_that_has_passed_asks_for_no_wait(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy(-3600.0))
    mode.run(_around(mode, store, chance=1.0).list(store.root, LIST))
    assert mode.clock.slept == [0.1]


def test_a_delete_that_was_sent_is_what_is_told_when_the_breaker_opens_meanwhile(
    mode: Mode,
) -> None:
    lost = Unavailable("the reply was lost")
    store = Scripted(mode.runtime, lost, CircuitOpen("not sent, since it is open"))
    with pytest.raises(Unavailable) as found:
        mode.run(_around(mode, store).delete([store.ref("a")], DELETE))
    assert found.value is lost
    assert found.value.__notes__ == ["not tried again: not sent, since it is open"]


def test_what_of_a_delete_failed_first_is_told_when_the_breaker_opens_meanwhile(
    mode: Mode,
) -> None:
    busy = _busy()
    failure = DeleteFailure(Scripted(mode.runtime).ref("b"), busy)
    store = Scripted(mode.runtime, lambda: [failure], CircuitOpen("not sent, since it is open"))
    refs = [store.ref("a"), failure.ref]
    assert mode.run(_around(mode, store).delete(refs, DELETE)) == [failure]
    assert busy.__notes__ == ["not tried again: not sent, since it is open"]


def test_the_last_answer_of_a_delete_is_told_when_the_breaker_opens_meanwhile(mode: Mode) -> None:
    store = Scripted(mode.runtime, _busy())
    refs = [store.ref("a"), store.ref("b")]
    failures = [DeleteFailure(ref, _busy()) for ref in refs]
    store.script += [lambda: failures, CircuitOpen("not sent, since it is open")]
    assert mode.run(_around(mode, store).delete(refs, DELETE)) == failures


def test_what_was_deleted_before_does_not_pass_for_failed_when_the_breaker_opens(
    mode: Mode,
) -> None:
    lost = Unavailable("the reply was lost")
    store = Scripted(mode.runtime)
    refs = [store.ref("a"), store.ref("b")]
    store.script += [
        lambda: [DeleteFailure(refs[1], _busy())],
        lost,
        CircuitOpen("not sent, since it is open"),
    ]
    assert mode.run(_around(mode, store).delete(refs, DELETE)) == [DeleteFailure(refs[1], lost)]
