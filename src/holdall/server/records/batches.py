"""Batches: JSON Lines in, what came of each line out.

The lines are worked on while they come, some at a time. What came of them waits in a file until all
were read: a client that sends everything before it reads anything would otherwise wait for a server
that waits for it. Each line counts by itself, also where the database takes whole batches only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from anyio import to_thread
from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidValue
from holdall.records.drafts import UnfitRecord, draft, fit_id
from holdall.records.migration_writing import delete_each, is_outage, write_each
from holdall.records.stored import Removal, Write, Written
from holdall.server.bodies import pieces
from holdall.server.errors import HttpFault
from holdall.server.records.addresses import parameters
from holdall.server.records.faults import Told, fault_of, told
from holdall.server.records.reading import (
    LINES,
    NAMES,
    check_type,
    object_of,
    record_of,
    text_of,
)
from holdall.server.records.spooling import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from holdall.records.contract import RecordStore
    from holdall.records.stored import RecordCapabilities
    from holdall.server.config import ServerConfig
    from holdall.server.records.one import Served

MODES: Final = ("create", "upsert", "update", "delete")
"""What a batch may do."""
_LINES: Final = 1_000
_BYTES: Final = 4 * 2**20
_BOM: Final = b"\xef\xbb\xbf"

Line: TypeAlias = tuple[int, bytes]
"""The number of a line, from 1, and what stands there."""


class Item(Struct):
    """A line of a batch.

    Attributes:
        number: Of the line, from 1.
        id: Of the record; None where it could not be read.
        work: What to do; the error where there is nothing to be done.
    """

    number: int
    id: str | None
    work: Write | Removal | HoldallError


async def batch(request: Request, served: Served) -> Response:
    """Write or delete the records of a body; a line for each says what came of it.

    What ends the batch before its body ends, such as one that is too large or a database that is
    gone, is the status of the answer, and its last line.
    """
    mode = parameters(request, ("mode",)).get("mode", "")
    if mode not in MODES:
        raise HttpFault(400, f"mode is {mode[:40]!r}, and it takes {', '.join(MODES)}")
    check_type(request, LINES)
    config, store = served.settings, served.database.store
    source = pieces(request, limit=config.max_load, timeout=config.body_timeout, setting="max_load")
    spool = Spool()
    number, ended = 0, Told(200, "")
    try:
        async for lines in chunks(source, config):
            number = lines[-1][0]
            items = await to_thread.run_sync(drafted, lines, mode, store.capabilities)
            outcomes, lost = await _done(store, items)
            await to_thread.run_sync(_note, spool, items, outcomes, store.address)
            if lost is not None:
                ended = told(lost, store.address)
                break
    except HttpFault as fault:
        if not number:
            spool.close()
            raise
        ended = Told(fault.status, fault.message)
    except BaseException:
        spool.close()
        raise
    if ended.status != 200:
        why = f"the batch ended after line {number:,}: {ended.message}"
        last = _encoded({"line": number + 1, "status": ended.status, "error": why})
        await to_thread.run_sync(spool.add, last)
    headers = {"Content-Type": LINES, **fault_of(ended).headers}
    return spool.response(config.body_timeout, ended.status, headers)


async def chunks(source: AsyncIterator[bytes], config: ServerConfig) -> AsyncIterator[list[Line]]:
    """The lines of a body, some at a time; empty ones are passed over.

    Raises:
        HttpFault: 413 where there are more lines, or longer ones, than the settings allow.
    """
    waiting: list[Line] = []
    held = number = 0
    rest = bytearray()
    async for piece in source:
        rest += piece
        if b"\n" in piece:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in whole:
                number += 1
                _check(number, len(line), config)
                if line.strip():
                    waiting.append((number, line))
                    held += len(line)
                if len(waiting) == _LINES or held >= _BYTES:
                    yield waiting
                    waiting, held = [], 0
        _check(number + 1, len(rest), config)
    if rest.strip():
        waiting.append((number + 1, bytes(rest)))
    if waiting:
        yield waiting


def _check(number: int, size: int, config: ServerConfig) -> None:
    if config.max_rows and number > config.max_rows and size:
        raise HttpFault(413, f"the body has more than {config.max_rows:,} lines, as max_rows says")
    if config.max_body and size > config.max_body:
        raise HttpFault(
            413, f"line {number:,} is larger than {config.max_body:,} bytes, as max_body says"
        )


def drafted(lines: Sequence[Line], mode: str, can: RecordCapabilities) -> list[Item]:
    """What lines ask for."""
    items = []
    for number, line in lines:
        item = Item(number, None, InvalidValue(""))
        try:
            data = object_of(line.removeprefix(_BOM) if number == 1 else line)
            if mode == "delete":
                item.work = _removal(data, item, can)
            else:
                record = record_of(data)
                item.id = record.id
                write = draft(record, mode, can)  # type: ignore[arg-type]
                item.id, item.work = write.id, write
        except HoldallError as error:
            item.work = error
        except (TypeError, ValueError) as error:
            item.work = UnfitRecord(f"no record: {error}")
            item.work.__cause__ = error
        items.append(item)
    return items


def _removal(data: dict[str, Any], item: Item, can: RecordCapabilities) -> Removal:
    id_ = text_of(data, "id")
    if id_ is None or data.keys() - set(NAMES):
        raise InvalidValue('a line of what to delete is an object with an id: {"id": "a"}')
    item.id = id_
    return Removal(fit_id(id_, can), text_of(data, "version"))


async def _done(
    store: RecordStore, items: Sequence[Item]
) -> tuple[list[Written | bool | HoldallError], HoldallError | None]:
    """Do what items ask for; answer what came of each, and why nothing more can be done."""
    outcomes: list[Any] = [item.work for item in items]
    places = [at for at, one in enumerate(outcomes) if not isinstance(one, HoldallError)]
    work = [outcomes[at] for at in places]
    if not work:
        return outcomes, None
    lost: HoldallError | None = None
    try:
        removing = isinstance(work[0], Removal)
        done: Sequence[Any] = await (delete_each if removing else write_each)(store, work)
        if all(isinstance(one, HoldallError) and is_outage(one) for one in done):
            lost = done[-1]
    except HoldallError as error:
        done, lost = [error] * len(work), error
    for at, one in zip(places, done, strict=True):
        outcomes[at] = one
    return outcomes, lost


def _note(spool: Spool, items: Sequence[Item], outcomes: Sequence[Any], address: str) -> None:
    """Keep a line for each item that says what came of it."""
    shown: dict[int, Told] = {}  # an error of many is told, and logged, once
    lines = []
    for item, outcome in zip(items, outcomes, strict=True):
        line: dict[str, Any] = {"line": item.number, "id": item.id}
        if isinstance(outcome, HoldallError):
            one = shown.get(id(outcome)) or told(outcome, address)
            shown[id(outcome)] = one
            line |= {"status": one.status, "error": one.message}
        elif isinstance(outcome, Written):
            line = {"id": item.id, "version": outcome.version}
        else:
            line = {"id": item.id, "deleted": outcome}
        lines.append(_encoded(line))
    spool.add(b"".join(lines))


def _encoded(line: dict[str, Any]) -> bytes:
    return msgspec.json.encode(line) + b"\n"
