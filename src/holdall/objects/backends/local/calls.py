"""System calls with their loose ends tied."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdall.objects.contract import Data


def write_all(descriptor: int, data: Data) -> None:
    """Write all bytes at the file's position: one call moves at most 2 GiB, and may move less."""
    done = os.write(descriptor, data)
    if done != len(data):
        view = memoryview(data).cast("B")
        while done < len(view):
            done += os.write(descriptor, view[done:])


def inode_of(name: str, folder: int) -> int | None:
    """The inode of a name in an open folder; None when there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None
