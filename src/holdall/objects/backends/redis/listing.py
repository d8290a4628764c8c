"""Listings, from an index that the server keeps in order, and how that is brought up to date."""

from __future__ import annotations

import re
from itertools import repeat
from typing import TYPE_CHECKING, final

import msgspec
from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.objects.backends.redis.scripts_listing import LIST, PRUNE, SCAN, SWEEP
from holdall.objects.options import PAGE_ITEMS
from holdall.objects.results import ObjectMeta, Page

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.redis.server import Server
    from holdall.objects.options import ListOptions

_decode = msgspec.msgpack.Decoder(tuple[list[str], list[int]]).decode
_decode_odd = msgspec.msgpack.Decoder(tuple[list[str], list[int], list[str]]).decode
_decode_times = msgspec.json.Decoder(list[int]).decode
_GLOB = re.compile(rb"[*?\[\]\\^]")


class Reindexed(Struct, frozen=True):
    """What `RedisStore.reindex` has done.

    Args:
        added: How many keys that others wrote were taken in.
        dropped: How many that are gone were dropped.
    """

    added: int
    dropped: int


@final
class Listing:
    """The listings of a store."""

    def __init__(self, server: Server, root: Reference) -> None:
        self._server = server
        self._root = root
        self._skip = len(root.key) + 1 if root.key else 0

    async def page(self, prefix: Reference, options: ListOptions) -> Page:
        """Answer one page; see `ObjectStore.list`."""
        root, skip = self._root, self._skip
        folder = prefix.relative_to(root)
        rest = options.behind(f"{folder}/" if folder else "")
        if rest is None:
            return Page(())
        start = f"{prefix.key}/".encode() if prefix.key else b""
        args = (
            start,
            _behind(start, options.place(rest)),
            b"1" if options.delimiter else b"",
            b"%d" % min(options.max_items, PAGE_ITEMS),
            b"1" if options.etags else b"",
        )
        reply = await self._server.run(LIST, args, prefix)
        if reply == b"?lost":
            raise self._lost(prefix)
        more, foreign, last, times, found = reply
        objects: list[ObjectMeta] = []
        folders: list[str] = []
        if times is None:
            for key, size, info in zip(*_decode_odd(found), strict=True):
                if size < 0:
                    folders.append(key[skip:-1])
                else:
                    modified, _, etag = info.partition(" ")
                    modified_ns = int(modified or 0) * 1000
                    objects.append(ObjectMeta(root, key[skip:], size, modified_ns, etag or None))
        else:
            keys, sizes = _decode(found)
            names = [key[skip:] for key in keys] if skip else keys
            written = _written(times) if keys else []
            if len(written) != len(keys):
                raise self._lost(prefix)  # others wrote among the times
            objects = list(map(ObjectMeta, repeat(root), names, sizes, written))
        token = last[len(start) :].decode("utf-8", "surrogateescape") if more else None
        return Page(tuple(objects), tuple(folders), token, foreign)

    async def reindex(self) -> Reindexed:
        """Take in what others wrote, and drop what is gone."""
        start = self._root.key.encode() + b"/" if self._root.key else b""
        pattern = _GLOB.sub(rb"\\\g<0>", start) + b"*"
        added = dropped = 0
        cursor = b"0"
        while True:
            cursor, count = await self._server.run(SCAN, (cursor, pattern), self._root)
            added += count
            if cursor == b"0":
                break
        place, end = _behind(start, None), upto(start)
        while True:
            count, last = await self._server.run(SWEEP, (place, end), self._root)
            dropped += count
            if last is None:
                break
            place = b"(" + last
        cursor = b"0"
        while True:
            cursor = await self._server.run(PRUNE, (cursor, pattern), self._root)
            if cursor == b"0":
                return Reindexed(added, dropped)

    def _lost(self, prefix: Reference) -> Corrupt:
        root = self._root
        return Corrupt(
            f"{prefix}: the server has lost the index that listings come from, or a part of it, as "
            "one does that throws keys away when its memory is full. No listing is complete. "
            f"'holdall doctor --reindex {root.scheme}://{root.container}', with the number of the "
            "database (?db=), brings it back",
            reference=prefix,
        )


def _written(times: bytes) -> list[int]:
    """When objects were written, in nanoseconds, of their microseconds with `000,` between them."""
    try:
        return _decode_times(b"[%b000]" % times)
    except msgspec.DecodeError:
        # No numbers of JSON: the server's clock stood before the year 2001.
        return [int(time) for time in (times + b"000").split(b",")]


def _behind(start: bytes, token: str | None) -> bytes:
    """Where a page begins, in the words of ZRANGEBYLEX."""
    if token is None:
        return b"(" + start if start else b"-"
    last = start + token.encode("utf-8", "surrogateescape")
    if last.endswith(b"/"):
        return b"[" + last[:-1] + b"0"  # behind all of a folder: 0 is the character after /
    return b"(" + last


def upto(start: bytes) -> bytes:
    """Where the keys under a folder end, in the words of ZRANGEBYLEX."""
    return b"(" + start[:-1] + b"0" if start else b"+"
