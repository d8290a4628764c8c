"""One record over HTTP: read, written, patched, deleted, under conditions; on three databases."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

import holdall
from holdall import Record
from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.haystack.memory import InMemoryAdapter
from holdall.records.async_database import AsyncDatabase
from holdall.server import Users, create_fastapi_app
from server.asking import users
from server.conftest import Serve
from server.listening import listening
from serving import databases
from serving.process import HOST

JSON = {"content-type": "application/json"}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def everywhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncDatabase:
    """An empty database of each kind, which the server closes."""
    if request.param == "memory":
        return holdall.open_database_async("memory://")
    if request.param == "sqlite":
        return holdall.open_database_async({"type": "sqlite", "path": str(tmp_path / "r.db")})
    name, server = (
        request.getfixturevalue("postgres_database"),
        request.getfixturevalue("postgres_server"),
    )
    monkeypatch.setenv("PGPASSWORD", databases.PASSWORD)
    return holdall.open_database_async(
        {
            "type": "postgres",
            "host": HOST,
            "port": server.port,
            "database": name,
            "user": databases.USER,
            "table": f"t_{uuid4().hex}",
        }
    )


@pytest.fixture
def db() -> AsyncDatabase:
    """An empty database, which the server closes."""
    return holdall.open_database_async("memory://")


@pytest.fixture
def client(serve: Serve, db: AsyncDatabase) -> httpx.Client:
    """What asks a server of the empty database."""
    return serve(database=db).client


@pytest.fixture(scope="module")
def refusing() -> Iterator[httpx.Client]:
    """What asks a server of an empty database, in which no test writes anything."""
    db = holdall.open_database_async("memory://")
    with (
        listening(create_fastapi_app(InMemoryAdapter(), database=db)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def fields(**named: Any) -> dict[str, Any]:
    return {"fields": named}


def test_a_record_is_written_read_changed_and_deleted(
    serve: Serve, everywhere: AsyncDatabase
) -> None:
    client = serve(database=everywhere).client
    made = client.put("/records/a", json=fields(n=1))
    read = client.get("/records/a")
    changed = client.patch("/records/a", json=fields(**{"at.city": "Bern"}))
    replaced = client.put("/records/a", json=fields(n=2))
    gone = client.delete("/records/a")
    statuses = [one.status_code for one in (made, read, changed, replaced, gone)]
    assert statuses == [201, 200, 200, 200, 204]
    assert read.json() == made.json()
    assert changed.json()["fields"] == {"n": 1, "at": {"city": "Bern"}}
    assert replaced.json()["fields"] == {"n": 2}
    assert client.get("/records/a").status_code == 404


def test_none_of_many_increments_is_lost(serve: Serve, everywhere: AsyncDatabase) -> None:
    url = serve(database=everywhere).client.base_url

    async def increment(client: httpx.AsyncClient) -> None:
        while True:
            record = (await client.get("/records/n")).json()
            answer = await client.put(
                "/records/n",
                json=fields(n=record["fields"]["n"] + 1),
                headers={"If-Match": f'"{record["version"]}"'},
            )
            if answer.status_code == 200:
                return
            assert answer.status_code == 412

    async def all_of_them() -> int:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await client.put("/records/n", json=fields(n=0))
            await asyncio.gather(*(increment(client) for _ in range(20)))
            number: int = (await client.get("/records/n")).json()["fields"]["n"]
            return number

    assert asyncio.run(all_of_them()) == 20


def test_every_type_comes_back_as_it_was(serve: Serve, everywhere: AsyncDatabase) -> None:
    kept = Record(
        {
            "bytes": b"\0\xff",
            "decimal": Decimal("1.50"),
            "when": datetime(2024, 1, 1, 12, tzinfo=UTC),
            "uuid": UUID(int=7),
            "big": 2**200,
            "infinite": float("inf"),
            "text": "\0",
            "dict": {"$x": [None]},
        },
        "t",
    )
    client = serve(database=everywhere).client
    client.put("/records/t", content=kept.to_json(), headers=JSON)
    assert Record.from_json(client.get("/records/t").content) == kept


def test_the_etag_is_the_version(client: httpx.Client) -> None:
    made = client.put("/records/a", json=fields())
    assert made.headers["etag"] == f'"{made.json()["version"]}"'


def test_head_tells_the_etag_and_nothing_else(client: httpx.Client) -> None:
    made = client.put("/records/a", json=fields())
    head = client.head("/records/a")
    assert (head.headers["etag"], head.content) == (made.headers["etag"], b"")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_who_has_a_record_gets_304(client: httpx.Client, form: str) -> None:
    tag = client.put("/records/a", json=fields()).headers["etag"]
    answer = client.get("/records/a", headers={"If-None-Match": form.format(tag)})
    assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b"")


def test_a_new_record_is_put_with_201_and_its_place(client: httpx.Client) -> None:
    answer = client.put("/records/a", json=fields())
    assert (answer.status_code, answer.headers["location"]) == (201, "/records/a")


def test_a_posted_record_gets_an_id(client: httpx.Client) -> None:
    answer = client.post("/records", json=fields(n=1))
    assert answer.status_code == 201
    assert client.get(answer.headers["location"]).json() == answer.json()


def test_a_posted_record_that_is_there_is_409(client: httpx.Client) -> None:
    client.put("/records/a", json=fields(n=1))
    answer = client.post("/records", json={"id": "a", **fields(n=2)})
    assert answer.status_code == 409
    assert client.get("/records/a").json()["fields"] == {"n": 1}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("tag", ['"0"', 'W/"{}"', '"0", "1"'])
def test_another_version_is_412(client: httpx.Client, method: str, tag: str) -> None:
    version = client.put("/records/a", json=fields(n=1)).json()["version"]
    body = None if method == "DELETE" else fields(n=2)
    headers = {"If-Match": tag.format(version)}
    assert client.request(method, "/records/a", json=body, headers=headers).status_code == 412
    assert client.get("/records/a").json()["fields"] == {"n": 1}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("form", ['"{}"', '"0" , "{}"', "*"])
def test_the_version_that_is_there_is_taken(client: httpx.Client, method: str, form: str) -> None:
    version = client.put("/records/a", json=fields(n=1)).json()["version"]
    body = None if method == "DELETE" else fields(n=2)
    headers = {"If-Match": form.format(version)}
    assert client.request(method, "/records/a", json=body, headers=headers).is_success


def test_if_none_match_writes_over_nothing(client: httpx.Client) -> None:
    headers = {"If-None-Match": "*"}
    answers = [client.put("/records/a", json=fields(n=n), headers=headers) for n in (1, 2)]
    assert [one.status_code for one in answers] == [201, 412]
    assert client.get("/records/a").json()["fields"] == {"n": 1}


def test_if_match_creates_nothing(client: httpx.Client) -> None:
    for tag in ("*", '"0"'):
        answer = client.put("/records/a", json=fields(), headers={"If-Match": tag})
        assert answer.status_code == 412
    assert client.get("/records/a").status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_missing_record_is_404_under_any_condition(refusing: httpx.Client, method: str) -> None:
    body = None if method == "DELETE" else fields()
    headers = {"If-Match": '"0"'}
    assert refusing.request(method, "/records/a", json=body, headers=headers).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "abc"},
        {"If-Match": ""},
        {"If-Match": '"a" "b"'},
        {"If-None-Match": '"a"'},
        {"If-Match": '"a"', "If-None-Match": "*"},
        {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
    ],
)
def test_a_condition_that_cannot_be_kept_is_refused(
    refusing: httpx.Client, headers: dict[str, str]
) -> None:
    assert refusing.put("/records/a", json=fields(), headers=headers).status_code == 400


def test_what_was_read_is_written_back_over_its_version_only(client: httpx.Client) -> None:
    read = client.put("/records/a", json=fields(n=1)).json()
    assert client.put("/records/a", json=read).status_code == 200
    assert client.put("/records/a", json=read).status_code == 412


def test_a_patch_may_name_the_version_in_its_body(client: httpx.Client) -> None:
    version = client.put("/records/a", json=fields(n=1)).json()["version"]
    body = fields(n=2) | {"version": version}
    assert client.patch("/records/a", json=body).status_code == 200
    assert client.patch("/records/a", json=body).status_code == 412


def test_two_versions_are_refused(client: httpx.Client) -> None:
    read = client.put("/records/a", json=fields(n=1)).json()
    answer = client.put("/records/a", json=read, headers={"If-Match": '"0"'})
    assert answer.status_code == 400


def test_without_its_version_it_is_written_over_any(client: httpx.Client) -> None:
    read = client.put("/records/a", json=fields(n=1)).json() | {"version": None}
    client.put("/records/a", json=fields(n=2))
    assert client.put("/records/a", json=read).json()["fields"] == {"n": 1}


def test_metadata_of_the_database_is_not_for_others_to_write(client: httpx.Client) -> None:
    body = {"fields": {}, "metadata": {"created_at": "yesterday"}}
    assert client.put("/records/a", json=body).status_code == 400


@pytest.mark.parametrize(
    "id_",
    ["a/b", "/", "a//b", "../x", "%2F", "search", "batch", ":count", "ü ?#&+", "a\nb", "\r\nX: y"],
)
def test_an_id_is_any_text_in_a_path(client: httpx.Client, id_: str) -> None:
    made = client.post("/records", json={"id": id_, **fields()})
    read = client.get(made.headers["location"])
    assert (read.status_code, read.json()["id"]) == (200, id_)


def test_a_slash_in_an_id_is_one_in_either_spelling(client: httpx.Client) -> None:
    client.put("/records/a%2Fb", json=fields())
    assert client.get("/records/a/b").json()["id"] == "a/b"


@pytest.mark.parametrize("path", ["%zz", "%ff", "%00", "", "a" * 1025, "a?x=1"])
def test_what_is_no_id_is_400(refusing: httpx.Client, path: str) -> None:
    assert refusing.get(f"/records/{path}").status_code == 400


def test_the_id_of_the_body_is_that_of_the_path(client: httpx.Client) -> None:
    assert client.put("/records/a", json={"id": "b", **fields()}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/records", "GET, POST"),
        ("POST", "/records/a", "GET, HEAD, PUT, PATCH, DELETE"),
        ("GET", "/records:batch", "POST"),
    ],
)
def test_another_method_is_405_with_those_there_are(
    refusing: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = refusing.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def machine(role: str) -> tuple[Users, str]:
    made = users()
    return made, asyncio.run(made.add_machine("m", role))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/records/a"),
        ("PATCH", "/records/a"),
        ("DELETE", "/records/a"),
        ("POST", "/records"),
        ("POST", "/records:batch?mode=create"),
    ],
)
def test_a_viewer_writes_nothing(serve: Serve, db: AsyncDatabase, method: str, path: str) -> None:
    made, key = machine("viewer")
    client = serve(database=db, users=made).client
    answer = client.request(method, path, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/records", "/records/a", "/records:count"])
def test_a_viewer_reads(serve: Serve, db: AsyncDatabase, path: str) -> None:
    made, key = machine("viewer")
    client = serve(database=db, users=made).client
    answer = client.get(path, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("path", ["/records", "/records/a", "/records:count"])
def test_nobody_reads_without_logging_in(serve: Serve, db: AsyncDatabase, path: str) -> None:
    made, _ = machine("viewer")
    assert serve(database=db, users=made).client.get(path).status_code == 401


def test_a_blocking_database_is_refused() -> None:
    with (
        holdall.open_database("memory://") as blocking,
        pytest.raises(InvalidConfig, match="open_database_async"),
    ):
        create_fastapi_app(InMemoryAdapter(), database=blocking)  # type: ignore[arg-type]


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*_: Any) -> Any:
        raise error

    return fail


def test_a_database_that_is_gone_is_503_and_tells_no_address(
    client: httpx.Client, db: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.store, "get", failing(Unavailable("db7.inner refused")))
    answer = client.get("/records/a")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "inner" not in answer.text


def test_a_database_that_refuses_the_server_is_502_and_tells_no_address(
    client: httpx.Client, db: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.store, "get", failing(PermissionDenied("db7.inner refused")))
    answer = client.get("/records/a")
    assert answer.status_code == 502
    assert "inner" not in answer.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound, 500),
        (LimitExceeded, 413),
        (Unsupported, 400),
        (PreconditionFailed, 412),
        (Corrupt, 500),
    ],
)
def test_an_error_that_names_the_database_is_told_without_its_name(
    client: httpx.Client,
    db: AsyncDatabase,
    monkeypatch: pytest.MonkeyPatch,
    error: type[HoldallError],
    status: int,
) -> None:
    monkeypatch.setattr(db.store, "put", failing(error(f"{db.store.address}: inner")))
    answer = client.post("/records", json=fields())
    assert (answer.status_code, "inner" in answer.text) == (status, False)


def test_a_write_that_may_have_been_done_says_so(
    client: httpx.Client, db: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Unavailable("broke off", transient=False)
    error.uncertain = True
    monkeypatch.setattr(db.store, "put", failing(error))
    answer = client.post("/records", json=fields())
    assert (answer.status_code, "may be done all the same" in answer.text) == (503, True)


def test_a_bug_is_500_and_tells_nothing(
    client: httpx.Client, db: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.store, "get", failing(ZeroDivisionError("inner")))
    answer = client.get("/records/a")
    assert answer.status_code == 500
    assert "inner" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"fields": 1}',
        b"{}",
        b'{"fields": {}, "more": 1}',
        b'{"fields": {}, "version": 1}',
        b'{"fields": {"a": NaN}}',
        b'{"fields": {"a": 1e999}}',
        b'{"fields": {"a": ' + b"1" * 5000 + b"}}",
        b'{"fields": {"a": {"$int": "' + b"1" * 5000 + b'"}}}',
        b'{"fields": {"a": {"$what": 1}}}',
        b'{"fields": {"a": "\\ud800"}}',
        b'{"fields": {"a": "\xff"}}',
        b'{"fields": {"\\u0000": 1}}',
        b'{"fields": {"id": 5}}',
        b'{"fields": {"a": ' + b"[" * 102 + b"]" * 102 + b"}}",
        b'{"fields": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"a": ' * 100_000,
        '{"fields": {}}'.encode("utf-16"),
    ],
    ids=range(20),
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/records/a"), ("POST", "/records")])
def test_what_is_no_record_is_400(
    refusing: httpx.Client, method: str, path: str, body: bytes
) -> None:
    assert refusing.request(method, path, content=body, headers=JSON).status_code == 400


def test_of_a_name_that_comes_twice_the_last_one_counts(client: httpx.Client) -> None:
    body = b'{"fields": {"a": 1, "a": 2}}'
    assert client.put("/records/a", content=body, headers=JSON).json()["fields"] == {"a": 2}


def test_a_large_whole_number_is_kept_exactly(client: httpx.Client) -> None:
    body = b'{"fields": {"a": 123456789012345678901234567890}}'
    answer = client.put("/records/a", content=body, headers=JSON)
    assert answer.json()["fields"] == {"a": {"$int": "123456789012345678901234567890"}}


@pytest.mark.parametrize(
    ("kind", "status"),
    [("", 400), ("text/plain", 415), ("application/json; charset=utf-16", 415)],
)
def test_a_body_of_another_type_is_refused(refusing: httpx.Client, kind: str, status: int) -> None:
    answer = refusing.put("/records/a", content=b'{"fields": {}}', headers={"content-type": kind})
    assert answer.status_code == status


def test_a_patch_through_what_is_no_dict_is_400(client: httpx.Client) -> None:
    client.put("/records/a", json=fields(n=1))
    assert client.patch("/records/a", json=fields(**{"n.m": 1})).status_code == 400


def test_a_patch_of_the_id_is_400(client: httpx.Client) -> None:
    client.put("/records/a", json=fields(n=1))
    assert client.patch("/records/a", json=fields(id="b")).status_code == 400
