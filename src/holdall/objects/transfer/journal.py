"""The journal of a sync: what was found or made the same, for the run after one that was killed.

It lies beside the target's objects, under `.holdall/journals`, in one folder for each pair of
places. An entry is a fingerprint of what both stores say of one object: key, sizes, the source's
time, both etags. A later run that is told all of these again need not compare the bytes again.
An etag changes with every write, so that an entry that is old fits nothing any more.

Entries hold no text, and one that is damaged, foreign or lost fits nothing either: then the
objects are compared, as without a journal. Who may forge them may also write to the target.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING, TypeAlias, final

import msgspec

from holdall.core.errors import HoldallError
from holdall.objects.options import DELETE, WRITE, GetOptions, ListOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta, Page
    from holdall.objects.transfer.joining import Pair
    from holdall.objects.transfer.tally import New

    _Told: TypeAlias = tuple[str, int, int, str, str]

BATCH_ITEMS = 500
"""How many entries make an object of the journal."""

BATCH_SECONDS = 5.0
"""How long an entry waits for others at most, as long as there are new ones."""

WINDOW_ITEMS = 100_000
"""About how many entries of former runs are in memory at a time."""

_FOLDER = "journals"
_HEADER = b"holdall journal 1\n"
_PRINT_BYTES = 16
_BATCH_BYTES = 64 * 1024  # no batch is longer, so that a longer object is none
_PAGE_BATCHES = 64
# A file that changes twice within the grain of its file system's clock may keep its times. That
# of FAT is the coarsest.
_GRAIN_NS = 2_000_000_000
_encode = msgspec.msgpack.Encoder().encode


@final
class Journal:
    """What one sync notes, and what former ones did.

    A target that cannot keep it is no failure: then there is none.

    Args:
        source: Where the objects come from.
        target: Where they go to, and where the journal lies.
        prefix: The folder of both that is synced.
        workers: How many objects of the journal are read at a time.
        clock: Seconds that only grow; for tests.
    """

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        prefix: str,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._target = target
        self._prefix = prefix
        self._workers = workers
        self._clock = clock
        self._local = source.capabilities.local, target.capabilities.local
        self._folder: Reference | None = None
        # Reading
        self._turn = target.runtime.lock()
        self._first: Page | None = None
        self._token: str | None = None
        self._more = False
        self._known: set[bytes] = set()
        # Writing. The guard is held for a few lines and never across a wait.
        self._guard = threading.Lock()
        self._batch: list[_Told] = []
        self._since = clock()
        self._name = f"{time.time_ns():016x}-{os.urandom(4).hex()}"
        self._written = 0
        self._used = False
        self._writable = True

    async def open(self) -> bool:
        """Look for the journal; answer whether a former run left one."""
        try:
            folder = self._target.root.reserved(_FOLDER, self._pair())
            page = await self._page(folder, None)
        except HoldallError:
            return False  # who may not read it most likely may not write it either
        self._folder = folder
        self._first = page
        self._more = self._used = bool(page.objects)
        return self._used

    def _pair(self) -> str:
        # Two services may have buckets of one name, which only their settings tell apart.
        source = self._source
        settings = msgspec.json.decode(source.config_json())
        settings.pop("layers", None)
        prefix = self._prefix.removesuffix("/")
        parts = (str(source.root), settings, str(self._target.root), prefix)
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]

    async def _page(self, folder: Reference, token: str | None) -> Page:
        return await self._target.list(folder, ListOptions(max_items=_PAGE_BATCHES, token=token))

    # Reading

    async def has(self, pair: Pair) -> bool:
        """Whether a former run found or made both sides the same, as they are listed now."""
        if not self._used or pair.source is None or pair.target is None:
            return False
        told = _told(pair.source, pair.source.etag, pair.target)
        if told is None:
            return False
        entry = _fingerprint(told)
        if self._more and len(self._known) < WINDOW_ITEMS // 2:
            async with self._turn:
                await self._fill()
        if entry not in self._known:
            return False
        self._known.discard(entry)  # the walk comes past a key once
        return True

    async def _fill(self) -> None:
        """Read on. Entries were written about in the order of the walk, which is this one's too."""
        while self._more and len(self._known) < WINDOW_ITEMS:
            page, self._first = self._first, None
            try:
                if page is None:
                    assert self._folder is not None
                    page = await self._page(self._folder, self._token)
            except HoldallError:
                self._more = False
                return
            async for entries in self._target.runtime.map(self._read, page.objects, self._workers):
                self._known.update(entries)
            self._token = page.token
            self._more = page.token is not None

    async def _read(self, meta: ObjectMeta) -> list[bytes]:
        try:
            stream = await self._target.get(meta.ref, GetOptions(max_size=_BATCH_BYTES))
            data = await stream.read_all()
        except HoldallError:
            return []
        at = len(_HEADER)
        if not data.startswith(_HEADER) or (len(data) - at) % _PRINT_BYTES:
            return []
        return [data[here : here + _PRINT_BYTES] for here in range(at, len(data), _PRINT_BYTES)]

    # Writing

    async def note(self, listed: ObjectMeta, seen: Pair, *, begun_ns: int, copied: bool) -> None:
        """Note that both sides are the same.

        Args:
            listed: The source, as it was listed.
            seen: Both sides, as they were read or written.
            begun_ns: When that began, in nanoseconds since 1970 UTC.
            copied: Whether the target was written just now, and not found.
        """
        if seen.source is not None and seen.target is not None:
            await self._note([(listed, seen.source, seen.target)], begun_ns, copied)

    async def note_new(self, copied: Sequence[New], begun_ns: int) -> None:
        """Note objects that were copied because the target did not have them.

        Args:
            copied: Each as it was listed, as it was read, and as it was written.
            begun_ns: When the first of them was opened, in nanoseconds since 1970 UTC.
        """
        await self._note(copied, begun_ns, True)

    async def _note(self, same: Sequence[New], begun_ns: int, copied: bool) -> None:
        if self._folder is None or not self._writable:
            return
        # What somebody wrote a moment before may be written once more, and nothing shows it.
        settled = begun_ns - _GRAIN_NS
        from_disk, to_disk = self._local
        told: list[_Told] = []
        for listed, source, target in same:
            if from_disk and listed.modified_ns > settled:
                continue
            if to_disk and not copied and target.modified_ns > settled:
                continue
            one = _told(listed, source.etag, target)
            if one is not None and source.size == listed.size:
                told.append(one)
        if not told:
            return
        batch: list[_Told] = []
        with self._guard:
            self._batch += told
            now = self._clock()
            if len(self._batch) >= BATCH_ITEMS or now - self._since >= BATCH_SECONDS:
                batch, self._batch = self._batch, batch
                self._since = now
                self._written += 1
            number = self._written
        if batch:
            await self._write(self._folder.known_child(f"{self._name}-{number:08}"), batch)

    async def _write(self, ref: Reference, batch: list[_Told]) -> None:
        self._used = True
        data = b"".join([_HEADER, *map(_fingerprint, batch)])
        try:
            await self._target.put(ref, data, WRITE)
        except HoldallError as error:
            self._writable = error.transient

    async def forget(self) -> None:
        """Delete it, at the end of a run that went through."""
        folder = self._folder
        if not self._used or folder is None:
            return
        token = None
        try:
            while True:
                page = await self._page(folder, token)
                await self._target.delete([meta.ref for meta in page.objects], DELETE)
                token = page.token
                if token is None:
                    return
        except HoldallError:
            return  # it costs a little space, and the next run deletes it


def _told(source: ObjectMeta, etag: str | None, target: ObjectMeta) -> _Told | None:
    """What both sides say of one object; None where one does not know its etag."""
    if etag is None or target.etag is None or source.size != target.size:
        return None
    # The time tells stores apart whose etags begin anew with each process.
    return source.key, source.size, source.modified_ns, etag, target.etag


def _fingerprint(told: _Told) -> bytes:
    return hashlib.blake2b(_encode(told), digest_size=_PRINT_BYTES).digest()
