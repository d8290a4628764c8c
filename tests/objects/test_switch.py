"""A store that is exchanged while it is in use."""

from __future__ import annotations

import gc
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import pytest

from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers import Call, Layer, Send
from holdall.objects.options import GET, HEAD, WRITE
from holdall.objects.switch import Switch
from holdall.testing import Fault, FaultRule, Faults
from holdall.testing.layers.faults import FaultsSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

Make: TypeAlias = "Callable[[], LocalStore]"

LARGE = bytes(3_000_000)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[LocalStore]:
    """The stores that were closed; the first of them says that it cannot be."""
    closed: list[LocalStore] = []

    async def close(store: LocalStore) -> None:
        closed.append(store)
        if len(closed) == 1:
            raise Unavailable("not now")

    monkeypatch.setattr(LocalStore, "close", close)
    return closed


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Open one more store, each in a folder of its own."""
    number = count()

    def make() -> LocalStore:
        path = str(tmp_path / str(next(number)))
        return LocalStore(LocalSettings(path=path, durable=False), BlockingRuntime())

    return make


def test_a_body_that_is_dropped_under_the_lock_holds_up_nobody(make: Make) -> None:
    switch = Switch(make())
    drive(switch.put(switch.root.child("a"), LARGE, WRITE))
    body: Any = drive(switch.get(switch.root.child("a"), GET))
    with switch._guard:
        del body
        gc.collect()
    drive(switch.change(make()))
    assert switch._old == []


def test_a_body_keeps_its_store_until_it_is_closed(make: Make, closed: list[LocalStore]) -> None:
    first = make()
    switch = Switch(first)
    drive(switch.put(switch.root.child("a"), LARGE, WRITE))
    body = drive(switch.get(switch.root.child("a"), GET))
    drive(switch.change(make()))
    assert closed == []
    assert len(drive(body.read(10))) == 10
    drive(body.close())
    assert closed == [first]


def test_who_calls_is_not_told_of_an_old_store_that_cannot_be_closed(
    make: Make, closed: list[LocalStore], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = make(), make()
    switch = Switch(first)
    drive(switch.put(switch.root.child("a"), LARGE, WRITE))
    body = drive(switch.get(switch.root.child("a"), GET))
    drive(switch.change(second))
    with caplog.at_level(logging.WARNING, "holdall"):
        drive(body.close())
    drive(switch.change(make()))
    assert closed == [first, second]
    assert "cannot be closed: not now" in caplog.text


def test_closing_closes_all_and_tells_the_first_error(make: Make, closed: list[LocalStore]) -> None:
    first, second = make(), make()
    switch = Switch(first)
    drive(switch.put(switch.root.child("a"), LARGE, WRITE))
    body = drive(switch.get(switch.root.child("a"), GET))
    drive(switch.change(second))
    with pytest.raises(Unavailable, match="not now"):
        drive(switch.close())
    assert closed == [first, second]
    drive(body.close())


def test_a_call_that_fails_lets_go_of_its_store(make: Make) -> None:
    failing = Faults(make(), [FaultRule(fault=Fault(error=Unavailable))])
    switch = Switch(failing)
    with pytest.raises(Unavailable):
        DataStore(switch).read("a")
    assert not switch._now.users


def test_a_store_that_is_exchanged_during_a_call_is_closed_behind_it(
    make: Make, closed: list[LocalStore]
) -> None:
    first, second = make(), make()

    def exchange(call: Call[Any]) -> None:
        if call.operation == "get":
            drive(switch.change(second))
            assert closed == []  # the call that is under way has it

    switch = Switch(Faults(first, exchange))
    drive(switch.put(switch.root.child("a"), b"data", WRITE))
    assert DataStore(switch).read("a") == b"data"
    assert closed == [first]
    assert switch.store is second


class _Open(Layer):
    """A store that knows whether it is closed, and takes calls only before."""

    name: ClassVar[str] = "open"
    settings_type = FaultsSettings
    closed = False

    async def around(self, call: Call[T], send: Send[T]) -> T:
        assert not self.closed
        answer = await send(call)
        assert not self.closed
        return answer

    async def close(self) -> None:
        self.closed = True


def test_no_thread_meets_a_store_that_is_closed() -> None:
    inside = MemoryStore(MemorySettings(), BlockingRuntime())
    key = inside.root.child("a")
    drive(inside.put(key, b"data", WRITE))
    stores = [_Open(inside) for _ in range(100)]
    switch = Switch(stores[0])
    over = threading.Event()

    def read() -> int:
        count = 0
        while not over.is_set():
            assert drive(switch.get(key, GET)).whole == b"data"
            assert drive(switch.head(key, HEAD)).size == 4
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for store in stores[1:]:
            time.sleep(0.001)
            drive(switch.change(store))
        over.set()
        assert all(reader.result() for reader in readers)
    drive(switch.head(key, HEAD))
    assert [store.closed for store in stores] == [True] * 99 + [False]
    assert not switch._now.users
    assert switch._now.alone
