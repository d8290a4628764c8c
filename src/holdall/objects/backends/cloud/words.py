"""What a header can carry: names and values of metadata, written so that every service keeps them.

A value that is no plain ASCII becomes an encoded word of RFC 2047, which S3 itself answers for
such values, so that other programs can read it. Digests that the writer gave are metadata too, and
so is a content type that could not be told from none.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from holdall.core.errors import LimitExceeded, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.core.reference import Reference
    from holdall.objects.options import WriteOptions

MD5, SHA256 = "holdall-md5", "holdall-sha256"
"""The names of metadata in which digests are kept."""
TYPE = "holdall-type"
"""Where a content type is kept that the service also gives to what was written without one."""
MAX_TAGS = 10
"""How many tags S3 and Azure take with an object."""
_TAG_NAME, _TAG_VALUE = 128, 256

_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")
_WORD = re.compile(r"=\?[Uu][Tt][Ff]-8\?[Bb]\?([A-Za-z0-9+/]*={0,2})\?=\Z")


def encoded(value: str) -> str:
    """A value as a header can carry it."""
    if _PLAIN.match(value) and not value.startswith("=?"):
        return value
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="


def decoded(value: str) -> str:
    """What `encoded` was made from; the text itself when it is nothing of that kind."""
    word = _WORD.match(value)
    if word is None:
        return value
    try:
        return b64decode(word[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def metadata_of(options: WriteOptions, default_type: str) -> dict[str, str]:
    """The user's metadata and what is kept beside them, encoded.

    Args:
        options: What they are in.
        default_type: The content type that the service gives an object without one.
    """
    given = options.metadata
    sent = {name: encoded(value) for name, value in given.items()} if given else {}
    if options.content_md5 is not None:
        sent[MD5] = options.content_md5
    if options.sha256 is not None:
        sent[SHA256] = options.sha256
    if options.content_type == default_type:
        sent[TYPE] = default_type
    return sent


def quoted_etag(etag: str) -> str:
    """An etag as a header names it; one that no header can carry is that of no object."""
    return f'"{etag if _carried(etag) else "0" * 32}"'


def check_carried(options: WriteOptions, reference: Reference) -> None:
    """Raise `Unsupported` for what would be a header, and that no header can carry."""
    kept, stored = options.content_type, options.storage_class
    if kept is not None and not _carried(kept):
        raise _uncarried("content_type", kept, reference)
    if stored is not None and not _carried(stored):
        raise _uncarried("storage_class", stored, reference)


def _uncarried(name: str, text: str, reference: Reference) -> Unsupported:
    return Unsupported(
        f"{reference}: {name} is {text!r}, and the service takes plain ASCII on one line",
        reference=reference,
    )


def _carried(text: str) -> bool:
    # obstore does not raise an error over anything else: it panics, which is no Exception.
    return text.isascii() and text.isprintable()


def check_metadata(sent: Mapping[str, str], limit: int, reference: Reference) -> None:
    """Raise `LimitExceeded` when metadata, as sent, are more than a service takes."""
    size = sum(map(len, sent)) + sum(map(len, sent.values()))
    if size > limit:
        raise LimitExceeded(
            f"{reference}: {size} bytes of metadata, as they are sent, and {reference.scheme}:// "
            f"takes {limit} (max_metadata_bytes)",
            reference=reference,
        )


def check_tags(tags: Mapping[str, str], reference: Reference, allowed: re.Pattern[str]) -> None:
    """Raise `LimitExceeded` when tags are more, longer, or other than a service takes.

    Args:
        tags: What is looked at.
        reference: The address of the store, for the error.
        allowed: Matches texts of characters that the service takes, joined ones too.
    """
    together = "".join([*tags, *tags.values()])
    few = len(tags) <= MAX_TAGS and len(together) <= _TAG_NAME and "" not in tags
    if few and allowed.match(together):
        return  # most are as short as that
    if len(tags) > MAX_TAGS:
        raise LimitExceeded(
            f"{reference}: {len(tags)} tags, and {reference.scheme}:// takes {MAX_TAGS} (max_tags)",
            reference=reference,
        )
    for name, value in tags.items():
        if not 1 <= len(name) <= _TAG_NAME or len(value) > _TAG_VALUE:
            raise LimitExceeded(
                f"{reference}: the tag {name!r} is too long: {reference.scheme}:// takes names of "
                f"1 to {_TAG_NAME} characters, and values of {_TAG_VALUE}",
                reference=reference,
            )
        if not (allowed.match(name) and allowed.match(value)):
            raise LimitExceeded(
                f"{reference}: the tag {name!r} holds a character that the service takes in none",
                reference=reference,
            )
