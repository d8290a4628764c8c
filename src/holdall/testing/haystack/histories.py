"""The conformance suite of the contract `HistoryStore`."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from holdall.haystack.adopting import same
from holdall.haystack.kinds import NA, Number
from holdall.haystack.stores.histories import Bounds, HistoryStore, Samples, Span
from holdall.testing.facts import BothFaces

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.haystack.kinds import Kind

_LATE = 4_102_444_800_000_000  # in the year 2100


class HistoryStoreSuite(BothFaces[HistoryStore]):
    """What holds for every store of histories.

    A backend's test file is a subclass whose name starts with `Test`, with one fixture,
    `make_store`, as for `EntityStoreSuite`. `large` says how many samples a long history has.
    """

    large = 20_000

    def face(self, store: Any) -> HistoryStore:
        """The store itself."""
        assert isinstance(store, HistoryStore)
        return store

    async def test_what_was_written_is_read(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.5, 2: -2.0, _LATE: 3.25}, "°C")})
        other = self.another()
        await other.connect()
        assert await _read(other) == _kinds({1: 1.5, 2: -2.0, _LATE: 3.25}, "°C")

    async def test_a_history_without_samples_is_empty(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": Samples(array("q"), array("d"))})
        assert await _read(store) == []
        assert await store.bounds(["p", "q"]) == [None, None]

    async def test_later_writes_take_the_place_of_earlier_ones(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({10: 1.0, 20: 2.0, 30: 3.0})})
        await store.write({"p": _numbers({20: 22.0, 25: 2.5})})
        expected = _kinds({10: 1.0, 20: 22.0, 25: 2.5, 30: 3.0})
        assert await _read(store) == expected

    @pytest.mark.parametrize(
        "order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]], ids=["on", "back", "mixed"]
    )
    async def test_samples_may_come_in_any_order(
        self, store: HistoryStore, order: list[int]
    ) -> None:
        await store.connect()
        for block in order:
            moments = range(block * 100, block * 100 + 150, 10)
            await store.write({"p": _numbers({at: float(at) for at in moments})})
        moments = range(0, 450, 10)
        assert await _read(store) == _kinds({at: float(at) for at in moments})

    async def test_moments_reach_from_long_ago_to_far_ahead(self, store: HistoryStore) -> None:
        await store.connect()
        long_ago = -2_208_988_800_000_000  # in the year 1900
        await store.write({"p": _numbers({long_ago: 1.0, -1: 2.0, 0: 3.0, 1: 4.0, _LATE: 5.0})})
        assert [at for at, _ in await _read(store)] == [long_ago, -1, 0, 1, _LATE]
        assert await store.bounds(["p"]) == [Bounds(long_ago, _LATE, 5)]

    async def test_numbers_are_kept_to_the_bit(self, store: HistoryStore) -> None:
        await store.connect()
        values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 2.0**53]
        await store.write({"p": _numbers(dict(enumerate(values)), "kW")})
        read = [value for _, value in await _read(store)]
        assert [(v.val.hex(), v.unit) for v in read] == [(v.hex(), "kW") for v in values]

    async def test_what_is_no_number_stays_none(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.0, 2: float("nan"), 3: 3.0}, "kW")})
        read = [value for _, value in await _read(store)]
        assert math.isnan(read[1].val)
        assert (read[0], read[2]) == (Number(1.0, "kW"), Number(3.0, "kW"))

    @pytest.mark.parametrize(
        "value",
        [
            True, False, "", "text", "it's \"q\" \x00 \u2028 温度", NA, Number(5, "°F"), Number(1),
            Number(2**53 + 1, "kW"), Number(10**30), "1.0", "NaN", "a\ud800b",
        ],
        ids=repr,
    )  # fmt: skip
    async def test_every_kind_is_kept(self, store: HistoryStore, value: Kind) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.0, 2: 2.0}, "°C")})
        await store.write({"p": Samples(array("q", [2, 3]), [value, value])})
        other = self.another()
        await other.connect()
        read = await _read(other)
        assert [at for at, _ in read] == [1, 2, 3]
        assert [kind for _, kind in read] == [Number(1.0, "°C"), value, value]
        assert type(read[1][1]) is type(value)
        await store.write({"p": _numbers({2: 2.5}, "°C")})
        assert [kind for _, kind in await _read(store)] == [
            Number(1.0, "°C"), Number(2.5, "°C"), value,
        ]  # fmt: skip

    async def test_what_is_no_number_is_read_among_other_kinds(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.0, 2: float("nan")}, "kW")})
        await store.write({"p": Samples(array("q", [3, 4]), [NA, Number(float("nan"))])})
        await store.write({"p": _numbers({5: float("nan"), 6: 6.0}, "°C")})
        assert [repr(value) for _, value in await _read(store)] == [
            "Number(1.0, 'kW')", "Number(nan)", "NA", "Number(nan)", "Number(nan)",
            "Number(6.0, '°C')",
        ]  # fmt: skip

    async def test_a_history_may_begin_with_any_kind(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": Samples(array("q", [1, 2]), ["on", NA])})
        await store.write({"p": _numbers({3: 3.0}, "kW")})
        assert await _read(store) == [(1, "on"), (2, NA), (3, Number(3.0, "kW"))]

    async def test_no_unit_is_changed(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.5, 2: 2.5}, "°C")})
        await store.write({"p": _numbers({2: 36.5, 3: 37.5}, "°F")})
        await store.write({"p": _numbers({4: 4.5})})
        assert await _read(store) == [
            (1, Number(1.5, "°C")), (2, Number(36.5, "°F")),
            (3, Number(37.5, "°F")), (4, Number(4.5)),
        ]  # fmt: skip

    async def test_numbers_of_one_unit_are_read_as_doubles(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.5, 2: 2.5}, "kW")})
        samples = (await store.read(["p"]))[0]
        assert isinstance(samples.ts, array)
        assert isinstance(samples.vals, array)
        assert samples.unit == "kW"

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (20, 40, [20, 30]), (21, 41, [30, 40]), (0, 10, []), (51, 99, []),
            (10, 51, [10, 20, 30, 40, 50]),
        ],
    )  # fmt: skip
    async def test_a_span_holds_its_start_and_not_its_end(
        self, store: HistoryStore, start: int, end: int, expected: list[int]
    ) -> None:
        await store.connect()
        await store.write({"p": _numbers(dict.fromkeys(range(10, 60, 10), 0.5))})
        samples = (await store.read(["p"], Span(start, end)))[0]
        assert list(samples.ts) == expected

    async def test_a_history_is_read_in_pages(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({at: float(at) for at in range(25)})})
        pages, start = [], 0
        while True:
            page = (await store.read(["p"], Span(start, 23), limit=10))[0]
            pages.append(list(page.ts))
            if len(page) < 10:
                break
            start = page.ts[-1] + 1
        assert pages == [list(range(10)), list(range(10, 20)), [20, 21, 22]]

    async def test_several_histories_are_written_and_read_together(
        self, store: HistoryStore
    ) -> None:
        await store.connect()
        await store.write({"a": _numbers({1: 1.0, 2: 2.0}), "b": Samples(array("q", [1]), [True])})
        read = await store.read(["b", "gone", "a", "b"], limit=1)
        assert [list(one.ts) for one in read] == [[1], [], [1], [1]]
        assert list(read[0].vals) == [True]
        assert await store.bounds(["a", "gone", "b"]) == [Bounds(1, 2, 2), None, Bounds(1, 1, 1)]

    async def test_ids_that_look_alike_have_histories_of_their_own(
        self, store: HistoryStore
    ) -> None:
        await store.connect()
        ids = ["a", "A", "a:b", "a-b", "a_b", "a.b", "a~b", "0", "00"]
        await store.write({one: _numbers({at: 0.5}) for at, one in enumerate(ids)})
        read = await store.read(ids)
        assert [list(one.ts) for one in read] == [[at] for at in range(len(ids))]

    async def test_a_span_that_ends_before_it_begins_holds_nothing(
        self, store: HistoryStore
    ) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.0, 2: 2.0, 3: 3.0})})
        assert [len(one) for one in await store.read(["p"], Span(3, 1))] == [0]
        assert await store.delete("p", Span(3, 1)) == 0
        assert await store.bounds(["p"]) == [Bounds(1, 3, 3)]

    async def test_a_span_is_deleted(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers({1: 1.0, 3: 3.0, 4: 4.0}), "q": _numbers({2: 0.5})})
        await store.write({"p": Samples(array("q", [2]), ["two"])})
        assert await store.delete("p", Span(2, 4)) == 2
        assert [at for at, _ in await _read(store)] == [1, 4]
        assert await store.bounds(["p", "q"]) == [Bounds(1, 4, 2), Bounds(2, 2, 1)]
        assert await store.delete("p") == 2
        assert await store.bounds(["p"]) == [None]
        assert await store.delete("p") == 0
        await store.write({"p": _numbers({2: 2.5})})
        assert await _read(store) == _kinds({2: 2.5})

    async def test_samples_at_moments_are_removed(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers(dict.fromkeys(range(10), 0.5))})
        assert await store.remove("p", [3, 7, 99, 3]) == 2
        assert [at for at, _ in await _read(store)] == [0, 1, 2, 4, 5, 6, 8, 9]
        assert await store.remove("gone", [1]) == 0

    async def test_many_samples_are_removed(self, store: HistoryStore) -> None:
        await store.connect()
        await store.write({"p": _numbers(dict.fromkeys(range(1_000), 0.5))})
        await store.write({"p": Samples(array("q", [4, 5]), ["four", "five"])})
        assert await store.remove("p", [*range(0, 1_000, 2), 5_000]) == 500
        assert [at for at, _ in await _read(store)] == list(range(1, 1_000, 2))
        assert (await _read(store))[2] == (5, "five")
        assert await store.remove("p", range(1_000)) == 500
        assert await store.bounds(["p"]) == [None]
        await store.write({"p": _numbers({4: 4.5})})
        assert await _read(store) == _kinds({4: 4.5})

    async def test_a_long_history_is_kept(self, store: HistoryStore) -> None:
        await store.connect()
        moments = array("q", range(0, self.large * 60_000_000, 60_000_000))
        values = array("d", (at * 0.1 for at in range(self.large)))
        await store.write({"p": Samples(moments, values, "kW")})
        samples = (await store.read(["p"]))[0]
        assert samples.ts == moments
        assert samples.vals == values
        assert await store.bounds(["p"]) == [Bounds(0, moments[-1], self.large)]

    async def test_writers_at_the_same_time_lose_nothing(self, store: HistoryStore) -> None:
        await store.connect()

        async def write(block: int) -> None:
            mine = self.another()
            await mine.connect()
            for at in range(block, 80, 8):
                await mine.write({"p": _numbers({at: float(at)})})

        await self.together([_calling(write, block) for block in range(8)])
        assert await _read(store) == _kinds({at: float(at) for at in range(80)})


def _calling(function: Any, *arguments: Any) -> Any:
    return lambda: function(*arguments)


def _numbers(values: dict[int, float], unit: str | None = None) -> Samples:
    return Samples(array("q", values), array("d", values.values()), unit)


def _kinds(values: dict[int, float], unit: str | None = None) -> list[tuple[int, Number]]:
    return [(at, Number(value, unit)) for at, value in values.items()]


async def _read(store: HistoryStore) -> list[tuple[int, Any]]:
    samples = (await store.read(["p"]))[0]
    return list(zip(samples.ts, _as_kinds(samples), strict=True))


def _as_kinds(samples: Samples) -> Iterable[Kind]:
    values: Sequence[Kind] | array[float] = samples.vals
    if isinstance(values, array):
        return [Number(v, None if math.isnan(v) else samples.unit) for v in values]
    assert all(same(value, value) for value in values)
    return values
