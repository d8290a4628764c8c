"""The store of `redis://`; `lua` says what is in the database."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, final

import msgspec

from holdall.core.errors import HoldallError, InvalidKey, NotFound, Unsupported
from holdall.core.reference import RESERVED_SEGMENT
from holdall.objects.backends.redis import settings as settings_module
from holdall.objects.backends.redis.conditions import (
    MAX_OBJECT_BYTES,
    check_size,
    match_of,
    none_match_of,
    refuse,
)
from holdall.objects.backends.redis.faults import refusal_of
from holdall.objects.backends.redis.listing import Listing, Reindexed
from holdall.objects.backends.redis.lua import OWN_NAMES, PIECE_BYTES
from holdall.objects.backends.redis.notes import fingerprint, meta_of, tail_of
from holdall.objects.backends.redis.scripts import COPY, DELETE, PUT
from holdall.objects.backends.redis.scripts import GET as GET_SCRIPT
from holdall.objects.backends.redis.server import Server
from holdall.objects.backends.redis.settings import RedisSettings
from holdall.objects.backends.redis.streams import RedisStream
from holdall.objects.backends.redis.uploads import Staging
from holdall.objects.contract import Data, ObjectStore, Upload
from holdall.objects.integrity import check_conditions, check_digests
from holdall.objects.options import GET, PAGE_ITEMS, PART_BYTES, WRITE, check_write
from holdall.objects.results import (
    BytesStream,
    Capabilities,
    DeleteFailure,
    ObjectMeta,
    ObjectStream,
    Page,
    UploadPage,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
        WriteOptions,
    )

CAPABILITIES = Capabilities(
    resume="staged", durable=False, remote=True, max_object_bytes=MAX_OBJECT_BYTES
)
_MANY = 100  # keys whose place in the order is worth a look, when they are deleted
_RESERVED = f"{RESERVED_SEGMENT}/"
_encode = msgspec.msgpack.Encoder().encode


@final
class RedisStore(ObjectStore):
    """Objects as plain strings of a Redis or Valkey server, under keys that are theirs verbatim."""

    settings_type = RedisSettings

    def __init__(self, settings: RedisSettings, runtime: Runtime) -> None:
        super().__init__(settings_module.checked(settings), settings, runtime)
        root = self._root
        self._place = (root.scheme, root.container)
        self._prefix = f"{root.key}/" if root.key else ""
        ttl = settings.ttl
        self._ttl = b"" if ttl is None else b"%d" % (ttl.total_seconds() * 1000)
        self._server = Server(settings, runtime)
        self._run = self._server.run
        self._listing = Listing(self._server, root)
        self._staging = Staging(self._server, root, CAPABILITIES, self._ttl)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> RedisStore:
        assert isinstance(settings, RedisSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return settings_module.settings_of(reference)

    @property
    def type(self) -> str:
        return "redis"

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    # Writing

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        key = self._key(ref)
        if type(data) is not bytes:
            view = memoryview(data)
            check_size(view.nbytes, ref)
            if view.nbytes > PART_BYTES:
                return await self._put_large(ref, view, options)
            data = view.tobytes()
        size = len(data)
        if size > PART_BYTES:
            check_size(size, ref)
            return await self._put_large(ref, memoryview(data), options)
        if options is not WRITE:
            check_write(options, CAPABILITIES, ref)
            check_digests(data, options, ref)
        head = f"{os.urandom(16).hex()} {fingerprint(data)} ".encode()
        tail = tail_of(options, size)
        args = (key.encode(), data, head, tail, self._ttl)
        if options.if_match is None and options.if_none_match is None:
            reply = await self._run(PUT, args, ref)
        else:
            conditions = match_of(options.if_match), none_match_of(options.if_none_match)
            reply = await self._run(PUT, (*args, *conditions), ref, True)
            if reply.startswith(b"!"):
                refuse(reply, options, ref)
        return meta_of(self._root, key[len(self._prefix) :], size, head + reply + tail)

    async def _put_large(
        self, ref: Reference, view: memoryview, options: WriteOptions
    ) -> ObjectMeta:
        """Write what would be more than one part in one request."""
        check_write(options, CAPABILITIES, ref)
        check_digests(view, options, ref)
        upload = await self._staging.open(ref, options, None)
        try:
            await upload.write(view)
            return await upload.publish()
        except BaseException:
            with suppress(HoldallError):  # what went wrong first is what is told
                await upload.abort()
            raise

    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        self._key(ref)
        return await self._staging.open(ref, options, resume)

    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        return await self._staging.page(prefix, token)

    # Reading

    async def get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        key = self._key(ref)
        name, tags = key.encode(), options.tags
        args: tuple[bytes, ...] = (name,)
        if options is not GET:
            end = b"" if options.end is None else b"%d" % options.end
            most = b"%d" % options.max_size if options.max_size else b""
            args = (name, b"%d" % options.start, end, match_of(options.if_match), most, b"1")
        reply = await self._run(GET_SCRIPT, args, ref)
        if reply is None:
            _missing(ref)
        first, _, rest = reply.partition(b"\n")
        if not first.startswith(b"*"):
            # All of it: what the note says of it is checked here, and not by the server.
            found = fingerprint(rest)
            own = first[33:73] == found.encode()
            meta = self._meta(key, len(rest), first, None if own else f"sha1-{found}", tags)
            return BytesStream(meta, 0, rest)
        _, size, etag, found, _, pin, reader = first.decode().split(" ")
        note, _, body = rest.partition(b"\n")
        if options.if_match is not None:
            check_conditions(etag, options.if_match, None, ref)
        span = options.span(int(size), ref)
        meta = self._meta(key, int(size), note, etag, tags)
        if span[1] - span[0] <= PIECE_BYTES:
            return BytesStream(meta, span[0], body)
        pinned = pin.encode(), reader.encode()
        return RedisStream(self._server, ref, meta, span, pinned, note, found)

    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        key = self._key(ref)
        reply = await self._run(GET_SCRIPT, (key.encode(), b"0", b"", b"", b"", b""), ref)
        if reply is None:
            _missing(ref)
        first, _, rest = reply.partition(b"\n")
        _, size, etag, *_ = first.decode().split(" ")
        return self._meta(key, int(size), rest[:-1], etag, options.tags)

    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        return await self._listing.page(prefix, options)

    # Changing

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        keys = self._keys(refs)
        match, must = match_of(options.if_match), b"1" if options.must_exist else b""
        failures: list[DeleteFailure] = []
        for at in range(0, len(keys), PAGE_ITEMS):
            batch = refs[at : at + PAGE_ITEMS]
            names = keys[at : at + PAGE_ITEMS]
            args: tuple[bytes, ...] = (_encode(names), match, must)
            if len(names) >= _MANY:
                args = (*args, min(names).encode(), max(names).encode())
            about = batch[0] if len(batch) == 1 else self._root
            try:
                reply = await self._run(DELETE, args, about, bool(match))
            except HoldallError as error:
                failures += [DeleteFailure(ref, error) for ref in batch]
                continue
            for line in reply.decode().splitlines():
                number, _, why = line.partition(" ")
                ref = batch[int(number)]
                try:
                    if why.startswith("?"):
                        raise refusal_of(why[1:], ref)
                    if why == "-":
                        _missing(ref)
                    check_conditions(why[1:], options.if_match, None, ref)
                except HoldallError as error:
                    failures.append(DeleteFailure(ref, error))
        return failures

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        old, new = self._key(source), self._key(target)
        match, none = match_of(options.if_match), none_match_of(options.if_none_match)
        move = b"1" if options.move else b""
        etag = os.urandom(16).hex().encode()
        args = (old.encode(), new.encode(), etag, self._ttl, move, match, none)
        reply = await self._run(COPY, args, target, bool(move or match or none))
        if reply is None:
            _missing(source)
        if reply == b"!exists":
            check_conditions("", None, options.if_none_match, target)
        if reply.startswith(b"!"):
            check_conditions(reply[1:].decode(), options.if_match, None, source)
        return self._meta(new, int(reply[91:].partition(b" ")[0]), reply, None, False)

    async def remove_folder(self, prefix: Reference) -> None:
        prefix.relative_to(self._root)

    async def sign(self, ref: Reference, options: SignOptions) -> NoReturn:
        raise Unsupported(f"{ref} is in a Redis server: no URL leads there", reference=ref)

    async def reindex(self) -> Reindexed:
        """Bring the order of listings up to date with what is in the server.

        Takes in the keys that other programs wrote, a thousand in one request, and drops those
        that are gone. Others may go on writing meanwhile.
        """
        return await self._listing.reindex()

    def close(self) -> Coroutine[Any, Any, None]:
        return self._server.close()

    def _key(self, ref: Reference) -> str:
        key = ref.key
        if (
            (ref.scheme, ref.container) != self._place
            or not key.startswith(self._prefix)
            or not key
        ):
            ref.relative_to(self._root)
            raise InvalidKey(f"{ref} is the store itself and no object", reference=ref)
        if key.startswith(_RESERVED) and key.split("/", 2)[1] in OWN_NAMES:
            raise InvalidKey(f"{ref} is what the store itself keeps there", reference=ref)
        return key

    def _keys(self, refs: Sequence[Reference]) -> Sequence[str]:
        """The keys of many references, as `_key` gives that of each."""
        (scheme, container), prefix = self._place, self._prefix
        keys = [ref.key for ref in refs if ref.container == container and ref.scheme == scheme]
        if (
            len(keys) == len(refs)
            and all(keys)
            and (not prefix or all(key.startswith(prefix) for key in keys))
            and _RESERVED not in "\n".join(keys)
        ):
            return keys
        return [self._key(ref) for ref in refs]

    def _meta(self, key: str, size: int, note: bytes, etag: str | None, tags: bool) -> ObjectMeta:
        return meta_of(self._root, key[len(self._prefix) :], size, note, etag, tags)


def _missing(ref: Reference) -> NoReturn:
    raise NotFound(f"{ref}: there is no object", reference=ref)
