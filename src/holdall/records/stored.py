"""What databases keep and answer: rows, writes and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

from holdall.core.errors import HoldallError
from holdall.records.paths import ABSENT, ID, METADATA, descend, field_path, is_special
from holdall.records.predicate import ALL, Node
from holdall.records.query import Sort

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.records.paths import Path

Mode: TypeAlias = Literal["create", "update", "upsert"]


class Stored(Struct, gc=False):
    """A record as a database holds it.

    Args:
        id: Its id.
        fields: Its fields, in their order.
        metadata: The user's own metadata.
        created: When it was created, in UTC.
        updated: When it was last written, in UTC.
        version: Changes with every write; never comes back, also not after a delete.
    """

    id: str
    fields: dict[str, Any]
    metadata: dict[str, Any]
    created: datetime
    updated: datetime
    version: str


class Write(Struct, frozen=True, gc=False):
    """One record to write. Nobody else changes its values, and who keeps them copies nothing.

    Args:
        id: Its id.
        fields: All of its fields.
        metadata: All of the user's metadata.
        mode: `create`: there must be none of this id. `update`: there must be one. `upsert`:
            either.
        version: Write only if the database holds this version; None writes over any.
    """

    id: str
    fields: dict[str, Any]
    metadata: dict[str, Any]
    mode: Mode
    version: str | None = None


class Removal(Struct, frozen=True, gc=False):
    """One record to delete.

    Args:
        id: Its id.
        version: Delete only if the database holds this version; None deletes any.
    """

    id: str
    version: str | None = None


class Written(Struct, frozen=True, gc=False):
    """What a write left: see `Stored`."""

    created: datetime
    updated: datetime
    version: str


class Found(Struct, frozen=True):
    """Which rows to answer, and in which order.

    Args:
        predicate: What they must meet.
        sorts: What they are sorted by, and by the id last.
        after: Only what comes after the row of which these were the values of `sorts`, and then
            the id; `ABSENT` stands for one it does not have. None begins at the first.
        skip: How many to leave out first.
        size: How many at most; None for all.
        whole: The same object in all calls that go through one search from its beginning to its
            end: what is written after the first call may show in the later ones or not. None for
            a call that stands by itself.
    """

    predicate: Node = ALL
    sorts: tuple[Sort, ...] = ()
    after: tuple[Any, ...] | None = None
    skip: int = 0
    size: int | None = None
    whole: object | None = None


Outcome: TypeAlias = Written | HoldallError
"""What came of one write."""


class RecordCapabilities(Struct, frozen=True, kw_only=True):
    """What a database can do: data.

    Args:
        atomic: A batch is written as a whole or not at all.
        transactions: `begin` answers a transaction.
        indexes: `index` makes searches faster.
        durable: A write that was answered outlives a power cut.
        remote: A service answers over a network.
        max_id_bytes: How long an id may be, in UTF-8.
    """

    atomic: bool = False
    transactions: bool = False
    indexes: bool = False
    durable: bool = True
    remote: bool = False
    max_id_bytes: int = 1024


def reader(path: Path) -> Callable[[Stored], Any]:
    """Answer a function that answers what a path leads to in a row; `ABSENT` where nothing is."""
    if not is_special(path):
        names = field_path(path)
        if len(names) == 1:
            name = names[0]
            return lambda row: row.fields.get(name, ABSENT)
        return lambda row: descend(row.fields, names)
    if path == (ID,):
        return lambda row: row.id
    assert path[0] == METADATA
    own = _OWN.get(path[1]) if len(path) == 2 else None
    return own or (lambda row: descend(row.metadata, path[1:]))


_OWN: dict[str, Callable[[Stored], Any]] = {
    "id": lambda row: row.id,
    "created_at": lambda row: row.created,
    "updated_at": lambda row: row.updated,
}
