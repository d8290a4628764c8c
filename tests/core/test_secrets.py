"""Facts about secrets: they are found afresh at each use, and shown nowhere."""

import copy
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret


def test_a_text_is_revealed_on_request_only() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert repr(secret) == str(secret) == f"{secret}" == "***"
    assert f"{secret:>5}" == "  ***"
    assert "%s %r" % (secret, secret) == "*** ***"  # noqa: UP031 - as old log calls do


def test_a_log_line_masks_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("holdall.test").warning("using %s", Secret("hunter2"))
    assert caplog.messages == ["using ***"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret("hunter2"), protocol)


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.to_builtins])
def test_json_is_refused(encode: Any) -> None:
    with pytest.raises(TypeError):
        encode({"password": Secret("hunter2")})


def test_a_copy_is_the_secret_itself() -> None:
    secret = Secret("hunter2")
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret]) == [secret]


def test_equal_texts_do_not_make_equal_secrets() -> None:
    assert Secret("hunter2") != Secret("hunter2")


def test_a_variable_is_read_at_each_reveal(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret({"env": "HOLDALL_TEST_PASSWORD"})
    with pytest.raises(InvalidConfig, match="HOLDALL_TEST_PASSWORD, which is unset"):
        secret.reveal()
    monkeypatch.setenv("HOLDALL_TEST_PASSWORD", "one")
    assert secret.reveal() == "one"
    monkeypatch.setenv("HOLDALL_TEST_PASSWORD", "two")
    assert secret.reveal() == "two"
    monkeypatch.setenv("HOLDALL_TEST_PASSWORD", "")
    with pytest.raises(InvalidConfig, match="holds nothing"):
        secret.reveal()


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"pw", "pw"), (b"pw\n", "pw"), (b"pw\r\n", "pw"), (b" pw \n\n", " pw \n")],
)
def test_a_file_is_read_without_its_last_line_break(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    path = tmp_path / "pw"
    path.write_bytes(data)
    assert Secret({"file": path}).reveal() == expected


def test_a_file_is_read_at_each_reveal(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    secret = Secret({"file": str(path)})
    with pytest.raises(InvalidConfig, match="cannot be read: No such file"):
        secret.reveal()
    path.write_text("one")
    assert secret.reveal() == "one"
    path.write_text("two")
    assert secret.reveal() == "two"


def test_a_file_of_other_bytes_is_refused_without_showing_them(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_bytes(b"hunter2\xff")
    with pytest.raises(InvalidConfig, match="is not UTF-8") as caught:
        Secret({"file": path}).reveal()
    assert caught.value.__cause__ is None


def test_a_function_is_called_at_each_reveal() -> None:
    values = iter(["one", "two"])
    secret = Secret(lambda: next(values))
    assert [secret.reveal(), secret.reveal()] == ["one", "two"]


@pytest.mark.parametrize("given", ["", b"bytes"])
def test_a_function_must_give_text(given: Any) -> None:
    with pytest.raises(InvalidConfig, match="the function given"):
        Secret(lambda: given).reveal()


@pytest.mark.parametrize(
    "source",
    [
        "",
        5,
        None,
        {},
        {"env": ""},
        {"env": 1},
        {"file": ""},
        {"text": "hunter2"},
        {"env": "A", "file": "B"},
    ],
)
def test_other_sources_are_refused(source: Any) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Secret(source)
    assert "hunter2" not in str(caught.value)
