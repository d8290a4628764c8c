"""The tree that `nav` shows: sites, what is in them, and what is in that.

    the root          every site
    a site            its spaces, its equipment, and its points that belong to neither
    a space           the spaces, equipment and points in it
    equipment         the equipment and points of it

What lies in something smaller is found there and not above it: a point of equipment is not shown
right under its site.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import NotFound
from holdall.haystack.filter import parse_filter
from holdall.haystack.kinds import Ref
from holdall.records.predicate import And, Equals, Has, Missing, Node, Or

if TYPE_CHECKING:
    from holdall.haystack.stores.entities import Entity, EntityStore

_PAGE: Final = 1000
_ROOT: Final = parse_filter("site")
_BELOW: Final = Or((Has(("space",)), Has(("equip",)), Has(("point",))))


async def children(store: EntityStore, of: str | None) -> list[dict[str, Any]]:
    """What lies under an entity, by id; each with the `navId` under which more lies.

    Args:
        store: Where they are kept.
        of: The id of an entity; None for the root.

    Raises:
        NotFound: There is no such entity.
    """
    node: Node
    if of is None:
        node = _ROOT
    else:
        stored = (await store.get([of])).entities[0]
        if stored is None:
            raise NotFound(f"there is no entity @{of}", reference=of)
        under = _under(stored.entity, Ref(of))
        if under is None:
            return []
        node = under
    rows: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await store.find(node, limit=_PAGE, after=after)
        rows += [_row(stored.entity) for stored in page.entities]
        if not page.more:
            return rows
        after = rows[-1]["id"].val


def _under(entity: Entity, ref: Ref) -> Node | None:
    if "site" in entity:
        return And(
            (_BELOW, Equals(("siteRef",), ref), Missing(("spaceRef",)), Missing(("equipRef",)))
        )
    if "space" in entity:
        return And((_BELOW, Equals(("spaceRef",), ref), Missing(("equipRef",))))
    if "equip" in entity:
        return And((_BELOW, Equals(("equipRef",), ref)))
    return None


def _row(entity: Entity) -> dict[str, Any]:
    if _under(entity, Ref("x")) is None:
        return dict(entity)
    ref = entity["id"]
    assert isinstance(ref, Ref)
    return {**entity, "navId": str(ref)}
