"""Entities and values as the text that is kept: Hayson, exact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.core.errors import CodecError
from holdall.haystack.codecs.hayson import from_hayson
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.codecs.json_text import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Entity

UNREADABLE: Final = (ValueError, Fault, msgspec.DecodeError, RecursionError)
"""What is raised for texts that are not as they were written."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write_body(writing: HaysonWriting, entity: Entity) -> str:
    """An entity as text."""
    return _text(writing.row(entity))


def read_body(reading: HaysonReading, text: bytes) -> dict[str, Any]:
    """The entity that was written; raises one of `UNREADABLE` where it is none."""
    try:
        return reading.row(msgspec.Raw(text))
    except (UnicodeDecodeError, msgspec.DecodeError):
        read = from_hayson(json.loads(text))
        if not isinstance(read, dict):
            raise CodecError("an entity is kept as an object") from None
        return read


def write_kinds(kinds: Sequence[Kind]) -> str:
    """Values as text."""
    writing = HaysonWriting()
    return _text([writing.value(kind) for kind in kinds])


def read_kinds(text: bytes) -> list[Kind]:
    """The values that were written; raises one of `UNREADABLE` where there are none."""
    try:
        raw = _decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError):
        raw = json.loads(text)
    reading = HaysonReading()
    return [reading.value(one) for one in raw]


def _text(standing: Any) -> str:
    try:
        return _encode(standing).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 does not have
        return json.dumps(msgspec.to_builtins(standing))


def note_name(name: str) -> bytes:
    """The name of a note as it is kept: any text, also one with half a surrogate pair."""
    return name.encode("utf-8", "surrogatepass")
