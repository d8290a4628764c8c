"""The settings of a Redis store and its address."""

import sys
from datetime import timedelta
from typing import Any

import pytest

from holdall.core.errors import (
    InvalidConfig,
)
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.backends import redis as redis_backend
from holdall.objects.backends.redis import RedisSettings, RedisStore, connections


def test_a_missing_driver_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, connections.__name__)
    monkeypatch.delattr(redis_backend, "connections")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InvalidConfig, match=r"holdall\[redis\]"):
        RedisStore(RedisSettings(), BlockingRuntime())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("host", "user:pw@host"),
        ("port", 0),
        ("port", 70_000),
        ("db", -1),
        ("connections", 0),
        ("timeout", timedelta()),
        ("connect_timeout", timedelta(seconds=-1)),
        ("ttl", timedelta()),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidConfig, match=f"'{name}'") as caught:
        RedisStore(RedisSettings(**{name: value}), BlockingRuntime())
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("redis://host", {"host": "host", "prefix": ""}),
        ("redis://host:6380/a/b", {"host": "host", "port": 6380, "prefix": "a/b"}),
        ("redis://[::1]:6380/a", {"host": "[::1]", "port": 6380, "prefix": "a"}),
        ("redis://[::1]/a", {"host": "[::1]", "prefix": "a"}),
        ("rediss://host/a", {"host": "host", "prefix": "a", "ssl": True}),
    ],
)
def test_an_address_is_its_settings_and_back(text: str, settings: dict[str, Any]) -> None:
    ref = Reference.parse(text)
    assert RedisStore.settings_of(ref) == settings
    assert RedisStore(RedisSettings(**settings), BlockingRuntime()).root == ref


def test_an_address_may_bring_user_and_password() -> None:
    ref = Reference.parse("redis://user:a%3Ab@host/a")
    found = RedisStore.settings_of(ref)
    assert (found["username"], found["password"]) == ("user", "a:b")
    assert RedisStore.settings_of(Reference.parse("redis://:pw@host"))["password"] == "pw"
