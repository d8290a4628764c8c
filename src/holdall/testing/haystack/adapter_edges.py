"""Facts about the edges of adapters: wrong arguments, and calls that get in each other's way."""

from __future__ import annotations

import asyncio
import enum
from array import array
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from random import choices
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from holdall.core.errors import HoldallError, InvalidValue, NotFound, Unavailable
from holdall.haystack.adapter.taking import LONGEST_REF
from holdall.haystack.kinds import MARKER, NA, REMOVE, Number, Ref
from holdall.haystack.stores.histories import Samples
from holdall.testing.haystack.adapter_facts import AdapterFacts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdall.haystack.adapter.face import HaystackAdapter

_POINT = {
    "id": Ref("p1"), "point": MARKER, "kind": "Number", "unit": "°C", "tz": "New_York",
    "writable": MARKER, "his": MARKER,
}  # fmt: skip
_NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
_BEYOND_FLOATS = 10**400
_TOO_LONG = Ref("x" * (LONGEST_REF + 1))

_WRONG: list[Callable[[HaystackAdapter], Any]] = [
    lambda a: a.read(None),  # type: ignore[arg-type]
    lambda a: a.read("id", "5"),  # type: ignore[arg-type]
    lambda a: a.read("id", 1.5),  # type: ignore[arg-type]
    lambda a: a.read("id", True),
    lambda a: a.read("id", token="not an id"),  # noqa: S106
    lambda a: a.read_by_ids("p1"),
    lambda a: a.read_by_ids(Ref("p1")),  # type: ignore[arg-type]
    lambda a: a.read_by_ids(None),  # type: ignore[arg-type]
    lambda a: a.read_by_ids(["@@p1"]),
    lambda a: a.read_by_ids([None]),  # type: ignore[list-item]
    lambda a: a.versions("p1"),
    lambda a: a.nav(5),  # type: ignore[arg-type]
    lambda a: a.create(None),  # type: ignore[arg-type]
    lambda a: a.create({"_kind": "grid", "rows": []}),
    lambda a: a.create({"id": Ref("x"), "a": {"_kind": "number", "val": object()}}),
    lambda a: a.create({"id": Ref("x"), "a": {"b": object()}}),
    lambda a: a.update("p1", None),  # type: ignore[arg-type]
    lambda a: a.update("p1", {"id": REMOVE}),
    lambda a: a.update("p1", {"id": None}),
    lambda a: a.update("p1", {"a": 1}, expected="1"),  # type: ignore[arg-type]
    lambda a: a.delete("p1", expected="1"),  # type: ignore[arg-type]
    lambda a: a.delete(None),  # type: ignore[arg-type]
    lambda a: a.load(None),  # type: ignore[arg-type]
    lambda a: a.load(_POINT),  # type: ignore[arg-type]
    lambda a: a.his_read("p1", 5),  # type: ignore[arg-type]
    lambda a: a.his_read_many("p1"),
    lambda a: a.his_write("p1", None),  # type: ignore[arg-type]
    lambda a: a.his_write("p1", _later()),  # type: ignore[arg-type]
    lambda a: a.his_write("p1", [None]),  # type: ignore[list-item]
    lambda a: a.his_write("p1", {"ts": _NOON, "val": 1.0}),  # type: ignore[dict-item]
    lambda a: a.his_write("p1", [{"ts": _NOON.replace(tzinfo=None), "val": {"_kind": "na"}}]),
    lambda a: a.his_write(["p1"], []),  # type: ignore[arg-type]
    lambda a: a.his_write_many([("p1", [])]),  # type: ignore[arg-type]
    lambda a: a.his_write("p1", Samples(["x"], [1.0])),  # type: ignore[arg-type]
    lambda a: a.his_write("p1", Samples(array("q", [1]), array("d", [1]), "no unit!")),
    lambda a: a.point_write("p1", float("nan"), 1.0),  # type: ignore[arg-type]
    lambda a: a.point_write("p1", float("inf"), 1.0),  # type: ignore[arg-type]
    lambda a: a.point_write("p1", None, 1.0),  # type: ignore[arg-type]
    lambda a: a.point_write("p1", 8, 1.0, 5),  # type: ignore[arg-type]
    lambda a: a.point_write("p1", 8, 1.0, "\ud800"),
    lambda a: a.point_write("p1", 8, {"_kind": "number", "val": object()}),
    lambda a: a.point_write("p1", 8, 1.0, "me", float("nan")),
    lambda a: a.point_write("p1", 8, 1.0, "me", float("inf")),
    lambda a: a.point_write("p1", 8, 1.0, "me", _BEYOND_FLOATS),
    lambda a: a.point_write("p1", 8, 1.0, "me", Number(_BEYOND_FLOATS, "min")),
    lambda a: a.watch_sub(None, ["p1"]),  # type: ignore[arg-type]
    lambda a: a.watch_sub("w", "p1"),
    lambda a: a.watch_sub("w", ["p1"], lease=float("nan")),
    lambda a: a.watch_sub("w", ["p1"], lease=-1),
    lambda a: a.watch_sub("w", ["p1"], lease="5"),  # type: ignore[arg-type]
    lambda a: a.watch_poll(None),  # type: ignore[arg-type]
    lambda a: a.watch_unsub("w", "p1"),
]


async def _broken_off(*_: object) -> int:
    raise Unavailable("gone in the middle")


class AdapterEdges(AdapterFacts):
    """Facts that are part of `HaystackAdapterSuite`."""

    @pytest.mark.parametrize("number", range(len(_WRONG)))
    async def test_a_wrong_argument_is_an_error_of_the_family(
        self, adapter: HaystackAdapter, number: int
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(HoldallError) as caught:
            await _WRONG[number](adapter)
        assert not isinstance(caught.value, NotFound)
        assert await adapter.read("id") == [{**_POINT, "hisSize": Number(0)}]

    # Entities.

    async def test_nothing_within_an_answer_changes_what_is_kept(
        self, adapter: HaystackAdapter
    ) -> None:
        nested = {"tags": ["x", ["y"]], "d": {"e": [Number(1)]}}
        given: list[dict[str, Any]] = [
            {"id": Ref("a"), **nested}, {"id": Ref("b"), "his": MARKER, **nested},
        ]  # fmt: skip
        await adapter.load(given)
        answers: list[list[Any]] = [
            list(await adapter.read("id")),
            await adapter.read_by_ids(["a", "b"]),
            await adapter.watch_sub("w", ["a", "b"]),
            await adapter.watch_poll("w", True),
        ]
        found: Any
        for found in [one for answer in answers for one in answer]:
            with suppress(TypeError, AttributeError):
                found["tags"][1].append("z")
            with suppress(TypeError, AttributeError):
                found["d"]["e"].clear()
            with pytest.raises(TypeError):
                found["n"] = 1
        assert await adapter.read('tags=="x"') == [given[0], {**given[1], "hisSize": Number(0)}]

    async def test_the_longest_ids_and_refs_are_found(self, adapter: HaystackAdapter) -> None:
        longest = "".join(choices(ascii_letters + digits, k=LONGEST_REF))
        await adapter.load([{"id": Ref(longest)}, {"id": Ref("a"), "ref": Ref(longest)}])
        await adapter.create({"id": Ref("b"), "refs": [Ref(longest)], "d": {"ref": Ref(longest)}})
        assert await adapter.read(f"id == @{longest}") == [{"id": Ref(longest)}]
        found = [await adapter.read(f"{tag} == @{longest}") for tag in ("ref", "refs", "d->ref")]
        assert [[one["id"] for one in ones] for ones in found] == [
            [Ref("a")],
            [Ref("b")],
            [Ref("b")],
        ]
        assert [one["id"] for one in await adapter.read("ref->id")] == [Ref("a")]

    @pytest.mark.parametrize(
        "entity",
        [
            {"id": _TOO_LONG},
            {"id": _TOO_LONG.val},
            {"id": Ref("a"), "ref": _TOO_LONG},
            {"id": Ref("a"), "refs": [Ref("b"), _TOO_LONG]},
            {"id": Ref("a"), "d": {"refs": [_TOO_LONG]}},
            {"id": Ref("a"), "ref": {"_kind": "ref", "val": _TOO_LONG.val}},
        ],
        ids=["id", "text", "ref", "list", "dict", "json"],
    )
    async def test_a_longer_one_is_refused_and_told_its_length(
        self, adapter: HaystackAdapter, entity: dict[str, Any]
    ) -> None:
        for taken in (adapter.create(entity), adapter.load([entity])):
            with pytest.raises(InvalidValue, match=r"1,025 characters.*1,024"):
                await taken
        assert await adapter.read("id") == []

    async def test_an_update_refuses_a_longer_ref(self, adapter: HaystackAdapter) -> None:
        await adapter.create({"id": Ref("a")})
        with pytest.raises(InvalidValue, match=r"1,025 characters.*1,024"):
            await adapter.update("a", {"ref": _TOO_LONG})
        assert await adapter.read("id") == [{"id": Ref("a")}]

    async def test_remove_is_no_tag_of_a_new_entity(self, adapter: HaystackAdapter) -> None:
        await adapter.create({"id": Ref("a"), "n": REMOVE, "m": 1})
        await adapter.load([{"id": Ref("b"), "n": {"_kind": "remove"}}])
        assert await adapter.read("id") == [{"id": Ref("a"), "m": Number(1)}, {"id": Ref("b")}]

    async def test_an_update_may_name_its_id_and_come_as_json(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.create({"id": Ref("a"), "n": 1})
        await adapter.update("a", {"_kind": "dict", "id": "@a", "n": {"_kind": "remove"}, "m": 2})
        assert await adapter.read("id") == [{"id": Ref("a"), "m": Number(2)}]

    @pytest.mark.parametrize("again", ["create", "load", "delete"])
    async def test_a_deletion_that_broke_off_leaves_no_samples(
        self, adapter: HaystackAdapter, again: str
    ) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", _items([1.0, 2.0]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter.stores[1], "delete", _broken_off)
            with pytest.raises(Unavailable):
                await adapter.delete("p1")
        other = self.another()
        if again == "delete":
            await other.delete("p1")
            with pytest.raises(NotFound):
                await other.delete("p1")
        if again == "create":
            await other.create(_POINT)
        else:
            await other.load([_POINT])
        assert await other.his_read("p1") == []
        await other.his_write("p1", _items([3.0]))
        await other.load([_POINT])
        assert [one["val"] for one in await other.his_read("p1")] == [Number(3.0, "°C")]

    async def test_who_closes_while_another_call_connects_can_go_on(
        self, adapter: HaystackAdapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        histories = adapter.stores[1]
        connect = histories.connect
        reached, may_go = asyncio.Event(), asyncio.Event()

        async def connect_late() -> None:
            reached.set()
            await may_go.wait()
            await connect()

        monkeypatch.setattr(histories, "connect", connect_late)
        first = asyncio.create_task(adapter.load([_POINT]))
        await reached.wait()
        await adapter.close()
        second = asyncio.create_task(adapter.create({"id": Ref("a")}))
        await asyncio.sleep(0)  # it waits with the first one
        may_go.set()
        with pytest.raises(Unavailable, match="closed"):
            await first
        await second
        assert await adapter.read("id") == [{"id": Ref("a")}]

    async def test_a_limit_may_be_of_any_size(self, adapter: HaystackAdapter) -> None:
        await adapter.load([{"id": Ref("a")}])
        assert len(await adapter.read("id", 10**30)) == 1

    async def test_more_than_ten_thousand_are_never_cut_without_a_word(
        self, adapter: HaystackAdapter
    ) -> None:
        refs = [Ref(f"e{at:05}") for at in range(10_050)]
        await adapter.load([{"id": ref} for ref in refs])
        found = await self.another().read("id")
        assert (len(found), found.more) == (10_000, True)
        rest = await adapter.read("id", token=found.token)
        assert ([one["id"] for one in rest], rest.more) == (refs[10_000:], False)
        every = await adapter.read("id", len(refs))
        assert ([one["id"] for one in every], every.more) == (refs, False)

    @pytest.mark.parametrize("steps", [59, 60, 2_000])
    async def test_a_path_may_be_long(self, adapter: HaystackAdapter, steps: int) -> None:
        await adapter.load([{"id": Ref("a"), "a": Ref("a"), "b": MARKER}, {"id": Ref("z")}])
        path = "a->" * steps
        assert [one["id"] for one in await adapter.read(f"{path}b")] == [Ref("a")]
        assert [one["id"] for one in await adapter.read(f"not {path}b or {path}c")] == [Ref("z")]

    async def test_bounds_that_were_loaded_give_way_to_true_ones(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([{**_POINT, "hisSize": Number(5), "hisStart": _NOON, "hisEnd": _NOON}])
        assert await adapter.read("point") == [{**_POINT, "hisSize": Number(0)}]

    # Histories.

    async def test_a_history_with_na_and_what_is_no_number_is_read(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", _items([1.0, float("nan"), NA]))
        assert [repr(one["val"]) for one in await adapter.his_read("p1")] == [
            "Number(1.0, '°C')", "Number(nan)", "NA",
        ]  # fmt: skip

    async def test_a_whole_number_may_be_beyond_floats(self, adapter: HaystackAdapter) -> None:
        await adapter.load([{**_POINT, "n": _BEYOND_FLOATS}])
        await adapter.his_write("p1", _items([_BEYOND_FLOATS]))
        (read,) = await adapter.his_read("p1")
        assert read["val"] == Number(_BEYOND_FLOATS, "°C")
        assert len(await adapter.read(f"n >= {_BEYOND_FLOATS} and n < {_BEYOND_FLOATS + 1}")) == 1

    @pytest.mark.parametrize(
        "ts",
        [
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=ZoneInfo("America/New_York")),
            datetime.max.replace(tzinfo=ZoneInfo("America/New_York")),
        ],
        ids=["first", "last", "first here", "last here"],
    )
    async def test_a_moment_that_some_zone_has_no_year_for_is_refused(
        self, adapter: HaystackAdapter, ts: datetime
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue, match="calendar"):
            await adapter.his_write("p1", [{"ts": ts, "val": 1.0}])

    @pytest.mark.parametrize("moment", [-(2**62), 2**62])
    async def test_moments_of_columns_beyond_the_calendar_are_refused(
        self, adapter: HaystackAdapter, moment: int
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue, match="calendar"):
            await adapter.his_write("p1", Samples(array("q", [moment]), array("d", [1.0])))

    async def test_the_second_and_the_last_day_but_one_of_the_calendar_are_kept(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        moments = [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, tzinfo=UTC)]
        await adapter.his_write("p1", [{"ts": ts, "val": 1.0} for ts in moments])
        assert [one["ts"] for one in await adapter.his_read("p1")] == moments
        (found,) = await adapter.read("point")
        assert (found["hisStart"], found["hisEnd"]) == tuple(moments)

    @pytest.mark.parametrize(
        "zone", [ZoneInfo("Europe/London"), timezone(timedelta(hours=5, minutes=30))], ids=str
    )
    async def test_a_moment_of_another_zone_is_refused_in_winter_and_without_a_name(
        self, adapter: HaystackAdapter, zone: Any
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue, match="New_York"):
            await adapter.his_write("p1", [{"ts": _NOON.astimezone(zone), "val": 1.0}])

    async def test_a_moment_finer_than_a_microsecond_is_refused(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue, match="finer"):
            await adapter.his_write("p1", [{"ts": _Fine(2024, 1, 1, tzinfo=UTC), "val": 1.0}])

    async def test_numbers_and_texts_of_other_libraries_are_taken(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT, {"id": Ref("p2"), "kind": "Str"}])
        await adapter.his_write("p1", _items([_Float(1.5), _Whole.FIVE]))
        await adapter.his_write("p2", _items([_Mode.ON]))
        assert [one["val"] for one in await adapter.his_read("p1")] == [
            Number(1.5, "°C"), Number(5, "°C"),
        ]  # fmt: skip
        assert [one["val"] for one in await adapter.his_read("p2")] == ["on"]

    async def test_a_point_named_twice_in_one_write_is_refused(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue, match="twice"):
            await adapter.his_write_many({"p1": _items([1.0]), Ref("p1"): _items([2.0, 3.0])})
        assert await adapter.his_read("p1") == []

    async def test_items_may_be_gone_through_once_only(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", iter(_items([1.0, 2.0])))
        assert [one["val"].val for one in await adapter.his_read("p1")] == [1.0, 2.0]

    async def test_columns_take_the_name_that_the_point_has_for_a_unit(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", Samples(array("q", [1]), array("d", [1.0]), "celsius"))
        assert (await adapter.his_columns("p1")).unit == "°C"

    async def test_columns_may_be_lists_and_of_singles(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.his_write("p1", Samples([5, 6], [1.0, 2]))  # type: ignore[arg-type]
        await adapter.his_write("p1", Samples(array("q", [7]), array("f", [0.5])))
        read = await adapter.his_columns("p1")
        assert (list(read.ts), list(read.vals), read.unit) == ([5, 6, 7], [1.0, 2.0, 0.5], "°C")

    async def test_a_point_whose_unit_is_none_is_read_and_not_written(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([{**_POINT, "unit": "m 3"}])
        with pytest.raises(InvalidValue, match="m 3"):
            await adapter.his_write("p1", _items([1.0]))
        assert await adapter.his_read("p1", "2024-01-01") == []

    @pytest.mark.parametrize("size", [0, -1, 1.5, None])
    async def test_a_page_without_samples_is_refused(
        self, adapter: HaystackAdapter, size: Any
    ) -> None:
        await adapter.load([_POINT])
        with pytest.raises(InvalidValue):
            await anext(adapter.his_pages("p1", size=size))

    # Priority arrays.

    async def test_what_is_commanded_goes_with_its_point(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.point_write("p1", 10, 1.0, "me")
        await adapter.point_write("p1", 8, 2.0, "me", timedelta(seconds=0.1))
        await adapter.delete("p1")
        await adapter.create({**_POINT, "writeVal": Number(5, "°C")})
        await asyncio.sleep(0.11)
        assert all(row["val"] is None for row in await adapter.point_array("p1"))
        (found,) = await adapter.read("point")
        assert found["writeVal"] == Number(5, "°C")

    async def test_what_is_commanded_stays_in_effect_when_its_point_is_loaded_again(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_POINT])
        await adapter.point_write("p1", 10, 1.5)
        await adapter.load([{**_POINT, "writeVal": Number(9)}, {**_POINT, "dis": "anew"}])
        (found,) = await adapter.read("writeLevel==10")
        assert (found["dis"], found["writeVal"]) == ("anew", Number(1.5, "°C"))
        assert (await adapter.point_array("p1"))[9]["val"] == Number(1.5, "°C")

    async def test_nobody_need_be_named_for_a_command(self, adapter: HaystackAdapter) -> None:
        await adapter.load([_POINT])
        await adapter.point_write("p1", 8, 1.0, None)
        assert (await adapter.point_array("p1"))[7]["who"] is None

    async def test_a_crowd_commands_and_watches_at_the_same_time(
        self, adapter: HaystackAdapter
    ) -> None:
        ids = [f"c{at}" for at in range(30)]
        await adapter.load([{**_POINT, "id": Ref(of)} for of in ids])
        others = [self.another() for _ in range(3)]
        await asyncio.gather(
            *(
                others[at % 3].point_write(of, 8, 1.0, "me", Number(5, "min"))
                for at, of in enumerate(ids)
            ),
            *(others[at % 3].watch_sub(f"w{at}", [of]) for at, of in enumerate(ids)),
        )
        assert len(await adapter.read("writeLevel==8")) == len(ids)
        assert (await adapter.stores[0].get([])).state.due is not None

    # The tree.

    async def test_the_tree_shows_what_is_due_taken_back(self, adapter: HaystackAdapter) -> None:
        site = {"id": Ref("s1"), "site": MARKER}
        await adapter.load([site, {**_POINT, "siteRef": Ref("s1")}])
        await adapter.point_write("p1", 8, 1.0, "me", 0.05)
        await asyncio.sleep(0.06)
        (row,) = await adapter.nav("s1")
        assert "writeVal" not in row


class _Float(float):
    """A number of another library."""


class _Whole(enum.IntEnum):
    FIVE = 5


class _Mode(enum.StrEnum):
    ON = "on"


class _Fine(datetime):
    nanosecond = 1


async def _later() -> AsyncIterator[dict[str, Any]]:
    yield {"ts": _NOON, "val": 1.0}


def _items(values: list[Any]) -> list[dict[str, Any]]:
    return [{"ts": _NOON + timedelta(hours=at), "val": value} for at, value in enumerate(values)]
