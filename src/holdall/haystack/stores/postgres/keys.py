"""Under what entities are found: the names of their tags, and rows of the tables of values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from holdall.haystack.kinds import Marker, Number, Ref, is_nan
from holdall.haystack.stores.keys import DEEPEST, key_of, unit_bytes


class Keys(Struct):
    """The keys of one entity.

    Attributes:
        names: Of its tags; those within a dict are `dict.tag`.
        refs: Rows of `hs_refs`, without the number of the entity; the others likewise.
        values: Of `hs_values`.
        numbers: Of `hs_numbers`.
        odd: Of `hs_odd`.
    """

    names: list[str]
    refs: set[tuple[Any, ...]]
    values: set[tuple[Any, ...]]
    numbers: set[tuple[Any, ...]]
    odd: set[tuple[Any, ...]]

    @classmethod
    def of(cls, entity: Mapping[str, Any] | None) -> Keys:
        """Those of an entity; none of None."""
        keys = cls([], set(), set(), set(), set())
        if entity is not None:
            keys._take(entity, "", 1)
        return keys

    def _take(self, entity: Mapping[str, Any], prefix: str, depth: int) -> None:
        names = self.names
        for name, value in entity.items():
            if value is None or not name.isidentifier():  # no path leads to other names
                continue
            tag = prefix + name
            names.append(tag)
            kind = type(value)
            if kind is Marker:
                continue
            if kind is list:
                for item in value:
                    self._keep(tag, item)
            elif kind is dict or (kind is not Number and isinstance(value, Mapping)):
                if depth < DEEPEST:
                    self._take(value, f"{tag}.", depth + 1)
            else:
                self._keep(tag, value)

    def _keep(self, tag: str, value: Any) -> None:
        kind = type(value)
        if kind is Ref:
            self.refs.add((tag, value.val))
        elif kind is Number:
            self._number(tag, value.val, value.unit)
        elif kind is int or kind is float:
            self._number(tag, value, None)
        else:
            key = key_of(value)
            if key is not None:
                self.values.add((tag, key))

    def _number(self, tag: str, val: float, unit: str | None) -> None:
        held = held_number(val)
        if held is not None:
            self.numbers.add((tag, held, unit_bytes(unit)))
        elif not is_nan(val):  # it equals nothing, and is not kept
            self.odd.add((tag,))


def held_number(val: float) -> float | None:
    """A number as a double holds it exactly; None where it cannot, or it is none."""
    if type(val) is float:
        return None if is_nan(val) else val
    try:
        near = float(val)
    except OverflowError:
        return None
    return near if int(near) == val else None


def json_of(body: str) -> str:
    """The text of an entity as JSONB takes it, which has no NUL and no half of a surrogate pair."""
    if "\\u0000" not in body and "\\ud" not in body:
        return body
    return json.dumps(_kept(json.loads(body)), ensure_ascii=False)


def _kept(value: Any) -> Any:
    if type(value) is str:
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if type(value) is list:
        return [_kept(item) for item in value]
    if type(value) is dict:
        return {_kept(name): _kept(item) for name, item in value.items()}
    return value
