"""What is known of a value: the line beside it, and the fingerprint that ties the two."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, final

import msgspec
from msgspec import Struct

from holdall.objects.backends.redis.lua import PIECE_BYTES
from holdall.objects.options import WRITE
from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.contract import Data
    from holdall.objects.options import WriteOptions

NOTHING = b" - -"


class Kept(Struct, frozen=True, omit_defaults=True):
    """What a note ends in, as JSON."""

    content_type: str | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}


_decode = msgspec.json.Decoder(Kept).decode


def fingerprint(data: Data) -> str:
    """The fingerprint of a value; see `lua`."""
    if len(data) <= PIECE_BYTES:
        return hashlib.sha1(data, usedforsecurity=False).hexdigest()
    running = Fingerprint()
    running.update(data)
    return running.hexdigest()


@final
class Fingerprint:
    """The fingerprint of a value that comes piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._piece = hashlib.sha1(usedforsecurity=False)
        self._filled = 0

    def update(self, data: Data) -> None:
        """Go on with these bytes."""
        view = memoryview(data).cast("B")
        while view:
            part = view[: PIECE_BYTES - self._filled]
            self._piece.update(part)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == PIECE_BYTES:
                self._pieces.append(self._piece.hexdigest())
                self._piece = hashlib.sha1(usedforsecurity=False)
                self._filled = 0

    def hexdigest(self) -> str:
        """The fingerprint of all bytes so far."""
        pieces = [*self._pieces, self._piece.hexdigest()] if self._filled else self._pieces
        if len(pieces) == 1:
            return pieces[0]
        whole = "".join(pieces).encode()
        return hashlib.sha1(whole, usedforsecurity=False).hexdigest()


def tail_of(options: WriteOptions, size: int, sha256: str | None = None) -> bytes:
    """The end of the note of a value, behind the time of its writing."""
    if options is WRITE and sha256 is None:
        return b" %d - -" % size
    sha256 = sha256 or options.sha256
    digests = [
        f"{name}:{digest.lower()}"
        for name, digest in (("md5", options.content_md5), ("sha256", sha256))
        if digest is not None
    ]
    kept = b"-"
    if options.content_type is not None or options.metadata or options.tags:
        content = Kept(options.content_type, options.metadata, options.tags)
        kept = msgspec.json.encode(content)
    return b" %d %s %s" % (size, ",".join(digests).encode() or b"-", kept)


def meta_of(
    root: Reference,
    key: str,
    size: int,
    note: bytes,
    etag: str | None = None,
    tags: bool = False,
) -> ObjectMeta:
    """What is known of an object.

    Args:
        root: The store's.
        key: Relative to it.
        size: The size of the value.
        note: The line beside it; empty when others wrote it.
        etag: What the value's own etag is; None when it is the note's.
        tags: Whether to tell tags.
    """
    if not note:
        return ObjectMeta(root, key, size, 0, etag, tags={} if tags else None)
    own = note[:32].decode()
    changed = etag is not None and etag != own
    modified_ns = int(note[74:90]) * 1000
    if note.endswith(NOTHING) and not tags and not changed:
        return ObjectMeta(root, key, size, modified_ns, own)
    digests, _, rest = note[91:].partition(b" ")[2].partition(b" ")
    kept = _decode(rest) if rest != b"-" else Kept()
    known: dict[str, str] = {}
    if digests != b"-" and not changed:
        known = dict(pair.split(":") for pair in digests.decode().split(","))
    return ObjectMeta(
        root,
        key,
        size,
        modified_ns,
        etag if changed else own,
        kept.content_type,
        kept.metadata,
        kept.tags if tags else None,
        known.get("md5"),
        known.get("sha256"),
        changed=changed,
    )
