"""A copy under way: its pages, and how far it is."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from holdall.core.errors import Corrupt, HoldallError, InvalidConfig, PreconditionFailed
from holdall.haystack.adapter.taking import id_of
from holdall.haystack.adopting import same
from holdall.haystack.copying_results import COUNTS, OF_ONE, CopyFailure, CopyReport
from holdall.haystack.copying_samples import SampleCopy
from holdall.haystack.filter import parse_filter
from holdall.haystack.kinds import Ref
from holdall.haystack.stores.entities import Note
from holdall.records.predicate import And, Equals, Has, Node, Or

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.haystack.copying_results import OnProgress
    from holdall.haystack.copying_samples import Done
    from holdall.haystack.stores.entities import Changed, Entity, Stored

_PAGE: Final = 1000
_ASKED: Final = 100
_SECOND: Final = timedelta(seconds=1)
_EVERY: Final = Has(("id",))
_COMMANDED: Final = frozenset({"writeVal", "writeLevel"})


class _Position(Struct, omit_defaults=True):
    """How far a copy is; all before it is in the target.

    Attributes:
        number: The last commit of the source when the copy began.
        after: Up to which id everything is done.
        point: The point after that whose samples are under way.
        ts: Up to which moment they are done.
        late: Points that came to be while it ran, whose samples are not done.
        counts: The numbers of the report.
        failed: Its failures: ids and texts.
    """

    number: int
    after: str | None = None
    point: str | None = None
    ts: int | None = None
    late: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


class Copy:
    """One copy under way; see `holdall.haystack.copying.copy`."""

    def __init__(
        self,
        source: HaystackAdapter,
        target: HaystackAdapter,
        filter_str: str | None,
        histories: bool,
        progress: OnProgress | None,
    ) -> None:
        self._from, self._to = source, target
        self._source, from_histories = source.stores
        self._target, to_histories = target.stores
        self._filter = filter_str
        self._node: Node = _EVERY if filter_str is None else parse_filter(filter_str)
        self._progress = progress
        self._report = CopyReport()
        self._position = _Position(0)
        self._note = ""
        self._following = False
        self._samples = (
            SampleCopy(from_histories, to_histories, self._sampled, self._fail)
            if histories
            else None
        )

    async def run(self) -> CopyReport:
        """Copy everything."""
        # They connect, and take back what is due.
        await self._from.versions([])
        await self._to.versions([])
        state = (await self._source.get([])).state
        epoch = (await self._target.get([])).state.epoch
        ours, theirs = self._source, self._target
        if state.epoch == epoch and (ours.type, ours.address) == (theirs.type, theirs.address):
            raise InvalidConfig(f"{ours.address} cannot be copied to itself")
        # The epoch is of this source alone, wherever it is opened from.
        what = msgspec.json.encode((state.epoch, self._filter, self._samples is not None))
        self._note = f"copy/{hashlib.sha256(what).hexdigest()[:32]}"
        await self._begin(state.number)
        await self._walk()
        await self._follow()
        await self._target.commit([Note(self._note, None)])
        return self._report

    async def _begin(self, number: int) -> None:
        self._position = _Position(number)
        found = (await self._target.get((), [self._note])).notes[0]
        if found is None:
            return
        try:
            self._position = msgspec.json.decode(found.value, type=_Position)
        except msgspec.MsgspecError:
            return  # of another version of Holdall: from the beginning
        report = self._report
        report.resumed = True
        for name in COUNTS:
            setattr(report, name, self._position.counts.get(name, 0))
        for of, text in self._position.failed:
            report.failed.append(CopyFailure(of, HoldallError(text, reference=of)))

    async def _walk(self) -> None:
        """Copy everything after the position, page by page."""
        while True:
            after = self._position.after
            page = await self._source.find(self._node, limit=_PAGE, after=after)
            if not page.entities:
                return
            entities = [stored.entity for stored in page.entities]
            await self._take(entities)
            self._position.after = id_of(entities[-1])
            await self._save()
            if not page.more:
                return

    async def _take(self, entities: Sequence[Entity], *, again: bool = False) -> None:
        """Copy a page: entities, what is commanded of them, and their samples.

        Args:
            entities: The page, by id.
            again: Whether the samples of those that the target has were copied already.
        """
        ids = [id_of(entity) for entity in entities]
        there = (await self._target.get(ids)).entities
        position = self._position
        new = {of for of, stored in zip(ids, there, strict=True) if stored is None}
        if again or position.point is not None:
            # They came to be while it ran. When it is killed, the target has them already.
            late = new.difference(position.late)
            if late:
                position.late += sorted(late)
                await self._save()
        # It counts at the end of the page, because a page that was begun is done again.
        part = CopyReport(entities=len(ids))
        await self._entities(entities, there, part)
        failed = {failure.id for failure in part.failed}
        for of, entity in zip(ids, entities, strict=True):
            if "writeLevel" in entity and of not in failed:
                await self._command(of, part)
        if self._samples is not None:
            await self._samples.take(self._begun(ids, again=again))
        if again:  # the others have been counted
            part.entities, part.written, part.same = len(new), len(new - failed), 0
        else:
            position.point = position.ts = None
            done = set(ids)
            position.late = [of for of in position.late if of not in done]
        for name in COUNTS:
            setattr(self._report, name, getattr(self._report, name) + getattr(part, name))
        self._report.failed += part.failed
        self._tell()

    def _begun(self, ids: Sequence[str], *, again: bool) -> dict[str, int | None]:
        """Whose samples are to be copied, and after which moment; None is all of them."""
        position = self._position
        begun: dict[str, int | None] = {}
        for of in ids:
            if of in position.late or not (again or _is_done(of, position.point)):
                begun[of] = None
            elif not again and of == position.point:
                begun[of] = position.ts
        return begun

    async def _entities(
        self, entities: Sequence[Entity], there: Sequence[Stored | None], part: CopyReport
    ) -> None:
        """Write entities that the target has not, or otherwise, and read them back."""
        missing = [
            entity
            for entity, stored in zip(entities, there, strict=True)
            if stored is None or not _is_same(stored.entity, entity)
        ]
        part.same = len(entities) - len(missing)
        if not missing:
            return
        try:
            await self._to.load(missing)
        except OF_ONE:
            for entity in missing:
                await self._alone(entity, part)
        failed = {failure.id for failure in part.failed}
        written = [of for entity in missing if (of := id_of(entity)) not in failed]
        found = (await self._target.get(written)).entities
        sent = {id_of(entity): entity for entity in missing}
        for of, stored in zip(written, found, strict=True):
            if stored is not None and _is_same(stored.entity, sent[of]):
                part.written += 1
            else:
                part.failed.append(CopyFailure(of, _otherwise(of)))

    async def _alone(self, entity: Entity, part: CopyReport) -> None:
        try:
            await self._to.load([entity])
        except OF_ONE as error:
            part.failed.append(CopyFailure(id_of(entity), error))

    async def _command(self, of: str, part: CopyReport) -> None:
        """Copy what is commanded of a point."""
        try:
            theirs = await self._to.point_array(of)
            now = (await self._target.get([])).state.now
            for row, there in zip(await self._from.point_array(of), theirs, strict=True):
                if row["val"] is None or _is_commanded(row, there):
                    continue
                left = None
                if "expires" in row:
                    left = row["expires"].timestamp() - now / 1_000_000
                    if left <= 0:
                        continue
                level, who = int(row["level"].val), row["who"]
                await self._to.point_write(of, level, row["val"], who, left)
                part.commands += 1
        except OF_ONE as error:
            part.failed.append(CopyFailure(of, error))

    async def _follow(self) -> None:
        """Copy again what changed since the copy began."""
        self._following = True
        since = self._position.number
        end = (await self._source.get([])).state.number
        while since < end:
            page = await self._source.changes(since, limit=_PAGE)
            if not page.known:
                await self._target.commit([Note(self._note, None)])
                raise PreconditionFailed(
                    f"{self._source.address} changed so much while it was copied that it no "
                    "longer knows what: copy it again",
                    transient=True,
                )
            await self._take(await self._meant(page.changed), again=True)
            gone = [one.id for one in page.changed if one.entity is None]
            there = (await self._target.get(gone)).entities if gone else ()
            self._report.gone += sum(stored is not None for stored in there)
            since = page.upto
            if not page.changed:
                return

    async def _meant(self, changed: Sequence[Changed]) -> list[Entity]:
        """Those of what changed that are to be copied, by id, as they are now."""
        ids = sorted(one.id for one in changed if one.entity is not None)
        found: list[Entity] = []
        for at in range(0, len(ids), _ASKED):
            asked = Or(tuple(Equals(("id",), Ref(of)) for of in ids[at : at + _ASKED]))
            page = await self._source.find(And((self._node, asked)), limit=_ASKED)
            found += [stored.entity for stored in page.entities]
        return found

    async def _sampled(self, done: Done) -> None:
        self._report.histories += done.histories
        self._report.samples += done.read
        self._report.samples_written += done.written
        if not self._following:
            position = self._position
            if not _is_done(done.point, position.point) or done.point == position.point:
                position.point, position.ts = done.point, done.ts
            await self._save()
        self._tell()

    def _fail(self, of: str, error: HoldallError) -> None:
        self._report.failed.append(CopyFailure(of, error))

    async def _save(self) -> None:
        report = self._report
        if not self._following:  # what follows is done again after a kill
            self._position.counts = {name: getattr(report, name) for name in COUNTS}
            self._position.failed = [(one.id, str(one.error)) for one in report.failed]
        await self._target.commit([Note(self._note, msgspec.json.encode(self._position))])

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._report)


def _is_same(one: Entity, other: Entity) -> bool:
    if "writable" not in other:
        return same(one, other)
    # What is in effect there depends on what else is commanded there.
    return same(
        {name: value for name, value in one.items() if name not in _COMMANDED},
        {name: value for name, value in other.items() if name not in _COMMANDED},
    )


def _is_commanded(row: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Whether a level is commanded alike; the ends of two clocks are never quite the same."""
    if not same(row["val"], there["val"]) or row["who"] != there["who"]:
        return False
    ends, other = row.get("expires"), there.get("expires")
    if ends is None or other is None:
        return ends is other
    return bool(abs(ends - other) < _SECOND)


def _is_done(of: str, point: str | None) -> bool:
    """Whether samples of a point are copied, at least in part, when that point is under way."""
    return point is not None and of <= point


def _otherwise(of: str) -> Corrupt:
    return Corrupt(
        f"@{of} reads back otherwise than it was written; somebody else may have changed it",
        reference=of,
    )
