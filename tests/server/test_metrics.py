"""The figures of a server, and what its log has of requests and WebSockets."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

import holdall
from holdall.core.errors import InvalidConfig
from holdall.haystack import Grid, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.objects.layers.recorders import PrometheusRecorder
from holdall.server import create_fastapi_app
from holdall.server.logs import JsonLines, RequestLog
from holdall.server.observing.exposition import Siblings, exposed, families
from holdall.server.observing.figures import Figures
from server.asking import Asking, Login, users
from server.conftest import Serve
from server.listening import listening
from server.processes import until

PASSWORD = "correct horse"


def told(text: str) -> dict[str, float]:
    """Samples by what they are called in the text, with labels in order."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{name}={one.labels[name]}" for name in sorted(one.labels))
            found[f"{one.name}{{{labels}}}"] = one.value
    return found


def figures(ask: Asking, **headers: str) -> dict[str, float]:
    answer = ask.client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return told(answer.text)


def requests(route: str, method: str, status: int) -> str:
    return f"holdall_http_requests_total{{method={method},route={route},status={status}}}"


def test_figures_need_an_account(serve: Serve) -> None:
    made = users()
    key = asyncio.run(made.add_machine("prometheus"))
    ask = serve(users=made)
    assert ask.client.get("/metrics").status_code == 401
    assert figures(ask, Authorization=f"Bearer {key}")[requests("-", "GET", 401)] == 1


def test_requests_are_counted_by_route_method_and_status(ask: Asking) -> None:
    for _ in range(3):
        ask.get("about")
    ask.post("read", Grid([{"filter": "site"}]))
    ask.get("watchSub")
    found = figures(ask)
    assert found[requests("/api/about", "GET", 200)] == 3
    assert found[requests("/api/read", "POST", 200)] == 1
    assert found["holdall_http_request_seconds_count{method=GET,route=/api/about}"] == 3


def test_what_clients_make_up_names_no_series(ask: Asking) -> None:
    for at in range(5):
        ask.get(f"made-up-{at}")
        ask.client.request(f"MADEUP{at}", "/api/about")
    found = figures(ask)
    assert found[requests("-", "GET", 404)] == 5
    assert "made" not in "".join(found).lower()
    assert sum(value for name, value in found.items() if "method=other" in name) > 0


def test_bytes_are_counted_in_both_directions(ask: Asking) -> None:
    before = figures(ask)
    body = b'ver:"3.0"\nfilter\n"site"\n'
    answer = ask.post("read", body)
    found = figures(ask)
    names = [f"holdall_http_bytes_total{{direction={way}}}" for way in ("received", "sent")]
    assert found[names[0]] - before[names[0]] == len(body)
    assert found[names[1]] - before[names[1]] >= len(answer.content)


def test_the_request_for_figures_is_the_one_that_runs(ask: Asking) -> None:
    assert figures(ask)["holdall_http_requests_running{}"] == 1
    assert figures(ask)["holdall_http_requests_running{}"] == 1


def test_calls_of_the_store_of_objects_are_counted() -> None:
    registry = CollectorRegistry()
    store = Figures(registry).measured(holdall.open_async("memory://"))

    async def working() -> None:
        await store.write("a", b"12345")
        await store.read("a")

    asyncio.run(working())
    assert registry.get_sample_value(
        "holdall_bytes_total", {"store": "objects", "direction": "written"}
    ) == len(b"12345")


def test_being_ready_is_no_call_that_failed(serve: Serve) -> None:
    ask = serve(data_store=holdall.open_async("memory://"))
    assert ask.client.get("/health/ready").status_code == 200
    assert not [name for name in figures(ask) if name.startswith("holdall_errors_total")]


def test_a_store_that_is_measured_already_is_left_as_it_is() -> None:
    registry = CollectorRegistry()
    config = {"type": "memory", "metrics": True}
    store = holdall.AsyncDataStore.from_config(config, metrics=PrometheusRecorder(registry))
    assert Figures(registry).measured(store) is store


def test_a_registry_of_ones_own_is_shown(serve: Serve) -> None:
    registry = CollectorRegistry()
    Counter("pumps_started", "Pumps that were started", registry=registry).inc(7)
    assert figures(serve(registry=registry))["pumps_started_total{}"] == 7


def test_watches_over_websockets_are_counted(adapter: InMemoryAdapter) -> None:
    app = create_fastapi_app(adapter)
    app.state.live = SimpleNamespace(watches=7)
    with listening(app) as url, httpx.Client(base_url=url) as client:
        assert figures(Asking(client))["holdall_websocket_watches{}"] == 7


def test_two_applications_cannot_share_a_registry() -> None:
    registry = CollectorRegistry()
    create_fastapi_app(InMemoryAdapter(), registry=registry)
    with pytest.raises(InvalidConfig, match="registry"):
        create_fastapi_app(InMemoryAdapter(), registry=registry)


def test_a_registry_with_a_recorder_of_another_store_is_taken_as_it_is() -> None:
    registry = CollectorRegistry()
    PrometheusRecorder(registry, "archive")
    store = holdall.open_async("memory://")
    assert Figures(registry).measured(store) is store


def test_two_applications_in_a_process_count_for_themselves(serve: Serve) -> None:
    one, other = serve(), serve(InMemoryAdapter())
    one.get("about")
    assert requests("/api/about", "GET", 200) not in figures(other)


def test_without_the_library_a_line_says_what_to_install(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdall.server.observing.figures.find_spec", lambda _: None)
    answer = serve().client.get("/metrics")
    assert (answer.status_code, "pip install" in answer.text) == (501, True)


def counted(amount: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("things", "Things", ["kind"], registry=registry).labels("a").inc(amount)
    return registry


def test_workers_are_told_apart_and_each_name_comes_once() -> None:
    text, _ = exposed({1: families(counted(3)), 2: families(counted(4))})
    assert told(text.decode()) == {
        "things_total{kind=a,worker=1}": 3,
        "things_total{kind=a,worker=2}": 4,
    }
    assert text.count(b"# TYPE") == 1


def test_one_worker_has_the_figures_of_all(tmp_path: Path) -> None:
    async def asking() -> dict[int, list[Any]]:
        async with contextlib.AsyncExitStack() as running:
            for number in (1, 2, 3):
                registry = counted(number)
                await running.enter_async_context(Siblings(str(tmp_path), number).telling(registry))
            return await Siblings(str(tmp_path), 1).told()

    found = asyncio.run(asking())
    assert {at: one[0].samples[0][2] for at, one in found.items()} == {2: 2.0, 3: 3.0}


def test_a_worker_that_died_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "2").touch()
    assert asyncio.run(Siblings(str(tmp_path), 1).told()) == {}


def test_a_worker_takes_the_place_of_one_that_died(tmp_path: Path) -> None:
    (tmp_path / "2").touch()

    async def asking() -> dict[int, list[Any]]:
        async with Siblings(str(tmp_path), 2).telling(counted(5)):
            return await Siblings(str(tmp_path), 1).told()

    assert list(asyncio.run(asking())) == [2]


# What the log has.


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The log so far, as it is written: the line of a request comes after its answer."""
    caplog.set_level(logging.DEBUG)

    def made() -> list[dict[str, Any]]:
        return [
            msgspec.json.decode(JsonLines(3).format(one))
            for one in caplog.records
            if one.name.startswith("holdall")
        ]

    return made


def test_no_secret_is_in_any_line(serve: Serve, lines: Callable[[], list[dict[str, Any]]]) -> None:
    made = users()
    asyncio.run(made.add("alice", PASSWORD, "admin"))
    key = asyncio.run(made.add_machine("gateway"))
    ask = serve(users=made)
    bearer = Login(ask.client, "alice", PASSWORD).bearer()
    Login(ask.client, "alice", "wrong battery").all()
    ask.get("read?filter=dis==%22hidden%22", authorization=bearer)
    ask.get("read?filter=dis==%22hidden%22", authorization=f"Bearer {key}")
    ask.get("about", authorization=f"Bearer {key}x")
    ask.post("close", Grid([{"id": Ref("hidden")}]), authorization=bearer)
    until(lambda: any(line.get("path") == "/api/close" for line in lines()))
    text = msgspec.json.encode(lines()).decode()
    assert len(lines()) > 8
    token = bearer.partition("=")[2]
    for secret in (PASSWORD, "wrong battery", key, token, token[:64], "hidden", "filter", "SCRAM"):
        assert secret not in text


def test_lines_have_the_number_of_their_worker(
    ask: Asking, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    ask.get("about")
    until(lambda: bool(lines()))
    assert lines()[-1]["worker"] == 3


def socket(*messages: dict[str, Any], registry: CollectorRegistry) -> None:
    """A WebSocket that is accepted, echoes twice, and is closed by the client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if await receive() == {"type": "websocket.connect"}:
            await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"] * 2})

    scope = {"type": "websocket", "path": "/ws", "query_string": b"token=hidden", "headers": []}
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(_: Any) -> None:
        seen = registry.get_sample_value("holdall_websockets")
        assert seen in {0, 1}

    logged: Any = RequestLog(app, Figures(registry))
    running: Awaitable[None] = logged(scope, receive, send)
    asyncio.run(running)  # type: ignore[arg-type]


def test_a_websocket_has_a_line_at_its_beginning_and_one_at_its_end(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    registry = CollectorRegistry()
    socket(
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "abc"},
        {"type": "websocket.disconnect", "code": 1001},
        registry=registry,
    )
    opened, closed = lines()
    assert (opened["message"], closed["message"]) == ("websocket opened", "websocket closed")
    assert opened["request"] == closed["request"]
    assert (closed["status"], closed["received"], closed["sent"], closed["bytes"]) == (
        1001,
        1,
        1,
        6,
    )
    assert "hidden" not in str((opened, closed))
    assert registry.get_sample_value("holdall_websockets") == 0


def test_a_request_that_fails_is_counted_too(serve: Serve, adapter: InMemoryAdapter) -> None:
    app = create_fastapi_app(adapter)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    async def asking() -> str:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.get("/broken")
            return (await client.get("/metrics")).text

    text = asyncio.run(asking())
    assert re.search(r'route="/broken",status="\d+"', text)
    assert "holdall_http_requests_running 1.0" in text
