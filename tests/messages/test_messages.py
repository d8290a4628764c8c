"""Facts about protobuf messages as objects."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pb2 import FileDescriptorProto, UninterpretedOption
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

import holdall
from holdall import AsyncDataStore, DataStore, messages
from holdall.core import protobuf
from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    LimitExceeded,
    NotFound,
    PartialFailure,
)
from holdall.core.reference import Reference
from messages.plant_pb2 import Batch, Reading

READING = Reading(
    point="ahu-1/°C",
    value=21.5,
    at_ns=2**60 + 1,
    labels=["a", ""],
    raw=bytes(range(256)),
    limits={"low": -1.5, "high": float("inf")},
)


@pytest.fixture(params=["memory", "file", "s3", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DataStore]:
    place: Any
    if request.param == "s3":
        s3 = request.getfixturevalue("s3_server")
        place = {
            "type": "s3",
            "bucket": s3.make_container("messages"),
            "endpoint": s3.endpoint,
            "access_key": s3.access_key_id,
            "secret_key": s3.secret_access_key,
        }
    elif request.param == "redis":
        redis = request.getfixturevalue("redis_server")
        place = f"{redis.url}/{uuid4().hex}"
    else:
        place = "memory://" if request.param == "memory" else str(tmp_path / "objects")
    with holdall.open(place) as opened:
        yield opened


@pytest.fixture
def memory() -> DataStore:
    return holdall.open("memory://")


@pytest.mark.parametrize("key", ["a.pb", "a", "a.json", "a/b.json"])
def test_a_message_comes_back(store: DataStore, key: str) -> None:
    meta = store.write_message(key, READING)
    assert meta.key == key
    assert store.read_message(key, Reading) == READING


@pytest.mark.parametrize("key", ["a.pb", "a.json"])
@pytest.mark.parametrize(
    "message",
    [
        Timestamp(seconds=1_700_000_000, nanos=123_000_000),
        Batch(readings=[READING] * 3),
        Reading(),
        StringValue(value="x"),
    ],
)
def test_well_known_types_come_back(memory: DataStore, key: str, message: Any) -> None:
    memory.write_message(key, message)
    assert memory.read_message(key, type(message)) == message


@pytest.mark.parametrize("key", ["a.pb", "a.json"])
def test_struct_and_any_come_back(memory: DataStore, key: str) -> None:
    struct = Struct()
    struct.update({"a": [1, "x", None, True], "b": {"c": 2.5}})
    memory.write_message(key, struct)
    assert memory.read_message(key, Struct) == struct
    packed = AnyMessage()
    packed.Pack(READING)
    memory.write_message(key, packed)
    again = Reading()
    assert memory.read_message(key, AnyMessage).Unpack(again)
    assert again == READING


def test_a_key_that_ends_in_json_keeps_json(memory: DataStore) -> None:
    memory.write_message("a.json", Reading(point="p", at_ns=5))
    assert json.loads(memory.read("a.json")) == {"point": "p", "atNs": "5"}
    assert memory.stat("a.json").content_type == "application/json"


def test_any_other_key_keeps_what_protobuf_writes(memory: DataStore) -> None:
    memory.write_message("a.json.pb", READING)
    assert Reading.FromString(memory.read("a.json.pb")) == READING
    assert memory.stat("a.json.pb").content_type == "application/protobuf"


def test_the_options_of_a_write_are_options_here(memory: DataStore) -> None:
    memory.write_message("a", READING, content_type="x/y", metadata={"m": "1"}, tags={"t": "2"})
    meta = memory.stat("a", tags=True)
    assert (meta.content_type, meta.tags) == ("x/y", {"t": "2"})
    assert meta.metadata == {"m": "1", "protobuf-type": "plant.Reading"}
    with pytest.raises(AlreadyExists):
        memory.write_message("a", READING, if_none_match="*")


def test_the_type_of_a_message_is_recorded_whatever_the_metadata_say(store: DataStore) -> None:
    store.write_message("a", READING)
    store.write_message("b", Timestamp(seconds=5), metadata=store.stat("a").metadata)
    assert store.read_message("b", Timestamp).seconds == 5
    with pytest.raises(Corrupt, match=r"google.protobuf.Timestamp and no plant.Reading"):
        store.read_message("b", Reading)


def test_equal_messages_are_equal_bytes(memory: DataStore) -> None:
    for key, names in (("a", "xyz"), ("b", "zxy")):
        memory.write_message(key, Reading(limits=dict.fromkeys(names, 1.0)))
    assert memory.read("a") == memory.read("b")


def test_a_missing_message_is_not_found(store: DataStore) -> None:
    with pytest.raises(NotFound):
        store.read_message("nothing", Reading)


def test_another_type_is_said_with_both_names(store: DataStore) -> None:
    store.write_message("a", READING)
    with pytest.raises(Corrupt, match=r"/a is a plant.Reading and no google.protobuf.Timestamp"):
        store.read_message("a", Timestamp)


def test_a_foreign_message_of_another_type_is_found_out_by_its_fields(memory: DataStore) -> None:
    memory.write("a", Batch(readings=[READING]).SerializeToString())
    with pytest.raises(Corrupt, match=r"memory:///a is no plant.Reading: it has not one"):
        memory.read_message("a", Reading)


def test_a_foreign_message_is_read(memory: DataStore) -> None:
    memory.write("a", READING.SerializeToString())
    assert memory.read_message("a", Reading) == READING


def test_a_message_of_a_later_version_is_read_and_loses_nothing(memory: DataStore) -> None:
    newer = Reading(point="p").SerializeToString() + Batch(readings=[READING]).SerializeToString()
    memory.write("a", newer)
    read = memory.read_message("a", Reading)
    assert read.point == "p"
    memory.write_message("b", read)
    assert memory.read("b") == newer


def newer(kind: type[Message]) -> Any:
    """A message with a field that its type does not know."""
    message = kind()
    message.MergeFromString(b"\xf8\x7f\x07")  # field 2047 is 7
    return message


def unknown_below() -> Iterator[Message]:
    yield newer(Reading)
    yield Batch(readings=[READING, newer(Reading)])
    yield newer(Timestamp)
    struct = Struct()
    struct.fields["a"].list_value.values.append(newer(Value))
    yield struct
    packed = AnyMessage()
    packed.Pack(Batch(readings=[newer(Reading)]))
    yield packed
    outer = AnyMessage()
    outer.Pack(packed)
    yield outer


@pytest.mark.parametrize("message", list(unknown_below()), ids=range(6))
def test_fields_of_a_later_version_are_not_dropped_by_json(memory: DataStore, message: Any) -> None:
    with pytest.raises(ValueError, match=r"memory:///a.json: .* cannot be written as JSON: .*know"):
        memory.write_message("a.json", message)
    assert not memory.exists("a.json")
    memory.write_message("a.pb", message)
    assert memory.read_message("a.pb", type(message)) == message


def test_no_bytes_at_all_are_an_empty_message(memory: DataStore) -> None:
    memory.write("a", b"")
    assert memory.read_message("a", Reading) == Reading()


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("a", b"\xff\xff\xff"),
        ("a", READING.SerializeToString()[:-1]),
        ("a.json", b"{"),
        ("a.json", b"\xff"),
        ("a.json", b""),
        ("a.json", b'{"point": 1}'),
        ("a.json", b"[" * 100_000),
    ],
)
def test_damage_names_type_and_reference(memory: DataStore, key: str, data: bytes) -> None:
    memory.write(key, data)
    with pytest.raises(Corrupt, match=rf"memory:///{key} is no plant.Reading") as found:
        memory.read_message(key, Reading)
    assert found.value.reference == memory.reference(key)


def test_an_unknown_field_in_json_is_named(memory: DataStore) -> None:
    memory.write("a.json", b'{"point": "p", "colour": "red"}')
    with pytest.raises(Corrupt, match="colour"):
        memory.read_message("a.json", Reading)


def test_what_is_no_message_is_refused_before_anything_happens(memory: DataStore) -> None:
    not_a_message: Any = "text"
    with pytest.raises(TypeError, match="str is no protobuf message"):
        memory.write_message("a", not_a_message)
    with pytest.raises(TypeError, match="str is no protobuf message"):
        memory.read_message("a", str)  # type: ignore[type-var]
    instance: Any = READING
    with pytest.raises(TypeError, match="Reading, an instance"):
        memory.read_message("a", instance)
    kind: Any = Reading
    with pytest.raises(TypeError, match="Reading, a class"):
        memory.write_message("a", kind)
    with pytest.raises(TypeError, match="Message is no protobuf message"):
        memory.read_message("a", Message)
    assert not memory.exists("a")


def test_a_required_field_that_is_not_set_is_named(memory: DataStore) -> None:
    with pytest.raises(ValueError, match="name_part"):
        memory.write_message("a", UninterpretedOption.NamePart(is_extension=True))
    memory.write("a", UninterpretedOption.NamePart(is_extension=True).SerializePartialToString())
    with pytest.raises(Corrupt, match="name_part"):
        memory.read_message("a", UninterpretedOption.NamePart)


def test_a_message_that_is_too_large_names_the_setting() -> None:
    store = DataStore.from_config({"type": "memory", "limits": {"maxDownloadMBs": 1}})
    store.write_message("a", Reading(raw=bytes(1024 * 1024)))
    with pytest.raises(LimitExceeded, match="max_download_mbs"):
        store.read_message("a", Reading)
    with pytest.raises(LimitExceeded, match="max_size"):
        store.read_message("a", Reading, max_size=1000)
    assert len(store.read_message("a", Reading, max_size=0).raw) == 1024 * 1024


def test_what_json_cannot_say_is_refused_with_the_reference(memory: DataStore) -> None:
    unknown = AnyMessage(type_url="type.googleapis.com/of.nobody", value=b"x")
    with pytest.raises(ValueError, match=r"memory:///a.json: .*google.protobuf.Any.*JSON"):
        memory.write_message("a.json", unknown)
    memory.write_message("a.pb", unknown)
    assert memory.read_message("a.pb", AnyMessage) == unknown


def test_more_than_protobuf_reads_is_refused_before_the_write(
    memory: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protobuf, "MAX_BYTES", 100)
    with pytest.raises(LimitExceeded, match=r"plant\.Reading has"):
        memory.write_message("a", READING)
    assert not memory.exists("a")


# Many


def test_many_are_written_and_read(store: DataStore) -> None:
    many = {f"runs/{number}.pb": Reading(at_ns=number) for number in range(20)}
    written = messages.write_messages(store, many, workers=4)
    assert list(written) == list(many)
    keys = ["runs/3.pb", "nothing", "runs/1.pb"]
    found = messages.read_messages(store, keys, Reading, workers=4)
    assert found == [Reading(at_ns=3), None, Reading(at_ns=1)]


def test_of_many_those_that_fail_are_named(memory: DataStore) -> None:
    memory.write("broken", b"\xff")
    memory.write_message("whole", READING)
    with pytest.raises(PartialFailure, match="1 of 2 messages could not be read") as found:
        messages.read_messages(memory, ["broken", "whole"], Reading)
    assert [str(error.reference) for error in found.value.errors] == ["memory:///broken"]
    pairs = [("b", READING), ("c", UninterpretedOption.NamePart(is_extension=True))]
    with pytest.raises(ValueError, match="name_part"):
        messages.write_messages(memory, dict(pairs))
    assert not memory.exists("b")
    memory.write("taken", b"")
    with pytest.raises(PartialFailure, match="1 of 2 messages could not be written"):
        messages.write_messages(memory, {"taken": READING, "free": READING}, if_none_match="*")
    assert memory.exists("free")


@pytest.mark.parametrize("workers", [1, 16])
def test_of_many_none_is_written_where_json_cannot_say_one(memory: DataStore, workers: int) -> None:
    many: dict[str, Any] = {f"{number}.json": Timestamp(seconds=number) for number in range(80)}
    many["40.json"] = Timestamp(seconds=10**15)
    with pytest.raises(ValueError, match=r"memory:///40.json: .*cannot be written as JSON"):
        messages.write_messages(memory, many, workers=workers)
    assert list(memory.list()) == []


def test_the_functions_do_what_the_methods_do(memory: DataStore) -> None:
    messages.write_message(memory, "a", READING, metadata={"m": "1"})
    assert messages.read_message(memory, "a", Reading) == READING


def test_they_work_on_an_event_loop() -> None:
    async def run(store: AsyncDataStore) -> None:
        await store.write_message("a.json", READING)
        assert await store.read_message("a.json", Reading) == READING
        many = {"b": READING, "c": READING}
        await messages.write_messages_async(store, many)
        found = await messages.read_messages_async(store, ["b", "c", "d"], Reading)
        assert found == [READING, READING, None]

    asyncio.run(run(holdall.open_async("memory://")))


def test_a_large_message_of_another_language_is_read(memory: DataStore) -> None:
    described = FileDescriptorProto()
    Reading.DESCRIPTOR.file.CopyToProto(described)
    memory.write_message("a", described)
    assert memory.read_message("a", FileDescriptorProto) == described


def test_without_protobuf_the_way_to_get_it_is_said() -> None:
    script = (
        "import sys; sys.modules['google.protobuf.message'] = None\n"
        "import holdall\n"
        "try: holdall.open('memory://').write_message('a', object())\n"
        "except holdall.errors.InvalidConfig as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "messages need protobuf: pip install 'holdall[messages]'\n"


def test_a_reference_says_how_a_message_is_kept() -> None:
    kept: Callable[[str], str] = lambda text: protobuf.content_type(Reference.parse(text))  # noqa: E731
    assert kept("s3://bucket/a.json") == "application/json"
    assert kept("s3://bucket/a.pb") == "application/protobuf"
