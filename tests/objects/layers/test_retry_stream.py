"""A body that breaks off goes on where it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from holdall.core.errors import (
    Corrupt,
    PreconditionFailed,
    Timeout,
    Unavailable,
)
from holdall.objects.layers.retry import Retry, RetrySettings
from holdall.objects.options import (
    DELETE,
    GET,
    WRITE,
    GetOptions,
)
from holdall.objects.results import ObjectStream
from objects.layers.scripted import Mode, Scripted, ScriptedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


@pytest.fixture(params=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(blocking=request.param == "blocking")


def _busy(seconds: float | None = None) -> Unavailable:
    error = Unavailable("busy")
    error.retry_after = seconds
    return error


def _around(mode: Mode, store: Scripted, chance: float = 1.0, **settings: Any) -> Retry:
    return Retry(store, RetrySettings(**settings), clock=mode.clock, chance=lambda: chance)


DATA = bytes(range(256)) * 4


def _read(
    mode: Mode, store: Scripted, using: Callable[[Any], Coroutine[Any, Any, T]], **options: Any
) -> T:
    async def use() -> T:
        await store.inner.put(store.ref("a"), DATA, WRITE)
        opened = await _around(mode, store).get(store.ref("a"), GetOptions(**options))
        async with opened as stream:
            return await using(stream)

    return mode.run(use())


async def _pieces(stream: Any) -> bytes:
    return b"".join([chunk async for chunk in stream.chunks(100)])


async def _all(stream: Any) -> bytes:
    return await stream.read_all()  # type: ignore[no-any-return]


def _ranges(store: Scripted) -> list[tuple[int, int | None]]:
    return [
        (call.args[1].start, call.args[1].end) for call in store.calls if call.operation == "get"
    ]


@pytest.mark.parametrize("using", [_pieces, _all])
def test_a_body_that_breaks_off_goes_on_whole(
    mode: Mode, using: Callable[[Any], Coroutine[Any, Any, bytes]]
) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [[100, 100, _busy()], [50, _busy()], [_busy()], [300, Timeout("late")]]
    assert _read(mode, store, using) == DATA


def test_a_body_is_opened_again_at_the_next_byte(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [[100, 100, _busy()], [50, _busy()]]
    _read(mode, store, _pieces)
    assert _ranges(store) == [(0, None), (200, 1024), (250, 1024)]


def test_a_range_that_breaks_off_goes_on_within_the_range(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([10, _busy()])
    assert _read(mode, store, _pieces, start=-100, end=1000) == DATA[924:1000]
    assert _ranges(store) == [(-100, 1000), (934, 1000)]


def test_a_body_is_opened_again_under_its_etag(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([10, _busy()])

    async def use(stream: Any) -> str:
        await stream.read_all()
        return stream.meta.etag  # type: ignore[no-any-return]

    etag = _read(mode, store, use)
    assert [call.args[1].if_match for call in store.calls if call.operation == "get"] == [
        None,
        etag,
    ]


@pytest.mark.parametrize("change", ["replace", "empty", "delete"])
@pytest.mark.parametrize("before", [0, 100])
def test_a_body_that_was_changed_meanwhile_is_an_error(
    mode: Mode, change: str, before: int
) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([before, _busy()] if before else [_busy()])

    async def use(stream: Any) -> None:
        if before:
            await stream.read(before)
        if change == "delete":
            await store.inner.delete([store.ref("a")], DELETE)
        else:
            await store.inner.put(store.ref("a"), DATA if change == "replace" else b"", WRITE)
        await stream.read_all()

    with pytest.raises(PreconditionFailed, match=f"while it was read, after {before} of 1024"):
        _read(mode, store, use)


def test_a_body_of_another_object_is_refused_where_the_condition_was_not_kept(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([_busy()])

    async def use(stream: Any) -> None:
        await store.inner.put(store.ref("a"), b"other" * 1000, WRITE)
        store.script.append(None)  # the break
        store.script.append(lambda: store.inner.get(store.ref("a"), GetOptions(end=1024)))
        await stream.read(100)

    with pytest.raises(PreconditionFailed, match="read it from its beginning"):
        _read(mode, store, use)


@pytest.mark.parametrize("end", [100, 1024], ids=["shorter", "other"])
def test_a_rest_that_does_not_fit_is_refused_and_closed(mode: Mode, end: int) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([10, _busy()])
    closed: list[bool] = []

    class Rest(ScriptedStream):
        __slots__ = ()

        async def close(self) -> None:
            closed.append(True)
            await super().close()

    async def rest() -> Any:
        return Rest(await store.inner.get(store.ref("a"), GetOptions(start=10, end=end)), [])

    async def use(stream: Any) -> None:
        assert len(await stream.read(10)) == 10
        if end == 1024:
            await store.inner.put(store.ref("a"), DATA, WRITE)
        store.script += [None, rest]  # the break, and what comes instead
        with pytest.raises(PreconditionFailed, match="after 10 of 1024 bytes"):
            await stream.read(10)
        assert closed == [True]

    _read(mode, store, use)


def test_a_body_without_an_etag_is_not_opened_again(mode: Mode) -> None:
    store = Scripted(mode.runtime)

    async def unnamed() -> Any:
        answer = await store.inner.get(store.ref("a"), GET)
        answer.meta = msgspec.structs.replace(answer.meta, etag=None)
        return ScriptedStream(answer, [10, _busy()])

    store.script.append(unnamed)
    with pytest.raises(Unavailable):
        _read(mode, store, _all)
    assert store.operations.count("get") == 1


def test_each_break_has_all_the_tries(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [
        [1, _busy()], [_busy()], [_busy()], [1, _busy()], [_busy()], [_busy()], [1, _busy()],
    ]  # fmt: skip
    assert _read(mode, store, _pieces) == DATA
    assert mode.clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.1, 0.2, 0.4, 0.1])


@pytest.mark.parametrize("using", [_pieces, _all])
def test_a_body_that_makes_no_progress_raises_its_last_error(
    mode: Mode, using: Callable[[Any], Coroutine[Any, Any, bytes]]
) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [[1, _busy()], [_busy()], [_busy()], [Timeout("the last one")]]
    with pytest.raises(Timeout) as raised:
        _read(mode, store, using)
    assert raised.value.__notes__ == ["after 4 tries in 0.7 s"]


def test_a_read_after_an_error_goes_on_at_the_right_byte(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [[100, _busy()], [_busy()], [_busy()], [_busy()]]

    async def use(stream: Any) -> bytes:
        first = await stream.read(100)
        with pytest.raises(Unavailable):
            await stream.read(100)
        return first + await stream.read_all()  # type: ignore[no-any-return]

    assert _read(mode, store, use) == DATA


def test_an_error_of_opening_again_is_tried_again_too(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([100, _busy()])

    async def use(stream: Any) -> bytes:
        store.script += [None, None, _busy(), _busy()]  # two reads; then two gets
        return await _pieces(stream)

    assert _read(mode, store, use) == DATA
    assert store.operations.count("get") == 4


def test_a_damaged_body_is_not_read_again(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies.append([100, Corrupt("damaged")])
    with pytest.raises(Corrupt):
        _read(mode, store, _all)
    assert store.operations.count("get") == 1


def test_nothing_is_read_of_a_body_that_was_closed(mode: Mode) -> None:
    store = Scripted(mode.runtime)
    store.bodies += [[100, _busy()], [_busy()], [_busy()], [_busy()]]

    async def use(stream: Any) -> bytes:
        with pytest.raises(Unavailable):
            await stream.read_all()
        await stream.close()
        return await stream.read(100)  # type: ignore[no-any-return]

    assert _read(mode, store, use) == b""


def test_a_body_that_came_with_the_answer_is_left_alone(mode: Mode) -> None:
    store = Scripted(mode.runtime)

    async def use() -> Any:
        await store.put(store.ref("a"), DATA, WRITE)
        return (await _around(mode, store).get(store.ref("a"), GET)).whole

    assert mode.run(use()) == DATA


class _Swallowing(ObjectStream):
    """A body that goes on although the reader of its second piece was cancelled."""

    def __init__(self, body: ObjectStream) -> None:
        super().__init__(body.meta, body.start, body.length)
        self._body = body
        self._pieces = 0

    async def read(self, size: int) -> bytes:
        chunk = await self._body.read(min(size, 100))
        self._pieces += 1
        if self._pieces == 2:
            raise asyncio.CancelledError
        return chunk

    async def read_all(self) -> bytes:
        whole = b""
        while chunk := await self.read(100):
            whole += chunk
        return whole

    async def close(self) -> None:
        await self._body.close()


def _swallowing(mode: Mode) -> Scripted:
    store = Scripted(mode.runtime)
    store.script.append(lambda: _opened(store))
    return store


async def _opened(store: Scripted) -> ObjectStream:
    return _Swallowing(await store.inner.get(store.ref("a"), GET))


def test_a_read_after_a_cancelled_one_goes_on_at_the_right_byte() -> None:
    async def use(stream: ObjectStream) -> bytes:
        whole = await stream.read(100)
        with pytest.raises(asyncio.CancelledError):
            await stream.read(100)
        return whole + await stream.read_all()

    mode = Mode(blocking=False)
    assert _read(mode, _swallowing(mode), use) == DATA


def test_all_of_a_body_may_be_read_again_after_a_cancelled_read() -> None:
    async def use(stream: ObjectStream) -> bytes:
        with pytest.raises(asyncio.CancelledError):
            await stream.read_all()
        return await stream.read_all()

    mode = Mode(blocking=False)
    assert _read(mode, _swallowing(mode), use) == DATA


def test_all_of_a_body_may_be_read_again_after_its_tries_are_used_up(mode: Mode) -> None:
    async def use(stream: ObjectStream) -> bytes:
        first = await stream.read(50)
        with pytest.raises(Unavailable):
            await stream.read_all()
        return first + await stream.read_all()

    store = Scripted(mode.runtime)
    store.bodies += [[50, _busy()], [100, _busy()], [_busy()], [_busy()], [_busy()]]
    assert _read(mode, store, use) == DATA
