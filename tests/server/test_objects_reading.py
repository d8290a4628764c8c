"""Objects over HTTP: what is read, by ranges and under conditions, and what is said of it."""

from collections.abc import Iterator

import httpx
import pytest

from server.objects_served import objects_served

DATA = bytes(range(100))


@pytest.fixture(scope="module")
def served() -> Iterator[httpx.Client]:
    with objects_served() as client:
        yield client


@pytest.fixture
def ask(served: httpx.Client) -> httpx.Client:
    """Has the object `a/b.bin`, of a hundred bytes."""
    written = served.put("a/b.bin", content=DATA, headers={"Content-Type": "image/png"})
    assert written.is_success
    return served


def get(ask: httpx.Client, key: str = "a/b.bin", **headers: str) -> httpx.Response:
    """What a GET answers; `-` stands for `_` in names of headers."""
    return ask.get(key, headers={name.replace("_", "-"): text for name, text in headers.items()})


def etag(ask: httpx.Client) -> str:
    return str(ask.head("a/b.bin").headers["etag"])


def test_an_object_is_answered_whole(ask: httpx.Client) -> None:
    answer = get(ask)
    assert (answer.status_code, answer.content) == (200, DATA)


def test_an_answer_says_what_is_known_of_the_object(ask: httpx.Client) -> None:
    said = get(ask).headers
    assert said["content-type"] == "image/png"
    assert said["content-length"] == "100"
    assert said["accept-ranges"] == "bytes"
    assert said["etag"].startswith('"')
    assert said["last-modified"].endswith(" GMT")


def test_a_head_says_the_same_without_the_body(ask: httpx.Client) -> None:
    answer, whole = ask.head("a/b.bin"), get(ask)
    assert answer.content == b""
    varying = {"date", "x-request-id"}
    said = {name: text for name, text in answer.headers.items() if name not in varying}
    assert said == {name: text for name, text in whole.headers.items() if name not in varying}


def test_an_object_without_a_content_type_is_octets(ask: httpx.Client) -> None:
    ask.put("plain", content=b"x")
    assert get(ask, "plain").headers["content-type"] == "application/octet-stream"


def test_an_object_that_is_not_there_is_404(ask: httpx.Client) -> None:
    assert get(ask, "never").status_code == 404
    assert ask.head("never").status_code == 404


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=90-1000", 90, 99),
        ("BYTES = 1 - 2", 1, 2),
        (f"bytes=0-{'9' * 5000}", 0, 99),
        (f"bytes={'0' * 50}1-1", 1, 1),
        (f"bytes=-{'9' * 5000}", 0, 99),
    ],
)
def test_a_range_is_answered_with_its_place(
    ask: httpx.Client, asked: str, first: int, last: int
) -> None:
    answer = get(ask, range=asked)
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "items=0-1", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes", "bytes=1",
     "bytes=+1-2", "bytes=0x1-2", "bytes=--5"],
)  # fmt: skip
def test_what_is_no_single_range_of_bytes_is_answered_whole(ask: httpx.Client, asked: str) -> None:
    answer = get(ask, range=asked)
    assert (answer.status_code, answer.content) == (200, DATA)


def test_two_headers_of_ranges_are_answered_whole(ask: httpx.Client) -> None:
    answer = ask.get("a/b.bin", headers=[("Range", "bytes=0-1"), ("Range", "bytes=5-6")])
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize(
    "asked", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={'9' * 5000}-"]
)
def test_a_range_that_is_not_in_the_object_is_416(ask: httpx.Client, asked: str) -> None:
    answer = get(ask, range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize(("asked", "status"), [("bytes=0-", 416), ("bytes=-5", 200)])
def test_an_empty_object_has_no_range(ask: httpx.Client, asked: str, status: int) -> None:
    ask.put("empty", content=b"")
    answer = get(ask, "empty", range=asked)
    assert answer.status_code == status
    assert get(ask, "empty").content == b""


def test_a_head_has_no_range(ask: httpx.Client) -> None:
    answer = ask.head("a/b.bin", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.headers["content-length"]) == (200, "100")


def test_if_range_has_a_part_of_the_same_object(ask: httpx.Client) -> None:
    assert get(ask, range="bytes=5-6", if_range=etag(ask)).content == DATA[5:7]


@pytest.mark.parametrize("asked", ["bytes=5-6", "bytes=500-600", "bytes=-1000"])
@pytest.mark.parametrize("wanted", ['"another"', "Sat, 21 Nov 2126 00:00:00 GMT", "nonsense"])
def test_if_range_has_the_whole_of_another_object(
    ask: httpx.Client, asked: str, wanted: str
) -> None:
    answer = get(ask, range=asked, if_range=wanted)
    assert (answer.status_code, answer.content) == (200, DATA)


def test_a_weak_etag_has_no_range(ask: httpx.Client) -> None:
    assert get(ask, range="bytes=5-6", if_range=f"W/{etag(ask)}").status_code == 200


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x" ,\tW/{},"y"', "*"])
def test_what_the_client_has_already_is_304(ask: httpx.Client, form: str) -> None:
    answer = get(ask, if_none_match=form.format(etag(ask)))
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag(ask)
    assert ask.head("a/b.bin", headers={"If-None-Match": form.format(etag(ask))}).status_code == 304


def test_another_one_than_the_client_has_is_answered(ask: httpx.Client) -> None:
    assert get(ask, if_none_match='"x", W/"y"').content == DATA


@pytest.mark.parametrize(
    ("form", "status"),
    [("{}", 200), ('"x", {}', 200), ("*", 200), ("W/{}", 412), ('"x"', 412)],
)
def test_if_match_takes_only_the_same_object(ask: httpx.Client, form: str, status: int) -> None:
    answer = get(ask, if_match=form.format(etag(ask)))
    assert answer.status_code == status
    assert answer.headers["etag"] == etag(ask)


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("text", ["abc", "", '"a', '"a" "b"', '*, "a"', '"a b"', 'w/"a"'])
def test_what_is_no_etag_is_400(ask: httpx.Client, header: str, text: str) -> None:
    assert ask.get("a/b.bin", headers={header: text}).status_code == 400


@pytest.mark.parametrize(
    ("header", "date", "status"),
    [
        ("If-Modified-Since", "Sat, 21 Nov 2126 00:00:00 GMT", 304),
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("If-Modified-Since", "no date", 200),
        ("If-Modified-Since", f"Sat, 21 Nov {'9' * 5000} 00:00:00 GMT", 200),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
        ("If-Unmodified-Since", "Sat, 21 Nov 2126 00:00:00 GMT", 200),
        ("If-Unmodified-Since", "no date", 200),
    ],
)
def test_dates_are_conditions_too(ask: httpx.Client, header: str, date: str, status: int) -> None:
    assert ask.get("a/b.bin", headers={header: date}).status_code == status


def test_the_date_that_was_answered_is_not_modified(ask: httpx.Client) -> None:
    date = get(ask).headers["last-modified"]
    assert get(ask, if_modified_since=date).status_code == 304
    assert get(ask, if_unmodified_since=date).status_code == 200


def test_an_etag_counts_and_the_date_beside_it_does_not(ask: httpx.Client) -> None:
    late, early = "Sat, 21 Nov 2126 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"
    assert get(ask, if_none_match='"x"', if_modified_since=late).status_code == 200
    assert get(ask, if_match=etag(ask), if_unmodified_since=early).status_code == 200


def test_a_condition_comes_before_a_range(ask: httpx.Client) -> None:
    assert get(ask, if_none_match=etag(ask), range="bytes=500-").status_code == 304
    assert get(ask, if_match='"x"', range="bytes=500-").status_code == 412


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml"])
def test_a_browser_runs_nothing_of_an_object(ask: httpx.Client, kind: str) -> None:
    ask.put("page", content=b"<script>alert(1)</script>", headers={"Content-Type": kind})
    for said in (get(ask, "page").headers, get(ask, "page", range="bytes=0-5").headers):
        assert "sandbox" in said["content-security-policy"]
        assert "allow-scripts" not in said["content-security-policy"]
        assert said["x-content-type-options"] == "nosniff"
