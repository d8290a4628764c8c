"""AWS credentials that services give, asked of real small servers."""

import logging
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from holdall.core.errors import Unauthenticated
from holdall.objects.backends.cloud import aws
from objects.cloud.loopback import Answer, Asked, Loopback
from objects.cloud.roles import OF_ROLE, ROLE, SECRET, Environment

# A web identity


_STS = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>id-of-role</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
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
    assert aws.find(None, None, cluster).lease() == OF_ROLE
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
    server.answer = lambda _: (200, ROLE)
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{server.url}/v2/role"
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Bearer a"
    assert aws.find(None, None, environment).lease() == OF_ROLE
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/v2/role")
    assert asked.headers["authorization"] == "Bearer a"


def test_the_token_of_a_container_may_be_in_a_file(
    environment: Environment, server: Loopback, tmp_path: Path
) -> None:
    server.answer = lambda _: (200, ROLE)
    (tmp_path / "token").write_text("of the file\n")
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(tmp_path / "token")
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "of the variable"
    aws.find(None, None, environment).current()
    assert server.asked[0].headers["authorization"] == "of the file"


def test_the_short_address_of_a_container_is_at_its_own_host(
    environment: Environment, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda _: (200, ROLE)
    monkeypatch.setattr(aws, "_CONTAINER", server.url)
    environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/short"
    environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:1/"
    assert aws.find(None, None, environment).lease() == OF_ROLE
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
    return {_ROLES: (200, b"role a\n"), f"{_ROLES}role%20a": (200, ROLE)}.get(
        asked.target, (404, b"")
    )


def test_a_machine_has_a_role(machine: Environment, server: Loopback) -> None:
    server.answer = _metadata
    assert aws.find(None, None, machine).lease() == OF_ROLE
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
    [b'{"Code": "Failed"}', b"\xff", b"", ROLE.replace(b"2999-01-01T00:00:00Z", b"hunter2")],
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


def test_nothing_secret_is_shown(
    machine: Environment, server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = _metadata
    credentials = aws.find(None, None, machine)
    found = credentials.lease()
    assert found.value.secret == SECRET
    assert SECRET not in caplog.text + repr(found) + repr(credentials) + str(found.value)
