"""How one fact, written once as a coroutine, is run through both faces."""

from __future__ import annotations

import asyncio
import functools
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, cast

import pytest

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.data_store import DataStore
from holdall.testing.objects.blocking import AwaitedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore

T = TypeVar("T")

MakeStore: TypeAlias = "Callable[[Runtime], ObjectStore]"
Work: TypeAlias = "Callable[[], Coroutine[Any, Any, T]]"

_OURS = "fact_"


class _Loop:
    """`AsyncDataStore` on an event loop."""

    def open(self, make_store: MakeStore) -> AsyncDataStore:
        return AsyncDataStore(make_store(LoopRuntime()))

    def run(self, fact: Coroutine[Any, Any, None]) -> None:
        asyncio.run(fact)

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        return await asyncio.gather(*(work() for work in works))


class _Blocking:
    """`DataStore` without an event loop."""

    def open(self, make_store: MakeStore) -> AsyncDataStore:
        return cast("AsyncDataStore", AwaitedStore(DataStore(make_store(BlockingRuntime()))))

    def run(self, fact: Coroutine[Any, Any, None]) -> None:
        drive(fact)

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(lambda work: drive(work()), works))


class Facts:
    """Facts about a store: each `async def test_…(self, store)` becomes a test for each face.

    `store` is an `AsyncDataStore`, or a `DataStore` that is spoken to in the same words.

    Attributes:
        excused: What the server behind the store gets wrong: how the names of tests begin, and
            why they are skipped.
    """

    excused: ClassVar[dict[str, str]] = {}
    _faces: ClassVar[dict[str, type[_Loop | _Blocking]]] = {
        "blocking": _Blocking,
        "async": _Loop,
    }
    _face: _Loop | _Blocking
    _make_store: MakeStore
    _opened: list[AsyncDataStore]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, value in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(value):
                setattr(cls, name, _through_both_faces(value))

    def another(self) -> AsyncDataStore:
        """Open the same place once more, through the same face; closed when the test ends."""
        store = self._face.open(self._make_store)
        self._opened.append(store)
        return store

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        """Run coroutine functions at the same time: as tasks, or each in a thread."""
        return await self._face.together(works)

    async def _prove(
        self, fact: Callable[..., Coroutine[Any, Any, None]], values: dict[str, Any]
    ) -> None:
        try:
            await fact(self, self.another(), **values)
        finally:
            for store in self._opened:
                await store.close()


def _through_both_faces(fact: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(fact)
    def test(
        self: Facts,
        request: pytest.FixtureRequest,
        make_store: MakeStore,
        face: str,
        **values: Any,
    ) -> None:
        for name, reason in self.excused.items():
            if request.node.name.startswith(name):
                pytest.skip(reason)
        self._face = Facts._faces[face]()
        self._make_store = make_store
        self._opened = []
        values = {name.removeprefix(_OURS): value for name, value in values.items()}
        self._face.run(self._prove(fact, values))

    marks, ours = _renamed(getattr(fact, "pytestmark", []))
    # pytest reads the fixtures and parameters from here: what the fact takes beside the store.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    this, _, *more = inspect.signature(fact).parameters.values()
    names = ["request", "make_store", "face", *(ours.get(one.name, one.name) for one in more)]
    parameters = [this, *(inspect.Parameter(name, kind) for name in names)]
    test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    test.pytestmark = [  # type: ignore[attr-defined]
        *marks,
        pytest.mark.parametrize("face", list(Facts._faces)).mark,
    ]
    return test


def _renamed(marks: Sequence[pytest.Mark]) -> tuple[list[pytest.Mark], dict[str, str]]:
    """Marks whose parameters have names of our own, and these names by the given ones.

    A parameter replaces a fixture of its name, also one that `make_store` asks for.
    """
    ours: dict[str, str] = {}
    done = []
    for mark in marks:
        if mark.name == "parametrize":
            given, *rest = mark.args
            names = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
            ours |= {name: _OURS + name for name in names}
            text = ",".join(ours[name] for name in names)
            done.append(pytest.mark.parametrize(text, *rest, **mark.kwargs).mark)
        else:
            done.append(mark)
    return done, ours
