"""Pages of a listing in S3's XML, read by one pattern where all their entries are alike.

A page that the caller still has is not read at all, which would take four fifths of what it costs:
its bytes say that it is the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from msgspec import structs

from holdall.objects.backends.cloud.service import Known, Listing
from holdall.objects.backends.cloud.xml import iso_time_ns, parsed, text

if TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element

_WANTED = ("Key", "Size", "LastModified", "ETag", "StorageClass")
_NEEDED = {"Key", "Size", "LastModified"}
_ENTRY = re.compile(r"<Contents>((?:<\w+>[^<]*</\w+>)+)</Contents>")
_OPENED = re.compile(r"<(\w+)>")
_QUOTE = re.compile(r"<ETag>(&quot;|&#34;|\"|)")
_FIRST, _LAST = b"<Contents>", b"</Contents>"
_PLACE = re.compile(rb"<((?:Next)?ContinuationToken|StartAfter)(?:/>|>[^<]*</\1>)")
_KEY = re.compile(rb"<Key>([ -%'-;=-~]+)</Key>")  # the same in all encodings, and no reference


def listing(
    body: bytes, known: Collection[bytes] | None = None, prefix: str = "", after: str = ""
) -> Listing:
    """One page as ListObjectsV2 answers it.

    Args:
        body: The answer.
        known: The digests of pages that need not be read; None to tell none.
        prefix: What was listed.
        after: What a page that is not read must come behind.
    """
    told = None if known is None else _told(body, prefix)
    if known is None or told is None:
        return _read(body)
    digest, first, around = told
    if digest in known:
        page = _read(around)
        if b"<EncodingType>url<" in around:
            first = unquote_plus(first)
        if first > after and not (page.folders and page.folders[0] <= after):
            return Listing((), (), page.token, digest, True)
    return structs.replace(_read(body), digest=digest)


def _told(body: bytes, prefix: str) -> tuple[bytes, str, bytes] | None:
    """What tells a page apart, its first key, and what stands around its entries.

    None where it is not plain. All bytes count but those that say where in a listing the page is,
    since it may have been asked for in another way.
    """
    start, end = body.find(_FIRST), body.rfind(_LAST) + len(_LAST)
    at = body.find(b"<Key>")
    first = _KEY.match(body, at) if 0 <= start < at < end else None
    if first is None:
        return None
    before, behind = body[:start], body[end:]
    around = before + behind
    # Behind a mark the bytes may mean something else, and between the entries nobody looks.
    if b"<!" in body[:at] or b"<!" in behind or b"<IsTruncated>" not in around:
        return None
    if b"<IsTruncated>true<" in around and b"<NextContinuationToken>" not in around:
        return None
    digest = sha256(prefix.encode() + b"\0" + _PLACE.sub(b"", before))
    # Other threads go on meanwhile.
    digest.update(memoryview(body)[start:end])
    digest.update(_PLACE.sub(b"", behind))
    return digest.digest(), first[1].decode(), around


def _read(body: bytes) -> Listing:
    quick = plain_entries(body)
    found, around = ([], body) if quick is None else quick
    folders: list[str] = []
    token: str | None = None
    encoded = truncated = False
    for child in parsed(around, "the service"):
        name = child.tag.rpartition("}")[2]
        if name == "Contents":
            found.append(_entry(child))
        elif name == "CommonPrefixes":
            folders.append(text(child, "Prefix"))
        elif name == "NextContinuationToken":
            token = child.text
        elif name == "IsTruncated":
            truncated = child.text == "true"
        elif name == "EncodingType":
            encoded = child.text == "url"
    if encoded:
        folders = [unquote_plus(folder) for folder in folders]
        if quick is None:
            found = [structs.replace(known, key=unquote_plus(known.key)) for known in found]
    return Listing(found, folders, token if truncated else None)


def _entry(element: Element) -> Known:
    values = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
    return Known(
        values["Key"],
        int(values["Size"]),
        iso_time_ns(values["LastModified"]),
        values.get("ETag", "").strip('"'),
        storage_class=values.get("StorageClass"),
    )


def plain_entries(body: bytes) -> tuple[list[Known], bytes] | None:
    """The entries of a page, and what stands around them; None where only a parser of XML will do.

    A parser takes four times as long as all else that a listing costs. A pattern made from the
    first entry reads them, where each entry has the same children in the same order and each
    child is a text without references. So they are from all servers that we know.
    """
    try:
        page = body.decode()
    except UnicodeDecodeError:
        return None
    first = _ENTRY.search(page)
    # Comments, sections and line ends have rules of their own.
    # To look for a single character takes a tenth of the time, and most pages have none.
    if first is None or ("!" in page and "<!" in page) or "\r" in page:
        return None
    quote = _QUOTE.search(first[1])
    shape = _shape(tuple(_OPENED.findall(first[1])), quote[1] if quote else "")
    if shape is None:
        return None
    pattern, order = shape
    width = len(_WANTED) + 1
    pieces = pattern.split(page)
    around = "".join(pieces[::width])
    keys, sizes, times, etags, classes = (pieces[1 + place :: width] for place in order)
    # Of all at once, which costs a fraction of one by one.
    every_key, every_etag = "".join(keys), "".join(etags)
    # References, and other quotes, are a parser's.
    if "<Contents" in around or "&" in every_key or "&" in every_etag or '"' in every_etag:
        return None
    if "<EncodingType>url<" in around and ("%" in every_key or "+" in every_key):
        keys = [unquote_plus(key) for key in keys]
    moments = {time: iso_time_ns(time) for time in set(times)}  # AWS tells whole seconds
    return [
        Known(key, int(size), moments[time], etag, storage_class=kind or None)
        for key, size, time, etag, kind in zip(keys, sizes, times, etags, classes, strict=True)
    ], around.encode()


@lru_cache(maxsize=16)
def _shape(names: tuple[str, ...], quote: str) -> tuple[re.Pattern[str], list[int]] | None:
    """Matches entries with these children, and takes out those that are wanted: at which places.

    Args:
        names: The children.
        quote: What etags stand between.
    """
    if len(set(names)) < len(names) or not _NEEDED.issubset(names):
        return None
    texts = {name: "([^<]*)" if name in _WANTED else "[^<]*" for name in names}
    texts["ETag"] = f"{quote}([^<]*){quote}"
    children = [f"<{name}>{texts[name]}</{name}>" for name in names]
    absent = [name for name in _WANTED if name not in names]
    found = [name for name in names if name in _WANTED] + absent
    pattern = f"<Contents>{''.join(children)}</Contents>{'()' * len(absent)}"
    return re.compile(pattern), [found.index(name) for name in _WANTED]
