"""A child that was forked after obstore was used: its threads are gone, and every call would hang.

Opening a store anew in the child does not help, since the threads belong to the process.
"""

from __future__ import annotations

import ctypes
import os
from typing import Protocol
from weakref import WeakSet

from holdall.core.errors import Unavailable


class Body(Protocol):
    """What holds something of obstore that still waits for bytes."""

    @property
    def held(self) -> tuple[object, ...]:
        """What it holds of obstore now."""


ready = False
"""Whether `check` went well in this process; who counts microseconds looks here first."""

_used = False
_orphaned = False
_open: WeakSet[Body] = WeakSet()


def check() -> None:
    """Raise in a child that was forked after the first call; remember the call else."""
    global _used, ready  # noqa: PLW0603 - facts about the process, and there is one
    if _orphaned:
        raise Unavailable(
            "this process was forked after a cloud store was used, and such a store cannot work "
            "in it. Start workers with multiprocessing's 'spawn' or 'forkserver', or use the first "
            "cloud store after the fork",
            transient=False,
        )
    _used = ready = True


def watch(body: Body) -> None:
    """Let no forked child let go of what a body holds: its end wakes threads that are not there."""
    _open.add(body)


def _forked() -> None:
    global _orphaned, ready  # noqa: PLW0603
    _orphaned = _orphaned or _used
    ready = False
    for body in tuple(_open):
        for thing in body.held:
            # Counted once too often, it outlives the interpreter too, which empties every list.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


os.register_at_fork(after_in_child=_forked)
