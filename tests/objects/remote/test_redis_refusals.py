"""What a Redis refuses, and which servers are refused."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from holdall.core.errors import (
    HoldallError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.core.secrets import Secret
from holdall.objects.backends.redis.serving import judge
from holdall.objects.data_store import DataStore
from servers import RedisServer

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer

# What it refuses


@pytest.mark.parametrize("password", ["wrong-secret", None])
def test_a_wrong_password_is_an_error_of_its_own_and_shows_no_secret(
    opened: Open, redis_server: RedisServer, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = opened(password=Secret(password) if password else None)
    with pytest.raises(Unauthenticated, match="HOLDALL_REDIS_PASSWORD") as caught:
        store.write("a", b"data")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(store)
    assert "wrong-secret" not in shown
    assert redis_server.password not in shown
    assert not caught.value.transient


def test_a_user_with_the_rights_that_the_docs_name_can_do_everything(
    opened: Open, others: Any
) -> None:
    rights = "~app/* ~.holdall/* +@read +@write +@scripting +@connection +time +info"
    others.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", *rights.split())
    try:
        store = opened(username="app", password=Secret("pw"), prefix="app")
        store.write("a", LARGE, metadata={"name": "x"})
        with store.open_reader("a") as reader:
            store.write("a", iter([b"new"]))
            assert reader.read() == LARGE
        store.copy("a", "b")
        store.move("b", "c")
        assert list(store.list()) == ["a", "c"]
        store.delete_many(["a", "c"])
        other = opened(username="app", password=Secret("pw"))
        with pytest.raises(PermissionDenied):
            other.write("elsewhere", b"data")
        with pytest.raises(PermissionDenied):
            other.read("elsewhere")
        with pytest.raises(PermissionDenied):
            other.delete("elsewhere")
    finally:
        others.acl_deluser("app")


def test_a_user_who_may_only_read_reads_and_lists(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    store.write("b", b"data")
    others.delete("b")
    rights = "~* +@read +@scripting +@connection +time"
    others.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">pw", *rights.split())
    try:
        reader = opened(username="reader", password=Secret("pw"))
        assert reader.read("a") == LARGE
        assert list(reader.list()) == ["a"]
        with pytest.raises(PermissionDenied):
            reader.write("a", b"new")
        assert store.read("a") == LARGE
    finally:
        others.acl_deluser("reader")


def test_a_write_that_is_not_permitted_beside_the_value_changes_no_value(
    opened: Open, others: Any
) -> None:
    opened().write("a", LARGE)
    rights = "~a +@all"
    others.execute_command("ACL", "SETUSER", "half", "reset", "on", ">pw", *rights.split())
    try:
        half = opened(username="half", password=Secret("pw"))
        with opened().open_reader("a"):
            with pytest.raises(PermissionDenied):
                half.write("a", b"new")
            with pytest.raises(PermissionDenied):
                half.delete("a")
        assert opened().read("a") == LARGE
    finally:
        others.acl_deluser("half")


def test_a_full_server_takes_nothing_and_still_deletes(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    others.config_set("maxmemory", "1mb")
    try:
        acts: list[Callable[[], Any]] = [
            lambda: store.write("b", b"data"),
            lambda: store.write("a", iter([b"data"])),
            lambda: store.copy("a", "b"),
        ]
        for act in acts:
            with pytest.raises(Unavailable, match="maxmemory") as caught:
                act()
            assert not caught.value.transient
        assert store.read("a") == LARGE
        store.delete("a")
        assert not store.exists("a")
    finally:
        others.config_set("maxmemory", "0")
    assert list(store.list()) == []


def test_a_server_that_follows_another_takes_no_writes_for_now(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    others.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(Unavailable, match="READONLY") as caught:
            store.write("a", b"new")
        assert caught.value.transient
        assert store.read("a") == LARGE
        assert list(store.list()) == ["a"]
    finally:
        others.execute_command("REPLICAOF", "NO", "ONE")


def test_what_ought_to_be_ours_and_is_something_else_is_an_error(opened: Open, others: Any) -> None:
    others.set(".holdall/index", "x")
    with pytest.raises(HoldallError):
        opened().write("a", b"data")
    assert not others.exists("a")


# What server it is


def said(**more: str) -> bytes:
    facts = {"redis_version": "7.4.1", "cluster_enabled": "0", "maxmemory": "0"} | more
    return b"# Server\r\n" + "".join(f"{k}:{v}\r\n" for k, v in facts.items()).encode()


REF = Reference.parse("redis://server/a")


def test_a_server_that_is_too_old_is_refused() -> None:
    judge(said(redis_version="6.2.0"), REF)
    with pytest.raises(Unsupported, match=r"6\.2"):
        judge(said(redis_version="6.0.16"), REF)


def test_a_part_of_a_cluster_is_refused() -> None:
    with pytest.raises(Unsupported, match="cluster"):
        judge(said(cluster_enabled="1"), REF)


def test_a_server_that_may_throw_keys_away_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    judge(said(maxmemory_policy="allkeys-lru"), REF)
    judge(said(maxmemory_policy="noeviction", maxmemory="1000"), REF)
    assert not caplog.records
    judge(said(maxmemory_policy="allkeys-lru", maxmemory="1000"), REF)
    assert "noeviction" in caplog.text


@pytest.mark.parametrize("check", [True, False])
def test_the_first_request_alone_looks_what_server_it_is(
    opened: Open, others: Any, check: bool
) -> None:
    store = opened(check=check)
    others.config_resetstat()
    for _ in range(3):
        store.exists("a")
    assert ("cmdstat_info" in others.info("commandstats")) == check
