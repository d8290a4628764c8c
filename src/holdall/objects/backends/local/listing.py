"""Listings in byte order, a page at a time, without holding more than the folders on the path.

Sorted with a `/` behind the names of folders, the names of one folder are in the order of the
keys below it: `foo-bar` < `foo/` < `foo0`. A page starts where the token says and re-reads only
the folders on the way there; the names of those are kept from page to page as long as the
folder's own times prove that they are still true.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from holdall.core.errors import InvalidKey
from holdall.core.reference import MAX_KEY_BYTES, RESERVED_SEGMENT, check_key
from holdall.objects.backends.local.attributes import Replaced, etag_of
from holdall.objects.backends.local.faults import translated
from holdall.objects.results import ObjectMeta, Page

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.local.attributes import Attributes
    from holdall.objects.backends.local.tree import Tree
    from holdall.objects.options import ListOptions

_FOREIGN = "\0"  # behind the name of what is no object; no name on disk can hold it
# A folder's time has the grain of the kernel's clock: a change right after the reading may not
# show in it. Names are kept only when the last change was clearly before.
_GRAIN_NS = 50_000_000
_WORTH_KEEPING = 500
_SHORT = 250  # a key of so many characters is short enough, whatever they are in UTF-8


class _Names(NamedTuple):
    stamp: tuple[int, int, int]
    names: list[str]


class Lister:
    """Lists a tree.

    Args:
        tree: What to list.
        attributes: Answers etags.
        base: The address that keys are relative to.
    """

    def __init__(self, tree: Tree, attributes: Attributes, base: Reference) -> None:
        self._tree = tree
        self._attributes = attributes
        self._base = base
        self._kept: dict[str, _Names] = {}

    def page(self, folder: str, options: ListOptions) -> Page:
        """Answer one page of what is under a folder, by its key; empty for none."""
        rest = options.behind(f"{folder}/" if folder else "")
        if rest is None:
            return Page(())
        return _PageMaker(self, folder, options).make(options.place(rest))

    def names(self, descriptor: int, folder: str) -> list[str]:
        """The names of an open folder, sorted; folders end in `/`, foreign ones in NUL."""
        status = os.fstat(descriptor)
        stamp = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        kept = self._kept.get(folder)
        if kept is not None and kept.stamp == stamp:
            return kept.names
        before = time.time_ns()
        names = _read_names(descriptor)
        if len(names) >= _WORTH_KEEPING and status.st_mtime_ns < before - _GRAIN_NS:
            # Only the folders on the way to this one may stay: another walk has moved on.
            self._kept = {
                key: value
                for key, value in self._kept.items()
                if not key or folder.startswith(f"{key}/")
            }
            self._kept[folder] = _Names(stamp, names)
        return names

    def meta(self, descriptor: int, name: str, key: str, *, etag: bool) -> ObjectMeta | None:
        """What is known of a file of an open folder; None when it is gone or no file any more."""
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return None
            if not etag:
                return ObjectMeta(self._base, key, status.st_size, status.st_mtime_ns)
            kept = self._attributes.read_named(descriptor, name, key, status)
        except FileNotFoundError:
            return None
        except Replaced:
            return self.meta(descriptor, name, key, etag=etag)
        return ObjectMeta(
            self._base, key, status.st_size, status.st_mtime_ns, etag_of(kept, status)
        )

    def open(self, folder: str) -> int | None:
        """Open a folder by its key; None when it is gone.

        Raises:
            PermissionDenied: It may not be read; names it.
        """
        with translated(self._base.known_child(folder) if folder else self._base):
            try:
                return self._tree.open_folder(folder)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open_below(self, descriptor: int, name: str, folder: str) -> int | None:
        """Open a folder in an open one; None when it is gone, or somebody just put a link there.

        Args:
            descriptor: The open folder.
            name: The folder's name in it.
            folder: The folder's key.
        """
        with translated(self._base.known_child(folder)):
            try:
                return self._tree.opener.open_folder(descriptor, name)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                return None

    def first_key(self, folder: str) -> str | None:
        """The key of any object under a folder; None when there is none."""
        pending = [folder]
        moved = False
        while pending:
            current = pending.pop()
            descriptor = self.open(current)
            if descriptor is None:
                moved = current != folder
                continue
            try:
                names = self.names(descriptor, current)
            finally:
                os.close(descriptor)
            for name in names:
                key = f"{current}/{name}" if current else name
                if name.endswith("/"):
                    if _fits(key):
                        pending.append(key[:-1])
                elif not name.endswith(_FOREIGN) and _fits(key):
                    return key
        # What was in a folder that went meanwhile may be where this has looked before.
        return self.first_key(folder) if moved else None


class _Level:
    """A folder that a page goes through: its keys begin with `start`."""

    __slots__ = ("names", "position", "start")

    def __init__(self, start: str, names: list[str]) -> None:
        self.start = start
        self.names = names
        self.position = 0


class _PageMaker:
    """Makes one page.

    It goes down and up by a list of its own, since folders may be nested deeper than Python can
    call, and holds one of them open at a time.
    """

    def __init__(self, lister: Lister, folder: str, options: ListOptions) -> None:
        self._lister = lister
        self._start = f"{folder}/" if folder else ""
        self._options = options
        self._levels: list[_Level] = []
        self._descriptor = -1
        self._objects: list[ObjectMeta] = []
        self._folders: list[str] = []
        self._foreign = 0
        self._last: str | None = None
        self._full = False

    def make(self, place: str | None) -> Page:
        """Make it, beginning behind a place; None begins at the beginning."""
        descriptor = self._lister.open(self._start[:-1])
        if descriptor is None:
            return Page(())
        self._descriptor = descriptor
        try:
            self._enter(self._start)
            if place is not None:
                self._go_to(place)
            while self._levels and not self._full:
                self._go_through()
                if not self._full:
                    self._leave()
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
        token = self._last if self._full else None
        return Page(tuple(self._objects), tuple(self._folders), token, self._foreign)

    def _go_to(self, token: str) -> None:
        """Go behind a key, or behind all of a folder, whose token ends in `/`."""
        while True:
            level = self._levels[-1]
            name, slash, rest = token.partition("/")
            if not (slash and rest):
                level.position = bisect_right(level.names, token)
                return
            folder = f"{name}/"
            level.position = bisect_left(level.names, folder)
            if level.names[level.position : level.position + 1] != [folder]:
                return
            level.position += 1
            if not self._go_below(level.start + folder, name):
                return
            token = rest

    def _go_through(self) -> None:
        """Add what is in the innermost folder, and in those that it leads to, until it ends."""
        lister, objects, etags = self._lister, self._objects, self._options.etags
        room = self._options.max_items
        level = self._levels[-1]
        while level.position < len(level.names):
            if len(objects) + len(self._folders) >= room:
                self._full = True  # what is foreign counts on the next page, and only there
                return
            name = level.names[level.position]
            level.position += 1
            key = level.start + name
            last = name[-1]
            if last == _FOREIGN or (len(key) > _SHORT and not _fits(key)):
                self._foreign += 1
            elif last != "/":
                meta = lister.meta(self._descriptor, name, key, etag=etags)
                if meta is not None:
                    objects.append(meta)
                    self._last = key[len(self._start) :]
            elif not self._options.delimiter:
                if self._go_below(key, name[:-1]):
                    level = self._levels[-1]
            else:
                if lister.first_key(key[:-1]) is not None:
                    self._folders.append(key[:-1])
                self._last = key[len(self._start) :]

    def _go_below(self, start: str, name: str) -> bool:
        below = self._lister.open_below(self._descriptor, name, start[:-1])
        if below is None:
            return False
        os.close(self._descriptor)
        self._descriptor = below
        self._enter(start)
        return True

    def _enter(self, start: str) -> None:
        self._levels.append(_Level(start, self._lister.names(self._descriptor, start[:-1])))

    def _leave(self) -> None:
        """Go up from a folder that is finished; a token goes on behind all that is in it."""
        self._last = self._levels.pop().start[len(self._start) :] or None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._levels:
            level = self._levels[-1]
            above = self._lister.open(level.start[:-1])
            if above is None:
                level.position = len(level.names)  # it went away meanwhile, and all in it
            else:
                self._descriptor = above


def _read_names(descriptor: int) -> list[str]:
    names = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            name = entry.name
            if name == RESERVED_SEGMENT:
                continue
            if not (_is_simple(name) or _is_key(name)):
                names.append(name + _FOREIGN)
            elif entry.is_file(follow_symlinks=False):
                names.append(name)
            elif entry.is_dir(follow_symlinks=False):
                names.append(name + "/")
            else:
                names.append(name + _FOREIGN)
    names.sort()
    return names


def _is_simple(name: str) -> bool:
    """Whether a name on disk is a segment of a key, for most names: the fast way to say so."""
    return name.isascii() and name.isprintable() and "\\" not in name and len(name) <= 250


def _fits(key: str) -> bool:
    """Whether a key, made of segments that are right, is short enough."""
    return len(key) <= _SHORT or len(key.encode()) <= MAX_KEY_BYTES


def _is_key(text: str) -> bool:
    try:
        check_key(text, MAX_KEY_BYTES)
    except InvalidKey:
        return False
    return True
