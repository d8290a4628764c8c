"""The layer `cache`: how old an answer may be, its counters and its settings."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import (
    InvalidConfig,
    NotFound,
    Timeout,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.opening import open as open_store
from holdall.objects.options import (
    COPY,
    DELETE,
    GET,
    HEAD,
    WRITE,
    CopyOptions,
)
from holdall.objects.results import BytesStream, ObjectMeta, ObjectStream
from objects.layers.scripted import Mode
from objects.layers.shelf import TAGGED, Shelf


@pytest.fixture(params=[True, False], ids=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def shelf(mode: Mode) -> Shelf:
    return Shelf(mode)


def test_a_second_read_asks_nothing(shelf: Shelf) -> None:
    shelf.put(b"one")
    assert [shelf.read(), shelf.read(), shelf.sent] == [b"one", b"one", ["get"]]


def test_another_writer_is_not_seen_before_the_time_to_live_has_passed(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    shelf.foreign_put(b"new")
    shelf.wait(4.9)
    assert (shelf.read(), shelf.sent) == (b"old", ["get"])


def test_another_writer_is_seen_when_the_time_to_live_has_passed(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    shelf.foreign_put(b"new")
    shelf.wait(5)
    assert shelf.read() == b"new"


def test_the_age_counts_from_before_the_request(shelf: Shelf) -> None:
    shelf.put(b"old")

    async def slow() -> ObjectStream:
        stream = await shelf.inner.inner.get(shelf.ref(), GET)
        shelf.wait(4)
        return stream

    shelf.inner.script.extend([slow])
    shelf.read()
    shelf.foreign_put(b"new")
    shelf.wait(1)
    assert shelf.read() == b"new"


def test_the_same_etag_keeps_the_bytes_for_another_time_to_live(shelf: Shelf) -> None:
    shelf.put(b"one")
    shelf.read()
    shelf.wait(5)
    assert [shelf.read(), shelf.read(), shelf.sent] == [b"one", b"one", ["get", "head"]]


def test_bytes_without_an_etag_are_not_taken_for_others_of_their_size(shelf: Shelf) -> None:
    meta = ObjectMeta(shelf.inner.root, "k", 3, 0)
    old, new = (partial(BytesStream, meta, 0, data) for data in (b"old", b"new"))
    shelf.inner.script.extend([old, lambda: meta, new])
    assert shelf.read() == b"old"
    shelf.wait(10)
    assert shelf.read() == b"new"
    assert shelf.sent == ["get", "head", "get"]


def test_a_time_to_live_of_zero_asks_each_time_and_fetches_once(mode: Mode) -> None:
    shelf = Shelf(mode, ttl=0)
    shelf.put(b"one")
    reads = []
    for _ in range(3):
        shelf.wait(0.001)
        reads.append(shelf.read())
    assert (reads, shelf.sent) == ([b"one"] * 3, ["get", "head", "head"])


def test_a_time_to_live_of_zero_sees_another_writer_at_once(mode: Mode) -> None:
    shelf = Shelf(mode, ttl=0)
    shelf.put(b"old")
    shelf.read()
    shelf.foreign_put(b"new")
    shelf.wait(0.001)
    assert shelf.read() == b"new"


def test_what_another_writer_deleted_is_not_found_and_forgotten(shelf: Shelf) -> None:
    shelf.put(b"one")
    shelf.read()
    shelf.mode.run(shelf.inner.inner.delete([shelf.ref()], DELETE))
    shelf.wait(5)
    with pytest.raises(NotFound):
        shelf.read()
    assert shelf.stats.entries == 0


def test_metadata_that_another_writer_changed_under_the_same_etag_is_new(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    meta = shelf.get().meta

    async def changed() -> ObjectMeta:
        return ObjectMeta(meta.base, meta.key, 3, 9, meta.etag, "text/html")

    shelf.wait(5)
    shelf.inner.script.append(changed)
    assert (shelf.get().meta.content_type, shelf.stats.hits) == ("text/html", 1)


Change = Callable[[Shelf], Any]


def _upload(shelf: Shelf) -> None:
    async def write() -> None:
        upload = await shelf.cache.upload(shelf.ref(), WRITE, None)
        await upload.write(b"new")
        await upload.commit()

    shelf.mode.run(write())


def _copy(shelf: Shelf) -> None:
    shelf.foreign_put(b"new", "other")
    shelf.mode.run(shelf.cache.copy(shelf.ref("other"), shelf.ref(), COPY))


WRITES: list[Change] = [lambda shelf: shelf.put(b"new"), _upload, _copy]


@pytest.mark.parametrize("write", WRITES, ids=["put", "commit", "copy"])
def test_ones_own_write_is_read_at_once(shelf: Shelf, write: Change) -> None:
    shelf.put(b"old")
    shelf.read()
    write(shelf)
    assert shelf.read() == b"new"


def test_what_one_deleted_is_not_found_at_once(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    shelf.mode.run(shelf.cache.delete([shelf.ref("x"), shelf.ref()], DELETE))
    with pytest.raises(NotFound):
        shelf.read()


def test_the_source_of_a_move_is_not_found_at_once(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    shelf.mode.run(shelf.cache.copy(shelf.ref(), shelf.ref("to"), CopyOptions(move=True)))
    with pytest.raises(NotFound):
        shelf.read()


def test_the_source_of_a_copy_stays(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    shelf.mode.run(shelf.cache.copy(shelf.ref(), shelf.ref("to"), COPY))
    assert (shelf.read(), shelf.sent) == (b"old", ["get"])


def test_a_failed_write_whose_reply_was_lost_is_read_at_once(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()

    async def lost() -> ObjectMeta:
        await shelf.inner.inner.put(shelf.ref(), b"new", WRITE)
        raise Timeout("no reply")

    shelf.inner.script.append(lost)
    with pytest.raises(Timeout):
        shelf.put(b"new")
    assert shelf.read() == b"new"


def test_what_is_read_while_a_write_is_under_way_is_dropped_after_it(shelf: Shelf) -> None:
    shelf.put(b"old")

    async def slow() -> ObjectMeta:
        await (await shelf.cache.get(shelf.ref(), GET)).read_all()
        return await shelf.inner.inner.put(shelf.ref(), b"new", WRITE)

    shelf.inner.script.append(slow)
    shelf.put(b"new")
    assert shelf.read() == b"new"


def test_what_is_written_is_read_before_the_write_has_returned(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    seen = []

    async def slow() -> ObjectMeta:
        meta = await shelf.inner.inner.put(shelf.ref(), b"new", WRITE)
        seen.append((await shelf.cache.get(shelf.ref(), GET)).whole)
        return meta

    shelf.inner.script.append(slow)
    shelf.put(b"new")
    assert seen == [b"new"]


def test_an_answer_does_not_replace_one_whose_request_was_sent_later(shelf: Shelf) -> None:
    shelf.put(b"old")

    async def overtaken() -> ObjectStream:
        stream = await shelf.inner.inner.get(shelf.ref(), GET)
        await shelf.inner.inner.put(shelf.ref(), b"newer", WRITE)
        shelf.wait(0.1)
        await shelf.cache.head(shelf.ref(), HEAD)
        return stream

    shelf.inner.script.append(overtaken)
    shelf.read()
    assert shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD)).size == 5


@pytest.mark.parametrize("operation", ["get", "head"])
def test_a_fill_that_began_before_a_write_is_dropped(shelf: Shelf, operation: str) -> None:
    shelf.put(b"old")

    async def overtaken() -> Any:
        answer = await getattr(shelf.inner.inner, operation)(
            shelf.ref(), GET if operation == "get" else HEAD
        )
        await shelf.cache.put(shelf.ref(), b"newer", WRITE)
        return answer

    shelf.inner.script.append(overtaken)
    if operation == "get":
        assert shelf.read() == b"old"
    else:
        shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD))
    assert shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD)).size == 5
    assert shelf.read() == b"newer"


STEPS = st.sampled_from(["write", "delete", "foreign write", "foreign delete", "wait", "head"])


@given(st.lists(STEPS, max_size=30), st.sampled_from([0, 1, 5]))
def test_no_read_is_older_than_the_time_to_live_or_than_ones_own_change(
    steps: list[str], ttl: int
) -> None:
    shelf = Shelf(Mode(blocking=True), ttl=ttl)
    held: list[tuple[float, bytes | None]] = [(0.0, None)]  # since when, and what
    for number, step in enumerate(steps):
        shelf.wait(2.5 if step == "wait" else 0.01)
        store = shelf.inner.inner if step.startswith("foreign") else shelf.cache
        data = b"%d" % number if step.endswith("write") else None
        if step == "head":
            _read_or_none(shelf, head=True)
        elif step != "wait":
            if data is not None:
                drive(store.put(shelf.ref(), data, WRITE))
            else:
                drive(store.delete([shelf.ref()], DELETE))
            if store is shelf.cache:
                held.clear()
            held.append((shelf.mode.clock.now, data))
        shelf.wait(0.01)
        oldest = shelf.mode.clock.now - ttl
        while len(held) > 1 and held[1][0] <= oldest:
            del held[0]
        assert _read_or_none(shelf) in [data for _, data in held]


def _read_or_none(shelf: Shelf, head: bool = False) -> bytes | None:
    try:
        if head:
            drive(shelf.cache.head(shelf.ref(), HEAD))
            return None
        return shelf.read()
    except NotFound:
        return None


def test_hits_misses_checks_and_fetch_time_are_counted(shelf: Shelf) -> None:
    shelf.put(b"one")

    async def slow() -> ObjectStream:
        shelf.wait(2)
        return await shelf.inner.inner.get(shelf.ref(), GET)

    shelf.inner.script.append(slow)
    shelf.read()
    shelf.read()
    shelf.wait(5)
    shelf.read()
    stats = shelf.stats
    assert (stats.hits, stats.misses, stats.checks) == (2, 1, 1)
    assert (stats.fetch_seconds, stats.write_errors, stats.entries) == (2.0, 0, 1)


def test_the_cache_of_a_store_is_found_behind_its_face() -> None:
    with open_store({"url": "memory://", "layers": ["metrics", "cache"]}) as store:
        store.write("k", b"one")
        assert [store.read("k"), store.read("k")] == [b"one", b"one"]
        assert Cache.of(store).stats().hits == 1


def test_a_store_without_a_cache_says_how_to_get_one() -> None:
    with pytest.raises(Unsupported, match="'cache' in 'layers'"):
        Cache.of(MemoryStore(MemorySettings(), BlockingRuntime()))


def test_a_configuration_keeps_its_settings() -> None:
    layer = {"layer": "cache", "max_bytes": 1000, "share": 4, "ttl": "250ms"}
    with open_store({"url": "memory://", "layers": [layer]}) as store:
        again = type(store.store).from_config_json(store.config_json(), BlockingRuntime())
        assert Cache.of(again).settings == CacheSettings(
            max_bytes=1000, share=4, ttl=timedelta(milliseconds=250)
        )


@pytest.mark.parametrize(
    "wrong", [{"max_bytes": -1}, {"share": 0}, {"ttl": -1}, {"disk": "here"}, {"disk_bytes": -1}]
)
def test_a_setting_that_cannot_be_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        open_store({"url": "memory://", "layers": [{"layer": "cache", **wrong}]})
