"""A secret that is changed where it stands is soon what requests carry."""

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import holdall
from holdall.core.errors import HoldallError, InvalidConfig
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud import credentials
from holdall.objects.backends.cloud.credentials import Credentials, revealed
from holdall.objects.backends.cloud.google_access import access_of
from holdall.objects.backends.cloud.settings import GoogleSettings
from objects.cloud.loopback import Asked, Loopback, listening

_OLD, _NEW = "b2xkLW9sZC1v", "bmV3LW5ldy1u"  # base 64, as Azure wants keys


@pytest.fixture
def server() -> Iterator[Loopback]:
    with listening() as server:
        yield server


def test_a_secret_is_looked_at_again_within_a_minute() -> None:
    now = datetime.now(UTC)
    secrets = iter("12")
    found = Credentials([revealed("the settings", lambda: next(secrets))], "", lambda: now)
    assert [found.current() for _ in range(3)] == ["1"] * 3
    now += timedelta(minutes=1)
    assert found.current() == "2"


def _of_s3(asked: Asked, secret: str) -> bool:
    return f"Credential={secret}/" in asked.headers["authorization"]


def _of_key(asked: Asked, secret: str) -> bool:
    own = sorted(name for name in asked.headers if name.startswith("x-ms-"))
    lines = [asked.method, *[""] * 5, asked.headers.get("date", ""), *[""] * 5]
    lines += [f"{name}:{asked.headers[name]}" for name in own]
    text = "\n".join([*lines, f"/me{asked.target}"])
    mac = b64encode(hmac.digest(b64decode(secret), text.encode(), "sha256")).decode()
    return asked.headers["authorization"] == f"SharedKey me:{mac}"


def _of_signature(asked: Asked, secret: str) -> bool:
    return f"sig={secret}" in asked.target


def _of_token(asked: Asked, secret: str) -> bool:
    return asked.headers["authorization"] == f"Bearer {secret}"


_HERE: dict[str, Any] = {}  # stands for the secret
_S3 = {"type": "s3", "bucket": "b", "access_key": _HERE, "secret_key": "x", "probe": False}
_AZURE = {"type": "az", "container": "c", "account_name": "me"}
_GOOGLE = {"type": "gs", "bucket": "b", "token": _HERE}


@pytest.mark.parametrize(
    ("settings", "written", "carries"),
    [
        (_S3, "{}", _of_s3),
        ({**_AZURE, "account_key": _HERE}, "{}", _of_key),
        ({**_AZURE, "connection_string": _HERE}, "AccountName=me;AccountKey={}", _of_key),
        ({**_AZURE, "sas_token": _HERE}, "?sv=1&sig={}", _of_signature),
        (
            {**_AZURE, "connection_string": _HERE},
            "AccountName=me;SharedAccessSignature=sv=1&sig={}",
            _of_signature,
        ),
        (_GOOGLE, "{}", _of_token),
    ],
    ids=["S3", "Azure key", "connection string", "SAS", "SAS in connection string", "Google"],
)
@pytest.mark.parametrize("kind", ["file", "env", "function"])
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda store: store.read("a"), id="by obstore"),
        pytest.param(lambda store: store.stat("a"), id="by ours"),
    ],
)
def test_a_changed_secret_is_what_requests_carry(
    server: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    written: str,
    carries: Callable[[Asked, str], bool],
    kind: str,
    call: Callable[[holdall.DataStore], object],
) -> None:
    monkeypatch.setattr(credentials, "_REVEALED", timedelta(0))
    place = tmp_path / "secret"
    variable = "HOLDALL_TEST_SECRET"
    source = {"file": {"file": str(place)}, "env": {"env": variable}, "function": place.read_text}

    def put(secret: str) -> None:
        place.write_text(written.format(secret))
        monkeypatch.setenv(variable, written.format(secret))

    def carried(secret: str) -> bool:
        server.asked.clear()
        with pytest.raises(HoldallError):
            call(store)
        return carries(server.asked[0], secret)

    put(_OLD)
    given = {name: source[kind] if value is _HERE else value for name, value in settings.items()}
    store = holdall.open({**given, "endpoint": server.url, "check": False, "layers": []})
    assert carried(_OLD)
    put(_NEW)
    assert carried(_NEW)
    assert not carried(_OLD)


@pytest.mark.parametrize("settings", [_S3, {**_AZURE, "account_key": _HERE}, _GOOGLE])
def test_a_secret_that_is_not_there_is_an_error_of_opening(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    missing = {"file": str(tmp_path / "missing")}
    given = {name: missing if value is _HERE else value for name, value in settings.items()}
    with pytest.raises(InvalidConfig, match="missing, which cannot be read"):
        holdall.open({**given, "endpoint": "http://127.0.0.1:1", "check": False})


def test_a_url_of_google_is_signed_with_the_key_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_REVEALED", timedelta(0))
    place = tmp_path / "key.json"
    settings = GoogleSettings(bucket="b", service_account_key=Secret({"file": str(place)}))
    signer = None
    for email in ("old@example", "new@example"):
        private = rsa.generate_private_key(65537, 2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {"client_email": email, "private_key": pem.decode(), "token_uri": "http://x/"}
        place.write_text(json.dumps(account))
        signer = signer or access_of(settings, {})[1]
        assert signer is not None
        assert signer.email == email
        signed = signer.sign(b"text")
        private.public_key().verify(signed, b"text", padding.PKCS1v15(), hashes.SHA256())
