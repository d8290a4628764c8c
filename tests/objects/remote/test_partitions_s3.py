"""Real Parquet in partitions of an S3: DuckDB reads a range, and asks for no object in vain.

DuckDB reads S3 with its extension httpfs, which comes as a wheel of its own, made for one version
of DuckDB. Where that wheel is missing, DuckDB still reads the same paths through fsspec.
"""

from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

import holdall
from faulty import HttpProxy
from holdall.fsspec import S3FileSystem
from holdall.objects import partitions
from objects.measurements import RANGES, read, rows_between, write_all
from servers import S3Server, require_server


@pytest.fixture(scope="module")
def bucket(versity_server: S3Server) -> str:
    """Two files an hour, for two days; and what lies beside them."""
    bucket = versity_server.make_container("measurements")
    with opened(versity_server, bucket, versity_server.endpoint) as store:
        write_all(store)
        for beside in ("mydb/cpu/2024/02/29/_tmp/a.parquet", "mydb/cpu2/2024/02/29/00/a.parquet"):
            store.write(beside, b"no Parquet")
    return bucket


def opened(server: S3Server, bucket: str, endpoint: str) -> holdall.DataStore:
    """The bucket, at an endpoint."""
    return holdall.open(
        {
            "type": "s3",
            "bucket": bucket,
            # Full of what DuckDB takes for wildcards.
            "prefix": "plant [7] *",
            "endpoint": endpoint,
            "access_key": server.access_key_id,
            "secret_key": server.secret_access_key,
            "layers": [],
        }
    )


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(versity_server.running.port) as relaying:
        yield relaying


@pytest.fixture
def store(versity_server: S3Server, bucket: str) -> Iterator[holdall.DataStore]:
    with opened(versity_server, bucket, versity_server.endpoint) as store:
        yield store


@pytest.fixture
def by_httpfs(versity_server: S3Server, proxy: HttpProxy) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB that asks the server by itself."""
    spec = find_spec("duckdb_extension_httpfs")
    if spec is None or spec.origin is None:
        require_server("httpfs", "the wheel duckdb-extension-httpfs is not installed")
    extension = (
        Path(spec.origin).parent / f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension"
    )
    if not extension.exists():
        require_server("httpfs", f"the wheel installed is not for DuckDB {duckdb.__version__}")
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.load_extension(str(extension))
        connection.execute(
            "CREATE SECRET (TYPE s3, KEY_ID ?, SECRET ?, REGION ?, ENDPOINT ?, "
            "URL_STYLE 'path', USE_SSL false)",
            [
                versity_server.access_key_id,
                versity_server.secret_access_key,
                versity_server.region,
                proxy.endpoint.removeprefix("http://"),
            ],
        )
        yield connection


@pytest.fixture
def by_fsspec(versity_server: S3Server, proxy: HttpProxy) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB that asks Holdall, which asks the server."""
    files = S3FileSystem(
        endpoint=proxy.endpoint,
        access_key=versity_server.access_key_id,
        secret_key=versity_server.secret_access_key,
    )
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        yield connection


def objects_asked_for(proxy: HttpProxy) -> set[str]:
    """The objects of which a byte was asked for, or whether they are there."""
    paths = {request.target.partition("?")[0] for request in proxy.found("GET|HEAD")}
    return {path for path in paths if path.endswith(".parquet")}


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("start", "end", "files"), RANGES)
def test_duckdb_reads_the_rows_of_a_range_from_the_objects_that_are_needed(
    store: holdall.DataStore,
    proxy: HttpProxy,
    by_httpfs: duckdb.DuckDBPyConnection,
    start: datetime,
    end: datetime,
    files: int,
    listed: bool,
) -> None:
    paths = paths_of(store, start, end, listed=listed)
    assert read(by_httpfs, paths, start, end) == rows_between(start, end)
    assert len(objects_asked_for(proxy)) == files


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("start", "end", "files"), RANGES[:2])
def test_duckdb_reads_the_same_through_fsspec(
    store: holdall.DataStore,
    proxy: HttpProxy,
    by_fsspec: duckdb.DuckDBPyConnection,
    start: datetime,
    end: datetime,
    files: int,
    listed: bool,
) -> None:
    paths = [f"holdall+{path}" for path in paths_of(store, start, end, listed=listed)]
    assert read(by_fsspec, paths, start, end) == rows_between(start, end)
    assert len(objects_asked_for(proxy)) == files


def paths_of(
    store: holdall.DataStore, start: datetime, end: datetime, *, listed: bool
) -> list[str]:
    """The patterns of a range, or the paths of the files that the store lists for it."""
    if not listed:
        return partitions.query_paths(store, "mydb", "cpu", start, end)
    found = partitions.partition_files(store, "mydb", "cpu", start, end)
    return [partitions.duckdb_path(meta.ref) for meta in found]
