"""Batches over HTTP: JSON Lines in, a line for each out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import holdall
from holdall import Record
from holdall.core.errors import Unavailable
from holdall.records.async_database import AsyncDatabase
from holdall.server import ServerConfig
from server.conftest import Serve

KIND = {"content-type": "application/x-ndjson"}


@pytest.fixture(params=["memory", "sqlite", "file"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncDatabase:
    """An empty database, whose batches are whole or not at all in the first two kinds."""
    if request.param == "file":
        return holdall.open_database_async({"type": "file", "path": str(tmp_path)})
    if request.param == "sqlite":
        return holdall.open_database_async({"type": "sqlite", "path": str(tmp_path / "r.db")})
    return holdall.open_database_async("memory://")


@pytest.fixture
def memory() -> AsyncDatabase:
    """An empty database in memory."""
    return holdall.open_database_async("memory://")


def send(client: httpx.Client, mode: str, body: Any) -> httpx.Response:
    return client.post(f"/records:batch?mode={mode}", content=body, headers=KIND)


def told(response: httpx.Response, status: int = 200) -> list[dict[str, Any]]:
    """What an answer tells of each line, without what is another at each run."""
    assert response.status_code == status, response.text
    lines = [json.loads(line) for line in response.content.splitlines()]
    return [{k: v for k, v in line.items() if k not in {"version", "error"}} for line in lines]


def test_each_line_is_answered_in_its_order_and_counts_by_itself(
    serve: Serve, db: AsyncDatabase
) -> None:
    client = serve(database=db).client
    client.put("/records/b", json={"fields": {"n": 0}})
    body = b'{"id":"a","fields":{"n":1}}\n{"id":"b","fields":{}}\nwhat\n\r\n{"id":"c","fields":{}}'
    assert told(send(client, "create", body)) == [
        {"id": "a"},
        {"line": 2, "id": "b", "status": 409},
        {"line": 3, "id": None, "status": 400},
        {"id": "c"},
    ]
    stored = client.get("/records").json()["records"]
    assert [(one["id"], one["fields"]) for one in stored] == [
        ("a", {"n": 1}),
        ("b", {"n": 0}),
        ("c", {}),
    ]


def test_every_mode_does_what_it_is_called(serve: Serve, db: AsyncDatabase) -> None:
    client = serve(database=db).client
    client.put("/records/a", json={"fields": {"n": 0}})
    assert told(send(client, "update", b'{"id":"a","fields":{"n":1}}\n{"id":"b","fields":{}}')) == [
        {"id": "a"},
        {"line": 2, "id": "b", "status": 404},
    ]
    assert told(send(client, "upsert", b'{"id":"b","fields":{}}')) == [{"id": "b"}]
    assert told(send(client, "delete", b'{"id":"a"}\n{"id":"a"}\n{"id":"b"}')) == [
        {"id": "a", "deleted": True},
        {"id": "a", "deleted": False},
        {"id": "b", "deleted": True},
    ]


@pytest.mark.parametrize("mode", ["update", "upsert", "delete"])
def test_a_version_in_a_line_must_be_that_of_the_record(
    serve: Serve, db: AsyncDatabase, mode: str
) -> None:
    client = serve(database=db).client
    old = client.put("/records/a", json={"fields": {"n": 0}}).text
    new = client.put("/records/a", json={"fields": {"n": 1}}).text
    assert told(send(client, mode, old)) == [{"line": 1, "id": "a", "status": 412}]
    assert told(send(client, mode, new))[0]["id"] == "a"


def test_the_version_that_is_told_is_the_records(serve: Serve, memory: AsyncDatabase) -> None:
    client = serve(database=memory).client
    line = json.loads(send(client, "create", b'{"fields": {}}').content)
    assert client.get(f"/records/{line['id']}").json()["version"] == line["version"]


def test_what_one_server_streams_another_one_takes(serve: Serve, memory: AsyncDatabase) -> None:
    here = serve(database=memory).client
    there = serve(database=holdall.open_database_async("memory://")).client
    for id_ in "abc":
        here.put(
            f"/records/{id_}",
            content=Record({"x": b"\0"}, id_).to_json(),
            headers={"content-type": "application/json"},
        )
    lines = here.get("/records", headers={"accept": "application/x-ndjson"}).content
    assert told(send(there, "create", lines)) == [{"id": "a"}, {"id": "b"}, {"id": "c"}]
    assert there.get("/records/a").json()["fields"] == {"x": {"$bytes": "AA=="}}


def test_a_client_that_sends_all_before_it_reads_is_answered(
    serve: Serve, memory: AsyncDatabase
) -> None:
    client = serve(database=memory).client
    line = b'{"id":"%s","fields":{}}\n' % (b"x" * 1_000)
    lines = told(send(client, "update", line * 10_000))  # 20 MB of answers
    assert (len(lines), lines[-1]["line"]) == (10_000, 10_000)


def halves(client: httpx.Client, rest: bytes) -> Iterator[bytes]:
    """A thousand lines, and the rest when they are written."""
    for at in range(1_000):
        yield b'{"id":"%d","fields":{}}\n' % at
    while client.get("/records:count").json() != {"count": 1_000}:
        pass
    yield rest


def test_lines_are_written_while_others_are_still_sent(serve: Serve, memory: AsyncDatabase) -> None:
    client = serve(database=memory).client
    answer = send(client, "create", halves(client, b'{"id":"last","fields":{}}\n'))
    assert told(answer)[-1] == {"id": "last"}


def test_an_empty_batch_is_an_empty_answer(serve: Serve, memory: AsyncDatabase) -> None:
    answer = send(serve(database=memory).client, "create", b"\n\n")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_database_that_is_gone_ends_the_batch_and_says_what_was_done(
    serve: Serve, memory: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, put = serve(database=memory).client, memory.store.put

    async def failing(writes: Any) -> Any:
        if writes[0].id == "1000":
            raise Unavailable("db7.inner refused")
        return await put(writes)

    monkeypatch.setattr(memory.store, "put", failing)
    body = b"".join(b'{"id":"%d","fields":{}}\n' % at for at in range(3_000))
    answer = send(client, "create", body)
    lines = told(answer, 503)
    assert lines[999:1002] == [
        {"id": "999"},
        {"line": 1001, "id": "1000", "status": 503},
        {"line": 1002, "id": "1001", "status": 503},
    ]
    assert lines[2_000:] == [{"line": 2001, "status": 503}]
    assert answer.headers["retry-after"] == "5"
    assert b"inner" not in answer.content


def test_a_body_that_becomes_too_large_ends_the_batch_and_says_what_was_done(
    serve: Serve, memory: AsyncDatabase
) -> None:
    client = serve(database=memory, config=ServerConfig(max_load=30_000)).client
    lines = told(send(client, "create", halves(client, b"x" * 10_000)), 413)
    assert len(lines) == 1_001
    assert lines[-1] == {"line": 1001, "status": 413}
    assert client.get("/records:count").json() == {"count": 1_000}


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"max_rows": 2}, b'{"fields":{}}\n' * 3),
        ({"max_body": 50}, b'{"fields":{"a":"' + b"x" * 50 + b'"}}'),
        ({"max_load": 20}, b'{"fields":{}}\n' * 2),
    ],
)
def test_what_is_too_large_from_the_beginning_writes_nothing(
    serve: Serve, memory: AsyncDatabase, settings: dict[str, Any], body: bytes
) -> None:
    client = serve(database=memory, config=ServerConfig(**settings)).client
    assert send(client, "create", body).status_code == 413
    assert client.get("/records:count").json() == {"count": 0}


@pytest.mark.parametrize("mode", ["", "?mode=", "?mode=drop", "?mode=create&x=1"])
def test_a_batch_has_a_mode_and_nothing_else(
    serve: Serve, memory: AsyncDatabase, mode: str
) -> None:
    client = serve(database=memory).client
    assert client.post(f"/records:batch{mode}", content=b"", headers=KIND).status_code == 400


def test_a_batch_of_another_type_is_415(serve: Serve, memory: AsyncDatabase) -> None:
    client = serve(database=memory).client
    answer = client.post("/records:batch?mode=create", json={"fields": {}})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "line",
    [
        b'{"fields":{"a":NaN}}',
        b'{"fields":{"a":' + b"[" * 50_000,
        b'{"fields":{"a":{"$int":"' + b"9" * 5_000 + b'"}}}',
        b'{"id":1,"fields":{}}',
        b'{"id":"","fields":{}}',
        b'{"id":"a"}',
        b"\xff\xfe{}",
        b'"a"',
    ],
    ids=range(8),
)
def test_a_line_that_is_no_record_is_told_and_the_next_one_is_written(
    serve: Serve, memory: AsyncDatabase, line: bytes
) -> None:
    client = serve(database=memory).client
    lines = told(send(client, "create", line + b'\n{"id":"b","fields":{}}'))
    assert [one.get("status") for one in lines] == [400, None]
    assert client.get("/records/b").status_code == 200
