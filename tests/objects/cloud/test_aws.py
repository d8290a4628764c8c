"""Where AWS credentials are found, the settings and the environment first."""

from pathlib import Path

import pytest

from holdall.core.errors import Unauthenticated
from holdall.objects.backends.cloud import aws
from holdall.objects.backends.cloud.sigv4 import Key
from objects.cloud.roles import SECRET, Environment, profile


def test_the_key_in_the_settings_comes_before_all(environment: Environment) -> None:
    environment |= {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"}
    key = Key("id", SECRET)
    assert aws.find(lambda: key, None, environment).current() is key


def test_the_environment_has_a_key(environment: Environment) -> None:
    environment |= {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "token",
    }
    assert aws.find(None, None, environment).current() == Key("id", SECRET, "token")


def test_an_empty_session_token_is_none(environment: Environment, files: Path) -> None:
    environment |= {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "",
    }
    (files / "credentials").write_text(profile("a", "id", "aws_session_token ="))
    assert aws.find(None, None, environment).current().token is None
    assert aws.find(None, "a", environment).current().token is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_half_a_key_in_the_environment_is_an_error(
    somebody_else: Environment, given: str, missing: str
) -> None:
    somebody_else[given] = "hunter2"
    with pytest.raises(Unauthenticated, match=f"{given} is given, and {missing}") as caught:
        aws.find(None, None, somebody_else).current()
    assert "hunter2" not in str(caught.value)


def test_the_environment_comes_before_the_files(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(profile("default", "id-of-file"))
    environment |= {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": SECRET}
    assert aws.find(None, None, environment).current().id == "id"


def test_an_error_names_every_place_in_order(environment: Environment) -> None:
    with pytest.raises(Unauthenticated) as caught:
        aws.find(None, None, environment).current()
    assert str(caught.value).startswith(
        "no credentials were found. Looked at the environment: nothing; the profile 'default': "
        "nothing; a web identity: nothing; the container: nothing; the machine: nothing. Give "
    )
