"""The conformance suite of the contract `EntityStore`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed
from holdall.haystack.adapter.taking import adopted
from holdall.haystack.adopting import same
from holdall.haystack.filter import compiled, parse_filter
from holdall.haystack.kinds import MARKER, REMOVE, Number, Ref
from holdall.haystack.stores.entities import (
    Add,
    Change,
    Delete,
    EntityStore,
    Note,
    Put,
    Update,
)
from holdall.testing.facts import BothFaces
from holdall.testing.haystack.samples import BUILDING, FILTERS, VALUES, nameless_zone

_ALL = parse_filter("id")


class EntityStoreSuite(BothFaces[EntityStore]):
    """What holds for every store of entities.

    A backend's test file is a subclass whose name starts with `Test`, with one fixture,
    `make_store`: a function that takes a runtime and answers the store. Each test gets a fresh
    place, and every call within a test opens that same place:

        class TestMine(EntityStoreSuite):
            @pytest.fixture
            def make_store(self, tmp_path):
                return lambda runtime: MyEntities(MySettings(path=str(tmp_path / "db")), runtime)

    Every fact runs with a blocking runtime and on a loop. `large` says how many entities a large
    batch has.
    """

    large = 2_000

    def face(self, store: Any) -> EntityStore:
        """The store itself."""
        assert isinstance(store, EntityStore)
        return store

    # Entities.

    async def test_what_was_added_is_got(self, store: EntityStore) -> None:
        await store.connect()
        number = await store.commit([Add(_entity("a", dis="A")), Add(_entity("b"))])
        other = self.another()
        await other.connect()
        got = await other.get(["b", "gone", "a", "b"])
        assert [one and one.entity["id"] for one in got.entities] == [
            Ref("b"), None, Ref("a"), Ref("b"),
        ]  # fmt: skip
        assert [one and one.version for one in got.entities] == [number, None, number, number]
        assert got.state.number == number

    async def test_values_come_back_as_they_were(self, store: EntityStore) -> None:
        await store.connect()
        for name, value in VALUES.items():
            await store.commit([Add(_entity(name, value=value))])
        other = self.another()
        await other.connect()
        got = await other.get(list(VALUES))
        for (name, value), stored in zip(VALUES.items(), got.entities, strict=True):
            assert stored is not None
            assert same(stored.entity["value"], value), name
            assert set(stored.entity) == {"id", "value"}

    async def test_moments_of_a_zone_without_a_name_stay_those_moments(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        berlin = nameless_zone("Europe/Berlin")
        moments = {
            "winter": datetime(2024, 1, 15, 12, tzinfo=berlin),
            "summer": datetime(2024, 7, 15, 12, tzinfo=berlin),
        }
        await store.commit([Add(_entity("a", **moments))])
        other = self.another()
        await other.connect()
        (stored,) = (await other.get(["a"])).entities
        assert stored is not None
        assert stored.entity == _entity("a", **moments)

    async def test_connecting_twice_changes_nothing(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a"))])
        await store.connect()
        assert (await store.get(["a"])).entities[0] is not None

    async def test_ids_differ_by_case_and_by_every_sign(self, store: EntityStore) -> None:
        await store.connect()
        ids = ["a", "A", "a:b", "a-b", "a_b", "a.b", "a~b", "-", "0", "00", "a" * 200]
        await store.commit([Add(_entity(one, own=one)) for one in ids])
        got = await store.get(ids)
        assert [one and one.entity["own"] for one in got.entities] == ids
        assert await self._found(store, "id") == sorted(ids)

    async def test_an_id_that_is_there_is_not_added(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a", n=1))])
        with pytest.raises(AlreadyExists) as caught:
            await store.commit([Add(_entity("b")), Add(_entity("a", n=2))])
        assert caught.value.reference == "a"
        got = await store.get(["a", "b"])
        assert got.entities[0] is not None
        assert got.entities[0].entity["n"] == Number(1)
        assert got.entities[1] is None

    async def test_one_that_is_put_takes_the_place_of_the_former(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Put(_entity("a", old=1, n=1))])
        await store.commit([Put(_entity("a", n=2))])
        assert await self._tags(store, "a") == {"id": Ref("a"), "n": Number(2)}
        assert await self._found(store, "old") == []
        assert await self._found(store, "n==2") == ["a"]

    async def test_an_update_changes_the_tags_that_it_names(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a", keep=1, change=1, go=1))])
        tags: dict[str, Any] = {
            "change": Number(2),
            "new": MARKER,
            "go": REMOVE,
            "neverThere": REMOVE,
        }
        version = await store.commit([Update("a", tags)])
        assert await self._tags(store, "a") == {
            "id": Ref("a"), "keep": Number(1), "change": Number(2), "new": MARKER,
        }  # fmt: skip
        assert (await store.get(["a"])).entities[0].version == version  # type: ignore[union-attr]
        assert await self._found(store, "go") == []
        assert await self._found(store, "new and change==2") == ["a"]

    @pytest.mark.parametrize("change", [Update("gone", {"a": MARKER}), Delete("gone")])
    async def test_what_is_not_there_is_not_changed(
        self, store: EntityStore, change: Change
    ) -> None:
        await store.connect()
        with pytest.raises(NotFound) as caught:
            await store.commit([Add(_entity("a")), change])
        assert caught.value.reference == "gone"
        assert await self._found(store, "id") == []

    async def test_a_deleted_entity_is_gone(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a", n=1)), Add(_entity("b", n=1))])
        await store.commit([Delete("a")])
        assert (await store.get(["a"])).entities == [None]
        assert await self._found(store, "n==1") == ["b"]
        await store.commit([Add(_entity("a", m=1))])
        assert await self._found(store, "n") == ["b"]
        assert await self._found(store, "m") == ["a"]

    @pytest.mark.parametrize("kind", [Update, Delete])
    async def test_another_version_than_expected_is_refused(
        self, store: EntityStore, kind: Any
    ) -> None:
        def change(version: int) -> Change:
            if kind is Delete:
                return Delete("a", version)
            return Update("a", {"n": Number(9)}, version)

        await store.connect()
        first = await store.commit([Add(_entity("a", n=1))])
        second = await store.commit([Update("a", {"n": Number(2)})])
        with pytest.raises(PreconditionFailed) as caught:
            await store.commit([Put(_entity("b")), change(first)])
        assert caught.value.reference == "a"
        assert await self._tags(store, "a") == {"id": Ref("a"), "n": Number(2)}
        assert await self._found(store, "id") == ["a"]
        await store.commit([change(second)])

    async def test_one_commit_may_change_an_entity_again_and_again(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        await store.commit(
            [
                Add(_entity("a", n=1)),
                Update("a", {"m": Number(1)}),
                Put(_entity("b", n=1)),
                Delete("b"),
                Add(_entity("b", n=2)),
                Add(_entity("c")),
                Delete("c"),
            ]
        )
        assert await self._tags(store, "a") == {"id": Ref("a"), "n": Number(1), "m": Number(1)}
        assert await self._tags(store, "b") == {"id": Ref("b"), "n": Number(2)}
        assert await self._found(store, "id") == ["a", "b"]
        assert await self._found(store, "n==1") == ["a"]

    async def test_nothing_within_an_answer_changes_what_is_kept(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a", tags=["x", ["y"]], d={"e": [1]}))])
        stored = (await store.get(["a"])).entities[0]
        page = await store.find(_ALL, limit=1)
        changes = await store.changes(0, limit=1)
        answered: Any
        for answered in (
            stored and stored.entity,
            page.entities[0].entity,
            changes.changed[0].entity,
        ):
            with suppress(TypeError, AttributeError):
                answered["tags"][1].append("z")
            with suppress(TypeError, AttributeError):
                answered["d"]["e"].clear()
            with suppress(TypeError, AttributeError):
                answered["n"] = Number(1)
        assert await self._tags(store, "a") == _entity("a", tags=["x", ["y"]], d={"e": [1]})

    async def test_numbers_of_commits_go_up_by_one(self, store: EntityStore) -> None:
        await store.connect()
        before = (await store.get([])).state.number
        numbers = [await store.commit([Put(_entity("a"))]) for _ in range(3)]
        assert numbers == [before + 1, before + 2, before + 3]
        assert await store.commit([]) == before + 3
        with pytest.raises(NotFound):
            await store.commit([Delete("gone")])
        assert (await store.get([])).state.number == before + 3

    async def test_a_batch_may_be_large(self, store: EntityStore) -> None:
        await store.connect()
        ids = [f"e{number:06}" for number in range(self.large)]
        await store.commit([Add(_entity(one, n=at)) for at, one in enumerate(ids)])
        got = await store.get(ids)
        assert all(one is not None for one in got.entities)
        assert await self._found(store, "id") == ids
        await store.commit([Delete(one) for one in ids])
        assert await self._found(store, "id") == []

    async def test_writers_who_expect_a_version_lose_no_count(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Add(_entity("a", n=0))])

        async def count(times: int) -> None:
            mine = self.another()
            await mine.connect()
            while times:
                stored = (await mine.get(["a"])).entities[0]
                assert stored is not None
                n = stored.entity["n"]
                assert isinstance(n, Number)
                try:
                    await mine.commit([Update("a", {"n": Number(n.val + 1)}, stored.version)])
                except PreconditionFailed:
                    continue
                times -= 1

        await self.together([lambda: count(10)] * 4)
        assert await self._tags(store, "a") == {"id": Ref("a"), "n": Number(40)}

    # Notes.

    async def test_a_note_is_kept_beside_the_entities(self, store: EntityStore) -> None:
        await store.connect()
        number = await store.commit([Note("a/b c", b"\x00\xffbytes"), Add(_entity("e"))])
        got = await store.get(["e"], ["a/b c", "gone"])
        note = got.notes[0]
        assert note is not None
        assert (note.value, note.version) == (b"\x00\xffbytes", number)
        assert got.notes[1] is None
        assert await self._found(store, "id") == ["e"]
        await store.commit([Note("a/b c", None)])
        assert (await store.get([], ["a/b c"])).notes == [None]

    async def test_a_note_of_another_version_is_not_written(self, store: EntityStore) -> None:
        await store.connect()
        first = await store.commit([Note("n", b"1", 0)])
        with pytest.raises(PreconditionFailed):
            await store.commit([Note("n", b"2", 0)])
        await store.commit([Note("n", b"2", first)])
        with pytest.raises(PreconditionFailed) as caught:
            await store.commit([Put(_entity("a")), Note("n", None, first)])
        assert caught.value.reference == "n"
        got = await store.get(["a"], ["n"])
        assert got.entities == [None]
        assert got.notes[0] is not None
        assert got.notes[0].value == b"2"

    async def test_what_is_due_is_announced(self, store: EntityStore) -> None:
        await store.connect()
        assert (await store.get([])).state.due is None
        await store.commit([Put(_entity("a"))], due=17)
        assert (await store.find(_ALL, limit=1)).state.due == 17
        await store.commit([Put(_entity("a"))])
        assert (await store.changes(0, limit=1)).state.due == 17
        await store.commit([Put(_entity("a"))], due=0)
        assert (await store.get([])).state.due is None

    # Finding.

    async def test_a_filter_means_what_python_says(self, store: EntityStore) -> None:
        await store.connect()
        entities = [adopted(one) for one in BUILDING]
        await store.commit([Put(one) for one in entities])
        by_id = {_id(one): one for one in entities}
        wrong = []
        for text in FILTERS:
            node = parse_filter(text)
            meant = compiled(node, by_id.get)
            expected = sorted(of for of, one in by_id.items() if meant(one))
            found = await self._found(store, text)
            if found != expected:
                wrong.append((text, found, expected))
        assert wrong == []

    async def test_what_is_found_is_in_the_order_of_ids_and_in_pages(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        ids = ["b", "B", "a", "a-1", "a.1", "a:1", "a_1", "a~1", "aa", "0", "10", "9"]
        await store.commit([Put(_entity(one, n=1)) for one in ids])
        pages, after, more = [], None, True
        while more:
            page = await store.find(parse_filter("n==1"), limit=5, after=after)
            pages.append([_id(one.entity) for one in page.entities])
            after, more = pages[-1][-1], page.more
        assert pages == [sorted(ids)[:5], sorted(ids)[5:10], sorted(ids)[10:]]

    async def test_a_page_that_is_just_full_has_none_after_it(self, store: EntityStore) -> None:
        await store.connect()
        await store.commit([Put(_entity(one)) for one in "abc"])
        assert not (await store.find(_ALL, limit=3)).more
        assert (await store.find(_ALL, limit=2)).more
        assert (await store.find(_ALL, limit=3, after="c")).entities == []

    async def test_a_filter_finds_what_was_written_since_it_was_asked(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        await store.commit([Put(_entity("a", n=1, siteRef=Ref("s"))), Put(_entity("s", area=1))])
        assert await self._found(store, "n > 2") == []
        assert await self._found(store, "siteRef->area > 2") == []
        other = self.another()
        await other.connect()
        await other.commit([Update("a", {"n": Number(3)}), Update("s", {"area": Number(3)})])
        assert await self._found(store, "n > 2") == ["a"]
        assert await self._found(store, "siteRef->area > 2") == ["a"]

    async def test_a_number_may_be_beyond_floats(self, store: EntityStore) -> None:
        await store.connect()
        large = 10**400
        await store.commit([Add(_entity("a", n=large)), Add(_entity("b", n=1))])
        assert await self._found(store, f"n >= {large}") == ["a"]
        assert await self._found(store, f"n < {large}") == ["b"]
        assert await self._found(store, f"n=={large}") == ["a"]

    async def test_ids_that_go_and_come_again_stay_in_order(self, store: EntityStore) -> None:
        await store.connect()
        ids = [f"e{at:03}" for at in range(500)]
        await store.commit([Add(_entity(one, n=1)) for one in ids])
        await store.commit([Add(_entity("a", n=1))])
        assert await self._found(store, "n") == ["a", *ids]
        await store.commit([Delete(one) for one in ids[:400]])
        await store.commit([Add(_entity(one, m=1)) for one in [*ids[100:200], "b"]])
        assert await self._found(store, "id") == ["a", "b", *ids[100:200], *ids[400:]]
        await store.commit([Delete("b"), Delete(ids[150]), Delete(ids[450])])
        await store.commit([Add(_entity(ids[450], n=1)), Add(_entity("c"))])
        assert await self._found(store, "id") == [
            "a", "c", *ids[100:150], *ids[151:200], *ids[400:],
        ]  # fmt: skip

    # Changes.

    async def test_changes_are_told_in_the_order_of_commits(self, store: EntityStore) -> None:
        await store.connect()
        start = await store.commit([Add(_entity("old"))])
        await store.commit([Add(_entity("a", n=1)), Add(_entity("b"))])
        await store.commit([Update("a", {"n": Number(2)}), Note("n", b"")])
        last = await store.commit([Delete("b")])
        changes = await store.changes(start, limit=100)
        assert changes.known
        assert changes.upto == last
        assert [(one.id, one.version) for one in changes.changed] == [
            ("a", start + 2), ("b", start + 3),
        ]  # fmt: skip
        assert changes.changed[0].entity == {"id": Ref("a"), "n": Number(2)}
        assert changes.changed[1].entity is None
        assert not (await store.changes(last, limit=100)).changed

    async def test_a_removal_stays_told_when_a_commit_adds_and_deletes_again(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        start = await store.commit([Add(_entity("a"))])
        await store.commit([Delete("a")])
        await store.commit([Add(_entity("a")), Delete("a"), Add(_entity("b"))])
        changes = await store.changes(start, limit=100)
        assert [(one.id, one.entity is None) for one in changes.changed] == [
            ("a", True), ("b", False),
        ]  # fmt: skip

    async def test_a_removal_is_told_no_more_when_the_entity_is_there_again(
        self, store: EntityStore
    ) -> None:
        await store.connect()
        start = await store.commit([Add(_entity("a"))])
        await store.commit([Delete("a")])
        last = await store.commit([Put(_entity("a", n=1))])
        changes = await store.changes(start, limit=100)
        assert [(one.id, one.version) for one in changes.changed] == [("a", last)]
        assert changes.changed[0].entity == _entity("a", n=1)

    async def test_changes_come_in_pages_of_whole_commits(self, store: EntityStore) -> None:
        await store.connect()
        start = (await store.get([])).state.number
        for number in range(4):
            await store.commit([Add(_entity(f"{number}{one}")) for one in "abc"])
        since, told = start, []
        while True:
            page = await store.changes(since, limit=4)
            told.append([one.id for one in page.changed])
            since = page.upto
            if since == page.state.number:
                break
        flat = [one for page in told for one in page]
        assert flat == [f"{number}{one}" for number in range(4) for one in "abc"]
        assert all(len(page) % 3 == 0 for page in told)
        assert len(told) > 1

    async def test_a_number_that_is_not_known_is_said_to_be_so(self, store: EntityStore) -> None:
        await store.connect()
        number = await store.commit([Add(_entity("a"))])
        changes = await store.changes(number + 5, limit=10)
        assert not changes.known
        assert not changes.changed

    async def test_two_that_are_opened_tell_of_one_epoch(self, store: EntityStore) -> None:
        await store.connect()
        other = self.another()
        await other.connect()
        assert (await store.get([])).state.epoch == (await other.get([])).state.epoch

    async def _found(self, store: EntityStore, text: str) -> list[str]:
        found = await store.find(parse_filter(text), limit=100_000)
        assert not found.more
        return [_id(one.entity) for one in found.entities]

    async def _tags(self, store: EntityStore, of: str) -> dict[str, Any]:
        stored = (await store.get([of])).entities[0]
        assert stored is not None
        return dict(stored.entity)


def _entity(of: str, **tags: Any) -> dict[str, Any]:
    return adopted({"id": Ref(of), **tags})


def _id(entity: Any) -> str:
    return str(entity["id"].val)
