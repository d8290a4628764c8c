"""Signed URLs of Google: as Google's conformance tests say, and as an RSA key verifies them."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, quote

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.google_signing import presign
from holdall.objects.backends.cloud.requests import Requests

_EMAIL = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
_HOST = "storage.googleapis.com"
_NOW = datetime(2019, 2, 1, 9, tzinfo=UTC)
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signed(
    method: str,
    path: str,
    headers: dict[str, str],
    host: str = _HOST,
    now: datetime = _NOW,
    expires: int = 10,
) -> tuple[str, str]:
    """The query of a URL, and the text that the service account was asked to sign."""
    asked: list[bytes] = []

    def sign(text: bytes) -> bytes:
        asked.append(text)
        return b"\x00\xff"

    query = presign(method, host, path, headers, _EMAIL, sign, now, expires)
    (text,) = asked
    return query, text.decode()


# The digests are those of storage/v1/v4_signatures.json in
# https://github.com/googleapis/conformance-tests, in its order.
@pytest.mark.parametrize(
    ("method", "path", "headers", "digest"),
    [
        (
            "GET", "test-bucket/test-object", {},
            "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320",
        ),
        (
            "PUT", "test-bucket/test-object", {},
            "78742860705da91404222d5d66ff89850292471199c3c2808d116ad12e6177b4",
        ),
        (
            "POST", "test-bucket/test-object", {"x-goog-resumable": "start"},
            "877f8b40179d2753296f2fd6de815ab40503c7a3c446a7b44aa4e74422ff4daf",
        ),
        (
            "GET", "test-bucket2/test-object2", {},
            "a139afbf35ac30e9864f63197f79609731ab1b0ca166e2a456dba156fcd3f9ce",
        ),
        (
            "GET", "test-bucket/path/with/slashes/under_score/amper&sand/file.ext",
            {"header/name/with/slash": "should-be-encoded"},
            "f1d206dd8cbe1b892d4081ccddae0927d9f5fee5653fb2a2f43e7c20ed455cad",
        ),
        (
            "GET", "test-bucket//path/with/slashes/under_score/amper&sand/file.ext", {},
            "63c601ecd6ccfec84f1113fc906609cbdf7651395f4300cecd96ddd2c35164f8",
        ),
        (
            "GET", "test-bucket/test-object", {"foo": "foo-value", "bar": "BAR-value"},
            "59c1ac1a6ee7d773d5c4487ecc861d60b71c4871dd18fc7d8485fac09df1d296",
        ),
        (
            "GET", "test-bucket/test-object",
            {"bar": "2023-02-10T03:", "foo": "2023-02-10T02:00:00Z"},
            "a2a6df7e6bd818894e1f60ac3c393901b512ca1cf1061ba602dace3fb38c19a6",
        ),
        (
            "GET", "test-bucket/test-object",
            {
                "collapsed": "abc    def", "leading": "    xyz", "trailing": "abc    ",
                "tabs": "\tabc\t\t\t\tdef\t",
            },
            "19153e83555808dbfeb8969043cc8ce8d5db0cce91dc11fb9df58b8130f09d42",
        ),
        (
            "GET", "test-bucket/test-object", {"multiple": " xyz ,  abc, def  , xyz   "},
            "4df8e486146c31f1c8cd4e4c730554cde4326791ba48ec11fa969a3de064cd7f",
        ),
        (
            "GET", "test-bucket/test-object",
            {
                "x-goog-encryption-algorithm": "AES256", "x-goog-encryption-key": "key",
                "x-goog-encryption-key-sha256": "key-hash",
            },
            "66a45104eba8bdd9748723b45cbd54c3f0f6dba337a5deb9fb6a66334223dc06",
        ),
        (
            "GET", "test-bucket", {},
            "51a7426c2a6c6ab80f336855fc629461ff182fb1d2cb552ac68e5ce8e25db487",
        ),
        (
            "GET", "test-bucket/test-object", {"x-goog-date": "20190201T090000Z"},
            "4052143280d90d5f4a8c878ff7418be6fee5d34e50b1da28d8081a094b88fa61",
        ),
    ],
    ids=[
        "simple get", "simple put", "post for resumable uploads", "vary bucket and object",
        "slashes in the name", "forward slashes stay", "simple headers", "headers with colons",
        "headers are trimmed", "several inline values", "customer-supplied key", "list objects",
        "header ordering",
    ],
)  # fmt: skip
def test_a_published_request_has_its_published_digest(
    method: str, path: str, headers: dict[str, str], digest: str
) -> None:
    _, text = _signed(method, f"/{Requests.quoted(path)}", headers)
    scope = "20190201/auto/storage/goog4_request"
    assert text == f"GOOG4-RSA-SHA256\n20190201T090000Z\n{scope}\n{digest}"


def test_another_time_and_expiry_have_their_published_digest() -> None:
    _, text = _signed(
        "GET", "/test-bucket/test-object", {}, now=datetime(2019, 3, 1, 9, tzinfo=UTC), expires=20
    )
    assert text.endswith("\n779f19fdb6fd381390e2d5af04947cf21750277ee3c20e0c97b7e46a1dff8907")


@pytest.mark.parametrize(
    ("host", "digest"),
    [
        (
            "test-bucket.storage.googleapis.com",
            "89eeae48258eccdcb1f592fb908008e3f5d36a949c002c1e614c94356dc18fc6",
        ),
        ("mydomain.tld", "d6c309924b51a5abbe4d6356f7bf29c2120c6b14649b1e97b3bc9309adca7d4b"),
    ],
)
def test_a_bucket_in_the_host_has_its_published_digest(host: str, digest: str) -> None:
    _, text = _signed("GET", "/test-object", {}, host)
    assert text.endswith(f"\n{digest}")


def test_another_host_has_its_published_digest() -> None:
    _, text = _signed("GET", "/test-bucket/test-object", {}, "xyz.googleapis.com")
    assert text.endswith("\n4f6f519cc03e25d19fcd476d7a45bffcccdba33d10e00214a0f2debc204e2386")


def test_the_query_has_its_published_pairs() -> None:
    query, _ = _signed("GET", "/test-bucket/test-object", {})
    scope = "20190201/auto/storage/goog4_request"
    assert query == (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256"
        f"&X-Goog-Credential={quote(f'{_EMAIL}/{scope}', safe='')}"
        "&X-Goog-Date=20190201T090000Z&X-Goog-Expires=10&X-Goog-SignedHeaders=host"
        "&X-Goog-Signature=00ff"
    )


def test_the_signature_ends_the_query_in_hexadecimal() -> None:
    query, text = _signed("GET", "/test-bucket/test-object", {})
    assert query.endswith("&X-Goog-Signature=00ff")
    shown = query.removesuffix("&X-Goog-Signature=00ff")
    canonical = f"GET\n/test-bucket/test-object\n{shown}\nhost:{_HOST}\n\nhost\nUNSIGNED-PAYLOAD"
    assert text.endswith(hashlib.sha256(canonical.encode()).hexdigest())


def test_what_a_client_must_send_is_in_the_url() -> None:
    query, _ = _signed("PUT", "/b/o", {"content-type": "text/x", "content-md5": "AA=="})
    assert dict(parse_qsl(query))["X-Goog-SignedHeaders"] == "content-md5;content-type;host"


# An RSA key


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
