"""Histories in memory: numbers stay in columns whatever came before them."""

from __future__ import annotations

import tracemalloc
from array import array
from typing import TYPE_CHECKING

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack.kinds import NA, Number
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.kinds import Kind


def beside_the_columns(*written: Samples) -> int:
    store = MemoryHistories(MemoryHistorySettings(), BlockingRuntime())
    for samples in written:
        drive(store.write({"p": samples}))
    return len(store._series["p"].others)


def kinds(first: int, values: Sequence[Kind]) -> Samples:
    return Samples(array("q", range(first, first + len(values))), values)


def doubles(first: int, count: int) -> Samples:
    return Samples(array("q", range(first, first + count)), array("d", range(count)), "kW")


DOUBLES = doubles(100, 100)


def test_numbers_after_a_first_na_are_in_columns() -> None:
    assert beside_the_columns(kinds(0, [NA]), DOUBLES) == 1


def test_numbers_among_other_kinds_are_in_columns() -> None:
    not_one = Number(float("nan"))
    assert beside_the_columns(kinds(0, [NA, not_one, Number(1.5, "kW"), Number(2, "kW")])) == 1


def test_what_takes_the_place_of_another_kind_leaves_nothing_beside() -> None:
    assert beside_the_columns(DOUBLES, kinds(150, [NA, "x"]), DOUBLES) == 0


def test_samples_at_the_same_moments_take_the_place_of_those_there() -> None:
    store = MemoryHistories(MemoryHistorySettings(), BlockingRuntime())
    drive(store.write({"p": doubles(0, 10)}))
    drive(store.write({"p": kinds(4, [NA, NA])}))
    again = Samples(array("q", range(3, 7)), array("d", [30, 40, 50, 60]), "kW")
    drive(store.write({"p": again}))
    (found,) = drive(store.read(["p"]))
    assert list(found.vals) == [0, 1, 2, 30, 40, 50, 60, 7, 8, 9]
    assert found.unit == "kW"


def test_a_number_takes_at_most_24_bytes_however_it_came() -> None:
    store = MemoryHistories(MemoryHistorySettings(), BlockingRuntime())
    count, page = 200_000, 1000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for first in range(0, count, page):
            drive(store.write({"p": doubles(first, page)}))
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept / count <= 24
