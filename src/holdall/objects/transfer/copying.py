"""One object, from one store to another: verified, and resumed where a former run was cut off.

What fits a part is put; what does not is uploaded. The source is one stream, opened once, and is
asked at the end whether it is still the object that was opened.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import (
    Corrupt,
    KeyConflict,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.objects.options import (
    GET,
    HEAD,
    PART_BYTES,
    WRITE,
    GetOptions,
    WriteOptions,
    check_write,
)
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.contract import Data, ObjectStore, Upload
    from holdall.objects.results import ObjectStream, UploadInfo

_INLINE_BYTES = 64 * 1024  # hashing less than this takes no longer than handing it to a thread


class Copied(Struct, frozen=True):
    """How an object came over: what the target knows of it, and how many bytes it had already."""

    meta: ObjectMeta
    resumed: int


class Digest:
    """A SHA-256 that grows without blocking an event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._hash = hashlib.sha256()

    async def add(self, data: Data) -> None:
        """Add bytes."""
        if self._runtime.blocking or len(data) < _INLINE_BYTES:
            self._hash.update(data)
        else:
            await self._runtime.call(self._hash.update, None, data)

    def text(self) -> str:
        """The digest so far, hexadecimal."""
        return self._hash.hexdigest()


class Staged:
    """The uploads that former runs left at the target, asked for once and only when needed."""

    def __init__(self, target: ObjectStore, folder: Reference) -> None:
        self._target = target
        self._folder = folder
        self._lock = target.runtime.lock()
        self._found: dict[str, list[UploadInfo]] | None = None

    async def of(self, ref: Reference) -> list[UploadInfo]:
        """The uploads of one key, the newest first: an older one was found not to fit."""
        if self._target.capabilities.resume == "none":
            return []
        async with self._lock:
            if self._found is None:
                self._found = await self._list()
        key = ref.relative_to(self._target.root)
        return sorted(self._found.get(key, ()), key=lambda info: -info.begun_ns)

    async def _list(self) -> dict[str, list[UploadInfo]]:
        found: dict[str, list[UploadInfo]] = {}
        token = None
        while True:
            try:
                page = await self._target.uploads(self._folder, token)
            except (PermissionDenied, Unsupported):
                # Who may write but not list uploads begins each anew, and is not kept from it.
                return found
            for info in page.uploads:
                found.setdefault(info.key, []).append(info)
            token = page.token
            if token is None:
                return found


class Copier:
    """Copies objects from one store to another.

    Args:
        source: Where from.
        target: Where to.
        folder: Where at the target it copies to; the uploads left there may be gone on with.
        tags: Whether tags are carried too.
        content_type: Kept instead of the source's own; None for that.
        metadata: Likewise.
    """

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        folder: Reference,
        *,
        tags: bool = False,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._staged = Staged(target, folder)
        self._tags = tags
        self._content_type = content_type
        self._metadata = metadata

    async def copy(
        self, source: Reference, target: Reference, moved: Callable[[int], object]
    ) -> Copied:
        """Copy one object with its content type and metadata, whole or not at all.

        Args:
            source: What.
            target: Where to.
            moved: Called with the number of bytes after each part.

        Raises:
            PreconditionFailed: The source changed meanwhile.
            Corrupt: The source does not have the bytes that were recorded for it.
        """
        stream = await self._source.get(source, GetOptions(tags=True) if self._tags else GET)
        async with stream:
            if stream.length > PART_BYTES:
                return await self._copy_large(stream, target, moved)
            data = await stream.read_all()
        digest = Digest(self._target.runtime)
        await digest.add(data)
        sha256 = digest.text()
        await self._check_source(stream.meta, len(data), sha256)
        meta = await self._target.put(target, data, self._options(stream.meta, target, sha256))
        moved(len(data))
        return Copied(meta, 0)

    async def _copy_large(
        self, stream: ObjectStream, target: Reference, moved: Callable[[int], object]
    ) -> Copied:
        meta = stream.meta
        # Some services keep only what is said at the beginning.
        wanted = self._options(meta, target, meta.sha256)
        upload = await self._left_behind(target, meta)
        if upload is not None:
            resumed = upload.offset
            try:
                written = await self._send(stream, upload, moved, begun=False)
                # The upload began under the options of that time.
                known = await self._target.head(target, HEAD)
                if (known.content_type, known.metadata) == (wanted.content_type, wanted.metadata):
                    return Copied(written, resumed)
            except (Corrupt, PreconditionFailed):
                # The bytes staged are not the source's first ones, which only the commit can tell,
                # or they wait for a condition that does not hold. They stay, with what was added.
                # Begin anew.
                pass
            moved(-meta.size)
            stream = await self._source.get(meta.ref, GetOptions(if_match=meta.etag))
        async with stream:
            upload = await self._target.upload(target, wanted, None)
            return Copied(await self._send(stream, upload, moved, begun=True), 0)

    async def _left_behind(self, target: Reference, meta: ObjectMeta) -> Upload | None:
        """The upload to go on with; None when a new one must be begun.

        One that does not fit stays as it is: nothing says whether a sync began it or somebody
        else, who will go on with it. So what a sync left of a source that has changed since
        stays too, until it is purged by age; `holdall uploads` lists it.
        """
        for info in await self._staged.of(target):
            if info.begun_ns < meta.modified_ns:
                continue  # its bytes are of another source, or of what this one was before
            try:
                upload = await self._target.upload(target, WRITE, info.id)
            except (NotFound, Unavailable):
                continue  # it ended meanwhile, or another process is writing to it
            # Where parts are compared instead of trusted, an upload goes on from its start.
            if info.offset > 0 and upload.offset <= meta.size:
                return upload
            await upload.close()
        return None

    async def _send(
        self, stream: ObjectStream, upload: Upload, moved: Callable[[int], object], *, begun: bool
    ) -> ObjectMeta:
        """Write what the upload does not have yet, and commit it.

        Only one that was `begun` here is ever aborted; one that was found is let go of.
        """
        digest = Digest(self._target.runtime)
        at, start = 0, upload.offset
        try:
            while chunk := await stream.read(PART_BYTES):
                view = memoryview(chunk)
                seen = view[: max(0, start - at)]
                await digest.add(seen)
                if seen and at + len(seen) == start and digest.text() != await upload.digest():
                    # Before a byte is added to what may be somebody else's.
                    raise Corrupt(
                        f"{upload.ref}: what is staged is not what {stream.meta.ref} begins with",
                        reference=upload.ref,
                    )
                if len(seen) < len(view):
                    await upload.write(view[len(seen) :])
                    await digest.add(view[len(seen) :])
                at += len(chunk)
                moved(len(chunk))
            await self._check_source(stream.meta, at, digest.text())
            return await upload.commit(at, digest.text())
        except (Corrupt, PreconditionFailed, KeyConflict):
            # These bytes can become nothing. After any other error they are left for a resume.
            if begun:
                await upload.abort()
            raise
        except BaseException:
            if begun and self._target.capabilities.resume == "none":
                await upload.abort()
            raise
        finally:
            await upload.close()

    async def _check_source(self, meta: ObjectMeta, size: int, sha256: str) -> None:
        """Raise unless what was read is the object that was opened, and still there."""
        if size != meta.size:
            raise PreconditionFailed(
                f"{meta.ref} had {meta.size} bytes and gave {size}: it changed while it was "
                "copied; sync again",
                reference=meta.ref,
            )
        # Services replace objects whole. A file may be changed in place while it is read; and
        # beside the copy of a large object the question costs nothing.
        if self._source.capabilities.local or size > PART_BYTES:
            now = await self._source.head(meta.ref, HEAD)
            if now.etag != meta.etag:
                raise PreconditionFailed(
                    f"{meta.ref} changed while it was copied; sync again", reference=meta.ref
                )
        if meta.sha256 is not None and meta.sha256 != sha256:
            raise Corrupt(
                f"{meta.ref} is damaged: its bytes have SHA-256 {sha256}, and {meta.sha256} was "
                "recorded when it was written. It is not copied",
                reference=meta.ref,
            )

    def _options(
        self, meta: ObjectMeta, target: Reference, sha256: str | None = None
    ) -> WriteOptions:
        options = WriteOptions(
            content_type=self._content_type or meta.content_type,
            metadata=meta.metadata if self._metadata is None else dict(self._metadata),
            tags=meta.tags or {},
            sha256=sha256,
        )
        try:
            check_write(options, self._target.capabilities, target)
        except (ValueError, TypeError) as error:
            raise Unsupported(f"{target}: {error}", reference=target) from error
        return options


async def read_digest(store: ObjectStore, ref: Reference) -> tuple[ObjectMeta, str]:
    """Read an object, one part in memory at a time; answer what is known of it and its SHA-256."""
    digest = Digest(store.runtime)
    async with await store.get(ref, GET) as stream:
        while chunk := await stream.read(PART_BYTES):
            await digest.add(chunk)
    return stream.meta, digest.text()


def check_record(meta: ObjectMeta, sha256: str) -> None:
    """Raise `Corrupt` unless an object's bytes have the SHA-256 recorded for it, if one is."""
    if meta.sha256 is not None and meta.sha256 != sha256:
        raise Corrupt(
            f"{meta.ref} has SHA-256 {sha256}, and {meta.sha256} was recorded when it was written",
            reference=meta.ref,
        )


async def known_digest(store: ObjectStore, meta: ObjectMeta) -> str:
    """The SHA-256 of an object: the recorded one, or else that of its bytes."""
    if meta.sha256 is None:
        meta = await store.head(meta.ref, HEAD)
    if meta.sha256 is not None:
        return meta.sha256
    return (await read_digest(store, meta.ref))[1]
