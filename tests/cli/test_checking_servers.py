"""doctor and sign on real servers."""

import json
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
import urllib3
from redis import Redis

import holdall
from cli.conftest import Run
from holdall.core import errors
from serving.clouds import AzureServer, GoogleServer, S3Server


@pytest.fixture
def s3(versity_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a fresh bucket, whose settings stand in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity_server.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", versity_server.endpoint)
    return f"s3://{versity_server.make_container('doctor')}"


@pytest.fixture
def az(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a fresh container."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    return f"az://{azure_server.make_container('doctor')}"


@pytest.fixture
def gs(google_server: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a fresh bucket."""
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", google_server.bearer_token)
    return f"gs://{google_server.make_container('doctor')}?endpoint={google_server.endpoint}"


@pytest.fixture
def redis(redis_server: Any) -> str:
    """The address of an empty Redis."""
    return str(redis_server.make_empty())


@pytest.fixture
def memory() -> str:
    return "memory://doctor"


@pytest.fixture
def file(here: Path) -> str:
    (here / "data").mkdir()
    return str(here / "data")


def steps_of(result: Any) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in json.loads(result.stdout)["steps"]}


@pytest.mark.parametrize("place", ["memory", "file", "redis", "s3", "az", "gs"])
def test_doctor_finds_a_store_well(run: Run, request: pytest.FixtureRequest, place: str) -> None:
    found = json.loads(run("doctor", "--json", request.getfixturevalue(place)).stdout)
    assert [step["step"] for step in found["steps"] if not step["ok"]] == []
    assert found["steps"][-1]["step"] == "delete"


def test_doctor_takes_in_what_others_wrote(run: Run, redis: str) -> None:
    with Redis.from_url(redis) as client:
        client.set("foreign/key", b"theirs")
    assert json.loads(run("doctor", "--json", "--reindex", redis).stdout)["ok"]
    with holdall.open(redis) as store:
        assert list(store.list()) == ["foreign/key"]


@pytest.mark.parametrize("place", ["redis", "s3", "az", "gs"])
def test_doctor_leaves_nothing(run: Run, request: pytest.FixtureRequest, place: str) -> None:
    address = request.getfixturevalue(place)
    run("doctor", address)
    with holdall.open(address) as store:
        assert list(store.list()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_what_stops_doctor_leaves_no_probe(
    run: Run, s3: str, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(holdall.DataStore, "stat", stopped)
        if stop is KeyboardInterrupt:
            run("doctor", s3, code=130)
        else:
            with pytest.raises(stop):
                run("doctor", s3)
    with holdall.open(s3) as store:
        assert list(store.list()) == []


def test_a_copy_with_other_bytes_is_found(
    run: Run, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: holdall.DataStore, _: str, target: str) -> None:
        self.write(target, b"other")

    monkeypatch.setattr(holdall.DataStore, "copy", wrong)
    copy = steps_of(run("doctor", "--json", s3, code=1))["copy"]
    assert copy["kind"] == "Corrupt"


def test_what_needs_a_write_that_failed_is_not_tried(
    run: Run, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise errors.PermissionDenied("no")

    monkeypatch.setattr(holdall.DataStore, "write", refused)
    steps = steps_of(run("doctor", "--json", s3, code=1))
    assert "s3:PutObject" in steps["write"]["hint"]
    assert steps["copy"]["ok"] is None
    assert steps["copy"]["error"] == "not tried, since write failed"


def test_a_server_that_ignores_conditions_is_found(
    run: Run, az: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = holdall.DataStore.write

    def careless(self: holdall.DataStore, key: str, data: bytes, **_: Any) -> Any:
        return write(self, key, data)

    monkeypatch.setattr(holdall.DataStore, "write", careless)
    step = steps_of(run("doctor", "--json", az, code=1))["refuse to create it again"]
    assert "two writers" in step["hint"]


def test_a_wrong_secret_is_said_in_json(run: Run, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown")
    result = run("doctor", "--json", s3, code=1)
    opening = steps_of(result)["open"]
    assert "secret_key" in opening["hint"]
    assert "wrong-and-never-shown" not in result.output


@pytest.mark.parametrize("place", ["s3", "az", "gs"])
def test_a_missing_bucket_comes_with_the_way_to_make_it(
    run: Run, request: pytest.FixtureRequest, place: str
) -> None:
    address, mark, settings = request.getfixturevalue(place).partition("?")
    result = run("doctor", "--json", f"{address}-missing{mark}{settings}", code=2)
    assert steps_of(result)["open"]["hint"].startswith("make the ")


@pytest.mark.parametrize(
    "address",
    ["s3://b?endpoint=http://127.0.0.1:1&anonymous=true", "redis://:never-shown@127.0.0.1:1"],
)
def test_a_refused_connection_is_said_without_a_secret(run: Run, address: str) -> None:
    result = run("doctor", "--json", address, code=1)
    failed = next(step for step in steps_of(result).values() if not step["ok"])
    assert "see that the ser" in failed["hint"]
    assert "never-shown" not in result.output


def test_a_wrong_setting_is_a_mistake_and_still_json(run: Run) -> None:
    result = run("doctor", "--json", "s3://b?colour=red", code=2)
    assert "colour" in steps_of(result)["open"]["error"]


@pytest.mark.parametrize("place", ["s3", "az"])
def test_the_headers_that_sign_names_are_enough(
    run: Run, request: pytest.FixtureRequest, place: str
) -> None:
    address = f"{request.getfixturevalue(place)}/a b.txt"
    signed = json.loads(run("sign", "--json", "--method", "put", address).stdout)
    assert signed["method"] == "PUT"
    assert signed["expires_in"] == 3600
    assert signed["expires_at"].endswith("+00:00")
    with urllib3.PoolManager(retries=False) as pool:
        put = pool.request("PUT", signed["url"], body=b"data", headers=signed["headers"])
    assert put.status in {200, 201}, put.data


def test_sign_names_type_and_digest(run: Run, s3: str) -> None:
    digest = md5(b"data", usedforsecurity=False)
    words = ["--content-type", "text/x", "--content-md5", digest.hexdigest()]
    signed = json.loads(run("sign", "--json", "--method=PUT", *words, f"{s3}/a").stdout)
    coded = b64encode(digest.digest()).decode()
    assert signed["headers"] == {"Content-Type": "text/x", "Content-MD5": coded}
    with urllib3.PoolManager(retries=False) as pool:
        put = pool.request("PUT", signed["url"], body=b"data", headers=signed["headers"])
    assert put.status == 200, put.data


def test_a_put_comes_with_its_curl_line_and_no_second_url(run: Run, az: str) -> None:
    result = run("sign", "--method", "PUT", f"{az}/a")
    assert "curl -T FILE -H 'x-ms-blob-type: BlockBlob'" in result.stderr
    assert "sig=" not in result.stderr


def test_a_url_for_longer_than_the_service_allows_is_a_mistake(run: Run, s3: str) -> None:
    assert "at most 7 days" in run("sign", "--expires", "8d", f"{s3}/a", code=2).stderr
