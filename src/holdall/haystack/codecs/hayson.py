"""Hayson, the JSON of Haystack 4 (chapter Json): `{"_kind":"ref","val":"a-1"}`.

What the standard leaves open is done so:

    the text        a grid; a list of dicts, its rows; or a dict without `rows`, its only row
    `cols`          where they are missing, they are the tags of the rows, in order
    `ver`           in the tags of a grid tells of the format: written always, never read
    numbers         `5` is an int, and `5.0` a float
    names           what is no name of a tag is skipped in what is read, as the standard has it
    `tz`            where it is missing: UTC, or `GMT±n` at an offset of whole hours
    kinds           in any case and by their old names: `Num`, `Ref`, `Marker`
    version 3       a text of it, without `"_kind":"grid"`, is refused; see `JSON3`

A tag of a row that has no column is an error, as are numbers that a float cannot hold, fractions
of microseconds, and an offset that the zone does not have then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.core.errors import CodecError
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.codecs.json_codec import JsonCodec
from holdall.haystack.codecs.json_text import Fault

if TYPE_CHECKING:
    from holdall.haystack.codecs.contract import Limits
    from holdall.haystack.codecs.json_reading import JsonReading
    from holdall.haystack.kinds import Kind


class _Hayson(JsonCodec):
    name = "json"
    media_type = "application/json"
    suffix = ".hayson.json"

    def _reading(self, limits: Limits) -> JsonReading:
        return HaysonReading(limits)

    def _writing(self) -> HaysonWriting:
        return HaysonWriting()


HAYSON: Final = _Hayson()
"""The codec of JSON version 4."""


def from_hayson(value: Any) -> Kind:
    """The kind that a value means, as `json.load` gives it.

    Kinds that are made already stay as they are, also within lists and dicts; what was handed in
    is not changed. A name that is none of a tag is an error here: whoever hands over values, and
    not a text of others, would miss what is skipped.

    Args:
        value: A value of JSON: an entity is a dict of tags.

    Raises:
        CodecError: It is not of Hayson; says the way to it.
        TypeError: It is neither of JSON nor a kind.
    """
    reading = HaysonReading(strict=True)
    try:
        return reading.value(value)
    except Fault as fault:
        way = ".".join(map(str, fault.way[::-1]))
        raise CodecError(f"{way}: {fault.message}" if way else fault.message) from fault


def to_hayson(kind: Kind) -> Any:
    """The value of JSON for a kind, as `json.dump` takes it; plain Python values are taken, too.

    Raises:
        TypeError: It is of no kind.
        ValueError: It cannot be written: a moment at an offset of seconds.
    """
    return msgspec.to_builtins(HaysonWriting().value(kind))
