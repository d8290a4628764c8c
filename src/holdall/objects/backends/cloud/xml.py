"""What services answer in XML."""

from __future__ import annotations

import re
import uuid
from base64 import b64decode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote
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


def iso_time_ns(value: str) -> int:
    """A time as 2024-02-29T12:34:56.789Z in nanoseconds since 1970, to the microsecond."""
    since = datetime.fromisoformat(value) - _EPOCH
    return (since.days * 86400 + since.seconds) * _SECOND + since.microseconds * 1000


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
            values = {child.tag: child.text for child in entry.iterfind("Properties/*")}
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
