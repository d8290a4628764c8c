"""Stores as file systems of fsspec, so that pandas, Dask, DuckDB and the rest read and write them.

    import pandas
    pandas.read_parquet("holdall+s3://archive/plant-7/2024.parquet")

What is registered by importing this, and by installing Holdall, are protocols of our own:
`holdall+file`, `holdall+s3` and so on, and `holdall` for a store that is open already. `register`
takes over the plain ones too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import fsspec
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "holdall.fsspec needs fsspec: pip install 'holdall[fsspec]'"
    ) from error

from holdall.fsspec.system import HoldallFileSystem
from holdall.fsspec.urls import UrlFileSystem, filesystem_class
from holdall.objects.registry import store_class

if TYPE_CHECKING:
    from holdall.objects.data_store import DataStore

__all__ = [
    "AbfsFileSystem",
    "AbfssFileSystem",
    "AzureFileSystem",
    "FileFileSystem",
    "GoogleFileSystem",
    "HoldallFileSystem",
    "MemoryFileSystem",
    "RedisFileSystem",
    "S3FileSystem",
    "UrlFileSystem",
    "filesystem",
    "filesystem_class",
    "register",
]

# One class a scheme, since fsspec asks the class what stands before a path. Entry points name
# them here.
AbfsFileSystem = filesystem_class("abfs")
AbfssFileSystem = filesystem_class("abfss")
AzureFileSystem = filesystem_class("az")
FileFileSystem = filesystem_class("file")
GoogleFileSystem = filesystem_class("gs")
MemoryFileSystem = filesystem_class("memory")
RedisFileSystem = filesystem_class("redis")
S3FileSystem = filesystem_class("s3")

_OURS: tuple[type[HoldallFileSystem], ...] = (
    HoldallFileSystem,
    AbfsFileSystem,
    AbfssFileSystem,
    AzureFileSystem,
    FileFileSystem,
    GoogleFileSystem,
    MemoryFileSystem,
    RedisFileSystem,
    S3FileSystem,
)
for _kind in _OURS:
    fsspec.register_implementation(_kind.protocol, _kind, clobber=True)


def filesystem(store: DataStore) -> HoldallFileSystem:
    """A file system over a store that is open; its paths are keys.

    It neither closes the store nor keeps a listing. Pickled, it opens the store anew, which finds
    its secrets on the other side.
    """
    return HoldallFileSystem(store=store)


def register(*schemes: str) -> None:
    """Take over plain schemes in this process: `s3://bucket/key` leads here from now on.

    `holdall+SCHEME` is registered too, which only the schemes of other packages' stores need.

    Args:
        schemes: Such as `s3`, `gs`, `az`, `redis`, or one that another package's store brings.

    Raises:
        ValueError: It is `file`: programs hand relative paths and options of their own to that
            file system, and what they expect would not hold.
        InvalidConfig: There is no store for such a scheme; nothing is registered.
    """
    for scheme in schemes:
        if scheme in {"file", "local"}:
            raise ValueError(
                f"{scheme!r} stays what it is, since fsspec itself and other libraries rely on it; "
                "write holdall+file://"
            )
        store_class(scheme)
    for scheme in schemes:
        kind = filesystem_class(scheme)
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
        fsspec.register_implementation(scheme, kind, clobber=True)
