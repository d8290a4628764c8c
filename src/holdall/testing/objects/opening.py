"""Facts about the store itself: its addresses, its configuration, its end."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import InvalidKey, Unsupported
from holdall.core.reference import Reference
from holdall.objects.contract import ObjectStore
from holdall.objects.options import GET
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import Capabilities


class OpenFacts(Facts):
    """Facts about opening and closing, and `sign`."""

    async def test_a_second_store_sees_what_the_first_wrote(self, store: AsyncDataStore) -> None:
        await store.write("a/b", b"data")
        assert await self.another().read("a/b") == b"data"

    async def test_a_configuration_opens_the_same_place(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")
        text = store.config_json()
        assert json.loads(text)["type"] == store.type
        inner = store.store
        again = ObjectStore.from_config_json(text, type(inner.runtime)())
        assert (type(again), again.root) == (type(inner), inner.root)
        assert again.settings == inner.settings
        async with again, await again.get(store.reference("a"), GET) as stream:
            assert await stream.read_all() == b"data"

    async def test_a_pickled_store_opens_the_same_place(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")
        again: AsyncDataStore = pickle.loads(pickle.dumps(store))  # noqa: S301
        assert again.root == store.root
        assert type(again.store.runtime) is type(store.store.runtime)
        assert await again.read("a") == b"data"
        await again.close()

    async def test_a_store_may_be_closed_twice(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")
        await store.close()
        await store.close()

    async def test_a_store_that_was_never_used_may_be_closed(self, store: AsyncDataStore) -> None:
        await store.close()

    async def test_closing_one_store_leaves_another_open(self, store: AsyncDataStore) -> None:
        other = self.another()
        await other.write("a", b"data")
        await other.close()
        await store.write("b", b"data")
        assert await store.read("a") == b"data"

    async def test_the_address_of_a_key_lies_under_the_root(self, store: AsyncDataStore) -> None:
        ref = store.reference("a/b")
        assert ref.relative_to(store.root) == "a/b"
        assert Reference.parse(str(ref)) == ref
        assert store.reference(ref) == ref
        assert store.reference(str(ref)) == ref

    async def test_the_base_container_is_the_root_without_a_key(
        self, store: AsyncDataStore
    ) -> None:
        root = Reference.parse(store.base_container, folder=True)
        assert root == store.root.root

    async def test_the_full_path_leads_from_outside_to_the_object(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a/b", b"data")
        assert await store.read(store.full_path("a/b")) == b"data"
        if store.capabilities.local:
            assert store.full_path("a/b") == f"{store.base_path}/a/b"
        else:
            assert store.full_path("a/b") == str(store.reference("a/b"))

    async def test_the_base_path_is_a_folder_where_objects_are_files(
        self, store: AsyncDataStore
    ) -> None:
        if store.capabilities.local:
            assert store.base_path == store.root.path
        else:
            assert not store.base_path

    async def test_a_reference_is_constructed_from_segments(self, store: AsyncDataStore) -> None:
        ref = store.construct_reference(store.root, "metadata", "project/domain", "id")
        assert ref.relative_to(store.root) == "metadata/project/domain/id"
        assert str(store.construct_reference("s3://bucket", "a", "b")) == "s3://bucket/a/b"
        for segment in ("..", "/a", "", "a/../b"):
            with pytest.raises(InvalidKey):
                store.construct_reference(store.root, "a", segment)

    async def test_the_capabilities_are_the_same_for_every_store_of_a_place(
        self, store: AsyncDataStore
    ) -> None:
        capabilities: Capabilities = store.capabilities
        assert capabilities == self.another().capabilities
        assert store.type == self.another().type

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    async def test_a_url_is_signed_where_that_is_offered(
        self, store: AsyncDataStore, method: str
    ) -> None:
        await store.write("a", b"data")
        if store.capabilities.sign:
            url = await store.sign("a", method, expires=timedelta(minutes=5))
            assert "://" in url
            assert all(name and text for name, text in url.headers.items())
        else:
            with pytest.raises(Unsupported):
                await store.sign("a", method)
