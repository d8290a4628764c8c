"""Who asks Google Cloud Storage: a token, or a service account that makes tokens."""

from __future__ import annotations

import json
import os
from datetime import UTC
from typing import TYPE_CHECKING, Any

from holdall.core.errors import InvalidConfig, Unauthenticated
from holdall.objects.backends.cloud.credentials import Credentials, Lease, Source, fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdall.objects.backends.cloud.settings import GoogleSettings

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_ADVICE = (
    "Give token, service_account or service_account_key, set GOOGLE_APPLICATION_CREDENTIALS, or "
    "set anonymous for public objects"
)


class Signer:
    """A service account's key, which signs URLs.

    Args:
        email: The account.
        sign: Signs bytes with RSA and SHA-256.
    """

    def __init__(self, email: str, sign: Callable[[bytes], bytes]) -> None:
        self.email = email
        self.sign = sign


def access_of(
    settings: GoogleSettings, environment: Mapping[str, str] = os.environ
) -> tuple[Credentials[str] | None, Signer | None]:
    """The tokens to use, None for public objects; and what signs URLs, where there is a key.

    Raises:
        InvalidConfig: The key of the service account cannot be read.
    """
    if settings.anonymous:
        return None, None
    if settings.token is not None:
        return Credentials([fixed("the setting token", settings.token.reveal())], _ADVICE), None
    key = _key(settings)
    if key is not None:
        account = _account(key)
        signer = Signer(account.service_account_email, account.sign_bytes)
        return Credentials(
            [Source("the service account", lambda: _lease(account))], _ADVICE
        ), signer
    token = environment.get("GOOGLE_OAUTH_ACCESS_TOKEN")
    if token:
        return Credentials([fixed("GOOGLE_OAUTH_ACCESS_TOKEN", token)], _ADVICE), None
    return Credentials([Source("Google's own chain", _Default().find)], _ADVICE), None


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


def _account(key: dict[str, Any]) -> Any:
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


def _lease(credentials: Any) -> Lease[str]:
    exceptions = _library("google.auth.exceptions")
    transport = _library("google.auth.transport.urllib3")
    import urllib3

    try:
        credentials.refresh(transport.Request(urllib3.PoolManager()))
    except exceptions.GoogleAuthError as error:
        raise Unauthenticated(f"Google gives no token: {type(error).__name__}") from error
    expires = credentials.expiry
    return Lease(credentials.token, None if expires is None else expires.replace(tzinfo=UTC))


class _Default:
    """Google's own chain: the file of GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the machine."""

    def __init__(self) -> None:
        self._found: Any = None

    def find(self) -> Lease[str]:
        if self._found is None:
            auth, exceptions = _library("google.auth"), _library("google.auth.exceptions")
            try:
                self._found, _ = auth.default(scopes=[_SCOPE])
            except exceptions.GoogleAuthError as error:
                raise Unauthenticated("there is nothing") from error
        return _lease(self._found)
