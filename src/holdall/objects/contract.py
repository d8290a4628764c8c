"""The contract for those who write object stores: short, and every method is written by each.

What is only convenient lives in the face, built on this alone. `docs/your-own-store.md` walks
through a store, and `holdall.testing.ObjectStoreSuite` says whether it keeps the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, final

import msgspec

from holdall.core.config import literal
from holdall.core.secrets import Secret

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

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
    from holdall.objects.results import (
        Capabilities,
        DeleteFailure,
        ObjectMeta,
        ObjectStream,
        Page,
        SignedUrl,
        UploadPage,
    )

Data: TypeAlias = bytes | bytearray | memoryview


class Upload(ABC):
    """One object on its way in, piece by piece; nobody sees it before `commit`.

    Attributes:
        ref: What it will become.
        id: Finds it again, also from another process where `capabilities.resume` is not `none`.
        offset: How many bytes the store has; where to go on.
        kept: How many of the bytes written here a former run had sent, so that they were
            compared and not sent again.
    """

    ref: Reference
    id: str
    offset: int
    kept: int = 0

    @abstractmethod
    async def write(self, data: Data) -> None:
        """Append bytes. When it raises, `offset` says how many of them arrived.

        They may still be on their way when it returns; what happens to them on it comes out of
        the next `write` or of `commit`.
        """

    @abstractmethod
    async def digest(self) -> str:
        """The SHA-256, hexadecimal, of the first `offset` bytes.

        Who goes on with an upload compares it with what was meant, before writing more: somebody
        else may have begun it.

        Raises:
            Unsupported: The upload was begun with `digest=False`, and the store does not know it.
        """

    @abstractmethod
    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        """Make it the object, whole or not at all.

        Args:
            size: How many bytes it must have; None leaves that unchecked.
            sha256: Hexadecimal digest that all of its bytes must have; kept with the object.

        Raises:
            Corrupt: Size or digest are not these. The bytes stay staged and nothing is visible.
            PreconditionFailed: The condition of its options does not hold. Its bytes stay too.
            Unsupported: A digest is named, the upload was begun with `digest=False`, and the
                store does not know it. Its bytes stay too.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Forget it and its bytes. Does nothing after `commit`, `abort` or `close`."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of it. What was neither committed nor aborted stays for a later resume.

        Afterwards `write` and `commit` raise `NotFound`, as they do after its end.
        """


class ObjectStore(ABC):
    """Keeps objects under keys. One instance is safe to use from many threads or tasks.

    References given to it are checked already, and must lie under `root`, else `InvalidKey`.

    What lies under a `Reference.reserved` is kept beside the objects: an object for every method,
    but a listing shows it only when its prefix lies in that `.holdall` too. With any other prefix
    a `.holdall`, in whichever folder, is neither listed nor named nor counted as foreign; a
    service that names folders by itself may name one that has nothing else in it. What the
    store itself keeps in the `.holdall` of its root it keeps under names that it refuses to
    others with `InvalidKey`.

    Args:
        root: The address it was opened at; keys in answers are relative to it.
        settings: What it was opened with.
        runtime: How it waits.
    """

    settings_type: ClassVar[type[msgspec.Struct]]
    """The settings, one field each: what a configuration or a URL's query may name."""

    def __init__(self, root: Reference, settings: msgspec.Struct, runtime: Runtime) -> None:
        self._root = root
        self._settings = settings
        self._runtime = runtime

    @classmethod
    @abstractmethod
    def open(cls, settings: msgspec.Struct, runtime: Runtime) -> ObjectStore:
        """Open a store; `settings` are of `settings_type`.

        Raises:
            InvalidConfig: A setting cannot be.
        """

    @classmethod
    @abstractmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        """The settings that an address stands for, by name."""

    @property
    @abstractmethod
    def type(self) -> str:
        """The name of the backend, which a configuration's `type` names."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abstractmethod
    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        """Write one object, whole or not at all.

        Readers see the old bytes or the new ones, never a part. Without a condition the last
        writer wins. A lost reply leaves the outcome of a conditional put unknown, so it is
        never repeated for you: read the object and decide.

        Raises:
            PreconditionFailed: `if_match` does not hold.
            AlreadyExists: `if_none_match="*"` does not hold.
            KeyConflict: Where keys are files: this key, or a part of it, is the other kind.
            Corrupt: The data do not have the digest that the options name.
        """

    @abstractmethod
    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        """Begin to write an object piece by piece, or go on.

        Two uploads of one key have two ids and never mix.

        Args:
            ref: What it will become.
            options: As for `put`; conditions are checked by the commit.
            resume: The id of an upload to go on with, under its own first options; None for a
                new one.

        Raises:
            NotFound: There is no upload of this id for this key.
            Unavailable: Another process is writing to this upload now.
            ResumeNotSupported: The store keeps no bytes of interrupted uploads.
        """

    @abstractmethod
    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        """List the uploads under a prefix that were neither committed nor aborted.

        There are none where `capabilities.resume` is `none`.
        """

    @abstractmethod
    async def get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        """Open the body of an object, or a range of it.

        A body that fits one request may come with the answer.

        Raises:
            NotFound: There is no object.
            InvalidRange: The range does not lie within the object.
            PreconditionFailed: `if_match` does not hold.
            LimitExceeded: It is longer than `max_size`.
        """

    @abstractmethod
    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        """Answer what is known of an object.

        Raises:
            NotFound: There is no object.
        """

    @abstractmethod
    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        """Answer one page of the objects under a prefix.

        `foo` holds `foo/1` and never `foo-bar/1`, nor the object `foo`. Where nothing is under
        the prefix the page is empty. What is written or deleted meanwhile may show or not;
        everything else shows exactly once.
        """

    @abstractmethod
    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        """Delete objects; what is not there counts as deleted, unless `must_exist` says otherwise.

        Answers the failures, none when all went well. A condition is checked for each.
        """

    @abstractmethod
    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        """Copy or move an object with all that is kept with it, the target whole or not at all.

        Raises:
            NotFound: There is no source.
            PreconditionFailed: `if_match` does not hold for the source.
            AlreadyExists: `if_none_match="*"` does not hold for the target.
        """

    @abstractmethod
    async def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        """Answer a URL that lets its holder do one thing for a while, and what it must send.

        Raises:
            Unsupported: `capabilities.sign` is false.
        """

    @abstractmethod
    async def remove_folder(self, prefix: Reference) -> None:
        """Remove an empty folder; nothing to do where folders do not exist.

        Raises:
            KeyConflict: It is not empty.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections; may be called again."""

    @final
    def prepare(self, options: Sequence[WriteOptions]) -> None:
        """Look at what is to be written with many objects before their turn comes.

        How options are checked and told to a service is work that the processor forgets from one
        request to the next, and does in a tenth of the time for many at once. A later `put` that
        is given one of these very objects has it behind it; nothing else changes, and what is
        wrong with one is said by its `put`.

        Args:
            options: Of the writes that are about to come.
        """
        for store in self.stores():
            store._prepare(options)

    def _prepare(self, options: Sequence[WriteOptions]) -> None:  # noqa: B027 - most gain nothing
        """What `prepare` does in this store. A store that gains by it replaces it."""

    @final
    @property
    def root(self) -> Reference:
        """The address it was opened at."""
        return self._root

    @final
    @property
    def settings(self) -> msgspec.Struct:
        """What it was opened with."""
        return self._settings

    @final
    @property
    def runtime(self) -> Runtime:
        """How it waits."""
        return self._runtime

    @final
    def config_json(self) -> str:
        """The configuration as JSON text, without secrets; `from_config_json` reads it.

        A secret that was given as a place, `{"env": NAME}` or `{"file": PATH}`, stands there as
        that place. One that was given as text is left out: whoever opens the store again finds
        credentials as one does who gives none.
        """
        return msgspec.json.encode(literal(self._configuration())).decode()

    def _configuration(self) -> dict[str, Any]:
        """What `config_json` writes down. A store around others replaces it, to name those."""
        return {"type": self.type, **plain_settings(self._settings)}

    def _behind(self) -> Sequence[ObjectStore]:
        """The stores that it stands before. A store around others replaces it, to name those."""
        return ()

    @final
    def stores(self) -> Iterator[ObjectStore]:
        """Go through this store and those inside of it, from the outside."""
        yield self
        for inner in self._behind():
            yield from inner.stores()

    @final
    @staticmethod
    def from_config_json(text: str, runtime: Runtime) -> ObjectStore:
        """Open the store that a `config_json` describes, of whichever type."""
        from holdall.objects.registry import open_store

        return open_store(msgspec.json.decode(text), runtime)

    @final
    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.config_json(), type(self._runtime))

    @final
    async def __aenter__(self) -> Self:
        return self

    @final
    async def __aexit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _reopen(text: str, runtime_type: type[Runtime]) -> ObjectStore:
    return ObjectStore.from_config_json(text, runtime_type())


def plain_settings(settings: msgspec.Struct) -> dict[str, Any]:
    """Settings as a configuration holds them: secrets as places, or not at all."""
    shown = {
        name: value.place if isinstance(value, Secret) else value
        for name, value in msgspec.structs.asdict(settings).items()
        if not isinstance(value, Secret) or value.place is not None
    }
    plain: dict[str, Any] = msgspec.to_builtins(shown)
    return plain
