"""One call on its way through layers, and what sends it on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from holdall.core.reference import Reference
from holdall.core.runtime.blocking import Done, drive
from holdall.objects.contract import ObjectStore

T = TypeVar("T")

OPENING = frozenset({"get", "upload"})
"""The operations whose answers have steps."""

Operation: TypeAlias = Literal[
    "put",
    "upload",
    "uploads",
    "get",
    "head",
    "list",
    "delete",
    "copy",
    "sign",
    "remove_folder",
    "read",
    "write",
    "digest",
    "commit",
    "abort",
]


class Call(Struct, Generic[T], frozen=True, gc=False):
    """One call on its way to the store inside. Layers share it, and none can change it.

    Args:
        operation: The method of the contract; or the step of a body (`read`) or of an upload
            (`write`, `digest`, `commit`, `abort`).
        refs: What it is about: one reference; for `delete` all of them, for `copy` source and
            target.
        repeatable: Whether sending it once more, after an error that leaves its outcome unknown,
            ends in the same state as sending it once. A conditional write is not: its own first
            success would look like somebody else's. Nor is a move, or a step.
        args: The arguments of the method, in the contract's order.
        function: Of a step: the method of the stream or upload inside. Else None.
    """

    operation: Operation
    refs: Sequence[Reference]
    repeatable: bool
    args: tuple[Any, ...]
    function: Callable[..., Coroutine[Any, Any, T]] | None = None


Send: TypeAlias = Callable[[Call[T]], Coroutine[Any, Any, T]]
"""Sends a call to the store inside. It may be sent again where it is `repeatable`."""

Way: TypeAlias = Callable[[Call[Any]], Any]
"""The same in blocking mode, without a coroutine."""


class Forwarding(ObjectStore):
    """A store that can be handed a call as it is."""

    @abstractmethod
    def forward(self, call: Call[Any]) -> Any:
        """Answer what the method that a call names answers; in blocking mode alone."""


def awaited(way: Way) -> Send[Any]:
    """The same way for who awaits it; nothing begins before that."""

    async def send(call: Call[Any]) -> Any:
        return way(call)

    return send


def ask(store: ObjectStore, call: Call[T]) -> Coroutine[Any, Any, T]:
    """Call the method of a store that a call names."""
    sent: Coroutine[Any, Any, T] = getattr(store, call.operation)(*call.args)
    return sent


def ask_at_once(store: ObjectStore, call: Call[Any]) -> Any:
    """The same in blocking mode."""
    if call.operation == "get":
        # Spelled out, since these two are the most frequent ones.
        ref, options = call.args
        sent: Any = store.get(ref, options)
    elif call.operation == "put":
        ref, data, options = call.args
        sent = store.put(ref, data, options)
    else:
        sent = getattr(store, call.operation)(*call.args)
    return sent.value if isinstance(sent, Done) else drive(sent)
