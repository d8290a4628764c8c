"""Which account is entered, and in which of the ways."""

import json
import logging
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from holdall.core.errors import InvalidConfig, Unauthenticated
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud.azure_access import (
    Access,
    Account,
    Bearer,
    SharedAccess,
    SharedKey,
    account_of,
)
from holdall.objects.backends.cloud.settings import AzureSettings
from objects.cloud.loopback import Loopback, listening

_KEY, _OTHER = (b64encode(text).decode() for text in (b"hunter2-key", b"another"))
_STRING = f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={_KEY}"
_SAS = "sv=2020&sig=hunter2"


def _account(environment: dict[str, str] | None = None, **settings: Any) -> Account:
    for name in ("connection_string", "account_key", "sas_token"):
        if name in settings:
            settings[name] = Secret(settings[name])
    return account_of(AzureSettings(container="c", **settings), environment or {})


def _access(account: Account) -> Access:
    assert account.credentials is not None
    return account.credentials.current()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with listening() as server:
        yield server


@pytest.fixture(autouse=True)
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's own library would contact the machine's address."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)


# The account


@pytest.mark.parametrize(
    ("settings", "environment", "name"),
    [
        ({"account_name": "a"}, {"AZURE_STORAGE_ACCOUNT": "b"}, "a"),
        ({"connection_string": _STRING}, {"AZURE_STORAGE_ACCOUNT": "b"}, "acc"),
        ({}, {"AZURE_STORAGE_CONNECTION_STRING": _STRING}, "acc"),
        ({}, {"AZURE_STORAGE_ACCOUNT": "b", "AZURE_STORAGE_ACCOUNT_NAME": "c"}, "b"),
        ({}, {"AZURE_STORAGE_ACCOUNT_NAME": "c"}, "c"),
    ],
)
def test_the_account_is_the_first_that_is_named(
    settings: dict[str, Any], environment: dict[str, str], name: str
) -> None:
    account = _account(environment, **settings)
    assert (account.name, account.endpoint) == (name, f"https://{name}.blob.core.windows.net")


def test_no_account_is_an_error_that_says_how_to_name_one() -> None:
    with pytest.raises(InvalidConfig, match="account_name or connection_string"):
        _account()


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"account_name": "a", "endpoint": "https://e/"}, "https://e"),
        ({"account_name": "a", "endpoint": "e:1"}, "https://e:1"),
        ({"account_name": "a", "endpoint": "e:1", "use_ssl": False}, "http://e:1"),
        (
            {"account_name": "a", "host": "a.dfs.core.chinacloudapi.cn"},
            "https://a.blob.core.chinacloudapi.cn",
        ),
        (
            {"connection_string": f"{_STRING};EndpointSuffix=core.usgovcloudapi.net"},
            "https://acc.blob.core.usgovcloudapi.net",
        ),
        (
            {"connection_string": _STRING.replace("https", "http")},
            "http://acc.blob.core.windows.net",
        ),
        ({"connection_string": f"{_STRING};BlobEndpoint=https://b.example/"}, "https://b.example"),
        (
            {"connection_string": f"{_STRING};BlobEndpoint=https://b/", "endpoint": "https://e"},
            "https://e",
        ),
    ],
)
def test_the_endpoint_is_the_one_that_is_given(settings: dict[str, Any], endpoint: str) -> None:
    assert _account(**settings).endpoint == endpoint


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://acc.blob.core.windows.net/", "acc"),
        ("https://acc.z01.blob.storage.azure.net/", "acc"),
        ("http://127.0.0.1:10000/acc", "acc"),
    ],
)
def test_a_connection_string_with_a_signature_names_the_account_by_its_url(
    endpoint: str, name: str
) -> None:
    text = f"BlobEndpoint={endpoint};QueueEndpoint=https://q/;SharedAccessSignature=?{_SAS}"
    account = _account(connection_string=text)
    assert (account.name, account.endpoint) == (name, endpoint.rstrip("/"))
    assert _access(account) == SharedAccess(_SAS)
    assert not account.signs


def test_a_domain_of_ones_own_does_not_name_the_account() -> None:
    text = f"BlobEndpoint=https://files.example/;SharedAccessSignature={_SAS}"
    with pytest.raises(InvalidConfig, match="no storage account is named"):
        _account(connection_string=text)
    assert _account(connection_string=text, account_name="a").name == "a"


@pytest.mark.parametrize("place", ["setting", "environment"])
def test_a_connection_string_of_another_account_is_refused(place: str) -> None:
    given = {"connection_string": _STRING} if place == "setting" else {}
    environment = {"AZURE_STORAGE_CONNECTION_STRING": _STRING} if place == "environment" else {}
    with pytest.raises(InvalidConfig, match="account 'acc', and the account 'other'") as caught:
        _account(environment, account_name="other", **given)
    assert _KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["http://<a>", "http://\N{SNOWMAN}", "https://h:port", "https://"])
def test_an_endpoint_in_a_connection_string_must_be_a_url(url: str) -> None:
    with pytest.raises(InvalidConfig, match="endpoint"):
        _account(connection_string=f"{_STRING};BlobEndpoint={url}")


def test_the_development_storage_is_the_emulator() -> None:
    account = _account(connection_string="UseDevelopmentStorage=true")
    assert account.name == "devstoreaccount1"
    assert account.endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    assert account.signs
    assert isinstance(_access(account), SharedKey)


@pytest.mark.parametrize("text", ["hunter2", "AccountName=a;hunter2", "AccountKey=a;AccountKey=b"])
@pytest.mark.parametrize("place", ["connection_string", "AZURE_STORAGE_CONNECTION_STRING"])
def test_a_broken_connection_string_is_not_shown(text: str, place: str) -> None:
    environment = {place: text} if place.isupper() else {}
    settings = {} if environment else {place: text}
    with pytest.raises(InvalidConfig, match=place) as caught:
        _account(environment, **settings)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("settings", "environment", "place"),
    [
        ({"account_key": "hunter2"}, {}, "account_key"),
        ({"connection_string": "AccountName=a;AccountKey=hunter2"}, {}, "connection string"),
        ({}, {"AZURE_STORAGE_KEY": "hunter2"}, "AZURE_STORAGE_KEY"),
    ],
)
def test_what_is_no_key_is_found_at_the_opening(
    settings: dict[str, Any], environment: dict[str, str], place: str
) -> None:
    with pytest.raises(InvalidConfig, match=f"{place} is no key") as caught:
        _account({"AZURE_STORAGE_ACCOUNT": "a", **environment}, **settings)
    assert "hunter2" not in str(caught.value)


# The ways in


def test_the_first_of_the_four_ways_counts(server: Loopback) -> None:
    server.answer = lambda _: (200, b'{"access_token": "t", "expires_on": "32503680000"}')
    environment = {
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=acc;AccountKey={_OTHER}",
        "AZURE_STORAGE_KEY": _OTHER,
        "AZURE_STORAGE_SAS_TOKEN": "other",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": server.url,
    }
    ways: list[tuple[str, Any, Access]] = [
        ("connection_string", _STRING, SharedKey(_KEY)),
        ("account_key", _OTHER, SharedKey(_OTHER)),
        ("sas_token", f"?{_SAS}", SharedAccess(_SAS)),
        ("use_managed_identity", True, Bearer("t")),
    ]
    for at in range(len(ways)):
        settings = {name: value for name, value, _ in ways[at:]}
        assert _access(_account(environment, account_name="acc", **settings)) == ways[at][2]


@pytest.mark.parametrize(
    ("environment", "access"),
    [
        ({"AZURE_STORAGE_KEY": _KEY, "AZURE_STORAGE_SAS_TOKEN": _SAS}, SharedKey(_KEY)),
        ({"AZURE_STORAGE_ACCOUNT_KEY": _KEY}, SharedKey(_KEY)),
        ({"AZURE_STORAGE_SAS_TOKEN": f"?{_SAS}"}, SharedAccess(_SAS)),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": _STRING, "AZURE_STORAGE_KEY": _OTHER},
            SharedKey(_KEY),
        ),
    ],
)
def test_the_environment_counts_where_no_setting_does(
    environment: dict[str, str], access: Access
) -> None:
    account = _account({"AZURE_STORAGE_ACCOUNT": "acc", **environment})
    assert _access(account) == access
    assert account.signs == isinstance(access, SharedKey)


def test_a_signature_does_not_sign() -> None:
    assert not _account(account_name="a", sas_token=_SAS).signs


def test_public_objects_need_nothing() -> None:
    account = _account({"AZURE_STORAGE_KEY": _KEY}, account_name="a", anonymous=True)
    assert account.credentials is None
    assert not account.signs


def test_nothing_anywhere_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(Unauthenticated, match=r"Azure's own library: nothing.*account_key"):
        _access(_account(account_name="a"))


# The identity


def test_the_machine_gives_a_token_for_the_identity_that_is_named(server: Loopback) -> None:
    server.answer = lambda _: (200, b'{"access_token": "t", "expires_on": "1709208000"}')
    environment = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"{server.url}/"}
    account = _account(environment, account_name="a", use_managed_identity=True, client_id="me")
    assert account.credentials is not None
    lease = account.credentials.lease()
    assert lease.value == Bearer("t")
    assert lease.expires == datetime(2024, 2, 29, 12, tzinfo=UTC)
    (asked,) = server.asked
    assert asked.headers["metadata"] == "true"
    assert urlsplit(asked.target).path == "/metadata/identity/oauth2/token"
    assert parse_qs(urlsplit(asked.target).query) == {
        "resource": ["https://storage.azure.com/"],
        "api-version": ["2018-02-01"],
        "client_id": ["me"],
    }


def test_an_app_service_gives_a_token(server: Loopback) -> None:
    server.answer = lambda _: (200, b'{"access_token": "t", "expires_on": 32503680000}')
    environment = {"IDENTITY_ENDPOINT": f"{server.url}/msi", "IDENTITY_HEADER": "head"}
    account = _account(environment, account_name="a", use_managed_identity=True)
    assert _access(account) == Bearer("t")
    (asked,) = server.asked
    assert asked.headers["x-identity-header"] == "head"
    assert parse_qs(urlsplit(asked.target).query) == {
        "resource": ["https://storage.azure.com/"],
        "api-version": ["2019-08-01"],
    }


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b"hunter2", "the identity service answers 400"),
        (200, b"hunter2", "gave no token"),
        (200, b'{"access_token": "hunter2"}', "gave no token"),
        (200, b'{"access_token": "hunter2", "expires_on": "tomorrow"}', "gave no token"),
        (200, b'{"access_token": "hunter2", "expires_on": 1e400}', "gave no token"),
        (200, b'{"access_token": "hunter2", "expires_on": 99999999999999999}', "gave no token"),
    ],
)
def test_an_identity_without_a_token_is_an_error_of_ours(
    server: Loopback, status: int, body: bytes, said: str
) -> None:
    server.answer = lambda _: (status, body)
    environment = {"IDENTITY_ENDPOINT": server.url, "IDENTITY_HEADER": "hunter2"}
    account = _account(environment, account_name="a", use_managed_identity=True)
    with pytest.raises(Unauthenticated, match=f"the managed identity: .*{said}") as caught:
        _access(account)
    assert "hunter2" not in str(caught.value)


def test_nothing_secret_is_shown(server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = json.dumps({"access_token": "hunter2", "expires_on": "32503680000"}).encode()
    server.answer = lambda _: (200, answer)
    environment = {"IDENTITY_ENDPOINT": server.url, "IDENTITY_HEADER": "hunter2"}
    accounts = [
        _account(environment, account_name="a", use_managed_identity=True),
        _account(connection_string=_STRING),
        _account(account_name="a", sas_token=_SAS),
    ]
    shown = [repr(account) + repr(_access(account)) for account in accounts]
    for secret in ("hunter2", _KEY):
        assert secret not in "\n".join(shown) + caplog.text
