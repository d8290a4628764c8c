"""What is in the object of a record, and which tags it shows.

    {"id": "user-1", "fields": {…}, "metadata": {…},
     "created_at": "2024-01-01T00:00:00.000000Z", "updated_at": "…", "write": "5f3a…"}

Values stand in `fields` and `metadata` as `holdall.records.encoding` writes them. Of what another
program writes, `id` and `fields` are needed; the moments are those of the object where they are
missing. `write` is another one for each write, so that its author knows it again, and no two
writes have the same bytes: where an etag is made from the bytes, none comes back.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.blocks import MAX_BODY_BYTES, Row, microseconds_of
from holdall.records.encoding import dump, from_plain, plain_json
from holdall.records.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.reference import Reference
    from holdall.records.stored import Write

CONTENT_TYPE = "application/json"
MAX_TAGS = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What S3 and Azure both take.
_TAG = re.compile(r"[A-Za-z0-9+\-./:=_](?:[A-Za-z0-9 +\-./:=_]*[A-Za-z0-9+\-./:=_])?\Z")
_SCALARS = (str, int, float, Decimal, UUID, datetime, date)


# How the objects begin that are written here, and those of most others.
_BEGIN = re.compile(rb"\s*\{\s*\"id\"\s*:")
_NAMED = b'"fields"'

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Body(msgspec.Struct):
    id: str
    fields: dict[str, Any]
    metadata: dict[str, Any] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None
    write: str = ""


class _Sent(msgspec.Struct, gc=False):
    id: str
    fields: dict[str, Any] | msgspec.Raw
    metadata: dict[str, Any] | msgspec.Raw
    created_at: str
    updated_at: str
    write: str


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


class Held(msgspec.Struct, frozen=True, gc=False):
    """The object of a record, as it was read or written.

    Args:
        etag: Of the answer that it came with.
        modified_ns: When the store says that it was written, in nanoseconds since 1970 UTC.
        body: Its bytes.
        typed: Whether it has the content type that records are written with.
    """

    etag: str
    modified_ns: int
    body: bytes
    typed: bool = True


class NoRecord(Corrupt):
    """What an object with the name of a record holds is none, and never was."""


def body_of(write: Write, created: str, updated: str, token: str) -> bytes:
    """The bytes of the object of a record.

    Args:
        write: The record.
        created: When it was created, as `instant_text` says it.
        updated: When it is written.
        token: Tells this write from every other one.
    """
    fields, metadata = write.fields, write.metadata
    whole = _Sent(write.id, fields, metadata, created, updated, token)
    body = plain_json([*fields.values(), *metadata.values()], whole)  # what most are
    if body is not None:
        return body
    whole.fields = msgspec.Raw(dump(fields)[0])
    whole.metadata = msgspec.Raw(dump(metadata)[0])
    return _encode(whole)


def row_of(id: str, held: Held, ref: Callable[[str], Reference]) -> Stored:  # noqa: A002
    """The record in an object.

    Args:
        id: Whose object it is.
        held: The object.
        ref: Answers the address of an id's object, for errors.

    Raises:
        Corrupt: There is no record in it, or another one.
    """
    body = held.body
    try:
        whole = _decode(body)
        fields, metadata = whole.fields, whole.metadata
        if b'"$' in body:
            fields = {name: from_plain(value) for name, value in fields.items()}
            metadata = {name: from_plain(value) for name, value in metadata.items()}
    except (Corrupt, *_UNREADABLE) as error:
        where = ref(id)
        raise Corrupt(f"{where} holds no record: {error}", reference=where) from error
    if whole.id != id:
        where = ref(id)
        raise Corrupt(
            f"{where} holds the record {whole.id[:80]!r}, which belongs under another key",
            reference=where,
        )
    created, updated = _moments(whole, held)
    return Stored(id, fields, metadata, created, updated, held.etag)


def packable(id: str, held: Held) -> Row | None:  # noqa: A002
    """The record in an object, as a block takes it; None when no block does."""
    body = held.body
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        whole = _decode(body)
    except _UNREADABLE:
        return None
    if whole.id != id:
        return None
    created, updated = map(microseconds_of, _moments(whole, held))
    return Row(id, held.etag, created, updated, whole.fields, whole.metadata, len(body))


def _moments(whole: _Body, held: Held) -> tuple[datetime, datetime]:
    """When a record was created and written, in UTC."""
    created, updated = whole.created_at, whole.updated_at
    if created is None or updated is None or created.tzinfo is not UTC or updated.tzinfo is not UTC:
        # Another program wrote it.
        updated = _moment(updated, held)
        created = updated if created is None else _moment(created, held)
    return created, updated


def is_like_record(id: str, body: bytes) -> bool:  # noqa: A002
    """Whether bytes that hold no record may be what is left of one: in doubt they are."""
    if not body.strip(b"\0 \t\r\n") or body.startswith(b"\0"):
        return True  # what a disk leaves that lost power
    try:
        whole = msgspec.json.decode(body)
    except _UNREADABLE:
        return _NAMED in body or bool(_BEGIN.match(body)) or b'{"id":'.startswith(body)
    return isinstance(whole, dict) and ("fields" in whole or whole.get("id") == id)


def is_write(body: bytes, token: str) -> bool:
    """Whether these bytes are those of a certain write."""
    try:
        return _decode(body).write == token
    except _UNREADABLE:
        return False


def _moment(given: datetime | None, held: Held) -> datetime:
    if given is None:
        return _EPOCH + timedelta(microseconds=held.modified_ns // 1000)
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def tags_of(write: Write, created: str, updated: str) -> dict[str, str]:
    """The tags that a record's object shows.

    `id`, `created_at` and `updated_at`, then the metadata in its order, until there are ten:
    texts, numbers, true and false, moments, dates and UUIDs, with names of up to 128 and values of
    1 to 256 characters out of letters and digits of ASCII, spaces inside, and `+ - . / : = _`.
    What does not fit, is of another kind or holds another character is left out. The body has all
    of it.
    """
    tags = {"id": write.id} if _fits(write.id, 256) else {}
    tags["created_at"], tags["updated_at"] = created, updated
    for name, value in write.metadata.items():
        if len(tags) == MAX_TAGS:
            break
        text = _shown(value)
        if _fits(name, 128) and _fits(text, 256) and not name.lower().startswith("aws:"):
            tags[name] = text
    return tags


def _fits(text: str, most: int) -> bool:
    return len(text) <= most and _TAG.match(text) is not None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    # A larger number is longer than a tag, and Python refuses to write some.
    if isinstance(value, int) and value.bit_length() > 1000:
        return ""
    return str(value) if isinstance(value, _SCALARS) else ""
