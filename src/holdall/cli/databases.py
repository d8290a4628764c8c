"""The commands for records: `holdall db …`."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from holdall.cli.app import app, command_of
from holdall.cli.output import complain, count_text, say, say_json, say_table
from holdall.core.errors import InvalidConfig, NotFound
from holdall.records.encoding import from_plain, to_plain
from holdall.records.opening import open_database
from holdall.records.paths import ABSENT, parse_path, show_path
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.text import parse_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdall.records.database import Database
    from holdall.records.paths import Path

HELP = """Records in a database: SQLite, PostgreSQL, Delta Lake, or any object store.

A database is an address (sqlite:///app.db, postgresql://host/app, s3://bucket/records/), the path
of an SQLite file (app.db), or the path of a configuration file (database.toml).

\b
  holdall db create app.db '{"id": "user-1", "name": "Alice", "age": 30}'
  holdall db get app.db user-1
  holdall db search app.db 'department = "Engineering" and age >= 30' --sort -age --limit 10
  holdall db count app.db 'email missing'
"""

CONDITION_HELP = (
    "Which records, such as 'age >= 30 and name like \"A%\"'. Operators: = != < <= > >= in, "
    "not in, like, ilike, regex, startswith, endswith, contains, between, exists, missing, is null."
)

group = typer.Typer(
    name="db", help=HELP, rich_markup_mode=None, no_args_is_help=True, add_completion=False
)
app.add_typer(group)

PLACE = Annotated[str, typer.Argument(help="The database.", metavar="DATABASE")]
CONDITION = Annotated[str, typer.Argument(help=CONDITION_HELP)]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

_SQLITE = (".db", ".sqlite", ".sqlite3")
_CONFIGURATION = (".toml", ".yaml", ".yml", ".json")


def db_command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command of `holdall db`; see `holdall.cli.app.command`."""
    return command_of(group, function)


def database_at(place: str, *, new: bool = False) -> Database:
    """The database at a place of the command line.

    Args:
        place: An address, or a path.
        new: Whether a file that is not there is one to be made.

    Raises:
        InvalidConfig: It is no address, and the path of nothing known.
        NotFound: There is no such file.
    """
    db = _opened(place)
    path = getattr(db.store.settings, "path", None) if db.store.type == "sqlite" else None
    if path is not None and not new and not os.path.exists(path):
        raise NotFound(f"{path}: there is no database; 'holdall db create' makes one")
    return db


def _opened(place: str) -> Database:
    if "://" in place:
        return open_database(place)
    path = os.path.abspath(os.path.expanduser(place))
    if path.endswith(_SQLITE):
        return open_database({"type": "sqlite", "path": path})
    if path.endswith(_CONFIGURATION):
        return open_database(pathlib.Path(path))
    raise InvalidConfig(
        f"{place!r} is no database: write an address such as sqlite:///{place}, the path of an "
        f"SQLite file ({', '.join(_SQLITE)}) or of a configuration ({', '.join(_CONFIGURATION)})"
    )


@db_command
def create(
    place: PLACE,
    fields: Annotated[str, typer.Argument(help="The fields as a JSON object; - reads it.")],
    id: Annotated[  # noqa: A002
        str | None, typer.Option(help="Its id; else the field 'id', or a new one.")
    ] = None,
    metadata: Annotated[str | None, typer.Option(help="Its metadata as a JSON object.")] = None,
    upsert: Annotated[bool, typer.Option("--upsert", help="Write over one of this id.")] = False,
    json: JSON = False,
) -> None:
    """Write a new record, and print its id.

    \b
    Examples:
      holdall db create app.db '{"id": "user-1", "name": "Alice"}'
      curl -s https://example.org/user.json | holdall db create app.db - --id user-2
    """
    record = Record(_object(fields, "the record"), id, _object(metadata, "--metadata"))
    with database_at(place, new=True) as db:
        written = db.upsert(record) if upsert else db.create(record)
    if json:
        say_json({"id": written})
    else:
        say(written)


@db_command
def get(
    place: PLACE,
    ids: Annotated[list[str], typer.Argument(help="Ids of records.")],
    json: JSON = False,
) -> int:
    """Print records by their ids.

    \b
    Examples:
      holdall db get app.db user-1
      holdall db get app.db user-1 user-2 --json
    """
    with database_at(place) as db:
        records = db.batch_read(ids)
    for at, (id_, record) in enumerate(zip(ids, records, strict=True)):
        if record is None:
            complain(f"there is no record {id_!r}")
        elif json:
            say(record.to_json())
        else:
            if at:
                say("")
            _say_record(record)
    return 1 if None in records else 0


@db_command
def update(
    place: PLACE,
    id: Annotated[str, typer.Argument(help="Its id.")],  # noqa: A002
    fields: Annotated[str, typer.Argument(help="The fields as a JSON object; - reads it.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Make these all of its fields, and drop the others.")
    ] = False,
    json: JSON = False,
) -> None:
    """Change some fields of a record; a dotted name leads into a field.

    \b
    Examples:
      holdall db update app.db user-1 '{"email": "a@example.org", "address.city": "Bern"}'
      holdall db update app.db user-1 '{"name": "Alice"}' --replace
    """
    changes = _object(fields, "the record")
    with database_at(place) as db:
        if replace:
            record = db.read(id)
            if record is None:
                raise NotFound(f"there is no record {id!r} to update")
            record.fields = Record(changes).fields
            db.update(id, record)
        else:
            record = db.patch(id, changes)
    if json:
        say(record.to_json())


@db_command
def rm(
    place: PLACE,
    ids: Annotated[list[str], typer.Argument(help="Ids of records.")],
    json: JSON = False,
) -> int:
    """Delete records by their ids.

    \b
    Example:
      holdall db rm app.db user-1 user-2
    """
    with database_at(place) as db:
        deleted = db.batch_delete(ids)
    for id_, was in zip(ids, deleted, strict=True):
        if json:
            say_json({"id": id_, "deleted": was})
        if not was:
            complain(f"there was no record {id_!r}")
    return 0 if all(deleted) else 1


@db_command
def search(
    place: PLACE,
    condition: CONDITION = "",
    sort: Annotated[
        list[str] | None, typer.Option("--sort", "-s", help="A field to sort by; -field: down.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="At most so many.")] = None,
    offset: Annotated[int, typer.Option(help="Leave out so many first.")] = 0,
    select: Annotated[
        str | None, typer.Option(help="Only these fields, with commas between.")
    ] = None,
    json: JSON = False,
) -> None:
    """Print the records that meet a condition; all of them without one.

    \b
    Examples:
      holdall db search app.db 'department = "Engineering" and age >= 30' --sort -age --limit 10
      holdall db search s3://bucket/records/ 'left missing' --select name,email
      holdall db search app.db 'tags contains "new"' --json | jq .fields
    """
    query = query_of(condition, sort or (), limit, offset)
    columns = None if select is None else [name.strip() for name in select.split(",")]
    if columns is not None:
        query = query.select(*columns)
    with database_at(place) as db:
        if json:
            for record in db.stream_read(query):
                say(record.to_json())
        else:
            _say_table(list(db.stream_read(query)), columns)


@db_command
def count(place: PLACE, condition: CONDITION = "", json: JSON = False) -> None:
    """Print how many records there are, or meet a condition.

    \b
    Example:
      holdall db count app.db 'email missing'
    """
    with database_at(place) as db:
        number = db.count(query_of(condition))
    if json:
        say_json({"count": number})
    else:
        say(str(number))


@db_command
def index(
    place: PLACE,
    fields: Annotated[list[str], typer.Argument(help="Fields or paths.")],
    json: JSON = False,
) -> None:
    """Make searches and sorts by these fields faster, each by itself.

    \b
    Example:
      holdall db index app.db department created_at
    """
    with database_at(place) as db:
        db.create_index(*fields)
    if json:
        say_json({"indexed": fields})
    else:
        say(f"indexed {', '.join(fields)}")


def query_of(
    condition: str, sort: Iterable[str] = (), limit: int | None = None, offset: int = 0
) -> Query:
    """The query that words of a command line mean; a sort is `field` or `-field`."""
    query = Query().filter(parse_condition(condition)).offset(offset)
    for field in sort:
        query = query.sort(field.removeprefix("-"), "desc" if field.startswith("-") else "asc")
    return query if limit is None else query.limit(limit)


def _object(text: str | None, what: str) -> dict[str, Any]:
    """The named values that a JSON text of the command line holds."""
    if text is None:
        return {}
    body = sys.stdin.buffer.read() if text == "-" else text.encode()
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"{what} is no JSON: {error}") from error
    if type(value) is not dict:
        raise ValueError(f'{what} must be a JSON object, such as {{"name": "Alice"}}')
    return {name: from_plain(one) for name, one in value.items()}


def _shown(value: Any) -> str:
    """A value for people, on one line."""
    if value is ABSENT:
        return ""
    if isinstance(value, str):
        return value if value.isprintable() else repr(value)
    if value is None or isinstance(value, (bool, list, dict)):
        return msgspec.json.encode(to_plain(value)).decode()
    return str(value)


def _say_record(record: Record) -> None:
    rows = {"id": record.id, **record.fields}
    rows |= {show_path(("metadata", name)): value for name, value in record.metadata.items()}
    rows.pop("metadata.id", None)
    width = max(map(len, rows))
    for name, value in rows.items():
        say(f"{name:{width}}  {_shown(value)}")


def _say_table(records: list[Record], columns: list[str] | None) -> None:
    if columns is None:
        columns = list(dict.fromkeys(name for one in records for name in one.fields))
        paths: list[Path] = [(name,) for name in columns]
    else:
        paths = [parse_path(name) for name in columns]
    if "id" not in columns:
        columns, paths = ["id", *columns], [("id",), *paths]
    rows = [[_shown(one.find(path)) for path in paths] for one in records]
    say_table(columns, rows)
    if sys.stdout.isatty():
        say(count_text(len(records), "record"))
