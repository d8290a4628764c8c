"""Answers of services, read."""

from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import Unavailable
from holdall.objects.backends.cloud import s3_pages, xml

_S3 = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult{namespace}><Name>b</Name><EncodingType>url</EncodingType>
<IsTruncated>{truncated}</IsTruncated>
<Contents><Key>a%2Fb+c%252F%0A</Key><LastModified>2024-02-29T12:34:56.789Z</LastModified>
<ETag>&quot;e1&quot;</ETag><Size>5</Size><StorageClass>GLACIER</StorageClass></Contents>
<CommonPrefixes><Prefix>x+y%2F</Prefix></CommonPrefixes>
<NextContinuationToken>next&amp;</NextContinuationToken></ListBucketResult>"""


@pytest.mark.parametrize("quote", ["&quot;", "&#34;", '"', ""])
@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_a_page_of_s3_is_read(namespace: str, quote: str) -> None:
    text = _S3.format(namespace=namespace, truncated="true").replace("&quot;", quote)
    page = s3_pages.listing(text.encode())
    (known,) = page.found
    assert (known.key, known.size, known.etag) == ("a/b c%2F\n", 5, "e1")
    assert known.storage_class == "GLACIER"
    assert known.modified_ns == 1709210096_789000000
    assert list(page.folders) == ["x y/"]
    assert page.token == "next&"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=5))
def test_keys_are_what_they_were_however_they_are_read(keys: list[str]) -> None:
    entries = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2024-02-29T12:34:56.789Z</LastModified>"
        f"<ETag>e</ETag><Size>{number}</Size></Contents>"
        for number, key in enumerate(keys)
    )
    plain = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    for text in (plain, plain.replace("<Size>", "<!-- slow --><Size>")):
        page = s3_pages.listing(text.encode())
        assert [known.key for known in page.found] == keys
        assert [known.size for known in page.found] == list(range(len(keys)))


_ETAGS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), max_size=3)


@given(st.lists(_ETAGS | st.sampled_from(["a\nb", "\n", "&quot;"]), max_size=5))
def test_etags_are_what_they_were_however_they_are_read(etags: list[str]) -> None:
    entries = "".join(
        f"<Contents><Key>k</Key><LastModified>2024-02-29T12:34:56.{number:03}Z</LastModified>"
        f"<ETag>&quot;{escape(etag)}&quot;</ETag><Size>1</Size></Contents>"
        for number, etag in enumerate(etags)
    )
    plain = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    for text in (plain, plain.replace("<Size>", "<!-- slow --><Size>")):
        page = s3_pages.listing(text.encode())
        assert [known.etag for known in page.found] == etags
        moments = [known.modified_ns for known in page.found]
        assert moments == [1709210096_000000000 + at * 10**6 for at in range(len(etags))]


def test_the_last_page_of_s3_has_no_token() -> None:
    assert s3_pages.listing(_S3.format(namespace="", truncated="false").encode()).token is None


_AZURE = """\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>
<BlobPrefix><Name>d/</Name></BlobPrefix>
<Blob><Name Encoded="true">a%EF%BF%BE</Name><Properties>
<Last-Modified>Thu, 29 Feb 2024 12:34:56 GMT</Last-Modified><Etag>0x1</Etag>
<Content-Length>7</Content-Length><AccessTier>Cool</AccessTier></Properties></Blob>
<Blob><Name>b%2F</Name><Properties><Last-Modified>Thu, 29 Feb 2024 12:34:56 GMT</Last-Modified>
<Etag>"0x2"</Etag><Content-Length>0</Content-Length></Properties></Blob>
</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"""


def test_a_page_of_azure_is_read() -> None:
    page = xml.azure_listing(_AZURE.format(marker="m1").encode())
    assert [(known.key, known.size, known.etag, known.storage_class) for known in page.found] == [
        ("a\ufffe", 7, "0x1", "Cool"),
        ("b%2F", 0, "0x2", None),
    ]
    assert page.found[0].modified_ns == 1709210096_000000000
    assert list(page.folders) == ["d/"]
    assert page.token == "m1"


def test_the_last_page_of_azure_has_no_token() -> None:
    assert xml.azure_listing(_AZURE.format(marker="").encode()).token is None


@given(st.timedeltas(timedelta(0), timedelta(days=90_000)))
def test_times_are_read_to_the_microsecond(since: timedelta) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + since
    written = time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    seconds = int((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    assert xml.iso_time_ns(written) // 1_000_000_000 == seconds
    assert xml.iso_time_ns(written) % 1_000_000_000 == time.microsecond * 1000


@pytest.mark.parametrize("body", [b"", b"<html><br></html>", b"{}"])
def test_what_is_no_xml_names_the_endpoint(body: bytes) -> None:
    with pytest.raises(Unavailable, match="http://proxy answered") as caught:
        xml.parsed(body, "http://proxy")
    assert not caught.value.transient


def test_the_answers_of_a_batch_are_read_by_their_number() -> None:
    body, content_type = xml.batch_of(["DELETE /a HTTP/1.1\r\n", "DELETE /b HTTP/1.1\r\n"])
    assert content_type.startswith("multipart/mixed; boundary=batch_")
    assert body.count(b"\r\nContent-ID: 1\r\n\r\nDELETE /b HTTP/1.1\r\n\r\n\r\n--") == 1
    answer = (
        b"--x\r\nContent-ID: 1\r\n\r\nHTTP/1.1 404 Not Found\r\nx-ms-error-code: BlobNotFound\r\n"
        b"\r\n--x\r\nContent-ID: <response-0>\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n--x--"
    )
    assert list(xml.batch_answers(answer)) == [(1, 404, "BlobNotFound"), (0, 202, "")]


def test_answers_without_a_number_are_in_order() -> None:
    answer = b"--x\r\n\r\nHTTP/1.1 204 Gone\r\n\r\n--x\r\n\r\nHTTP/1.1 403 No\r\n\r\n--x--"
    assert list(xml.batch_answers(answer)) == [(0, 204, ""), (1, 403, "")]
