"""Copies and moves within a files."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError
from holdall.objects.backends.local.attributes import Replaced, etag_of, meta_of
from holdall.objects.backends.local.faults import not_found, translate
from holdall.objects.integrity import check_conditions
from holdall.objects.options import PART_BYTES, CopyOptions, WriteOptions

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.local.attributes import Kept
    from holdall.objects.backends.local.files import Files
    from holdall.objects.results import ObjectMeta

_NOT_BETWEEN_THESE = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class Copier:
    """Copies within one files. The bytes stay in the kernel where it can; a move is a rename."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def run(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        """Copy or move; see `ObjectStore.copy`."""
        call = self._files.runtime.call
        while True:
            try:
                if options.move:
                    return await call(self._move, None, source, target, options)
                reading = await call(self._begin, None, source, target, options)
                break
            except Replaced:
                continue
        try:
            while await call(reading.step, None):
                pass
            return await call(self._publish, None, reading, target, options)
        finally:
            await call(reading.close, None)

    def _begin(self, source: Reference, target: Reference, options: CopyOptions) -> _Copying:
        files = self._files
        key = files.key_of(source)
        descriptor = files.open_object(source, key)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise not_found(source)
            kept = files.attributes.read(descriptor, key, status)
            check_conditions(etag_of(kept, status), options.if_match, None, source)
            check_conditions(
                files.etag_now(files.key_of(target)), None, options.if_none_match, target
            )
            return _Copying(files, source, descriptor, status, kept)
        except (HoldallError, Replaced):
            os.close(descriptor)
            raise
        except OSError as error:
            os.close(descriptor)
            raise translate(error, source) from error

    def _publish(self, copying: _Copying, target: Reference, options: CopyOptions) -> ObjectMeta:
        keeping = _options_of(copying.kept, copying.status, options.if_none_match)
        key = self._files.key_of(target)
        folder, name, written = copying.folder, copying.name, copying.written
        try:
            return self._files.publish(folder, name, written, key, target, name, keeping)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, target) from error

    def _move(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        files, tree = self._files, self._files.tree
        old, new = files.key_of(source), files.key_of(target)
        above, _, leaf = old.rpartition("/")
        with files.locks.hold_both(old, new):
            descriptor = files.open_object(source, old)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise not_found(source)
                kept = files.attributes.read(descriptor, old, status)
                check_conditions(etag_of(kept, status), options.if_match, None, source)
                check_conditions(files.etag_now(new), None, options.if_none_match, target)
                folder = tree.open_folder(above)
                try:
                    if new != old:
                        files.attributes.move(old, new, status.st_ino)
                        files.rename(folder, leaf, new, target)
                        files.attributes.forget(old, status.st_ino)
                        tree.sync(folder)
                finally:
                    os.close(folder)
            except HoldallError:
                raise
            except OSError as error:
                raise translate(error, source) from error
            finally:
                os.close(descriptor)
        tree.prune(above)
        # The rename changes the time from which a foreign file's etag is made.
        return files.look(target) if kept is None else meta_of(files.root, new, kept, status, False)


class _Copying:
    """The bytes of one copy on their way into the workspace; both descriptors are its own."""

    def __init__(
        self,
        files: Files,
        source: Reference,
        descriptor: int,
        status: os.stat_result,
        kept: Kept | None,
    ) -> None:
        self._source = source
        self._read = descriptor
        self._in_kernel = hasattr(os, "copy_file_range")
        self._position = 0
        self.status = status
        self.kept = kept
        self._closed = True
        self.folder, self.name, self.written = files.temporary()
        self._closed = False

    def step(self) -> bool:
        """Copy at most one part; answer whether there was anything left."""
        try:
            if self._in_kernel:
                try:
                    done = os.copy_file_range(self._read, self.written, PART_BYTES)
                except OSError as error:
                    if error.errno not in _NOT_BETWEEN_THESE or self._position:
                        raise
                    self._in_kernel = False
                    return True
            else:
                chunk = os.pread(self._read, PART_BYTES, self._position)
                done = os.write(self.written, chunk)
        except OSError as error:
            raise translate(error, self._source) from error
        self._position += done
        return done > 0

    def close(self) -> None:
        """Let go of everything; what was not published is removed."""
        if self._closed:
            return
        self._closed = True
        os.close(self._read)
        os.close(self.written)
        try:
            os.unlink(self.name, dir_fd=self.folder)
        except FileNotFoundError:
            return  # published

    def __del__(self) -> None:
        self.close()  # the caller was cancelled before it got this


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
