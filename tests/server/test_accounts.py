"""Accounts where they are kept: in a store, in a file, in memory."""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import msgspec
import pytest

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    InvalidValue,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from holdall.haystack.sqlite import SqliteAdapter
from holdall.server import Users
from holdall.server.accounts import throttle as throttling
from holdall.server.accounts import tokens
from holdall.server.accounts.handshake import Proven
from holdall.server.accounts.places import FilePlace, MemoryPlace, NotePlace, Place
from holdall.server.accounts.roles import Role
from holdall.server.accounts.scram import Credentials
from holdall.server.accounts.throttle import FREE, LONGEST, Throttle, network
from holdall.server.accounts.tokens import MOST_OF_A_USER, Sessions
from holdall.server.accounts.users import Account
from server.asking import ITERATIONS

T = TypeVar("T")
PASSWORD = "correct horse"


def wait(awaited: Awaitable[T]) -> T:
    async def waiting() -> T:
        return await awaited

    return asyncio.run(waiting())


@pytest.fixture(params=["memory", "file", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Opens one place, each time as another process would."""
    if request.param == "memory":
        only = MemoryPlace()
        return lambda: only
    if request.param == "file":
        return lambda: FilePlace(tmp_path / "accounts.json")

    def in_store() -> Place:
        return NotePlace(SqliteAdapter(tmp_path / "plant.db").stores[0])

    return in_store


@pytest.fixture
def opened(place: Callable[[], Place]) -> Callable[[], Users]:
    return lambda: Users(place(), iterations=ITERATIONS)


async def closing(users: Users, awaited: Awaitable[T]) -> T:
    """What is awaited; then the store is let go of, where there is one."""
    try:
        return await awaited
    finally:
        store = getattr(users._place, "_store", None)
        if store is not None:
            await store.close()


def does(users: Users, work: Callable[[Users], Awaitable[T]]) -> T:
    async def doing() -> T:
        store = getattr(users._place, "_store", None)
        if store is not None:
            await store.connect()
        return await closing(users, work(users))

    return asyncio.run(doing())


def test_an_account_is_there_for_every_process(opened: Callable[[], Users]) -> None:
    does(opened(), lambda users: users.add("alice", PASSWORD, "admin"))
    found = does(opened(), lambda users: users.all())
    assert [(one.name, one.role, one.is_machine) for one in found] == [("alice", "admin", False)]


def test_a_name_is_taken_once(opened: Callable[[], Users]) -> None:
    does(opened(), lambda users: users.add("alice", PASSWORD))
    with pytest.raises(AlreadyExists, match="alice"):
        does(opened(), lambda users: users.add("alice", PASSWORD))


def test_accounts_that_are_made_at_once_are_all_there(opened: Callable[[], Users]) -> None:
    names = [f"user{at}" for at in range(8)]

    async def add(users: Users) -> None:
        await asyncio.gather(*(users.add(name, PASSWORD) for name in names))

    does(opened(), add)
    assert [one.name for one in does(opened(), lambda users: users.all())] == names


def test_an_account_that_is_removed_is_gone(opened: Callable[[], Users]) -> None:
    does(opened(), lambda users: users.add("alice", PASSWORD))
    does(opened(), lambda users: users.remove("alice"))
    assert does(opened(), lambda users: users.all()) == []
    with pytest.raises(NotFound, match="alice"):
        does(opened(), lambda users: users.remove("alice"))


def test_another_password_keeps_the_role_and_changes_the_stamp(
    opened: Callable[[], Users],
) -> None:
    before = does(opened(), lambda users: users.add("alice", PASSWORD, "operator"))
    does(opened(), lambda users: users.change_password("alice", "battery staple"))
    after = does(opened(), lambda users: users.find("alice"))
    assert after is not None
    assert (after.role, after.stamp == before.stamp) == ("operator", False)


def test_a_password_of_nobody_is_not_changed(opened: Callable[[], Users]) -> None:
    with pytest.raises(NotFound, match="nobody"):
        does(opened(), lambda users: users.change_password("nobody", PASSWORD))


def test_a_machine_has_a_key_and_no_password(opened: Callable[[], Users]) -> None:
    key = does(opened(), lambda users: users.add_machine("gateway", Role.OPERATOR))
    found = does(opened(), lambda users: users.find_key(key))
    assert found is not None
    assert (found.name, found.is_machine) == ("gateway", True)
    assert does(opened(), lambda users: users.find_key(f"{key}x")) is None
    with pytest.raises(InvalidValue, match="machine"):
        does(opened(), lambda users: users.change_password("gateway", PASSWORD))


def test_the_secret_of_a_server_is_made_once(opened: Callable[[], Users]) -> None:
    assert does(opened(), lambda users: users.secret()) == does(
        opened(), lambda users: users.secret()
    )


def test_neither_password_nor_key_is_kept(tmp_path: Path) -> None:
    users = Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS)
    wait(users.add("alice", PASSWORD))
    key = wait(users.add_machine("gateway"))
    kept = (tmp_path / "accounts.json").read_text()
    assert PASSWORD not in kept
    assert key not in kept


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    wait(Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS).add("alice", PASSWORD))
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in os.listdir(tmp_path)} == {0o600}


def test_a_change_outlasts_a_loss_of_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[str] = []
    fsync = os.fsync

    def settling(handle: int) -> None:
        settled.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", settling)
    wait(Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS).add("alice", PASSWORD))
    assert settled[-1] == str(tmp_path)


@pytest.mark.parametrize("path", ["", "missing/accounts.json"])
def test_a_file_that_cannot_be_is_told_as_an_error_of_ours(tmp_path: Path, path: str) -> None:
    users = Users.in_file(tmp_path / path, iterations=ITERATIONS)
    with pytest.raises(Unavailable, match=re.escape(str(tmp_path / path))):
        wait(users.add("alice", PASSWORD))


def test_a_file_that_is_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_text("{")
    with pytest.raises(Corrupt, match=r"accounts\.json"):
        wait(Users.in_file(path).all())


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a=b", "-a", "ä", "x" * 65, "a\n"])
def test_a_name_that_headers_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        wait(Users(iterations=ITERATIONS).add(name, PASSWORD))


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "half \ud800 of one"])
def test_a_password_that_is_none_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        wait(Users(iterations=ITERATIONS).add("alice", password))
    assert not password or password not in str(caught.value)


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue, match="viewer, operator, admin"):
        wait(Users(iterations=ITERATIONS).add("alice", PASSWORD, "root"))


def test_passwords_are_hashed_often_enough() -> None:
    with pytest.raises(InvalidValue, match="4096"):
        Users(iterations=1000)


def test_two_accounts_with_one_password_have_nothing_in_common() -> None:
    one, other = (Credentials.of(PASSWORD, iterations=ITERATIONS) for _ in range(2))
    assert one.salt != other.salt
    assert one.stored_key != other.stored_key


def proven() -> Proven:
    """A handshake that went well."""
    return Proven("v=", secrets.token_hex(8), time.time() + 60)


async def with_alice(users: Users) -> Account:
    return await users.add("alice", PASSWORD)


def test_a_user_has_a_bounded_number_of_sessions_and_pushes_nobody_out() -> None:
    async def opening() -> list[bool]:
        users = Users(iterations=ITERATIONS)
        alice, bob = await users.add("alice", PASSWORD), await users.add("bob", PASSWORD)
        sessions = Sessions(users, 60)
        mine = await sessions.open("alice", alice.stamp, proven())
        theirs = [
            await sessions.open("bob", bob.stamp, proven()) for _ in range(MOST_OF_A_USER + 1)
        ]
        asked = [theirs[0], theirs[1], theirs[-1], mine]
        return [await sessions.find(str(one)) is not None for one in asked]

    assert wait(opening()) == [False, True, True, True]


def test_sessions_that_expired_are_let_go_of(tmp_path: Path) -> None:
    users = Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS)

    async def opening() -> None:
        alice = await with_alice(users)
        for _ in range(3):
            await Sessions(users, 1e-9).open("alice", alice.stamp, proven())

    wait(opening())
    (kept,) = tmp_path.glob("accounts.json.sessions-*")
    assert len(msgspec.json.decode(kept.read_bytes())["sessions"]) == 1


def test_a_handshake_opens_one_session_in_all_processes(opened: Callable[[], Users]) -> None:
    once = proven()

    async def opening(users: Users) -> bool:
        alice = await users.find("alice") or await with_alice(users)
        return await Sessions(users, 60).open("alice", alice.stamp, once) is not None

    one, other = opened(), opened()
    if isinstance(one._place, MemoryPlace):
        pytest.skip("what is in memory is seen by one process")
    assert [does(one, opening), does(other, opening)] == [True, False]


def test_logins_that_cannot_all_be_remembered_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_LOGINS", 2)

    async def opening() -> None:
        users = Users(iterations=ITERATIONS)
        alice, sessions = await with_alice(users), Sessions(users, 60)
        for _ in range(3):
            await sessions.open("alice", alice.stamp, proven())

    with pytest.raises(LimitExceeded, match="alice"):
        wait(opening())


@pytest.mark.parametrize("change", ["signature", "name", "short", "none"])
def test_a_token_that_nobody_gave_out_is_told_without_asking_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    users = Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS)

    async def asking() -> Account | None:
        alice, sessions = await with_alice(users), Sessions(users, 60)
        token = str(await sessions.open("alice", alice.stamp, proven()))
        made = {
            "signature": token[:64] + "0" * 64 + token[128:],
            "name": token[:128] + b"root".hex(),
            "short": token[:70],
            "none": "x",
        }
        monkeypatch.setattr(users, "find_with", None)
        return await sessions.find(made[change])

    assert wait(asking()) is None


def test_a_session_is_kept_for_processes_to_come(opened: Callable[[], Users]) -> None:
    async def opening(users: Users) -> str | None:
        return await Sessions(users, 60).open("alice", (await with_alice(users)).stamp, proven())

    one, other = opened(), opened()
    if isinstance(one._place, MemoryPlace):
        pytest.skip("what is in memory is seen by one process")
    token = str(does(one, opening))
    found = does(other, lambda users: Sessions(users, 60).find(token))
    assert found is not None
    assert found.name == "alice"
    does(other, lambda users: Sessions(users, 60).close(token))
    assert does(one, lambda users: Sessions(users, 60).find(token)) is None


@pytest.mark.parametrize("how", ["password", "removal", "removal and return"])
def test_what_another_process_does_to_an_account_ends_its_sessions_at_once(
    opened: Callable[[], Users], how: str
) -> None:
    async def opening(users: Users) -> str:
        made = await with_alice(users)
        return str(await Sessions(users, 60).open("alice", made.stamp, proven()))

    async def changing(users: Users) -> None:
        if how == "password":
            await users.change_password("alice", "battery staple")
            return
        await users.remove("alice")
        if how == "removal and return":
            await with_alice(users)

    one, other = opened(), opened()
    token = does(one, opening)
    does(other, changing)
    assert does(one, lambda users: Sessions(users, 60).find(token)) is None


def test_a_login_with_a_password_that_was_just_changed_elsewhere_opens_nothing(
    place: Callable[[], Place],
) -> None:
    one, other = (Users(place(), iterations=ITERATIONS, fresh=3600) for _ in range(2))

    async def late(users: Users) -> Account | None:
        known = await users.find("alice")
        assert known == old  # it has not heard of the new one
        sessions = Sessions(users, 60)
        return await sessions.find(str(await sessions.open("alice", known.stamp, proven())))

    old = does(one, with_alice)
    assert does(other, lambda users: users.find("alice")) == old
    does(one, lambda users: users.change_password("alice", "battery staple"))
    assert does(other, late) is None


def test_a_key_that_another_process_took_away_opens_nothing_at_once(
    opened: Callable[[], Users],
) -> None:
    one, other = opened(), opened()
    key = does(one, lambda users: users.add_machine("gateway"))
    does(other, lambda users: users.remove("gateway"))
    assert does(one, lambda users: users.find_key(key)) is None


def test_no_token_is_kept(tmp_path: Path) -> None:
    users = Users.in_file(tmp_path / "accounts.json", iterations=ITERATIONS)

    async def opening() -> str:
        return str(
            await Sessions(users, 60).open("alice", (await with_alice(users)).stamp, proven())
        )

    token = wait(opening())
    kept = b"".join((tmp_path / name).read_bytes() for name in os.listdir(tmp_path))
    assert token[:64].encode() not in kept


def test_pauses_grow_up_to_half_a_minute() -> None:
    throttle = Throttle()
    pauses = []
    for _ in range(FREE + 8):
        throttle.failed("alice", "10.0.0.1")
        pauses.append(round(throttle.pause("alice", "10.0.0.1")))
    assert pauses[: FREE + 2] == [0] * (FREE - 1) + [1, 2, 4]
    assert pauses[-1] == LONGEST


def test_a_success_ends_the_pause() -> None:
    throttle = Throttle()
    for _ in range(FREE):
        throttle.failed("alice", "10.0.0.1")
    throttle.succeeded("alice", "10.0.0.1")
    assert throttle.pause("alice", "10.0.0.1") == 0


def test_failures_are_remembered_of_a_bounded_number_of_names() -> None:
    throttle = Throttle()
    for at in range(11_000):
        throttle.failed(f"user{at}", "10.0.0.1")
    assert len(throttle._failures) == 10_000


def test_made_up_names_make_nobody_forget_who_failed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(throttling, "time", SimpleNamespace(monotonic=lambda: now[0]))
    throttle = Throttle()
    for _ in range(FREE):
        throttle.failed("alice", "10.0.0.1")
    now[0] = 0.5
    for at in range(11_000):
        throttle.failed(f"user{at}", "10.0.0.1")
    assert throttle.pause("alice", "10.0.0.1") == 0.5
    now[0] = 1_000.0  # when all of that is over, the oldest goes
    throttle.failed("bob", "10.0.0.1")
    assert ("alice", "10.0.0.1") not in throttle._failures


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff", "2001:db8::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("unix", "unix"),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(address: str, counted: str) -> None:
    assert network(address) == counted
