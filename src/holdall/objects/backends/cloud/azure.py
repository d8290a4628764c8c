"""Azure Blob Storage.

An upload is a blob of its own under `.holdall/uploads`, copied to its key by the service when it
is complete: blocks of two uploads of one blob would otherwise be dropped by whichever ends first.
"""

from __future__ import annotations

import hashlib
import re
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, final
from xml.etree import ElementTree

from msgspec import structs

from holdall.core.errors import HoldallError, NotFound, PreconditionFailed, Unavailable
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.backends.cloud import xml
from holdall.objects.backends.cloud.faults import Asked, answered, asked_by
from holdall.objects.backends.cloud.requests import conditions_of, etag_of
from holdall.objects.backends.cloud.service import Known, Listing, Part, Service
from holdall.objects.backends.cloud.words import (
    MAX_TAGS,
    check_carried,
    check_metadata,
    check_tags,
    metadata_of,
    quoted_etag,
)
from holdall.objects.options import WRITE
from holdall.objects.results import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.azure_store import AzureRequests
    from holdall.objects.backends.cloud.http import Response
    from holdall.objects.contract import Data
    from holdall.objects.options import GetOptions, SignOptions, WriteOptions
    from holdall.objects.results import SignedUrl

_METADATA_BYTES = 8192
_BLOCK_BYTES = 4000 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9 +\-./:=_]*\Z")
_META = "x-ms-meta-"
_ESCAPE = re.compile(r"_x([0-9a-f]{2})_")
_ESCAPED = re.compile(r"[^a-z0-9_]|_(?=x)")  # and what could be read as an escape
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

CAPABILITIES = Capabilities(
    remote=True,
    atomic_moves=False,
    seeks=False,  # the service's listing can only go on from a token of its own
    told_by_get=False,
    storage_class=True,
    sign=True,
    resume="multipart",
    max_metadata_bytes=_METADATA_BYTES,
    max_tags=MAX_TAGS,
    max_object_bytes=50_000 * _BLOCK_BYTES,
)


@final
class AzureService(Service):
    """One container.

    Args:
        requests: Sends signed requests to the container.
        driver: obstore's store for it.
        prefix: What the keys of the store begin with.
        sign: Whether there is an account's key, which signs URLs.
    """

    least_part = 0
    most_parts = 50_000
    delete_batch = 256
    puts_alone = False
    longest_url: int | None = None
    etag_name = "e_tag"
    default_type = "application/octet-stream"

    def __init__(self, requests: AzureRequests, driver: Any, prefix: str, *, sign: bool) -> None:
        self.capabilities = structs.replace(CAPABILITIES, sign=sign)
        self._keyed = sign
        self._requests = requests
        self.driver = driver
        self.endpoint = requests.endpoint
        self._staged = f"{prefix}{RESERVED_SEGMENT}/uploads"

    # Writing

    def attributes(self, options: WriteOptions) -> tuple[dict[str, str], dict[str, str]] | None:
        metadata = {
            _name(name): value for name, value in metadata_of(options, self.default_type).items()
        }
        check_carried(options, self._requests.root)
        check_metadata(metadata, _METADATA_BYTES, self._requests.root)
        check_tags(options.tags, self._requests.root, _TAG)
        if metadata and self._keyed:
            return None  # what obstore signs with a key has the names in an order that is refused
        if options.content_type is not None:
            metadata["Content-Type"] = options.content_type
        if options.storage_class is not None:
            metadata["Storage-Class"] = options.storage_class
        return metadata, options.tags

    def _headers(self, options: WriteOptions) -> dict[str, str]:
        if options is WRITE:
            return {}
        headers = {
            _META + _name(name): value
            for name, value in metadata_of(options, self.default_type).items()
        }
        if options.content_type is not None:
            headers["x-ms-blob-content-type"] = options.content_type
        if options.storage_class is not None:
            headers["x-ms-access-tier"] = options.storage_class
        if options.tags:
            headers["x-ms-tags"] = self._requests.form(options.tags)
        return headers

    def put(self, ref: Reference, data: Data, options: WriteOptions) -> str:
        headers = {
            "x-ms-blob-type": "BlockBlob",
            **self._headers(options),
            **conditions_of(options),
        }
        return etag_of(self._send("PUT", ref.key, asked_by(ref, options), {}, headers, data))

    def condition(self, etag: str) -> dict[str, str]:
        return {"e_tag": quoted_etag(etag)}

    def read_condition(self, etag: str) -> dict[str, str]:
        return {"if_match": quoted_etag(etag)}

    def metadata(self, sent: dict[str, str]) -> dict[str, str]:
        return {
            _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name): value
            for name, value in sent.items()
        }

    def range_of(self, options: GetOptions) -> tuple[int, int] | dict[str, int] | None:
        if options.start < 0:
            return None  # Azure has no ranges from the end
        if options.end is None:
            return {"offset": options.start}
        return (options.start, options.end) if options.start < options.end else None

    def check_conditional(self, root: Reference) -> None:
        return None

    # Asking

    def head(self, ref: Reference) -> Known:
        headers = self._send("HEAD", ref.key, Asked(ref)).headers
        md5 = headers.get("content-md5")
        return Known(
            ref.key,
            int(headers["content-length"]),
            xml.http_time_ns(headers["last-modified"]),
            headers["etag"].strip('"'),
            headers.get("content-type"),
            {
                name[len(_META) :].lower(): value
                for name, value in headers.items()
                if name.lower().startswith(_META)
            },
            xml.hex_of(md5) if md5 else None,
            headers.get("x-ms-access-tier"),
        )

    def tags(self, ref: Reference, known: Known) -> dict[str, str]:
        root = self._xml(self._send("GET", ref.key, Asked(ref), {"comp": "tags"}))
        return {xml.text(tag, "Key"): xml.text(tag, "Value") for tag in root.iter("Tag")}

    def page(
        self,
        ref: Reference,
        prefix: str,
        delimiter: bool,
        most: int,
        token: str | None,
        after: str = "",
        known: frozenset[bytes] | None = None,
    ) -> Listing:
        query = {
            "restype": "container",
            "comp": "list",
            "prefix": prefix,
            "maxresults": str(min(most, 5000)),
        }
        if delimiter:
            query["delimiter"] = "/"
        if token is not None:
            query["marker"] = token
        return xml.azure_listing(self._send("GET", "", Asked(ref), query).body)

    # Changing

    def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        asked = Asked(refs[0], writes=True)
        if len(refs) == 1:
            try:
                self._send("DELETE", refs[0].key, asked)
            except NotFound:
                pass
            except HoldallError as error:
                return [(refs[0], error)]
            return []
        body, content_type = self._requests.batch("DELETE", [ref.key for ref in refs])
        response = self._send(
            "POST",
            "",
            asked,
            {"restype": "container", "comp": "batch"},
            {"content-type": content_type},
            body,
        )
        failed: list[tuple[Reference, HoldallError]] = []
        for number, status, code in xml.batch_answers(response.body):
            if status >= 400 and status != 404:
                failed.append((refs[number], answered(status, code, "", Asked(refs[number]))))
        return failed

    def delete_same(self, ref: Reference, etag: str) -> None:
        asked = Asked(ref, writes=True, deletes=True)
        try:
            self._send("DELETE", ref.key, asked, {}, {"if-match": quoted_etag(etag)})
        except PreconditionFailed:
            self.head(ref)  # says that there is none, which the service calls a failed condition
            raise

    def copy(self, source: Known, from_ref: Reference, to_ref: Reference, create: bool) -> str:
        headers = {"x-ms-source-if-match": f'"{source.etag}"'}
        if source.storage_class is not None:
            headers["x-ms-access-tier"] = source.storage_class
        tags = self.tags(from_ref, source)
        if tags:
            headers["x-ms-tags"] = self._requests.form(tags)
        if create:
            headers["if-none-match"] = "*"
        asked = Asked(from_ref, create, not create, writes=create)
        return self._copy(source.key, to_ref, headers, asked)

    def _copy(self, key: str, to_ref: Reference, headers: dict[str, str], asked: Asked) -> str:
        """Copy a blob, and wait until the service has done it; answer the new etag."""
        headers["x-ms-copy-source"] = self._requests.source(key)
        answer = self._send("PUT", to_ref.key, asked, {}, headers).headers
        pause = _FIRST_PAUSE
        while answer.get("x-ms-copy-status") == "pending":
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            answer = self._send("HEAD", to_ref.key, Asked(to_ref)).headers
        if answer.get("x-ms-copy-status") not in {None, "success"}:
            raise Unavailable(f"{to_ref}: the service could not copy it", reference=to_ref)
        return answer["etag"].strip('"')

    # Uploads

    def begin(self, ref: Reference, options: WriteOptions, upload: str) -> str:
        return f"{self._staged}/{upload}.parts"

    def put_part(
        self, ref: Reference, session: str, number: int, data: Data, sha256: str | None = None
    ) -> Part:
        name = _block(number, data)
        if data:
            self._send("PUT", session, Asked(ref), {"comp": "block", "blockid": name}, {}, data)
        return Part(name, len(data))

    def parts(self, ref: Reference, session: str) -> list[Part]:
        query = {"comp": "blocklist", "blocklisttype": "all"}
        try:
            root = self._xml(self._send("GET", session, Asked(ref), query))
        except NotFound:
            return []
        found: dict[int, Part] = {}
        for entry in root.iter("Block"):
            name = xml.text(entry, "Name")
            written = b64decode(name)
            number, md5 = int.from_bytes(written[:4], "big"), written[4:].hex()
            found[number] = Part(name, int(xml.text(entry, "Size")), md5)
        parts: list[Part] = []
        while (part := found.get(len(parts) + 1)) is not None:
            parts.append(part)
        return parts

    def finish(
        self, ref: Reference, session: str, parts: Sequence[Part], options: WriteOptions
    ) -> str:
        root = ElementTree.Element("BlockList")
        for part in parts:
            if part.size:
                ElementTree.SubElement(root, "Latest").text = part.name
        headers = {"content-type": "application/xml", **self._headers(options)}
        query = {"comp": "blocklist"}
        asked = Asked(ref, storage_class=options.storage_class)
        self._send("PUT", session, asked, query, headers, ElementTree.tostring(root))
        carried = {
            name: value
            for name, value in self._headers(options).items()
            if name in {"x-ms-tags", "x-ms-access-tier"}
        }
        return self._copy(
            session, ref, {**carried, **conditions_of(options)}, asked_by(ref, options)
        )

    def tidy(self, ref: Reference, session: str) -> None:
        try:
            self._send("DELETE", session, Asked(ref))
        except NotFound:
            return

    def drop(self, ref: Reference, session: str) -> None:
        # What was never committed cannot be deleted, and goes when something is put in its place.
        headers = {"x-ms-blob-type": "BlockBlob"}
        self._send("PUT", session, Asked(ref), {}, headers, b"")
        self.tidy(ref, session)

    def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        return self._requests.presign(ref.key, options)

    def close(self) -> None:
        self._requests.close()

    def _send(
        self,
        method: str,
        key: str,
        asked: Asked,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Data = b"",
    ) -> Response:
        return self._requests.send(method, key, asked, query or {}, headers or {}, body)

    def _xml(self, response: Response) -> ElementTree.Element:
        return xml.parsed(response.body, self.endpoint)


def _block(number: int, data: Data) -> str:
    """The name of a block: its number and its MD5, which is all that can be read of it later."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    return b64encode(number.to_bytes(4, "big") + md5).decode()


def _name(name: str) -> str:
    """A name of metadata as Azure takes it, which wants identifiers of C#."""
    written = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):02x}_", name)
    return f"_x{ord(written[0]):02x}_{written[1:]}" if written[0].isdigit() else written
