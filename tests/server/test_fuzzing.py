"""Whatever is sent, the answer is a grid or a clean 4xx, and the server goes on."""

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.haystack import Grid, Ref
from holdall.haystack.codecs.media import codec_for, codecs
from holdall.server.ops.registry import OPS
from holdall.testing.haystack.strategies import grids
from server.asking import Asking

TYPES = [one.media_type for one in codecs()]
READS = [name for name, op in OPS.items() if op.reads]
often = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_clean(status: int) -> bool:
    return status == 200 or 400 <= status < 500


@often
@given(st.sampled_from(sorted(OPS)), st.sampled_from(TYPES), st.binary(max_size=200))
def test_bytes_of_any_kind_are_answered(ask: Asking, op: str, kind: str, body: bytes) -> None:
    assert is_clean(ask.post(op, body, content_type=kind).status_code)


@often
@given(st.sampled_from(sorted(OPS)), grids(), st.sampled_from(["p1", "a1", "nobody"]))
def test_grids_of_any_kind_are_answered(ask: Asking, op: str, grid: Grid, of: str) -> None:
    asked = grid.with_meta(id=Ref(of), range="today")
    for one in (grid, asked):
        response = ask.post(op, one, accept="application/json")
        assert response.status_code == 200
        codec_for("application/json").decode(response.content)


@often
@given(
    st.sampled_from(READS),
    st.dictionaries(
        st.sampled_from(["filter", "id", "limit", "navId", "range", "x"]), st.text(max_size=30)
    ),
)
def test_parameters_of_any_kind_are_answered(
    ask: Asking, op: str, parameters: dict[str, str]
) -> None:
    try:
        sent = {name: text.encode() for name, text in parameters.items()}
    except UnicodeEncodeError:
        return
    response = ask.client.get(f"/api/{op}", params=sent)
    assert is_clean(response.status_code)


@often
@given(
    st.sampled_from(["Authorization", "Accept", "Content-Type", "X-Request-ID"]),
    # A client takes the blanks at both ends for none of the value.
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.strip),
)
def test_headers_of_any_kind_are_answered(ask: Asking, name: str, value: str) -> None:
    response = ask.client.post("/api/read", content=b"x", headers={name: value})
    assert is_clean(response.status_code)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api/about HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_leaves_the_server_answering(ask: Asking, line: bytes) -> None:
    url = ask.client.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=30) as sock:
        sock.sendall(line)
        sock.shutdown(socket.SHUT_WR)
        try:
            answer = sock.recv(100)
        except ConnectionError:
            answer = b""
    assert not answer or b" 4" in answer
    assert ask.get("about").status_code == 200
