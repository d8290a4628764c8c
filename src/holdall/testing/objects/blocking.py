"""The blocking face in the words of the asynchronous one, so that one fact can speak to both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType

    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta

# What waits on neither face; everything else that can be called is awaited.
_PLAIN = {"config_json", "construct_reference", "full_path", "reference", "tell"}
_ITERATORS = {"list", "pages", "stream", "uploads", "walk"}


class _Awaited:
    """An object whose methods block, behind methods that are awaited and never suspend."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value) or name in _PLAIN:
            return value
        return _iterating(value) if name in _ITERATORS else _awaited(value)

    async def __aenter__(self) -> Any:
        self._inner.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inner.__exit__(kind, error, traceback)


class AwaitedStore(_Awaited):
    """A `DataStore`, spoken to as if it were an `AsyncDataStore`."""

    def __init__(self, store: DataStore) -> None:
        super().__init__(store)

    def __reduce__(self) -> tuple[Any, ...]:
        return AwaitedStore, (self._inner,)

    async def open_writer(self, *arguments: Any, **keywords: Any) -> _Awaited:
        """As `AsyncDataStore.open_writer`."""
        return _Awaited(self._inner.open_writer(*arguments, **keywords))

    async def upload(self, *arguments: Any, **keywords: Any) -> _Awaited:
        """As `AsyncDataStore.upload`."""
        return _Awaited(self._inner.upload(*arguments, **keywords))

    async def open_reader(self, *arguments: Any, **keywords: Any) -> _Reader:
        """As `AsyncDataStore.open_reader`."""
        return _Reader(self._inner.open_reader(*arguments, **keywords))


class _Reader(_Awaited):
    _inner: io.BufferedReader

    @property
    def meta(self) -> ObjectMeta:
        return self._inner.raw.meta  # type: ignore[attr-defined, no-any-return]

    async def read_all(self) -> bytes:
        with self._inner:
            return self._inner.read()


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return call


def _iterating(function: Callable[..., Iterable[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def iterate(*arguments: Any, **keywords: Any) -> AsyncIterator[Any]:
        for item in function(*arguments, **keywords):
            yield item

    return iterate
