"""What is kept with a file: etag, content type, metadata, tags, digests.

It stands in one extended attribute of the file, so that content and attributes are replaced by
the same rename. Where the file system has no such attributes, or for more than 2 KiB, it stands
in a file beside, under `.holdall/attributes`, whose name holds the file's inode: a reader that
has the file open finds what belongs to that file and not to its successor.

Size and time of the file stand in it too. Another program that changes the content in place
changes these, and then the etag is made of them and the digests no longer count.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from holdall.objects.backends.local.calls import write_all
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.local.tree import Tree
    from holdall.objects.options import WriteOptions

_log = logging.getLogger("holdall.objects.local")

_NAME = b"user.holdall"
_LARGEST = 2048
_BESIDE = b"+"  # stands in the attribute when the rest is in the file beside
_MISSING = {errno.ENODATA, errno.ENOTSUP} if hasattr(errno, "ENODATA") else {errno.ENOTSUP}
_HAS_XATTR = hasattr(os, "setxattr")
DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not what was written."""


class Replaced(Exception):
    """The open file is not the object any more, and what was kept with it is gone: look again."""


class Kept(Struct, frozen=True, array_like=True, gc=False):
    """What is kept; an array, since it should fit beside the inode (about 60 bytes on ext4)."""

    etag: bytes
    size: int
    mtime_ns: int
    content_type: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    content_md5: bytes | None = None
    sha256: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def kept_of(etag: str, status: os.stat_result, options: WriteOptions) -> Kept:
    """What to keep with a file that was just written."""
    return Kept(
        bytes.fromhex(etag),
        status.st_size,
        status.st_mtime_ns,
        options.content_type,
        options.metadata,
        options.tags,
        bytes.fromhex(options.content_md5) if options.content_md5 else None,
        bytes.fromhex(options.sha256) if options.sha256 else None,
    )


def etag_of(kept: Kept | None, status: os.stat_result) -> str:
    """The etag of a file: its own, or one made of what every change in place changes."""
    if kept is not None and _is_of(kept, status):
        return kept.etag.hex()
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}"


def meta_of(
    base: Reference, key: str, kept: Kept | None, status: os.stat_result, tags: bool
) -> ObjectMeta:
    """What is known of a file."""
    size, modified = status.st_size, status.st_mtime_ns
    if kept is None:
        etag = etag_of(None, status)
        return ObjectMeta(base, key, size, modified, etag, tags={} if tags else None)
    valid = kept.mtime_ns == modified and kept.size == size
    return ObjectMeta(
        base,
        key,
        size,
        modified,
        kept.etag.hex() if valid else etag_of(None, status),
        kept.content_type,
        kept.metadata,
        kept.tags if tags else None,
        kept.content_md5.hex() if valid and kept.content_md5 else None,
        kept.sha256.hex() if valid and kept.sha256 else None,
        None,
        not valid,
    )


def _is_of(kept: Kept, status: os.stat_result) -> bool:
    return kept.size == status.st_size and kept.mtime_ns == status.st_mtime_ns


class Attributes:
    """Reads and writes what is kept.

    Args:
        tree: Where the files beside are.
        beside: Whether to use those alone, as on a file system without extended attributes.
    """

    def __init__(self, tree: Tree, *, beside: bool) -> None:
        self._tree = tree
        self._in_file = _HAS_XATTR and not beside
        self.used: bool | None = None
        """Whether there may be files beside, so that whoever replaces a file must look."""

    def look_for_any(self) -> bool:
        """Find out what `used` is."""
        # A descriptor of its own: those who scan a common one share the place they have come to.
        folder = self._tree.opener.open_folder(self._tree.workspace().attributes, "")
        try:
            with os.scandir(folder) as entries:
                self.used = any(True for _ in entries)
        finally:
            os.close(folder)
        return self.used

    def write(
        self, descriptor: int, key: str, status: os.stat_result, kept: Kept | tuple[bytes, int, int]
    ) -> None:
        """Keep something with a file that is not yet visible under its key.

        Args:
            descriptor: The file.
            key: What it will be.
            status: Its own.
            kept: What to keep; or its first fields alone, when the others are their defaults.
        """
        blob = _encode(kept)
        if self._in_file:
            try:
                os.setxattr(descriptor, _NAME, blob if len(blob) <= _LARGEST else _BESIDE)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                self._in_file = False
                _log.info("%s has no extended attributes; files beside serve", self._tree.path)
            else:
                if len(blob) <= _LARGEST:
                    return
        self._write_beside(_beside(key, status.st_ino), blob)

    def read(self, descriptor: int, key: str, status: os.stat_result) -> Kept | None:
        """What is kept with an open file; None for a file that others wrote.

        Raises:
            Replaced: Another writer was faster.
        """
        if self._in_file:
            try:
                return _decode(os.getxattr(descriptor, _NAME))
            except (OSError, *DAMAGED) as error:
                if not _look_beside(error):
                    return None
        return self._read_beside(key, status)

    def read_named(self, folder: int, name: str, key: str, status: os.stat_result) -> Kept | None:
        """What is kept with a file of an open folder."""
        if self._in_file and _PROC:
            path = f"/proc/self/fd/{folder}/{name}"
            try:
                return _decode(os.getxattr(path, _NAME, follow_symlinks=False))
            except (OSError, *DAMAGED) as error:
                if not _look_beside(error):
                    return None
            return self._read_beside(key, status)
        descriptor = self._tree.opener.reader(folder)(name)
        try:
            return self.read(descriptor, key, status)
        finally:
            os.close(descriptor)

    def forget(self, key: str, inode: int) -> None:
        """Remove the file beside, of a file that is gone from under its key."""
        if self.used is False:
            return
        try:
            os.unlink(_beside(key, inode), dir_fd=self._tree.workspace().attributes)
        except FileNotFoundError:
            return  # as for most files: it stood in the attribute

    def move(self, source: str, target: str, inode: int) -> None:
        """Let what is kept follow a file that is about to be renamed."""
        attributes = self._tree.workspace().attributes
        try:
            os.link(
                _beside(source, inode),
                _beside(target, inode),
                src_dir_fd=attributes,
                dst_dir_fd=attributes,
            )
        except (FileNotFoundError, FileExistsError):
            return
        self._tree.sync(attributes)

    def _check_current(self, key: str, status: os.stat_result) -> None:
        """Raise `Replaced` unless this file is still the one under its key."""
        try:
            descriptor = self._tree.open_file(key)
        except OSError as error:
            raise Replaced from error
        try:
            if os.fstat(descriptor).st_ino != status.st_ino:
                raise Replaced
        finally:
            os.close(descriptor)

    def _write_beside(self, name: str, blob: bytes) -> None:
        attributes = self._tree.workspace().attributes
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(name, flags, 0o600, dir_fd=attributes)
        try:
            write_all(descriptor, blob)
            self._tree.sync(descriptor)
        finally:
            os.close(descriptor)
        self._tree.sync(attributes)
        self.used = True

    def _read_beside(self, key: str, status: os.stat_result) -> Kept | None:
        name = _beside(key, status.st_ino)
        try:
            descriptor = self._tree.open_file(f".holdall/attributes/{name}")
        except FileNotFoundError:
            self._check_current(key, status)
            return None
        try:
            blob = os.read(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        try:
            kept = _decode(blob)
        except DAMAGED:
            return None
        # The inode may have been given to a new file since.
        return kept if _is_of(kept, status) else None


_PROC = os.path.isdir("/proc/self/fd")


def _beside(key: str, inode: int) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}-{inode:x}"


def _look_beside(error: Exception) -> bool:
    """Whether this answer of the attribute leaves the file beside to look at."""
    if isinstance(error, OSError):
        if error.errno not in _MISSING:
            raise error
        return error.errno == errno.ENOTSUP
    # The mark is one byte and no array. Another program's attribute of this name leads there
    # too, and finds nothing.
    return True
