"""Facts about the shape of the contract and of the faces."""

import ast
import inspect
import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from holdall.core.runtime import Runtime, SingleFlight
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects import async_data_store, contract, data_store, reader, results, writer
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.local import LocalStore
from holdall.objects.backends.local.stream import FileStream
from holdall.objects.backends.local.uploads import LocalUpload
from holdall.objects.backends.memory import MemoryStore
from holdall.objects.contract import ObjectStore, Upload
from holdall.objects.data_store import DataStore
from holdall.objects.results import BytesStream, ObjectStream

CONTRACTS = [(contract, "ObjectStore"), (contract, "Upload"), (results, "ObjectStream")]
BACKENDS: list[type] = [LocalStore, MemoryStore]


def _methods(module: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    """Name and decorators of every method of a class, as they stand in its source."""
    # A property cannot be asked whether it is final: `typing.final` leaves no mark on it.
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield method.name, {ast.unparse(one) for one in method.decorator_list}


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("module", "name", "method", "decorators"),
    [
        pytest.param(module, name, *method, id=f"{name}.{method[0]}")
        for module, name in CONTRACTS
        for method in _methods(module, name)
        if method[0] != "__init__" and not re.match("_[^_]", method[0])
    ],
)
def test_each_method_is_abstract_or_final(
    module: Any, name: str, method: str, decorators: set[str]
) -> None:
    assert len(decorators & {"abstractmethod", "final"}) == 1
    if "abstractmethod" in decorators:
        assert method in getattr(module, name).__abstractmethods__


@pytest.mark.parametrize(("module", "name"), CONTRACTS)
def test_a_contract_inherits_no_method(module: Any, name: str) -> None:
    kind = getattr(module, name)
    written = {method for method, _ in _methods(module, name)}
    inherited = {
        name
        for name in _public(kind)
        if callable(getattr(kind, name)) or isinstance(getattr(kind, name), property)
    }
    assert inherited - {"settings_type"} <= written


@pytest.mark.parametrize("kind", [ObjectStore, Upload, ObjectStream, Runtime])
def test_a_contract_cannot_be_used_by_itself(kind: Any) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_replaces_nothing_final(backend: type) -> None:
    final = {name for name, marks in _methods(contract, "ObjectStore") if "final" in marks}
    assert final
    assert final.isdisjoint(vars(backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_takes_the_parameters_of_the_contract(backend: type) -> None:
    for name in ObjectStore.__abstractmethods__:
        asked, given = getattr(ObjectStore, name), getattr(backend, name)
        if not isinstance(asked, property):
            assert list(inspect.signature(given).parameters) == list(
                inspect.signature(asked).parameters
            ), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_setting_of_a_backend_has_a_default_or_is_in_its_address(backend: Any) -> None:
    assert backend.settings_type.__struct_config__.frozen
    assert backend.settings_type.__doc__


@pytest.mark.parametrize(
    "kind",
    [
        AsyncDataStore,
        DataStore,
        BytesStream,
        FileStream,
        LocalStore,
        LocalUpload,
        MemoryStore,
        reader.ObjectReader,
        writer.AsyncObjectWriter,
        writer.BlockingUpload,
        writer.ObjectWriter,
    ],
)
def test_a_class_that_is_no_contract_is_final(kind: type) -> None:
    assert getattr(kind, "__final__", False)


# The two faces


def _parameters(kind: type, name: str) -> list[tuple[str, Any, Any]]:
    member = getattr(kind, name)
    if isinstance(member, property):
        return []
    parameters = inspect.signature(member).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]


@pytest.mark.parametrize("face", [AsyncDataStore, DataStore])
def test_each_method_in_a_part_of_a_face_is_final(face: type) -> None:
    parts = [one for one in face.__mro__[1:] if one is not object]
    methods = [
        (method, marks)
        for part in parts
        for method, marks in _methods(sys.modules[part.__module__], part.__name__)
        if not method.startswith("_")
    ]
    assert len(parts) == 6
    assert [method for method, marks in methods if "final" not in marks] == []
    assert len({method for method, _ in methods}) == len(methods)


def test_both_faces_have_the_same_names() -> None:
    assert _public(AsyncDataStore) == _public(DataStore)


@pytest.mark.parametrize("name", sorted(_public(AsyncDataStore) - {"open_reader"}))
def test_both_faces_take_the_same_parameters(name: str) -> None:
    of_async, of_blocking = getattr(AsyncDataStore, name), getattr(DataStore, name)
    assert isinstance(of_async, property) == isinstance(of_blocking, property)
    assert _parameters(AsyncDataStore, name) == _parameters(DataStore, name)


def test_a_blocking_reader_is_a_file_that_seeks_and_takes_no_range() -> None:
    given = _parameters(DataStore, "open_reader")
    assert given == _parameters(AsyncDataStore, "open_reader")[: len(given)]
    assert issubclass(reader.ObjectReader, io.RawIOBase)


@pytest.mark.parametrize("name", sorted(_public(DataStore)))
def test_no_method_of_the_blocking_face_is_a_coroutine(name: str) -> None:
    member = inspect.getattr_static(DataStore, name)
    assert not inspect.iscoroutinefunction(member)
    assert not inspect.isasyncgenfunction(member)


@pytest.mark.parametrize("face", [(async_data_store, "AsyncDataStore"), (data_store, "DataStore")])
def test_each_method_of_a_face_has_a_docstring(face: tuple[Any, str]) -> None:
    kind = getattr(*face)
    for name in _public(kind):
        assert inspect.getattr_static(kind, name).__doc__, name


def test_a_face_shows_where_it_stands_and_no_more() -> None:
    import holdall

    assert repr(holdall.open("memory://x/a")) == "DataStore('memory://x/a')"
    assert repr(holdall.open_async("memory://x/a")) == "AsyncDataStore('memory://x/a')"


def test_both_runtimes_keep_their_contract() -> None:
    for kind in (BlockingRuntime, LoopRuntime):
        assert kind.__abstractmethods__ == frozenset()
        for name in Runtime.__abstractmethods__:
            asked, given = getattr(Runtime, name), getattr(kind, name)
            names = list(inspect.signature(asked).parameters)
            assert list(inspect.signature(given).parameters) == names, name
    assert BlockingRuntime.blocking
    assert not LoopRuntime.blocking
    assert inspect.isfunction(SingleFlight.run)


def test_the_names_of_the_package_can_be_listed_and_had() -> None:
    import holdall

    assert set(holdall.__all__) <= set(dir(holdall))
    for name in holdall.__all__:
        assert getattr(holdall, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = holdall.nothing
