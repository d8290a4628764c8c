"""The handshake, tokens, keys, roles, and what happens without accounts."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest

from holdall.core.errors import Unavailable
from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, Users, create_fastapi_app
from holdall.server.accounts import throttle
from holdall.server.accounts.places import NotePlace
from holdall.server.accounts.throttle import FREE
from server.asking import (
    ITERATIONS,
    Asking,
    Login,
    b64,
    building,
    grid_of,
    parameters,
    unb64,
    users,
)
from server.conftest import Serve

T = TypeVar("T")
PASSWORD = "correct horse"
EMPTY = Grid(cols=["empty"])


def wait(awaited: Awaitable[T]) -> T:
    async def waiting() -> T:
        return await awaited

    return asyncio.run(waiting())


@pytest.fixture
def accounts() -> Users:
    """Accounts of each role."""
    made = users()
    for name in ("viewer", "operator", "admin"):
        wait(made.add(name, PASSWORD, name))
    return made


@pytest.fixture
def closed(serve: Serve, accounts: Users) -> Asking:
    """What asks a server with accounts."""
    return serve(users=accounts)


def login(ask: Asking, name: str = "admin", password: str = PASSWORD) -> Login:
    return Login(ask.client, name, password)


def test_the_handshake_ends_with_a_token_that_opens_the_server(closed: Asking) -> None:
    assert closed.get("about").status_code == 401
    assert closed.get("about", authorization=login(closed).bearer()).status_code == 200


def test_each_step_answers_with_the_status_of_the_standard(closed: Asking) -> None:
    steps = login(closed)
    assert [steps.hello().status_code, steps.first().status_code] == [401, 401]
    final = steps.final()
    assert final.status_code == 200
    assert list(parameters(final.headers["authentication-info"])) == ["authToken", "hash", "data"]


def test_hello_names_the_mechanism_and_its_hash(closed: Asking) -> None:
    header = login(closed).hello().headers["www-authenticate"]
    assert header.startswith("SCRAM ")
    assert parameters(header)["hash"] == "SHA-256"


def test_the_server_proves_that_it_knows_the_password(closed: Asking) -> None:
    import base64
    import hashlib
    import hmac

    steps = login(closed)
    data = unb64(parameters(steps.all().headers["authentication-info"])["data"])
    parts = dict(part.split("=", 1) for part in steps.first_answer.split(","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", PASSWORD.encode(), base64.b64decode(parts["s"]), ITERATIONS
    )
    key = hmac.new(salted, b"Server Key", "sha256").digest()
    message = f"n=admin,r={steps.nonce},{steps.first_answer},c=biws,r={parts['r']}"
    signature = hmac.new(key, message.encode(), "sha256").digest()
    assert data == "v=" + base64.b64encode(signature).decode()


def test_a_wrong_password_is_403(closed: Asking) -> None:
    assert login(closed, password="wrong horse").all().status_code == 403


def test_nobody_learns_whether_a_name_is_known(closed: Asking) -> None:
    """Every answer to a name that nobody has looks like one to a wrong password."""

    def answers(name: str) -> list[Any]:
        steps = login(closed, name, "wrong horse")
        hello, first, final = steps.hello(), steps.first(), steps.final()
        parts = dict(part.split("=", 1) for part in steps.first_answer.split(","))
        return [
            (hello.status_code, list(parameters(hello.headers["www-authenticate"]))),
            (first.status_code, list(parameters(first.headers["www-authenticate"]))),
            (final.status_code, final.text, len(parts["s"]), parts["i"]),
        ]

    assert answers("admin") == answers("nobody")


def test_an_unknown_name_has_always_the_same_salt(closed: Asking) -> None:
    def salt(name: str) -> str:
        steps = login(closed, name)
        steps.hello()
        steps.first()
        return steps.first_answer.split(",")[1]

    assert salt("nobody") == salt("nobody")
    assert salt("nobody") != salt("somebody")


def test_a_name_of_any_characters_is_merely_unknown(closed: Asking) -> None:
    for name in ("Jürgen", "a=2Cb", "x" * 200):
        assert login(closed, name).all().status_code == 403


def test_a_thousand_hellos_lock_nobody_out(closed: Asking) -> None:
    for _ in range(1000):
        assert login(closed).hello().status_code == 401
    assert login(closed).all().status_code == 200


def test_who_failed_often_waits(closed: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    # A pause of a second, which would be over before a slow machine asks again.
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: 0.0))
    for _ in range(FREE):
        assert login(closed, password="wrong horse").all().status_code == 403
    late = login(closed).all()
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)


def test_who_failed_often_locks_no_other_name_and_no_other_address_out(closed: Asking) -> None:
    for _ in range(FREE):
        login(closed, password="wrong horse").all()
    assert login(closed, "viewer").all().status_code == 200
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2", verify=False)
    with httpx.Client(base_url=closed.client.base_url, transport=elsewhere) as client:
        assert Login(client, "admin", PASSWORD).all().status_code == 200


def test_a_handshake_that_was_overheard_opens_no_second_session(closed: Asking) -> None:
    steps = login(closed)
    steps.hello()
    steps.first()
    header = steps.final_header()
    assert closed.get("about", authorization=header).status_code == 200
    assert closed.get("about", authorization=header).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "HELLO",
        "HELLO username=%%%",
        "HELLO username=" + "A" * 600,
        "SCRAM data=biws",
        "SCRAM handshakeToken=00, data=biws",
        "SCRAM handshakeToken=zz, data=biws",
        "SCRAM handshakeToken=, data=",
    ],
)
def test_a_handshake_that_is_none_is_403(closed: Asking, header: str) -> None:
    assert closed.get("about", authorization=header).status_code == 403


@pytest.mark.parametrize(
    "message",
    ["", "n,,n=viewer,r=abcdefghij", "p=tls-unique,,n=admin,r=abcdefghij", "n,,n=admin,r=x",
     "n,,n=admin", "c=biws,r=abc,p=AAAA", "c=biws,p=AAAA", "c=eHh4,r=abc,p=AAAA", "\u00e9"],
)  # fmt: skip
def test_a_message_of_scram_that_is_none_is_403(closed: Asking, message: str) -> None:
    steps = login(closed)
    steps.hello()
    header = f"SCRAM handshakeToken={steps.token}, data={b64(message)}"
    assert closed.get("about", authorization=header).status_code == 403


def test_a_handshake_token_of_another_server_does_not_count(closed: Asking, serve: Serve) -> None:
    other = users()
    wait(other.add("admin", PASSWORD, "admin"))
    steps = login(closed)
    steps.token = login(serve(InMemoryAdapter(), users=other)).hello().headers["www-authenticate"]
    assert steps.first().status_code == 403


@pytest.mark.parametrize("scheme", ["Basic YWRtaW46eA==", "Bearer x", "BEARER authToken=x", "x"])
def test_what_is_no_token_is_401(closed: Asking, scheme: str) -> None:
    assert closed.get("about", authorization=scheme).status_code == 401


def test_close_ends_the_session(closed: Asking) -> None:
    token = login(closed).bearer()
    assert closed.post("close", EMPTY, authorization=token).status_code == 200
    assert closed.get("about", authorization=token).status_code == 401


def test_close_ends_the_session_whatever_else_it_asks(closed: Asking) -> None:
    token = login(closed).bearer()
    assert closed.post("close", EMPTY, authorization=token, accept="image/png").status_code == 406
    assert closed.get("about", authorization=token).status_code == 401


def test_close_ends_no_other_session(closed: Asking) -> None:
    one, other = login(closed).bearer(), login(closed).bearer()
    closed.post("close", EMPTY, authorization=one)
    assert closed.get("about", authorization=other).status_code == 200


def test_a_token_expires(serve: Serve, accounts: Users) -> None:
    ask = serve(users=accounts, config=ServerConfig(session=1e-9))
    assert ask.get("about", authorization=login(ask).bearer()).status_code == 401


def test_another_password_ends_the_sessions_of_its_account(closed: Asking, accounts: Users) -> None:
    mine, other = login(closed).bearer(), login(closed, "viewer").bearer()
    wait(accounts.change_password("admin", "battery staple"))
    assert closed.get("about", authorization=mine).status_code == 401
    assert closed.get("about", authorization=other).status_code == 200


def test_an_account_that_was_removed_is_out(closed: Asking, accounts: Users) -> None:
    token = login(closed).bearer()
    wait(accounts.remove("admin"))
    assert closed.get("about", authorization=token).status_code == 401
    assert login(closed).all().status_code == 403


@pytest.mark.parametrize("scheme", ["BEARER authToken=", "Bearer "])
def test_a_machine_asks_with_its_key(closed: Asking, accounts: Users, scheme: str) -> None:
    key = wait(accounts.add_machine("gateway", "operator"))
    assert closed.get("about", authorization=scheme + key).status_code == 200
    assert closed.get("about", authorization=scheme + key[:-1]).status_code == 401


def test_a_machine_logs_in_with_no_password(closed: Asking, accounts: Users) -> None:
    key = wait(accounts.add_machine("gateway"))
    assert login(closed, "gateway", key).all().status_code == 403


def test_a_client_may_begin_with_its_first_message(closed: Asking) -> None:
    steps = login(closed)
    hello = f"HELLO username={b64('admin')}, data={b64(f'n,,n=admin,r={steps.nonce}')}"
    answer = parameters(closed.get("about", authorization=hello).headers["www-authenticate"])
    steps.token, steps.first_answer = answer["handshakeToken"], unb64(answer["data"])
    assert steps.final().status_code == 200


# Roles.

OPERATIONS = {
    "viewer": ("about", "ops", "read?filter=site", "nav", "hisRead?id=@p1&range=today"),
}
WRITES = Grid([{"ts": "x"}], meta={"id": Ref("p1")}, cols=["ts", "val"])
COMMAND = Grid([{"id": Ref("p1"), "level": Number(9), "val": Number(1)}])
ACTION = Grid(meta={"id": Ref("p1"), "action": "x"}, cols=["empty"])
WATCH = Grid([{"id": Ref("p1")}])


@pytest.mark.parametrize(
    ("op", "grid", "allowed"),
    [
        ("read", Grid([{"filter": "site"}]), {"viewer", "operator", "admin"}),
        ("watchSub", WATCH, {"viewer", "operator", "admin"}),
        ("pointWrite", Grid([{"id": Ref("p1")}]), {"viewer", "operator", "admin"}),
        ("pointWrite", COMMAND, {"operator", "admin"}),
        ("hisWrite", WRITES, {"operator", "admin"}),
        ("invokeAction", ACTION, {"operator", "admin"}),
        ("load", Grid([{"id": Ref("x")}]), {"admin"}),
        ("close", EMPTY, {"viewer", "operator", "admin"}),
    ],
)
def test_a_role_may_do_what_it_is_for(
    closed: Asking, op: str, grid: Grid, allowed: set[str]
) -> None:
    may = {
        name
        for name in ("viewer", "operator", "admin")
        if closed.post(op, grid, authorization=login(closed, name).bearer()).status_code == 200
    }
    assert may == allowed


def test_the_short_path_of_load_takes_an_admin_too(closed: Asking) -> None:
    body = b'ver:"3.0"\nid\n@x\n'
    token = login(closed, "operator").bearer()
    headers = {"Content-Type": "text/zinc", "Authorization": token}
    assert closed.client.post("/load", content=body, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/api/fly", "/docs", "/load", "/api/read"])
def test_no_path_is_open_to_strangers(closed: Asking, path: str) -> None:
    assert closed.client.get(path).status_code == 401
    assert closed.client.post(path).status_code == 401


def test_who_commands_is_the_name_of_the_account(closed: Asking) -> None:
    token = login(closed, "operator").bearer()
    closed.post("pointWrite", COMMAND, authorization=token)
    levels = grid_of(closed.post("pointWrite", WATCH, authorization=token))
    assert levels[8]["who"] == "operator"


# Without accounts.


def asked_from(address: str, **headers: str) -> int:
    """The status that a server without accounts answers to an address."""
    app = create_fastapi_app(storage=InMemoryAdapter(building()))

    async def asking() -> int:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, client=(address, 50000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
                return (await one.get("/api/about", headers=headers)).status_code

    return asyncio.run(asking())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.0.0.9"])
def test_without_accounts_this_machine_may_ask(address: str) -> None:
    assert asked_from(address) == 200


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.7", "2001:db8::1", "testclient"])
def test_without_accounts_nobody_else_may(address: str) -> None:
    assert asked_from(address) == 403


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_without_accounts_a_proxy_on_this_machine_may_not_ask_for_others(header: str) -> None:
    assert asked_from("127.0.0.1", **{header: "127.0.0.1"}) == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "["])
def test_without_accounts_a_page_of_another_name_may_not_ask(host: str) -> None:
    assert asked_from("127.0.0.1", host=host) == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_without_accounts_this_machine_has_several_names(host: str) -> None:
    assert asked_from("127.0.0.1", host=host) == 200


def test_the_first_account_closes_the_server(serve: Serve, adapter: InMemoryAdapter) -> None:
    made = users()
    ask = serve(users=made)
    assert ask.get("about").status_code == 200
    wait(made.add("admin", PASSWORD, "admin"))
    assert ask.get("about").status_code == 401


def test_the_first_admin_may_come_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = users()
    ask = serve(users=made)
    monkeypatch.setenv("HOLDALL_ADMIN", "root")
    monkeypatch.setenv("HOLDALL_ADMIN_PASSWORD", PASSWORD)
    ask = serve(InMemoryAdapter(), users=made)
    assert login(ask, "root").all().status_code == 200
    assert [(one.name, one.role) for one in wait(made.all())] == [("root", "admin")]


def test_a_watch_of_one_account_is_no_open_door(closed: Asking) -> None:
    viewer = login(closed, "viewer").bearer()
    watch = grid_of(closed.post("watchSub", WATCH, authorization=viewer)).meta["watchId"]
    poll = Grid(meta={"watchId": watch, "refresh": MARKER}, cols=["empty"])
    assert closed.post("watchPoll", poll).status_code == 401


def test_accounts_that_cannot_be_read_let_nobody_in(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = users()
    ask = serve(users=made)

    async def failing() -> bool:
        raise Unavailable("postgresql://secret@db does not answer")

    monkeypatch.setattr(made, "exist", failing)
    response = ask.get("about")
    assert (response.status_code, "secret" in response.text) == (503, False)


def test_accounts_are_kept_in_the_store_unless_given(
    serve: Serve, adapter: InMemoryAdapter
) -> None:
    made = Users(NotePlace(adapter.stores[0]), iterations=ITERATIONS)
    wait(made.add("admin", PASSWORD, "admin"))
    ask = serve(adapter)
    assert ask.get("about").status_code == 401
    assert ask.get("about", authorization=login(ask).bearer()).status_code == 200
