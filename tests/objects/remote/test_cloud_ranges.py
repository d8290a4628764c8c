"""Ranges of objects that have no bytes, which services answer each in its own way."""

import pytest

from holdall.core.errors import InvalidRange


@pytest.mark.parametrize("opener", ["open_s3", "open_moto", "open_azure", "open_google"])
@pytest.mark.parametrize("start", [-1, -5])
def test_the_last_bytes_of_an_empty_object_are_not_in_it(
    opener: str, start: int, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue(opener)() as store:
        store.write("empty", b"")
        with pytest.raises(InvalidRange):
            store.read("empty", start=start)
