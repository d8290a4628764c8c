"""The end of a transaction, with every fsspec: those before 2026.9 stop at the first failure."""

# ruff: noqa: PT012 - what is written before the exception is the point of these tests

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from fsspec.transaction import Transaction

from holdall.fsspec import HoldallFileSystem

At = Callable[[str], str]


@pytest.fixture(autouse=True)
def ends_as_in_the_oldest_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(self: Any, commit: bool = True) -> None:
        while self.files:
            file = self.files.popleft()
            if commit:
                file.commit()
            else:
                file.discard()
        self.fs._intrans = False
        self.fs._transaction = None
        self.fs = None

    monkeypatch.setattr(Transaction, "complete", complete)


def write_three(fs: HoldallFileSystem, at: At) -> None:
    """Write three files in a transaction, of which the second cannot be published."""
    with fs.transaction:
        fs.pipe_file(at("t/1"), b"1")
        with fs.open(at("t/2"), "wb", if_match='"none"') as file:
            file.write(b"2")
        fs.pipe_file(at("t/3"), b"3")


def test_what_cannot_be_published_ends_the_transaction(fs: HoldallFileSystem, at: At) -> None:
    with pytest.raises(Exception, match="etag") as caught:
        write_three(fs, at)
    assert caught.value.__notes__ == ["1 more files of the transaction were not published"]
    assert fs.find(at("t")) == [at("t/1")]
    fs.pipe_file(at("later"), b"later")
    with fs.open(at("later still"), "wb") as file:
        file.write(b"later")
    assert fs.cat([at("later"), at("later still")]) == {
        at("later"): b"later",
        at("later still"): b"later",
    }


def test_what_cannot_be_published_leaves_nothing_staged(fs: HoldallFileSystem, at: At) -> None:
    with pytest.raises(Exception, match="etag"):
        write_three(fs, at)
    assert list(fs.place(at("t/1")).store.uploads()) == []


def test_a_transaction_begun_and_ended_by_calls_ends_too(fs: HoldallFileSystem, at: At) -> None:
    fs.start_transaction()
    fs.open(at("a"), "wb", if_match='"none"').close()
    with pytest.raises(Exception, match="etag"):
        fs.end_transaction()
    fs.pipe_file(at("b"), b"b")
    assert fs.cat_file(at("b")) == b"b"


def test_what_cannot_be_forgotten_hides_no_error(
    fs: HoldallFileSystem, at: At, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open(at("a"), "wb") as file:
            file.write(b"a")

        def cut_off() -> None:
            raise ConnectionError("the service is gone")

        monkeypatch.setattr(file, "discard", cut_off)
        fs.pipe_file(at("b"), b"b")
        raise ZeroDivisionError
    assert "ConnectionError" in caplog.text
    fs.pipe_file(at("c"), b"c")
    assert fs.find(at("c")) == [at("c")]


@pytest.mark.parametrize(
    ("mode", "compression"), [("wb", None), ("w", None), ("wb", "gzip"), ("w", "gzip")]
)
def test_a_file_that_is_open_at_the_end_publishes_none(
    fs: HoldallFileSystem, at: At, mode: str, compression: str | None
) -> None:
    with pytest.raises(ValueError, match="still open") as caught, fs.transaction:
        fs.pipe_file(at("t/1"), b"1")
        file = fs.open(at("t/2"), mode, compression=compression)
        file.write(b"2" if mode == "wb" else "2")
    assert fs.unstrip_protocol(at("t/2")) in str(caught.value)
    assert fs.find(at("t")) == []


def test_files_that_were_closed_are_published_whole(fs: HoldallFileSystem, at: At) -> None:
    with fs.transaction:
        text = fs.open(at("t/1"), "w")
        text.write("text")
        text.close()
        with fs.open(at("t/2"), "wb", compression="gzip") as file:
            file.write(b"x" * 100_000)
    assert fs.cat_file(at("t/1")) == b"text"
    assert gzip.decompress(fs.cat_file(at("t/2"))) == b"x" * 100_000


def test_a_commit_of_a_file_that_is_open_publishes_nothing(fs: HoldallFileSystem, at: At) -> None:
    file = fs._open(at("a"), "wb", autocommit=False)
    file.write(b"half")
    with pytest.raises(ValueError, match="not closed"):
        file.commit()
    file.close()
    file.commit()
    assert not fs.exists(at("a"))
