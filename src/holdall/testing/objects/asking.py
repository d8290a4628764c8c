"""What many facts ask of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import Page, UploadInfo


async def fill(store: AsyncDataStore, *keys: str) -> None:
    """Write an object under each key, whose bytes are the key."""
    for key in keys:
        await store.write(key, key.encode())


async def keys_of(store: AsyncDataStore, prefix: str = "") -> list[str]:
    """All keys under a prefix, in the order that the store owes."""
    return listed(store, [key async for key in store.list(prefix)])


def listed(store: AsyncDataStore, keys: Iterable[str]) -> list[str]:
    """Keys as a listing gave them; sorted where the store promises no order."""
    return list(keys) if store.capabilities.ordered else in_byte_order(keys)


def in_byte_order(keys: Iterable[str]) -> list[str]:
    """Keys in the order of their bytes."""
    return sorted(keys, key=str.encode)


async def pages_of(
    store: AsyncDataStore,
    prefix: str = "",
    *,
    max_items: int,
    delimiter: bool = False,
    after: str | None = None,
) -> list[Page]:
    """All pages of a listing, each asked for by the token of the one before."""
    pages: list[Page] = []
    cursor = None
    while not pages or cursor is not None:
        page = await store.list_page(
            prefix, max_items=max_items, cursor=cursor, delimiter=delimiter, after=after
        )
        assert len(page.objects) + len(page.folders) <= max_items
        assert page.token is None or page.token != cursor
        pages.append(page)
        cursor = page.token
    return pages


async def uploads_of(store: AsyncDataStore, prefix: str = "") -> list[UploadInfo]:
    """All uploads under a prefix."""
    return [info async for info in store.uploads(prefix)]


def needs(capability: object, what: str) -> None:
    """Skip the test where the store does not offer this."""
    if not capability:
        pytest.skip(f"the store offers no {what}")
