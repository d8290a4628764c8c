"""From an address or a configuration to a database."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall import AsyncDatabase, Database, DatabaseFactory, Record
from holdall.core.errors import InvalidConfig
from holdall.records.backends.memory import MemoryRecords

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_of_one_name_is_shared() -> None:
    holdall.open_database("memory://shared-here").create(Record({"a": 1}, id="x"))
    assert holdall.open_database({"type": "memory", "name": "shared-here"}).exists("x")
    assert not holdall.open_database("memory://").exists("x")
    assert Database.from_config({"backend": "memory", "name": "shared-here"}).exists("x")
    assert DatabaseFactory().create("mem", name="shared-here", other=None).exists("x")


def test_it_opens_for_asyncio() -> None:
    async def use() -> int:
        async with holdall.open_database_async("memory://") as db:
            await db.create(Record({}))
            return await db.count()

    assert asyncio.run(use()) == 1
    assert isinstance(AsyncDatabase.from_config({"type": "memory"}), AsyncDatabase)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("app.db", "no address"),
        ("user:secret@host", "^the text is no address"),
        ("momory://", "Did you mean 'memory'"),
        ({"type": "nothing"}, "known are"),
        ({}, "'type', 'backend' and 'url'"),
        ({"type": "memory", "url": "memory://"}, "'type', 'backend' and 'url'"),
        ({"type": "memory", "nam": "x"}, "name"),
        ("memory://a/b", "memory://name"),
        ("memory://a?name=b", "says already"),
    ],
)
def test_a_place_that_cannot_be_says_why(place: Any, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        holdall.open_database(place)


def test_something_else_is_no_place() -> None:
    with pytest.raises(TypeError, match="not int"):
        holdall.open_database(5)  # type: ignore[arg-type]


def test_a_file_describes_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_NAME", "filed")
    file = tmp_path / "config.yaml"
    file.write_text(
        "databases:\n"
        "  - name: one\n    class: memory\n"
        "  - name: two\n    class: dataknobs_data.backends.memory.MemoryDatabase\n"
        "    name_of: x\n".replace("    name_of: x\n", "")
        + "  - name: three\n    url: memory://${DB_NAME}\n"
    )
    databases = holdall.open_databases(file)
    assert list(databases) == ["one", "two", "three"]
    databases["three"].create(Record({}, id="x"))
    assert holdall.open_database("memory://filed").exists("x")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "databases"),
        ({"databases": {}}, "databases"),
        ({"databases": [], "more": 1}, "databases"),
        ({"databases": [5]}, "no database"),
        ({"databases": [{"class": "memory"}]}, "no 'name'"),
        ({"databases": [{"name": "a", "class": "memory"}] * 2}, "two databases"),
        ({"databases": [{"name": "a", "class": "os.system"}]}, "'a'.*os.system"),
        ({"databases": [{"name": "a"}]}, "'a'"),
    ],
)
def test_a_file_that_cannot_be_says_why(tree: Any, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        holdall.open_databases(tree)


def test_a_backend_can_be_registered() -> None:
    factory = DatabaseFactory()
    factory.register("mine-of-a-test", MemoryRecords)
    assert factory.create("mine-of-a-test").count() == 0
    with pytest.raises(InvalidConfig, match="already"):
        factory.register("memory", MemoryRecords)


def test_records_are_not_imported_before_they_are_used() -> None:
    code = "import sys, holdall; print([m for m in sys.modules if m.startswith('holdall.records')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
