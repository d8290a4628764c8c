"""Reading everything, to see that it is what was written: within a store, or between two."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from holdall.core.errors import Corrupt, HoldallError, NotFound
from holdall.objects.transfer.digests import check_record, read_digest
from holdall.objects.transfer.joining import Listing, Pair, join
from holdall.objects.transfer.results import Failure, Progress, VerifyReport, check_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.results import OnProgress

_State: TypeAlias = Literal["ok", "unrecorded", "damaged", "unreadable", "missing"]


class _Finding(Struct, frozen=True):
    key: str
    state: _State
    bytes: int = 0
    error: HoldallError | None = None


async def verify(
    store: ObjectStore,
    prefix: str,
    exclude: Sequence[str],
    workers: int,
    on_progress: OnProgress | None,
) -> VerifyReport:
    """Compare every object under a prefix with the SHA-256 that was recorded for it."""
    check_scope(exclude, workers)
    listing = Listing(store, prefix, exclude, lenient=True)

    async def check(meta: ObjectMeta) -> _Finding:
        return await _check(store, meta)

    report, tally = VerifyReport(), _Tally(on_progress)
    async with aclosing(listing.walk()) as objects:
        async for finding in store.runtime.map(check, objects, workers):
            tally.add(report, finding)
    report.foreign = listing.foreign
    report.unreadable += listing.failed
    return report


async def compare(
    one: ObjectStore,
    other: ObjectStore,
    prefix: str,
    exclude: Sequence[str],
    workers: int,
    on_progress: OnProgress | None,
) -> VerifyReport:
    """Compare two stores byte by byte; what is recorded is not trusted, it is checked too."""
    check_scope(exclude, workers)
    left = Listing(one, prefix, exclude, lenient=True)
    right = Listing(other, prefix, exclude, lenient=True)

    async def check(pair: Pair) -> _Finding:
        return await _compare(one, other, pair)

    report, tally = VerifyReport(), _Tally(on_progress)
    async with aclosing(join(left, right)) as pairs:
        async for finding in one.runtime.map(check, pairs, workers):
            tally.add(report, finding)
    report.foreign = left.foreign + right.foreign
    report.unreadable += left.failed + right.failed
    return report


async def _check(store: ObjectStore, meta: ObjectMeta) -> _Finding:
    try:
        found, sha256 = await read_digest(store, meta.ref)
        if found.changed:
            raise Corrupt(
                f"{found.ref}: another program changed its content in place, or cut it, since it "
                "was written. If that was meant, write it again through the store",
                reference=found.ref,
            )
        if found.sha256 is None:
            return _Finding(meta.key, "unrecorded", found.size)
        check_record(found, sha256)
    except Corrupt as error:
        return _Finding(meta.key, "damaged", meta.size, error)
    except HoldallError as error:
        return _Finding(meta.key, "unreadable", 0, error)
    return _Finding(meta.key, "ok", found.size)


async def _compare(one: ObjectStore, other: ObjectStore, pair: Pair) -> _Finding:
    if pair.source is None or pair.target is None:
        there, absent = (one, other) if pair.target is None else (other, one)
        error = NotFound(f"only {there.root} has it, and {absent.root} does not")
        return _Finding(pair.key, "missing", 0, error)
    try:
        if pair.source.size != pair.target.size:
            raise Corrupt(
                f"{pair.source.ref} has {pair.source.size} bytes, and {pair.target.ref} has "
                f"{pair.target.size}",
                reference=pair.target.ref,
            )
        mine, my_sha256 = await read_digest(one, pair.source.ref)
        check_record(mine, my_sha256)
        theirs, their_sha256 = await read_digest(other, pair.target.ref)
        check_record(theirs, their_sha256)
        if my_sha256 != their_sha256:
            raise Corrupt(
                f"{mine.ref} has SHA-256 {my_sha256}, and {theirs.ref} has {their_sha256}",
                reference=theirs.ref,
            )
    except Corrupt as error:
        return _Finding(pair.key, "damaged", pair.source.size, error)
    except HoldallError as error:
        return _Finding(pair.key, "unreadable", 0, error)
    return _Finding(pair.key, "ok", mine.size + theirs.size)


class _Tally:
    """Adds findings to a report, and tells how far it is."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._objects = 0

    def add(self, report: VerifyReport, finding: _Finding) -> None:
        self._objects += 1
        report.bytes += finding.bytes
        if finding.state == "ok":
            report.ok += 1
        elif finding.state == "unrecorded":
            report.unrecorded += 1
        else:
            assert finding.error is not None
            getattr(report, finding.state).append(Failure(finding.key, finding.error))
        if self._on_progress is not None:
            self._on_progress(Progress(finding.key, self._objects, report.bytes))
