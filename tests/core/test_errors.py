"""Facts about the family of errors: who descends from whom, what each knows, how each prints."""

import pickle
import traceback

import pytest

from holdall.core import errors
from holdall.core.errors import (
    AlreadyExists,
    CircuitOpen,
    CodecError,
    Corrupt,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    InvalidQuery,
    InvalidRange,
    InvalidValue,
    KeyConflict,
    LimitExceeded,
    NotFound,
    PartialFailure,
    PermissionDenied,
    PreconditionFailed,
    ResumeNotSupported,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference

PARENTS: dict[type[HoldallError], tuple[type[BaseException], ...]] = {
    NotFound: (FileNotFoundError, KeyError),
    PreconditionFailed: (),
    AlreadyExists: (PreconditionFailed, FileExistsError),
    PermissionDenied: (PermissionError,),
    Unauthenticated: (),
    InvalidKey: (ValueError,),
    InvalidRange: (ValueError,),
    InvalidQuery: (ValueError,),
    InvalidConfig: (ValueError,),
    InvalidValue: (ValueError,),
    KeyConflict: (),
    LimitExceeded: (),
    Unsupported: (NotImplementedError,),
    ResumeNotSupported: (Unsupported,),
    CircuitOpen: (),
    Timeout: (TimeoutError,),
    Unavailable: (ConnectionError,),
    Corrupt: (),
    CodecError: (ValueError,),
    PartialFailure: (),
}
TRANSIENT = {CircuitOpen, Timeout, Unavailable}
POSITIONED = [InvalidQuery, CodecError]
PLAIN = [kind for kind in PARENTS if kind not in {*POSITIONED, PartialFailure}]

TEXT = "s3://bucket/a: it's a 'message'\nof two lines"
REF = Reference.parse("s3://bucket/a")


def test_these_are_all_errors() -> None:
    defined = {
        value
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, HoldallError)
        and value is not HoldallError
        and not name.startswith("_")
    }
    assert defined == set(PARENTS)


@pytest.mark.parametrize("kind", PARENTS)
def test_an_error_is_one_of_the_family_and_what_python_users_expect(
    kind: type[HoldallError],
) -> None:
    assert issubclass(kind, HoldallError)
    for parent in PARENTS[kind]:
        assert issubclass(kind, parent)


@pytest.mark.parametrize("kind", PARENTS)
def test_an_error_has_a_docstring_of_its_own(kind: type[HoldallError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != HoldallError.__doc__


@pytest.mark.parametrize("kind", PLAIN)
def test_a_message_prints_as_it_stands(kind: type[HoldallError]) -> None:
    error = kind(TEXT, reference=REF)
    assert str(error) == error.message == f"{error}" == TEXT
    assert traceback.format_exception_only(error)[0].endswith(f"{kind.__name__}: {TEXT}\n")


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_knows_its_reference(kind: type[HoldallError]) -> None:
    assert kind(TEXT).reference is None
    assert kind(TEXT, reference=REF).reference == REF


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_knows_whether_it_passes(kind: type[HoldallError]) -> None:
    assert kind(TEXT).transient is (kind in TRANSIENT)
    for transient in (True, False):
        assert kind(TEXT, transient=transient).transient is transient
    assert kind(TEXT).transient is (kind in TRANSIENT)  # that of one error is not the class's


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [HoldallError, *PLAIN])
def test_a_pickled_error_comes_back_with_all_it_knows(
    kind: type[HoldallError], protocol: int
) -> None:
    error = kind(TEXT, reference=REF, transient=True)
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is kind
    assert (str(back), back.message, back.reference, back.transient) == (TEXT, TEXT, REF, True)
    assert vars(back) == vars(error)


@pytest.mark.parametrize("kind", POSITIONED)
def test_an_error_in_a_text_knows_line_and_column(
    kind: type[InvalidQuery] | type[CodecError],
) -> None:
    error = kind("found ')'", line=2, column=7, reference=REF)
    assert (error.line, error.column, error.reference) == (2, 7, REF)
    assert str(error) == "line 2, column 7: found ')'"
    assert error.transient is False


@pytest.mark.parametrize("kind", POSITIONED)
def test_an_error_in_a_text_may_not_know_the_place(
    kind: type[InvalidQuery] | type[CodecError],
) -> None:
    error = kind("found ')'")
    assert (error.line, error.column, str(error)) == (None, None, "found ')'")


@pytest.mark.parametrize("kind", POSITIONED)
def test_a_pickled_error_in_a_text_names_the_place_once(
    kind: type[InvalidQuery] | type[CodecError],
) -> None:
    error = kind("found ')'", line=2, column=7)
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.line, back.column) == (str(error), 2, 7)


def test_a_partial_failure_holds_and_shows_the_others() -> None:
    parts = [NotFound("a: gone"), Corrupt("b: broken")]
    error = PartialFailure("2 of 9 objects were not deleted:", parts)
    assert error.errors == tuple(parts)
    assert str(error) == "2 of 9 objects were not deleted:\n  a: gone\n  b: broken"


def test_a_partial_failure_of_many_shows_the_first_five() -> None:
    error = PartialFailure("all failed:", [Corrupt(f"number {number}") for number in range(8)])
    assert "number 4" in str(error)
    assert "number 5" not in str(error)
    assert str(error).endswith("and 3 more")
    assert len(error.errors) == 8


def test_a_partial_failure_passes_when_all_its_parts_do() -> None:
    assert PartialFailure("", [Timeout("a"), Unavailable("b")]).transient
    assert not PartialFailure("", [Timeout("a"), NotFound("b")]).transient


def test_a_pickled_partial_failure_holds_the_others() -> None:
    error = PartialFailure("some failed:", [NotFound("a: gone", reference=REF), Timeout("b")])
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert [type(part) for part in back.errors] == [NotFound, Timeout]
    assert back.errors[0].reference == REF


def test_an_error_without_a_secret_in_its_reference_is_pickled() -> None:
    error = NotFound("gone", reference=Reference.parse("s3://user:hunter2@bucket/a"))
    pickled = pickle.dumps(error)
    assert b"hunter2" not in pickled
    assert pickle.loads(pickled).reference == REF


def test_a_missing_object_is_caught_as_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        raise NotFound("gone")
    with pytest.raises(KeyError):
        raise NotFound("gone")


def test_an_operating_system_error_has_no_number_of_its_own() -> None:
    for kind in (NotFound, AlreadyExists, PermissionDenied, Timeout, Unavailable):
        assert kind(TEXT).args == (TEXT,)
