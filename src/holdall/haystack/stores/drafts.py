"""What a commit would make of what is kept, before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed
from holdall.haystack.kinds import REMOVE, Ref
from holdall.haystack.stores.entities import (
    Add,
    Change,
    Delete,
    Note,
    Put,
    Stored,
    StoredNote,
    Update,
)
from holdall.haystack.stores.views import view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def id_of(change: Change) -> str | None:
    """The id of the entity that changes; None for a note."""
    if isinstance(change, Note):
        return None
    if isinstance(change, (Add, Put)):
        ref = change.entity["id"]
        assert isinstance(ref, Ref)
        return ref.val
    return change.id


class Draft:
    """Applies changes one after another, and refuses the first that cannot be.

    Args:
        stored: Answers an entity as it is kept; None where there is none.
        notes: Those that are kept, at least of the names that the changes are about.
        number: Of the commit.

    Attributes:
        entities: What the entities become, by id; None is gone.
        notes: What the notes become, by name; None is gone.
    """

    def __init__(
        self, stored: Callable[[str], Stored | None], notes: Mapping[str, StoredNote], number: int
    ) -> None:
        self._stored = stored
        self._notes = notes
        self._number = number
        self.entities: dict[str, Stored | None] = {}
        self.notes: dict[str, StoredNote | None] = {}

    def apply(self, change: Change) -> None:
        """Apply a change.

        Raises:
            AlreadyExists, NotFound, PreconditionFailed: As `EntityStore.commit` says.
        """
        if isinstance(change, (Add, Put)):
            ref = change.entity["id"]
            assert isinstance(ref, Ref)
            if isinstance(change, Add) and self._now(ref.val) is not None:
                raise AlreadyExists(f"there is an entity @{ref.val} already", reference=ref.val)
            self._keep(ref.val, dict(change.entity))
        elif isinstance(change, Update):
            former = self._expected(change.id, change.expected)
            tags = {**former.entity, **change.tags}
            self._keep(change.id, {n: v for n, v in tags.items() if v is not REMOVE})
        elif isinstance(change, Delete):
            self._expected(change.id, change.expected)
            self.entities[change.id] = None
        else:
            self._note(change)

    def _keep(self, of: str, tags: dict[str, Any]) -> None:
        self.entities[of] = Stored(view(tags), self._number)

    def _now(self, of: str) -> Stored | None:
        return self.entities[of] if of in self.entities else self._stored(of)

    def _expected(self, of: str, version: int | None) -> Stored:
        now = self._now(of)
        if now is None:
            raise NotFound(f"there is no entity @{of}", reference=of)
        if version is not None and now.version != version:
            raise PreconditionFailed(
                f"@{of} has version {now.version} and not {version}: somebody changed it meanwhile",
                reference=of,
            )
        return now

    def _note(self, change: Note) -> None:
        name = change.name
        now = self.notes[name] if name in self.notes else self._notes.get(name)
        version = 0 if now is None else now.version
        if change.expected is not None and version != change.expected:
            raise PreconditionFailed(
                f"the note {name!r} has version {version} and not {change.expected}",
                reference=name,
            )
        self.notes[name] = None if change.value is None else StoredNote(change.value, self._number)
