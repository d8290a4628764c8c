"""pointWrite and invokeAction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import InvalidValue, NotFound
from holdall.haystack.adapter.arrays import check_level
from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import Number, Ref
from holdall.server.accounts.roles import Role
from holdall.server.actions import ActionCall, act
from holdall.server.answers import NOTHING, Answer
from holdall.server.errors import HttpFault
from holdall.server.ops.contract import ref_of

if TYPE_CHECKING:
    from holdall.server.ops.contract import Call

_COLUMNS = tuple(Col(name) for name in ("level", "levelDis", "val", "who", "expires"))


async def point_write(call: Call) -> Answer:
    """Command a point at a level, or answer its levels where none is given."""
    of, row = call.id(), call.row
    level, duration = row.get("level"), row.get("duration")
    if level is None:
        if row.get("val") is not None or duration is not None:
            raise InvalidValue("there is a val or duration and no level: it takes 1 to 17")
        levels = await call.storage.array(of)
        rows = [{n: v for n, v in one.items() if v is not None} for one in levels]
        return Answer(rows, {"id": Ref(of)}, _COLUMNS)
    if call.caller.role < Role.OPERATOR:
        raise HttpFault(403, f"{call.caller.name} is a {call.caller.role}, who commands no point")
    who = row.get("who")
    if who is not None and not isinstance(who, str):
        raise InvalidValue(f"who is {who!r}, and it takes a Str")
    if duration is not None and not isinstance(duration, Number):
        raise InvalidValue(f"duration is {duration!r}, and it takes a Number such as 30min")
    await call.storage.command(
        of, check_level(level), row.get("val"), who or call.caller.name, duration
    )
    return NOTHING


async def invoke_action(call: Call) -> Grid:
    """Call a function that the server was made with."""
    of = ref_of(call.grid.meta, "id", "the grid")
    name = call.grid.meta.get("action")
    if not isinstance(name, str):
        raise InvalidValue(f"the grid has the action {name!r}, and it takes a Str")
    action = call.actions.get(name)
    if action is None:
        known = ", ".join(sorted(call.actions)) or "none"
        raise NotFound(f"there is no action {name!r}: this server has {known}", reference=name)
    entity = (await call.storage.by_ids([of]))[0]
    if entity is None:
        raise NotFound(f"there is no entity @{of}", reference=of)
    told = ActionCall(Ref(of), entity, call.row, call.caller.name, call.storage.adapter)
    return await act(action, told)
