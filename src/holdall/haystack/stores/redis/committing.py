"""What a commit sends: each entity as it will be, and what is expected to be there before.

Nothing is locked. Whoever commits says of what versions it knows, and the server applies all of it
or, where somebody else was faster, nothing; then it is thought over with what is there now.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.stores.bodies import note_name, write_body
from holdall.haystack.stores.drafts import Draft, id_of
from holdall.haystack.stores.entities import Add, Delete, Note, Put, Stored, StoredNote
from holdall.haystack.stores.redis.tokens import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdall.haystack.stores.entities import Change
ANY, THERE, _NEW = -1, -2, -3
"""What is expected of an entity that may be as it is: nothing, or that there is one."""
_NOTHING: Final[Mapping[str, Any]] = {}
_pack = msgspec.msgpack.Encoder().encode


@final
class Plan:
    """What is thought to be there before a commit.

    Args:
        changes: Of the commit.
        ready: Answers what is kept ready of an entity.

    Attributes:
        expected: What is expected of each entity: its version, `ANY` or `THERE`.
        is_read: Whether it was read, and is not only thought to be so.
    """

    def __init__(self, changes: Sequence[Change], ready: Callable[[str], Stored | None]) -> None:
        self.changes = changes
        self.expected: dict[str, int] = {}
        self.stored: dict[str, Stored] = {}
        self.notes: dict[str, StoredNote] = {}
        self.is_read = False
        noted: set[str] = set()
        for change in changes:
            if isinstance(change, Note):
                if change.name not in noted and change.expected:
                    self.notes[change.name] = StoredNote(b"", change.expected)
                noted.add(change.name)
                continue
            of = id_of(change)
            assert of is not None
            if of not in self.expected:
                self._expect(of, change, ready(of))

    def _expect(self, of: str, change: Change, ready: Stored | None) -> None:
        expected = 0
        if isinstance(change, Put):
            expected = ANY
        elif isinstance(change, Delete):
            version = change.expected
            expected = THERE if version is None else version
            self.stored[of] = Stored(_NOTHING, expected)
        elif not isinstance(change, Add) and ready is not None:
            self.stored[of] = ready
            expected = ready.version
        self.expected[of] = expected

    @property
    def asked(self) -> list[str]:
        """The ids of the entities of which it matters what they are."""
        return [of for of, expected in self.expected.items() if expected != ANY]

    def know(
        self, entities: Mapping[str, Stored | None], notes: Mapping[str, StoredNote | None]
    ) -> None:
        """Take what was read for what is there."""
        self.is_read = True
        for of, stored in entities.items():
            self.expected[of] = 0 if stored is None else stored.version
            if stored is None:
                self.stored.pop(of, None)
            else:
                self.stored[of] = stored
        self.notes = {name: note for name, note in notes.items() if note is not None}

    def draft(self) -> Draft:
        """Apply the changes.

        Raises:
            AlreadyExists, NotFound, PreconditionFailed: See `EntityStore.commit`. Where nothing
                was read, it may be that only what was thought to be there is not so.
        """
        draft = Draft(self.stored.get, self.notes, _NEW)
        for change in self.changes:
            draft.apply(change)
        return draft


def message(plan: Plan, draft: Draft, due: int | None, index: str) -> list[bytes]:
    """What the script of a commit reads.

    Args:
        plan: What is expected to be there.
        draft: What it becomes.
        due: What is announced.
        index: Which index is kept: `sets` or `search`.
    """
    hayson = HaysonWriting()
    sets = index == "sets"
    entities: list[tuple[str, int, str]] = []
    tokens: defaultdict[str, list[str]] = defaultdict(list)
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    texts: list[str] = []
    docs: list[list[str]] = []
    for of, stored in draft.entities.items():
        if stored is None:  # where it was never there, it is only seen to that it is not
            entities.append((of, plan.expected[of], ""))
            texts.append("")
            docs.append([])
            continue
        entities.append((of, plan.expected[of], write_body(hayson, stored.entity)))
        entry = Entry(stored.entity)
        if sets:
            for token in entry.tokens:
                tokens[token].append(of)
            for field, number in entry.numbers.items():
                numbers[field] += (number, of)
            texts.append(f"{','.join(entry.tokens)}|{','.join(entry.numbers)}")
        else:
            texts.append(",".join(entry.tokens))
            docs.append([one for pair in entry.numbers.items() for one in pair])
    expected: dict[str, int | None] = {}
    for change in plan.changes:
        if isinstance(change, Note):
            expected.setdefault(change.name, change.expected)
    notes: list[tuple[int, int]] = []
    values: list[bytes] = []
    for name, note in draft.notes.items():
        version = expected[name]
        notes.append((ANY if version is None else version, int(note is not None)))
        values += (note_name(name), b"" if note is None else note.value)
    announced = "" if due is None else str(due)
    parts = (announced, notes, entities, tokens, numbers, texts, docs, index)
    return [_pack(parts), *values]
