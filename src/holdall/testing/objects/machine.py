"""A store beside the memory store: whatever is asked of both, both answer the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from holdall.core.errors import Corrupt, KeyConflict, NotFound, PreconditionFailed
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.testing.objects.asking import in_byte_order
from holdall.testing.objects.comparing import Pair, agree, answer, asked, known, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.testing.objects.faces import MakeStore

T = TypeVar("T")

# Some are folders of others: a store may refuse these, and only these.
_KEYS = ["a", "a/b", "a/b/c", "a-b", "a0", "a/b/d", "e\u0301", "é", "100%?#", "x /y ", "k" * 250]
_LARGE = 1_300_000
_PREFIXES = ["", "a", "a/b", "a-", "x ", "missing"]
_PLACES = [None, *_KEYS, "", " ", "a/", "a/b/", "a.", "a/b/c0", "a1", "~", "\U0010ffff"]

_keys = st.sampled_from(_KEYS)
_data = st.binary(max_size=30) | st.integers(0, 255).map(lambda byte: bytes([byte]) * _LARGE)
_kept = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.dictionaries(
            st.sampled_from(["a", "b-c", "d.e_f"]),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9)
            | st.just("x" * 1900),
            max_size=2,
        ),
        "tags": st.dictionaries(st.sampled_from(["site", "kind"]), st.text("abc ", max_size=5)),
        "content_type": st.sampled_from(["text/plain", "application/json"]),
    },
)
_conditions = st.sampled_from([None, None, None, "create", "same", "stale"])


class ObjectStoreMachine(RuleBasedStateMachine):
    """Rules that change and ask both stores; see `object_store_machine`."""

    make_store: ClassVar[MakeStore]
    uploads: Bundle[Pair] = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.real = DataStore(type(self).make_store(BlockingRuntime()))
        self.model = DataStore(MemoryStore(MemorySettings(), BlockingRuntime()))
        self.stale: dict[str, tuple[str, str]] = {}
        self.open: list[Pair] = []

    def teardown(self) -> None:
        for pair in self.open:
            pair.real.abort()
        self.real.close()

    @initialize(keys=st.lists(_keys, min_size=3, max_size=8, unique=True))
    def begin_with_some_objects(self, keys: list[str]) -> None:
        for key in keys:
            kept = {"metadata": {"key": key}, "tags": {"kind": "x"}, "content_type": "text/plain"}
            self.write(key, key.encode(), kept, None, True)

    # Writing

    @rule(key=_keys, data=_data, kept=_kept, condition=_conditions, digest=st.booleans())
    def write(
        self, key: str, data: bytes, kept: dict[str, Any], condition: str | None, digest: bool
    ) -> None:
        keywords = self._supported(kept)
        if digest:
            keywords["sha256"] = hashlib.sha256(data).hexdigest()
        real, model = self._conditions(key, condition)
        self._remember(key)
        self._change(
            key,
            condition,
            lambda: asked(self.real.write(key, data, **keywords, **real)),
            lambda: asked(self.model.write(key, data, **keywords, **model)),
        )

    @rule(
        key=_keys,
        chunks=st.lists(_data, max_size=3),
        wrong=st.sampled_from([None, None, 0, -1, 1]),
        kept=_kept,
        condition=_conditions,
    )
    def write_stream(
        self,
        key: str,
        chunks: list[bytes],
        wrong: int | None,
        kept: dict[str, Any],
        condition: str | None,
    ) -> None:
        size = None if wrong is None else max(0, sum(map(len, chunks)) + wrong)
        keywords = self._supported(kept)
        real, model = self._conditions(key, condition)
        self._remember(key)
        self._change(
            key,
            condition,
            lambda: asked(self.real.write(key, chunks, size=size, **keywords, **real)),
            lambda: asked(self.model.write(key, chunks, size=size, **keywords, **model)),
            size_is_wrong=size not in {None, sum(map(len, chunks))},
        )
        # What stays staged of a failure differs where the store refused a conflict.
        for store in (self.real, self.model):
            ours = {pair.real.id for pair in self.open} | {pair.model.id for pair in self.open}
            for info in list(store.uploads()):
                if info.id not in ours:
                    store.upload(info.key, resume=info.id).abort()

    @rule(key=_keys, condition=_conditions)
    def delete(self, key: str, condition: str | None) -> None:
        real, model = self._conditions(key, None if condition == "create" else condition)
        self._remember(key)
        agree(lambda: self.real.delete(key, **real), lambda: self.model.delete(key, **model))

    @rule(keys=st.lists(_keys, max_size=4))
    def delete_many(self, keys: list[str]) -> None:
        self.real.delete_many(keys)
        self.model.delete_many(keys)

    @rule(source=_keys, to=_keys, move=st.booleans(), create=st.booleans())
    def copy(self, source: str, to: str, move: bool, create: bool) -> None:
        verb = "move" if move else "copy"
        condition = {"if_none_match": "*"} if create and self._conditional else {}
        # A moved object may keep its etag.
        self.stale.pop(source, None)
        self.stale.pop(to, None)
        self._change(
            to,
            None,
            lambda: asked(getattr(self.real, verb)(source, to, **condition)),
            lambda: asked(getattr(self.model, verb)(source, to, **condition)),
            missing=not self.model.exists(source),
        )

    # Uploads

    @rule(target=uploads, key=_keys, kept=_kept, condition=_conditions)
    def begin(self, key: str, kept: dict[str, Any], condition: str | None) -> Pair:
        keywords = self._supported(kept)
        real, model = self._conditions(key, condition)
        pair = Pair(key, condition)
        pair.real = self.real.upload(key, **keywords, **real)
        pair.model = self.model.upload(key, **keywords, **model)
        self.open.append(pair)
        return pair

    @rule(pair=uploads, data=_data)
    def append(self, pair: Pair, data: bytes) -> None:
        pair.real.write(data)
        pair.model.write(data)
        pair.data += data
        assert pair.real.offset == pair.model.offset == len(pair.data)

    @precondition(lambda self: self.real.capabilities.resume == "staged")
    @rule(pair=uploads)
    def interrupt(self, pair: Pair) -> None:
        pair.real.close()
        pair.real = self.real.upload(pair.key, resume=pair.real.id)
        assert pair.real.offset == len(pair.data)

    @rule(pair=consumes(uploads), wrong=st.sampled_from([0, 0, 0, 1]), digest=st.booleans())
    def commit(self, pair: Pair, wrong: int, digest: bool) -> None:
        size = len(pair.data) + wrong
        sha256 = hashlib.sha256(pair.data).hexdigest() if digest else None
        self._remember(pair.key)
        self._change(
            pair.key,
            pair.condition,
            lambda: asked(pair.real.commit(size, sha256)),
            lambda: asked(pair.model.commit(size, sha256)),
            size_is_wrong=bool(wrong),
        )
        self._end(pair)

    @rule(pair=consumes(uploads))
    def abort(self, pair: Pair) -> None:
        self._end(pair)

    def _end(self, pair: Pair) -> None:
        pair.real.abort()
        pair.model.abort()
        self.open.remove(pair)

    # Asking

    @rule(key=_keys, start=st.integers(-40, 40), end=st.none() | st.integers(0, 40))
    def read(self, key: str, start: int, end: int | None) -> None:
        agree(
            lambda: self.real.read(key, start=start, end=end),
            lambda: self.model.read(key, start=start, end=end),
        )

    @rule(key=_keys)
    def read_all(self, key: str) -> None:
        agree(lambda: self.real.read(key), lambda: self.model.read(key))

    @rule(key=_keys, chunk_size=st.sampled_from([7, 100_000]))
    def stream(self, key: str, chunk_size: int) -> None:
        if (self.model.size(key) or 0) > 100 * chunk_size:
            return
        agree(
            lambda: b"".join(self.real.stream(key, chunk_size=chunk_size)),
            lambda: b"".join(self.model.stream(key, chunk_size=chunk_size)),
        )

    @rule(key=_keys)
    def stat(self, key: str) -> None:
        tags = self.real.capabilities.tags
        agree(
            lambda: known(self.real.stat(key, tags=tags), self.model.stat(key, tags=tags)),
            lambda: known(self.model.stat(key, tags=tags), self.model.stat(key, tags=tags)),
        )

    @rule(max_items=st.integers(1, 6), delimiter=st.booleans(), after=st.sampled_from(_PLACES))
    def list_pages(self, max_items: int, delimiter: bool, after: str | None) -> None:
        for prefix in _PREFIXES:
            self._list(prefix, max_items, delimiter, after)

    @invariant()
    def both_list_the_same_objects(self) -> None:
        self._list("", 2, False)

    def _list(self, prefix: str, max_items: int, delimiter: bool, after: str | None = None) -> None:
        real, model = (
            listed(store, prefix, max_items, delimiter, after) for store in (self.real, self.model)
        )
        if not self.real.capabilities.ordered:
            real, model = in_byte_order(real), in_byte_order(model)
        assert real == model

    @invariant()
    def both_hold_the_same_uploads(self) -> None:
        if self.real.capabilities.resume == "staged":
            real, model = (
                sorted((info.key, info.offset) for info in store.uploads())
                for store in (self.real, self.model)
            )
            assert real == model

    # Between the two

    @property
    def _conditional(self) -> bool:
        return self.real.capabilities.conditional

    def _supported(self, kept: dict[str, Any]) -> dict[str, Any]:
        capabilities = self.real.capabilities
        return {name: value for name, value in kept.items() if getattr(capabilities, name)}

    def _conditions(self, key: str, condition: str | None) -> tuple[Any, Any]:
        """The keywords of a condition for each store, whose etags are their own."""
        if condition is None or not self._conditional:
            return {}, {}
        if condition == "create":
            return {"if_none_match": "*"}, {"if_none_match": "*"}
        none = ("no such etag", "no such etag")
        pair = self._etags(key) if condition == "same" else self.stale.get(key)
        real, model = pair or none
        return {"if_match": real}, {"if_match": model}

    def _etags(self, key: str) -> tuple[str, str] | None:
        try:
            real, model = self.real.stat(key).etag, self.model.stat(key).etag
        except NotFound:
            return None
        assert real is not None
        assert model is not None
        return real, model

    def _remember(self, key: str) -> None:
        """Keep the etags of what is about to change; a write that fails changes nothing."""
        etags = self._etags(key)
        if etags is not None:
            self.stale[key] = etags

    def _change(
        self,
        key: str,
        condition: str | None,
        real: Callable[[], T],
        model: Callable[[], T],
        *,
        size_is_wrong: bool = False,
        missing: bool = False,
    ) -> None:
        """Change both; or the store alone, which must refuse, where the key would be both."""
        if not self._conflicts(key):
            agree(real, model)
            self.stat(key)
            self.read_all(key)
            return
        # More than one thing may be wrong, and no order of the checks is promised.
        refusals: set[object] = {KeyConflict}
        if condition in {"same", "stale"}:
            refusals.add(PreconditionFailed)
        if size_is_wrong:
            refusals.add(Corrupt)
        if missing:
            refusals.add(NotFound)
        assert answer(real) in refusals

    def _conflicts(self, key: str) -> bool:
        if self.real.capabilities.key_and_folder:
            return False
        return any(
            other.startswith(f"{key}/") or key.startswith(f"{other}/")
            for other in self.model.list()
        )


def object_store_machine(make_store: MakeStore) -> type[ObjectStoreMachine]:
    """Make a state machine of Hypothesis that runs a store beside the memory store.

    Both must answer the same, or raise the same type of error; where keys are files in folders,
    the store alone raises `KeyConflict`, for just the keys that would be both. Run it with
    `hypothesis.stateful.run_state_machine_as_test`, or make a test of its `TestCase`.

    Args:
        make_store: Called once for each run, with a blocking runtime; every call must answer a
            store of its own, with nothing in it.
    """
    return type("Machine", (ObjectStoreMachine,), {"make_store": staticmethod(make_store)})
