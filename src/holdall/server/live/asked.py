"""What clients send over a WebSocket, and what they are answered: text of JSON.

    {"id": 7, "op": "read", "grid": {…}}        a request; its grid is Hayson, and may be left out
    {"id": 7, "grid": {…}}                      its answer
    [{…}, {…}]                                  a batch, answered by a list in the same order
    {"watch": "w-1f…", "grid": {…}}             a push: what changed in a watch

An `id` is a text or a whole number of the client's own. What is no request is answered with an
error grid, under the `id` where it has one that can be read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from holdall.core.errors import CodecError, LimitExceeded
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json_text import UNREADABLE
from holdall.server.bodies import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdall.haystack.codecs.contract import Limits
    from holdall.haystack.grid import Grid

MOST_IN_BATCH: Final = 1_000
_LONGEST_ID: Final = 128
_LONGEST_OP: Final = 512
_SHOWN: Final = 40
_LONGEST_REASON: Final = 200
_UNKNOWN = re.compile(r"unknown field `([^`]{0,40})")
_NO_ID: Final = b"null"
_NOTHING: Final = Raw(b"")
_ANY_OP: Final = Raw(b'"any"')


class Asked(Struct, frozen=True):
    """A request.

    Attributes:
        id: Its `id`, as text of JSON.
        op: The operation.
        grid: Its grid, as text of JSON; None where there is none.
        wrong: Why it is none; empty where it is one.
    """

    id: bytes = _NO_ID
    op: str = ""
    grid: bytes | None = None
    wrong: str = ""


class _Parts(Struct, forbid_unknown_fields=True):
    """A request; whatever else a client fills an object with is never kept."""

    id: Raw = _NOTHING
    op: Raw = _NOTHING
    grid: Raw = _NOTHING


class _Named(Struct):
    """What of a wrong request its answer needs."""

    id: Raw = _NOTHING


# A list of any length would be in memory before its length was looked at.
_Batch: Final = msgspec.defstruct(
    "_Batch",
    [(f"r{number}", Raw, _NOTHING) for number in range(MOST_IN_BATCH)],
    array_like=True,
    forbid_unknown_fields=True,
)
_parts = msgspec.json.Decoder(_Parts)
_named = msgspec.json.Decoder(_Named)
_batch = msgspec.json.Decoder(_Batch)


def requests_of(text: str) -> tuple[list[Asked], bool]:
    """The requests of a message, and whether they are a batch."""
    data = text.encode()
    is_batch = data.lstrip(b" \t\r\n")[:1] == b"["
    try:
        if not is_batch:
            return [_read(data)], False
        batch = _batch.decode(data)
        found = [_read(one) for one in msgspec.structs.astuple(batch) if one]
    except UNREADABLE as error:
        why = str(error)
        if "array` of at most" in why:
            why = f"a batch takes 1 to {MOST_IN_BATCH:,} requests, and this one has more"
        wrong = f"the message is neither a request nor a list of them: {why[:_LONGEST_REASON]}"
        return [Asked(wrong=wrong)], False
    if not found:
        wrong = f"the batch has 0 requests, and it takes 1 to {MOST_IN_BATCH:,}"
        return [Asked(wrong=wrong)], False
    return found, True


def grid_of(asked: Asked, limits: Limits) -> Grid:
    """The grid of a request.

    Raises:
        CodecError: It is none.
    """
    if asked.grid is None:
        return EMPTY
    try:
        return HAYSON.decode(asked.grid, limits=limits)
    except CodecError as error:
        raise CodecError(f"the grid of the request is no Hayson: {error}") from error


def answered(id_: bytes, pieces: Iterable[bytes], most: int, go_on: Callable[[], bool]) -> bytes:
    """The answer to a request.

    Args:
        id_: The `id` of the request.
        pieces: The grid.
        most: Bytes that it may have.
        go_on: Whether anybody still waits for it.

    Raises:
        LimitExceeded: It has more.
    """
    parts = [b'{"id":', id_, b',"grid":']
    size = len(id_)
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise LimitExceeded(
                f"the answer is larger than {most:,} bytes, which max_message allows: ask for less "
                "at once, or over HTTP"
            )
        if not go_on():
            break
        parts.append(piece)
    parts.append(b"}")
    return b"".join(parts)


def _read(data: bytes | Raw) -> Asked:
    """The request that a text of JSON is.

    Raises:
        msgspec.DecodeError: It is no object.
    """
    try:
        return _asked(_parts.decode(data))
    except msgspec.ValidationError as error:
        unknown = _UNKNOWN.search(str(error))
        if unknown is None:
            raise
        asked = _asked(_Parts(_named.decode(data).id, _ANY_OP))
        wrong = asked.wrong or f"a request has an id, op and grid, and no {unknown[1]!r}"
        return Asked(asked.id, wrong=wrong)


def _asked(parts: _Parts) -> Asked:
    id_, op, grid = parts.id, parts.op, parts.grid
    known = _NO_ID
    if id_:
        value = _value(id_) if len(id_) <= _LONGEST_ID else None
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            return Asked(wrong=f"an id is a text or whole number of at most {_LONGEST_ID} bytes")
        known = msgspec.json.encode(value)
    name = _value(op) if 0 < len(op) <= _LONGEST_OP else None
    if not isinstance(name, str):
        return Asked(known, wrong="a request has an 'op', such as \"read\"")
    return Asked(known, name[:_SHOWN], bytes(grid) if grid else None)


def _value(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None
