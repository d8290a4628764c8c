"""What a URL looks like that is signed for another address than the store's own."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import holdall
from holdall.objects.backends.cloud.google_signing import presign

_S3 = {"type": "s3", "bucket": "b", "access_key": "k", "secret_key": "s", "check": False}
_AZURE = {
    "type": "az",
    "container": "c",
    "account_name": "a",
    "account_key": "c2VjcmV0",
    "check": False,
}


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        ({"sign_endpoint": "https://files.example/"}, "https://files.example/b/x?"),
        ({"sign_endpoint": "files.example"}, "https://files.example/b/x?"),
        (
            {"sign_endpoint": "files.example", "endpoint": "h:1", "use_ssl": False},
            "http://files.example/b/x?",
        ),
        (
            {"sign_endpoint": "https://files.example", "path_style": False},
            "https://b.files.example/x?",
        ),
        ({"endpoint": "http://h:1"}, "http://h:1/b/x?"),
        ({"region": "eu-west-1"}, "https://b.s3.eu-west-1.amazonaws.com/x?"),
        ({"sign_endpoint": "https://files.example/sub"}, "https://files.example/sub/b/x?"),
    ],
)
def test_a_url_of_s3_is_that_of_a_store_at_the_endpoint(
    settings: dict[str, Any], begins: str
) -> None:
    with holdall.open({**_S3, **settings}) as store:
        assert store.sign("x").startswith(begins)


def test_the_plain_url_of_public_objects_has_the_endpoint_too() -> None:
    given = {"bucket": "b", "anonymous": True, "sign_endpoint": "https://files.example"}
    with holdall.open({"type": "s3", "check": False, **given}) as store:
        assert store.sign("x") == "https://files.example/b/x"


@pytest.mark.parametrize(
    ("endpoint", "protocols"), [("https://files.example", "https"), ("http://h:1/a", "https,http")]
)
def test_a_url_of_azure_is_good_for_the_protocol_of_the_endpoint(
    endpoint: str, protocols: str
) -> None:
    with holdall.open({**_AZURE, "endpoint": "http://h:2/a", "sign_endpoint": endpoint}) as store:
        url = store.sign("x")
    assert url.startswith(f"{endpoint}/c/x?")
    assert parse_qs(url).get("spr", ["https,http"]) == [protocols]


def _google(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Where a store is that signs with a service account's key."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "me@example",
        "private_key": pem.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }
    return {
        "type": "gs",
        "bucket": "b",
        "service_account_key": json.dumps(account),
        "sign_endpoint": "https://files.example",
        "check": False,
    }


def test_a_url_of_google_names_the_headers_that_it_was_signed_with() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with holdall.open(_google(key)) as store:
        url = store.sign("x", "PUT", content_type="text/x", content_md5="00" * 16)
    coded = b64encode(bytes(16)).decode()
    assert url.headers == {"Content-Type": "text/x", "Content-MD5": coded}
    signed = parse_qs(urlsplit(url).query)["X-Goog-SignedHeaders"]
    assert signed == ["content-md5;content-type;host"]


def test_a_url_of_google_is_signed_for_the_host_of_the_endpoint() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with holdall.open(_google(key)) as store:
        url = urlsplit(store.sign("x"))
    assert (url.scheme, url.netloc, url.path) == ("https", "files.example", "/b/x")
    then = parse_qs(url.query)["X-Goog-Date"][0]

    def sign(text: bytes) -> bytes:
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    now = datetime.strptime(then, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert url.query == presign(
        "GET", "files.example", "/b/x", {}, "me@example", sign, now, expires=3600
    )


def test_the_endpoint_is_written_down_with_the_configuration() -> None:
    with holdall.open({**_S3, "sign_endpoint": "https://files.example"}) as store:
        assert json.loads(store.config_json())["sign_endpoint"] == "https://files.example"
