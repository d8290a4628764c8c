"""`load`: entities in any format, with a summary of what was refused."""

import json
from typing import Any

import pytest

from holdall.core.errors import InvalidValue, Unavailable
from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.codecs.csv_text import CSV
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.trio import TRIO
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig
from server.asking import Asking, grid_of
from server.conftest import Serve

TWO = Grid([{"id": Ref("n1"), "new": MARKER}, {"id": Ref("n2"), "new": MARKER, "n": Number(1)}])


def found(ask: Asking) -> list[str]:
    return [str(row["id"]) for row in ask.grid("read?filter=new")]


@pytest.mark.parametrize("codec", [ZINC, HAYSON, JSON3, TRIO, CSV], ids=repr)
def test_entities_of_any_format_are_kept(ask: Asking, codec: Any) -> None:
    done = grid_of(ask.post("load", codec.encode(TWO), content_type=codec.media_type))
    assert (done.meta["loaded"], done.meta["refused"], len(done)) == (Number(2), Number(0), 0)
    assert found(ask) == ["@n1", "@n2"]


@pytest.mark.parametrize("path", ["/load", "/api/load"])
def test_a_plain_list_of_json_is_kept(ask: Asking, path: str) -> None:
    body = [{"id": {"_kind": "ref", "val": "n1"}, "new": {"_kind": "marker"}}]
    headers = {"Content-Type": "application/json"}
    response = ask.client.post(path, content=json.dumps(body), headers=headers)
    assert grid_of(response).meta["loaded"] == Number(1)
    assert found(ask) == ["@n1"]


def test_an_entity_takes_the_place_of_the_one_of_its_id(ask: Asking) -> None:
    ask.post("load", TWO)
    ask.post("load", Grid([{"id": Ref("n2"), "other": MARKER}]))
    assert found(ask) == ["@n1"]


def test_what_is_refused_is_told_with_its_place_and_keeps_nothing_else_out(ask: Asking) -> None:
    rows: list[dict[str, Any]] = [
        {"new": MARKER},
        {"id": Ref("n1"), "new": MARKER},
        {"id": 5, "new": MARKER},
    ]
    done = grid_of(ask.post("load", Grid(rows)))
    assert (done.meta["loaded"], done.meta["refused"]) == (Number(1), Number(2))
    assert done.column("row") == [Number(0), Number(2)]
    assert "an id is a Ref" in str(done[0]["dis"])
    assert found(ask) == ["@n1"]


def test_an_entity_that_the_store_refuses_is_told_by_its_id(serve: Serve) -> None:
    class Picky(InMemoryAdapter):
        pass

    adapter = Picky()
    commit = adapter.stores[0].commit

    async def picking(changes: Any, **keywords: Any) -> int:
        if any(getattr(one, "entity", {}).get("n") for one in changes):
            raise InvalidValue("no n here")
        return await commit(changes, **keywords)

    adapter.stores[0].commit = picking  # type: ignore[method-assign]
    done = grid_of(serve(adapter).post("load", TWO))
    assert (done.meta["loaded"], done[0]["id"], done[0]["dis"]) == (
        Number(1),
        Ref("n2"),
        "no n here",
    )


def test_a_store_that_goes_away_says_how_many_it_kept(serve: Serve) -> None:
    adapter = InMemoryAdapter()
    commit = adapter.stores[0].commit

    async def failing(changes: Any, **keywords: Any) -> int:
        if any("n1500" in str(one) for one in changes):
            raise Unavailable("the store went away")
        return await commit(changes, **keywords)

    adapter.stores[0].commit = failing  # type: ignore[method-assign]
    ask = serve(adapter)
    many = Grid([{"id": Ref(f"n{at}"), "new": MARKER} for at in range(2000)])
    dis = str(ask.grid("load", many).meta["dis"])
    kept = len(found(ask))
    assert kept >= 1000
    assert f"went away; {kept:,} entities before that were kept" in dis


def test_more_than_a_batch_is_kept_whole(ask: Asking) -> None:
    many = Grid([{"id": Ref(f"n{at}"), "new": MARKER} for at in range(2500)])
    assert grid_of(ask.post("load", many)).meta["loaded"] == Number(2500)
    assert len(found(ask)) == 2500


def test_what_is_refused_is_listed_up_to_a_thousand(ask: Asking) -> None:
    done = grid_of(ask.post("load", Grid([{"new": MARKER}] * 1200)))
    assert (done.meta["refused"], len(done)) == (Number(1200), 1000)
    assert "incomplete" in done.meta


def test_a_body_that_is_none_keeps_nothing(ask: Asking) -> None:
    response = ask.post("load", b'ver:"3.0"\nid,new\n@n1,M\n@n2,???\n')
    assert (response.status_code, "line 4" in response.text) == (400, True)
    assert found(ask) == []


def test_a_body_that_breaks_later_says_how_many_were_kept(ask: Asking) -> None:
    rows = "".join(f"@n{at},M\n" for at in range(30_000))
    response = ask.post("load", f'ver:"3.0"\nid,new\n{rows}???\n'.encode())
    assert response.status_code == 400
    kept = len(found(ask))
    assert kept > 0
    assert f"{kept:,} entities before that were kept" in response.text


def test_a_body_beyond_the_limit_is_413(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_load=100))
    assert ask.post("load", b"x" * 101).status_code == 413
    pieces = iter([b'ver:"3.0"\nid\n', b"@x\n" * 50])
    response = ask.client.post("/load", content=pieces, headers={"Content-Type": "text/zinc"})
    assert (response.status_code, "max_load" in response.text) == (413, True)


def test_load_takes_no_get(ask: Asking) -> None:
    assert ask.get("load").status_code == 405
