"""Objects over HTTP: what is written and deleted, by whom, and what is refused."""

import hashlib
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import holdall
from holdall.core.errors import InvalidConfig
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, create_fastapi_app
from server.objects_served import kept_below, machine, objects_served, requests_told

MIB = 2**20


@pytest.fixture(scope="module")
def ask() -> Iterator[httpx.Client]:
    with objects_served() as client:
        yield client


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test has."""
    return f"{abs(hash(request.node.name))}.bin"


def put(ask: httpx.Client, key: str, data: Any = b"x", **headers: str) -> httpx.Response:
    """What a PUT answers; `-` stands for `_` in names of headers."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return ask.put(key, content=data, headers=named)


def sha256(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


def md5(data: bytes) -> str:
    return b64encode(hashlib.md5(data).digest()).decode()


def test_a_new_object_is_201_and_another_in_its_place_204(ask: httpx.Client, key: str) -> None:
    assert [put(ask, key).status_code, put(ask, key).status_code] == [201, 204]


def test_a_write_answers_the_etag_that_a_read_answers(ask: httpx.Client, key: str) -> None:
    assert put(ask, key).headers["etag"] == ask.head(key).headers["etag"]


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_any_size_is_kept(ask: httpx.Client, size: int, chunked: bool) -> None:
    data = bytes(size)
    sent = (data[at : at + 100_000] for at in range(0, size, 100_000)) if chunked else data
    put(ask, f"sized/{size}", sent)
    assert ask.get(f"sized/{size}").content == data


@pytest.mark.parametrize("size", [1, 2 * MIB])
def test_what_headers_say_is_kept(ask: httpx.Client, key: str, size: int) -> None:
    said = {"content-type": "text/csv; charset=utf-8", "x-meta-plant": "7", "x-tags": "a=b&c=d+e"}
    ask.put(key, content=bytes(size), headers=said)
    answered = ask.head(f"{key}?tags").headers
    assert {name: answered[name] for name in said} == said
    assert "x-tags" not in ask.head(key).headers


@pytest.mark.parametrize(
    "value",
    ["plain", "100%25", "caf%C3%A9 %F0%9F%98%80", 'a, b; c="d"', "", "%20a b%20", "a%0D%0Ab"],
)
def test_metadata_comes_back_as_it_was_written(ask: httpx.Client, key: str, value: str) -> None:
    put(ask, key, x_meta_note=value)
    assert ask.get(key).headers["x-meta-note"] == value


def test_metadata_may_be_sent_as_plain_utf8(ask: httpx.Client, key: str) -> None:
    ask.put(key, content=b"x", headers=[(b"X-Meta-Note", "café".encode())])
    assert ask.get(key).headers["x-meta-note"] == "caf%C3%A9"


def test_metadata_of_python_users_is_no_other_header(key: str) -> None:
    store = holdall.open("memory://headers")
    evil = "1\r\nX-Evil: 2"
    store.write(key, b"x", content_type=f"text/html\r\n{evil}", metadata={"note": evil})
    with objects_served("memory://headers") as ask:
        said = ask.get(key).headers
    assert "x-evil" not in said
    assert said["content-type"] == "application/octet-stream"
    assert said["x-meta-note"] == "1%0D%0AX-Evil: 2"


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Meta-Note", "100%")],
        [("X-Meta-Note", "%ff")],
        [("X-Meta-a!b", "x")],
        [("X-Meta-", "x")],
        [("X-Meta-Note", "a"), ("x-meta-note", "b")],
        [("X-Tags", "a")],
        [("X-Tags", "=a")],
        [("X-Tags", "a=b&a=c")],
        [("X-Tags", "a=%zz")],
        [("Content-Type", "nonsense")],
        [("Content-Type", "text/html"), ("Content-Type", "text/css")],
        [("Content-Type", "text/" + "x" * 300)],
        [("Content-MD5", "nonsense")],
        [("Content-MD5", "YWJj")],
        [("Content-Digest", "sha-256=:YWJj:")],
        [("Content-Digest", f"sha-256=:{sha256(b'a')}:"), ("Digest", f"SHA-256={sha256(b'x')}")],
        [("Content-Range", "bytes 0-0/5")],
        [("If-Match", "unquoted")],
        [("If-None-Match", "unquoted")],
        [("If-Unmodified-Since", "no date")],
    ],
)
def test_a_header_that_cannot_be_kept_is_400(
    ask: httpx.Client, headers: list[tuple[str, str]]
) -> None:
    assert ask.put("refused", content=b"x", headers=headers).status_code == 400
    assert ask.get("refused").status_code == 404


def test_a_packed_body_is_415(ask: httpx.Client, key: str) -> None:
    assert put(ask, key, content_encoding="gzip").status_code == 415
    assert ask.get(key).status_code == 404


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize(
    ("header", "form", "digest"),
    [
        ("Content-MD5", "{}", md5),
        ("Content-Digest", "sha-512=:YWJj:, sha-256=:{}:", sha256),
        ("Repr-Digest", "sha-256=:{}:", sha256),
        ("Digest", "SHA-256={}", sha256),
    ],
)
def test_a_digest_is_checked(
    ask: httpx.Client,
    key: str,
    size: int,
    header: str,
    form: str,
    digest: Callable[[bytes], str],
) -> None:
    right, wrong = form.format(digest(bytes(size))), form.format(digest(b"other"))
    assert ask.put(key, content=bytes(size), headers={header: wrong}).status_code == 400
    assert ask.get(key).status_code == 404
    assert ask.put(key, content=bytes(size), headers={header: right}).status_code == 201


def test_a_sha256_that_was_given_is_told(ask: httpx.Client, key: str) -> None:
    digest = f"sha-256=:{sha256(b'x')}:"
    put(ask, key, content_digest=digest)
    assert ask.get(key).headers["repr-digest"] == digest


def test_create_only_refuses_what_is_there(ask: httpx.Client, key: str) -> None:
    statuses = [put(ask, key, data, if_none_match="*").status_code for data in (b"1", b"2")]
    assert (statuses, ask.get(key).content) == ([201, 412], b"1")


def test_replace_only_takes_the_version_that_was_seen(ask: httpx.Client, key: str) -> None:
    etag = put(ask, key, b"1").headers["etag"]
    statuses = [put(ask, key, data, if_match=etag).status_code for data in (b"2", b"3")]
    assert (statuses, ask.get(key).content) == ([204, 412], b"2")


@pytest.mark.parametrize("wanted", ["*", '"x"'])
def test_replace_only_makes_nothing_new(ask: httpx.Client, key: str, wanted: str) -> None:
    assert put(ask, key, if_match=wanted).status_code == 412
    assert ask.get(key).status_code == 404


def test_a_weak_etag_replaces_nothing(ask: httpx.Client, key: str) -> None:
    etag = put(ask, key).headers["etag"]
    assert put(ask, key, if_match=f"W/{etag}").status_code == 412
    assert put(ask, key, if_none_match=f"W/{etag}").status_code == 412
    assert put(ask, key, if_none_match='"x"').status_code == 204


def test_an_object_that_is_younger_than_the_date_is_not_replaced(
    ask: httpx.Client, key: str
) -> None:
    put(ask, key)
    early, late = "Thu, 01 Jan 1970 00:00:00 GMT", "Sat, 21 Nov 2126 00:00:00 GMT"
    assert put(ask, key, if_unmodified_since=early).status_code == 412
    assert put(ask, key, if_unmodified_since=late).status_code == 204


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize("condition", ["if_match", "if_none_match"])
def test_whoever_writes_meanwhile_is_not_written_over(size: int, condition: str) -> None:
    store = holdall.open("memory://meanwhile")
    etag = None
    if condition == "if_match":
        store.write("key", b"first")
    else:
        store.delete("key")

    def body() -> Iterator[bytes]:
        yield bytes(size // 2)
        store.write("key", b"second")
        yield bytes(size // 2)

    with objects_served("memory://meanwhile") as ask:
        if condition == "if_match":
            etag = ask.head("key").headers["etag"]
        assert put(ask, "key", body(), **{condition: etag or "*"}).status_code == 412
    assert store.read("key") == b"second"


def test_a_deleted_object_is_gone(ask: httpx.Client, key: str) -> None:
    put(ask, key)
    statuses = [ask.delete(key).status_code, ask.get(key).status_code, ask.delete(key).status_code]
    assert statuses == [204, 404, 404]


def test_only_the_version_that_was_seen_is_deleted(ask: httpx.Client, key: str) -> None:
    etag = put(ask, key).headers["etag"]
    put(ask, key)
    assert ask.delete(key, headers={"If-Match": etag}).status_code == 412
    assert ask.delete(key, headers={"If-Match": ask.head(key).headers["etag"]}).status_code == 204
    assert ask.delete(key, headers={"If-Match": "*"}).status_code == 412


def test_a_body_beyond_the_limit_is_413(tmp_path: Path) -> None:
    with objects_served(tmp_path.as_posix(), max_object=2 * MIB) as ask:
        said = put(ask, "said", bytes(2 * MIB + 1))
        came = put(ask, "came", (bytes(MIB) for _ in range(3)))
        assert [said.status_code, came.status_code] == [413, 413]
        assert "max_object" in said.text
        assert put(ask, "fits", bytes(2 * MIB)).status_code == 201
        assert [one["key"] for one in ask.get("").json()["objects"]] == ["fits"]
    assert kept_below(tmp_path) == []


def test_a_limit_of_0_is_none(key: str) -> None:
    with objects_served(max_object=0) as ask:
        assert put(ask, key, bytes(2 * MIB)).status_code == 201


@pytest.fixture
def requests_logged() -> Iterator[Callable[[], Any]]:
    """Answers the next record of the log, for which it waits."""
    with requests_told() as next_record:
        yield next_record


def head_of(ask: httpx.Client, key: str, *lines: str) -> bytes:
    said = [f"PUT /objects/{key} HTTP/1.1", "Host: localhost", *lines]
    return "\r\n".join([*said, "", ""]).encode()


@pytest.mark.parametrize("sent", [1000, 3 * MIB])
def test_a_body_that_breaks_off_leaves_nothing(
    tmp_path: Path, requests_logged: Callable[[], Any], sent: int
) -> None:
    with objects_served(tmp_path.as_posix()) as ask:
        assert put(ask, "key", b"before").is_success
        assert requests_logged().status == 201
        assert ask.base_url.port is not None
        with socket.create_connection((ask.base_url.host, ask.base_url.port)) as sock:
            sock.sendall(head_of(ask, "key", f"Content-Length: {4 * MIB}") + bytes(sent))
        assert requests_logged().method == "PUT"
        assert ask.get("key").content == b"before"
    assert kept_below(tmp_path) == []


def test_a_body_that_does_not_come_is_408(tmp_path: Path) -> None:
    with objects_served(tmp_path.as_posix(), body_timeout=0.2) as ask:
        assert ask.base_url.port is not None
        with socket.create_connection((ask.base_url.host, ask.base_url.port)) as sock:
            sock.sendall(head_of(ask, "key", f"Content-Length: {4 * MIB}") + bytes(2 * MIB))
            assert b" 408 " in sock.recv(1000)
        assert ask.get("key").status_code == 404
    assert kept_below(tmp_path) == []


def test_a_body_that_would_be_refused_is_not_asked_for(ask: httpx.Client, key: str) -> None:
    put(ask, key)
    assert ask.base_url.port is not None
    with socket.create_connection((ask.base_url.host, ask.base_url.port)) as sock:
        lines = (f"Content-Length: {MIB}", "Expect: 100-continue", "If-None-Match: *")
        sock.sendall(head_of(ask, key, *lines))
        assert sock.recv(1000).startswith(b"HTTP/1.1 412 ")


@pytest.mark.parametrize(("role", "allowed"), [("viewer", False), ("operator", True)])
def test_a_viewer_reads_and_an_operator_writes(role: str, allowed: bool) -> None:
    users, token = machine(role)
    store = holdall.open_async("memory://roles")
    holdall.open("memory://roles").write("key", b"x")
    with objects_served(store, users=users) as ask:
        assert [ask.get("key").status_code, put(ask, "new").status_code] == [401, 401]
        ask.headers["Authorization"] = f"Bearer {token}"
        read = [ask.get("key"), ask.head("key"), ask.get("")]
        assert [one.status_code for one in read] == [200, 200, 200]
        written = [put(ask, "key").status_code, ask.delete("key").status_code]
        assert written == ([204, 204] if allowed else [403, 403])


@pytest.mark.parametrize("store", [holdall.open("memory://"), object()])
def test_a_store_that_is_not_for_asyncio_is_refused(store: Any) -> None:
    with pytest.raises(InvalidConfig, match=r"holdall\.open_async"):
        create_fastapi_app(InMemoryAdapter(), data_store=store)


def test_a_limit_below_0_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="max_object"):
        ServerConfig(max_object=-1)
