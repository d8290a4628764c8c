"""Facts about what is kept beside the objects, in `.holdall`: there, and in no listing of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import AlreadyExists, InvalidKey, NotFound, PreconditionFailed
from holdall.core.reference import MAX_SEGMENT_BYTES
from holdall.objects.options import (
    COPY,
    DELETE,
    GET,
    HEAD,
    WRITE,
    CopyOptions,
    ListOptions,
    WriteOptions,
)
from holdall.testing.objects.asking import fill, in_byte_order, keys_of, listed, needs, pages_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore

# Names that one store or another takes for itself.
_TAKEN = [
    *("attributes", "index", "locks", "note", "old", "pin", "probes", "readers"),
    *("serial", "staged", "times", "tmp", "upload", "uploads"),
]
# Where somebody keeps things: for the store, for a folder of it, and for one that has no objects.
_PLACES = ["", "a", "a/b", "z"]
# Names that are alike, on both sides of it in the order of keys, and objects around.
_OBJECTS = [
    ".holdal/1",
    ".holdall-x",
    ".holdall.x/1",
    ".holdall0",
    ".holdall2/x",
    "a/.holdall-x",
    "a/.holdall2/x",
    "a/1",
    "a/b/1",
    "a/b/x.holdall/1",
    "a/c/1",
    "x.holdall/1",
    "y",
]


def _beside(store: AsyncDataStore, place: str, *segments: str) -> Reference:
    """What is kept beside the objects of a folder; of the store, where it is empty."""
    root = store.root
    return (root.child(place) if place else root).reserved(*segments)


async def _keep(store: AsyncDataStore) -> None:
    """Write objects, and something beside them everywhere."""
    await fill(store, *_OBJECTS)
    for place in _PLACES:
        for name in ("1", "2/3", "4"):
            await store.store.put(_beside(store, place, "journals", name), b"kept", WRITE)


class BesideFacts(Facts):
    """Facts about `Reference.reserved`."""

    # It is an object

    @pytest.mark.parametrize("place", ["", "a/b"])
    async def test_what_is_kept_beside_comes_back(self, store: AsyncDataStore, place: str) -> None:
        ref = _beside(store, place, "journals", "1")
        written = await store.store.put(ref, b"kept", WRITE)
        async with await store.store.get(ref, GET) as stream:
            assert await stream.read_all() == b"kept"
        known = await store.store.head(ref, HEAD)
        assert (known.ref, known.size, known.etag) == (ref, 4, written.etag)
        assert written.ref == ref

    async def test_another_store_sees_what_is_kept_beside(self, store: AsyncDataStore) -> None:
        ref = _beside(store, "", "journals", "1")
        await store.store.put(ref, b"kept", WRITE)
        assert (await self.another().store.head(ref, HEAD)).size == 4

    async def test_what_is_kept_beside_is_deleted(self, store: AsyncDataStore) -> None:
        ref = _beside(store, "", "journals", "1")
        await store.store.put(ref, b"kept", WRITE)
        assert list(await store.store.delete([ref], DELETE)) == []
        with pytest.raises(NotFound):
            await store.store.head(ref, HEAD)

    async def test_deleting_all_that_is_kept_beside_leaves_the_store_at_work(
        self, store: AsyncDataStore
    ) -> None:
        ref = _beside(store, "", "journals", "1")
        for _ in range(2):
            await store.store.put(ref, b"kept", WRITE)
            await store.store.delete([ref], DELETE)
            await store.store.remove_folder(_beside(store, "", "journals"))
            await store.write("a", [b"da", b"ta"])
        assert await store.read("a") == b"data"

    async def test_what_is_kept_beside_is_created_once(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        ref, create = _beside(store, "", "journals", "1"), WriteOptions(if_none_match="*")
        await store.store.put(ref, b"kept", create)
        with pytest.raises(AlreadyExists):
            await store.store.put(ref, b"new", create)

    async def test_what_is_kept_beside_is_replaced_by_who_knows_it(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        ref = _beside(store, "", "journals", "1")
        first = await store.store.put(ref, b"kept", WRITE)
        await store.store.put(ref, b"new", WriteOptions(if_match=first.etag))
        with pytest.raises(PreconditionFailed):
            await store.store.put(ref, b"newer", WriteOptions(if_match=first.etag))

    async def test_what_is_kept_beside_is_copied_and_moved(self, store: AsyncDataStore) -> None:
        one, two, three = (_beside(store, "", "journals", name) for name in "123")
        await store.store.put(one, b"kept", WRITE)
        await store.store.copy(one, two, COPY)
        await store.store.copy(two, three, CopyOptions(move=True))
        page = await store.store.list(_beside(store, "", "journals"), ListOptions())
        assert listed(store, [meta.ref.name for meta in page.objects]) == ["1", "3"]

    async def test_what_is_kept_beside_comes_piece_by_piece(self, store: AsyncDataStore) -> None:
        ref = _beside(store, "", "journals", "1")
        upload = await store.store.upload(ref, WRITE, None)
        await upload.write(b"ke")
        await upload.write(b"pt")
        assert (await upload.commit()).ref == ref
        async with await store.store.get(ref, GET) as stream:
            assert await stream.read_all() == b"kept"
        assert await keys_of(store) == []

    async def test_the_longest_address_beside_is_kept(self, store: AsyncDataStore) -> None:
        segments = ["journals"]
        ref = _beside(store, "", *segments)
        for length in (MAX_SEGMENT_BYTES, 20, 1):
            # As many of this length as there is room for.
            with suppress(InvalidKey):
                while True:
                    ref = _beside(store, "", *segments, "x" * length)
                    segments.append(ref.name)
        await store.store.put(ref, b"kept", WRITE)
        assert (await store.store.head(ref, HEAD)).ref == ref

    async def test_no_name_of_what_is_kept_beside_gets_in_the_way_of_the_store(
        self, store: AsyncDataStore
    ) -> None:
        written = await store.write("b", b"data")
        upload = await store.upload("a")
        await upload.write(b"da")
        for name in _TAKEN:
            ref = _beside(store, "", name, "b")
            with suppress(InvalidKey):
                await store.store.put(ref, b"kept", WRITE)
                assert (await store.store.head(ref, HEAD)).size == 4
                assert list(await store.store.delete([ref], DELETE)) == []
        await upload.write(b"ta")
        await upload.commit()
        assert await keys_of(store) == ["a", "b"]
        assert (await store.stat("b")).etag == written.etag
        assert await store.read("a") == await store.read("b") == b"data"

    # No listing of objects shows it

    @pytest.mark.parametrize("prefix", ["", "a", "a/b", "z"])
    async def test_a_listing_shows_nothing_that_is_kept_beside(
        self, store: AsyncDataStore, prefix: str
    ) -> None:
        await _keep(store)
        expected = [key for key in _OBJECTS if key.startswith(f"{prefix}/" if prefix else "")]
        assert await keys_of(store, prefix) == in_byte_order(expected)

    @pytest.mark.parametrize("delimiter", [False, True])
    @pytest.mark.parametrize("prefix", ["", "a", "a/b", "z"])
    async def test_nothing_that_is_kept_beside_is_foreign(
        self, store: AsyncDataStore, prefix: str, delimiter: bool
    ) -> None:
        await _keep(store)
        pages = await pages_of(store, prefix, max_items=1000, delimiter=delimiter)
        assert [page.foreign for page in pages] == [0] * len(pages)

    async def test_one_level_does_not_name_the_folder_of_what_is_kept_beside(
        self, store: AsyncDataStore
    ) -> None:
        await _keep(store)
        assert await store.list_directories("a") == (".holdall2", "b", "c")
        assert await store.list_directories("a/b") == ("x.holdall",)

    @pytest.mark.parametrize("max_items", [1, 2, 3, 5])
    async def test_pages_of_any_length_go_past_what_is_kept_beside(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await _keep(store)
        pages = await pages_of(store, max_items=max_items)
        found = [meta.key for page in pages for meta in page.objects]
        assert listed(store, found) == in_byte_order(_OBJECTS)

    @pytest.mark.parametrize("max_items", [1, 2, 3, 5])
    async def test_pages_of_one_level_go_past_what_is_kept_beside(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await _keep(store)
        pages = await pages_of(store, "a", max_items=max_items, delimiter=True)
        objects = [meta.key for page in pages for meta in page.objects]
        assert listed(store, objects) == ["a/.holdall-x", "a/1"]

    async def test_a_walk_with_etags_shows_nothing_that_is_kept_beside(
        self, store: AsyncDataStore
    ) -> None:
        await _keep(store)
        found = [meta.key async for meta in store.walk(etags=True)]
        assert listed(store, found) == in_byte_order(_OBJECTS)

    # Its own listing does

    @pytest.mark.parametrize("place", _PLACES)
    async def test_what_is_kept_beside_is_listed_where_it_is(
        self, store: AsyncDataStore, place: str
    ) -> None:
        await _keep(store)
        prefix = _beside(store, place, "journals")
        page = await store.store.list(prefix, ListOptions())
        names = [meta.ref.relative_to(prefix) for meta in page.objects]
        assert (listed(store, names), page.foreign) == (["1", "2/3", "4"], 0)

    async def test_one_level_of_what_is_kept_beside_names_its_folders(
        self, store: AsyncDataStore
    ) -> None:
        await _keep(store)
        prefix = _beside(store, "a", "journals")
        page = await store.store.list(prefix, ListOptions(delimiter=True))
        assert listed(store, [meta.ref.name for meta in page.objects]) == ["1", "4"]
        assert page.folders == ("a/.holdall/journals/2",)

    async def test_what_is_kept_beside_is_listed_by_pages(self, store: AsyncDataStore) -> None:
        await _keep(store)
        prefix = _beside(store, "a", "journals")
        names, token = [], None
        for _ in range(10):
            page = await store.store.list(prefix, ListOptions(max_items=1, token=token))
            names += [meta.ref.relative_to(prefix) for meta in page.objects]
            token = page.token
            if token is None:
                break
        assert listed(store, names) == ["1", "2/3", "4"]

    async def test_one_listing_beside_shows_nothing_of_another(self, store: AsyncDataStore) -> None:
        await store.store.put(_beside(store, "", "journals", "1"), b"kept", WRITE)
        await store.store.put(_beside(store, "", "journals2", "2"), b"kept", WRITE)
        page = await store.store.list(_beside(store, "", "journals"), ListOptions())
        assert [meta.ref.name for meta in page.objects] == ["1"]

    async def test_where_nothing_is_kept_beside_nothing_is_listed(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "journals/1")
        page = await store.store.list(_beside(store, "", "journals"), ListOptions())
        assert (page.objects, page.folders, page.token, page.foreign) == ((), (), None, 0)

    # Uploads

    async def test_an_unfinished_upload_of_what_is_kept_beside_goes_on(
        self, store: AsyncDataStore
    ) -> None:
        if store.capabilities.resume != "staged":
            pytest.skip("the store keeps no bytes of interrupted uploads")
        ref = _beside(store, "", "journals", "1")
        first = await store.store.upload(ref, WRITE, None)
        await first.write(b"ke")
        await first.close()
        begun = (await store.store.uploads(_beside(store, "", "journals"), None)).uploads
        assert [info.ref for info in begun] == [ref]
        upload = await store.store.upload(ref, WRITE, begun[0].id)
        await upload.write(b"pt")
        assert (await upload.commit(4)).ref == ref
