"""Filters written, and read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import Unsupported
from holdall.haystack import MARKER, NA, REMOVE, Grid, Number, Ref, same
from holdall.haystack.filter import AnyUnit, matches, parse_filter, write_filter
from holdall.records.predicate import (
    ALL,
    And,
    Between,
    Compares,
    Contains,
    Differs,
    Equals,
    Has,
    In,
    Like,
    Missing,
    Node,
    Not,
    NotIn,
    Or,
)
from holdall.testing.haystack import strategies

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = Has(("a",)), Has(("b",)), Has(("c",))

_names = st.sampled_from(["a", "b", "siteRef", "not", "and", "or", "true"]) | strategies.names()
_paths = st.lists(_names, min_size=1, max_size=3).map(tuple)
_values: st.SearchStrategy[Any] = strategies.scalars(
    exclude=[type(MARKER), type(NA), type(REMOVE)]
).map(lambda one: AnyUnit(one.val) if isinstance(one, Number) and one.unit is None else one)
_leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Has, _paths),
    st.builds(Missing, _paths),
    st.builds(Equals, _paths, _values),
    st.builds(Differs, _paths, _values),
    st.builds(Compares, _paths, st.sampled_from(["lt", "le", "gt", "ge"]), _values),
)


def _joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=1, max_size=4).map(tuple)
    return st.builds(And, some) | st.builds(Or, some) | st.builds(Not, inner)


trees = st.recursive(_leaves, _joined, max_leaves=12)


def flat(node: Node) -> Node:
    """The same tree as the parser makes it: no `And` right in an `And`, none of one."""
    if isinstance(node, Not):
        return Not(flat(node.node))
    if isinstance(node, (And, Or)):
        parts: list[Node] = []
        for one in map(flat, node.nodes):
            parts += one.nodes if isinstance(one, (And, Or)) and type(one) is type(node) else [one]
        return parts[0] if len(parts) == 1 else type(node)(tuple(parts))
    return node


def alike(one: Any, other: Any) -> bool:
    """Whether two trees are the same in all that can be written: display names, zones, NaN."""
    if isinstance(one, Not):
        return isinstance(other, Not) and alike(one.node, other.node)
    if isinstance(one, (And, Or)):
        parts = len(one.nodes) == len(getattr(other, "nodes", ()))
        return type(one) is type(other) and parts and all(map(alike, one.nodes, other.nodes))
    value, wanted = getattr(one, "value", None), getattr(other, "value", None)
    if isinstance(value, AnyUnit) and isinstance(wanted, AnyUnit):
        value, wanted = value.val, wanted.val
    return (
        (type(one), one.path, getattr(one, "op", None))
        == (type(other), other.path, getattr(other, "op", None))
    ) and same(value, wanted)


@given(trees)
def test_what_is_written_is_read_back(tree: Node) -> None:
    assert alike(parse_filter(write_filter(tree)), flat(tree))


@given(trees)
def test_what_was_read_is_written_alike_again(tree: Node) -> None:
    text = write_filter(tree)
    assert write_filter(parse_filter(text)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a", "a"),
        ("not a->b", "not a->b"),
        ("((a and b)or(c))", "a and b or c"),
        ("(a or b)and(not c)", "(a or b) and not c"),
        ("(a or b) or c", "a or b or c"),
        ("not(a)or not((b or c))", "not (a) or not (b or c)"),
        ("a==10_000 and b>=5.0kW", "a == 10000 and b >= 5.0kW"),
        ('a!=@x  "X"', 'a != @x "X"'),
        ('a<"x$y"', r'a < "x\$y"'),
        ("a>8:30", "a > 08:30:00"),
        ("a<=2024-01-31T12:00:00Z", "a <= 2024-01-31T12:00:00Z UTC"),
        ("a==true or b==false", "a == true or b == false"),
        ("a == C(1,2)", "a == C(1.0,2.0)"),
        ("(not) and a", "(not) and a"),
    ],
)
def test_a_filter_is_written_with_no_parenthesis_too_many(text: str, written: str) -> None:
    assert write_filter(parse_filter(text)) == written


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (In(("a",), (Ref("x"), Ref("y"))), "a == @x or a == @y"),
        (And((In(("a",), (Ref("x"), Ref("y"))), B)), "(a == @x or a == @y) and b"),
        (Not(NotIn(("a",), ("x", "y"))), 'not (a != "x" and a != "y")'),
        (Or((NotIn(("a",), ()), B)), "a or b"),
        (And((And((A,)), Or((B,)))), "a and b"),
        (And((Or((And((A, B)),)), C)), "a and b and c"),
        (And((Or((Or((A, B)),)), C)), "(a or b) and c"),
    ],
)
def test_other_trees_are_written_as_what_means_the_same(node: Node, written: str) -> None:
    assert write_filter(node) == written


def test_a_moment_without_a_named_zone_is_written_in_utc() -> None:
    east = datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert write_filter(Equals(("a",), east)) == "a == 2024-01-31T06:30:00Z UTC"


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (Like(("a",), "x%"), "Like"),
        (Contains(("a",), "x"), "Contains"),
        (Between(("a",), AnyUnit(1), AnyUnit(2)), "Between"),
        (Not(And((A, Like(("a",), "x%")))), "Like"),
        (ALL, r"And\(\(\)\)"),
        (Or(()), r"Or\(\(\)\)"),
        (In(("a",), ()), r"Or\(\(\)\)"),
        (Has(()), "no names"),
        (Has(("",)), "no names"),
        (Has(("Site",)), "Site"),
        (Has(("a", "b c")), "b c"),
        (Has(("a", "0")), "a.0"),
        (Equals(("a",), None), "None"),
        (Equals(("a",), MARKER), "MARKER"),
        (Equals(("a",), [1]), "list"),
        (Equals(("a",), {"b": 1}), "dict"),
        (Equals(("a",), Grid()), "Grid"),
        (Equals(("a",), object()), "object"),
        (Equals(("a",), Number(5)), "AnyUnit"),
        (Equals(("a",), 5), "AnyUnit"),
        (Equals(("a",), 5.0), "AnyUnit"),
        (Equals(("a",), AnyUnit(10**5000)), "4300 digits"),
        (Equals(("a",), datetime(2024, 1, 31)), "zone"),  # noqa: DTZ001
    ],
)
def test_what_a_filter_cannot_say_is_refused_by_name(node: Node, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        write_filter(node)


@pytest.mark.parametrize("kind", [And, Or])
def test_ten_thousand_terms_are_written(kind: Callable[[Any], Node]) -> None:
    node = kind(tuple([Equals((f"a{at}",), AnyUnit(at)) for at in range(10_000)]))
    assert parse_filter(write_filter(node)) == node


def test_a_tree_is_written_however_deep_it_is() -> None:
    node: Node = A
    for _ in range(50_000):
        node = Not(node)
    assert write_filter(node).count("not (") == 50_000


def test_what_is_written_means_the_same_at_every_value() -> None:
    node = Not(NotIn(("a",), (Ref("x"), "y", datetime(2024, 1, 31, tzinfo=UTC))))
    again = parse_filter(write_filter(node))
    for value in (Ref("x", "X"), "y", "z", None, [Ref("x")], [], datetime(2024, 1, 31, tzinfo=UTC)):
        assert matches(again, {"a": value}) == matches(node, {"a": value})
