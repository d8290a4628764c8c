"""The store of `file://`: confined, atomic, durable.

A change is made in this order: the bytes go into a file under `.holdall`, with what is kept
beside them; the file goes to the medium; then, under the key's lock, the condition is checked,
the file is renamed to its key, and the folder goes to the medium. A process that dies on the way
leaves the old object.
"""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, final

from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidConfig, KeyConflict, NotFound, Unsupported
from holdall.core.reference import MAX_KEY_BYTES, Reference, check_key
from holdall.objects.backends.local.attributes import Attributes, etag_of, kept_of, meta_of
from holdall.objects.backends.local.confinement import best_opener
from holdall.objects.backends.local.copying import Copier
from holdall.objects.backends.local.faults import conflict, not_found, translate
from holdall.objects.backends.local.listing import Lister
from holdall.objects.backends.local.locks import KeyLocks
from holdall.objects.backends.local.stream import FileStream, shortened
from holdall.objects.backends.local.tree import Tree, sync_to_medium
from holdall.objects.backends.local.uploads import LocalUpload, Staging, busy
from holdall.objects.contract import Data, ObjectStore, Upload
from holdall.objects.integrity import check_conditions, check_digests
from holdall.objects.options import HEAD, PAGE_ITEMS, WRITE, WriteOptions, check_write
from holdall.objects.results import (
    BytesStream,
    Capabilities,
    DeleteFailure,
    ObjectMeta,
    ObjectStream,
    Page,
    UploadInfo,
    UploadPage,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from holdall.core.runtime import Runtime
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
    )

_EAGER_BYTES = 1024 * 1024  # a body of up to this size comes with the answer
_TEMPORARY = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class LocalSettings(Struct, frozen=True, kw_only=True):
    """Settings of `file://`.

    Args:
        path: The folder, absolute; made, with mode 0700, when something is first written.
        durable: Whether an answered write outlives a power cut.
        attributes: `auto` keeps metadata in extended attributes where the file system has them;
            `beside` keeps them in files under `.holdall` always.
        lock_timeout: How long to wait for another process that changes the same key.
    """

    path: str
    durable: bool = True
    attributes: Literal["auto", "beside"] = "auto"
    lock_timeout: timedelta = timedelta(seconds=30)


@final
class LocalStore(ObjectStore):
    """Objects as files below one folder of this machine."""

    settings_type = LocalSettings

    def __init__(self, settings: LocalSettings, runtime: Runtime) -> None:
        if not settings.path.startswith("/"):
            raise InvalidConfig(f"the setting 'path' must be absolute, and is {settings.path!r}")
        root = Reference.parse(settings.path, folder=True)
        super().__init__(root, settings, runtime)
        self._prefix = f"{root.key}/" if root.key else ""
        self._skip = len(self._prefix)
        self.tree = Tree(root.path or "/", durable=settings.durable, opener=best_opener)
        self.attributes = Attributes(self.tree, beside=settings.attributes == "beside")
        self.locks = KeyLocks(self.tree, settings.lock_timeout.total_seconds())
        self._lister = Lister(self.tree, self.attributes, root)
        self._capabilities = Capabilities(
            key_and_folder=False, resume="staged", local=True, durable=settings.durable
        )
        self.staging = Staging(self.tree)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> LocalStore:
        assert isinstance(settings, LocalSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {"path": f"/{reference.key}"}

    @property
    def type(self) -> str:
        return "file"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    # Writing

    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        return self._runtime.call(self._put, None, ref, data, options)

    def _put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        key = self.key_of(ref)
        if options is not WRITE:
            check_write(options, self._capabilities, ref)
            check_digests(data, options, ref)
            self._check(key, ref, options)  # before the bytes are written, and again under lock
        try:
            folder, name, descriptor = self.temporary()
            try:
                _write_all(descriptor, data)
                meta = self.publish(folder, name, descriptor, key, ref, name, options)
            except BaseException:
                if _inode(name, folder) is not None:  # else it was renamed, and a sync failed
                    os.unlink(name, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error
        return meta

    def temporary(self) -> tuple[int, str, int]:
        """Make a file in the workspace; answer its folder, its name, and its descriptor."""
        folder = self.tree.workspace().temporary
        name = os.urandom(16).hex()
        try:
            return folder, name, os.open(name, _TEMPORARY, 0o600, dir_fd=folder)
        except FileNotFoundError:
            if not self.tree.renew_workspace():
                raise
        return self.temporary()

    def publish_upload(
        self, ref: Reference, name: str, descriptor: int, options: WriteOptions
    ) -> ObjectMeta:
        """Make staged bytes the object."""
        folder = self.tree.workspace().uploads
        etag = os.urandom(16).hex()
        meta = self.publish(
            folder, f"{name}.part", descriptor, self.key_of(ref), ref, etag, options
        )
        self.staging.forget(name)
        return meta

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
        kept = kept_of(etag, status, options)
        self.attributes.write(descriptor, key, status, kept)
        if self.tree.durable:
            sync_to_medium(descriptor)
        with self.locks.hold(key):
            if options is not WRITE:
                self._check(key, ref, options)
            self.rename(folder, name, key, ref)
        return meta_of(self._root, key, kept, status, True)

    def rename(self, folder: int, name: str, key: str, ref: Reference) -> None:
        """Move a file of the workspace to its key, whose folders are made; under its lock."""
        above, _, leaf = key.rpartition("/")
        attributes = self.attributes
        beside = attributes.look_for_any() if attributes.used is None else attributes.used
        while True:
            try:
                parent = self.tree.open_folder(above)
            except OSError:
                parent = self._make_parent(above, ref)
            try:
                old = _inode(leaf, parent) if beside else None
                os.rename(name, leaf, src_dir_fd=folder, dst_dir_fd=parent)
                if self.tree.durable:
                    sync_to_medium(parent)
            except FileNotFoundError:
                # Either the folder was emptied and removed since it was opened, or our file is
                # gone, which this tells apart by raising.
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            except IsADirectoryError:
                self._make_room(key, leaf, parent, ref)
            else:
                if old is not None and old != os.stat(leaf, dir_fd=parent).st_ino:
                    attributes.forget(key, old)
                return
            finally:
                os.close(parent)

    def _make_parent(self, above: str, ref: Reference) -> int:
        try:
            try:
                return self.tree.make_folder(above)
            except FileNotFoundError:
                # A folder was removed between two steps, or the root is gone.
                self.tree.refresh()
                self.tree.workspace()
                return self.tree.make_folder(above)
        except NotADirectoryError as error:
            raise conflict(ref, self._root.known_child(error.filename)) from error

    def _make_room(self, key: str, leaf: str, parent: int, ref: Reference) -> None:
        """Remove an empty folder that stands where a file should; else say what is in it."""
        try:
            os.rmdir(leaf, dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError as error:
            below = self._lister.open(parent, leaf)
            if below is None:
                return
            try:
                first = self._lister.first_key(below, key)
            finally:
                os.close(below)
            raise conflict(ref, self._root.known_child(first or key)) from error

    def upload(
        self, ref: Reference, options: WriteOptions, resume: str | None
    ) -> Coroutine[Any, Any, Upload]:
        return self._runtime.call(self._upload, None, ref, options, resume)

    def _upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> LocalUpload:
        key = self.key_of(ref)
        try:
            if resume is None:
                check_write(options, self._capabilities, ref)
                name, descriptor, begun = self.staging.begin(key, options)
                return LocalUpload(self, ref, name, descriptor, begun)
            found = self.staging.find(resume, key)
        except BlockingIOError as error:
            raise busy(ref, resume or "") from error
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error
        if found is None:
            raise NotFound(f"{ref} has no upload {resume!r} to go on with", reference=ref)
        return LocalUpload(self, ref, resume, *found)

    def uploads(self, prefix: Reference, token: str | None) -> Coroutine[Any, Any, UploadPage]:
        return self._runtime.call(self._uploads, None, prefix, token)

    def _uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        folder = prefix.relative_to(self._root)
        start = f"{folder}/" if folder else ""
        infos: list[UploadInfo] = []
        for key, name, size, begun in self.staging.all():
            place = f"{key}\0{name}"
            if key.startswith(start) and (token is None or place > token):
                if len(infos) == PAGE_ITEMS:
                    return UploadPage(tuple(infos), f"{infos[-1].key}\0{infos[-1].id}")
                infos.append(UploadInfo(self._root, key, name, size, begun.begun_ns))
        return UploadPage(tuple(infos))

    # Reading

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        return self._runtime.call(self._get, None, ref, options)

    def _get(self, ref: Reference, options: GetOptions) -> ObjectStream:
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
            meta = meta_of(self._root, key, kept, status, options.tags)
            if options.if_match is not None:
                check_conditions(meta.etag, options.if_match, None, ref)
            start, end = options.span(status.st_size, ref)
            if end - start > _EAGER_BYTES:
                stream = FileStream(meta, start, end - start, descriptor, self.runtime)
                descriptor = -1
                return stream
            data = os.pread(descriptor, end - start, start)
            if len(data) < end - start:
                raise shortened(meta)
            return BytesStream(meta, start, data)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, ref) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def head(self, ref: Reference, options: HeadOptions) -> Coroutine[Any, Any, ObjectMeta]:
        return self._runtime.call(self.look, None, ref, options)

    def look(self, ref: Reference, options: HeadOptions = HEAD) -> ObjectMeta:
        """What is known of an object; `head` without the coroutine."""
        key = self.key_of(ref)
        try:
            descriptor = self.tree.open_file(key)
        except OSError as error:
            descriptor = self._open_again(ref, key, error)
        try:
            status = os.fstat(descriptor)
            kept = self.attributes.read(descriptor, key, status)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise not_found(ref)
        return meta_of(self._root, key, kept, status, options.tags)

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

    def list(self, prefix: Reference, options: ListOptions) -> Coroutine[Any, Any, Page]:
        return self._runtime.call(self._list, None, prefix, options)

    def _list(self, prefix: Reference, options: ListOptions) -> Page:
        try:
            return self._lister.page(prefix.relative_to(self._root), options)
        except HoldallError:
            raise
        except OSError as error:
            raise translate(error, prefix) from error

    # Changing

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        failures: list[DeleteFailure] = []
        folders: dict[str, None] = {}
        for ref in refs:
            try:
                key = self.key_of(ref)
                await self._runtime.call(self._delete, None, ref, key, options)
                folders[key.rpartition("/")[0]] = None
            except HoldallError as error:
                failures.append(DeleteFailure(ref, error))
        for folder in folders:
            await self._runtime.call(self._settle, None, folder)
        return failures

    def _delete(self, ref: Reference, key: str, options: DeleteOptions) -> None:
        above, _, leaf = key.rpartition("/")
        try:
            parent = self.tree.open_folder(above)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise translate(error, ref) from error
        try:
            status = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                return
            with self.locks.hold(key):
                if options.if_match is not None:
                    etag = self.etag_now(key)
                    if etag is None:
                        return
                    check_conditions(etag, options.if_match, None, ref)
                if not stat.S_ISREG(status.st_mode):
                    os.close(self.tree.opener.reader(parent)(leaf))  # says that it is a link
                os.unlink(leaf, dir_fd=parent)
                self.attributes.forget(key, status.st_ino)
        except HoldallError:
            raise
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, ref) from error
        finally:
            os.close(parent)

    def _settle(self, folder: str) -> None:
        """Make deletions in a folder durable, and remove it when they emptied it."""
        try:
            descriptor = self.tree.open_folder(folder)
        except OSError:
            return  # it is gone with its objects
        try:
            self.tree.sync(descriptor)
        finally:
            os.close(descriptor)
        self.tree.prune(folder)

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        return await Copier(self).run(source, target, options)

    def remove_folder(self, prefix: Reference) -> Coroutine[Any, Any, None]:
        return self._runtime.call(self._remove_folder, None, prefix)

    def _remove_folder(self, prefix: Reference) -> None:
        folder = prefix.relative_to(self._root)
        above, _, leaf = folder.rpartition("/")
        try:
            parent = self.tree.open_folder(above)
            try:
                if leaf:
                    os.rmdir(leaf, dir_fd=parent)
                    self.tree.sync(parent)
            finally:
                os.close(parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KeyConflict(
                f"{prefix} is not an empty folder: delete what is in it first", reference=prefix
            ) from error

    async def sign(self, ref: Reference, options: SignOptions) -> str:
        raise Unsupported(f"{ref} is a file of this machine: no URL leads there", reference=ref)

    async def close(self) -> None:
        self.locks.close()
        self.tree.close()

    # For this package

    def key_of(self, ref: Reference) -> str:
        """The key of an object, relative to the root; checked as the file system sees it."""
        key = ref.key
        if ref.scheme == "file" and key.startswith(self._prefix):
            key = key[self._skip :]
        else:
            key = ref.relative_to(self._root)
        if len(key) > MAX_KEY_BYTES // 4 or not key:
            check_key(key)  # a reference may be longer than a key, for it holds the whole path
        return key

    def _check(self, key: str, ref: Reference, options: WriteOptions) -> None:
        if options.if_match is not None or options.if_none_match is not None:
            check_conditions(self.etag_now(key), options.if_match, options.if_none_match, ref)

    def etag_now(self, key: str) -> str | None:
        """The etag of what is there now; None for nothing."""
        try:
            descriptor = self.tree.open_file(key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            return etag_of(self.attributes.read(descriptor, key, status), status)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: Data) -> None:
    if os.write(descriptor, data) != len(data):
        # One call moves at most 2 GiB, and less when the disk gets full.
        view = memoryview(data).cast("B")
        done = os.lseek(descriptor, 0, os.SEEK_CUR)
        while done < len(view):
            done += os.write(descriptor, view[done:])


def _inode(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None
