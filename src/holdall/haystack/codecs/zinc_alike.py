"""The values of many tokens of Zinc that look like one kind, made by functions that are mapped.

The text of all tokens is checked, turned, and given to a parser as one. Where that finds something
that it does not know, each token is read for itself, which comes to the same.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from holdall.haystack.codecs.contract import NO_LIMITS
from holdall.haystack.codecs.scalars import read_moment, read_number, read_offset, read_scalar
from holdall.haystack.codecs.zinc_reading import Reader
from holdall.haystack.kinds import Number, Ref, copies
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

_IN_IDS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:-.~"
_STRS = re.compile(r'(?:"[^"\\\x00-\x08\x0a-\x1f]*+"\n)*+')
_WALL = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6}|\.[0-9]{3})?"
_FIRST_WALL = re.compile(rf"{_WALL}(?![0-9.])")
_WALLS = re.compile(rf'\["{_WALL}(?:","{_WALL})*+"\]')
_TAIL = re.compile(r"(Z|[+-][0-9]{2}:[0-9]{2}) ([A-Z][A-Za-z0-9_+\-/]{0,99})")
_TAILS: Final = 16

_REF: Final = Ref("a")
_numbers_of_json: Final = msgspec.json.Decoder(list[int | float]).decode
_naive_of_json: Final = msgspec.json.Decoder(list[Annotated[datetime, Meta(tz=False)]]).decode


def read_token(token: str) -> Any:
    """Read a cell; None is none.

    Raises:
        ValueError: It is no value.
    """
    token = token.strip(" ")
    if not token:
        return None
    if token[0] + token[-1] in ("[]", "{}"):
        return Reader(token, NO_LIMITS).single()
    return read_scalar(token)


def alike(tokens: Sequence[str]) -> tuple[Sequence[Any], bool]:
    """Read cells that are not empty, and tell whether there are nulls among them.

    Raises:
        ValueError: One is no value.
    """
    first = tokens[0]
    values: Sequence[Any] | None = None
    if first[0] == "@":
        values = _refs(tokens)
    elif first[0] == '"':
        values = _strs(tokens)
    elif first[10:11] == "T":
        values = moments(tokens)
    elif first[0] in "-0123456789":
        values = _numbers(tokens)
    if values is not None:
        return values, False
    values = list(map(read_token, tokens))
    return values, any(value is None for value in values)


def _refs(tokens: Sequence[str]) -> Sequence[Any] | None:
    ids = "\n".join(tokens)[1:].split("\n@")
    if len(ids) != len(tokens) or "" in ids:
        return None
    if "".join(ids).encode().translate(None, _IN_IDS):
        return None
    return copies(_REF, "val", ids)


def _strs(tokens: Sequence[str]) -> Sequence[Any] | None:
    if _STRS.fullmatch("\n".join(tokens) + "\n") is None:
        return None
    return [token[1:-1] for token in tokens]


def _numbers(tokens: Sequence[str]) -> Sequence[Any] | None:
    # Without their unit they are those of JSON, but for leading zeros and underscores.
    unit = read_number(tokens[0]).unit
    if unit is None:
        text = ",".join(tokens)
    else:
        text = ("\n".join(tokens) + "\n").replace(f"{unit}\n", ",").removesuffix(",")
    if "\n" in text or " " in text or "\t" in text:
        return None
    try:
        values = _numbers_of_json(f"[{text}]")
    except msgspec.DecodeError:
        return None
    return copies(Number(0, unit), "val", values) if len(values) == len(tokens) else None


def moments(tokens: Sequence[str], suffix: str = "") -> list[datetime] | None:
    """Read what mostly are moments in one zone.

    Args:
        tokens: `2024-01-31T12:00:00-05:00 New_York`; at least one.
        suffix: What belongs to the end of each: ` New_York`.

    Returns:
        None where this had better be done one by one.

    Raises:
        ValueError: One is no moment, or the zone has another offset then.
    """
    found = _FIRST_WALL.match(tokens[0])
    if found is None:
        return None
    width = found.end()
    end = tokens[0][width:]
    ends: list[str] = []
    walls = ("\n".join(tokens) + "\n").replace(f"{end}\n", '","').removesuffix('","')
    if "\n" in walls:
        ends = [token[width:] for token in tokens]
        walls = '","'.join([token[:width] for token in tokens])
    zones = _placings(set(ends) or {end}, suffix)
    naive = None if zones is None else _naive(f'["{walls}"]')
    if zones is None or naive is None or len(naive) != len(tokens):
        return None
    if ends:
        placings = [zones[end] for end in ends]
        times = map(datetime.time, naive)
        made = list(map(datetime.combine, naive, times, [at for at, _ in placings]))
        deltas = [delta for _, delta in placings]
        offsets = list(map(datetime.utcoffset, made))
    else:
        at, delta = zones[end]
        # Within a zone a difference is one of clocks.
        start = naive[0]
        placed = start.replace(tzinfo=at)
        made = [placed + (moment - start) for moment in naive]
        deltas = [delta] * len(made)
        offsets = list(map(at.utcoffset, made))
    if offsets == deltas:
        return made
    # What has another offset is the second of two equal hours, or wrong.
    return [
        moment if offset == delta else read_moment(token + suffix)
        for moment, offset, delta, token in zip(made, offsets, deltas, tokens, strict=True)
    ]


def _naive(text: str) -> list[datetime] | None:
    # The parser knows more than one way to write a moment, and Zinc but one.
    try:
        naive = _naive_of_json(text)
    except msgspec.DecodeError:
        return None
    if msgspec.json.encode(naive) == text.encode() or _WALLS.fullmatch(text) is not None:
        return naive
    return None


def _placings(tails: set[str], suffix: str) -> dict[str, tuple[ZoneInfo, timedelta]] | None:
    # The zone and offset for each of the ends that moments have.
    if len(tails) > _TAILS:
        return None
    placings: dict[str, tuple[ZoneInfo, timedelta]] = {}
    for tail in tails:
        if tail + suffix == "Z":
            placings[tail] = zone("UTC"), timedelta()
            continue
        found = _TAIL.fullmatch(tail + suffix)
        if found is None:
            return None
        offset, name = found.groups()
        placings[tail] = zone(name), read_offset(offset)
    return placings
