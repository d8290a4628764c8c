"""What a filter means: which entities it answers.

    absent            never equals and never orders; only `not` finds it; None is absent
    another kind      never equals and never orders; a bool is no number, a date no datetime
    Number            of two units: neither equal nor ordered; `AnyUnit` compares with any unit;
                      a plain `int` or `float` is a Number without unit; NaN equals nothing
    Ref               equals by its id, whatever it displays
    DateTime          by the moment, in whatever zone
    order             Number, Str (by code point), Date, Time, DateTime, and Bool (false first);
                      nothing else stands before anything
    a list            matches when any item of it does; `!=` when it is there and no item equals
    `a->b`            `b` of the entity that the Ref in `a` names, or of the dict in `a`, or of
                      any entity that a Ref in the list in `a` names; grids lead nowhere
    several targets   are there when one has the tag, match when one does, and differ when the tag
                      is there and equals nowhere
    `not`             the plain opposite

`matches` is the judge of every store that compiles a filter into something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdall.core.errors import InvalidQuery, Unsupported
from holdall.haystack.filter.comparing import Test, any_item, equals, item_orders, one_of, orders
from holdall.haystack.kinds import Ref
from holdall.records.predicate import (
    And,
    Between,
    Compares,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    NotIn,
    Or,
)

if TYPE_CHECKING:
    from holdall.records.paths import Path

Entity: TypeAlias = Mapping[str, Any]
Resolve: TypeAlias = Callable[[str], "Mapping[str, Any] | None"]
"""Answers the entity of an id (without `@`), and None where there is none."""
DEEPEST: Final = 310
"""How many conditions may lie in one another: an `or`, an `and` and a `not` a parenthesis."""

_NOTHING: Final[tuple[Any, ...]] = ()


def matches(node: Node, entity: Entity, resolve: Resolve | None = None) -> bool:
    """Whether an entity is meant; see `compiled`, which is for more than one."""
    return compiled(node, resolve)(entity)


def compiled(node: Node, resolve: Resolve | None = None) -> Callable[[Entity], bool]:
    """Answer a function that says of an entity whether it is meant.

    Args:
        node: The condition; values in it are kinds, or `AnyUnit`.
        resolve: Finds the entities that Refs name; without it a Ref leads nowhere.

    Raises:
        InvalidQuery: More than 310 conditions lie in one another.
        Unsupported: It holds a node that filters do not have, such as `Like`.
    """
    # Without recursion: first the parts, and then what joins them.
    pending: list[tuple[Node, int, bool]] = [(node, 1, False)]
    done: list[Test] = []
    while pending:
        one, depth, ready = pending.pop()
        if type(one) is And or type(one) is Or:
            nodes = one.nodes
            if ready:
                tests = done[len(done) - len(nodes) :]
                del done[len(done) - len(nodes) :]
                done.append(_all(tests) if type(one) is And else _any(tests))
                continue
        elif type(one) is Not:
            if ready:
                done.append(_opposite(done.pop()))
                continue
            nodes = (one.node,)
        else:
            done.append(_leaf(one, resolve))
            continue
        if depth > DEEPEST:
            raise InvalidQuery(f"more than {DEEPEST} conditions lie in one another")
        pending.append((one, depth, True))
        pending.extend([(part, depth + 1, False) for part in reversed(nodes)])
    return done[0]


def paths_of(node: Node) -> tuple[Path, ...]:
    """Every path that a condition reads, once, in the order in which they come in it."""
    pending = [node]
    found: dict[Path, None] = {}
    while pending:
        one = pending.pop()
        if isinstance(one, (And, Or)):
            pending.extend(reversed(one.nodes))
        elif isinstance(one, Not):
            pending.append(one.node)
        else:
            found[one.path] = None  # type: ignore[attr-defined]  # every other node has one
    return tuple(found)


def _opposite(test: Test) -> Test:
    return lambda entity: not test(entity)


def _all(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, two = tests
        return lambda entity: one(entity) and two(entity)
    if len(tests) == 3:
        one, two, three = tests
        return lambda entity: one(entity) and two(entity) and three(entity)

    def every(entity: Any) -> bool:
        for test in tests:  # noqa: SIM110  # `all` takes twice as long, and twice the stack
            if not test(entity):
                return False
        return True

    return every


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, two = tests
        return lambda entity: one(entity) or two(entity)

    def some(entity: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if test(entity):
                return True
        return False

    return some


def _leaf(node: Node, resolve: Resolve | None) -> Test:
    match node:
        case Has(path):
            return _present(path, resolve)
        case Missing(path):
            return _opposite(_present(path, resolve))
        case Equals(path, value):
            return _found(path, resolve, equals(value))
        case Differs(path, value):
            return _not_found(path, resolve, equals(value))
        case In(path, wanted):
            return _found(path, resolve, one_of(wanted))
        case NotIn(path, wanted):
            return _not_found(path, resolve, one_of(wanted))
        case Compares(path, op, value):
            return _found(path, resolve, orders(op, value))
        case Between(path, low, high):
            above, below = item_orders("ge", low), item_orders("le", high)
            between = any_item(lambda value: above(value) and below(value))
            return _found(path, resolve, between)
    raise Unsupported(f"a filter has no condition {type(node).__name__}")


# Along a path.


def _present(path: Path, resolve: Resolve | None) -> Test:
    if len(path) == 1:
        name = path[0]
        return lambda entity: entity.get(name) is not None
    follow = _follower(path, resolve)
    return lambda entity: bool(follow(entity))


def _found(path: Path, resolve: Resolve | None, test: Test) -> Test:
    if len(path) == 1:
        name = path[0]
        return lambda entity: (value := entity.get(name)) is not None and test(value)
    follow = _follower(path, resolve)
    return lambda entity: any(map(test, follow(entity)))


def _not_found(path: Path, resolve: Resolve | None, test: Test) -> Test:
    if len(path) == 1:
        name = path[0]
        return lambda entity: (value := entity.get(name)) is not None and not test(value)
    follow = _follower(path, resolve)

    def not_found(entity: Any) -> bool:
        values = follow(entity)
        return bool(values) and not any(map(test, values))

    return not_found


def _follower(path: Path, resolve: Resolve | None) -> Callable[[Any], tuple[Any, ...] | list[Any]]:
    """What a path leads to from an entity: each value that is there."""
    *steps, last = path

    def follow(entity: Any) -> tuple[Any, ...] | list[Any]:
        for at, name in enumerate(steps):
            value = entity.get(name)
            if type(value) is Ref:
                entity = None if resolve is None else resolve(value.val)
                if entity is None:
                    return _NOTHING
            elif type(value) is list:
                return _spread(value, steps[at + 1 :], last, resolve)
            elif type(value) is dict or isinstance(value, Mapping):
                entity = value
            else:
                return _NOTHING
        value = entity.get(last)
        return _NOTHING if value is None else (value,)

    return follow


def _spread(items: list[Any], steps: list[str], last: str, resolve: Resolve | None) -> list[Any]:
    found = _entities(items, resolve)
    for name in steps:
        values: list[Any] = []
        dicts: list[Any] = []
        for one in found:
            value = one.get(name)
            if type(value) is list:
                values += value
            elif type(value) is Ref:
                values.append(value)
            elif isinstance(value, Mapping):
                dicts.append(value)
        found = dicts + _entities(values, resolve)
    return [value for one in found if (value := one.get(last)) is not None]


def _entities(items: list[Any], resolve: Resolve | None) -> list[Any]:
    """The entities that the Refs among some values name.

    Each once: two Refs to one entity, at every step of a path, would else be its double each time.
    """
    if resolve is None:
        return []
    ids = dict.fromkeys(item.val for item in items if type(item) is Ref)
    return [entity for one in ids if (entity := resolve(one)) is not None]
