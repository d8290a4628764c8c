"""Checks that what is stored is what was meant."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, final

from holdall.core.errors import AlreadyExists, Corrupt, PreconditionFailed
from holdall.objects.options import WriteOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.core.reference import Reference
    from holdall.objects.contract import Data
    from holdall.objects.results import ObjectMeta


@final
class Hashed(WriteOptions, frozen=True, kw_only=True):
    """Options whose SHA-256 was taken from the very bytes that are to be written.

    Args:
        data: These bytes. Where this object is what is written, it is not hashed once more.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"Hashed(sha256={self.sha256!r})"


def check_digests(data: Data, options: WriteOptions, reference: Reference) -> None:
    """Raise `Corrupt` unless the data have the digests that the options name."""
    hashed = type(options) is Hashed and options.data is data
    if options.sha256 is not None and not hashed:
        _check(hashlib.sha256(data).hexdigest(), options.sha256, "SHA-256", reference)
    if options.content_md5 is not None:
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        _check(found, options.content_md5, "MD5", reference)


def check_upload(
    chunks: Iterable[Data],
    offset: int,
    size: int | None,
    sha256: str | None,
    options: WriteOptions,
    reference: Reference,
) -> None:
    """Raise `Corrupt` unless staged bytes have the size and the digests that were promised.

    Args:
        chunks: All the bytes, read only when there is a digest to check.
        offset: How many there are.
        size: How many there should be; None when nobody said.
        sha256: What the commit named; the options may name one too.
        options: What the upload began with.
        reference: What it will become.
    """
    if size is not None and size != offset:
        raise Corrupt(
            f"{reference}: {size} bytes were announced and {offset} came; nothing is visible",
            reference=reference,
        )
    wanted = [digest for digest in (sha256, options.sha256) if digest is not None]
    if not wanted and options.content_md5 is None:
        return
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        sha.update(chunk)
        if options.content_md5 is not None:
            md5.update(chunk)
    for digest in wanted:
        _check(sha.hexdigest(), digest, "SHA-256", reference)
    if options.content_md5 is not None:
        _check(md5.hexdigest(), options.content_md5, "MD5", reference)


def check_unwritten(seen: ObjectMeta, now: ObjectMeta) -> None:
    """Raise `PreconditionFailed` where an object was written since it was seen.

    For stores where equal bytes have equal etags: there a condition holds although somebody has
    written the object again, and for the very copy too that was made of it, where the container
    has a second name.
    """
    if now.etag != seen.etag or now.modified_ns > seen.modified_ns:
        raise PreconditionFailed(f"{seen.ref} was written meanwhile", reference=seen.ref)


def check_conditions(
    etag: str | None, if_match: str | None, if_none_match: str | None, reference: Reference
) -> None:
    """Raise unless the conditions of a write hold.

    Args:
        etag: The object's etag; None when there is no object.
        if_match: The etag that it must have; None for any or none.
        if_none_match: `"*"` when there must be no object.
        reference: The object's address.
    """
    if if_none_match is not None and etag is not None:
        raise AlreadyExists(f"{reference} exists already", reference=reference)
    if if_match is not None and if_match != etag:
        state = "is gone" if etag is None else "has changed since"
        raise PreconditionFailed(
            f"{reference} {state}: its etag is not {if_match!r}; read it and decide again",
            reference=reference,
        )


def _check(found: str, wanted: str, name: str, reference: Reference) -> None:
    if found != wanted.lower():
        raise Corrupt(
            f"{reference}: the bytes have {name} {found}, and {wanted} was announced",
            reference=reference,
        )
