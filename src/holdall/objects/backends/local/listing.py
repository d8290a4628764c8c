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
        return _PageMaker(self, folder, options).make()

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

    def open(self, descriptor: int | None, name: str) -> int | None:
        """Open a folder below an open one, or by its key; None when it is gone."""
        try:
            if descriptor is None:
                return self._tree.open_folder(name)
            return self._tree.opener.open_folder(descriptor, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ELOOP or descriptor is None:
                raise
            return None  # another program just put a link there

    def first_key(self, descriptor: int, folder: str) -> str | None:
        """The first object in an open folder, in no order; None when there is none."""
        for name in self.names(descriptor, folder):
            if name.endswith(_FOREIGN):
                continue
            key = f"{folder}/{name}" if folder else name
            if not name.endswith("/"):
                return key
            below = self.open(descriptor, name[:-1])
            if below is None:
                continue
            try:
                found = self.first_key(below, key[:-1])
            finally:
                os.close(below)
            if found is not None:
                return found
        return None


class _PageMaker:
    """Makes one page."""

    def __init__(self, lister: Lister, folder: str, options: ListOptions) -> None:
        self._lister = lister
        self._start = f"{folder}/" if folder else ""
        self._options = options
        self._objects: list[ObjectMeta] = []
        self._folders: list[str] = []
        self._foreign = 0
        self._last: str | None = None
        self._full = False

    def make(self) -> Page:
        descriptor = self._lister.open(None, self._start[:-1])
        if descriptor is None:
            return Page(())
        try:
            self._folder(descriptor, self._start, self._options.token)
        finally:
            os.close(descriptor)
        token = self._last if self._full else None
        return Page(tuple(self._objects), tuple(self._folders), token, self._foreign)

    def _folder(self, descriptor: int, start: str, token: str | None) -> None:
        """Add what is in a folder whose keys begin with `start`, behind a token within it."""
        names = self._lister.names(descriptor, start[:-1])
        position = 0
        if token is not None:
            name, slash, rest = token.partition("/")
            if slash and rest:
                position = bisect_left(names, f"{name}/")
                if position < len(names) and names[position] == f"{name}/":
                    self._below(descriptor, start, names[position], rest)
                    position += 1
            else:
                position = bisect_right(names, token)
        lister, objects, etags = self._lister, self._objects, self._options.etags
        room = self._options.max_items
        # A slice would copy all the names that are left, for every page.
        for index in range(position, len(names)):
            if self._full:
                return
            name = names[index]
            last = name[-1]
            if len(objects) + len(self._folders) >= room:
                self._full = True  # what is foreign counts on the next page, and only there
            elif last == _FOREIGN:
                self._foreign += 1
            elif last == "/":
                self._below(descriptor, start, name, None)
            else:
                key = start + name
                if len(key) > 250 and not _is_key(key):
                    self._foreign += 1
                    continue
                meta = lister.meta(descriptor, name, key, etag=etags)
                if meta is not None:
                    objects.append(meta)
                    self._last = key[len(self._start) :]

    def _below(self, descriptor: int, start: str, name: str, token: str | None) -> None:
        below = self._lister.open(descriptor, name[:-1])
        if below is None:
            return
        key = start + name
        try:
            if not self._options.delimiter:
                self._folder(below, key, token)
            elif self._lister.first_key(below, key[:-1]) is not None:
                self._folders.append(key[:-1])
        finally:
            os.close(below)
        if not self._full:
            self._last = key[len(self._start) :]  # goes on behind all that is in it


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


def _is_key(text: str) -> bool:
    try:
        check_key(text, MAX_KEY_BYTES)
    except InvalidKey:
        return False
    return True
