"""What stores answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self, final

from msgspec import Struct, field

from holdall.core.errors import HoldallError
from holdall.core.reference import Reference
from holdall.objects.options import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a store can do: data, which every layer passes on.

    Asking for what is not here raises `Unsupported`.

    Args:
        ordered: Listings come in byte order of the key.
        key_and_folder: `a` can stand beside `a/b`; otherwise the second is a `KeyConflict`.
        conditional: `if_match` and `if_none_match` hold against every other writer.
        seeks: A listing `after` a key costs what it answers. Otherwise what comes before is gone
            through too, and pages may be empty.
        unique_etags: Every write changes the etag. Otherwise equal bytes may have equal etags, so
            that a condition holds although an object was replaced by an equal one.
        atomic_moves: A move is one step. Otherwise it is a copy and a deletion, and one that fails
            since the source has gone or changed leaves the copy at its target.
        told_by_get: A `get` tells of an object what `head` does. Otherwise it may leave out the
            storage class and the MD5 of the service, and cut the time of writing to the second.
        metadata: The user's metadata is kept.
        tags: Tags are kept.
        content_type: The content type is kept.
        storage_class: Objects can be given a storage class.
        sign: `sign` answers URLs.
        resume: What is left of an interrupted upload: `staged` (its bytes), `multipart` (its
            whole parts), `none`.
        local: Objects are files on this machine, at the `path` of their reference.
        durable: A write that was answered outlives a power cut.
        remote: A service answers over a network: calls can be slow, refused or lost.
        routes: It takes references that do not lie under its root, and finds their store.
        max_metadata_bytes: How much metadata an object may have; None for no limit.
        max_tags: How many tags an object may have; None for no limit of their own.
        max_object_bytes: How large an object may be; None for no limit.
    """

    ordered: bool = True
    key_and_folder: bool = True
    conditional: bool = True
    seeks: bool = True
    unique_etags: bool = True
    atomic_moves: bool = True
    told_by_get: bool = True
    metadata: bool = True
    tags: bool = True
    content_type: bool = True
    storage_class: bool = False
    sign: bool = False
    resume: Literal["staged", "multipart", "none"] = "none"
    local: bool = False
    durable: bool = True
    remote: bool = False
    routes: bool = False
    max_metadata_bytes: int | None = None
    max_tags: int | None = None
    max_object_bytes: int | None = None


class ObjectMeta(Struct, frozen=True, gc=False):
    """What is known of an object.

    Args:
        base: The address that `key` is relative to.
        key: Its key, relative to where the store was opened.
        size: In bytes.
        modified_ns: When it was written, in nanoseconds since 1970 UTC.
        etag: Changes with every write; None in a listing that did not ask for it.
        content_type: Media type, as it was given.
        metadata: The user's own pairs.
        tags: Pairs that the service shows; None where they were not asked for, and in what a
            write answers.
        content_md5: Hexadecimal MD5, where the writer or the service gave one.
        sha256: Hexadecimal SHA-256, where the writer gave one.
        storage_class: The service's name of it, where it has classes.
        changed: Whether another program changed its content in place, since it was written
            here; the digests that were recorded are not told then.
    """

    base: Reference
    key: str
    size: int
    modified_ns: int
    etag: str | None = None
    content_type: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] | None = None
    content_md5: str | None = None
    sha256: str | None = None
    storage_class: str | None = None
    changed: bool = False

    @property
    def ref(self) -> Reference:
        """The whole address."""
        return self.base.known_child(self.key)

    @property
    def modified(self) -> datetime:
        """When it was written, in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.modified_ns // 1000)


class Page(Struct, frozen=True):
    """A part of a listing.

    Args:
        objects: In byte order of the key.
        folders: With a delimiter: names one level down, as keys without the last `/`; in the
            order that they have with it.
        token: Asks for the next page, which may turn out to be empty; None at the end.
        foreign: How many entries others left here that are no objects: links, devices, names
            outside the key rule.
        digest: Tells pages apart, where the options asked for it and the store can tell it without
            effort; else empty. Two pages of one store that have the same hold the same. What
            `token` is does not count.
        same: The digest is one of those that the options named. Objects, folders and `foreign`
            were left out, and are those of the page that had it.
    """

    objects: tuple[ObjectMeta, ...]
    folders: tuple[str, ...] = ()
    token: str | None = None
    foreign: int = 0
    digest: bytes = b""
    same: bool = False


class UploadInfo(Struct, frozen=True):
    """An upload that was begun and neither committed nor aborted.

    Args:
        base: The address that `key` is relative to.
        key: What it will become.
        id: Goes on with it: `upload(key, resume=id)`.
        offset: How many bytes the store has.
        begun_ns: When it was begun, in nanoseconds since 1970 UTC.
        sha256: What its whole content must have, hexadecimal, as who began it knew; or None.
    """

    base: Reference
    key: str
    id: str
    offset: int
    begun_ns: int
    sha256: str | None = None

    @property
    def ref(self) -> Reference:
        """The whole address."""
        return self.base.known_child(self.key)

    @property
    def begun(self) -> datetime:
        """When it was begun, in UTC."""
        return _EPOCH + timedelta(microseconds=self.begun_ns // 1000)


class UploadPage(Struct, frozen=True):
    """A part of the list of uploads.

    Args:
        uploads: In order of key, then of id.
        token: Asks for the next page; None at the end.
    """

    uploads: tuple[UploadInfo, ...]
    token: str | None = None


class SignedUrl(str):
    """A URL that lets its holder do one thing with one object; a text like any other.

    Args:
        url: The URL.
        headers: What the client must send with the request.

    Attributes:
        headers: The same; empty when nothing must be sent.
    """

    __slots__ = ("headers",)
    headers: Mapping[str, str]

    def __new__(cls, url: str, headers: Mapping[str, str] | None = None) -> Self:
        self = super().__new__(cls, url)
        self.headers = dict(headers or {})
        return self


class DeleteFailure(Struct, frozen=True):
    """One key of many that could not be deleted.

    Args:
        ref: Which.
        error: Why.
    """

    ref: Reference
    error: HoldallError


class ObjectStream(ABC):
    """The body of one object, from one moment: a writer that replaces it changes nothing here.

    Close it, or use `async with`; one that is dropped closes itself.

    Args:
        meta: What is known of the whole object.
        start: Where in the object this body begins.
        length: How many bytes it has.

    Attributes:
        whole: All of it, where it came with the answer; else None.
    """

    __slots__ = ("length", "meta", "start", "whole")

    def __init__(self, meta: ObjectMeta, start: int, length: int) -> None:
        self.meta = meta
        self.start = start
        self.length = length
        self.whole: bytes | None = None

    @abstractmethod
    async def read(self, size: int) -> bytes:
        """Answer the next bytes: at least one and at most `size`; empty at the end."""

    @abstractmethod
    async def read_all(self) -> bytes:
        """Answer what is left, and close."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of it; may be called again."""

    @final
    async def chunks(self, size: int = PART_BYTES) -> AsyncIterator[bytes]:
        """Go through what is left, at most `size` bytes at a time; closed at the end."""
        try:
            while chunk := await self.read(size):
                yield chunk
        finally:
            await self.close()

    @final
    async def __aenter__(self) -> Self:
        return self

    @final
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@final
class BytesStream(ObjectStream):
    """A body that came whole with the answer."""

    __slots__ = ("_position",)
    whole: bytes

    def __init__(self, meta: ObjectMeta, start: int, data: bytes) -> None:
        self.meta = meta
        self.start = start
        self.length = len(data)
        self.whole = data
        self._position = 0

    async def read(self, size: int) -> bytes:
        chunk = self.whole[self._position : self._position + size]
        self._position += len(chunk)
        return chunk

    async def read_all(self) -> bytes:
        rest = self.whole[self._position :]
        self._position = self.length
        return rest

    async def close(self) -> None:
        self._position = self.length
