"""Facts about coroutines that are driven one after the other, and one inside of the other."""

import weakref

import pytest

from holdall.core.runtime.blocking import drive


class Answer:
    """Something that can be seen to go."""


async def _answer(value: object) -> object:
    return value


async def _fail() -> None:
    raise LookupError("gone")


def test_a_coroutine_may_drive_another_one() -> None:
    async def outer() -> object:
        return drive(_answer("inner")), await _answer("outer")

    assert drive(outer()) == ("inner", "outer")


def test_a_coroutine_goes_on_after_the_error_of_one_that_it_drove() -> None:
    async def outer() -> object:
        with pytest.raises(LookupError):
            drive(_fail())
        return await _answer("outer")

    assert drive(outer()) == "outer"


def test_the_next_coroutine_is_driven_after_an_error() -> None:
    for _ in range(3):
        with pytest.raises(LookupError):
            drive(_fail())
        assert drive(_answer(1)) == 1


def test_what_a_driven_coroutine_had_and_answered_is_let_go_of() -> None:
    async def passing(value: Answer) -> Answer:
        return value

    gone = weakref.ref(drive(passing(Answer())))
    assert gone() is None
