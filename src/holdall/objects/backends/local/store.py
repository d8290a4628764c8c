"""The store of `file://`: confined, atomic, durable. `files` says how."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, final

from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidConfig, Unsupported
from holdall.core.reference import Reference
from holdall.objects.backends.local.confinement import best_opener
from holdall.objects.backends.local.copying import Copier
from holdall.objects.backends.local.faults import not_found
from holdall.objects.backends.local.files import Files
from holdall.objects.backends.local.tree import Tree
from holdall.objects.backends.local.uploads import Staging
from holdall.objects.contract import Data, ObjectStore, Upload
from holdall.objects.options import WRITE
from holdall.objects.results import (
    Capabilities,
    DeleteFailure,
    ObjectMeta,
    ObjectStream,
    Page,
    UploadPage,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

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


class LocalSettings(Struct, frozen=True, kw_only=True):
    """Settings of `file://`.

    Args:
        path: The folder, absolute; made, with mode 0700, when something is first written.
        durable: Whether an answered write outlives a power cut.
        attributes: `auto` keeps metadata in extended attributes where the file system has them;
            `beside` keeps them in files under `.holdall` always.
        lock_timeout: How long to wait for another process that changes the same key.
    """

    path: str
    durable: bool = True
    attributes: Literal["auto", "beside"] = "auto"
    lock_timeout: timedelta = timedelta(seconds=30)


@final
class LocalStore(ObjectStore):
    """Objects as files below one folder of this machine."""

    settings_type = LocalSettings

    def __init__(self, settings: LocalSettings, runtime: Runtime) -> None:
        if not settings.path.startswith("/"):
            raise InvalidConfig(
                f"the setting 'path' is {settings.path!r}, and must be absolute: begin it with '/'"
            )
        if settings.lock_timeout.total_seconds() < 0:
            raise InvalidConfig(f"the setting 'lock_timeout' is {settings.lock_timeout}: below 0")
        root = Reference.parse(settings.path, folder=True)
        super().__init__(root, settings, runtime)
        self._capabilities = Capabilities(
            key_and_folder=False, resume="staged", local=True, durable=settings.durable
        )
        self._files = Files(
            Tree(root.path or "/", durable=settings.durable, opener=best_opener),
            root,
            runtime,
            self._capabilities,
            beside=settings.attributes == "beside",
            patience=settings.lock_timeout.total_seconds(),
        )
        self._staging = Staging(self._files)
        self._call, self._call_two = runtime.call, runtime.call_two
        self._put, self._get, self._look = self._files.put, self._files.get, self._files.look

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> LocalStore:
        assert isinstance(settings, LocalSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {"path": f"/{reference.key}"}

    @property
    def type(self) -> str:
        return "file"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    # What only calls a blocking function hands on the runtime's coroutine: one more around it
    # would be felt in a read of 8 microseconds.

    # Writing

    def put(
        self, ref: Reference, data: Data, options: WriteOptions
    ) -> Coroutine[Any, Any, ObjectMeta]:
        if options is WRITE:
            return self._call_two(self._put, None, ref, data)
        return self._call(self._put, None, ref, data, options)

    def upload(
        self, ref: Reference, options: WriteOptions, resume: str | None
    ) -> Coroutine[Any, Any, Upload]:
        return self._call(self._staging.open, None, ref, options, resume)

    def uploads(self, prefix: Reference, token: str | None) -> Coroutine[Any, Any, UploadPage]:
        return self._call(self._staging.page, None, prefix, token)

    # Reading

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        return self._call(self._get, None, ref, options)

    def head(self, ref: Reference, options: HeadOptions) -> Coroutine[Any, Any, ObjectMeta]:
        return self._call(self._look, None, ref, options)

    def list(self, prefix: Reference, options: ListOptions) -> Coroutine[Any, Any, Page]:
        return self._call(self._files.list_page, None, prefix, options)

    # Changing

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        files = self._files
        failures: list[DeleteFailure] = []
        folders: dict[str, None] = {}
        for ref in refs:
            try:
                key = files.key_of(ref)
                if await self._call(files.delete, None, ref, key, options):
                    folders[key.rpartition("/")[0]] = None
                elif options.must_exist:
                    failures.append(DeleteFailure(ref, not_found(ref)))
            except HoldallError as error:
                failures.append(DeleteFailure(ref, error))
        for folder in folders:
            await self._call(files.settle, None, folder)
        return failures

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        return await Copier(self._files).run(source, target, options)

    def remove_folder(self, prefix: Reference) -> Coroutine[Any, Any, None]:
        return self._call(self._files.remove_folder, None, prefix)

    async def sign(self, ref: Reference, options: SignOptions) -> NoReturn:
        raise Unsupported(f"{ref} is a file of this machine: no URL leads there", reference=ref)

    async def close(self) -> None:
        self._files.close()
