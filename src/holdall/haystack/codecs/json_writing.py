"""What the two JSON formats of the standard share in writing: `meta`, `cols` and `rows`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, time, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from zoneinfo import ZoneInfo

from holdall.haystack.adopting import adopt
from holdall.haystack.codecs.scalars import write_time
from holdall.haystack.grid import Grid
from holdall.haystack.kinds import checked_name
from holdall.haystack.zones import zone_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.grid import Col

StandingFor: TypeAlias = Mapping[type, Callable[[Any], Any] | None]
"""By the type of a kind, what makes what stands for it; None where it stands for itself."""

_FIRST_OF_WHOLE_MINUTES: Final = 1973  # the year; before it some zones were at odd seconds


class _NoValue(Exception):
    """A row has a tag of None."""


def _no_value(_: None) -> None:
    raise _NoValue


def time_text(value: time) -> str:
    """A time of day as text.

    Raises:
        TypeError: It has a zone.
    """
    if value.tzinfo is not None:
        raise TypeError(f"{value!r} has a zone, and a time of day has none")
    return write_time(value)


class JsonWriting(ABC):
    """The writing of one text: what stands for its values, for `msgspec` to write."""

    opening: ClassVar[bytes] = b"{"
    table: ClassVar[StandingFor]

    def __init__(self) -> None:
        # Of one call, and by the zone itself: what is known of a moment tells nothing of others.
        self._zones: dict[tzinfo | None, str] = {}
        self._standing_for: StandingFor = {
            **self.table,
            type(None): _no_value,
            datetime: self.moment,
        }

    @abstractmethod
    def moment(self, moment: datetime) -> Any:
        """What stands for a datetime; raises as `value`."""

    @abstractmethod
    def col(self, col: Col) -> dict[str, Any]:
        """What stands for a column; raises as `value`."""

    def value(self, kind: Any) -> Any:
        """What stands for a value.

        Raises:
            TypeError: It is of no kind.
            ValueError: It cannot be written.
        """
        if kind is None:
            return None
        stand_for = self._standing_for.get(type(kind), self._other)
        return kind if stand_for is None else stand_for(kind)

    def alike(self, rows: Sequence[Mapping[str, Any]]) -> bytes | None:
        """The text of rows that have the same tags, of one kind each; None where `row` is to do it.

        Raises:
            ValueError: A text cannot be written.
        """
        return None

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What stands for a row, without what is None in it; raises as `value`."""
        made = dict(row)
        get, other = self._standing_for.get, self._other
        try:
            for name, kind in made.items():
                stand_for = get(type(kind), other)
                if stand_for is not None:
                    made[name] = stand_for(kind)
        except _NoValue:
            return self.row({name: kind for name, kind in row.items() if kind is not None})
        return made

    def tags(self, tags: Mapping[str, Any]) -> dict[str, Any]:
        """What stands for tags; raises as `value`."""
        return {checked_name(name): self.value(kind) for name, kind in tags.items()}

    def meta(self, tags: Mapping[str, Any]) -> dict[str, Any]:
        """What stands for the tags about a grid; raises as `value`."""
        return {"ver": "3.0"} | self.tags(tags) | {"ver": "3.0"}

    def grid(self, grid: Grid) -> dict[str, Any]:
        """What stands for a grid that is a value; raises as `value`."""
        return {
            "meta": self.meta(grid.meta),
            "cols": [self.col(col) for col in grid.cols],
            "rows": [self.row(row) for row in grid.rows],
        }

    def zone_of(self, moment: datetime) -> str | None:
        """The name of a zone; None where a moment has to be looked at before it is written."""
        name = self._zones.get(moment.tzinfo)
        if name is not None and moment.year >= _FIRST_OF_WHOLE_MINUTES:
            return name
        if moment.tzinfo is None:
            raise TypeError(f"{moment!r} has no zone")
        # One without a key is named by its offset, which is of this moment alone.
        if type(moment.tzinfo) is ZoneInfo and moment.tzinfo.key:
            with suppress(ValueError):  # one without a name gives way to UTC
                self._zones[moment.tzinfo] = zone_name(moment)
        return None

    def _other(self, kind: Any) -> Any:
        if isinstance(kind, (list, tuple)):
            return [self.value(item) for item in kind]
        if isinstance(kind, Mapping):
            return self.tags(kind)
        if isinstance(kind, Grid):
            return self.grid(kind)
        if isinstance(kind, datetime):  # a subclass, such as those of libraries for time series
            return self.moment(kind)
        plain = adopt(kind)
        if type(plain) not in self._standing_for:
            raise TypeError(f"{kind!r} is of no kind (type {type(kind).__name__})")
        return self.value(plain)
