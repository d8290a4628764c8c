"""Whatever fails for a moment: nothing is lost, doubled or stale without an error that says so.

Any operations, through a retry over a breaker over any script of transient faults, with a cache
outside and without one. The memory store judges: it is asked the same without faults.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from holdall.core.errors import CircuitOpen, HoldallError, PartialFailure, Timeout, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers.breaker import Breaker
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.layers.retry import Retry, RetrySettings
from holdall.testing import Fault, Faults
from holdall.testing.objects.blocking import AwaitedStore
from objects.layers.scripted import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdall.objects.contract import ObjectStore
    from holdall.objects.layers import Call

pytestmark = pytest.mark.untraced

KEYS = ["a", "b/c"]
CHUNK = 4


class Asked(Struct, frozen=True):
    """One operation: what is done, to which keys, with which bytes, under which condition.

    `faults` are what happens to its calls, in their order; those that it has no call for any
    more, or that cannot happen to the call they meet, do not happen.
    """

    kind: str
    key: str
    other: str
    data: bytes
    condition: str | None
    faults: list[Fault | None]
    look: bool


KINDS = {
    "put": "write one object",
    "stream": "write one from pieces",
    "append": "write one piece by piece, going on where a piece broke off",
    "read": "read it whole",
    "pieces": "read it piece by piece",
    "range": "read from its second byte on",
    "stat": "ask its size",
    "delete": "delete it",
    "delete_many": "delete two",
    "copy": "copy it",
    "move": "move it",
    "list": "list all",
    "rest": "let the breaker's time pass",
}
CHANGES = {"put", "stream", "append", "delete", "delete_many", "copy", "move"}

FAULT = st.one_of(
    st.just(Fault(lost=True)),
    st.sampled_from([Unavailable, Timeout]).map(lambda error: Fault(error=error)),
    st.integers(0, 9).map(lambda size: Fault(cut=size)),
    st.just(Fault(delay=1.0)),
    st.none(),
)
ASKED = st.builds(
    Asked,
    kind=st.sampled_from(list(KINDS)),
    key=st.sampled_from(KEYS),
    other=st.sampled_from(KEYS),
    data=st.binary(min_size=5, max_size=12) | st.binary(max_size=1),
    condition=st.sampled_from([None, "create", "same", "stale"]),
    faults=st.just([]) | st.lists(FAULT, min_size=1, max_size=6),
    look=st.booleans(),
)


class Script:
    """What happens to the calls of one operation."""

    def __init__(self) -> None:
        self._faults: list[Fault | None] = []
        self.lost = False

    def begin(self, faults: list[Fault | None]) -> None:
        self._faults = faults[::-1]
        self.lost = False

    def __call__(self, call: Call[Any]) -> Fault | None:
        fault = self._faults.pop() if self._faults else None
        if fault is None or not fault.fits(call.operation):
            return None
        self.lost = self.lost or fault.lost
        return fault


class Judged:
    """A store that fails, beside one that does not."""

    def __init__(self, mode: Mode, cached: bool, retries: int) -> None:
        self.mode = mode
        self.script = Script()
        self.kept = MemoryStore(MemorySettings(), mode.runtime)
        breaker = Breaker(Faults(self.kept, self.script), clock=mode.clock)
        store: ObjectStore = Retry(breaker, RetrySettings(max_retries=retries), clock=mode.clock)
        if cached:
            store = Cache(store, CacheSettings(), clock=mode.clock)
        self.real = self._face(store)
        self.truth = self._face(self.kept)
        judge = MemoryStore(MemorySettings(), BlockingRuntime())
        self.judge = cast("AsyncDataStore", AwaitedStore(DataStore(judge)))
        self.etags: dict[str, list[str]] = {key: ["none such"] for key in KEYS}

    def _face(self, store: ObjectStore) -> AsyncDataStore:
        if self.mode.blocking:
            return cast("AsyncDataStore", AwaitedStore(DataStore(store)))
        return AsyncDataStore(store)

    async def ask(self, asked: Asked) -> None:
        """Ask both; what the one reports must be true of what the other has."""
        if asked.kind == "rest":
            self.mode.clock.now += 31
            return
        before = await everything(self.truth)
        ours = await self._conditions(self.truth, asked)
        theirs = await self._conditions(self.judge, asked)
        self.script.begin(asked.faults)
        answer = await outcome(lambda: done(self.real, asked, ours))
        if not isinstance(answer, HoldallError) or not failed_for_a_moment(answer):
            expected = await outcome(lambda: done(self.judge, asked, theirs))
            assert same(answer, expected), f"{asked}: {answer!r}, where {expected!r} is right"
        else:
            await self._check_error(asked, answer, before, theirs)
        assert await everything(self.truth) == await everything(self.judge), asked
        if asked.look:
            await self._look(asked)
        for key, (_, etag) in (await self._known()).items():
            if etag not in self.etags[key]:
                self.etags[key].append(etag)

    async def _check_error(
        self, asked: Asked, error: HoldallError, before: dict[str, bytes], conditions: Any
    ) -> None:
        """An error that says the outcome is unknown: the state is that of before or after."""
        now = await everything(self.truth)
        if not self.script.lost:
            assert now == before, f"{asked}: {error!r}, and it was applied"
            assert not error.uncertain, f"{asked}: {error!r}, and nothing was unknown"
        if now == before:
            return
        assert asked.kind in CHANGES, f"{asked} changed something"
        conditional = asked.kind == "move" or bool(conditions)
        assert error.uncertain == conditional, f"{asked}: {error!r} does not say what is unknown"
        assert error.transient != conditional, f"{asked}: {error!r} would be repeated"
        if conditional:
            assert "may have been applied" in str(error)
        await done(self.judge, asked, conditions)

    async def _look(self, asked: Asked) -> None:
        """Whoever wrote reads what is there now."""
        self.script.begin([])
        for key in KEYS:
            seen = await outcome(partial(self.real.read, key))
            right = await outcome(partial(self.judge.read, key))
            refused = isinstance(seen, CircuitOpen)
            assert refused or same(seen, right), f"after {asked}: {seen!r} at {key}, not {right!r}"

    async def _known(self) -> dict[str, tuple[int, str]]:
        metas = {key: await self.truth.stat(key) for key in await everything(self.truth)}
        return {key: (meta.size, meta.etag or "") for key, meta in metas.items()}

    async def _conditions(self, store: AsyncDataStore, asked: Asked) -> dict[str, Any]:
        """The condition in the words of a store, whose etags are its own."""
        if asked.condition is None or asked.kind not in {"put", "stream", "append", "delete"}:
            return {}
        if asked.condition == "create":
            return {} if asked.kind == "delete" else {"if_none_match": "*"}
        if asked.condition == "stale":
            # The one before; the judge has none of these, so that any other is as stale.
            return {"if_match": self.etags[asked.key][0 if store is self.judge else -2 :][0]}
        if not await store.exists(asked.key):
            return {"if_match": "none such"}
        return {"if_match": (await store.stat(asked.key)).etag}


async def done(store: AsyncDataStore, asked: Asked, conditions: dict[str, Any]) -> object:
    """Do what is asked, and answer what both stores must answer."""
    key, other, data = asked.key, asked.other, asked.data
    pieces = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    if asked.kind == "put":
        return (await store.write(key, data, **conditions)).size
    if asked.kind == "stream":
        return (await store.write(key, pieces, **conditions)).size
    if asked.kind == "append":
        return await append(store, key, pieces, conditions)
    if asked.kind == "read":
        return await store.read(key)
    if asked.kind == "pieces":
        return b"".join([chunk async for chunk in store.stream(key, chunk_size=3)])
    if asked.kind == "range":
        return await store.read(key, start=1)
    if asked.kind == "stat":
        return (await store.stat(key)).size
    if asked.kind == "delete":
        await store.delete(key, **conditions)
        return None
    if asked.kind == "delete_many":
        await store.delete_many([key, other])
        return None
    if asked.kind == "list":
        return [meta.key async for meta in store.walk()]
    verb = store.copy if asked.kind == "copy" else store.move
    return (await verb(key, other)).size


async def append(
    store: AsyncDataStore, key: str, pieces: list[bytes], conditions: dict[str, Any]
) -> int:
    """Write piece by piece as the contract tells: after an error, on from the upload's offset."""
    upload = await store.upload(key, **conditions)
    whole = b"".join(pieces)
    end = 0
    for piece in pieces:
        end += len(piece)
        for _ in range(20):
            try:
                await upload.write(whole[upload.offset : end])
                break
            except HoldallError as error:
                if not error.transient or isinstance(error, CircuitOpen):
                    raise
                if upload.offset == end:
                    break
        else:
            raise Unavailable("20 tries were too few")
    # Neither size nor digest, which would tell of a doubled piece before we do.
    return (await upload.commit()).size


async def outcome(function: Callable[[], Coroutine[Any, Any, object]]) -> object:
    try:
        return await function()
    except HoldallError as error:
        return error


async def everything(store: AsyncDataStore) -> dict[str, bytes]:
    return {meta.key: await store.read(meta.key) async for meta in store.walk()}


def failed_for_a_moment(error: HoldallError) -> bool:
    if isinstance(error, PartialFailure):
        return any(map(failed_for_a_moment, error.errors))
    return error.transient or error.uncertain


def same(answer: object, expected: object) -> bool:
    if isinstance(answer, HoldallError):
        return type(answer) is type(expected)
    return answer == expected


def judged(blocking: bool, cached: bool) -> Callable[[], None]:
    @given(asked=st.lists(ASKED, min_size=1, max_size=20), retries=st.integers(0, 3))
    def holds(asked: list[Asked], retries: int) -> None:
        async def run() -> None:
            stores = Judged(Mode(blocking), cached, retries)
            for key in KEYS:
                await stores.ask(Asked("put", key, key, b"the first of all", None, [], False))
            for one in asked:
                await stores.ask(one)

        if blocking:
            drive(run())
        else:
            asyncio.run(run())

    return holds


both = pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "loop"])
cached_or_not = pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])


@both
@cached_or_not
def test_faults_lose_double_and_hide_nothing(blocking: bool, cached: bool) -> None:
    settings(max_examples=100)(judged(blocking, cached))()


@pytest.mark.soak
@both
@cached_or_not
def test_faults_lose_double_and_hide_nothing_for_long(blocking: bool, cached: bool) -> None:
    more = settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
    more(judged(blocking, cached))()
