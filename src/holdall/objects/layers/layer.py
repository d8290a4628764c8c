"""A store around a store: every call goes through one hook.

A layer is written by subclassing `Layer`, with `around`:

    class Counting(Layer):
        name = "counting"
        settings_type = CountingSettings

        async def around(self, call: Call[T], send: Send[T]) -> T:
            self.calls += 1
            return await send(call)

In blocking mode that is driven by `at_once`, which a layer may write without a coroutine.

Bodies and uploads live longer than the call that opened them. A layer that has `steps` gets their
steps through the same hook: `read` of an open body, `write`, `digest` and `commit` of an upload.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar, cast, final

from holdall.core.errors import InvalidConfig, Unsupported
from holdall.core.runtime.blocking import Done, drive
from holdall.objects.contract import Data, ObjectStore, Upload, plain_settings
from holdall.objects.layers.call import (
    OPENING,
    Call,
    Forwarding,
    Operation,
    Send,
    Way,
    ask,
    ask_at_once,
    awaited,
)
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.data_store import DataStore
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
        WriteOptions,
    )
    from holdall.objects.results import (
        Capabilities,
        DeleteFailure,
        ObjectMeta,
        Page,
        SignedUrl,
        UploadPage,
    )

__all__ = [
    "OPENING",
    "Call",
    "Layer",
    "LayerStream",
    "LayerUpload",
    "Operation",
    "Send",
    "Way",
    "sender",
    "way_into",
]

T = TypeVar("T")


class Layer(ObjectStore):
    """A store around a store. Address, capabilities and type are those of the store inside.

    Args:
        inner: The store that it stands around; closed with it.
        settings: Its own settings; the defaults when None.
    """

    name: ClassVar[str]
    """What a configuration calls it, in `layers`."""
    another_way: ClassVar[str] = ""
    """How else to get one, for the error of `of`."""
    steps: ClassVar[bool] = False
    """Whether the steps of bodies and uploads go through `around` too.

    Costs a coroutine for each `get`. A layer that counts microseconds leaves it false, and calls
    `with_steps` on what it answers.
    """

    def __init__(self, inner: ObjectStore, settings: Struct | None = None) -> None:
        if settings is None:
            settings = self.settings_type()
        super().__init__(inner.root, settings, inner.runtime)
        self._inner = inner
        self._way_in = way_into(inner)
        self._onward = sender(inner)
        self._is_quick = inner.runtime.blocking and type(self).at_once is not Layer.at_once

    @abstractmethod
    async def around(self, call: Call[T], send: Send[T]) -> T:
        """Do what the layer is for, around `await send(call)`, and answer what that answers.

        An error that goes through it is raised as it came.
        """

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        """Do the same in blocking mode, where calls come here, and only steps to `around`.

        As it is, it drives `around`. A layer that counts microseconds writes both, since a chain
        of functions costs half of what a chain of coroutines does.

        Args:
            way: Sends a call to the store inside, and answers what that answers.
            call: The call.
        """
        return drive(self.around(call, self._onward if way is self._way_in else awaited(way)))

    @final
    def _start_call(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        if self._is_quick:
            return Done(self.at_once(self._way_in, call))  # type: ignore[return-value]
        return self.around(call, self._onward)

    @classmethod
    @final
    def of(cls, store: ObjectStore | DataStore | AsyncDataStore) -> Self:
        """The layer of this kind of a store, also of one behind a face: the outermost, of several.

        Raises:
            Unsupported: It has none.
        """
        outside = store if isinstance(store, ObjectStore) else store.store
        for one in outside.stores():
            if isinstance(one, cls):
                return one
        raise Unsupported(
            f"{outside.root} has no {cls.name}: name {cls.name!r} in 'layers' of its "
            f"configuration{cls.another_way}",
            reference=outside.root,
        )

    @final
    @property
    def inner(self) -> ObjectStore:
        """The store that it stands around."""
        return self._inner

    @classmethod
    @final
    def open(cls, settings: Struct, runtime: Runtime) -> NoReturn:
        """A layer is opened around a store: see `layers` in a store's configuration."""
        raise InvalidConfig(
            f"{cls.name!r} is a layer, and stands around a store: name it in 'layers' of the "
            "configuration of one"
        )

    @classmethod
    @final
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {}

    @final
    @property
    def type(self) -> str:
        return self._inner.type

    @final
    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    @final
    def _configuration(self) -> dict[str, Any]:
        inside = self._inner._configuration()
        mine = {"layer": self.name, **plain_settings(self._settings)}
        return {**inside, "layers": [mine, *inside.get("layers", ())]}

    @final
    def _behind(self) -> tuple[ObjectStore]:
        return (self._inner,)

    @final
    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        once = options.if_match is not None or options.if_none_match is not None
        return self._start_call(Call("put", (ref,), not once, (ref, data, options)))

    @final
    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        call: Call[Upload] = Call("upload", (ref,), False, (ref, options, resume))
        upload = await self._start_call(call)
        return LayerUpload(self, upload) if self.steps else upload

    @final
    def uploads(self, prefix: Reference, token: str | None) -> Coroutine[Any, Any, UploadPage]:
        return self._start_call(Call("uploads", (prefix,), True, (prefix, token)))

    @final
    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        call: Call[ObjectStream] = Call("get", (ref,), True, (ref, options))
        opened = self._start_call(call)
        return self._stepping(opened) if self.steps else opened

    async def _stepping(self, opened: Coroutine[Any, Any, ObjectStream]) -> ObjectStream:
        stream = await opened
        return stream if stream.whole is not None else LayerStream(self, stream)

    @final
    def with_steps(self, call: Call[T], answer: T) -> T:
        """Make the steps of an open body, or of an upload, go through `around` too.

        Args:
            call: A `get` or `upload`; the answers of others are handed back.
            answer: What it answered.
        """
        if call.operation == "get":
            stream = cast("ObjectStream", answer)
            return answer if stream.whole is not None else cast("T", LayerStream(self, stream))
        if call.operation == "upload":
            return cast("T", LayerUpload(self, cast("Upload", answer)))
        return answer

    @final
    def head(self, ref: Reference, options: HeadOptions) -> Coroutine[Any, Any, ObjectMeta]:
        return self._start_call(Call("head", (ref,), True, (ref, options)))

    @final
    def list(self, prefix: Reference, options: ListOptions) -> Coroutine[Any, Any, Page]:
        return self._start_call(Call("list", (prefix,), True, (prefix, options)))

    @final
    def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Coroutine[Any, Any, Sequence[DeleteFailure]]:
        again = options.if_match is None
        return self._start_call(Call("delete", refs, again, (refs, options)))

    @final
    def copy(
        self, source: Reference, target: Reference, options: CopyOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        again = not options.move and options.if_none_match is None
        args = (source, target, options)
        return self._start_call(Call("copy", (source, target), again, args))

    @final
    def sign(self, ref: Reference, options: SignOptions) -> Coroutine[Any, Any, SignedUrl]:
        return self._start_call(Call("sign", (ref,), True, (ref, options)))

    @final
    def remove_folder(self, prefix: Reference) -> Coroutine[Any, Any, None]:
        return self._start_call(Call("remove_folder", (prefix,), True, (prefix,)))

    async def close(self) -> None:
        await self._inner.close()


class LayerStream(ObjectStream):
    """A body whose steps go through a layer.

    Args:
        layer: The layer.
        inner: The body that the store inside answered.
    """

    __slots__ = ("_inner", "_layer", "_refs")

    def __init__(self, layer: Layer, inner: ObjectStream) -> None:
        super().__init__(inner.meta, inner.start, inner.length)
        self._layer = layer
        self._inner = inner
        self._refs = (inner.meta.ref,)

    async def read(self, size: int) -> bytes:
        call = Call("read", self._refs, False, (size,), self._inner.read)
        return await self._layer.around(call, _step)

    async def read_all(self) -> bytes:
        call = Call("read", self._refs, False, (), self._inner.read_all)
        return await self._layer.around(call, _step)

    async def close(self) -> None:
        await self._inner.close()


class LayerUpload(Upload):
    """An upload whose steps go through a layer.

    Args:
        layer: The layer.
        inner: The upload that the store inside answered.
    """

    def __init__(self, layer: Layer, inner: Upload) -> None:
        self._layer = layer
        self._inner = inner
        self._refs = (inner.ref,)
        self.ref, self.id, self.offset = inner.ref, inner.id, inner.offset

    async def write(self, data: Data) -> None:
        try:
            await self._around("write", self._inner.write, data)
        finally:
            self.offset = self._inner.offset

    async def digest(self) -> str:
        return await self._around("digest", self._inner.digest)

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        try:
            return await self._around("commit", self._inner.commit, size, sha256)
        finally:
            self.kept = self._inner.kept

    async def abort(self) -> None:
        await self._around("abort", self._inner.abort)

    async def close(self) -> None:
        await self._inner.close()

    def _around(
        self, step: Operation, function: Callable[..., Coroutine[Any, Any, T]], *args: object
    ) -> Coroutine[Any, Any, T]:
        return self._layer.around(Call(step, self._refs, False, args, function), _step)


def way_into(store: ObjectStore) -> Way:
    """What sends calls to a store in blocking mode.

    From layer to layer a call goes as it is, which takes half of the time that the methods of the
    contract take. What is held are the layers inside: one that held itself would be let go of by
    the garbage collector alone.
    """
    if isinstance(store, Layer) and not store.steps:
        return partial(type(store).at_once, store, store._way_in)
    return store.forward if isinstance(store, Forwarding) else partial(ask_at_once, store)


def sender(store: ObjectStore) -> Send[Any]:
    """What sends calls to a store, for who awaits it."""
    if isinstance(store, Layer):
        if store._is_quick:
            return awaited(way_into(store))
        if not store.steps:
            return partial(store.around, send=store._onward)
    elif isinstance(store, Forwarding) and store.runtime.blocking:
        return awaited(store.forward)
    return partial(ask, store)


def _step(call: Call[T]) -> Coroutine[Any, Any, T]:
    """Send a step to the stream or upload inside."""
    assert call.function is not None
    return call.function(*call.args)
