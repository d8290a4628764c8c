"""Histories on a Redis server that others change at the same time."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import pytest

from haystack.stores.redis_histories import (
    doubles,
    mixed,
    opened,
    read,
    server,
    small_chunks,
    store,
)
from holdall.core.runtime.blocking import drive
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Bounds, Samples, Span
from holdall.haystack.stores.redis import (
    histories_changes,
    histories_lua,
    histories_reading,
)
from holdall.haystack.stores.redis.timeseries import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.haystack.stores.redis.histories import RedisHistories
    from holdall.objects.backends.redis.lua import Script


__all__ = ["opened", "server", "small_chunks", "store"]


def meddle(
    monkeypatch: pytest.MonkeyPatch,
    store: RedisHistories,
    script: Script,
    *steps: Callable[[], Any],
) -> list[Callable[[], Any]]:
    """Let something else happen before each of the first requests with a script."""
    run, left = store._place.run, list(steps)

    async def meddling(user: Any, what: Script, args: Any = (), *, once: bool = False) -> Any:
        if what is script and user is store and left:
            left.pop(0)()
        return await run(user, what, args, once=once)

    monkeypatch.setattr(store._place, "run", meddling)
    return left


@pytest.mark.parametrize(
    "script", [histories_lua.FETCH, histories_lua.CHANGE], ids=["read", "done"]
)
@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
def test_a_writer_loses_nothing_of_another_that_is_faster(
    opened: Callable[..., RedisHistories],
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    small: bool,
) -> None:
    one, other = opened(), opened()
    count = 10 if small else 5_000
    drive(one.write({"p": mixed(dict.fromkeys(range(0, count * 10, 10), "old"))}))
    late = [at * 10 + 1 for at in range(0, count, 2 if small else 400)]
    left = meddle(
        monkeypatch,
        one,
        script,
        lambda: drive(other.write({"p": mixed(dict.fromkeys([2, 12, 22], "theirs"))})),
        lambda: drive(other.remove("p", [0, 20, 30])),
        lambda: drive(other.write({"p": doubles(dict.fromkeys(late[:2], 0.5))})),
    )
    drive(one.write({"p": mixed(dict.fromkeys(late, "mine"))}))
    expected = dict.fromkeys(range(0, count * 10, 10), "'old'")
    if len(left) < 3:
        expected |= dict.fromkeys([2, 12, 22], "'theirs'")
    if len(left) < 2:
        del expected[0], expected[20], expected[30]
    expected |= dict.fromkeys(late, "'mine'")
    assert dict(read(one)) == expected
    assert drive(one.bounds(["p"])) == [Bounds(min(expected), max(expected), len(expected))]


def test_what_is_deleted_is_counted_though_another_changes_it(
    opened: Callable[..., RedisHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    drive(one.write({"p": mixed(dict.fromkeys(range(3_000), "x"))}))
    meddle(monkeypatch, one, histories_lua.CHANGE, lambda: drive(other.remove("p", [5, 2_999])))
    assert drive(one.delete("p", Span(1, 2_000))) == 1_998
    meddle(
        monkeypatch, one, histories_lua.CHANGE, lambda: drive(other.delete("p", Span(2_000, 2_500)))
    )
    assert drive(one.remove("p", range(1_990, 2_600))) == 100
    assert drive(one.bounds(["p"])) == [Bounds(0, 2_998, 400)]


def test_a_history_is_read_as_it_was_at_one_moment(
    small_chunks: None, opened: Callable[..., RedisHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    drive(one.write({"p": mixed(dict.fromkeys(range(0, 40_000, 1_000), Number(1)))}))

    def change(value: float) -> Callable[[], Any]:
        after = Samples(array("q", range(0, 40_000, 1_000)), array("d", [value] * 40))
        return lambda: drive(other.write({"p": after}))

    quiet: Callable[[], Any] = list
    changes = [quiet, change(2.0), change(3.0), quiet, quiet, change(4.0), quiet, change(5.0)]
    left = meddle(monkeypatch, one, histories_lua.READ, *changes)
    found = {value for _, value in read(one)}
    assert len(found) == 1
    assert len(left) < 4


def test_a_reader_who_is_disturbed_again_and_again_comes_to_an_end(
    small_chunks: None, opened: Callable[..., RedisHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    moments = array("q", range(0, 40_000, 1_000))
    values = iter(range(100))

    def change() -> None:
        drive(other.write({"p": Samples(moments, array("d", [next(values)] * 40))}))

    change()
    left = meddle(monkeypatch, one, histories_lua.READ, *[change] * 99)
    assert len({value for _, value in read(one)}) == 1
    assert left


def test_what_is_put_behind_does_not_disturb_a_reader(
    small_chunks: None, opened: Callable[..., RedisHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    drive(one.write({"p": doubles(dict.fromkeys(range(0, 40_000, 1_000), 0.5))}))
    moments = iter(range(40_000, 50_000, 1_000))

    def behind() -> None:
        drive(other.write({"p": doubles({next(moments): 0.5})}))

    begun: list[int] = []
    begin = histories_reading.Reading._begin

    def counted(self: histories_reading.Reading) -> None:
        begun.append(len(begun))
        begin(self)

    monkeypatch.setattr(histories_reading.Reading, "_begin", counted)
    left = meddle(monkeypatch, one, histories_lua.READ, *[behind] * 10)
    assert len(read(one)) == 50 - len(left)
    assert len(left) < 6
    assert begun == [0]


def test_a_history_that_goes_while_it_is_read_has_nothing(
    small_chunks: None, opened: Callable[..., RedisHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    drive(one.write({"p": doubles(dict.fromkeys(range(0, 40_000, 500), 0.5))}))
    meddle(monkeypatch, one, histories_lua.READ, list, lambda: drive(other.delete("p")))
    assert read(one) == []


def test_a_number_behind_other_kinds_is_written_in_one_request(
    store: RedisHistories, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(store.write({"p": mixed({1: NA})}))
    left = meddle(monkeypatch, store, histories_lua.CHANGE, list, list)
    drive(store.write({"p": doubles({2: 0.5})}))
    assert len(left) == 1
    assert [at for at, _ in read(store)] == [1, 2]


def test_a_request_that_is_sent_twice_changes_nothing_more(store: RedisHistories) -> None:
    token = b"once"
    for at in (1, 1_000):
        request = writing_of(doubles({at: 0.5}))
        for _ in range(2):
            assert drive(store._place.run(store, histories_lua.CHANGE, [token, *request])) == [0]
        token += b"more"
    assert drive(store.bounds(["p"])) == [Bounds(1, 1_000, 2)]


def writing_of(samples: Samples) -> list[bytes]:
    """A request that puts samples behind the others in chunks."""
    parts = split(samples, None)
    return histories_changes.writing(
        b"p", samples, parts, None, histories_changes.appending(parts.beside)
    )
