"""Pages of S3 that the caller has already: told apart by their bytes, and not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.objects.backends.cloud import s3_pages
from holdall.objects.backends.cloud.service import Listing

_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2024-02-29T12:34:56.789Z</LastModified>"
    "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
)
_ENTRIES = [
    _ENTRY.format(key=key, etag=key * 3, size=at) for at, key in enumerate(["a", "b%2B", "c"])
]


def _body(
    entries: list[str],
    folders: tuple[str, ...] = (),
    token: str | None = None,
    asked: str = "",
    more: str = "",
) -> bytes:
    """A page as AWS answers it: it repeats the token it was asked with, and what tells how."""
    next_token = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    named = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in folders)
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult><Name>b</Name>"
        f"<ContinuationToken>{asked}</ContinuationToken>{more}{next_token}"
        f"<EncodingType>url</EncodingType><IsTruncated>{'true' if token else 'false'}"
        f"</IsTruncated>{''.join(entries)}{named}</ListBucketResult>"
    ).encode()


def _known(body: bytes, prefix: str = "") -> frozenset[bytes]:
    page = s3_pages.listing(body, frozenset(), prefix)
    assert not page.same
    return frozenset([page.digest])


def _left_out(body: bytes, known: frozenset[bytes], prefix: str = "", after: str = "") -> bool:
    page = s3_pages.listing(body, known, prefix, after)
    assert not page.same or page.digest in known
    if page.same:
        assert (list(page.found), list(page.folders)) == ([], [])
    else:
        assert (page.found, page.folders) == _held(body)
    return page.same


def _held(body: bytes) -> tuple[object, object]:
    page = s3_pages.listing(body)
    assert (page.digest, page.same) == (b"", False)
    return page.found, page.folders


def test_a_page_that_is_known_has_only_its_token() -> None:
    known = _known(_body(_ENTRIES, ("x/",), "next1", "this1"))
    page = s3_pages.listing(_body(_ENTRIES, ("x/",), "next2&amp;", "this2"), known)
    (digest,) = known
    assert page == Listing((), (), "next2&", digest, True)


def test_the_last_page_that_is_known_has_none() -> None:
    body = _body(_ENTRIES)
    page = s3_pages.listing(body, _known(body))
    assert (page.same, page.token) == (True, None)


@pytest.mark.parametrize(
    "other",
    [
        _body(_ENTRIES[:2], ("x/",), "t"),
        _body(_ENTRIES[1:], ("x/",), "t"),
        _body([*_ENTRIES, _ENTRIES[0]], ("x/",), "t"),
        _body([_ENTRIES[0].replace("aaa", "aab"), *_ENTRIES[1:]], ("x/",), "t"),
        _body([*_ENTRIES[:2], _ENTRIES[2].replace("<Size>2", "<Size>3")], ("x/",), "t"),
        _body(_ENTRIES, ("y/",), "t"),
        _body(_ENTRIES, (), "t"),
        _body(_ENTRIES, ("x/",), "t").replace(b"<EncodingType>url</EncodingType>", b""),
    ],
)
def test_a_page_with_anything_else_in_it_is_read(other: bytes) -> None:
    assert not _left_out(other, _known(_body(_ENTRIES, ("x/",), "t")))


def test_the_same_answer_for_another_prefix_is_read() -> None:
    body = _body(_ENTRIES)
    assert not _left_out(body, _known(body, "p/"), "q/")
    assert _left_out(body, _known(body, "p/"), "p/")


def test_a_page_is_known_however_it_was_asked_for() -> None:
    known = _known(_body(_ENTRIES, ("x/",), "t1", "t0"))
    page = _body(_ENTRIES, ("x/",), "t2", more="<StartAfter>9</StartAfter>")
    assert _left_out(page, known, after="9")
    page = page.replace(b"<ContinuationToken></ContinuationToken>", b"<ContinuationToken/>")
    assert _left_out(page, known, after="9")
    assert _left_out(page.replace(b"<ContinuationToken/>", b""), known, after="9")


@pytest.mark.parametrize(
    ("first", "folder", "after", "left_out"),
    [
        ("b%2B", "x/", "b*", True),
        ("b%2B", "x/", "b+", False),
        ("b%2B", "x/", "b,", False),
        ("b%2B", "b%2A/", "b*", True),
        ("b%2B", "a%2B/", "a+/", False),
        ("z", "a/", "a0", False),
    ],
)
def test_a_server_that_does_not_begin_behind_a_key_is_read(
    first: str, folder: str, after: str, left_out: bool
) -> None:
    body = _body([_ENTRY.format(key=first, etag="e", size=1)], (folder,))
    assert _left_out(body, _known(body), after=after) == left_out


@pytest.mark.parametrize(
    "body",
    [
        _body([]),
        _body([], ("x/",), "t"),
        _body([_ENTRIES[0], "<IsTruncated>true</IsTruncated>", _ENTRIES[1]], ("x/",)).replace(
            b"<IsTruncated>false</IsTruncated>", b""
        ),
        _body(
            [_ENTRIES[0], "<NextContinuationToken>t</NextContinuationToken>", _ENTRIES[1]]
        ).replace(b"false", b"true"),
        _body([_ENTRIES[0].replace("<Key>a", "<Key>a&amp;"), _ENTRIES[1]]),
        _body([_ENTRIES[0].replace("<Key>a", "<Key><![CDATA[a]]>"), _ENTRIES[1]]),
        _body([_ENTRIES[0].replace("<Key>a", "<Key>é"), _ENTRIES[1]]),
        _body([_ENTRIES[0].replace("<Key>", "<!-- <Key>z</Key> --><Key>"), _ENTRIES[1]]),
        _body(_ENTRIES, more="<Key>a</Key>"),
        _body(_ENTRIES, more="<!-- <Contents> -->"),
        _body(_ENTRIES, more="<StartAfter><![CDATA[a<ContinuationToken>b]]></StartAfter>"),
    ],
)
def test_a_page_that_is_not_plain_is_always_read(body: bytes) -> None:
    known = _known(body)
    assert known == {b""}
    page = s3_pages.listing(body, known)
    assert page == s3_pages.listing(body)


_SOME = st.lists(st.sampled_from(_ENTRIES + [one.replace("aaa", "") for one in _ENTRIES]))
_PAGES = st.tuples(_SOME, st.lists(st.sampled_from("xyz")).map(tuple), st.sampled_from([None, "t"]))


@given(_PAGES, _PAGES)
def test_pages_are_left_out_only_where_they_hold_the_same(
    one: tuple[list[str], tuple[str, ...], str | None],
    other: tuple[list[str], tuple[str, ...], str | None],
) -> None:
    same = (one[0], one[1], bool(one[2])) == (other[0], other[1], bool(other[2]))
    known = _known(_body(*one))
    assert _left_out(_body(*other), known - {b""}) == (same and bool(one[0]))


@pytest.mark.parametrize("quotes", [("&quot;", '"'), ('"', "&#34;"), ("", "&quot;"), ('"', "")])
def test_entries_whose_etags_are_quoted_in_several_ways_are_read(quotes: tuple[str, str]) -> None:
    entries = [_ENTRY.format(key="k", etag="e", size=1).replace("&quot;", one) for one in quotes]
    page = s3_pages.listing(_body(entries))
    assert [known.etag for known in page.found] == ["e", "e"]
