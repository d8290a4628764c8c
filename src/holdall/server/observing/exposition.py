"""Figures of all the workers of a server, as one text.

Prometheus asks one address, behind which any of the workers answers. That one asks the others,
each of which listens at a socket in a folder of theirs, and answers with the figures of all; the
label `worker` tells them apart, so that none is taken for another that began anew.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

_SECONDS: Final = 2.0
"""How long one worker waits for what another one tells."""
_LARGEST: Final = 64 * 2**20
_CREATED: Final = "_created"  # a second series for each counter, which nobody asked for


class Family(Struct, array_like=True):
    """All series of a name.

    Attributes:
        name: Their name.
        text: What they are.
        type: `counter`, `gauge`, `histogram`.
        samples: The name, labels and value of each.
    """

    name: str
    text: str
    type: str
    samples: list[tuple[str, dict[str, str], float]]


def families(registry: CollectorRegistry) -> list[Family]:
    """What a registry holds now."""
    return [
        Family(
            one.name,
            one.documentation,
            one.type,
            [
                (sample.name, dict(sample.labels), float(sample.value))
                for sample in one.samples
                if not sample.name.endswith(_CREATED)
            ],
        )
        for one in registry.collect()
    ]


def exposed(workers: dict[int, list[Family]]) -> tuple[bytes, str]:
    """The text for Prometheus, and its content type.

    Args:
        workers: What each of them counted; one that has the number 0 is the only one.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    made: Any = _Made(_joined(workers))
    return generate_latest(made), CONTENT_TYPE_LATEST


class Siblings:
    """The workers of a server.

    Args:
        folder: A folder that nobody else reads.
        number: Which worker this is, from 1.
    """

    def __init__(self, folder: str, number: int) -> None:
        self._folder = folder
        self.number = number

    @asynccontextmanager
    async def telling(self, registry: CollectorRegistry) -> AsyncIterator[None]:
        """Tell the others, as long as the block lasts."""

        async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):  # it did not wait for the answer
                writer.write(msgspec.msgpack.encode(families(registry)))
                await writer.drain()
            writer.close()

        path = self._path(self.number)
        await asyncio.to_thread(_remove, path)  # one of this number may have died
        server = await asyncio.start_unix_server(tell, path)
        try:
            yield
        finally:
            server.close()
            await asyncio.to_thread(_remove, path)

    async def told(self) -> dict[int, list[Family]]:
        """What the others counted; one that does not answer is left out."""
        names = await asyncio.to_thread(os.listdir, self._folder)
        numbers = sorted({int(name) for name in names if name.isdecimal()} - {self.number})
        answers = await asyncio.gather(*map(self._asked, numbers))
        return {at: one for at, one in zip(numbers, answers, strict=True) if one}

    async def _asked(self, number: int) -> list[Family]:
        with suppress(OSError, TimeoutError, msgspec.DecodeError):
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    data = await reader.read(_LARGEST)
                    while piece := await reader.read(_LARGEST):
                        data += piece
                finally:
                    writer.close()
            return msgspec.msgpack.decode(data, type=list[Family])
        return []

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, str(number))


class _Made:
    """Families as the library wants to be given them."""

    def __init__(self, found: Iterable[Family]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import Metric

        for one in self._found:
            metric = Metric(one.name, one.text, one.type)
            for name, labels, value in one.samples:
                metric.add_sample(name, labels, value)
            yield metric


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _joined(workers: dict[int, list[Family]]) -> Iterable[Family]:
    found: dict[str, Family] = {}
    for number, told in workers.items():
        for one in told:
            family = found.setdefault(one.name, Family(one.name, one.text, one.type, []))
            label = {"worker": str(number)} if number else {}
            family.samples += [(name, labels | label, value) for name, labels, value in one.samples]
    return found.values()
