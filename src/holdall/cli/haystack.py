"""The commands for entities and histories: `holdall hs …`."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from holdall.cli.app import app, command_of
from holdall.core.errors import InvalidConfig, NotFound

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from holdall.haystack.adapter.face import HaystackAdapter

T = TypeVar("T")

# Every command imports this file, so that what reads stores is imported by those of this group.

HELP = """Tagged entities and their histories (Project Haystack): SQLite, PostgreSQL, Redis.

A store is an address (sqlite:///plant.db, postgresql://host/plant, redis://host), or the path of
an SQLite file (plant.db).

\b
  holdall hs load plant.db site.zinc points.trio
  holdall hs read plant.db 'point and temp and siteRef->area > 1000'
  holdall hs nav plant.db
  holdall hs his-write plant.db june.csv
  holdall hs his-read plant.db @p1 2024-06-15 --plot
  holdall hs copy plant.db postgresql://host/plant
"""

group = typer.Typer(
    name="hs", help=HELP, rich_markup_mode=None, no_args_is_help=True, add_completion=False
)
app.add_typer(group)

PLACE = Annotated[str, typer.Argument(help="The store.", metavar="STORE")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
FILTER_HELP = (
    "Which entities, such as 'point and temp' or 'equip and siteRef->area > 1000ft²'; the language "
    "is Project Haystack's."
)

_SQLITE = (".db", ".sqlite", ".sqlite3")


class GridFormat(StrEnum):
    """The text formats of grids."""

    zinc = "zinc"
    json = "json"
    json3 = "json3"
    trio = "trio"
    csv = "csv"


def hs_command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command of `holdall hs`; see `holdall.cli.app.command`."""
    return command_of(group, function)


class Plant:
    """An adapter that is called from outside of its event loop, which runs for the call only.

    Args:
        adapter: The adapter.
        runner: What runs the loop.
    """

    def __init__(self, adapter: HaystackAdapter, runner: asyncio.Runner) -> None:
        self.adapter = adapter
        self.runner = runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a call to its end."""
        return self.runner.run(work)


@contextmanager
def plant_at(place: str, *, new: bool = False, beside: Plant | None = None) -> Iterator[Plant]:
    """Open the store at a place of the command line.

    Args:
        place: An address, or the path of a file.
        new: Whether a file that is not there is one to be made.
        beside: One whose loop it shares, so that a call may use both.

    Raises:
        InvalidConfig: It is no address, and the path of nothing known.
        NotFound: There is no such file.
    """
    import asyncio

    adapter = _opened(place)
    entities = adapter.stores[0]
    path = getattr(entities.settings, "path", None) if entities.type == "sqlite" else None
    if path is not None and not new and not os.path.exists(path):
        raise NotFound(f"{path}: there is no store; 'holdall hs load' makes one")
    with asyncio.Runner() if beside is None else nullcontext(beside.runner) as runner:
        plant = Plant(adapter, runner)
        try:
            plant.run(adapter.connect())
            yield plant
        finally:
            plant.run(adapter.close())


def _opened(place: str) -> HaystackAdapter:
    from holdall.haystack.opening import open_adapter

    if place.lower().startswith("memory:"):
        raise InvalidConfig(
            "memory:// lives in the process that opens it, and a command ends: name a place that "
            "keeps what is written"
        )
    if "://" in place:
        return open_adapter(place)
    if place.endswith(_SQLITE):
        from holdall.haystack.sqlite import SqliteAdapter

        return SqliteAdapter(os.path.abspath(os.path.expanduser(place)))
    raise InvalidConfig(
        f"{place!r} is no store: write an address such as sqlite:///{place}, or the path of an "
        f"SQLite file ({', '.join(_SQLITE)})"
    )
