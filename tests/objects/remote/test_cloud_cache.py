"""The layer `cache` around the clouds, whose answers to a read tell less than those to `stat`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall.objects.layers.cache import Cache

Open = Callable[..., holdall.DataStore]


@pytest.mark.parametrize(
    ("opener", "storage_class"),
    [("open_moto", "STANDARD_IA"), ("open_azure", "Cool"), ("open_google", "NEARLINE")],
)
def test_the_cache_tells_of_an_object_what_the_service_does(
    request: pytest.FixtureRequest, opener: str, storage_class: str
) -> None:
    open_store: Open = request.getfixturevalue(opener)
    store = open_store()
    cached = open_store(layers=[{"layer": "cache", "ttl": 3600}])
    store.write("a", b"data", content_type="text/plain", storage_class=storage_class)
    for _ in range(2):
        assert cached.read("a") == b"data"
        assert cached.stat("a") == store.stat("a")
    stats = Cache.of(cached).stats()
    assert (stats.misses, stats.checks, stats.hits) == (2, 1, 2)


def test_the_disk_serves_what_a_cloud_still_has(open_cloud: Open, tmp_path: Path) -> None:
    layer: dict[str, Any] = {
        "layer": "cache",
        "max_bytes": 100_000,
        "disk": str(tmp_path / "cache"),
        "ttl": 0,
    }
    data = bytes(3_000_000)
    with open_cloud(layers=[layer]) as store:
        store.write("a", data)
        assert store.read("a") == data
    with open_cloud(layers=[layer]) as store:
        assert [store.read("a") == data for _ in range(2)] == [True, True]
        stats = Cache.of(store).stats()
    assert (stats.hits, stats.checks, stats.misses) == (2, 2, 0)
