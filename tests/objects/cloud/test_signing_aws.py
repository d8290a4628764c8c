"""Signatures of Amazon S3: the published examples, and what AWS's own library makes."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.requests import Requests
from holdall.objects.backends.cloud.sigv4 import UNSIGNED, Key, presign, query_text, sign_headers

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
_KEY = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
_HOST = "examplebucket.s3.amazonaws.com"
_DAY = datetime(2013, 5, 24, tzinfo=UTC)
_EMPTY = hashlib.sha256(b"").hexdigest()
_SCOPE = "20130524/us-east-1/s3/aws4_request"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body", "names", "signature"),
    [
        (
            "GET", "/test.txt", {}, {"range": "bytes=0-9"}, b"",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT", "/test%24file.text", {},
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET", "/", {"lifecycle": ""}, {}, b"",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET", "/", {"prefix": "J", "max-keys": "2"}, {}, b"",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get a range", "put", "get lifecycle", "list"],
)  # fmt: skip
def test_a_published_request_has_its_published_signature(
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    names: str,
    signature: str,
) -> None:
    payload = hashlib.sha256(body).hexdigest()
    signed = sign_headers(
        method, _HOST, path, query_text(query), headers, payload, _KEY, "us-east-1", _DAY
    )
    assert signed["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={_KEY.id}/{_SCOPE}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_the_published_url_has_its_published_signature() -> None:
    query = presign("GET", _HOST, "/test.txt", {}, _KEY, "us-east-1", _DAY, 86400)
    assert query == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


# AWS's own library

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_KEYS = st.one_of(_TEXT, st.text(" +%~?#&=/:;@!$'()*,[]üß日", min_size=1, max_size=20))
_NAMES = st.sampled_from(
    ["prefix", "delimiter", "continuation-token", "max-keys", "uploadId", "partNumber", "tagging"]
)
_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-md5", "range", "x-amz-meta-a", "x-amz-tagging"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
_TOKENS = st.one_of(st.none(), st.text("abc+/=", min_size=1))


def _botocore(key: Key, expires: int | None = None) -> Any:
    """AWS's signer, for headers, or for a URL that holds so long."""
    from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
    from botocore.credentials import Credentials

    credentials = Credentials(key.id, key.secret, key.token)
    if expires is None:
        return S3SigV4Auth(credentials, "s3", "eu-west-3")
    return S3SigV4QueryAuth(credentials, "s3", "eu-west-3", expires)


def _request(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Any:
    from botocore.awsrequest import AWSRequest

    url = f"https://{_HOST}{path}" + (f"?{query}" if query else "")
    return AWSRequest(method, url, headers=headers, data=body)


@given(_KEYS, st.dictionaries(_NAMES, _TEXT), _HEADERS, st.binary(max_size=10), _TOKENS)
@example("a b+c%2Fd~e?f#g", {"prefix": "a b+c%2Fd~e?f#g"}, {"range": "a  b "}, b"", "a+/=")
@example("ü/日本/..x", {}, {}, b"", None)
def test_a_request_is_signed_as_aws_signs_it(
    key: str, query: dict[str, str], headers: dict[str, str], body: bytes, token: str | None
) -> None:
    access, path, text = Key("id", "secret", token), f"/{Requests.quoted(key)}", query_text(query)
    request = _request("PUT", path, text, headers, body)
    signer = _botocore(access)
    signer.add_auth(request)
    when = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    payload = request.headers["X-Amz-Content-SHA256"]
    ours = sign_headers("PUT", _HOST, path, text, headers, payload, access, "eu-west-3", when)
    assert ours["authorization"] == request.headers["Authorization"]


@given(_KEYS, _HEADERS.map(lambda found: {**found, "content-type": "text/x"}), _TOKENS)
@example("a b+c%2Fd~e?f#g", {"content-md5": "AA==", "content-type": "a/b"}, "a+/=")
def test_a_url_is_signed_as_aws_signs_it(
    key: str, headers: dict[str, str], token: str | None
) -> None:
    access, path = Key("id", "secret", token), f"/{Requests.quoted(key)}"
    request = _request("PUT", path, "", headers, b"")
    _botocore(access, 600).add_auth(request)
    theirs = dict(parse_qsl(urlsplit(request.url).query))
    when = datetime.strptime(theirs["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = presign("PUT", _HOST, path, headers, access, "eu-west-3", when, 600)
    assert dict(parse_qsl(ours)) == theirs


# Rules of S3


def test_a_path_is_not_encoded_again() -> None:
    once, twice = (
        sign_headers("GET", _HOST, path, "", {}, _EMPTY, _KEY, "us-east-1", _DAY)["authorization"]
        for path in ("/a%20b", "/a%2520b")
    )
    assert once != twice


def test_a_body_that_is_not_signed_says_so() -> None:
    signed = sign_headers("PUT", _HOST, "/a", "", {}, UNSIGNED, _KEY, "us-east-1", _DAY)
    assert signed["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_a_session_token_is_sent_and_signed() -> None:
    key = Key("id", "secret", "the-token")
    signed = sign_headers("GET", _HOST, "/a", "", {}, _EMPTY, key, "us-east-1", _DAY)
    assert signed["x-amz-security-token"] == "the-token"
    assert ";x-amz-security-token," in signed["authorization"]


def test_what_a_client_must_send_is_in_the_url() -> None:
    headers = {"content-type": "text/x", "content-md5": "AA=="}
    query = dict(parse_qsl(presign("PUT", _HOST, "/a", headers, _KEY, "us-east-1", _DAY, 60)))
    assert query["X-Amz-SignedHeaders"] == "content-md5;content-type;host"


@pytest.mark.parametrize("changed", ["method", "host", "path", "headers", "region", "expires"])
def test_a_url_holds_for_nothing_else(changed: str) -> None:
    given: dict[str, Any] = {
        "method": "GET", "host": _HOST, "path": "/a", "headers": {}, "key": _KEY,
        "region": "us-east-1", "now": _DAY, "expires": 60,
    }  # fmt: skip
    other = {
        "method": "PUT", "host": "other.example", "path": "/b", "headers": {"a": "b"},
        "region": "eu-west-3", "expires": 61,
    }  # fmt: skip
    one, two = (
        dict(parse_qsl(presign(**found)))["X-Amz-Signature"]
        for found in (given, {**given, changed: other[changed]})
    )
    assert one != two


@given(st.dictionaries(_TEXT, _TEXT))
def test_a_query_comes_back(query: dict[str, str]) -> None:
    assert dict(parse_qsl(query_text(query), keep_blank_values=True)) == query


@given(_KEYS)
def test_a_key_is_encoded_once(key: str) -> None:
    assert Requests.quoted(key) == quote(key, safe="/~")


def test_a_key_shows_nothing() -> None:
    shown = repr(Key("AKIA-the-id", "the-secret", "the-token"))
    assert not [part for part in ("the-id", "the-secret", "the-token") if part in shown]
