"""The container of the server, as far as it can be tried without one."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from holdall.cli.app import app as commands
from holdall.cli.app import load
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.asking import users
from server.listening import listening

ROOT = Path(__file__).parents[2]
DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = [name for name in SERVICES if name.startswith("server-")]


def instructions(name: str) -> list[str]:
    """What follows an instruction of the Dockerfile, each time."""
    return re.findall(rf"(?m)^{name} +(.*)$", DOCKERFILE)


def checked(url: str) -> int:
    """The exit code of the image's health check, asked of another address."""
    (check,) = instructions("HEALTHCHECK")
    words = json.loads(check[check.index("[") :])
    assert words[0] == "python"
    code = words[2].replace("http://127.0.0.1:8080", url)
    assert code != words[2]
    done = subprocess.run(
        [sys.executable, *words[1:2], code],
        env={"http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode


def test_the_health_check_passes_while_the_server_is_ready_and_needs_no_account() -> None:
    made = users()
    asyncio.run(made.add_machine("gateway"))
    app = create_fastapi_app(InMemoryAdapter(), users=made)
    with listening(app) as url:
        assert checked(url) == 0
        app.state.ending = True
        assert checked(url) == 1


def test_who_serves_in_the_container_is_not_root() -> None:
    assert instructions("USER")[-1] not in {"root", "0"}


def test_every_extra_that_is_installed_is_one() -> None:
    (extras,) = re.findall(r"'\.\[([^]]+)\]'", DOCKERFILE)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)


@pytest.mark.parametrize("name", ["Dockerfile", *OURS])
def test_the_command_of_the_container_is_one_and_refuses_to_be_open(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the admin of the environment it says that nothing listens without accounts."""
    monkeypatch.setenv("HOLDALL_DATA", str(tmp_path))
    for variable in ("HOLDALL_ADMIN", "REDIS_URL", "TIMESCALE_DSN"):
        monkeypatch.delenv(variable, raising=False)
    assert [json.loads(one) for one in instructions("ENTRYPOINT")] == [["holdall"]]
    given = json.loads(instructions("CMD")[-1]) if name == "Dockerfile" else None
    load()
    done = CliRunner().invoke(commands, given or SERVICES[name]["command"])
    assert (done.exit_code, "there are no accounts" in done.stderr) == (2, True)


def test_what_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        word
        for one in instructions("COPY")
        if "--from" not in one
        for word in shlex.split(one)[:-1]
    }
    assert copied == kept
    assert all((ROOT / one).exists() for one in copied)


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_listens_on_this_machine_only(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(one.startswith("127.0.0.1:") for one in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_says_whether_it_is_healthy(name: str) -> None:
    """Ours by the check of its image."""
    assert ("healthcheck" in SERVICES[name]) != ("build" in SERVICES[name])


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_an_image_of_others_has_a_version(name: str) -> None:
    assert re.search(r":[^:/]*\d[^:/]*$", SERVICES[name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_our_server_waits_for_its_store_and_has_an_admin(name: str) -> None:
    service = SERVICES[name]
    ((store, how),) = service["depends_on"].items()
    assert how == {"condition": "service_healthy"}
    environment = service["environment"]
    assert any(f"@{store}:" in str(value) for value in environment.values())
    assert environment["HOLDALL_ADMIN"]
    assert environment["HOLDALL_ADMIN_PASSWORD"]


@pytest.mark.parametrize("name", OURS)
def test_our_server_starts_only_when_it_is_asked_for(name: str) -> None:
    assert SERVICES[name]["profiles"] == [name]


@pytest.mark.parametrize("name", OURS)
def test_our_server_has_longer_to_end_than_its_requests(name: str) -> None:
    from holdall.cli.serving_workers import SHUTDOWN

    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > SHUTDOWN
