"""How many requests it takes to see the folders of many keys."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import holdall
from serving.clouds import S3Server

Open = Callable[..., holdall.DataStore]

# Each page has 1,000 keys or 5,000.
_KEYS = [f"d{number % 3}/{number:05}" for number in range(10_000)]


def test_folders_of_many_keys_are_one_request(
    open_s3: Open, versity_server: S3Server, sent: list[tuple[str, str]]
) -> None:
    store = open_s3()
    # This server keeps objects as files, which are made faster without it.
    bucket = versity_server.running.log.parent / "data" / store.root.container
    for folder in ("d0", "d1", "d2"):
        (bucket / folder).mkdir()
    for key in _KEYS:
        (bucket / key).touch()
    assert sum(1 for _ in store.walk()) == len(_KEYS)
    sent.clear()
    assert store.list_directories() == ("d0", "d1", "d2")
    assert len(sent) == 1


@pytest.mark.soak
@pytest.mark.parametrize("opener", ["open_azure", "open_google"])
def test_folders_of_many_written_keys_are_one_request(
    request: pytest.FixtureRequest, opener: str, sent: list[tuple[str, str]]
) -> None:
    store = request.getfixturevalue(opener)()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, b""), _KEYS))
    sent.clear()
    assert store.list_directories() == ("d0", "d1", "d2")
    assert len(sent) == 1
