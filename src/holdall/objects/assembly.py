"""A configured store: backends, layers and routing from one configuration.

    Metrics → Cache → Router → each remote backend: Retry → Breaker → Rate → Concurrency → Timeout

A configuration is compiled into that of a router with layers around it, which is what
`config_json` and pickling write down.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from holdall.core.config import literal, load_settings, read_settings
from holdall.core.config_values import plain_name
from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret
from holdall.objects.contract import ObjectStore
from holdall.objects.layers.metrics import Metrics
from holdall.objects.registry import backend_name, open_store, store_class
from holdall.objects.storage_settings import SignedUrlSettings, StorageSettings
from holdall.objects.switch import Switch

if TYPE_CHECKING:
    from msgspec import Struct

    from holdall.core.runtime import Runtime
    from holdall.objects.layers.metrics import Recorder

VARIABLES = "HOLDALL_STORAGE_"
"""What the names of variables begin with that are settings."""

_MEGABYTE = 1024 * 1024
_AROUND_EACH = ("retry", "breaker", "rate", "concurrency", "timeout")
_CONTAINERS = {"s3": "bucket", "gs": "bucket", "az": "container", "memory": "name"}


class Assembled(msgspec.Struct, frozen=True):
    """A store that was put together, and what its face must know.

    Args:
        store: The store.
        max_download: How many bytes a whole body may have; 0 for no limit.
        expires: For how long a signed URL holds unless it is said.
    """

    store: ObjectStore
    max_download: int
    expires: timedelta


def assemble(
    config: Mapping[str, Any] | str | os.PathLike[str] | None,
    runtime: Runtime,
    metrics: Recorder | None = None,
    before: Recorder | None = None,
) -> Assembled:
    """Put a store together.

    Args:
        config: Settings, or the path of a file of them (TOML, YAML, JSON): see
            `StorageSettings`. None for the environment's: `HOLDALL_STORAGE_TYPE` and so on.
        runtime: How it waits.
        metrics: Takes the measurements; when None `before` does.
        before: What took those of the store that this one stands in for; counters in memory when
            None.

    Raises:
        InvalidConfig: A setting cannot be; names it and the way out.
    """
    settings = read_storage(config)
    if metrics is not None and not settings.metrics:
        raise InvalidConfig("the setting 'metrics' is false, and a recorder of them was given")
    store = open_store(literal(compiled(settings)), runtime)
    if settings.metrics:
        store = Metrics(store, recorder=before if metrics is None else metrics)
    return Assembled(
        store,
        int(settings.limits.max_download_mbs * _MEGABYTE),
        settings.signed_url.expires,
    )


def read_storage(
    config: Mapping[str, Any] | str | os.PathLike[str] | None,
    env: Mapping[str, str] | None = None,
) -> StorageSettings:
    """Read the settings of a configured store, without opening it.

    Raises:
        InvalidConfig: A setting cannot be; names it and the file.
    """
    variables = os.environ if env is None else env
    place = None
    if config is None:
        tree, place = _from_variables(variables), f"the variables {VARIABLES}…"
    else:
        tree = dict(read_settings(config))
        if not isinstance(config, Mapping):
            place = os.fspath(config)
    return load_settings(StorageSettings, _sorted_out(tree), env=variables, place=place)


def compiled(settings: StorageSettings) -> dict[str, Any]:
    """The configuration of the router that these settings stand for.

    Raises:
        InvalidConfig: Settings that do not go together.
    """
    kind = backend_name(settings.type)
    store_class(kind)  # an unknown type is said before anything about the rest
    schemes = {name: dict(given) for name, given in settings.schemes.items()}
    redis = settings.redis
    if redis.addr is not None:
        if "redis" in schemes:
            raise InvalidConfig("'redis' and 'schemes.redis' configure the same: keep one")
        schemes["redis"] = {**_host(redis.addr), **_given(redis, but=("addr",))}
    router = {
        "type": "router",
        "primary": {"type": kind, **_backend(kind, settings)},
        "schemes": schemes,
        "multicontainer": settings.enable_multicontainer,
        "fallback": settings.fallback,
        "remote_layers": [
            {"layer": name, **({} if given is True else given)}
            for name in _AROUND_EACH
            if (given := getattr(settings.resilience, name)) is not False
        ],
        "layers": [],
    }
    cache = settings.cache
    if cache.max_size_mbs > 0:
        router["layers"] = [
            {
                "layer": "cache",
                "max_bytes": int(cache.max_size_mbs * _MEGABYTE),
                "share": cache.share,
                "ttl": cache.ttl.total_seconds(),
                "disk": cache.disk or "",
                "disk_bytes": int(cache.disk_mbs * _MEGABYTE),
            }
        ]
    return router


def describe(store: ObjectStore) -> str:
    """What a store is made of, a line a part: layers from the outside, then each backend."""
    lines: list[str] = []

    def tell(one: ObjectStore, depth: int) -> None:
        behind = one._behind()
        name = getattr(one, "name", None)
        if isinstance(one, Switch):
            tell(one.store, depth)
            return
        if isinstance(name, str):
            shown = ", ".join(f"{field} {value}" for field, value in _shown(one.settings))
            lines.append(f"{'  ' * depth}{name}{f': {shown}' if shown else ''}")
            tell(behind[0], depth)
        elif behind:
            lines.append(f"{'  ' * depth}{one.type}")
            for inner in behind:
                tell(inner, depth + 1)
        else:
            lines.append(f"{'  ' * depth}{one.root}")

    tell(store, 0)
    return "\n".join(lines)


def _shown(settings: Struct) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in msgspec.structs.asdict(settings).items()
        if value is not None and value != ""
    ]


def _backend(kind: str, settings: StorageSettings) -> dict[str, Any]:
    """The settings of the primary backend, in its own words."""
    found: dict[str, Any] = {}
    connection = settings.connection
    container = settings.container or settings.init_container
    if settings.container and settings.init_container not in {None, settings.container}:
        raise InvalidConfig("'container' and 'init_container' name two: keep one")
    if container is not None:
        found |= _contained(kind, container)
    keys = {"access_key": connection.access_key, "secret_key": connection.secret_key}
    if connection.auth_type == "accesskey" and None in keys.values():
        missing = next(name for name, value in keys.items() if value is None)
        raise InvalidConfig(
            f"connection.{missing} is missing, which auth_type 'accesskey' needs; "
            "auth_type 'iam' takes the environment's credentials"
        )
    if connection.auth_type == "iam":
        keys = {}
    known = {
        "region": connection.region,
        "endpoint": connection.endpoint,
        **keys,
        "use_ssl": False if connection.disable_ssl else None,
        "sign_endpoint": _sign_endpoint(settings.signed_url),
    }
    words = _WORDS.get(kind, {})
    for name, value in known.items():
        if value is None:
            continue
        if name not in words:
            place = _PLACES.get(name, f"connection.{name}")
            raise InvalidConfig(
                f"{place} means nothing to a store of type {settings.type!r}: leave it out"
            )
        word = words[name]
        if word == "host":
            found |= _host(str(value))
        elif isinstance(value, Secret) and word in {"account_name", "username"}:
            found[word] = value.reveal()  # who somebody is, which these backends do not hide
        else:
            found[word] = value
    if kind in {"s3", "az", "gs"}:
        client = settings.default_http_client
        found |= _given(client)
    elif settings.default_http_client != type(settings.default_http_client)():
        raise InvalidConfig(
            f"'default_http_client' means nothing to a store of type {settings.type!r}"
        )
    twice = [name for name in settings.backend if plain_name(name) in map(plain_name, found)]
    if twice:
        raise InvalidConfig(
            f"{twice[0]!r} is given twice: beside the type, and where all types have it: keep one"
        )
    return {**found, **settings.backend}


_PLACES = {"use_ssl": "connection.disable_ssl", "sign_endpoint": "signed_url.endpoint"}
"""Where a setting of a backend stands, when `connection` does not have it by the same name."""

_WORDS: dict[str, dict[str, str]] = {
    "s3": {
        "region": "region",
        "endpoint": "endpoint",
        "access_key": "access_key",
        "secret_key": "secret_key",
        "use_ssl": "use_ssl",
        "sign_endpoint": "sign_endpoint",
    },
    "az": {
        "endpoint": "endpoint",
        "access_key": "account_name",
        "secret_key": "account_key",
        "use_ssl": "use_ssl",
        "sign_endpoint": "sign_endpoint",
    },
    "gs": {"endpoint": "endpoint", "use_ssl": "use_ssl", "sign_endpoint": "sign_endpoint"},
    "redis": {"endpoint": "host", "access_key": "username", "secret_key": "password"},
}
"""What each backend calls what all have in common."""


def _sign_endpoint(settings: SignedUrlSettings) -> str | None:
    other = settings.stow_config_override.endpoint
    if settings.endpoint is not None and other is not None:
        raise InvalidConfig(
            "'signed_url.endpoint' and 'signed_url.stow_config_override.endpoint' are one "
            "setting: keep one"
        )
    return other if settings.endpoint is None else settings.endpoint


def _contained(kind: str, container: str) -> dict[str, Any]:
    if kind == "file":
        if not os.path.isabs(container):
            raise InvalidConfig(
                f"the container of a store of files is its folder, an absolute path: {container!r}"
            )
        return {"path": container}
    if kind not in _CONTAINERS:
        raise InvalidConfig(f"a store of type {kind!r} has no container: leave it out")
    return {_CONTAINERS[kind]: container}


def _host(address: str) -> dict[str, Any]:
    host, colon, port = address.rpartition(":")
    if not colon or port.endswith("]"):
        return {"host": address}
    if not port.isdigit():
        raise InvalidConfig(f"{address!r} is no host:port")
    return {"host": host, "port": int(port)}


def _given(settings: Struct, but: Collection[str] = ()) -> dict[str, Any]:
    """The settings that are not as they are by themselves."""
    default = type(settings)()
    return {
        name: value
        for name, value in msgspec.structs.asdict(settings).items()
        if name not in but and value != getattr(default, name)
    }


def _sorted_out(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the primary backend, which stand beside ours, under `backend`."""
    ours = {plain_name(field.name) for field in msgspec.structs.fields(StorageSettings)}
    ours.remove("backend")
    mine = {name: value for name, value in tree.items() if plain_name(str(name)) in ours}
    return {**mine, "backend": {name: tree[name] for name in tree if name not in mine}}


def _variable(text: str) -> Any:
    """What a variable holds: a text, or a group of settings as a JSON object."""
    if text.startswith("{"):
        try:
            return literal(msgspec.json.decode(text))
        except msgspec.DecodeError:
            pass  # a password may begin so, too
    return literal(text)


def _from_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    """`HOLDALL_STORAGE_CONNECTION_REGION=x` as `connection: {region: x}`."""
    groups = {
        plain_name(field.name): field.name
        for field in msgspec.structs.fields(StorageSettings)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    }
    tree: dict[str, Any] = {}
    for variable, value in sorted(variables.items()):
        if not variable.startswith(VARIABLES):
            continue
        name = variable.removeprefix(VARIABLES)
        head = next((one for one in groups if plain_name(name).startswith(one)), None)
        if head is None:
            tree[name.lower()] = _variable(value)
        else:
            rest = plain_name(name).removeprefix(head)
            tree.setdefault(groups[head], {})[rest] = _variable(value)
    if not tree:
        raise InvalidConfig(
            f"no variable begins with {VARIABLES}: set {VARIABLES}TYPE and the others, or give "
            "a configuration"
        )
    return tree
