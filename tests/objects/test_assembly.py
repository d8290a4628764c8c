"""Facts about a store that is put together from a configuration."""

import asyncio
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import holdall
from holdall import AsyncDataStore, DataStore
from holdall.core.config import literal
from holdall.core.errors import InvalidConfig, InvalidKey, LimitExceeded, Unsupported
from holdall.objects.assembly import compiled, read_storage
from holdall.objects.backends import memory
from holdall.objects.layers.metrics import Counters, Metrics
from holdall.objects.registry import plan_store
from holdall.objects.router import Router

_TWO_MEGABYTES = 2 * 1024 * 1024


@pytest.fixture
def name() -> Iterator[str]:
    name = uuid4().hex
    yield name
    for one in [one for one in memory._named if one.startswith(name)]:
        memory._named.pop(one)


def _router(config: dict[str, Any], env: dict[str, str] | None = None) -> dict[str, Any]:
    return compiled(read_storage(config, env or {}))


def test_the_configuration_of_the_seed_is_that_of_a_store_on_s3() -> None:
    router = _router(
        {
            "type": "s3",
            "connection": {"region": "us-east-1"},
            "InitContainer": "my-flyte-bucket",
            "Redis": {"Addr": "localhost:6379", "db": 2},
            "cache": {"max_size_mbs": 64},
            "limits": {"maxDownloadMBs": 10},
        }
    )
    assert router["primary"] == {
        "type": "s3",
        "bucket": "my-flyte-bucket",
        "region": "us-east-1",
    }
    assert router["schemes"] == {"redis": {"host": "localhost", "port": 6379, "db": 2}}
    assert router["layers"][0]["max_bytes"] == 64 * 1024 * 1024
    assert router["layers"][0]["share"] == 1024


@pytest.mark.parametrize(
    ("config", "primary"),
    [
        (
            {
                "type": "minio",
                "container": "b",
                "connection": {
                    "endpoint": "127.0.0.1:9000",
                    "disable-ssl": "true",
                    "auth_type": "iam",
                    "access_key": "ignored",
                },
            },
            {"type": "s3", "bucket": "b", "endpoint": "127.0.0.1:9000", "use_ssl": False},
        ),
        ({"type": "gcs", "container": "b"}, {"type": "gs", "bucket": "b"}),
        ({"type": "azure", "container": "b"}, {"type": "az", "container": "b"}),
        ({"type": "mem", "container": "b"}, {"type": "memory", "name": "b"}),
        ({"type": "local", "container": "/srv/x"}, {"type": "file", "path": "/srv/x"}),
        (
            {"type": "redis", "connection": {"endpoint": "127.0.0.1:7000"}},
            {"type": "redis", "host": "127.0.0.1", "port": 7000},
        ),
        (
            {"type": "azure", "container": "b", "signedUrl": {"endpoint": "e"}},
            {"type": "az", "container": "b", "sign_endpoint": "e"},
        ),
        (
            {"type": "gcs", "signedUrl": {"stowConfigOverride": {"endpoint": "e"}}},
            {"type": "gs", "sign_endpoint": "e"},
        ),
        (
            {"type": "s3", "bucket": "b", "path_style": True, "prefix": "p"},
            {"type": "s3", "bucket": "b", "path_style": True, "prefix": "p"},
        ),
    ],
)
def test_each_type_gets_its_own_words(config: dict[str, Any], primary: dict[str, Any]) -> None:
    assert _router(config)["primary"] == primary


@pytest.mark.parametrize(
    ("kind", "names"),
    [("azure", ("account_name", "account_key")), ("redis", ("username", "password"))],
)
def test_the_keys_of_a_connection_are_an_account_where_the_service_has_those(
    kind: str, names: tuple[str, str]
) -> None:
    keys = {"access_key": {"env": "WHO"}, "secret_key": "hush-hush"}
    config = {"type": kind, "connection": keys}
    if kind == "azure":
        config["container"] = "b"
    settings = plan_store(literal(_router(config, {"WHO": "me"})["primary"])).settings
    who, secret = (getattr(settings, name) for name in names)
    assert (who, secret.reveal()) == ("me", "hush-hush")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "type .* is missing"),
        ({"type": "mem", "cache": {"max_size_mbs": -1}}, "max_size_mbs is -1: write 0"),
        ({"type": "mem", "limits": {"maxDownloadMBs": -2}}, "max_download_mbs is -2: write 0"),
        ({"type": "mem", "limits": {"maxDownloadMBs": float("inf")}}, "is inf: write 0"),
        ({"type": "ftp"}, "no store is known for 'ftp'"),
        ({"type": "mem", "limits": {"max": 1}}, "max"),
        ({"type": "mem", "connection": {"region": "x"}}, "connection.region means nothing"),
        ({"type": "mem", "default_http_client": {"timeout": "1s"}}, "default_http_client"),
        ({"type": "local", "container": "relative"}, "absolute path"),
        ({"type": "s3", "container": "a", "init_container": "b"}, "keep one"),
        (
            {"type": "s3", "container": "a", "connection": {"auth_type": "accesskey"}},
            "connection.access_key is missing",
        ),
        ({"type": "mem", "redis": {"addr": "a"}, "schemes": {"redis": {}}}, "keep one"),
        ({"type": "redis", "connection": {"endpoint": "a:b"}}, "no host:port"),
        ({"type": "s3", "region": "a", "connection": {"region": "b"}}, "'region' is given twice"),
        ({"type": "mem", "signed_url": {"endpoint": "e"}}, "signed_url.endpoint means nothing"),
        (
            {
                "type": "s3",
                "signed_url": {"endpoint": "a", "stow_config_override": {"endpoint": "a"}},
            },
            "stow_config_override.endpoint' are one setting: keep one",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_named(config: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        _router(config)


def test_the_settings_of_the_backend_are_checked(name: str) -> None:
    with pytest.raises(InvalidConfig, match="durible"):
        DataStore.from_config({"type": "mem", "container": name, "durible": True})


def test_what_is_wrong_in_a_file_is_said_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_text('type = "mem"\n[limits]\nmaxDownloadMB = 2\n')
    with pytest.raises(InvalidConfig, match=r"maxDownloadMB in .*store.toml .*maxDownloadMBs|max_"):
        DataStore.from_config(file)


def test_variables_are_settings_too() -> None:
    env = {
        "HOLDALL_STORAGE_TYPE": "s3",
        "HOLDALL_STORAGE_CONTAINER": "b",
        "HOLDALL_STORAGE_CONNECTION_REGION": "eu-central-1",
        "HOLDALL_STORAGE_LIMITS_MAX_DOWNLOAD_MBS": "7",
        "HOLDALL_STORAGE_PATH_STYLE": "yes",
        "HOLDALL_STORAGE_PREFIX": "a${b}c",
        "HOLDALL_OTHER": "x",
    }
    settings = read_storage(None, env)
    assert settings.limits.max_download_mbs == 7
    assert compiled(settings)["primary"] == {
        "type": "s3",
        "bucket": "b",
        "region": "eu-central-1",
        "path_style": "yes",
        "prefix": "a${b}c",
    }


def test_a_variable_may_hold_a_group_of_settings_as_json() -> None:
    env = {
        "HOLDALL_STORAGE_TYPE": "s3",
        "HOLDALL_STORAGE_DEFAULT_HTTP_CLIENT_HEADERS": '{"x-team": "${a}"}',
        "HOLDALL_STORAGE_SCHEMES": '{"gs": {"bucket": "b"}}',
        "HOLDALL_STORAGE_RESILIENCE_RETRY": '{"max_retries": 7}',
        "HOLDALL_STORAGE_CONNECTION_SECRET_KEY": "{hush-hush",
    }
    settings = read_storage(None, env)
    assert settings.default_http_client.headers == {"x-team": "${a}"}
    assert settings.schemes == {"gs": {"bucket": "b"}}
    assert settings.resilience.retry == {"max_retries": 7}
    assert settings.connection.secret_key is not None
    assert settings.connection.secret_key.reveal() == "{hush-hush"


def test_no_variable_at_all_is_said() -> None:
    with pytest.raises(InvalidConfig, match="HOLDALL_STORAGE_TYPE"):
        read_storage(None, {})


def test_a_whole_body_is_limited_to_two_megabytes(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    store.write("small", bytes(_TWO_MEGABYTES))
    store.write("large", bytes(_TWO_MEGABYTES + 1))
    assert len(store.read("small")) == _TWO_MEGABYTES
    with pytest.raises(LimitExceeded, match=r"large.*2097152.*limits.max_download_mbs \(2\)"):
        store.read("large")
    with pytest.raises(LimitExceeded):
        store.read("large", if_match=store.stat("large").etag)


def test_what_holds_one_part_in_memory_is_not_limited(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    store.write("large", bytes(_TWO_MEGABYTES + 1))
    assert len(store.read("large", start=1)) == _TWO_MEGABYTES
    assert sum(map(len, store.stream("large"))) == _TWO_MEGABYTES + 1
    assert store.copy("large", "copy").size == _TWO_MEGABYTES + 1
    assert len(store.read("large", max_size=0)) == _TWO_MEGABYTES + 1


def test_the_limit_is_a_setting(name: str) -> None:
    limits = {"maxDownloadMBs": 0}
    store = DataStore.from_config({"type": "mem", "container": name, "limits": limits})
    store.write("large", bytes(_TWO_MEGABYTES + 1))
    assert len(store.read("large")) == _TWO_MEGABYTES + 1


def test_a_url_has_no_limit(name: str) -> None:
    assert holdall.open(f"memory://{name}").max_download == 0


def test_measurements_go_to_the_recorder_that_is_given(name: str) -> None:
    counters = Counters()
    store = DataStore.from_config({"type": "mem", "container": name}, metrics=counters)
    store.write("a", b"data")
    assert counters.snapshot()["put"].written == 4


def test_a_recorder_needs_the_layer(name: str) -> None:
    with pytest.raises(InvalidConfig, match="'metrics' is false"):
        DataStore.from_config({"type": "mem", "metrics": False}, metrics=Counters())


def test_it_says_what_it_is_made_of() -> None:
    store = DataStore.from_config(
        {
            "type": "s3",
            "container": "b",
            "anonymous": True,
            "check": False,
            "resilience": {"retry": {"max_retries": 7}, "timeout": False, "concurrency": True},
        }
    )
    assert [line.strip().partition(":")[0] for line in store.describe().splitlines()] == [
        "metrics",
        "router",
        "retry",
        "breaker",
        "concurrency",
        "s3",
    ]
    assert "max_retries 7" in store.describe()


def test_it_is_pickled_whole(name: str) -> None:
    config = {"type": "mem", "container": name, "limits": {"maxDownloadMBs": 1}}
    store = DataStore.from_config(config)
    store.write("a", b"data")
    again = pickle.loads(pickle.dumps(store))
    assert again.read("a") == b"data"
    assert again.max_download == 1024 * 1024
    assert Metrics.of(again).recorder is not Metrics.of(store).recorder


def test_no_secret_is_written_down(name: str) -> None:
    config = {"type": "mem", "container": name, "redis": {"addr": "h:1", "password": "hush-hush"}}
    store = DataStore.from_config(config)
    assert "hush-hush" not in store.config_json() + store.describe()
    assert json.loads(store.config_json())["schemes"]["redis"]["host"] == "h"


def test_a_reference_to_another_host_of_redis_is_refused(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name, "redis": {"addr": "h:1"}})
    with pytest.raises(InvalidKey, match="configured for redis:// is 'h:1'"):
        store.read("redis://elsewhere:1/key")


# Exchanging


def test_another_configuration_takes_over_whole(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": f"{name}-a"})
    store.write("a", b"old")
    limits = {"maxDownloadMBs": 1}
    store.refresh_config({"type": "mem", "container": f"{name}-b", "limits": limits})
    assert not store.exists("a")
    store.write("a", b"new")
    assert holdall.open(f"memory://{name}-b").read("a") == b"new"
    assert holdall.open(f"memory://{name}-a").read("a") == b"old"
    assert (str(store.root), store.max_download) == (f"memory://{name}-b", 1024 * 1024)


def test_an_invalid_configuration_changes_nothing(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    store.write("a", b"data")
    with pytest.raises(InvalidConfig):
        store.refresh_config({"type": "mem", "container": "other", "durible": True})
    assert store.read("a") == b"data"


def test_another_configuration_may_measure_no_more(name: str) -> None:
    counters = Counters()
    store = DataStore.from_config({"type": "mem", "container": name}, metrics=counters)
    store.refresh_config({"type": "mem", "container": name, "metrics": False})
    store.write("a", b"data")
    assert counters.snapshot() == {}
    with pytest.raises(Unsupported):
        Metrics.of(store)


def test_what_is_open_ends_on_the_old_store_which_is_closed_then(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DataStore.from_config({"type": "local", "container": str(tmp_path)})
    body = bytes(range(256)) * 100_000
    store.write("a", body)
    closed: list[str] = []
    close = Router.close

    async def noting(router: Router) -> None:
        closed.append(str(router.root))
        await close(router)

    monkeypatch.setattr(Router, "close", noting)
    chunks = store.stream("a", chunk_size=1024)
    first = next(chunks)
    writer = store.open_writer("b")
    writer.write(b"begun before")
    store.refresh_config({"type": "mem", "container": name})
    assert closed == []
    assert first + b"".join(chunks) == body
    assert closed == []
    writer.write(b" and ended after")
    writer.close()
    assert closed == [f"file://{tmp_path}"]
    assert (tmp_path / "b").read_bytes() == b"begun before and ended after"
    assert not store.exists("b")


def test_an_old_store_that_nobody_uses_is_closed_at_once(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    switch: Any = store.store
    before = switch.store
    store.refresh_config({"type": "mem", "container": f"{name}-b"})
    assert switch.store is not before
    assert switch._old == []


def test_the_recorder_stays_unless_another_is_given(name: str) -> None:
    counters = Counters()
    store = DataStore.from_config({"type": "mem", "container": name}, metrics=counters)
    store.refresh_config({"type": "mem", "container": name})
    store.exists("a")
    assert counters.snapshot()["head"].calls == 1


@pytest.mark.parametrize("times", [1, 2])
def test_an_unpickled_store_takes_another_configuration(name: str, times: int) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    for _ in range(times):
        store = pickle.loads(pickle.dumps(store))
    store.refresh_config({"type": "mem", "container": f"{name}-b"})
    assert str(store.root) == f"memory://{name}-b"


def test_a_store_is_pickled_with_the_configuration_of_now(name: str) -> None:
    store = DataStore.from_config({"type": "mem", "container": name})
    limits = {"maxDownloadMBs": 1}
    store.refresh_config({"type": "mem", "container": f"{name}-b", "limits": limits})
    again = pickle.loads(pickle.dumps(store))
    assert (str(again.root), again.max_download) == (f"memory://{name}-b", 1024 * 1024)


def test_an_unpickled_store_on_a_loop_takes_another_configuration(name: str) -> None:
    async def run() -> None:
        store = AsyncDataStore.from_config({"type": "mem", "container": name})
        again = pickle.loads(pickle.dumps(store))
        await again.refresh_config({"type": "mem", "container": f"{name}-b"})
        assert str(again.root) == f"memory://{name}-b"

    asyncio.run(run())


def test_an_unpickled_store_of_a_url_takes_no_other_configuration(name: str) -> None:
    store = pickle.loads(pickle.dumps(holdall.open(f"memory://{name}")))
    with pytest.raises(Unsupported, match="from_config"):
        store.refresh_config({"type": "mem"})


def test_a_store_of_a_url_takes_no_other_configuration(name: str) -> None:
    with pytest.raises(Unsupported, match="from_config"):
        holdall.open(f"memory://{name}").refresh_config({"type": "mem"})


def test_it_works_on_an_event_loop(name: str) -> None:
    async def run() -> None:
        async with AsyncDataStore.from_config({"type": "mem", "container": name}) as store:
            await store.write("a", bytes(_TWO_MEGABYTES + 1))
            with pytest.raises(LimitExceeded):
                await store.read("a")
            await store.refresh_config({"type": "mem", "container": f"{name}-b"})
            assert not await store.exists("a")

    asyncio.run(run())
