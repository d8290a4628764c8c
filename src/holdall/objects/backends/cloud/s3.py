"""Amazon S3, and servers that speak its protocol."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final
from xml.etree import ElementTree

from holdall.core.errors import HoldallError, NotFound
from holdall.objects.backends.cloud import s3_pages, xml
from holdall.objects.backends.cloud.faults import Asked, answered, asked_by
from holdall.objects.backends.cloud.probing import Probe
from holdall.objects.backends.cloud.requests import conditions_of, etag_of
from holdall.objects.backends.cloud.service import Known, Listing, Part, Service
from holdall.objects.backends.cloud.sigv4 import DIGEST
from holdall.objects.backends.cloud.words import (
    MAX_TAGS,
    check_carried,
    check_metadata,
    check_tags,
    metadata_of,
    quoted_etag,
)
from holdall.objects.options import WRITE, WriteOptions
from holdall.objects.results import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.http import Response
    from holdall.objects.backends.cloud.s3_store import S3Requests
    from holdall.objects.contract import Data
    from holdall.objects.options import GetOptions, SignOptions
    from holdall.objects.results import SignedUrl

_METADATA_BYTES = 2048
_OBJECT_BYTES = 5 * 1024**4
_COPY_BYTES = 5 * 1024**3
_COPY_PART_BYTES = 512 * 1024**2
_COPIES_AT_ONCE = 8
_CREATE = WriteOptions(if_none_match="*")
_TAG = re.compile(r"[\w +\-=._:/@]*\Z")
_META = "x-amz-meta-"
# Of what a key can hold, XML 1.0 has no way to write these; such keys are deleted one by one.
_NO_XML = {"\ufffe", "\uffff"}
# Names that obstore would take for a header of its own.
_HEADERS = {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "storage-class",
}

CAPABILITIES = Capabilities(
    remote=True,
    unique_etags=False,
    atomic_moves=False,
    told_by_get=False,
    storage_class=True,
    sign=True,
    resume="multipart",
    max_metadata_bytes=_METADATA_BYTES,
    max_tags=MAX_TAGS,
    max_object_bytes=_OBJECT_BYTES,
)


@final
class S3Service(Service):
    """One bucket.

    Args:
        requests: Sends signed requests to the bucket.
        driver: obstore's store for it.
        extra: Headers of each write: server-side encryption.
        probes: Whether conditions are tried once before they are relied on.
    """

    capabilities = CAPABILITIES
    least_part = 5 * 1024 * 1024
    most_parts = 10_000
    delete_batch = 1000
    puts_alone = False
    longest_url = 7 * 86400
    etag_name = "e_tag"
    default_type = "binary/octet-stream"

    def __init__(
        self, requests: S3Requests, driver: Any, *, extra: Mapping[str, str], probes: bool
    ) -> None:
        self._requests = requests
        self.driver = driver
        self.endpoint = requests.endpoint
        self.signs_bodies = requests.signs_bodies
        self._extra = dict(extra)
        self._probe = Probe(self, probes)

    # Writing

    def attributes(self, options: WriteOptions) -> tuple[dict[str, str], dict[str, str]] | None:
        metadata = metadata_of(options, self.default_type)
        if options.metadata:
            check_metadata(metadata, _METADATA_BYTES, self._requests.root)
            if not _HEADERS.isdisjoint(metadata):
                return None
        if options.tags:
            check_tags(options.tags, self._requests.root, _TAG)
        if options.content_type is not None or options.storage_class is not None:
            check_carried(options, self._requests.root)
            if options.content_type is not None:
                metadata["Content-Type"] = options.content_type
            if options.storage_class is not None:
                metadata["Storage-Class"] = options.storage_class
        return metadata, options.tags

    def _headers(self, options: WriteOptions) -> dict[str, str]:
        if options is WRITE:
            return dict(self._extra)
        headers = {
            _META + name: value for name, value in metadata_of(options, self.default_type).items()
        }
        if options.content_type is not None:
            headers["content-type"] = options.content_type
        if options.storage_class is not None:
            headers["x-amz-storage-class"] = options.storage_class
        if options.tags:
            headers["x-amz-tagging"] = self._requests.form(options.tags)
        return {**headers, **self._extra}

    def put(self, ref: Reference, data: Data, options: WriteOptions) -> str:
        asked = asked_by(ref, options)
        headers = {**self._headers(options), **conditions_of(options)}
        return etag_of(self._send("PUT", ref, asked, {}, headers, data))

    def condition(self, etag: str) -> dict[str, str]:
        return {"e_tag": quoted_etag(etag)}

    def read_condition(self, etag: str) -> dict[str, str]:
        return {"if_match": quoted_etag(etag)}

    def metadata(self, sent: dict[str, str]) -> dict[str, str]:
        return sent

    def range_of(self, options: GetOptions) -> tuple[int, int] | dict[str, int] | None:
        if options.start < 0:
            return {"suffix": -options.start} if options.end is None else None
        if options.end is None:
            return {"offset": options.start}
        return (options.start, options.end) if options.start < options.end else None

    def check_conditional(self, root: Reference) -> None:
        self._probe.check(root)

    # Asking

    def head(self, ref: Reference) -> Known:
        headers = self._send("HEAD", ref, Asked(ref)).headers
        return Known(
            ref.key,
            int(headers["content-length"]),
            xml.http_time_ns(headers["last-modified"]),
            headers.get("etag", "").strip('"'),
            headers.get("content-type"),
            {
                name[len(_META) :].lower(): value
                for name, value in headers.items()
                if name.lower().startswith(_META)
            },
            None,
            headers.get("x-amz-storage-class"),
        )

    def tags(self, ref: Reference, known: Known) -> dict[str, str]:
        root = self._xml(self._send("GET", ref, Asked(ref), {"tagging": ""}))
        return {
            xml.text(tag, "Key"): xml.text(tag, "Value")
            for tag in root.iter()
            if tag.tag.endswith("}Tag") or tag.tag == "Tag"
        }

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
            "list-type": "2",
            "prefix": prefix,
            "max-keys": str(min(most, 1000)),
            "encoding-type": "url",
        }
        if delimiter:
            query["delimiter"] = "/"
        if token is not None:
            query["continuation-token"] = token
        elif after:
            query["start-after"] = after
        body = self._container("GET", Asked(ref), query).body
        return s3_pages.listing(body, known, prefix, after)

    # Changing

    def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        named: list[Reference] = []
        odd: list[Reference] = []
        for ref in refs:
            (named if _NO_XML.isdisjoint(ref.key) else odd).append(ref)
        failed = self._delete_named(named) if named else []
        for ref in odd:
            try:
                self._send("DELETE", ref, Asked(ref, writes=True))
            except NotFound:
                continue
            except HoldallError as error:
                failed.append((ref, error))
        return failed

    def _delete_named(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        root = ElementTree.Element("Delete")
        ElementTree.SubElement(root, "Quiet").text = "true"
        by_key = {ref.key: ref for ref in refs}
        for key in by_key:
            ElementTree.SubElement(ElementTree.SubElement(root, "Object"), "Key").text = key
        body = ElementTree.tostring(root)
        asked = Asked(refs[0], writes=True)
        headers = {"content-md5": self._requests.md5(body), "content-type": "application/xml"}
        answer = self._xml(self._container("POST", asked, {"delete": ""}, headers, body))
        failed: list[tuple[Reference, HoldallError]] = []
        for entry in answer.iter():
            if not entry.tag.endswith("Error"):
                continue
            code = xml.text(entry, "Code")
            ref = by_key.get(xml.text(entry, "Key"))
            if ref is None or code == "NoSuchKey":
                continue
            status = {"AccessDenied": 403, "PreconditionFailed": 412}.get(code, 500)
            failed.append((ref, answered(status, code, xml.text(entry, "Message"), Asked(ref))))
        return failed

    def delete_same(self, ref: Reference, etag: str) -> None:
        asked = Asked(ref, conditional=True, writes=True)
        # Older servers ignore the condition of a delete, so that it is looked at first; where
        # the server knows it, it also holds against others.
        if self.head(ref).etag != etag:
            raise answered(412, "", "", asked)
        headers = {"if-match": f'"{etag}"'}
        self._send("DELETE", ref, Asked(ref, writes=True, deletes=True), {}, headers)

    def copy(self, source: Known, from_ref: Reference, to_ref: Reference, create: bool) -> str:
        # Servers ignore conditions on the target of a copy, and keep them when parts are made
        # an object.
        if create or source.size > _COPY_BYTES:
            return self._copy_parts(source, from_ref, to_ref, create)
        headers = {
            "x-amz-copy-source": self._requests.source(from_ref.key),
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            **self._extra,
        }
        if source.storage_class is not None:
            headers["x-amz-storage-class"] = source.storage_class
        asked = Asked(from_ref, conditional=True)
        answer = self._result(self._send("PUT", to_ref, asked, {}, headers), asked)
        return xml.text(answer, "ETag").strip('"')

    def _copy_parts(
        self, source: Known, from_ref: Reference, to_ref: Reference, create: bool
    ) -> str:
        headers = {_META + name: value for name, value in source.metadata.items()}
        if source.content_type is not None:
            headers["content-type"] = source.content_type
        if source.storage_class is not None:
            headers["x-amz-storage-class"] = source.storage_class
        tags = self.tags(from_ref, source)
        if tags:
            headers["x-amz-tagging"] = self._requests.form(tags)
        session = self._begin(Asked(to_ref), {**headers, **self._extra})
        spans = [
            (number, at, min(at + _COPY_PART_BYTES, source.size))
            for number, at in enumerate(range(0, max(source.size, 1), _COPY_PART_BYTES), 1)
        ]

        def part(span: tuple[int, int, int]) -> Part:
            return self._copy_part(to_ref, session, source, *span)

        try:
            with ThreadPoolExecutor(_COPIES_AT_ONCE, thread_name_prefix="holdall-copy") as pool:
                parts = list(pool.map(part, spans))
            return self.finish(to_ref, session, parts, _CREATE if create else WRITE)
        except BaseException:
            with suppress(HoldallError):  # what went wrong first is what is told
                self.drop(to_ref, session)
            raise

    def _copy_part(
        self, ref: Reference, session: str, source: Known, number: int, start: int, end: int
    ) -> Part:
        query = {"partNumber": str(number), "uploadId": session}
        if not source.size:  # an empty range cannot be named
            return self.put_part(ref, session, number, b"")
        asked = Asked(ref, conditional=True)
        headers = {
            "x-amz-copy-source": self._requests.source(source.key),
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            "x-amz-copy-source-range": f"bytes={start}-{end - 1}",
        }
        answer = self._result(self._send("PUT", ref, asked, query, headers), asked)
        return Part(xml.text(answer, "ETag").strip('"'), end - start)

    # Uploads

    def begin(self, ref: Reference, options: WriteOptions, upload: str) -> str:
        asked = Asked(ref, storage_class=options.storage_class)
        return self._begin(asked, self._headers(options))

    def _begin(self, asked: Asked, headers: Mapping[str, str]) -> str:
        answer = self._send("POST", asked.ref, asked, {"uploads": ""}, headers)
        return xml.text(self._xml(answer), "UploadId")

    def put_part(
        self, ref: Reference, session: str, number: int, data: Data, sha256: str | None = None
    ) -> Part:
        query = {"partNumber": str(number), "uploadId": session}
        headers = {} if sha256 is None else {DIGEST: sha256}
        etag = etag_of(self._send("PUT", ref, Asked(ref), query, headers, data))
        return Part(etag, len(data))

    def parts(self, ref: Reference, session: str) -> list[Part]:
        found: list[Part] = []
        marker = "0"
        while True:
            query = {"uploadId": session, "part-number-marker": marker}
            root = self._xml(self._send("GET", ref, Asked(ref), query))
            for entry in root:
                if not entry.tag.endswith("Part"):
                    continue
                if int(xml.text(entry, "PartNumber")) != len(found) + 1:
                    return found  # what comes after a gap cannot be used
                etag = xml.text(entry, "ETag").strip('"')
                found.append(Part(etag, int(xml.text(entry, "Size")), etag))
            if xml.text(root, "IsTruncated") != "true":
                return found
            marker = str(len(found))

    def finish(
        self, ref: Reference, session: str, parts: Sequence[Part], options: WriteOptions
    ) -> str:
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, part in enumerate(parts, 1):
            entry = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(entry, "PartNumber").text = str(number)
            ElementTree.SubElement(entry, "ETag").text = f'"{part.name}"'
        asked = asked_by(ref, options)
        if options.if_match is not None and self.head(ref).etag != options.if_match:
            raise answered(412, "", "", asked)  # some servers know this condition on a put alone
        headers = {"content-type": "application/xml", **conditions_of(options)}
        body = ElementTree.tostring(root)
        answer = self._send("POST", ref, asked, {"uploadId": session}, headers, body)
        return xml.text(self._result(answer, asked), "ETag").strip('"')

    def tidy(self, ref: Reference, session: str) -> None:
        return None

    def drop(self, ref: Reference, session: str) -> None:
        try:
            self._send("DELETE", ref, Asked(ref), {"uploadId": session})
        except NotFound:
            return

    def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        return self._requests.presign(ref.key, options)

    def close(self) -> None:
        self._requests.close()

    # Requests

    def _send(
        self,
        method: str,
        ref: Reference,
        asked: Asked,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Data = b"",
    ) -> Response:
        return self._requests.send(method, ref.key, asked, query or {}, headers or {}, body)

    def _container(
        self,
        method: str,
        asked: Asked,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: Data = b"",
    ) -> Response:
        return self._requests.send(method, "", asked, query, headers or {}, body)

    def _xml(self, response: Response) -> ElementTree.Element:
        return xml.parsed(response.body, self.endpoint)

    def _result(self, response: Response, asked: Asked) -> ElementTree.Element:
        """An answer that was begun before the outcome was known: 200, and perhaps an error."""
        root = self._xml(response)
        if root.tag.endswith("Error"):
            code = xml.text(root, "Code")
            status = 412 if code == "PreconditionFailed" else 500
            raise answered(status, code, xml.text(root, "Message"), asked)
        return root
