"""Libraries that people use read and write through it, and publish nothing when they fail."""

# ruff: noqa: PT012 - what is written before the exception is the point of these tests

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import holdall
import holdall.fsspec
from filesystem.places import memory_name

pytestmark = pytest.mark.filterwarnings(
    # What the libraries do among themselves is not ours to repair.
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::ResourceWarning",
)


@pytest.fixture(params=["file", "memory"])
def url(request: Any, tmp_path: Path) -> Iterator[str]:
    yield {
        "file": f"holdall+file://{tmp_path}/data",
        "memory": f"holdall+memory://{memory_name(tmp_path)}/data",
    }[request.param]
    holdall.fsspec.FileFileSystem.clear_instance_cache()


def names(url: str) -> list[str]:
    fs, path = fsspec.url_to_fs(url)
    found: list[str] = [name[len(path) + 1 :] for name in fs.find(path)]
    return found


# pandas


def test_pandas_writes_and_reads_csv(url: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "ü"]})
    frame.to_csv(f"{url}/t.csv", index=False)
    frame.to_csv(f"{url}/t.csv.gz", index=False)
    assert pandas.read_csv(f"{url}/t.csv").equals(frame)
    assert pandas.read_csv(f"{url}/t.csv.gz").equals(frame)


def test_pandas_writes_and_reads_parquet(url: str) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2, 1], "b": [1.5, 2.5, 3.5]})
    frame.to_parquet(f"{url}/t.parquet")
    assert pandas.read_parquet(f"{url}/t.parquet").equals(frame)
    assert pandas.read_parquet(f"{url}/t.parquet", columns=["b"]).columns.tolist() == ["b"]
    frame.to_parquet(f"{url}/parts", partition_cols=["a"])
    assert sorted(pandas.read_parquet(f"{url}/parts")["b"]) == [1.5, 2.5, 3.5]


def test_pandas_takes_an_open_store() -> None:
    pandas = pytest.importorskip("pandas")
    store = holdall.open("memory://")
    frame = pandas.DataFrame({"a": [1]})
    frame.to_csv("holdall://t.csv", index=False, storage_options={"store": store})
    assert store.read("t.csv") == b"a\n1\n"


class Unprintable:
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_pandas_that_fails_publishes_nothing(url: str, name: str) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [["fine"]] * 200_000 + [[Unprintable()]]
    with pytest.raises(ZeroDivisionError):
        pandas.DataFrame(rows).to_csv(f"{url}/{name}", chunksize=1000)
    assert names(url) == []


# pyarrow


def test_pyarrow_writes_and_reads_a_dataset(url: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    dataset = pytest.importorskip("pyarrow.dataset")
    filesystems = pytest.importorskip("pyarrow.fs")
    fs, path = fsspec.url_to_fs(url)
    arrow = filesystems.PyFileSystem(filesystems.FSSpecHandler(fs))
    table = pyarrow.table({"a": [1, 1, 2], "b": ["x", "y", "z"]})
    dataset.write_dataset(table, path, filesystem=arrow, format="parquet", partitioning=["a"])
    back = dataset.dataset(path, filesystem=arrow, partitioning=["a"])
    assert back.to_table().sort_by("b")["b"].to_pylist() == ["x", "y", "z"]
    infos = arrow.get_file_info(filesystems.FileSelector(path, recursive=True))
    files = [info for info in infos if info.type == filesystems.FileType.File]
    assert [info.size for info in files] == [fs.size(info.path) for info in files]
    assert all(info.mtime is not None for info in files)
    arrow.delete_dir(path)
    assert names(url) == []


def test_pyarrow_that_fails_in_a_block_publishes_nothing(url: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    filesystems = pytest.importorskip("pyarrow.fs")
    fs, path = fsspec.url_to_fs(url)
    arrow = filesystems.PyFileSystem(filesystems.FSSpecHandler(fs))
    table = pyarrow.table({"a": [1]})
    with (
        pytest.raises(ZeroDivisionError),
        parquet.ParquetWriter(f"{path}/a", table.schema, filesystem=arrow) as writer,
    ):
        writer.write_table(table)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), arrow.open_output_stream(f"{path}/b") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert names(url) == []


# DuckDB


def test_duckdb_reads_and_writes(url: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    fs, _ = fsspec.url_to_fs(url)
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        connection.execute(f"COPY (SELECT range AS n FROM range(1000)) TO '{url}/1.parquet'")
        connection.execute(f"COPY (SELECT range + 1000 AS n FROM range(500)) TO '{url}/2.parquet'")
        found = connection.execute(f"SELECT count(*), max(n) FROM '{url}/*.parquet'").fetchone()
    assert found == (1500, 1499)


# polars and Dask


def test_polars_reads_and_writes_its_open_files(url: str) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2]})
    with fsspec.open(f"{url}/t.parquet", "wb") as file:
        frame.write_parquet(file)
    with fsspec.open(f"{url}/t.parquet", "rb") as file:
        assert polars.read_parquet(file).equals(frame)


def test_dask_writes_and_reads_partitions(url: str) -> None:
    pandas = pytest.importorskip("pandas")
    dask = pytest.importorskip("dask")
    frames = pytest.importorskip("dask.dataframe")
    frame = pandas.DataFrame({"a": range(100)})
    with dask.config.set(scheduler="threads"):
        frames.from_pandas(frame, npartitions=4).to_parquet(f"{url}/p")
        assert frames.read_parquet(f"{url}/p").a.sum().compute() == 4950
        frames.from_pandas(frame, npartitions=4).to_csv(f"{url}/c/*.csv", index=False)
        assert frames.read_csv(f"{url}/c/*.csv").a.sum().compute() == 4950
    assert len([name for name in names(url) if name.startswith("p/")]) >= 4


def test_a_file_is_what_readers_of_files_expect(url: str) -> None:
    with fsspec.open(f"{url}/t", "wb") as file:
        file.write(b"1\n2\n")
    with fsspec.open(f"{url}/t", "rb") as file:
        assert list(io.TextIOWrapper(io.BufferedReader(file))) == ["1\n", "2\n"]
