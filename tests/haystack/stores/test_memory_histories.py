"""Histories in memory: numbers stay in columns whatever came before them."""

from __future__ import annotations

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


DOUBLES = Samples(array("q", range(100, 200)), array("d", range(100)), "kW")


def test_numbers_after_a_first_na_are_in_columns() -> None:
    assert beside_the_columns(kinds(0, [NA]), DOUBLES) == 1


def test_numbers_among_other_kinds_are_in_columns() -> None:
    not_one = Number(float("nan"))
    assert beside_the_columns(kinds(0, [NA, not_one, Number(1.5, "kW"), Number(2, "kW")])) == 1


def test_what_takes_the_place_of_another_kind_leaves_nothing_beside() -> None:
    assert beside_the_columns(DOUBLES, kinds(150, [NA, "x"]), DOUBLES) == 0
