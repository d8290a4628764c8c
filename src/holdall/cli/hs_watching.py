"""Entities as they change: `holdall hs watch`."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import uuid4

import typer

from holdall.cli.haystack import FILTER_HELP, JSON, PLACE, hs_command, plant_at
from holdall.cli.hs_points import ids_of
from holdall.cli.hs_values import entities_text, json_of, shown
from holdall.cli.output import complain, say, say_json
from holdall.cli.syncing import age_of
from holdall.core.errors import NotFound
from holdall.haystack.adapter.taking import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdall.cli.haystack import Plant
    from holdall.haystack.stores.entities import Entity

_SHOWN: Final = ("dis", "curVal", "curStatus", "writeVal", "writeLevel")
_LONGEST_LEASE: Final = 300.0


@hs_command
def watch(
    place: PLACE,
    words: Annotated[
        list[str],
        typer.Argument(help=f"Ids, each with @; or a filter. {FILTER_HELP}", metavar="FILTER|@ID…"),
    ],
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.05, max=60, help="Seconds between looks.")
    ] = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="End after so many changes.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="End after this time: 30s, 10m, 2h.")
    ] = None,
    json: JSON = False,
) -> None:
    """Show entities as they change, whoever changes them, until Ctrl-C.

    On a terminal it is a table that follows; elsewhere, a line for each tag that changed. With
    --json an entity a line as it is then, and one that was deleted with the marker 'removed'. A
    filter says which entities are watched when it begins.

    \b
    Examples:
      holdall hs watch plant.db 'point and temp'
      holdall hs watch plant.db @p1 @p2 --json | jq -r .curVal.val
      holdall hs watch plant.db 'point' --json --count 1 --for 10m
    """
    end = None if lasting is None else time.monotonic() + age_of(lasting).total_seconds()
    with plant_at(place) as plant:
        ids = _ids(plant, words)
        watch_id = f"holdall-{uuid4().hex}"
        # Should this process be killed, what watches is gone after some looks.
        lease = min(max(10 * interval, 10.0), _LONGEST_LEASE)
        now = plant.run(plant.adapter.watch_sub(watch_id, ids, lease=lease))
        try:
            with _shower(now, json=json) as show:
                left = count
                while True:
                    changed = plant.run(plant.adapter.watch_poll(watch_id))[:left]
                    show(changed)
                    left = None if left is None else left - len(changed)
                    rest = interval if end is None else min(interval, end - time.monotonic())
                    if left == 0 or rest <= 0:
                        return
                    plant.run(asyncio.sleep(rest))
        finally:
            plant.run(plant.adapter.watch_unsub(watch_id, close=True))


def _ids(plant: Plant, words: Sequence[str]) -> list[str]:
    if words[0].startswith("@"):
        ids = ids_of(words)
        there = plant.run(plant.adapter.read_by_ids(ids))
        for of, entity in zip(ids, there, strict=True):
            if entity is None:
                complain(f"there is no entity @{of} yet")
        return ids
    if len(words) > 1:
        raise ValueError(f"a filter is one word in quotes, and ids begin with @: {words[1]!r}")
    found = plant.run(plant.adapter.read(words[0]))
    if not found:
        raise NotFound(f"no entity meets {words[0]!r}: there is nothing to watch")
    if found.more:
        complain(f"watches the first {entities_text(len(found))}; there are more")
    return [id_of(entity) for entity in found]


@contextmanager
def _shower(
    now: Sequence[Entity | None], *, json: bool
) -> Iterator[Callable[[Sequence[Entity]], None]]:
    """What shows changes, beginning with entities as they are now."""
    known = {id_of(entity): entity for entity in now if entity is not None}
    if json:

        def as_json(changed: Sequence[Entity]) -> None:
            for entity in changed:
                say_json(json_of(entity))
            sys.stdout.flush()

        yield as_json
    elif not sys.stdout.isatty():

        def as_lines(changed: Sequence[Entity]) -> None:
            for entity in changed:
                for line in _differences(known.get(id_of(entity), {}), entity):
                    say(line)
                known[id_of(entity)] = entity
            sys.stdout.flush()

        yield as_lines
    else:
        from rich.live import Live

        times: dict[str, str] = {}
        with Live(_table(known, times), auto_refresh=False) as live:

            def as_table(changed: Sequence[Entity]) -> None:
                for entity in changed:
                    known[id_of(entity)] = entity
                    times[id_of(entity)] = _now()
                if changed:
                    live.update(_table(known, times), refresh=True)

            yield as_table


def _now() -> str:
    return datetime.now(UTC).astimezone().strftime("%H:%M:%S")


def _differences(before: Entity, now: Entity) -> list[str]:
    lead = f"{_now()}\t@{id_of(now)}"
    if "removed" in now and len(now) == 2:
        return [f"{lead}\tremoved"]
    changed = [name for name in now if name != "id" and before.get(name) != now[name]]
    lines = [f"{lead}\t{name}\t{shown(now[name])}" for name in changed]
    return lines + [f"{lead}\t{name}\tremoved" for name in before if name not in now]


def _table(known: dict[str, Entity], times: dict[str, str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    columns = [name for name in _SHOWN if any(name in entity for entity in known.values())]
    table = Table(box=None, pad_edge=False)
    for name in ("id", *columns, "changed"):
        table.add_column(Text(name))
    for of, entity in known.items():
        cells = [f"@{of}", *(shown(entity.get(name)) for name in columns)]
        cells.append(times.get(of, "") + (" removed" if "removed" in entity else ""))
        table.add_row(*map(Text, cells), style="bold" if of in times else "")
    return table
