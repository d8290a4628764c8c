"""Operations over the WebSocket: requests, batches, and what is none of them."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from holdall.haystack import Grid, Number, Ref
from holdall.server import ServerConfig
from holdall.server.live.asked import requests_of
from server.asking import Asking
from server.conftest import Serve
from server.talking import Talking, bearer, decoded, request, sub, talking, users_of_three
from server.test_plain_adapters import Ten

READ = Grid([{"filter": "site"}])


@pytest.fixture
def talk(ask: Asking) -> Iterator[Talking]:
    """A client of a server of the sample building, which has no accounts."""
    with talking(ask) as talk:
        yield talk


def wrong(talk: Talking, message: Any) -> str:
    """What the error says that a message is answered with."""
    talk.say(message)
    grid = decoded(talk.hear()["grid"])
    assert grid.is_error
    return str(grid.meta["dis"])


def test_an_operation_answers_what_it_answers_over_http(talk: Talking, ask: Asking) -> None:
    assert talk.grid("read", READ) == ask.grid("read", READ)


def test_an_operation_needs_no_grid(talk: Talking) -> None:
    assert talk.grid("about")[0]["productName"] == "Holdall"


def test_the_prefix_has_the_websocket_too(ask: Asking) -> None:
    with talking(ask, "/api/ws") as talk:
        assert not talk.grid("about").is_error


@pytest.mark.parametrize("id_", [7, "seven", -1, 2**80, None])
def test_an_answer_has_the_id_of_its_request(talk: Talking, id_: Any) -> None:
    talk.say({"id": id_, "op": "about"})
    assert talk.hear()["id"] == id_


def test_a_batch_is_answered_in_its_order(talk: Talking) -> None:
    talk.say([request("read", READ, 2), {"id": 1, "op": "about"}, {"id": 3, "op": "nope"}])
    assert [one["id"] for one in talk.hear()] == [2, 1, 3]


def test_what_is_wrong_in_a_batch_leaves_the_others(talk: Talking) -> None:
    talk.say([{"id": 1, "op": "nope"}, {"id": 2, "op": "about"}])
    assert [decoded(one["grid"]).is_error for one in talk.hear()] == [True, False]


def test_a_write_in_a_batch_is_seen_by_the_next_request(talk: Talking) -> None:
    write = Grid([{"id": Ref("p1"), "level": Number(10), "val": Number(20, "°C")}])
    talk.say([request("pointWrite", write), request("read", Grid([{"filter": "writeLevel"}]))])
    assert decoded(talk.hear()[1]["grid"])[0]["id"] == Ref("p1")


def test_an_error_is_an_error_grid(talk: Talking) -> None:
    assert "column 9" in wrong(talk, request("read", Grid([{"filter": "site and"}])))


def test_an_operation_that_is_none_is_named(talk: Talking) -> None:
    assert wrong(talk, {"id": 1, "op": "nope"}) == "'nope' is no operation of this server"


def test_load_is_asked_over_http(talk: Talking) -> None:
    assert wrong(talk, {"id": 1, "op": "load"}) == "'load' is asked over HTTP"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{", "truncated"),
        ("", "truncated"),
        ("7", "Expected `object`"),
        ("NaN", "invalid character"),
        ("[]", "the batch has 0 requests"),
        ("[7]", "Expected `object`"),
        ("[" * 100_000, "neither a request nor"),
        ('{"id":"\\ud800","op":"about"}', "malformed"),
        ('{"id":1.5,"op":"about"}', "whole number"),
        ('{"id":true,"op":"about"}', "whole number"),
        ('{"id":"' + "x" * 200 + '","op":"about"}', "at most 128"),
        ('{"id":1}', "has an 'op'"),
        ('{"id":1,"op":7}', "has an 'op'"),
        ('{"id":1,"op":"about","grids":{}}', "no 'grids'"),
        ('{"id":1,"op":"read","grid":7}', "expected a grid"),
        ('{"id":1,"op":"read","grid":{"_kind":"grid","rows":7}}', "expected the rows"),
    ],
)
def test_what_is_no_request_is_told_so_and_ends_nothing(
    talk: Talking, message: str, said: str
) -> None:
    assert said in wrong(talk, message)
    assert not talk.grid("about").is_error


def test_a_grid_that_is_nested_without_end_is_refused(talk: Talking) -> None:
    answer = wrong(talk, '{"id":1,"op":"read","grid":' + "[" * 100_000 + "]" * 100_000 + "}")
    # The JSON library's own limit comes before ours, but for the deeper stack of newer Pythons.
    assert ("recursion" if sys.version_info < (3, 14) else "deeper in one another") in answer
    assert not talk.grid("about").is_error


def test_a_batch_has_at_most_a_thousand_requests(talk: Talking) -> None:
    assert "takes 1 to 1,000" in wrong(talk, [{"op": "about"}] * 1001)


def test_a_grid_deeper_than_allowed_is_refused(serve: Serve) -> None:
    deep = '{"id":1,"op":"read","grid":{"_kind":"grid","rows":[{"filter":[[["x"]]]}]}}'
    with talking(serve(config=ServerConfig(max_depth=2))) as talk:
        assert "deep" in wrong(talk, deep)


def test_a_binary_message_ends_the_connection(talk: Talking) -> None:
    talk.client.send(b'{"op":"about"}')
    with pytest.raises(ConnectionClosedError) as caught:
        talk.hear()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1003


def test_a_message_larger_than_allowed_ends_the_connection(serve: Serve) -> None:
    with talking(serve(config=ServerConfig(max_message=1000))) as talk:
        talk.say({"op": "about", "id": "x" * 1000})
        with pytest.raises(ConnectionClosedError) as caught:
            talk.hear()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_an_answer_larger_than_allowed_is_an_error(serve: Serve) -> None:
    with talking(serve(config=ServerConfig(max_message=1000))) as talk:
        assert "max_message" in wrong(talk, {"op": "defs"})


def test_answers_of_a_batch_are_bounded_together(serve: Serve) -> None:
    with talking(serve(config=ServerConfig(max_message=1000))) as talk:
        talk.say([{"op": "about"}] * 5)
        assert [decoded(one["grid"]).is_error for one in talk.hear()] == [False] + [True] * 4


def test_many_requests_at_once_are_all_answered(talk: Talking) -> None:
    for id_ in range(100):
        talk.say({"id": id_, "op": "about"})
    assert sorted(talk.hear()["id"] for _ in range(100)) == list(range(100))


def test_a_long_history_is_written_and_read(talk: Talking) -> None:
    start = datetime(2024, 1, 1, 12, tzinfo=UTC)
    rows = [{"ts": start + timedelta(seconds=n), "val": Number(n)} for n in range(3000)]
    assert not talk.grid("hisWrite", Grid(rows, meta={"id": Ref("p2")})).is_error
    assert len(talk.grid("hisRead", Grid([{"id": Ref("p2"), "range": "2024-01-01"}]))) == 3000


def test_roles_are_those_of_http(serve: Serve) -> None:
    accounts, keys = users_of_three()
    write = request("pointWrite", Grid([{"id": Ref("p1"), "level": Number(10)}]))
    with talking(serve(users=accounts), **bearer(keys["viewer"])) as talk:
        assert "is a viewer" in wrong(talk, write)
        assert "the role viewer" in wrong(talk, request("hisWrite", sub("p1")))


def test_an_operator_writes(serve: Serve) -> None:
    accounts, keys = users_of_three()
    write = Grid([{"id": Ref("p1"), "level": Number(10), "val": Number(1, "°C")}])
    with talking(serve(users=accounts), **bearer(keys["operator"])) as talk:
        assert not talk.grid("pointWrite", write).is_error


def test_a_client_without_a_token_is_refused_by_status(serve: Serve) -> None:
    accounts, _ = users_of_three()
    with pytest.raises(InvalidStatus) as caught, talking(serve(users=accounts)):
        pass
    assert caught.value.response.status_code == 401


def test_a_wrong_token_is_refused_by_status(serve: Serve) -> None:
    accounts, _ = users_of_three()
    with pytest.raises(InvalidStatus) as caught, talking(serve(users=accounts), **bearer("x")):
        pass
    assert caught.value.response.status_code == 401


def test_a_page_of_another_server_is_refused(ask: Asking) -> None:
    with pytest.raises(InvalidStatus) as caught, talking(ask, origin="https://evil.example"):
        pass
    assert caught.value.response.status_code == 403


def test_a_browser_sends_its_token_as_a_subprotocol(serve: Serve) -> None:
    accounts, keys = users_of_three()
    offered = ["holdall", f"holdall.bearer.{keys['viewer']}"]
    with talking(serve(users=accounts), subprotocols=offered) as talk:
        assert talk.client.subprotocol == "holdall"


def test_a_wrong_token_as_a_subprotocol_is_refused(serve: Serve) -> None:
    accounts, _ = users_of_three()
    offered = ["holdall", "holdall.bearer.x"]
    with (
        pytest.raises(InvalidStatus) as caught,
        talking(serve(users=accounts), subprotocols=offered),
    ):
        pass
    assert caught.value.response.status_code == 401


def test_connections_of_an_account_are_bounded(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_user_connections=1))
    with (
        talking(ask),
        pytest.raises(InvalidStatus) as caught,
        talking(ask),
    ):
        pass
    assert caught.value.response.status_code == 429


def test_connections_in_all_are_bounded(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_connections=1))
    with (
        talking(ask),
        pytest.raises(InvalidStatus) as caught,
        talking(ask),
    ):
        pass
    assert caught.value.response.status_code == 503


def test_a_connection_that_went_makes_room(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_connections=1))
    with talking(ask) as talk:
        talk.watch("p1")
    for _ in range(1000):
        try:
            with talking(ask) as talk:
                assert not talk.grid("about").is_error
                return
        except InvalidStatus:
            continue
    pytest.fail("there is no room")


def test_watches_of_an_account_are_bounded(serve: Serve) -> None:
    with talking(serve(config=ServerConfig(max_watches=1))) as talk:
        talk.watch("p1")
        assert "max_watches" in str(talk.grid("watchSub", sub("p2")).meta["dis"])


def test_a_watch_that_was_closed_makes_room(serve: Serve) -> None:
    with talking(serve(config=ServerConfig(max_watches=1))) as talk:
        watch = talk.watch("p1")
        talk.grid("watchUnsub", sub(watchId=watch, close=True))
        talk.watch("p2")


def test_a_request_without_an_upgrade_is_told_so(ask: Asking) -> None:
    assert ask.client.get("/ws").status_code == 426


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text('[]{}",:idop0 '))
def test_any_text_is_requests_or_told_to_be_none(text: str) -> None:
    assert requests_of(text)[0]


def test_a_watch_of_an_adapter_that_fails_is_not_the_end_of_others(serve: Serve) -> None:
    class Failing(Ten):
        async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
            if "s1" in self.watches[watch_id]:
                raise RuntimeError("no idea")
            return [self.entities[of] for of in self.watches[watch_id]]

    with talking(serve(Failing(), config=ServerConfig(push_interval=0.02))) as talk:
        talk.watch("s1")
        watch = talk.watch("p1")
        assert talk.push()[0] == watch
