"""Requests that go on while their account is taken away."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import holdall
from holdall import Record
from holdall.core.errors import Unavailable
from holdall.server import Users
from server.conftest import Serve
from server.objects_served import kept_below
from server.talking import users_of_three

LINES = {"accept": "application/x-ndjson"}
NDJSON = {"content-type": "application/x-ndjson"}
MIB = 2**20


@pytest.fixture
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each piece it is asked whether the caller may still ask."""
    monkeypatch.setattr("holdall.server.staying.ROUND", 0.0)


class Served:
    """A server of objects and records with accounts."""

    def __init__(self, serve: Serve, folder: Path) -> None:
        self.users, keys = users_of_three()
        self.folder = folder
        name = f"memory://{folder.name}"
        with holdall.open_database(name) as db:
            db.batch_upsert([Record({"text": "x" * 16_000}, f"{n:04}") for n in range(1_000)])
        self.client = serve(
            users=self.users,
            data_store=holdall.open_async(folder.as_uri()),
            database=holdall.open_database_async(name),
        ).client
        self.client.headers["Authorization"] = f"Bearer {keys['operator']}"

    def put_out(self) -> None:
        """Remove the account that asks."""
        asyncio.run(self.users.remove("m-operator"))


@pytest.fixture
def served(serve: Serve, tmp_path: Path, asked_each_time: None) -> Served:
    """A server of objects and records with accounts."""
    return Served(serve, tmp_path)


def halves(served: Served, first: bytes, second: bytes) -> Iterator[bytes]:
    """A body during which the account is removed."""
    yield first
    served.put_out()
    yield second


def test_an_upload_of_an_account_that_was_removed_leaves_nothing(served: Served) -> None:
    body = halves(served, bytes(9 * MIB), bytes(MIB))
    assert served.client.put("/objects/late", content=body).status_code == 401
    assert not kept_below(served.folder)
    assert not (served.folder / "late").exists()


def test_a_batch_of_an_account_that_was_removed_ends(served: Served) -> None:
    lines = [b'{"id":"%s","fields":{}}\n' % name for name in (b"late-1", b"late-2")]
    answer = served.client.post(
        "/records:batch?mode=create", content=halves(served, *lines), headers=NDJSON
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/records", "/objects/large"])
def test_an_answer_to_an_account_that_was_removed_breaks_off(served: Served, path: str) -> None:
    served.client.put("/objects/large", content=bytes(16 * MIB))
    with served.client.stream("GET", path, headers=LINES) as answer:
        assert answer.status_code == 200
        served.put_out()
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_accounts_that_cannot_be_read_put_nobody_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.client.stream("GET", "/records", headers=LINES) as answer:
        lines = answer.iter_lines()
        next(lines)
        asked = threading.Event()

        async def gone(*_: Any) -> Any:
            asked.set()
            raise Unavailable("away")

        monkeypatch.setattr(Users, "exist", gone)
        assert [json.loads(line)["id"] for line in lines][-1] == "0999"
    assert asked.is_set()
