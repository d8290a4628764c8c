"""Settings of databases on stores of objects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import Struct

from holdall.core.secrets import Secret

_MEBIBYTE = 1024 * 1024


class RecordsOnObjects(Struct, frozen=True, kw_only=True):
    """Settings that all databases on stores of objects have.

    Args:
        max_workers: How many requests one call sends at once.
        cache_ttl: For how long `count()` without a query is answered from the last listing, until
            a write through this database; and for how long a delete of many takes for there what
            a search saw, so that it says of what others deleted meanwhile that it was there. 0
            asks each time.
        memory: How many bytes of records are kept in memory between searches, as their objects
            hold them; 0 keeps none, so that each search reads all.
        max_record: How many bytes the object of a record may have.
        snapshot: Whether searches keep what they read beside the records, for other processes.
        tags: Whether metadata is shown as tags of the objects, where the store has tags.
        storage_class: The service's own name of a class, for the objects of records.
    """

    max_workers: int = 10
    cache_ttl: timedelta = timedelta(seconds=60)
    memory: int = 768 * _MEBIBYTE
    max_record: int = 64 * _MEBIBYTE
    snapshot: bool = True
    tags: bool = True
    storage_class: str | None = None

    def __post_init__(self) -> None:
        if self.max_workers < 1:
            raise ValueError(f"max_workers is {self.max_workers}: below 1")
        if self.max_record < 1:
            raise ValueError(f"max_record is {self.max_record}: below 1")
        if self.memory < 0:
            raise ValueError(f"memory is {self.memory}: below 0")
        if self.cache_ttl.total_seconds() < 0:
            raise ValueError(f"cache_ttl is {self.cache_ttl}: below 0")


class ObjectRecordSettings(RecordsOnObjects, frozen=True, kw_only=True):
    """Settings of a database on any store of objects.

    Args:
        store: The store: a URL (`file:///srv/records`, `az://container/records`), or its
            configuration.
    """

    store: str | dict[str, Any]


class FileRecordSettings(RecordsOnObjects, frozen=True, kw_only=True):
    """Settings of a database in a folder.

    Args:
        path: The folder.
        durable: Whether a write that was answered outlives a power cut.
    """

    path: str
    durable: bool = True


class S3RecordSettings(RecordsOnObjects, frozen=True, kw_only=True):
    """Settings of a database in a bucket of S3.

    Args:
        bucket: The bucket.
        prefix: What the keys of the records begin with; a `/` at its end makes no difference.
        region: Where the bucket is; None for what the environment names, else `us-east-1`.
        endpoint_url: The service's URL, where it is not AWS.
        access_key_id: The access key's id; None for the credentials that AWS's tools would find.
        secret_access_key: The access key's secret.
        session_token: Of a temporary access key.
        multipart_threshold: Up to how many bytes an object is written by one request.
    """

    bucket: str
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    multipart_threshold: int = 5 * _MEBIBYTE
