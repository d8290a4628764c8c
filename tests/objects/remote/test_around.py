"""The same folder moves from store to store, and is the same in the end."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import holdall
from holdall.objects.transfer import compare, sync
from servers import RedisServer

Open = Callable[..., holdall.DataStore]


@pytest.fixture
def folder(tmp_path: Path) -> holdall.DataStore:
    store = holdall.open(f"file://{tmp_path}/from?durable=false")
    for number in range(40):
        store.write(f"data/{number % 4}/{number:03}.bin", os.urandom(number * 97))
    store.write("large.bin", os.urandom(20 * 1024 * 1024 + 7), metadata={"unit": "kW"})
    store.write("empty", b"")
    store.write("a folder/ü+%2F?#&=", b"odd", content_type="text/x-odd")
    return store


def test_a_folder_goes_around(
    tmp_path: Path,
    folder: holdall.DataStore,
    open_s3: Open,
    open_azure: Open,
    open_google: Open,
    redis_server: RedisServer,
) -> None:
    stores = [
        folder,
        open_s3(prefix="around"),
        open_azure(prefix="around"),
        open_google(prefix="around"),
        holdall.open(redis_server.make_empty()),
        holdall.open(f"file://{tmp_path}/back?durable=false"),
    ]
    for source, target in pairwise(stores):
        report = sync(source, target)
        assert (report.ok, report.copied) == (True, 43)
        assert sync(source, target).copied == 0
    compared = compare(stores[0], stores[-1])
    assert compared.ok
    last = stores[-1]
    assert last.stat("large.bin").metadata == {"unit": "kW"}
    assert last.stat("a folder/ü+%2F?#&=").content_type == "text/x-odd"
    assert {key: last.read(key) for key in last.list()} == {
        key: folder.read(key) for key in folder.list()
    }
