"""obstore, as all cloud stores use it."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from holdall.core.errors import HoldallError, InvalidConfig
from holdall.objects.backends.cloud.http import Http

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.backends.cloud.credentials import Credentials
    from holdall.objects.backends.cloud.settings import CloudSettings

T = TypeVar("T")

NO_RETRY: dict[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
"""Nothing is repeated below the layer that is there for it."""

# obstore's own time-out is for a request with its whole body, however long that is. What is
# limited instead is how long nothing comes.
_WHOLE = f"{10 * 365 * 86400}s"

# A connection that was idle for this part of the time-out, in seconds between these, is not used
# again. Below the time-out it saves each read 12 us: the clock of obstore's runtime is then set to
# look at idle connections before any request can be late, and is not set anew for each of them.
_IDLE_PART, _IDLE_LEAST, _IDLE_MOST = 0.8, 10.0, 60.0


class Provider(Generic[T]):
    """What obstore asks for credentials.

    obstore says of an error only that there was one, so that the error is kept here.

    Args:
        credentials: Where they come from.
        shape: How obstore wants them.
    """

    def __init__(self, credentials: Credentials[T], shape: Callable[[T], dict[str, Any]]) -> None:
        self._credentials = credentials
        self._shape = shape
        self._error: HoldallError | None = None

    def __call__(self) -> dict[str, Any]:
        try:
            lease = self._credentials.lease()
            shaped = self._shape(lease.value)
            if any(isinstance(text, str) and not text.isprintable() for text in shaped.values()):
                # obstore would panic, which is no Exception.
                raise InvalidConfig(
                    "the credentials hold a line break or another character that no header can"
                )
        except HoldallError as error:
            self._error = error
            raise
        return {**shaped, "expires_at": lease.expires}

    def taken(self) -> HoldallError | None:
        """The error since the last time that this was asked."""
        error, self._error = self._error, None
        return error


def access(provider: Provider[Any] | None) -> dict[str, Any]:
    """The arguments of obstore's stores that say who asks."""
    return {"skip_signature": True} if provider is None else {"credential_provider": provider}


def load(extra: str) -> Any:
    """obstore, with what the stores use of it.

    Raises:
        InvalidConfig: It is not installed; says how to.
    """
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
        import urllib3  # noqa: F401 - asked for here, where its absence can be explained
    except ImportError as error:
        raise InvalidConfig(
            f"{error.name} is not installed: pip install 'holdall[{extra}]'"
        ) from error
    return obstore


def named(*variables: str) -> str | None:
    """What the first of some environment variables holds that is set."""
    return next((os.environ[name] for name in variables if os.environ.get(name)), None)


def client_options(settings: CloudSettings, endpoint: str) -> dict[str, Any]:
    """How obstore connects."""
    still = settings.timeout.total_seconds()
    options: dict[str, Any] = {
        "timeout": _WHOLE,
        "read_timeout": f"{still}s",
        "pool_idle_timeout": f"{min(max(_IDLE_PART * still, _IDLE_LEAST), _IDLE_MOST)}s",
        "connect_timeout": f"{settings.connect_timeout.total_seconds()}s",
        "allow_http": endpoint.startswith("http://"),
    }
    if settings.headers:
        options["default_headers"] = dict(settings.headers)
    if settings.idle_connections is not None:
        options["pool_max_idle_per_host"] = str(settings.idle_connections)
    if settings.ca_file is not None:
        try:
            with open(settings.ca_file, "rb") as file:
                options["root_certificate"] = file.read()
        except OSError as error:
            raise InvalidConfig(
                f"the setting 'ca_file': {settings.ca_file} cannot be read: {error.strerror}"
            ) from error
    return options


def http(settings: CloudSettings) -> Http:
    """Connections for requests of our own."""
    return Http(
        settings.timeout,
        settings.connect_timeout,
        settings.ca_file,
        settings.idle_connections or 2 * settings.workers,
        settings.headers,
        proxied=True,
    )
