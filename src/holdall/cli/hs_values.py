"""Values of Haystack as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.haystack.codecs.hayson import to_hayson
from holdall.haystack.codecs.zinc import write_value
from holdall.haystack.kinds import MARKER, Ref, Uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from holdall.haystack.kinds import Kind


def shown(value: Kind) -> str:
    """A value for people, on one line."""
    if value is None:
        return ""
    if value is MARKER:
        return "✓"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value.isprintable() else repr(value)
    if isinstance(value, Ref):
        return f"@{value.val} {value.dis}" if value.dis else f"@{value.val}"
    if isinstance(value, Uri):
        return shown(value.val)
    return write_value(value).replace("\n", " ")


def clock(ts: datetime) -> str:
    """A moment for people."""
    return ts.isoformat(" ", "seconds" if not ts.microsecond else "auto")


def json_of(tags: Mapping[str, Kind]) -> dict[str, Any]:
    """Tags as Hayson has them."""
    return {name: to_hayson(value) for name, value in tags.items()}


def markers_of(tags: Mapping[str, Kind]) -> list[str]:
    """The tags that are markers."""
    return [name for name, value in tags.items() if value is MARKER]


def entities_text(number: int) -> str:
    """A number of entities: `1 entity`, `2,500 entities`."""
    return f"{number:,} {'entity' if number == 1 else 'entities'}"
