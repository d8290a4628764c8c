"""A child that was forked after obstore was used: its threads are gone, and every call would hang.

Opening a store anew in the child does not help, since the threads belong to the process.
"""

from __future__ import annotations

import os

from holdall.core.errors import Unavailable

_used = False
_orphaned = False
_kept: list[object] = []


def check() -> None:
    """Raise in a child that was forked after the first call; remember the call else."""
    global _used  # noqa: PLW0603 - a fact about the process, and there is one
    if _orphaned:
        raise Unavailable(
            "this process was forked after a cloud store was used, and such a store cannot work "
            "in it. Start workers with multiprocessing's 'spawn' or 'forkserver', or use the first "
            "cloud store after the fork",
            transient=False,
        )
    _used = True


def keep(*things: object) -> None:
    """Keep what obstore gave the parent: to let go of it in a forked child would hang as well."""
    if _orphaned:
        _kept.append(things)


def _forked() -> None:
    global _orphaned  # noqa: PLW0603
    _orphaned = _orphaned or _used


os.register_at_fork(after_in_child=_forked)
