"""Parts of a listing: ranges of keys that are listed at once, and what was found in each."""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.keys import id_of, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.objects.results import Page

RANGES = 16
"""How many ranges a listing of many records has."""

LEAST_SPLIT = 100_000
"""A listing of fewer records is not split: each range may end within a page."""

_key, _etag = attrgetter("key"), attrgetter("etag")


class Part:
    """What a listing finds in a range of keys.

    Args:
        after: What the keys come behind.
        last: The last one that is meant, which need not be there; None for no end.

    Attributes:
        pages: The ids of the records of each page, and their etags, in order.
        ends: The last key of each page, in order.
        passed: The keys that are none of records.
        foreign: How many other things were passed over. What lies on the page where a range ends
            may be counted in the next range, too.
    """

    __slots__ = ("after", "ends", "foreign", "last", "pages", "passed")

    def __init__(self, after: str, last: str | None = None) -> None:
        self.after = after
        self.last = last
        self.pages: list[tuple[list[str], list[str]]] = []
        self.ends: list[str] = []
        self.passed: list[str] = []
        self.foreign = 0

    def add(self, page: Page) -> bool:
        """Take what is meant of a page; answer whether the range ends with it.

        Raises:
            Corrupt: The store lists an object without an etag.
        """
        last, objects = self.last, page.objects
        end = _end_of(page)
        over = last is not None and end >= last
        if last is not None and end > last:
            objects = objects[: bisect_right(objects, last, key=_key)]
            end = last
        if end:
            self.ends.append(end)
        self.foreign += page.foreign
        etags: list[str | None] = list(map(_etag, objects))
        ids = ids_of(list(map(_key, objects))) if objects else []
        if ids is None:
            found = [(id_of(meta.key), meta) for meta in objects]
            self.passed += (meta.key for id_, meta in found if id_ is None)
            ids = [id_ for id_, _ in found if id_ is not None]
            etags = [meta.etag for id_, meta in found if id_ is not None]
        if not all(etags):
            refs = (one.ref for one in objects if not one.etag and id_of(one.key) is not None)
            ref = next(refs)
            raise Corrupt(f"{ref}: the store lists no etag", reference=ref)
        self.pages.append((ids, cast("list[str]", etags)))
        return over


def digest_of(parts: Iterable[Part]) -> bytes:
    """Tell listings apart: the same for the same records in the same order, however paged."""
    ids, etags = blake2b(digest_size=16), blake2b(digest_size=16)
    for part in parts:
        for page in part.pages:
            for names, digest in zip(page, (ids, etags), strict=True):
                # A NUL is in no id, and in no etag.
                digest.update("\0".join([*names, ""]).encode())
    return ids.digest() + etags.digest()


def etags_of(parts: Iterable[Part]) -> dict[str, str]:
    """The etag of each record, by id."""
    etags: dict[str, str] = {}
    for part in parts:
        for page in part.pages:
            etags.update(zip(*page, strict=True))
    return etags


def parts_of(after: str, bounds: Sequence[str]) -> list[Part]:
    """Cut what comes behind a key into ranges; each key there is in one of them.

    Args:
        after: The key.
        bounds: The last keys of ranges, each once and in order; those up to `after` do not count.
    """
    places = [after, *(bound for bound in bounds if bound > after)]
    return [Part(*ends) for ends in zip(places, [*places[1:], None], strict=True)]


def bounds_of(ends: Sequence[str]) -> tuple[str, ...]:
    """Choose where ranges of about the same length end.

    They end where pages do, so that ranges of a listing which has not changed have no more pages
    than the whole of it.

    Args:
        ends: The last keys of the pages of a listing, in order.
    """
    number = len(ends)
    if number < RANGES:
        return ()
    return tuple(ends[number * one // RANGES - 1] for one in range(1, RANGES))


def _end_of(page: Page) -> str:
    """The last entry of a page; empty when it has none."""
    key = page.objects[-1].key if page.objects else ""
    return max(key, f"{page.folders[-1]}/") if page.folders else key
