"""Signature Version 4: as AWS publishes it, and as AWS's own library signs."""

import hashlib
import string
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.sigv4 import (
    UNSIGNED,
    Key,
    presign,
    query_text,
    sign_headers,
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
_KEY = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
_HOST = "examplebucket.s3.amazonaws.com"
_NOW = datetime(2013, 5, 24, tzinfo=UTC)
_EMPTY = hashlib.sha256(b"").hexdigest()


def _signed(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes = b""
) -> str:
    payload = hashlib.sha256(body).hexdigest()
    text = query_text(query)
    return sign_headers(method, _HOST, path, text, headers, payload, _KEY, "us-east-1", _NOW)[
        "authorization"
    ]


def test_a_get_with_a_range_is_signed_as_published() -> None:
    assert _signed("GET", "/test.txt", {}, {"range": "bytes=0-9"}) == (
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_put_is_signed_as_published() -> None:
    headers = {
        "date": "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    signed = _signed("PUT", "/test%24file.text", {}, headers, b"Welcome to Amazon S3.")
    assert "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class," in signed
    assert signed.endswith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")


def test_a_query_without_a_value_is_signed_as_published() -> None:
    signed = _signed("GET", "/", {"lifecycle": ""}, {})
    assert signed.endswith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")


def test_a_listing_is_signed_as_published() -> None:
    signed = _signed("GET", "/", {"prefix": "J", "max-keys": "2"}, {})
    assert signed.endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


def test_a_url_is_signed_as_published() -> None:
    assert presign("GET", _HOST, "/test.txt", {}, _KEY, "us-east-1", _NOW, 86400) == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


# Beside botocore

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
_KEYS = st.one_of(_TEXT, st.text(" /+%~?#&=.aé€😀", min_size=1, max_size=20))
_QUERIES = st.dictionaries(_TEXT, _TEXT, max_size=4)
_NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8).map("x-amz-meta-".__add__)
_PRINTABLE = "".join(chr(code) for code in range(32, 127))
_HEADERS = st.dictionaries(_NAMES, st.text(_PRINTABLE, max_size=12), max_size=3)
_ACCESS = st.builds(
    Key,
    id=st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=20),
    secret=st.text(string.ascii_letters + "/+", min_size=20, max_size=40),
    token=st.none() | st.text(string.ascii_letters + "/+=", min_size=1, max_size=60),
)
_TIMES = st.integers(10**9, 4 * 10**9).map(lambda at: datetime.fromtimestamp(at, UTC))
_LEAP = datetime(2024, 2, 29, tzinfo=UTC)


def _botocore(signer: Any, request: AWSRequest, now: datetime) -> None:
    """Let botocore sign as if it were `now`."""
    with patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        signer.add_auth(request)


def _credentials(key: Key) -> Credentials:
    return Credentials(key.id, key.secret, key.token)


@given(
    key=_KEYS,
    query=_QUERIES,
    headers=_HEADERS,
    body=st.binary(max_size=9),
    access=_ACCESS,
    at=_TIMES,
)
@example("a b+c%25~?#é", {}, {}, b"", Key("I" * 16, "s" * 20, "t+/="), _LEAP)
@example("a", {"é": "1", "z": "2", "a-b": "3", "a": "4"}, {}, b"", _KEY, _LEAP)
def test_a_request_is_signed_as_botocore_signs_it(
    key: str, query: dict[str, str], headers: dict[str, str], body: bytes, access: Key, at: datetime
) -> None:
    path, text = "/" + quote(key, safe="/-_.~"), query_text(query)
    url = f"https://host.example:9000{path}" + (f"?{text}" if text else "")
    payload = hashlib.sha256(body).hexdigest()
    request = AWSRequest("PUT", url, dict(headers), body)
    request.headers["X-Amz-Content-SHA256"] = payload
    _botocore(S3SigV4Auth(_credentials(access), "s3", "eu-west-1"), request, at)
    ours = sign_headers(
        "PUT", "host.example:9000", path, text, headers, payload, access, "eu-west-1", at
    )
    assert ours["authorization"] == request.headers["Authorization"]


@given(key=_KEYS, access=_ACCESS, at=_TIMES, expires=st.integers(1, 604800))
@example("a b+c%25~?#é", Key("I" * 16, "s" * 20, "t+/="), _LEAP, 60)
def test_a_url_is_signed_as_botocore_signs_it(
    key: str, access: Key, at: datetime, expires: int
) -> None:
    path = "/bucket/" + quote(key, safe="/-_.~")
    request = AWSRequest("GET", f"https://host.example{path}")
    signer = S3SigV4QueryAuth(_credentials(access), "s3", "eu-west-1", expires=expires)
    _botocore(signer, request, at)
    ours = presign("GET", "host.example", path, {}, access, "eu-west-1", at, expires)
    assert sorted(ours.split("&")) == sorted(urlsplit(request.url).query.split("&"))


# The rest


def test_a_query_is_ordered_as_it_is_encoded() -> None:
    assert query_text({"é": "1", "a-b": "2", "a": "3"}) == "%C3%A9=1&a=3&a-b=2"


def test_a_body_that_is_not_signed_says_so() -> None:
    signed = sign_headers("PUT", _HOST, "/a", "", {}, UNSIGNED, _KEY, "us-east-1", _NOW)
    assert signed["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_a_session_token_is_sent_and_signed() -> None:
    key = Key("id", "secret", "token")
    signed = sign_headers("GET", _HOST, "/a", "", {}, _EMPTY, key, "us-east-1", _NOW)
    assert signed["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in signed["authorization"]


def test_what_a_client_must_send_is_named_in_the_url() -> None:
    headers = {"content-type": "text/plain"}
    query = presign("PUT", _HOST, "/a", headers, _KEY, "us-east-1", _NOW, 60)
    assert "X-Amz-SignedHeaders=content-type%3Bhost" in query


@pytest.mark.parametrize("change", ["day", "region", "secret"])
def test_a_signature_is_of_one_day_region_and_secret(change: str) -> None:
    def signature(now: datetime, region: str, secret: str) -> str:
        key = Key("id", secret)
        return sign_headers("GET", _HOST, "/a", "", {}, _EMPTY, key, region, now)[
            "authorization"
        ].rpartition("=")[2]

    other = {
        "day": (_NOW.replace(day=25), "us-east-1", "s"),
        "region": (_NOW, "eu-west-1", "s"),
        "secret": (_NOW, "us-east-1", "t"),
    }
    assert signature(_NOW, "us-east-1", "s") != signature(*other[change])


def test_a_key_does_not_show_itself() -> None:
    shown = f"{_KEY!r} {_KEY} {[_KEY]}"
    assert _KEY.secret not in shown
    assert _KEY.id not in shown
