"""Calls in blocking mode: through layers that write `at_once`, and through those that do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from msgspec import Struct

import holdall
from holdall.core.errors import NotFound
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers import Call, Layer, Metrics, Retry, Send, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.contract import ObjectStore

T = TypeVar("T")


class NoSettings(Struct, frozen=True):
    """There are none."""


class Noting(Layer):
    """Notes which of its two hooks each call came through."""

    name: ClassVar[str] = "noting"
    settings_type = NoSettings
    steps: ClassVar[bool] = True

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.noted: list[tuple[str, str]] = []

    async def around(self, call: Call[T], send: Send[T]) -> T:
        self.noted.append(("around", call.operation))
        return await send(call)

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        self.noted.append(("at once", call.operation))
        return way(call)


class Late(Layer):
    """Notes how many calls have come to the layer inside, before it awaits one and behind that."""

    name: ClassVar[str] = "late"
    settings_type = NoSettings

    def __init__(self, inner: Noting | Metrics) -> None:
        super().__init__(inner)
        self.noted: list[int] = []

    async def around(self, call: Call[T], send: Send[T]) -> T:
        noting = Noting.of(self)
        sending = send(call)
        self.noted.append(len(noting.noted))
        try:
            return await sending
        finally:
            self.noted.append(len(noting.noted))


def memory() -> MemoryStore:
    return MemoryStore(MemorySettings(), BlockingRuntime())


def test_in_blocking_mode_calls_come_to_at_once_and_steps_to_around() -> None:
    layer = Noting(memory())
    store = DataStore(layer)
    store.write("a", b"data")
    with store.open_writer("b") as writer:
        writer.write(b"data")
    assert store.read("a") == b"data"
    store.delete("a")
    hooks = {hook: {name for one, name in layer.noted if one == hook} for hook, _ in layer.noted}
    assert hooks["at once"] >= {"put", "upload", "get", "delete"}
    assert hooks["around"] == {"write", "commit"}


def test_on_a_loop_all_come_to_around() -> None:
    async def run() -> list[tuple[str, str]]:
        layer = Noting(MemoryStore(MemorySettings(), LoopRuntime()))
        store = AsyncDataStore(layer)
        await store.write("a", b"data")
        assert await store.read("a") == b"data"
        return layer.noted

    assert asyncio.run(run()) == [("around", "put"), ("around", "get")]


@pytest.mark.parametrize("between", [lambda noting: noting, Metrics])
def test_what_around_sends_begins_when_it_is_awaited(
    between: Callable[[Noting], Noting | Metrics],
) -> None:
    late = Late(between(Noting(memory())))
    with pytest.raises(NotFound):
        DataStore(late).read("a")
    assert late.noted == [0, 1]


@pytest.mark.parametrize("outer", [Metrics, Retry])
def test_a_layer_that_only_has_around_stands_between_those_that_have_both(
    outer: type[Layer],
) -> None:
    late = Late(Noting(memory()))
    store = DataStore(outer(late))
    store.write("a", b"data")
    assert store.read("a") == b"data"
    assert late.noted == [0, 1, 1, 2]


def test_a_call_with_several_references_goes_through_a_router_too(tmp_path: Any) -> None:
    beside = {"file": {"path": str(tmp_path), "durable": False}}
    store = holdall.open(
        {"type": "router", "primary": {"type": "memory"}, "schemes": beside, "layers": ["metrics"]}
    )
    store.write("a", b"data")
    other = f"file://{tmp_path}/b"
    store.copy("a", other)
    assert store.read(other) == b"data"
    store.delete_many(["a", other])
    assert not store.exists("a")
    assert not store.exists(other)
