"""What OpenAPI says of the routes of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.records.record import MAX_ID_BYTES
from holdall.server.records.batches import MODES
from holdall.server.records.reading import JSON, LINES
from holdall.server.records.searching import LONGEST, LONGEST_PARAMETER, MOST, PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_MAYBE_TEXT: Final[dict[str, Any]] = {"type": ["string", "null"]}
_VALUES: Final[dict[str, Any]] = {"type": ["object", "null"]}
_PROPERTIES: Final[dict[str, Any]] = {
    "id": {**_MAYBE_TEXT, "minLength": 1, "maxLength": MAX_ID_BYTES},
    "fields": {"type": "object", "description": "Values; those that JSON has no kind for, marked"},
    "metadata": _VALUES,
    "version": {**_MAYBE_TEXT, "description": "Which version it must be; null: any"},
}
_FLAG: Final[dict[str, Any]] = {"type": "string", "enum": ["1", "true", "0", "false"]}
_NAMES: Final[dict[str, Any]] = {
    "type": ["string", "array", "null"],
    "items": {"type": "string", "minLength": 1},
}

RECORD: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "fields", "metadata", "version"],
    "properties": {
        "id": _TEXT,
        "fields": {"type": "object"},
        "metadata": {"type": "object"},
        "version": _TEXT,
    },
}
WRITTEN: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["fields"],
    "properties": _PROPERTIES,
    "additionalProperties": False,
}
CHANGES: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "fields": {**_VALUES, "description": "New values, by field or path (`address.city`)"},
        "metadata": _VALUES,
        "version": _PROPERTIES["version"],
    },
    "additionalProperties": False,
}
SEARCH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "filter": {**_MAYBE_TEXT, "maxLength": LONGEST},
        "sort": _NAMES,
        "select": _NAMES,
        "limit": {"type": ["integer", "null"], "minimum": 0},
        "token": _MAYBE_TEXT,
        "count": {"type": ["boolean", "null"]},
    },
    "additionalProperties": False,
}
PAGE_OF_RECORDS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["records", "next"],
    "properties": {
        "records": {"type": "array", "items": RECORD},
        "next": {**_MAYBE_TEXT, "description": "The token of the next page"},
        "count": {"type": "integer", "description": "How many there are, where it was asked"},
    },
}
COUNT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer"}},
}

_FAULTS: Final[dict[int, str]] = {
    400: "The request means nothing; the text says where",
    401: "Log in first",
    403: "Not allowed",
    404: "There is no such record",
    406: "Nothing that Accept asks for is sent",
    408: "The body came too slowly",
    409: "There is such a record already, or others change it all the time",
    412: "The record has another version",
    413: "Too large, or too many",
    415: "No such body is read",
    429: "Too many wrong passwords",
    431: "A header is too long",
    500: "It failed; the log has more",
    502: "The database refuses this server",
    503: "The database cannot do this now",
}
_ALWAYS: Final = (400, 401, 403, 429, 431, 500, 502, 503)
_ETAG: Final[dict[str, Any]] = {
    "ETag": {"description": "The version of the record", "schema": _TEXT, "required": True}
}

ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "All that follows `/records/`, percent-decoded once: it may hold slashes",
    "schema": {**_TEXT, "minLength": 1, "maxLength": MAX_ID_BYTES},
}
_SHORT: Final[dict[str, Any]] = {**_TEXT, "maxLength": LONGEST_PARAMETER}
FILTER: Final = {
    "name": "filter",
    "in": "query",
    "description": "A condition, such as `age >= 18 and name like 'A%'`",
    "schema": _SHORT,
}
MODE: Final = {
    "name": "mode",
    "in": "query",
    "required": True,
    "description": "What to do with each line",
    "schema": {**_TEXT, "enum": [*MODES]},
}
PARAMETERS: Final = (
    FILTER,
    {
        "name": "sort",
        "in": "query",
        "description": "Fields, with commas between; `-field` sorts down",
        "schema": _SHORT,
    },
    {
        "name": "select",
        "in": "query",
        "description": "Only these fields, with commas between",
        "schema": _SHORT,
    },
    {
        "name": "limit",
        "in": "query",
        "description": f"Records of a page, 1 to {MOST:,} and {PAGE} unless given; of JSON Lines, "
        "all unless given",
        "schema": {"type": "integer", "minimum": 0},
    },
    {
        "name": "token",
        "in": "query",
        "description": "`next` of the page before, of the same filter and sort",
        "schema": _SHORT,
    },
    {
        "name": "count",
        "in": "query",
        "description": "Whether to count all that meet the filter",
        "schema": _FLAG,
    },
)


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A header that a request may have."""
    text = {**_TEXT, **schema}
    return {"name": name, "in": "header", "description": description, "schema": text}


_TAG: Final = '(W/)?"[!#-~]*"'
_TAGS: Final = rf"^(\*|{_TAG}(, ?{_TAG}){{0,99}})$"
IF_MATCH: Final = header(
    "If-Match", "Versions that the record must have one of; `*`: any", pattern=_TAGS
)
IF_NONE_MATCH: Final = header("If-None-Match", "`*`: there must be no record", enum=["*"])
IF_CHANGED: Final = header("If-None-Match", "Versions that the caller has", pattern=_TAGS)


def body(schema: Mapping[str, Any], what: str, kind: str = JSON) -> dict[str, Any]:
    """The body that a request must have."""
    return {"description": what, "required": True, "content": {kind: {"schema": schema}}}


def lines(what: str) -> dict[str, Any]:
    """JSON Lines, in a request or an answer."""
    return {"description": what, "required": True, "content": {LINES: {"schema": _TEXT}}}


def answer(
    what: str,
    schema: Mapping[str, Any] | None = None,
    *,
    in_lines: bool = False,
    headers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An answer that is no fault."""
    told: dict[str, Any] = {"description": what}
    if schema is not None:
        told["content"] = {JSON: {"schema": schema}}
    if in_lines:
        told.setdefault("content", {})[LINES] = {"schema": _TEXT}
    if headers is not None:
        told["headers"] = headers
    return told


def record_answer(what: str, *, created: bool = False) -> dict[str, Any]:
    """A record, with its version."""
    place = {"Location": {"description": "Its path", "schema": _TEXT, "required": True}}
    return answer(what, RECORD, headers={**_ETAG, **(place if created else {})})


def faults(statuses: Iterable[int], *, in_lines: bool = False) -> dict[int | str, dict[str, Any]]:
    """What may go wrong, besides what may always: a line of text, or JSON Lines that end with it.

    Args:
        statuses: Those that are special.
        in_lines: Whether some may come after lines that were done.
    """
    content: dict[str, Any] = {"text/plain": {"schema": _TEXT}}
    if in_lines:
        content[LINES] = {"schema": _TEXT}
    return {
        status: {"description": _FAULTS[status], "content": content}
        for status in sorted({*_ALWAYS, *statuses})
    }
