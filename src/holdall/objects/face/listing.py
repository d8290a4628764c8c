"""Going through what there is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from msgspec.structs import replace

from holdall.core.runtime.blocking import drive, drive_iterator
from holdall.objects.face.addresses import Addresses, AsyncAddresses
from holdall.objects.options import PAGE_ITEMS, ListOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from holdall.core.reference import Reference
    from holdall.objects.results import ObjectMeta, Page

_log = logging.getLogger("holdall.objects")


class AsyncListing(AsyncAddresses):
    """The part of `AsyncDataStore` that lists."""

    @final
    async def walk(
        self, prefix: str | Reference = "", *, etags: bool = False, after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """Go through all objects under a prefix, in byte order of the key.

        Args:
            prefix: A folder; `foo` holds `foo/1`, and neither `foo-bar` nor the object `foo`.
            etags: Whether each must carry its etag; costs time on a disk, nothing elsewhere.
            after: Begin behind this key, in byte order; see `Capabilities.seeks` for what it costs.
        """
        async for page in self.pages(prefix, etags=etags, after=after):
            for meta in page.objects:
                yield meta

    @final
    async def list(
        self, prefix: str | Reference = "", *, after: str | None = None
    ) -> AsyncIterator[str]:
        """Go through the keys of all objects under a prefix, in byte order; as `walk`."""
        async for page in self.pages(prefix, after=after):
            for meta in page.objects:
                yield meta.key

    @final
    async def pages(
        self,
        prefix: str | Reference = "",
        *,
        delimiter: bool = False,
        etags: bool = False,
        after: str | None = None,
    ) -> AsyncIterator[Page]:
        """Go through a listing page by page; a page also counts what is no object."""
        folder = self._folder(prefix)
        options = ListOptions(delimiter=delimiter, etags=etags, after=after)
        foreign = 0
        while True:
            page = await self._store.list(folder, options)
            foreign += page.foreign
            yield page
            if page.token is None:
                break
            options = replace(options, token=page.token)
        if foreign:
            _log.info("%s holds %d entries that are no objects, such as links", folder, foreign)

    @final
    async def list_page(
        self,
        prefix: str | Reference = "",
        *,
        max_items: int = PAGE_ITEMS,
        cursor: str | None = None,
        delimiter: bool = False,
        after: str | None = None,
    ) -> Page:
        """Answer one page of a listing.

        Args:
            prefix: A folder.
            max_items: How many objects and folders it has at most.
            cursor: The `token` of the page before; None for the first page.
            delimiter: Answer only what is one level down.
            after: Begin behind this key, in byte order; with a cursor the same as before.
        """
        if max_items < 1:
            raise ValueError(f"max_items is {max_items}: a page has room for at least one")
        options = ListOptions(delimiter=delimiter, max_items=max_items, token=cursor, after=after)
        return await self._store.list(self._folder(prefix), options)

    @final
    async def list_directories(self, prefix: str | Reference = "") -> tuple[str, ...]:
        """Answer the names, without `/`, of the folders one level under a prefix, in order."""
        names: list[str] = []
        async for page in self.pages(prefix, delimiter=True):
            names += (folder.rpartition("/")[2] for folder in page.folders)
        return tuple(names)


class Listing(Addresses):
    """The part of `DataStore` that lists."""

    @final
    def walk(
        self, prefix: str | Reference = "", *, etags: bool = False, after: str | None = None
    ) -> Iterator[ObjectMeta]:
        """Go through all objects under a prefix, in byte order of the key.

        Args:
            prefix: A folder; `foo` holds `foo/1`, and neither `foo-bar` nor the object `foo`.
            etags: Whether each must carry its etag; costs time on a disk, nothing elsewhere.
            after: Begin behind this key, in byte order; see `Capabilities.seeks` for what it costs.
        """
        for page in self.pages(prefix, etags=etags, after=after):
            yield from page.objects

    @final
    def list(self, prefix: str | Reference = "", *, after: str | None = None) -> Iterator[str]:
        """Go through the keys of all objects under a prefix, in byte order; as `walk`."""
        for page in self.pages(prefix, after=after):
            for meta in page.objects:
                yield meta.key

    @final
    def pages(
        self,
        prefix: str | Reference = "",
        *,
        delimiter: bool = False,
        etags: bool = False,
        after: str | None = None,
    ) -> Iterator[Page]:
        """Go through a listing page by page; a page also counts what is no object."""
        return drive_iterator(
            self._face.pages(prefix, delimiter=delimiter, etags=etags, after=after)
        )

    @final
    def list_page(
        self,
        prefix: str | Reference = "",
        *,
        max_items: int = PAGE_ITEMS,
        cursor: str | None = None,
        delimiter: bool = False,
        after: str | None = None,
    ) -> Page:
        """Answer one page of a listing.

        Args:
            prefix: A folder.
            max_items: How many objects and folders it has at most.
            cursor: The `token` of the page before; None for the first page.
            delimiter: Answer only what is one level down.
            after: Begin behind this key, in byte order; with a cursor the same as before.
        """
        return drive(
            self._face.list_page(
                prefix, max_items=max_items, cursor=cursor, delimiter=delimiter, after=after
            )
        )

    @final
    def list_directories(self, prefix: str | Reference = "") -> tuple[str, ...]:
        """Answer the names, without `/`, of the folders one level under a prefix, in order."""
        return drive(self._face.list_directories(prefix))
