"""Histories on a Redis server: what lies in it, and that nothing else does."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest

from haystack.stores.redis_histories import (
    all_keys,
    chunks_of,
    client,
    doubles,
    fresh_prefix,
    key,
    kinds,
    mixed,
    opened,
    read,
    server,
    settings_of,
    shown,
    store,
)
from holdall.core.errors import Corrupt
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Bounds, Samples, Span
from holdall.haystack.stores.redis import (
    histories,
    histories_reading,
)
from holdall.haystack.stores.redis.histories import RedisHistories

if TYPE_CHECKING:
    from servers import RedisServer

__all__ = ["opened", "server", "store"]


def test_samples_that_come_one_by_one_fill_chunks(store: RedisHistories) -> None:
    for at in range(1, 1_200):
        drive(store.write({"p": doubles({at: 0.5})}))
    assert len(chunks_of(store)) == 3
    assert [at for at, _ in read(store)] == list(range(1, 1_200))


def test_kinds_that_come_one_by_one_fill_chunks(store: RedisHistories) -> None:
    for at in range(600):
        drive(store.write({"p": mixed({at: at % 2 == 0})}))
    assert len(chunks_of(store)) == 2


def test_samples_that_come_backwards_do_not_lie_alone(store: RedisHistories) -> None:
    for at in range(600, 0, -1):
        drive(store.write({"p": mixed({at: "x"})}))
    assert len(chunks_of(store)) <= 4


def test_numbers_and_other_kinds_in_turn_do_not_lie_alone(store: RedisHistories) -> None:
    for at in range(1, 400):
        drive(store.write({"p": doubles({at: 0.5}) if at % 2 else mixed({at: NA})}))
    assert len(chunks_of(store)) <= 3
    assert len(read(store)) == 399


def test_one_other_kind_among_many_numbers_leaves_them_doubles(store: RedisHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(1, 400), 0.5), "kW")}))
    drive(store.write({"p": mixed({200: NA})}))
    drive(
        store.write({"p": mixed({at: NA if at == 500 else Number(1.5) for at in range(401, 600)})})
    )
    lying = [(one.ts[0], isinstance(one.vals, array), one.unit) for one in chunks_of(store)]
    assert lying == [
        (1, True, "kW"), (200, False, None), (201, True, "kW"),
        (401, True, None), (500, False, None), (501, True, None),
    ]  # fmt: skip
    assert len(read(store)) == 598


def test_long_texts_do_not_lie_in_one_chunk(store: RedisHistories) -> None:
    drive(store.write({"p": mixed({at: str(at) * 10_000 for at in range(64)})}))
    assert len(chunks_of(store)) >= 4
    assert read(store)[63] == (63, repr("63" * 10_000))


def test_a_sample_among_others_changes_only_its_own_chunk(store: RedisHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(1, 20_001, 2), 0.5))}))
    before = chunks_of(store)
    drive(store.write({"p": doubles({2: 0.25, 10_002: 0.25})}))
    after = chunks_of(store)
    assert len([one for one in before if one not in after]) == 2


def test_a_chunk_in_the_middle_is_deleted_unread(store: RedisHistories) -> None:
    drive(store.write({"p": mixed(dict.fromkeys(range(5_000), "x"))}))
    with client(store) as asked:
        inner = asked.zrange(key(store, b"hi:p"), 3, 3)[0]
        asked.setrange(key(store, b"hc:" + inner + b"p"), 10, b"not Hayson")
    assert drive(store.delete("p", Span(1, 4_999))) == 4_998
    assert read(store) == [(0, "'x'"), (4_999, "'x'")]


def test_a_span_that_ends_before_it_begins_deletes_nothing(store: RedisHistories) -> None:
    drive(store.write({"p": doubles({1: 1.0, 2: 2.0})}))
    assert drive(store.delete("p", Span(2, 1))) == 0
    assert list(drive(store.read(["p"], Span(2, 1)))[0].ts) == []
    assert len(read(store)) == 2


def test_a_history_that_is_gone_leaves_no_keys(store: RedisHistories) -> None:
    drive(store.write({"p": mixed({1_000: True, 2_000: Number(1.5), 2_001: Number(2.5)})}))
    assert drive(store.remove("p", [1_000, 2_000])) == 2
    assert drive(store.delete("p")) == 1
    assert all_keys(store) == set()


def test_keys_begin_with_the_prefix_and_others_are_left_alone(
    store: RedisHistories, server: RedisServer
) -> None:
    other = RedisHistories(settings_of(server, fresh_prefix()), BlockingRuntime())
    drive(other.connect())
    drive(other.write({"p": doubles({1: 1.0})}))
    drive(store.write({"p": doubles({1: 2.0, 1_000: 2.0})}))
    assert all_keys(store)
    drive(store.delete("p"))
    assert read(other) == [(1, ((1.0).hex(), None))]
    drive(other.close())


def test_damaged_samples_are_an_error(store: RedisHistories) -> None:
    drive(store.write({"p": mixed({1: "one", 2: "two"})}))
    with client(store) as asked:
        start = asked.zrange(key(store, b"hi:p"), 0, 0)[0]
        asked.setrange(key(store, b"hc:" + start + b"p"), 10, b"]]")
    with pytest.raises(Corrupt):
        drive(store.read(["p"]))


def test_a_write_that_cannot_be_kept_writes_nothing(store: RedisHistories) -> None:
    wrong = Samples(array("q", [1, 2]), [True, object()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        drive(store.write({"p": wrong}))
    assert drive(store.bounds(["p"])) == [None]


@pytest.mark.parametrize("unit", ["\ud800", "%", "k", "n", "$/_", "\u2028"])
def test_any_unit_is_kept(store: RedisHistories, unit: str) -> None:
    drive(store.write({"p": doubles({1: 1.5, 1_000: 2.5}, unit)}))
    drive(store.write({"p": doubles({2_000: 3.5}, unit)}))
    drive(store.write({"p": doubles({2: 4.5}, unit)}))
    assert [shown(value)[1] for value in drive(store.read(["p"]))[0].kinds()] == [unit] * 4


def test_doubles_of_one_unit_are_read_as_doubles_wherever_they_lie(store: RedisHistories) -> None:
    drive(store.write({"p": doubles({-1: 0.5, 1: 1.5, 1_000: float("inf"), 2_000: 2.5}, "kW")}))
    samples = drive(store.read(["p"]))[0]
    assert samples.vals == array("d", [0.5, 1.5, float("inf"), 2.5])
    assert samples.unit == "kW"


INJECTED = [
    "", " ", ":", "hm:p", "p:hc:", "{", "}", "{x}", "*", "?", "[a-z]", "\\", "\\n", "\r\n", "\x00",
    "p\x00", "'", '"', "'; redis.call('FLUSHALL') --", '"]) return redis.call("FLUSHALL") --',
    "]]", "--", "$(id)", "%s%d", "\n*1\r\n$8\r\nFLUSHALL\r\n", "\u2028", "温度", "a\ud800",
    "x" * 9_000, "(", "[", "-", "+", "-inf", "+inf", "0", "1", "nil", "*1", "LABELS",
    "unit", "RETENTION",
]  # fmt: skip


def test_ids_and_values_are_never_anything_but_data(store: RedisHistories) -> None:
    written = {
        point: mixed({at: point, 1_000: Number(float(at)), 2_000: Number(0.5)})
        for at, point in enumerate(INJECTED)
    }
    drive(store.write(written))
    drive(store.write({point: doubles({3_000: 1.0}) for point in INJECTED}))
    found = drive(store.read(INJECTED))
    for at, (point, samples) in enumerate(zip(INJECTED, found, strict=True)):
        assert kinds(samples) == [*kinds(written[point]), (3_000, ((1.0).hex(), None))]
        assert drive(store.remove(point, [at])) == 1
    assert drive(store.bounds(INJECTED)) == [Bounds(1_000, 3_000, 3)] * len(INJECTED)
    for point in INJECTED:
        assert drive(store.delete(point)) == 3
    assert all_keys(store) == set()


def test_more_moments_than_go_at_once_are_removed(
    store: RedisHistories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_REMOVED", 7)
    drive(store.write({"p": doubles(dict.fromkeys(range(0, 100_000, 500), 0.5))}))
    assert drive(store.remove("p", range(0, 100_000, 1_000))) == 100
    assert [at for at, _ in read(store)] == list(range(500, 100_000, 1_000))


def test_more_histories_than_go_at_once_are_read(
    store: RedisHistories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_MANY", 3)
    monkeypatch.setattr(histories, "_BATCH_BYTES", 64)
    monkeypatch.setattr(histories_reading, "ROOM", 64)
    ids = [f"p{at}" for at in range(10)]
    drive(store.write({one: doubles({at: 0.5, 9_000: 1.5}) for at, one in enumerate(ids)}))
    assert [list(one.ts) for one in drive(store.read(ids))] == [[at, 9_000] for at in range(10)]
    assert drive(store.bounds(ids)) == [Bounds(at, 9_000, 2) for at in range(10)]
