"""Copies and moves within a files."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from holdall.core.errors import Corrupt
from holdall.objects.backends.local.attributes import Replaced, etag_of, meta_of
from holdall.objects.backends.local.calls import inode_of, write_all
from holdall.objects.backends.local.faults import not_found, translate, translated
from holdall.objects.integrity import check_conditions
from holdall.objects.options import PART_BYTES, CopyOptions, WriteOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.reference import Reference
    from holdall.objects.backends.local.attributes import Kept
    from holdall.objects.backends.local.files import Files
    from holdall.objects.results import ObjectMeta

T = TypeVar("T")

_NOT_BETWEEN_THESE = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class Copier:
    """Copies within one files. The bytes stay in the kernel where it can; a move is a rename."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def run(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        """Copy or move; see `ObjectStore.copy`."""
        runtime = self._files.runtime
        call = runtime.call
        if options.move:
            moving = partial(self._move, source, target, options)
            return await call(_until_current, None, moving)
        # Made before anything is opened: a call that is cancelled gives no answer to close.
        copying = _Copying(self._files, source)
        try:
            beginning = partial(self._begin, copying, source, target, options)
            await call(_until_current, None, beginning)
            while await call(copying.step, None):
                pass
            return await call(self._publish, None, copying, target, options)
        finally:
            if runtime.blocking:
                copying.close()  # `call` would refuse it after the deadline
            else:
                await call(copying.close, None)

    def _begin(
        self, copying: _Copying, source: Reference, target: Reference, options: CopyOptions
    ) -> None:
        files = self._files
        key = files.key_of(source)
        descriptor = files.open_object(source, key)
        try:
            with translated(source):
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise not_found(source)
                kept = files.attributes.read(descriptor, key, status)
            check_conditions(etag_of(kept, status), options.if_match, None, source)
            etag = files.etag_now(files.key_of(target), target)
            check_conditions(etag, None, options.if_none_match, target)
            with translated(target):
                copying.open(descriptor, status, kept)
        except BaseException:
            os.close(descriptor)
            raise

    def _publish(self, copying: _Copying, target: Reference, options: CopyOptions) -> ObjectMeta:
        keeping = _options_of(copying.kept, copying.status, options.if_none_match)
        key = self._files.key_of(target)
        folder, name, written = copying.folder, copying.name, copying.written
        copying.check()
        with translated(target):
            return self._files.publish(folder, name, written, key, target, name, keeping)

    def _move(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        files = self._files
        old, new = files.key_of(source), files.key_of(target)
        moving = partial(self._move_if, options)
        with translated(source):
            meta = files.locks.run_both(old, new, moving, source, target, old, new)
        files.tree.prune(old.rpartition("/")[0])
        # The rename changes the time from which a foreign file's etag is made.
        return files.look(target) if meta is None else meta

    def _move_if(
        self, options: CopyOptions, source: Reference, target: Reference, old: str, new: str
    ) -> ObjectMeta | None:
        """Move under the locks of both; answer nothing for a file that another program wrote."""
        files = self._files
        descriptor = files.open_object(source, old)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise not_found(source)
            kept = files.attributes.read(descriptor, old, status)
            check_conditions(etag_of(kept, status), options.if_match, None, source)
            check_conditions(files.etag_now(new, target), None, options.if_none_match, target)
            if kept is None:
                files.tree.sync(descriptor)  # who wrote it may not have done that
            if new != old:
                self._rename(old, new, target, status.st_ino)
        finally:
            os.close(descriptor)
        return None if kept is None else meta_of(files.root, new, kept, status, False)

    def _rename(self, old: str, new: str, target: Reference, inode: int) -> None:
        files, tree = self._files, self._files.tree
        above, _, leaf = old.rpartition("/")
        folder = tree.open_folder(above)
        try:
            files.attributes.move(old, new, inode)
            with translated(target):
                files.rename(folder, leaf, new, target)
            if inode_of(leaf, folder) == inode:
                os.unlink(leaf, dir_fd=folder)  # both names were of one file: no rename was done
            files.attributes.forget(old, inode)
            tree.sync(folder)
        finally:
            os.close(folder)


class _Copying:
    """The bytes of one copy on their way into the workspace; both descriptors are its own."""

    read: int
    written: int
    folder: int
    name: str
    status: os.stat_result
    kept: Kept | None

    def __init__(self, files: Files, source: Reference) -> None:
        self._files = files
        self._source = source
        self._in_kernel = hasattr(os, "copy_file_range")
        self._position = 0
        self._open = False

    def open(self, descriptor: int, status: os.stat_result, kept: Kept | None) -> None:
        """Begin with an open file, whose descriptor is its own from now on."""
        self.folder, self.name, self.written = self._files.temporary()
        self.read, self.status, self.kept = descriptor, status, kept
        self._open = True

    def step(self) -> bool:
        """Copy at most one part; answer whether there was anything left."""
        try:
            if self._in_kernel:
                try:
                    done = os.copy_file_range(self.read, self.written, PART_BYTES)
                    # Some file systems answer 0 where they mean that they cannot.
                    if done == 0 and self._position == 0 and self.status.st_size > 0:
                        self._in_kernel = False
                        return True
                except OSError as error:
                    if error.errno not in _NOT_BETWEEN_THESE or self._position:
                        raise
                    self._in_kernel = False
                    return True
            else:
                chunk = os.pread(self.read, PART_BYTES, self._position)
                write_all(self.written, chunk)
                done = len(chunk)
        except OSError as error:
            raise translate(error, self._source) from error
        self._position += done
        return done > 0

    def check(self) -> None:
        """Raise `Corrupt` unless as many bytes came as the source had when it was opened."""
        if self._position != self.status.st_size:
            raise Corrupt(
                f"{self._source} had {self.status.st_size} bytes and gave {self._position}: "
                "another program changed the file in place; copy it again",
                reference=self._source,
            )

    def close(self) -> None:
        """Let go of everything; what was not published is removed."""
        if not self._open:
            return
        self._open = False
        os.close(self.read)
        os.close(self.written)
        try:
            os.unlink(self.name, dir_fd=self.folder)
        except FileNotFoundError:
            return  # published


def _until_current(function: Callable[[], T]) -> T:
    """Call a function again as long as another writer is faster."""
    while True:
        try:
            return function()
        except Replaced:
            continue


def _options_of(
    kept: Kept | None, status: os.stat_result, if_none_match: str | None
) -> WriteOptions:
    if kept is None:
        return WriteOptions(if_none_match=if_none_match)
    valid = kept.size == status.st_size and kept.mtime_ns == status.st_mtime_ns
    return WriteOptions(
        content_type=kept.content_type,
        metadata=kept.metadata,
        tags=kept.tags,
        content_md5=kept.content_md5.hex() if kept.content_md5 and valid else None,
        sha256=kept.sha256.hex() if kept.sha256 and valid else None,
        if_none_match=if_none_match,
    )
