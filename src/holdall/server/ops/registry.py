"""Every operation, and who may ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdall.server.accounts.roles import Role
from holdall.server.ops import about, history, points, reading, watches
from holdall.server.ops.contract import Op

if TYPE_CHECKING:
    from holdall.server.answers import Answer
    from holdall.server.ops.contract import Call


async def _ops(call: Call) -> Answer:
    return about.chosen_defs(call, OPS.values(), ops_only=True)


async def _defs(call: Call) -> Answer:
    return about.chosen_defs(call, OPS.values(), ops_only=False)


_ALL: Final = (
    Op("about", Role.VIEWER, about.about, "Tags about the server", reads=True),
    Op("close", Role.VIEWER, about.close, "End the session"),
    Op("defs", Role.VIEWER, _defs, "Definitions that the server has", reads=True),
    Op("libs", Role.VIEWER, about.libs, "Libraries of definitions", reads=True),
    Op("ops", Role.VIEWER, _ops, "Operations of the server", reads=True),
    Op("filetypes", Role.VIEWER, about.filetypes, "Formats of the server", reads=True),
    Op("formats", Role.VIEWER, about.formats, "Formats, as Haystack 3 has them", reads=True),
    Op("read", Role.VIEWER, reading.read, "Entities of a filter or of ids", reads=True),
    Op("nav", Role.VIEWER, reading.nav, "The tree of sites, equipment, points", reads=True),
    Op("watchSub", Role.VIEWER, watches.watch_sub, "Open a watch, or add to it"),
    Op("watchUnsub", Role.VIEWER, watches.watch_unsub, "Close a watch, or take from it"),
    Op("watchPoll", Role.VIEWER, watches.watch_poll, "What changed in a watch"),
    Op("hisRead", Role.VIEWER, history.his_read, "Samples of points", reads=True),
    Op("hisWrite", Role.OPERATOR, history.his_write, "Take samples of points"),
    # Its levels may be read by everybody; the operation itself asks for more to command.
    Op("pointWrite", Role.VIEWER, points.point_write, "Command a point, or read its levels"),
    Op("invokeAction", Role.OPERATOR, points.invoke_action, "Call a function of the server"),
)
OPS: Final = {op.name: op for op in _ALL}
"""The operations by name."""
