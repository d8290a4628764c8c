"""Objects in memory: written to be read, because this store is the judge of the others."""

from __future__ import annotations

import hashlib
import threading
import time
from bisect import bisect_left, bisect_right
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn, final

from msgspec import Struct
from msgspec.structs import replace

from holdall.core.errors import HoldallError, InvalidKey, NotFound, Unsupported
from holdall.core.reference import RESERVED_SEGMENT, Reference, check_key
from holdall.objects.contract import Data, ObjectStore, Upload
from holdall.objects.integrity import check_conditions, check_digests, check_upload
from holdall.objects.options import GET, PAGE_ITEMS, PART_BYTES, WRITE, WriteOptions, check_write
from holdall.objects.results import (
    BytesStream,
    Capabilities,
    DeleteFailure,
    ObjectMeta,
    ObjectStream,
    Page,
    UploadInfo,
    UploadPage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.core.runtime import Runtime
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
    )

_CAPABILITIES = Capabilities(resume="staged", durable=False, storage_class=True)
_serial = count(1)


class MemorySettings(Struct, frozen=True, kw_only=True):
    """Settings of `memory://`.

    Args:
        name: Shared by all who open it in this process; empty for a store of one's own.
        prefix: Opens the folder of this name inside it.
    """

    name: str = ""
    prefix: str = ""


class _Object(Struct, frozen=True):
    data: bytes
    etag: str
    modified_ns: int
    options: WriteOptions


class _Staged:
    def __init__(self, key: str, options: WriteOptions) -> None:
        self.key = key
        self.options = options
        self.data = bytearray()
        self.begun_ns = time.time_ns()


class _Space:
    """Everything under one name. The lock is held for a few lines and never across a wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, _Staged] = {}
        self._sorted: list[str] | None = []

    def set(self, key: str, item: _Object) -> None:
        if key not in self.objects:
            self._sorted = None
        self.objects[key] = item

    def remove(self, key: str) -> None:
        if self.objects.pop(key, None) is not None:
            self._sorted = None

    def keys(self) -> list[str]:
        # Code points sort as UTF-8 bytes do.
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        return self._sorted


_named: dict[str, _Space] = {}


@final
class MemoryStore(ObjectStore):
    """Objects in this process: `memory://` is new each time, `memory://name` is shared."""

    settings_type = MemorySettings

    def __init__(self, settings: MemorySettings, runtime: Runtime) -> None:
        if settings.prefix:
            check_key(settings.prefix)
        super().__init__(Reference("memory", settings.name, settings.prefix), settings, runtime)
        self._name = settings.name
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._space = _named.setdefault(settings.name, _Space()) if settings.name else _Space()

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> MemoryStore:
        assert isinstance(settings, MemorySettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {"name": reference.container, "prefix": reference.key}

    @property
    def type(self) -> str:
        return "memory"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        key = self._key(ref)
        if options is not WRITE:
            check_write(options, _CAPABILITIES, ref)
            check_digests(data, options, ref)
        return self._publish(ref, key, bytes(data), options)

    def _publish(self, ref: Reference, key: str, data: bytes, options: WriteOptions) -> ObjectMeta:
        item = _Object(data, f"m{next(_serial)}", time.time_ns(), options)
        space = self._space
        with space.lock:
            if options is not WRITE:
                check_conditions(self._etag(key), options.if_match, options.if_none_match, ref)
            space.set(key, item)
        return self._meta(key, item)

    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        key = self._key(ref)
        if resume is None:
            check_write(options, _CAPABILITIES, ref)
            resume = f"u{next(_serial)}"
            self._space.uploads[resume] = _Staged(key, options)
        staged = self._space.uploads.get(resume)
        if staged is None or staged.key != key:
            raise NotFound(f"{ref} has no upload {resume!r} to go on with", reference=ref)
        return _MemoryUpload(self, ref, resume, staged)

    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        start = self._inside(prefix)
        with self._space.lock:
            found = sorted(
                (staged.key, name, len(staged.data), staged.begun_ns, staged.options.sha256 or "")
                for name, staged in self._space.uploads.items()
                if staged.key.startswith(start)
                and (token is None or f"{staged.key}\0{name}" > token)
            )
        infos = tuple(
            UploadInfo(self._root, self._relative(key), name, offset, begun, sha256 or None)
            for key, name, offset, begun, sha256 in found[:PAGE_ITEMS]
        )
        more = "\0".join(found[PAGE_ITEMS - 1][:2]) if len(found) > PAGE_ITEMS else None
        return UploadPage(infos, more)

    async def get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        key = self._key(ref)
        item = self._space.objects.get(key)
        if item is None:
            self._missing(ref)
        if options.if_match is not None:
            check_conditions(item.etag, options.if_match, None, ref)
        start, data = 0, item.data
        if options is not GET:
            start, end = options.span(len(data), ref)
            data = data[start:end]  # the same bytes, uncopied, when it is all of them
        return BytesStream(self._meta(key, item, options.tags), start, data)

    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        key = self._key(ref)
        item = self._space.objects.get(key)
        if item is None:
            self._missing(ref)
        return self._meta(key, item, options.tags)

    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        start = self._inside(prefix)
        rest = options.behind(self._relative(start))
        if rest is None:
            return Page(())
        objects: list[ObjectMeta] = []
        folders: list[str] = []
        last = token = None
        with self._space.lock:
            keys = self._space.keys()
            position = _after(keys, start, options.place(rest))
            while position < len(keys) and keys[position].startswith(start):
                key = keys[position]
                if RESERVED_SEGMENT in key and RESERVED_SEGMENT in key[len(start) :].split("/"):
                    position += 1  # it is kept beside the objects, and no object
                    continue
                if len(objects) + len(folders) >= options.max_items:
                    token = last
                    break
                name, slash, _ = key[len(start) :].partition("/")
                if options.delimiter and slash:
                    folders.append(self._relative(start + name))
                    last = name + slash
                    position = _after(keys, start, last)
                else:
                    objects.append(self._meta(key, self._space.objects[key]))
                    last = key[len(start) :]
                    position += 1
        page = Page(tuple(objects), tuple(folders), token)
        return page if options.known is None else _told(page, options.known)

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        failures = []
        for ref in refs:
            key = self._key(ref)
            try:
                with self._space.lock:
                    etag = self._etag(key)
                    if etag is not None:
                        check_conditions(etag, options.if_match, None, ref)
                    elif options.must_exist:
                        self._missing(ref)
                    self._space.remove(key)
            except HoldallError as error:
                failures.append(DeleteFailure(ref, error))
        return failures

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        old, new = self._key(source), self._key(target)
        with self._space.lock:
            item = self._space.objects.get(old)
            if item is None:
                self._missing(source)
            check_conditions(item.etag, options.if_match, None, source)
            check_conditions(self._etag(new), None, options.if_none_match, target)
            item = replace(item, etag=f"m{next(_serial)}", modified_ns=time.time_ns())
            self._space.set(new, item)
            if options.move and new != old:
                self._space.remove(old)
        return self._meta(new, item)

    async def sign(self, ref: Reference, options: SignOptions) -> NoReturn:
        raise Unsupported(f"{ref} is in memory: no URL leads there", reference=ref)

    async def remove_folder(self, prefix: Reference) -> None:
        self._inside(prefix)

    async def close(self) -> None:
        return None

    def _key(self, ref: Reference) -> str:
        key = ref.key
        if (
            ref.scheme != "memory"
            or ref.container != self._name
            or not key.startswith(self._prefix)
            or not key
        ):
            ref.relative_to(self._root)
            raise InvalidKey(f"{ref} is the store itself and no object", reference=ref)
        return key

    def _inside(self, folder: Reference) -> str:
        """What the keys under a folder begin with."""
        folder.relative_to(self._root)
        return f"{folder.key}/" if folder.key else ""

    def _relative(self, key: str) -> str:
        return key[len(self._prefix) :]

    def _etag(self, key: str) -> str | None:
        item = self._space.objects.get(key)
        return None if item is None else item.etag

    def _missing(self, ref: Reference) -> NoReturn:
        raise NotFound(f"{ref}: there is no object", reference=ref)

    def _meta(self, key: str, item: _Object, tags: bool = False) -> ObjectMeta:
        options = item.options
        if options is WRITE:
            meta = ObjectMeta(
                self._root, key[len(self._prefix) :], len(item.data), item.modified_ns, item.etag
            )
            return replace(meta, tags={}) if tags else meta
        return ObjectMeta(
            self._root,
            self._relative(key),
            len(item.data),
            item.modified_ns,
            item.etag,
            options.content_type,
            dict(options.metadata),
            dict(options.tags) if tags else None,
            options.content_md5,
            options.sha256,
            options.storage_class,
        )


class _MemoryUpload(Upload):
    def __init__(self, store: MemoryStore, ref: Reference, name: str, staged: _Staged) -> None:
        self._store = store
        self._staged = staged
        self._open = True
        self.ref = ref
        self.id = name
        self.offset = len(staged.data)

    async def write(self, data: Data) -> None:
        self._check_open()
        self._staged.data += data
        self.offset = len(self._staged.data)

    async def digest(self) -> str:
        self._check_open()
        return hashlib.sha256(self._staged.data).hexdigest()

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        self._check_open()
        data, options = bytes(self._staged.data), self._staged.options
        parts = (data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES))
        check_upload(parts, self.offset, size, sha256, options, self.ref)
        if sha256 is not None:
            options = replace(options, sha256=sha256)
        meta = self._store._publish(self.ref, self.ref.key, data, options)
        await self.abort()
        return meta

    async def abort(self) -> None:
        if self._open:
            self._open = False
            self._store._space.uploads.pop(self.id, None)

    async def close(self) -> None:
        self._open = False

    def _check_open(self) -> None:
        if not self._open or self.id not in self._store._space.uploads:
            raise NotFound(f"the upload {self.id!r} of {self.ref} has ended", reference=self.ref)


def _told(page: Page, known: frozenset[bytes]) -> Page:
    """A page with its digest; without what is in it, where the caller has that."""
    held = repr((page.objects, page.folders)).encode()
    digest = hashlib.sha256(held).digest()
    if digest in known:
        return Page((), (), page.token, digest=digest, same=True)
    return replace(page, digest=digest)


def _after(keys: list[str], start: str, last: str | None) -> int:
    """Where to go on behind an object, or behind all of a folder, whose name ends in `/`."""
    if last is None:
        return bisect_right(keys, start)
    if last.endswith("/"):
        return bisect_left(keys, f"{start}{last[:-1]}0")  # 0 is the character after /
    return bisect_right(keys, start + last)
