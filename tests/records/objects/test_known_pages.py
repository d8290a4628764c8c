"""Pages of a listing that have not changed since the one before: neither told nor read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from holdall.core.reference import Reference
from holdall.objects.backends import memory
from holdall.objects.layers.layer import Layer
from holdall.objects.results import ObjectMeta, Page
from holdall.records.backends.objects.ranges import Part, Seen, are_even, parts_of
from holdall.records.query import Query
from holdall.records.record import Record
from records.objects.places import FAR_PAGE

if TYPE_CHECKING:
    from holdall.objects.layers.layer import Call, Send
    from records.objects.places import Place

_ALL = Query().filter("half", ">=", 0)
_BASE = Reference.parse("memory://x")


class Watched(Layer):
    """Notes the pages of listings that were told, and how many were left out."""

    settings_type = memory.MemorySettings
    told: list[Page]
    left_out = 0

    async def around(self, call: Call[Any], send: Send[Any]) -> Any:
        answer = await send(call)
        if call.operation == "list" and call.args[1].delimiter:
            if answer.same:
                self.left_out += 1
            else:
                self.told.append(answer)
        return answer


class Untold(Watched):
    """Tells no digest of pages that begin with a `b`, as where a key cannot be told apart."""

    async def around(self, call: Call[Any], send: Send[Any]) -> Any:
        answer = await super().around(call, send)
        if call.operation == "list" and answer.objects and answer.objects[0].key[0] == "b":
            return structs.replace(answer, digest=b"")
        return answer


class Searches:
    """A process whose listings are watched."""

    def __init__(self, place: Place, kind: type[Watched] = Watched) -> None:
        self._place = place
        self._kind = kind
        self._watched: list[Watched] = []
        self.db = place.open(around=self._around).db
        self.search()
        self.search()

    def _around(self, store: Any) -> Watched:
        self._watched.append(self._kind(store))
        return self._watched[-1]

    def search(self) -> tuple[int, int]:
        """Search; answer how many pages were told and left out."""
        (watched,) = self._watched
        watched.told, watched.left_out = [], 0
        found = {one.id: one.fields for one in self.db.search(_ALL)}
        other = self._place.open(snapshot=False).db
        assert found == {one.id: one.fields for one in other.search(_ALL)}
        return len(watched.told), watched.left_out


def test_pages_that_have_not_changed_are_left_out(place: Place, far: None) -> None:
    place.fill(200)
    assert Searches(place).search() == (0, 67)


def test_only_the_page_of_what_was_overwritten_is_told(place: Place, far: None) -> None:
    place.fill(200)
    searches = Searches(place)
    place.open().db.update("0100", Record({"half": 5}))
    assert searches.search() == (1, 66)
    assert searches.search() == (0, 67)


@pytest.mark.parametrize("ids", [["0100"], ["0000"], ["0199"], ["0033", "0034", "0035"]])
def test_only_the_range_of_what_was_deleted_is_told(
    place: Place, far: None, ids: list[str]
) -> None:
    place.fill(200)
    searches = Searches(place)
    place.open().db.batch_delete(ids)
    told, left_out = searches.search()
    assert (1 <= told <= 7, left_out >= 60) == (True, True)
    assert searches.search()[0] == 0


@pytest.mark.parametrize("id_", ["0100+", "+", "~"])
def test_only_the_range_of_what_was_created_is_told(place: Place, far: None, id_: str) -> None:
    place.fill(200)
    searches = Searches(place)
    place.open().db.create(Record({"half": 2}, id=id_))
    told, left_out = searches.search()
    assert (1 <= told <= 7, left_out >= 60) == (True, True)
    assert searches.search()[0] == 0


def test_what_is_written_back_is_told_again(place: Place, far: None) -> None:
    place.fill(90)
    searches, writer = Searches(place), place.open().db
    for half in (3, 4, 3):
        writer.update("0050", Record({"half": half}))
        assert searches.search() == (1, 29)
    writer.clear()
    assert searches.search()[1] == 0
    place.fill(90)
    assert searches.search()[1] == 0


def test_ranges_that_grew_apart_are_chosen_anew(place: Place, far: None) -> None:
    place.fill(100)
    searches = Searches(place)
    place.open().db.batch_create([Record({"half": 2}, id=f"0050{at:03}") for at in range(100)])
    told, _ = searches.search()
    assert told > 30
    searches.search()
    # Where they begin now, pages end where they ended before.
    assert searches.search()[0] == 0


def test_what_was_deleted_of_pages_that_are_not_told_apart_is_gone(place: Place, far: None) -> None:
    ids = [f"{letter}{at}" for letter in "abc" for at in range(FAR_PAGE)]
    place.open().db.batch_create([Record({"half": 2}, id=id_) for id_ in ids])
    searches = Searches(place, Untold)
    assert searches.search() == (1, 2)
    place.open().db.batch_delete(ids[FAR_PAGE : 2 * FAR_PAGE])
    searches.search()
    assert searches.search() == (0, 2)


def test_few_records_are_left_out_too(place: Place) -> None:
    place.fill(20)
    assert Searches(place).search() == (0, 1)


# Parts


def _pages(keys: list[str], part: Part) -> list[Seen]:
    """List keys as a store does that tells digests."""
    behind = [key for key in keys if key > part.after]
    for at in range(0, max(len(behind), 1), FAR_PAGE):
        some = behind[at : at + FAR_PAGE]
        digest = "\0".join(some).encode()
        same = bool(some) and digest in part.known
        metas = () if same else tuple(ObjectMeta(_BASE, key, 1, 0, f"e{key}") for key in some)
        if part.add(Page(metas, digest=digest, same=same)):
            break
    return part.pages


_KEYS = st.lists(st.sampled_from("abcdefghijklmnop").map("{}.json".format) | st.just("k"))
_BOUNDS = st.lists(st.sampled_from("abcdefghijklmnop").map("{}.json".format), max_size=4)


@given(_KEYS, _BOUNDS, _KEYS, _BOUNDS)
@example(["a.json", "c.json"], ["b.json"], ["a.json", "c.json"], [])
@example(["a.json", "c.json"], ["b.json"], ["a.json", "c.json"], ["c.json"])
@example(["a.json", "c.json"], [], ["a.json", "c.json"], ["b.json"])
def test_what_is_left_out_is_what_would_have_been_told(
    before: list[str], bounds_before: list[str], now: list[str], bounds: list[str]
) -> None:
    old, new = sorted(set(before)), sorted(set(now))
    former = [
        page for part in parts_of("", sorted(set(bounds_before))) for page in _pages(old, part)
    ]
    places = sorted(set(bounds))
    for part, plain in zip(parts_of("", places, former), parts_of("", places), strict=True):
        found, told = _pages(new, part), _pages(new, plain)
        assert [structs.asdict(one) for one in found] == [structs.asdict(one) for one in told]


def test_ranges_are_even_unless_one_is_much_longer() -> None:
    def parts(*lengths: int) -> list[Part]:
        made = [Part("") for _ in lengths]
        for part, length in zip(made, lengths, strict=True):
            part.pages = [Seen([], [], "", [], 0, False, b"")] * length
        return made

    assert are_even(parts(*[10] * 16))
    assert are_even(parts(*[10] * 15, 15))
    assert not are_even(parts(*[10] * 15, 17))
    assert not are_even(parts(*[10] * 15))
