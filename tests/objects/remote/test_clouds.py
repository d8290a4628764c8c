"""What holds for the clouds beside the contract."""

import hashlib
import multiprocessing
import pickle
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import urllib3

import holdall
from holdall import errors
from holdall.objects.backends.cloud import s3

Open = Callable[..., holdall.DataStore]
_PART = 5 * 1024 * 1024


# Opening


def test_a_missing_container_is_found_at_the_opening(open_cloud: Open) -> None:
    name = "bucket" if open_cloud(check=False).type != "az" else "container"
    with pytest.raises(errors.InvalidConfig, match="there is no such") as caught:
        open_cloud(**{name: "missing-for-sure"})
    assert "missing-for-sure" in str(caught.value)


def test_a_missing_container_is_no_missing_object(open_cloud: Open) -> None:
    name = "bucket" if open_cloud(check=False).type != "az" else "container"
    store = open_cloud(**{name: "missing-for-sure", "check": False})
    for call in (store.exists, store.read, store.stat):
        with pytest.raises(errors.InvalidConfig):
            call("a")


def test_a_wrong_secret_is_found_at_the_opening(open_s3: Open) -> None:
    with pytest.raises(errors.Unauthenticated, match="SignatureDoesNotMatch") as caught:
        open_s3(secret_key="hunter2-wrong")
    assert "hunter2" not in str(caught.value)


def test_a_wrong_key_is_no_missing_object(open_s3: Open) -> None:
    store = open_s3(access_key="wrong", check=False)
    for call in (store.exists, store.read, store.stat):
        with pytest.raises(errors.Unauthenticated, match="credentials"):
            call("a")


def test_an_address_where_nobody_listens_names_it(open_cloud: Open) -> None:
    with pytest.raises(errors.Unavailable, match=r"127\.0\.0\.1:1") as caught:
        open_cloud(endpoint="http://127.0.0.1:1/devstoreaccount1")
    assert caught.value.transient


def test_the_check_can_be_switched_off(open_cloud: Open, sent: list[tuple[str, str]]) -> None:
    open_cloud(check=False)
    assert not sent
    open_cloud()
    assert len(sent) == 1


def test_half_an_access_key_is_refused(open_s3: Open) -> None:
    with pytest.raises(errors.InvalidConfig, match="'secret_key' is given, and 'access_key'"):
        open_s3(access_key=None)


@pytest.mark.parametrize("prefix", ["/", "a//b", "..", "a/../b", ".holdall"])
def test_an_invalid_prefix_is_never_the_whole_bucket(open_cloud: Open, prefix: str) -> None:
    with pytest.raises(errors.InvalidConfig, match="prefix"):
        open_cloud(prefix=prefix)


def test_what_a_store_says_of_itself(open_s3: Open) -> None:
    store = open_s3(prefix="a/b/").store
    assert (store.prefix, store.region) == ("a/b/", "us-east-1")  # type: ignore[attr-defined]
    assert store.get_s3_path("c") == f"s3://{store.bucket}/a/b/c"  # type: ignore[attr-defined]


def test_what_an_azure_store_says_of_itself(open_azure: Open) -> None:
    store = open_azure().store
    assert store.account_name == "devstoreaccount1"  # type: ignore[attr-defined]
    assert store.container == store.root.container  # type: ignore[attr-defined]


# Secrets and other processes


def _read(store: holdall.DataStore, answers: Any) -> None:
    answers.put(store.read("a"))


def test_a_child_process_opens_the_same_place_with_its_own_credentials(
    open_s3: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = open_s3()
    given.write("a", b"data")
    blob = pickle.dumps(given)
    assert b"versity-secret" not in blob
    assert "versity-secret" not in given.config_json()
    assert "versity-secret" not in repr(given.store.settings)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "versity-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "versity-secret")
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    child = spawn.Process(target=_read, args=(given, answers))
    child.start()
    assert answers.get(timeout=60) == b"data"
    child.join()


def test_a_secret_of_a_file_is_found_again(open_s3: Open, tmp_path: Any) -> None:
    for name in ("access", "secret"):
        (tmp_path / name).write_text(f"versity-{name}\n")
    places = {f"{name}_key": {"file": str(tmp_path / name)} for name in ("access", "secret")}
    given = open_s3(**places)
    given.write("a", b"data")
    assert "versity-secret" not in given.config_json()
    assert pickle.loads(pickle.dumps(given)).read("a") == b"data"


# Requests


def test_a_small_stream_is_one_request(open_cloud: Open, sent: list[tuple[str, str]]) -> None:
    store = open_cloud()
    google = store.type == "gs"
    sent.clear()
    store.write("a", iter([b"some", b"more"]))
    assert len(sent) == google  # the others' went through obstore
    assert store.read("a") == b"somemore"
    assert list(store.uploads()) == []


def test_deletes_go_in_batches(open_cloud: Open, sent: list[tuple[str, str]]) -> None:
    store = open_cloud()
    keys = [f"k{number}" for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, b""), keys))
    sent.clear()
    store.delete_many([*keys, "missing"])
    assert list(store.list()) == []
    assert len(sent) - 1 == {"s3": 1, "az": 2, "gs": 4}[store.type]


@pytest.mark.parametrize("opener", ["open_s3", "open_moto"])
def test_keys_that_xml_cannot_hold_are_deleted(
    request: pytest.FixtureRequest, sent: list[tuple[str, str]], opener: str
) -> None:
    store: holdall.DataStore = request.getfixturevalue(opener)()
    keys = ["a", "b\uffff", "c", "\ufffe/d", "e"]
    for key in keys:
        store.write(key, b"data")
    sent.clear()
    store.delete_many([*keys, "\uffff"])
    assert sorted(method for method, _ in sent) == ["DELETE", "DELETE", "DELETE", "POST"]
    assert [key for key in keys if store.exists(key)] == []
    store.write("b\uffff", b"data")
    store.delete("b\uffff")
    assert not store.exists("b\uffff")


def test_a_key_that_xml_cannot_hold_fails_alone(
    open_s3: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_s3()
    for key in ("a", "b\uffff"):
        store.write(key, b"data")
    service: Any = store.backend.service  # type: ignore[attr-defined]
    send = service._send

    def refuse(method: str, *more: Any) -> Any:
        if method == "DELETE":
            raise errors.PermissionDenied("no")
        return send(method, *more)

    monkeypatch.setattr(service, "_send", refuse)
    with pytest.raises(errors.PartialFailure) as caught:
        store.delete_many(["a", "b\uffff"])
    assert [type(error) for error in caught.value.errors] == [errors.PermissionDenied]
    assert [store.exists(key) for key in ("a", "b\uffff")] == [False, True]


def test_a_large_object_is_written_and_read_in_parts(open_cloud: Open) -> None:
    store = open_cloud(part_size=_PART, single_size=_PART)
    data = bytes(range(256)) * (40 * 4096 + 1)
    meta = store.write("large", data, content_type="text/x", metadata={"a": "b"})
    assert meta.size == len(data)
    assert hashlib.sha256(store.read("large")).digest() == hashlib.sha256(data).digest()
    assert store.read("large", start=_PART - 1, end=_PART + 1) == data[_PART - 1 : _PART + 1]
    known = store.stat("large")
    assert (known.content_type, known.metadata) == ("text/x", {"a": "b"})
    assert list(store.uploads()) == []


def test_a_writer_that_fails_leaves_nothing(open_cloud: Open) -> None:
    store = open_cloud(part_size=_PART)
    with suppress(ZeroDivisionError), store.open_writer("a") as writer:
        writer.write(bytes(3 * _PART))
        raise ZeroDivisionError
    assert list(store.list()) == []
    assert list(store.uploads()) == []


def test_what_a_service_has_already_is_not_sent_again(
    open_cloud: Open, sent: list[tuple[str, str]]
) -> None:
    store = open_cloud(part_size=_PART)
    data = b"".join(bytes([number]) * _PART for number in range(3)) + b"end"
    upload = store.upload("a")
    upload.write(data[: 2 * _PART + 1])
    upload.close()
    (info,) = store.uploads()
    assert info.offset >= 2 * _PART
    again = store.upload("a", resume=info.id)
    assert again.offset == 0
    sent.clear()
    again.write(data)
    again.digest()  # waits for what is on its way
    assert sum(method in {"PUT", "POST"} for method, _ in sent) == 1
    again.commit(len(data), hashlib.sha256(data).hexdigest())
    assert store.read("a") == data
    assert list(store.uploads()) == []


def test_other_bytes_than_those_that_are_there_replace_them(open_cloud: Open) -> None:
    store = open_cloud(part_size=_PART)
    upload = store.upload("a")
    upload.write(b"x" * 2 * _PART)
    upload.close()
    again = store.upload("a", resume=upload.id)
    data = b"x" * _PART + b"y" * _PART
    again.write(data)
    again.commit(len(data), hashlib.sha256(data).hexdigest())
    assert store.read("a") == data


def test_a_copy_of_parts_keeps_everything(open_s3: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_COPY_BYTES", _PART)
    monkeypatch.setattr(s3, "_COPY_PART_BYTES", _PART)
    store = open_s3()
    data = bytes(range(256)) * (12 * 4096) + b"end"
    store.write("a", data, metadata={"a": "ü"}, tags={"t": "v"}, content_type="text/x")
    store.copy("a", "b")
    known = store.stat("b", tags=True)
    assert (known.metadata, known.tags, known.content_type) == ({"a": "ü"}, {"t": "v"}, "text/x")
    assert store.read("b") == data


def test_a_storage_class_is_kept_and_copied(open_moto: Open) -> None:
    store = open_moto()
    store.write("a", b"data", storage_class="STANDARD_IA")
    store.copy("a", "b")
    assert [store.stat(key).storage_class for key in "ab"] == ["STANDARD_IA"] * 2
    assert {meta.storage_class for meta in store.walk()} == {"STANDARD_IA"}


@pytest.mark.parametrize("opener", ["open_moto", "open_azure"])
@pytest.mark.parametrize("size", [4, 2 * _PART])
def test_a_storage_class_that_the_service_does_not_know_is_named(
    request: pytest.FixtureRequest, opener: str, size: int
) -> None:
    store = request.getfixturevalue(opener)(part_size=_PART)
    with pytest.raises(errors.Unsupported, match="'Nonesuch'") as caught:
        store.write("a", iter([bytes(size)]), storage_class="Nonesuch")
    assert not caught.value.transient
    assert not store.exists("a")


# What no header can carry


@pytest.mark.parametrize(
    "setting",
    [
        {"endpoint": "not a url"},
        {"endpoint": "http://[::1"},
        {"endpoint": "http://\N{SNOWMAN}.example"},
        {"endpoint": "http://127.0.0.1:1/<a>"},
        {"endpoint": "http://127.0.0.1:99999"},
        {"endpoint": "http://"},
        {"sign_endpoint": "http://127.0.0.1:one"},
        {"headers": {"a b": "c"}},
        {"timeout": 0},
        {"connect_timeout": 0},
    ],
    ids=str,
)
def test_a_setting_that_no_request_can_carry_is_refused(
    open_cloud: Open, setting: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidConfig, match=next(iter(setting))):
        open_cloud(check=False, **setting)


@pytest.mark.parametrize("name", ["bucket", "region"])
@pytest.mark.parametrize("text", ["<a>", "\N{SNOWMAN}", "a%b", "a\\b"])
def test_a_name_that_no_url_can_carry_is_refused(open_s3: Open, name: str, text: str) -> None:
    with pytest.raises(errors.InvalidConfig, match=name):
        open_s3(check=False, **{name: text})


@pytest.mark.parametrize("name", ["bucket", "region", "kms_key_id"])
def test_a_name_with_a_line_break_is_refused(open_s3: Open, name: str) -> None:
    with pytest.raises(errors.InvalidConfig, match=name):
        open_s3(check=False, **{name: "a\n"})


def test_a_key_with_a_line_break_is_an_error(open_s3: Open) -> None:
    store = open_s3(check=False, access_key="key\n")
    for call in (store.read, store.stat, lambda key: store.write(key, b"")):
        with pytest.raises(errors.InvalidConfig, match="credentials"):
            call("a")


def test_a_token_with_a_line_break_is_an_error(open_google: Open) -> None:
    store = open_google(check=False, token="token\n")
    for call in (store.read, store.stat, lambda key: store.write(key, b"")):
        with pytest.raises(errors.InvalidConfig, match="credentials"):
            call("a")


_NO_HEADER = ["a\r\nX-Other: 1", "a\x7f", "\N{SNOWMAN}"]


@pytest.mark.parametrize("text", _NO_HEADER)
@pytest.mark.parametrize("opener", ["open_s3", "open_azure"])
def test_a_type_or_class_that_no_header_can_carry_is_refused(
    request: pytest.FixtureRequest, opener: str, text: str
) -> None:
    store = request.getfixturevalue(opener)()
    for data in (b"data", iter([b"data"])):
        with pytest.raises(errors.Unsupported, match="content_type"):
            store.write("a", data, content_type=text)
    with pytest.raises(errors.Unsupported, match="storage_class"):
        store.write("a", b"data", storage_class=text)
    assert not store.exists("a")


@pytest.mark.parametrize("text", _NO_HEADER)
def test_an_etag_that_no_header_can_carry_is_that_of_no_object(open_cloud: Open, text: str) -> None:
    store = open_cloud()
    store.write("a", b"data")
    for call in (
        lambda: store.write("a", b"other", if_match=text),
        lambda: store.write("a", iter([b"other"]), if_match=text),
        lambda: store.read("a", if_match=text),
        lambda: store.delete("a", if_match=text),
    ):
        with pytest.raises(errors.PreconditionFailed):
            call()
    assert store.read("a") == b"data"


# Others


def test_what_others_wrote_under_odd_keys_is_counted(open_moto: Open, s3_server: Any) -> None:
    store = open_moto(prefix="p")
    bucket = store.root.container
    for key in ("p/a//b", "p/dir/", "p/../x", "p/good", "p/a\tb", "elsewhere"):
        s3_server.client().put_object(Bucket=bucket, Key=key, Body=b"")
    pages = list(store.pages())
    assert [meta.key for page in pages for meta in page.objects] == ["good"]
    assert sum(page.foreign for page in pages) == 4


# Signed URLs


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager(retries=False)
    yield pool
    pool.clear()


@pytest.mark.parametrize("opener", ["open_s3", "open_azure"])
def test_signed_urls_read_write_and_delete(
    request: pytest.FixtureRequest, opener: str, client: urllib3.PoolManager
) -> None:
    store = request.getfixturevalue(opener)()
    key = "a folder/ü+%2F?#&=.txt"
    url = store.sign(key, "PUT")
    put = client.request("PUT", url, body=b"data", headers=dict(url.headers))
    assert put.status in {200, 201}, put.data
    assert store.read(key) == b"data"
    assert client.request("GET", store.sign(key)).data == b"data"
    assert client.request("DELETE", store.sign(key, "DELETE")).status in {202, 204}
    assert not store.exists(key)


@pytest.mark.parametrize("opener", ["open_s3", "open_azure"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_url_to_read_or_delete_needs_no_header(
    request: pytest.FixtureRequest, opener: str, method: str
) -> None:
    assert request.getfixturevalue(opener)().sign("a", method).headers == {}


def test_an_anonymous_url_names_the_type_that_was_asked_for(open_s3: Open) -> None:
    store = open_s3(access_key=None, secret_key=None, anonymous=True, check=False)
    url = store.sign("a", "PUT", content_type="text/x")
    assert url.endswith("/a")
    assert url.headers == {"Content-Type": "text/x"}


@pytest.mark.parametrize("opener", ["open_s3", "open_azure"])
def test_a_signed_url_does_nothing_else(
    request: pytest.FixtureRequest, opener: str, client: urllib3.PoolManager
) -> None:
    store = request.getfixturevalue(opener)()
    store.write("a", b"data")
    store.write("b", b"data")
    url = store.sign("a")
    assert client.request("DELETE", url).status == 403
    assert client.request("GET", url.replace("/a?", "/b?")).status == 403


@pytest.mark.parametrize("seconds", [0, -1, 8 * 86400])
def test_a_url_that_cannot_hold_is_not_signed(open_s3: Open, seconds: int) -> None:
    with pytest.raises(errors.LimitExceeded, match=r"at least 1 s and at most 7 days"):
        open_s3().sign("a", expires=timedelta(seconds=seconds))


@pytest.mark.parametrize("opener", ["open_s3", "open_azure"])
def test_no_other_method_is_signed(request: pytest.FixtureRequest, opener: str) -> None:
    with pytest.raises(errors.Unsupported, match="'POST'"):
        request.getfixturevalue(opener)().sign("a", "POST")


def test_a_signed_write_holds_for_its_type_and_digest(
    open_s3: Open, client: urllib3.PoolManager
) -> None:
    store = open_s3()
    md5 = hashlib.md5(b"data", usedforsecurity=False)
    url = store.sign("a", "PUT", content_type="text/x", content_md5=md5.hexdigest())
    coded = b64encode(md5.digest()).decode()
    headers = {"Content-Type": "text/x", "Content-MD5": coded}
    assert url.headers == headers
    assert client.request("PUT", url, body=b"data", headers=headers).status == 200
    assert store.stat("a").content_type == "text/x"
    other = {**headers, "Content-Type": "text/html"}
    assert client.request("PUT", url, body=b"data", headers=other).status == 403
    assert client.request("PUT", url, body=b"evil", headers=headers).status == 400


def test_google_signs_with_the_key_of_an_account_alone(open_google: Open) -> None:
    store = open_google()
    assert not store.capabilities.sign
    with pytest.raises(errors.Unsupported, match="service_account"):
        store.sign("a")
