"""Two listings, walked side by side: what one has, what the other has, what both have.

Both come in byte order of the key, so that one page of each is all that is held, however many
objects there are.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from fnmatch import translate
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import Unsupported
from holdall.objects.options import LIST, ListOptions
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore


class Pair(Struct, frozen=True):
    """One key, and what the two stores have under it; at least one has something."""

    key: str
    source: ObjectMeta | None
    target: ObjectMeta | None


def folder_of(store: ObjectStore, prefix: str) -> Reference:
    """The address of a folder of a store; of the store itself for an empty prefix."""
    return store.root.child(prefix.removesuffix("/")) if prefix else store.root


def excluder(patterns: Sequence[str]) -> Callable[[str], object] | None:
    """A function that says whether a key is excluded; None when none is."""
    if not patterns:
        return None
    # `translate` ends in \Z, which would let a folder's name match without what is below it.
    parts = (re.sub(r"\\[Zz]\Z", "", translate(pattern.rstrip("/"))) for pattern in patterns)
    return re.compile(f"(?:{'|'.join(parts)})(?:/.*)?\\Z", re.DOTALL).match


class Listing:
    """What is under a prefix, in byte order; counts what it goes past.

    Args:
        store: What to list.
        prefix: The folder; empty for all.
        exclude: Patterns of keys to pass over.

    Attributes:
        objects: How many it gave.
        excluded: How many it passed over because of `exclude`.
        foreign: How many entries are no objects.
    """

    def __init__(self, store: ObjectStore, prefix: str, exclude: Sequence[str] = ()) -> None:
        self._store = store
        self._folder = folder_of(store, prefix)
        self._excluded = excluder(exclude)
        self.objects = 0
        self.excluded = 0
        self.foreign = 0

    async def walk(self) -> AsyncGenerator[ObjectMeta, None]:
        """Go through the objects.

        Raises:
            Unsupported: They do not come in byte order.
        """
        if not self._store.capabilities.ordered:
            raise self._unordered()
        last = ""
        options = LIST
        while True:
            page = await self._store.list(self._folder, options)
            self.foreign += page.foreign
            for meta in page.objects:
                key = meta.key
                # Were the order only promised, the walk would copy or delete the wrong things.
                if key <= last:
                    raise self._unordered()
                last = key
                if self._excluded is not None and self._excluded(key):
                    self.excluded += 1
                    continue
                self.objects += 1
                yield meta
            if page.token is None:
                return
            options = ListOptions(token=page.token)

    def _unordered(self) -> Unsupported:
        return Unsupported(
            f"{self._folder} does not list its objects in byte order, and only ordered listings "
            "can be compared",
            reference=self._folder,
        )


async def join(source: Listing, target: Listing) -> AsyncGenerator[Pair, None]:
    """Go through the keys of two listings, in byte order."""
    async with aclosing(source.walk()) as left_side, aclosing(target.walk()) as right_side:
        left = await anext(left_side, None)
        right = await anext(right_side, None)
        while left is not None or right is not None:
            if right is None or (left is not None and left.key < right.key):
                assert left is not None
                yield Pair(left.key, left, None)
                left = await anext(left_side, None)
            elif left is None or right.key < left.key:
                yield Pair(right.key, None, right)
                right = await anext(right_side, None)
            else:
                yield Pair(left.key, left, right)
                left = await anext(left_side, None)
                right = await anext(right_side, None)
