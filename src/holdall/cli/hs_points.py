"""Points whose samples are read and written by commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.samples import Point
from holdall.haystack.adapter.taking import id_of, plain_ids
from holdall.haystack.kinds import Ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.cli.haystack import Plant
    from holdall.haystack.stores.histories import Samples

PAGE: Final = 50_000
"""Samples that are in memory at a time."""


def points_at(plant: Plant, ids: Sequence[str]) -> dict[str, Point]:
    """What points say of their histories, by id; those that are not there are left out.

    Raises:
        InvalidValue: One has a `tz` that is no zone.
    """
    if not ids:
        return {}
    there = plant.run(plant.adapter.read_by_ids(ids))
    entities = [entity for entity in there if entity is not None]
    refs = [one.get("siteRef") for one in entities if "tz" not in one]
    sites = list({ref.val for ref in refs if isinstance(ref, Ref)})
    found = plant.run(plant.adapter.read_by_ids(sites)) if sites else []
    zones = {id_of(site): site.get("tz") for site in found if site is not None}
    points = {}
    for entity in entities:
        ref = entity.get("siteRef")
        of = id_of(entity)
        points[of] = Point.of(of, entity, zones.get(ref.val) if isinstance(ref, Ref) else None)
    return points


def pages_of(plant: Plant, point: Point, range_str: str | None) -> Iterator[tuple[Point, Samples]]:
    """The samples of a point, page by page."""
    pages = plant.adapter.his_pages(point.id, range_str, size=PAGE)
    while (page := plant.run(_next(pages))) is not None:
        yield point, page


async def _next(pages: object) -> Samples | None:
    return await anext(pages, None)  # type: ignore[call-overload,no-any-return]


def ids_of(words: Sequence[str]) -> list[str]:
    """Ids as text without `@`.

    Raises:
        ValueError: One is none.
    """
    try:
        return plain_ids(words)
    except InvalidValue as error:
        raise ValueError(str(error)) from error
