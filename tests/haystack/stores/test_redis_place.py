"""The server that both stores share: what is asked of it, and what comes of its faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import HoldallError, InvalidConfig, Unauthenticated, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.haystack.stores.redis.server import RedisPlace
from holdall.haystack.stores.redis.settings import RedisHaystackSettings
from serving.process import HOST
from serving.redis_proxy import RedisProxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serving.caches import RedisServer


USER = "a store"


def settings_of(server: RedisServer, port: int | None = None, **more: Any) -> RedisHaystackSettings:
    place: dict[str, Any] = {"prefix": "place", "password": Secret(server.password), **more}
    return RedisHaystackSettings(host=HOST, port=port or server.running.port, **place)


@pytest.fixture(params=["blocking", "async"])
def work(request: pytest.FixtureRequest) -> Any:
    """Calls a function with a place, without a loop or on one."""

    def blocking(
        settings: RedisHaystackSettings, function: Callable[[RedisPlace], Awaitable[None]]
    ) -> None:
        async def run() -> None:
            place = RedisPlace(settings, BlockingRuntime())
            await place.enter(USER)
            try:
                await function(place)
            finally:
                await place.leave(USER)

        drive(run())

    def on_a_loop(
        settings: RedisHaystackSettings, function: Callable[[RedisPlace], Awaitable[None]]
    ) -> None:
        async def run() -> None:
            place = RedisPlace(settings, LoopRuntime())
            await place.enter(USER)
            try:
                await function(place)
            finally:
                await place.leave(USER)

        asyncio.run(run())

    return blocking if request.param == "blocking" else on_a_loop


def test_commands_are_answered_in_their_order(work: Any, redis_server: RedisServer) -> None:
    async def ask(place: RedisPlace) -> None:
        key = place.key + b"a"
        assert key == b"{place}:a"
        commands = [[b"SET", key, b"1\r\n\0"], [b"GET", key], [b"DEL", key], [b"GET", key]]
        assert await place.ask(USER, commands) == [b"OK", b"1\r\n\0", 1, None]
        assert await place.ask(USER, []) == []

    work(settings_of(redis_server), ask)


def test_a_command_that_is_refused_has_its_error_for_a_reply(
    work: Any, redis_server: RedisServer
) -> None:
    async def ask(place: RedisPlace) -> None:
        key = place.key + b"a"
        commands = [[b"SET", key, b"1"], [b"LPUSH", key, b"1"], [b"NONE"], [b"DEL", key]]
        first, second, third, last = await place.ask(USER, commands)
        assert (first, last) == (b"OK", 1)
        assert isinstance(second, HoldallError)
        assert isinstance(third, HoldallError)

    work(settings_of(redis_server), ask)


def test_what_may_be_asked_again_is_asked_again(work: Any, redis_server: RedisServer) -> None:
    with RedisProxy(redis_server.running.port) as proxy:

        async def ask(place: RedisPlace) -> None:
            proxy.cut_before(command="PING")
            assert await place.ask(USER, [[b"PING"], [b"PING"]]) == [b"PONG", b"PONG"]

        work(settings_of(redis_server, proxy.port), ask)


def test_what_may_not_be_asked_again_says_that_it_may_have_been_done(
    work: Any, redis_server: RedisServer
) -> None:
    with RedisProxy(redis_server.running.port) as proxy:

        async def ask(place: RedisPlace) -> None:
            proxy.cut_before(command="INCR")
            key = place.key + b"counter"
            with pytest.raises(Unavailable, match="may have been applied") as caught:
                await place.ask(USER, [[b"INCR", key]], once=True)
            assert caught.value.uncertain
            assert await place.ask(USER, [[b"GET", key], [b"DEL", key]]) == [b"1", 1]

        work(settings_of(redis_server, proxy.port), ask)


def test_modules_are_found_where_they_are_and_wanted(
    work: Any, redis_server: RedisServer, redis_stack_server: RedisServer
) -> None:
    found = []

    async def look(place: RedisPlace) -> None:
        found.append((place.search, place.timeseries))

    work(settings_of(redis_server), look)
    work(settings_of(redis_stack_server), look)
    work(settings_of(redis_stack_server, search=False), look)
    work(settings_of(redis_stack_server, timeseries=False), look)
    work(settings_of(redis_stack_server, db=2), look)
    assert found == [(False, False), (True, True), (False, True), (True, False), (False, True)]


def test_a_wrong_password_is_said_and_not_shown(work: Any, redis_server: RedisServer) -> None:
    async def nothing(place: RedisPlace) -> None:
        raise AssertionError

    with pytest.raises(Unauthenticated) as caught:
        work(settings_of(redis_server, password=Secret("not-this-one")), nothing)
    assert "not-this-one" not in str(caught.value)


def test_the_last_to_leave_closes_the_connections(redis_server: RedisServer) -> None:
    async def run() -> None:
        place = RedisPlace(settings_of(redis_server), BlockingRuntime())
        await place.enter("one")
        await place.enter("other")
        await place.leave("one")
        assert await place.ask("other", [[b"PING"]]) == [b"PONG"]
        with pytest.raises(Unavailable, match="closed"):
            await place.ask("one", [[b"PING"]])
        await place.leave("other")
        with pytest.raises(Unavailable, match="closed") as caught:
            await place.ask("other", [[b"PING"]])
        assert not caught.value.transient
        await place.enter("one")
        assert await place.ask("one", [[b"PING"]]) == [b"PONG"]
        await place.leave("one")

    drive(run())


@pytest.mark.parametrize(
    "given",
    [
        {"prefix": ""},
        {"prefix": "a{b"},
        {"prefix": "a}b"},
        {"prefix": "a b"},
        {"prefix": "a,b"},
        {"prefix": "é"},
        {"prefix": "a\n"},
        {"prefix": "x" * 101},
        {"cache": -1},
        {"port": 0},
        {"db": -1},
        {"host": "me:secret@h"},
        {"connections": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        RedisPlace(RedisHaystackSettings(**given), BlockingRuntime())
    assert "secret" not in str(caught.value)
