"""Facts about deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import InvalidKey, KeyConflict, NotFound, PreconditionFailed
from holdall.objects.options import DELETE, DeleteOptions
from holdall.testing.objects.asking import fill, keys_of, needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore


class DeleteFacts(Facts):
    """Facts about `delete`, `delete_many` and `remove_directory`."""

    async def test_what_is_deleted_is_gone(self, store: AsyncDataStore) -> None:
        await fill(store, "a/1", "a/2")
        await store.delete("a/1")
        assert await keys_of(store) == ["a/2"]
        with pytest.raises(NotFound):
            await store.read("a/1")

    async def test_deleting_what_is_missing_succeeds(self, store: AsyncDataStore) -> None:
        await store.delete("a")
        await store.delete("a/b/c")
        await fill(store, "a")
        await store.delete("a")
        await store.delete("a")

    async def test_deleting_below_an_object_deletes_nothing(self, store: AsyncDataStore) -> None:
        await fill(store, "a")
        await store.delete("a/b")
        assert await keys_of(store) == ["a"]

    async def test_deleting_the_name_of_a_folder_deletes_nothing(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a/b/c")
        await store.delete("a")
        await store.delete("a/b")
        assert await keys_of(store) == ["a/b/c"]

    async def test_what_was_deleted_can_be_written_again(self, store: AsyncDataStore) -> None:
        await fill(store, "a/b")
        await store.delete("a/b")
        await store.write("a/b", b"new")
        assert await store.read("a/b") == b"new"

    async def test_a_new_object_has_nothing_of_a_deleted_one(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        old = await store.write("a", b"data", metadata={"a": "b" * 1900})
        await store.delete("a")
        await store.write("a", b"data")
        meta = await store.stat("a")
        assert meta.metadata == {}
        if store.capabilities.unique_etags:
            assert meta.etag != old.etag

    async def test_many_are_deleted(self, store: AsyncDataStore) -> None:
        await fill(store, "a/1", "a/2", "b", "c")
        await store.delete_many(["a/1", "b", str(store.reference("a/2"))])
        assert await keys_of(store) == ["c"]

    async def test_what_is_missing_among_many_counts_as_deleted(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a", "b")
        await store.delete_many(["a", "missing", "a", "b/c/d"])
        assert await keys_of(store) == ["b"]

    async def test_none_can_be_deleted(self, store: AsyncDataStore) -> None:
        await store.delete_many([])

    async def test_a_wrong_key_among_many_deletes_nothing(self, store: AsyncDataStore) -> None:
        await fill(store, "a", "b")
        with pytest.raises(InvalidKey):
            await store.delete_many(["a", "../b"])
        assert await keys_of(store) == ["a", "b"]

    async def test_the_store_answers_one_failure_for_each_that_failed(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await fill(store, "a", "b")
        refs = [store.reference(key) for key in ("a", "missing", "b")]
        failures = await store.store.delete(refs, DeleteOptions(if_match="another"))
        assert [failure.ref for failure in failures] == [refs[0], refs[2]]
        assert all(isinstance(failure.error, PreconditionFailed) for failure in failures)
        assert await keys_of(store) == ["a", "b"]
        assert not await store.store.delete(refs, DELETE)
        assert await keys_of(store) == []

    # Folders

    async def test_removing_a_folder_that_is_missing_succeeds(self, store: AsyncDataStore) -> None:
        await store.remove_directory("a")
        await store.remove_directory("a/b/")

    async def test_a_folder_that_is_not_empty_is_not_removed(self, store: AsyncDataStore) -> None:
        await fill(store, "a/b/c")
        if store.capabilities.key_and_folder:
            await store.remove_directory("a/b")
        else:
            with pytest.raises(KeyConflict):
                await store.remove_directory("a/b")
        assert await keys_of(store) == ["a/b/c"]

    async def test_removing_the_folder_of_a_deleted_object_succeeds(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a/b/c")
        await store.delete("a/b/c")
        await store.remove_directory("a/b")
        await store.remove_directory("a")
        assert await store.list_directories() == ()
