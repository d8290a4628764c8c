"""The folder of a store: its root, the folders in it, and the workspace under `.holdall`."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
import weakref
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from holdall.core.errors import InvalidConfig
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.backends.local.confinement import best_opener

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.backends.local.confinement import Opener

_log = logging.getLogger("holdall.objects.local")

WORKSPACE_FOLDERS = ("tmp", "locks", "uploads", "attributes")
"""What is ours in `.holdall`, as `Workspace` has it; other names are for who uses the store."""

_FOLDER_MODE = 0o700
_STALE_SECONDS = 24 * 3600
_ROOT = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class Descriptor(int):
    """A descriptor that is closed when nobody refers to it any more.

    Whoever uses the number refers to this object, so that closing a store while another thread
    works with it cannot close a number under that thread's hands, for others to get.
    """

    __slots__ = ()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self)


class Workspace(NamedTuple):
    """Descriptors of the folders under `.holdall`: each a `Descriptor`, to be kept as it is."""

    temporary: int
    locks: int
    uploads: int
    attributes: int


class Tree:
    """A folder on disk, made when something is first written.

    Args:
        path: Where it is. Links on the way to it are followed, links in it are not.
        durable: Whether what was made and renamed must outlive a power cut.
        opener: How paths are confined.
    """

    def __init__(self, path: str, *, durable: bool, opener: Opener = best_opener) -> None:
        self.path = path
        self.durable = durable
        self.opener = opener
        self.open_file: Callable[[str], int] = self._open_first
        """Open a file by its key for reading; answer the descriptor."""
        self.open_below: Callable[[str], int] = self._open_first_below
        """Open a folder by its key, that is not empty; answer the descriptor.

        Raises:
            FileNotFoundError: There is none, or `refresh` finds another one.
        """
        self.opened: Workspace | None = None
        """The workspace, once somebody has asked for it."""
        self._guard = threading.RLock()  # a signal handler may come back to the same store
        self._root: Descriptor | None = None
        self.generation = 0
        """Changes whenever the descriptors do."""
        _trees.add(self)

    @property
    def root(self) -> int:
        """The folder's descriptor.

        Raises:
            FileNotFoundError: There is no folder yet.
        """
        root = self._root
        return self._open_root() if root is None else root

    def workspace(self) -> Workspace:
        """The workspace; made, with the folder itself, when it is not there."""
        opened = self.opened
        return self._open_workspace() if opened is None else opened

    def refresh(self) -> bool:
        """Whether somebody removed the folder, so that it has to be looked up again."""
        with self._guard:
            if self._root is None or os.fstat(self._root).st_nlink > 0:
                return False
            self._retire()
        return True

    def renew_workspace(self) -> bool:
        """Whether somebody removed the workspace, so that it has to be made again."""
        with self._guard:
            if self.opened is None or os.fstat(self.opened.temporary).st_nlink > 0:
                return False
            self._retire()
        return True

    def open_folder(self, path: str) -> int:
        """Open a folder by its key; answer the descriptor."""
        root = self._root
        try:
            descriptor = self.opener.open_folder(self._open_root() if root is None else root, path)
        except FileNotFoundError:
            if not self.refresh():
                raise
        else:
            if path or os.fstat(descriptor).st_nlink > 0:
                return descriptor
            os.close(descriptor)
            self.refresh()
        return self.opener.open_folder(self.root, path)

    def make_folder(self, path: str) -> int:
        """Open a folder by its key, made where it is missing; answer the descriptor.

        Raises:
            NotADirectoryError: A part of it is no folder; `filename` is the key of that part.
        """
        try:
            return self.open_folder(path)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise _no_folder(self._first_file(path)) from None
        here = self.open_folder("")
        done = ""
        for name in path.split("/") if path else ():
            try:
                done = f"{done}/{name}" if done else name
                with suppress(FileExistsError):
                    os.mkdir(name, _FOLDER_MODE, dir_fd=here)
                # Also when it was there: who made it may not have come to this yet. Somebody who
                # comes later still, and finds the whole path by the first line of this function,
                # is answered without waiting for that, and a power cut in that instant, before
                # we are through, can take the folder with what was written.
                self.sync(here)
                below = self._step(here, name, done)
            finally:
                os.close(here)
            here = below
        return here

    def _step(self, here: int, name: str, done: str) -> int:
        try:
            return self.opener.open_folder(here, name)
        except NotADirectoryError:
            raise _no_folder(done) from None

    def _first_file(self, path: str) -> str:
        at = path.find("/")
        while at >= 0:
            try:
                os.close(self.open_folder(path[:at]))
            except NotADirectoryError:
                return path[:at]
            at = path.find("/", at + 1)
        return path

    def prune(self, path: str) -> None:
        """Remove a folder that has become empty, and those above it that become so."""
        while path:
            above, _, name = path.rpartition("/")
            try:
                parent = self.open_folder(above)
            except OSError:
                return
            try:
                os.rmdir(name, dir_fd=parent)
                self.sync(parent)
            except OSError:
                return  # not empty, or gone already
            finally:
                os.close(parent)
            path = above

    def sync(self, descriptor: int) -> None:
        """Wait until a file or folder is on the medium, where the store is durable."""
        if self.durable:
            sync_to_medium(descriptor)

    def close(self) -> None:
        """Close the descriptors once nobody uses them; they are opened again when needed."""
        with self._guard:
            self._retire()

    def forked(self) -> None:
        """Go on in a forked child: the thread that has the guard may not be in it."""
        self._guard = threading.RLock()

    def _retire(self) -> None:
        self.generation += 1
        self._root = self.opened = None
        self.open_file = self._open_first
        self.open_below = self._open_first_below

    def _open_root(self) -> int:
        with self._guard:
            if self._root is None:
                try:
                    self._root = Descriptor(os.open(self.path, _ROOT))
                except NotADirectoryError as error:
                    raise InvalidConfig(
                        f"{self.path} is a file, and a store needs a folder"
                    ) from error
                self.open_file = self.opener.reader(self._root)
                self.open_below = partial(self.opener.open_folder, self._root)
            return self._root

    def _open_first(self, path: str) -> int:
        return self.opener.reader(self.root)(path)

    def _open_first_below(self, path: str) -> int:
        return self.opener.open_folder(self.root, path)

    def _make_root(self, path: str) -> None:
        above = os.path.dirname(path)
        made = False
        if not os.path.isdir(path):
            if above != path:
                self._make_root(above)
            # Another process may be faster, or it is a file, which opening will say.
            with suppress(FileExistsError):
                os.mkdir(path, _FOLDER_MODE)
                made = True
        if not self.durable or os.path.ismount(path):
            return
        # Also when it was there: who made it a moment ago may not have come to this yet.
        try:
            parent = os.open(above, _ROOT)
        except PermissionError:
            if made:
                raise
            return  # others made it, in a folder that we may pass through and not open
        try:
            self.sync(parent)
        finally:
            os.close(parent)

    def _open_workspace(self) -> Workspace:
        with self._guard:
            if self.opened is None:
                self.refresh()
                # Also when reads have opened it: who made it may not have put it on the medium.
                self._make_root(self.path)
                root = self._open_root()
                self._make_once(root, RESERVED_SEGMENT)
                for name in WORKSPACE_FOLDERS:
                    self._make_once(root, f"{RESERVED_SEGMENT}/{name}")
                self.opened = Workspace(
                    *(
                        Descriptor(self.opener.open_folder(root, f"{RESERVED_SEGMENT}/{name}"))
                        for name in WORKSPACE_FOLDERS
                    )
                )
                _remove_stale(self.opened)
            return self.opened

    def _make_once(self, root: int, path: str) -> None:
        above, _, name = path.rpartition("/")
        parent = self.opener.open_folder(root, above)
        try:
            with suppress(FileExistsError):
                os.mkdir(name, _FOLDER_MODE, dir_fd=parent)
            self.sync(parent)  # also when it was there, as in `make_folder`
        finally:
            os.close(parent)


_trees: weakref.WeakSet[Tree] = weakref.WeakSet()


def _forked() -> None:
    for tree in _trees:
        tree.forked()


os.register_at_fork(after_in_child=_forked)


# On macOS fsync(2) leaves the bytes in the drive's cache.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


def sync_to_medium(descriptor: int) -> None:
    """Wait until a file or folder is on the medium."""
    if _FULL_SYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_SYNC)


def _no_folder(key: str) -> NotADirectoryError:
    return NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), key)


def _remove_stale(workspace: Workspace) -> None:
    """Remove what writers that were killed left behind; a living one is never this old."""
    _remove_old(workspace.temporary, os.listdir(workspace.temporary))
    # An upload is two files, and goes on only with both.
    names = os.listdir(workspace.uploads)
    whole = Counter(name.partition(".")[0] for name in names)
    _remove_old(workspace.uploads, [name for name in names if whole[name.partition(".")[0]] < 2])


def _remove_old(folder: int, names: list[str]) -> None:
    limit = time.time() - _STALE_SECONDS
    removed = 0
    for name in names:
        try:
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < limit:
                os.unlink(name, dir_fd=folder)
                removed += 1
        except FileNotFoundError:
            continue  # another process cleans up too
    if removed:
        _log.info("removed %d files that writers which were killed had left", removed)
