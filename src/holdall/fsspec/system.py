"""A file system of fsspec over a store.

Over the blocking face, and not fsspec's asynchronous kind: that one runs every call on one event
loop in a thread of its own, which costs a hundred times what driving does, deadlocks after a fork,
and hides on which loop a client lives. Where many objects are asked for at once, threads are.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.compression import compr
from fsspec.core import get_compression
from fsspec.utils import stringify_path

from holdall.core.errors import AlreadyExists, NotFound, Unsupported
from holdall.fsspec.copying import Copying
from holdall.fsspec.files import CompressedFile, ReadFile, TextFile, WriteFile, as_in_folders
from holdall.fsspec.listing import Info, Place
from holdall.fsspec.transaction import FilesAtOnce
from holdall.objects.data_store import DataStore
from holdall.objects.opening import open as open_store

if TYPE_CHECKING:
    from datetime import datetime

    from holdall.objects.registry import Place as StorePlace

# What some libraries say to every file system, and only means those of other kinds.
_FSSPECS_OWN = {"asynchronous", "loop", "use_listings_cache", "listings_expiry_time", "max_paths"}
# What fsspec's callers say about buffers, which a writer has no use for.
_ABOUT_READING = {"cache_type", "size", "fill_cache"}


def without_fsspecs_own(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are meant for the store."""
    return {name: value for name, value in options.items() if name not in _FSSPECS_OWN}


class HoldallFileSystem(Copying):
    """A store as a file system; paths are keys.

    Directories are what object stores make of them: there while something lies in them, so that
    making one does nothing. Nothing is cached, neither listings nor sizes.

    Args:
        store: An open store, which stays the caller's to close; or what `holdall.open` takes.
    """

    protocol: ClassVar[str] = "holdall"
    scheme: ClassVar[str] = ""
    # Two stores can look alike and be two, such as memory without a name.
    cachable = False
    transaction_type = FilesAtOnce

    def __init__(self, store: DataStore | StorePlace | None = None, **options: Any) -> None:
        super().__init__(use_listings_cache=False)
        options = without_fsspecs_own(options)
        if store is None or options:
            what = f"the option {next(iter(options))!r} is unknown" if options else "there is none"
            raise TypeError(
                f"a store is needed, as HoldallFileSystem(store=…), and {what}. "
                "A URL such as holdall+s3://bucket/key needs none"
            )
        self._store = store if isinstance(store, DataStore) else open_store(store)

    @property
    def store(self) -> DataStore:
        """The store behind it."""
        return self._store

    # Paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        path = stringify_path(path)
        for protocol in (cls.protocol, cls.scheme):
            if protocol and path.startswith(f"{protocol}://"):
                path = path[len(protocol) + 3 :]
                break
        return path.rstrip("/") or cls.root_marker

    def place(self, path: str, *, folder: bool = False) -> Place:
        return Place(self._store, self._strip_protocol(path), "")

    def _is_near(self) -> bool:
        return self._store.capabilities.local

    # Identity

    @property
    def fsid(self) -> str:
        """Says which store it is, also in another process."""
        return f"{self.protocol}_{hashlib.sha256(self._store.config_json().encode()).hexdigest()}"

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return type(self).__name__, self._store.config_json(), id(self._store)

    def __hash__(self) -> int:
        return hash(self._store)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HoldallFileSystem) and self._same(other)

    def _same(self, other: HoldallFileSystem) -> bool:
        return type(other) is HoldallFileSystem and self._store is other.store

    def __reduce__(self) -> tuple[Any, ...]:
        return HoldallFileSystem, (self._store,)

    def __repr__(self) -> str:
        return f"HoldallFileSystem({self._store!r})"

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """What opens it again, as fsspec's `from_dict` reads it; without secrets in any case."""
        kind = f"{HoldallFileSystem.__module__}:{HoldallFileSystem.__name__}"
        place = json.loads(self._store.config_json())
        return {"cls": kind, "protocol": self.protocol, "args": [], "store": place}

    # Opening

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a file; arguments as in fsspec.

        A `with` block that fails publishes nothing, whatever is around the file.

        Args:
            path: Which.
            mode: `r`, `w` or `x`, with `b` or as text.
            block_size: How many bytes a read asks for at once.
            cache_options: For fsspec's read cache, which `cache_type` names.
            compression: Such as `gzip`; `infer` looks at the name.
            kwargs: For a file that is written, the fields of `WriteOptions`, such as
                `content_type`; for text `encoding`, `errors` and `newline`.

        Raises:
            NotFound: It is to be read, and there is none.
            AlreadyExists: It is to be made (`x`), and there is one.
            Unsupported: It is to be changed in place: `a` or `+`.
        """
        if "r" in mode and "+" not in mode:
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        if "b" not in mode:
            names = ("encoding", "errors", "newline")
            text = {name: kwargs.pop(name) for name in names if name in kwargs}
            mode = mode.replace("t", "") + "b"
            return TextFile(self.open(path, mode, compression=compression, **kwargs), **text)
        file = super().open(path, mode, **kwargs)
        compression = get_compression(path, compression)
        return CompressedFile(file, compr[compression]) if compression else file

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ReadFile | WriteFile:
        if mode == "rb":
            return ReadFile(
                self, path, mode, block_size, autocommit, cache_options=cache_options, **kwargs
            )
        if mode not in {"wb", "xb"}:
            raise Unsupported(
                f"{path}: the mode {mode!r} changes an object, and it is written whole"
            )
        place = self.object_place(path)
        given = {name: value for name, value in kwargs.items() if name not in _ABOUT_READING}
        if mode == "xb":
            if place.store.exists(place.ref):
                raise AlreadyExists(f"{place.ref}: there is an object", reference=place.ref)
            given["if_none_match"] = "*"
        with as_in_folders(self, path):
            writer = place.store.open_writer(place.ref, **given)
        return WriteFile(self, path, mode, writer, autocommit=autocommit)

    # Writing

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write a file.

        Args:
            path: Which.
            value: Its bytes.
            mode: `create` writes only if there is none, whoever else tries.
            kwargs: The fields of `WriteOptions`.

        Raises:
            AlreadyExists: `create`, and there is one.
        """
        if self._intrans:
            with self.open(path, "xb" if mode == "create" else "wb", **kwargs) as file:
                file.write(value)
            return
        if mode == "create":
            kwargs["if_none_match"] = "*"
        place = self.object_place(self._strip_protocol(path))
        if isinstance(value, str):
            raise TypeError(f"{path}: bytes can be written, and this is text: encode it first")
        data = value if isinstance(value, (bytes, bytearray)) else memoryview(value)
        with as_in_folders(self, path):
            place.store.write(place.ref, data, **kwargs)

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Copy a local file; of a directory there is nothing to copy.

        Args:
            lpath: Which.
            rpath: Where to.
            callback: Is told the size, and the bytes as they go.
            mode: `create` writes only if there is none.
            kwargs: The fields of `WriteOptions`.
        """
        if os.path.isdir(lpath):
            return
        with (
            open(lpath, "rb") as local,
            self.open(rpath, "xb" if mode == "create" else "wb", **kwargs) as file,
        ):
            callback.set_size(os.fstat(local.fileno()).st_size)
            while data := local.read(self.blocksize):
                file.write(data)
                callback.relative_update(len(data))

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty file, in the place of one that is there; with `truncate=False` only a new.

        Raises:
            Unsupported: `truncate=False`, and there is one: its time cannot be changed.
        """
        if truncate:
            self.pipe_file(path, b"", **kwargs)
            return
        try:
            self.pipe_file(path, b"", mode="create", **kwargs)
        except AlreadyExists as error:
            raise Unsupported(f"{path}: the time of an object is that of its writing") from error

    # Deleting

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete files, in as few requests as the service allows.

        Args:
            path: A path or pattern, or several. One that is the name of a file or directory
                is no pattern.
            recursive: Whether what lies in a directory goes too.
            maxdepth: How many levels of it.

        Raises:
            NotFound: There is nothing of this name; nothing is deleted.
            IsADirectoryError: It is a directory, and `recursive` is false; nothing is deleted.
            PartialFailure: Some could not be deleted.
        """
        doomed: dict[str, None] = {}
        for each in path if isinstance(path, (list, tuple, set)) else [path]:
            name = self._strip_protocol(each)
            for found, info in self._named(name).items():
                if info["type"] == "file":
                    doomed[found] = None
                if recursive:
                    doomed.update(dict.fromkeys(self.find(found, maxdepth=maxdepth)))
                elif info["type"] != "file" and found == name:
                    raise IsADirectoryError(f"{name} is a directory: delete it with recursive=True")
        by_store: dict[DataStore, list[Any]] = {}
        for name in doomed:
            place = self.place(name)
            by_store.setdefault(place.store, []).append(place.ref)
        for store, refs in by_store.items():
            store.delete_many(refs)

    def _named(self, name: str) -> dict[str, Info]:
        if not self.is_pattern(name):
            return {name: self.info(name)}
        found: dict[str, Info] = self.glob(name, detail=True)
        if not found:
            raise NotFound(f"nothing is named {name}")
        return found

    def rm_file(self, path: str) -> None:
        """Delete one file."""
        path = self._strip_protocol(path)
        self.object_info(path)
        place = self.object_place(path)
        place.store.delete(place.ref)

    _rm = rm_file

    def rmdir(self, path: str) -> None:
        """Remove an empty directory that another program left; elsewhere there are none.

        Raises:
            KeyConflict: Something lies in it.
        """
        place = self.place(self._strip_protocol(path))
        if place.key:
            place.store.remove_directory(place.ref)

    # Asking

    def created(self, path: str) -> datetime:
        """When a file was made, in UTC: with its content, since it is written whole."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """When a file was written, in UTC."""
        place = self.object_place(self._strip_protocol(path))
        return place.store.stat(place.ref).modified

    def ukey(self, path: str) -> str:
        """Changes whenever the content does."""
        info = self.info(path)
        # The time too, since some services make the etag of the content alone.
        known = f"{info['name']}\0{info.get('etag')}\0{info.get('mtime')}"
        return hashlib.sha256(known.encode()).hexdigest()

    def checksum(self, path: str) -> int:
        """`ukey`, as a number."""
        return int(self.ukey(path)[:32], 16)

    def sign(self, path: str, expiration: float = 100, **kwargs: Any) -> str:
        """A URL that lets its holder read a file for so many seconds.

        Args:
            path: Which.
            expiration: In seconds.
            kwargs: `method`, which is `GET` unless given, and what it takes; see
                `DataStore.sign`.

        Raises:
            Unsupported: The store has no such URLs.
        """
        place = self.object_place(self._strip_protocol(path))
        return place.store.sign(place.ref, expires=timedelta(seconds=expiration), **kwargs)
