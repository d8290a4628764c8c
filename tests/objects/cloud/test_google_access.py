"""Which token Google is asked with, and what signs URLs."""

import json
import logging
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from holdall.core.errors import InvalidConfig, Unauthenticated
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud.google_access import access_of
from holdall.objects.backends.cloud.settings import GoogleSettings
from objects.cloud.loopback import Loopback, listening

_SECRET = "hunter2-never-shown"
_EMAIL = "me@project.iam.gserviceaccount.com"
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PEM = _RSA.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


def _settings(**settings: Any) -> GoogleSettings:
    for name in ("token", "service_account_key"):
        if name in settings:
            settings[name] = Secret(settings[name])
    return GoogleSettings(bucket="b", **settings)


def _token(settings: GoogleSettings, environment: dict[str, str] | None = None) -> str:
    credentials, _ = access_of(settings, environment or {})
    assert credentials is not None
    return credentials.current()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with listening() as server:
        yield server


@pytest.fixture
def key(server: Loopback) -> dict[str, str]:
    """The key of a service account, whose tokens a server here gives."""
    return {
        "type": "service_account",
        "client_email": _EMAIL,
        "private_key": _PEM,
        "token_uri": f"{server.url}/token",
    }


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing for Google's own chain to find, and no machine to contact."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


# Tokens


def test_public_objects_need_nothing() -> None:
    environment = {"GOOGLE_OAUTH_ACCESS_TOKEN": _SECRET}
    assert access_of(_settings(anonymous=True), environment) == (None, None)


def test_the_token_of_the_settings_comes_before_all(key: dict[str, str]) -> None:
    settings = _settings(token="mine", service_account_key=json.dumps(key))
    assert _token(settings, {"GOOGLE_OAUTH_ACCESS_TOKEN": "other"}) == "mine"
    assert access_of(settings, {})[1] is None


def test_the_environment_has_a_token() -> None:
    assert _token(_settings(), {"GOOGLE_OAUTH_ACCESS_TOKEN": "mine"}) == "mine"


@pytest.mark.parametrize("place", ["file", "text"])
def test_a_service_account_makes_tokens(
    key: dict[str, str], server: Loopback, tmp_path: Path, place: str
) -> None:
    answer = {"access_token": "made", "expires_in": 3600, "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(answer).encode())
    (tmp_path / "key.json").write_text(json.dumps(key))
    settings = (
        _settings(service_account=str(tmp_path / "key.json"))
        if place == "file"
        else _settings(service_account_key=json.dumps(key))
    )
    assert _token(settings, {"GOOGLE_OAUTH_ACCESS_TOKEN": "other"}) == "made"
    assert server.asked[0].target == "/token"


def test_a_token_that_was_made_has_its_end_in_utc(key: dict[str, str], server: Loopback) -> None:
    answer = {"access_token": "made", "expires_in": 3600, "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(answer).encode())
    credentials, _ = access_of(_settings(service_account_key=json.dumps(key)), {})
    assert credentials is not None
    expires = credentials.lease().expires
    assert expires is not None
    assert timedelta(minutes=50) < expires - datetime.now(UTC) <= timedelta(hours=1)


def test_an_account_that_gets_no_token_is_an_error_of_ours(
    key: dict[str, str], server: Loopback
) -> None:
    server.answer = lambda _: (400, b'{"error": "hunter2-never-shown"}')
    settings = _settings(service_account_key=json.dumps(key))
    with pytest.raises(Unauthenticated, match="the service account: Google gives no") as caught:
        _token(settings)
    assert _SECRET not in str(caught.value)


def test_the_key_of_an_account_signs(key: dict[str, str]) -> None:
    _, signer = access_of(_settings(service_account_key=json.dumps(key)), {})
    assert signer is not None
    assert signer.email == _EMAIL
    signature = signer.sign(b"text")
    _RSA.public_key().verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())


# Keys that are none


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hunter2-never-shown",
        b'["hunter2-never-shown"]',
        b"\xff hunter2-never-shown",
        b'{"private_key": "hunter2-never-shown"}',
        b'{"client_email": "a", "token_uri": "b", "private_key": "hunter2-never-shown"}',
        b'{"client_email": "a", "token_uri": "b", "private_key": 5}',
        b'{"client_email": "a", "token_uri": "b", "private_key": ["hunter2-never-shown"]}',
    ],
)
def test_a_file_that_is_no_key_is_refused_and_not_shown(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_bytes(content)
    with pytest.raises(InvalidConfig) as caught:
        access_of(_settings(service_account=str(tmp_path / "key.json")), {})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_text_that_is_no_key_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidConfig, match="'service_account_key' holds no JSON") as caught:
        access_of(_settings(service_account_key=_SECRET), {})
    assert _SECRET not in str(caught.value)


def test_a_missing_file_names_the_setting_and_the_path(tmp_path: Path) -> None:
    place = str(tmp_path / "missing.json")
    with pytest.raises(InvalidConfig, match=r"'service_account': .*missing\.json cannot be read"):
        access_of(_settings(service_account=place), {})


# Google's own chain


@pytest.mark.usefixtures("alone")
def test_nothing_anywhere_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(Unauthenticated, match=r"Google's own chain: there is nothing.*Give token"):
        _token(_settings())


@pytest.mark.usefixtures("alone")
def test_the_chain_finds_the_file_that_a_variable_names(
    key: dict[str, str], server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"access_token": "made", "expires_in": 3600, "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(answer).encode())
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    assert _token(_settings()) == "made"


@pytest.mark.usefixtures("alone")
def test_a_broken_file_that_a_variable_names_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_bytes(b"\xff hunter2-never-shown")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(Unauthenticated, match="Google's own chain") as caught:
        _token(_settings())
    assert _SECRET not in str(caught.value)


def test_nothing_secret_is_shown(
    key: dict[str, str], server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = {"access_token": _SECRET, "expires_in": 3600, "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(answer).encode())
    credentials, signer = access_of(_settings(service_account_key=json.dumps(key)), {})
    assert credentials is not None
    lease = credentials.lease()
    assert lease.value == _SECRET
    shown = caplog.text + repr(lease) + repr(credentials) + repr(signer)
    assert _SECRET not in shown
    assert _PEM.splitlines()[1] not in shown


def test_a_token_service_that_stands_still_is_a_time_out_of_the_settings(
    key: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        key["token_uri"] = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        settings = _settings(
            service_account_key=json.dumps(key), timeout=timedelta(milliseconds=100)
        )
        with pytest.raises(Unauthenticated, match="the setting 'timeout'") as caught:
            _token(settings)
    assert _SECRET not in str(caught.value)


def test_a_token_is_asked_for_through_the_proxy_that_the_environment_names(
    server: Loopback, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"access_token": _SECRET, "expires_in": 3600, "token_type": "Bearer"}
    server.answer = lambda _: (200, json.dumps(answer).encode())
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    key["token_uri"] = "http://token.example/token"
    assert _token(_settings(service_account_key=json.dumps(key))) == _SECRET
    assert server.asked[0].target == "http://token.example/token"


def test_without_googles_library_it_is_said_what_to_install(
    key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.oauth2.service_account", None)
    with pytest.raises(InvalidConfig, match=r"pip install 'holdall\[cloud\]'"):
        access_of(_settings(service_account_key=json.dumps(key)), {})
