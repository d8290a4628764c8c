"""What a transfer is asked, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from msgspec import Struct, field

from holdall.core.errors import HoldallError, PartialFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKERS = 8
"""How many objects are on the way at a time, when the caller names no number."""

Reason: TypeAlias = Literal["missing", "size", "checksum", "damaged", "extra"]
Comparison: TypeAlias = Literal["checksum", "content", "modified", "size"]
Action: TypeAlias = Literal["copy", "delete", "keep", "same", "fail"]


class SyncOptions(Struct, frozen=True, kw_only=True):
    """How to make a target hold what a source holds.

    Args:
        prefix: Only the folder of this name, on both sides; empty for all.
        exclude: Patterns of keys to leave alone on both sides: neither copied nor deleted. `*`
            stands for any characters, `/` too; a pattern that names a folder means all below it.
        compare: When an object of the same size counts as the same: `checksum`, by SHA-256,
            which is read from the bytes only where none is recorded; `content`, by the SHA-256 of
            its bytes, which are read on both sides; `modified`, already if the target was written
            after the source last changed, which trusts the clocks of both; `size`, always.
        delete: Whether to delete what the source does not have, once all copies went through.
        allow_empty: Whether a source without any object may be synced. Otherwise it is an error:
            most often it is a wrong address, and with `delete` it would empty the target. And
            whether `delete` may go on where the source holds links and the like: what became
            one is no object any more, and its copy may be the last.
        tags: Whether tags are carried too; one more request an object on most services.
        workers: How many objects are on the way at a time, with at most a part of each in memory.

    Raises:
        TypeError: `exclude` is one text and no sequence of them.
        ValueError: `workers` is below 1, or `compare` none of these.
    """

    prefix: str = ""
    exclude: tuple[str, ...] = ()
    compare: Comparison = "checksum"
    delete: bool = False
    allow_empty: bool = False
    tags: bool = False
    workers: int = WORKERS

    def __post_init__(self) -> None:
        check_scope(self.exclude, self.workers)
        if self.compare not in get_args(Comparison):
            known = ", ".join(get_args(Comparison))
            raise ValueError(f"compare={self.compare!r} is unknown; there are {known}")


def check_scope(exclude: Sequence[str], workers: int) -> None:
    """Refuse patterns and a number of workers that cannot be meant."""
    if isinstance(exclude, str):
        raise TypeError(f"exclude={exclude!r} is one text, and must be a sequence: ({exclude!r},)")
    if workers < 1:
        raise ValueError(f"workers={workers} must be at least 1")


class Step(Struct, frozen=True):
    """What is done about one key, or what was.

    Args:
        key: Relative to both stores.
        action: `copy`; `delete`; `keep`, for what only the target has when nothing is deleted;
            `same`; `fail`, for what could not be done.
        reason: Why it is copied or deleted; None when it is the same, or could not be compared.
        size: In bytes.
        resumed: How many of its bytes a former run had brought to the target.
        reread: How many of these were read from the source again, to be compared.
        error: Why it failed; or, in a plan, why it is kept although `delete` is asked for.
    """

    key: str
    action: Action
    reason: Reason | None
    size: int
    resumed: int = 0
    error: HoldallError | None = None
    reread: int = 0


class Progress(Struct, frozen=True):
    """How far a transfer is.

    Args:
        key: What is on its way now.
        objects: How many are done, those that were the same too.
        bytes: How many of their bytes are done.
        total_objects: How many there are; None as long as the source is being counted.
        total_bytes: How many bytes they have; None likewise.
    """

    key: str
    objects: int
    bytes: int
    total_objects: int | None = None
    total_bytes: int | None = None


if TYPE_CHECKING:
    OnProgress: TypeAlias = Callable[[Progress], object]
    OnStep: TypeAlias = Callable[[Step], object]


class Failure(Struct, frozen=True):
    """One key that something went wrong with.

    Args:
        key: Relative to the store; of a folder, where that may not be read.
        error: What.
    """

    key: str
    error: HoldallError


class SyncReport(Struct, kw_only=True):
    """What a sync did.

    Args:
        copied: How many objects were copied.
        resumed: How many of these went on from bytes that a former run had left.
        skipped: How many were the same already.
        deleted: How many were deleted from the target.
        extra: How many the target has that the source does not; deleted or not.
        excluded: How many of the source were left alone because of `exclude`.
        foreign: How many entries of the source are no objects: links, devices, names outside the
            key rule. They are not copied.
        bytes: How many bytes were sent to the target.
        resumed_bytes: How many more were at the target already, and were not sent again.
        reread_bytes: How many of these were read from the source again, because nothing was
            recorded that vouches for them, or because the target compares parts.
        failed: What went wrong, by key.
        stopped: What ended it early, since every other object would have met it too; None when
            it went through.
        not_deleted: Why nothing, or no more, was deleted although it was asked for; None when all
            that was extra was.
    """

    copied: int = 0
    resumed: int = 0
    skipped: int = 0
    deleted: int = 0
    extra: int = 0
    excluded: int = 0
    foreign: int = 0
    bytes: int = 0
    resumed_bytes: int = 0
    reread_bytes: int = 0
    failed: list[Failure] = field(default_factory=list)
    stopped: HoldallError | None = None
    not_deleted: str | None = None

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return not self.failed and self.stopped is None

    def check(self) -> None:
        """Raise `PartialFailure`, with all errors, unless all went well."""
        if not self.ok:
            errors = [failure.error for failure in self.failed]
            if self.stopped is not None:
                errors.insert(0, self.stopped)
            raise PartialFailure(f"{len(errors)} objects were not synced:", errors)


class VerifyReport(Struct, kw_only=True):
    """What a verification found.

    Args:
        ok: How many objects have the bytes that were recorded, or the same as the other store's.
        unrecorded: How many could be read but have no SHA-256 recorded to compare with: written
            by another program, or without a digest.
        bytes: How many bytes were read.
        foreign: How many entries are no objects, and were passed over.
        damaged: Objects whose bytes are not the recorded ones, or not the other store's.
        unreadable: Objects that could not be read.
        missing: Keys that only one of two stores has.
    """

    ok: int = 0
    unrecorded: int = 0
    bytes: int = 0
    foreign: int = 0
    damaged: list[Failure] = field(default_factory=list)
    unreadable: list[Failure] = field(default_factory=list)
    missing: list[Failure] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged, unreadable or missing."""
        return not (self.damaged or self.unreadable or self.missing)
