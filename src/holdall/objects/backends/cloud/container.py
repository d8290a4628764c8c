"""One container, as the parts of a store reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from holdall.objects.backends.cloud import driving, forks
from holdall.objects.backends.cloud.faults import Asked, raised
from holdall.objects.backends.cloud.words import MD5, SHA256, TYPE, decoded
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVarTuple, Unpack

    from holdall.core.errors import HoldallError
    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.cloud.service import Known, Service

    Ts = TypeVarTuple("Ts")

T = TypeVar("T")

_SECOND = 1_000_000_000


class Container:
    """What it takes to ask a service about the objects under one prefix.

    Args:
        root: The address that the store was opened at.
        runtime: How to wait.
        service: The service and its container.
        provider: What obstore asks for credentials; None for public objects.
        workers: How many requests one call sends at once.

    Attributes:
        prefix: What the keys begin with in the container; empty, or with `/` at its end.
        errors: What obstore raises.
        obstore: The module.
    """

    def __init__(
        self,
        root: Reference,
        runtime: Runtime,
        service: Service,
        provider: driving.Provider[Any] | None,
        workers: int,
    ) -> None:
        self.root = root
        self.runtime = runtime
        self.service = service
        self.workers = workers
        self.prefix = f"{root.key}/" if root.key else ""
        self._provider = provider
        self._found = False
        self.obstore = driving.load("cloud")
        self.errors: tuple[type[Exception], ...] = (
            self.obstore.exceptions.BaseError,
            OSError,
        )

    async def run(self, function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Call something of the service."""
        forks.check()
        return await self.runtime.call(function, None, *args)

    def fault(self, error: Exception, asked: Asked) -> HoldallError:
        """Our error for one of obstore's."""
        missing = None if self._provider is None else self._provider.taken()
        return missing or raised(error, asked, self.service.endpoint)

    def relative(self, key: str) -> str:
        """A key of the container as the user sees it."""
        return key[len(self.prefix) :]

    def look(self) -> None:
        """Raise unless the service answers and the container is there; one cheap request.

        A missing container, a wrong key and a wrong address are each an error of their own.
        """
        forks.check()
        self.service.page(self.root, self.prefix, True, 1, None)
        self._found = True

    async def look_once(self) -> None:
        """The same, unless it was found before.

        Some services say the same of a missing container and of an object missing in it.
        """
        if not self._found:
            await self.runtime.call(self.look, None)

    def get(self, key: str, wanted: Any) -> Any:
        """Obstore's answer to a get."""
        return self.obstore.get(self.service.driver, key, options=wanted)

    async def get_async(self, key: str, wanted: Any) -> Any:
        """The same on a loop."""
        return await self.obstore.get_async(self.service.driver, key, options=wanted)

    def answered(self, answer: Any) -> ObjectMeta:
        """What is known of an object, from obstore's answer to a get."""
        found = answer.meta
        content_type: str | None = None
        sent: dict[str, str] = {}
        for name, value in answer.attributes.items():
            if name == "Content-Type":
                content_type = value
            elif name[0].islower():
                sent[name] = value
        service = self.service
        return self._made(
            self.relative(found["path"]),
            found["size"],
            int(found["last_modified"].timestamp()) * _SECOND,
            (found[service.etag_name] or "").strip('"'),
            content_type,
            service.metadata(sent) if sent else sent,
            None,
            None,
            None,
        )

    def described(self, known: Known, tags: dict[str, str] | None = None) -> ObjectMeta:
        """What is known of an object, from the service's own answer."""
        return self._made(
            self.relative(known.key),
            known.size,
            known.modified_ns,
            known.etag,
            known.content_type,
            self.service.metadata(dict(known.metadata)),
            known.content_md5,
            known.storage_class,
            tags,
        )

    def _made(
        self,
        key: str,
        size: int,
        modified_ns: int,
        etag: str,
        content_type: str | None,
        metadata: dict[str, str],
        content_md5: str | None,
        storage_class: str | None,
        tags: dict[str, str] | None,
    ) -> ObjectMeta:
        md5, sha256 = metadata.pop(MD5, None), metadata.pop(SHA256, None)
        meant = metadata.pop(TYPE, None)
        if content_type == self.service.default_type:
            content_type = meant  # another program may have given it another one meanwhile
        return ObjectMeta(
            self.root,
            key,
            size,
            modified_ns,
            etag or None,
            content_type,
            {name: decoded(value) for name, value in metadata.items()} if metadata else metadata,
            tags,
            md5 or content_md5,
            sha256,
            storage_class,
        )
