"""Whether a server lives, and whether it is ready."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

import holdall
from holdall.core.errors import PermissionDenied, Unavailable
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from holdall.server.observing.readiness import Readiness
from server.asking import Asking, users
from server.conftest import Serve
from server.listening import listening

SECRET = "postgresql://user:secret@10.0.0.9/plant"


async def _fine() -> None:
    return None


async def _away() -> None:
    raise Unavailable(f"{SECRET} does not answer")


def failing(readiness: Readiness) -> list[str]:
    return asyncio.run(readiness.failing())


def health(ask: Asking, name: str) -> httpx.Response:
    answer: httpx.Response = ask.client.get(f"/health/{name}")
    return answer


@pytest.fixture
def closed(serve: Serve) -> Asking:
    """What asks a server that has an account."""
    made = users()
    asyncio.run(made.add_machine("gateway"))
    return serve(users=made)


@pytest.mark.parametrize("name", ["live", "ready"])
def test_health_needs_no_account(closed: Asking, name: str) -> None:
    answer = health(closed, name)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path",
    ["/health", "/health/", "/health/live/", "/health/live/../../api/about", "//health/live"],
)
def test_nothing_else_is_public(closed: Asking, path: str) -> None:
    assert closed.client.get(path).status_code == 401


def test_a_store_that_is_away_makes_the_server_unready_and_not_dead(serve: Serve) -> None:
    adapter = InMemoryAdapter()
    ask = serve(adapter)
    adapter.about = _away  # type: ignore[method-assign, assignment, misc]
    answer = health(ask, "ready")
    assert (answer.status_code, answer.json()) == (
        503,
        {"status": "failing", "failing": ["storage"]},
    )
    assert health(ask, "live").status_code == 200


@pytest.mark.parametrize("what", ["objects", "records"])
def test_objects_and_records_that_are_away_are_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    stores: dict[str, Any] = {
        "data_store": holdall.open_async("memory://"),
        "database": holdall.open_database_async("memory://"),
    }
    ask = serve(**stores)
    one = stores["data_store" if what == "objects" else "database"]
    monkeypatch.setattr(one, "exists", lambda _: _away())
    assert health(ask, "ready").json()["failing"] == [what]


def test_accounts_that_are_away_are_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    made = users()
    ask = serve(users=made)
    monkeypatch.setattr(made, "_read", _away)
    assert health(ask, "ready").json()["failing"] == ["accounts"]


def test_a_server_that_ends_is_not_ready() -> None:
    app = create_fastapi_app(InMemoryAdapter())
    with listening(app) as url, httpx.Client(base_url=url, verify=False) as client:
        app.state.ending = True
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "ending")
        assert client.get("/health/live").status_code == 200


def test_what_does_not_answer_in_time_fails() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    assert failing(Readiness({"storage": forever, "records": _fine}, seconds=0.01)) == ["storage"]


def test_a_store_that_refuses_has_answered() -> None:
    async def refused() -> None:
        raise PermissionDenied("no")

    assert failing(Readiness({"objects": refused})) == []


def test_an_adapter_of_others_that_raises_anything_fails() -> None:
    async def broken() -> None:
        raise RuntimeError("broken")

    assert failing(Readiness({"storage": broken})) == ["storage"]


def test_many_that_ask_at_once_are_one_question() -> None:
    asked = 0

    async def counted() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    async def asking() -> None:
        readiness = Readiness({"storage": counted})
        await asyncio.gather(*(readiness.failing() for _ in range(50)))

    asyncio.run(asking())
    assert asked == 1


def test_the_log_has_why_once_until_it_answers_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdall.server.observing.readiness.FRESH", 0.0)
    answers = [_away, _away, _fine, _away]

    async def next_answer() -> None:
        await answers.pop(0)()

    async def asking() -> list[list[str]]:
        readiness = Readiness({"storage": next_answer})
        return [await readiness.failing() for _ in range(4)]

    with caplog.at_level(logging.ERROR, "holdall.server"):
        assert asyncio.run(asking()) == [["storage"], ["storage"], [], ["storage"]]
    assert [one.getMessage() for one in caplog.records] == ["storage does not answer"] * 2
