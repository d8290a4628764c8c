"""Azure's signatures over the texts that Azure documents."""

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.objects.backends.cloud.shared_key import (
    authorization,
    http_date,
    read_connection_string,
    sas,
    sas_pairs,
)

_KEY = b64encode(b"hunter2-never-shown").decode()


def _over(text: str) -> str:
    """The signature of a text, made without the code that is tested."""
    return b64encode(hmac.new(b64decode(_KEY), text.encode(), "sha256").digest()).decode()


# https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key


def test_a_get_is_signed_over_the_text_that_is_documented() -> None:
    headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
    query = {"timeout": "20", "restype": "container", "comp": "metadata"}
    found = authorization("GET", "/mycontainer", query, headers, 0, "myaccount", _KEY)
    text = (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
        "x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\n"
        "restype:container\ntimeout:20"
    )
    assert found == f"SharedKey myaccount:{_over(text)}"


def test_every_standard_header_has_its_line() -> None:
    headers = {
        "content-encoding": "gzip",
        "content-language": "de",
        "content-md5": "MD5",
        "content-type": "text/plain",
        "if-modified-since": "since",
        "if-match": '"e"',
        "if-none-match": "*",
        "if-unmodified-since": "until",
        "range": "bytes=0-9",
        "x-ms-meta-b": " 2 ",
        "x-ms-meta-a": "1",
        "user-agent": "unsigned",
    }
    found = authorization("PUT", "/c/b%20c", {}, headers, 7, "acc", _KEY)
    text = (
        'PUT\ngzip\nde\n7\nMD5\ntext/plain\n\nsince\n"e"\n*\nuntil\nbytes=0-9\n'
        "x-ms-meta-a:1\nx-ms-meta-b:2\n/acc/c/b%20c"
    )
    assert found == f"SharedKey acc:{_over(text)}"


def test_an_empty_body_has_an_empty_length() -> None:
    found = authorization("PUT", "/c/b", {}, {"content-length": "0"}, 0, "acc", _KEY)
    assert found == f"SharedKey acc:{_over('PUT' + chr(10) * 12 + '/acc/c/b')}"


def test_the_time_is_written_in_english() -> None:
    assert http_date(datetime(2015, 6, 26, 23, 39, 12, tzinfo=UTC)) == (
        "Fri, 26 Jun 2015 23:39:12 GMT"
    )


# https://learn.microsoft.com/rest/api/storageservices/create-service-sas


@pytest.mark.parametrize(("method", "permissions"), [("GET", "r"), ("PUT", "cw"), ("DELETE", "d")])
def test_a_url_permits_its_method_alone(method: str, permissions: str) -> None:
    until = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    query = parse_qs(sas(method, "acc", "c", "a b/é", _KEY, until, https=True))
    text = (
        f"{permissions}\n\n2024-02-29T12:30:00Z\n/blob/acc/c/a b/é\n\n\nhttps\n2020-12-06\nb\n"
        "\n\n\n\n\n\n"
    )
    assert query == {
        "sp": [permissions],
        "se": ["2024-02-29T12:30:00Z"],
        "spr": ["https"],
        "sv": ["2020-12-06"],
        "sr": ["b"],
        "sig": [_over(text)],
    }


def test_a_url_of_an_emulator_holds_for_http_too() -> None:
    query = sas("GET", "acc", "c", "a", _KEY, datetime(2024, 2, 29, tzinfo=UTC), https=False)
    assert "spr=https%2Chttp" in query


# Connection strings


def test_a_connection_string_is_read() -> None:
    text = f" DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={_KEY}==; "
    assert read_connection_string(text) == {
        "defaultendpointsprotocol": "https",
        "accountname": "acc",
        "accountkey": f"{_KEY}==",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "AccountName=acc;hunter2",
        "=hunter2",
        "AccountName=acc;;AccountKey=hunter2",
        "AccountKey=hunter2;accountkey=hunter2",
    ],
)
def test_what_is_no_connection_string_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="Name=value") as caught:
        read_connection_string(text)
    assert "hunter2" not in repr(caught.value)


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
