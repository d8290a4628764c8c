"""A floor imports only downward, and `import holdall` imports next to nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "holdall"
FLOORS = ["core", "objects", "fsspec", "messages", "records", "haystack", "server", "cli"]
# What stands on everything: these may use `holdall` itself, as its users do.
TOP = {"server", "cli", "testing"}
HEAVY = {
    "asyncio",
    "concurrent.futures",
    "deltalake",
    "difflib",
    "duckdb",
    "fastapi",
    "fsspec",
    "google.protobuf",
    "obstore",
    "psycopg",
    "pyarrow",
    "pydantic",
    "redis",
    "rich",
    "sqlite3",
    "ssl",
    "tomllib",
    "typer",
    "uvicorn",
    "yaml",
}
FILES = sorted(SOURCE.rglob("*.py"))


def floor_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "cli" if first == "__main__" else first


def imported(tree: ast.AST, path: Path) -> Iterator[tuple[str, int]]:
    """Give each thing of `holdall` that a file imports anywhere, with the line."""
    package = ["holdall", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
        for name in names:
            if name.split(".")[0] == "holdall":
                yield name, getattr(node, "lineno", 0)


def faults(text: str, path: Path) -> list[str]:
    """Say which imports of a file reach up."""
    floor = floor_of(path)
    found = []
    for name, line in imported(ast.parse(text), path):
        target = [*name.split("."), ""][1]
        place = f"{path.relative_to(SOURCE)}:{line} imports {name}"
        if target == "testing":
            if floor != "testing":
                found.append(f"{place}: only tests use the suites")
        elif target in FLOORS:
            if floor == "testing":
                if target == "cli":
                    found.append(f"{place}: the suites stand below the command line")
            elif FLOORS.index(target) > FLOORS.index(floor):
                found.append(f"{place}: {floor} stands below {target}")
        elif floor not in TOP and not target.startswith("__"):
            found.append(f"{place}: import it from the floor that has it")
    return found


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give the statements that run when a module is imported, outside `if TYPE_CHECKING`."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending.extend(node.orelse)
            continue
        pending.extend(child for child in ast.walk(node) if isinstance(child, ast.stmt))
        pending = [child for child in pending if child is not node]


def test_every_module_belongs_to_a_floor() -> None:
    known = {*FLOORS, "testing", "__init__"}
    assert {floor_of(path) for path in FILES} <= known


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path != SOURCE / "__init__.py"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_a_floor_imports_only_downward(path: Path) -> None:
    assert not faults(path.read_text(), path)


@pytest.mark.parametrize(
    ("file", "text", "reaches_up"),
    [
        ("core/a.py", "import holdall.objects.face", True),
        ("core/a.py", "from holdall import objects", True),
        ("core/a.py", "from holdall.records.query import Query", True),
        ("core/a.py", "def f():\n    from holdall.cli import main", True),
        ("core/a.py", "from ..objects import face", True),
        ("core/a.py", "import importlib\nimportlib.import_module('holdall.objects')", True),
        ("core/a.py", "from holdall import open", True),
        ("core/a.py", "import holdall", True),
        ("objects/a.py", "from holdall.testing import ObjectStoreSuite", True),
        ("objects/backends/a.py", "from ...messages import read", True),
        ("testing/a.py", "from holdall.cli import main", True),
        ("core/a.py", "import os\nfrom holdall.core import errors", False),
        ("core/a.py", "from . import errors", False),
        ("objects/backends/a.py", "from ..contract import ObjectStore", False),
        ("cli.py", "import holdall\nfrom holdall import open_async", False),
        ("objects/a.py", "from holdall import __version__", False),
        ("testing/a.py", "from holdall.server import app", False),
    ],
)
def test_this_very_check_sees_every_form(file: str, text: str, reaches_up: bool) -> None:
    assert bool(faults(text, SOURCE / file)) == reaches_up


def test_the_package_itself_imports_its_floors_lazily() -> None:
    path = SOURCE / "__init__.py"
    eager = [
        name
        for node in at_import(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name, _ in imported(node, path)
    ]
    assert not eager


def test_importing_holdall_loads_nothing_heavy() -> None:
    code = "import sys; before = set(sys.modules); import holdall; "
    code += "print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "holdall" in loaded
    # The times tell whoever reads the failure which import brought a heavy one in.
    assert not HEAVY.intersection(loaded), done.stderr
