"""Protocols, and paths that name their store."""

import os
import pickle
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest

import holdall
import holdall.fsspec
from holdall.core.errors import InvalidConfig, InvalidKey, Unsupported
from holdall.core.secrets import Secret
from holdall.fsspec import (
    AbfsFileSystem,
    FileFileSystem,
    HoldallFileSystem,
    MemoryFileSystem,
    S3FileSystem,
    filesystem,
    filesystem_class,
    register,
)
from holdall.objects import registry
from holdall.objects.backends.memory import MemorySettings, MemoryStore

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_instance_is_kept() -> Iterator[None]:
    yield
    for kind in (FileFileSystem, MemoryFileSystem, S3FileSystem):
        kind.clear_instance_cache()


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is gone after it."""
    registry_of = import_module("fsspec.registry")
    tables = (registry_of._registry, registry_of.known_implementations)
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def test_every_protocol_has_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    entries = project.get("entry-points", {}).get("fsspec.specs", {})
    expected = {
        getattr(holdall.fsspec, name).protocol: f"holdall.fsspec:{name}"
        for name in holdall.fsspec.__all__
        if name.endswith("FileSystem") and name != "UrlFileSystem"
    }
    assert entries == expected


def test_a_missing_fsspec_is_named() -> None:
    code = "import sys; sys.modules['fsspec'] = None; import holdall.fsspec"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'holdall[fsspec]'" in done.stderr


def test_a_url_leads_to_a_file(tmp_path: Path) -> None:
    with fsspec.open(f"holdall+file://{tmp_path}/d/a.txt", "w") as file:
        file.write("hello")
    assert (tmp_path / "d" / "a.txt").read_text() == "hello"
    assert fsspec.filesystem("holdall+file").ls(f"{tmp_path}/d", detail=False) == [
        f"{tmp_path}/d/a.txt"
    ]


def test_a_url_leads_to_a_named_memory() -> None:
    holdall.open("memory://urls").write("a/b", b"1")
    fs, path = fsspec.url_to_fs("holdall+memory://urls/a/b")
    assert (path, fs.cat_file(path)) == ("urls/a/b", b"1")
    assert fs.unstrip_protocol(path) == "holdall+memory://urls/a/b"


def test_a_memory_without_a_name_is_no_place() -> None:
    with pytest.raises(Unsupported, match="memory://name"):
        MemoryFileSystem().ls("holdall+memory:///a")


def test_settings_are_storage_options(tmp_path: Path) -> None:
    fs = fsspec.filesystem("holdall+file", durable=False)
    assert not fs.place(f"{tmp_path}/a").store.capabilities.durable
    with pytest.raises(InvalidConfig, match="durabel"):
        FileFileSystem(durabel=False).ls(str(tmp_path))
    with pytest.raises(InvalidConfig, match="leave it"):
        MemoryFileSystem(name="other").ls("urls/a")


def test_a_missing_backend_is_said_at_once() -> None:
    with pytest.raises(InvalidConfig):
        filesystem_class("nothing")()


def test_an_open_store_is_a_file_system(tmp_path: Path) -> None:
    store = holdall.open(tmp_path)
    fs = fsspec.filesystem("holdall", store=store)
    fs.pipe_file("holdall://a/b", b"1")
    assert store.read("a/b") == b"1"
    assert fs == filesystem(store)
    assert fs.ls("", detail=False) == ["a"]


def test_a_url_is_a_store_for_the_plain_protocol(tmp_path: Path) -> None:
    with fsspec.open("holdall://a", "wb", store=str(tmp_path)) as file:
        file.write(b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    with pytest.raises(TypeError, match="a store is needed"):
        fsspec.filesystem("holdall")


def test_two_memories_without_a_name_are_two() -> None:
    one = fsspec.filesystem("holdall", store=holdall.open("memory://"))
    other = fsspec.filesystem("holdall", store=holdall.open("memory://"))
    one.pipe_file("a", b"")
    assert not other.exists("a")
    assert one != other


def test_a_plain_scheme_is_taken_over(registered: None) -> None:
    register("memory")
    with fsspec.open("memory://taken/a", "wb") as file:
        file.write(b"1")
    assert holdall.open("memory://taken").read("a") == b"1"


def test_plain_files_are_not_taken_over() -> None:
    with pytest.raises(ValueError, match=r"holdall\+file"):
        register("file")


def test_nothing_is_taken_over_when_a_scheme_has_no_store(
    registered: None, vault: type[Any]
) -> None:
    with pytest.raises(InvalidConfig):
        register("vault", "nothing")
    with pytest.raises(ValueError, match="not known"):
        fsspec.get_filesystem_class("vault")
    register("vault")
    assert fsspec.get_filesystem_class("vault") is vault
    assert fsspec.get_filesystem_class("holdall+vault") is vault


# Folders of files


def test_the_store_is_the_nearest_folder_that_is_one(tmp_path: Path) -> None:
    holdall.open(tmp_path / "outer").write("x", b"")
    fs = FileFileSystem()
    fs.pipe_file(f"{tmp_path}/outer/a/b/c", b"")
    assert fs.place(f"{tmp_path}/outer/a/b/c").store.base_path == str(tmp_path / "outer")
    assert [path.parent for path in tmp_path.rglob(".holdall")] == [tmp_path / "outer"]


def test_else_it_is_the_folder_of_the_file(tmp_path: Path) -> None:
    fs = FileFileSystem()
    fs.pipe_file(f"{tmp_path}/a/b", b"")
    assert fs.place(f"{tmp_path}/a/b").store.base_path == str(tmp_path / "a")


def test_a_root_that_is_named_is_it(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path)
    fs.pipe_file(f"{tmp_path}/a/b", b"")
    assert [path.parent for path in tmp_path.rglob(".holdall")] == [tmp_path]
    with pytest.raises(InvalidKey, match="does not lie in"):
        fs.ls(str(tmp_path.parent))
    with pytest.raises(TypeError, match="root"):
        MemoryFileSystem(root="/")


def test_a_link_out_of_the_store_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_bytes(b"")
    fs = FileFileSystem(root=tmp_path / "data")
    fs.pipe_file(f"{tmp_path}/data/a", b"")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(PermissionError):
        fs.cat_file(f"{tmp_path}/data/link/secret")


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(InvalidKey, match="relative"):
        FileFileSystem().ls("data/a")


def test_a_folder_whose_name_looks_like_a_query_is_one(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path / "what?durable=false")
    fs.pipe_file(f"{tmp_path}/what?durable=false/${{HOME}}", b"1")
    assert (tmp_path / "what?durable=false" / "${HOME}").read_bytes() == b"1"


def test_many_folders_keep_few_stores(tmp_path: Path) -> None:
    fs = FileFileSystem(durable=False)
    files = [fs.open(f"{tmp_path}/{number}/a", "wb") for number in range(40)]
    for number, file in enumerate(files):
        file.write(b"%d" % number)
        file.close()
    assert [fs.cat_file(f"{tmp_path}/{number}/a") for number in range(40)] == [
        b"%d" % number for number in range(40)
    ]
    assert len(fs._stores) <= 16


# Identity, pickles, forks, secrets


def test_an_instance_is_found_again() -> None:
    assert fsspec.filesystem("holdall+memory") is fsspec.filesystem("holdall+memory")


def test_a_pickle_leads_to_the_same_files(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path, durable=False)
    fs.pipe_file(f"{tmp_path}/a", b"1")
    again = pickle.loads(pickle.dumps(fs))
    assert again == fs
    assert again.cat_file(f"{tmp_path}/a") == b"1"
    opened = filesystem(holdall.open(tmp_path))
    assert pickle.loads(pickle.dumps(opened)).cat_file("a") == b"1"


def test_json_leads_to_the_same_files(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path)
    fs.pipe_file(f"{tmp_path}/a", b"1")
    again = fsspec.AbstractFileSystem.from_json(fs.to_json())
    assert type(again) is FileFileSystem
    assert again.cat_file(f"{tmp_path}/a") == b"1"
    opened = filesystem(holdall.open(tmp_path))
    assert fsspec.AbstractFileSystem.from_json(opened.to_json()).cat_file("a") == b"1"


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path)
    fs.pipe_file(f"{tmp_path}/a", b"1")
    parents = fs.place(f"{tmp_path}/a").store
    child = os.fork()
    if child == 0:
        own = fs.place(f"{tmp_path}/a").store is not parents
        os._exit(0 if own and fs.cat_file(f"{tmp_path}/a") == b"1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_does_not_wait_for_a_thread_of_its_parent(tmp_path: Path) -> None:
    fs = FileFileSystem(root=tmp_path)
    fs.pipe_file(f"{tmp_path}/a", b"1")
    with fs._guard:  # as a thread has it, that the child does not have
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if fs.cat_file(f"{tmp_path}/a") == b"1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_there_is_no_one_store_of_a_url() -> None:
    assert not hasattr(MemoryFileSystem(), "store")


class VaultSettings(MemorySettings, frozen=True, kw_only=True):
    password: Secret | None = None
    hint: str = ""


class VaultStore(MemoryStore):  # type: ignore[misc]
    settings_type = VaultSettings

    @property
    def type(self) -> str:
        return "vault"


class _Brought(EntryPoint):
    def load(self) -> Any:
        return VaultStore


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    entry = _Brought("vault", "vault:VaultStore", registry.ENTRY_POINTS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([entry]))
    return filesystem_class("vault")


def password_of(fs: Any) -> str:
    settings = fs.place("any/key").store.store.settings
    assert isinstance(settings, msgspec.Struct)
    revealed: str = settings.password.reveal()  # type: ignore[attr-defined]
    return revealed


def test_a_secret_shows_nowhere(vault: type[Any]) -> None:
    fs = vault(password="hunter2", hint="dog")
    assert password_of(fs) == "hunter2"
    shown = [repr(fs), str(fs.storage_options), fs.to_json(), str(fs.to_dict()), fs.fsid]
    assert "hunter2" not in "".join(shown)
    assert b"hunter2" not in pickle.dumps(fs)
    assert pickle.loads(pickle.dumps(fs)).storage_options == {"hint": "dog"}


def test_where_a_secret_is_goes_into_a_pickle(
    vault: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_PASSWORD", "hunter2")
    again = pickle.loads(pickle.dumps(vault(password={"env": "VAULT_PASSWORD"})))
    assert password_of(again) == "hunter2"


def test_two_secrets_are_two_file_systems(vault: type[Any]) -> None:
    one, other = vault(password=Secret("one")), vault(password=Secret("other"))
    assert (password_of(one), password_of(other)) == ("one", "other")
    assert one != other
    assert vault(password="a") is not vault(password="b")


def test_a_secret_that_was_masked_still_opens(vault: type[Any]) -> None:
    first = vault(password="hunter2")
    assert password_of(vault(**first.storage_options)) == "hunter2"


def test_a_secret_in_a_path_is_refused_unseen() -> None:
    with pytest.raises(InvalidKey) as caught:
        S3FileSystem._strip_protocol("holdall+s3://user:hunter2@bucket/key")
    assert "hunter2" not in str(caught.value)


def test_an_account_may_stand_in_a_path() -> None:
    path = "lake@account.dfs.core.windows.net/key"
    assert AbfsFileSystem._strip_protocol(f"holdall+abfs://{path}") == path


def test_options_of_fsspec_are_no_settings() -> None:
    assert MemoryFileSystem(asynchronous=False).storage_options == {}
    assert HoldallFileSystem(store="memory://", use_listings_cache=True).ls("") == []


def test_dask_tells_two_memories_apart() -> None:
    one, other = HoldallFileSystem(store="memory://"), HoldallFileSystem(store="memory://")
    assert one.__dask_tokenize__() != other.__dask_tokenize__()
    assert MemoryFileSystem().__dask_tokenize__() == MemoryFileSystem().__dask_tokenize__()
