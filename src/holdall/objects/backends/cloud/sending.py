"""One upload to a cloud: a part is on its way while the next one gathers."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, final

from msgspec import structs

from holdall.core.errors import Corrupt, NotFound, Unsupported
from holdall.objects.backends.cloud.gathering import Gathering
from holdall.objects.contract import Upload

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.service import Part
    from holdall.objects.backends.cloud.uploads import Staging
    from holdall.objects.contract import Data
    from holdall.objects.options import WriteOptions
    from holdall.objects.results import ObjectMeta

_DOUBLES_EVERY = 1000
# Nothing waits longer than this at once: a deadline, Ctrl-C and a fork are seen in between.
_PIECE_SECONDS = 0.2


@final
class CloudUpload(Upload):
    """One upload: the parts that were sent, the one on its way, and what has not made one yet.

    No more than two parts are in memory. An error of the part on its way comes out of the next
    `write` or `commit`; the one after that sends this part again.
    """

    def __init__(
        self,
        staging: Staging,
        ref: Reference,
        name: str,
        options: WriteOptions,
        part_bytes: int,
    ) -> None:
        container = staging.container
        self._container = container
        self._staging = staging
        self._options = options
        self._part_bytes = part_bytes
        self._session: str | None = None
        self._parts: list[Part] = []
        self._there: list[Part] = []
        self._flight: Future[Part] | None = None
        self._gathering = Gathering(part_bytes)
        self._sending: Gathering | None = None  # until it has arrived, so that it can be sent again
        self._spare: Gathering | None = None
        self._hashing: Future[None] | None = None
        self._pool: ThreadPoolExecutor | None = None  # of one thread, which sends
        self._hashes: dict[str, hashlib._Hash] = {}
        if options.digest or options.sha256 is not None:
            self._hashes["SHA-256"] = hashlib.sha256()
        if options.content_md5 is not None:
            self._hashes["MD5"] = hashlib.md5(usedforsecurity=False)
        self._hashed = 0  # how many parts
        self._open = True
        self.ref = ref
        self.id = name
        self.offset = 0

    def go_on(self, session: str, parts: list[Part]) -> None:
        """Take up what the service has: parts that are equal are not sent again.

        It cannot be read back, so that nothing vouches for it but what is written now, from the
        start.
        """
        self._session = session
        self._there = parts

    async def write(self, data: Data) -> None:
        self._check_open()
        view = memoryview(data).cast("B")
        while view:
            taken = self._gathering.add(view)
            self.offset += taken
            view = view[taken:]
            if self._container.service.signs_bodies:
                self._hash_ahead()
            if self._gathering.filled == self._gathering.size:
                await self._send()

    async def digest(self) -> str:
        self._check_open()
        return await self._digest("SHA-256")

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        self._check_open()
        await self._check(size, sha256)
        options = self._options
        if sha256 is not None:
            options = structs.replace(options, sha256=sha256)
        if self._session is None:
            # Nothing was sent yet, so that this is an object like any other.
            data = bytes(self._gathering.data())
            meta = await self._staging.writer.put(self.ref, data, options)
            self._let_go()
            return meta
        await self._arrived()
        if self._gathering.filled or not self._parts:
            await self._send()
            await self._arrived()
        meta = await self._staging.writer.finish(
            self.ref, self._session, self._parts, options, self.offset
        )
        self._let_go()
        await self._staging.tidy(self.ref, self._session, self.id)
        return meta

    async def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            async with self._container.runtime.cleaning():
                await self._settled()  # what arrives after the end would stay
            if self._session is not None:
                await self._staging.drop(self.ref, self._session, self.id)
        finally:
            self._let_go()

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            if self._sending is not None:
                # Who was interrupted waits for one part and not for a second one. Whether it
                # arrived is seen by who goes on.
                await self._settled()
                return
            if self._session is None:
                self._session = await self._begin()
            if self._gathering.filled >= max(1, self._container.service.least_part):
                await self._send()
                await self._arrived()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Free the memory and the thread."""
        self._open = False
        for gathering in (self._gathering, self._sending, self._spare):
            if gathering is not None:
                gathering.release()
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _check_open(self) -> None:
        if not self._open:
            raise NotFound(f"the upload {self.id!r} of {self.ref} has ended", reference=self.ref)

    async def _check(self, size: int | None, sha256: str | None) -> None:
        if size is not None and size != self.offset:
            raise Corrupt(
                f"{self.ref}: {size} bytes were announced and {self.offset} came; "
                "nothing is visible",
                reference=self.ref,
            )
        for name, wanted in (
            ("SHA-256", sha256),
            ("SHA-256", self._options.sha256),
            ("MD5", self._options.content_md5),
        ):
            if wanted is not None and (found := await self._digest(name)) != wanted.lower():
                raise Corrupt(
                    f"{self.ref}: the bytes have {name} {found}, and {wanted} was announced",
                    reference=self.ref,
                )

    # Digests

    async def _digest(self, name: str) -> str:
        """The digest of all that was written."""
        if name not in self._hashes:
            raise Unsupported(
                f"{self.ref}: the upload was begun with digest=False, so that nothing knows its "
                f"{name}",
                reference=self.ref,
            )
        await self._settled()
        return await self._container.run(self._digest_now, name)

    def _digest_now(self, name: str) -> str:
        if self._sending is not None:
            self._hash(self._sending, len(self._parts) + 1)
        found = self._hashes[name].copy()
        found.update(self._gathering.data())
        return found.hexdigest()

    def _hash(self, part: Gathering, number: int) -> None:
        """Count a part in, if it was not yet."""
        if self._hashed < number:
            self._hashed = number
            for found in self._hashes.values():
                found.update(part.data())

    # Parts

    async def _begin(self) -> str:
        return await self._staging.begin(self.id, self.ref, self._options, self._part_bytes)

    async def _send(self) -> None:
        """Send what has gathered, once the part before it has arrived; it arrives later."""
        await self._arrived()
        if self._session is None:
            self._session = await self._begin()
        # As many parts as the service takes must hold the largest object that it takes.
        size = self._part_bytes << ((len(self._parts) + 1) // _DOUBLES_EVERY)
        spare = self._spare
        empty = spare if spare is not None and spare.size == size else Gathering(size)
        self._sending, self._gathering, self._spare = self._gathering, empty, None
        self._flight = self._fly(self._sending, self._session)

    async def _arrived(self) -> None:
        """Wait until the part on its way has arrived; one that did not is sent again."""
        if self._sending is None:
            return
        assert self._session is not None
        if self._flight is None:
            self._flight = self._fly(self._sending, self._session)
        await self._settled()
        flight, self._flight = self._flight, None
        part = flight.result()
        self._parts.append(part)
        # The very one that was there, and not one that was sent in its place.
        if len(self._parts) <= len(self._there) and part is self._there[len(self._parts) - 1]:
            self.kept += part.size
        self._spare, self._sending = self._sending, None
        self._spare.clear()

    async def _settled(self) -> None:
        """Wait until nothing is on its way, whatever came of it."""
        while self._flight is not None and not self._flight.done():
            await self._container.run(wait, [self._flight], _PIECE_SECONDS)

    def _fly(self, part: Gathering, session: str) -> Future[Part]:
        """Send a part in a thread of its own."""
        number = len(self._parts) + 1
        return self._thread().submit(copy_context().run, self._deliver, part, session, number)

    def _hash_ahead(self) -> None:
        """Let whoever has time hash what has gathered for the signature; a loop never has."""
        gathering = self._gathering
        if self._flight is not None and not self._flight.done():
            if self._container.runtime.blocking:
                gathering.hash_ahead(once=True)
        elif self._hashing is not None and not self._hashing.done():
            return
        elif 4 * self.offset > self._part_bytes:  # what is small is put, and signed elsewhere
            self._hashing = self._thread().submit(gathering.hash_ahead)

    def _thread(self) -> ThreadPoolExecutor:
        """The one thread that sends; it ends with the upload."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="holdall-part")
        return self._pool

    def _deliver(self, part: Gathering, session: str, number: int) -> Part:
        self._hash(part, number)
        there = self._there[number - 1] if number <= len(self._there) else None
        data, service = part.data(), self._container.service
        if there is not None and there.size == len(data) and there.md5 == _md5(data):
            return there
        sha256 = part.sha256() if service.signs_bodies else None
        return service.put_part(self.ref, session, number, data, sha256)


def _md5(data: memoryview) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
