"""`load`: entities in any of the formats, read and kept piece by piece.

An entity that cannot be kept does not keep the others out: the answer says which were refused, and
why. A body that breaks off or is none of its format ends the load where that shows; what was kept
until then stays, and the answer says how many.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from anyio import from_thread

from holdall.core.errors import CodecError, HoldallError, InvalidValue, Unavailable, Unsupported
from holdall.haystack.adapter.taking import adopted
from holdall.haystack.grid import Col
from holdall.haystack.kinds import Number, Ref
from holdall.server.answers import Answer
from holdall.server.bodies import codec_of, limits, pieces
from holdall.server.errors import HttpFault
from holdall.server.threads import LOADS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from starlette.requests import Request

    from holdall.server.answers import Row
    from holdall.server.config import ServerConfig
    from holdall.server.storage import Storage

_BATCH: Final = 1_000
_MOST_TOLD: Final = 1_000
_COLUMNS: Final = (Col("row"), Col("id"), Col("dis"))


async def load(request: Request, storage: Storage, config: ServerConfig) -> Answer:
    """Keep the entities of a request in the place of those of their ids.

    Returns:
        A row for each entity that was refused, at most a thousand; the grid's tags `loaded` and
        `refused` count them all.

    Raises:
        HttpFault: The body cannot be read, and nothing was kept.
        Unsupported: The store takes none.
        Unavailable: The store went away meanwhile; says how many it has kept.
    """
    codec = codec_of(request)
    source = pieces(request, limit=config.max_load, timeout=config.body_timeout, setting="max_load")
    body = _Faulty(source)
    report = _Report(storage)
    try:
        _, rows = await LOADS.run(lambda: codec.decode_rows(body.pulled(), limits=limits(config)))
        while batch := await LOADS.run(lambda: list(islice(rows, _BATCH))):
            await report.keep(batch)
    except (CodecError, HttpFault) as error:
        fault = body.fault or error
        if not isinstance(fault, HttpFault):
            fault = HttpFault(400, f"the body is no {codec.name}: {fault}")
        if not report.seen:
            raise fault from error
        raise HttpFault(
            fault.status, f"{fault.message}; {report.loaded:,} entities before that were kept"
        ) from error
    except HoldallError as error:
        if not report.loaded:
            raise
        raise Unavailable(
            f"{error}; {report.loaded:,} entities before that were kept: load again"
        ) from error
    return report.answer()


class _Faulty:
    """A body, for a thread; remembers what its reading failed of."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self.fault: HttpFault | None = None

    def pulled(self) -> Iterator[bytes]:
        while (piece := from_thread.run(self._next)) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        try:
            return await anext(self._source, None)
        except HttpFault as fault:
            self.fault = fault
            raise


class _Report:
    """What came of the entities of a load."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._told: list[Row] = []
        self.seen = 0
        self.loaded = 0
        self._refused = 0

    async def keep(self, batch: list[dict[str, Any]]) -> None:
        """Keep entities; one that cannot be leaves the others."""
        good = await LOADS.run(self._good, batch)
        try:
            if good:
                await self._storage.load([entity for _, entity in good])
            self.loaded += len(good)
        except Unsupported:
            raise
        except HoldallError:
            await self._one_by_one(good)
        self.seen += len(batch)

    def _good(self, batch: list[dict[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
        """The entities that are some, with their places; the others are refused."""
        good: list[tuple[int, Mapping[str, Any]]] = []
        for at, row in enumerate(batch, self.seen):
            try:
                good.append((at, adopted(row, place=f"entity {at}")))
            except InvalidValue as error:
                self._refuse(at, row, error)
        return good

    def answer(self) -> Answer:
        """The rows that were refused, and how many of each."""
        meta: dict[str, Any] = {
            "loaded": Number(self.loaded),
            "refused": Number(self._refused),
        }
        if self._refused > len(self._told):
            meta["incomplete"] = {
                "dis": f"The first {_MOST_TOLD:,} that were refused",
                "limit": Number(_MOST_TOLD),
            }
        return Answer(self._told, meta, _COLUMNS)

    async def _one_by_one(self, good: list[tuple[int, Mapping[str, Any]]]) -> None:
        for at, entity in good:
            try:
                await self._storage.load([entity])
                self.loaded += 1
            except HoldallError as error:
                if error.transient:
                    raise
                self._refuse(at, entity, error)

    def _refuse(self, at: int, entity: Mapping[str, Any], error: HoldallError) -> None:
        self._refused += 1
        if len(self._told) < _MOST_TOLD:
            ref = entity.get("id")
            told: dict[str, Any] = {"row": Number(at), "dis": str(error)}
            if isinstance(ref, Ref):
                told["id"] = ref
            self._told.append(told)
