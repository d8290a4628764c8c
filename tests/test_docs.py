"""The pages are true: their Python runs, their links lead somewhere, their tables are complete.

Every block marked `python` is run, in order, in one namespace a page and an empty folder. Where
a block marked `text` follows it, that is what it prints.
"""

import contextlib
import io
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "holdall"
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
ALSO_LINKING = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_MODULE = re.compile(
    r"`((?:core|objects|fsspec|records|haystack|server|testing|cli)/[a-z0-9_/]*(?:\.py)?)`"
)


class Block(NamedTuple):
    line: int
    code: str
    output: str | None


def blocks_of(text: str) -> Iterator[Block]:
    """Give each Python block, with the output that the page shows behind it."""
    found = list(_FENCED.finditer(text))
    for block, after in zip(found, [*found, None][1:], strict=True):
        if block[1] != "python":
            continue
        shown = after is not None and after[1] == "text"
        follows = after is not None and not text[block.end() : after.start()].strip()
        output = after[2] if after is not None and shown and follows else None
        yield Block(text[: block.start()].count("\n") + 1, block[2], output)


def prose_of(page: Path) -> str:
    """The text of a page without its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCED.sub("", page.read_text("utf-8")))


def anchors_of(page: Path) -> set[str]:
    """The names that links give to the headings of a page, as GitHub makes them."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(_FENCED.sub("", page.read_text("utf-8"))):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        repeated = sum(1 for known in anchors if re.fullmatch(rf"{plain}(-\d+)?", known))
        anchors.add(f"{plain}-{repeated}" if repeated else plain)
    return anchors


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_runs_and_prints_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A class that a page makes looks for its module, to resolve annotations and to be pickled.
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in blocks_of(page.read_text("utf-8")):
        printed = io.StringIO()
        # With the page's own line numbers, so that a traceback leads there.
        code = compile("\n" * block.line + block.code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, module.__dict__)
        if block.output is not None:
            assert printed.getvalue() == block.output, f"{page}:{block.line}"


@pytest.mark.parametrize("page", [*PAGES, *ALSO_LINKING], ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert not broken


def test_a_page_is_reached_from_the_readme() -> None:
    reached = {README}
    ahead = [README]
    while ahead:
        page = ahead.pop()
        for link in _LINK.findall(prose_of(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in reached and target.exists():
                reached.add(target)
                ahead.append(target)
    assert not [name_of(page) for page in PAGES if page not in reached]


def rows_under(heading: str) -> dict[str, str]:
    """The rows of a table in the README by their first cell, which is `code`."""
    section = README.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {
        match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` .*$", section, re.MULTILINE)
    }


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def test_every_extra_has_a_row_in_the_readme() -> None:
    assert set(rows_under("Extras")) == set(extras())


def test_the_row_of_an_extra_names_what_it_brings() -> None:
    rows = rows_under("Extras")
    missing = []
    for extra, requirements in extras().items():
        for requirement in requirements if extra != "dev" else ():
            name = re.split(r"[\[<>=]", requirement)[0]
            if name != "holdall" and f"`{name}`" not in rows.get(extra, ""):
                missing.append((extra, name))
    assert not missing


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    named = set(_MODULE.findall((ROOT / "docs" / "architecture.md").read_text("utf-8")))
    gone = [name for name in named if not (SOURCE / name).exists()]
    folders = tuple(name for name in named if name.endswith("/"))
    modules = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.glob("*/**/*.py")
        if path.stat().st_size and path.name != "__init__.py"
    ]
    unnamed = [name for name in modules if name not in named and not name.startswith(folders)]
    assert (gone, unnamed) == ([], [])


def test_a_block_knows_its_line_and_its_output() -> None:
    page = "A page\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\n2\n```\n"
    assert list(blocks_of(page)) == [Block(3, "print(1)\n", "1\n"), Block(11, "2\n", None)]


def test_words_between_part_a_block_from_an_output() -> None:
    page = "```python\nprint(1)\n```\nno output:\n```text\n2\n```\n"
    assert list(blocks_of(page)) == [Block(1, "print(1)\n", None)]
