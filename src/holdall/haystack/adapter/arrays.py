"""Priority arrays: what is commanded of a point at each of its 17 levels.

An array is a note of the store, `array/<id>`. What is in effect (the value of the first level that
has one) is kept on the point as `writeVal` and `writeLevel`, in the same commit, so that filters
and watches see it. Level 8 may be for a while: the note `due` knows when each such level ends, and
whoever reads from the store first takes back what is due. Chapter Points, writable points.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from holdall.core.errors import InvalidValue, NotFound, PreconditionFailed
from holdall.haystack.adapter.leaving import left_nothing
from holdall.haystack.adapter.ranges import moment
from holdall.haystack.adapter.taking import id_of
from holdall.haystack.adapter.trying import Tries
from holdall.haystack.codecs.hayson import from_hayson, to_hayson
from holdall.haystack.kinds import REMOVE, Number
from holdall.haystack.stores.entities import Note, Put, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.adapter.leaving import Leaving
    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Change, Entity, EntityStore, StoredNote

LEVELS: Final = 17
TIMED_LEVEL: Final = 8
DUE: Final = "due"
_NAMES: Final = {
    1: "1 (emergency)",
    8: "8 (manual override)",
    17: "17 (default)",
}


class Level(Struct, omit_defaults=True):
    """What is commanded at a level.

    Attributes:
        val: The value, as Hayson.
        who: Who commanded it.
        until: When it ends, in microseconds since 1970; None when it does not.
    """

    val: Any
    who: str = ""
    until: int | None = None


class _Array(Struct, omit_defaults=True):
    levels: dict[int, Level] = field(default_factory=dict)


class PriorityArrays:
    """The arrays of all points of a store."""

    def __init__(self, store: EntityStore) -> None:
        self._store = store

    async def read(self, point: Point) -> list[dict[str, Kind]]:
        """The 17 levels of a point."""
        got = await self._store.get((), [_name(point.id)])
        return _rows(_array(got.notes[0]), point)

    async def write(
        self, point: Point, level: int, value: Kind, who: str, seconds: float | None
    ) -> list[dict[str, Kind]]:
        """Command a level, or let go of it with None; answers the 17 levels.

        Args:
            point: A point that may be commanded; `value` is one of its own.
            level: 1 to 17.
            value: The value, or None.
            who: Who commands it.
            seconds: For how long, at level 8; None is until further notice.

        Raises:
            NotFound: The point went meanwhile.
        """
        tries = Tries(self._store, f"@{point.id}")
        while True:
            await tries.begin()
            got = await self._store.get([point.id], [_name(point.id), DUE])
            if got.entities[0] is None:
                raise NotFound(f"there is no entity @{point.id}", reference=point.id)
            array, due = _array(got.notes[0]), _due(got.notes[1])
            if value is None:
                array.levels.pop(level, None)
            else:
                until = None if seconds is None else got.state.now + round(seconds * 1_000_000)
                array.levels[level] = Level(to_hayson(value), who, until)
            try:
                await self._keep({point.id: (array, got.notes[0])}, due, got.notes[1])
            except PreconditionFailed:
                continue  # somebody else commanded a point in between
            return _rows(array, point)

    async def settle(self, now: int) -> None:
        """Take back what is due; once, whoever else does the same at this moment.

        Args:
            now: The store's clock, in microseconds since 1970.
        """
        tries = Tries(self._store, "what is due")
        while True:
            await tries.begin()
            got = await self._store.get((), [DUE])
            due = _due(got.notes[0])
            late = sorted(point for point, at in due.items() if at <= now)
            if not late:
                return
            arrays = await self._store.get(late, [_name(point) for point in late])
            changed: dict[str, tuple[_Array | None, StoredNote | None]] = {}
            for point, stored, note in zip(late, arrays.entities, arrays.notes, strict=True):
                array = _array(note)
                array.levels = {
                    level: one
                    for level, one in array.levels.items()
                    if one.until is None or one.until > now
                }
                # A point that was made anew since then was never commanded.
                changed[point] = (None if stored is None or note is None else array), note
            try:
                await self._keep(changed, due, got.notes[0])
            except (PreconditionFailed, NotFound):
                continue  # somebody else was at it
            return

    async def _keep(
        self,
        changed: dict[str, tuple[_Array | None, StoredNote | None]],
        due: dict[str, int],
        due_note: StoredNote | None,
    ) -> None:
        changes: list[Note | Update] = []
        for point, (array, note) in changed.items():
            levels = {} if array is None else array.levels
            changes.append(
                Note(
                    _name(point),
                    msgspec.json.encode(array) if levels else None,
                    0 if note is None else note.version,
                )
            )
            if array is not None:
                changes.append(Update(point, _effect(array)))
            ends = [one.until for one in levels.values() if one.until is not None]
            due.pop(point, None)
            if ends:
                due[point] = min(ends)
        if due == _due(due_note):
            # Others may announce something at this moment: that stays.
            await self._store.commit(changes)
            return
        expected = 0 if due_note is None else due_note.version
        changes.append(Note(DUE, msgspec.json.encode(due) if due else None, expected))
        await self._store.commit(changes, due=min(due.values(), default=0))

    async def put(self, entities: Sequence[Entity], leaving: Leaving) -> None:
        """Keep entities in the place of those of their ids; what is commanded stays in effect.

        Args:
            entities: Any number.
            leaving: Clears what is left of former ones before.
        """
        # Of two of one id the later one counts.
        by_id = {id_of(entity): entity for entity in entities}
        commanded = [of for of, entity in by_id.items() if "writable" in entity]
        names = [_name(of) for of in commanded]
        tries = Tries(self._store, "entities that are loaded")
        while True:
            await tries.begin()
            found = (await self._store.get((), names)).notes if names else ()
            notes = dict(zip(commanded, found, strict=True))
            changes: list[Change] = list(map(left_nothing, by_id))
            for of, entity in by_id.items():
                note = notes.get(of)
                changes.append(Put(entity))
                # The note is written as it is, so that a command in between is noticed.
                if note is not None:
                    changes.append(Note(_name(of), note.value, note.version))
                    changes.append(Update(of, _effect(_array(note))))
                elif of in notes:
                    changes.append(Note(_name(of), None, 0))
            try:
                await self._store.commit(changes)
            except PreconditionFailed:
                await leaving.clear(list(by_id))
                continue
            return


def check_level(level: object) -> int:
    """Answer a level.

    Raises:
        InvalidValue: It is none.
    """
    number = level.val if isinstance(level, Number) else level
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidValue(f"{level!r} is no level: it takes 1 to {LEVELS}")
    if not 1 <= number <= LEVELS or number != int(number):
        raise InvalidValue(f"there is no level {number}: it takes 1 to {LEVELS}")
    return int(number)


_SECONDS: Final = {
    None: 1.0,
    "ms": 0.001,
    "millisecond": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "day": 86400.0,
}


def check_duration(duration: object, level: int) -> float | None:
    """Answer how long a command holds, in seconds; None where it has no end.

    Args:
        duration: A `Number` with a unit of time, a `timedelta`, or plain seconds; None.
        level: At which it is given.

    Raises:
        InvalidValue: It is none, or not longer than nothing, or the level is not 8.
    """
    if duration is None:
        return None
    if level != TIMED_LEVEL:
        raise InvalidValue(
            f"a command at level {level} has no duration: only level {TIMED_LEVEL} has one"
        )
    seconds = seconds_of(duration)
    if seconds is None or not 0 < seconds < 1e10:
        raise InvalidValue(
            f"{duration!r} is no duration: it takes a number with a unit such as min or hr, "
            "above nothing"
        )
    return seconds


def seconds_of(duration: object) -> float | None:
    """The seconds of a `Number` with a unit of time, a `timedelta`, or plain seconds.

    None for what is none of these.
    """
    try:
        if isinstance(duration, timedelta):
            return duration.total_seconds()
        if isinstance(duration, Number) and duration.unit in _SECONDS:
            return float(duration.val) * _SECONDS[duration.unit]
        if isinstance(duration, (int, float)) and not isinstance(duration, bool):
            return float(duration)
    except OverflowError:  # an int beyond all floats
        pass
    return None


def without_array(point: str) -> Note:
    """What a commit that deletes a point holds, so that what was commanded goes with it."""
    return Note(_name(point), None)


def _name(point: str) -> str:
    return f"array/{point}"


def _array(note: StoredNote | None) -> _Array:
    return _Array() if note is None else msgspec.json.decode(note.value, type=_Array)


def _due(note: StoredNote | None) -> dict[str, int]:
    return {} if note is None else msgspec.json.decode(note.value, type=dict[str, int])


def _effect(array: _Array) -> Entity:
    """What an array makes of the tags of its point."""
    if not array.levels:
        return {"writeVal": REMOVE, "writeLevel": REMOVE}
    level = min(array.levels)
    return {"writeVal": from_hayson(array.levels[level].val), "writeLevel": Number(level)}


def _rows(array: _Array, point: Point) -> list[dict[str, Kind]]:
    rows: list[dict[str, Kind]] = []
    for level in range(1, LEVELS + 1):
        row: dict[str, Kind] = {
            "level": Number(level),
            "levelDis": _NAMES.get(level, str(level)),
            "val": None,
            "who": None,
        }
        one = array.levels.get(level)
        if one is not None:
            row["val"] = from_hayson(one.val)
            row["who"] = one.who or None
            if one.until is not None:
                row["expires"] = moment(one.until, point.zone)
        rows.append(row)
    return rows
