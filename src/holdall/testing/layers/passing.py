"""Facts about what a layer passes on: calls, answers, errors."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from typing import TYPE_CHECKING, TypeAlias

import pytest

from holdall.core.errors import Corrupt, NotFound, PermissionDenied
from holdall.objects.contract import ObjectStore
from holdall.objects.options import (
    CopyOptions,
    DeleteOptions,
    GetOptions,
    HeadOptions,
    ListOptions,
    SignOptions,
    WriteOptions,
)
from holdall.testing.layers.witness import Witness
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.layers.layer import Operation
    from holdall.testing.layers.witness import Arrived

    MakeLayer: TypeAlias = Callable[[ObjectStore], ObjectStore]

_DATA = b"0123456789"
_SHA256 = hashlib.sha256(_DATA).hexdigest()
_METHODS: list[Operation] = [
    "put",
    "upload",
    "uploads",
    "get",
    "head",
    "list",
    "delete",
    "copy",
    "remove_folder",
]
_STEPS: list[Operation] = ["read", "write", "digest", "commit", "abort"]
_ERRORS = {
    "NotFound": NotFound("it is not there"),
    "PermissionDenied": PermissionDenied("it may not be done"),
    "Corrupt": Corrupt("it is damaged"),
    "foreign": RuntimeError("of no family"),
    "CancelledError": asyncio.CancelledError(),
    "KeyboardInterrupt": KeyboardInterrupt(),
}


def witness_of(store: AsyncDataStore) -> Witness:
    """A witness that waits as a store does."""
    return Witness(type(store.store.runtime)())


async def ask(layer: ObjectStore, operation: Operation) -> object:
    """Ask a layer for one thing; for a step, also what comes before it.

    Nothing is asked twice with the same arguments by two calls of this.
    """
    ref = layer.root.child(f"of {operation}")
    if operation == "put":
        return await layer.put(ref, _DATA, WriteOptions(content_type="text/plain"))
    if operation == "get":
        return await layer.get(ref, GetOptions(start=2, end=8))
    if operation == "head":
        return await layer.head(ref, HeadOptions(tags=True))
    if operation == "list":
        return await layer.list(layer.root, ListOptions(max_items=7, after="b"))
    if operation == "delete":
        return await layer.delete((ref, layer.root.child("b")), DeleteOptions())
    if operation == "copy":
        return await layer.copy(ref, layer.root.child("to"), CopyOptions(move=True))
    if operation == "sign":
        return await layer.sign(ref, SignOptions(expires=60))
    if operation == "uploads":
        return await layer.uploads(layer.root, None)
    if operation == "remove_folder":
        await layer.remove_folder(layer.root.child("folder"))
        return None
    if operation == "read":
        async with await layer.get(ref, GetOptions(start=1)) as body:
            return await body.read(4)
    upload = await layer.upload(ref, WriteOptions(content_type="text/plain"), None)
    if operation == "upload":
        await upload.close()
    elif operation == "write":
        await upload.write(_DATA)
    elif operation == "digest":
        return await upload.digest()
    elif operation == "commit":
        await upload.write(_DATA)
        return await upload.commit(len(_DATA), _SHA256)
    elif operation == "abort":
        await upload.abort()
    return None


async def prepare(witness: Witness, operation: Operation) -> None:
    """Write what `ask` asks for, behind the layer's back."""
    ref = witness.root.child(f"of {operation}")
    await witness.inner.put(ref, _DATA, WriteOptions())


class PassFacts(Facts):
    """Facts about what goes through a layer."""

    async def test_root_capabilities_type_and_runtime_are_the_inner_ones(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        inner = witness_of(store)
        layer = make_layer(inner)
        assert layer.root == inner.root
        assert layer.capabilities == inner.capabilities
        assert layer.type == inner.type
        assert layer.runtime is inner.runtime

    async def test_the_inner_store_is_among_its_stores(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        inner = witness_of(store)
        layer = make_layer(inner)
        assert next(layer.stores()) is layer
        assert layer is not inner
        assert any(one is inner for one in layer.stores())

    async def test_a_configuration_opens_the_same_layers(self, store: AsyncDataStore) -> None:
        inner = store.store
        again = ObjectStore.from_config_json(store.config_json(), type(inner.runtime)())
        assert _parts(again) == _parts(inner)
        await again.close()

    async def test_a_pickle_opens_the_same_layers(self, store: AsyncDataStore) -> None:
        again: ObjectStore = pickle.loads(pickle.dumps(store.store))  # noqa: S301
        assert _parts(again) == _parts(store.store)
        assert type(again.runtime) is type(store.store.runtime)
        await again.close()

    @pytest.mark.parametrize("operation", _METHODS)
    async def test_a_call_is_sent_once_and_as_it_is(
        self, store: AsyncDataStore, make_layer: MakeLayer, operation: Operation
    ) -> None:
        sent = await _sent(store, make_layer, operation)
        plain = await _sent(store, lambda inner: inner, operation)
        assert sent == plain

    @pytest.mark.parametrize("operation", _STEPS)
    async def test_a_step_is_sent_once_and_as_it_is(
        self, store: AsyncDataStore, make_layer: MakeLayer, operation: Operation
    ) -> None:
        sent = await _sent(store, make_layer, operation)
        plain = await _sent(store, lambda inner: inner, operation)
        assert sent == plain

    @pytest.mark.parametrize("error", list(_ERRORS))
    @pytest.mark.parametrize("operation", [*_METHODS, "sign", *_STEPS])
    async def test_an_error_passes_as_it_is(
        self, store: AsyncDataStore, make_layer: MakeLayer, operation: Operation, error: str
    ) -> None:
        witness = witness_of(store)
        await prepare(witness, operation)
        expected = _ERRORS[error]
        witness.fail(operation, expected)
        with pytest.raises(type(expected)) as raised:
            await ask(make_layer(witness), operation)
        assert raised.value is expected
        assert witness.operations.count(operation) == 1

    async def test_100_errors_leave_it_as_it_was(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness = witness_of(store)
        layer = make_layer(witness)
        witness.fail("head", PermissionDenied("it may not be done"))
        ref = layer.root.child("a")
        for _ in range(100):
            with pytest.raises(PermissionDenied):
                await layer.head(ref, HeadOptions())
        del witness.acts["head"]
        await layer.put(ref, _DATA, WriteOptions())
        assert (await layer.head(ref, HeadOptions())).size == len(_DATA)

    async def test_a_cancelled_call_ends_the_inner_one_and_nothing_else(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness = witness_of(store)
        if witness.runtime.blocking:
            pytest.skip("a blocking call is not cancelled")
        layer = make_layer(witness)
        arrived = asyncio.Event()
        ended: list[BaseException] = []

        async def hang() -> None:
            arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                ended.append(error)
                raise

        ref = layer.root.child("a")
        for number in range(1, 51):
            witness.acts["put"] = hang
            call = asyncio.ensure_future(layer.put(ref, _DATA, WriteOptions()))
            await arrived.wait()
            arrived.clear()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert len(ended) == number
        del witness.acts["put"]
        assert (await layer.put(ref, _DATA, WriteOptions())).size == len(_DATA)


def _parts(store: ObjectStore) -> list[tuple[type[ObjectStore], object]]:
    """What a store is made of, from the outside."""
    return [(type(one), one.settings) for one in store.stores()]


async def _sent(
    store: AsyncDataStore, make_layer: MakeLayer, operation: Operation
) -> list[Arrived]:
    """What reaches the inner store when a layer is asked for one thing."""
    witness = witness_of(store)
    await prepare(witness, operation)
    answer = await ask(make_layer(witness), operation)
    if operation == "get":
        await answer.close()  # type: ignore[attr-defined]
    return witness.calls
