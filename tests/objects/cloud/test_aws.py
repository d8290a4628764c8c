"""Where AWS credentials are found, asked of files and of real small servers."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from holdall.core.errors import Unauthenticated
from holdall.objects.backends.cloud import aws
from holdall.objects.backends.cloud.credentials import Lease
from holdall.objects.backends.cloud.sigv4 import Key
from objects.cloud.loopback import Answer, Asked, Loopback, listening

_SECRET = "hunter2-never-shown"
_END = datetime(2999, 1, 1, tzinfo=UTC)
_ROLE = json.dumps(
    {
        "Code": "Success",
        "AccessKeyId": "id-of-role",
        "SecretAccessKey": _SECRET,
        "Token": "token-of-role",
        "Expiration": "2999-01-01T00:00:00Z",
    }
).encode()
_OF_ROLE = Lease(Key("id-of-role", _SECRET, "token-of-role"), _END)

Environment = dict[str, str]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with listening() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Variables with which nothing is found and nothing is contacted."""
    return {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / ".aws"
    folder.mkdir()
    return folder


@pytest.fixture
def somebody_else(environment: Environment, server: Loopback) -> Environment:
    """Variables of a container, whose role is not the one that a test names."""
    server.answer = lambda _: (200, _ROLE)
    return environment | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}


def _profile(name: str, key: str, more: str = "") -> str:
    return f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {_SECRET}\n{more}\n"


# Settings and environment


def test_the_key_in_the_settings_comes_before_all(environment: Environment) -> None:
    environment |= {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"}
    key = Key("id", _SECRET)
    assert aws.find(lambda: key, None, environment).current() is key


def test_the_environment_has_a_key(environment: Environment) -> None:
    environment |= {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_SESSION_TOKEN": "token",
    }
    assert aws.find(None, None, environment).current() == Key("id", _SECRET, "token")


def test_an_empty_session_token_is_none(environment: Environment, files: Path) -> None:
    environment |= {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_SESSION_TOKEN": "",
    }
    (files / "credentials").write_text(_profile("a", "id", "aws_session_token ="))
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
    (files / "credentials").write_text(_profile("default", "id-of-file"))
    environment |= {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": _SECRET}
    assert aws.find(None, None, environment).current().id == "id"


# Files


def test_the_files_have_the_default_profile(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(_profile("default", "id-of-default"))
    assert aws.find(None, None, environment).current() == Key("id-of-default", _SECRET)


def test_a_variable_names_the_profile(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(_profile("default", "no") + _profile("other", "yes"))
    environment["AWS_PROFILE"] = "other"
    assert aws.find(None, None, environment).current().id == "yes"


def test_the_setting_names_the_profile_before_all(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(_profile("a", "id-of-a") + _profile("b", "id-of-b"))
    environment |= {
        "AWS_PROFILE": "b",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": _SECRET,
    }
    assert aws.find(None, "a", environment).current().id == "id-of-a"


def test_the_file_config_has_profiles_too(environment: Environment, files: Path) -> None:
    nested = "s3 =\n  max_concurrent_requests = 20\n"
    (files / "config").write_text(_profile("profile a", "id-of-a", nested))
    assert aws.find(None, "a", environment).current().id == "id-of-a"


def test_the_file_credentials_comes_before_config(environment: Environment, files: Path) -> None:
    (files / "config").write_text(_profile("profile a", "no"))
    (files / "credentials").write_text(_profile("a", "yes"))
    assert aws.find(None, "a", environment).current().id == "yes"


def test_a_percent_sign_in_a_secret_is_kept(environment: Environment, files: Path) -> None:
    text = "[a]\naws_access_key_id=id\naws_secret_access_key=a%b%(c)s\n"
    (files / "credentials").write_text(text)
    assert aws.find(None, "a", environment).current().secret == "a%b%(c)s"


def test_variables_name_the_files(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "one").write_text(_profile("a", "id-of-a"))
    (tmp_path / "two").write_text(_profile("profile b", "id-of-b"))
    environment["AWS_SHARED_CREDENTIALS_FILE"] = str(tmp_path / "one")
    environment["AWS_CONFIG_FILE"] = str(tmp_path / "two")
    assert aws.find(None, "a", environment).current().id == "id-of-a"
    assert aws.find(None, "b", environment).current().id == "id-of-b"


def test_a_file_has_a_session_token_too(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(_profile("a", "id", "aws_session_token = token"))
    assert aws.find(None, "a", environment).current() == Key("id", _SECRET, "token")


def test_a_changed_file_counts_at_the_next_opening(environment: Environment, files: Path) -> None:
    (files / "credentials").write_text(_profile("a", "old"))
    assert aws.find(None, "a", environment).current().id == "old"
    (files / "credentials").write_text(_profile("a", "new"))
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
        "AWS_SECRET_ACCESS_KEY": _SECRET,
    }
    assert aws.find(None, None, environment).current() == Key("id", _SECRET)


def test_files_without_the_default_profile_are_passed_over(
    somebody_else: Environment, files: Path
) -> None:
    (files / "credentials").write_text(_profile("other", "id"))
    (files / "config").write_text("[default]\nregion = eu-west-1\n")
    assert aws.find(None, None, somebody_else).lease() == _OF_ROLE


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
    (files / "credentials").write_text(_profile("a", "id"))
    (files / "config").write_text("[profile a]\naws_session_token = of another\n")
    assert aws.find(None, "a", environment).current() == Key("id", _SECRET)


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
    (files / "credentials").write_text(_profile("a", "id-of-source"))
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
        "SecretAccessKey": _SECRET,
        "SessionToken": "token",
        "Expiration": "2999-01-01T00:00:00Z",
    }
    (files / "said").write_text(json.dumps(said))
    (files / "config").write_text(f"[profile a]\ncredential_process = cat {files / 'said'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files / "config"))
    found = aws.find(None, "a", environment).lease()
    assert found == Lease(Key("id", _SECRET, "token"), _END)


# A web identity


_STS = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>id-of-role</AccessKeyId><SecretAccessKey>{_SECRET}</SecretAccessKey>
    <SessionToken>token-of-role</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>""".encode()


@pytest.fixture
def cluster(environment: Environment, server: Loopback, tmp_path: Path) -> Environment:
    """The variables that a cluster sets."""
    (tmp_path / "token").write_text("web hunter2\n")
    return environment | {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/a",
        "AWS_ENDPOINT_URL_STS": f"{server.url}/",
    }


def test_a_web_identity_gets_a_role(cluster: Environment, server: Loopback) -> None:
    server.answer = lambda _: (200, _STS)
    assert aws.find(None, None, cluster).lease() == _OF_ROLE
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/")
    assert parse_qs(asked.body.decode()) == {
        "Action": ["AssumeRoleWithWebIdentity"],
        "Version": ["2011-06-15"],
        "RoleArn": ["arn:aws:iam::1:role/a"],
        "RoleSessionName": ["holdall"],
        "WebIdentityToken": ["web hunter2"],
    }


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b"hunter2", "the token service answers 403"),
        (200, b"hunter2", "no XML"),
        (200, b"<hunter2/>", "gave no credentials"),
        (200, _STS.replace(b"2999", b"hunter2"), "gave no credentials"),
    ],
)
def test_a_token_service_that_gives_nothing_is_named(
    cluster: Environment, server: Loopback, status: int, body: bytes, said: str
) -> None:
    server.answer = lambda _: (status, body)
    with pytest.raises(Unauthenticated, match=f"a web identity: .*{said}") as caught:
        aws.find(None, None, cluster).current()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("missing", ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"])
def test_half_a_web_identity_is_not_passed_over(
    cluster: Environment, somebody_else: Environment, missing: str
) -> None:
    del cluster[missing]
    with pytest.raises(Unauthenticated, match=f"is set, and {missing} is not"):
        aws.find(None, None, somebody_else | cluster).current()


def test_the_token_of_a_web_identity_is_read_each_time(
    cluster: Environment, server: Loopback, tmp_path: Path
) -> None:
    server.answer = lambda _: (403, b"")
    found = aws.find(None, None, cluster)
    with pytest.raises(Unauthenticated):
        found.current()
    server.answer = lambda _: (200, _STS)
    (tmp_path / "token").write_text("another")
    found.current()
    assert parse_qs(server.asked[-1].body.decode())["WebIdentityToken"] == ["another"]


@pytest.mark.parametrize("content", [None, b"\xff-hunter2"])
def test_a_token_that_cannot_be_read_is_named(
    cluster: Environment, tmp_path: Path, content: bytes | None
) -> None:
    if content is None:
        (tmp_path / "token").unlink()
    else:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(Unauthenticated, match="token cannot be read") as caught:
        aws.find(None, None, cluster).current()
    assert "hunter2" not in str(caught.value)


# The container


def test_a_container_has_a_role(environment: Environment, server: Loopback) -> None:
    server.answer = lambda _: (200, _ROLE)
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{server.url}/v2/role"
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Bearer a"
    assert aws.find(None, None, environment).lease() == _OF_ROLE
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/v2/role")
    assert asked.headers["authorization"] == "Bearer a"


def test_the_token_of_a_container_may_be_in_a_file(
    environment: Environment, server: Loopback, tmp_path: Path
) -> None:
    server.answer = lambda _: (200, _ROLE)
    (tmp_path / "token").write_text("of the file\n")
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(tmp_path / "token")
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "of the variable"
    aws.find(None, None, environment).current()
    assert server.asked[0].headers["authorization"] == "of the file"


def test_the_short_address_of_a_container_is_at_its_own_host(
    environment: Environment, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda _: (200, _ROLE)
    monkeypatch.setattr(aws, "_CONTAINER", server.url)
    environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/short"
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:1/"
    assert aws.find(None, None, environment).lease() == _OF_ROLE
    assert server.asked[0].target == "/v2/short"


@pytest.mark.parametrize(
    "url", ["http://a.example/hunter2", "http://10.0.0.1/", "hunter2", "http://["]
)
def test_the_token_of_a_container_goes_to_no_other_host_in_the_clear(
    environment: Environment, url: str
) -> None:
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url
    with pytest.raises(Unauthenticated, match="neither of https:// nor of a host") as caught:
        aws.find(None, None, environment).current()
    assert "hunter2" not in str(caught.value)


def test_a_container_that_gives_nothing_is_named(
    environment: Environment, server: Loopback
) -> None:
    server.answer = lambda _: (403, b"hunter2")
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url
    with pytest.raises(Unauthenticated, match=r"the container: .*gave no credentials") as caught:
        aws.find(None, None, environment).current()
    assert "hunter2" not in str(caught.value)


# The machine


@pytest.fixture
def machine(environment: Environment, server: Loopback) -> Environment:
    del environment["AWS_EC2_METADATA_DISABLED"]
    return environment | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{server.url}/"}


_ROLES = "/latest/meta-data/iam/security-credentials/"


def _metadata(asked: Asked) -> Answer:
    """The second version of the service, which answers only to a session."""
    if (asked.method, asked.target) == ("PUT", "/latest/api/token"):
        known = "x-aws-ec2-metadata-token-ttl-seconds" in asked.headers
        return (200, b"session") if known else (400, b"")
    if asked.headers.get("x-aws-ec2-metadata-token") != "session":
        return 401, b""
    return {_ROLES: (200, b"role a\n"), f"{_ROLES}role%20a": (200, _ROLE)}.get(
        asked.target, (404, b"")
    )


def test_a_machine_has_a_role(machine: Environment, server: Loopback) -> None:
    server.answer = _metadata
    assert aws.find(None, None, machine).lease() == _OF_ROLE
    assert [asked.method for asked in server.asked] == ["PUT", "GET", "GET"]


def test_the_machine_is_not_asked_when_that_is_switched_off(
    machine: Environment, server: Loopback
) -> None:
    machine["AWS_EC2_METADATA_DISABLED"] = "TRUE"
    with pytest.raises(Unauthenticated, match="the machine: nothing"):
        aws.find(None, None, machine).current()
    assert not server.asked


def test_a_machine_without_a_role_has_nothing(machine: Environment, server: Loopback) -> None:
    server.answer = lambda asked: (404, b"") if asked.target == _ROLES else _metadata(asked)
    with pytest.raises(Unauthenticated, match="the machine: nothing"):
        aws.find(None, None, machine).current()


def test_what_is_no_machine_of_aws_has_nothing(machine: Environment, server: Loopback) -> None:
    server.answer = lambda _: (404, b"")
    with pytest.raises(Unauthenticated, match="the machine: nothing"):
        aws.find(None, None, machine).current()


@pytest.mark.parametrize(
    "body",
    [b'{"Code": "Failed"}', b"\xff", b"", _ROLE.replace(b"2999-01-01T00:00:00Z", b"hunter2")],
)
def test_a_machine_that_answers_something_else_is_named(
    machine: Environment, server: Loopback, body: bytes
) -> None:
    server.answer = lambda asked: (
        (200, body) if asked.target.endswith("role%20a") else _metadata(asked)
    )
    with pytest.raises(Unauthenticated, match=r"the machine: .*gave no credentials") as caught:
        aws.find(None, None, machine).current()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("garbage", [b"\xff\xfe", b"a\r\nb", b"\x00"])
def test_garbage_from_a_machine_is_an_error_of_ours(
    machine: Environment, server: Loopback, garbage: bytes
) -> None:
    server.answer = lambda _: (200, garbage)
    with pytest.raises(Unauthenticated, match="the machine: "):
        aws.find(None, None, machine).current()


# All of it


def test_an_error_names_every_place_in_order(environment: Environment) -> None:
    with pytest.raises(Unauthenticated) as caught:
        aws.find(None, None, environment).current()
    assert str(caught.value).startswith(
        "no credentials were found. Looked at the environment: nothing; the profile 'default': "
        "nothing; a web identity: nothing; the container: nothing; the machine: nothing. Give "
    )


def test_nothing_secret_is_shown(
    machine: Environment, server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = _metadata
    credentials = aws.find(None, None, machine)
    found = credentials.lease()
    assert found.value.secret == _SECRET
    assert _SECRET not in caplog.text + repr(found) + repr(credentials) + str(found.value)
