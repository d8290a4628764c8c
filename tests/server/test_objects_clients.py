"""Objects over HTTP, asked by programs that nobody here wrote: curl, fsspec, DuckDB."""

import gc
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server.objects_served import machine, objects_served, requests_told
from servers import require_server

DATA = bytes(range(256)) * 4096
ROWS, GROUP = 200_000, 20_000
pandas: Any = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A store of files behind accounts; asks as an operator."""
    users, token = machine("operator")
    folder = tmp_path_factory.mktemp("objects")
    with objects_served(f"file://{folder}", users=users) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        client.put("data.bin", content=DATA)
        numbers = np.random.default_rng(7).random(ROWS)
        table = pa.table({"number": np.arange(ROWS), "value": numbers})
        pq.write_table(table, folder / "values.parquet", row_group_size=GROUP)
        yield client


class Curl:
    """Calls curl as an operator, in a folder."""

    def __init__(self, served: httpx.Client, folder: Path) -> None:
        program = shutil.which("curl")
        if program is None:
            require_server("curl", "it is not installed")
        self._start = [program, "-sS", "-H", f"Authorization: {served.headers['Authorization']}"]
        self._base, self._folder = str(served.base_url), folder

    def __call__(self, key: str, *arguments: str) -> bytes:
        """What curl prints."""
        command = [*self._start, *arguments, f"{self._base}{key}"]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, check=True)
        return done.stdout

    def status(self, key: str, *arguments: str) -> str:
        """The status of an answer, which comes to nobody."""
        return self(key, "-o", "/dev/null", "-w", "%{http_code}", *arguments).decode()


@pytest.fixture
def curl(served: httpx.Client, tmp_path: Path) -> Curl:
    return Curl(served, tmp_path)


def test_curl_reads_a_range(curl: Curl) -> None:
    assert curl("data.bin", "-r", "100-199") == DATA[100:200]
    assert curl("data.bin", "-r", "-7") == DATA[-7:]


def test_curl_goes_on_with_what_it_has(curl: Curl, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA[:1000])
    curl("data.bin", "-C", "-", "-o", "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_curl_that_has_all_of_it_is_content(curl: Curl, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(DATA)
    curl("data.bin", "-C", "-", "-o", "whole")
    assert (tmp_path / "whole").read_bytes() == DATA


@pytest.mark.parametrize("size", [0, 10, 3 * 2**20])
def test_curl_uploads_a_file(curl: Curl, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(bytes(size))
    assert curl.status(f"up/{size}", "-T", "file") == "201"
    assert curl(f"up/{size}") == bytes(size)


def test_curl_uploads_what_it_is_piped(curl: Curl, served: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    program = [*curl._start, "-T", "-", f"{served.base_url}piped"]
    with (tmp_path / "file").open("rb") as file:
        subprocess.run(program, stdin=file, check=True)
    assert curl("piped") == DATA


def test_curl_asks_under_conditions(curl: Curl, tmp_path: Path) -> None:
    curl("data.bin", "--etag-save", "etag", "-o", "first")
    assert curl.status("data.bin", "--etag-compare", "etag") == "304"
    curl("data.bin", "-R", "-o", "dated")
    assert curl.status("data.bin", "-z", "dated") == "304"


def test_curl_creates_only_once(curl: Curl, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    create = ("-T", "file", "-H", "If-None-Match: *")
    assert [curl.status("once", *create), curl.status("once", *create)] == ["201", "412"]


def test_curl_reads_what_its_own_encoding_of_a_key_wrote(curl: Curl, tmp_path: Path) -> None:
    (tmp_path / "100% ü?#.txt").write_bytes(b"x")
    # With a URL that ends in a slash it takes the name of the file for the rest.
    curl("named/", "-T", "100% ü?#.txt")
    assert curl("named/100%25%20%C3%BC%3F%23.txt") == b"x"


@pytest.fixture(scope="module")
def collected() -> Iterator[None]:
    """What is left of a file system goes here: it waits, which a thread with a loop must not."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def files(served: httpx.Client, collected: None) -> fsspec.AbstractFileSystem:
    """fsspec's own file system of HTTP."""
    pytest.importorskip("aiohttp")
    headers = {"Authorization": served.headers["Authorization"]}
    return fsspec.filesystem("http", client_kwargs={"headers": headers}, skip_instance_cache=True)


def test_fsspec_seeks_in_an_object(served: httpx.Client, files: fsspec.AbstractFileSystem) -> None:
    with files.open(f"{served.base_url}data.bin", block_size=10_000) as file:
        assert file.size == len(DATA)
        for at in (500_000, 3, len(DATA) - 5):
            file.seek(at)
            assert file.read(100) == DATA[at : at + 100]


def test_fsspec_reads_ranges(served: httpx.Client, files: fsspec.AbstractFileSystem) -> None:
    url = f"{served.base_url}data.bin"
    assert files.cat_file(url, start=5, end=10) == DATA[5:10]
    assert files.cat_file(url, start=-5) == DATA[-5:]


def test_fsspec_tells_what_is_there(served: httpx.Client, files: fsspec.AbstractFileSystem) -> None:
    assert files.exists(f"{served.base_url}data.bin")
    assert not files.exists(f"{served.base_url}never")
    assert files.info(f"{served.base_url}data.bin")["size"] == len(DATA)


def test_pandas_reads_one_column_through_fsspec(
    served: httpx.Client, files: fsspec.AbstractFileSystem
) -> None:
    with files.open(f"{served.base_url}values.parquet") as file:
        found = pandas.read_parquet(file, columns=["number"], filters=[("number", "<", 10)])
    assert list(found["number"]) == list(range(10))


@pytest.fixture
def database(served: httpx.Client) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with a machine's key."""
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
        token = served.headers["Authorization"].removeprefix("Bearer ")
        connection.execute("CREATE SECRET (TYPE http, BEARER_TOKEN ?)", [token])
        yield connection


def test_duckdb_reads_parquet(served: httpx.Client, database: duckdb.DuckDBPyConnection) -> None:
    url = f"{served.base_url}values.parquet"
    found = database.execute("SELECT count(*), max(number) FROM read_parquet(?)", [url]).fetchone()
    assert found == (ROWS, ROWS - 1)


def test_duckdb_asks_for_the_row_groups_that_it_needs(
    served: httpx.Client, database: duckdb.DuckDBPyConnection
) -> None:
    url = f"{served.base_url}values.parquet"
    size = int(served.head("values.parquet").headers["content-length"])
    with requests_told() as next_record:
        query = "SELECT count(*), sum(value) > 0 FROM read_parquet(?) WHERE number BETWEEN ? AND ?"
        found = database.execute(query, [url, 50_000, 50_099]).fetchone()
        served.delete("never")
        records = []
        while (record := next_record()).method != "DELETE":
            records.append(record)
    assert found == (100, True)
    assert {record.status for record in records if record.method == "GET"} == {206}
    assert sum(record.bytes for record in records) < size / 2
