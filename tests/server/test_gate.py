"""Who is of this machine, and what the door does when many try at once."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from holdall.haystack.memory import InMemoryAdapter
from holdall.server import Users, create_fastapi_app
from holdall.server.access import Door, is_local
from holdall.server.accounts import throttle
from holdall.server.accounts.places import MemoryPlace, Place
from holdall.server.accounts.roles import Caller
from holdall.server.accounts.scram import Credentials
from holdall.server.accounts.throttle import FREE
from holdall.server.errors import HttpFault
from server.asking import ITERATIONS, b64, parameters, unb64, users

PASSWORD = "correct horse"


def scope(*, version: str = "1.1", **headers: str) -> dict[str, Any]:
    """A request from this machine; `-` stands for `_` in names of headers."""
    named = {"host": "localhost:8080"} | headers
    return {
        "type": "http",
        "method": "GET",
        "http_version": version,
        "client": ("127.0.0.1", 50000),
        "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in named.items()],
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://localhost:3000"}, {"origin": "http://[::1]:1"},
     {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"}],
)  # fmt: skip
def test_a_request_of_this_machine_is_local(headers: dict[str, str]) -> None:
    assert is_local(scope(**headers))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
def test_a_page_of_another_server_is_not_local(origin: str) -> None:
    assert not is_local(scope(origin=origin))


def test_an_image_on_a_page_of_another_server_is_not_local() -> None:
    assert not is_local(scope(sec_fetch_site="cross-site"))


@pytest.mark.parametrize(
    "header",
    ["via", "x_forwarded_proto", "x_forwarded_port", "x_original_forwarded_for", "true_client_ip",
     "x_client_ip", "cf_connecting_ip"],
)  # fmt: skip
def test_what_any_proxy_sent_on_is_not_local(header: str) -> None:
    assert not is_local(scope(**{header: "x"}))


def test_a_proxy_that_tells_nothing_of_itself_is_not_local() -> None:
    assert not is_local(scope(version="1.0"))


def test_accounts_that_are_gone_open_nothing() -> None:
    made = users()

    async def asking() -> None:
        door = Door(made, 60)
        assert isinstance(await door.caller(scope()), Caller)
        await made.add("admin", PASSWORD, "admin")
        with pytest.raises(HttpFault):
            await door.caller(scope())
        await made.remove("admin")
        with pytest.raises(HttpFault, match="gone") as caught:
            await door.caller(scope())
        assert caught.value.status == 403

    asyncio.run(asking())


def test_accounts_that_go_before_anybody_asked_open_nothing() -> None:
    made = users()
    app = create_fastapi_app(InMemoryAdapter(), users=made)

    async def asking() -> None:
        await made.add("admin", PASSWORD, "admin")
        async with app.router.lifespan_context(app):
            await made.remove("admin")
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                answer = await client.get("/api/about")
        assert (answer.status_code, "gone" in answer.text) == (403, True)

    asyncio.run(asking())


class Waiting(Place):
    """A place that takes a moment to read."""

    def __init__(self) -> None:
        self._behind = MemoryPlace()

    @property
    def address(self) -> str:
        return self._behind.address

    async def load(self) -> tuple[bytes | None, str]:
        await asyncio.sleep(0)  # others go on meanwhile
        return await self._behind.load()

    async def save(self, document: bytes | None, version: str) -> None:
        await self._behind.save(document, version)


def test_tries_at_once_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pause is a second, which a slow machine may need for all of them.
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: 0.0))
    made = Users(Waiting(), iterations=ITERATIONS, fresh=0)

    async def tries() -> list[int]:
        await made.add("admin", PASSWORD, "admin")
        door = Door(made, 60)
        answer = await door.caller(scope(authorization=f"HELLO username={b64('admin')}"))
        assert not isinstance(answer, Caller)
        token = parameters(answer.headers["www-authenticate"])["handshakeToken"]
        header = f"SCRAM handshakeToken={token}, data="
        first = await door.caller(scope(authorization=header + b64("n,,n=admin,r=abcdefgh")))
        assert not isinstance(first, Caller)
        nonce = unb64(parameters(first.headers["www-authenticate"])["data"]).split(",")[0]
        proof = b64(f"c=biws,{nonce},p=AAAA")

        async def guess() -> int:
            with pytest.raises(HttpFault) as caught:
                await door.caller(scope(authorization=header + proof))
            return caught.value.status

        return await asyncio.gather(*(guess() for _ in range(50)))

    answers = asyncio.run(tries())
    assert (answers.count(403), answers.count(429)) == (FREE, 50 - FREE)


def test_an_unknown_name_is_hashed_as_often_as_the_known_ones() -> None:
    place = MemoryPlace()

    async def told() -> Credentials:
        await Users(place, iterations=ITERATIONS).add("admin", PASSWORD)
        return await Users(place, iterations=2 * ITERATIONS).credentials("nobody")

    assert asyncio.run(told()).iterations == ITERATIONS


def test_accounts_that_cannot_be_read_are_503(tmp_path: Path) -> None:
    import httpx

    app = create_fastapi_app(InMemoryAdapter(), users=Users.in_file(tmp_path))

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/api/about")

    assert asyncio.run(asking()).status_code == 503
