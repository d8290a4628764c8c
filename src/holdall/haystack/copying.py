"""Copy entities and their histories from one adapter to another.

    from holdall.haystack.copying import copy

    async with open_adapter("sqlite:///plant.db") as old, open_adapter(url) as new:
        report = await copy(old, new)
        report.check()

It may be run again, also after it was killed at any moment: it goes on where it was. How far it
is stands in a note of the target, so that another machine can go on, too; and whatever is done
twice comes to the same. What the target has already counts as done.

    entities      take the place of those of their ids, as `load` does
    samples       are written among those that the target has; the source's win
    commands      (priority arrays) likewise, level by level
    anything else that the target has stays

All that was written is read back and compared. Entities that change in the source meanwhile are
copied again at the end; samples that come meanwhile may be missing, and the next run brings them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import Unsupported
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.copying_engine import Copy
from holdall.haystack.copying_results import CopyFailure, CopyReport

if TYPE_CHECKING:
    from holdall.haystack.copying_results import OnProgress

__all__ = ["CopyFailure", "CopyReport", "copy"]


async def copy(
    source: HaystackAdapter,
    target: HaystackAdapter,
    filter_str: str | None = None,
    *,
    histories: bool = True,
    progress: OnProgress | None = None,
) -> CopyReport:
    """Copy entities and their histories; answer what came of them.

    A page of each is in memory at a time. What the source computes while it is read, such as
    `hisSize`, is not copied. Histories are copied sample by sample as they are, whatever their
    points say of kind and unit by now.

    Args:
        source: Where from.
        target: Where to: another one.
        filter_str: Which entities; all of them unless set.
        histories: Whether their samples are copied, too.
        progress: Told the report so far, after each step.

    Raises:
        InvalidConfig: Source and target are the same.
        InvalidQuery: The filter means nothing.
        Unsupported: One of them has no stores of entities and histories.
        PreconditionFailed: So much changed in the source meanwhile that it no longer knows what.
        HoldallError: One of them cannot be reached or used. What was copied stays; run it again
            to go on.
    """
    for one in (source, target):
        if not isinstance(one, HaystackAdapter):
            raise Unsupported(
                f"a {type(one).__name__} has no stores of entities and histories to copy: it "
                "takes a HaystackAdapter"
            )
    return await Copy(source, target, filter_str, histories, progress).run()
