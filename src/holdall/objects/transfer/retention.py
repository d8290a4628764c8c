"""What is old: deleted, or moved to another store.

An object goes only as it was listed: what was written again meanwhile is young, and stays. A moved
one is read back from the target and compared before the source lets go of it.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from holdall.core.errors import Corrupt, HoldallError, NotFound, PartialFailure, PreconditionFailed
from holdall.objects.options import HEAD, DeleteOptions, ListOptions
from holdall.objects.transfer.copying import Copier
from holdall.objects.transfer.digests import known_digest, read_digest
from holdall.objects.transfer.joining import folder_of
from holdall.objects.transfer.planning import check_places
from holdall.objects.transfer.results import WORKERS, Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta

_MICROSECOND = timedelta(microseconds=1)


class Expired(Struct, frozen=True):
    """What was done about one object.

    Args:
        key: Which.
        action: `delete` or `move`; `keep` where it was written again meanwhile; `fail`.
        size: In bytes.
        error: Why it failed.
    """

    key: str
    action: Literal["delete", "move", "keep", "fail"]
    size: int
    error: HoldallError | None = None


class ExpireReport(Struct, kw_only=True):
    """What an expiry did, or would do.

    Args:
        found: How many objects are old enough.
        bytes: How many bytes these have.
        deleted: How many were deleted.
        moved: How many were moved.
        kept: How many were written again, or went, since they were listed.
        failed: What could not be done.
    """

    found: int = 0
    bytes: int = 0
    deleted: int = 0
    moved: int = 0
    kept: int = 0
    failed: list[Failure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def check(self) -> None:
        """Raise `PartialFailure` unless it went well."""
        if self.failed:
            raise PartialFailure(
                f"{len(self.failed)} of {self.found} objects are still there",
                [failure.error for failure in self.failed],
            )


async def expire(
    store: ObjectStore,
    older_than: timedelta,
    prefix: str = "",
    move_to: ObjectStore | None = None,
    *,
    dry_run: bool = False,
    workers: int = WORKERS,
    on_step: Callable[[Expired], object] | None = None,
) -> ExpireReport:
    """See `holdall.objects.transfer.expire`."""
    if not isinstance(older_than, timedelta):
        raise TypeError(f"older_than is a timedelta, not {type(older_than).__name__}")
    if older_than < timedelta(0):
        raise ValueError(f"older_than is {older_than}: an age is not below 0")
    report = ExpireReport()
    # Counted before anything is listed, so that what is written from now on is young.
    limit = time.time_ns() - older_than // _MICROSECOND * 1000
    if dry_run:
        async for meta in _old(store, prefix, limit):
            report.found += 1
            report.bytes += meta.size
        return report
    if move_to is not None:
        await check_places(store, move_to, prefix, moves=True)
    work = _Expiry(store, move_to, prefix)
    guard = threading.Lock()

    async def one(meta: ObjectMeta) -> None:
        step = await work.handle(meta)
        with guard:
            report.found += 1
            report.bytes += meta.size
            report.deleted += step.action == "delete"
            report.moved += step.action == "move"
            report.kept += step.action == "keep"
            if step.error is not None:
                report.failed.append(Failure(meta.key, step.error))
            if on_step is not None:
                on_step(step)

    async for _ in store.runtime.map(one, _old(store, prefix, limit), workers):
        pass
    report.failed.sort(key=lambda failure: failure.key)
    return report


class _Expiry:
    """How one object goes."""

    def __init__(self, store: ObjectStore, target: ObjectStore | None, prefix: str) -> None:
        self._store = store
        self._target = target
        if target is not None:
            tags = store.capabilities.tags and target.capabilities.tags
            self._copier = Copier(store, target, folder_of(target, prefix), tags=tags)

    async def handle(self, meta: ObjectMeta) -> Expired:
        try:
            if self._target is not None:
                await self._move(meta, self._target)
            # What was written again has another etag. Where equal bytes have equal ones, the
            # time is another one.
            can = self._store.capabilities
            if not (can.conditional and can.unique_etags):
                now = await self._store.head(meta.ref, HEAD)
                if now.modified_ns > meta.modified_ns:
                    return Expired(meta.key, "keep", meta.size)
            options = DeleteOptions(if_match=meta.etag if can.conditional else None)
            failures = await self._store.delete([meta.ref], options)
            if failures:
                raise failures[0].error
        except (NotFound, PreconditionFailed):
            return Expired(meta.key, "keep", meta.size)
        except HoldallError as error:
            return Expired(meta.key, "fail", meta.size, error)
        return Expired(meta.key, "delete" if self._target is None else "move", meta.size)

    async def _move(self, meta: ObjectMeta, target: ObjectStore) -> None:
        ref = target.root.child(meta.key)
        await self._copier.copy(meta.ref, ref, lambda _: None)
        found, digest = await read_digest(target, ref)
        if digest != (await known_digest(self._store, meta))[1]:
            raise Corrupt(
                f"{found.ref} is not what {meta.ref} is, which stays where it is", reference=ref
            )


async def _old(store: ObjectStore, prefix: str, limit: int) -> AsyncIterator[ObjectMeta]:
    """Go through the objects that were written at this time or before."""
    folder = folder_of(store, prefix)
    token = None
    while True:
        page = await store.list(folder, ListOptions(token=token, etags=True))
        for meta in page.objects:
            if meta.modified_ns <= limit:
                yield meta
        token = page.token
        if token is None:
            return
