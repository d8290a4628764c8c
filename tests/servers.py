"""The servers that tests ask for, and what happens where there is none."""

from serving.caches import RedisServer
from serving.clouds import AzureServer, GoogleServer, S3Server
from serving.databases import PostgresServer
from serving.fixtures import (
    azure_server,
    google_server,
    postgres_database,
    postgres_server,
    redis_server,
    redis_stack_server,
    s3_server,
    versity_server,
)
from serving.requiring import require_server

__all__ = [
    "AzureServer",
    "GoogleServer",
    "PostgresServer",
    "RedisServer",
    "S3Server",
    "azure_server",
    "google_server",
    "postgres_database",
    "postgres_server",
    "redis_server",
    "redis_stack_server",
    "require_server",
    "s3_server",
    "versity_server",
]
