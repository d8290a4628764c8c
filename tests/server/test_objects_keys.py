"""Objects over HTTP: which path is which key, and which is none."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

import holdall
from holdall.core.errors import InvalidKey
from holdall.core.reference import check_key
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.objects_served import objects_served


@pytest.fixture(scope="module")
def ask() -> Iterator[httpx.Client]:
    with objects_served() as client:
        yield client


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def raw(ask: httpx.Client, method: str, path: str, content: bytes | None = None) -> Answer:
    """What is answered to a path that is sent as it stands, which httpx would tidy up."""
    host, port = ask.base_url.host, ask.base_url.port
    with closing(HTTPConnection(host, port, timeout=60)) as connection:
        connection.putrequest(method, f"/objects/{path}")
        connection.putheader("Content-Length", str(len(content or b"")))
        connection.endheaders(content)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())


KEYS = [
    "what?.txt", "a#b", "100%", "%2e%2e", "a%2Fb", "a b+c", "ü/日本/😀", "a&b=c;d", "~a!$'()*,:@",
    "a.b/..c/...", "x" * 250, '"quoted"', "[x]{y}|^`",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("safe", ["/", ""])
def test_a_key_comes_back_as_it_was_written(ask: httpx.Client, key: str, safe: str) -> None:
    path = quote(key, safe=safe)
    assert raw(ask, "PUT", path, key.encode()).status in {201, 204}
    assert raw(ask, "GET", path).body == key.encode()
    assert key in {one["key"] for one in ask.get("").json()["objects"]}


def is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidKey:
        return False
    return True


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
@example("..")
@example("a/../b")
@example("a\n")
@example("%")
def test_a_path_is_a_key_where_the_rule_of_keys_says_so(ask: httpx.Client, key: str) -> None:
    answer = raw(ask, "PUT", quote(key, safe="/"), b"x")
    assert (answer.status in {201, 204}) == is_key(key)
    assert is_key(key) or answer.status == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["../x", "%2e%2e/x", "%2E%2E%2Fx", "a/..", "a/%2e%2e", "./a", "a//b", "a/", "/a",
     "%2Fa", "a%00b", "a%0Ab", "a%0A", "a%0D%0AX:y", "a%5Cb", ".holdall/uploads/x",
     "a/%2Eholdall/x", "%", "a%zz", "a%f", "%ff", "%c0%ae%c0%ae", "%ed%a0%80", "a" * 1025,
     "file:///etc/passwd", "s3://bucket/key", "C:%5Cx"],
)  # fmt: skip
def test_a_path_that_is_no_key_is_400(ask: httpx.Client, method: str, path: str) -> None:
    assert raw(ask, method, path).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_key_is_not_empty(ask: httpx.Client, method: str) -> None:
    assert raw(ask, method, "").status == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_rest_of_a_key_behind_a_bare_question_mark_is_not_lost(
    ask: httpx.Client, method: str
) -> None:
    answer = raw(ask, method, "nothing?.txt")
    assert (answer.status, b"%3F" in answer.body) == (400, True)
    assert raw(ask, "GET", "nothing").status == 404


def test_a_path_is_decoded_once(ask: httpx.Client) -> None:
    raw(ask, "PUT", "once%252F", b"x")
    assert raw(ask, "GET", "once%2F").status == 400
    assert raw(ask, "GET", "once%252F").body == b"x"


def test_another_line_of_a_path_is_no_header(ask: httpx.Client) -> None:
    answer = raw(ask, "GET", "a%0D%0AX-Evil:1")
    assert "x-evil" not in {name.lower() for name in answer.headers}


def test_the_same_app_below_another_path_has_the_same_keys(ask: httpx.Client) -> None:
    inner = create_fastapi_app(InMemoryAdapter(), data_store=holdall.open_async("memory://"))
    outer = FastAPI()
    outer.mount("/objects/x", inner)

    async def asking() -> str:
        transport = httpx.ASGITransport(app=outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.put("/objects/x/objects/a/b", content=b"1")
            listed = await client.get("/objects/x/objects")
            return str(listed.json()["objects"][0]["key"])

    assert asyncio.run(asking()) == "a/b"


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/objects", "GET"), ("/objects/a", "GET, HEAD, PUT, DELETE")],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "PROPFIND", "TRACE"])
def test_other_methods_are_405_and_told_which_there_are(
    ask: httpx.Client, path: str, methods: str, method: str
) -> None:
    answer = ask.request(method, ask.base_url.join(path))
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
