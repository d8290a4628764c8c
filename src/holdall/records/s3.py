"""`S3Database`, under the name that dataknobs-data gave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from holdall.core.config import load_settings, read_settings
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import S3Records, S3RecordSettings
from holdall.records.database import Database

if TYPE_CHECKING:
    import os


@final
class S3Database:
    """Opens databases of records in S3."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | os.PathLike[str]) -> Database:
        """Open a database in a bucket.

        Args:
            config: Settings, or the path of a file of them (TOML, YAML, JSON): `bucket`,
                `prefix`, `region`, `endpoint_url`, `access_key_id`, `secret_access_key`,
                `session_token`, `max_workers`, `cache_ttl`, `multipart_threshold`,
                `storage_class`, and what else `S3RecordSettings` has.

        Nothing is asked of the service before the first call.

        Raises:
            InvalidConfig: A setting is missing, unknown, or cannot be.
        """
        place = None if isinstance(config, Mapping) else str(config)
        settings = load_settings(S3RecordSettings, read_settings(config), place=place)
        return Database(S3Records.open(settings, BlockingRuntime()))
