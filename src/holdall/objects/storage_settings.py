"""The settings of a configured store: see `DataStore.from_config`."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Any, Literal

from msgspec import Struct, field

from holdall.core.secrets import Secret


class ConnectionSettings(Struct, frozen=True, kw_only=True):
    """How to reach the primary store's service, in words that are the same for all services.

    Args:
        region: Where the bucket is.
        endpoint: The service's URL; of a Redis store `host:port`.
        access_key: The access key's id; Azure's account; the user of Redis.
        secret_key: The access key's secret; the account's key; the password.
        auth_type: `accesskey` needs both keys; `iam` takes the environment's credentials and
            neither of them.
        disable_ssl: Whether an endpoint without a scheme is reached without TLS.
    """

    region: str | None = None
    endpoint: str | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    auth_type: Literal["accesskey", "iam"] | None = None
    disable_ssl: bool = False


class CacheChoice(Struct, frozen=True, kw_only=True):
    """The cache in memory.

    Args:
        max_size_mbs: How many MiB it has; 0 for no cache.
        share: An object is kept when it is no larger than one part in so many of the whole.
        ttl: How long an object is served without asking whether it changed.
        disk: A folder for larger objects, an absolute path; none when None.
        disk_mbs: How many MiB it may have.
    """

    max_size_mbs: float = 0.0
    share: int = 1024
    ttl: timedelta = timedelta(seconds=5)
    disk: str | None = None
    disk_mbs: float = 1024.0

    def __post_init__(self) -> None:
        if not 0 <= self.max_size_mbs < inf:
            raise ValueError(f"max_size_mbs is {self.max_size_mbs:g}: write 0 for no cache")


class LimitsSettings(Struct, frozen=True, kw_only=True):
    """Limits.

    Args:
        max_download_mbs: How many MiB a body has at most that is read as a whole (`read`,
            messages); 0 for no limit. Streams, ranges and copies have none.
    """

    max_download_mbs: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.max_download_mbs < inf:
            raise ValueError(f"max_download_mbs is {self.max_download_mbs:g}: write 0 for no limit")


class RedisConnection(Struct, frozen=True, kw_only=True):
    """The store for `redis://` references, beside the primary one.

    Args:
        addr: `host:port`; None for the host that each reference names.
        username: Who to be.
        password: That user's password.
        db: The number of the database.
    """

    addr: str | None = None
    username: str | None = None
    password: Secret | None = None
    db: int = 0


class HttpClientSettings(Struct, frozen=True, kw_only=True):
    """How requests to a cloud are sent.

    Args:
        headers: Go with every request.
        timeout: How long a request may stand still.
        idle_connections: How many unused connections are kept.
    """

    headers: dict[str, str] = field(default_factory=dict)
    timeout: timedelta | None = None
    idle_connections: int | None = None


class StowSettings(Struct, frozen=True, kw_only=True):
    """Signed URLs, in Flyte's words.

    Args:
        endpoint: Another name of `signed_url.endpoint`.
    """

    endpoint: str | None = None


class SignedUrlSettings(Struct, frozen=True, kw_only=True):
    """Signed URLs.

    Args:
        expires: For how long they hold unless it is said.
        endpoint: The primary store's service in these URLs, where those who use them reach it by
            another URL than this process.
        stow_config_override: Another place for `endpoint`.
    """

    expires: timedelta = timedelta(hours=1)
    endpoint: str | None = None
    stow_config_override: StowSettings = StowSettings()


class ResilienceSettings(Struct, frozen=True, kw_only=True):
    """What stands around each remote store: a layer's settings, true for its defaults, or false.

    Args:
        retry: Sends again what failed for a moment; there is one unless this is false.
        breaker: Leaves a failing service alone for a while; there is one unless this is false.
        timeout: Limits how long a call may take; there is one unless this is false.
        rate: Limits how many calls begin in a second; none unless it is given.
        concurrency: Limits how many calls are under way at once; none unless it is given.
    """

    retry: dict[str, Any] | bool = True
    breaker: dict[str, Any] | bool = True
    timeout: dict[str, Any] | bool = True
    rate: dict[str, Any] | bool = False
    concurrency: dict[str, Any] | bool = False


class StorageSettings(Struct, frozen=True, kw_only=True):
    """The settings of a configured store.

    Args:
        type: The primary backend: `s3` (or `minio`), `gcs`, `azure`, `redis`, `local` (or
            `file`), `mem` (or `memory`), or what another package brings.
        connection: How to reach it.
        container: Its bucket or container, which must be there; the folder of a local store.
        init_container: Another name of `container`.
        enable_multicontainer: Whether references may name other containers too.
        schemes: For other schemes, the settings of each one's store.
        fallback: `primary` takes references of unknown schemes for the primary store's.
        redis: The store for `redis://`, in short.
        cache: The cache; there is none by itself.
        limits: What a download may have.
        default_http_client: How requests to a cloud are sent.
        signed_url: Signed URLs.
        resilience: What stands around each remote store.
        metrics: Whether there is a metrics layer.
        backend: The primary backend's own settings; in a configuration they stand beside `type`.
    """

    type: str
    connection: ConnectionSettings = ConnectionSettings()
    container: str | None = None
    init_container: str | None = None
    enable_multicontainer: bool = False
    schemes: dict[str, dict[str, Any]] = field(default_factory=dict)
    fallback: Literal["none", "primary"] = "none"
    redis: RedisConnection = RedisConnection()
    cache: CacheChoice = CacheChoice()
    limits: LimitsSettings = LimitsSettings()
    default_http_client: HttpClientSettings = HttpClientSettings()
    signed_url: SignedUrlSettings = SignedUrlSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    metrics: bool = True
    backend: dict[str, Any] = field(default_factory=dict)
