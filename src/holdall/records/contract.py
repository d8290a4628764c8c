"""The contract for those who write databases of records: short, every method written by each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, final

import msgspec

from holdall.core.config import literal
from holdall.objects.contract import plain_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import (
        Found,
        Outcome,
        RecordCapabilities,
        Removal,
        Stored,
        Write,
    )


class RecordStore(ABC):
    """Keeps records under ids. One instance is safe to use from many threads or tasks.

    A pickled one opens the same place again, with secrets that it finds there.

    Ids, values and conditions given to it are checked already. What it answers is the caller's:
    who changes it changes nothing in the store.

    Args:
        settings: What it was opened with.
        runtime: How it waits.
    """

    settings_type: ClassVar[type[msgspec.Struct]]
    """The settings, one field each: what a configuration or a URL's query may name."""

    def __init__(self, settings: msgspec.Struct, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime

    @classmethod
    @abstractmethod
    def open(cls, settings: msgspec.Struct, runtime: Runtime) -> RecordStore:
        """Open a database; `settings` are of `settings_type`. Nothing waits here.

        Raises:
            InvalidConfig: A setting cannot be.
        """

    @classmethod
    @abstractmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        """The settings that an address stands for, by name; the address has no query.

        Raises:
            InvalidConfig: It is none of this backend's.
        """

    @property
    @abstractmethod
    def type(self) -> str:
        """The name of the backend, which a configuration's `type` names."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the records are, as text without secrets, for messages."""

    @property
    @abstractmethod
    def capabilities(self) -> RecordCapabilities:
        """What it can do."""

    @abstractmethod
    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        """Answer the records of these ids, in their order.

        None where there is none, and an error in the place of a record that cannot be read. What
        fails as a whole is raised.
        """

    @abstractmethod
    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records, in their order; answer what came of each.

        `AlreadyExists`, `NotFound` or `PreconditionFailed` stand in the place of a write whose
        mode or version does not hold. Where `capabilities.atomic`, one that fails undoes all of
        them, and says so in the place of the others.
        """

    @abstractmethod
    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        """Delete records; answer for each whether there was one.

        `PreconditionFailed` stands where another version is kept, or a version was asked for and
        there is no record. Atomic as `put` is.
        """

    @abstractmethod
    async def find(self, found: Found) -> Sequence[Stored]:
        """Answer rows that meet a condition, in order: at most `found.size`, fewer at the end.

        Raises:
            Corrupt: A record that may be meant cannot be read.
        """

    @abstractmethod
    async def count(self, predicate: Node) -> int:
        """Answer how many rows meet a condition.

        Raises:
            Corrupt: A record that may be meant cannot be read.
        """

    @abstractmethod
    async def clear(self) -> int:
        """Delete all records; answer how many there were."""

    @abstractmethod
    async def index(self, path: Path) -> None:
        """Make searches and sorts by what this path leads to faster; again does nothing.

        Where the database could use no index, since it cannot follow the path, it makes none.

        Raises:
            Unsupported: `capabilities.indexes` is false.
        """

    @abstractmethod
    async def begin(self) -> RecordTransaction:
        """Begin a transaction.

        Raises:
            Unsupported: `capabilities.transactions` is false.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections; may be called again."""

    @final
    @property
    def settings(self) -> msgspec.Struct:
        """What it was opened with."""
        return self._settings

    @final
    @property
    def runtime(self) -> Runtime:
        """How it waits."""
        return self._runtime

    @final
    def config_json(self) -> str:
        """The configuration as JSON text, without secrets; `holdall.open_database` takes it.

        A secret that was given as a place, `{"env": NAME}` or `{"file": PATH}`, stands there as
        that place. One that was given as text is left out.
        """
        configuration = {"type": self.type, **plain_settings(self._settings)}
        return msgspec.json.encode(literal(configuration)).decode()

    @final
    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.config_json(), type(self._runtime))


def _reopen(text: str, runtime_type: type[Runtime]) -> RecordStore:
    from holdall.records.registry import open_records

    return open_records(msgspec.json.decode(text), runtime_type())


class RecordTransaction(RecordStore):
    """A database in which everything counts together, or not at all.

    What it wrote it reads; others see it after `commit`. For one caller at a time; a pickled one
    is the database without the transaction.
    """

    @abstractmethod
    async def commit(self) -> None:
        """Make it count.

        Raises:
            PreconditionFailed: Another transaction got in between; do it again from the start.
        """

    @abstractmethod
    async def rollback(self) -> None:
        """Forget it; does nothing after `commit` or `rollback`."""
