"""What a copy answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field

from holdall.core.errors import (
    HoldallError,
    InvalidValue,
    LimitExceeded,
    NotFound,
    PartialFailure,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OF_ONE: Final = (InvalidValue, LimitExceeded, NotFound, Unsupported)
"""Errors that are about one entity or history of many: the others may go well."""


class CopyFailure(Struct, frozen=True):
    """Something of one entity that the target does not have, or not for sure.

    Attributes:
        id: Its id, without `@`.
        error: What went wrong.
    """

    id: str
    error: HoldallError


class CopyReport(Struct, kw_only=True):
    """What a copy did; where it was killed and went on, what both runs did.

    Attributes:
        entities: How many the source showed: `written`, `same` and failed ones.
        written: How many the target has now as the source has them, and had not, or otherwise.
        same: How many it had already.
        histories: How many points have samples in the source.
        samples: How many samples the source showed.
        samples_written: How many of them were written; the target had the others.
        commands: How many levels of priority arrays were written.
        gone: How many entities the source deleted meanwhile that the target has; they stay.
        failed: What the target does not have, or not for sure, and why.
        resumed: Whether it went on where a run before it had stopped.
    """

    entities: int = 0
    written: int = 0
    same: int = 0
    histories: int = 0
    samples: int = 0
    samples_written: int = 0
    commands: int = 0
    gone: int = 0
    failed: list[CopyFailure] = field(default_factory=list)
    resumed: bool = False

    @property
    def ok(self) -> bool:
        """Whether the target has everything."""
        return not self.failed

    def check(self) -> None:
        """Raise `PartialFailure`, with all errors, unless the target has everything."""
        if self.failed:
            raise PartialFailure(
                f"{len(self.failed)} of {self.entities} entities were not copied whole:",
                [failure.error for failure in self.failed],
            )


COUNTS: Final = (
    "entities",
    "written",
    "same",
    "histories",
    "samples",
    "samples_written",
    "commands",
    "gone",
)
"""What of it are counts."""

OnProgress: TypeAlias = "Callable[[CopyReport], object]"
