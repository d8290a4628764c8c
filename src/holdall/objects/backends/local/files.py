"""The files of a store: one operation each, for a key that was checked; all of them block.

A change is made in this order: the bytes go into a file under `.holdall`, with what is kept
beside them; the file goes to the medium; then, under the key's lock, the condition is checked,
the file is renamed to its key, and the folder goes to the medium. A process that dies on the way
leaves the old object.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from functools import partial
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError, InvalidKey, KeyConflict, Unavailable
from holdall.core.reference import MAX_KEY_BYTES, RESERVED_SEGMENT, check_key, check_length
from holdall.objects.backends.local.attributes import (
    Attributes,
    Replaced,
    etag_of,
    kept_of,
    meta_of,
)
from holdall.objects.backends.local.calls import inode_of, write_all
from holdall.objects.backends.local.faults import conflict, not_found, translate, translated
from holdall.objects.backends.local.listing import Lister
from holdall.objects.backends.local.locks import KeyLocks
from holdall.objects.backends.local.stream import FileStream, shortened
from holdall.objects.backends.local.tree import WORKSPACE_FOLDERS, sync_to_medium
from holdall.objects.integrity import check_conditions, check_digests
from holdall.objects.options import GET, HEAD, WRITE, WriteOptions, check_write
from holdall.objects.results import BytesStream, ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.local.tree import Tree
    from holdall.objects.contract import Data
    from holdall.objects.options import DeleteOptions, GetOptions, HeadOptions, ListOptions
    from holdall.objects.results import Capabilities, Page

_EAGER_BYTES = 1024 * 1024  # a body of up to this size comes with the answer
# Keeps the inode in use, and needs no permission to read.
_HOLD = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_IN_THE_WAY = {errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST}
_MOST_RACES = 1000
_OWN = tuple(f"{RESERVED_SEGMENT}/{name}/" for name in WORKSPACE_FOLDERS)


class Files:
    """Objects as files of one folder.

    Args:
        tree: The folder.
        root: Its address.
        runtime: What streams wait with.
        capabilities: What writes are checked against.
        beside: Whether to keep attributes in files beside, always.
        patience: How many seconds to wait for another writer.
    """

    def __init__(
        self,
        tree: Tree,
        root: Reference,
        runtime: Runtime,
        capabilities: Capabilities,
        *,
        beside: bool,
        patience: float,
    ) -> None:
        self.tree = tree
        self.root = root
        self.runtime = runtime
        self.attributes = Attributes(tree, beside=beside)
        self.locks = KeyLocks(tree, patience)
        self.lister = Lister(tree, self.attributes, root)
        self.capabilities = capabilities
        self._prefix = f"{root.key}/" if root.key else ""
        self._skip = len(self._prefix)
        # Files that are dropped without `close` give their descriptors back too; at the end of
        # the process the kernel does that.
        weakref.finalize(self, _release, self.locks, tree).atexit = False

    def close(self) -> None:
        """Close the descriptors; they are opened again when needed."""
        _release(self.locks, self.tree)

    def key_of(self, ref: Reference) -> str:
        """The key of an object, relative to the root; checked as the file system sees it."""
        key = ref.key
        if ref.scheme == "file" and key.startswith(self._prefix):
            key = key[self._skip :]
        else:
            key = ref.relative_to(self.root)
        if not key or len(key) > MAX_KEY_BYTES // 4 or key[0] == ".":
            self._check_rare(key, ref)
        return key

    def _check_rare(self, key: str, ref: Reference) -> None:
        """Raise unless this is a key, or one of those that are kept beside the objects."""
        if not key:
            check_key(key)
        check_length(key)  # a reference may be longer than a key, for it holds the whole path
        if key.startswith(_OWN):
            raise InvalidKey(f"{ref} is what the store itself keeps there", reference=ref)

    def get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        """Open the body of an object, which comes along when it is small."""
        key = self.key_of(ref)
        try:
            descriptor = self.tree.open_file(key)
        except OSError as error:
            descriptor = self._open_again(ref, key, error)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise not_found(ref)
            kept = self.attributes.read(descriptor, key, status)
            meta = meta_of(self.root, key, kept, status, options.tags)
            start, length = 0, status.st_size
            if options is not GET:
                if options.if_match is not None:
                    check_conditions(meta.etag, options.if_match, None, ref)
                start, end = options.span(length, ref)
                length = end - start
            if length > _EAGER_BYTES:
                stream = FileStream(meta, start, length, descriptor, self.runtime)
                descriptor = -1
                return stream
            data = os.pread(descriptor, length, start)
            if len(data) < length:
                raise shortened(meta)
            if options.steady and _changed(status, os.fstat(descriptor)):
                stream = FileStream(meta, start, length, descriptor, self.runtime)
                descriptor = -1
                return stream
            return BytesStream(meta, start, data)
        except Replaced:
            return self.get(ref, options)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def look(self, ref: Reference, options: HeadOptions = HEAD) -> ObjectMeta:
        """What is known of an object."""
        key = self.key_of(ref)
        try:
            descriptor = self.tree.open_file(key)
        except OSError as error:
            descriptor = self._open_again(ref, key, error)
        try:
            status = os.fstat(descriptor)
            kept = self.attributes.read(descriptor, key, status)
        except Replaced:
            return self.look(ref, options)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise not_found(ref)
        return meta_of(self.root, key, kept, status, options.tags)

    def open_object(self, ref: Reference, key: str) -> int:
        """Open the file of an object for reading; answer the descriptor."""
        try:
            return self.tree.open_file(key)
        except OSError as error:
            return self._open_again(ref, key, error)

    def _open_again(self, ref: Reference, key: str, error: OSError) -> int:
        """Open an object after an error: the whole folder may have been replaced."""
        if isinstance(error, FileNotFoundError):
            try:
                if self.tree.refresh():
                    return self.tree.open_file(key)
            except OSError as again:
                raise translate(again, ref) from again
        raise translate(error, ref) from error

    def put(self, ref: Reference, data: Data, options: WriteOptions = WRITE) -> ObjectMeta:
        """Write one object, whole or not at all."""
        key = self.key_of(ref)
        try:  # `translated` would be felt here
            if options is not WRITE:
                check_write(options, self.capabilities, ref)
                check_digests(data, options, ref)
                self.check(key, ref, options)  # before bytes are written, and again under lock
            folder, name, descriptor = self.temporary()
            try:
                done = os.write(descriptor, data)
                if done != len(data):
                    write_all(descriptor, memoryview(data).cast("B")[done:])
                return self.publish(folder, name, descriptor, key, ref, name, options)
            except BaseException:
                if inode_of(name, folder) is not None:  # else it was renamed, and a sync failed
                    os.unlink(name, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error

    def temporary(self) -> tuple[int, str, int]:
        """Make a file in the workspace; answer its folder, its name, and its descriptor."""
        workspace = self.tree.opened or self.tree.workspace()
        folder = workspace.temporary
        name = os.urandom(16).hex()
        try:
            return folder, name, os.open(name, _TEMPORARY, 0o600, dir_fd=folder)
        except FileNotFoundError:
            if not self.tree.renew_workspace():
                raise
        return self.temporary()

    def publish(
        self,
        folder: int,
        name: str,
        descriptor: int,
        key: str,
        ref: Reference,
        etag: str,
        options: WriteOptions,
    ) -> ObjectMeta:
        """Make a file of the workspace the object; the descriptor is that file's."""
        status = os.fstat(descriptor)
        if options is WRITE:
            size, modified = status.st_size, status.st_mtime_ns
            self.attributes.write(descriptor, key, status, (bytes.fromhex(etag), size, modified))
            meta = ObjectMeta(self.root, key, size, modified, etag)
        else:
            kept = kept_of(etag, status, options)
            self.attributes.write(descriptor, key, status, kept)
            meta = meta_of(self.root, key, kept, status, False)
        change = self.rename if options is WRITE else partial(self._rename_if, options)
        if self.tree.durable:
            sync_to_medium(descriptor)
        try:
            self.locks.run(key, change, folder, name, key, ref)
        except BaseException:
            if inode_of(name, folder) is not None:  # else it was renamed, and a sync failed
                self.attributes.forget(key, status.st_ino)
            raise
        return meta

    def _rename_if(
        self, options: WriteOptions, folder: int, name: str, key: str, ref: Reference
    ) -> None:
        self.check(key, ref, options)
        self.rename(folder, name, key, ref)

    def rename(self, folder: int, name: str, key: str, ref: Reference) -> None:
        """Move a file of the workspace to its key, whose folders are made; under its lock."""
        above, _, leaf = key.rpartition("/")
        attributes, tree = self.attributes, self.tree
        beside = attributes.look_for_any() if attributes.used is None else attributes.used
        while True:
            try:
                # Where the whole store was removed, what is above a key is missing too.
                parent = tree.open_below(above) if above else tree.open_folder(above)
            except OSError:
                parent = self._make_parent(above, ref)
            try:
                if beside:
                    self._rename_beside(folder, name, parent, leaf, key)
                else:
                    os.rename(name, leaf, src_dir_fd=folder, dst_dir_fd=parent)
                if tree.durable:
                    sync_to_medium(parent)
            except FileNotFoundError:
                # Either the folder was emptied and removed since it was opened, or our file is
                # gone, which this tells apart by raising.
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
                self._make_room(key, leaf, parent, ref)
            else:
                return
            finally:
                os.close(parent)

    def _rename_beside(self, folder: int, name: str, parent: int, leaf: str, key: str) -> None:
        """Rename, and forget what was kept beside the file that is replaced."""
        try:
            old = os.open(leaf, _HOLD, dir_fd=parent)
        except OSError:
            os.rename(name, leaf, src_dir_fd=folder, dst_dir_fd=parent)
            return
        # While the old file is open, no new one can get its inode, and with it its file beside.
        try:
            inode = os.fstat(old).st_ino
            os.rename(name, leaf, src_dir_fd=folder, dst_dir_fd=parent)
            if os.stat(leaf, dir_fd=parent, follow_symlinks=False).st_ino != inode:
                self.attributes.forget(key, inode)
        finally:
            os.close(old)

    def _make_parent(self, above: str, ref: Reference) -> int:
        for _ in range(_MOST_RACES):
            try:
                return self.tree.make_folder(above)
            except FileNotFoundError:
                # A folder was emptied and removed between two steps, or the root is gone.
                self.tree.refresh()
                self.tree.workspace()
            except NotADirectoryError as error:
                raise conflict(ref, self.root.known_child(error.filename)) from error
        raise Unavailable(f"{ref}: others keep removing its folder", reference=ref)

    def _make_room(self, key: str, leaf: str, parent: int, ref: Reference) -> None:
        """Remove an empty folder that stands where a file should; else say what is in it."""
        try:
            os.rmdir(leaf, dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError as error:
            first = self.lister.first_key(key)
            raise conflict(ref, self.root.known_child(first or key)) from error

    def delete(self, ref: Reference, key: str, options: DeleteOptions) -> bool:
        """Delete an object; answer whether it was there, to `settle` its folder afterwards."""
        above, _, leaf = key.rpartition("/")
        with translated(ref):
            try:
                parent = self.tree.open_folder(above)
            except (FileNotFoundError, NotADirectoryError):
                return False
            try:
                # What is not there needs no lock, which would make the workspace.
                if inode_of(leaf, parent) is None:
                    return False
                return self.locks.run(key, self._unlink, ref, key, parent, options.if_match)
            finally:
                os.close(parent)

    def _unlink(self, ref: Reference, key: str, parent: int, if_match: str | None) -> bool:
        leaf = key.rpartition("/")[2]
        try:
            old = os.open(leaf, _HOLD, dir_fd=parent)
        except FileNotFoundError:
            return False
        # Open until the end, for the reason given in `_rename_beside`.
        try:
            status = os.fstat(old)
            if stat.S_ISLNK(status.st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), leaf)
            if not stat.S_ISREG(status.st_mode):
                return False  # a folder or a device: no object, so there is nothing to delete
            if if_match is not None:
                check_conditions(self.etag_now(key, ref), if_match, None, ref)
            os.unlink(leaf, dir_fd=parent)
            self.attributes.forget(key, status.st_ino)
            return True
        finally:
            os.close(old)

    def settle(self, folder: str) -> None:
        """Make deletions in a folder durable, and remove it when they emptied it."""
        try:
            descriptor = self.tree.open_folder(folder)
        except OSError:
            return  # it is gone with its objects
        try:
            with translated(self.root.known_child(folder)):
                self.tree.sync(descriptor)
        finally:
            os.close(descriptor)
        self.tree.prune(folder)

    def remove_folder(self, prefix: Reference) -> None:
        """Remove an empty folder."""
        folder = prefix.relative_to(self.root)
        above, _, leaf = folder.rpartition("/")
        with translated(prefix):
            try:
                parent = self.tree.open_folder(above)
            except FileNotFoundError:
                return
            try:
                if leaf:
                    os.rmdir(leaf, dir_fd=parent)
                    self.tree.sync(parent)
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                    raise
                raise KeyConflict(
                    f"{prefix} is not an empty folder: delete what is in it first",
                    reference=prefix,
                ) from error
            finally:
                os.close(parent)

    def list_page(self, prefix: Reference, options: ListOptions) -> Page:
        """Answer one page of a listing."""
        with translated(prefix):
            return self.lister.page(prefix.relative_to(self.root), options)

    def check(self, key: str, ref: Reference, options: WriteOptions) -> None:
        """Raise unless the conditions of a write hold now."""
        if options.if_match is not None or options.if_none_match is not None:
            etag = self.etag_now(key, ref)
            check_conditions(etag, options.if_match, options.if_none_match, ref)

    def etag_now(self, key: str, ref: Reference) -> str | None:
        """The etag of what is there now; None for nothing."""
        with translated(ref):
            try:
                descriptor = self.tree.open_file(key)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    return None
                return etag_of(self.attributes.read(descriptor, key, status), status)
            except Replaced:
                return self.etag_now(key, ref)
            finally:
                os.close(descriptor)


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether another program changed an open file in place meanwhile."""
    return (
        before.st_mtime_ns != after.st_mtime_ns
        or before.st_ctime_ns != after.st_ctime_ns
        or before.st_size != after.st_size
    )


def _release(locks: KeyLocks, tree: Tree) -> None:
    locks.close()
    tree.close()
