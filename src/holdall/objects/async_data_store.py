"""The face for users with an event loop; `DataStore` is the same without one."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from pathlib import PurePath
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, final

from holdall.core.errors import (
    Corrupt,
    InvalidKey,
    InvalidRange,
    LimitExceeded,
    NotFound,
    PartialFailure,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.objects.contract import ObjectStore
from holdall.objects.options import (
    COPY,
    DELETE,
    GET,
    HEAD,
    HEAD_TAGS,
    LIST,
    PAGE_ITEMS,
    PART_BYTES,
    WRITE,
    CopyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    SignOptions,
)
from holdall.objects.sources import (
    AsyncStream,
    WriteKeywords,
    check_text,
    plain,
    write_options,
    write_out,
)
from holdall.objects.writer import AsyncObjectWriter, write_stream

if TYPE_CHECKING:
    import builtins
    import os
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType

    from google.protobuf.message import Message

    from holdall.core.errors import HoldallError
    from holdall.objects.contract import Data, Upload
    from holdall.objects.layers.metrics import Recorder
    from holdall.objects.results import Capabilities, ObjectMeta, ObjectStream, Page, UploadInfo
    from holdall.objects.sources import Writable

    M = TypeVar("M", bound=Message)

_DELETE_BATCH = 1000
_log = logging.getLogger("holdall.objects")


@final
class AsyncDataStore:
    """Objects under keys, for asyncio.

    A key is relative to where the store was opened; a URL or a `Reference` is an address of its
    own, and must lie in the store. What comes back knows both, as `.key` and `.ref`.

    Every method raises a `HoldallError`: `NotFound` where there is no object, `InvalidKey` for a
    text that is no key, and what the method names.

    Args:
        store: The store that it stands before; closed with it.
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
        if not isinstance(store, ObjectStore):
            raise TypeError("a face stands before a store; holdall.open opens one by its address")
        self._store = store
        self._take(store, max_download, expires)

    def _take(self, store: ObjectStore, max_download: int, expires: timedelta) -> None:
        self._root = store.root
        rare = partial(_rare, store.root, routed=store.capabilities.routes)
        self._child = store.root.children(rare)
        self._max_download = max_download
        self._expires = expires

    # Configuring

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        metrics: Recorder | None = None,
    ) -> AsyncDataStore:
        """Put a store together from a configuration: backends, layers, routing and limits.

        Args:
            config: Settings, or the path of a file of them (TOML, YAML, JSON), as
                `StorageSettings` has them; None for the variables `HOLDALL_STORAGE_…`.
            metrics: Takes the measurements; counters in memory when None.

        Raises:
            InvalidConfig: A setting cannot be; names it and the way out.
        """
        from holdall.core.runtime.loop import LoopRuntime
        from holdall.objects.assembly import assemble
        from holdall.objects.switch import Switch

        made = assemble(config, LoopRuntime(), metrics)
        return cls(Switch(made.store), max_download=made.max_download, expires=made.expires)

    async def refresh_config(
        self,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        metrics: Recorder | None = None,
    ) -> None:
        """Exchange the whole store for one of another configuration.

        What is under way ends on the old store, which is closed then. An invalid configuration
        changes nothing.

        Args:
            config: As for `from_config`.
            metrics: Takes the measurements; the recorder of before when None.

        Raises:
            InvalidConfig: A setting cannot be.
            Unsupported: The store was not opened by `from_config`.
        """
        from holdall.objects.assembly import assemble
        from holdall.objects.layers.metrics import Metrics
        from holdall.objects.switch import Switch

        if not isinstance(self._store, Switch):
            raise Unsupported("only a store that from_config opened takes another configuration")
        if metrics is None:
            layers = (one for one in self._store.stores() if isinstance(one, Metrics))
            metrics = next((one.recorder for one in layers), None)
        made = assemble(config, self._store.runtime, metrics)
        await self._store.change(made.store)
        self._take(made.store, made.max_download, made.expires)

    def describe(self) -> str:
        """What it is made of, a line a part: layers from the outside, then the backends."""
        from holdall.objects.assembly import describe

        return describe(self._store)

    @property
    def max_download(self) -> int:
        """How many bytes `read` answers at most of a whole object; 0 for no limit."""
        return self._max_download

    @property
    def expires(self) -> timedelta:
        """For how long a signed URL holds, unless it is said."""
        return self._expires

    # Addresses

    @property
    def store(self) -> ObjectStore:
        """The store behind it, which keeps the contract for those who write stores."""
        return self._store

    @property
    def backend(self) -> ObjectStore:
        """The store inside all layers, which has what is the service's own."""
        store = self._store
        while behind := store._behind():
            store = behind[0]
        return store

    @property
    def root(self) -> Reference:
        """The address it was opened at."""
        return self._root

    @property
    def type(self) -> str:
        """The name of the backend, such as `memory` or `file`."""
        return self._store.type

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._store.capabilities

    @property
    def base_container(self) -> str:
        """The address of the whole bucket or container, such as `s3://archive`."""
        return str(self._root.root)

    @property
    def base_path(self) -> str:
        """The folder on this machine; empty where objects are no files."""
        return (self._root.path or "") if self.capabilities.local else ""

    def full_path(self, key: str | Reference) -> str:
        """Where an object is found from outside: a path for a file, else a URL."""
        ref = self.reference(key)
        return ref.path or str(ref)

    def reference(self, key: str | Reference) -> Reference:
        """The address of a key.

        Args:
            key: Relative to the store; or a URL, or an absolute path, which is a file.

        Raises:
            InvalidKey: It breaks a rule of keys; says which.
        """
        return self._child(key) if isinstance(key, str) else _checked(key)

    def construct_reference(self, base: str | Reference, *segments: str) -> Reference:
        """The address that segments lead to from another address, of any store."""
        return Reference.parse(base, folder=True).join(*segments)

    def config_json(self) -> str:
        """The configuration as JSON text without secrets, to open the same store elsewhere."""
        return self._store.config_json()

    # Writing

    async def write(
        self,
        key: str | Reference,
        data: Data | AsyncStream,
        *,
        size: int | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> ObjectMeta:
        """Write one object, whole or not at all.

        Args:
            key: Where.
            data: Bytes; or a binary reader or an iterable of bytes, asynchronous ones too, of
                which only a part is in memory at a time.
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
        ref = self.reference(key)
        options = write_options(keywords) if keywords else WRITE
        if not isinstance(data, (bytes, bytearray, memoryview, str)):
            return await write_stream(self._store, ref, data, size, options)
        data = plain(data)
        if size is not None and size != len(data):
            raise Corrupt(f"{ref}: {size} bytes were announced and {len(data)} came", reference=ref)
        return await self._store.put(ref, data, options)

    async def open_writer(
        self, key: str | Reference, **keywords: Unpack[WriteKeywords]
    ) -> AsyncObjectWriter:
        """Write an object piece by piece, in an `async with` block that publishes at its end.

        An exception in the block publishes nothing.
        """
        ref = self.reference(key)
        return AsyncObjectWriter(await self._store.upload(ref, write_options(keywords), None))

    async def upload(
        self,
        key: str | Reference,
        *,
        resume: str | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> Upload:
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
        return await self._store.upload(self.reference(key), write_options(keywords), resume)

    async def uploads(self, prefix: str | Reference = "") -> AsyncIterator[UploadInfo]:
        """Go through the uploads that were neither committed nor aborted."""
        token = None
        while True:
            page = await self._store.uploads(self._folder(prefix), token)
            for info in page.uploads:
                yield info
            token = page.token
            if token is None:
                return

    async def purge_uploads(self, older_than: timedelta, prefix: str | Reference = "") -> int:
        """Abort the uploads begun longer ago than this; answer how many.

        One that another process is writing to now is left alone.
        """
        if not isinstance(older_than, timedelta):
            raise TypeError(f"older_than is a timedelta, not {type(older_than).__name__}")
        limit = time_ns() - older_than // timedelta(microseconds=1) * 1000
        purged = 0
        old = [info async for info in self.uploads(prefix) if info.begun_ns <= limit]
        for info in old:
            try:
                upload = await self._store.upload(info.ref, WRITE, info.id)
            except (NotFound, Unavailable):
                continue  # it ended meanwhile, or somebody goes on with it
            await upload.abort()
            purged += 1
        return purged

    # Reading

    async def read(
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
        if max_size is None and self._max_download and not start and end is None:
            try:
                return await self.read(key, if_match=if_match, max_size=self._max_download)
            except LimitExceeded as error:
                raise _above_setting(error, self._max_download) from error
        options = GET
        if start or end is not None or if_match is not None or max_size:
            if if_match is not None:
                check_text("if_match", if_match)
            options = GetOptions(start=start, end=end, if_match=if_match, max_size=max_size)
        stream = await self._store.get(self.reference(key), options)
        return await stream.read_all() if stream.whole is None else stream.whole

    async def read_into(self, key: str | Reference, writer: Writable, *, offset: int = 0) -> int:
        """Write the bytes of an object to a binary writer; answer how many.

        Args:
            key: Which.
            writer: Anything with `write`, which may be a coroutine function.
            offset: Where in the object to begin: 0, or inside of it.

        Raises:
            InvalidRange: The offset is below 0, or at or past the end.
        """
        ref = self.reference(key)
        count = 0
        if offset < 0:
            raise InvalidRange(f"{ref}: the offset {offset} is below 0", reference=ref)
        async with await self._store.get(ref, GetOptions(start=offset)) as stream:
            while chunk := await stream.read(PART_BYTES):
                await write_out(writer, chunk, self._store.runtime)
                count += len(chunk)
        return count

    async def open_reader(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
    ) -> ObjectStream:
        """Open the body of an object, or a range of it, for `async with`; see `ObjectStream`."""
        options = GetOptions(start=start, end=end, if_match=if_match)
        return await self._store.get(self.reference(key), options)

    async def stream(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = PART_BYTES,
    ) -> AsyncIterator[bytes]:
        """Go through the bytes of an object, one chunk in memory at a time.

        All chunks are of the same object, also when a writer replaces it meanwhile.
        """
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}: a chunk has at least one byte")
        stream = await self.open_reader(key, start=start, end=end)
        async with stream:
            while chunk := await stream.read(chunk_size):
                yield chunk
                del chunk  # or two would be in memory while the next one is read

    async def write_message(
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
        from holdall.core import protobuf

        ref = self.reference(key)
        data = protobuf.encode(message, ref)
        keywords.setdefault("content_type", protobuf.content_type(ref))
        if self.capabilities.metadata:
            named = {protobuf.TYPE_NAME: protobuf.type_name(type(message))}
            keywords["metadata"] = {**named, **(keywords.get("metadata") or {})}
        return await self._store.put(ref, data, write_options(keywords))

    async def read_message(
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
        from holdall.core import protobuf

        protobuf.type_name(kind)  # what is no message class is said before anything is read
        ref = self.reference(key)
        limit = self._max_download if max_size is None else max_size
        try:
            stream = await self._store.get(ref, GetOptions(max_size=limit) if limit else GET)
            data = await stream.read_all() if stream.whole is None else stream.whole
        except LimitExceeded as error:
            if max_size is None:
                raise _above_setting(error, limit) from error
            raise
        return protobuf.decode(data, kind, ref, stream.meta.metadata.get(protobuf.TYPE_NAME))

    # Asking

    async def stat(self, key: str | Reference, *, tags: bool = False) -> ObjectMeta:
        """Answer what is known of an object.

        Args:
            key: Which.
            tags: Whether to ask for its tags too, a second request on most services.
        """
        return await self._store.head(self.reference(key), HEAD_TAGS if tags else HEAD)

    async def exists(self, key: str | Reference) -> bool:
        """Whether there is an object."""
        return await self.size(key) is not None

    async def size(self, key: str | Reference) -> int | None:
        """The size of an object in bytes; None when there is none."""
        try:
            meta = await self._store.head(self.reference(key), HEAD)
        except NotFound:
            return None
        return meta.size

    async def walk(
        self, prefix: str | Reference = "", *, etags: bool = False
    ) -> AsyncIterator[ObjectMeta]:
        """Go through all objects under a prefix, in byte order of the key.

        Args:
            prefix: A folder; `foo` holds `foo/1`, and neither `foo-bar` nor the object `foo`.
            etags: Whether each must carry its etag; costs time on a disk, nothing elsewhere.
        """
        async for page in self.pages(prefix, etags=etags):
            for meta in page.objects:
                yield meta

    async def list(self, prefix: str | Reference = "") -> AsyncIterator[str]:
        """Go through the keys of all objects under a prefix, in byte order."""
        async for page in self.pages(prefix):
            for meta in page.objects:
                yield meta.key

    async def pages(
        self, prefix: str | Reference = "", *, delimiter: bool = False, etags: bool = False
    ) -> AsyncIterator[Page]:
        """Go through a listing page by page; a page also counts what is no object."""
        folder = self._folder(prefix)
        options = ListOptions(delimiter=delimiter, etags=etags) if delimiter or etags else LIST
        foreign = 0
        while True:
            page = await self._store.list(folder, options)
            foreign += page.foreign
            yield page
            if page.token is None:
                break
            options = ListOptions(delimiter=delimiter, etags=etags, token=page.token)
        if foreign:
            _log.info("%s holds %d entries that are no objects, such as links", folder, foreign)

    async def list_page(
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
        if max_items < 1:
            raise ValueError(f"max_items is {max_items}: a page has room for at least one")
        options = ListOptions(delimiter=delimiter, max_items=max_items, token=cursor)
        return await self._store.list(self._folder(prefix), options)

    async def list_directories(self, prefix: str | Reference = "") -> tuple[str, ...]:
        """Answer the names, without `/`, of the folders one level under a prefix, in order."""
        names: list[str] = []
        async for page in self.pages(prefix, delimiter=True):
            names += (folder.rpartition("/")[2] for folder in page.folders)
        return tuple(names)

    def _folder(self, prefix: str | Reference) -> Reference:
        if isinstance(prefix, Reference):
            return prefix
        if not prefix:
            return self._root
        if prefix.startswith("/") or "://" in prefix:
            return Reference.parse(prefix, folder=True)
        return self._root.child(prefix.removesuffix("/"))

    # Changing

    async def delete(self, key: str | Reference, *, if_match: str | None = None) -> None:
        """Delete an object; nothing happens when there is none.

        Raises:
            PreconditionFailed: It has another etag than `if_match`.
        """
        options = DELETE
        if if_match is not None:
            options = DeleteOptions(if_match=check_text("if_match", if_match))
        for failure in await self._store.delete((self.reference(key),), options):
            raise failure.error

    async def delete_many(self, keys: Iterable[str | Reference]) -> None:
        """Delete objects, in as few requests as the service allows.

        Raises:
            PartialFailure: Some could not be deleted; its `errors` know which. All the others
                are deleted.
            InvalidKey: One is no key, or an address elsewhere; nothing is deleted.
        """
        if isinstance(keys, (str, Reference)):
            raise TypeError("delete_many takes several keys; delete takes one")
        refs = [self.reference(key) for key in keys]
        errors: list[HoldallError] = []
        for at in range(0, len(refs), _DELETE_BATCH):
            batch = refs[at : at + _DELETE_BATCH]
            errors += [failure.error for failure in await self._store.delete(batch, DELETE)]
        if errors:
            raise PartialFailure(f"{len(errors)} of {len(refs)} objects were not deleted:", errors)

    async def remove_directory(self, prefix: str | Reference) -> None:
        """Remove an empty folder; nothing to do where folders do not exist by themselves.

        Raises:
            KeyConflict: It is not empty.
        """
        await self._store.remove_folder(self._folder(prefix))

    async def copy(
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
        return await self._copy(source, target, False, if_match, if_none_match)

    async def move(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Move an object; the source goes once the target is complete. Arguments as `copy`."""
        return await self._copy(source, target, True, if_match, if_none_match)

    async def _copy(
        self,
        source: str | Reference,
        target: str | Reference,
        move: bool,
        if_match: str | None,
        if_none_match: str | None,
    ) -> ObjectMeta:
        options = COPY
        if move or if_match is not None or if_none_match is not None:
            options = CopyOptions(move=move, if_match=if_match, if_none_match=if_none_match)
        return await self._store.copy(self.reference(source), self.reference(target), options)

    async def sign(
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
        options = SignOptions(
            method=method,
            expires=(self._expires if expires is None else expires).total_seconds(),
            content_type=content_type,
            content_md5=content_md5,
        )
        return await self._store.sign(self.reference(key), options)

    async def close(self) -> None:
        """Let go of files and connections; may be called again."""
        await self._store.close()

    async def __aenter__(self) -> AsyncDataStore:
        return self

    async def __aexit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncDataStore({str(self._root)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        again = partial(AsyncDataStore, max_download=self._max_download, expires=self._expires)
        return again, (self._store,)


def _checked(key: object) -> Reference:
    if isinstance(key, Reference):
        return key
    hint = "; as_posix() makes text of it" if isinstance(key, PurePath) else ""
    raise TypeError(f"a key is text or a Reference, not {type(key).__name__}{hint}")


def _rare(root: Reference, key: str, *, routed: bool) -> Reference:
    """The address, in a store opened at `root`, of what is not plainly a key."""
    if "://" not in key and not key.startswith("/"):
        return root.child(key)
    ref = Reference.parse(key)
    if routed and "://" in key and not root.holds(ref):
        return ref
    if key.startswith("/") and not root.holds(ref):
        raise InvalidKey(
            f"{key!r} is the path of a file, and does not lie under {root}. A key begins without "
            f"'/': {key.lstrip('/')!r}",
            reference=ref,
        )
    if not ref.relative_to(root):
        raise InvalidKey(f"{ref} is the store itself and no object", reference=ref)
    return ref


def _above_setting(error: LimitExceeded, limit: int) -> LimitExceeded:
    return LimitExceeded(
        f"{error.reference}: it has more than {limit} bytes, which is what the setting "
        f"limits.max_download_mbs ({limit / 1024**2:g}) allows. Raise it (0 for no limit), read "
        "with max_size=0, or stream it",
        reference=error.reference,
    )
