"""What blocks, in the words of what is awaited, so that one fact can speak to both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType


class Awaited:
    """An object whose methods block, behind methods that are awaited and never suspend."""

    plain: ClassVar[frozenset[str]] = frozenset()
    """What waits on neither face; everything else that can be called is awaited."""
    iterators: ClassVar[frozenset[str]] = frozenset()
    """What is gone through by `async for`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value) or name in self.plain:
            return value
        return _iterating(value) if name in self.iterators else _awaited(value)

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


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return call


def _iterating(function: Callable[..., Iterable[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def iterate(*arguments: Any, **keywords: Any) -> AsyncIterator[Any]:
        for item in function(*arguments, **keywords):
            yield item

    return iterate
