"""What services answer in XML."""

from __future__ import annotations

import re
import uuid
from base64 import b64decode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree

from holdall.core.errors import Unavailable
from holdall.objects.backends.cloud.service import Known, Listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWER = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)
_NUMBER = re.compile(rb"^Content-ID: *<?(?:response-)?(\d+)>?", re.MULTILINE | re.IGNORECASE)
_BATCH_CODE = re.compile(rb"^x-ms-error-code: *(\w+)", re.MULTILINE | re.IGNORECASE)


def parsed(body: bytes, endpoint: str) -> Element:
    """Read an answer.

    Raises:
        Unavailable: It is no XML, so that something else answered: a proxy, or another service.
    """
    try:
        # expat resolves no external entity, and since 2.4.1 limits what internal ones expand to.
        return ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise Unavailable(
            f"{endpoint} answered something that is no XML: is it the right endpoint?",
            transient=False,
        ) from error


def text(element: Element, name: str) -> str:
    """The text of a child; empty when there is none."""
    for child in element:
        if child.tag.rpartition("}")[2] == name:
            return child.text or ""
    return ""


def http_time_ns(value: str) -> int:
    """A date of HTTP in nanoseconds since 1970."""
    return int(parsedate_to_datetime(value).timestamp()) * _SECOND


@lru_cache(maxsize=64)
def _day_seconds(date: str) -> int:
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - _EPOCH).days * 86400


def iso_time_ns(value: str) -> int:
    """A time as 2024-02-29T12:34:56.789Z in nanoseconds since 1970."""
    seconds = (
        _day_seconds(value[:10])
        + int(value[11:13]) * 3600
        + int(value[14:16]) * 60
        + int(value[17:19])
    )
    if len(value) == 24:  # milliseconds, as S3 writes them
        return seconds * _SECOND + int(value[20:23]) * 1_000_000
    fraction = value[20:-1] if value[19:20] == "." else ""
    return seconds * _SECOND + int(f"{fraction:0<9}"[:9])


def s3_listing(body: bytes) -> Listing:
    """One page as ListObjectsV2 answers it."""
    head, *entries = body.decode().split("<Contents>")
    if not entries or "<ListBucketResult" not in head:
        return _s3_page(body, [])
    # A parser of XML takes three times as long as all the rest. What it would have to know is
    # that every `<` in a text is escaped, so that the tags of an entry are where they are found.
    entries[-1], end, tail = entries[-1].partition("</Contents>")
    encoded = "<EncodingType>url</EncodingType>" in head or "<EncodingType>url<" in tail
    found = [_s3_entry(entry, encoded) for entry in entries]
    return _s3_page(f"{head}{tail}".encode() if end else body, found)


def _s3_entry(entry: str, encoded: bool) -> Known:
    start = entry.index("<Key>") + 5
    key = entry[start : entry.index("</Key>", start)]
    if "&" in key:
        key = unescape(key)
    if encoded and ("%" in key or "+" in key):
        key = unquote_plus(key)
    start = entry.index("<Size>") + 6
    size = int(entry[start : entry.index("<", start)])
    start = entry.index("<LastModified>") + 14
    modified = iso_time_ns(entry[start : entry.index("<", start)])
    start = entry.find("<ETag>") + 6
    etag = entry[start : entry.index("<", start)] if start > 5 else ""
    if etag[:1] == "&":
        etag = unescape(etag)
    start = entry.find("<StorageClass>") + 14
    kind = entry[start : entry.index("<", start)] if start > 13 else None
    return Known(key, size, modified, etag.strip('"'), storage_class=kind)


def _s3_page(body: bytes, found: list[Known]) -> Listing:
    """What stands around the entries of a page."""
    folders: list[str] = []
    token: str | None = None
    encoded = truncated = False
    for child in parsed(body, "the service"):
        name = child.tag.rpartition("}")[2]
        if name == "CommonPrefixes":
            folders.append(text(child, "Prefix"))
        elif name == "NextContinuationToken":
            token = child.text
        elif name == "IsTruncated":
            truncated = child.text == "true"
        elif name == "EncodingType":
            encoded = child.text == "url"
    if encoded:
        folders = [unquote_plus(folder) for folder in folders]
    return Listing(found, folders, token if truncated else None)


def azure_listing(body: bytes) -> Listing:
    """One page as List Blobs answers it."""
    root = parsed(body, "the service")
    found: list[Known] = []
    folders: list[str] = []
    blobs = root.find("Blobs")
    for entry in blobs if blobs is not None else ():
        if entry.tag == "BlobPrefix":
            folders.append(_azure_name(entry))
        elif entry.tag == "Blob":
            properties = entry.find("Properties")
            values = {child.tag: child.text for child in properties or ()}
            found.append(
                Known(
                    _azure_name(entry),
                    int(values.get("Content-Length") or 0),
                    http_time_ns(values.get("Last-Modified") or ""),
                    (values.get("Etag") or "").strip('"'),
                    storage_class=values.get("AccessTier"),
                )
            )
    marker = root.find("NextMarker")
    return Listing(found, folders, (marker.text or None) if marker is not None else None)


def _azure_name(entry: Element) -> str:
    name = entry.find("Name")
    if name is None:
        return ""
    text = name.text or ""
    # So are names written that XML cannot hold.
    return unquote(text) if name.get("Encoded") == "true" else text


def hex_of(md5: str) -> str:
    """A digest in base 64 as hexadecimal digits."""
    return b64decode(md5).hex()


def batch_of(requests: Sequence[str]) -> tuple[bytes, str]:
    """Many requests in the body of one; answer it and its content type.

    Args:
        requests: First line and headers of each, every line with its line end.
    """
    boundary = f"batch_{uuid.uuid4()}"
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\n"
        f"Content-Transfer-Encoding: binary\r\nContent-ID: {number}\r\n\r\n{request}\r\n\r\n"
        for number, request in enumerate(requests)
    ]
    body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
    return body, f"multipart/mixed; boundary={boundary}"


def batch_answers(body: bytes) -> Iterator[tuple[int, int, str]]:
    """Number, status and code of each answer in the body of one."""
    start = 0
    for place, answer in enumerate(_ANSWER.finditer(body)):
        number = _NUMBER.findall(body, start, answer.start())
        start = answer.end()
        code = _BATCH_CODE.search(body, answer.end())
        yield (
            int(number[-1]) if number else place,
            int(answer[1]),
            code[1].decode() if code and int(answer[1]) >= 400 else "",
        )
