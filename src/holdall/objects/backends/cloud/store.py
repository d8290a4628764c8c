"""The store before all three clouds. What differs between them is their `Service`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from holdall.core.errors import HoldallError, InvalidKey, NotFound
from holdall.core.reference import (
    MAX_KEY_BYTES,
    RESERVED_SEGMENT,
    Reference,
    are_keys,
    check_key,
    check_length,
    is_key,
)
from holdall.objects.backends.cloud.container import Container
from holdall.objects.backends.cloud.copying import copy
from holdall.objects.backends.cloud.reading import Reader
from holdall.objects.backends.cloud.requests import check_expiry, check_method
from holdall.objects.backends.cloud.uploads import Staging
from holdall.objects.backends.cloud.writing import Writer
from holdall.objects.contract import ObjectStore
from holdall.objects.options import GET, WRITE
from holdall.objects.results import DeleteFailure, ObjectMeta, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdall.core.runtime import Runtime
    from holdall.objects.backends.cloud.driving import Provider
    from holdall.objects.backends.cloud.service import Service
    from holdall.objects.backends.cloud.settings import CloudSettings
    from holdall.objects.contract import Data, Upload
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
        WriteOptions,
    )
    from holdall.objects.results import Capabilities, ObjectStream, SignedUrl, UploadPage

OWN_NAMES = ("uploads", "probes")
"""What is ours in `.holdall`; other names are for who uses the store."""


class CloudStore(ObjectStore):
    """Objects of one container, under a prefix.

    Args:
        root: The address it was opened at.
        settings: What it was opened with.
        container: How it reaches its service.
    """

    def __init__(self, root: Reference, settings: CloudSettings, container: Container) -> None:
        super().__init__(root, settings, container.runtime)
        self.service = container.service
        self._container = container
        self._prefix = container.prefix
        self._check = _checker(root, self._prefix)
        part_bytes = max(settings.part_size, container.service.least_part)
        self._reader = Reader(container)
        self._writer = Writer(container)
        self._get, self._put = self._reader.get, self._writer.put
        self._get_all, self._get_all_async = self._reader.get_all, self._reader.get_all_async
        self._plain, self._call_two = not self.service.puts_alone, container.runtime.call_two
        self._put_plain = self._writer.put_plain
        self._put_plain_async = self._writer.put_plain_async
        self._staging = Staging(container, self._reader, self._writer, part_bytes)
        self._single_bytes = settings.single_size

    @classmethod
    def opened(
        cls,
        root: Reference,
        settings: CloudSettings,
        runtime: Runtime,
        service: Service,
        provider: Provider[Any] | None,
    ) -> Self:
        """A store, once its service is known to answer.

        Args:
            root: The address it was opened at.
            settings: What it was opened with.
            runtime: How it waits.
            service: Its service and container.
            provider: What obstore asks for credentials; None for public objects.
        """
        container = Container(root, runtime, service, provider, settings.workers)
        store = cls(root, settings, container)
        if settings.check and runtime.blocking:
            container.look()
        return store

    @property
    def prefix(self) -> str:
        """What the keys of the store begin with in the container; empty, or with `/` at its end."""
        return self._prefix

    @property
    def capabilities(self) -> Capabilities:
        return self.service.capabilities

    # Writing

    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        self._check(ref)
        if len(data) > self._single_bytes:
            return self._staging.put(ref, data, options)
        if options is WRITE and self._plain:
            # The most frequent case goes the shortest way.
            return self._call_two(self._put_plain, self._put_plain_async, ref, data)
        return self._put(ref, data, options)

    def _prepare(self, options: Sequence[WriteOptions]) -> None:
        self._writer.prepare(options)

    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        self._check(ref)
        return await self._staging.open(ref, options, resume)

    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        self._inside(prefix)
        return await self._staging.page(prefix)

    # Reading

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        self._check(ref)
        if options is GET:
            # As in `put`.
            return self._call_two(self._get_all, self._get_all_async, ref, options)
        return self._get(ref, options)

    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        self._check(ref)
        try:
            if options.tags:
                return await self._reader.head_tagged(ref)
            known = await self._container.run(self.service.head, ref)
        except NotFound:
            await self._container.look_once()
            raise
        return self._container.described(known)

    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        start = self._inside(prefix)
        skip, below = len(self._prefix), len(start)
        rest = options.behind(start[skip:])
        if rest is None:
            return Page(())
        after = start + rest if rest else ""
        listing = await self._container.run(
            self.service.page,
            prefix,
            start,
            options.delimiter,
            options.max_items,
            options.token,
            after,
            options.known,
        )
        if listing.same:
            return Page((), (), listing.token, 0, listing.digest, True)
        found, named, digest = listing.found, listing.folders, listing.digest
        # A service may begin with it, or know no such thing.
        if after and found and found[0].key <= after:
            found, digest = [known for known in found if known.key > after], b""
        if after and named and named[0] <= after:
            named, digest = [folder for folder in named if folder > after], b""
        # Behind the prefix all must be a key: only a prefix in `.holdall` shows what is in there.
        foreign = 0
        if found and not are_keys([known.key[below:] for known in found]):
            odd = [known.key[below:] for known in found if not is_key(known.key[below:])]
            foreign = sum(not _reserved(name) for name in odd)
            found = [known for known in found if is_key(known.key[below:])] if odd else found
        root = self._root
        objects = [
            ObjectMeta(
                root,
                known.key[skip:],
                known.size,
                known.modified_ns,
                known.etag,
                storage_class=known.storage_class,
            )
            for known in found
        ]
        folders: list[str] = []
        for folder in named:
            name = folder[below:-1]
            if is_key(name):
                folders.append(folder[skip:-1])
            elif not _reserved(name):
                foreign += 1
        return Page(tuple(objects), tuple(folders), listing.token, foreign, digest)

    def _inside(self, folder: Reference) -> str:
        """What the keys under a folder begin with."""
        folder.relative_to(self._root)
        return f"{folder.key}/" if folder.key else ""

    # Changing

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        failures: list[DeleteFailure] = []
        good: list[Reference] = []
        for ref in refs:
            try:
                self._check(ref)
                good.append(ref)
            except HoldallError as error:
                failures.append(DeleteFailure(ref, error))
        if options.if_match is not None:
            for ref in good:
                try:
                    await self._container.run(self.service.delete_same, ref, options.if_match)
                except HoldallError as error:
                    if options.must_exist or not isinstance(error, NotFound):
                        failures.append(DeleteFailure(ref, error))
            return failures
        size = self.service.delete_batch
        batches = [good[at : at + size] for at in range(0, len(good), size)]

        async def delete(batch: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
            try:
                return await self._container.run(self.service.delete, batch)
            except HoldallError as error:
                return [(ref, error) for ref in batch]

        async for failed in self._runtime.map(delete, batches, self._container.workers):
            failures += [DeleteFailure(ref, error) for ref, error in failed]
        return failures

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        self._check(source)
        self._check(target)
        return await copy(self._container, source, target, options)

    async def remove_folder(self, prefix: Reference) -> None:
        self._inside(prefix)

    async def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        self._check(ref)
        check_method(options, ref)
        check_expiry(options, self.service.longest_url, ref)
        return await self._runtime.call(self.service.sign, None, ref, options)

    async def close(self) -> None:
        self.service.close()


def _checker(root: Reference, prefix: str) -> Callable[[Reference], None]:
    """Raises `InvalidKey` for an address outside, or one that is too long with the prefix.

    A function of its own, whose texts need not be looked for in objects.
    """
    container, scheme, host = root.container, root.scheme, root.host
    own = tuple(f"{prefix}{RESERVED_SEGMENT}/{name}/" for name in OWN_NAMES)
    short = MAX_KEY_BYTES // 4

    def check(ref: Reference) -> None:
        key = ref.key
        # Nearly all were made from the root and share its texts.
        if not (
            ref.container is container
            and ref.scheme is scheme
            and ref.host is host
            and key.startswith(prefix)
            and key
        ):
            inside(ref)
        if len(key) > short:
            check_length(key)
        if key.startswith(own):
            raise InvalidKey(f"{ref} is what the store itself keeps there", reference=ref)

    def inside(ref: Reference) -> None:
        if not ref.key or not ref.key.startswith(prefix) or not root.holds(ref):
            ref.relative_to(root)
            check_key("")

    return check


def _reserved(key: str) -> bool:
    return RESERVED_SEGMENT in key.split("/")
