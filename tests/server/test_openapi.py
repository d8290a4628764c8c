"""What OpenAPI says of the server is all there is, and true: schemathesis asks by it.

No request gets a 5xx, and every answer has a status, a type and a shape that the document names. A
grid or filter made up of anything is mostly refused, so that a refusal is no fault; and the methods
that a path does not have are left out, since the standard wants 501 for them.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi

import holdall
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.asking import building
from server.listening import listening

EXAMPLES = int(os.environ.get("HOLDALL_OPENAPI_EXAMPLES", "5"))
JUDGES = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.response_headers_conformance,
]


def served() -> Any:
    """An application with everything that there is, and something in each of its stores."""
    data_store = holdall.open_async("memory://")
    database = holdall.open_database_async("memory://")

    async def fill() -> None:
        await data_store.write("a/b.txt", b"0123456789")

    asyncio.run(fill())
    return create_fastapi_app(InMemoryAdapter(building()), data_store=data_store, database=database)


SCHEMA: Any = schemathesis.openapi.from_dict(served().openapi())
OPERATIONS: dict[str, Any] = {
    operation.label: operation
    for found in SCHEMA.get_all_operations()
    if (operation := found.ok()) is not None
}


@schemathesis.serializer("application/x-ndjson")
def json_lines(_: Any, value: Any) -> bytes:
    """Lines of JSON, which schemathesis does not write by itself."""
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server that listens, for one operation.

    What another one wrote may say that it is text, and be none.
    """
    with listening(served()) as at:
        yield at


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_documented(label: str, url: str) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(OPERATIONS[label].as_strategy())
    def asked(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=JUDGES)

    asked()


def test_what_an_operation_takes_with_get_is_named() -> None:
    def named(op: str) -> set[str]:
        asked = served().openapi()["paths"][f"/api/{op}"]["get"]
        return {one["name"] for one in asked["parameters"]}

    assert named("read") == {"filter", "limit", "id"}
    assert named("hisRead") == {"id", "range"}
    assert named("nav") == {"navId"}


def test_every_path_takes_a_token_but_the_public_ones() -> None:
    document = served().openapi()
    schemes = document["components"]["securitySchemes"]
    assert {name: one["scheme"] for name, one in schemes.items()} == {"bearer": "bearer"}
    assert document["security"] == [{"bearer": []}]
    public = {
        path
        for path, operations in document["paths"].items()
        if any(one.get("security") == [] for one in operations.values())
    }
    assert public == {"/health/live", "/health/ready"}
