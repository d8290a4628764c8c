"""File systems whose paths name the store: `holdall+s3://bucket/key`, `holdall+file:///srv/x`."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from fsspec.spec import AbstractFileSystem

from holdall.core.config import literal, same_name
from holdall.core.errors import InvalidConfig, InvalidKey, Unsupported
from holdall.core.reference import RESERVED_SEGMENT, Reference
from holdall.core.secrets import Secret
from holdall.fsspec.listing import Place, holds_something
from holdall.fsspec.system import HoldallFileSystem, without_fsspecs_own
from holdall.objects.opening import open as open_store
from holdall.objects.registry import store_class

if TYPE_CHECKING:
    import msgspec

    from holdall.objects.data_store import DataStore

# Enough for the buckets of a program; of folders, which may be many, each keeps files open.
_OPEN_STORES = 16

Folder = tuple[int, int]
"""The device and number of a folder, which stay when it is renamed."""

_NO_FOLDER: Folder = (0, 0)
"""Stands for what is elsewhere than in a folder, and has one name for good."""

_CLASS_NAME = "HoldallFileSystem_"
_SCALARS = (str, bytes, int, float, bool, type(None), os.PathLike)


class _Instances(type(AbstractFileSystem)):  # type: ignore[misc]
    """Keeps no instance for options that fsspec cannot tell apart, and no secret in view.

    fsspec finds an instance again by what its options print as, and all secrets print alike.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not all(_is_plain(value) for value in kwargs.values()):
            kwargs["skip_instance_cache"] = True
        made = super().__call__(*args, **kwargs)
        made.storage_options = made.shown_options
        return made


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(inner) for inner in value)
    return isinstance(value, _SCALARS)


class UrlFileSystem(HoldallFileSystem, metaclass=_Instances):
    """The stores of one scheme; a path begins with bucket, container, host or name.

    Stores are opened when a path first leads there, and shared by the paths. Where a path leads to
    another folder than before, that one is opened. A process that was forked opens its own.

    Args:
        root: For files: the folder that is the store. None looks for it: the nearest folder of
            this user's on the way up that holds `.holdall`, else the folder of the file.
        options: The settings of the backend, as a configuration names them.
    """

    cachable = True

    def __init__(self, *, root: str | os.PathLike[str] | None = None, **options: Any) -> None:
        # Not the one of a file system over a store, since none is open yet.
        super(HoldallFileSystem, self).__init__(use_listings_cache=False)
        options = without_fsspecs_own(options)
        if root is not None and self.scheme != "file":
            raise TypeError(f"{self.protocol} takes no root: a path names its store")
        self._kind = store_class(self.scheme)
        self._root = None if root is None else os.path.abspath(root)
        self._options = options
        self._guard = threading.Lock()
        self._stores: OrderedDict[str, tuple[Folder, DataStore]] = OrderedDict()
        self._owner = os.getpid()
        shown = {name: _masked(self._kind, name, value) for name, value in options.items()}
        self.shown_options = shown if self._root is None else {**shown, "root": self._root}

    @property
    def store(self) -> DataStore:
        """Raise `AttributeError`: there is one for each bucket, container or folder."""
        raise AttributeError(f"{self!r} has not one store, but one a bucket, container or folder")

    # Paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        stripped = super()._strip_protocol(path)
        if cls.scheme == "file" or isinstance(stripped, list):
            return stripped
        authority = stripped.partition("/")[0]
        if "@" in authority and cls.scheme not in {"abfs", "abfss"}:
            raise InvalidKey(
                f"a {cls.protocol}:// path holds an '@' before its first '/': give a user name and "
                "a secret as storage options, since paths are printed"
            )
        return stripped

    def place(self, path: str, *, folder: bool = False) -> Place:
        path = self._strip_protocol(path)
        if self.scheme == "file":
            if not path.startswith("/"):
                raise InvalidKey(f"{path!r} is a relative path: write {self.protocol}:///folder/…")
            return self._file_place(path, folder=folder)
        container, _, key = path.partition("/")
        if not container:
            raise Unsupported(
                f"{self.protocol}:// stands for no store: write {self.protocol}://"
                f"{'name' if self.scheme == 'memory' else 'bucket'}/…"
            )
        return Place(self._opened(container), key, f"{container}/")

    def _file_place(self, path: str, *, folder: bool) -> Place:
        here = path if folder else path.rpartition("/")[0]
        root = self._root or _store_folder(here) or here or "/"
        inside = root.rstrip("/") + "/"
        if path != root and not path.startswith(inside):
            raise InvalidKey(
                f"{path} does not lie in {root}, which is the root of this file system"
            )
        return Place(self._opened(root), path[len(inside) :], inside)

    def is_there(self, place: Place) -> bool:
        if self.scheme != "file":
            return True
        # The nearest folder was taken for the store, whether there is one or not.
        return os.path.isdir(place.store.base_path) and bool(self._root or holds_something(place))

    def _opened(self, container: str) -> DataStore:
        if self._owner != os.getpid():
            self._go_on_in_a_fork()
        leads_to = self._leads_to(container)
        if leads_to is None:
            # A store that makes its folder keeps it open, also when that is moved away meanwhile.
            return self._open_store(container)
        with self._guard:
            led_to, store = self._stores.get(container, (None, None))
            if store is None or led_to != leads_to:
                store = self._open_store(container)
                self._stores[container] = leads_to, store
                if len(self._stores) > _OPEN_STORES:
                    # Not closed: a file may be open there, and who drops it last closes it.
                    self._stores.popitem(last=False)
            self._stores.move_to_end(container)
            return store

    def _leads_to(self, container: str) -> Folder | None:
        """The folder that a path leads to at this moment; None where there is none."""
        if self.scheme != "file":
            return _NO_FOLDER
        try:
            found = os.stat(container)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open_store(self, container: str) -> DataStore:
        address = self._kind.settings_of(Reference.parse(f"{self.scheme}://{container}"))
        named = {name: value for name, value in address.items() if value}
        for name in self._options:
            if any(same_name(name, known) for known in named):
                raise InvalidConfig(f"the option {name!r} says what a path says already: leave it")
        return open_store({"type": self.scheme, **literal(named), **self._options})

    def _go_on_in_a_fork(self) -> None:
        # Another thread of the parent may have had the lock, and the end of a client that was
        # copied by a fork may wait for threads that are not here: so neither is touched.
        self._guard = threading.Lock()
        self._parents = self._stores
        self._stores = OrderedDict()
        self._owner = os.getpid()

    def _is_near(self) -> bool:
        return self.scheme in {"file", "memory"}

    # Identity

    @property
    def fsid(self) -> str:
        text = repr(sorted(self.shown_options.items(), key=lambda item: item[0]))
        return f"{self.protocol}_{hashlib.sha256(text.encode()).hexdigest()}"

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return type(self).__name__, self.fsid

    def __hash__(self) -> int:
        return hash(self.protocol)

    def _same(self, other: HoldallFileSystem) -> bool:
        return (
            isinstance(other, UrlFileSystem)
            and self.scheme == other.scheme
            and self.shown_options == other.shown_options  # where a secret equals only itself
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.scheme, _without_secrets(self.shown_options))

    def __repr__(self) -> str:
        return f"<{self.protocol}://>"

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        options = _without_secrets(self.shown_options)
        kind = f"{__name__}:{type(self).__name__}"
        return {"cls": kind, "protocol": self.protocol, "args": [], **options}


@cache
def filesystem_class(scheme: str) -> type[UrlFileSystem]:
    """The class of the file systems of one scheme, such as `s3`; always the same one."""
    return _Instances(
        f"{_CLASS_NAME}{scheme}",
        (UrlFileSystem,),
        {
            "__doc__": f"The stores of `{scheme}://`, for fsspec.",
            "__module__": __name__,
            "protocol": f"holdall+{scheme}",
            "scheme": scheme,
            "root_marker": "/" if scheme == "file" else "",
        },
    )


def __getattr__(name: str) -> Any:
    # By these names fsspec finds a class again, that is written down as JSON.
    if name.startswith(_CLASS_NAME):
        return filesystem_class(name.removeprefix(_CLASS_NAME))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _reopen(scheme: str, options: dict[str, Any]) -> UrlFileSystem:
    return filesystem_class(scheme)(**options)


def _store_folder(path: str) -> str | None:
    """The nearest folder at or above a path that another store was opened at."""
    folder = path.rstrip("/")
    while folder:
        try:
            found = os.lstat(f"{folder}/{RESERVED_SEGMENT}")
        except OSError:
            found = None
        # What others put into a folder that all may write to, such as /tmp, is not ours.
        if found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            return folder
        folder = folder.rpartition("/")[0]
    return None


def _masked(kind: Any, name: str, value: Any) -> Any:
    if isinstance(value, (str, bytes)) and value and _is_secret(kind.settings_type, name):
        return Secret(value if isinstance(value, str) else value.decode())
    return value


def _is_secret(settings_type: type[msgspec.Struct], name: str) -> bool:
    hints = get_type_hints(settings_type)
    return any(same_name(field, name) and _mentions_secret(hints[field]) for field in hints)


def _mentions_secret(hint: Any) -> bool:
    return hint is Secret or any(_mentions_secret(inner) for inner in get_args(hint))


def _without_secrets(options: Any) -> Any:
    """What can be handed on; `{"env": …}` and `{"file": …}` only say where a secret is."""
    if isinstance(options, Mapping):
        return {
            name: _without_secrets(value)
            for name, value in options.items()
            if not isinstance(value, Secret) and not callable(value)
        }
    return os.fspath(options) if isinstance(options, os.PathLike) else options
