"""The face for users without an event loop: `AsyncDataStore`, driven."""

from __future__ import annotations

import io
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, final

from holdall.core.runtime.blocking import BlockingRuntime, drive, drive_iterator
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.options import GET, HEAD, HEAD_TAGS, PAGE_ITEMS, PART_BYTES, WRITE
from holdall.objects.reader import ObjectReader
from holdall.objects.sources import CHUNK_BYTES
from holdall.objects.writer import BlockingUpload, ObjectWriter

if TYPE_CHECKING:
    import builtins
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from google.protobuf.message import Message

    from holdall.core.reference import Reference
    from holdall.objects.contract import Data, ObjectStore
    from holdall.objects.layers.metrics import Recorder
    from holdall.objects.results import Capabilities, ObjectMeta, Page, UploadInfo
    from holdall.objects.sources import Stream, Writable, WriteKeywords

    M = TypeVar("M", bound=Message)


@final
class DataStore:
    """Objects under keys.

    A key is relative to where the store was opened; a URL or a `Reference` is an address of its
    own, and must lie in the store. What comes back knows both, as `.key` and `.ref`. Safe to use
    from many threads.

    Every method raises a `HoldallError`: `NotFound` where there is no object, `InvalidKey` for a
    text that is no key, and what the method names.

    Args:
        store: The store that it stands before, with a blocking runtime; closed with it.
        max_download: How many bytes `read` answers at most of a whole object, unless it is said;
            0 for no limit.
        expires: For how long a signed URL holds, unless it is said.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        max_download: int = 0,
        expires: timedelta = timedelta(hours=1),
    ) -> None:
        self._face = AsyncDataStore(store, max_download=max_download, expires=expires)
        self._store = store
        # Looked up once, for what is called most.
        self._reference = self._face.reference
        self._get, self._head, self._put = store.get, store.head, store.put

    # Configuring

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        metrics: Recorder | None = None,
    ) -> DataStore:
        """Put a store together from a configuration: backends, layers, routing and limits.

        Args:
            config: Settings, or the path of a file of them (TOML, YAML, JSON), as
                `StorageSettings` has them; None for the variables `HOLDALL_STORAGE_…`.
            metrics: Takes the measurements; counters in memory when None.

        Raises:
            InvalidConfig: A setting cannot be; names it and the way out.
        """
        from holdall.objects.assembly import assemble
        from holdall.objects.switch import Switch

        made = assemble(config, BlockingRuntime(), metrics)
        return cls(Switch(made.store), max_download=made.max_download, expires=made.expires)

    def refresh_config(
        self,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        metrics: Recorder | None = None,
    ) -> None:
        """Exchange the whole store for one of another configuration.

        What is under way ends on the old store, which is closed then. An invalid configuration
        changes nothing.

        Raises:
            InvalidConfig: A setting cannot be.
            Unsupported: The store was not opened by `from_config`.
        """
        drive(self._face.refresh_config(config, metrics))

    def describe(self) -> str:
        """What it is made of, a line a part: layers from the outside, then the backends."""
        return self._face.describe()

    @property
    def max_download(self) -> int:
        """How many bytes `read` answers at most of a whole object; 0 for no limit."""
        return self._face.max_download

    @property
    def expires(self) -> timedelta:
        """For how long a signed URL holds, unless it is said."""
        return self._face.expires

    # Addresses

    @property
    def store(self) -> ObjectStore:
        """The store behind it, which keeps the contract for those who write stores."""
        return self._store

    @property
    def backend(self) -> ObjectStore:
        """The store inside all layers, which has what is the service's own."""
        return self._face.backend

    @property
    def root(self) -> Reference:
        """The address it was opened at."""
        return self._face.root

    @property
    def type(self) -> str:
        """The name of the backend, such as `memory` or `file`."""
        return self._face.type

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._face.capabilities

    @property
    def base_container(self) -> str:
        """The address of the whole bucket or container, such as `s3://archive`."""
        return self._face.base_container

    @property
    def base_path(self) -> str:
        """The folder on this machine; empty where objects are no files."""
        return self._face.base_path

    def full_path(self, key: str | Reference) -> str:
        """Where an object is found from outside: a path for a file, else a URL."""
        return self._face.full_path(key)

    def reference(self, key: str | Reference) -> Reference:
        """The address of a key, a URL, or an absolute path, which is a file.

        Raises:
            InvalidKey: It breaks a rule of keys; says which.
        """
        return self._face.reference(key)

    def construct_reference(self, base: str | Reference, *segments: str) -> Reference:
        """The address that segments lead to from another address, of any store."""
        return self._face.construct_reference(base, *segments)

    def config_json(self) -> str:
        """The configuration as JSON text without secrets, to open the same store elsewhere."""
        return self._face.config_json()

    # Writing

    def write(
        self,
        key: str | Reference,
        data: Data | Stream,
        *,
        size: int | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> ObjectMeta:
        """Write one object, whole or not at all.

        Args:
            key: Where.
            data: Bytes; or a binary reader or an iterable of bytes, of which only a part is in
                memory at a time.
            size: How many bytes there must be, in all.
            keywords: The fields of `WriteOptions`: `content_type`, `metadata`, `tags`,
                `storage_class`, `if_match`, `if_none_match`, `content_md5`, `sha256`.

        Raises:
            Corrupt: There are more or fewer bytes than `size`, or other ones than the digest
                says. A stream that ends early leaves its bytes staged (see `uploads`) where the
                store can go on with them; nothing is visible.
            AlreadyExists: `if_none_match="*"` and there is an object.
            PreconditionFailed: `if_match` and it is another object by now.
            KeyConflict: Another key makes this one a folder, or a part of this one a file.
        """
        if keywords or size is not None or type(data) is not bytes:
            return drive(self._face.write(key, data, size=size, **keywords))
        # The plain case, which is the most frequent one, without a coroutine around it.
        return drive(self._put(self._reference(key), data, WRITE))

    def open_writer(self, key: str | Reference, **keywords: Unpack[WriteKeywords]) -> ObjectWriter:
        """Write an object piece by piece, as a binary file that is published when it closes.

        An exception in its `with` block publishes nothing.
        """
        return ObjectWriter(drive(self._face.open_writer(key, **keywords)))

    def upload(
        self,
        key: str | Reference,
        *,
        resume: str | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> BlockingUpload:
        """Begin an upload that can outlive this process, or go on with one.

        Args:
            key: What it will become.
            resume: The id of one to go on with, under its first options; its `offset` says
                from where.
            keywords: The fields of `WriteOptions`.

        Raises:
            NotFound: There is no upload of this id.
            ResumeNotSupported: The store keeps no bytes of interrupted uploads.
        """
        return BlockingUpload(drive(self._face.upload(key, resume=resume, **keywords)))

    def uploads(self, prefix: str | Reference = "") -> Iterator[UploadInfo]:
        """Go through the uploads that were neither committed nor aborted."""
        return drive_iterator(self._face.uploads(prefix))

    def purge_uploads(self, older_than: timedelta, prefix: str | Reference = "") -> int:
        """Abort the uploads begun longer ago than this; answer how many.

        One that another process is writing to now is left alone.
        """
        return drive(self._face.purge_uploads(older_than, prefix))

    # Reading

    def read(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
        max_size: int | None = None,
    ) -> bytes:
        """Answer the bytes of an object, or a range of them.

        Args:
            key: Which.
            start: The first byte; below 0 counts from the end.
            end: The byte after the last one; None for the end of the object.
            if_match: Read only if it has this etag.
            max_size: Refuse more bytes than this; 0 for no limit. When None it is the store's
                `max_download` for a whole object, and no limit for a range.

        Raises:
            InvalidRange: The range begins outside of the object.
            LimitExceeded: There is more to read than `max_size`.
            PreconditionFailed: It has another etag.
        """
        limited = max_size or (max_size is None and self._face.max_download)
        if start or end is not None or if_match is not None or limited:
            return drive(
                self._face.read(key, start=start, end=end, if_match=if_match, max_size=max_size)
            )
        # The plain case, which is the most frequent one, without a coroutine around it.
        stream = drive(self._get(self._reference(key), GET))
        return drive(stream.read_all()) if stream.whole is None else stream.whole

    def read_into(self, key: str | Reference, writer: Writable, *, offset: int = 0) -> int:
        """Write the bytes of an object to a binary writer; answer how many.

        Args:
            key: Which.
            writer: Anything with `write`.
            offset: Where in the object to begin: 0, or inside of it.

        Raises:
            InvalidRange: The offset is below 0, or at or past the end.
        """
        return drive(self._face.read_into(key, writer, offset=offset))

    def open_reader(self, key: str | Reference) -> io.BufferedReader:
        """Open an object as a binary file that can seek; it stays the same object throughout."""
        raw = ObjectReader(self._store, self._face.reference(key))
        return io.BufferedReader(raw, CHUNK_BYTES)

    def stream(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = PART_BYTES,
    ) -> Iterator[bytes]:
        """Go through the bytes of an object, one chunk in memory at a time.

        All chunks are of the same object, also when a writer replaces it meanwhile.
        """
        return drive_iterator(self._face.stream(key, start=start, end=end, chunk_size=chunk_size))

    def write_message(
        self, key: str | Reference, message: Message, **keywords: Unpack[WriteKeywords]
    ) -> ObjectMeta:
        """Write a protobuf message: as JSON where the key ends in `.json`, else binary.

        Its type is recorded in the metadata `protobuf-type`, where the store keeps metadata, and
        checked when it is read. Needs the extra `messages`.

        Args:
            key: Where.
            message: An instance of a generated class.
            keywords: The fields of `WriteOptions`, as for `write`.

        Raises:
            TypeError: It is no message.
            ValueError: A required field is not set, or JSON cannot say it.
            LimitExceeded: It has 2 GiB or more.
        """
        return drive(self._face.write_message(key, message, **keywords))

    def read_message(
        self, key: str | Reference, kind: builtins.type[M], *, max_size: int | None = None
    ) -> M:
        """Read a protobuf message.

        Args:
            key: Which.
            kind: The generated class that it is of.
            max_size: Refuse more bytes than this; when None the store's `max_download`.

        Raises:
            NotFound: There is no object.
            Corrupt: It is no message of this type, or damaged; names type and reference.
            LimitExceeded: It is larger than `max_size`, or the setting it comes from.
        """
        return drive(self._face.read_message(key, kind, max_size=max_size))

    # Asking

    def stat(self, key: str | Reference, *, tags: bool = False) -> ObjectMeta:
        """Answer what is known of an object.

        Args:
            key: Which.
            tags: Whether to ask for its tags too, a second request on most services.
        """
        return drive(self._head(self._reference(key), HEAD_TAGS if tags else HEAD))

    def exists(self, key: str | Reference) -> bool:
        """Whether there is an object."""
        return drive(self._face.exists(key))

    def size(self, key: str | Reference) -> int | None:
        """The size of an object in bytes; None when there is none."""
        return drive(self._face.size(key))

    def walk(self, prefix: str | Reference = "", *, etags: bool = False) -> Iterator[ObjectMeta]:
        """Go through all objects under a prefix, in byte order of the key.

        Args:
            prefix: A folder; `foo` holds `foo/1`, and neither `foo-bar` nor the object `foo`.
            etags: Whether each must carry its etag; costs time on a disk, nothing elsewhere.
        """
        for page in self.pages(prefix, etags=etags):
            yield from page.objects

    def list(self, prefix: str | Reference = "") -> Iterator[str]:
        """Go through the keys of all objects under a prefix, in byte order."""
        for page in self.pages(prefix):
            for meta in page.objects:
                yield meta.key

    def pages(
        self, prefix: str | Reference = "", *, delimiter: bool = False, etags: bool = False
    ) -> Iterator[Page]:
        """Go through a listing page by page; a page also counts what is no object."""
        return drive_iterator(self._face.pages(prefix, delimiter=delimiter, etags=etags))

    def list_page(
        self,
        prefix: str | Reference = "",
        *,
        max_items: int = PAGE_ITEMS,
        cursor: str | None = None,
        delimiter: bool = False,
    ) -> Page:
        """Answer one page of a listing.

        Args:
            prefix: A folder.
            max_items: How many objects and folders it has at most.
            cursor: The `token` of the page before; None for the first page.
            delimiter: Answer only what is one level down.
        """
        return drive(
            self._face.list_page(prefix, max_items=max_items, cursor=cursor, delimiter=delimiter)
        )

    def list_directories(self, prefix: str | Reference = "") -> tuple[str, ...]:
        """Answer the names, without `/`, of the folders one level under a prefix, in order."""
        return drive(self._face.list_directories(prefix))

    # Changing

    def delete(self, key: str | Reference, *, if_match: str | None = None) -> None:
        """Delete an object; nothing happens when there is none.

        Raises:
            PreconditionFailed: It has another etag than `if_match`.
        """
        drive(self._face.delete(key, if_match=if_match))

    def delete_many(self, keys: Iterable[str | Reference]) -> None:
        """Delete objects, in as few requests as the service allows.

        Raises:
            PartialFailure: Some could not be deleted; its `errors` know which. All the others
                are deleted.
            InvalidKey: One is no key, or an address elsewhere; nothing is deleted.
        """
        drive(self._face.delete_many(keys))

    def remove_directory(self, prefix: str | Reference) -> None:
        """Remove an empty folder; nothing to do where folders do not exist by themselves.

        Raises:
            KeyConflict: It is not empty.
        """
        drive(self._face.remove_directory(prefix))

    def copy(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Copy an object with all that is kept with it; readers of the target see old or new.

        Args:
            source: What.
            target: Where to.
            if_match: Only if the source has this etag.
            if_none_match: `"*"`: only if there is no target.
        """
        return drive(
            self._face.copy(source, target, if_match=if_match, if_none_match=if_none_match)
        )

    def move(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Move an object; the source goes once the target is complete. Arguments as `copy`."""
        return drive(
            self._face.move(source, target, if_match=if_match, if_none_match=if_none_match)
        )

    def sign(
        self,
        key: str | Reference,
        method: str = "GET",
        *,
        expires: timedelta | None = None,
        content_type: str | None = None,
        content_md5: str | None = None,
    ) -> str:
        """Answer a URL that lets its holder `GET`, `PUT` or `DELETE` one object for a while.

        Args:
            key: Which.
            method: What its holder may do.
            expires: For how long; an hour when None, or what the configuration says.
            content_type: What a PUT must send.
            content_md5: Hexadecimal MD5 of what a PUT must send.

        Raises:
            Unsupported: The store has no such URLs (`capabilities.sign`).
        """
        return drive(
            self._face.sign(
                key, method, expires=expires, content_type=content_type, content_md5=content_md5
            )
        )

    def close(self) -> None:
        """Let go of files and connections; may be called again."""
        drive(self._face.close())

    def __enter__(self) -> DataStore:
        return self

    def __exit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DataStore({str(self.root)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        face = self._face
        again = partial(DataStore, max_download=face.max_download, expires=face.expires)
        return again, (self._store,)
