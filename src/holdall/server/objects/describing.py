"""What OpenAPI says of the routes of objects."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from holdall.core.reference import MAX_KEY_BYTES
from holdall.objects.options import PAGE_ITEMS


class Described(Struct, frozen=True):
    """One route.

    Attributes:
        method: Of HTTP.
        name: Its operation id.
        summary: What it does.
        status: What it answers where all goes well.
        responses: All that it answers, by status.
        extra: Its parameters and its body.
    """

    method: str
    name: str
    summary: str
    status: int
    responses: dict[int | str, dict[str, Any]]
    extra: dict[str, Any]


_TEXT: Final[dict[str, Any]] = {"type": "string"}
_BYTES: Final[dict[str, Any]] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_FAULTS: Final = {
    400: "The key, a header or a parameter cannot be read, or the store cannot do it",
    401: "Log in first",
    403: "Not allowed",
    404: "There is no such object",
    408: "The body did not come",
    409: "Another key makes this one a folder, or a part of it a file",
    412: "A condition does not hold",
    413: "The body, or its metadata, is too large",
    415: "The body is packed",
    416: "The range is not in the object",
    429: "Too many wrong passwords, or logins",
    431: "A header is too long",
    502: "The store failed",
    503: "The store does not answer now",
}
_ALWAYS: Final = (400, 401, 403, 429, 431, 502, 503)

# What the rule of keys refuses, but for lengths in bytes.
_CLIMBS: Final = r"(?:.*/)?(?:\.{1,2}|\.holdall)(?:/|$)"
_LETTER: Final = r"^\\\u0000-\u001f\u007f-\u009f"
_TAG: Final = r'(?:W/)?"[!#-~]*"'
_ETAGS: Final = {"type": "string", "pattern": rf"^(?:\*|{_TAG}(?:, ?{_TAG})*)$"}
_FOLDER: Final = {"type": "string", "pattern": rf"^(?!/|.*//|{_CLIMBS})[{_LETTER}]*$"}
_MD5: Final = {"type": "string", "pattern": r"^[A-Za-z0-9+/]{21}[AQgw]==$"}
_WORD: Final = r"(?:%[0-7][0-9A-Fa-f]|[A-Za-z0-9+._~-])"
_PAIR: Final = rf"{_WORD}+={_WORD}*"
_PAIRS: Final = {"type": "string", "pattern": rf"^(?:{_PAIR}(?:&{_PAIR})*)?$"}


def _header(name: str, text: str, schema: dict[str, Any] = _TEXT) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": schema}


def _query(name: str, text: str, schema: dict[str, Any] = _TEXT) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": _FAULTS[status], "content": {"text/plain": {"schema": _TEXT}}}
        for status in sorted({*_ALWAYS, *statuses})
    }


_KEY: Final[dict[str, Any]] = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "The key, with its slashes; all else that is not for a URL is percent-encoded",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_BYTES,
        "pattern": rf"^(?!/|.*//|.*/$|{_CLIMBS})[{_LETTER}]+$",
    },
}
_TAGS: Final = _query("tags", "Given: `X-Tags` is answered")
_MATCH: Final = _header(
    "If-Match", "Only if the object has one of these etags, or `*`: any", _ETAGS
)
_NONE_MATCH: Final = _header(
    "If-None-Match", "Only if it has none of these, or `*`: is not there", _ETAGS
)
_UNMODIFIED: Final = _header("If-Unmodified-Since", "Only if it is no younger; `If-Match` is exact")
_MODIFIED: Final = _header("If-Modified-Since", "Only if it is younger; `If-None-Match` is exact")
_RANGE: Final = _header("Range", "One range: `bytes=0-99`, `bytes=100-`, `bytes=-100`")
_IF_RANGE: Final = _header("If-Range", "An etag: for another object the whole is answered")
_VERSION: Final[dict[str, Any]] = {
    "ETag": {"description": "Changes with every write", "schema": _TEXT},
    "Last-Modified": {"description": "When it was written", "schema": _TEXT},
}
_OF_OBJECT: Final[dict[str, Any]] = {
    **_VERSION,
    "Accept-Ranges": {"description": "`bytes`", "schema": _TEXT},
    "Repr-Digest": {"description": "Its SHA-256, where the writer gave one", "schema": _TEXT},
    "X-Tags": {"description": "Its tags, where they are asked for", "schema": _TEXT},
}
_NEXT: Final = {"Link": {"description": "The next page, `rel=next`", "schema": _TEXT}}
_PAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["objects", "directories", "next"],
    "properties": {
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "size", "etag", "modified"],
                "properties": {
                    "key": _TEXT,
                    "size": {"type": "integer", "minimum": 0},
                    "etag": {"type": ["string", "null"]},
                    "modified": {"type": ["string", "null"], "format": "date-time"},
                },
            },
        },
        "directories": {"type": "array", "items": _TEXT},
        "next": {"type": ["string", "null"]},
    },
}
_WRITTEN: Final = (
    _header("Content-MD5", "Checked, and kept", _MD5),
    _header("Content-Digest", "`sha-256=:…:`, checked, and kept; `Repr-Digest`, `Digest` too"),
    _header("X-Tags", "`name=value&name=value`", _PAIRS),
)

ROUTES: Final = {
    "LIST": Described(
        "GET",
        "list_objects",
        "List objects and folders, in the order of the store",
        200,
        {
            200: {
                "description": "A page",
                "content": {"application/json": {"schema": _PAGE}},
                "headers": _NEXT,
            },
            **_faults(),
        },
        {
            "parameters": [
                _query(
                    "prefix",
                    "A folder; `foo` holds `foo/1`, and neither `foo-1` nor `foo`",
                    _FOLDER,
                ),
                _query("delimiter", "`/`: only one level", {"type": "string", "enum": ["", "/"]}),
                _query(
                    "limit",
                    "How many objects and folders at most",
                    {"type": "integer", "minimum": 1, "maximum": PAGE_ITEMS, "default": PAGE_ITEMS},
                ),
                _query("after", "Only keys that come behind this one in byte order"),
                _query("token", "What the page before called `next`"),
            ]
        },
    ),
    "GET": Described(
        "GET",
        "read_object",
        "Read an object, or a range of it; its metadata are headers `X-Meta-NAME`",
        200,
        {
            200: {"description": "All of it", "content": _BYTES, "headers": _OF_OBJECT},
            206: {
                "description": "The range",
                "content": _BYTES,
                "headers": {
                    **_OF_OBJECT,
                    "Content-Range": {"description": "Which part it is", "schema": _TEXT},
                },
            },
            304: {"description": "It is the one that the client has", "headers": _VERSION},
            **_faults(404, 412, 416),
        },
        {
            "parameters": [
                _KEY,
                _TAGS,
                _RANGE,
                _IF_RANGE,
                _MATCH,
                _NONE_MATCH,
                _UNMODIFIED,
                _MODIFIED,
            ]
        },
    ),
    "HEAD": Described(
        "HEAD",
        "head_object",
        "Ask what is known of an object",
        200,
        {
            200: {"description": "It is there", "headers": _OF_OBJECT},
            304: {"description": "It is the one that the client has", "headers": _VERSION},
            **_faults(404, 412),
        },
        {"parameters": [_KEY, _TAGS, _MATCH, _NONE_MATCH, _UNMODIFIED, _MODIFIED]},
    ),
    "PUT": Described(
        "PUT",
        "write_object",
        "Write an object, whole or not at all; headers `X-Meta-NAME` are kept",
        201,
        {
            201: {"description": "It is new", "headers": _VERSION},
            204: {"description": "It is in the place of another one", "headers": _VERSION},
            **_faults(408, 409, 412, 413, 415),
        },
        {
            "parameters": [_KEY, _MATCH, _NONE_MATCH, _UNMODIFIED, *_WRITTEN],
            "requestBody": {"description": "Its bytes", "content": _BYTES},
        },
    ),
    "DELETE": Described(
        "DELETE",
        "delete_object",
        "Delete an object",
        204,
        {204: {"description": "It is gone"}, **_faults(404, 409, 412)},
        {"parameters": [_KEY, _MATCH, _NONE_MATCH, _UNMODIFIED]},
    ),
}
