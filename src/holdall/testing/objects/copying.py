"""Facts about copies and moves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed
from holdall.testing.objects.asking import fill, keys_of, needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import ObjectMeta

_VERBS = pytest.mark.parametrize("verb", ["copy", "move"])
_LARGE = bytes(range(251)) * 36_000


async def _written(store: AsyncDataStore, data: bytes = b"data", key: str = "a") -> ObjectMeta:
    """Write an object with all that this store keeps."""
    capabilities = store.capabilities
    kept: dict[str, Any] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "content_md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
    }
    if capabilities.metadata:
        kept["metadata"] = {"unicode": "日本語", "large": "x" * 1500}
    if capabilities.tags:
        kept["tags"] = {"site": "plant-7"}
    if capabilities.content_type:
        kept["content_type"] = "text/csv"
    await store.write(key, data, **kept)
    return await store.stat(key, tags=capabilities.tags)


def _kept(meta: ObjectMeta) -> tuple[object, ...]:
    return (
        meta.size,
        meta.content_type,
        meta.metadata,
        meta.tags,
        meta.content_md5,
        meta.sha256,
    )


class CopyFacts(Facts):
    """Facts about `copy` and `move`."""

    @_VERBS
    async def test_the_target_has_the_bytes(self, store: AsyncDataStore, verb: str) -> None:
        await fill(store, "a/1")
        meta = await getattr(store, verb)("a/1", "b/2/3")
        assert (meta.key, meta.ref, meta.size) == ("b/2/3", store.reference("b/2/3"), 3)
        assert await store.read("b/2/3") == b"a/1"

    @_VERBS
    async def test_a_large_object_arrives_whole(self, store: AsyncDataStore, verb: str) -> None:
        await store.write("a", _LARGE)
        await getattr(store, verb)("a", "b")
        assert await store.read("b") == _LARGE

    @_VERBS
    async def test_all_that_is_kept_goes_along(self, store: AsyncDataStore, verb: str) -> None:
        old = await _written(store)
        await getattr(store, verb)("a", "b")
        assert _kept(await store.stat("b", tags=store.capabilities.tags)) == _kept(old)

    async def test_a_copy_leaves_the_source_as_it_was(self, store: AsyncDataStore) -> None:
        old = await _written(store)
        await store.copy("a", "b")
        now = await store.stat("a", tags=store.capabilities.tags)
        assert (_kept(now), now.etag) == (_kept(old), old.etag)
        assert await store.read("a") == b"data"

    async def test_a_later_write_of_the_source_leaves_its_copy(self, store: AsyncDataStore) -> None:
        await fill(store, "a")
        await store.copy("a", "b")
        await store.write("a", b"new")
        assert await store.read("b") == b"a"

    async def test_a_move_leaves_no_source(self, store: AsyncDataStore) -> None:
        await fill(store, "a/1")
        await store.move("a/1", "b")
        assert await keys_of(store) == ["b"]
        assert await store.list_directories() == ()

    @_VERBS
    async def test_the_target_is_replaced(self, store: AsyncDataStore, verb: str) -> None:
        await fill(store, "a")
        old = await store.write("b", b"something longer")
        meta = await getattr(store, verb)("a", "b")
        assert await store.read("b") == b"a"
        assert meta.etag == (await store.stat("b")).etag
        assert meta.etag != old.etag

    @_VERBS
    async def test_a_missing_source_is_not_found(self, store: AsyncDataStore, verb: str) -> None:
        await store.write("b", b"old")
        with pytest.raises(NotFound):
            await getattr(store, verb)("a", "b")
        with pytest.raises(NotFound):
            await getattr(store, verb)("a", "c/d")
        assert await keys_of(store) == ["b"]
        assert await store.read("b") == b"old"

    @_VERBS
    async def test_a_folder_cannot_be_the_source(self, store: AsyncDataStore, verb: str) -> None:
        await fill(store, "a/1")
        with pytest.raises(NotFound):
            await getattr(store, verb)("a", "b")
        assert await keys_of(store) == ["a/1"]

    @_VERBS
    async def test_an_object_stays_when_it_is_its_own_target(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        old = await _written(store)
        meta = await getattr(store, verb)("a", "a")
        assert (meta.key, meta.size) == ("a", 4)
        assert await store.read("a") == b"data"
        assert _kept(await store.stat("a", tags=store.capabilities.tags)) == _kept(old)

    @_VERBS
    async def test_addresses_may_be_references_and_urls(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        await fill(store, "a")
        await getattr(store, verb)(store.reference("a"), str(store.reference("b")))
        assert await store.read("b") == b"a"

    @_VERBS
    async def test_a_target_that_exists_is_kept_when_only_creating(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await fill(store, "a", "b")
        with pytest.raises(AlreadyExists):
            await getattr(store, verb)("a", "b", if_none_match="*")
        assert await store.read("a") == b"a"
        assert await store.read("b") == b"b"

    @_VERBS
    async def test_a_target_that_is_missing_is_created(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await fill(store, "a")
        await getattr(store, verb)("a", "b", if_none_match="*")
        assert await store.read("b") == b"a"

    @_VERBS
    async def test_a_source_that_changed_is_left_alone(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        await store.write("a", b"new")
        with pytest.raises(PreconditionFailed):
            await getattr(store, verb)("a", "b", if_match=old.etag)
        assert await keys_of(store) == ["a"]
        assert await store.read("a") == b"new"

    @_VERBS
    async def test_a_source_that_did_not_change_goes(
        self, store: AsyncDataStore, verb: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        meta = await store.write("a", b"data")
        await getattr(store, verb)("a", "b", if_match=meta.etag)
        assert await store.read("b") == b"data"

    async def test_many_moves_of_one_object_keep_it(self, store: AsyncDataStore) -> None:
        old = await _written(store, key="step/0")
        for step in range(5):
            await store.move(f"step/{step}", f"step/{step + 1}")
        assert await keys_of(store) == ["step/5"]
        assert _kept(await store.stat("step/5", tags=store.capabilities.tags)) == _kept(old)
