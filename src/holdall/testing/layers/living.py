"""Facts about what outlives a call: open bodies, uploads, and the layer itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import NotFound, Unavailable
from holdall.objects.options import DELETE, GET, HEAD, WRITE, GetOptions
from holdall.testing.layers.faults import Fault, FaultRule, Faults
from holdall.testing.layers.passing import ask, witness_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.contract import ObjectStore
    from holdall.objects.layers.layer import Operation
    from holdall.objects.results import ObjectStream
    from holdall.testing.layers.passing import MakeLayer
    from holdall.testing.layers.witness import Witness

_DATA = bytes(range(256)) * 40


class LifeFacts(Facts):
    """Facts about bodies, uploads and the end of a layer."""

    async def test_a_body_comes_in_the_pieces_that_are_asked_for(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        assert (body.start, body.length) == (100, len(_DATA) - 100)
        whole = bytearray()
        while chunk := await body.read(700):
            assert len(chunk) <= 700
            whole += chunk
        assert whole == _DATA[100:]
        assert await body.read(700) == b""
        assert witness.open_bodies == 0

    async def test_the_rest_of_a_body_is_read_after_its_first_piece(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        assert await body.read(50) + await body.read_all() == _DATA[100:]
        assert witness.open_bodies == 0

    async def test_a_body_that_came_with_the_answer_stays_whole(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        inner = witness_of(store).inner
        layer = make_layer(inner)
        ref = layer.root.child("a")
        await layer.put(ref, _DATA, WRITE)
        async with await layer.get(ref, GET) as body:
            assert body.whole == _DATA

    async def test_a_body_that_is_closed_early_lets_go_of_the_inner_one(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        await body.read(10)
        await body.close()
        assert witness.open_bodies == 0
        await body.close()

    async def test_a_body_that_is_dropped_lets_go_of_the_inner_one(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        await body.read(10)
        del body
        assert witness.open_bodies == 0

    async def test_100_dropped_bodies_leave_it_as_it_was(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        ref = body.meta.ref
        await body.close()
        layer = make_layer(witness)
        for _ in range(100):
            body = await layer.get(ref, GET)
            await body.read(10)
            del body
        async with await layer.get(ref, GET) as last:
            assert await last.read_all() == _DATA
        assert witness.open_bodies == 0

    async def test_a_body_whose_read_failed_can_be_closed(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness, body = await _opened(store, make_layer)
        witness.fail("read", NotFound("it is gone"))
        with pytest.raises(NotFound):
            await body.read(10)
        await body.close()
        assert witness.open_bodies == 0

    async def test_an_upload_has_id_reference_and_offset_of_the_inner_one(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        inner = witness_of(store).inner
        layer = make_layer(inner)
        upload = await layer.upload(layer.root.child("a"), WRITE, None)
        assert upload.ref == layer.root.child("a")
        assert upload.offset == 0
        await upload.write(b"12345")
        assert upload.offset == 5
        (info,) = (await inner.uploads(inner.root, None)).uploads
        assert (info.id, info.offset) == (upload.id, 5)
        await upload.abort()

    async def test_an_upload_that_goes_on_begins_at_the_inner_offset(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        inner = witness_of(store).inner
        layer = make_layer(inner)
        ref = layer.root.child("a")
        before = await inner.upload(ref, WRITE, None)
        await before.write(b"12345")
        await before.close()
        upload = await layer.upload(ref, WRITE, before.id)
        assert upload.offset == 5
        await upload.write(b"67")
        assert (await upload.commit(7)).size == 7

    @pytest.mark.parametrize("arrived", [0, 3, 5])
    async def test_the_offset_says_how_much_of_a_failed_write_arrived(
        self, store: AsyncDataStore, make_layer: MakeLayer, arrived: int
    ) -> None:
        cut = Fault(cut=arrived) if arrived < 5 else Fault(lost=True)
        rule = FaultRule(fault=cut, operation="write", nth=2, times=1)
        layer = make_layer(Faults(witness_of(store).inner, [rule]))
        upload = await layer.upload(layer.root.child("a"), WRITE, None)
        await upload.write(b"12345")
        with pytest.raises(Unavailable):
            await upload.write(b"67890")
        assert upload.offset == 5 + arrived
        await upload.write(b"67890"[arrived:])
        await upload.commit(10)
        async with await layer.get(upload.ref, GET) as body:
            assert await body.read_all() == b"1234567890"

    async def test_close_closes_the_inner_store_and_may_be_called_twice(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness = witness_of(store)
        layer = make_layer(witness)
        await layer.put(layer.root.child("a"), b"data", WRITE)
        await layer.close()
        assert witness.closed
        await layer.close()

    async def test_a_layer_that_was_never_used_closes_the_inner_store(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness = witness_of(store)
        await make_layer(witness).close()
        assert witness.closed
        assert witness.calls == []

    async def test_40_at_a_time_send_each_call_once(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        witness = witness_of(store)
        layer = make_layer(witness)
        await self.together([partial(_work, layer, number) for number in range(40)])
        for operation in ("put", "head", "get", "upload", "write", "commit", "delete"):
            assert witness.operations.count(operation) == 40 * 5
        assert witness.open_bodies == 0

    async def test_40_at_a_time_get_each_their_own(
        self, store: AsyncDataStore, make_layer: MakeLayer
    ) -> None:
        layer = make_layer(witness_of(store))
        answers = await self.together([partial(_work, layer, number) for number in range(40)])
        assert answers == [b"%d" % number * 1000 * 5 for number in range(40)]

    @pytest.mark.parametrize("operation", ["put", "get", "list", "delete"])
    async def test_errors_of_40_at_a_time_reach_each_of_them(
        self, store: AsyncDataStore, make_layer: MakeLayer, operation: Operation
    ) -> None:
        witness = witness_of(store)
        layer = make_layer(witness)
        witness.fail(operation, NotFound("it is not there"))

        async def fail() -> bool:
            try:
                await ask(layer, operation)
            except NotFound:
                return True
            return False

        assert await self.together([fail] * 40) == [True] * 40


async def _opened(store: AsyncDataStore, make_layer: MakeLayer) -> tuple[Witness, ObjectStream]:
    """A body that is read piece by piece through a layer, and the witness inside."""
    witness = witness_of(store)
    layer = make_layer(witness)
    ref = layer.root.child("a")
    await layer.put(ref, _DATA, WRITE)
    return witness, await layer.get(ref, GetOptions(start=100))


async def _work(layer: ObjectStore, number: int) -> bytes:
    """Write, look, read, write piece by piece and delete, five times, a key of its own."""
    data = b"%d" % number * 1000
    read = b""
    for turn in range(5):
        ref = layer.root.child(f"{number}/{turn}")
        await layer.put(ref, data, WRITE)
        assert (await layer.head(ref, HEAD)).size == len(data)
        async with await layer.get(ref, GET) as body:
            while chunk := await body.read(300):
                read += chunk
        upload = await layer.upload(ref, WRITE, None)
        await upload.write(data)
        assert (await upload.commit(len(data))).size == len(data)
        assert not await layer.delete((ref,), DELETE)
    return read
