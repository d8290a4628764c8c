"""Large objects that a cache keeps in a folder, for as long as their checksums hold.

One file an object, named by the SHA-256 of its reference:

    body · a digest for each MiB of it · a description as JSON · the end: lengths, digest, mark

Every function here blocks. The folder may be shared by several processes: a file appears whole,
by a rename, and is never written to again; who has it open reads on when another removes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import struct
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.results import ObjectMeta

BLOCK_BYTES = 1024 * 1024
"""How much of a body is read and checked at once."""

_DIGEST_BYTES = 16
_MARK = b"holdall cache 1\n"
_END = struct.Struct(f">QI32s{len(_MARK)}s")  # body, description, digest of it, mark
_NAME = re.compile(r"[0-9a-f]{64}\.object\Z|[0-9a-f]{32}\.part\Z")
_ABANDONED_SECONDS = 3600.0
_SECOND = 1_000_000_000
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Damaged(Exception):
    """A file is not what was written."""


class _Description(Struct, frozen=True):
    reference: str
    etag: str
    size: int
    modified_ns: int


@final
class Disk:
    """Bodies in a folder, up to a budget; those that were not used for the longest time go first.

    Args:
        folder: Its absolute path; made when something is first written. It and the files are its
            owner's alone.
        budget: How many bytes the files take at most.

    Attributes:
        left: Files of writers that were dropped, which the next one removes.
    """

    def __init__(self, folder: str, budget: int) -> None:
        self.folder = folder
        self.left: deque[str] = deque()
        self._budget = budget

    def has(self, ref: Reference) -> bool:
        """Whether there is a file for an object, of whichever version."""
        return os.path.lexists(self._path(ref))

    def open(self, ref: Reference, meta: ObjectMeta) -> DiskFile | None:
        """Open the body of one version of an object; None where it is not here.

        A file that is damaged, of another version, or not its owner's alone is removed.
        """
        path = self._path(ref)
        try:
            descriptor = os.open(path, _READ)
        except FileNotFoundError:
            return None
        except OSError:
            self.remove(ref)
            return None
        try:
            file = DiskFile(descriptor, _described(ref, meta))
        except (OSError, Damaged):
            os.close(descriptor)
            self.remove(ref)
            return None
        with suppress(OSError):
            os.utime(descriptor)  # it was used last
        return file

    def write(self, ref: Reference, meta: ObjectMeta) -> DiskWriter | None:
        """Begin to write a body; None for one that is too large to be kept.

        Raises:
            OSError: It cannot be written.
        """
        if meta.size > self._budget // 4:
            return None
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        info = os.stat(self.folder)
        if info.st_uid != os.geteuid() or info.st_mode & 0o077:
            raise PermissionError(f"{self.folder} is open to others: it must be of mode 0700")
        while self.left:
            with suppress(OSError):
                os.unlink(self.left.popleft())
        self._make_room(meta.size)
        return DiskWriter(self, ref, meta)

    def remove(self, *refs: Reference) -> None:
        """Forget objects; nothing to do where they are not here."""
        for ref in refs:
            with suppress(OSError):
                os.unlink(self._path(ref))

    def publish(self, temporary: str, ref: Reference) -> None:
        """Let a file that was written be found."""
        os.rename(temporary, self._path(ref))
        self._make_room(0)

    def _path(self, ref: Reference) -> str:
        return os.path.join(self.folder, f"{hashlib.sha256(str(ref).encode()).hexdigest()}.object")

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago, until there is room for so many bytes more."""
        found = []
        abandoned = time.time() - _ABANDONED_SECONDS
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if _NAME.match(entry.name):
                    with suppress(OSError):  # another process removed it
                        info = entry.stat(follow_symlinks=False)
                        found.append((info.st_mtime_ns, info.st_size, entry.path))
        total = size + sum(taken for _, taken, _ in found)
        for used_ns, taken, path in sorted(found):
            part = path.endswith(".part")
            if (total > self._budget and not part) or (part and used_ns < abandoned * 1e9):
                with suppress(OSError):
                    os.unlink(path)
                    total -= taken


@final
class DiskFile:
    """The body of one object, open.

    Args:
        descriptor: Of the file; closed with it.
        expected: What it must be.

    Raises:
        Damaged: It is not.
    """

    def __init__(self, descriptor: int, expected: _Description) -> None:
        self._size = expected.size
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
            raise Damaged
        count = -(-self._size // BLOCK_BYTES)
        described = msgspec.json.encode(expected)
        # A store may tell a reader nothing finer, and there are files of what it told.
        seconds = expected.modified_ns // _SECOND * _SECOND
        coarse = msgspec.json.encode(replace(expected, modified_ns=seconds))
        tail = count * _DIGEST_BYTES + len(described)
        if info.st_size != self._size + tail + _END.size:
            raise Damaged
        ending = _pread(descriptor, tail + _END.size, self._size)
        self._digests, found = ending[: count * _DIGEST_BYTES], ending[-_END.size :]
        if not ending[count * _DIGEST_BYTES :].startswith((described, coarse)):
            raise Damaged
        if found != _ending(self._size, len(described), ending[:tail]):
            raise Damaged
        self._descriptor = descriptor

    def read(self, start: int, end: int) -> bytes:
        """Answer bytes, which lie within the object.

        Raises:
            Damaged: They are not those that were written.
        """
        first = start // BLOCK_BYTES
        begin = first * BLOCK_BYTES
        stop = min(-(-end // BLOCK_BYTES) * BLOCK_BYTES, self._size)
        data = memoryview(_pread(self._descriptor, stop - begin, begin))
        for number in range(-(-len(data) // BLOCK_BYTES)):
            block = data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
            at = (first + number) * _DIGEST_BYTES
            if _digest(block) != self._digests[at : at + _DIGEST_BYTES]:
                raise Damaged
        return bytes(data[start - begin : end - begin])

    def close(self) -> None:
        """Let go of it; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()


@final
class DiskWriter:
    """A body on its way to the disk; found by nobody before `finish`.

    Args:
        disk: Where to.
        ref: Of the object.
        meta: Of the version that is written.
    """

    def __init__(self, disk: Disk, ref: Reference, meta: ObjectMeta) -> None:
        self._disk = disk
        self._ref = ref
        self._meta = meta
        self._written = 0
        self._block = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._digests = bytearray()
        self._path: str | None = os.path.join(disk.folder, f"{secrets.token_hex(16)}.part")
        self._descriptor = os.open(self._path, _WRITE, 0o600)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            part = view[: BLOCK_BYTES - self._written % BLOCK_BYTES]
            self._block.update(part)
            _write(self._descriptor, part)
            self._written += len(part)
            if self._written % BLOCK_BYTES == 0:
                self._end_block()
            view = view[len(part) :]

    def _end_block(self) -> None:
        self._digests += self._block.digest()
        self._block = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def read(self, start: int, end: int) -> bytes:
        """Answer bytes that were written; until `close`."""
        return _pread(self._descriptor, end - start, start)

    def finish(self) -> None:
        """Let it be found, if all of it is here."""
        if self._written == self._meta.size and self._path is not None:
            if self._written % BLOCK_BYTES:
                self._end_block()
            described = msgspec.json.encode(_described(self._ref, self._meta))
            tail = bytes(self._digests) + described
            ending = _ending(self._written, len(described), tail)
            _write(self._descriptor, memoryview(tail + ending))
            self._disk.publish(self._path, self._ref)
            self._path = None

    def forget(self) -> None:
        """Remove what was not finished; it can still be read."""
        path, self._path = self._path, None
        if path is not None:
            with suppress(OSError):
                os.unlink(path)

    def close(self) -> None:
        """Let go of it, and forget what was not finished; may be called again."""
        self.forget()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        # On an event loop, where no file can be removed.
        if getattr(self, "_descriptor", -1) >= 0:
            if self._path is not None:
                self._disk.left.append(self._path)
            os.close(self._descriptor)


def _described(ref: Reference, meta: ObjectMeta) -> _Description:
    # Time and size too: the etags of a store that lives in memory begin anew with each process.
    return _Description(str(ref), meta.etag or "", meta.size, meta.modified_ns)


def _ending(size: int, described: int, tail: bytes) -> bytes:
    return _END.pack(size, described, hashlib.blake2b(tail, digest_size=32).digest(), _MARK)


def _digest(block: memoryview) -> bytes:
    return hashlib.blake2b(block, digest_size=_DIGEST_BYTES).digest()


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """Read exactly so many bytes; one call reads 2 GiB at most."""
    parts = []
    while size:
        part = os.pread(descriptor, min(size, 1 << 30), offset)
        if not part:
            raise Damaged
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
