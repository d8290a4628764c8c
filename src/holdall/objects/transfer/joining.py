"""Two listings, walked side by side: what one has, what the other has, what both have.

Both come in byte order of the key, so that one page of each is all that is held, however many
objects there are.
"""

from __future__ import annotations

import os
import re
from contextlib import aclosing
from fnmatch import translate
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidKey, NotFound, PermissionDenied, Unsupported
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.options import HEAD, ListOptions
from holdall.objects.results import ObjectMeta
from holdall.objects.transfer.results import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore


class Pair(Struct, frozen=True, gc=False):
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
        lenient: Whether a folder of this machine that may not be read is noted and passed over;
            otherwise it ends the walk.

    Attributes:
        etags: Whether the objects must know their etags; set it before the walk.
        objects: How many it gave.
        excluded: How many it passed over because of `exclude`.
        foreign: How many entries are no objects.
        failed: The folders and objects that may not be looked at.
        hidden: The keys of these.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        exclude: Sequence[str] = (),
        *,
        lenient: bool = False,
    ) -> None:
        self._store = store
        self._folder = folder_of(store, prefix)
        self._excluded = excluder(exclude)
        self._lenient = lenient and store.capabilities.local
        self._last = ""
        self._known = ""
        self.hidden: set[str] = set()
        self.etags = False
        self.objects = 0
        self.excluded = 0
        self.foreign = 0
        self.failed: list[Failure] = []

    async def walk(self) -> AsyncGenerator[ObjectMeta, None]:
        """Go through the objects.

        Raises:
            Unsupported: They do not come in byte order.
        """
        async with aclosing(self.groups()) as groups:
            async for group in groups:
                for meta in group:
                    yield meta

    async def groups(self) -> AsyncGenerator[list[ObjectMeta], None]:
        """Go through the objects, as many at once as come in a page; as `walk`."""
        if not self._store.capabilities.ordered:
            raise self._unordered()
        async with aclosing(self._below(self._folder)) as found:
            async for page in found:
                given: list[ObjectMeta] = []
                for meta in page:
                    key = meta.key
                    if key <= self._known:
                        continue  # given before the walk had to begin again
                    # Were the order only promised, the walk would copy or delete the wrong things.
                    if key <= self._last:
                        raise self._unordered()
                    self._last = key
                    if self._excluded is not None and self._excluded(key):
                        self.excluded += 1
                        continue
                    given.append(meta)
                self.objects += len(given)
                if given:
                    yield given

    def hides(self, key: str) -> bool:
        """Whether a key that was not given may be there, in a folder that may not be read."""
        while self.hidden and key:
            if key in self.hidden:
                return True
            key = key.rpartition("/")[0]
        return False

    async def _below(self, folder: Reference) -> AsyncGenerator[Sequence[ObjectMeta], None]:
        options = ListOptions(etags=self.etags)
        foreign, excluded = self.foreign, self.excluded
        denied: PermissionDenied | None = None
        while denied is None:
            try:
                page = await self._store.list(folder, options)
            except PermissionDenied as error:
                if not self._lenient:
                    raise
                denied = error
                continue
            self.foreign += page.foreign
            yield page.objects
            if page.token is None:
                return
            options = ListOptions(token=page.token, etags=self.etags)
        # One folder below may not be read, and the page does not say which. Go through this one
        # entry by entry, and find it.
        self.foreign, self.excluded = foreign, excluded
        self._known = self._last
        try:
            names = await self._store.runtime.call(_names, None, folder.path or "/")
        except OSError:
            if folder == self._folder:
                raise denied from None  # then there is nothing else to go on with
            self._fail(folder, denied)
            return
        for name in names:
            try:
                child = folder.child(name.rstrip("/"))
            except InvalidKey:
                self.foreign += 1
                continue
            if self._excluded is not None and self._excluded(self._key(child)):
                self.excluded += not name.endswith("/")
            elif name.endswith("/"):
                async with aclosing(self._below(child)) as found:
                    async for group in found:
                        yield group
            else:
                looked = await self._look(child)
                if looked is not None:
                    yield (looked,)

    async def _look(self, ref: Reference) -> ObjectMeta | None:
        try:
            return await self._store.head(ref, HEAD)
        except NotFound:
            return None  # it went meanwhile
        except PermissionDenied as error:
            self._fail(ref, error)
            return None

    def _fail(self, ref: Reference, error: HoldallError) -> None:
        key = self._key(ref)
        self.hidden.add(key)
        self.failed.append(Failure(key, error))

    def _key(self, ref: Reference) -> str:
        return ref.relative_to(self._store.root)

    def _unordered(self) -> Unsupported:
        return Unsupported(
            f"{self._folder} does not list its objects in byte order, and only ordered listings "
            "can be compared",
            reference=self._folder,
        )


def _names(folder: str) -> list[str]:
    """The names in a folder, in the order of the keys below it.

    Those of folders end in `/`, and those of what is no object in NUL, which no key holds.
    """
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == RESERVED_SEGMENT:
                continue
            if entry.is_file(follow_symlinks=False):
                names.append(entry.name)
            else:
                names.append(entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "\0"))
    return sorted(names)


async def join(source: Listing, target: Listing) -> AsyncGenerator[Pair, None]:
    """Go through the keys of two listings, in byte order; as `join_groups`."""
    async with aclosing(join_groups(source, target)) as groups:
        async for group in groups:
            for pair in group:
                yield pair


async def join_groups(source: Listing, target: Listing) -> AsyncGenerator[list[Pair], None]:
    """Go through the keys of two listings, in byte order, many at once.

    What one side has in a folder that may not be read on the other is left out: nobody knows
    whether the other side has it.
    """
    async with aclosing(source.groups()) as left_side, aclosing(target.groups()) as right_side:
        left = await anext(left_side, None)
        right = await anext(right_side, None)
        at = there = 0
        while left is not None or right is not None:
            if right is None:
                assert left is not None
                pairs = [Pair(meta.key, meta, None) for meta in left[at:]]
                at = len(left)
            elif left is None:
                pairs = [Pair(meta.key, None, meta) for meta in right[there:]]
                there = len(right)
            else:
                pairs = []
                at, there = _merge(left, at, right, there, pairs)
            if source.hidden or target.hidden:
                pairs = [pair for pair in pairs if not _is_hidden(pair, source, target)]
            if pairs:
                yield pairs
            if left is not None and at == len(left):
                left, at = await anext(left_side, None), 0
            if right is not None and there == len(right):
                right, there = await anext(right_side, None), 0


def _merge(
    left: list[ObjectMeta], at: int, right: list[ObjectMeta], there: int, pairs: list[Pair]
) -> tuple[int, int]:
    """Add pairs until one side is at its end; answer where both are then."""
    while at < len(left) and there < len(right):
        mine, theirs = left[at], right[there]
        if mine.key < theirs.key:
            pairs.append(Pair(mine.key, mine, None))
            at += 1
        elif theirs.key < mine.key:
            pairs.append(Pair(theirs.key, None, theirs))
            there += 1
        else:
            pairs.append(Pair(mine.key, mine, theirs))
            at += 1
            there += 1
    return at, there


def _is_hidden(pair: Pair, source: Listing, target: Listing) -> bool:
    if pair.target is None:
        return target.hides(pair.key)
    return pair.source is None and source.hides(pair.key)
