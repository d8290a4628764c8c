"""Tokens: where a page of a search ended, as text that a client may keep."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from holdall.core.errors import Corrupt, InvalidQuery
from holdall.records.encoding import from_plain, to_plain
from holdall.records.paths import ABSENT
from holdall.records.record import check_id
from holdall.records.stored import reader
from holdall.records.values import adopt

if TYPE_CHECKING:
    from holdall.records.query import Query
    from holdall.records.stored import Stored


def token_after(query: Query, row: Stored) -> str:
    """The token of what comes after a row, in a query without distinct."""
    values = [_marked(value) for value in after(query, row)]
    whole = msgspec.msgpack.encode([_digest(query), values])
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def after(query: Query, row: Stored) -> tuple[Any, ...]:
    """The values that a query sorts by, in a row, and its id; for `Found.after`."""
    return (*(reader(sort.path)(row) for sort in query.sorts), row.id)


def read_token(query: Query, token: str) -> tuple[Any, ...]:
    """Read what `token_after` wrote.

    Raises:
        InvalidQuery: It is no token, or one of another query.
    """
    try:
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, values = msgspec.msgpack.decode(body, type=tuple[str, list[Any]])
        read = tuple(ABSENT if value is None else _unmarked(value) for value in values)
        check_id(read[-1])
    except (
        AttributeError,
        ValueError,
        TypeError,
        LookupError,
        msgspec.MsgspecError,
        RecursionError,
        Corrupt,
    ) as error:
        raise InvalidQuery(f"{token[:40]!r} is no token of a page") from error
    if digest != _digest(query) or len(read) != len(query.sorts) + 1:
        raise InvalidQuery("the token is one of another query: filter and sort must be the same")
    return read


def _unmarked(value: list[Any]) -> Any:
    # Whoever hands a token in may have made it.
    return adopt(from_plain(value[0]), "the token")


def _marked(value: Any) -> Any:
    return None if value is ABSENT else [to_plain(value)]


def _digest(query: Query) -> str:
    shown = f"{query.predicate!r} {query.sorts!r}"
    return hashlib.blake2b(shown.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()
