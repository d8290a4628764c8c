"""The page for those who come from elsewhere names everything, and our names in it exist."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from holdall.objects.sources import WriteKeywords

PAGE = Path(__file__).parent.parent / "docs" / "coming-from.md"

# Every name of the three libraries. Methods and fields are written behind their type.
GO = {
    "": "ErrResumeNotSupported GetLocalBasePath GetStoragePath SanitizeS3Prefix AppendingBackend "
    "AzureBlobBackend NewAzureBlobBackend AzureBlobConfig Backend BatchDeleter DirectoryLister "
    "DirectoryRemover LocalBackend NewLocalBackend ObjectInfo ObjectLister ResilientBackend "
    "NewResilientBackend ResilientConfig DefaultResilientConfig S3Backend NewS3Backend S3Config",
    "AppendingBackend": "AppendReader",
    "AzureBlobBackend": "Close ConfigJSON Delete DeleteBatch Exists GetAccountKey GetAccountName "
    "GetContainer List ListDirectories ListObjects Read ReadTo ReadToAt StatFile Type Write "
    "WriteReader",
    "AzureBlobConfig": "ConnectionString AccountName AccountKey SASToken UseManagedIdentity "
    "ContainerName Endpoint",
    "Backend": "Write WriteReader Read ReadTo ReadToAt StatFile List Delete Exists Close Type "
    "ConfigJSON",
    "BatchDeleter": "DeleteBatch",
    "DirectoryLister": "ListDirectories",
    "DirectoryRemover": "RemoveDirectory",
    "LocalBackend": "AppendReader Close ConfigJSON Delete DeleteBatch Exists GetBasePath "
    "GetFullPath List ListDirectories ListObjects Read ReadTo ReadToAt RemoveDirectory StatFile "
    "Type Write WriteReader",
    "ObjectLister": "ListObjects",
    "ResilientBackend": "CircuitBreakerStats Close Delete Exists IsCircuitOpen List Read ReadTo "
    "ResetCircuitBreaker Write WriteReader",
    "ResilientConfig": "MaxFailures Timeout HalfOpenMaxRequests MaxRetries RetryDelay "
    "RetryMaxDelay",
    "S3Backend": "Close ConfigJSON Delete DeleteBatch Exists GetAccessKey GetBucket GetPrefix "
    "GetQueryPath GetQueryPathRange GetRegion GetS3Path GetSecretKey List ListDirectories "
    "ListObjects Read ReadTo ReadToAt StatFile Type Write WriteReader",
    "S3Config": "Bucket Region Endpoint AccessKey SecretKey UseSSL PathStyle Prefix",
}
FLYTE = {
    "": "DataStore Config ConnectionConfig NewDataStore RefreshConfig NewCompositeDataStore "
    "RawStore newStowRawStore cachedRawStore DefaultProtobufStore DataReference "
    "ReferenceConstructor URLPathConstructor ProtobufStore freecache schemeRoutingStore stowStore",
    "Config": "Type Connection InitContainer Redis.Addr",
    "ConnectionConfig": "Region",
    "DataReference": "Split",
    "ProtobufStore": "WriteProtobuf ReadProtobuf",
    "RawStore": "ReadRaw WriteRaw Head List",
    "ReferenceConstructor": "ConstructReference",
    "promutils": "Scope NewTestScope",
    "storage": "Options TypeS3 TypeLocal TypeMemory limits.maxDownloadMBs",
}
DATAKNOBS = {
    "": "S3Database Record Query DatabaseFactory bucket prefix region endpoint_url access_key_id "
    "secret_access_key session_token max_workers cache_ttl multipart_threshold storage_class "
    "databases",
    "S3Database": "from_config create read update delete batch_create batch_read batch_delete "
    "search count select_query",
    "Record": "get_value fields metadata",
    "Query": "filter sort limit",
    "DatabaseFactory": "create",
}
PARTS = {
    "## From a Go storage package": GO,
    "## From Flyte's storage layer": FLYTE,
    "## From dataknobs-data": DATAKNOBS,
}


class Row(NamedTuple):
    theirs: str
    ours: str
    note: str


def rows_of(text: str) -> list[Row]:
    """The rows of all tables of a text."""
    return [
        Row(*match.groups())
        for match in re.finditer(r"^\| `([^`]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    ]


TEXT = PAGE.read_text("utf-8")
ROWS = rows_of(TEXT)


def resolve(path: str) -> None:
    """Find what a dotted path leads to, and the arguments named behind it.

    Raises:
        AttributeError: There is no such thing, or it takes no such argument.
    """
    dotted, _, arguments = path.removesuffix(")").partition("(")
    found: Any = import_module("holdall")
    for name in dotted.split(".")[1:]:
        found = _step(found, name)
    parameters = dict(inspect.signature(found).parameters) if arguments else {}
    named = {*parameters, *(WriteKeywords.__annotations__ if "keywords" in parameters else ())}
    for argument in filter(None, re.split(r"=,?\s*", arguments)):
        if argument not in named:
            raise AttributeError(f"{dotted} takes no {argument}")


def _step(found: Any, name: str) -> Any:
    if isinstance(found, ModuleType):
        try:
            return getattr(found, name)
        except AttributeError:
            try:
                return import_module(f"{found.__name__}.{name}")
            except ModuleNotFoundError as error:
                raise AttributeError(f"{found.__name__} has no {name}") from error
    if name in getattr(found, "__struct_fields__", ()):
        return found
    return getattr(found, name)


def expected(names: dict[str, str]) -> set[str]:
    return {
        f"{owner}.{name}" if owner else name
        for owner, listed in names.items()
        for name in listed.split()
    }


@pytest.mark.parametrize("part", PARTS)
def test_every_name_of_a_library_has_a_row(part: str) -> None:
    section = TEXT.partition(f"\n{part}\n")[2].partition("\n## ")[0]
    assert expected(PARTS[part]) - {row.theirs for row in rows_of(section)} == set()


def test_a_name_has_one_row() -> None:
    names = [row.theirs for row in ROWS]
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_every_row_of_a_table_is_read() -> None:
    lines = re.findall(r"^\| (?!theirs|---).*$", TEXT, re.MULTILINE)
    assert len(lines) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.theirs)
def test_our_names_in_a_row_exist(row: Row) -> None:
    for path in re.findall(r"`(holdall\.[^`]+)`", row.ours + row.note):
        if not path.startswith("holdall.open("):
            resolve(path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.theirs)
def test_a_row_has_a_counterpart_or_a_reason(row: Row) -> None:
    if "`holdall." not in row.ours:
        assert row.ours == "none"
        assert row.note


@pytest.mark.parametrize(
    "path",
    [
        "holdall.DataStore.slurp",
        "holdall.nowhere.DataStore",
        "holdall.DataStore.write(colour=)",
        "holdall.DataStore.list_page(max_items=, page=)",
        "holdall.ObjectMeta.colour",
    ],
)
def test_a_name_that_is_gone_is_found_out(path: str) -> None:
    with pytest.raises(AttributeError):
        resolve(path)


@pytest.mark.parametrize(
    "path",
    ["holdall.DataStore.write(size=, if_match=)", "holdall.ObjectMeta.size", "holdall.errors"],
)
def test_a_name_that_is_there_is_found(path: str) -> None:
    resolve(path)
