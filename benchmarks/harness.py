"""Times things side by side: rounds of all of them in turn, medians, ratios."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Contender:
    """One way of doing the same thing.

    Args:
        name: What the table shows.
        run: Does it `count` times, and answers the seconds it took.
    """

    name: str
    run: Callable[[int], float]


@dataclass(frozen=True)
class Goal:
    """What the first contender must reach.

    Args:
        against: The contender it is compared with; empty for the plain time.
        limit: The largest ratio to that one, or the largest time in microseconds.
        at_least: Whether the limit is the smallest `against / ours` instead.
    """

    against: str
    limit: float
    at_least: bool = False


def each(function: Callable[[], object]) -> Callable[[int], float]:
    """Time a function called again and again."""

    def run(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            function()
        return time.perf_counter() - begin

    return run


def compare(
    title: str, contenders: list[Contender], goals: list[Goal], *, count: int, rounds: int = 9
) -> bool:
    """Time all contenders in turn and print the medians; answer whether the goals are met.

    Each round has an order of its own, the same in every run: who comes after a contender that
    fills the caches of the processor pays for it.
    """
    turns, order = random.Random(0), list(contenders)
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        contender.run(max(1, count // 10))
    for _ in range(rounds):
        turns.shuffle(order)
        for contender in order:
            times[contender.name].append(contender.run(count) / count * 1e6)
    medians = {name: statistics.median(found) for name, found in times.items()}
    ours = medians[contenders[0].name]
    print(f"\n{title}  (median of {rounds} rounds of {count})")
    for name, median in medians.items():
        print(f"  {name:44} {_shown(median):>12}   {ours / median:6.2f}x ours")
    met = True
    for goal in goals:
        if not goal.against:
            value, text = ours, f"at most {_shown(goal.limit)}"
            good = value <= goal.limit
            shown = _shown(value)
        elif goal.at_least:
            value = medians[goal.against] / ours
            text, good = f"at least {goal.limit:g}x faster than {goal.against}", value >= goal.limit
            shown = f"{value:.2f}x"
        else:
            value = ours / medians[goal.against]
            text, good = f"at most {goal.limit:g}x {goal.against}", value <= goal.limit
            shown = f"{value:.2f}x"
        print(f"  {'met   ' if good else 'MISSED'} {text}: {shown}")
        met = met and good
    return met


def _shown(microseconds: float) -> str:
    if microseconds >= 1e5:
        return f"{microseconds / 1e6:.3f} s"
    if microseconds >= 1e3:
        return f"{microseconds / 1e3:.2f} ms"
    return f"{microseconds:.2f} us"
