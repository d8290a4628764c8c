"""Google Cloud Storage.

Objects are read through obstore and written through the JSON API, whose conditions are numbers of
generations: that number is the etag here, since it changes with every write.

An upload is objects of its own under `.holdall/uploads`, one a part, which the service composes.
Tags, which the service does not have, stand in the metadata.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from holdall.core.errors import HoldallError, NotFound, Unavailable
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.backends.cloud import xml
from holdall.objects.backends.cloud.faults import Asked, answered, asked_by
from holdall.objects.backends.cloud.service import Known, Listing, Part, Service
from holdall.objects.backends.cloud.words import check_metadata, decoded, encoded, metadata_of
from holdall.objects.options import WRITE, WriteOptions
from holdall.objects.results import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.google_store import GoogleRequests
    from holdall.objects.backends.cloud.http import Response
    from holdall.objects.contract import Data
    from holdall.objects.options import GetOptions, SignOptions
    from holdall.objects.results import SignedUrl

_METADATA_BYTES = 8192
_OBJECT_BYTES = 5 * 1024**4
_MOST_COMPOSED = 32
_AT_ONCE = 8
_TAGS = "holdall-tags"

CAPABILITIES = Capabilities(
    remote=True,
    atomic_moves=False,
    told_by_get=False,
    storage_class=True,
    sign=True,
    resume="multipart",
    max_metadata_bytes=_METADATA_BYTES,
    max_object_bytes=_OBJECT_BYTES,
)


class _Item(Struct, rename="camel"):
    name: str
    generation: str
    size: str = "0"
    updated: str = "1970-01-01T00:00:00Z"
    content_type: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    md5_hash: str | None = None
    storage_class: str | None = None


class _Items(Struct, rename="camel"):
    items: list[_Item] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_page_token: str | None = None


class _Rewritten(Struct, rename="camel"):
    done: bool
    rewrite_token: str | None = None
    resource: _Item | None = None  # once it is done


_item = msgspec.json.Decoder(_Item).decode
_items = msgspec.json.Decoder(_Items).decode
_rewritten = msgspec.json.Decoder(_Rewritten).decode


@final
class GoogleService(Service):
    """One bucket.

    Args:
        requests: Sends requests with a token.
        driver: obstore's store for it.
        prefix: What the keys of the store begin with.
        sign: Whether there is a key that signs URLs.
    """

    least_part = 0
    most_parts = _MOST_COMPOSED**3
    delete_batch = 100
    puts_alone = True
    tags_apart = False
    reads_replaced = True
    longest_url = 7 * 86400
    etag_name = "version"
    default_type = "application/octet-stream"

    def __init__(self, requests: GoogleRequests, driver: Any, prefix: str, *, sign: bool) -> None:
        self.capabilities = msgspec.structs.replace(CAPABILITIES, sign=sign)
        self._requests = requests
        self.driver = driver
        self.endpoint = requests.endpoint
        self._staged = f"{prefix}{RESERVED_SEGMENT}/uploads"

    # Writing

    def attributes(self, options: WriteOptions) -> None:
        check_metadata(self._metadata(options), _METADATA_BYTES, self._requests.root)

    def _metadata(self, options: WriteOptions) -> dict[str, str]:
        metadata = metadata_of(options, self.default_type)
        if options.tags:
            metadata[_TAGS] = encoded(msgspec.json.encode(options.tags).decode())
        return metadata

    def _described(self, name: str, options: WriteOptions) -> dict[str, Any]:
        described: dict[str, Any] = {"name": name}
        if options is not WRITE:
            metadata = self._metadata(options)
            if metadata:
                described["metadata"] = metadata
            if options.content_type is not None:
                described["contentType"] = options.content_type
            if options.storage_class is not None:
                described["storageClass"] = options.storage_class
        return described

    def put(self, ref: Reference, data: Data, options: WriteOptions) -> str:
        asked = asked_by(ref, options)
        query = {"uploadType": "multipart", **_conditions(options)}
        return self._upload(self._described(ref.key, options), data, query, asked).generation

    def _upload(
        self, described: dict[str, Any], data: Data, query: Mapping[str, str], asked: Asked
    ) -> _Item:
        body, content_type = self._requests.related(
            msgspec.json.encode(described), data, described.get("contentType")
        )
        path = f"/upload{self._requests.objects}"
        headers = {"content-type": content_type}
        return self._item(self._requests.send("POST", path, asked, query, headers, body), asked)

    def condition(self, etag: str) -> dict[str, str]:
        return {"e_tag": _generation(etag), "version": _generation(etag)}

    def read_condition(self, etag: str) -> dict[str, str]:
        return {"version": _generation(etag)}

    def metadata(self, sent: dict[str, str]) -> dict[str, str]:
        sent.pop(_TAGS, None)
        return sent

    def range_of(self, options: GetOptions) -> tuple[int, int] | dict[str, int] | None:
        if options.start < 0:
            return {"suffix": -options.start} if options.end is None else None
        if options.end is None:
            return {"offset": options.start}
        return (options.start, options.end) if options.start < options.end else None

    def check_conditional(self, root: Reference) -> None:
        return None

    # Asking

    def head(self, ref: Reference) -> Known:
        asked = Asked(ref)
        return _known(self._item(self._requests.send("GET", self._path(ref.key), asked), asked))

    def tags(self, ref: Reference, known: Known) -> dict[str, str]:
        written = known.metadata.get(_TAGS)
        if written is None:
            return {}
        try:
            return msgspec.json.decode(decoded(written), type=dict[str, str])
        except msgspec.MsgspecError:
            return {}

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
        query = {"prefix": prefix, "maxResults": str(min(most, 1000))}
        if delimiter:
            query["delimiter"] = "/"
        if token is not None:
            query["pageToken"] = token
        if after:
            query["startOffset"] = after
        asked = Asked(ref)
        try:
            answer = self._requests.send("GET", self._requests.objects, asked, query)
        except NotFound as error:  # a prefix cannot be missing
            raise answered(404, "NoSuchBucket", "", asked) from error
        try:
            page = _items(answer.body)
        except msgspec.MsgspecError as error:
            raise self._no_answer(asked) from error
        return Listing([_known(item) for item in page.items], page.prefixes, page.next_page_token)

    # Changing

    def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        asked = Asked(refs[0], writes=True)
        if len(refs) == 1:
            try:
                self._requests.send("DELETE", self._path(refs[0].key), asked)
            except NotFound:
                pass
            except HoldallError as error:
                return [(refs[0], error)]
            return []
        body, content_type = xml.batch_of(
            [
                f"DELETE {self._path(ref.key)} HTTP/1.1\r\nHost: {self._requests.host}\r\n"
                for ref in refs
            ]
        )
        headers = {"content-type": content_type}
        answer = self._requests.send("POST", "/batch/storage/v1", asked, {}, headers, body)
        return [
            (refs[number], answered(status, code, "", Asked(refs[number])))
            for number, status, code in xml.batch_answers(answer.body)
            if status >= 400 and status != 404
        ]

    def delete_same(self, ref: Reference, etag: str) -> None:
        asked = Asked(ref, conditional=True, writes=True)
        if self.head(ref).etag != etag:
            raise answered(412, "", "", asked)
        query = {"ifGenerationMatch": _generation(etag)}
        asked = Asked(ref, writes=True, deletes=True)
        self._requests.send("DELETE", self._path(ref.key), asked, query)

    def copy(self, source: Known, from_ref: Reference, to_ref: Reference, create: bool) -> str:
        described: dict[str, Any] = {"metadata": source.metadata}
        if source.content_type is not None:
            described["contentType"] = source.content_type
        if source.storage_class is not None:
            described["storageClass"] = source.storage_class
        query = {"ifSourceGenerationMatch": source.etag}
        asked = Asked(from_ref, conditional=True)
        if create:
            asked = Asked(to_ref, creates=True, writes=True)
            query["ifGenerationMatch"] = "0"
            self._check_absent(to_ref, asked)
        path = f"{self._path(source.key)}/rewriteTo{self._requests.path(to_ref.key)}"
        body = msgspec.json.encode(described)
        headers = {"content-type": "application/json"}
        while True:  # a large object takes several requests, each going on where one ended
            answer = _rewritten(self._requests.send("POST", path, asked, query, headers, body).body)
            if answer.done or answer.rewrite_token is None:
                return answer.resource.generation if answer.resource else ""
            query["rewriteToken"] = answer.rewrite_token

    def _check_absent(self, ref: Reference, asked: Asked) -> None:
        try:
            self.head(ref)
        except NotFound:
            return
        raise answered(412, "", "", asked)

    # Uploads

    def begin(self, ref: Reference, options: WriteOptions, upload: str) -> str:
        return f"{self._staged}/{upload}."

    def put_part(
        self, ref: Reference, session: str, number: int, data: Data, sha256: str | None = None
    ) -> Part:
        name = f"{session}{number:08}"
        query = {"uploadType": "multipart"}
        self._upload({"name": name}, data, query, Asked(ref))
        return Part(name, len(data))

    def parts(self, ref: Reference, session: str) -> list[Part]:
        found: list[Part] = []
        for known in self._staged_of(ref, session):
            if known.key != f"{session}{len(found) + 1:08}":
                break
            found.append(Part(known.key, known.size, known.content_md5 or ""))
        return found

    def _staged_of(self, ref: Reference, session: str) -> list[Known]:
        found: list[Known] = []
        token: str | None = None
        while True:
            page = self.page(ref, session, False, 1000, token)
            found += page.found
            token = page.token
            if token is None:
                return found

    def finish(
        self, ref: Reference, session: str, parts: Sequence[Part], options: WriteOptions
    ) -> str:
        asked = asked_by(ref, options)
        if options.if_none_match is not None:
            self._check_absent(ref, asked)
        elif options.if_match is not None and self.head(ref).etag != options.if_match:
            raise answered(412, "", "", asked)
        names = [part.name for part in parts]
        level = 0
        while len(names) > _MOST_COMPOSED:
            groups = [
                names[at : at + _MOST_COMPOSED] for at in range(0, len(names), _MOST_COMPOSED)
            ]
            above = [f"{session}{level}-{number:06}" for number in range(len(groups))]
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="holdall-compose") as pool:
                for _ in pool.map(self._compose, [Asked(ref)] * len(groups), groups, above):
                    pass
            names, level = above, level + 1
        return self._compose(asked, names, ref.key, options).generation

    def tidy(self, ref: Reference, session: str) -> None:
        self.drop(ref, session)

    def _compose(
        self, asked: Asked, names: Sequence[str], target: str, options: WriteOptions = WRITE
    ) -> _Item:
        described = self._described(target, options)
        del described["name"]
        body = {
            "sourceObjects": [{"name": name} for name in names],
            "destination": described,
        }
        headers = {"content-type": "application/json"}
        path = f"{self._path(target)}/compose"
        answer = self._requests.send(
            "POST", path, asked, _conditions(options), headers, msgspec.json.encode(body)
        )
        return self._item(answer, asked)

    def drop(self, ref: Reference, session: str) -> None:
        keys = [known.key for known in self._staged_of(ref, session)]
        refs = [msgspec.structs.replace(ref, key=key) for key in keys]
        for at in range(0, len(refs), self.delete_batch):
            for _, error in self.delete(refs[at : at + self.delete_batch]):
                raise error

    def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        return self._requests.presign(ref.key, options)

    def close(self) -> None:
        self._requests.close()

    def _path(self, key: str) -> str:
        return f"{self._requests.objects}/{quote(key, safe='')}"

    def _item(self, answer: Response, asked: Asked) -> _Item:
        try:
            return _item(answer.body)
        except msgspec.MsgspecError as error:
            raise self._no_answer(asked) from error

    def _no_answer(self, asked: Asked) -> HoldallError:
        return Unavailable(
            f"{self.endpoint} answered something that is not of Google Cloud Storage: "
            "is it the right endpoint?",
            reference=asked.ref,
            transient=False,
        )


def _known(item: _Item) -> Known:
    return Known(
        item.name,
        int(item.size),
        xml.iso_time_ns(item.updated),
        item.generation,
        item.content_type,
        item.metadata,
        xml.hex_of(item.md5_hash) if item.md5_hash else None,
        item.storage_class,
    )


def _conditions(options: WriteOptions) -> dict[str, str]:
    if options.if_none_match is not None:
        return {"ifGenerationMatch": "0"}
    if options.if_match is None:
        return {}
    return {"ifGenerationMatch": _generation(options.if_match)}


def _generation(etag: str) -> str:
    """The generation that an etag names; for what is none, one that no object has."""
    return etag if etag.isdecimal() else "1"
