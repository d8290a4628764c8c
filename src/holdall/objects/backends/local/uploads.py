"""Uploads: bytes staged under `.holdall/uploads` until they are committed.

An upload is two files: what it will become, and the bytes so far. Whoever writes holds a lock on
the bytes, which the kernel lets go of when the process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import weakref
from typing import TYPE_CHECKING, final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from holdall.core.errors import NotFound, Unavailable
from holdall.objects.backends.local.attributes import DAMAGED
from holdall.objects.backends.local.calls import write_all
from holdall.objects.backends.local.faults import translated
from holdall.objects.contract import Data, Upload
from holdall.objects.integrity import check_upload
from holdall.objects.options import PAGE_ITEMS, PART_BYTES, WriteOptions, check_write
from holdall.objects.results import UploadInfo, UploadPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.core.reference import Reference
    from holdall.objects.backends.local.files import Files
    from holdall.objects.results import ObjectMeta

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_GO_ON = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_ID_CHARACTERS = frozenset("0123456789abcdef")


class Begun(Struct, frozen=True):
    """What an upload will become."""

    key: str
    begun_ns: int
    options: WriteOptions


class Staging:
    """The uploads of a store."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._tree = files.tree

    def open(self, ref: Reference, options: WriteOptions, resume: str | None) -> LocalUpload:
        """Begin an upload, or go on with one."""
        key = self._files.key_of(ref)
        with translated(ref):
            if resume is None:
                check_write(options, self._files.capabilities, ref)
                return LocalUpload(self, self._files, ref, *self.begin(key, options))
            try:
                found = self.find(resume, key)
            except BlockingIOError as error:
                raise Unavailable(
                    f"the upload {resume!r} of {ref} is being written to now; wait for its "
                    "writer, or begin another upload",
                    reference=ref,
                ) from error
        if found is None:
            raise NotFound(f"{ref} has no upload {resume!r} to go on with", reference=ref)
        return LocalUpload(self, self._files, ref, resume, *found)

    def page(self, prefix: Reference, token: str | None) -> UploadPage:
        """Answer one page of the uploads under a folder."""
        root = self._files.root
        folder = prefix.relative_to(root)
        start = f"{folder}/" if folder else ""
        infos: list[UploadInfo] = []
        with translated(prefix):
            found = self.all()
        for key, name, size, begun in found:
            place = f"{key}\0{name}"
            if key.startswith(start) and (token is None or place > token):
                if len(infos) == PAGE_ITEMS:
                    return UploadPage(tuple(infos), f"{infos[-1].key}\0{infos[-1].id}")
                sha256 = begun.options.sha256
                infos.append(UploadInfo(root, key, name, size, begun.begun_ns, sha256))
        return UploadPage(tuple(infos))

    def begin(self, key: str, options: WriteOptions) -> tuple[str, int, Begun]:
        """Make an upload; answer its id, the descriptor of its bytes, and what it becomes."""
        name = os.urandom(16).hex()
        begun = Begun(key, time.time_ns(), options)
        # The note is whole before there are any bytes, or these could never be found again.
        temporary, written, note = self._files.temporary()
        try:
            write_all(note, msgspec.json.encode(begun))
            self._tree.sync(note)
            folder = self._tree.workspace().uploads
            os.rename(written, f"{name}.json", src_dir_fd=temporary, dst_dir_fd=folder)
        finally:
            os.close(note)
        descriptor = os.open(f"{name}.part", _NEW, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._tree.sync(folder)
        except BaseException:
            os.close(descriptor)
            raise
        return name, descriptor, begun

    def find(self, name: str, key: str) -> tuple[int, Begun] | None:
        """Open the bytes of an upload to go on; None when there is none for this key.

        Raises:
            BlockingIOError: Another process has them open.
        """
        begun = self.look(name)
        if begun is None or begun.key != key:
            return None
        try:
            descriptor = os.open(f"{name}.part", _GO_ON, dir_fd=self._tree.workspace().uploads)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink == 0:
                os.close(descriptor)
                return None  # it ended between the two calls
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, begun

    def look(self, name: str) -> Begun | None:
        """What an upload will become; None when there is none, or its note is damaged."""
        if not _ID_CHARACTERS.issuperset(name):
            return None
        try:
            note = os.open(f"{name}.json", _GO_ON, dir_fd=self._tree.workspace().uploads)
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(os.read(note, os.fstat(note).st_size), type=Begun)
        except DAMAGED:
            return None
        finally:
            os.close(note)

    def all(self) -> list[tuple[str, str, int, Begun]]:
        """Key, id, offset and note of all uploads, in that order."""
        try:
            folder = self._tree.open_folder(".holdall/uploads")
        except FileNotFoundError:
            return []
        found = []
        try:
            for file in os.listdir(folder):
                name, dot, kind = file.partition(".")
                begun = self.look(name) if dot and kind == "part" else None
                if begun is None:
                    continue
                try:
                    size = os.stat(file, dir_fd=folder).st_size
                except FileNotFoundError:
                    continue  # it ended meanwhile
                found.append((begun.key, name, size, begun))
        finally:
            os.close(folder)
        found.sort(key=lambda row: row[:2])
        return found

    def publish(
        self, ref: Reference, name: str, descriptor: int, options: WriteOptions
    ) -> ObjectMeta:
        """Make staged bytes the object."""
        folder, files = self._tree.workspace().uploads, self._files
        key, etag = files.key_of(ref), os.urandom(16).hex()
        meta = files.publish(folder, f"{name}.part", descriptor, key, ref, etag, options)
        self.forget(name)
        return meta

    def forget(self, name: str) -> None:
        """Remove an upload's files; nothing happens where they are gone."""
        folder = self._tree.workspace().uploads
        for kind in ("part", "json"):
            try:
                os.unlink(f"{name}.{kind}", dir_fd=folder)
            except FileNotFoundError:
                continue


@final
class LocalUpload(Upload):
    """An upload of a local store; the descriptor is its own.

    A forked child closes it and has no part in the upload: the lock belongs to all who have the
    descriptor, and would outlive the parent.
    """

    def __init__(
        self,
        staging: Staging,
        files: Files,
        ref: Reference,
        name: str,
        descriptor: int,
        begun: Begun,
    ) -> None:
        self._staging = staging
        self._files = files
        self._descriptor: int | None = descriptor
        self._forked = False
        self._begun = begun
        self.ref = ref
        self.id = name
        self.offset = os.fstat(descriptor).st_size
        _all_uploads.add(self)

    async def write(self, data: Data) -> None:
        self._open()
        view = memoryview(data).cast("B")
        for at in range(0, len(view), PART_BYTES):
            await self._files.runtime.call(self._append, None, view[at : at + PART_BYTES])

    def _append(self, view: memoryview) -> None:
        descriptor = self._open()
        with translated(self.ref):
            while view:
                written = os.pwrite(descriptor, view, self.offset)
                self.offset += written
                view = view[written:]

    async def digest(self) -> str:
        return await self._files.runtime.call(self._digest, None)

    def _digest(self) -> str:
        found = hashlib.sha256()
        with translated(self.ref):
            for chunk in self._bytes(self._open()):
                found.update(chunk)
        return found.hexdigest()

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        return await self._files.runtime.call(self._commit, None, size, sha256)

    def _commit(self, size: int | None, sha256: str | None) -> ObjectMeta:
        descriptor = self._open()
        options = self._begun.options
        with translated(self.ref):
            check_upload(self._bytes(descriptor), self.offset, size, sha256, options, self.ref)
            if sha256 is not None:
                options = replace(options, sha256=sha256)
            meta = self._staging.publish(self.ref, self.id, descriptor, options)
        self._release()
        return meta

    def _bytes(self, descriptor: int) -> Iterator[bytes]:
        at = 0
        while chunk := os.pread(descriptor, PART_BYTES, at):
            at += len(chunk)
            yield chunk

    async def abort(self) -> None:
        async with self._files.runtime.cleaning():
            await self._files.runtime.call(self._abort, None)

    def _abort(self) -> None:
        if self._descriptor is not None:
            self._staging.forget(self.id)
            self._release()

    async def close(self) -> None:
        if self._descriptor is not None:
            async with self._files.runtime.cleaning():
                await self._files.runtime.call(self._release, None)

    def forked(self) -> None:
        """Let go of it in a forked child; the parent's goes on."""
        # Closed and not unlocked, which would unlock it for the parent.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._forked = True
            os.close(descriptor)

    def _open(self) -> int:
        if self._forked:
            raise NotFound(
                f"the upload {self.id!r} of {self.ref} belongs to the process that this one was "
                "forked from; begin another here",
                reference=self.ref,
            )
        if self._descriptor is None:
            raise NotFound(f"the upload {self.id!r} of {self.ref} has ended", reference=self.ref)
        return self._descriptor

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # A child that is just being forked may still have it open, which would keep the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


_all_uploads: weakref.WeakSet[LocalUpload] = weakref.WeakSet()


def _forked() -> None:
    for upload in _all_uploads:
        upload.forked()


os.register_at_fork(after_in_child=_forked)
