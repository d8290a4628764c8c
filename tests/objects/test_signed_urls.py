"""What a signed URL is, beside a text."""

import copy
import json
import pickle

import pytest

from holdall.objects.results import SignedUrl

_URL = SignedUrl("https://a/b?c", {"Content-Type": "text/x"})


def test_a_signed_url_is_its_text() -> None:
    assert _URL == "https://a/b?c"
    assert isinstance(_URL, str)
    assert type(str(_URL)) is str
    assert json.dumps(_URL) == '"https://a/b?c"'


def test_a_signed_url_without_headers_has_none() -> None:
    assert SignedUrl("https://a").headers == {}


@pytest.mark.parametrize("again", [copy.copy(_URL), pickle.loads(pickle.dumps(_URL))])
def test_a_copy_has_the_headers_too(again: SignedUrl) -> None:
    assert (again, again.headers) == (_URL, _URL.headers)
