"""What headers carry."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import LimitExceeded
from holdall.core.reference import Reference
from holdall.objects.backends.cloud.azure import AzureService, _name
from holdall.objects.backends.cloud.words import (
    check_metadata,
    check_tags,
    decoded,
    encoded,
    metadata_of,
)
from holdall.objects.options import WriteOptions

_REF = Reference.parse("s3://bucket/key")
_ANY = re.compile(r"[a-z]*\Z")
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(_TEXT)
@example("=?UTF-8?B?YQ==?=")
@example(" padded ")
@example("")
@example("日本語")
@example("\x00\r\nX-Evil: 1")
def test_every_text_comes_back_from_a_header(value: str) -> None:
    sent = encoded(value)
    assert sent.isascii()
    assert sent.isprintable()
    assert sent == sent.strip()
    assert decoded(sent) == value


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_plain_value_is_sent_as_it_is(value: str) -> None:
    if not value.startswith("=?"):
        assert encoded(value) == value


@pytest.mark.parametrize("value", ["=?UTF-8?B?*?=", "=?UTF-8?B?/w==?=", "=?utf-8?Q?a?=", "=?"])
def test_what_is_no_word_of_ours_stays(value: str) -> None:
    assert decoded(value) == value


def test_digests_are_metadata_of_their_own() -> None:
    options = WriteOptions(metadata={"a": "b"}, content_md5="0" * 32, sha256="1" * 64)
    assert metadata_of(options, "a/b") == {
        "a": "b",
        "holdall-md5": "0" * 32,
        "holdall-sha256": "1" * 64,
    }


def test_a_type_that_could_not_be_told_from_none_is_metadata_of_its_own() -> None:
    assert metadata_of(WriteOptions(content_type="a/b"), "a/b") == {"holdall-type": "a/b"}
    assert metadata_of(WriteOptions(content_type="a/c"), "a/b") == {}
    assert metadata_of(WriteOptions(), "a/b") == {}


def test_metadata_are_counted_as_they_are_sent() -> None:
    check_metadata({"name": "x" * 6}, 10, _REF)
    with pytest.raises(LimitExceeded, match=r"11 bytes.*s3:// takes 10 \(max_metadata_bytes\)"):
        check_metadata({"name": "x" * 7}, 10, _REF)


@pytest.mark.parametrize(
    "tags",
    [
        {f"t{letter}": "" for letter in "abcdefghijk"},
        {"": "a"},
        {"a" * 129: ""},
        {"a": "a" * 257},
        {"a": "?"},
        {"?": "a"},
    ],
)
def test_tags_beyond_a_limit_are_refused(tags: dict[str, str]) -> None:
    with pytest.raises(LimitExceeded, match="tag"):
        check_tags(tags, _REF, _ANY)


def test_the_limit_of_tags_is_named() -> None:
    check_tags({f"t{letter}": "" for letter in "abcdefghij"}, _REF, _ANY)
    with pytest.raises(LimitExceeded, match=r"11 tags, and s3:// takes 10 \(max_tags\)"):
        check_tags({f"t{letter}": "" for letter in "abcdefghijk"}, _REF, _ANY)
    with pytest.raises(LimitExceeded, match=r"s3:// takes names of 1 to 128 .* values of 256"):
        check_tags({"a": "a" * 257}, _REF, _ANY)


def test_tags_within_the_limits_pass() -> None:
    check_tags({"a" * 128: "b" * 256}, _REF, _ANY)


@given(
    st.text("abcz019-_.x", min_size=1),
)
@example("_x2d_")
@example("__x2d_x2d_")
@example("_x00.")
@example("0")
@example("a-b.c_d")
def test_azure_takes_every_name_of_metadata(name: str) -> None:
    written = _name(name)
    assert written.isidentifier()
    assert AzureService.metadata(None, {written: "v"}) == {name: "v"}  # type: ignore[arg-type]


@given(st.text("abcz019-_.x", min_size=1), st.text("abcz019-_.x", min_size=1))
def test_two_names_stay_two_at_azure(one: str, other: str) -> None:
    assert (_name(one) == _name(other)) == (one == other)
