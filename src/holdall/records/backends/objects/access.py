"""The objects of records, one by one."""

from __future__ import annotations

import logging
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
)
from holdall.objects.options import GET, HeadOptions, ListOptions
from holdall.records.backends.objects.bodies import (
    CONTENT_TYPE,
    Held,
    NoRecord,
    is_like_record,
    row_of,
)
from holdall.records.backends.objects.keys import BEHIND_FRONT, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta, ObjectStream, Page
    from holdall.records.backends.objects.settings import RecordsOnObjects
    from holdall.records.backends.objects.shelf import Shelf
    from holdall.records.stored import Stored

_log = logging.getLogger("holdall.records")

_TAGS = HeadOptions(tags=True)
_OWN_TAG = "created_at"
_MOST_PASSED = 10_000
_LISTING = ListOptions(delimiter=True, etags=True)
_READ_TRIES = 5
_OF_ONE = (Corrupt, LimitExceeded, PermissionDenied)

T = TypeVar("T")


class Access:
    """Reads records, and says where they are.

    Args:
        store: The store of objects; records lie right under its root.
        settings: The database's.
        shelf: What is kept in memory.

    Attributes:
        in_front: Whether the snapshot lies before the records in the order of keys.
        behind: What the keys of all records come behind; empty when nothing is said.
    """

    def __init__(self, store: ObjectStore, settings: RecordsOnObjects, shelf: Shelf) -> None:
        self.store = store
        self.runtime = store.runtime
        self.settings = settings
        self.workers = settings.max_workers
        # A service counts what the snapshot is made of as an entry of the listing, others do not.
        self.in_front = store.capabilities.remote
        self.behind = BEHIND_FRONT if self.in_front else ""
        self.shelf = shelf
        self._child = store.root.children(store.root.child)
        # The etags of objects that are none of records, by id, and those nobody was told of yet.
        self._passed: dict[str, str] = {}
        self._untold: list[str] = []
        self._guard = threading.Lock()

    def ref(self, id: str) -> Reference:  # noqa: A002
        """The address of a record's object.

        Raises:
            InvalidKey: The store cannot hold it; names the limit.
        """
        return self._child(name_of(id))

    async def held(self, id: str) -> Held | None:  # noqa: A002
        """Read the object of a record; None when there is none."""
        found = self._taken(await self._opened(self.ref(id), _READ_TRIES))
        self._note([(id, found)])
        return found

    async def some(self, ids: Sequence[str]) -> list[Held | HoldallError | None]:
        """Read the objects of some records one after the other.

        Returns:
            Of each, in order, its object, None when there is none, or why this one cannot be read.

        Raises:
            HoldallError: There is an outage.
        """
        opened: list[Held | ObjectStream | HoldallError | None] = []
        found: list[Held | HoldallError | None] = []
        get = self.store.get
        try:
            for ref in [self.ref(id_) for id_ in ids]:
                try:
                    try:
                        # The first try of `_opened`, without a coroutine around it.
                        stream = await get(ref, GET)
                        whole = stream.whole is not None
                        opened.append(stream if whole else await self._large(stream))
                    except PreconditionFailed:
                        opened.append(await self._opened(ref, _READ_TRIES - 1))
                except NotFound:
                    opened.append(None)
                except _OF_ONE as error:
                    opened.append(error)
        finally:
            # All at once: between two requests the processor forgets how that is done.
            for one in opened:
                try:
                    found.append(one if isinstance(one, HoldallError) else self._taken(one))
                except _OF_ONE as error:
                    found.append(error)
            pairs = zip(ids, found, strict=False)
            self._note([(id_, one) for id_, one in pairs if not isinstance(one, HoldallError)])
        return found

    async def _opened(self, ref: Reference, tries: int) -> Held | ObjectStream | None:
        """Read an object; answer its body where that came with the answer, as it is."""
        for _ in range(tries):
            try:
                stream = await self.store.get(ref, GET)
                return stream if stream.whole is not None else await self._large(stream)
            except NotFound:
                return None
            except PreconditionFailed:
                continue  # another writer came between the parts of a large one
        raise PreconditionFailed(
            f"{ref} was changed by others each of {_READ_TRIES} times it was read", reference=ref
        )

    async def _large(self, stream: ObjectStream) -> Held:
        """Read an object whose body did not come with the answer."""
        meta = stream.meta
        try:
            self._check_size(meta)
        except LimitExceeded:
            await stream.close()
            raise
        return held_of(meta, await stream.read_all())

    def _taken(self, opened: Held | ObjectStream | None) -> Held | None:
        """The object of which this is the body."""
        if opened is None or isinstance(opened, Held):
            return opened
        meta = opened.meta
        self._check_size(meta)
        assert opened.whole is not None
        return held_of(meta, opened.whole)

    def _check_size(self, meta: ObjectMeta) -> None:
        if meta.size > self.settings.max_record:
            raise LimitExceeded(
                f"{meta.ref}: {meta.size} bytes, and the setting 'max_record' of the database "
                f"allows {self.settings.max_record}",
                reference=meta.ref,
            )

    def _note(self, found: Sequence[tuple[str, Held | None]]) -> None:
        """Keep what was read, by id."""
        if self.shelf.active:
            self.shelf.keep_all(found)

    async def row(self, id: str) -> Stored | None:  # noqa: A002
        """Read a record; None when there is none.

        Raises:
            NoRecord: Its object never held a record.
            Corrupt: Its object holds none.
        """
        held = await self.held(id)
        if held is None:
            return None
        try:
            return row_of(id, held, self.ref)
        except Corrupt as error:
            judged = await self.judged(id, held, error)
            if judged is error:
                raise
            raise judged from error

    async def judged(self, id: str, held: Held, error: HoldallError) -> HoldallError:  # noqa: A002
        """Why an object cannot be read: `NoRecord` where it never was a record, else this error.

        Records are written with a content type, and where there are tags with one that nobody else
        has. What has both, or what remains of a record in it, is a damaged one. So is what cannot
        be told.
        """
        if self._passed.get(id) == held.etag:
            return NoRecord(str(error), reference=error.reference)
        can = self.store.capabilities
        if not can.content_type or is_like_record(id, held.body):
            return error
        if held.typed:
            if not (can.tags and self.settings.tags):
                return error
            try:
                meta = await self.store.head(self.ref(id), _TAGS)
            except HoldallError:
                return error
            if meta.etag != held.etag or meta.tags is None or _OWN_TAG in meta.tags:
                return error
        with self._guard:
            if len(self._passed) >= _MOST_PASSED:
                self._passed.clear()
            self._passed[id] = held.etag
            self._untold.append(id)
        return NoRecord(str(error), reference=error.reference)

    def tell_passed(self) -> None:
        """Warn of objects that turned out to be none of records, of each once."""
        with self._guard:
            untold, self._untold = self._untold, []
        if untold:
            _log.warning(
                "%s: %d objects are passed over, as they hold no records; the first is %r",
                self.store.root,
                len(untold),
                name_of(min(untold)),
            )

    async def pages(
        self, after: str = "", known: frozenset[bytes] | None = None
    ) -> AsyncIterator[Page]:
        """List what lies right under the root, with etags.

        Args:
            after: What the keys come behind, beside being records'; empty for nothing.
            known: The digests of pages that need not be told again; None to be told no digests.
        """
        options = replace(_LISTING, after=max(after, self.behind), known=known)
        while True:
            page = await self.store.list(self.store.root, options)
            yield page
            if page.token is None:
                return
            options = replace(options, token=page.token)


def held_of(meta: ObjectMeta, body: bytes) -> Held:
    """The object with these bytes.

    Raises:
        Corrupt: The store says no etag of it, which is the record's version.
    """
    if not meta.etag:
        raise Corrupt(f"{meta.ref}: the store answers no etag", reference=meta.ref)
    return Held(meta.etag, meta.modified_ns, body, meta.content_type == CONTENT_TYPE)


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an asynchronous iterator when its block ends, so that what it began has ended."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
