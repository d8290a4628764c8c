"""How long things stay in a Redis server: what is read, what has a time to live, what is staged."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from holdall.core.errors import Corrupt, Unavailable
from holdall.core.runtime.blocking import drive
from holdall.objects.data_store import DataStore
from holdall.objects.options import GetOptions

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


@pytest.fixture
def store(opened: Open) -> DataStore:
    return opened()


# Readers


def old_values(others: Any) -> list[bytes]:
    found: list[bytes] = others.keys(".holdall/old/*")
    return found


def test_a_value_is_kept_until_its_last_reader_ends(store: DataStore, others: Any) -> None:
    store.write("a", LARGE)
    with store.open_reader("a") as first, store.open_reader("a") as second:
        start = first.raw.read(1000)
        store.write("a", b"new" * 1_000_000)
        assert len(old_values(others)) == 1
        assert 0 < others.pttl(old_values(others)[0]) <= 60_000
        assert start + first.read() == LARGE
        assert len(old_values(others)) == 1
        second.raw.read(10)
    assert old_values(others) == []
    assert others.keys(".holdall/pin/*") + others.keys(".holdall/readers/*") == []


def test_a_value_that_nobody_reads_is_not_kept(store: DataStore, others: Any) -> None:
    store.write("a", LARGE)
    assert store.read("a") == LARGE
    store.write("a", b"new")
    assert old_values(others) == []


def test_a_reader_that_was_silent_for_long_goes_on_with_what_is_still_there(
    store: DataStore, others: Any
) -> None:
    store.write("a", LARGE)
    with store.open_reader("a") as reader:
        start = reader.raw.read(1000)
        others.delete(*others.keys(".holdall/pin/*"), *others.keys(".holdall/readers/*"))
        assert start + reader.read() == LARGE


def test_a_reader_that_was_silent_for_long_is_told_when_its_object_is_gone(
    store: DataStore, others: Any
) -> None:
    store.write("a", LARGE)
    with store.open_reader("a") as reader:
        reader.raw.read(1000)
        others.delete(*others.keys(".holdall/pin/*"), *others.keys(".holdall/readers/*"))
        store.write("a", LARGE)
        with pytest.raises(Corrupt, match="read it again"):
            reader.read()


@pytest.mark.parametrize("value", [LARGE[::-1], b"short"], ids=["same length", "shorter"])
def test_what_others_change_under_a_reader_is_never_mixed(
    store: DataStore, others: Any, value: bytes
) -> None:
    store.write("a", LARGE)
    with store.open_reader("a") as reader:
        reader.raw.read(1000)
        others.set("a", value)
        with pytest.raises(Corrupt, match="another program"):
            reader.read()


@pytest.mark.parametrize(
    "span", [(0, len(LARGE) - 1), (700_000, None), (3, 2_500_000), (-2_000_000, None)]
)
def test_what_others_change_under_the_reader_of_a_range_is_never_mixed(
    store: DataStore, others: Any, span: tuple[int, int | None]
) -> None:
    store.write("a", LARGE)
    ref, options = store.reference("a"), GetOptions(start=span[0], end=span[1])
    body = drive(store.store.get(ref, options))
    assert drive(body.read(1000)) + drive(body.read_all()) == LARGE[slice(*span)]
    body = drive(store.store.get(ref, options))
    drive(body.read(1000))
    others.set("a", LARGE[::-1])
    with pytest.raises(Corrupt, match="changed by another program"):
        drive(body.read_all())


@pytest.mark.parametrize("act", ["move", "copy over", "upload"])
def test_a_reader_keeps_its_object_through_every_change(store: DataStore, act: str) -> None:
    store.write("a", LARGE)
    store.write("b", b"other" * 500_000)
    with store.open_reader("a") as reader:
        start = reader.raw.read(1000)
        if act == "move":
            store.move("a", "c")
        elif act == "copy over":
            store.copy("b", "a")
        else:
            store.write("a", iter([b"x" * 2_000_000]))
        assert start + reader.read() == LARGE


# Time to live


def test_an_object_and_its_note_live_as_long_as_the_setting_says(opened: Open, others: Any) -> None:
    store = opened(ttl=timedelta(hours=1))
    store.write("a", b"data")
    store.write("b", iter([b"data"]))
    store.copy("a", "c")
    store.move("a", "d")
    for key in ("b", "c", "d"):
        for name in (key, f".holdall/note/{key}"):
            assert 3_500_000 < others.pttl(name) <= 3_600_000


def test_a_write_without_a_time_to_live_ends_an_earlier_one(opened: Open, others: Any) -> None:
    opened(ttl=timedelta(hours=1)).write("a", b"data")
    opened().write("a", b"data")
    opened(ttl=timedelta(hours=1)).write("b", b"data")
    opened().copy("b", "c")
    keys = ("a", ".holdall/note/a", "c", ".holdall/note/c")
    assert [others.ttl(key) for key in keys] == [-1] * 4


def test_what_lived_out_its_time_is_gone_from_everywhere(opened: Open, others: Any) -> None:
    store = opened(ttl=timedelta(hours=1))
    store.write("a", b"data")
    store.write("b", b"data")
    for key in ("a", ".holdall/note/a"):
        others.pexpireat(key, 1)
    assert not store.exists("a")
    assert list(store.list()) == ["b"]
    store.write("a", b"again", if_none_match="*")
    assert list(store.list()) == ["a", "b"]


# Uploads


def test_an_upload_has_one_writer_at_a_time(opened: Open) -> None:
    upload = opened().upload("a")
    upload.write(b"one ")
    with pytest.raises(Unavailable, match="being written to now") as caught:
        opened().upload("a", resume=upload.id)
    assert caught.value.transient
    assert opened().purge_uploads(timedelta(days=-1)) == 0
    upload.write(b"two")
    upload.commit()
    assert opened().read("a") == b"one two"


def test_the_lease_of_a_writer_that_died_ends(opened: Open, others: Any) -> None:
    dead = opened().upload("a")
    dead.write(b"one ")
    assert int(others.hget(f".holdall/upload/{dead.id}", "until")) > 0
    others.hset(f".holdall/upload/{dead.id}", "until", 0)
    upload = opened().upload("a", resume=dead.id)
    with pytest.raises(Unavailable, match="another process"):
        dead.write(b"late")
    with pytest.raises(Unavailable):
        dead.commit()
    dead.abort()
    upload.write(b"two")
    upload.commit(7)
    assert opened().read("a") == b"one two"


def test_staged_bytes_that_are_not_what_came_are_refused(store: DataStore, others: Any) -> None:
    upload = store.upload("a")
    upload.write(b"0123456789")
    others.setrange(f".holdall/staged/{upload.id}", 4, b"?")
    with pytest.raises(Corrupt, match="SHA-256"):
        upload.commit(10, hashlib.sha256(b"0123456789").hexdigest())
    assert not store.exists("a")


def test_staged_bytes_that_the_server_lost_are_missed(store: DataStore, others: Any) -> None:
    upload = store.upload("a")
    upload.write(b"0123456789")
    others.set(f".holdall/staged/{upload.id}", b"0123")
    with pytest.raises(Corrupt, match="fewer"):
        upload.commit()
    with pytest.raises(Corrupt, match="fewer"):
        upload.write(b"more")
    assert not store.exists("a")


def test_uploads_of_a_thousand_and_more_are_paged(store: DataStore) -> None:
    for number in range(1005):
        store.upload(f"a/{number:04}").close()
    assert [info.key for info in store.uploads("a")] == [f"a/{n:04}" for n in range(1005)]
