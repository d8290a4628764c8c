"""Facts about listings."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from holdall.objects.options import WRITE
from holdall.testing.objects.asking import fill, in_byte_order, keys_of, listed, pages_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.objects.async_data_store import AsyncDataStore

_TREE = ["b", "a/1", "a/2", "a/c/1", "a/c/2", "a/d", "a-b", "a0", "a.b/1", "é/1", "z/y/x/w"]
_TOP_OBJECTS = ["a-b", "a0", "b"]
# As their keys sort, with the slash: "a.b/" < "a/".
_TOP_FOLDERS = ["a.b", "a", "z", "é"]
_PLACES = [
    "",
    " ",
    "a",
    "a-",
    "a-b",
    "a.b/1",
    "a/",
    "a/1",
    "a/c/",
    "a/c/2",
    "a0",
    "y",
    "z/y/x/w",
    "ê",
]


def _folders(store: AsyncDataStore, names: Iterable[str]) -> list[str]:
    """Folders as a listing gave them; sorted as keys are where the store promises no order."""
    return [name[:-1] for name in listed(store, [f"{name}/" for name in names])]


class ListFacts(Facts):
    """Facts about `list`, `walk`, `pages`, `list_page` and `list_directories`."""

    async def test_an_empty_store_lists_nothing(self, store: AsyncDataStore) -> None:
        assert await keys_of(store) == []
        assert await store.list_directories() == ()
        page = await store.list_page()
        assert (page.objects, page.folders, page.token, page.foreign) == ((), (), None, 0)

    async def test_a_prefix_with_nothing_under_it_lists_nothing(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a")
        assert await keys_of(store, "nothing/here") == []
        assert await store.list_directories("nothing") == ()

    async def test_every_object_is_listed_once(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        assert await keys_of(store) == in_byte_order(_TREE)

    async def test_keys_come_in_the_order_of_their_bytes(self, store: AsyncDataStore) -> None:
        keys = ["foo/1", "foo-bar", "foo0", "foo", "é", "z", "Z", "fo", "foo bar", "foo/-", "😀"]
        if not store.capabilities.key_and_folder:
            keys.remove("foo")
        await fill(store, *keys)
        assert await keys_of(store) == in_byte_order(keys)

    async def test_a_prefix_ends_at_the_border_of_a_segment(self, store: AsyncDataStore) -> None:
        await fill(store, "foo/1", "foo/2/3", "foo-bar", "foo.bar/1", "food", "fo")
        assert await keys_of(store, "foo") == ["foo/1", "foo/2/3"]

    async def test_a_prefix_may_end_with_a_slash(self, store: AsyncDataStore) -> None:
        await fill(store, "foo/1", "foo-bar")
        assert await keys_of(store, "foo/") == ["foo/1"]

    async def test_a_prefix_does_not_hold_the_object_of_its_name(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "foo", "foo-bar")
        assert await keys_of(store, "foo") == []

    async def test_a_prefix_is_literal(self, store: AsyncDataStore) -> None:
        await fill(store, "a*/1", "ab/1", "a%2Fb/1", "[ab]/1", "_/1", "x/1")
        assert await keys_of(store, "a*") == ["a*/1"]
        assert await keys_of(store, "a%2Fb") == ["a%2Fb/1"]
        assert await keys_of(store, "[ab]") == ["[ab]/1"]
        assert await keys_of(store, "_") == ["_/1"]

    async def test_a_prefix_may_be_a_reference_or_a_url(self, store: AsyncDataStore) -> None:
        await fill(store, "a/1", "b/1")
        ref = store.reference("a")
        assert [key async for key in store.list(ref)] == ["a/1"]
        assert [key async for key in store.list(str(ref))] == ["a/1"]
        assert [key async for key in store.list(store.root)] == listed(store, ["a/1", "b/1"])

    async def test_a_listed_object_is_what_stat_says(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        async for meta in store.walk():
            asked = await store.stat(meta.key)
            assert (meta.key, meta.ref, meta.size) == (asked.key, asked.ref, asked.size)

    async def test_walk_and_list_agree(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        for prefix in ("", "a", "a/c", "z"):
            keys = [key async for key in store.list(prefix)]
            assert [meta.key async for meta in store.walk(prefix)] == keys

    async def test_a_walk_has_the_etags_that_were_asked_for(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        async for meta in store.walk(etags=True):
            assert meta.etag == (await store.stat(meta.key)).etag

    async def test_a_listing_of_our_own_objects_counts_nothing_foreign(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, *_TREE)
        async for page in store.pages():
            assert page.foreign == 0

    async def test_an_unfinished_upload_is_not_listed(self, store: AsyncDataStore) -> None:
        upload = await store.upload("a/b")
        await upload.write(b"data")
        assert await keys_of(store) == []
        assert await store.list_directories() == ()
        assert (await store.list_page(delimiter=True)).foreign == 0
        await upload.abort()

    async def test_a_listing_shows_the_writes_of_another_store(self, store: AsyncDataStore) -> None:
        other = self.another()
        await fill(store, "a/1")
        assert await keys_of(other, "a") == ["a/1"]
        await other.write("a/2", b"data")
        assert await keys_of(store, "a") == ["a/1", "a/2"]

    # Pages

    @pytest.mark.parametrize("max_items", range(1, len(_TREE) + 2))
    async def test_pages_of_any_length_make_up_the_listing(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await fill(store, *_TREE)
        pages = await pages_of(store, max_items=max_items)
        found = [meta.key for page in pages for meta in page.objects]
        assert listed(store, found) == in_byte_order(_TREE)
        assert not any(page.folders for page in pages)

    @pytest.mark.parametrize("max_items", range(1, 8))
    async def test_pages_of_any_length_make_up_one_level(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await fill(store, *_TREE)
        pages = await pages_of(store, max_items=max_items, delimiter=True)
        objects = [meta.key for page in pages for meta in page.objects]
        folders = [folder for page in pages for folder in page.folders]
        assert listed(store, objects) == _TOP_OBJECTS
        assert _folders(store, folders) == _TOP_FOLDERS

    @pytest.mark.parametrize("max_items", [1, 2, 3, 9])
    async def test_pages_under_a_prefix_stay_under_it(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await fill(store, *_TREE)
        pages = await pages_of(store, "a", max_items=max_items)
        found = [meta.key for page in pages for meta in page.objects]
        assert listed(store, found) == ["a/1", "a/2", "a/c/1", "a/c/2", "a/d"]

    async def test_a_token_means_the_same_to_another_store(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        first = await store.list_page(max_items=4)
        rest = await self.another().list_page(cursor=first.token)
        found = [meta.key for page in (first, rest) for meta in page.objects]
        assert listed(store, found) == in_byte_order(_TREE)

    async def test_the_last_page_has_no_token(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        assert (await store.list_page(max_items=1000)).token is None

    async def test_pages_are_gone_through_from_first_to_last(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        found = [meta.key async for page in store.pages() for meta in page.objects]
        assert listed(store, found) == in_byte_order(_TREE)

    async def test_a_delete_between_pages_loses_no_other_object(
        self, store: AsyncDataStore
    ) -> None:
        keys = [f"a/{number}" for number in range(8)]
        await fill(store, *keys)
        first = await store.list_page("a", max_items=3)
        seen = [meta.key for meta in first.objects]
        later = [key for key in keys if key not in seen]
        # The last one seen is what the token may name.
        await store.delete_many([seen[-1], later[0]])
        rest = await store.list_page("a", cursor=first.token)
        found = [*seen, *(meta.key for meta in rest.objects)]
        assert listed(store, found) == [key for key in keys if key != later[0]]

    async def test_a_folder_that_goes_between_pages_loses_no_other_folder(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a/1", "b/1", "c/1", "d/1")
        first = await store.list_page(max_items=2, delimiter=True)
        await store.delete(f"{first.folders[-1]}/1")
        rest = await store.list_page(cursor=first.token, delimiter=True)
        assert listed(store, [*first.folders, *rest.folders]) == ["a", "b", "c", "d"]

    async def test_a_write_between_pages_shows_nothing_twice(self, store: AsyncDataStore) -> None:
        await fill(store, "b/1", "b/2", "c/1")
        first = await store.list_page(max_items=2)
        await fill(store, "a/1", "a/2", "b-")
        rest = await store.list_page(cursor=first.token)
        found = [meta.key for page in (first, rest) for meta in page.objects]
        assert len(found) == len(set(found))
        assert {"b/1", "b/2", "c/1"} <= set(found)

    # Behind a key

    async def test_a_listing_begins_behind_a_key(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        for after, prefix in product(_PLACES, ("", "a", "a/c", "z")):
            page = await store.list_page(prefix, after=after)
            below = [key for key in _TREE if not prefix or key.startswith(f"{prefix}/")]
            behind = in_byte_order(key for key in below if key > after)
            found = [meta.key for meta in page.objects]
            assert listed(store, found) == behind, (after, prefix)

    @pytest.mark.parametrize("max_items", [1, 3])
    async def test_pages_of_any_length_begin_behind_a_key(
        self, store: AsyncDataStore, max_items: int
    ) -> None:
        await fill(store, *_TREE)
        for after, prefix in product(("", "a-b", "a/1", "a/c/2"), ("", "a")):
            pages = await pages_of(store, prefix, max_items=max_items, after=after)
            below = [key for key in _TREE if not prefix or key.startswith(f"{prefix}/")]
            behind = in_byte_order(key for key in below if key > after)
            found = [meta.key for page in pages for meta in page.objects]
            assert listed(store, found) == behind, (after, prefix)

    async def test_a_folder_stands_in_a_level_where_its_name_with_a_slash_does(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, *_TREE)
        for after in _PLACES:
            page = await store.list_page(delimiter=True, after=after)
            objects = [meta.key for meta in page.objects]
            assert listed(store, objects) == [key for key in _TOP_OBJECTS if key > after], after
            named = [name for name in _TOP_FOLDERS if f"{name}/" > after]
            assert _folders(store, page.folders) == named, after

    @pytest.mark.parametrize("after", ["a", "a-b", "a/1"])
    async def test_pages_of_a_level_begin_behind_a_key(
        self, store: AsyncDataStore, after: str
    ) -> None:
        await fill(store, *_TREE)
        pages = await pages_of(store, max_items=1, delimiter=True, after=after)
        objects = [meta.key for page in pages for meta in page.objects]
        folders = [folder for page in pages for folder in page.folders]
        assert listed(store, objects) == [key for key in _TOP_OBJECTS if key > after]
        assert _folders(store, folders) == [name for name in _TOP_FOLDERS if f"{name}/" > after]

    async def test_a_level_below_begins_behind_a_key(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        page = await store.list_page("a", delimiter=True, after="a/c")
        assert ([meta.key for meta in page.objects], page.folders) == (["a/d"], ("a/c",))
        page = await store.list_page("a", delimiter=True, after="a/c/1")
        assert ([meta.key for meta in page.objects], page.folders) == (["a/d"], ())

    async def test_what_walk_list_and_pages_begin_behind_is_the_same(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, *_TREE)
        keys = [key for key in in_byte_order(_TREE) if key > "a/2"]
        assert listed(store, [key async for key in store.list(after="a/2")]) == keys
        walk = [meta.key async for meta in store.walk(after="a/2", etags=True)]
        assert listed(store, walk) == keys
        pages = [page async for page in store.pages(after="a/2")]
        assert listed(store, [meta.key for page in pages for meta in page.objects]) == keys

    async def test_what_is_kept_beside_the_objects_is_not_shown_behind_a_key(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "b")
        await store.store.put(store.root.reserved("journals", "x"), b"data", WRITE)
        for after in (".", ".holdall", ".holdall/journals", "a"):
            page = await store.list_page(delimiter=True, after=after)
            assert ([meta.key for meta in page.objects], page.foreign) == (["b"], 0)

    async def test_ranges_make_up_the_listing(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        keys = in_byte_order(_TREE)
        places = [None, *keys[::2]]
        found: list[str] = []
        for after, last in zip(places, [*places[1:], None], strict=True):
            part = [key async for key in store.list(after=after)]
            found += listed(store, [key for key in part if last is None or key <= last])
        assert found == keys

    # One level

    async def test_one_level_shows_its_objects_and_folders(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        page = await store.list_page(delimiter=True)
        assert listed(store, [meta.key for meta in page.objects]) == _TOP_OBJECTS
        assert _folders(store, page.folders) == _TOP_FOLDERS

    async def test_one_level_under_a_prefix_names_folders_by_their_whole_key(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, *_TREE)
        page = await store.list_page("a", delimiter=True)
        assert listed(store, [meta.key for meta in page.objects]) == ["a/1", "a/2", "a/d"]
        assert page.folders == ("a/c",)

    async def test_directories_are_listed_by_name(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        assert _folders(store, await store.list_directories()) == _TOP_FOLDERS
        assert await store.list_directories("a") == ("c",)
        assert await store.list_directories("z/y") == ("x",)
        assert await store.list_directories("a/c") == ()

    async def test_a_folder_whose_objects_are_gone_is_not_listed(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a/b/c", "d/e")
        await store.delete("a/b/c")
        assert await store.list_directories() == ("d",)
        assert (await store.list_page(delimiter=True)).folders == ("d",)
