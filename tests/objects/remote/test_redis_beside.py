"""What is kept beside the objects of a Redis store, among the store's own keys."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from holdall.core.errors import InvalidKey
from holdall.core.runtime.blocking import drive
from holdall.objects.backends.redis import RedisStore
from holdall.objects.backends.redis.lua import OWN_NAMES
from holdall.objects.data_store import DataStore
from holdall.objects.options import DELETE, HEAD, LIST, WRITE

Open = Callable[..., DataStore]


@pytest.fixture
def store(opened: Open) -> DataStore:
    return opened()


def reindex(store: DataStore) -> tuple[int, int]:
    inner = store.store
    assert isinstance(inner, RedisStore)
    done = drive(inner.reindex())
    return done.added, done.dropped


@pytest.mark.parametrize("name", sorted(OWN_NAMES))
def test_what_the_server_keeps_of_ours_is_not_for_others(store: DataStore, name: str) -> None:
    inner = store.store
    for ref in (store.root.reserved(name), store.root.reserved(name, "x")):
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(inner.put(ref, b"data", WRITE))
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(inner.upload(ref, WRITE, None))
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(inner.delete([ref], DELETE))


@pytest.mark.parametrize("name", sorted(OWN_NAMES))
def test_a_folder_has_all_names_for_what_is_kept_beside_its_objects(
    opened: Open, name: str
) -> None:
    store = opened(prefix="a")
    ref = store.root.reserved(name, "x")
    drive(store.store.put(ref, b"data", WRITE))
    assert drive(store.store.head(ref, HEAD)).size == 4


def test_a_reindex_takes_in_what_is_kept_beside_and_nothing_of_its_own(
    opened: Open, others: Any
) -> None:
    store = opened()
    refs = [store.root.reserved("journals", "1"), store.root.child("a").reserved("note", "1")]
    store.write("a/1", b"data")
    for ref in refs:
        drive(store.store.put(ref, b"data", WRITE))
    others.delete(".holdall/index")
    assert reindex(store) == (3, 0)
    assert others.zrange(".holdall/index", 0, -1) == [
        b".holdall/journals/1",
        b"a/.holdall/note/1",
        b"a/1",
    ]
    assert list(store.list()) == ["a/1"]


def test_what_is_kept_beside_and_lives_for_a_while_is_listed_there_alone(opened: Open) -> None:
    store = opened(ttl=timedelta(hours=1))
    ref = store.root.reserved("journals", "1")
    drive(store.store.put(ref, b"data", WRITE))
    store.write("a", b"data")
    page = store.list_page()
    assert ([meta.key for meta in page.objects], page.foreign) == (["a"], 0)
    page = drive(store.store.list(ref.parent, LIST))
    assert ([meta.ref for meta in page.objects], page.foreign) == ([ref], 0)


def test_what_is_kept_beside_takes_no_time_of_a_listing(opened: Open, others: Any) -> None:
    store = opened()
    with others.pipeline(transaction=False) as pipeline:
        for number in range(9_000):
            pipeline.set(f".holdall/journals/{number}", "x")
        pipeline.execute()
    reindex(store)
    store.write("a", b"data")
    others.config_resetstat()
    assert list(store.list()) == ["a"]
    assert others.info("commandstats")["cmdstat_zrangebylex"]["calls"] <= 3
