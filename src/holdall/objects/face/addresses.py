"""What a face stands before, and the addresses of keys."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, final

from holdall.core.errors import InvalidKey
from holdall.core.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.contract import ObjectStore
    from holdall.objects.options import GetOptions
    from holdall.objects.results import Capabilities


class AsyncAddresses:
    """The part that the other parts of `AsyncDataStore` stand on."""

    _store: ObjectStore
    _root: Reference
    _child: Callable[[str], Reference]
    _max_download: int
    _whole: GetOptions  # of a whole object, with no more than that
    _expires: timedelta

    @final
    @property
    def store(self) -> ObjectStore:
        """The store behind it, which keeps the contract for those who write stores."""
        return self._store

    @final
    @property
    def backend(self) -> ObjectStore:
        """The store inside all layers, which has what is the service's own."""
        store = self._store
        while behind := store._behind():
            store = behind[0]
        return store

    @final
    @property
    def root(self) -> Reference:
        """The address it was opened at."""
        return self._root

    @final
    @property
    def type(self) -> str:
        """The name of the backend, such as `memory` or `file`."""
        return self._store.type

    @final
    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._store.capabilities

    @final
    @property
    def base_container(self) -> str:
        """The address of the whole bucket or container, such as `s3://archive`."""
        return str(self._root.root)

    @final
    @property
    def base_path(self) -> str:
        """The folder on this machine; empty where objects are no files."""
        return (self._root.path or "") if self.capabilities.local else ""

    @final
    def full_path(self, key: str | Reference) -> str:
        """Where an object is found from outside: a path for a file, else a URL."""
        ref = self.reference(key)
        return ref.path or str(ref)

    @final
    def reference(self, key: str | Reference) -> Reference:
        """The address of a key.

        Args:
            key: Relative to the store; or a URL, or an absolute path, which is a file.

        Raises:
            InvalidKey: It breaks a rule of keys; says which.
        """
        return self._child(key) if isinstance(key, str) else _checked(key)

    @final
    def construct_reference(self, base: str | Reference, *segments: str) -> Reference:
        """The address that segments lead to from another address, of any store."""
        return Reference.parse(base, folder=True).join(*segments)

    @final
    def config_json(self) -> str:
        """The configuration as JSON text without secrets, to open the same store elsewhere."""
        return self._store.config_json()

    def _folder(self, prefix: str | Reference) -> Reference:
        if isinstance(prefix, Reference):
            return prefix
        if not prefix:
            return self._root
        if prefix.startswith("/") or "://" in prefix:
            return Reference.parse(prefix, folder=True)
        return self._root.child(prefix.removesuffix("/"))


class Addresses:
    """The part that the other parts of `DataStore` stand on."""

    _face: AsyncDataStore
    _store: ObjectStore
    _reference: Callable[[str | Reference], Reference]

    @final
    @property
    def store(self) -> ObjectStore:
        """The store behind it, which keeps the contract for those who write stores."""
        return self._store

    @final
    @property
    def backend(self) -> ObjectStore:
        """The store inside all layers, which has what is the service's own."""
        return self._face.backend

    @final
    @property
    def root(self) -> Reference:
        """The address it was opened at."""
        return self._face.root

    @final
    @property
    def type(self) -> str:
        """The name of the backend, such as `memory` or `file`."""
        return self._face.type

    @final
    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._face.capabilities

    @final
    @property
    def base_container(self) -> str:
        """The address of the whole bucket or container, such as `s3://archive`."""
        return self._face.base_container

    @final
    @property
    def base_path(self) -> str:
        """The folder on this machine; empty where objects are no files."""
        return self._face.base_path

    @final
    def full_path(self, key: str | Reference) -> str:
        """Where an object is found from outside: a path for a file, else a URL."""
        return self._face.full_path(key)

    @final
    def reference(self, key: str | Reference) -> Reference:
        """The address of a key, a URL, or an absolute path, which is a file.

        Raises:
            InvalidKey: It breaks a rule of keys; says which.
        """
        return self._face.reference(key)

    @final
    def construct_reference(self, base: str | Reference, *segments: str) -> Reference:
        """The address that segments lead to from another address, of any store."""
        return self._face.construct_reference(base, *segments)

    @final
    def config_json(self) -> str:
        """The configuration as JSON text without secrets, to open the same store elsewhere."""
        return self._face.config_json()


def _checked(key: object) -> Reference:
    if isinstance(key, Reference):
        return key
    hint = "; as_posix() makes text of it" if isinstance(key, PurePath) else ""
    raise TypeError(f"a key is text or a Reference, not {type(key).__name__}{hint}")


def reference_of(root: Reference, key: str, *, routed: bool) -> Reference:
    """The address, in a store opened at `root`, of what is not plainly a key."""
    if "://" not in key and not key.startswith("/"):
        return root.child(key)
    ref = Reference.parse(key)
    if routed and "://" in key and not root.holds(ref):
        return ref
    if key.startswith("/") and not root.holds(ref):
        raise InvalidKey(
            f"{key!r} is the path of a file, and does not lie under {root}. A key begins without "
            f"'/': {key.lstrip('/')!r}",
            reference=ref,
        )
    if not ref.relative_to(root):
        raise InvalidKey(f"{ref} is the store itself and no object", reference=ref)
    return ref
