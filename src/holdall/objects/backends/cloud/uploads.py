"""Uploads: parts that the service keeps, and a note that finds them again.

Bytes gather in memory until they make a part; an upload that ends before that is one plain put.
With the first part a note is written under `.holdall/uploads`, which names the object, the
options, and what the service calls the upload. So an upload can be listed, continued and purged
from anywhere, on services that list uploads and on those that do not.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from holdall.core.errors import HoldallError, LimitExceeded, NotFound
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.backends.cloud.sending import CloudUpload
from holdall.objects.integrity import check_digests
from holdall.objects.options import GET, WRITE, WriteOptions, check_write
from holdall.objects.results import ObjectMeta, UploadInfo, UploadPage

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.container import Container
    from holdall.objects.backends.cloud.reading import Reader
    from holdall.objects.backends.cloud.service import Part
    from holdall.objects.backends.cloud.writing import Writer
    from holdall.objects.contract import Data

_ID = re.compile(r"[0-9a-f]{32}\Z")
_PAGE = 1000
_log = logging.getLogger("holdall.objects.cloud")


class Note(Struct, frozen=True):
    """What is written down of an upload.

    Args:
        key: What it will become, from the container.
        session: What the service calls it.
        begun_ns: When it was begun, in nanoseconds since 1970 UTC.
        options: What it began with.
        part_bytes: How large its first parts are.
    """

    key: str
    session: str
    begun_ns: int
    options: WriteOptions
    part_bytes: int


class Staging:
    """The uploads of one store."""

    def __init__(
        self, container: Container, reader: Reader, writer: Writer, part_bytes: int
    ) -> None:
        self.container = container
        self.writer = writer
        self._part_bytes = part_bytes
        self._reader = reader
        self._folder = f"{RESERVED_SEGMENT}/uploads"

    async def open(self, ref: Reference, options: WriteOptions, resume: str | None) -> CloudUpload:
        """Begin an upload, or go on with one."""
        container = self.container
        if resume is None:
            check_write(options, container.service.capabilities, ref)
            container.service.attributes(
                options
            )  # says now what the service would refuse at the end
            return CloudUpload(self, ref, uuid.uuid4().hex, options, self._part_bytes)
        note = await self._read(resume) if _ID.match(resume) else None
        if note is None or note.key != ref.key:
            raise NotFound(f"{ref} has no upload {resume!r} to go on with", reference=ref)
        # Whoever goes on may ask for the digest, even if who began it did not.
        options = structs.replace(note.options, digest=True)
        upload = CloudUpload(self, ref, resume, options, note.part_bytes)
        try:
            parts = await container.run(container.service.parts, ref, note.session)
        except NotFound as error:
            with suppress(HoldallError):  # who may not remove the note is told the same
                await self.forget(resume)
            raise NotFound(
                f"{ref} has no upload {resume!r} to go on with", reference=ref
            ) from error
        upload.go_on(note.session, parts)
        return upload

    async def page(self, prefix: Reference) -> UploadPage:
        """All uploads under a prefix; there are few, so that one page holds them."""
        container = self.container
        notes = container.root.known_child(self._folder)
        names: list[str] = []
        token: str | None = None
        while True:
            listing = await container.run(
                container.service.page, notes, f"{notes.key}/", False, _PAGE, token
            )
            names += [known.key.rpartition("/")[2] for known in listing.found]
            token = listing.token
            if token is None:
                break
        ids = [name for name in names if _ID.match(name)]
        found = [
            info
            async for info in container.runtime.map(self._info, ids, container.workers)
            if info is not None and prefix.holds(info.ref) and info.ref != prefix
        ]
        found.sort(key=lambda info: (info.key.encode(), info.id))
        return UploadPage(tuple(found))

    async def _info(self, name: str) -> UploadInfo | None:
        note = await self._read(name)
        container = self.container
        if note is None:
            return None
        ref = structs.replace(container.root, key=note.key)
        try:
            parts = await container.run(container.service.parts, ref, note.session)
        except NotFound:
            parts = []  # the service has dropped them; the note goes when it is purged
        offset = sum(part.size for part in parts)
        return UploadInfo(
            container.root,
            container.relative(note.key),
            name,
            offset,
            note.begun_ns,
            note.options.sha256,
        )

    async def _read(self, name: str) -> Note | None:
        try:
            stream = await self._reader.get(self._ref(name), GET)
            return msgspec.json.decode(await stream.read_all(), type=Note)
        except (NotFound, msgspec.MsgspecError):
            return None

    async def begin(self, name: str, ref: Reference, options: WriteOptions, part_bytes: int) -> str:
        """Begin an upload and write it down; answer what the service calls it."""
        container = self.container
        session = await container.run(container.service.begin, ref, options, name)
        note = Note(ref.key, session, time.time_ns(), options, part_bytes)
        try:
            await self.writer.put(self._ref(name), msgspec.json.encode(note), WRITE)
        except BaseException as error:
            await self._give_up(ref, session, name, error)
            raise
        return session

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write a large object in parts, several at once; nothing of it is left on an error."""
        container = self.container
        service = container.service
        check_write(options, service.capabilities, ref)
        check_digests(data, options, ref)
        service.attributes(options)
        limit = service.capabilities.max_object_bytes
        if limit is not None and len(data) > limit:
            raise LimitExceeded(
                f"{ref}: {len(data)} bytes, and the service takes {limit} (max_object_bytes)",
                reference=ref,
            )
        part_bytes = max(self._part_bytes, -(-len(data) // service.most_parts))
        name = uuid.uuid4().hex
        session = await self.begin(name, ref, options, part_bytes)
        try:
            with memoryview(data) as view:

                async def send(number: int) -> Part:
                    piece = view[(number - 1) * part_bytes : number * part_bytes]
                    return await container.run(service.put_part, ref, session, number, piece)

                numbers = range(1, -(-len(data) // part_bytes) + 1)
                sent = container.runtime.map(send, numbers, container.workers)
                parts = [part async for part in sent]
            meta = await self.writer.finish(ref, session, parts, options, len(data))
        except BaseException as error:
            await self._give_up(ref, session, name, error)
            raise
        await self.tidy(ref, session, name)
        return meta

    async def drop(self, ref: Reference, session: str, name: str) -> None:
        """Forget an upload and its parts."""
        container = self.container
        async with container.runtime.cleaning():
            await container.run(self._drop, ref, session, name)

    async def tidy(self, ref: Reference, session: str, name: str) -> None:
        """Remove what is left of an upload that has become the object, whatever comes of it."""
        container = self.container
        try:
            async with container.runtime.cleaning():
                await container.run(container.service.tidy, ref, session)
                await self.forget(name)
        except HoldallError as error:
            _log.warning("%s is written; its upload %r is still there: %s", ref, name, error)

    async def forget(self, name: str) -> None:
        """Remove a note; last of all, since it finds what else is there."""
        await self.container.run(self._forget, name)

    async def _give_up(self, ref: Reference, session: str, name: str, error: BaseException) -> None:
        """Forget an upload that failed; the error that it failed with is the one to tell."""
        try:
            await self.drop(ref, session, name)
        except HoldallError as later:
            error.add_note(f"its upload {name!r} is still there: {later}")

    def _drop(self, ref: Reference, session: str, name: str) -> None:
        # In one call, which also somebody who is cancelled once more waits for.
        self.container.service.drop(ref, session)
        self._forget(name)

    def _forget(self, name: str) -> None:
        for _, error in self.container.service.delete([self._ref(name)]):
            raise error

    def _ref(self, name: str) -> Reference:
        return self.container.root.known_child(f"{self._folder}/{name}")
