"""Where accounts are kept: small documents, in the store itself, in files, or in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING, Final, TypeAlias, final

from holdall.core.errors import HoldallError, PreconditionFailed, Unavailable
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.haystack.stores.entities import EntityStore, StoredNote

NOTE: Final = "server/accounts"
Loaded: TypeAlias = tuple[bytes | None, str]
"""A document and its version; None where there is none yet."""


class Place(ABC):
    """Keeps one document. One instance is safe to use from many tasks."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for messages."""

    @abstractmethod
    async def load(self) -> Loaded:
        """Answer the document and its version."""

    @abstractmethod
    async def save(self, document: bytes | None, version: str) -> None:
        """Write the document in the place of the version that was loaded; None takes it away.

        Raises:
            PreconditionFailed: Somebody else wrote it meanwhile.
        """

    def beside(self, name: str) -> Place:
        """Another document, seen by all that see this one; by this process alone unless it says.

        Args:
            name: Letters, digits and `-`; one document of each name.
        """
        return MemoryPlace()

    async def load_with(self, other: Place) -> tuple[Loaded, Loaded]:
        """Answer this document and one that lies beside it, in one request where that can be."""
        return await self.load(), await other.load()


@final
class NotePlace(Place):
    """A note of a store of entities, which every process that has the store sees.

    Args:
        store: The store, connected by whoever owns it.
        note: The name of the note.
    """

    def __init__(self, store: EntityStore, note: str = NOTE) -> None:
        self._store = store
        self._note = note

    @property
    def address(self) -> str:
        return self._store.address

    async def load(self) -> Loaded:
        return _loaded((await self._store.get((), [self._note])).notes[0])

    async def save(self, document: bytes | None, version: str) -> None:
        if document is not None or version != "0":
            await self._store.commit([Note(self._note, document, int(version))])

    def beside(self, name: str) -> Place:
        return NotePlace(self._store, f"server/{name}")

    async def load_with(self, other: Place) -> tuple[Loaded, Loaded]:
        if not isinstance(other, NotePlace):
            return await super().load_with(other)
        mine, theirs = (await self._store.get((), [self._note, other._note])).notes
        return _loaded(mine), _loaded(theirs)


def _loaded(note: StoredNote | None) -> Loaded:
    return (None, "0") if note is None else (note.value, str(note.version))


@final
class FilePlace(Place):
    """A file for its owner alone, replaced whole.

    Args:
        path: The file, in a folder that is there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(os.fspath(path))
        # The lock is a file beside: the document's own is another one after each save.
        self._lock = f"{self._path}.lock"

    @property
    def address(self) -> str:
        return self._path

    async def load(self) -> Loaded:
        with self._told():
            return await asyncio.to_thread(self._load)

    async def save(self, document: bytes | None, version: str) -> None:
        with self._told():
            await asyncio.to_thread(self._save, document, version)

    def beside(self, name: str) -> Place:
        made = copy(self)  # with its lock, and without asking the system for the folder again
        made._path = f"{self._path}.{name}"
        return made

    async def load_with(self, other: Place) -> tuple[Loaded, Loaded]:
        if not isinstance(other, FilePlace):
            return await super().load_with(other)
        with self._told():
            return await asyncio.to_thread(lambda: (self._load(), other._load()))

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

    def _load(self) -> Loaded:
        try:
            with open(self._path, "rb") as file:
                document = file.read()
        except FileNotFoundError:
            return None, ""
        return document, hashlib.sha256(document).hexdigest()

    def _save(self, document: bytes | None, version: str) -> None:
        import fcntl

        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._load()[1] != version:
                raise PreconditionFailed(f"{self._path} was changed meanwhile")
            folder = os.path.dirname(self._path)
            if document is None:
                with suppress(FileNotFoundError):
                    os.unlink(self._path)
                _settle(folder)
                return
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

    async def load(self) -> Loaded:
        return self._document, str(self._version)

    async def save(self, document: bytes | None, version: str) -> None:
        if version != str(self._version):
            raise PreconditionFailed("the accounts were changed meanwhile")
        self._document, self._version = document, self._version + 1
