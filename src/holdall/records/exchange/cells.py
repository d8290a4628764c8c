"""Values as the text of a cell, and back by their type."""

from __future__ import annotations

import base64
import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID

import msgspec

from holdall.records.encoding import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    CellType: TypeAlias = str | type
    CellTypes: TypeAlias = Mapping[str, CellType] | Literal["infer"] | None

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def to_text(value: Any) -> str:
    """The text of a value: lists and dicts as JSON, bytes in base64, None as nothing."""
    kind = type(value)
    if kind is str:
        return str(value)
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind is list or kind is dict:
        return msgspec.json.encode(to_plain(value)).decode()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def parser_of(name: CellType) -> Callable[[str], Any]:
    """What reads cells of a type: by the type of Python, or by its name.

    Raises:
        ValueError: There is none of this name.
    """
    called = name if isinstance(name, str) else name.__name__.lower()
    parser = _PARSERS.get(called)
    if parser is None:
        raise ValueError(f"{called!r} is no type of a cell; there are {', '.join(_PARSERS)}")
    return parser


def inferred(text: str) -> Any:
    """The value that a text looks like: a number, a bool, JSON of a list or object, else text.

    A number with zeros in front, or a `+`, is text: it may be a telephone number. So is one that no
    float holds.
    """
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text) and len(text) < 1000:
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        return text if math.isinf(number) else number
    if text.startswith(("[", "{")):
        try:
            return _json(text)
        except ValueError:
            return text
    return text


def _json(text: str) -> Any:
    return from_plain(msgspec.json.decode(text))


def _bool(text: str) -> bool:
    return _BOOLS[text.lower()]


_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _bool,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "list": _json,
    "dict": _json,
    "json": _json,
}
