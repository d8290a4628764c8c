"""Between two stores: make one hold what the other holds, and check that it does.

    from holdall.objects import transfer

    report = transfer.sync(holdall.open("/srv/data"), holdall.open("/mnt/backup/data"))
    report.check()

Each function has a twin whose name ends in `_async`, for stores of `holdall.open_async`. Both
run the same engine, which reads the two listings side by side in byte order, so that memory does
not grow with the number of objects: at most one part of an object a worker, or some small objects
that are shorter than a part together, and a page or two of each listing. One object's failure
stands in the report and does not stop the others; nor does that of a folder of this machine that
may not be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.runtime.blocking import drive, drive_iterator
from holdall.objects.transfer import engine, planning, retention, verifying
from holdall.objects.transfer.copying import Copier
from holdall.objects.transfer.pulling import SYNC, pull, pull_async, push, push_async
from holdall.objects.transfer.results import (
    WORKERS,
    Failure,
    Progress,
    Step,
    SyncOptions,
    SyncReport,
    VerifyReport,
)
from holdall.objects.transfer.retention import Expired, ExpireReport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.results import OnProgress, OnStep

__all__ = [
    "WORKERS",
    "ExpireReport",
    "Expired",
    "Failure",
    "Progress",
    "Step",
    "SyncOptions",
    "SyncReport",
    "VerifyReport",
    "compare",
    "compare_async",
    "copy",
    "copy_async",
    "expire",
    "expire_async",
    "plan",
    "plan_async",
    "pull",
    "pull_async",
    "push",
    "push_async",
    "sync",
    "sync_async",
    "verify",
    "verify_async",
]


async def sync_async(
    source: AsyncDataStore,
    target: AsyncDataStore,
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Copy what the target does not have, or has otherwise; answer what was done.

    An object is copied whole or not at all, with its content type and metadata, and verified by
    SHA-256, which the target remembers. A step of an upload that fails for a moment is done
    again. Where the target keeps no bytes of interrupted uploads, the object begins anew.

    Comparing by checksum, a long run keeps a journal under `.holdall/journals` of the target. The
    run after one that was cut off does not compare again what that had finished, as long as the
    etags and sizes of both sides are the same. A target that cannot keep it has none.

    Interrupted, a run leaves the bytes of large objects staged; the next one goes on from there.
    It reads only the rest of the source, under the etag of then, where the source has a SHA-256
    recorded that the upload was begun with, or where the run that was cut off could write down
    whose bytes they are, under `.holdall/journals/staged` of the target (of a remote source, and
    unless the process was killed). Otherwise, and where the target compares parts, as clouds do,
    it reads the source again to compare; `reread_bytes` of the report says how much of it.

    When the source has changed since, it begins anew, and what was staged stays: nothing says
    whether a sync began it or somebody else, who will go on with it. It is no object, takes its
    space, shows in `uploads` (and in `holdall uploads`), and goes with `purge_uploads`, by its age.

    Whether staged bytes are the source's first ones shows only at the commit. So an upload of the
    same key that somebody else left, begun since the source last changed, may have bytes added
    before it is found not to fit; whoever goes on with it commits it with its SHA-256.

    Args:
        source: What the target should hold; only read.
        target: What is changed.
        options: How.
        on_progress: Called after each part and each object, one call at a time, from any thread.
        on_step: Called with what was done about each key, in no order, likewise.

    Raises:
        NotFound: The source is missing, or empty while `delete` is asked for.
        Unsupported: A listing does not come in byte order.
        InvalidConfig: One store lies in the other, also by way of links.
        HoldallError: A listing failed as a whole; what was copied before stays, and what was not
            seen to be missing from the source was not deleted.
    """
    return await engine.Sync(source.store, target.store, options, on_progress, on_step).run()


def sync(
    source: DataStore,
    target: DataStore,
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Copy what the target does not have, or has otherwise; see `sync_async`."""
    return drive(engine.Sync(source.store, target.store, options, on_progress, on_step).run())


def plan_async(
    source: AsyncDataStore, target: AsyncDataStore, options: SyncOptions = SYNC
) -> AsyncIterator[Step]:
    """Go through what `sync_async` would do; nothing is changed.

    In byte order of the key; then folders that may not be read, and then, in byte order too, what
    would be deleted. Where nothing would be, these steps are `keep`, and their `error` says why.
    """
    return planning.plan(source.store, target.store, options)


def plan(source: DataStore, target: DataStore, options: SyncOptions = SYNC) -> Iterator[Step]:
    """Go through what `sync` would do; nothing is changed; see `plan_async`."""
    return drive_iterator(planning.plan(source.store, target.store, options))


async def copy_async(
    source: AsyncDataStore,
    key: str | Reference,
    target: AsyncDataStore,
    target_key: str | Reference,
    *,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    tags: bool = False,
    on_bytes: Callable[[int], object] | None = None,
) -> ObjectMeta:
    """Copy one object from one store to another, with its content type and metadata.

    It is verified by SHA-256, and goes on from what an interrupted copy left staged.

    Args:
        source: Where from.
        key: What.
        target: Where to.
        target_key: What it becomes.
        content_type: Kept instead of the source's own; None for that.
        metadata: Likewise.
        tags: Whether its tags are carried too.
        on_bytes: Called with the number of bytes after each part; below 0 when it begins anew.

    Raises:
        PreconditionFailed: The source changed meanwhile.
        Corrupt: The source does not have the bytes that were recorded for it.
    """
    old, new = source.reference(key), target.reference(target_key)
    copier = Copier(
        source.store,
        target.store,
        new.parent,
        tags=tags,
        content_type=content_type,
        metadata=metadata,
    )
    return (await copier.copy(old, new, on_bytes or _ignore)).meta


def copy(
    source: DataStore,
    key: str | Reference,
    target: DataStore,
    target_key: str | Reference,
    *,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    tags: bool = False,
    on_bytes: Callable[[int], object] | None = None,
) -> ObjectMeta:
    """Copy one object from one store to another; see `copy_async`."""
    old, new = source.reference(key), target.reference(target_key)
    copier = Copier(
        source.store,
        target.store,
        new.parent,
        tags=tags,
        content_type=content_type,
        metadata=metadata,
    )
    return drive(copier.copy(old, new, on_bytes or _ignore)).meta


def _ignore(_: int) -> None:
    return None


async def verify_async(
    store: AsyncDataStore,
    prefix: str = "",
    *,
    exclude: Sequence[str] = (),
    workers: int = WORKERS,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Read every object, and compare it with the SHA-256 that was recorded when it was written.

    Args:
        store: Where.
        prefix: Only this folder; empty for all.
        exclude: Patterns of keys to pass over, as in `SyncOptions`.
        workers: How many objects are read at a time.
        on_progress: Called after each object.
    """
    return await verifying.verify(store.store, prefix, exclude, workers, on_progress)


def verify(
    store: DataStore,
    prefix: str = "",
    *,
    exclude: Sequence[str] = (),
    workers: int = WORKERS,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Read every object, and compare it with what was recorded; see `verify_async`."""
    return drive(verifying.verify(store.store, prefix, exclude, workers, on_progress))


async def compare_async(
    one: AsyncDataStore,
    other: AsyncDataStore,
    prefix: str = "",
    *,
    exclude: Sequence[str] = (),
    workers: int = WORKERS,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Read every object of both stores, and say which keys do not have the same bytes.

    Args:
        one: The first store.
        other: The second one.
        prefix: Only this folder, on both sides; empty for all.
        exclude: Patterns of keys to pass over, as in `SyncOptions`.
        workers: How many keys are compared at a time.
        on_progress: Called after each key.
    """
    return await verifying.compare(one.store, other.store, prefix, exclude, workers, on_progress)


def compare(
    one: DataStore,
    other: DataStore,
    prefix: str = "",
    *,
    exclude: Sequence[str] = (),
    workers: int = WORKERS,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Read every object of both stores and compare them; see `compare_async`."""
    return drive(verifying.compare(one.store, other.store, prefix, exclude, workers, on_progress))


async def expire_async(
    store: AsyncDataStore,
    older_than: timedelta,
    prefix: str = "",
    *,
    move_to: AsyncDataStore | None = None,
    dry_run: bool = False,
    workers: int = WORKERS,
    on_step: Callable[[Expired], object] | None = None,
) -> ExpireReport:
    """Delete what is old, or move it to another store.

    An object that is written again meanwhile stays, also one that is written by somebody else. A
    moved one keeps its key, and is read back and compared before the source lets go of it.

    Args:
        store: What is looked through.
        older_than: How long ago an object must have been written.
        prefix: A folder.
        move_to: Where to; None deletes.
        dry_run: Count, and change nothing.
        workers: How many objects are handled at once.
        on_step: Told what was done about each, from whichever thread; one at a time.
    """
    target = None if move_to is None else move_to.store
    return await retention.expire(
        store.store, older_than, prefix, target, dry_run=dry_run, workers=workers, on_step=on_step
    )


def expire(
    store: DataStore,
    older_than: timedelta,
    prefix: str = "",
    *,
    move_to: DataStore | None = None,
    dry_run: bool = False,
    workers: int = WORKERS,
    on_step: Callable[[Expired], object] | None = None,
) -> ExpireReport:
    """Delete what is old, or move it to another store; see `expire_async`."""
    target = None if move_to is None else move_to.store
    return drive(
        retention.expire(
            store.store,
            older_than,
            prefix,
            target,
            dry_run=dry_run,
            workers=workers,
            on_step=on_step,
        )
    )
