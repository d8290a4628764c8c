"""A block that fails publishes nothing, however the file is wrapped; nor does what is dropped."""

# ruff: noqa: PT012 - what is written before the exception is the point of these tests

import contextlib
import gc
import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

import holdall
from holdall.core.errors import Unsupported
from holdall.fsspec import HoldallFileSystem, filesystem

At = Callable[[str], str]


@pytest.fixture
def path(fs: HoldallFileSystem, at: At) -> str:
    fs.pipe_file(at("a"), b"old")
    return at("a")


def test_a_block_that_ends_well_publishes(fs: HoldallFileSystem, path: str) -> None:
    with fs.open(path, "wb") as file:
        file.write(b"new")
        assert fs.cat_file(path) == b"old"
    assert fs.cat_file(path) == b"new"


def test_a_block_that_fails_publishes_nothing(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught, fs.open(path, "wb") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"
    assert "was not published" in caught.value.__notes__[0]


def test_a_block_of_text_that_fails_publishes_nothing(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(ZeroDivisionError), fs.open(path, "w") as file:
        file.write("half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


def test_text_is_published(fs: HoldallFileSystem, path: str) -> None:
    with fs.open(path, "w", encoding="utf-8", newline="") as file:
        file.write("ü\n")
    assert fs.cat_file(path) == "ü\n".encode()


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz", "zip"])
def test_a_compressed_block_that_fails_publishes_nothing(
    fs: HoldallFileSystem, path: str, compression: str
) -> None:
    with pytest.raises(ZeroDivisionError), fs.open(path, "wb", compression=compression) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz", "zip"])
def test_a_compressed_file_is_published_whole(
    fs: HoldallFileSystem, path: str, compression: str
) -> None:
    with fs.open(path, "wb", compression=compression) as file:
        assert file.write(b"new") == 3
    with fs.open(path, "rb", compression=compression) as file:
        assert file.read() == b"new"


def test_compressed_text_is_published(fs: HoldallFileSystem, at: At) -> None:
    with fs.open(at("a.gz"), "wt", compression="infer") as file:
        file.write("new")
    assert gzip.decompress(fs.cat_file(at("a.gz"))) == b"new"


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_file_that_is_dropped_publishes_nothing(
    fs: HoldallFileSystem, path: str, mode: str, compression: str | None
) -> None:
    file = fs.open(path, mode, compression=compression)
    file.write(b"half" if mode == "wb" else "half")
    file.flush()
    del file
    gc.collect()
    assert fs.cat_file(path) == b"old"


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_failing_block_of_fsspec_itself_publishes_nothing(
    fs: HoldallFileSystem, path: str, mode: str, compression: str | None
) -> None:
    opened = fsspec.core.OpenFile(fs, path, mode, compression=compression)
    with pytest.raises(ZeroDivisionError), opened as file:
        file.write(b"half" if mode == "wb" else "half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


def test_a_block_of_fsspec_itself_publishes(fs: HoldallFileSystem, path: str) -> None:
    with fsspec.core.OpenFile(fs, path, "w", compression="gzip") as file:
        file.write("new")
    assert gzip.decompress(fs.cat_file(path)) == b"new"


@contextlib.contextmanager
def opened_by_another(fs: HoldallFileSystem, path: str) -> Iterator[io.TextIOWrapper]:
    file = fs.open(path, "wb")
    text = io.TextIOWrapper(file)
    try:
        yield text
    finally:
        text.close()


def test_a_failing_block_around_a_file_that_is_closed_on_the_way_publishes_nothing(
    fs: HoldallFileSystem, path: str
) -> None:
    with pytest.raises(ZeroDivisionError), opened_by_another(fs, path) as text:
        text.write("half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


def test_a_failing_block_of_a_wrapper_written_in_c_publishes_nothing(
    fs: HoldallFileSystem, path: str
) -> None:
    with pytest.raises(ZeroDivisionError), io.TextIOWrapper(fs.open(path, "wb")) as text:
        text.write("half")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


def test_a_failing_block_in_a_stack_publishes_nothing(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(ZeroDivisionError), contextlib.ExitStack() as stack:
        stack.callback(fs.open(path, "wb").close)
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"


def test_a_close_in_an_except_clause_publishes(fs: HoldallFileSystem, path: str) -> None:
    file = fs.open(path, "wb")
    chunks = iter([b"new"])
    while True:
        try:
            file.write(next(chunks))
        except StopIteration:
            file.close()
            break
    assert fs.cat_file(path) == b"new"


class Reporting:
    """Writes down what went wrong, while it goes wrong."""

    def __init__(self, fs: HoldallFileSystem, path: str) -> None:
        self.fs = fs
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        file = self.fs.open(self.path, "w")
        file.write(repr(error))
        file.close()


def test_a_file_opened_while_a_block_fails_is_published(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(ZeroDivisionError), Reporting(fs, path):
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"ZeroDivisionError()"


def test_an_archive_is_written_in_place_of_a_file(fs: HoldallFileSystem, path: str) -> None:
    with fs.open(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside", b"new")
    with fs.open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inside") == b"new"


def test_a_transaction_publishes_at_its_end(fs: HoldallFileSystem, path: str, at: At) -> None:
    with fs.transaction:
        with fs.open(path, "wb") as file:
            file.write(b"new")
        fs.pipe_file(at("b"), b"b")
        assert fs.cat_file(path) == b"old"
        assert not fs.exists(at("b"))
    assert fs.cat([path, at("b")]) == {path: b"new", at("b"): b"b"}


def test_a_transaction_that_fails_publishes_nothing(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open(path, "wb") as file:
            file.write(b"new")
        raise ZeroDivisionError
    assert fs.cat_file(path) == b"old"
    fs.pipe_file(path, b"after")
    assert fs.cat_file(path) == b"after"


def test_a_block_that_failed_in_a_transaction_is_not_published_by_it(
    fs: HoldallFileSystem, path: str, at: At
) -> None:
    with fs.transaction:
        with contextlib.suppress(ZeroDivisionError), fs.open(path, "w") as file:
            file.write("half")
            raise ZeroDivisionError
        fs.pipe_file(at("b"), b"b")
    assert fs.cat([path, at("b")]) == {path: b"old", at("b"): b"b"}


def test_a_file_without_autocommit_waits_for_its_commit(fs: HoldallFileSystem, path: str) -> None:
    file = fs._open(path, "wb", autocommit=False)
    file.write(b"new")
    file.close()
    assert fs.cat_file(path) == b"old"
    file.commit()
    assert fs.cat_file(path) == b"new"


def test_what_is_discarded_is_gone() -> None:
    store = holdall.open("memory://")
    file = filesystem(store)._open("a", "wb")
    file.write(b"x" * 3_000_000)
    assert len(list(store.uploads())) == 1
    file.discard()
    assert list(store.uploads()) == []
    assert not store.exists("a")


def test_of_two_who_create_one_succeeds(fs: HoldallFileSystem, at: At) -> None:
    first, second = fs.open(at("new"), "xb"), fs.open(at("new"), "xb")
    first.write(b"first")
    second.write(b"second")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert fs.cat_file(at("new")) == b"first"


def test_pipe_creates_only_what_is_new(fs: HoldallFileSystem, path: str, at: At) -> None:
    with pytest.raises(FileExistsError):
        fs.pipe_file(path, b"new", mode="create")
    fs.pipe_file(at("b"), b"b", mode="create")
    assert fs.cat([path, at("b")]) == {path: b"old", at("b"): b"b"}


@pytest.mark.parametrize("mode", ["ab", "r+b", "a", "w+b"])
def test_a_mode_that_changes_in_place_is_refused(
    fs: HoldallFileSystem, path: str, mode: str
) -> None:
    with pytest.raises(Unsupported, match="written whole"):
        fs.open(path, mode)


def test_options_of_a_write_are_kept(fs: HoldallFileSystem, at: At) -> None:
    with fs.open(at("a"), "wb", content_type="text/csv", metadata={"by": "me"}) as file:
        file.write(b"1")
    info = fs.info(at("a"))
    assert (info["content_type"], info["metadata"]) == ("text/csv", {"by": "me"})


def test_an_option_that_no_write_has_is_refused(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(TypeError, match="acl"):
        fs.open(path, "wb", acl="public")
    assert fs.cat_file(path) == b"old"


def test_anything_with_a_view_of_its_bytes_is_written(fs: HoldallFileSystem, path: str) -> None:
    import array

    numbers = array.array("i", [1, 2, 3])
    with fs.open(path, "wb") as file:
        assert file.write(numbers) == 12
    assert fs.cat_file(path) == numbers.tobytes()
    fs.pipe_file(path, numbers)
    assert fs.cat_file(path) == numbers.tobytes()


def test_text_is_no_bytes(fs: HoldallFileSystem, path: str) -> None:
    with pytest.raises(TypeError, match="encode"):
        fs.pipe_file(path, "text")
    with pytest.raises(TypeError, match="encode"), fs.open(path, "wb") as file:
        file.write("text")
    assert fs.cat_file(path) == b"old"


def test_a_name_that_would_be_file_and_directory_is_refused(tmp_path: Path) -> None:
    fs = filesystem(holdall.open(tmp_path))
    fs.pipe_file("a/b", b"")
    with pytest.raises(IsADirectoryError):
        fs.pipe_file("a", b"")
    with pytest.raises(IsADirectoryError), fs.open("a", "wb") as file:
        file.write(b"")
    with pytest.raises(IsADirectoryError):
        fs.cp_file("a/b", "a")
    with pytest.raises(NotADirectoryError):
        fs.pipe_file("a/b/c", b"")
    with pytest.raises(IsADirectoryError):
        fs.pipe_file("", b"")
