"""Parts of a listing: ranges of keys that are listed at once, and what was found in each.

What a page held is kept with the digest that the store told of it, so that a page which has not
changed is neither read nor compared again.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.keys import id_of, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.objects.results import Page

RANGES = 16
"""How many ranges a listing of many records has."""

LEAST_SPLIT = 100_000
"""A listing of fewer records is not split: each range may end within a page."""

_UNEVEN = 1.5  # how many times as long as their mean the longest of good ranges is

_key, _etag = attrgetter("key"), attrgetter("etag")


class Seen(Struct, frozen=True, eq=False):
    """What is meant of a page.

    Args:
        ids: The ids of its records, in the order of their keys.
        etags: Their etags.
        end: The last entry; empty when there is none.
        passed: The keys that are none of records.
        foreign: How many other things were passed over.
        cut: Whether the page goes on behind `end`, where its range ends.
        digest: Tells the page apart; empty where the store told nothing.
    """

    ids: list[str]
    etags: list[str]
    end: str
    passed: list[str]
    foreign: int
    cut: bool
    digest: bytes


class Part:
    """What a listing finds in a range of keys.

    Args:
        after: What the keys come behind.
        last: The last one that is meant, which need not be there; None for no end.
        former: What the pages of an earlier listing held.

    Attributes:
        pages: What its pages hold, in order. Of foreign things, what lies on the page where a
            range ends may be counted in the next range, too.
        known: The digests of those earlier pages that would mean the same here.
    """

    __slots__ = ("_former", "after", "known", "last", "pages")

    def __init__(self, after: str, last: str | None = None, former: Iterable[Seen] = ()) -> None:
        self.after = after
        self.last = last
        self.pages: list[Seen] = []
        self._former = {one.digest: one for one in former if self._fits(one)}
        self.known = frozenset(self._former)

    def _fits(self, page: Seen) -> bool:
        """Whether just the same of a page is meant here as was where it was seen."""
        last = self.last
        if page.cut:
            return page.end == last
        return self.after < page.end and (last is None or page.end <= last)

    def add(self, page: Page) -> bool:
        """Take what is meant of a page; answer whether the range ends with it.

        Raises:
            Corrupt: The store lists an object without an etag.
        """
        seen = self._former[page.digest] if page.same else self._seen(page)
        self.pages.append(seen)
        return self.last is not None and seen.end >= self.last

    def _seen(self, page: Page) -> Seen:
        last, objects = self.last, page.objects
        end = _end_of(page)
        cut = last is not None and end > last
        if last is not None and cut:
            objects = objects[: bisect_right(objects, last, key=_key)]
            end = last
        etags: list[str | None] = list(map(_etag, objects))
        ids = ids_of(list(map(_key, objects))) if objects else []
        passed: list[str] = []
        if ids is None:
            found = [(id_of(meta.key), meta) for meta in objects]
            passed = [meta.key for id_, meta in found if id_ is None]
            ids = [id_ for id_, _ in found if id_ is not None]
            etags = [meta.etag for id_, meta in found if id_ is not None]
        if not all(etags):
            refs = (one.ref for one in objects if not one.etag and id_of(one.key) is not None)
            ref = next(refs)
            raise Corrupt(f"{ref}: the store lists no etag", reference=ref)
        return Seen(ids, cast("list[str]", etags), end, passed, page.foreign, cut, page.digest)


def digest_of(pages: Iterable[Seen]) -> bytes:
    """Tell listings apart: the same for the same records in the same order, however paged."""
    ids, etags = blake2b(digest_size=16), blake2b(digest_size=16)
    for page in pages:
        for names, digest in ((page.ids, ids), (page.etags, etags)):
            # A NUL is in no id, and in no etag.
            digest.update("\0".join([*names, ""]).encode())
    return ids.digest() + etags.digest()


def etags_of(pages: Iterable[Seen]) -> dict[str, str]:
    """The etag of each record, by id."""
    etags: dict[str, str] = {}
    for page in pages:
        etags.update(zip(page.ids, page.etags, strict=True))
    return etags


def parts_of(after: str, bounds: Sequence[str], former: Sequence[Seen] = ()) -> list[Part]:
    """Cut what comes behind a key into ranges; each key there is in one of them.

    Args:
        after: The key.
        bounds: The last keys of ranges, each once and in order; those up to `after` do not count.
        former: What the pages of an earlier listing held.
    """
    places = [after, *(bound for bound in bounds if bound > after)]
    return [Part(*ends, former) for ends in zip(places, [*places[1:], None], strict=True)]


def are_even(parts: Sequence[Part]) -> bool:
    """Whether no range is much longer than the others, so that none keeps them waiting."""
    lengths = [len(part.pages) for part in parts]
    return len(parts) >= RANGES and max(lengths) * len(parts) <= _UNEVEN * sum(lengths)


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
