"""What headers say of an object, on its way in and on its way out.

Metadata are headers `X-Meta-NAME`, tags one header `X-Tags` (`name=value&name=value`). Whatever is
no printable ASCII is percent-encoded, so that nothing that is kept can end a header or begin one.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from holdall.objects.options import WriteOptions
from holdall.server.bodies import single
from holdall.server.errors import HttpFault
from holdall.server.objects.conditions import etag_of
from holdall.server.paths import decoded

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.objects.results import ObjectMeta

OCTETS: Final = "application/octet-stream"
SANDBOX: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""What a browser does with an object that it takes for a page: it runs nothing of it."""
_META: Final = "x-meta-"
_NAME = re.compile(r"[a-z0-9._-]{1,200}")
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (a word of the grammar of HTTP)
_TYPE = re.compile(rf"(?=.{{3,255}}\Z){_TOKEN}/{_TOKEN}[ \t]*(?:;[\x20-\x7e]*)?")
# All of printable ASCII but '%'.
_PLAIN: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_LATEST: Final = 253_402_300_800  # seconds until the year 10000, which no date of HTTP has
_DIGEST_BYTES: Final = {"md5": 16, "sha-256": 32}
_SHA256: Final = "sha-256"


def write_options(request: Request) -> WriteOptions:
    """How the object of a request is to be kept: its content type, metadata, tags and digests.

    Raises:
        HttpFault: 400: a header is none of its kind, or comes twice.
    """
    kind = single(request, "content-type")
    if kind is not None and not _TYPE.fullmatch(kind):
        raise HttpFault(400, f"the Content-Type {kind[:80]!r} is none, such as text/csv")
    return WriteOptions(
        content_type=kind,
        metadata=_metadata(request),
        tags=_tags(request),
        content_md5=_md5(request),
        sha256=_sha256(request),
        digest=False,
    )


def object_headers(meta: ObjectMeta) -> dict[str, str]:
    """What an answer with an object, or with a part of one, says of it."""
    kind = meta.content_type or OCTETS
    headers = {
        "Content-Type": kind if _TYPE.fullmatch(kind) else OCTETS,
        "Content-Security-Policy": SANDBOX,
        "Accept-Ranges": "bytes",
        **version_headers(meta),
    }
    if meta.sha256 is not None and re.fullmatch("[0-9a-f]{64}", meta.sha256):
        digest = b64encode(bytes.fromhex(meta.sha256)).decode()
        headers["Repr-Digest"] = f"{_SHA256}=:{digest}:"
    for name, value in meta.metadata.items():
        # Others may have kept under any name what is no header.
        if _NAME.fullmatch(name):
            headers[_META + name] = _encoded(value)
    if meta.tags is not None:
        headers["X-Tags"] = urlencode(meta.tags)
    return headers


def version_headers(meta: ObjectMeta) -> dict[str, str]:
    """Which version of an object an answer is about."""
    headers = {}
    etag, seconds = etag_of(meta), meta.modified_ns // 10**9
    if etag is not None:
        headers["ETag"] = etag
    if 0 <= seconds < _LATEST:
        headers["Last-Modified"] = formatdate(seconds, usegmt=True)
    return headers


def _encoded(value: str) -> str:
    text = quote(value, safe=_PLAIN, errors="replace")
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    # Spaces at the ends are no part of a header's value.
    return "%20" * before + inner + "%20" * (len(text) - before - len(inner))


def _metadata(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw in request.headers.raw:
        header = raw_name.decode("latin-1").lower()
        if not header.startswith(_META):
            continue
        name = header.removeprefix(_META)
        if not _NAME.fullmatch(name):
            raise HttpFault(
                400, f"the header {header[:80]!r}: a name has letters, digits, '-', '_' and '.'"
            )
        if name in found:
            raise HttpFault(400, f"the header {header} comes twice")
        found[name] = decoded(raw, f"the header {header}")
    return found


def _tags(request: Request) -> dict[str, str]:
    text = single(request, "x-tags")
    found: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, equals, value = (
            decoded(part.replace("+", " ").encode("latin-1"), "the header X-Tags")
            for part in pair.partition("=")
        )
        if not name or not equals or name in found:
            raise HttpFault(400, "the header X-Tags takes name=value&name=value, each name once")
        found[name] = value
    return found


def _md5(request: Request) -> str | None:
    text = single(request, "content-md5")
    return None if text is None else _hexadecimal(text, "md5", "Content-MD5")


def _sha256(request: Request) -> str | None:
    """The SHA-256 of the content, by RFC 9530 or by RFC 3230; other digests are not looked at."""
    found = {
        _hexadecimal(value.strip().strip(":"), _SHA256, header)
        for header in ("Content-Digest", "Repr-Digest", "Digest")
        for line in request.headers.getlist(header)
        for name, _, value in (part.partition("=") for part in line.split(","))
        if name.strip().lower() == _SHA256
    }
    if len(found) > 1:
        raise HttpFault(400, "two headers name two SHA-256 of one body")
    return next(iter(found), None)


def _hexadecimal(text: str, kind: str, header: str) -> str:
    try:
        digest = b64decode(text, validate=True)
    except (NoBase64, ValueError):
        digest = b""
    if len(digest) != _DIGEST_BYTES[kind]:
        raise HttpFault(400, f"{header}: {text[:80]!r} is no {kind} in base64")
    return digest.hex()
