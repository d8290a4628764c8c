"""Media types and files: which codec they mean (chapter HttpApi).

    text/zinc                               ZINC, and what `*/*` or no header asks for
    application/json                        HAYSON; with `version=3` JSON3
    application/vnd.haystack+json           HAYSON; with `version=3` JSON3
    text/trio                               TRIO
    text/csv                                CSV

A codec is imported when it is asked for. All are UTF-8, and another `charset` is refused.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import Unsupported

if TYPE_CHECKING:
    from pathlib import PurePath

    from holdall.haystack.codecs.contract import Codec


class _Entry(Struct, frozen=True):
    module: str
    constant: str
    types: tuple[str, ...]
    suffix: str
    versions: tuple[str, ...] = ()  # what `version=` may say; none is no such parameter
    default: bool = True  # whether a type without a version means it


_JSON: Final = ("application/json", "application/vnd.haystack+json")
_TABLE: Final = (
    _Entry("zinc", "ZINC", ("text/zinc",), ".zinc"),
    _Entry("hayson", "HAYSON", _JSON, ".hayson.json", ("4",)),
    _Entry("json3", "JSON3", _JSON, ".v3.json", ("3",), default=False),
    _Entry("trio", "TRIO", ("text/trio",), ".trio"),
    _Entry("csv_text", "CSV", ("text/csv",), ".csv"),
)
_HAYSON: Final = _TABLE[1]
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})

# A quote that nothing closes takes in the rest, so that each character is looked at once.
_QUOTED = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_PART = re.compile(rf'(?:[^;"]|{_QUOTED})++', re.DOTALL)
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED})++', re.DOTALL)
_TYPE = re.compile(r"(?:[\w!#$&^.+-]+/(?:\*|[\w!#$&^.+-]+)|\*/\*)", re.ASCII)
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", re.ASCII)
_LONGEST: Final = 2048


class _Range(Struct, frozen=True):
    """A media type, or a range of them, with its parameters in lower case."""

    type: str
    params: dict[str, str]

    def precision(self, entry: _Entry) -> int:
        """How exactly it names a codec: 0 for not at all, then 1 to 4."""
        if self.params.get("charset", "utf-8") not in _CHARSETS:
            return 0
        if self.type == "*/*":
            return 1
        kind, _, rest = self.type.partition("/")
        if rest == "*":
            return 2 if any(one.startswith(kind + "/") for one in entry.types) else 0
        if self.type not in entry.types:
            return 0
        version = self.params.get("version")
        if not entry.versions or version is None:
            return 3 if entry.default else 0
        return 4 if version in entry.versions else 0


def codec_for(content_type: str) -> Codec:
    """The codec of a `Content-Type`.

    Args:
        content_type: A media type with or without parameters: `text/zinc; charset=utf-8`.

    Raises:
        Unsupported: No codec reads it; names those that there are.
    """
    asked = _range(content_type)
    for entry in _TABLE:
        if asked is not None and "*" not in asked.type and asked.precision(entry):
            return _load(entry)
    raise Unsupported(f"no codec reads {content_type[:80]!r}; there are {', '.join(_known())}")


def codec_of_file(name: str | PurePath) -> Codec:
    """The codec of a file, by the end of its name.

    `.json` and `.hayson.json` mean Hayson, and `.v3.json` version 3.

    Raises:
        Unsupported: No codec writes such a file; names the endings that there are.
    """
    lower = str(name).lower()
    for entry in _TABLE:
        if lower.endswith(entry.suffix):
            return _load(entry)
    if lower.endswith(".json"):
        return _load(_HAYSON)
    endings = ", ".join([entry.suffix for entry in _TABLE] + [".json"])
    raise Unsupported(f"no codec is known for a file named {lower[-80:]!r}; there are {endings}")


def codecs() -> tuple[Codec, ...]:
    """All codecs, the standard's default first; imports them."""
    return tuple(map(_load, _TABLE))


def negotiate(accept: str | None) -> Codec | None:
    """The codec that an `Accept` header asks for (RFC 9110, 12.5.1).

    The highest quality wins, then what is named most exactly, then what comes first in the header,
    then the order of `codecs()`. A quality of 0 excludes. What is no media type is passed over.

    Args:
        accept: The header; None or blank asks for the default, Zinc.

    Returns:
        None when nothing suits: the answer is then 406.
    """
    if accept is None or not accept.strip():
        return _load(_TABLE[0])
    if len(accept) > _LONGEST:  # as much of it as there are whole elements
        accept = accept[:_LONGEST].rpartition(",")[0]
    ranges = []
    for at, element in enumerate(_ELEMENT.findall(accept)):
        asked = _range(element)
        quality = None if asked is None else _quality(asked)
        if asked is not None and quality is not None:
            ranges.append((asked, quality, -at))
    best: tuple[tuple[float, int, int], _Entry] | None = None
    for entry in _TABLE:
        # What names a codec most exactly says its quality, even where a wildcard offers more.
        fits = [
            (precision, quality, order)
            for asked, quality, order in ranges
            if (precision := asked.precision(entry))
        ]
        if not fits:
            continue
        precision, quality, order = max(fits)
        if quality and (best is None or (quality, precision, order) > best[0]):
            best = (quality, precision, order), entry
    return None if best is None else _load(best[1])


def _range(text: str) -> _Range | None:
    if len(text) > _LONGEST:
        return None
    kind, *rest = [part.strip() for part in _PART.findall(text)] or [""]
    if _TYPE.fullmatch(kind) is None:
        return None
    params = {}
    for part in rest:
        name, _, value = part.partition("=")
        params[name.strip().lower()] = value.strip().strip('"').lower()
    return _Range(kind.lower(), params)


def _quality(asked: _Range) -> float | None:
    text = asked.params.get("q", "1")
    return float(text) if _QUALITY.fullmatch(text) else None


@cache
def _load(entry: _Entry) -> Codec:
    module = import_module(f"holdall.haystack.codecs.{entry.module}")
    codec: Codec = getattr(module, entry.constant)
    return codec


def _known() -> list[str]:
    return [
        kind if entry.default else f"{kind};version={entry.versions[0]}"
        for entry in _TABLE
        for kind in entry.types
    ]
