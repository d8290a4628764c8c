"""The blocking face in the words of the asynchronous one, so that one fact can speak to both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.testing.awaited import Awaited

if TYPE_CHECKING:
    import io

    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta


class _Piece(Awaited):
    """A reader, writer or upload."""

    plain = frozenset({"tell"})


class AwaitedStore(Awaited):
    """A `DataStore`, spoken to as if it were an `AsyncDataStore`."""

    plain = frozenset({"config_json", "construct_reference", "full_path", "reference", "tell"})
    iterators = frozenset({"list", "pages", "stream", "uploads", "walk"})

    def __init__(self, store: DataStore) -> None:
        super().__init__(store)

    def __reduce__(self) -> tuple[Any, ...]:
        return AwaitedStore, (self._inner,)

    async def open_writer(self, *arguments: Any, **keywords: Any) -> Awaited:
        """As `AsyncDataStore.open_writer`."""
        return _Piece(self._inner.open_writer(*arguments, **keywords))

    async def upload(self, *arguments: Any, **keywords: Any) -> Awaited:
        """As `AsyncDataStore.upload`."""
        return _Piece(self._inner.upload(*arguments, **keywords))

    async def open_reader(self, *arguments: Any, **keywords: Any) -> _Reader:
        """As `AsyncDataStore.open_reader`."""
        return _Reader(self._inner.open_reader(*arguments, **keywords))


class _Reader(_Piece):
    _inner: io.BufferedReader

    @property
    def meta(self) -> ObjectMeta:
        return self._inner.raw.meta  # type: ignore[attr-defined, no-any-return]

    async def read_all(self) -> bytes:
        with self._inner:
            return self._inner.read()
