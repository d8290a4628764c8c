"""From the path of a request to the key of an object.

A key is everything behind `/objects/`, percent-decoded once. `%2F` is a `/` there, because no key
has a `/` that divides nothing; nothing else is made equal, so that the key rule of the stores sees
`..`, `//` and the like, and refuses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import InvalidKey
from holdall.server.errors import HttpFault
from holdall.server.paths import decoded

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from holdall.core.reference import Reference


def reference_of(request: Request, root: Reference, allowed: Collection[str] = ()) -> Reference:
    """The address of the object that a request is about.

    Args:
        request: Whose.
        root: The address of the store.
        allowed: Which parameters its query may have.

    Raises:
        HttpFault: 400: the path or the key breaks a rule, or the query has another parameter,
            which most likely is the rest of a key with a bare `?`.
    """
    decoded(request.scope.get("raw_path") or b"", "the path")
    key: str = request.path_params["key"]
    for name in request.query_params:
        if name not in allowed:
            raise HttpFault(
                400, f"the parameter {name[:40]!r} is not used here; a '?' in a key is written %3F"
            )
    try:
        return root.child(key)
    except InvalidKey as error:
        raise HttpFault(400, str(error)) from error
