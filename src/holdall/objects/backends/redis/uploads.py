"""Uploads: bytes staged under `.holdall` until they are committed.

Whoever writes holds a lease, renewed by each request. It is given back by `close`; that of a
process that died ends after 60 s, and until then nobody else can go on with its upload.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, final

import msgspec

from holdall.core.errors import Corrupt, HoldallError, NotFound, Unavailable
from holdall.objects.backends.redis.conditions import (
    check_size,
    match_of,
    none_match_of,
    refuse,
)
from holdall.objects.backends.redis.listing import upto
from holdall.objects.backends.redis.lua import LEASE_SECONDS
from holdall.objects.backends.redis.notes import Fingerprint, meta_of, tail_of
from holdall.objects.backends.redis.scripts_uploads import (
    ABORT,
    APPEND,
    BEGIN,
    COMMIT,
    LET_GO,
    PAGE,
    RESUME,
    STAGED,
)
from holdall.objects.contract import Data, Upload
from holdall.objects.integrity import check_upload
from holdall.objects.options import PART_BYTES, WRITE, WriteOptions, check_write
from holdall.objects.results import UploadInfo, UploadPage

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.redis.server import Server
    from holdall.objects.results import Capabilities, ObjectMeta

_ID = re.compile(r"[0-9a-f]{32}\Z")


@final
class Staging:
    """The uploads of a store."""

    def __init__(
        self, server: Server, root: Reference, capabilities: Capabilities, ttl: bytes
    ) -> None:
        self.server = server
        self.root = root
        self.ttl = ttl
        self._capabilities = capabilities

    async def open(self, ref: Reference, options: WriteOptions, resume: str | None) -> RedisUpload:
        """Begin an upload, or go on with one."""
        owner = os.urandom(16).hex()
        if resume is None:
            check_write(options, self._capabilities, ref)
            name = os.urandom(16).hex()
            asked = msgspec.json.encode(options)
            first = (ref.key.encode(), name.encode(), owner.encode(), asked)
            await self.server.run(BEGIN, first, ref)
            return RedisUpload(self, ref, name, owner, 0, options)
        reply = None
        if _ID.match(resume):
            args = (ref.key.encode(), resume.encode(), owner.encode())
            reply = await self.server.run(RESUME, args, ref)
        if reply is None:
            raise NotFound(f"{ref} has no upload {resume!r} to go on with", reference=ref)
        if reply == b"?taken":
            raise Unavailable(
                f"the upload {resume!r} of {ref} is being written to now; wait for its writer "
                f"({LEASE_SECONDS} s, if it has died), or begin another upload",
                reference=ref,
            )
        offset, _, asked = reply[1:].partition(b" ")
        begun = msgspec.json.decode(asked, type=WriteOptions)
        return RedisUpload(self, ref, resume, owner, int(offset), begun)

    async def page(self, prefix: Reference, token: str | None) -> UploadPage:
        """Answer one page of the uploads under a folder."""
        prefix.relative_to(self.root)
        start = f"{prefix.key}/".encode() if prefix.key else b""
        place = b"(" + start if start else b"-"
        if token is not None:
            place = b"(" + start + token.encode()
        last, text = await self.server.run(PAGE, (place, upto(start)), prefix)
        skip = len(self.root.key) + 1 if self.root.key else 0
        infos = []
        for line in text.decode().split("\n") if text else ():
            key, name, offset, begun, sha256 = line.split("\t")
            size, begun_ns = int(offset), int(begun) * 1000
            infos.append(UploadInfo(self.root, key[skip:], name, size, begun_ns, sha256 or None))
        return UploadPage(tuple(infos), last[len(start) :].decode() or None)


@final
class RedisUpload(Upload):
    """An upload, with the lease on it."""

    def __init__(
        self,
        staging: Staging,
        ref: Reference,
        name: str,
        owner: str,
        offset: int,
        options: WriteOptions,
    ) -> None:
        self._staging = staging
        self._server = staging.server
        self._held = (name.encode(), owner.encode())
        self._options = options
        self._open = True
        # Of what another process wrote nothing is known here.
        self._running = Fingerprint() if offset == 0 else None
        self.ref = ref
        self.id = name
        self.offset = offset

    async def write(self, data: Data) -> None:
        self._check_open()
        view = memoryview(data).cast("B")
        check_size(self.offset + len(view), self.ref)
        for at in range(0, len(view), PART_BYTES):
            part = bytes(view[at : at + PART_BYTES])
            # The server first cuts off what came after the offset: a reply that was lost does
            # not leave its bytes there twice.
            args = (*self._held, b"%d" % self.offset, part)
            self._check(await self._server.run(APPEND, args, self.ref))
            self.offset += len(part)
            if self._running is not None:
                self._running.update(part)

    async def digest(self) -> str:
        self._check_open()
        return (await self._stored({"sha256"}))["sha256"]

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        self._check_open()
        check_upload((), self.offset, size, None, WRITE, self.ref)
        wanted = [
            ("sha256", sha256),
            ("sha256", self._options.sha256),
            ("md5", self._options.content_md5),
        ]
        digests = [(name, digest.lower()) for name, digest in wanted if digest is not None]
        if digests:
            await self._verify(digests)
        return await self.publish(sha256)

    async def publish(self, sha256: str | None = None) -> ObjectMeta:
        """Make it the object, without another look at its bytes."""
        staging, options, ref = self._staging, self._options, self.ref
        found = b"" if self._running is None else self._running.hexdigest().encode()
        etag = os.urandom(16).hex().encode()
        tail = tail_of(options, self.offset, sha256)
        conditions = match_of(options.if_match), none_match_of(options.if_none_match)
        mine = (*self._held, b"%d" % self.offset, etag, found, tail, staging.ttl)
        reply = await self._server.run(COMMIT, (ref.key.encode(), *mine, *conditions), ref, True)
        if reply.startswith(b"!"):
            refuse(reply, options, ref)
        self._check(reply)
        self._open = False
        root = staging.root
        note = b"%s %s %s%s" % (etag, b"-" * 40, reply[1:], tail)
        return meta_of(root, ref.relative_to(root), self.offset, note)

    async def _verify(self, wanted: list[tuple[str, str]]) -> None:
        """Compare what is stored, whoever sent it."""
        found = await self._stored({name for name, _ in wanted})
        for name, digest in wanted:
            if found[name] != digest:
                called = "SHA-256" if name == "sha256" else "MD5"
                raise Corrupt(
                    f"{self.ref}: the bytes have {called} {found[name]}, "
                    f"and {digest} was announced",
                    reference=self.ref,
                )

    async def _stored(self, names: set[str]) -> dict[str, str]:
        """Read the staged bytes; answer the digests of these names."""
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        running = Fingerprint()
        for at in range(0, self.offset, PART_BYTES):
            count = min(PART_BYTES, self.offset - at)
            args = (*self._held, b"%d" % at, b"%d" % count)
            reply = await self._server.run(STAGED, args, self.ref)
            self._check(reply)
            part = memoryview(reply)[1:]
            if len(part) != count:
                raise self._short()
            running.update(part)
            for found in hashes.values():
                found.update(part)
        self._running = running
        return {name: found.hexdigest() for name, found in hashes.items()}

    async def abort(self) -> None:
        if self._open:
            self._open = False
            async with self._server.cleaning():
                await self._server.run(ABORT, self._held, self.ref)

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            async with self._server.cleaning():
                await self._server.run(LET_GO, self._held, self.ref)
        except HoldallError:
            return  # the lease ends by itself

    def _check_open(self) -> None:
        if not self._open:
            raise self._ended()

    def _check(self, reply: bytes) -> None:
        """Raise unless the server did what it was asked."""
        if reply == b"?ended":
            raise self._ended()
        if reply == b"?taken":
            raise Unavailable(
                f"the upload {self.id!r} of {self.ref} is being written to by another process, "
                f"since this one said nothing for {LEASE_SECONDS} s",
                reference=self.ref,
            )
        if reply == b"?short":
            raise self._short()

    def _ended(self) -> NotFound:
        return NotFound(f"the upload {self.id!r} of {self.ref} has ended", reference=self.ref)

    def _short(self) -> Corrupt:
        return Corrupt(
            f"{self.ref}: the server has fewer than the {self.offset} staged bytes that it took; "
            "begin another upload",
            reference=self.ref,
        )
