"""Entities as tables, grids and trees: `holdall hs read` and `nav`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from holdall.cli.haystack import FILTER_HELP, JSON, PLACE, GridFormat, hs_command, plant_at
from holdall.cli.hs_files import codec_of
from holdall.cli.hs_values import entities_text, json_of, markers_of, shown
from holdall.cli.output import complain, say, say_json, say_table
from holdall.haystack.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.cli.haystack import Plant
    from holdall.haystack.stores.entities import Entity

_COLUMNS: Final = ("id", "dis")


@hs_command
def read(
    place: PLACE,
    filter_str: Annotated[str, typer.Argument(help=FILTER_HELP, metavar="FILTER")],
    format: Annotated[  # noqa: A002
        GridFormat | None, typer.Option(help="Print a grid in this format, not a table.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="At most so many; else 10,000.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Of the answer before: what follows it.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Only these tags, commas between.")] = None,
    json: JSON = False,
) -> None:
    """Print the entities that a filter means, by id.

    With --json an entity a line, as Hayson has it.

    \b
    Examples:
      holdall hs read plant.db 'point and temp'
      holdall hs read plant.db 'siteRef->area > 1000' --select dis,curVal --limit 20
      holdall hs read redis://host 'equip' --format zinc > equip.zinc
      holdall hs read plant.db point --json | jq -r .dis
    """
    tags = None if select is None else [name.strip() for name in select.split(",")]
    with plant_at(place) as plant:
        found = plant.run(plant.adapter.read(filter_str, limit, token=token))
    rows: Sequence[Entity] = found
    if tags is not None:
        wanted = {"id", *tags}
        rows = [{name: one[name] for name in one if name in wanted} for one in found]
    if json:
        for row in rows:
            say_json(json_of(row))
    elif format is not None:
        _say_grid(rows, format)
    else:
        _say_entities(rows, tags)
    if found.more:
        complain(f"cut after {entities_text(len(found))}; those that follow: --token {found.token}")


def _say_grid(rows: Sequence[Entity], format: GridFormat) -> None:  # noqa: A002
    sys.stdout.flush()
    sys.stdout.buffer.write(codec_of(format, "-").encode(Grid(rows)))


def _say_entities(rows: Sequence[Entity], tags: list[str] | None) -> None:
    """A table: what is only a marker stands in one column."""
    if tags is None:
        names = dict.fromkeys(name for row in rows for name in row)
        marked = {name for row in rows for name in markers_of(row)}
        valued = {name for row in rows for name in row if name not in markers_of(row)}
        columns = [name for name in names if name in valued and name not in _COLUMNS]
        columns = [*(name for name in _COLUMNS if name in valued), *columns]
        cells = [[shown(row.get(name)) for name in columns] for row in rows]
        if marked:
            for row, line in zip(rows, cells, strict=True):
                line.append(" ".join(markers_of(row)))
            columns.append("markers")
    else:
        columns = ["id", *(name for name in tags if name != "id")]
        cells = [[shown(row.get(name)) for name in columns] for row in rows]
    say_table(columns, cells)


@hs_command
def nav(
    place: PLACE,
    id: Annotated[  # noqa: A002
        str | None, typer.Argument(help="Begin there; else with the sites.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="How many levels.")] = 100,
    json: JSON = False,
) -> None:
    """Print the tree of sites, spaces, equipment and points.

    With --json a line for each place, with its level and the id of what it lies under.

    \b
    Examples:
      holdall hs nav plant.db
      holdall hs nav plant.db @ahu-1 --depth 1
    """
    with plant_at(place) as plant:
        for row, parents, lead in _tree(plant, id, depth):
            if json:
                under = {"under": parents[-1]} if parents else {}
                say_json({"level": len(parents) + 1, **under, **json_of(row)})
            else:
                say(lead + _label(row))


def _tree(
    plant: Plant, place: str | None, depth: int, parents: tuple[str, ...] = (), lead: str = ""
) -> Iterator[tuple[Entity, tuple[str, ...], str]]:
    """Rows with the ids above them, and what stands before them in their line."""
    rows = plant.run(plant.adapter.nav(place))
    for at, row in enumerate(rows, 1):
        of, last = str(row["id"]), at == len(rows)
        yield row, parents, (lead + ("└─ " if last else "├─ ")) if parents else ""
        # What lies in itself is shown once.
        if "navId" in row and len(parents) + 1 < depth and of not in parents:
            below = lead + ("   " if last else "│  ") if parents else ""
            yield from _tree(plant, str(row["navId"]), depth, (*parents, of), below)


def _label(row: Entity) -> str:
    kind = next((name for name in ("site", "space", "equip", "point") if name in row), "")
    parts = [shown(row["dis"]) if "dis" in row else "", str(row["id"]), kind]
    if "curVal" in row:
        parts.append(shown(row["curVal"]))
    return "  ".join(part for part in parts if part)
