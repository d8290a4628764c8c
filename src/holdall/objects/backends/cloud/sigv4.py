"""AWS Signature Version 4, as Amazon S3 wants it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdall.objects.backends.cloud.credentials import Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Stands for the digest of a body that is not signed."""

DIGEST = "x-amz-content-sha256"
"""The header with the digest of the body."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Key(Hidden, frozen=True):
    """An access key.

    Args:
        id: The part that is shown.
        secret: The part that is not.
        token: The session token of a temporary key.
    """

    id: str
    secret: str
    token: str | None = None


def query_text(query: Mapping[str, str]) -> str:
    """A query as it is signed and sent: encoded, and then in the order of the names."""
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def sign_headers(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload: str,
    key: Key,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """The headers of a request with those that authorize it.

    Args:
        method: The verb.
        host: Host and port, as the client will send them.
        path: Encoded, as the client will send it.
        query: As `query_text` writes it.
        headers: What else is sent; names in small letters. All of it is signed.
        payload: The SHA-256 of the body, hexadecimal, or `UNSIGNED`.
        key: Whose.
        region: Where the service is.
        now: In UTC.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "host": host, DIGEST: payload, "x-amz-date": time}
    if key.token is not None:
        signed["x-amz-security-token"] = key.token
    names, canonical = _canonical(method, path, query, signed, payload)
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    signature = _signature(canonical, time, scope, key.secret, region)
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def presign(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    key: Key,
    region: str,
    now: datetime,
    expires: int,
) -> str:
    """The query of a URL that needs no other credential.

    Args:
        method: The verb.
        host: Host and port of the URL.
        path: Encoded.
        headers: What the client must send, names in small letters.
        key: Whose.
        region: Where the service is.
        now: In UTC.
        expires: For how many seconds.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    signed = {**headers, "host": host}
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{key.id}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    if key.token is not None:
        query["X-Amz-Security-Token"] = key.token
    text = query_text(query)
    _, canonical = _canonical(method, path, text, signed, UNSIGNED)
    return f"{text}&X-Amz-Signature={_signature(canonical, time, scope, key.secret, region)}"


def _canonical(
    method: str, path: str, query: str, headers: Mapping[str, str], payload: str
) -> tuple[str, str]:
    """The names of the signed headers, and the request in the form that is signed."""
    ordered = sorted(headers)
    names = ";".join(ordered)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in ordered)
    return names, f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"


def _signature(canonical: str, time: str, scope: str, secret: str, region: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{time}\n{scope}\n{digest}"
    return hmac.digest(_signing_key(secret, time[:8], region), text.encode(), "sha256").hex()


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
