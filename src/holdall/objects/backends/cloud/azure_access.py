"""Who asks Azure: an account's key, a shared access signature, or an identity."""

from __future__ import annotations

import os
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from holdall.core.errors import InvalidConfig, Unauthenticated
from holdall.objects.backends.cloud.credentials import (
    Credentials,
    Hidden,
    Lease,
    Source,
    fixed,
    revealed,
)
from holdall.objects.backends.cloud.http import Http
from holdall.objects.backends.cloud.settings import check_url, url_of
from holdall.objects.backends.cloud.shared_key import read_connection_string

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdall.objects.backends.cloud.settings import AzureSettings

_METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
_RESOURCE = "https://storage.azure.com/"
_EMULATOR = {
    "accountname": "devstoreaccount1",
    # The key of every emulator, published with it.
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
    "KBHBeksoGMGw==",
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
_ADVICE = (
    "Give connection_string, account_key or sas_token, or set use_managed_identity; or set "
    "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN; or set "
    "anonymous for public objects"
)
_PATIENCE = timedelta(seconds=5)
_KEYS = ("the key in the connection string", "the setting account_key", "AZURE_STORAGE_KEY")
"""The sources that are an account's key, which signs URLs too."""
_SIGNED = "the signature in the connection string"


class SharedKey(Hidden, frozen=True):
    """An account's key, in base 64."""

    key: str


class SharedAccess(Hidden, frozen=True):
    """A shared access signature: the query of a URL."""

    token: str


class Bearer(Hidden, frozen=True):
    """A token of an identity."""

    token: str


Access: TypeAlias = SharedKey | SharedAccess | Bearer


class Account(Struct, frozen=True):
    """A storage account and how to enter.

    Args:
        name: The account.
        endpoint: Its URL, without a `/` at its end.
        credentials: What gives access; None for public objects.
        signs: Whether that is the account's key, which also signs URLs.
    """

    name: str
    endpoint: str
    credentials: Credentials[Access] | None
    signs: bool


def account_of(settings: AzureSettings, environment: Mapping[str, str] = os.environ) -> Account:
    """The account that settings and variables name; of the four ways in the first that is given.

    Raises:
        InvalidConfig: No account is named, or the connection string is none.
    """
    given = settings.connection_string
    text = given.reveal() if given is not None else None
    place = "the setting 'connection_string'"
    named = settings.account_key or settings.sas_token or settings.use_managed_identity
    if text is None and not named and not settings.anonymous:
        place = "AZURE_STORAGE_CONNECTION_STRING"
        text = environment.get(place)
    pairs = _pairs(text, place) if text else {}
    held = _account_in(pairs)
    if settings.account_name and held and settings.account_name != held:
        # Its endpoint would lead to the objects of another account.
        raise InvalidConfig(
            f"{place} is of the account {held!r}, and the account {settings.account_name!r} is "
            "named: mend one of them, or leave one out"
        )
    name = (
        settings.account_name
        or held
        or environment.get("AZURE_STORAGE_ACCOUNT")
        or environment.get("AZURE_STORAGE_ACCOUNT_NAME")
    )
    if not name:
        raise InvalidConfig(
            "no storage account is named: give account_name or connection_string, write "
            "abfs://container@account.dfs.core.windows.net/…, or set AZURE_STORAGE_ACCOUNT"
        )
    endpoint = (
        settings.endpoint or pairs.get("blobendpoint") or _endpoint(name, pairs, settings.host)
    )
    endpoint = url_of(endpoint, settings.use_ssl)
    check_url("the endpoint of the account", endpoint)
    if settings.anonymous:
        return Account(name, endpoint, None, signs=False)
    sources = _sources(settings, pairs, environment)
    signs = sources[0].name in _KEYS
    return Account(name, endpoint, Credentials(sources, _ADVICE), signs)


def _endpoint(name: str, pairs: Mapping[str, str], host: str) -> str:
    protocol = pairs.get("defaultendpointsprotocol", "https")
    # Blobs of account.dfs.core.windows.net are at account.blob.core.windows.net.
    suffix = pairs.get("endpointsuffix") or host.partition(".dfs.")[2] or "core.windows.net"
    return f"{protocol}://{name}.blob.{suffix}"


def _account_in(pairs: Mapping[str, str]) -> str:
    """The account of a connection string; one with a signature may name it by its URL alone."""
    name = pairs.get("accountname", "")
    if name:
        return name
    url = urlsplit(pairs.get("blobendpoint", ""))
    # An emulator has the account in the path; a domain of one's own does not tell it.
    host, mark, _ = (url.hostname or "").partition(".blob.")
    return url.path.strip("/") or (host.partition(".")[0] if mark else "")


def _pairs(text: str, place: str) -> dict[str, str]:
    try:
        pairs = read_connection_string(text)
    except ValueError as error:
        raise InvalidConfig(f"{place}: {error}") from None
    return dict(_EMULATOR) if pairs.get("usedevelopmentstorage") == "true" else pairs


def _sources(
    settings: AzureSettings, pairs: Mapping[str, str], environment: Mapping[str, str]
) -> list[Source[Access]]:
    sources: list[Source[Access]] = []

    def add(name: str, access: Access | None) -> None:
        if access is not None:
            sources.append(fixed(name, access))

    def add_revealed(name: str, read: Callable[[], Access | None]) -> None:
        if read() is not None:
            sources.append(revealed(name, read))

    given, key, token = settings.connection_string, settings.account_key, settings.sas_token
    if given is None:
        add(_KEYS[0], _key_in(pairs))
        add(_SIGNED, _signature_in(pairs))
    else:
        place = "the setting 'connection_string'"
        add_revealed(_KEYS[0], lambda: _key_in(_pairs(given.reveal(), place)))
        add_revealed(_SIGNED, lambda: _signature_in(_pairs(given.reveal(), place)))
    if key is not None:
        add_revealed(_KEYS[1], lambda: _shared_key(_KEYS[1], key.reveal()))
    if token is not None:
        add_revealed("the setting sas_token", lambda: SharedAccess(token.reveal().lstrip("?")))
    http = Http(_PATIENCE, _PATIENCE)
    identity = Source(
        "the managed identity", lambda: _from_identity(http, settings.client_id, environment)
    )
    if settings.use_managed_identity:
        sources.append(identity)
    if not sources:
        key_text = environment.get("AZURE_STORAGE_KEY") or environment.get(
            "AZURE_STORAGE_ACCOUNT_KEY"
        )
        token_text = environment.get("AZURE_STORAGE_SAS_TOKEN")
        add(_KEYS[2], _shared_key(_KEYS[2], key_text))
        add("AZURE_STORAGE_SAS_TOKEN", SharedAccess(token_text.lstrip("?")) if token_text else None)
        sources.append(Source("Azure's own library", _from_azure_identity))
    return sources


def _key_in(pairs: Mapping[str, str]) -> SharedKey | None:
    return _shared_key(_KEYS[0], pairs.get("accountkey"))


def _signature_in(pairs: Mapping[str, str]) -> SharedAccess | None:
    shared = pairs.get("sharedaccesssignature")
    return SharedAccess(shared.lstrip("?")) if shared else None


def _shared_key(place: str, key: str | None) -> SharedKey | None:
    if not key:
        return None
    try:
        b64decode(key, validate=True)
    except ValueError:
        raise InvalidConfig(f"{place} is no key of a storage account: it is not base 64") from None
    return SharedKey(key)


class _Token(Struct):
    access_token: str
    expires_on: str | int


def _from_identity(
    http: Http, client_id: str | None, environment: Mapping[str, str]
) -> Lease[Access] | None:
    """A token of the machine's own identity, or the one of an app service."""
    query = {"resource": _RESOURCE}
    endpoint, header = environment.get("IDENTITY_ENDPOINT"), environment.get("IDENTITY_HEADER")
    if endpoint and header:
        query["api-version"] = "2019-08-01"
        headers = {"x-identity-header": header}
    else:
        endpoint = environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "").rstrip("/")
        endpoint = f"{endpoint}/metadata/identity/oauth2/token" if endpoint else _METADATA
        query["api-version"] = "2018-02-01"
        headers = {"metadata": "true"}
    if client_id is not None:
        query["client_id"] = client_id
    answer = http.send("GET", f"{endpoint}?{urlencode(query)}", headers)
    if answer.status != 200:
        raise Unauthenticated(f"the identity service answers {answer.status}")
    try:
        found = msgspec.json.decode(answer.body, type=_Token)
        end = datetime.fromtimestamp(int(found.expires_on), UTC)
    except (ValueError, OverflowError, OSError):  # msgspec's errors are ValueErrors too
        raise Unauthenticated("the identity service gave no token") from None
    return Lease(Bearer(found.access_token), end)


def _from_azure_identity() -> Lease[Access] | None:
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ImportError:
        return None
    try:
        found = DefaultAzureCredential().get_token(f"{_RESOURCE}.default")
    except AzureError as error:
        raise Unauthenticated(f"Azure's own library gives no token: {error}") from error
    return Lease(Bearer(found.token), datetime.fromtimestamp(found.expires_on, UTC))
