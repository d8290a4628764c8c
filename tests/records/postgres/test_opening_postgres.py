"""How a database in PostgreSQL is named, and what is said when it cannot be reached."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from holdall.core.errors import (
    HoldallError,
    InvalidConfig,
    NotFound,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
)
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.records.async_database import AsyncDatabase
from holdall.records.backends.postgres import PostgresRecords, PostgresSettings
from holdall.records.database import Database
from holdall.records.record import Record
from records.postgres.conftest import Open
from serving import databases
from serving.databases import PostgresServer
from serving.process import HOST, free_port

Ask = Callable[[str], list[tuple[Any, ...]]]


def _said(error: BaseException | None) -> str:
    """What an error says, and those that it came from."""
    return "" if error is None else f"{error!r} {error} {_said(error.__cause__)}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", {}),
        ("postgresql://h/d", {"host": "h", "database": "d"}),
        ("postgresql://h:5433", {"host": "h", "port": 5433}),
        ("postgresql:///d", {"database": "d"}),
        (
            "postgresql://u:p%40ss@[::1]:5433/d%2Fe",
            {"host": "::1", "port": 5433, "database": "d/e", "user": "u", "password": "p@ss"},
        ),
        ("postgresql://%2Frun%2Fpg/d", {"host": "/run/pg", "database": "d"}),
        ("postgresql://a:1,b:2/d", {"dsn": "postgresql://a:1,b:2/d"}),
    ],
)
def test_an_address_stands_for_settings(url: str, expected: dict[str, Any]) -> None:
    assert PostgresRecords.settings_of(url) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"table": ""},
        {"table": "x" * 64},
        {"table": "a\0b"},
        {"schema": "a\ud800"},
        {"connections": 0},
        {"timeout": timedelta(0)},
        {"connect_timeout": timedelta(milliseconds=999)},
        {"dsn": Secret("host=x"), "host": "y"},
    ],
)
def test_a_setting_that_cannot_be_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        PostgresRecords.open(PostgresSettings(**wrong), BlockingRuntime())


def test_a_port_that_is_none_is_refused_without_the_password() -> None:
    with pytest.raises(InvalidConfig) as caught:
        PostgresRecords.settings_of("postgresql://u:hidden@h:port/d")
    assert "hidden" not in _said(caught.value)


def test_a_dsn_opens_all_of_it(options: dict[str, Any], postgres_server: PostgresServer) -> None:
    dsn = postgres_server.dsn(options["database"])
    settings = PostgresSettings(dsn=Secret(dsn), table=options["table"])
    with Database(PostgresRecords.open(settings, BlockingRuntime())) as db:
        db.create(Record({"x": 1}, id="a"))
        assert db.exists("a")
        assert options["database"] in db.store.address
        assert databases.PASSWORD not in db.store.address


def test_a_dsn_that_is_none_is_not_shown() -> None:
    settings = PostgresSettings(dsn=Secret("postgresql://u:hidden@h/d?nonsense=hidden"))
    db = Database(PostgresRecords.open(settings, BlockingRuntime()))
    with pytest.raises(InvalidConfig, match="'dsn'") as caught:
        db.count()
    assert "hidden" not in _said(caught.value)


def test_a_configuration_holds_no_secret(options: dict[str, Any]) -> None:
    settings = PostgresSettings(**options, password=Secret("hidden"))
    store = PostgresRecords.open(settings, BlockingRuntime())
    assert "hidden" not in store.config_json() + repr(settings) + store.address
    place = {"env": "PGPASSWORD"}
    known = PostgresRecords.open(
        PostgresSettings(**options, password=Secret(place)), BlockingRuntime()
    )
    assert str(place).replace("'", '"').replace(" ", "") in known.config_json()


def test_an_unreachable_server_is_unavailable_for_now(open_db: Open) -> None:
    db = open_db(port=free_port())
    with pytest.raises(Unavailable) as caught:
        db.count()
    assert caught.value.transient
    assert not caught.value.uncertain


def test_an_unreachable_server_is_unavailable_on_a_loop(options: dict[str, Any]) -> None:
    async def count() -> None:
        settings = PostgresSettings(**{**options, "port": free_port()})
        async with AsyncDatabase(PostgresRecords.open(settings, LoopRuntime())) as db:
            await db.count()

    with pytest.raises(Unavailable):
        asyncio.run(count())


@pytest.mark.parametrize("user", [databases.USER, "nobody there"])
def test_a_wrong_password_is_told_without_it(open_db: Open, user: str) -> None:
    db = open_db(user=user, password=Secret("hidden"))
    with pytest.raises(Unauthenticated) as caught:
        db.count()
    assert not caught.value.transient
    assert "hidden" not in _said(caught.value)


def test_a_missing_database_is_not_made(open_db: Open) -> None:
    with pytest.raises(InvalidConfig, match="no_such"):
        open_db(database="no_such").count()


def test_a_missing_schema_is_not_made(open_db: Open) -> None:
    with pytest.raises(InvalidConfig, match="no_such"):
        open_db(schema="no_such").count()


def test_a_table_may_be_in_another_schema(open_db: Open, ask: Ask) -> None:
    ask('CREATE SCHEMA IF NOT EXISTS "an other"')
    open_db(schema="an other", table='ta"ble').create(Record({}, id="a"))
    assert ask('SELECT id FROM "an other"."ta""ble"') == [("a",)]


@pytest.mark.parametrize(
    "columns",
    [
        "id text PRIMARY KEY, fields json",
        """id text PRIMARY KEY, fields json NOT NULL, metadata json NOT NULL,
        created timestamptz NOT NULL, updated timestamptz NOT NULL, version text NOT NULL,
        odd smallint NOT NULL, data jsonb GENERATED ALWAYS AS (fields::jsonb) STORED""",
        """id text COLLATE "C" PRIMARY KEY, fields json NOT NULL, metadata json NOT NULL,
        created timestamptz NOT NULL, updated timestamptz NOT NULL, version text NOT NULL,
        odd smallint NOT NULL, data jsonb""",
    ],
    ids=["others", "ids in another order", "data of its own"],
)
def test_a_table_of_something_else_is_left_alone(db: Database, ask: Ask, columns: str) -> None:
    ask(f"CREATE TABLE TABLE_ ({columns})")
    with pytest.raises(InvalidConfig, match="table"):
        db.create(Record({}, id="a"))
    assert ask("SELECT count(*) FROM TABLE_") == [(0,)]


def test_many_may_make_the_table_at_once(open_db: Open) -> None:
    stores = [open_db() for _ in range(8)]
    together = threading.Barrier(len(stores))
    errors: list[BaseException] = []

    def write(db: Database) -> None:
        together.wait()
        try:
            db.create(Record({}))
        except HoldallError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(db,)) for db in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert stores[0].count() == len(stores)


def test_a_table_that_was_removed_is_made_anew(db: Database, ask: Ask) -> None:
    db.create(Record({}, id="a"))
    ask("DROP TABLE TABLE_")
    with pytest.raises(NotFound, match="table"):
        db.count()
    assert db.count() == 0


def test_a_user_may_read_without_the_right_to_write(
    db: Database, open_db: Open, ask: Ask, options: dict[str, Any]
) -> None:
    reader = f"reader_{options['table']}"
    db.create(Record({}, id="a"))
    ask(f"CREATE ROLE {reader} LOGIN PASSWORD 'reads'")
    ask(f"GRANT SELECT ON TABLE_ TO {reader}")
    limited = open_db(user=reader, password=Secret("reads"))
    assert limited.count() == 1
    with pytest.raises(PermissionDenied):
        limited.delete("a")
    assert db.exists("a")


def test_a_user_without_rights_makes_no_table(
    open_db: Open, ask: Ask, options: dict[str, Any]
) -> None:
    stranger = f"stranger_{options['table']}"
    ask(f"CREATE ROLE {stranger} LOGIN PASSWORD 'strange'")
    ask("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with pytest.raises(PermissionDenied):
        open_db(user=stranger, password=Secret("strange")).count()


def _pending(ask: Ask) -> str | None:
    """The options of the index of `data`."""
    found = ask(
        "SELECT reloptions::text FROM pg_class JOIN pg_index ON indexrelid = oid "
        "WHERE indrelid = to_regclass($name$TABLE_$name$) "
        "AND relam = (SELECT oid FROM pg_am WHERE amname = 'gin')"
    )
    return found[0][0]  # type: ignore[no-any-return]


def _index_of_data(ask: Ask) -> str:
    found = ask(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid "
        "WHERE indrelid = to_regclass($name$TABLE_$name$) AND relname ~ '_data_'"
    )
    return str(found[0][0])


def test_new_rows_do_not_wait_long_for_their_index(db: Database, ask: Ask) -> None:
    db.count()
    assert _pending(ask) == "{gin_pending_list_limit=512}"


@pytest.mark.parametrize("name", ["", "$$", "'x'", "\\'"])
def test_an_index_as_it_was_made_before_is_changed(
    open_db: Open, ask: Ask, options: dict[str, Any], name: str
) -> None:
    options["table"] = name + options["table"]
    open_db(**options).count()
    ask(f"ALTER INDEX {_index_of_data(ask)} RESET (gin_pending_list_limit)")
    assert _pending(ask) is None
    open_db(**options).count()
    assert _pending(ask) == "{gin_pending_list_limit=512}"


@pytest.mark.parametrize("option", ["fastupdate=off", "gin_pending_list_limit=64"])
def test_an_index_that_somebody_tuned_is_left_alone(open_db: Open, ask: Ask, option: str) -> None:
    open_db().count()
    index = _index_of_data(ask)
    ask(f"ALTER INDEX {index} RESET (gin_pending_list_limit)")
    ask(f"ALTER INDEX {index} SET ({option})")
    open_db().count()
    assert _pending(ask) == f"{{{option}}}"


def test_an_index_that_cannot_be_changed_is_used_as_it_is(
    open_db: Open, ask: Ask, options: dict[str, Any]
) -> None:
    open_db().create(Record({"x": 1}, id="a"))
    ask(f"ALTER INDEX {_index_of_data(ask)} RESET (gin_pending_list_limit)")
    guest = f"guest_{options['table']}"
    ask(f"CREATE ROLE {guest} LOGIN PASSWORD 'guest'")
    ask(f"GRANT SELECT ON TABLE_ TO {guest}")
    assert open_db(user=guest, password=Secret("guest")).count() == 1
    assert _pending(ask) is None


def test_an_index_that_somebody_else_reads_is_used_as_it_is(
    open_db: Open, ask: Ask, options: dict[str, Any], postgres_server: PostgresServer
) -> None:
    open_db().create(Record({"x": 1}, id="a"))
    ask(f"ALTER INDEX {_index_of_data(ask)} RESET (gin_pending_list_limit)")
    with psycopg.connect(postgres_server.dsn(options["database"])) as other:
        other.execute(f'SELECT count(*) FROM "{options["table"]}"'.encode())
        assert open_db().count() == 1
    assert _pending(ask) is None


def test_who_finds_all_connections_in_use_is_told(
    open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = open_db(connections=1, timeout=timedelta(seconds=20))
    with db.transaction():
        # The setting, which a busy server needs for its statements, is not waited out.
        connections = db.store._server._blocking  # type: ignore[attr-defined]
        assert connections._seconds == 20
        with monkeypatch.context() as patch:
            patch.setattr(connections, "_seconds", 0.1)
            with pytest.raises(Timeout, match="'connections'"):
                db.count()
    assert db.count() == 0


def test_a_database_may_be_used_on_one_loop_after_another(options: dict[str, Any]) -> None:
    db = AsyncDatabase(PostgresRecords.open(PostgresSettings(**options), LoopRuntime()))

    async def write(id_: str) -> int:
        await db.create(Record({}, id=id_))
        return await db.count()

    async def end() -> None:
        await db.close()

    assert [asyncio.run(write(id_)) for id_ in ("a", "b")] == [1, 2]
    asyncio.run(end())


def test_the_next_call_after_a_restart_goes_on(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", databases.PASSWORD)
    with databases.cluster(tmp_path) as data:
        with databases.started(data, tmp_path) as server:
            port = server.port
            settings = PostgresSettings(
                host=HOST, port=port, database="postgres", user=databases.USER
            )
            db = Database(PostgresRecords.open(settings, BlockingRuntime()))
            db.create(Record({}, id="a"))
        with pytest.raises(Unavailable):
            db.read("a")
        with databases.started(data, tmp_path, port):
            assert db.exists("a")
            db.close()
