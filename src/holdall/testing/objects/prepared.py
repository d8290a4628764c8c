"""Facts about options that a store looked at before they are written with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from holdall.core.errors import AlreadyExists, Corrupt, Unsupported
from holdall.objects.options import HEAD_TAGS, WriteOptions
from holdall.testing.objects.asking import needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import ObjectMeta


def _options(store: AsyncDataStore, name: str) -> WriteOptions:
    can = store.capabilities
    return WriteOptions(
        metadata={"name": name} if can.metadata else {},
        tags={"tag": name} if can.tags else {},
        content_type=f"text/{name}" if can.content_type else None,
    )


def _kept(meta: ObjectMeta) -> tuple[object, ...]:
    return meta.metadata, meta.tags, meta.content_type


class PreparedFacts(Facts):
    """Facts about `prepare`, which a store may leave at doing nothing."""

    async def test_prepared_options_are_kept_like_others(self, store: AsyncDataStore) -> None:
        inner, names = store.store, ["one", "two", "three"]
        many = {name: _options(store, name) for name in names}
        inner.prepare(list(many.values()))
        for name in reversed(names):
            await inner.put(store.root.child(name), name.encode(), many[name])
        for name in names:
            await inner.put(store.root.child("other"), name.encode(), _options(store, name))
            expected = await inner.head(store.root.child("other"), HEAD_TAGS)
            assert _kept(await inner.head(store.root.child(name), HEAD_TAGS)) == _kept(expected)
            assert await store.read(name) == name.encode()

    async def test_options_can_be_prepared_and_used_again(self, store: AsyncDataStore) -> None:
        inner, options = store.store, _options(store, "again")
        for key in ("a", "b"):
            inner.prepare([options, options])
            for number in (b"1", b"2"):
                await inner.put(store.root.child(key), number, options)
                assert await store.read(key) == number
        first, second = [await inner.head(store.root.child(key), HEAD_TAGS) for key in ("a", "b")]
        assert _kept(first) == _kept(second)

    async def test_a_prepared_condition_holds(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        inner, options = store.store, WriteOptions(if_none_match="*")
        for _ in range(2):
            inner.prepare([options])
            await store.delete("a")
            await inner.put(store.root.child("a"), b"first", options)
            inner.prepare([options])
            with pytest.raises(AlreadyExists):
                await inner.put(store.root.child("a"), b"second", options)
            assert await store.read("a") == b"first"

    async def test_what_is_wrong_with_prepared_options_is_said_by_put(
        self, store: AsyncDataStore
    ) -> None:
        inner = store.store
        wrong = [
            WriteOptions(tags={"name": "\ud800"}),
            WriteOptions(metadata={"Name!": "value"}),
            WriteOptions(if_none_match="etag"),
        ]
        inner.prepare(wrong)
        for options in wrong:
            with pytest.raises((ValueError, Unsupported)):
                await inner.put(store.root.child("a"), b"data", options)
        digest = WriteOptions(sha256="0" * 64)
        inner.prepare([digest])
        with pytest.raises(Corrupt):
            await inner.put(store.root.child("a"), b"data", digest)
        assert not await store.exists("a")

    async def test_options_made_of_prepared_ones_are_others(self, store: AsyncDataStore) -> None:
        inner, options = store.store, _options(store, "one")
        inner.prepare([options])
        other = replace(options, content_type=None, metadata={}, tags={})
        await inner.put(store.root.child("a"), b"data", other)
        meta = await inner.head(store.root.child("a"), HEAD_TAGS)
        assert (meta.metadata, meta.tags or {}, meta.content_type) == ({}, {}, None)
