"""Facts about the limit for how long a call may take."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from holdall.core import errors
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.layers.timeout import Timeout, TimeoutSettings
from holdall.objects.options import COPY, GET, HEAD, WRITE, WriteOptions
from objects.layers.scripted import Scripted

_SHORT = TimeoutSettings(call=timedelta(milliseconds=5))


async def _forever() -> None:
    await asyncio.Event().wait()


def test_a_call_is_cancelled_on_a_loop() -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime(), _forever)
        store = Timeout(inner, _SHORT)
        with pytest.raises(errors.Timeout, match=r"head took longer than 0.005 s.*'call'") as found:
            await store.head(inner.ref("a"), HEAD)
        assert found.value.transient
        assert found.value.reference == inner.ref("a")

    asyncio.run(run())


def test_a_request_under_way_ends_by_itself_in_blocking_mode() -> None:
    runtime = BlockingRuntime()

    async def two_requests() -> None:
        await runtime.call(time.sleep, None, 0.01)
        await runtime.call(lambda: pytest.fail("a request was sent after the limit"), None)

    inner = Scripted(runtime, two_requests)
    with pytest.raises(errors.Timeout, match="the setting 'call' of the layer 'timeout'"):
        drive(Timeout(inner, _SHORT).head(inner.ref("a"), HEAD))


def test_one_request_that_was_late_is_an_answer_all_the_same() -> None:
    runtime = BlockingRuntime()

    async def late() -> str:
        await runtime.call(time.sleep, None, 0.01)
        return "answer"

    inner = Scripted(runtime, late)
    answer: Any = drive(Timeout(inner, _SHORT).head(inner.ref("a"), HEAD))
    assert answer == "answer"


@pytest.mark.parametrize(
    ("call", "transient", "reads"),
    [
        (lambda store, ref: store.put(ref, b"", WRITE), True, False),
        (lambda store, ref: store.put(ref, b"", WriteOptions(if_none_match="*")), False, False),
        (lambda store, ref: store.upload(ref, WRITE, None), False, False),
        (lambda store, ref: store.copy(ref, ref, COPY), True, False),
        (lambda store, ref: store.get(ref, GET), True, True),
    ],
)
def test_what_may_have_been_applied_is_not_transient(
    call: Any, transient: bool, reads: bool
) -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime(), _forever)
        with pytest.raises(errors.Timeout) as found:
            await call(Timeout(inner, _SHORT), inner.ref("a"))
        assert found.value.transient is transient
        assert ("may have been applied" in found.value.message) is not transient
        assert found.value.uncertain is not reads

    asyncio.run(run())


def test_each_step_of_a_body_has_as_long() -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime())
        await inner.put(inner.ref("a"), b"x" * 100, WRITE)
        inner.bodies.append([10, 10])
        stream = await Timeout(inner, _SHORT).get(inner.ref("a"), GET)
        assert len(await stream.read(100)) == 10
        inner.script.append(_forever)
        with pytest.raises(errors.Timeout, match="read took longer"):
            await stream.read(100)
        await stream.close()

    asyncio.run(run())


def test_a_time_out_of_the_driver_is_raised_as_it_came() -> None:
    mine = errors.Timeout("the driver's own")
    inner = Scripted(BlockingRuntime(), mine)
    with pytest.raises(errors.Timeout) as found:
        drive(Timeout(inner).head(inner.ref("a"), HEAD))
    assert found.value is mine


def test_a_deadline_further_out_keeps_its_own_words() -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime(), _forever)
        with pytest.raises(errors.Timeout, match=r"the deadline of 0\.005 s"):
            async with inner.runtime.deadline(0.005):
                await Timeout(inner).head(inner.ref("a"), HEAD)

    asyncio.run(run())


def test_no_time_at_all_is_no_limit() -> None:
    with pytest.raises(ValueError, match="at least 1 ms"):
        TimeoutSettings(call=timedelta(0))
