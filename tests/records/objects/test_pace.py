"""How many workers write and read at once."""

from __future__ import annotations

import pytest

from holdall.records.backends.objects.bodies import Held
from holdall.records.backends.objects.gathering import Pieces
from holdall.records.backends.objects.pace import FEW, Pace


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _paced(requests: int, each: float) -> tuple[Pace, Clock]:
    """What is known after so many requests, of which one ended every `each` seconds."""
    clock = Clock()
    pace = Pace(clock)
    pace.done = requests
    clock.now += requests * each
    return pace, clock


def test_where_answers_come_at_once_few_workers_go_on() -> None:
    pace, _ = _paced(100, 0.0001)
    assert [number for number in range(FEW, 16) if not pace.is_crowded(number, 0.0002)] == [6, 7]


def test_where_answers_are_slow_all_workers_go_on() -> None:
    pace, _ = _paced(100, 0.03 / 16)
    assert not any(pace.is_crowded(number, 0.03) for number in range(FEW, 16))


def test_the_quickest_request_counts_and_not_those_that_waited() -> None:
    pace, _ = _paced(100, 0.0001)
    assert not pace.is_crowded(15, 0.0016)
    assert pace.is_crowded(15, 0.0002)
    assert pace.is_crowded(15, 0.0016)


def test_of_few_requests_nothing_is_told() -> None:
    pace, _ = _paced(63, 0.0001)
    assert not pace.is_crowded(15, 0.0002)


def test_a_clock_that_stands_still_stops_nobody() -> None:
    pace, _ = _paced(100, 0.0)
    assert not pace.is_crowded(15, 0.0002)


def _sizes(pieces: Pieces, body: int) -> list[int]:
    """How large pieces are of which the bodies of each were read before the next one."""
    sizes = []
    for piece in pieces:
        sizes.append(len(piece))
        for _ in piece:
            assert pieces.note(Held("etag", 0, bytes(body), True)) == body
    return sizes


@pytest.mark.parametrize(
    ("body", "size"), [(0, 32), (300, 32), (4096, 15), (64 * 1024, 1), (1024 * 1024, 1)]
)
def test_a_piece_is_as_large_as_bodies_allow(body: int, size: int) -> None:
    sizes = _sizes(Pieces([str(at) for at in range(10_000)], 16), body)
    assert (sizes[0], set(sizes[1:-1]), sum(sizes)) == (8, {size}, 10_000)


@pytest.mark.parametrize("number", [0, 1, 2, 15, 16, 100, 1000])
def test_all_workers_have_pieces(number: int) -> None:
    ids = [str(at) for at in range(number)]
    pieces = Pieces(ids, 16)
    found = list(pieces)
    assert [id_ for piece in found for id_ in piece] == ids
    assert len(found) >= min(number, 4 * 16)
    assert pieces.number <= len(found)
