"""Copies of entities and histories between two adapters."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from array import array
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

import holdall
from holdall.core.errors import (
    Corrupt,
    InvalidConfig,
    InvalidQuery,
    InvalidValue,
    PartialFailure,
    PermissionDenied,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack import MARKER, NA, Number, Ref, copying_engine, copying_samples, same
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.copying import CopyReport, copy
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.entities import Changes, Note
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from serving.caches import RedisServer
    from serving.databases import PostgresServer


BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 6, 15, 8, tzinfo=BERLIN)
SITE = {
    "id": Ref("s1", "HQ"),
    "site": MARKER,
    "tz": "Berlin",
    "area": Number(2000, "m²"),
    "built": date(1999, 12, 31),
    "tags": ["a", {"b": Number(1)}],
}
TEMP = {"id": Ref("p1"), "point": MARKER, "his": MARKER, "kind": "Number", "unit": "°C"}
MODE = {"id": Ref("p2"), "point": MARKER, "his": MARKER, "kind": "Str", "siteRef": Ref("s1")}
SETPOINT = {"id": Ref("p3"), "point": MARKER, "writable": MARKER, "kind": "Number"}


def items(number: int, first: datetime = START) -> list[dict[str, Any]]:
    return [
        {"ts": first + timedelta(minutes=at), "val": Number(20 + at / 8, "°C")}
        for at in range(number)
    ]


async def plant() -> InMemoryAdapter:
    """A small one, with every kind of history, and a command."""
    adapter = InMemoryAdapter([SITE, TEMP | {"tz": "Berlin"}, MODE, SETPOINT])
    await adapter.his_write("p1", items(50))
    await adapter.his_write(
        "p2", [{"ts": START, "val": "on"}, {"ts": START + timedelta(hours=1), "val": NA}]
    )
    await adapter.point_write("p3", 16, Number(20), "schedule")
    await adapter.point_write("p3", 8, Number(23), "operator", timedelta(hours=5))
    return adapter


async def everything(adapter: HaystackAdapter) -> dict[str, Any]:
    """Entities by id, samples by id, and what is commanded."""
    entities = {str(entity["id"]): dict(entity) for entity in await adapter.read("id")}
    samples = await adapter.his_read_many(list(entities))
    return {
        "entities": entities,
        "samples": {of: one for of, one in samples.items() if one},
        "levels": {
            of: [(row["val"], row["who"]) for row in await adapter.point_array(of)]
            for of, entity in entities.items()
            if "writable" in entity
        },
    }


async def assert_equal(one: HaystackAdapter, other: HaystackAdapter) -> None:
    assert same(await everything(one), await everything(other))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying_engine, "_PAGE", 2)
    monkeypatch.setattr(copying_engine, "_ASKED", 2)
    monkeypatch.setattr(copying_samples, "PAGE", 20)


def broken(entities: Any = MemoryEntities, histories: Any = MemoryHistories) -> HaystackAdapter:
    """An adapter in memory with stores that go wrong in their own way."""
    runtime = LoopRuntime()
    return HaystackAdapter(
        entities(MemoryEntitySettings(), runtime), histories(MemoryHistorySettings(), runtime)
    )


def test_a_copy_has_entities_samples_and_commands(tmp_path: Path) -> None:
    async def work() -> CopyReport:
        source = await plant()
        async with SqliteAdapter(tmp_path / "plant.db") as target:
            report = await copy(source, target)
            await assert_equal(source, target)
            row = (await target.point_array("p3"))[7]
            left = row["expires"] - datetime.now(UTC)
            assert timedelta(hours=4.9) < left < timedelta(hours=5.1)
            back = InMemoryAdapter()
            await copy(target, back)
            await assert_equal(source, back)
        return report

    report = asyncio.run(work())
    report.check()
    assert (report.entities, report.written, report.same) == (4, 4, 0)
    assert (report.histories, report.samples, report.samples_written) == (2, 52, 52)
    assert (report.commands, report.gone, report.resumed) == (2, 0, False)


@pytest.mark.usefixtures("small_pages")
def test_a_second_copy_writes_nothing() -> None:
    async def work() -> CopyReport:
        source, target = await plant(), InMemoryAdapter()
        await copy(source, target)
        return await copy(source, target)

    report = asyncio.run(work())
    assert (report.entities, report.written, report.same) == (4, 0, 4)
    assert (report.histories, report.samples, report.samples_written) == (2, 52, 0)
    assert (report.commands, report.resumed) == (0, False)


@pytest.mark.usefixtures("small_pages")
def test_a_copy_in_small_pages_is_whole() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        report = await copy(source, target)
        await assert_equal(source, target)
        assert (report.entities, report.histories, report.samples_written) == (4, 2, 52)

    asyncio.run(work())


@pytest.mark.usefixtures("small_pages")
def test_what_the_target_has_besides_stays_and_the_source_wins() -> None:
    async def work() -> None:
        source = await plant()
        target = InMemoryAdapter(
            [SITE | {"dis": "old"}, TEMP | {"tz": "Berlin"}, {"id": Ref("x"), "point": MARKER}]
        )
        later = START + timedelta(days=1)
        between = START + timedelta(seconds=30)
        await target.his_write("p1", items(10, between) + items(3, later))
        await target.his_write("p1", [{"ts": START, "val": Number(99, "°C")}])
        report = await copy(source, target)
        report.check()
        assert report.written == 3
        assert [str(one["id"]) for one in await target.read("id")] == [
            "@p1",
            "@p2",
            "@p3",
            "@s1",
            "@x",
        ]
        assert (await target.read("site"))[0].get("dis") is None
        samples = await target.his_read("p1")
        assert len(samples) == 50 + 10 + 3
        assert samples[0]["val"] == Number(20.0, "°C")

    asyncio.run(work())


def test_a_filter_says_which(tmp_path: Path) -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        report = await copy(source, target, "siteRef->area > 1000")
        assert (report.entities, report.samples) == (1, 2)
        assert [str(one["id"]) for one in await target.read("id")] == ["@p2"]
        with pytest.raises(InvalidQuery):
            await copy(source, target, "a ==")

    asyncio.run(work())


def test_histories_may_be_left_out() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        report = await copy(source, target, histories=False)
        assert (report.entities, report.histories) == (4, 0)
        assert await target.his_read("p1") == []

    asyncio.run(work())


def test_what_is_computed_is_not_copied() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        await copy(source, target)
        await target.stores[1].delete("p1")
        (point,) = await target.read("id==@p1")
        assert point["hisSize"] == Number(0)
        assert "hisStart" not in point

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_nothing_is_copied_to_itself(tmp_path: Path, kind: str) -> None:
    async def work() -> None:
        if kind == "memory":
            one = other = await plant()
        else:
            one, other = SqliteAdapter(tmp_path / "a.db"), SqliteAdapter(tmp_path / "a.db")  # type: ignore[assignment]
        with pytest.raises(InvalidConfig, match="itself"):
            await copy(one, other)
        await one.close()
        await other.close()

    asyncio.run(work())


def test_an_adapter_without_stores_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="object"):
        asyncio.run(copy(object(), InMemoryAdapter()))  # type: ignore[arg-type]


def test_every_backend_hands_on_all_of_it(
    tmp_path: Path,
    redis_server: RedisServer,
    redis_stack_server: RedisServer,
    postgres_server: PostgresServer,
) -> None:
    async def work() -> None:
        source: HaystackAdapter = await plant()
        wanted = await everything(source)
        for url in (
            f"{redis_server.url}?prefix=copying",
            f"{postgres_server.dsn(postgres_server.make_database())}",
            f"{redis_stack_server.url}?prefix=copying",
            f"sqlite:///{tmp_path}/plant.db",
            "memory://",
        ):
            target = holdall.open_adapter(url)
            report = await copy(source, target)
            report.check()
            assert (report.written, report.samples_written, report.commands) == (4, 52, 2)
            again = await copy(source, target)
            assert (again.same, again.samples_written, again.commands) == (4, 0, 0)
            await source.close()
            source = target
            assert same(await everything(source), wanted)

    asyncio.run(work())


class Cut(Exception):
    """The end of a run, at some step."""


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("steps", range(1, 9))
def test_a_copy_that_was_cut_at_any_step_goes_on(steps: int) -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        left = steps

        def count(_: CopyReport) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Cut

        try:
            await copy(source, target, progress=count)
        except Cut:
            report = await copy(source, target)
            report.check()
            assert report.entities == 4
            # What was cut between its write and its note is read once more, and not written.
            assert (report.histories, report.samples) == (2, 52)
        else:
            assert steps > 6
        await assert_equal(source, target)
        # It leaves no trace of how far it was.
        assert not (await copy(source, target)).resumed

    asyncio.run(work())


@pytest.mark.usefixtures("small_pages")
def test_a_resumed_copy_does_not_begin_anew() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()

        def cut(report: CopyReport) -> None:
            if report.samples_written >= 40:
                raise Cut

        with pytest.raises(Cut):
            await copy(source, target, progress=cut)
        seen = []
        report = await copy(source, target, progress=lambda one: seen.append(one.samples))
        assert report.resumed
        assert min(seen) > 40
        assert report.samples_written == 52

    asyncio.run(work())


@pytest.mark.usefixtures("small_pages")
def test_what_changes_meanwhile_is_copied_at_the_end() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        begun = False

        async def change() -> None:
            await source.update("p1", {"dis": "new"})
            await source.create(TEMP | {"id": Ref("a1"), "tz": "Berlin"})
            await source.his_write("a1", items(30))
            await source.delete("p2")

        def once(report: CopyReport) -> None:
            nonlocal begun
            if report.written >= 2 and not begun:
                begun = True
                drive(change())  # nothing in memory waits

        report = await copy(source, target, progress=once)
        report.check()
        assert begun
        assert report.gone == 1
        assert (report.entities, report.samples) == (5, 50 + 30 + 2)
        assert (await target.read("id==@p1"))[0]["dis"] == "new"
        assert len(await target.his_read("a1")) == 30
        assert len(await target.read("id==@p2")) == 1

    asyncio.run(work())


@pytest.mark.usefixtures("small_pages")
def test_what_reads_back_otherwise_is_reported() -> None:
    class Rounding(MemoryHistories):
        async def write(self, samples: Mapping[str, Samples]) -> None:
            rounded = {
                of: Samples(one.ts, array("d", map(round, one.vals)), one.unit)
                if isinstance(one.vals, array)
                else one
                for of, one in samples.items()
            }
            await super().write(rounded)

    class Forgetting(MemoryEntities):
        async def commit(self, changes: Any, *, due: int | None = None) -> int:
            kept = [one for one in changes if not str(getattr(one, "entity", "")).count("m²")]
            return await super().commit(kept, due=due)

    async def work() -> None:
        report = await copy(await plant(), broken(Forgetting, Rounding))
        assert {one.id for one in report.failed} == {"p1", "s1"}
        assert all(isinstance(one.error, Corrupt) for one in report.failed)
        assert not report.ok
        assert report.written == 3
        with pytest.raises(PartialFailure, match="@s1"):
            report.check()

    asyncio.run(work())


def test_what_the_target_refuses_is_reported_and_the_rest_is_copied() -> None:
    class Choosy(MemoryEntities):
        async def commit(self, changes: Any, *, due: int | None = None) -> int:
            if any("Ref('p1')" in str(one) for one in changes):
                raise InvalidValue("no p1 here")
            return await super().commit(changes, due=due)

    class ChoosyToo(MemoryHistories):
        async def write(self, samples: Mapping[str, Samples]) -> None:
            if "p2" in samples:
                raise InvalidValue("no samples of p2 here")
            await super().write(samples)

    async def work() -> None:
        target = broken(Choosy, ChoosyToo)
        report = await copy(await plant(), target)
        assert sorted((one.id, str(one.error)) for one in report.failed) == [
            ("p1", "no p1 here"),
            ("p2", "no samples of p2 here"),
        ]
        assert (report.written, report.samples_written) == (3, 50)
        assert len(await target.read("id")) == 3

    asyncio.run(work())


@pytest.mark.usefixtures("small_pages")
def test_an_outage_ends_the_copy_and_the_next_one_goes_on() -> None:
    class Flaky(MemoryHistories):
        up = False

        async def write(self, samples: Mapping[str, Samples]) -> None:
            if not self.up:
                raise Unavailable("gone for a moment")
            await super().write(samples)

    async def work() -> None:
        source, target = await plant(), broken(histories=Flaky)
        with pytest.raises(Unavailable):
            await copy(source, target)
        target.stores[1].up = True  # type: ignore[attr-defined]
        (await copy(source, target)).check()
        await assert_equal(source, target)

    asyncio.run(work())


def test_an_entity_that_may_not_be_written_ends_the_copy() -> None:
    class Locked(MemoryEntities):
        async def commit(self, changes: Any, *, due: int | None = None) -> int:
            if any("Ref('p1')" in str(one) for one in changes):
                raise PermissionDenied("read-only")
            return await super().commit(changes, due=due)

    async def work() -> None:
        with pytest.raises(PermissionDenied):
            await copy(await plant(), broken(Locked))

    asyncio.run(work())


def test_a_source_that_forgot_what_changed_is_told() -> None:
    class Forgetful(MemoryEntities):
        async def changes(self, since: int, *, limit: int) -> Changes:
            found = await super().changes(since, limit=limit)
            return Changes(found.state, (), found.upto, known=False)

    async def work() -> None:
        source, target = broken(Forgetful), InMemoryAdapter()
        await source.load([SITE, MODE])

        def change(_: CopyReport) -> None:
            drive(source.update("s1", {"dis": "new"}))

        with pytest.raises(PreconditionFailed, match="copy it again"):
            await copy(source, target, progress=change)
        report = await copy(source, target)
        assert not report.resumed
        assert same(await everything(source), await everything(target))

    asyncio.run(work())


def test_a_note_of_another_version_begins_anew() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()

        def cut(_: CopyReport) -> None:
            raise Cut

        names: list[str] = []
        commit = target.stores[0].commit

        async def noting(changes: Any, *, due: int | None = None) -> int:
            names.extend(one.name for one in changes if isinstance(one, Note))
            return await commit(changes, due=due)

        target.stores[0].commit = noting  # type: ignore[method-assign]
        with pytest.raises(Cut):
            await copy(source, target, progress=cut)
        await commit([Note(names[-1], b"[]")])
        report = await copy(source, target)
        assert not report.resumed
        await assert_equal(source, target)

    asyncio.run(work())


def test_commands_of_the_target_stay_beside_those_of_the_source() -> None:
    async def work() -> None:
        source, target = await plant(), InMemoryAdapter()
        await copy(source, target)
        await target.point_write("p3", 3, Number(99), "somebody there")
        await copy(source, target)
        rows = await target.point_array("p3")
        assert [row["who"] for row in rows if row["val"] is not None] == [
            "somebody there",
            "operator",
            "schedule",
        ]
        (point,) = await target.read("writable")
        assert point["writeVal"] == Number(99)

    asyncio.run(work())


_CHILD = """
import asyncio, sys, time
from holdall.haystack import copying_engine, copying_samples
from holdall.haystack.copying import copy
from holdall.haystack.sqlite import SqliteAdapter

copying_engine._PAGE, copying_samples.PAGE = 10, 100

left = int(sys.argv[3])

def progress(report):
    global left
    left -= 1
    if left == 0:
        print("now", flush=True)
        time.sleep(60)

async def work():
    source, target = SqliteAdapter(sys.argv[1]), SqliteAdapter(sys.argv[2])
    await copy(source, target, progress=progress)

asyncio.run(work())
"""


@pytest.mark.parametrize("steps", [2, 9, 17])
def test_a_copy_that_was_killed_loses_and_doubles_nothing(tmp_path: Path, steps: int) -> None:
    async def fill() -> None:
        async with SqliteAdapter(tmp_path / "a.db", durable=False) as source:
            points = [TEMP | {"id": Ref(f"p{at}"), "tz": "Berlin"} for at in range(60)]
            await source.load(points)
            await source.his_write_many({f"p{at}": items(30) for at in range(60)})

    async def finish() -> CopyReport:
        async with (
            SqliteAdapter(tmp_path / "a.db") as source,
            SqliteAdapter(tmp_path / "b.db") as target,
        ):
            report = await copy(source, target)
            await assert_equal(source, target)
            return report

    asyncio.run(fill())
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "a.db"), str(tmp_path / "b.db")]
    with subprocess.Popen([*command, str(steps)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"now\n"
        os.kill(child.pid, signal.SIGKILL)
    report = asyncio.run(finish())
    assert report.resumed
    assert (report.entities, report.histories, report.samples) == (60, 60, 1800)
