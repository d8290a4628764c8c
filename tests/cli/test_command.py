"""What holds for all commands: help, documentation, exit codes, errors, start-up."""

import fcntl
import inspect
import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import holdall
from cli.conftest import Run
from holdall.cli import main, places
from holdall.cli.app import app, load
from holdall.core.errors import InvalidConfig
from holdall.objects.registry import store_class
from holdall.records.registry import records_class

load()
PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
COMMANDS = sorted(str(command.name) for command in app.registered_commands)


def test_these_are_the_commands() -> None:
    expected = "cat cp doctor du expire get ls mv put rm serve sign stat sync uploads verify"
    assert expected.split() == COMMANDS


def test_the_help_teaches_by_examples(run: Run) -> None:
    text = run("--help").stdout
    assert text.count("  holdall ") >= 6
    assert "Exit codes: 0" in text
    assert all(re.search(rf"^  {name} +[A-Z]", text, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, name: str) -> None:
    text = run(name, "--help").stdout
    assert re.search(rf"Examples:\n(.*\n)*? .*holdall {name} ", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    text = PAGE.read_text()
    assert re.search(rf"^### `holdall {name}`", text, re.MULTILINE)
    assert re.search(rf"^ *\$? ?.*holdall {name} ", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    section = re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)
    (mine,) = (text for text in section if text.startswith(f"`holdall {name}`"))
    (callback,) = (c.callback for c in app.registered_commands if c.name == name)
    source = inspect.getsource(inspect.unwrap(callback)) if callback is not None else ""
    for option in re.findall(r'Option\([^)]*?"(--[a-z-]+)"', source):
        assert f"`{option}" in mine, option


@pytest.mark.parametrize("words", [["--version"], ["ls", "--bogus"], ["bogus"], []])
def test_exit_codes_of_the_command_itself(words: list[str]) -> None:
    assert main(words) == (0 if words == ["--version"] else 2)


def test_the_version_needs_no_extra(here: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from holdall.cli import main; "
    code += "sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"holdall {holdall.__version__}\n"
    done = subprocess.run([*command, "ls"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "this command needs more: pip install 'holdall[cli]'\n"


@pytest.mark.parametrize(
    ("words", "absent"),
    [(["--version"], ["typer", "rich", "msgspec"]), (["ls"], ["rich.progress", "asyncio"])],
)
def test_a_command_imports_only_what_it_needs(
    here: Path, words: list[str], absent: list[str]
) -> None:
    code = "import sys; from holdall.cli import main; main(sys.argv[1:]); "
    code += "print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not set(absent) & set(done.stderr.split())


def test_a_reader_that_leaves_is_no_error(here: Path) -> None:
    store = holdall.open(f"file://{here}/data?durable=false")
    for number in range(2000):
        store.write(f"{number:04}{'x' * 200}", b"")
    command = [sys.executable, "-m", "holdall", "ls", "data"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


def unread(pipe: int) -> int:
    """How many bytes are in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_an_interruption_has_its_exit_code_and_no_traceback(here: Path) -> None:
    command = [sys.executable, "-m", "holdall", "put", "-", "data/k"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(b"x" * 3_000_000)
        child.stdin.flush()
        while unread(child.stdin.fileno()):
            assert child.poll() is None
        os.kill(child.pid, signal.SIGINT)
        assert child.stderr.read() == b"holdall: interrupted\n"
        child.stdin.close()
    assert child.returncode == 130
    store = holdall.open(str(here / "data"))
    assert list(store.list()) == []
    assert list(store.uploads()) == []


def test_an_error_of_the_system_is_one_line(run: Run, here: Path) -> None:
    holdall.open(str(here / "data")).write("k", b"")
    (here / "f").write_bytes(b"")
    assert "Not a directory" in run("get", "data/k", "f/g/k", code=1).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["ls", ""],
        ["cat", ""],
        ["put", "-", ""],
        ["put", "", "x"],
        ["get", "a/k", ""],
        ["cp", "a/k", ""],
        ["cp", "-r", "", "b"],
        ["mv", "a/k", ""],
        ["rm", "-r", "-y", "a", ""],
        ["sync", "", "b", "--delete"],
        ["sync", "a", ""],
        ["verify", "a", ""],
        ["uploads", ""],
    ],
)
def test_an_empty_place_is_no_place(run: Run, here: Path, words: list[str]) -> None:
    for name in ("a", "b"):
        holdall.open(str(here / name)).write("k", b"")
    assert "the place is empty; write . for this folder" in run(*words, code=2, typed="").stderr
    assert sorted(os.listdir(here)) == ["a", "b"]
    assert all(list(holdall.open(str(here / name)).list()) == ["k"] for name in ("a", "b"))


@pytest.mark.parametrize("word", ["cat", "stat", "rm"])
def test_a_dash_is_only_for_put_and_get(run: Run, here: Path, word: str) -> None:
    assert "only for put" in run(word, "-", code=2).stderr


def test_the_help_shows_no_address_that_leads_nowhere(run: Run) -> None:
    for words in ([], *([name] for name in COMMANDS)):
        for scheme in re.findall(r"([a-z0-9]+)://", run(*words, "--help").stdout):
            assert scheme == "http" or _is_known(scheme)


def _is_known(scheme: str) -> bool:
    try:
        return bool(store_class(scheme))
    except InvalidConfig:
        return bool(records_class(scheme))


def test_what_the_library_refuses_is_a_mistake_of_the_user(run: Run, here: Path) -> None:
    result = run("put", "-", "b/x", "-m", "Foo=1", code=2, typed="x")
    assert result.stderr.startswith("holdall: 'Foo' cannot name metadata")
    assert result.stderr.count("\n") == 1
    (here / "f").write_bytes(b"x")
    run("put", "f", "b/x", "-m", "Foo=1", code=2)
    run("cat", "f", "--start", "9", "--end", "3", code=2)


def test_a_store_above_is_the_nearest_one(here: Path) -> None:
    holdall.open(str(here / "a")).write("k", b"")
    holdall.open(str(here / "a" / "b")).write("k", b"")
    assert places.store_above(str(here / "a" / "b" / "c")) == str(here / "a" / "b")
    assert places.store_above(str(here / "a" / "x")) == str(here / "a")


def test_the_module_is_the_command(process: Run) -> None:
    assert process("--version").stdout.startswith(b"holdall ")
