"""Messages over a WebSocket that are bombs, and who opens one."""

import tracemalloc

import pytest
from websockets.exceptions import InvalidStatus

from holdall.server.live.asked import MOST_IN_BATCH, requests_of
from server.conftest import Serve
from server.objects_served import requests_told
from server.talking import bearer, talking, users_of_three

MIB = 2**20


@pytest.mark.parametrize(
    "text",
    [
        "[" + "{}," * MIB + "{}]",
        "[" + '{"op":"about"},' * MIB + "{}]",
        "{" + ",".join(f'"{n}":1' for n in range(MIB)) + "}",
        '{"id":1,' + '"op":"about",' * MIB + '"op":"about"}',
        '{"id":[' + "[]," * MIB + '[]],"op":"about"}',
        '{"op":[' + "[]," * MIB + "[]]}",
    ],
    ids=["nothings", "requests", "names", "twice", "id", "op"],
)
def test_a_message_is_no_larger_in_memory_than_it_is(text: str) -> None:
    tracemalloc.start()
    try:
        assert requests_of(text)[0]
        assert tracemalloc.get_traced_memory()[1] < 2 * len(text)
    finally:
        tracemalloc.stop()


def test_as_many_requests_as_may_be_are_read() -> None:
    found, is_batch = requests_of("[" + ",".join(['{"op":"about"}'] * MOST_IN_BATCH) + "]")
    assert (len(found), is_batch, {one.op for one in found}) == (MOST_IN_BATCH, True, {"about"})


def test_what_has_an_unknown_name_is_answered_under_its_id() -> None:
    found, is_batch = requests_of('[{"op":"about","what":1,"id":7},{"op":"about","id":8}]')
    assert ([one.id for one in found], is_batch) == ([b"7", b"8"], True)
    assert ["'what'" in one.wrong for one in found] == [True, False]


@pytest.mark.parametrize("place", ["query", "cookie"])
def test_a_token_counts_only_where_no_page_of_others_can_send_it(serve: Serve, place: str) -> None:
    accounts, keys = users_of_three()
    ask, token = serve(users=accounts), f"authToken={keys['admin']}"
    path = f"/ws?{token}" if place == "query" else "/ws"
    headers = {"Origin": "http://elsewhere.test", "Cookie": token}
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert ask.client.get(path, headers=headers | upgrade).status_code == 401


def test_the_header_counts_and_not_the_token_beside_it(serve: Serve) -> None:
    accounts, keys = users_of_three()
    both = [f"holdall.bearer.{keys['admin']}", "holdall"]
    with talking(serve(users=accounts), subprotocols=both, **bearer(keys["viewer"])) as talk:
        assert "viewer" in str(talk.grid("invokeAction").meta["dis"])


def test_who_is_refused_is_no_error_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    accounts, _ = users_of_three()
    ask = serve(users=accounts)
    with requests_told() as next_record:
        with pytest.raises(InvalidStatus) as caught, talking(ask):
            raise AssertionError
        record = next_record()
        while record.getMessage() != "websocket refused":  # of a test before
            record = next_record()
    assert (caught.value.response.status_code, record.status) == (401, 401)
    assert ask.client.get("/health/live").status_code == 200  # the refusal is over by then
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
