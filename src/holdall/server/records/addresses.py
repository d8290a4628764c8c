"""What a request's address says: the id of a record, and the parameters of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from holdall.records.record import check_id
from holdall.server.errors import HttpFault
from holdall.server.paths import decoded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.requests import Request

RECORDS: Final = "/records"


def id_of(request: Request) -> str:
    """The id in a path: all that follows `/records/`, percent-decoded once.

    A slash in an id may stand there as it is or as `%2F`; nothing is a step up or down.

    Raises:
        HttpFault: 400 where it is no text.
        InvalidKey: There can be no such id.
    """
    decoded(request.scope.get("raw_path") or b"", "the path")
    return check_id(request.path_params["id"])


def location(request: Request, id: str) -> str:  # noqa: A002
    """The path of a record."""
    return f"{quote(request.scope.get('root_path', ''))}{RECORDS}/{quote(id, safe='')}"


def parameters(request: Request, known: Collection[str] = ()) -> dict[str, str]:
    """The parameters after the `?`.

    Args:
        request: Whose.
        known: Which there may be.

    Raises:
        HttpFault: 400 where one is unknown, comes twice, or is no text.
    """
    found: dict[str, str] = {}
    query: bytes = request.scope["query_string"]
    for part in query.split(b"&"):
        if not part:
            continue
        left, _, right = part.replace(b"+", b" ").partition(b"=")
        name = decoded(left, "a parameter")
        if name not in known:
            raise HttpFault(400, f"there is no parameter {name[:40]!r} here{_those(known)}")
        if name in found:
            raise HttpFault(400, f"the parameter {name!r} comes twice")
        found[name] = decoded(right, f"the parameter {name!r}")
    return found


def checked_names(named: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """Refuse names that mean nothing, which are misspelled ones.

    Raises:
        HttpFault: 400 where there is one.
    """
    for name in named:
        if name not in known:
            raise HttpFault(400, f"{what} has no {name[:40]!r}{_those(known)}")


def _those(known: Collection[str]) -> str:
    return f": there are {', '.join(known)}" if known else ""
