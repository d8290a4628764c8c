"""Leaving no workspace behind where only something was removed."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from holdall.core.reference import RESERVED_SEGMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.cli.places import Store

_LOCKS = "locks"


@contextmanager
def no_new_workspace(store: Store) -> Iterator[None]:
    """Remove at the end the workspace of a store that had none before.

    A removal takes locks, which are files in `.holdall`; a folder that would keep it would be a
    store from then on, and the commands that follow would take it for one.
    """
    folder = store.base_path
    path = os.path.join(folder, RESERVED_SEGMENT) if folder else ""
    if not path or os.path.lexists(path):
        yield
        return
    try:
        yield
    finally:
        store.close()
        _remove(path)


def _remove(path: str) -> None:
    """Remove a workspace that holds nothing but locks which nobody has."""
    try:
        folders = os.listdir(path)
        if any(os.listdir(os.path.join(path, name)) for name in folders if name != _LOCKS):
            return
        with ExitStack() as held:
            # Whoever has a lock is at work here: then all stays. Whoever wants one meanwhile
            # finds that the workspace has gone, and makes it anew.
            files = [entry.path for entry in os.scandir(os.path.join(path, _LOCKS))]
            for name in files:
                lock = held.enter_context(open(name, "rb"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in files:
                os.unlink(name)
            for name in folders:
                os.rmdir(os.path.join(path, name))
            os.rmdir(path)
    except OSError:
        return  # it is in use, or there is none, or it is not ours: it may stay
