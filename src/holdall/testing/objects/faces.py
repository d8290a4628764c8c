"""Facts about object stores, through both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.data_store import DataStore
from holdall.testing.facts import BothFaces
from holdall.testing.objects.blocking import AwaitedStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore

MakeStore: TypeAlias = "Callable[[Runtime], ObjectStore]"


class Facts(BothFaces[AsyncDataStore]):
    """Facts about a store: each `async def test_…(self, store)` becomes a test for each face.

    `store` is an `AsyncDataStore`, or a `DataStore` that is spoken to in the same words.
    """

    def face(self, store: ObjectStore) -> AsyncDataStore:
        """The face of a store."""
        if store.runtime.blocking:
            return cast("AsyncDataStore", AwaitedStore(DataStore(store)))
        return AsyncDataStore(store)
