"""The face for users with an event loop; `DataStore` is the same without one."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import Unsupported
from holdall.objects.contract import ObjectStore
from holdall.objects.face.addresses import reference_of
from holdall.objects.face.changing import AsyncChanging
from holdall.objects.face.listing import AsyncListing
from holdall.objects.face.messages import AsyncMessages
from holdall.objects.face.reading import AsyncReading
from holdall.objects.face.writing import AsyncWriting
from holdall.objects.options import GET, GetOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

    from holdall.objects.layers.metrics import Recorder


@final
class AsyncDataStore(AsyncReading, AsyncMessages, AsyncWriting, AsyncListing, AsyncChanging):
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
        rare = partial(reference_of, store.root, routed=store.capabilities.routes)
        self._child = store.root.children(rare)
        self._max_download = max_download
        self._whole = GetOptions(max_size=max_download) if max_download else GET
        self._expires = expires

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
        layers = (one for one in self._store.stores() if isinstance(one, Metrics))
        before = next((one.recorder for one in layers), None)
        made = assemble(config, self._store.runtime, metrics, before)
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

    async def close(self) -> None:
        """Let go of files and connections; may be called again."""
        await self._store.close()

    async def __aenter__(self) -> AsyncDataStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncDataStore({str(self._root)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        from holdall.objects.switch import Switch, switched

        again = partial(AsyncDataStore, max_download=self._max_download, expires=self._expires)
        # A switch is pickled as the store of now.
        if isinstance(self._store, Switch):
            return switched, (again, self._store)
        return again, (self._store,)
