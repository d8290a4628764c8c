"""Upkeep of tables of Delta Lake: `holdall db compact`, `vacuum`, `verify`, `versions`."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from holdall.cli import INTERRUPTED
from holdall.cli.databases import JSON, PLACE, database_at, db_command
from holdall.cli.output import complain, count_text, say, say_json
from holdall.cli.syncing import age_of
from holdall.core.errors import HoldallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

# What reads tables is imported by the commands, since every other command imports this file.

_SHOWN = 20
_PIECE_SECONDS = 0.2


@db_command
def compact(place: PLACE, json: JSON = False) -> None:
    """Join the small files of a Delta Lake table into large ones, so that searches read fewer.

    It is one commit: others may read and write meanwhile, and when it is interrupted, the table is
    as it was. The files that were joined stay for versions before, until 'holdall db vacuum'.

    \b
    Examples:
      holdall db compact delta+s3://bucket/table
      holdall db compact delta+file:///srv/table --json
    """
    from holdall.records import delta

    with database_at(place) as db:
        done = _stoppable("joining files", lambda: delta.compact(db))
    if json:
        say_json({"before": done.before, "after": done.after})
    elif done.before == done.after:
        say(f"{count_text(done.before, 'file')}, nothing to join")
    else:
        say(f"{count_text(done.before, 'file')} before, {done.after:,} now")


@db_command
def vacuum(
    place: PLACE,
    retention: Annotated[
        str, typer.Option(help="Keep what versions of this time need: 36h, 7d, 4w.")
    ] = "7d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say which, delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JSON = False,
) -> None:
    """Delete the files of a Delta Lake table that no version needs any more. It asks first.

    Older versions can no longer be read then (the setting at_version). What writers that were
    killed left behind goes too. A writer that has been writing for longer than the retention loses
    its files: choose one that is longer than any write takes.

    \b
    Examples:
      holdall db vacuum delta+s3://bucket/table --dry-run
      holdall db vacuum delta+s3://bucket/table --retention 30d --yes
    """
    from holdall.records import delta

    age = age_of(retention)
    with database_at(place) as db:
        found = _stoppable("looking for files", lambda: delta.vacuum(db, age, dry_run=True))
        if found.files and not dry_run:
            if not yes and not typer.confirm(
                f"Delete {count_text(len(found.files), 'file')} of {place}?", err=True
            ):
                raise HoldallError("nothing was deleted")
            found = _stoppable("deleting files", lambda: delta.vacuum(db, age))
    if json:
        say_json({"files": found.files, "deleted": found.deleted})
        return
    _say_files(found.files, dry_run=dry_run)


@db_command
def verify(place: PLACE, json: JSON = False) -> int:
    """Look for ids that a Delta Lake table holds more than once.

    Holdall makes none; another program that appends to the table may.

    \b
    Example:
      holdall db verify delta+s3://bucket/table

    \b
    Exit codes: 0 every id is there once; 1 some are not; 2 a mistake in the command.
    """
    from holdall.records import delta

    with database_at(place) as db:
        ids = _stoppable("comparing ids", lambda: delta.verify(db))
        number = 0 if json or ids else db.count()
    if json:
        say_json({"repeated": ids})
    elif ids:
        complain(f"{count_text(len(ids), 'id')} of several rows, or of none:")
        for id_ in ids[:_SHOWN]:
            complain(f"  {id_!r}" if id_ else "  rows without an id")
        if len(ids) > _SHOWN:
            complain(f"  and {len(ids) - _SHOWN:,} more; --json names them all")
    else:
        say(f"{count_text(number, 'record')}, every id once")
    return 1 if ids else 0


@db_command
def versions(
    place: PLACE,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="At most so many.")] = None,
    json: JSON = False,
) -> None:
    """Print the versions of a Delta Lake table, the newest first.

    An older one is read by naming it in the address, as long as its files are there.

    \b
    Examples:
      holdall db versions delta+s3://bucket/table --limit 5
      holdall db search 'delta+s3://bucket/table?at_version=41' 'age >= 30'
    """
    from holdall.records import delta

    with database_at(place) as db:
        found = delta.versions(db, limit)
    for one in found:
        if json:
            written = one.written.isoformat()
            say_json({"version": one.number, "written": written, "operation": one.operation})
        else:
            say(f"{one.number:>8}  {one.written:%Y-%m-%d %H:%M:%S}  {one.operation}")


def _say_files(files: tuple[str, ...], *, dry_run: bool) -> None:
    if not files:
        say("nothing to delete")
    elif dry_run:
        for file in files:
            say(file)
        say(f"{count_text(len(files), 'file')} to delete")
    else:
        say(f"deleted {count_text(len(files), 'file')}")


@contextmanager
def _busy(title: str) -> Iterator[None]:
    """Show on a terminal that something is going on, and for how long."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(title, total=None)
        yield


def _stoppable(title: str, work: Callable[[], T]) -> T:
    """Do what the driver does in one piece, in a way that Ctrl-C ends; a terminal shows it is busy.

    The driver hears nothing before it is done, and whatever it has not committed does not count:
    so the process may end at once.
    """
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            with _busy(title):
                while not done.done():
                    wait([done], _PIECE_SECONDS)
        except KeyboardInterrupt:
            complain("interrupted; what is not committed does not count")
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        return done.result()
