"""Entities on a Redis server: every filter finds what it finds in memory, by either index."""

from __future__ import annotations

import hashlib
import re
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haystack.filter.generated import IDS, question
from haystack.stores.filter_facts import HARD, comparisons, kept
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref, Uri
from holdall.haystack.filter import AnyUnit, matches, parse_filter
from holdall.haystack.stores.entities import Change, Delete, EntityStore, Put
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings, searching
from holdall.haystack.stores.redis.conditions import tree_of
from holdall.objects.backends.redis.lua import Script
from holdall.records.predicate import And, Differs, Equals, Has, In, Missing, Node, Not, Or
from holdall.testing.haystack.strategies import kinds
from serving.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from serving.caches import RedisServer


pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
_places = count()


class Pair:
    """A store on a server and one in memory, which are changed alike."""

    def __init__(self, server: RedisServer, **more: Any) -> None:
        self.settings = RedisHaystackSettings(
            host=HOST,
            port=server.running.port,
            password=Secret(server.password),
            prefix=f"filters:{next(_places)}",
            check=False,
            **more,
        )
        self.runtime = BlockingRuntime()
        self.store = RedisEntities(self.settings, self.runtime)
        drive(self.store.connect())
        self.memory = MemoryEntities(MemoryEntitySettings(), self.runtime)
        self.now: set[str] = set()

    def commit(self, *changes: Change) -> None:
        for store in (self.store, self.memory):
            drive(store.commit(changes))
        for change in changes:
            if isinstance(change, Put):
                self.now.add(str(change.entity["id"])[1:])
            elif isinstance(change, Delete):
                self.now.discard(change.id)

    def empty(self) -> None:
        self.commit(*map(Delete, sorted(self.now)))

    def answers(self, node: Node, limit: int = 100, after: str | None = None) -> list[Any]:
        stores: list[EntityStore] = [self.store, self.memory]
        found = [drive(store.find(node, limit=limit, after=after)) for store in stores]
        return [([str(one.entity["id"]) for one in page.entities], page.more) for page in found]

    def check(self, node: Node, limit: int = 100, after: str | None = None) -> None:
        one, other = self.answers(node, limit, after)
        assert one == other, (node, limit, after)

    def forget(self) -> None:
        """Keep nothing ready any more."""
        kept_ready = self.store._asking.kept
        kept_ready.follow("another", 0, lambda _: None)


@pytest.fixture(params=["sets", "search"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A fresh place on a plain Redis, and on one with Search."""
    name = "redis_server" if request.param == "sets" else "redis_stack_server"
    made = Pair(request.getfixturevalue(name))
    assert made.store._asking.index == request.param
    yield made
    drive(made.store.close())


def narrowed(script: Script) -> Script:
    """A script that answers one at once, and follows a path to one entity."""
    source = re.sub(rb"(INDEX, ALL, FEW = '[a-z]+'), \d+, \d+", rb"\1, 1, 1", script.source)
    source, count = re.subn(rb"found\(inner, \d+\)", b"found(inner, 1)", source)
    assert count == 1
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(source, sha, script.keys)


@pytest.fixture(params=["at once", "walking"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to find entities, for however few there are."""
    if request.param == "walking":
        for name in ("FIND_SETS", "FIND_SEARCH"):
            monkeypatch.setattr(searching, name, narrowed(getattr(searching, name)))
        monkeypatch.setattr(searching, "_FIRST_STEP", 1)


def disagreements(random: Random, pair: Pair) -> list[Any]:
    """Ask both stores after each of some changes."""
    wrong: list[Any] = []
    pair.empty()
    for _ in range(3):
        graph, node = question(random)
        changes: list[Change] = []
        for of in IDS:
            chance = random.random()
            if chance < 0.6 or of not in pair.now:
                changes.append(Put(kept(of, graph[of])))
            elif chance < 0.8:
                changes.append(Delete(of))
        pair.commit(*changes)
        if random.random() < 0.3:
            pair.forget()
        for asked in (node, *(question(random)[1] for _ in range(4))):
            limit, after = random.choice([1, 2, 100]), random.choice([None, None, "e1"])
            one, other = pair.answers(asked, limit, after)
            if one != other:
                wrong.append((asked, graph, limit, after, one, other))
    return wrong


@settings(max_examples=20, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_a_filter_finds_what_it_finds_in_memory(way: None, pair: Pair, random: Random) -> None:
    assert disagreements(random, pair) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=350, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_a_filter_finds_what_it_finds_in_memory_for_long(
    way: None, pair: Pair, random: Random
) -> None:
    assert disagreements(random, pair) == []


@settings(max_examples=20, suppress_health_check=QUIET)
@given(st.lists(kinds(), min_size=1, max_size=4), st.lists(kinds(), max_size=2))
def test_every_kind_is_compared_as_in_memory(pair: Pair, held: list[Any], more: list[Any]) -> None:
    pair.empty()
    entities = [kept(f"e{at}", {"v": value}) for at, value in enumerate([*held, held])]
    pair.commit(*map(Put, entities))
    for value in [*held, *more]:
        for node in comparisons(value):
            pair.check(node)


def test_hard_values_are_compared_as_in_python(pair: Pair) -> None:
    entities = [kept(f"e{at:02}", {"v": value}) for at, value in enumerate(HARD.values())]
    pair.commit(*map(Put, entities))
    wrong = []
    for name, value in HARD.items():
        for node in comparisons(value):
            meant = [str(one["id"]) for one in entities if matches(node, one)]
            found = pair.answers(node)[0][0]
            if found != meant:
                wrong.append((name, node, found, meant))
    assert wrong == []


@pytest.mark.parametrize("name", HARD)
def test_a_hard_value_comes_back_as_it_was(pair: Pair, name: str) -> None:
    pair.commit(Put(kept("a", {"v": HARD[name]})))
    one, other = [drive(store.get(["a"])).entities[0] for store in (pair.store, pair.memory)]
    assert one is not None
    assert other is not None
    assert repr(one.entity["v"]) == repr(other.entity["v"])


PATHS = (
    "a->b",
    "a->b->c",
    "a->b->c->d",
    "a->b->c->d->e",
    "not a->b->c",
    "a->b->c == 1",
    "a->b->c != 1",
    "a->b->c->d > 0",
    "a->b == @y",
    "r->a->b->c",
    "r->r->a->b == @y",
    "l->n > 1",
    "l->l->n",
    "l->a->b",
)


@pytest.mark.parametrize("text", PATHS)
def test_paths_lead_through_dicts_refs_and_lists_of_refs(way: None, pair: Pair, text: str) -> None:
    pair.commit(
        Put(kept("v", {"a": {"b": Ref("y")}, "n": 3, "l": [Ref("w"), {"n": 9}, Ref("nowhere")]})),
        Put(kept("w", {"a": {"b": {"c": 1}}, "n": 1, "r": Ref("v"), "l": [Ref("v"), Ref("v")]})),
        Put(kept("x", {"a": {"b": {"c": {"d": {"e": MARKER}}}}, "r": Ref("w")})),
        Put(kept("y", {"a": Ref("x"), "c": {"d": 1, "n": [1, 2]}, "r": Ref("y"), "l": Ref("v")})),
        Put(kept("z", {"a": {"b": [Ref("y"), Ref("w")]}, "c": 1, "l": [{"n": 5}, "w"]})),
    )
    pair.check(parse_filter(text))


@pytest.mark.parametrize(
    "node",
    [
        Or(tuple(Equals(("n",), AnyUnit(at)) for at in range(5_000))),
        In(("n",), tuple(Number(at) for at in range(5_000))),
        In(("n",), tuple(Number(at) for at in range(400))),
        In(("r",), tuple(Ref(f"x{at}") for at in range(5_000))),
        In(("r",), tuple(Ref(f"x{at}") for at in range(400))),
        In(("s",), tuple(f"x{at}" for at in range(400))),
        And(tuple(Missing((f"x{at}",)) for at in range(1_000))),
        And(tuple(Missing((f"x{at}",)) for at in range(400))),
        parse_filter("not (" * 90 + "n==7" + ")" * 90),
        parse_filter("not (" * 20 + "n==7" + ")" * 20),
        Or(()),
        Not(Or(())),
        And(()),
    ],
)
def test_a_large_condition_is_answered(pair: Pair, node: Node) -> None:
    tags = [{"n": at, "r": Ref(f"x{at}"), "s": f"x{at}"} for at in range(20)]
    pair.commit(*(Put(kept(f"e{at:02}", one)) for at, one in enumerate(tags)))
    pair.check(node)


def is_sure(tree: Any) -> bool:
    return tree[0] != "?" and all(is_sure(one) for one in tree[1:] if isinstance(one, list))


@pytest.mark.parametrize(
    "text",
    [
        "point and temp and equipRef==@x",
        "area > 100",
        "area > 100kW or not area",
        "siteRef->area > 100",
        'dis != "x" and built < 2000-01-01',
        "not (a->b->c or a->b==true)",
        "at >= 2024-01-01T00:00:00Z",
        "open <= true",
    ],
)
def test_what_the_index_can_say_is_asked_of_it(text: str) -> None:
    assert is_sure(tree_of(parse_filter(text)))


SIGNS = [
    "'; DROP TABLE hs_meta; --", "*", "-x", "x|y", "@t:{id}", "}", "{", "a,b", "\\", "\\\\",
    "[1 2]", '"x"', "(x", "x)", "=>{$weight: 2}", "$x", "~x", "%x%", "x*", " x", "x ", "\t", "\n",
    "\0", "return redis.call('FLUSHALL')", "]]", "--[[", "KEYS[1]", "%s", "%1",
    "\r\n*1\r\n$8\r\nFLUSHALL",
    "é", "A", "a", "the", "", "x:y", "x.y", "1", "-1", "inf", "nan", "NaN", "\\}|@t:{id}", "!n:v",
]  # fmt: skip


def test_text_that_looks_like_a_query_is_text(pair: Pair) -> None:
    entities = [
        kept(f"e{at:02}", {"s": text, "u": Uri(text), "l": [text, "x"], "d": {"s": text}})
        for at, text in enumerate(SIGNS)
    ]
    pair.commit(*map(Put, entities))
    for text in SIGNS:
        for node in (
            Equals(("s",), text),
            Differs(("s",), text),
            Equals(("u",), Uri(text)),
            Equals(("l",), text),
            Equals(("d", "s"), text),
            In(("s",), (text, "x")),
        ):
            pair.check(node)


IDS_OF_SIGNS = ["a", "A", "a:b", "a-b", "a_b", "a.b", "a~b", "-", "0", "-inf", "a" * 300, "..", "~"]


def test_an_id_of_any_sign_is_found(pair: Pair) -> None:
    pair.commit(*(Put(kept(of, {"r": Ref(of), "n": at})) for at, of in enumerate(IDS_OF_SIGNS)))
    for of in IDS_OF_SIGNS:
        pair.check(Equals(("r",), Ref(of)))
        pair.check(Equals(("id",), Ref(of)))
        pair.check(Has(("n",)), 2, of)
    pair.check(parse_filter("r->n > 3"))
    pair.check(parse_filter("r->r->n > 3"))


def test_an_unusual_name_in_a_condition_finds_nothing(pair: Pair) -> None:
    pair.commit(Put(kept("a", {"s": "x"})))
    for name in ("*", "", "s.x", "é", "s\0", "s}|@t:{id", "s=sx"):
        assert pair.answers(Has((name,)))[0] == ([], False)


def test_names_differ_by_case_and_may_be_long(pair: Pair) -> None:
    long = "n" * 3_000
    pair.commit(
        Put(kept("a", {"siteRef": Ref("s"), long: 1})),
        Put(kept("b", {"siteref": Ref("s"), long + "x": 1, "d": {long: "y"}})),
        Put(kept("c", {"siteRef": Ref("S")})),
    )
    for node in (Has(("siteRef",)), Has((long,)), Equals((long + "x",), Number(1))):
        pair.check(node)
    pair.check(Equals(("siteRef",), Ref("s")))
    pair.check(Equals(("d", long), "y"))


def test_a_kind_that_changes_leaves_nothing_in_the_index(pair: Pair) -> None:
    values: list[Any] = [1, [1, 2], "x", Number(2**60 + 1), MARKER, Number(3, "kW"), {"a": 1}, True]
    for value in [*values, *reversed(values)]:
        pair.commit(Put(kept("a", {"v": value})))
        for text in ("v == 1", "v > 2", 'v == "x"', "v == 3kW", "v->a", "v == true", "not (v > 0)"):
            pair.check(parse_filter(text))
    pair.empty()
    left = [one for one in _keys(pair) if one[len(pair.store._place.key) :][:2] in (b"t:", b"z:")]
    assert left == []
    assert not [one for one in _keys(pair) if one.startswith(pair.store._place.key + b"x:")]


def _keys(pair: Pair) -> list[bytes]:
    pattern = pair.store._place.key + b"*"
    [keys] = drive(pair.store._place.ask(pair.store, [[b"KEYS", pattern]]))
    return list(keys)


def test_walking_finds_what_is_found_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    entities = [
        kept(f"e{at:04}", {"n": at % 7, "s": f"{at % 3}", "r": Ref(f"e{at // 2:04}")})
        for at in range(300)
    ]
    pair.commit(*map(Put, entities))
    asked = searching.Search._asked

    async def walks(self: Any, way: bytes, *args: Any) -> Any:
        reply = await asked(self, way, *args)
        return reply[:2] if way == b"all" else reply

    monkeypatch.setattr(searching.Search, "_asked", walks)
    for text in ("n == 3", "n > 4 and not s", 's != "1"', "r->n == 2", "not r->r->s", "id", "none"):
        for limit, after in ((1, None), (20, "e0010"), (1_000, None)):
            pair.check(parse_filter(text), limit, after)


def test_a_tag_with_numbers_beyond_doubles_is_looked_at(pair: Pair) -> None:
    pair.commit(
        Put(kept("a", {"n": Number(2**53 + 1)})),
        Put(kept("b", {"n": Number(2**53)})),
        Put(kept("c", {"n": [Number(1), Number(5, "kW")]})),
        Put(kept("d", {"n": Number(5, "kilowatt")})),
        Put(kept("e", {"n": Number(5)})),
    )
    for text in ("n > 9007199254740992", "n == 5kW", "n == 5", "not (n == 5kW)", "n < 2kW"):
        pair.check(parse_filter(text))
    pair.check(Equals(("n",), Number(2**53 + 1)))
