"""Where accounts are kept: one small document, in the store itself, in a file, or in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from holdall.core.errors import HoldallError, PreconditionFailed, Unavailable
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.haystack.stores.entities import EntityStore

NOTE: Final = "server/accounts"


class Place(ABC):
    """Keeps one document. One instance is safe to use from many tasks."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for messages."""

    @abstractmethod
    async def load(self) -> tuple[bytes | None, str]:
        """Answer the document and its version; None where there is none yet."""

    @abstractmethod
    async def save(self, document: bytes, version: str) -> None:
        """Write the document in the place of the version that was loaded.

        Raises:
            PreconditionFailed: Somebody else wrote it meanwhile.
        """


@final
class NotePlace(Place):
    """A note of a store of entities, which every process that has the store sees.

    Args:
        store: The store, connected by whoever owns it.
    """

    def __init__(self, store: EntityStore) -> None:
        self._store = store

    @property
    def address(self) -> str:
        return self._store.address

    async def load(self) -> tuple[bytes | None, str]:
        note = (await self._store.get((), [NOTE])).notes[0]
        return (None, "0") if note is None else (note.value, str(note.version))

    async def save(self, document: bytes, version: str) -> None:
        await self._store.commit([Note(NOTE, document, int(version))])


@final
class FilePlace(Place):
    """A file for its owner alone, replaced whole.

    Args:
        path: The file, in a folder that is there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(os.fspath(path))

    @property
    def address(self) -> str:
        return self._path

    async def load(self) -> tuple[bytes | None, str]:
        with self._told():
            return await asyncio.to_thread(self._load)

    async def save(self, document: bytes, version: str) -> None:
        with self._told():
            await asyncio.to_thread(self._save, document, version)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Errors of ours are some of these too, such as a failed precondition.
            if isinstance(error, HoldallError):
                raise
            raise Unavailable(
                f"the accounts in {self._path} cannot be read or written: {error.strerror}"
            ) from error

    def _load(self) -> tuple[bytes | None, str]:
        try:
            with open(self._path, "rb") as file:
                document = file.read()
        except FileNotFoundError:
            return None, ""
        return document, hashlib.sha256(document).hexdigest()

    def _save(self, document: bytes, version: str) -> None:
        import fcntl

        # The lock is a file beside: the document's own is another one after each save.
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._load()[1] != version:
                raise PreconditionFailed(f"{self._path} was changed meanwhile")
            folder = os.path.dirname(self._path)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".accounts-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(document)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, self._path)
            except BaseException:
                os.unlink(temporary)
                raise
            _settle(folder)
        finally:
            os.close(lock)


def _settle(folder: str) -> None:
    """Make a rename outlast a loss of power: who was taken away must not come back."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@final
class MemoryPlace(Place):
    """This process, and nothing beyond it."""

    def __init__(self) -> None:
        self._document: bytes | None = None
        self._version = 0

    @property
    def address(self) -> str:
        return "this process"

    async def load(self) -> tuple[bytes | None, str]:
        return self._document, str(self._version)

    async def save(self, document: bytes, version: str) -> None:
        if version != str(self._version):
            raise PreconditionFailed("the accounts were changed meanwhile")
        self._document, self._version = document, self._version + 1
