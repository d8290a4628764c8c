"""Digests of what is written, and who takes them."""

import pytest

from holdall.core.errors import Corrupt
from holdall.core.reference import Reference
from holdall.objects.integrity import Hashed, check_digests

DATA = bytes(range(256))
# Of other bytes: only who hashes DATA notices.
OTHER = "0" * 64
REF = Reference.parse("memory://integrity/a")


def test_the_bytes_that_were_hashed_are_not_hashed_again() -> None:
    check_digests(DATA, Hashed(sha256=OTHER, data=DATA), REF)


def test_equal_bytes_that_are_not_the_same_object_are_hashed() -> None:
    with pytest.raises(Corrupt, match="SHA-256"):
        check_digests(bytes(bytearray(DATA)), Hashed(sha256=OTHER, data=DATA), REF)


def test_an_md5_of_bytes_that_were_hashed_is_checked() -> None:
    with pytest.raises(Corrupt, match="MD5"):
        check_digests(DATA, Hashed(sha256=OTHER, content_md5="0" * 32, data=DATA), REF)


def test_the_bytes_that_were_hashed_are_not_shown() -> None:
    assert repr(Hashed(sha256=OTHER, data=b"secret")) == f"Hashed(sha256='{OTHER}')"
