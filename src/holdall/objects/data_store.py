"""The face for users without an event loop: `AsyncDataStore`, driven."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, final

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.face.changing import Changing
from holdall.objects.face.listing import Listing
from holdall.objects.face.messages import Messages
from holdall.objects.face.reading import Reading
from holdall.objects.face.writing import Writing

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

    from holdall.objects.contract import ObjectStore
    from holdall.objects.layers.metrics import Recorder


@final
class DataStore(Reading, Messages, Writing, Listing, Changing):
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

    def close(self) -> None:
        """Let go of files and connections; may be called again."""
        drive(self._face.close())

    def __enter__(self) -> DataStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DataStore({str(self.root)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        from holdall.objects.switch import Switch, switched

        face = self._face
        again = partial(DataStore, max_download=face.max_download, expires=face.expires)
        # A switch is pickled as the store of now.
        if isinstance(self._store, Switch):
            return switched, (again, self._store)
        return again, (self._store,)
