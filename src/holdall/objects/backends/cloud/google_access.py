"""Who asks Google Cloud Storage: a token, or a service account that makes tokens."""

from __future__ import annotations

import json
import os
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidConfig, Unauthenticated
from holdall.objects.backends.cloud.credentials import Credentials, Lease, Source, fixed, revealed
from holdall.objects.backends.cloud.http import Http

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdall.objects.backends.cloud.settings import GoogleSettings

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_ANSWER_BYTES = 1024 * 1024
_ADVICE = (
    "Give token, service_account or service_account_key, set GOOGLE_APPLICATION_CREDENTIALS, or "
    "set anonymous for public objects"
)


class Signer:
    """A service account's key, which signs URLs.

    Args:
        account: Answers the account as its key is now.
    """

    def __init__(self, account: Callable[[], Any]) -> None:
        self._account = account

    @property
    def email(self) -> str:
        """The account."""
        return str(self._account().service_account_email)

    def sign(self, data: bytes) -> bytes:
        """Sign bytes with RSA and SHA-256."""
        signed: bytes = self._account().sign_bytes(data)
        return signed


def access_of(
    settings: GoogleSettings, environment: Mapping[str, str] = os.environ
) -> tuple[Credentials[str] | None, Signer | None]:
    """The tokens to use, None for public objects; and what signs URLs, where there is a key.

    Raises:
        InvalidConfig: The key of the service account cannot be read.
    """
    if settings.anonymous:
        return None, None
    given = settings.token
    if given is not None:
        given.reveal()  # says now that there is none
        return Credentials([revealed("the setting token", given.reveal)], _ADVICE), None
    transport = _Transport(settings, environment)
    if _account_in(settings) is not None:
        keys = Credentials(
            [revealed("the service account", partial(_account_in, settings))], _ADVICE
        )
        tokens = Source("the service account", lambda: _lease(_account_in(settings), transport))
        return Credentials([tokens], _ADVICE), Signer(keys.current)
    token = environment.get("GOOGLE_OAUTH_ACCESS_TOKEN")
    if token:
        return Credentials([fixed("GOOGLE_OAUTH_ACCESS_TOKEN", token)], _ADVICE), None
    return Credentials([Source("Google's own chain", _Default(transport).find)], _ADVICE), None


def _key(settings: GoogleSettings) -> dict[str, Any] | None:
    if settings.service_account_key is not None:
        text, place = settings.service_account_key.reveal(), "the setting 'service_account_key'"
    elif settings.service_account is not None:
        place = settings.service_account
        try:
            with open(place, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise InvalidConfig(
                f"the setting 'service_account': {place} cannot be read: {error.strerror}"
            ) from error
        except UnicodeDecodeError:
            # The cause would hold the bytes of the key.
            raise InvalidConfig(
                f"the setting 'service_account': {place} cannot be read: it is not UTF-8"
            ) from None
    else:
        return None
    try:
        key = json.loads(text)
    except ValueError:
        raise InvalidConfig(f"{place} holds no JSON") from None
    if not isinstance(key, dict):
        raise InvalidConfig(f"{place} holds no key of a service account")
    return key


def _account_in(settings: GoogleSettings) -> Any | None:
    """The service account of the settings, as its key is now; None where they name none."""
    key = _key(settings)
    if key is None:
        return None
    service_account = _library("google.oauth2.service_account")
    try:
        return service_account.Credentials.from_service_account_info(key, scopes=[_SCOPE])
    except ValueError:
        # The message may quote the key.
        raise InvalidConfig("this is no key of a service account") from None


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise InvalidConfig(
            "Google's credentials need google-auth: pip install 'holdall[cloud]'"
        ) from error


class _Answer(Struct, frozen=True):
    """An answer as Google's library reads one."""

    status: int
    headers: dict[str, str]
    data: bytes


class _Transport:
    """Sends the requests of Google's library as all of ours go: time-outs, proxies, no redirect.

    Args:
        settings: Say how long to wait.
        environment: The variables that name the machine's own service.
    """

    def __init__(self, settings: GoogleSettings, environment: Mapping[str, str]) -> None:
        waits = settings.timeout, settings.connect_timeout
        self._far, self._near = Http(*waits, proxied=True), Http(*waits)
        named = (environment.get(name) for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT"))
        self._machine = {"metadata.google.internal", "169.254.169.254", *filter(None, named)}

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        http = self._near if urlsplit(url).netloc in self._machine else self._far
        try:
            found = http.send(method, url, headers or {}, body or b"", _ANSWER_BYTES)
        except HoldallError as error:
            # What the library expects, and asks again for where that may help.
            raise _library("google.auth.exceptions").TransportError(error.message) from error
        return _Answer(found.status, found.headers, found.body)


def _lease(credentials: Any, transport: _Transport) -> Lease[str]:
    exceptions = _library("google.auth.exceptions")
    try:
        credentials.refresh(transport)
    except exceptions.TransportError as error:
        raise Unauthenticated(f"Google gives no token: {error.__cause__ or 'no answer'}") from error
    except exceptions.GoogleAuthError as error:
        raise Unauthenticated(f"Google gives no token: {type(error).__name__}") from error
    expires = credentials.expiry
    return Lease(credentials.token, None if expires is None else expires.replace(tzinfo=UTC))


class _Default:
    """Google's own chain: the file of GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the machine."""

    def __init__(self, transport: _Transport) -> None:
        self._transport = transport
        self._found: Any = None

    def find(self) -> Lease[str]:
        if self._found is None:
            auth, exceptions = _library("google.auth"), _library("google.auth.exceptions")
            try:
                self._found, _ = auth.default(scopes=[_SCOPE])
            except exceptions.GoogleAuthError as error:
                raise Unauthenticated("there is nothing") from error
        return _lease(self._found, self._transport)
