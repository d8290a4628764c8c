"""One record: read, written, patched, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import to_thread
from msgspec import Struct
from starlette.responses import Response

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    InvalidValue,
    NotFound,
    PreconditionFailed,
)
from holdall.records.async_database import AsyncDatabase
from holdall.server.config import ServerConfig
from holdall.server.errors import HttpFault
from holdall.server.records.addresses import checked_names, id_of, location, parameters
from holdall.server.records.conditions import (
    Condition,
    condition_of,
    etag,
    unchanged,
    version_of,
)
from holdall.server.records.reading import JSON, changes_of, read_object, record_of, text_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.records.record import Record

_TRIES: Final = 20
_PATCH: Final = ("fields", "metadata", "version")


class Served(Struct, frozen=True):
    """What the routes of records ask.

    Attributes:
        database: The records.
        settings: The server's settings.
    """

    database: AsyncDatabase
    settings: ServerConfig


async def read(request: Request, served: Served) -> Response:
    """A record; 304 where the caller has it in this version."""
    id_ = id_of(request)
    parameters(request)
    record = await served.database.read(id_)
    if record is None:
        raise NotFound(f"there is no record {id_!r}")
    if unchanged(request, record.version):
        return Response(status_code=304, headers={"ETag": etag(record.version)})
    return await _answer(record)


async def create(request: Request, served: Served) -> Response:
    """Write a new record, under its id or a new one."""
    parameters(request)
    record = record_of(await read_object(request, served.settings))
    await served.database.create(record)
    return await _created(request, record)


async def write(request: Request, served: Served) -> Response:
    """Write a record, whether there is one of its id or not."""
    id_ = id_of(request)
    parameters(request)
    condition = condition_of(request)
    record = record_of(await read_object(request, served.settings), id_)
    if condition.absent:
        try:
            await served.database.create(record)
        except AlreadyExists as error:
            raise PreconditionFailed(str(error)) from error
        return await _created(request, record)
    record.version = await _version(served, id_, condition, record.version)
    if condition.exists or record.version is not None:
        try:
            await served.database.update(record)
        except NotFound as error:
            raise PreconditionFailed(f"there is no record {id_!r} to write over") from error
        return await _answer(record)
    # One of these two, so that it is known which: others may create and delete meanwhile.
    for _ in range(_TRIES):
        try:
            await served.database.update(record)
            return await _answer(record)
        except NotFound:
            pass
        try:
            await served.database.create(record)
            return await _created(request, record)
        except AlreadyExists:
            pass
    raise HttpFault(409, f"others create and delete the record {id_!r} all the time")


async def patch(request: Request, served: Served) -> Response:
    """Change some fields of a record."""
    id_ = id_of(request)
    parameters(request)
    condition = _of_one_there(request)
    data = await read_object(request, served.settings)
    checked_names(data, _PATCH, "a change of a record")
    changes, metadata = changes_of(data)
    version: str | None = None
    try:
        version = await _version(served, id_, condition, text_of(data, "version"))
        record = await served.database.patch(id_, changes, metadata=metadata, version=version)
    except PreconditionFailed as error:
        await _check_there(served, id_, error)
        if version is None and condition.versions is None:  # nobody asked for one
            raise HttpFault(409, f"others change the record {id_!r} all the time") from error
        raise
    except HoldallError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"the record cannot be changed so: {error}") from error
    return await _answer(record)


async def delete(request: Request, served: Served) -> Response:
    """Delete a record."""
    id_ = id_of(request)
    parameters(request)
    condition = _of_one_there(request)
    try:
        version = await _version(served, id_, condition, None)
        there = await served.database.delete(id_, version=version)
    except PreconditionFailed as error:
        await _check_there(served, id_, error)
        raise
    if not there:
        raise NotFound(f"there is no record {id_!r}")
    return Response(status_code=204)


def _of_one_there(request: Request) -> Condition:
    condition = condition_of(request)
    if condition.absent:
        raise HttpFault(400, f"{request.method} takes a record that is there: no If-None-Match")
    return condition


async def _version(
    served: Served,
    id: str,  # noqa: A002
    condition: Condition,
    said: str | None,
) -> str | None:
    """The version that is written over, by the header and the body; None for any."""
    if said is None:
        return await version_of(served.database, id, condition)
    if condition.versions is not None and said not in condition.versions:
        raise HttpFault(400, f"the body has the version {said!r}, and If-Match another one")
    return said


async def _check_there(served: Served, id: str, error: PreconditionFailed) -> None:  # noqa: A002
    """Say that a record is missing before saying that it has another version (RFC 9110, 13.2.1).

    Raises:
        NotFound: There is none.
    """
    if not await served.database.exists(id):
        raise NotFound(f"there is no record {id!r}") from error


async def _created(request: Request, record: Record) -> Response:
    answer = await _answer(record, 201)
    assert record.id is not None
    answer.headers["Location"] = location(request, record.id)
    return answer


async def _answer(record: Record, status: int = 200) -> Response:
    # In a thread, as a record may be large, and others are answered meanwhile.
    text = await to_thread.run_sync(record.to_json)
    headers = {"ETag": etag(record.version), "Content-Type": JSON}
    return Response(text, status, headers)
