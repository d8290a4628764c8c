"""AWS credentials in files."""

import json
import sys
from pathlib import Path

import pytest

from holdall.core.errors import Unauthenticated
from holdall.objects.backends.cloud import aws
from holdall.objects.backends.cloud.credentials import Lease
from holdall.objects.backends.cloud.sigv4 import Key
from objects.cloud.loopback import Loopback
from objects.cloud.roles import END, OF_ROLE, SECRET, Environment, profile


def test_the_files_have_the_default_profile(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("default", "id-of-default"))
    assert aws.find(None, None, environment).current() == Key("id-of-default", SECRET)


def test_a_variable_names_the_profile(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("default", "no") + profile("other", "yes"))
    environment["AWS_PROFILE"] = "other"
    assert aws.find(None, None, environment).current().id == "yes"


def test_the_setting_names_the_profile_before_all(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("a", "id-of-a") + profile("b", "id-of-b"))
    environment |= {
        "AWS_PROFILE": "b",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert aws.find(None, "a", environment).current().id == "id-of-a"


def test_the_file_config_has_profiles_too(environment: Environment, files: Path) -> None:
    nested = "s3 =\n  max_concurrent_requests = 20\n"
    (files / "config").write_text(profile("profile a", "id-of-a", nested))
    assert aws.find(None, "a", environment).current().id == "id-of-a"


def test_the_file_credentials_comes_before_config(environment: Environment, files: Path) -> None:
    (files / "config").write_text(profile("profile a", "no"))
    (files / "credentials").write_text(profile("a", "yes"))
    assert aws.find(None, "a", environment).current().id == "yes"


def test_a_percent_sign_in_a_secret_is_kept(environment: Environment, files: Path) -> None:
    text = "[a]\naws_access_key_id=id\naws_secret_access_key=a%b%(c)s\n"
    (files / "credentials").write_text(text)
    assert aws.find(None, "a", environment).current().secret == "a%b%(c)s"


def test_variables_name_the_files(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "one").write_text(profile("a", "id-of-a"))
    (tmp_path / "two").write_text(profile("profile b", "id-of-b"))
    environment["AWS_SHARED_CREDENTIALS_FILE"] = str(tmp_path / "one")
    environment["AWS_CONFIG_FILE"] = str(tmp_path / "two")
    assert aws.find(None, "a", environment).current().id == "id-of-a"
    assert aws.find(None, "b", environment).current().id == "id-of-b"


def test_a_file_has_a_session_token_too(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("a", "id", "aws_session_token = token"))
    assert aws.find(None, "a", environment).current() == Key("id", SECRET, "token")


def test_a_changed_file_counts_at_the_next_opening(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("a", "old"))
    assert aws.find(None, "a", environment).current().id == "old"
    (files / "credentials").write_text(profile("a", "new"))
    assert aws.find(None, "a", environment).current().id == "new"


def test_a_missing_profile_is_named_and_nobody_else_asked(
    somebody_else: Environment, server: Loopback
) -> None:
    with pytest.raises(Unauthenticated, match="no credentials for the profile 'missing'"):
        aws.find(None, "missing", somebody_else).current()
    assert not server.asked


@pytest.mark.parametrize("written", ["", "[profile prod]\nregion = eu-west-1\n"])
def test_a_profile_that_a_variable_names_is_not_passed_over(
    somebody_else: Environment, files: Path, written: str
) -> None:
    (files / "config").write_text(written)
    somebody_else["AWS_PROFILE"] = "prod"
    with pytest.raises(Unauthenticated, match="no credentials for the profile 'prod'"):
        aws.find(None, None, somebody_else).current()


def test_a_key_of_the_environment_comes_before_the_profile_of_a_variable(
    environment: Environment,
) -> None:
    environment |= {
        "AWS_PROFILE": "missing",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert aws.find(None, None, environment).current() == Key("id", SECRET)


def test_files_without_the_default_profile_are_passed_over(
    somebody_else: Environment, files: Path
) -> None:
    (files / "credentials").write_text(profile("other", "id"))
    (files / "config").write_text("[default]\nregion = eu-west-1\n")
    assert aws.find(None, None, somebody_else).lease() == OF_ROLE


@pytest.mark.parametrize("file", ["credentials", "config"])
@pytest.mark.parametrize("half", ["aws_access_key_id", "aws_secret_access_key"])
def test_half_a_key_in_a_file_is_an_error(
    somebody_else: Environment, files: Path, file: str, half: str
) -> None:
    (files / file).write_text(f"[default]\n{half} = hunter2\n")
    with pytest.raises(Unauthenticated, match=f"{file} {half} is given, and ") as caught:
        aws.find(None, None, somebody_else).current()
    assert "hunter2" not in str(caught.value)


def test_a_key_is_taken_whole_from_one_file(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("a", "id"))
    (files / "config").write_text("[profile a]\naws_session_token = of another\n")
    assert aws.find(None, "a", environment).current() == Key("id", SECRET)


def test_a_broken_file_is_not_passed_over(somebody_else: Environment, files: Path) -> None:
    (files / "credentials").write_text("nothing of AWS")
    with pytest.raises(Unauthenticated, match="cannot be read"):
        aws.find(None, None, somebody_else).current()


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_a_file_that_is_named_and_cannot_be_read_is_an_error(
    somebody_else: Environment, files: Path, variable: str
) -> None:
    somebody_else[variable] = str(files)  # a folder
    with pytest.raises(Unauthenticated, match=r"\.aws cannot be read: Is a directory"):
        aws.find(None, None, somebody_else).current()


@pytest.fixture
def process(
    somebody_else: Environment, files: Path, monkeypatch: pytest.MonkeyPatch
) -> Environment:
    """As `somebody_else`, and AWS's own library, which looks at the process, finds the same."""
    for name in ("credentials", "config"):
        (files / name).touch()
    named = {
        "AWS_CONFIG_FILE": str(files / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(files / "credentials"),
    }
    for name, value in {**somebody_else, **named}.items():
        monkeypatch.setenv(name, value)
    return somebody_else


@pytest.mark.parametrize(
    "written",
    [
        "role_arn = arn:aws:iam::1:role/a\nsource_profile = missing",
        "role_arn = arn:aws:iam::1:role/a",
        "sso_session = of nobody",
        "credential_process = /missing/program",
    ],
)
def test_a_role_that_fails_is_not_passed_over(
    process: Environment, files: Path, server: Loopback, written: str
) -> None:
    (files / "config").write_text(f"[default]\n{written}\n")
    with pytest.raises(Unauthenticated, match="the profile 'default' gives no credentials"):
        aws.find(None, None, process).current()


def test_a_role_comes_before_the_key_that_is_its_source(process: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("a", "id-of-source"))
    (files / "config").write_text(
        "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = missing\n"
    )
    with pytest.raises(Unauthenticated, match="the profile 'a' gives no credentials"):
        aws.find(None, "a", process).current()


def test_a_role_without_the_library_is_not_passed_over(
    somebody_else: Environment, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    (files / "config").write_text("[default]\nrole_arn = arn:x\nsource_profile = a\n")
    with pytest.raises(Unauthenticated, match="pip install boto3"):
        aws.find(None, None, somebody_else).current()


@pytest.mark.parametrize("content", [b"hunter2", b"[a]\nhunter2\n", b"[a]\n[a]\n", b"[a]\n\xff"])
def test_a_broken_file_is_named_and_not_shown(
    environment: Environment, files: Path, content: bytes
) -> None:
    (files / "credentials").write_bytes(content)
    with pytest.raises(Unauthenticated, match=r"\.aws/credentials cannot be read") as caught:
        aws.find(None, "a", environment).current()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("program", ["/missing/program", "echo hunter2", "ls /missing/hunter2"])
def test_a_program_that_gives_nothing_is_an_error_of_ours(
    environment: Environment,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
) -> None:
    (files / "config").write_text(f"[profile a]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files / "config"))
    with pytest.raises(Unauthenticated, match="the profile 'a' gives no credentials") as caught:
        aws.find(None, "a", environment).current()
    assert "hunter2" not in str(caught.value)


def test_a_program_gives_a_key_and_its_end(
    environment: Environment, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "Version": 1,
        "AccessKeyId": "id",
        "SecretAccessKey": SECRET,
        "SessionToken": "token",
        "Expiration": "2999-01-01T00:00:00Z",
    }
    (files / "said").write_text(json.dumps(said))
    (files / "config").write_text(f"[profile a]\ncredential_process = cat {files / 'said'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files / "config"))
    found = aws.find(None, "a", environment).lease()
    assert found == Lease(Key("id", SECRET, "token"), END)
