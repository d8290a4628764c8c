"""A store that can be exchanged for another one while it is in use."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar, final

from holdall.core.errors import HoldallError, InvalidConfig
from holdall.core.runtime.blocking import Done, drive
from holdall.objects.contract import Data, ObjectStore, Upload
from holdall.objects.layers.call import Call
from holdall.objects.layers.layer import way_into
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import NoReturn

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
    from holdall.objects.results import (
        Capabilities,
        DeleteFailure,
        ObjectMeta,
        Page,
        SignedUrl,
        UploadPage,
    )

T = TypeVar("T")
F = TypeVar("F")

_log = logging.getLogger("holdall.objects")


class _Turn:
    """One of the stores, and who uses it: calls, open bodies and uploads.

    Attributes:
        store: The store.
        way: Sends calls to it.
        alone: Whether no other store of the switch is open.
        users: One entry each. It is appended to and popped from without a lock, from every thread,
            and also where the garbage collector runs.
    """

    __slots__ = ("alone", "store", "users", "way")

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.way = way_into(store)
        self.alone = True
        self.users: deque[None] = deque()


@final
class Switch(ObjectStore):
    """Stands before a store, which `change` exchanges whole.

    What is under way ends on the store that it began on, and that one is closed afterwards. A
    reference that was made under the root of the old store, and lies outside of the new one's,
    still goes to the old store while that is open.

    Args:
        store: The first store; closed with this one.
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store.root, store.settings, store.runtime)
        self._blocking = store.runtime.blocking
        self._guard = threading.Lock()
        self._now = _Turn(store)
        self._old: list[_Turn] = []

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> NoReturn:
        raise InvalidConfig("a switch stands before a store that is open")

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {}

    @property
    def store(self) -> ObjectStore:
        """The store of now."""
        return self._now.store

    @property
    def type(self) -> str:
        return self._now.store.type

    @property
    def capabilities(self) -> Capabilities:
        return self._now.store.capabilities

    def _configuration(self) -> dict[str, Any]:
        return self._now.store._configuration()

    def _behind(self) -> tuple[ObjectStore]:
        return (self._now.store,)

    async def change(self, store: ObjectStore) -> None:
        """Send what is asked from now on to another store; its runtime is the same."""
        with self._guard:
            old, new = self._now, _Turn(store)
            new.alone = old.alone = False
            self._old.append(old)
            self._now = new
            self._root, self._settings = store.root, store.settings
        await self._close_unused()

    # Turns

    def _take(self, ref: Reference | None) -> _Turn:
        turn = self._now
        turn.users.append(None)
        # Looked at once it is counted: an old one is closed by who finds that nobody uses it.
        if not turn.alone:
            turn.users.pop()
            with self._guard:
                turn = self._now
                if ref is not None and not turn.store.root.holds(ref):
                    turn = next((old for old in self._old if old.store.root.holds(ref)), turn)
                turn.users.append(None)
        return turn

    async def _close_unused(self) -> None:
        if self._old:
            with self._guard:
                unused = [turn for turn in self._old if not turn.users]
                self._old = [turn for turn in self._old if turn not in unused]
                self._now.alone = not self._old
            for turn in unused:
                try:
                    await turn.store.close()
                except Exception as error:  # noqa: BLE001  # who happens to call is not to blame
                    _log.warning(
                        "%s, which was exchanged, cannot be closed: %s", turn.store.root, error
                    )

    async def _during(
        self, ref: Reference | None, function: Callable[[ObjectStore], Coroutine[Any, Any, T]]
    ) -> T:
        turn = self._take(ref)
        try:
            return await function(turn.store)
        finally:
            await self._end(turn)

    async def _end(self, turn: _Turn) -> None:
        turn.users.pop()
        await self._close_unused()

    # The contract

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        return await self._during(ref, lambda store: store.put(ref, data, options))

    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        turn = self._take(ref)
        try:
            upload = await turn.store.upload(ref, options, resume)
        except BaseException:
            await self._end(turn)
            raise
        return _SwitchUpload(_Use(self, turn), upload)

    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        return await self._during(prefix, lambda store: store.uploads(prefix, token))

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        if not self._blocking:
            return self._get(ref, options)
        # The most frequent case, without a coroutine.
        turn = self._now
        turn.users.append(None)
        if not turn.alone:
            turn.users.pop()
            return self._get(ref, options)
        try:
            stream = turn.way(Call("get", (ref,), True, (ref, options)))
        except BaseException:
            drive(self._end(turn))
            raise
        if stream.whole is None:
            return Done(_SwitchStream(_Use(self, turn), stream))  # type: ignore[return-value]
        turn.users.pop()
        if self._old:
            drive(self._close_unused())
        return Done(stream)  # type: ignore[return-value]

    async def _get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        turn = self._take(ref)
        try:
            stream = await turn.store.get(ref, options)
        except BaseException:
            await self._end(turn)
            raise
        if stream.whole is None:
            return _SwitchStream(_Use(self, turn), stream)
        await self._end(turn)
        return stream

    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        return await self._during(ref, lambda store: store.head(ref, options))

    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        return await self._during(prefix, lambda store: store.list(prefix, options))

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        first = refs[0] if refs else None
        return await self._during(first, lambda store: store.delete(refs, options))

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        return await self._during(source, lambda store: store.copy(source, target, options))

    async def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        return await self._during(ref, lambda store: store.sign(ref, options))

    async def remove_folder(self, prefix: Reference) -> None:
        await self._during(prefix, lambda store: store.remove_folder(prefix))

    async def close(self) -> None:
        failed: HoldallError | None = None
        for turn in (*self._old, self._now):
            try:
                await turn.store.close()
            except HoldallError as error:
                failed = failed or error
        if failed is not None:
            raise failed


def switched(face: Callable[[ObjectStore], F], store: ObjectStore) -> F:
    """Put a face before a switch, as `from_config` does; what unpickling calls."""
    return face(Switch(store))


class _Use:
    """Keeps a store open until it is ended, or dropped."""

    __slots__ = ("_switch", "_turn")

    def __init__(self, switch: Switch, turn: _Turn) -> None:
        self._switch = switch
        self._turn: _Turn | None = turn

    async def end(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            await self._switch._end(turn)

    def __del__(self) -> None:
        if self._turn is not None:
            self._turn.users.pop()


class _SwitchStream(ObjectStream):
    """An open body, which keeps its store open."""

    __slots__ = ("_inner", "_use")

    def __init__(self, use: _Use, inner: ObjectStream) -> None:
        super().__init__(inner.meta, inner.start, inner.length)
        self._inner = inner
        self._use = use

    async def read(self, size: int) -> bytes:
        return await self._inner.read(size)

    async def read_all(self) -> bytes:
        try:
            return await self._inner.read_all()
        finally:
            await self._use.end()

    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            await self._use.end()


class _SwitchUpload(Upload):
    """An upload, which keeps its store open."""

    def __init__(self, use: _Use, inner: Upload) -> None:
        self._use = use
        self._inner = inner
        self.ref, self.id, self.offset = inner.ref, inner.id, inner.offset

    async def write(self, data: Data) -> None:
        try:
            await self._inner.write(data)
        finally:
            self.offset = self._inner.offset

    async def digest(self) -> str:
        return await self._inner.digest()

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        try:
            return await self._inner.commit(size, sha256)
        finally:
            self.kept = self._inner.kept

    async def abort(self) -> None:
        try:
            await self._inner.abort()
        finally:
            await self._use.end()

    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            await self._use.end()
