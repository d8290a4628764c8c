"""How connections end: who may not ask any more, who is slow or gone, and the server itself."""

import asyncio
import json
import socket
import threading
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from holdall.haystack import Grid, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, create_fastapi_app
from holdall.server.connections import protocol
from holdall.server.live.connection import AT_ONCE
from holdall.server.live.outbox import MOST_BYTES, Outbox
from holdall.server.live.pushing import Told
from holdall.server.live.wire import BoundedWebSocket
from server.asking import Asking, Login, building, users
from server.conftest import Serve
from server.listening import listening
from server.talking import Talking, bearer, request, sub, talking, users_of_three

PASSWORD = "correct horse"


def code_of_end(talk: Talking) -> int:
    """With which code the server ends a connection."""
    with pytest.raises(ConnectionClosed) as caught:
        deque(iter(partial(talk.client.recv, 30), None), maxlen=0)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def logged_in(ask: Asking) -> dict[str, Any]:
    """How somebody connects who logged in as alice."""
    header = Login(ask.client, "alice", PASSWORD).bearer()
    return {"additional_headers": {"Authorization": header}}


def test_a_session_that_was_closed_ends_the_connection(serve: Serve) -> None:
    accounts = users()
    asyncio.run(accounts.add("alice", PASSWORD))
    ask = serve(users=accounts)
    how = logged_in(ask)
    with talking(ask, **how) as talk:
        talk.grid("about")
        ask.post("close", 'ver:"3.0"\nempty\n', **how["additional_headers"])
        talk.say({"op": "about"})
        assert code_of_end(talk) == 3000


def test_closing_the_session_over_the_connection_ends_it(serve: Serve) -> None:
    accounts = users()
    asyncio.run(accounts.add("alice", PASSWORD))
    ask = serve(users=accounts)
    with talking(ask, **logged_in(ask)) as talk:
        talk.say([{"op": "close"}])
        assert code_of_end(talk) == 3000


def test_an_account_that_was_removed_is_pushed_nothing(
    serve: Serve, adapter: InMemoryAdapter
) -> None:
    accounts, keys = users_of_three()
    ask = serve(users=accounts, config=ServerConfig(push_interval=0.02))
    with talking(ask, **bearer(keys["viewer"])) as talk:
        talk.watch("p1")
        asyncio.run(accounts.remove("m-viewer"))
        assert code_of_end(talk) == 3000


def test_the_first_account_ends_connections_without_one(serve: Serve) -> None:
    accounts = users()
    with talking(serve(users=accounts)) as talk:
        talk.grid("about")
        asyncio.run(accounts.add("alice", PASSWORD, "admin"))
        assert code_of_end(talk) == 3000


def test_the_end_of_the_server_is_told() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with ExitStack() as open_things:
        with listening(app) as url:
            at = url.replace("http", "ws") + "/ws"
            talk = Talking(open_things.enter_context(connect(at)))
            talk.watch("p1")
        assert code_of_end(talk) == 1012


def test_nothing_is_left_of_a_connection_that_went() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with (
        listening(app) as url,
        httpx.Client(base_url=url) as client,
        talking(Asking(client)) as talk,
    ):
        talk.watch("p1")
    assert (app.state.live.connections, app.state.live.watches) == (0, 0)


def slow_client(url: str) -> Any:
    """A client whose system keeps little of what it does not read."""
    parts = httpx.URL(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((parts.host, parts.port or 0))
    at = f"ws://{parts.host}:{parts.port}/ws"
    return connect(at, sock=sock, max_queue=1, max_size=None)


def test_a_client_that_does_not_read_is_cut_and_others_are_told() -> None:
    adapter = InMemoryAdapter(building())
    # Long enough for the one who reads, also where ten other programs want the processor.
    config = ServerConfig(push_interval=0.01, send_timeout=0.5)
    app = create_fastapi_app(adapter, config=config)
    with (
        listening(app) as url,
        httpx.Client(base_url=url) as client,
        slow_client(url) as slow,
        talking(Asking(client), max_size=None) as other,
    ):
        Talking(slow).watch("p1")
        other.watch("p1")
        turn = 0
        while app.state.live.connections == 2:
            turn += 1
            large = f"{turn}" + "x" * 100_000
            asyncio.run(adapter.update("p1", {"note": large}))
            while other.push()[1][0]["note"] != large:
                pass
        slow.socket.close()
        assert not other.grid("about").is_error


def test_of_what_waits_only_the_last_state_is_kept() -> None:
    box = Outbox()
    for n in range(100):
        assert box.tell(b"w", told("e1", b"x" * 1_000_000 + str(n).encode()))
    assert asyncio.run(box.next()).endswith(b"x99]}}")
    assert not box.tell(b"w", told("e1", b"x" * (MOST_BYTES + 1)))


def test_more_than_may_wait_is_told() -> None:
    box, most = Outbox(), 100
    row = b"x" * (MOST_BYTES // most)
    fits = [box.tell(b"w", told(f"e{n}", row)) for n in range(most + 1)]
    assert fits == [True] * most + [False]


def test_what_was_forgotten_makes_room() -> None:
    box = Outbox()
    assert box.tell(b"w", told("e1", b"x" * MOST_BYTES))
    box.forget(b"w")
    assert box.tell(b"v", told("e1", b"x" * MOST_BYTES))


def told(of: str, row: bytes) -> Told:
    return Told(of, row, b"[]", ())


def test_a_peer_that_answers_no_ping_is_cut() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with listening(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as url, upgraded(url) as sock:
        sent = b"".join(iter(partial(sock.recv, 65536), b""))
    assert b"keepalive" in sent


def upgraded(url: str) -> socket.socket:
    """A WebSocket without anything that speaks it."""
    parts = httpx.URL(url)
    sock = socket.create_connection((parts.host, parts.port or 0), timeout=30)
    sock.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
    return sock


def test_a_websocket_does_not_count_as_waiting_for_a_request() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with (
        listening(app, http=protocol(seconds=0.6, most=1)) as url,
        connect(url.replace("http", "ws") + "/ws") as client,
    ):
        parts = httpx.URL(url)
        for _ in range(2):  # each goes after 0.6 seconds
            with socket.create_connection((parts.host, parts.port or 0), timeout=30) as idle:
                assert b" 408 " in idle.recv(65536)
        assert not Talking(client).grid("about").is_error


def test_a_message_in_too_many_pieces_ends_the_connection(ask: Asking) -> None:
    with talking(ask) as talk, pytest.raises(ConnectionClosed):
        talk.client.send("" for _ in range(10_000_000))


def test_a_message_in_pieces_is_read(ask: Asking) -> None:
    with talking(ask) as talk:
        talk.client.send(iter(json.dumps({"op": "about"})))
        assert talk.hear()["grid"]


def test_nothing_is_compressed(ask: Asking) -> None:
    with talking(ask, compression="deflate") as talk:
        assert talk.client.response is not None
        assert "Sec-WebSocket-Extensions" not in talk.client.response.headers


def test_a_request_that_was_begun_is_finished_though_its_client_went() -> None:
    adapter = InMemoryAdapter(building())
    done = []

    async def slowly(call: Any) -> None:
        await asyncio.sleep(0.2)
        done.append(call.id)

    app = create_fastapi_app(adapter, actions={"slowly": slowly})
    call = Grid(meta={"id": Ref("a1"), "action": "slowly"}, cols=["empty"])
    with (
        listening(app) as url,
        httpx.Client(base_url=url) as client,
        talking(Asking(client)) as talk,
    ):
        talk.say(request("invokeAction", call))
        talk.grid("about")  # by now the other was begun
    assert done == [Ref("a1")]


def test_a_client_whose_pong_is_not_read_yet_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    go, overdue, timeout = threading.Event(), threading.Event(), BoundedWebSocket.keepalive_timeout

    def noted(self: BoundedWebSocket) -> None:
        timeout(self)
        overdue.set()

    async def slowly(call: Any) -> None:
        await asyncio.to_thread(go.wait, 30)

    monkeypatch.setattr(BoundedWebSocket, "keepalive_timeout", noted)
    app = create_fastapi_app(InMemoryAdapter(building()), actions={"slowly": slowly})
    call = Grid(meta={"id": Ref("a1"), "action": "slowly"}, cols=["empty"])
    pings = {"ws_ping_interval": 0.2, "ws_ping_timeout": 0.2}
    with (
        listening(app, **pings) as url,
        httpx.Client(base_url=url) as client,
        talking(Asking(client)) as talk,
    ):
        # Two more than are worked on: one that waits to be, and one that stops the reading.
        asked = range(AT_ONCE + 2)
        for number in asked:
            talk.say(request("invokeAction", call, number))
        assert overdue.wait(30)
        go.set()
        assert sorted(talk.hear()["id"] for _ in asked) == list(asked)


def test_a_watch_that_cannot_be_opened_is_an_error_grid(ask: Asking) -> None:
    with talking(ask) as talk:
        assert talk.grid("watchSub", sub("p1", watchId="nobody-opened-this")).is_error
        assert talk.grid("watchSub", Grid(cols=["empty"], rows=[{"empty": "x"}])).is_error


def test_text_that_is_no_utf_8_ends_the_connection() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with listening(app) as url, upgraded(url) as sock:
        sock.sendall(b"\x81\x82\0\0\0\0\xff\xfe")
        assert sock.recv(65536).startswith(b"\x88\x02" + (1007).to_bytes(2, "big"))


def test_a_frame_without_a_mask_ends_the_connection() -> None:
    app = create_fastapi_app(InMemoryAdapter(building()))
    with listening(app) as url, upgraded(url) as sock:
        sock.sendall(b"\x81\x02{}")
        assert b"\x88" in sock.recv(65536)[:1]
