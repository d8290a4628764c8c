"""Samples between their user and their store: checked against the point, and as columns.

A point says by `kind`, `unit` and `tz` what its history holds. Numbers without a unit get that of
the point; one of another unit, a value of another kind and a moment of another zone are refused,
because nothing is converted (chapter Ops, hisWrite). A moment in UTC is of every zone.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import lt
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo

from msgspec import Struct

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.alike import columns_alike
from holdall.haystack.adapter.taking import listed
from holdall.haystack.adopting import adopt
from holdall.haystack.kinds import NA, REMOVE, NAType, Number, is_nan
from holdall.haystack.stores.histories import Samples, columns
from holdall.haystack.units import canonical
from holdall.haystack.zones import zone, zone_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Entity

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# Whatever the zone, a moment between them has a year from 1 to 9999 there.
_FIRST: Final = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST: Final = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MICROSECOND
# Below this, a double of seconds is less than half a microsecond off: until 2041.
_ROUNDED: Final = 2**51
_TAKEN: Final = frozenset({int, float, bool, str, Number})
_KINDS: Final = {"Number": Number, "Bool": bool, "Str": str}


class Point(Struct, frozen=True):
    """What a point says of its history.

    Attributes:
        id: Its id, without `@`.
        kind: `Number`, `Bool` or `Str`; None where it does not say.
        unit: Of its numbers; None where it does not say.
        zone: In which its days are, and its samples are answered.
    """

    id: str
    kind: str | None
    unit: str | None
    zone: ZoneInfo

    @classmethod
    def of(cls, id: str, entity: Entity, site_zone: object = None) -> Point:
        """Read what an entity says.

        Args:
            id: Its id.
            entity: Its tags.
            site_zone: The `tz` of its site, which counts where it has none; UTC without either.

        Raises:
            InvalidValue: Its `tz` is no zone.
        """
        kind, unit = entity.get("kind"), entity.get("unit")
        name = entity.get("tz") or site_zone or "UTC"
        try:
            where = zone(str(name))
        except ValueError as error:
            raise InvalidValue(f"@{id} has the tz {name!r}: {error}", reference=id) from error
        return cls(
            id,
            kind if isinstance(kind, str) and kind in _KINDS else None,
            unit if isinstance(unit, str) and unit else None,
            where,
        )

    def value(self, value: Any, place: str) -> Kind:
        """Answer a value as this point keeps it.

        Raises:
            InvalidValue: It is of another kind or unit; names the place.
        """
        kind = type(value)
        if kind not in _TAKEN and isinstance(value, (int, float, str)):
            value = adopt(value)  # of a library of numbers, or an enum
            kind = type(value)
        if kind is float or kind is int:
            value = self._number(value)
        elif kind is Number:
            if value.unit is None:
                value = self._number(value.val)
            elif value.unit == self.unit:
                pass  # what is asked most
            elif self.unit is not None and canonical(value.unit) == canonical(self.unit):
                value = Number(value.val, self.unit)  # one unit has one name in a history
            elif self.unit is not None:
                raise InvalidValue(
                    f"{place} of @{self.id} is in {value.unit}, and the point in {self.unit}: "
                    "convert it, nothing is converted here",
                    reference=self.id,
                )
        elif kind is NAType:
            return NA
        elif kind is not bool and kind is not str:
            raise InvalidValue(
                f"{place} of @{self.id} is {value!r}, and a history holds numbers, bools, texts "
                "and NA",
                reference=self.id,
            )
        if self.kind is not None and type(value) is not _KINDS[self.kind]:
            raise InvalidValue(
                f"{place} of @{self.id} is {value!r}, and the point of the kind {self.kind}",
                reference=self.id,
            )
        return cast("Kind", value)

    def _number(self, val: float) -> Number:
        if self.unit is None or is_nan(val):
            return Number(val)
        _checked_unit(self.id, self.unit)
        return Number(val, self.unit)

    def micros(self, ts: Any, place: str) -> int:
        """Answer a moment in microseconds since 1970.

        Raises:
            InvalidValue: It is no datetime with a zone, one of another zone than the point, finer
                than a microsecond, or on the first or last day of the calendar.
        """
        if not isinstance(ts, datetime) or (offset := ts.utcoffset()) is None:
            raise InvalidValue(
                f"{place} of @{self.id} has the ts {ts!r}, and a ts is a datetime with a zone",
                reference=self.id,
            )
        if type(ts) is not datetime and getattr(ts, "nanosecond", None):  # those of pandas
            raise InvalidValue(
                f"{place} of @{self.id} has the ts {ts!r}, which is finer than a microsecond: "
                "round it",
                reference=self.id,
            )
        at = (ts.replace(tzinfo=UTC) - _EPOCH - offset) // _MICROSECOND
        self.check_reach(at, place)
        if ts.tzinfo is not self.zone and ts.tzinfo is not UTC and not self.is_here(ts, at):
            raise InvalidValue(
                f"{place} of @{self.id} has a ts in {ts.tzinfo}, and the point is in "
                f"{self.zone.key}: write it in that zone, or in UTC",
                reference=self.id,
            )
        return at

    def check_reach(self, at: int, place: str) -> None:
        """Check that a moment can be answered in every zone.

        Raises:
            InvalidValue: It is on the first or last day of the calendar, or beyond it.
        """
        if not _FIRST <= at < _LAST:
            raise InvalidValue(
                f"{place} of @{self.id} lies {at} microseconds from 1970: the first and the last "
                "day of the calendar are in no year in some zone",
                reference=self.id,
            )

    def reaches(self, moments: Sequence[int]) -> bool:
        """Whether `check_reach` lets all of some moments pass, which are in order."""
        return not moments or (moments[0] >= _FIRST and moments[-1] < _LAST)

    def is_here(self, ts: datetime, at: int = 0) -> bool:
        """Whether a datetime is in UTC, or in the zone of this point.

        Args:
            ts: With a zone.
            at: The moment in microseconds since 1970; counts where the zone has no name.
        """
        key = getattr(ts.tzinfo, "key", None)
        offset = ts.utcoffset()
        if key is None:
            here = (_EPOCH + timedelta(microseconds=at)).astimezone(self.zone)
            return not offset or offset == here.utcoffset()
        if key == self.zone.key:
            return True
        try:
            name = zone_name(ts)
            return name == "UTC" or name == zone_name(datetime(2000, 1, 1, tzinfo=self.zone))
        except ValueError:  # a zone of a file of its own
            return False


class Taken(Struct, frozen=True):
    """What items come to: samples to write, and moments to delete."""

    samples: Samples
    removed: Sequence[int]


def take(point: Point, items: Iterable[Mapping[str, Any]] | Samples) -> Taken:
    """Answer items as columns, sorted; of two at one moment the later one counts.

    Args:
        point: What they are of.
        items: Mappings with `ts` and `val`, as kinds or as Hayson has them; a `val` that is
            `REMOVE` deletes the sample. Or `Samples`, whose moments are checked for their order,
            and whose unit is checked.

    Raises:
        InvalidValue: An item is not as it should be; names it by its place, from 0.
    """
    if isinstance(items, Samples):
        return Taken(_checked(point, items), ())
    alike = columns_alike(point, items)
    if alike is not None:
        return Taken(alike, ())
    by_moment: dict[int, Any] = {}
    for at, item in enumerate(listed(items, "samples")):
        place = f"item {at}"
        try:
            ts, value = item["ts"], item["val"]
        except (KeyError, TypeError, IndexError) as error:
            raise InvalidValue(
                f"{place} of @{point.id} is {item!r}, and an item is a dict with ts and val",
                reference=point.id,
            ) from error
        plain = type(ts) is datetime and type(value) in _TAKEN
        if not plain and (isinstance(ts, Mapping) or isinstance(value, Mapping)):
            ts, value = _from_json(point, ts, place), _from_json(point, value, place)
        moment = point.micros(ts, place)
        by_moment[moment] = value if value is REMOVE else point.value(value, place)
    moments = list(by_moment)
    if not all(map(lt, moments, moments[1:])):
        moments.sort()
    removed = [moment for moment in moments if by_moment[moment] is REMOVE]
    if removed:
        moments = [moment for moment in moments if by_moment[moment] is not REMOVE]
    return Taken(columns(moments, [by_moment[moment] for moment in moments]), removed)


def _from_json(point: Point, value: Any, place: str) -> Any:
    from holdall.haystack.codecs.hayson import from_hayson

    try:
        return from_hayson(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"{place} of @{point.id}: {error}", reference=point.id) from error


def _checked_unit(of: str, unit: str) -> None:
    try:
        Number(0, unit)
    except ValueError as error:
        raise InvalidValue(f"@{of} has the unit {unit!r}: {error}", reference=of) from error


def _checked(point: Point, samples: Samples) -> Samples:
    ts, vals = _moments(point, samples.ts), samples.vals
    if len(ts) != len(vals):
        raise InvalidValue(
            f"the columns for @{point.id} have {len(ts)} moments and {len(vals)} values",
            reference=point.id,
        )
    if not all(map(lt, ts, ts[1:])):
        at = next(at for at, (one, two) in enumerate(pairwise(ts)) if one >= two)
        raise InvalidValue(
            f"moment {at + 1} for @{point.id} does not come after that before it: columns are "
            "sorted, with one value a moment",
            reference=point.id,
        )
    for at in (ts[0], ts[-1]) if ts else ():
        point.check_reach(at, "a moment")
    if isinstance(vals, array) and vals.typecode == "f":
        vals = array("d", vals)
    if not isinstance(vals, array) or vals.typecode != "d":
        if samples.unit is not None:
            raise InvalidValue(
                f"the columns for @{point.id} have a unit, and that is of doubles: values of a "
                "list have units of their own",
                reference=point.id,
            )
        return columns(ts, [point.value(v, f"value {at}") for at, v in enumerate(vals)])
    unit = samples.unit
    if unit is not None:
        _checked_unit(point.id, unit)
    if ts:
        # As for single values: one unit has one name in a history.
        unit = cast("Number", point.value(Number(0.0, unit), "the column")).unit
    return Samples(ts, vals, unit)


def _moments(point: Point, ts: Any) -> array[int]:
    if isinstance(ts, array) and ts.typecode == "q":
        return ts
    try:
        return array("q", ts)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(
            f"the moments for @{point.id} are microseconds since 1970: {error}", reference=point.id
        ) from error


def items(samples: Samples, where: ZoneInfo) -> list[dict[str, Any]]:
    """Samples as dicts with `ts`, in a zone, and `val`."""
    moments = in_zone(samples.ts, where)
    return [{"ts": ts, "val": value} for ts, value in zip(moments, samples.kinds(), strict=True)]


def in_zone(moments: Sequence[int], where: ZoneInfo) -> list[datetime]:
    """Moments in microseconds since 1970 as datetimes of a zone."""
    if moments and min(moments) >= 0 and max(moments) < _ROUNDED:
        of = datetime.fromtimestamp
        return [of(at / 1_000_000, where) for at in moments]
    return [(_EPOCH + timedelta(microseconds=at)).astimezone(where) for at in moments]
