"""Histories on a Redis server with the module TimeSeries."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from haystack.stores.redis_histories import (
    chunks_of,
    client,
    doubles,
    fresh_prefix,
    key,
    kinds,
    mixed,
    read,
    series_of,
    settings_of,
    stacked,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Bounds, Samples
from holdall.haystack.stores.redis import (
    histories,
    histories_lua,
    histories_reading,
)
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.objects.backends.redis.lua import Script

if TYPE_CHECKING:
    from servers import RedisServer

__all__ = ["stacked"]


def test_a_series_has_what_it_can_keep_and_the_rest_lies_beside(stacked: RedisHistories) -> None:
    drive(stacked.write({"p": doubles({1_000: 0.0, 2_000: 5e-324, 3_000_000: 0.1}, "kW")}))
    beside = mixed(
        {
            -1_000: Number(1.0, "kW"), 0: Number(-0.0, "kW"), 1_001: Number(1.0, "kW"),
            4_000: Number(float("inf"), "kW"),
            5_000: Number(float("nan")), 6_000: Number(2**53 + 1, "kW"), 7_000: Number(1.0, "°C"),
            8_000: "x", 9_000: NA, 10_000: True,
        }
    )  # fmt: skip
    drive(stacked.write({"p": beside}))
    drive(stacked.write({"p": mixed({11_000: Number(7, "kW")})}))
    series = series_of(stacked)
    assert {at: value.hex() for at, value in series.items()} == {
        1: 0.0.hex(), 2: 5e-324.hex(), 11: 7.0.hex(), 3_000: 0.1.hex(),
    }  # fmt: skip
    assert [at for one in chunks_of(stacked) for at in one.ts] == list(beside.ts)
    assert len(read(stacked)) == 14


@pytest.mark.parametrize("hands_on", [True, False], ids=["handed on", "written out"])
def test_numbers_come_to_a_series_to_the_bit(
    stacked: RedisHistories, monkeypatch: pytest.MonkeyPatch, hands_on: bool
) -> None:
    if not hands_on:
        asked = b"call('ECHO', 1000000000000) == '1000000000000'"
        assert asked in histories_lua.CHANGE.source
        text = histories_lua.CHANGE.source.replace(asked, b"false")
        sha = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
        monkeypatch.setattr(histories, "CHANGE", Script(text, sha, 1))
    values = [
        0.1,
        0.0,
        5e-324,
        1.7976931348623157e308,
        2.0**53,
        1e15,
        1e16,
        1e22,
        -1e300,
        1 / 3,
    ]
    late = 253_402_300_799_999_000  # the last millisecond of the year 9999
    moments = [0, 1_000, *range(10_000, 17_000, 1_000), late]
    drive(stacked.write({"p": Samples(array("q", moments), array("d", values))}))
    assert len(series_of(stacked)) == len(values)
    samples = drive(stacked.read(["p"]))[0]
    assert list(samples.ts) == moments
    assert [at for _, (at, _) in kinds(samples)] == [value.hex() for value in values]


def test_another_kind_takes_the_place_of_what_is_in_a_series(stacked: RedisHistories) -> None:
    drive(stacked.write({"p": doubles({1_000: 1.0, 2_000: 2.0, 3_000: 3.0}, "kW")}))
    drive(stacked.write({"p": mixed({2_000: "two", 3_000: Number(3.0, "°C")})}))
    assert series_of(stacked) == {1: 1.0}
    assert read(stacked) == [
        (1_000, (1.0.hex(), "kW")), (2_000, "'two'"), (3_000, (3.0.hex(), "°C")),
    ]  # fmt: skip


def test_what_goes_into_a_series_takes_the_place_of_what_lay_beside(
    stacked: RedisHistories,
) -> None:
    drive(stacked.write({"p": mixed(dict.fromkeys(range(0, 3_000, 500), "beside"))}))
    drive(stacked.write({"p": doubles({1_000: 1.0, 2_000: 2.0}, "kW")}))
    assert series_of(stacked) == {1: 1.0, 2: 2.0}
    assert [at for one in chunks_of(stacked) for at in one.ts] == [0, 500, 1_500, 2_500]
    assert drive(stacked.bounds(["p"])) == [Bounds(0, 2_500, 6)]


def test_a_unit_begins_anew_when_a_series_is_empty(stacked: RedisHistories) -> None:
    drive(stacked.write({"p": doubles({1_000: 1.0}, "kW")}))
    drive(stacked.write({"p": mixed({1_000: NA})}))
    drive(stacked.write({"p": doubles({2_000: 2.0}, "°C")}))
    assert series_of(stacked) == {2: 2.0}
    assert read(stacked) == [(1_000, "NA"), (2_000, ((2.0).hex(), "°C"))]


def test_a_series_keeps_all_for_ever_and_says_whose_it_is(stacked: RedisHistories) -> None:
    drive(stacked.write({one: doubles({1_000: 1.0}, "LABELS") for one in ("a:b", "LABELS")}))
    with client(stacked) as asked:
        said = [
            asked.execute_command("TS.INFO", key(stacked, b"ht:" + one))
            for one in (b"a:b", b"LABELS")
        ]
    assert [one[b"labels"] for one in said] == [{b"point": b"@a:b"}, {b"point": b"@LABELS"}]
    assert [one[b"retentionTime"] for one in said] == [0, 0]
    assert [one[b"duplicatePolicy"] for one in said] == [b"last", b"last"]


def test_a_series_stays_in_use_where_none_would_be_made(
    redis_stack_server: RedisServer,
) -> None:
    prefix = fresh_prefix()
    with_, without = (
        RedisHistories(
            settings_of(redis_stack_server, prefix, timeseries=wanted), BlockingRuntime()
        )
        for wanted in (True, False)
    )
    for one in (with_, without):
        drive(one.connect())
    drive(without.write({"q": doubles({1_000: 1.0})}))
    assert series_of(without, b"q") == {}
    drive(with_.write({"p": doubles({1_000: 1.0, 2_000: 2.0})}))
    drive(without.write({"p": mixed({1_000: "x", 3_000: Number(3.0)})}))
    assert series_of(with_) == {2: 2.0, 3: 3.0}
    assert len(read(without)) == 3
    for one in (with_, without):
        drive(one.close())


def test_chunks_are_read_when_the_series_has_come_to_them(
    stacked: RedisHistories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories_reading, "PAGE", 3)
    late = 10_000_000
    drive(stacked.write({"p": doubles(dict.fromkeys(range(0, 6_000, 1_000), 0.5))}))
    drive(stacked.write({"p": mixed({late: "x"})}))
    run, bodies = stacked._place.run, []

    async def watched(user: Any, what: Script, args: Any = (), *, once: bool = False) -> Any:
        (answer,) = answers = await run(user, what, args, once=once)
        bodies.append(len(answer) - 5)
        return answers

    monkeypatch.setattr(stacked._place, "run", watched)
    assert [at for at, _ in read(stacked)] == [*range(0, 6_000, 1_000), late]
    assert bodies == [0, 0, 1]


def test_the_zero_below_zero_takes_the_place_of_the_other(stacked: RedisHistories) -> None:
    for value in (0.0, -0.0, 0.0, -0.0):
        drive(stacked.write({"p": doubles({1_000: value, 2_000: 1.0}, "kW")}))
        assert read(stacked) == [(1_000, (value.hex(), "kW")), (2_000, ((1.0).hex(), "kW"))]
