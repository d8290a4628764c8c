"""What clients send over a WebSocket, and what they are answered: text of JSON.

    {"id": 7, "op": "read", "grid": {…}}        a request; its grid is Hayson, and may be left out
    {"id": 7, "grid": {…}}                      its answer
    [{…}, {…}]                                  a batch, answered by a list in the same order
    {"watch": "w-1f…", "grid": {…}}             a push: what changed in a watch

An `id` is a text or a whole number of the client's own. What is no request is answered with an
error grid, under the `id` where it has one that can be read.
"""

from __future__ import annotations

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
_KEYS: Final = frozenset({"id", "op", "grid"})
_LONGEST_ID: Final = 128
_SHOWN: Final = 40
_NO_ID: Final = b"null"


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


def requests_of(text: str) -> tuple[list[Asked], bool]:
    """The requests of a message, and whether they are a batch."""
    data = text.encode()
    is_batch = data.lstrip(b" \t\r\n")[:1] == b"["
    try:
        if not is_batch:
            return [_asked(msgspec.json.decode(data, type=dict[str, Raw]))], False
        found = msgspec.json.decode(data, type=list[dict[str, Raw]])
    except UNREADABLE as error:
        return [Asked(wrong=f"the message is neither a request nor a list of them: {error}")], False
    if not found or len(found) > MOST_IN_BATCH:
        wrong = f"the batch has {len(found):,} requests, and it takes 1 to {MOST_IN_BATCH:,}"
        return [Asked(wrong=wrong)], False
    return [_asked(parts) for parts in found], True


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


def _asked(parts: dict[str, Raw]) -> Asked:
    id_, op, grid = parts.get("id"), parts.get("op"), parts.get("grid")
    known = _NO_ID
    if id_ is not None:
        value = _value(id_)
        if not isinstance(value, (str, int)) or isinstance(value, bool) or len(id_) > _LONGEST_ID:
            return Asked(wrong=f"an id is a text or whole number of at most {_LONGEST_ID} bytes")
        known = msgspec.json.encode(value)
    others = parts.keys() - _KEYS
    if others:
        return Asked(known, wrong=f"a request has an id, op and grid, and no {min(others)[:40]!r}")
    name = None if op is None else _value(op)
    if not isinstance(name, str):
        return Asked(known, wrong="a request has an 'op', such as \"read\"")
    return Asked(known, name[:_SHOWN], None if grid is None else bytes(grid))


def _value(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None
