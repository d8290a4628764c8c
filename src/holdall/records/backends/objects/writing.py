"""Writing records: conditions, and what comes after a lost reply."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import (
    AlreadyExists,
    CircuitOpen,
    HoldallError,
    LimitExceeded,
    PreconditionFailed,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.objects.options import WriteOptions
from holdall.records.backends.objects.access import closing, held_of
from holdall.records.backends.objects.bodies import (
    CONTENT_TYPE,
    body_of,
    is_write,
    tags_of,
)
from holdall.records.backends.objects.pace import FEW, Pace
from holdall.records.encoding import instant_text
from holdall.records.results import changed, new_versions, refusal
from holdall.records.stored import Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.objects.results import ObjectMeta
    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.bodies import Held
    from holdall.records.stored import Outcome, Stored, Write

_TRIES = 20
_SENDS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_WAVE, _WAVE_BYTES = 1024, 32 * 1024 * 1024
"""How many records are made ready at once, and about how many bytes."""
_FRESH_SECONDS = 1.0
"""What waited longer for its turn is made ready anew, since it tells when it was written."""


class _Draft(Struct, frozen=True, gc=False):
    """A record that is ready to be sent.

    Args:
        ref: Where to.
        id: Its id.
        body: Its object.
        token: What the object tells this write by.
        options: What is kept with the object, and what must be there before.
        created: When the record was created.
        updated: When it is written.
    """

    ref: Reference
    id: str
    body: bytes
    token: str
    options: WriteOptions
    created: datetime
    updated: datetime


class Writer:
    """Writes records. Each write is conditional: nobody's is lost without being told.

    Args:
        access: Reads, and knows the store.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._settings = access.settings
        can = access.store.capabilities
        self._remote = can.remote
        self._conditional = can.conditional
        self._type = CONTENT_TYPE if can.content_type else None
        self._tagged = can.tags and access.settings.tags

    async def write(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records, several at once, and those of one id one after the other.

        Returns:
            What came of each, in order: `AlreadyExists` where one is created and there is one,
            `NotFound` where one is updated and there is none, `PreconditionFailed` where there is
            another version or others change it all the time, `LimitExceeded` where it is larger
            than the setting `max_record`, or why its object was not written.
        """
        outcomes: list[Outcome] = []
        pace = Pace()
        while len(outcomes) < len(writes):
            begin = len(outcomes)
            outcomes += await self._wave(writes[begin : begin + _WAVE], pace)
        return outcomes

    async def _wave(self, writes: Sequence[Write], pace: Pace) -> list[Outcome]:
        """Write the first of some records, as many as are made ready at once."""
        until = time.monotonic() + _FRESH_SECONDS
        ready = self._ready(writes)
        places: dict[str, list[int]] = {}
        for at in range(len(ready)):
            places.setdefault(writes[at].id, []).append(at)
        outcomes: dict[int, Outcome] = {}
        sent: dict[int, ObjectMeta] = {}
        # All workers take from it: to hand over each would cost as much as its request.
        coming = iter(list(places.values()))
        put = self._access.store.put

        async def work(number: int) -> None:
            for same in coming:
                began = time.monotonic()
                for at in same:
                    if began >= until:
                        ready[at] = self._ready(writes[at : at + 1])[0]
                    draft = ready[at]
                    try:
                        if isinstance(draft, _Draft):
                            sent[at] = await put(draft.ref, draft.body, draft.options)
                        elif draft is None:
                            outcomes[at] = await self._write(writes[at])
                        else:
                            outcomes[at] = draft
                    except HoldallError as error:
                        outcomes[at] = await self._failed(writes[at], draft, error)
                pace.done += 1
                if number >= FEW and pace.is_crowded(number, time.monotonic() - began):
                    return

        workers = min(self._access.workers, len(places))
        async with closing(self._access.runtime.map(work, range(workers), workers)) as done:
            async for _ in done:
                pass
        # All at once, as they were made ready.
        for at, meta in sent.items():
            outcomes[at] = self._written(writes[at], ready[at], meta)
        return [outcomes[at] for at in range(len(ready))]

    def _ready(self, writes: Sequence[Write]) -> list[_Draft | HoldallError | None]:
        """Make ready the first of some records; None for those that may need to be read before.

        All at once: between two requests the processor forgets how that is done.
        """
        moment = datetime.now(UTC)
        text = instant_text(moment)
        ready: list[_Draft | HoldallError | None] = []
        left = _WAVE_BYTES
        for write, token in zip(writes, new_versions(len(writes)), strict=True):
            if write.mode != "create":
                ready.append(None)
                continue
            try:
                draft = self._draft(write, None, moment, text, token)
                left -= len(draft.body)
                ready.append(draft)
            except HoldallError as error:
                ready.append(error)
            if left <= 0 and len(ready) >= self._access.workers:
                break
        self._access.store.prepare([one.options for one in ready if isinstance(one, _Draft)])
        return ready

    async def _write(self, write: Write) -> Written:
        """Write a record over what is there, or where there is none."""
        for _ in range(_TRIES):
            held = await self._held(write)
            error = refusal(write, held)
            if error is not None:
                raise error
            now = datetime.now(UTC)
            draft = self._draft(write, held, now, instant_text(now), new_versions(1)[0])
            try:
                return await self._put(draft)
            except PreconditionFailed as refused:
                if write.version is not None:
                    current = await self._access.row(write.id)
                    told = refusal(write, current) or changed(write.id, write.version, current)
                    raise told from refused
        raise PreconditionFailed(
            f"the record {write.id!r} was changed by others {_TRIES} times in a row",
            reference=write.id,
        )

    async def _held(self, write: Write) -> Stored | None:
        """What is written over. A version that was read just now need not be read again."""
        id_ = write.id
        # To unpack a block for one record takes longer than to read a file.
        near = self._remote or not self._access.shelf.is_wide
        if write.version is not None and near:
            kept = self._access.shelf.row(id_, write.version, self._access.ref)
            if kept is not None:
                return kept
        return await self._access.row(id_)

    def _draft(
        self, write: Write, held: Stored | None, now: datetime, now_text: str, token: str
    ) -> _Draft:
        """Make a record ready.

        Args:
            write: The record.
            held: What it is written over; None when there is to be none.
            now: When that is.
            now_text: The same as `instant_text` says it.
            token: Tells this write from every other one.
        """
        id_ = write.id
        ref = self._access.ref(id_)
        if not self._conditional:
            raise Unsupported(f"{ref}: records need conditional writes", reference=ref)
        created_text = now_text if held is None else instant_text(held.created)
        body = body_of(write, created_text, now_text, token)
        if len(body) > self._settings.max_record:
            raise LimitExceeded(
                f"the record {id_!r} makes an object of {len(body)} bytes, and the setting "
                f"'max_record' allows {self._settings.max_record}",
                reference=ref,
            )
        options = WriteOptions(
            content_type=self._type,
            tags=tags_of(write, created_text, now_text) if self._tagged else {},
            storage_class=self._settings.storage_class,
            if_match=None if held is None else held.version,
            if_none_match="*" if held is None else None,
        )
        return _Draft(ref, id_, body, token, options, now if held is None else held.created, now)

    async def _put(self, draft: _Draft) -> Written:
        """Put an object."""
        try:
            meta = await self._access.store.put(draft.ref, draft.body, draft.options)
        except HoldallError as error:
            return await self._put_again(draft, error)
        return self._kept(draft, held_of(meta, draft.body))

    async def _put_again(self, draft: _Draft, error: HoldallError) -> Written:
        """When a put failed for a moment, or its reply was lost, look what is there; repeat it.

        A layer never sends a conditional write again, since its own success would refuse it.
        Here it may be: it has the same token, so that the object shows whose it is.
        """
        failed: HoldallError | None = None
        pause = _FIRST_PAUSE
        for left in reversed(range(_SENDS)):
            if isinstance(error, PreconditionFailed):
                if failed is None:
                    raise error
            else:
                passes = error.transient or error.uncertain
                if not passes or isinstance(error, CircuitOpen):
                    if failed is None:
                        raise error
                    raise failed from error
                if failed is None or error.uncertain:
                    failed = error
            now = await self._look(draft.id, failed)
            if now is not None and is_write(now.body, draft.token):
                return self._kept(draft, now)
            if (None if now is None else now.etag) != draft.options.if_match:
                if failed.uncertain:
                    raise failed  # what is there now may have come after ours
                raise PreconditionFailed(f"{draft.ref} was changed meanwhile", reference=draft.ref)
            if not left:
                break
            await self._access.runtime.sleep(max(pause, failed.retry_after or 0.0))
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                meta = await self._access.store.put(draft.ref, draft.body, draft.options)
            except HoldallError as again:
                error = again
            else:
                return self._kept(draft, held_of(meta, draft.body))
        assert failed is not None
        raise failed

    async def _failed(
        self, write: Write, draft: _Draft | HoldallError | None, error: HoldallError
    ) -> Outcome:
        """What came of a write that failed at first; None for a draft: of one that failed."""
        if isinstance(draft, _Draft):
            try:
                return await self._put_again(draft, error)
            except HoldallError as last:
                return _told(write, last)
        return _told(write, error)

    def _written(
        self, write: Write, draft: _Draft | HoldallError | None, meta: ObjectMeta
    ) -> Outcome:
        """What came of a write that went well at once."""
        assert isinstance(draft, _Draft)
        try:
            return self._kept(draft, held_of(meta, draft.body))
        except HoldallError as error:
            return _told(write, error)

    def _kept(self, draft: _Draft, held: Held) -> Written:
        if self._access.shelf.active:
            self._access.shelf.keep(draft.id, held)
        return Written(draft.created, draft.updated, held.etag)

    async def _look(self, id: str, failed: HoldallError) -> Held | None:  # noqa: A002
        try:
            return await self._access.held(id)
        except HoldallError as error:
            raise failed from error


def _told(write: Write, error: HoldallError) -> HoldallError:
    """What a caller is told of a write that failed."""
    if write.mode != "create" or not isinstance(error, PreconditionFailed):
        return error
    told = AlreadyExists(f"there is a record {write.id!r} already", reference=write.id)
    told.__cause__ = error
    return told
