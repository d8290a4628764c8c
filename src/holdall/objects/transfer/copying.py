"""One object, from one store to another: verified, and resumed where a former run was cut off.

What fits a part is put; what does not is uploaded. The source is one stream, opened once, and is
asked at the end whether it is still the object that was opened. Layers repeat no step of an
upload, so that this does: a step that failed for a moment is done again in the same upload.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    KeyConflict,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.objects.integrity import Hashed
from holdall.objects.options import (
    GET,
    HEAD,
    HEAD_TAGS,
    PART_BYTES,
    WRITE,
    GetOptions,
    WriteOptions,
    check_size,
    check_write,
)
from holdall.objects.results import ObjectMeta
from holdall.objects.transfer.digests import Digest, digest_of
from holdall.objects.transfer.staged import Staged
from holdall.objects.transfer.trying import Tries

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from holdall.objects.contract import ObjectStore, Upload
    from holdall.objects.results import ObjectStream


_SMALL_BYTES = 64 * 1024


class Copied(Struct, frozen=True):
    """How an object came over.

    Args:
        meta: What the target knows of it.
        resumed: How many of its bytes the target had already, and were not sent again.
        source: What the source knew of it when it was opened.
        reread: How many of the resumed bytes were read from the source again.
    """

    meta: ObjectMeta
    resumed: int
    source: ObjectMeta
    reread: int = 0


class Fetched(Struct, frozen=True, gc=False):
    """An object that fits a part, read and found to be what was recorded.

    Args:
        ref: What it becomes.
        data: Its bytes.
        options: What is kept with it.
        source: What the source knew of it when it was opened.
    """

    ref: Reference
    data: bytes
    options: WriteOptions
    source: ObjectMeta


class _Moved:
    """How many bytes of an object were told to have come over."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._size = 0

    def add(self, size: int) -> None:
        self._size += size
        self._tell(size)

    def begin_anew(self) -> None:
        if self._size:
            self._tell(-self._size)
        self._size = 0


class Copier:
    """Copies objects from one store to another.

    Args:
        source: Where from.
        target: Where to.
        folder: Where at the target it copies to; the uploads left there may be gone on with.
        tags: Whether tags are carried too.
        content_type: Kept instead of the source's own; None for that.
        metadata: Likewise.

    Attributes:
        small_bytes: How large an object may be for `fetch`.
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
        # What is larger takes longer to read than what is saved by reading many in a row.
        self.small_bytes = min(_SMALL_BYTES, PART_BYTES)
        self._staged = Staged(target, folder)
        self._tags = tags
        steady = source.capabilities.local
        self._asked = GetOptions(tags=tags, steady=steady) if tags or steady else GET
        self._content_type = content_type
        self._metadata = metadata
        # Reading a file of this machine again costs less than vouching for it: it may be changed
        # in place.
        self._notes = source.capabilities.remote and target.capabilities.resume == "staged"

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
            LimitExceeded: It is longer than what the target takes; nothing was sent.
        """
        stream = await self._source.get(source, self._asked)
        data = stream.whole
        if data is None or len(data) > PART_BYTES:
            async with stream:
                check_size(stream.length, self._target.capabilities, target)
                if stream.length > PART_BYTES:
                    return await self._copy_large(stream, target, moved)
                data = await stream.read_all()
        if stream.whole is None:
            await self._check_unchanged(stream.meta, len(data))
        sha256 = await digest_of(data, self._target.runtime)
        fetched = self._fetched(stream.meta, data, sha256, target)
        meta = await self.send(fetched)
        moved(len(data))
        return Copied(meta, 0, fetched.source)

    async def fetch(self, source: Reference, target: Reference) -> Fetched | None:
        """Read an object that is small, with what it takes to `send` it.

        Args:
            source: What.
            target: Where to.

        Returns:
            None when it is larger than `small_bytes`, and `copy` is for it.

        Raises:
            PreconditionFailed: The source changed meanwhile.
            Corrupt: The source does not have the bytes that were recorded for it.
        """
        stream = await self._source.get(source, self._asked)
        data = stream.whole
        if data is None:
            async with stream:
                if stream.length > self.small_bytes:
                    return None
                data = await stream.read_all()
            await self._check_unchanged(stream.meta, len(data))
        elif len(data) > self.small_bytes:
            return None
        # It takes no longer than handing it to a thread.
        sha256 = hashlib.sha256(data).hexdigest()
        return self._fetched(stream.meta, data, sha256, target)

    def send(self, fetched: Fetched) -> Coroutine[Any, Any, ObjectMeta]:
        """Write what was fetched, whole or not at all."""
        return self._target.put(fetched.ref, fetched.data, fetched.options)

    def _fetched(self, found: ObjectMeta, data: bytes, sha256: str, target: Reference) -> Fetched:
        _check_bytes(found, len(data), sha256)
        return Fetched(target, data, self._options(found, target, sha256, data), found)

    async def _copy_large(
        self, stream: ObjectStream, target: Reference, tell: Callable[[int], object]
    ) -> Copied:
        meta, moved = stream.meta, _Moved(tell)
        # Some services keep only what is said at the beginning.
        wanted = self._options(meta, target, meta.sha256)
        left = await self._left_behind(target, meta)
        if left is not None:
            upload, sha256 = left
            start = upload.offset
            try:
                vouched = await self._is_vouched_for(upload, sha256, meta)
                if vouched:
                    written = await self._send_rest(stream, upload, moved)
                else:
                    written = await self._send(stream, upload, moved, begun=False)
                # The upload began under the options of that time.
                known = await self._target.head(target, HEAD_TAGS if self._tags else HEAD)
                if self._notes:
                    await self._staged.forget(upload)
                if _is_kept(known, wanted):
                    resumed = start + upload.kept
                    return Copied(written, resumed, meta, 0 if vouched else resumed)
            except (Corrupt, PreconditionFailed):
                # The bytes staged are not the source's first ones, which only the commit can tell,
                # or they wait for a condition that does not hold. They stay, with what was added.
                # Begin anew.
                pass
            stream = await self._again(meta, moved)
        tries = Tries(self._target.runtime)
        while True:
            async with stream:
                upload = await self._target.upload(target, wanted, None)
                try:
                    return Copied(await self._send(stream, upload, moved, begun=True), 0, meta)
                except HoldallError as error:
                    # Where bytes are kept it was gone on with, as often as makes sense.
                    if self._target.capabilities.resume != "none":
                        raise
                    await tries.again(error)
            stream = await self._again(meta, moved)

    async def _again(self, meta: ObjectMeta, moved: _Moved) -> ObjectStream:
        """The source from its first byte, as it was."""
        moved.begin_anew()
        return await self._source.get(meta.ref, GetOptions(if_match=meta.etag, tags=self._tags))

    async def _left_behind(
        self, target: Reference, meta: ObjectMeta
    ) -> tuple[Upload, str | None] | None:
        """The upload to go on with, and its SHA-256 if told; None when one must be begun.

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
                return upload, info.sha256
            await upload.close()
        return None

    async def _is_vouched_for(self, upload: Upload, sha256: str | None, meta: ObjectMeta) -> bool:
        """Whether what is staged need not be compared with the source, byte by byte."""
        if not upload.offset:
            return False
        # Either it was begun for the very bytes that the source recorded, and the commit compares
        # the whole with that; or who was cut off wrote down whose first bytes these are. Otherwise
        # only the source itself can tell, and it is read from its first byte.
        if sha256 is not None and sha256 == meta.sha256:
            return True
        try:
            return self._notes and await self._staged.vouches(upload, meta)
        except BaseException:
            await upload.close()
            raise

    async def _send_rest(self, stream: ObjectStream, upload: Upload, moved: _Moved) -> ObjectMeta:
        """Read and write only what a vouched-for upload does not have yet, and commit it."""
        meta, at = stream.meta, upload.offset
        try:
            await stream.close()  # its body, from the first byte, is not wanted
            moved.add(at)
            if at < meta.size:
                asked = GetOptions(start=at, if_match=meta.etag)
                async with await self._source.get(meta.ref, asked) as rest:
                    while chunk := await rest.read(PART_BYTES):
                        await self._write(upload, memoryview(chunk))
                        at += len(chunk)
                        moved.add(len(chunk))
            await self._check_unchanged(meta, at)
            # Where none is recorded, that of what came, all under one etag.
            sha256 = meta.sha256 or await upload.digest()
            _check_bytes(meta, at, sha256)  # the digest is checked by the commit
            return await self._commit(upload, at, sha256)
        except (Corrupt, PreconditionFailed):
            raise
        except HoldallError:
            # Not after Ctrl-C, which does not wait until all that is staged is read.
            if self._notes and meta.sha256 is None:
                await self._staged.note(upload, meta, await upload.digest())
            raise
        finally:
            await upload.close()

    async def _send(
        self, stream: ObjectStream, upload: Upload, moved: _Moved, *, begun: bool
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
                    await self._write(upload, view[len(seen) :])
                    await digest.add(view[len(seen) :])
                at += len(chunk)
                moved.add(len(chunk))
            sha256 = digest.text()
            await self._check_unchanged(stream.meta, at)
            _check_bytes(stream.meta, at, sha256)
            return await self._commit(upload, at, sha256)
        except (Corrupt, PreconditionFailed, KeyConflict):
            # These bytes can become nothing. After any other error they are left for a resume.
            if begun:
                await upload.abort()
            raise
        except BaseException:
            if self._notes and upload.offset == at:  # else the digest is not that of what is there
                await self._staged.note(upload, stream.meta, digest.text())
            if begun and self._target.capabilities.resume == "none":
                await upload.abort()
            raise
        finally:
            await upload.close()

    async def _write(self, upload: Upload, data: memoryview) -> None:
        """Write to an upload; what failed for a moment goes on after the bytes that arrived."""
        start, tries = upload.offset, Tries(self._target.runtime)
        while True:
            arrived = upload.offset
            try:
                return await upload.write(data[arrived - start :])
            except HoldallError as error:
                if self._target.capabilities.resume == "none" or upload.offset < start:
                    raise
                if upload.offset > arrived:
                    tries = Tries(self._target.runtime)
                await tries.again(error)

    async def _commit(self, upload: Upload, size: int, sha256: str) -> ObjectMeta:
        tries = Tries(self._target.runtime)
        lost: HoldallError | None = None
        while True:
            try:
                return await upload.commit(size, sha256)
            except NotFound:
                if lost is None:
                    raise
                # The upload has ended: it was the answer that was lost, and not the commit.
                known = await self._target.head(upload.ref, HEAD)
                if (known.size, known.sha256) != (size, sha256):
                    raise lost from None
                return known
            except HoldallError as error:
                if self._target.capabilities.resume == "none" or error.uncertain:
                    raise
                await tries.again(error)
                lost = error

    async def _check_unchanged(self, meta: ObjectMeta, size: int) -> None:
        """Raise unless an object whose body came in pieces is still the one that was opened."""
        # Services replace objects whole. A file may be changed in place while it is read; and
        # beside the copy of a large object the question costs nothing.
        if self._source.capabilities.local or size > PART_BYTES:
            now = await self._source.head(meta.ref, HEAD)
            if now.etag != meta.etag:
                raise PreconditionFailed(
                    f"{meta.ref} changed while it was copied; sync again", reference=meta.ref
                )

    def _options(
        self, meta: ObjectMeta, target: Reference, sha256: str | None, data: bytes | None = None
    ) -> WriteOptions:
        content_type = self._content_type or meta.content_type
        metadata = meta.metadata if self._metadata is None else dict(self._metadata)
        tags = meta.tags or {}
        if data is not None and content_type is None and not (metadata or tags):
            return Hashed(sha256=sha256, data=data)
        if data is None:
            options = WriteOptions(
                content_type=content_type, metadata=metadata, tags=tags, sha256=sha256
            )
        else:
            options = Hashed(
                content_type=content_type, metadata=metadata, tags=tags, sha256=sha256, data=data
            )
        if not (content_type or metadata or tags):
            return options
        try:
            check_write(options, self._target.capabilities, target)
        except (ValueError, TypeError) as error:
            raise Unsupported(f"{target}: {error}", reference=target) from error
        return options


def _is_kept(known: ObjectMeta, wanted: WriteOptions) -> bool:
    """Whether an object has what was to be kept with it; its tags count where they are known."""
    tags = wanted.tags if known.tags is None else known.tags
    kept = (known.content_type, known.metadata, tags)
    return kept == (wanted.content_type, wanted.metadata, wanted.tags)


def _check_bytes(meta: ObjectMeta, size: int, sha256: str) -> None:
    """Raise unless what was read is as much as was announced, and what was recorded."""
    if size != meta.size:
        raise PreconditionFailed(
            f"{meta.ref} had {meta.size} bytes and gave {size}: it changed while it was "
            "copied; sync again",
            reference=meta.ref,
        )
    if meta.sha256 is not None and meta.sha256 != sha256:
        raise Corrupt(
            f"{meta.ref} is damaged: its bytes have SHA-256 {sha256}, and {meta.sha256} was "
            "recorded when it was written. It is not copied",
            reference=meta.ref,
        )
