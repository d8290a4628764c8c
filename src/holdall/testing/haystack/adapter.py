"""The conformance suite of `HaystackAdapter`: one behaviour over every pair of stores."""

from __future__ import annotations

import asyncio
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from holdall.core.errors import (
    AlreadyExists,
    InvalidQuery,
    InvalidValue,
    NotFound,
    PreconditionFailed,
)
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.haystack.kinds import MARKER, NA, REMOVE, Number, Ref
from holdall.haystack.stores.histories import Samples
from holdall.testing.haystack.adapter_edges import AdapterEdges
from holdall.testing.haystack.adapter_leaving import AdapterLeaving
from holdall.testing.haystack.adapter_watches import AdapterWatches

if TYPE_CHECKING:
    from holdall.haystack.adapter.face import HaystackAdapter

_NEW_YORK = ZoneInfo("America/New_York")
_SITE = {"id": Ref("s1"), "site": MARKER, "dis": "HQ", "tz": "New_York", "area": Number(2000)}
_POINT = {
    "id": Ref("p1"), "point": MARKER, "his": MARKER, "kind": "Number", "unit": "°C",
    "tz": "New_York", "siteRef": Ref("s1"), "writable": MARKER,
}  # fmt: skip


class HaystackAdapterSuite(AdapterEdges, AdapterLeaving, AdapterWatches):
    """What holds for an adapter over every pair of stores.

    A test file has a subclass whose name starts with `Test`, with one fixture, `make_adapter`: a
    function that answers an adapter of one fresh place, opened again with each call:

        class TestMine(HaystackAdapterSuite):
            @pytest.fixture
            def make_adapter(self, tmp_path):
                return lambda: HaystackAdapter(MyEntities(…), MyHistories(…))
    """

    # Entities.

    async def test_it_is_a_storage_adapter(self, adapter: HaystackAdapter) -> None:
        assert isinstance(adapter, StorageAdapter)
        about = await adapter.about()
        assert about["haystackVersion"] == "4.0"
        assert isinstance(about["serverTime"], datetime)

    async def test_the_first_call_connects(self, adapter: HaystackAdapter) -> None:
        await adapter.create(_SITE)
        other = self.another()
        await other.connect()
        await other.connect()
        assert await other.read_by_ids(["@s1", "gone", Ref("s1")]) == [_SITE, None, _SITE]

    async def test_an_adapter_that_was_closed_opens_again(self, adapter: HaystackAdapter) -> None:
        await adapter.create(_SITE)
        kept = self.another()
        await kept.connect()
        await adapter.close()
        await adapter.close()
        assert await adapter.read_by_ids(["s1"]) == [_SITE]

    async def test_entities_may_come_as_json(self, adapter: HaystackAdapter) -> None:
        await adapter.create(
            {
                "_kind": "dict",
                "id": {"_kind": "ref", "val": "s1", "dis": "HQ"},
                "site": {"_kind": "marker"},
                "area": {"_kind": "number", "val": 100, "unit": "ft²"},
                "floors": 3,
                "nothing": None,
                "tags": [{"_kind": "symbol", "val": "elec"}],
            }
        )
        (found,) = await adapter.read("area==100ft² and floors==3 and tags==^elec")
        assert found["id"] == Ref("s1")
        assert "nothing" not in found

    async def test_an_entity_without_an_id_gets_one(self, adapter: HaystackAdapter) -> None:
        ref = await adapter.create({"site": MARKER})
        assert await adapter.read_by_ids([ref]) == [{"id": ref, "site": MARKER}]

    @pytest.mark.parametrize(
        "entity",
        [{"id": Ref("x"), "Bad": 1}, {"id": 5}, {"id": Ref("x"), "a": object()}, {"id": "a b"},
         {"id": Ref("x"), "at": datetime(2024, 1, 1)}, "text"],  # noqa: DTZ001
        ids=["name", "number", "object", "id", "naive", "text"],
    )  # fmt: skip
    async def test_what_is_no_entity_is_refused(
        self, adapter: HaystackAdapter, entity: Any
    ) -> None:
        with pytest.raises(InvalidValue):
            await adapter.create(entity)
        assert await adapter.read("id") == []

    async def test_creating_what_is_there_is_refused_and_loading_replaces(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.create(_SITE)
        with pytest.raises(AlreadyExists):
            await adapter.create({"id": Ref("s1"), "dis": "Other"})
        assert await adapter.load([{"id": Ref("s1"), "dis": "Other"}, {"id": Ref("s2")}]) == 2
        assert await adapter.read("id") == [{"id": Ref("s1"), "dis": "Other"}, {"id": Ref("s2")}]

    async def test_loading_names_the_entity_that_is_none(self, adapter: HaystackAdapter) -> None:
        with pytest.raises(InvalidValue, match="entity 1"):
            await adapter.load([_SITE, {"dis": "no id"}])

    async def test_an_entity_is_updated_and_deleted(self, adapter: HaystackAdapter) -> None:
        await adapter.create(_SITE)
        (first,) = await adapter.versions(["s1"])
        version = await adapter.update("@s1", {"dis": None, "area": REMOVE, "new": 1})
        assert await adapter.versions(["s1", "gone"]) == [version, None]
        (found,) = await adapter.read_by_ids(["s1"])
        assert found == {"id": Ref("s1"), "site": MARKER, "tz": "New_York", "new": Number(1)}
        with pytest.raises(PreconditionFailed):
            await adapter.update("s1", {"dis": "x"}, expected=first)
        with pytest.raises(PreconditionFailed):
            await adapter.delete("s1", expected=first)
        with pytest.raises(InvalidValue):
            await adapter.update("s1", {"id": Ref("s2")})
        await adapter.delete(Ref("s1"), expected=version)
        for call in (adapter.delete("s1"), adapter.update("s1", {})):
            with pytest.raises(NotFound):
                await call

    async def test_an_entity_that_was_answered_cannot_be_changed(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.create(_SITE)
        (found,) = await adapter.read("site")
        with pytest.raises(TypeError):
            found["dis"] = "mine"  # type: ignore[index]
        assert (await adapter.read("site"))[0]["dis"] == "HQ"

    async def test_a_read_says_that_it_was_cut_and_goes_on(self, adapter: HaystackAdapter) -> None:
        await adapter.load([{"id": Ref(f"e{at}"), "n": at} for at in range(5)])
        found = await adapter.read("n >= 1", 2)
        assert [str(one["id"]) for one in found] == ["@e1", "@e2"]
        assert found.more
        rest = await adapter.read("n >= 1", 5, token=found.token)
        assert [str(one["id"]) for one in rest] == ["@e3", "@e4"]
        assert not rest.more
        assert await adapter.read("n", 0) == []

    async def test_a_filter_that_means_nothing_names_the_place(
        self, adapter: HaystackAdapter
    ) -> None:
        with pytest.raises(InvalidQuery) as caught:
            await adapter.read("point and", 10)
        assert (caught.value.line, caught.value.column) == (1, 10)

    async def test_a_negative_limit_is_refused(self, adapter: HaystackAdapter) -> None:
        with pytest.raises(InvalidValue):
            await adapter.read("site", -1)

    async def test_the_tree_leads_from_sites_to_points(self, adapter: HaystackAdapter) -> None:
        ref = Ref("s1")
        await adapter.load(
            [
                _SITE,
                {"id": Ref("s2"), "site": MARKER},
                {"id": Ref("f1"), "space": MARKER, "siteRef": ref},
                {"id": Ref("r1"), "space": MARKER, "siteRef": ref, "spaceRef": Ref("f1")},
                {"id": Ref("ahu"), "equip": MARKER, "siteRef": ref},
                {"id": Ref("fan"), "equip": MARKER, "siteRef": ref, "equipRef": Ref("ahu")},
                {"id": Ref("vav"), "equip": MARKER, "siteRef": ref, "spaceRef": Ref("r1")},
                {"id": Ref("p1"), "point": MARKER, "siteRef": ref},
                {"id": Ref("p2"), "point": MARKER, "siteRef": ref, "equipRef": Ref("fan")},
                {"id": Ref("p3"), "point": MARKER, "siteRef": ref, "spaceRef": Ref("r1")},
            ]
        )

        async def tree(of: str | None) -> dict[str, Any]:
            rows = await adapter.nav(of)
            return {
                row["id"].val: await tree(row["navId"]) if "navId" in row else None for row in rows
            }

        assert await tree(None) == {
            "s1": {
                "ahu": {"fan": {"p2": None}},
                "f1": {"r1": {"p3": None, "vav": {}}},
                "p1": None,
            },
            "s2": {},
        }
        with pytest.raises(NotFound):
            await adapter.nav("gone")

    # Histories.

    async def test_samples_are_read_in_the_zone_and_unit_of_the_point(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_SITE, _POINT])
        noon = datetime(2024, 6, 15, 12, tzinfo=_NEW_YORK)
        early = datetime(2024, 6, 15, 4, 30, tzinfo=UTC)
        await adapter.his_write(
            "p1", [{"ts": noon, "val": 21.5}, {"ts": early, "val": Number(20, "celsius")}]
        )
        read = await self.another().his_read("@p1", "2024-06-15")
        assert read == [
            {"ts": early, "val": Number(20.0, "°C")}, {"ts": noon, "val": Number(21.5, "°C")},
        ]  # fmt: skip
        assert [str(one["ts"].tzinfo) for one in read] == ["America/New_York"] * 2

    async def test_every_value_of_a_point_without_a_kind_is_kept(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.create({"id": Ref("p"), "point": MARKER})
        values = [True, "on", NA, Number(1.5, "kW"), Number(2.5)]
        await adapter.his_write("p", _items(values))
        assert [one["val"] for one in await adapter.his_read("p")] == values

    @pytest.mark.parametrize(
        ("tags", "value"),
        [
            ({"kind": "Number", "unit": "°C"}, Number(1, "°F")),
            ({"kind": "Number"}, True),
            ({"kind": "Number"}, "1"),
            ({"kind": "Bool"}, 1.0),
            ({"kind": "Str"}, Number(1)),
            ({}, MARKER),
            ({}, Ref("x")),
            ({}, None),
        ],
    )
    async def test_a_sample_that_does_not_fit_is_refused_and_none_is_taken(
        self, adapter: HaystackAdapter, tags: dict[str, Any], value: Any
    ) -> None:
        await adapter.create({"id": Ref("p"), "point": MARKER, **tags})
        good = {"Bool": True, "Str": "x"}.get(tags.get("kind", ""), 1.0)
        with pytest.raises(InvalidValue, match="item 1"):
            await adapter.his_write("p", _items([good, value]))
        assert await adapter.his_read("p") == []

    @pytest.mark.parametrize(
        "ts",
        [
            datetime(2024, 1, 1),  # noqa: DTZ001
            "2024-01-01T00:00:00Z",
            1704067200,
            datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            None,
        ],
        ids=["naive", "text", "number", "elsewhere", "none"],
    )
    async def test_a_moment_that_does_not_fit_is_refused(
        self, adapter: HaystackAdapter, ts: Any
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue):
            await adapter.his_write("p1", [{"ts": ts, "val": 1.0}])

    async def test_the_zone_of_the_site_counts_for_a_point_without_one(
        self, adapter: HaystackAdapter
    ) -> None:
        point = {name: value for name, value in _POINT.items() if name != "tz"}
        await adapter.load([_SITE, point])
        late = datetime(2024, 6, 15, 23, tzinfo=_NEW_YORK)
        await adapter.his_write("p1", [{"ts": late, "val": 1.0}])
        assert len(await adapter.his_read("p1", "2024-06-15")) == 1
        assert await adapter.his_read("p1", "2024-06-16") == []
        (found,) = await adapter.read("point")
        assert str(found["hisEnd"].tzinfo) == "America/New_York"  # type: ignore[union-attr]

    async def test_of_two_at_one_moment_the_later_counts_in_any_order_of_arrival(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", _items([1.0, 2.0, 3.0]))
        again = _items([9.0, 2.5, 1.5])
        await adapter.his_write("p1", [again[2], again[1], {**again[2], "val": 3.5}])
        assert [one["val"].val for one in await adapter.his_read("p1")] == [1.0, 2.5, 3.5]

    async def test_samples_are_removed(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        items = _items([1.0, 2.0, 3.0])
        await adapter.his_write("p1", items)
        await adapter.his_write("p1", [{**items[1], "val": REMOVE}, {**items[2], "val": 4.0}])
        assert [one["val"].val for one in await adapter.his_read("p1")] == [1.0, 4.0]

    async def test_a_point_says_what_its_history_reaches_over(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        assert (await adapter.read("his"))[0]["hisSize"] == Number(0)
        (version,) = await adapter.versions(["p1"])
        items = _items([1.0, 2.0, 3.0])
        await adapter.his_write("p1", items)
        (found,) = await adapter.read_by_ids(["p1"])
        assert found is not None
        assert (found["hisSize"], found["hisStart"], found["hisEnd"]) == (
            Number(3), items[0]["ts"], items[2]["ts"],
        )  # fmt: skip
        assert await adapter.versions(["p1"]) == [version]

    async def test_an_unknown_point_has_no_history(self, adapter: HaystackAdapter) -> None:
        for call in (
            adapter.his_write("gone", _items([1.0])),
            adapter.his_read("gone", "today"),
            adapter.point_write("gone", 8, 1.0),
            adapter.point_array("gone"),
        ):
            with pytest.raises(NotFound):
                await call

    async def test_a_history_goes_with_its_point(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", _items([1.0]))
        await adapter.delete("p1")
        await adapter.load([_POINT])
        assert await adapter.his_read("p1") == []

    async def test_columns_are_written_and_read(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        samples = Samples(array("q", range(0, 50_000, 10)), array("d", range(5_000)))
        await adapter.his_write("p1", samples)
        read = await adapter.his_columns("p1")
        assert (read.ts, read.vals, read.unit) == (samples.ts, samples.vals, "°C")
        pages = [len(page) async for page in adapter.his_pages("p1", size=2_000)]
        assert pages == [2_000, 2_000, 1_000]
        for wrong in (
            Samples(array("q", [2, 1]), array("d", [0, 0])),
            Samples(array("q", [1, 1]), array("d", [0, 0])),
            Samples(array("q", [1]), array("d", [0, 0])),
            Samples(array("q", [1]), array("d", [0]), "°F"),
        ):
            with pytest.raises(InvalidValue):
                await adapter.his_write("p1", wrong)

    async def test_several_points_are_written_and_read_together(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT, {"id": Ref("p2"), "point": MARKER, "kind": "Bool"}])
        await adapter.his_write_many({"p1": _items([1.0]), Ref("p2"): _items([True, False])})
        read = await adapter.his_read_many(["p2", "@p1"])
        assert {of: len(rows) for of, rows in read.items()} == {"p2": 2, "p1": 1}
        with pytest.raises(NotFound):
            await adapter.his_write_many({"p1": _items([2.0]), "gone": _items([1.0])})
        with pytest.raises(InvalidValue):
            await adapter.his_write_many({"p1": _items([2.0]), "p2": _items([1.0])})
        assert [one["val"].val for one in await adapter.his_read("p1")] == [1.0]

    async def test_a_range_that_means_nothing_is_refused(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        for text in ("", "noday", "2024-13-01", "2024-01-02,2024-01-01", "2024-01-01,x"):
            with pytest.raises(InvalidQuery):
                await adapter.his_read("p1", text)

    # Priority arrays.

    async def test_the_highest_level_is_in_effect(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        assert [row["level"].val for row in await adapter.point_array("p1")] == list(range(1, 18))
        await adapter.point_write("p1", 17, 18, "default")
        await adapter.point_write("p1", 14, Number(19.5), "schedule")
        rows = await self.another().point_write("p1", 8, Number(21, "°C"), "operator")
        assert [(row["level"].val, row["val"], row["who"]) for row in rows if row["who"]] == [
            (8, Number(21, "°C"), "operator"),
            (14, Number(19.5, "°C"), "schedule"),
            (17, Number(18, "°C"), "default"),
        ]
        (found,) = await adapter.read("writeLevel==8 and writeVal==21°C")
        await adapter.point_write("p1", 8, None, "operator")
        (found,) = await adapter.read("writable")
        assert (found["writeLevel"], found["writeVal"]) == (Number(14), Number(19.5, "°C"))
        await adapter.point_write("p1", 14, None)
        await adapter.point_write("p1", 17, None)
        (found,) = await adapter.read("writable")
        assert "writeVal" not in found
        assert "writeLevel" not in found

    async def test_a_command_may_be_for_a_while(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.watch_sub("w", ["p1"])
        await adapter.point_write("p1", 10, 19.0)
        rows = await adapter.point_write("p1", 8, 21.0, "me", timedelta(seconds=0.2))
        assert isinstance(rows[7]["expires"], datetime)
        await adapter.watch_poll("w")
        other = self.another()
        await other.connect()
        while await other.read("writeLevel==8"):  # noqa: ASYNC110  # nobody tells when it ends
            await asyncio.sleep(0.02)
        (found,) = await adapter.watch_poll("w")
        assert (found["writeLevel"], found["writeVal"]) == (Number(10), Number(19.0, "°C"))
        assert (await adapter.point_array("p1"))[7]["val"] is None

    @pytest.mark.parametrize(
        ("level", "value", "duration"),
        [
            (0, 1.0, None), (18, 1.0, None), (1.5, 1.0, None), ("8", 1.0, None), (True, 1.0, None),
            (8, "text", None), (8, Number(1, "°F"), None), (9, 1.0, Number(5, "min")),
            (8, 1.0, Number(5, "kW")), (8, 1.0, Number(-5, "min")), (8, 1.0, "5min"),
        ],
    )  # fmt: skip
    async def test_a_command_that_does_not_fit_is_refused(
        self, adapter: HaystackAdapter, level: Any, value: Any, duration: Any
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue):
            await adapter.point_write("p1", level, value, "me", duration)
        assert all(row["val"] is None for row in await adapter.point_array("p1"))

    async def test_a_point_that_is_not_writable_is_not_commanded(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.create({"id": Ref("p"), "point": MARKER})
        with pytest.raises(InvalidValue, match="writable"):
            await adapter.point_write("p", 8, 1.0)

    async def test_commands_at_the_same_time_are_all_kept(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        others = [self.another() for _ in range(4)]
        await asyncio.gather(
            *(
                others[level % 4].point_write("p1", level, float(level), str(level))
                for level in range(1, 18)
            )
        )
        rows = await adapter.point_array("p1")
        assert [row["who"] for row in rows] == [str(level) for level in range(1, 18)]
        assert (await adapter.read("writeLevel==1"))[0]["writeVal"] == Number(1.0, "°C")


def _items(values: list[Any]) -> list[dict[str, Any]]:
    start = datetime(2024, 6, 15, 12, tzinfo=UTC)
    return [{"ts": start + timedelta(hours=at), "val": value} for at, value in enumerate(values)]
