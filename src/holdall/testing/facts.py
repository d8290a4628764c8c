"""How one fact, written once as a coroutine, is run through both faces of a thing."""

from __future__ import annotations

import asyncio
import functools
import inspect
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

import pytest

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdall.core.runtime import Runtime

T = TypeVar("T")
Face = TypeVar("Face")

Work: TypeAlias = "Callable[[], Coroutine[Any, Any, T]]"

_OURS = "fact_"
_FACES = ("blocking", "async")


class _Loop:
    """On an event loop."""

    runtime = LoopRuntime

    def run(self, fact: Coroutine[Any, Any, None]) -> None:
        asyncio.run(fact)

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        return await asyncio.gather(*(work() for work in works))


class _Blocking:
    """Without an event loop."""

    runtime = BlockingRuntime

    def run(self, fact: Coroutine[Any, Any, None]) -> None:
        drive(fact)

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(lambda work: drive(work()), works))


class BothFaces(ABC, Generic[Face]):
    """Facts about a thing: each `async def test_…(self, thing)` becomes a test for each face.

    Attributes:
        excused: What the server behind it gets wrong: how the names of tests begin, and why they
            are skipped.
    """

    excused: ClassVar[dict[str, str]] = {}
    _way: _Loop | _Blocking
    _make_store: Callable[[Runtime], Any]
    _opened: list[Any]

    @abstractmethod
    def face(self, store: Any) -> Face:
        """The face of a store, blocking or not as its runtime is, in the words of asyncio."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, value in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(value):
                setattr(cls, name, _through_both_faces(value))

    def another(self) -> Face:
        """Open the same place once more, through the same face; closed when the test ends."""
        store = self.face(self._make_store(self._way.runtime()))
        self._opened.append(store)
        return store

    async def together(self, works: Sequence[Work[T]]) -> list[T]:
        """Run coroutine functions at the same time: as tasks, or each in a thread."""
        return await self._way.together(works)

    async def _prove(
        self, fact: Callable[..., Coroutine[Any, Any, None]], values: dict[str, Any]
    ) -> None:
        try:
            await fact(self, self.another(), **values)
        finally:
            for store in self._opened:
                await store.close()
            # pytest keeps the instance of every test to the end of the run.
            del self._opened, self._make_store


def _through_both_faces(fact: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(fact)
    def test(
        self: BothFaces[Any],
        request: pytest.FixtureRequest,
        make_store: Callable[[Runtime], Any],
        face: str,
        **values: Any,
    ) -> None:
        for name, reason in self.excused.items():
            if request.node.name.startswith(name):
                pytest.skip(reason)
        self._way = _Loop() if face == "async" else _Blocking()
        self._make_store = make_store
        self._opened = []
        values = {name.removeprefix(_OURS): value for name, value in values.items()}
        self._way.run(self._prove(fact, values))

    marks, ours = _renamed(getattr(fact, "pytestmark", []))
    # pytest reads the fixtures and parameters from here: what the fact takes beside the store.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    this, _, *more = inspect.signature(fact).parameters.values()
    names = ["request", "make_store", "face", *(ours.get(one.name, one.name) for one in more)]
    parameters = [this, *(inspect.Parameter(name, kind) for name in names)]
    test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    test.pytestmark = [  # type: ignore[attr-defined]
        *marks,
        pytest.mark.parametrize("face", _FACES).mark,
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
