"""Records in requests: JSON as `Record.to_json` writes it, checked."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.core.errors import Corrupt, InvalidValue, LimitExceeded
from holdall.records.encoding import from_plain
from holdall.records.record import STORE_NAMES, Record
from holdall.server.bodies import INLINE, check_plain, pieces, single
from holdall.server.errors import HttpFault
from holdall.server.records.faults import whole

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.server.config import ServerConfig

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
NAMES: Final = ("id", "fields", "metadata", "version")
"""What a record as a JSON object has."""
MOST_VALUES: Final = 1_000_000
"""Values in one JSON object at most: lists within lists are thirty times as large in memory."""
_TEXT = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_decode = msgspec.json.Decoder().decode


def check_type(request: Request, wanted: str) -> None:
    """Refuse a body of another type.

    Raises:
        HttpFault: 400 where it does not say, 415 where it is another one.
    """
    check_plain(request)
    given = (single(request, "content-type") or "").lower()
    if not given:
        raise HttpFault(400, f"the request has no Content-Type: send {wanted}")
    kind, *rest = [part.strip() for part in given.split(";")]
    charsets = [part[8:].strip('"') for part in rest if part.startswith("charset=")]
    if kind != wanted or charsets not in ([], ["utf-8"], ["us-ascii"]):
        raise HttpFault(415, f"the Content-Type {given[:60]!r} is not read here: send {wanted}")


async def read_object(request: Request, config: ServerConfig) -> dict[str, Any]:
    """The JSON object of a request's body.

    Raises:
        HttpFault: There is none, or it is too large or too slow.
    """
    check_type(request, JSON)
    source = pieces(request, limit=config.max_body, timeout=config.body_timeout, setting="max_body")
    data = b"".join([piece async for piece in source])
    try:
        if len(data) <= INLINE:
            return object_of(data)
        return await asyncio.to_thread(object_of, data)
    except InvalidValue as error:
        raise HttpFault(400, f"the body is {error}") from error


def object_of(text: bytes) -> dict[str, Any]:
    """The JSON object of a text. Of a name that comes twice, the last one counts.

    Raises:
        InvalidValue: It is none: NaN is no JSON, and lists within lists have an end.
        LimitExceeded: There are too many values in it.
    """
    if _signs(text) > MOST_VALUES and _signs(_TEXT.sub(b"", text)) > MOST_VALUES:
        raise LimitExceeded(f"a JSON object has at most {MOST_VALUES:,} values here")
    try:
        value = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = "it is too deep" if isinstance(error, RecursionError) else whole(str(error))
        raise InvalidValue(f"no JSON: {why}") from error
    if type(value) is not dict:
        raise InvalidValue("no JSON object")
    return value


def _signs(text: bytes) -> int:
    """How many signs there are that lead to a value, also those in texts."""
    return sum(map(text.count, (b",", b"[", b"{"))) if len(text) > MOST_VALUES else 0


def record_of(data: dict[str, Any], id: str | None = None) -> Record:  # noqa: A002
    """The record of a JSON object with `fields`, and maybe `id`, `metadata` and `version`.

    What the database itself wrote into the metadata is left out: what was read may be sent back.

    Args:
        data: The object.
        id: The id that it has, if known.

    Raises:
        InvalidValue: It is no record.
    """
    try:
        return _record(data, id)
    except (Corrupt, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, InvalidValue):
            raise
        why = "it is too deep" if isinstance(error, RecursionError) else str(error)
        raise InvalidValue(f"no record: {why}") from error


def text_of(data: dict[str, Any], name: str) -> str | None:
    """A text of a JSON object; None where it is null or missing.

    Raises:
        InvalidValue: It is something else.
    """
    value = data.get(name)
    if value is not None and type(value) is not str:
        raise InvalidValue(f"{name} takes a text")
    return value


def changes_of(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `fields` and `metadata` of a JSON object, either of which may be missing.

    Raises:
        InvalidValue: They hold what a record cannot.
    """
    try:
        return _values(data, "fields"), _values(data, "metadata")
    except (Corrupt, RecursionError) as error:
        why = "it is too deep" if isinstance(error, RecursionError) else str(error)
        raise InvalidValue(f"no change of a record: {why}") from error


def _values(data: dict[str, Any], name: str) -> dict[str, Any]:
    """The named values at a name of a JSON object; none where they are null or missing."""
    plain = data.get(name)
    named = {} if plain is None else from_plain(plain)
    if type(named) is not dict:
        raise InvalidValue(f"{name} takes an object")
    return named


def _record(data: dict[str, Any], id: str | None) -> Record:  # noqa: A002
    unknown = data.keys() - set(NAMES)
    if unknown or data.get("fields") is None:
        raise InvalidValue(
            f"a record is an object with fields, and maybe id, metadata and version; this one has "
            f"{', '.join(repr(name[:40]) for name in list(data)[:10]) or 'nothing'}"
        )
    given = text_of(data, "id")
    if id is not None and given is not None and given != id:
        raise InvalidValue(f"the record has the id {given!r}, and the path has {id!r}")
    metadata = _values(data, "metadata")
    record = Record(_values(data, "fields"), given if id is None else id, metadata)
    for name in STORE_NAMES:
        value = record.metadata.pop(name, None)
        own = value == record.id if name == "id" else isinstance(value, datetime)
        if value is not None and not own:
            raise InvalidValue(f"metadata.{name} is written by the database itself")
    record.version = text_of(data, "version")
    return record
