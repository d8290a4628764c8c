"""Histories on a Redis server, with the module TimeSeries and without it."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from haystack.stores.redis_histories import (
    all_keys,
    chunks_of,
    doubles,
    fresh_prefix,
    kinds,
    read,
    server,
    settings_of,
    small_chunks,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.testing import HistoryStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import RedisServer

__all__ = ["server", "small_chunks"]

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


class TestPlainRedis(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, redis_server: RedisServer) -> Callable[[Any], RedisHistories]:
        made = settings_of(redis_server, fresh_prefix())
        return lambda runtime: RedisHistories(made, runtime)


class TestRedisStack(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, redis_stack_server: RedisServer) -> Callable[[Any], RedisHistories]:
        made = settings_of(redis_stack_server, fresh_prefix())
        return lambda runtime: RedisHistories(made, runtime)


class TestRedisStackWithoutSeries(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, redis_stack_server: RedisServer) -> Callable[[Any], RedisHistories]:
        made = settings_of(redis_stack_server, fresh_prefix(), timeseries=False)
        return lambda runtime: RedisHistories(made, runtime)


FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 2.0**53, 1.5])
UNITS = st.sampled_from([None, "kW", "°C"])
MIXED = (
    FLOATS.map(Number)
    | st.builds(lambda val, unit: Number(val, None if val != val else unit), FLOATS, UNITS)  # noqa: PLR0124
    | st.booleans()
    | st.sampled_from([NA, "on", "", "a\ud800", Number(2**60 + 1), Number(10**30, "kW")])
)
# Most are whole milliseconds, which a series can keep.
MOMENT = st.integers(-3, 30).map(lambda at: at * 1_000) | st.integers(-5_000, 30_000)
MOMENTS = st.sets(MOMENT, min_size=1, max_size=25).map(sorted)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    moments = draw(MOMENTS)
    size: dict[str, Any] = {"min_size": len(moments), "max_size": len(moments)}
    if draw(st.booleans()):
        return Samples(array("q", moments), array("d", draw(st.lists(FLOATS, **size))), draw(UNITS))
    some: list[Any] = draw(st.lists(MIXED, **size))
    return Samples(array("q", moments), some)


SPANS = st.tuples(MOMENT, MOMENT).map(lambda two: Span(*sorted(two))) | st.just(Span())
STEPS = st.lists(
    st.tuples(st.just("write"), samples())
    | st.tuples(st.just("delete"), SPANS)
    | st.tuples(st.just("remove"), st.lists(MOMENT, max_size=5)),
    min_size=1,
    max_size=8,
)


def agree(
    server: RedisServer, steps: list[tuple[str, Any]], span: Span, limit: int, both: bool
) -> None:
    """Do the same to this store and to one in memory.

    With `both`, every other step is done by a store that makes no series.
    """
    prefix = fresh_prefix()
    stores = [
        RedisHistories(settings_of(server, prefix, timeseries=wanted), BlockingRuntime())
        for wanted in ((True, False) if both else (True,))
    ]
    judge = MemoryHistories(MemoryHistorySettings(), BlockingRuntime())
    for one in stores:
        drive(one.connect())
    for at, (what, given_) in enumerate(steps):
        store = stores[at % len(stores)]
        if what == "write":
            drive(store.write({"p": given_}))
            drive(judge.write({"p": given_}))
        elif what == "delete":
            assert drive(store.delete("p", given_)) == drive(judge.delete("p", given_))
        else:
            assert drive(store.remove("p", given_)) == drive(judge.remove("p", given_))
        assert read(store) == kinds(drive(judge.read(["p"]))[0])
        assert drive(store.bounds(["p", "q"])) == drive(judge.bounds(["p", "q"]))
    expected = drive(judge.read(["p"], span, limit=limit))[0]
    assert kinds(drive(stores[0].read(["p"], span, limit=limit))[0]) == kinds(expected)
    there = chunks_of(stores[0])
    assert all(len(one) for one in there)
    assert all(one.ts[-1] < other.ts[0] for one, other in pairwise(there))
    drive(stores[0].delete("p"))
    assert all_keys(stores[0]) == set()
    for one in stores:
        drive(one.close())


@settings(max_examples=40, suppress_health_check=QUIET, deadline=None)
@given(STEPS, SPANS, st.integers(0, 9), st.booleans())
@example([("write", doubles({0: 0.0})), ("write", doubles({0: -0.0}))], Span(), 0, False)
def test_a_history_holds_what_was_written_last(
    small_chunks: None,
    server: RedisServer,
    steps: list[tuple[str, Any]],
    span: Span,
    limit: int,
    both: bool,
) -> None:
    agree(server, steps, span, limit, both)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=5_000, suppress_health_check=QUIET, deadline=None)
@given(STEPS, SPANS, st.integers(0, 9), st.booleans())
def test_a_history_holds_what_was_written_last_for_long(
    small_chunks: None,
    server: RedisServer,
    steps: list[tuple[str, Any]],
    span: Span,
    limit: int,
    both: bool,
) -> None:
    agree(server, steps, span, limit, both)
