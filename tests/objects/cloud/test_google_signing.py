"""Signed URLs of Google: as Google's conformance tests say, and as an RSA key verifies them."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.google_signing import presign

_EMAIL = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
_NOW = datetime(2019, 2, 1, 9, tzinfo=UTC)
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


# https://github.com/googleapis/conformance-tests storage/v1/v4_signatures.json
@pytest.mark.parametrize(
    ("host", "path", "now", "expires", "digest"),
    [
        (
            "storage.googleapis.com",
            "/test-bucket/test-object",
            _NOW,
            10,
            "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320",
        ),
        (
            "storage.googleapis.com",
            "/test-bucket/test-object",
            datetime(2019, 3, 1, 9, tzinfo=UTC),
            20,
            "779f19fdb6fd381390e2d5af04947cf21750277ee3c20e0c97b7e46a1dff8907",
        ),
        (
            "storage.googleapis.com",
            "/test-bucket//path/with/slashes/under_score/amper%26sand/file.ext",
            _NOW,
            10,
            "63c601ecd6ccfec84f1113fc906609cbdf7651395f4300cecd96ddd2c35164f8",
        ),
        (
            "xyz.googleapis.com",
            "/test-bucket/test-object",
            _NOW,
            10,
            "4f6f519cc03e25d19fcd476d7a45bffcccdba33d10e00214a0f2debc204e2386",
        ),
    ],
)
def test_what_is_signed_is_what_google_publishes(
    host: str, path: str, now: datetime, expires: int, digest: str
) -> None:
    signed: list[bytes] = []

    def sign(text: bytes) -> bytes:
        signed.append(text)
        return b"\xab\xcd"

    query = presign("GET", host, path, {}, _EMAIL, sign, now, expires)
    time = f"{now:%Y%m%d}T090000Z"
    scope = f"{now:%Y%m%d}/auto/storage/goog4_request"
    assert signed == [f"GOOG4-RSA-SHA256\n{time}\n{scope}\n{digest}".encode()]
    assert query == (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256"
        f"&X-Goog-Credential={quote(f'{_EMAIL}/{scope}', safe='')}"
        f"&X-Goog-Date={time}&X-Goog-Expires={expires}&X-Goog-SignedHeaders=host"
        "&X-Goog-Signature=abcd"
    )


def _sign(text: bytes) -> bytes:
    return _RSA.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _verify(query: str, canonical: str) -> None:
    """Do as the service does: make the text from the request, and ask the public key."""
    pairs = parse_qs(query)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    scope = pairs["X-Goog-Credential"][0].partition("/")[2]
    text = f"GOOG4-RSA-SHA256\n{pairs['X-Goog-Date'][0]}\n{scope}\n{digest}"
    signature = bytes.fromhex(pairs["X-Goog-Signature"][0])
    _RSA.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())


@given(st.text(" /+%~?#&=.aé€😀", min_size=1, max_size=20))
def test_the_public_key_accepts_the_url_of_any_key(key: str) -> None:
    path = "/b/" + quote(key, safe="/-_.~")
    headers = {"content-type": "text/plain", "content-md5": "MD5="}
    query = presign("PUT", "host.example", path, headers, _EMAIL, _sign, _NOW, 60)
    unsigned = query.rpartition("&")[0]
    names = "content-md5;content-type;host"
    lines = "content-md5:MD5=\ncontent-type:text/plain\nhost:host.example\n"
    _verify(query, f"PUT\n{path}\n{unsigned}\n{lines}\n{names}\nUNSIGNED-PAYLOAD")


def test_a_url_holds_for_no_other_method() -> None:
    query = presign("GET", "host.example", "/b/a", {}, _EMAIL, _sign, _NOW, 60)
    unsigned = query.rpartition("&")[0]
    form = "{}\n/b/a\n" + unsigned + "\nhost:host.example\n\nhost\nUNSIGNED-PAYLOAD"
    _verify(query, form.format("GET"))
    with pytest.raises(InvalidSignature):
        _verify(query, form.format("DELETE"))
