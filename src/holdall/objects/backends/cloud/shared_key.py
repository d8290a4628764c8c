"""Azure's signatures: Shared Key for requests, and service SAS for URLs.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

VERSION = "2021-12-02"
"""The version of the protocol that requests ask for."""

_SAS_VERSION = "2020-12-06"
_STANDARD = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_PERMISSIONS = {"GET": "r", "PUT": "cw", "DELETE": "d"}


def http_date(now: datetime) -> str:
    """A time as the header x-ms-date has it."""
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.weekday()]
    month = (
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    )[now.month - 1]  # fmt: skip
    return f"{day}, {now.day:02} {month} {now.year} {now:%H:%M:%S} GMT"


def authorization(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    size: int,
    account: str,
    key: str,
) -> str:
    """The header Authorization of a request.

    Args:
        method: The verb.
        path: Encoded, as it is sent; with the account at its head on an emulator.
        query: Not encoded.
        headers: All that is sent, names in small letters.
        size: How many bytes the body has.
        account: The storage account.
        key: Its key, in base 64.
    """
    values = {**headers, "content-length": str(size) if size else "", "date": ""}
    lines = [method, *(values.get(name, "") for name in _STANDARD)]
    own = sorted((name for name in headers if name[:5] == "x-ms-"), key=_rank)
    lines += [f"{name}:{headers[name].strip()}" for name in own]
    lines.append(f"/{account}{path}")
    lines += [f"{name.lower()}:{query[name]}" for name in sorted(query)]
    return f"SharedKey {account}:{_signed(chr(10).join(lines), key)}"


def sas(
    method: str,
    account: str,
    container: str,
    blob: str,
    key: str,
    expiry: datetime,
    *,
    https: bool,
) -> str:
    """The query of a URL that lets its holder do one thing with one blob.

    Args:
        method: `GET`, `PUT` or `DELETE`.
        account: The storage account.
        container: The container.
        blob: The blob, not encoded.
        key: The account's key, in base 64.
        expiry: Until when, in UTC.
        https: Whether it holds for HTTPS alone.
    """
    until = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
    permissions, protocol = _PERMISSIONS[method], "https" if https else "https,http"
    resource = f"/blob/{account}/{container}/{blob}"
    fields = [permissions, "", until, resource, "", "", protocol, _SAS_VERSION, "b", "", ""]
    signature = _signed("\n".join([*fields, *[""] * 5]), key)
    pairs = {
        "sp": permissions,
        "se": until,
        "spr": protocol,
        "sv": _SAS_VERSION,
        "sr": "b",
        "sig": signature,
    }
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())


def read_connection_string(text: str) -> dict[str, str]:
    """The pairs of a connection string, names in small letters.

    Raises:
        ValueError: It is none. Nothing of it is shown.
    """
    pairs: dict[str, str] = {}
    for piece in text.strip().strip(";").split(";"):
        name, mark, value = piece.partition("=")
        if not mark or not name.strip() or name.strip().lower() in pairs:
            raise ValueError("a connection string is made of Name=value pairs, divided by ';'")
        pairs[name.strip().lower()] = value.strip()
    return pairs


def sas_pairs(token: str) -> dict[str, str]:
    """The pairs of a SAS token, decoded."""
    pairs = (piece.partition("=") for piece in token.lstrip("?").split("&") if piece)
    return {name: unquote(value) for name, _, value in pairs}


def _rank(name: str) -> str:
    """What the service orders headers by: as words are ordered, with `_` before digits."""
    return name.replace("_", " ")


def _signed(text: str, key: str) -> str:
    return b64encode(hmac.digest(b64decode(key), text.encode(), "sha256")).decode()
