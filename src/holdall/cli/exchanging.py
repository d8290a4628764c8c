"""Records from and to files and other databases: `holdall db import`, `export`, `migrate`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import Enum, StrEnum
from typing import IO, TYPE_CHECKING, Annotated

import typer

from holdall.cli.databases import CONDITION, JSON, PLACE, database_at, db_command, query_of
from holdall.cli.output import complain, count_text, say, say_json
from holdall.records.exchange import export_records, import_records
from holdall.records.migration import migrate as migrate_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdall.core.errors import HoldallError
    from holdall.records.exchange.importing import ImportMode

_SHOWN = 20


class Format(StrEnum):
    """The formats of files."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    arrow = "arrow"


class Conflict(Enum):
    """What to do where the target has another record of the same id."""

    skip = "skip"
    replace = "replace"
    fail = "fail"


FILE = Annotated[str, typer.Argument(help="A file; - is standard input or output.")]
FORMAT = Annotated[Format | None, typer.Option(help="What is in the file; else its name says.")]


@db_command
def _import(
    place: PLACE,
    file: FILE,
    format: FORMAT = None,  # noqa: A002
    upsert: Annotated[
        bool, typer.Option("--upsert", help="Write over records of the same ids.")
    ] = False,
    id_field: Annotated[str, typer.Option(help="The field or column that is the id.")] = "id",
    infer: Annotated[
        bool, typer.Option("--infer", help="CSV: take for numbers what looks like them.")
    ] = False,
    json: JSON = False,
) -> int:
    """Write the records of a file: JSON Lines, CSV, Parquet or Arrow.

    A record that cannot be written is told, and the others go on.

    \b
    Examples:
      holdall db import app.db people.jsonl
      holdall db import app.db people.csv --infer --id-field email --upsert
      zcat people.jsonl.gz | holdall db import app.db - --format jsonl
    """
    source: str | IO[bytes] = sys.stdin.buffer if file == "-" else file
    mode: ImportMode = "upsert" if upsert else "create"
    with database_at(place, new=True) as db, bar("import") as progress:
        report = import_records(
            db,
            source,
            _word(format, file),
            mode,
            id_field=id_field,
            progress=progress,
            types="infer" if infer else None,
        )
    if json:
        say_json({"read": report.read, "written": report.written, "failed": len(report.failed)})
    else:
        say(f"wrote {count_text(report.written, 'record')} of {report.read:,}")
    _complain([failure.error for failure in report.failed])
    return 0 if report.ok else 1


@db_command
def export(
    place: PLACE,
    file: FILE,
    condition: CONDITION = "",
    format: FORMAT = None,  # noqa: A002
    sort: Annotated[
        list[str] | None, typer.Option("--sort", "-s", help="A field to sort by; -field: down.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="At most so many.")] = None,
) -> None:
    """Write records to a file: JSON Lines, CSV, Parquet or Arrow.

    JSON Lines keeps every value as it is. The file is there when all is written.

    \b
    Examples:
      holdall db export app.db people.jsonl
      holdall db export app.db adults.parquet 'age >= 18' --sort name
      holdall db export app.db - --format csv | column -s, -t
    """
    target: str | IO[bytes] = sys.stdout.buffer if file == "-" else file
    query = query_of(condition, sort or (), limit)
    with database_at(place) as db, bar("export") as progress:
        number = export_records(db, target, _word(format, file), query, progress)
    if file != "-":
        say(f"wrote {count_text(number, 'record')} to {file}")


@db_command
def migrate(
    source: PLACE,
    target: Annotated[str, typer.Argument(help="The database they go to.", metavar="TARGET")],
    condition: CONDITION = "",
    on_conflict: Annotated[
        Conflict, typer.Option(help="Where the target has another record of the same id.")
    ] = Conflict.skip,
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Delete what the target has for sure.")
    ] = False,
    workers: Annotated[int, typer.Option(help="How many batches at a time.")] = 4,
    json: JSON = False,
) -> int:
    """Write records of one database to another, and read each back to compare.

    Run it again after an interruption: what the target has already counts as done.

    \b
    Examples:
      holdall db migrate app.db s3://archive/records/
      holdall db migrate app.db s3://archive/records/ 'created_at < "2020"' --delete-source
    """
    query = query_of(condition)
    with (
        database_at(source) as old,
        database_at(target, new=True) as new,
        bar("migrate") as progress,
    ):
        report = migrate_records(
            old,
            new,
            query,
            on_conflict=on_conflict.value,
            delete_source=delete_source,
            workers=workers,
            progress=progress,
        )
    names = ("written", "replaced", "same", "skipped", "deleted")
    counts = {name: getattr(report, name) for name in names}
    if json:
        failed = {"failed": len(report.failed), "kept": len(report.kept)}
        say_json({"read": report.read, **counts, **failed})
    else:
        done = [f"{number:,} {name}" for name, number in counts.items() if number]
        say(", ".join([f"read {count_text(report.read, 'record')}", *done]))
    _complain([failure.error for failure in (*report.failed, *report.kept)])
    return 0 if report.ok else 1


def _word(named: Format | None, file: str) -> str | None:
    if named is None:
        return "jsonl" if file == "-" else None
    return named.value


def _complain(errors: Sequence[HoldallError]) -> None:
    for error in errors[:_SHOWN]:
        complain(error)
    if len(errors) > _SHOWN:
        complain(f"and {len(errors) - _SHOWN:,} more")


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar of records on standard error; None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
