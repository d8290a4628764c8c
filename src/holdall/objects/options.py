"""What a caller may ask of a store's request: frozen, with defaults that ask for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from holdall.core.errors import InvalidRange, LimitExceeded, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.core.reference import Reference
    from holdall.objects.results import Capabilities

PART_BYTES = 8 * 1024 * 1024
"""The largest piece of a body that one request moves."""

PAGE_ITEMS = 1000
"""How many items a page has when the caller names no number."""


class WriteOptions(Struct, frozen=True, kw_only=True):
    """What is kept with an object, and when it may be written.

    Args:
        content_type: Media type; None keeps none.
        metadata: The user's own pairs. Names are lower-case ASCII letters, digits, `-`, `_` and
            `.`; values are text.
        tags: Pairs that the service can show and filter by.
        storage_class: The service's own name of a class.
        if_match: Write only if the object still has this etag, else `PreconditionFailed`.
        if_none_match: `"*"`: write only if there is no object, else `AlreadyExists`.
        content_md5: Hexadecimal MD5 of the content, in small letters; checked, and kept.
        sha256: Hexadecimal SHA-256 of the content, in small letters; checked, and kept.
        digest: Whether the upload may be asked for its digest, and its commit be given one to
            check. False says that nobody will, so that a store which cannot read back what is
            staged need not hash it; such a store answers both with `Unsupported`. The digests
            named here are checked all the same.
    """

    content_type: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    content_md5: str | None = None
    sha256: str | None = None
    digest: bool = True


class GetOptions(Struct, frozen=True, kw_only=True):
    """Which part of an object to read, and when.

    Args:
        start: First byte wanted; below 0 it counts from the end. 0 asks for no range.
        end: The byte after the last one wanted; None reads to the end of the object.
        if_match: Read only if the object has this etag, else `PreconditionFailed`.
        max_size: Refuse a range longer than this many bytes with `LimitExceeded`, before the
            body; None or 0 sets no limit.
        tags: Whether the answer's `meta.tags` must be filled in.
        steady: Whether a body that comes whole with the answer must be of one moment, although
            another program may change a file in place. A store that is `local` looks once more
            after it has read, and hands out in pieces (`whole` is None) what changed meanwhile.
    """

    start: int = 0
    end: int | None = None
    if_match: str | None = None
    max_size: int | None = None
    tags: bool = False
    steady: bool = False

    def span(self, size: int, reference: Reference) -> tuple[int, int]:
        """Answer first byte and byte after the last one, for an object of this size.

        Raises:
            InvalidRange: It begins outside of the object, or ends before it begins. Only 0 is
                inside an empty object.
            LimitExceeded: It is longer than `max_size`.
        """
        start = self.start + size if self.start < 0 else self.start
        end = size if self.end is None else min(self.end, size)
        if start < 0 or (start >= size and start > 0) or end < start:
            raise InvalidRange(
                f"bytes {self.start} to {'the end' if self.end is None else self.end} are not in "
                f"{reference}, which has {size} bytes",
                reference=reference,
            )
        if self.max_size and end - start > self.max_size:
            raise LimitExceeded(
                f"{reference}: {end - start} bytes to read, and max_size allows {self.max_size}",
                reference=reference,
            )
        return start, end


class HeadOptions(Struct, frozen=True, kw_only=True):
    """What to ask about an object.

    Args:
        tags: Whether `tags` must be filled in; more than one request on most services.
    """

    tags: bool = False


class ListOptions(Struct, frozen=True, kw_only=True):
    """Which part of a listing to answer.

    Args:
        delimiter: Answer only what is one level down: objects, and names of folders.
        max_items: How many objects and folders a page holds at most.
        token: Go on after the page that gave this token.
        etags: Whether every object must carry its etag. Free on services; on a disk it is one
            more system call an object, so that it is None unless asked for.
        after: Answer only what comes behind this key in byte order. It is written as the `key` of
            what is listed, and there need not be such a key. With a delimiter a folder stands
            where its name with a `/` does. Pages after the first one are asked for with the same.
        known: The digests of pages that the caller still has: a page that has one of them may
            come as `same`, with nothing in it. None to be told no digests.
    """

    delimiter: bool = False
    max_items: int = PAGE_ITEMS
    token: str | None = None
    etags: bool = False
    after: str | None = None
    known: frozenset[bytes] | None = None

    def behind(self, start: str) -> str | None:
        """What `after` says of the keys that begin with a text.

        Args:
            start: The prefix with a `/` at its end, relative to the root of the store; or empty.

        Returns:
            The rest of a key behind `start`, which theirs must come behind; empty when all of them
            do, and None when none does.
        """
        after = self.after
        if not after or after <= start:
            return ""
        return after[len(start) :] if after.startswith(start) else None

    def place(self, rest: str) -> str | None:
        """Where a page begins, for a store whose tokens name what the next page comes behind.

        Args:
            rest: As `behind` answers it.

        Returns:
            The token; or what would be one for `after`. At the end of it a `/` passes all that is
            in a folder. None begins at the beginning.
        """
        if self.token is not None or not rest:
            return self.token
        folder, slash, _ = rest.partition("/")
        if slash and self.delimiter:
            return folder + slash
        return f"{rest}\0" if rest.endswith("/") else rest


class DeleteOptions(Struct, frozen=True, kw_only=True):
    """When to delete.

    Args:
        if_match: Delete only if the object still has this etag, else `PreconditionFailed`.
        must_exist: Whether an object that is missing is `NotFound`, where else it counts as
            deleted: of several who delete the object of one etag, one is told that it did. Goes
            with `if_match` alone.

    Raises:
        ValueError: `must_exist` without `if_match`, which no cloud can say of many at once.
    """

    if_match: str | None = None
    must_exist: bool = False

    def __post_init__(self) -> None:
        if self.must_exist and self.if_match is None:
            raise ValueError("must_exist goes with if_match")


class CopyOptions(Struct, frozen=True, kw_only=True):
    """How to copy.

    Args:
        move: Whether the source goes away, once the target is complete.
        if_match: Copy only if the source has this etag, else `PreconditionFailed`.
        if_none_match: `"*"`: only if there is no target, else `AlreadyExists`.
    """

    move: bool = False
    if_match: str | None = None
    if_none_match: str | None = None


class SignOptions(Struct, frozen=True, kw_only=True):
    """What a signed URL allows.

    Args:
        method: `GET`, `PUT` or `DELETE`.
        expires: For how many seconds.
        content_type: What a PUT must send.
        content_md5: Hexadecimal MD5 of what a PUT must send.
    """

    method: str = "GET"
    expires: float = 3600.0
    content_type: str | None = None
    content_md5: str | None = None


WRITE = WriteOptions()
GET = GetOptions()
HEAD = HeadOptions()
HEAD_TAGS = HeadOptions(tags=True)
LIST = ListOptions()
DELETE = DeleteOptions()
COPY = CopyOptions()
SIGN = SignOptions()

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def check_write(options: WriteOptions, capabilities: Capabilities, reference: Reference) -> None:
    """Refuse what the store would not keep faithfully.

    Raises:
        Unsupported: The store keeps no such thing, or the condition is none it knows.
        LimitExceeded: There is more of it than the service takes.
        ValueError: A name or value is of a form that no store keeps.
    """
    if options is WRITE:
        return
    if options.if_none_match not in {None, "*"}:
        raise Unsupported("if_none_match takes only '*': write if there is no object")
    metadata, tags = options.metadata, options.tags
    if metadata and not capabilities.metadata:
        raise _unkept("metadata", reference)
    if tags and not capabilities.tags:
        raise _unkept("tags", reference)
    if options.content_type and not capabilities.content_type:
        raise _unkept("content type", reference)
    if options.storage_class and not capabilities.storage_class:
        raise _unkept("storage classes", reference)
    if metadata:
        _check_metadata(metadata, capabilities, reference)
    if tags:
        _check_pairs("tags", tags)


def _unkept(what: str, reference: Reference) -> Unsupported:
    return Unsupported(f"{reference.scheme}:// keeps no {what}", reference=reference)


def _check_metadata(
    metadata: Mapping[str, str], capabilities: Capabilities, reference: Reference
) -> None:
    _check_pairs("metadata", metadata)
    for name in metadata:
        if not name or not _NAME_CHARACTERS.issuperset(name):
            raise ValueError(
                f"{name!r} cannot name metadata: lower-case letters, digits, '-', '_' and '.' can"
            )
    size = sum(len(name) + len(value.encode()) for name, value in metadata.items())
    limit = capabilities.max_metadata_bytes
    if limit is not None and size > limit:
        raise LimitExceeded(
            f"{reference}: {size} bytes of metadata, and {reference.scheme}:// takes {limit} "
            "(max_metadata_bytes)",
            reference=reference,
        )


def check_size(size: int, capabilities: Capabilities, reference: Reference) -> None:
    """Refuse what is announced to be longer than the store takes, before any of it is sent.

    Raises:
        LimitExceeded: It is longer than `capabilities.max_object_bytes`.
    """
    limit = capabilities.max_object_bytes
    if limit is not None and size > limit:
        raise LimitExceeded(
            f"{reference}: {size} bytes, and {reference.scheme}:// takes {limit} "
            "(max_object_bytes)",
            reference=reference,
        )


def _check_pairs(what: str, pairs: Mapping[Any, Any]) -> None:
    try:
        "".join([*pairs, *pairs.values()]).encode()
    except (TypeError, UnicodeEncodeError):
        _name_pair(what, pairs)


def _name_pair(what: str, pairs: Mapping[Any, Any]) -> None:
    for name, value in pairs.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{what} are pairs of text, and {name!r} holds {type(value).__name__}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{what} {name!r} holds a lone surrogate") from error
