"""Writing one record: conditions, and what comes after a lost reply."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdall.core.errors import (
    AlreadyExists,
    CircuitOpen,
    HoldallError,
    LimitExceeded,
    PreconditionFailed,
    Unsupported,
)
from holdall.objects.options import WriteOptions
from holdall.records.backends.objects.access import held_of
from holdall.records.backends.objects.bodies import (
    CONTENT_TYPE,
    body_of,
    is_write,
    tags_of,
)
from holdall.records.encoding import instant_text
from holdall.records.results import changed, new_versions, refusal
from holdall.records.stored import Written

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.bodies import Held
    from holdall.records.stored import Stored, Write

_TRIES = 20
_SENDS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


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
        self._typed = can.content_type
        self._tagged = can.tags and access.settings.tags

    async def write(self, write: Write) -> Written:
        """Write a record.

        Raises:
            AlreadyExists: It is created, and there is one.
            NotFound: It is updated, and there is none.
            PreconditionFailed: There is another version, or others change it all the time.
            LimitExceeded: It is larger than the setting `max_record`.
        """
        ref = self._access.ref(write.id)
        if not self._conditional:
            raise Unsupported(f"{ref}: records need conditional writes", reference=ref)
        for _ in range(_TRIES):
            held = None if write.mode == "create" else await self._held(write)
            error = refusal(write, held)
            if error is not None:
                raise error
            try:
                return await self._put(ref, write, held)
            except PreconditionFailed as refused:
                if write.mode == "create":
                    found = f"there is a record {write.id!r} already"
                    raise AlreadyExists(found, reference=write.id) from refused
                if write.version is not None:
                    now = await self._access.row(write.id)
                    raise changed(write.id, write.version, now) from refused
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

    async def _put(self, ref: Reference, write: Write, held: Stored | None) -> Written:
        now = datetime.now(UTC)
        created = now if held is None else held.created
        token = new_versions(1)[0]
        now_text = instant_text(now)
        created_text = now_text if held is None else instant_text(created)
        body = body_of(write, created_text, now_text, token)
        if len(body) > self._settings.max_record:
            raise LimitExceeded(
                f"the record {write.id!r} makes an object of {len(body)} bytes, and the setting "
                f"'max_record' allows {self._settings.max_record}",
                reference=ref,
            )
        options = WriteOptions(
            content_type=CONTENT_TYPE if self._typed else None,
            tags=tags_of(write, created_text, now_text) if self._tagged else {},
            storage_class=self._settings.storage_class,
            if_match=None if held is None else held.version,
            if_none_match="*" if held is None else None,
        )
        found = await self._send(ref, write.id, body, token, options)
        if self._access.shelf.active:
            self._access.shelf.keep(write.id, found)
        return Written(created, now, found.etag)

    async def _send(
        self,
        ref: Reference,
        id: str,  # noqa: A002
        body: bytes,
        token: str,
        options: WriteOptions,
    ) -> Held:
        """Put an object; when that fails for a moment, or its reply is lost, look what is there.

        A layer never sends a conditional write again, since its own success would refuse it.
        Here it may be: it has the same token, so that the object shows whose it is.
        """
        failed: HoldallError | None = None
        pause = _FIRST_PAUSE
        for _ in range(_SENDS):
            try:
                return held_of(await self._access.store.put(ref, body, options), body)
            except PreconditionFailed:
                if failed is None:
                    raise
            except HoldallError as error:
                passes = error.transient or error.uncertain
                if not passes or isinstance(error, CircuitOpen):
                    if failed is None:
                        raise
                    raise failed from error
                if failed is None or error.uncertain:
                    failed = error
            now = await self._look(id, failed)
            if now is not None and is_write(now.body, token):
                return now
            if (None if now is None else now.etag) != options.if_match:
                if failed.uncertain:
                    raise failed  # what is there now may have come after ours
                raise PreconditionFailed(f"{ref} was changed meanwhile", reference=ref)
            await self._access.runtime.sleep(max(pause, failed.retry_after or 0.0))
            pause = min(2 * pause, _LONGEST_PAUSE)
        assert failed is not None
        raise failed

    async def _look(self, id: str, failed: HoldallError) -> Held | None:  # noqa: A002
        try:
            return await self._access.held(id)
        except HoldallError as error:
            raise failed from error
