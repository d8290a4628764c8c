"""Conditional requests: `If-Match` and `If-None-Match`, over the versions of records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from msgspec import Struct

from holdall.core.errors import PreconditionFailed
from holdall.server.errors import HttpFault

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.records.async_database import AsyncDatabase

# What may stand in a tag (RFC 9110, 8.8.3), but for the sign that quotes the others.
_PLAIN: Final = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_TAG = re.compile(r'\s*(W/)?"([!#-~]*)"\s*')
_MOST_TAGS: Final = 100


class Condition(Struct, frozen=True):
    """What must hold for a write.

    Attributes:
        exists: There must be a record.
        absent: There must be none.
        versions: It must be one of these; None for any.
    """

    exists: bool = False
    absent: bool = False
    versions: frozenset[str] | None = None


def etag(version: str | None) -> str:
    """A version as an entity tag."""
    return f'"{quote(version or "", safe=_PLAIN)}"'


def condition_of(request: Request) -> Condition:
    """The condition of a write.

    Raises:
        HttpFault: 400 where a header cannot be read, or cannot be kept to.
    """
    wanted, unwanted = _header(request, "if-match"), _header(request, "if-none-match")
    if "if-unmodified-since" in request.headers:
        raise HttpFault(400, "If-Unmodified-Since is not used here, as seconds are long: If-Match")
    if unwanted is not None:
        if wanted is not None:
            raise HttpFault(400, "If-Match and If-None-Match: a write takes one of them")
        if unwanted.strip() != "*":
            raise HttpFault(400, "If-None-Match of a write takes *: there must be no record")
        return Condition(absent=True)
    if wanted is None:
        return Condition()
    if wanted.strip() == "*":
        return Condition(exists=True)
    # Those that are weak are never equal here (RFC 9110, 8.8.3.2).
    strong = (unquote(tag) for weak, tag in _tags(wanted, "If-Match") if not weak)
    return Condition(exists=True, versions=frozenset(strong))


async def version_of(database: AsyncDatabase, id: str, condition: Condition) -> str | None:  # noqa: A002
    """The version that a write replaces; None for any.

    Raises:
        PreconditionFailed: The record has none of the versions.
    """
    versions = condition.versions
    if versions is None:
        return None
    if len(versions) == 1:
        return next(iter(versions))
    record = await database.read(id)
    now = None if record is None else record.version
    if now not in versions:
        raise PreconditionFailed(
            f"the record {id!r} is in none of the versions of If-Match: read it again and decide"
        )
    return now


def unchanged(request: Request, version: str | None) -> bool:
    """Whether a reader has this version already.

    Raises:
        HttpFault: 412 where it is not the one that they want, 400 where a header is unreadable.
    """
    tag = etag(version)[1:-1]
    wanted, unwanted = _header(request, "if-match"), _header(request, "if-none-match")
    if wanted is not None and wanted.strip() != "*" and (False, tag) not in _strong(wanted):
        raise HttpFault(412, "the record has another version than those of If-Match")
    if unwanted is None:
        return False
    if unwanted.strip() == "*":
        return True
    return any(one == tag for _, one in _tags(unwanted, "If-None-Match"))


def _strong(text: str) -> list[tuple[bool, str]]:
    return [one for one in _tags(text, "If-Match") if not one[0]]


def _header(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    return ",".join(found) if found else None


def _tags(text: str, header: str) -> list[tuple[bool, str]]:
    """The entity tags of a header: whether each is weak, and what is in its quotes."""
    found: list[tuple[bool, str]] = []
    at = 0
    while len(found) < _MOST_TAGS:
        match = _TAG.match(text, at)
        if match is None:
            break
        found.append((match[1] is not None, match[2]))
        at = match.end()
        if at == len(text):
            return found
        if text[at] != ",":
            break
        at += 1
    raise HttpFault(400, f'{header} is no list of tags such as "1f0c", nor *')
