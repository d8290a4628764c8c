"""Facts about listings of which the caller has pages already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from holdall.objects.options import ListOptions
from holdall.testing.objects.asking import fill
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore

_TREE = ["a/1", "a/2", "a/c/1", "b", "c", "z/y"]
_LEVEL = ListOptions(delimiter=True, etags=True, known=frozenset())


class KnownFacts(Facts):
    """Facts about `digest` and `same` of a page, and `known` of the options.

    A store may tell no digests; what it tells must be true.
    """

    async def test_a_page_that_is_known_may_be_left_out(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        first = await store.store.list(store.root, _LEVEL)
        assert (len(first.objects), len(first.folders), first.same) == (2, 2, False)
        known = frozenset([first.digest, b"", b"x"])
        again = await store.store.list(store.root, replace(_LEVEL, known=known))
        assert (again.digest, again.same) == (first.digest, bool(first.digest))
        if again.same:
            assert (again.objects, again.folders, again.token, again.foreign) == ((), (), None, 0)
        else:
            assert (again.objects, again.folders) == (first.objects, first.folders)

    @pytest.mark.parametrize(
        ("key", "data"), [("b", b"other"), ("b", None), ("0", b"new"), ("d", b"new"), ("e/1", b"")]
    )
    async def test_a_page_that_has_changed_is_told(
        self, store: AsyncDataStore, key: str, data: bytes | None
    ) -> None:
        await fill(store, *_TREE)
        first = await store.store.list(store.root, _LEVEL)
        await (store.delete(key) if data is None else store.write(key, data))
        known = frozenset([first.digest])
        page = await store.store.list(store.root, replace(_LEVEL, known=known))
        assert (page.same, page.digest in known) == (False, not first.digest)
        etags = {meta.key: meta.etag for meta in page.objects}
        assert etags.get(key) == (None if data is None or "/" in key else await _etag(store, key))

    async def test_pages_of_other_places_are_told(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        first = await store.store.list(store.root, _LEVEL)
        options = replace(_LEVEL, known=frozenset([first.digest]))
        below = await store.store.list(store.root.child("a"), options)
        assert (sorted(meta.key for meta in below.objects), below.same) == (["a/1", "a/2"], False)
        behind = await store.store.list(store.root, replace(options, after="b"))
        assert ([meta.key for meta in behind.objects], behind.same) == (["c"], False)

    async def test_each_page_of_several_may_be_known(self, store: AsyncDataStore) -> None:
        await fill(store, *_TREE)
        options = replace(_LEVEL, delimiter=False, max_items=2)
        first = await store.store.list(store.root, options)
        second = await store.store.list(store.root, replace(options, token=first.token))
        known = frozenset([first.digest, second.digest])
        again = await store.store.list(store.root, replace(options, known=known))
        assert again.token is not None
        assert (again.digest, again.same) == (first.digest, bool(first.digest))
        options = replace(options, known=known, token=again.token)
        again = await store.store.list(store.root, options)
        assert (again.digest, again.same) == (second.digest, bool(second.digest))

    async def test_digests_are_told_only_where_they_are_asked_for(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "a")
        page = await store.store.list(store.root, ListOptions())
        assert (page.digest, page.same) == (b"", False)


async def _etag(store: AsyncDataStore, key: str) -> str | None:
    return (await store.stat(key)).etag
