"""The servers that tests ask for by fixtures, and what happens where there is none."""

from serving.caches import RedisServer
from serving.clouds import AzureServer, GoogleServer, S3Server
from serving.databases import PostgresServer
from serving.requiring import require_server

__all__ = [
    "AzureServer",
    "GoogleServer",
    "PostgresServer",
    "RedisServer",
    "S3Server",
    "require_server",
]
