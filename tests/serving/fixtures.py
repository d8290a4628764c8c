"""The servers as fixtures: each is started once for a worker, by the first test that asks."""

from collections.abc import Iterator

import pytest

from serving import caches, clouds, databases
from serving.caches import RedisServer
from serving.clouds import AzureServer, GoogleServer, S3Server
from serving.databases import PostgresServer

__all__ = [
    "azure_server",
    "google_server",
    "postgres_database",
    "postgres_server",
    "redis_server",
    "redis_stack_server",
    "s3_server",
    "versity_server",
]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 that checks no signature."""
    with clouds.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def versity_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 that checks signatures."""
    with clouds.versity(tmp_path_factory.mktemp("versity")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """An Azure Blob Storage."""
    with clouds.azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    """A Google Cloud Storage."""
    with clouds.google(tmp_path_factory.mktemp("google")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis without modules."""
    with caches.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_stack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that can search and keeps time series."""
    with caches.redis_stack(tmp_path_factory.mktemp("redis-stack")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL."""
    with databases.postgres(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> str:
    """A database that the tests of a worker share; each has a table or schema of its own."""
    return postgres_server.make_database()
