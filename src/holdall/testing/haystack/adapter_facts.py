"""How facts about an adapter, which are coroutines, become tests."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdall.haystack.adapter.face import HaystackAdapter


class AdapterFacts:
    """Facts: each `async def test_…(self, adapter)` becomes a test on a loop of its own."""

    _make: Callable[[], HaystackAdapter]
    _opened: list[HaystackAdapter]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in dir(cls):
            fact = getattr(cls, name)
            if name.startswith("test_") and inspect.iscoroutinefunction(fact):
                setattr(cls, name, _on_a_loop(fact))

    def another(self) -> HaystackAdapter:
        """Open the same place once more; closed when the test ends."""
        adapter = self._make()
        self._opened.append(adapter)
        return adapter

    async def _prove(
        self, fact: Callable[..., Coroutine[Any, Any, None]], values: dict[str, Any]
    ) -> None:
        try:
            await fact(self, self.another(), **values)
        finally:
            for adapter in self._opened:
                await adapter.close()
            # pytest keeps the instance of every test to the end of the run.
            del self._opened, self._make


def _on_a_loop(fact: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(fact)
    def test(
        self: AdapterFacts, make_adapter: Callable[[], HaystackAdapter], **values: Any
    ) -> None:
        self._make = make_adapter
        self._opened = []
        asyncio.run(self._prove(fact, values))

    this, _, *more = inspect.signature(fact).parameters.values()
    fixture = inspect.Parameter("make_adapter", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([this, fixture, *more])  # type: ignore[attr-defined]
    return test
