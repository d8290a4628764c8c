"""The settings of a database in a Delta Lake table."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret

_FILE: Final = "file://"
_S3: Final = "s3://"


class DeltaRecordSettings(Struct, frozen=True, kw_only=True):
    """Settings of a database in a Delta Lake table.

    Args:
        table: Where the table is: `file:///folder/table`, whose folder is there, or
            `s3://bucket/folder/table`. It is made by the first write.
        at_version: The version of the table to read, of those that Delta's log has; nothing is
            written then. None for the newest at every call.
        retries: How often a write begins anew because others wrote meanwhile.
        typed_from: A field becomes a column of its own when a batch of so many records or more
            has it in half of them, with values of one type.
        region: Where the bucket is; None for `AWS_REGION` or `AWS_DEFAULT_REGION`, else
            `us-east-1`.
        endpoint: The URL of the service of S3; None for `AWS_ENDPOINT_URL_S3` or
            `AWS_ENDPOINT_URL`, else AWS's own.
        path_style: Whether the bucket stands in the path and not in the host; None for the path
            where an endpoint is given.
        access_key: The access key's id.
        secret_key: The access key's secret.
        session_token: Of a temporary access key.
        anonymous: Whether requests are sent without credentials, for public tables.
        timeout: How long one request may take.
        connect_timeout: How long to wait for a connection.
    """

    table: str
    at_version: int | None = None
    retries: int = 20
    typed_from: int = 100
    region: str | None = None
    endpoint: str | None = None
    path_style: bool | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    anonymous: bool = False
    timeout: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=5)

    @property
    def address(self) -> str:
        """The table and its version, as text for messages."""
        version = "" if self.at_version is None else f"?at_version={self.at_version}"
        return f"delta+{self.table}{version}"

    @property
    def folder(self) -> str | None:
        """The path of the table; None where it is not on this machine."""
        return unquote(self.table[len(_FILE) :]) if self.table.startswith(_FILE) else None

    @property
    def place(self) -> str:
        """The table, as the driver takes it."""
        return self.folder or self.table


def check_settings(settings: DeltaRecordSettings) -> None:
    """Refuse what cannot be.

    Raises:
        InvalidConfig: The table is no address, or a number is negative.
    """
    table = settings.table
    folder = settings.folder
    bucket, _, key = table[len(_S3) :].partition("/")
    if folder is None and not (table.startswith(_S3) and bucket and key.strip("/")):
        raise InvalidConfig(
            f"table {table!r}: write file:///srv/data/table or s3://bucket/folder/table"
        )
    if folder is not None and (not folder.startswith("/") or not folder.strip("/")):
        raise InvalidConfig(f"table {table!r}: write file:///srv/data/table, from the root on")
    if "\0" in table or (folder is not None and "\0" in folder):
        raise InvalidConfig(f"table {table!r}: an address holds no NUL")
    for name in ("retries", "typed_from"):
        if getattr(settings, name) < 0:
            raise InvalidConfig(f"{name} {getattr(settings, name)}: write a number from 0 on")
    if settings.at_version is not None and settings.at_version < 0:
        raise InvalidConfig(f"at_version {settings.at_version}: versions are counted from 0")
    if (settings.access_key is None) != (settings.secret_key is None):
        raise InvalidConfig("access_key and secret_key: give both, or none of them")


def settings_of_address(url: str) -> dict[str, str]:
    """The settings that an address stands for: `delta+file:///…`, `delta+s3://…`.

    Raises:
        InvalidConfig: It names no table.
    """
    table = url.partition("+")[2] if url.lower().startswith("delta+") else ""
    if not table.startswith((_FILE, _S3)):
        raise InvalidConfig(
            f"{url}: write delta+file:///srv/data/table or delta+s3://bucket/folder/table"
        )
    return {"table": table}


def storage_options(settings: DeltaRecordSettings) -> dict[str, str]:
    """What the driver reaches the table with; secrets are looked up anew.

    Raises:
        InvalidConfig: A secret is not where it should be.
    """
    if settings.folder is not None:
        return {}
    secrets = {
        "aws_access_key_id": settings.access_key,
        "aws_secret_access_key": settings.secret_key,
        "aws_session_token": settings.session_token,
    }
    endpoint = _endpoint(settings)
    texts = {
        "aws_region": _region(settings),
        "aws_endpoint": endpoint,
        "allow_http": _word((endpoint or "").lower().startswith("http://")),
        "aws_virtual_hosted_style_request": _word(not _path_style(settings)),
        "aws_skip_signature": _word(settings.anonymous),
        "timeout": _duration(settings.timeout),
        "connect_timeout": _duration(settings.connect_timeout),
        # Two writers must never both write a version, whatever the environment says.
        "aws_conditional_put": "etag",
        "aws_s3_allow_unsafe_rename": "false",
    }
    options = {name: text for name, text in texts.items() if text is not None}
    return options | {name: one.reveal() for name, one in secrets.items() if one is not None}


def arrow_files(settings: DeltaRecordSettings) -> Any:
    """The folder of the table as Arrow reads it by itself.

    The driver's own file system calls Python from threads that Arrow owns, and a process that ends
    while one of them reads crashes.

    Raises:
        InvalidConfig: A secret is not where it should be.
    """
    from pyarrow import fs

    if settings.folder is not None:
        return fs.SubTreeFileSystem(settings.folder, fs.LocalFileSystem())
    known: dict[str, Any] = {
        "access_key": settings.access_key and settings.access_key.reveal(),
        "secret_key": settings.secret_key and settings.secret_key.reveal(),
        "session_token": settings.session_token and settings.session_token.reveal(),
        "region": _region(settings),
        "endpoint_override": _endpoint(settings),
        "request_timeout": settings.timeout.total_seconds(),
        "connect_timeout": settings.connect_timeout.total_seconds(),
        "force_virtual_addressing": not _path_style(settings),
        "anonymous": settings.anonymous,
    }
    given = {name: value for name, value in known.items() if value}
    return fs.SubTreeFileSystem(settings.table[len(_S3) :].rstrip("/"), fs.S3FileSystem(**given))


def _region(settings: DeltaRecordSettings) -> str:
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    found = settings.region or next(filter(None, map(os.environ.get, names)), None)
    return found or "us-east-1"


def _endpoint(settings: DeltaRecordSettings) -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return settings.endpoint or next(filter(None, map(os.environ.get, names)), None)


def _path_style(settings: DeltaRecordSettings) -> bool:
    if settings.path_style is None:
        return _endpoint(settings) is not None
    return settings.path_style


def _word(value: bool) -> str:
    return "true" if value else "false"


def _duration(value: timedelta) -> str:
    return f"{max(1, int(value.total_seconds() * 1000))}ms"
