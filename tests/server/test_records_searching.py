"""Searches over HTTP: pages, JSON Lines, numbers, and what is refused."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

import holdall
from holdall import Record
from holdall.core.errors import Unavailable
from holdall.haystack.memory import InMemoryAdapter
from holdall.records.async_database import AsyncDatabase
from holdall.records.encoding import to_plain
from holdall.server import ServerConfig, create_fastapi_app
from server.conftest import Serve
from server.listening import listening

LINES = {"accept": "application/x-ndjson"}
PEOPLE = [
    {"id": "alice", "age": 30, "tags": ["admin"], "at": {"city": "Bern"}},
    {"id": "bob", "age": 17, "tags": []},
    {"id": "carol", "age": 45, "tags": ["staff"], "note": "50 % off, A&B"},
]


@pytest.fixture(scope="module")
def people() -> Iterator[httpx.Client]:
    """What asks a server of three people, which no test changes."""
    with ExitStack() as open_things:
        db = holdall.open_database_async("memory://")
        url = open_things.enter_context(
            listening(create_fastapi_app(InMemoryAdapter(), database=db))
        )
        client = open_things.enter_context(httpx.Client(base_url=url, timeout=60))
        for person in PEOPLE:
            assert client.post("/records", json={"fields": person}).status_code == 201
        yield client


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [record["id"] for record in response.json()["records"]]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["alice", "bob", "carol"]),
        ({"filter": "age >= 18"}, ["alice", "carol"]),
        ({"filter": "age > 1 and not tags contains 'admin'"}, ["bob", "carol"]),
        ({"filter": "note like '50 \\\\% %, A&B'"}, ["carol"]),
        ({"filter": "at.city = 'Bern'"}, ["alice"]),
        ({"sort": "-age"}, ["carol", "alice", "bob"]),
        ({"sort": "-metadata.created_at,id", "limit": 1}, ["carol"]),
        ({"filter": "age = 1"}, []),
    ],
)
@pytest.mark.parametrize("way", ["GET", "POST"])
def test_a_search_answers_what_is_meant(
    people: httpx.Client, asked: dict[str, Any], expected: list[str], way: str
) -> None:
    if way == "GET":
        assert ids(people.get("/records", params=asked)) == expected
    else:
        assert ids(people.post("/records:search", json=asked)) == expected


def test_pages_follow_one_another(people: httpx.Client) -> None:
    found: list[str] = []
    params = {"sort": "age", "limit": "1"}
    while True:
        page = people.get("/records", params=params).json()
        found += [record["id"] for record in page["records"]]
        if page["next"] is None:
            break
        params["token"] = page["next"]
    assert found == ["bob", "alice", "carol"]


def test_a_page_counts_all_that_meet_the_filter(people: httpx.Client) -> None:
    params = {"filter": "age > 18", "limit": "1", "count": "1"}
    assert people.get("/records", params=params).json()["count"] == 2


def test_only_selected_fields_are_answered(people: httpx.Client) -> None:
    params = {"filter": "id = 'alice'", "select": "age,at.city"}
    (record,) = people.get("/records", params=params).json()["records"]
    assert record["fields"] == {"age": 30, "at": {"city": "Bern"}}


def test_names_in_a_list_may_have_commas(people: httpx.Client) -> None:
    assert ids(people.post("/records:search", json={"sort": ["a,b", "-age"]})) == [
        "carol",
        "alice",
        "bob",
    ]


def test_records_are_counted(people: httpx.Client) -> None:
    assert people.get("/records:count", params={"filter": "age > 18"}).json() == {"count": 2}


def test_all_records_come_as_json_lines(people: httpx.Client) -> None:
    answer = people.get("/records", params={"sort": "age"}, headers=LINES)
    assert answer.headers["content-type"] == "application/x-ndjson"
    records = [Record.from_json(line) for line in answer.content.splitlines()]
    assert [record.id for record in records] == ["bob", "alice", "carol"]


def test_json_lines_end_at_the_limit(people: httpx.Client) -> None:
    answer = people.post("/records:search", json={"limit": 2}, headers=LINES)
    assert len(answer.content.splitlines()) == 2


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/x-ndjson, */*", "application/x-ndjson"),
        ("application/x-ndjson;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, APPLICATION/X-NDJSON", "application/x-ndjson"),
        ("application/x-ndjson;q=0, application/*", "application/json"),
        ("application/x-ndjson;q=inf, */*", "application/json"),
    ],
)
def test_accept_says_which_way(people: httpx.Client, accept: str, kind: str) -> None:
    answer = people.get("/records", headers={"accept": accept})
    assert answer.headers["content-type"] == kind


def test_what_is_never_sent_is_406(people: httpx.Client) -> None:
    assert people.get("/records", headers={"accept": "text/html"}).status_code == 406


def test_an_error_in_a_filter_tells_its_place(people: httpx.Client) -> None:
    answer = people.get("/records", params={"filter": "age >= 18 and\n  or"})
    assert answer.status_code == 400
    assert "line 2, column 3: expected a field" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1e3",
        "limit=99999999999999999999",
        "count=maybe",
        "token=abc",
        "what=1",
        "filter=a=1&filter=b=1",
        "filter=%ff",
        "filter=%2",
        "sort=",
        "sort=a..b",
        "select=",
        "filter=a='" + "9" * 4_095 + "'",
    ],
)
def test_what_a_get_does_not_take_is_400(people: httpx.Client, query: str) -> None:
    assert people.get(f"/records?{query}").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"filter": "a = " + "9" * 5_000},
        {"limit": "1"},
        {"limit": 1.5},
        {"limit": True},
        {"count": 1},
        {"filter": 1},
        {"sort": {"a": 1}},
        {"sort": [1]},
        {"token": 1},
        {"where": "a=1"},
        [],
    ],
)
def test_what_a_search_does_not_take_is_400(people: httpx.Client, body: Any) -> None:
    assert people.post("/records:search", json=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"filter": "a = '" + "x" * 70_000 + "'"},
        {"filter": "a like '" + "x" * 2_000 + "'"},
        {"sort": ["a"] * 11},
        {"sort": "x" * 2_000},
        {"select": ".".join("a" * 200)},
    ],
    ids=range(5),
)
def test_what_is_too_long_is_400(people: httpx.Client, body: Any) -> None:
    assert people.post("/records:search", json=body).status_code == 400


@pytest.mark.parametrize(
    "filter_",
    [
        " or ".join(["a = 1"] * 6_000),
        "not " * 199 + "a = 1",
        "a in (" + ",".join(map(str, range(10_000))) + ")",
        ".".join("a" * 30_000) + " = 1",
        "a = '\0'",
        "`\0` = 1",
        "a like '" + "%a" * 400 + "%b'",
    ],
    ids=range(7),
)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_strange_filter_is_answered(serve: Serve, tmp_path: Any, filter_: str, kind: str) -> None:
    url = "memory://" if kind == "memory" else f"sqlite:///{tmp_path}/r.db"
    client = serve(database=holdall.open_database_async(url)).client
    client.put("/records/a", json={"fields": {"a": "a" * 1_000}})
    assert client.post("/records:search", json={"filter": filter_}).status_code == 200


def test_a_regex_is_refused(people: httpx.Client) -> None:
    answer = people.get("/records", params={"filter": "age > 1 or not id regex '(a+)+$'"})
    assert answer.status_code == 400


def test_a_regex_is_taken_where_the_server_is_told_to(serve: Serve) -> None:
    db = holdall.open_database_async("memory://")
    client = serve(database=db, config=ServerConfig(regex=True)).client
    client.put("/records/a", json={"fields": {}})
    assert ids(client.get("/records", params={"filter": "id regex '^a$'"})) == ["a"]


def test_a_token_is_of_one_query(people: httpx.Client) -> None:
    token = people.get("/records", params={"limit": "1"}).json()["next"]
    answer = people.get("/records", params={"sort": "age", "token": token})
    assert (answer.status_code, "another query" in answer.text) == (400, True)


@pytest.mark.parametrize(
    "value", [datetime(2024, 1, 1, tzinfo=UTC), b"x", to_plain("\0"), {1: 2}, {"$int": 1}]
)
def test_a_token_that_somebody_made_up_is_400(people: httpx.Client, value: Any) -> None:
    token = people.get("/records", params={"limit": "1"}).json()["next"]
    digest, _ = msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    made = base64.urlsafe_b64encode(msgspec.msgpack.encode([digest, [[value]]])).decode()
    assert people.get("/records", params={"token": made.rstrip("=")}).status_code == 400


def filled(number: int, text: str = "") -> AsyncDatabase:
    """A database in memory with so many records."""
    name = f"memory://many-{number}"
    with holdall.open_database(name) as db:
        db.batch_upsert([Record({"text": text}, f"{n:06}") for n in range(number)])
        return holdall.open_database_async(name)


def test_what_fails_half_way_breaks_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    db = filled(1_500)
    client = serve(database=db).client
    find, calls = db.store.find, []

    async def failing(found: Any) -> Any:
        calls.append(found)
        if len(calls) == 3:
            raise Unavailable("gone")
        return await find(found)

    monkeypatch.setattr(db.store, "find", failing)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/records", headers=LINES)


def test_what_fails_at_the_beginning_has_a_status(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = filled(10)
    client = serve(database=db).client

    async def failing(_: Any) -> Any:
        raise Unavailable("gone")

    monkeypatch.setattr(db.store, "find", failing)
    assert client.get("/records", headers=LINES).status_code == 503


def test_json_lines_are_read_from_the_database_as_the_client_takes_them(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = filled(10_000, "x" * 4_000)
    client = serve(database=db).client
    find, calls = db.store.find, []

    async def counting(found: Any) -> Any:
        calls.append(found)
        return await find(found)

    monkeypatch.setattr(db.store, "find", counting)
    with client.stream("GET", "/records", headers=LINES) as answer:
        assert json.loads(next(answer.iter_lines()))["id"] == "000000"
    assert len(calls) < 15  # of 20, as 40 MB are more than sockets hold
