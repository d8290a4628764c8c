"""Addresses: the only place where a text becomes an address.

A `Reference` is a scheme, a container and a key. These rules hold for every key, on every
backend; a text that breaks one is refused with the reason, never rewritten:

* it is not empty, and neither starts nor ends with `/`;
* no segment is empty, `.`, `..` or `.holdall` (which is where stores keep their own things);
* it holds no `\\`, no control character, and nothing that UTF-8 cannot write;
* it has at most 1,024 bytes, counted with the prefix that the service sees, and at most 250
  bytes in a segment.

Keys are literal. Nothing is decoded, so `?`, `#` and `%` are ordinary characters of a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from msgspec import Struct

from holdall.core.errors import InvalidKey
from holdall.core.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 250
MAX_PATH_BYTES = 4095  # Linux's PATH_MAX without its NUL: a file's reference holds its whole path
RESERVED_SEGMENT = ".holdall"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:]+)(?::[0-9]{1,5})?\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# Most keys match this and are valid; any other key takes the slow way, which finds the reason.
# No segment holds what begins the next one, so that nothing needs to be tried again (`+`).
_PLAIN_SEGMENT = r"[A-Za-z0-9_=+,:@%#?!~() -][A-Za-z0-9_=+,:@%#?!~(). -]{0,240}+"
_plain: Callable[[str], object] = re.compile(f"{_PLAIN_SEGMENT}(?:/{_PLAIN_SEGMENT})*+\\Z").match
# What those keys are made of, and how long one is that surely has no longer segment.
_PLAIN_BYTES = (
    bytes(number for number in range(128) if re.match(_PLAIN_SEGMENT, chr(number))) + b"./"
)
_PLAIN_LENGTH = 241


def check_key(key: str, limit: int = MAX_KEY_BYTES) -> None:
    """Raise `InvalidKey`, with the reason, unless the text is a key.

    Args:
        key: What to check.
        limit: How many bytes it may have in UTF-8.
    """
    if len(key) <= limit and _plain(key):
        return
    reason = _fault(key, limit)
    if reason:
        _refuse(key, reason)


def check_length(key: str, limit: int = MAX_KEY_BYTES) -> None:
    """Raise `InvalidKey` for a key, or an address in `.holdall`, that is right but too long.

    Args:
        key: What to check.
        limit: How many bytes it may have in UTF-8.
    """
    size = len(key.encode())
    if size > limit:
        _refuse(key, _too_long(size, limit))


def is_key(text: str) -> bool:
    """Whether a text is a key; for what others left in a listing."""
    return (len(text) <= MAX_KEY_BYTES and _plain(text) is not None) or _fault(
        text, MAX_KEY_BYTES
    ) is None


def are_keys(texts: Sequence[str]) -> bool:
    """Whether all of these are keys without rare characters: `is_key` of many at once.

    False says nothing: each may be a key all the same.
    """
    return _plain("/".join(texts)) is not None and max(map(len, texts)) <= MAX_KEY_BYTES


def _fault(key: str, limit: int) -> str | None:
    if not key:
        return "it is empty"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it holds a character that UTF-8 cannot write (a lone surrogate)"
    if "\\" in key:
        return "it holds a backslash; segments are divided by '/'"
    control = _CONTROL.search(key)
    if control:
        return f"it holds the control character {control.group()!r}"
    for segment in key.split("/"):
        if not segment:
            return "a segment is empty: no leading, trailing or doubled '/'"
        if segment in {".", ".."}:
            return f"a segment is {segment!r}: a key cannot climb"
        if segment == RESERVED_SEGMENT:
            return f"the segment {RESERVED_SEGMENT!r} is where stores keep their own things"
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return (
                f"a segment has {len(segment.encode())} bytes, and {MAX_SEGMENT_BYTES} are allowed"
            )
    if size > limit:
        return _too_long(size, limit)
    return None


def _too_long(size: int, limit: int) -> str:
    return f"it has {size} bytes, and {limit} are allowed here"


def _refuse(key: str, reason: str) -> NoReturn:
    shown = key if len(key) <= 80 else key[:77] + "..."
    raise InvalidKey(f"{shown!r} cannot be a key: {reason}", reference=key)


class Reference(Struct, frozen=True, eq=False, gc=False):
    """One address: of an object, or of a store or folder of them.

    Two references are equal when they lead to the same place; credentials do not count, are
    never printed, and do not travel in a pickle.

    Args:
        scheme: `file`, `memory`, `s3`, `gs`, `az`, `abfs`, `abfss`, `redis`, or another's own.
        container: Bucket or container; host and port for Redis; the name of a memory store;
            empty for files.
        key: What is inside the container, whole; empty for the container itself.
        host: The storage account's host, in `abfs://container@host/key`; else empty.
        userinfo: `user:secret`, as it stood before the `@`; None when there was none.
    """

    scheme: str
    container: str
    key: str = ""
    host: str = ""
    userinfo: Secret | None = None

    @classmethod
    def parse(cls, text: str | Reference, *, folder: bool = False) -> Reference:
        """Read an address.

        Args:
            text: A URL (`s3://bucket/key`, `gs://…`, `az://container/key`,
                `abfs[s]://container@account…/key`, `file:///path`, `memory://name/key`,
                `redis://host[:port]/key`), or an absolute path, which is a file. A user name and
                secret may stand before the container, percent-encoded; a key is literal.
            folder: Whether one `/` may end it, as in `s3://bucket/prefix/`.

        Raises:
            InvalidKey: The text is no address, or its key breaks a rule; says which.
        """
        if isinstance(text, Reference):
            return text
        scheme, mark, rest = text.partition("://")
        if not mark:
            if not text.startswith("/"):
                # What holds '@' is not shown: a secret may stand before it.
                shown = "the text" if "@" in text else repr(text)
                raise InvalidKey(
                    f"{shown} is no reference: it has no scheme. Write s3://bucket/key, "
                    "file:///folder/key or, for a local file, a path that starts with '/'"
                )
            scheme, rest = "file", text
        scheme = scheme.lower()
        if not _SCHEME.match(scheme):
            raise InvalidKey(f"{scheme!r} is no scheme: letters, digits, '+', '.' and '-' only")
        authority, _, key = rest.partition("/")
        if folder and key.endswith("/") and key != "/":
            key = key[:-1]
        container, host, userinfo = _read_authority(scheme, authority)
        if key:
            check_key(key, MAX_PATH_BYTES if scheme == "file" else MAX_KEY_BYTES)
        return cls(scheme, container, key, host, userinfo)

    def child(self, key: str) -> Reference:
        """The address of a key under this one; the key is checked.

        Raises:
            InvalidKey: The key breaks a rule, or is too long together with this address.
        """
        check_key(key, self._room())
        return self.known_child(key)

    def _room(self) -> int:
        """How many bytes a key under this one may have."""
        # A file's key is counted from the root of its store, any other one from the container.
        if self.scheme == "file" or not self.key:
            return MAX_KEY_BYTES
        return MAX_KEY_BYTES - len(self.key.encode()) - 1

    def children(self, otherwise: Callable[[str], Reference]) -> Callable[[str], Reference]:
        """A function that does what `child` does, and is faster when called often.

        Args:
            otherwise: Called for a text that is not plainly a key: one with rare characters, a
                URL, or no key at all.
        """
        scheme, container, host, userinfo = self.scheme, self.container, self.host, self.userinfo
        prefix = f"{self.key}/" if self.key else ""
        limit = self._room()
        short = min(limit, _PLAIN_LENGTH)

        def child(key: str) -> Reference:
            # The short ones are matched without a pattern, which takes 3 us between two waits, when
            # the processor has to fetch it first.
            if (
                len(key) <= short
                and key.isascii()
                and not key.encode().translate(None, _PLAIN_BYTES)
                and "//" not in (within := f"/{key}/")
                and "/." not in within
            ) or (short < len(key) <= limit and _plain(key)):
                return Reference(scheme, container, prefix + key, host, userinfo)
            return otherwise(key)

        return child

    def many_children(self, keys: Sequence[str]) -> list[Reference] | None:
        """The addresses of many keys under this one, in half of the time that `child` takes.

        Args:
            keys: Texts that are checked together.

        Returns:
            None when one of them is not plainly a key, which says nothing: `child` knows.
        """
        if not keys or max(map(len, keys)) > self._room() or not _plain("/".join(keys)):
            return None
        scheme, container, host, userinfo = self.scheme, self.container, self.host, self.userinfo
        prefix = f"{self.key}/" if self.key else ""
        return [Reference(scheme, container, prefix + key, host, userinfo) for key in keys]

    def known_child(self, key: str) -> Reference:
        """The address of a key under this one, for a key that was checked before."""
        whole = f"{self.key}/{key}" if self.key else key
        return Reference(self.scheme, self.container, whole, self.host, self.userinfo)

    def reserved(self, *segments: str) -> Reference:
        """The address of what is kept beside the objects here, and no listing of them shows.

        It lies under `.holdall`, where the journals of transfers and the snapshots of records are.

        Raises:
            InvalidKey: A segment breaks a rule, or the address is too long.
        """
        for segment in segments:
            check_key(segment)
        key = "/".join((RESERVED_SEGMENT, *segments))
        check_length(key, self._room())
        return self.known_child(key)

    def join(self, *segments: str) -> Reference:
        """The address that these segments lead to from here.

        A segment may hold `/`. None can climb out (`..`) or start again from the root (`/x`).

        Raises:
            InvalidKey: A segment breaks a rule.
        """
        for segment in segments:
            check_key(segment)
        return self.child("/".join(segments)) if segments else self

    def split(self) -> tuple[str, str, str]:
        """Answer scheme, container and key."""
        return self.scheme, self.container, self.key

    def relative_to(self, base: Reference) -> str:
        """The key of this address as seen from another; empty when they are the same.

        Raises:
            InvalidKey: This address does not lie under the other.
        """
        if not base.holds(self):
            raise InvalidKey(f"{self} does not lie under {base}", reference=self)
        return self.key[len(base.key) :].removeprefix("/")

    def holds(self, other: Reference) -> bool:
        """Whether another address is this one, or lies under it."""
        return (
            self.container == other.container
            and self.scheme == other.scheme
            and self.host == other.host
            and (not self.key or f"{other.key}/".startswith(f"{self.key}/"))
        )

    @property
    def name(self) -> str:
        """The last segment of the key; empty for a container."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> Reference:
        """The address one segment up; a container is its own parent."""
        up = self.key.rpartition("/")[0]
        return Reference(self.scheme, self.container, up, self.host, self.userinfo)

    @property
    def root(self) -> Reference:
        """The address of the container alone."""
        return Reference(self.scheme, self.container, "", self.host, self.userinfo)

    @property
    def path(self) -> str | None:
        """The path in the file system; None when this is no file."""
        return f"/{self.key}" if self.scheme == "file" else None

    def __str__(self) -> str:
        authority = f"{self.container}@{self.host}" if self.host else self.container
        slash = "/" if self.key or self.scheme == "file" else ""
        return f"{self.scheme}://{authority}{slash}{self.key}"

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def _identity(self) -> tuple[str, str, str, str]:
        return (self.scheme, self.container, self.host, self.key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            return NotImplemented
        return self._identity() == other._identity()

    def __ne__(self, other: object) -> bool:
        # A Struct without equality has one of its own, which tells all objects apart.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._identity())

    def __lt__(self, other: Reference) -> bool:
        return self._identity() < other._identity()

    def __reduce__(self) -> tuple[Any, ...]:
        return Reference, (self.scheme, self.container, self.key, self.host)


def _read_authority(scheme: str, authority: str) -> tuple[str, str, Secret | None]:
    """Answer container, host and userinfo."""
    before, at, after = authority.rpartition("@")
    if scheme == "file":
        if authority not in {"", "localhost"}:
            raise InvalidKey(
                f"file://{after} names a host, and a file has none: "
                f"write file:///{after}/… for the folder of that name"
            )
        return "", "", None
    if scheme in {"abfs", "abfss"} and at:
        if ":" in before or not before or not after:
            raise InvalidKey(f"write {scheme}://container@account.dfs.core.windows.net/key")
        return before, after, None
    if not after and scheme != "memory":
        raise InvalidKey(f"{scheme}:// names no {'host' if scheme == 'redis' else 'container'}")
    named = scheme in {"s3", "gs", "az", "abfs", "abfss"}
    if scheme != "memory" and (":" in after if named else not _HOST.match(after)):
        # The text is not shown: most likely it is a secret that a '/' cut in two.
        raise InvalidKey(
            f"the container in this {scheme}:// reference holds a ':'"
            f"{'' if named else ' that begins no port'}. "
            "Write a '/' inside a secret as %2F, and '@' as %40"
        )
    return after, "", Secret(unquote(before)) if before else None
