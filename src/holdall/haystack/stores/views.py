"""Entities as they are answered: nobody who reads one can change it.

Tags of scalars are shown through a proxy, without a copy. A list or dict among them could be
changed by whoever gets it, so that each who asks for it gets one of his own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Entity

_CHANGING: Final = frozenset({list, dict})


def view(tags: dict[str, Kind]) -> Entity:
    """Answer tags that cannot be changed through what is answered."""
    if _CHANGING.isdisjoint(map(type, tags.values())):
        return MappingProxyType(tags)
    return _Nested(tags)


class _Nested(Mapping[str, "Kind"]):
    """Tags of which some are lists or dicts."""

    __slots__ = ("_tags",)

    def __init__(self, tags: dict[str, Kind]) -> None:
        self._tags = tags

    def __getitem__(self, name: str) -> Kind:
        value = self._tags[name]
        return _copied(value) if type(value) in _CHANGING else value

    def get(self, name: str, default: Any = None) -> Any:
        value = self._tags.get(name, default)
        return _copied(value) if type(value) in _CHANGING else value

    def __contains__(self, name: object) -> bool:
        return name in self._tags

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)

    def __repr__(self) -> str:
        return repr(self._tags)


def _copied(value: Any) -> Any:
    if type(value) is list:
        return [_copied(item) for item in value]
    if type(value) is dict:
        return {name: _copied(item) for name, item in value.items()}
    return value
