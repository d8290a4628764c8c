"""doctor and sign."""

import json
import os
from pathlib import Path

import pytest

import holdall
from cli.conftest import Run


def test_doctor_finds_a_folder_well_and_leaves_nothing(run: Run, here: Path) -> None:
    holdall.open(str(here / "data")).write("a", b"data")
    found = run("doctor", "data")
    assert "file store at" in found.stdout
    assert "FAILED" not in found.stdout
    assert "refuse to create it again" in found.stdout
    assert run("ls", "data").stdout == "a\n"


def test_doctor_makes_no_folder_and_no_store_of_one(run: Run, here: Path) -> None:
    assert "doctor makes none" in run("doctor", "missing", code=1).stdout
    assert not (here / "missing").exists()
    (here / "plain").mkdir()
    run("doctor", "plain")
    assert list((here / "plain").iterdir()) == []


def test_doctor_prints_json(run: Run, here: Path) -> None:
    (here / "data").mkdir()
    found = json.loads(run("doctor", "--json", "data").stdout)
    assert found["ok"]
    assert found["place"] == str(here / "data")
    assert found["capabilities"]["resume"] == "staged"
    assert {step["step"] for step in found["steps"]} >= {"open", "write", "read", "delete"}


def test_doctor_writes_nothing_where_it_must_not(run: Run, here: Path) -> None:
    (here / "data").mkdir()
    assert "  write" not in run("doctor", "--read-only", "data").stdout
    assert list((here / "data").iterdir()) == []


def test_doctor_says_what_fails_and_how_to_mend_it(run: Run, here: Path) -> None:
    address = "s3://bucket/x?endpoint=http://127.0.0.1:1&anonymous=true&check=false"
    found = run("doctor", "--json", address, code=1)
    steps = {step["step"]: step for step in json.loads(found.stdout)["steps"]}
    assert not steps["list"]["ok"]
    assert "127.0.0.1:1" in steps["list"]["error"]
    assert "endpoint" in steps["list"]["hint"]
    assert "FAILED list" in run("doctor", address, code=1).stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_says_that_a_folder_may_not_be_written(run: Run, here: Path) -> None:
    (here / "data").mkdir(mode=0o500)
    assert "right to read, write" in run("doctor", "data", code=1).stdout


def test_doctor_says_that_there_is_no_index(run: Run, here: Path) -> None:
    (here / "data").mkdir()
    assert "keeps no index" in run("doctor", "--reindex", "data", code=1).stdout


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")


@pytest.mark.usefixtures("_account")
def test_sign_says_that_the_service_must_answer_first(run: Run) -> None:
    assert "127.0.0.1:1" in run("sign", "s3://bucket/a b", code=1).stderr


def test_a_file_has_no_url(run: Run, here: Path) -> None:
    assert "no URL leads there" in run("sign", str(here / "a"), code=1).stderr


@pytest.mark.parametrize("words", [["--method", "POST"], ["--expires", "soon"], ["--expires=0"]])
def test_what_cannot_be_signed_is_a_mistake(run: Run, words: list[str]) -> None:
    run("sign", *words, "file:///a", code=2)


def test_doctor_says_what_a_configured_store_is_made_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    file = tmp_path / "storage.toml"
    file.write_text(
        f'type = "local"\ncontainer = "{tmp_path}/objects"\n[cache]\nmax_size_mbs = 1\n'
    )
    answer = json.loads(run("doctor", "--json", str(file)).stdout)
    assert answer["ok"]
    assert answer["made_of"][0] == "metrics"
    assert answer["made_of"][1].startswith("cache: ")
    assert answer["made_of"][2:] == ["router", f"  file://{tmp_path}/objects"]
    assert "it is made of:" in run("doctor", str(file)).stdout


def test_doctor_says_of_which_kind_a_configured_store_is(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "storage.toml"
    file.write_text('type = "mem"\n')
    assert run("doctor", str(file)).stdout.startswith("memory store at memory://\n")
    assert json.loads(run("doctor", "--json", str(file)).stdout)["type"] == "memory"
