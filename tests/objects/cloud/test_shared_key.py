"""Azure's signatures: the documented texts, and what Azure's own library makes."""

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.requests import Requests
from holdall.objects.backends.cloud.shared_key import (
    authorization,
    http_date,
    read_connection_string,
    sas,
    sas_pairs,
)

_ACCOUNT = "myaccount"
_KEY = b64encode(b"a key of no account").decode()
_UNTIL = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


def _mac(text: str) -> str:
    """The signature of a text, as the documentation defines it."""
    return b64encode(hmac.digest(b64decode(_KEY), text.encode(), "sha256")).decode()


# https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key


def test_the_documented_text_is_what_is_signed() -> None:
    headers = {"x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2015-02-21"}
    query = {"restype": "container", "timeout": "20", "comp": "metadata"}
    found = authorization("GET", "/mycontainer", query, headers, 0, _ACCOUNT, _KEY)
    documented = (
        "GET\n\n\n\n\n\n\n\n\n\n\n\n"
        "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )
    assert found == f"SharedKey myaccount:{_mac(documented)}"


@pytest.mark.parametrize(("size", "length"), [(0, ""), (11, "11")])
def test_an_empty_body_has_no_length_and_another_has(size: int, length: str) -> None:
    found = authorization("PUT", "/c/b", {}, {}, size, _ACCOUNT, _KEY)
    documented = f"PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n/myaccount/c/b"
    assert found == f"SharedKey myaccount:{_mac(documented)}"


def test_the_usual_headers_have_their_places() -> None:
    names = [
        "content-encoding", "content-language", "content-md5", "content-type",
        "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
    ]  # fmt: skip
    found = authorization(
        "PUT", "/c/b", {}, {name: name.upper() for name in names}, 5, _ACCOUNT, _KEY
    )
    documented = (
        "PUT\nCONTENT-ENCODING\nCONTENT-LANGUAGE\n5\nCONTENT-MD5\nCONTENT-TYPE\n\n"
        "IF-MODIFIED-SINCE\nIF-MATCH\nIF-NONE-MATCH\nIF-UNMODIFIED-SINCE\nRANGE\n/myaccount/c/b"
    )
    assert found == f"SharedKey myaccount:{_mac(documented)}"


def test_headers_of_azure_are_stripped_and_others_not_signed() -> None:
    headers = {"x-ms-meta-b": " 2 ", "x-ms-meta-a": "1", "user-agent": "a", "content-length": "0"}
    found = authorization("PUT", "/c/b%20c", {}, headers, 0, _ACCOUNT, _KEY)
    documented = "PUT" + "\n" * 12 + "x-ms-meta-a:1\nx-ms-meta-b:2\n/myaccount/c/b%20c"
    assert found == f"SharedKey myaccount:{_mac(documented)}"


def test_an_emulator_has_the_account_twice() -> None:
    found = authorization("GET", "/myaccount/c/b", {}, {}, 0, _ACCOUNT, _KEY)
    assert found.endswith(_mac("GET" + "\n" * 12 + "/myaccount/myaccount/c/b"))


# https://learn.microsoft.com/rest/api/storageservices/create-service-sas


@pytest.mark.parametrize(("method", "letters"), [("GET", "r"), ("PUT", "cw"), ("DELETE", "d")])
@pytest.mark.parametrize(("https", "protocol"), [(True, "https"), (False, "https,http")])
def test_the_documented_fields_are_what_a_url_signs(
    method: str, letters: str, https: bool, protocol: str
) -> None:
    found = dict(parse_qsl(sas(method, _ACCOUNT, "c", "a/b ü", _KEY, _UNTIL, https=https)))
    documented = (
        f"{letters}\n\n2024-02-29T23:59:58Z\n/blob/myaccount/c/a/b ü\n\n\n{protocol}\n"
        "2020-12-06\nb\n\n\n\n\n\n\n"
    )
    assert found == {
        "sp": letters, "se": "2024-02-29T23:59:58Z", "spr": protocol, "sv": "2020-12-06",
        "sr": "b", "sig": _mac(documented),
    }  # fmt: skip


# Azure's own library

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_KEYS = st.one_of(_TEXT, st.text(" +%~?#&=/:;@!$'()*,[]üß日", min_size=1, max_size=20))
_QUERY = st.dictionaries(
    st.sampled_from(["comp", "restype", "prefix", "delimiter", "marker", "maxresults", "blockid"]),
    _TEXT,
)
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_SENT = [
    "content-type", "content-md5", "content-encoding", "if-match", "if-none-match",
    "x-ms-version", "x-ms-date", "x-ms-blob-type", "x-ms-blob-content-type",
    "x-ms-blob-content-md5", "x-ms-copy-source", "x-ms-source-if-match", "x-ms-tags",
    "x-ms-access-tier",
]  # fmt: skip
_HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(_SENT),
        st.text("abcz_019", min_size=1, max_size=5).map(lambda name: f"x-ms-meta-{name}"),
    ),
    _VALUES,
)


@given(st.sampled_from(["GET", "PUT", "DELETE"]), _KEYS, _QUERY, _HEADERS, st.integers(0, 99))
@example("PUT", "a b+c%2Fd~e?f#g", {"prefix": "a b+c%2Fd~e?f#g"}, {"x-ms-meta-a_b": "v"}, 1)
@example("PUT", "a", {}, {"x-ms-meta-a1": "v", "x-ms-meta-a_x2d_b": "w"}, 0)
def test_a_request_is_signed_as_azure_signs_it(
    method: str, key: str, query: dict[str, str], headers: dict[str, str], size: int
) -> None:
    library = pytest.importorskip("azure.storage.blob._shared.authentication")
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.transport import HttpRequest

    path = f"/c/{Requests.quoted(key)}"
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    sent = {**headers, **({"content-length": str(size)} if size else {})}
    request: Any = HttpRequest(method, f"https://host{path}?{text}", headers=sent)
    policy = library.SharedKeyCredentialPolicy(_ACCOUNT, _KEY)
    policy.on_request(PipelineRequest(request, PipelineContext(None)))
    ours = authorization(method, path, query, headers, size, _ACCOUNT, _KEY)
    assert ours == request.headers["Authorization"]


@given(_KEYS.filter(lambda key: not key.startswith("/")), st.booleans())
@example("a b+c%2Fd~e?f#g", True)
def test_a_url_is_signed_as_azure_signs_it(key: str, https: bool) -> None:
    library = pytest.importorskip("azure.storage.blob._shared_access_signature")
    signer = library.BlobSharedAccessSignature(_ACCOUNT, _KEY)
    signer.x_ms_version = "2020-12-06"
    protocol = "https" if https else "https,http"
    theirs = signer.generate_blob("c", key, permission="r", expiry=_UNTIL, protocol=protocol)
    ours = sas("GET", _ACCOUNT, "c", key, _KEY, _UNTIL, https=https)
    assert dict(parse_qsl(ours)) == dict(parse_qsl(theirs))


# Texts


@given(st.integers(0, 7_000_000_000))
@example(1709164800)  # a leap day
def test_a_date_is_the_one_of_http(seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert http_date(now) == format_datetime(now, usegmt=True)


def test_the_end_of_a_url_is_in_whole_seconds() -> None:
    until = _UNTIL + timedelta(microseconds=999_999)
    assert "se=2024-02-29T23%3A59%3A58Z&" in sas("GET", "a", "c", "b", _KEY, until, https=True)


def test_a_connection_string_is_read() -> None:
    text = " AccountName=me; AccountKey=a+b==;BlobEndpoint=http://h:1/me?x=y ;\n"
    assert read_connection_string(text) == {
        "accountname": "me",
        "accountkey": "a+b==",
        "blobendpoint": "http://h:1/me?x=y",
    }


@pytest.mark.parametrize(
    "text", ["", "hunter2", "=hunter2", "a=1;hunter2;b=2", "a=1;;b=hunter2", "a=hunter2;A=b"]
)
def test_what_is_no_connection_string_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="Name=value") as caught:
        read_connection_string(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_token_is_read_as_it_was_signed(mark: str) -> None:
    token = sas("GET", _ACCOUNT, "c", "b", _KEY, _UNTIL, https=True)
    assert sas_pairs(mark + token) == dict(parse_qsl(token))


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.from_regex(r"[A-Za-z0-9+/=:.?&%-]{0,12}", fullmatch=True),
        min_size=1,
    )
)
def test_what_was_joined_is_read_again(pairs: dict[str, str]) -> None:
    text = ";".join(f"{name}={value}" for name, value in pairs.items())
    assert read_connection_string(text) == pairs


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.text(max_size=8), max_size=4)
)
def test_a_token_is_read_as_it_was_encoded(pairs: dict[str, str]) -> None:
    token = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
    assert sas_pairs(f"?{token}") == pairs
