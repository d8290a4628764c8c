"""Prefixes as configurations write them."""

import pytest

from holdall.core.errors import InvalidConfig
from holdall.objects.backends.cloud.prefixes import key_prefix, sanitize_s3_prefix


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("", ""),
        ("a", "a/"),
        ("a/", "a/"),
        ("/a/b//", "a/b/"),
        ("instances/abc123/", "instances/abc123/"),
        ("A-z_0.9", "A-z_0.9/"),
    ],
)
def test_a_prefix_is_cleaned(given: str, clean: str) -> None:
    assert sanitize_s3_prefix(given) == clean


@pytest.mark.parametrize(
    "given",
    ["a b", "a?", "ä", "a\\b", "a\0", "..", "a/../b", "a//b", ".", "/", "//", ".holdall", "\n"],
)
def test_an_invalid_prefix_is_an_error_and_never_the_whole_bucket(given: str) -> None:
    with pytest.raises(InvalidConfig, match="prefix"):
        sanitize_s3_prefix(given)


def test_a_prefix_as_a_key_has_no_slash_at_its_ends() -> None:
    assert key_prefix("/a/ü/") == "a/ü"


@pytest.mark.parametrize("given", ["a/../b", "a//b", "a\0", "/", "//"])
def test_a_prefix_that_is_no_key_is_refused(given: str) -> None:
    with pytest.raises(InvalidConfig, match="prefix"):
        key_prefix(given)
