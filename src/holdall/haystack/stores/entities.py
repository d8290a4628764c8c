"""The contract for those who write stores of entities, and what is handed to and fro.

Every commit of a store has a number, one above that of the commit before it, and becomes visible
whole and in the order of the numbers. The version of an entity is the number of the commit that
last changed it, which is all that watches need: what changed since they looked has a higher one.

Beside the entities lie *notes*: small documents that no filter finds and no watch is told of.
Priority arrays and watches are kept in them, on every backend alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from holdall.haystack.kinds import Kind
from holdall.haystack.stores.opened import OpenedStore

if TYPE_CHECKING:
    from holdall.records.predicate import Node

KEPT_MICROS: Final = 25 * 3_600 * 1_000_000
"""For how long a store tells of removals; a watch lives for at most a day without being asked."""

Entity: TypeAlias = Mapping[str, Kind]
"""Tags by name; `id` is among them and is a Ref. Not to be changed."""


class Add(Struct, frozen=True):
    """A new entity; `AlreadyExists` where there is one of its id."""

    entity: Entity


# Neither this nor `Stored` can be part of a cycle, and collecting garbage among a hundred thousand
# takes as long as loading them.
class Put(Struct, frozen=True, gc=False):
    """An entity that takes the place of the one of its id, where there is one."""

    entity: Entity


class Update(Struct, frozen=True):
    """Tags that change; `NotFound` where there is no such entity.

    Attributes:
        id: The id, without `@`.
        tags: New values; `REMOVE` takes a tag away.
        expected: The version that it must have, otherwise `PreconditionFailed`; None is any.
    """

    id: str
    tags: Mapping[str, Kind]
    expected: int | None = None


class Delete(Struct, frozen=True):
    """An entity that goes; `NotFound` where there is none.

    Attributes:
        id: The id, without `@`.
        expected: As in `Update`.
    """

    id: str
    expected: int | None = None


class Note(Struct, frozen=True):
    """A note that is written, or goes.

    Attributes:
        name: Any text.
        value: What is kept; None takes the note away.
        expected: The version that it must have, otherwise `PreconditionFailed`; 0 is that of a
            note that is not there, and None is any.
    """

    name: str
    value: bytes | None
    expected: int | None = None


Change: TypeAlias = Add | Put | Update | Delete | Note


class Stored(Struct, frozen=True, gc=False):
    """An entity and its version."""

    entity: Entity
    version: int


class StoredNote(Struct, frozen=True):
    """A note and its version."""

    value: bytes
    version: int


class State(Struct, frozen=True):
    """What a store says of itself with every answer, in one request with it.

    Attributes:
        epoch: Changes when the numbers begin anew: after a restore, or when what was deleted is
            no longer known as far back as asked.
        number: That of the last commit.
        now: The store's clock, in microseconds since 1970.
        due: When the earliest thing is due that was announced by `commit`, by the same clock;
            None when nothing is.
    """

    epoch: str
    number: int
    now: int
    due: int | None = None


class Got(Struct, frozen=True):
    """Answers to a `get`, in the order of the ids and names that it was given."""

    state: State
    entities: Sequence[Stored | None]
    notes: Sequence[StoredNote | None] = ()


class Found(Struct, frozen=True):
    """A page of entities, in the order of their ids.

    Attributes:
        state: The store, when it was asked.
        entities: At most as many as were asked for.
        more: Whether others follow; the next page is that after the last id of this one.
        his: False where the store knows that none of them has the tag `his`, so that nobody has to
            look.
    """

    state: State
    entities: Sequence[Stored]
    more: bool = False
    his: bool = True


class Changed(Struct, frozen=True):
    """That an entity changed.

    Attributes:
        id: Its id.
        version: The commit that did it.
        entity: What it is now; None when it is gone.
    """

    id: str
    version: int
    entity: Entity | None


class Changes(Struct, frozen=True):
    """What changed after a number, each entity once, as it is now, in the order of the numbers.

    Attributes:
        state: The store, when it was asked.
        changed: At most as many as were asked for, but never half of a commit.
        upto: The number to ask from next time.
        known: Whether the number is within what the store still knows; if not, `changed` is empty
            and the caller reads everything anew.
    """

    state: State
    changed: Sequence[Changed]
    upto: int
    known: bool = True


class EntityStore(OpenedStore):
    """Keeps entities. One instance is safe to use from many tasks.

    Ids, tags and conditions given to it are checked already. What it answers is shared: nobody
    changes it.

    Args:
        settings: What it was opened with.
        runtime: How it waits.
    """

    @property
    @abstractmethod
    def type(self) -> str:
        """The name of the backend."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the entities are, as text without secrets, for messages."""

    @abstractmethod
    async def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """Answer the entities of these ids, and the notes of these names; None where none is."""

    @abstractmethod
    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """Apply changes in their order, all of them or none; answer the commit's number.

        A commit of notes alone counts, too. No changes at all are no commit: the last number is
        answered.

        Args:
            changes: What changes; two may be about the same entity.
            due: Announced from now on by `State.due`, in microseconds since 1970; None leaves
                what is announced, and 0 announces nothing any more.

        Raises:
            AlreadyExists, NotFound, PreconditionFailed: For the first change that cannot be; its
                `reference` is the id, or the note's name. Nothing was changed.
        """

    @abstractmethod
    async def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """Answer entities that meet a condition, by id, as `holdall.haystack.filter` means it.

        Args:
            predicate: The condition; paths of several names lead through Refs to other entities
                of this store.
            limit: How many at most, from 1; it bounds the work as far as the order allows.
            after: Only ids after this one.
        """

    @abstractmethod
    async def changes(self, since: int, *, limit: int) -> Changes:
        """Answer what changed in commits after a number."""
