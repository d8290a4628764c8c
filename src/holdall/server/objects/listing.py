"""`GET /objects`: what there is, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from holdall.core.errors import HoldallError, InvalidKey, PermissionDenied, Unauthenticated
from holdall.objects.options import PAGE_ITEMS, ListOptions
from holdall.server.errors import HttpFault
from holdall.server.objects.conditions import etag_of
from holdall.server.objects.faults import told

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.results import ObjectMeta, Page

PARAMETERS: Final = ("prefix", "delimiter", "limit", "after", "token")
_DENIED: Final = (PermissionDenied, Unauthenticated)


async def list_objects(request: Request, data_store: AsyncDataStore) -> Response:
    """Answer a page of the objects under a folder, as JSON.

    Raises:
        HttpFault: 400: a parameter is none, comes twice, or cannot be.
    """
    given = _parameters(request)
    folder = _folder(given.get("prefix", ""), data_store.root)
    if given.get("delimiter", "/") not in {"", "/"}:
        raise HttpFault(400, "delimiter takes '/', or nothing for all that is below")
    options = ListOptions(
        delimiter=given.get("delimiter") == "/",
        max_items=_limit(given.get("limit", str(PAGE_ITEMS))),
        token=given.get("token") or None,
        etags=True,
        after=given.get("after") or None,
    )
    with told(given.get("prefix", "")):
        try:
            page = await data_store.store.list(folder, options)
        except HoldallError as error:
            if options.token is None or error.transient or isinstance(error, _DENIED):
                raise
            raise HttpFault(400, "token is not what a page before called next") from error
    headers = {"Content-Type": "application/json"}
    if page.token is not None:
        query = urlencode({**given, "token": page.token})
        headers["Link"] = f'<?{query}>; rel="next"'
    return Response(msgspec.json.encode(_told(page)), headers=headers)


def _parameters(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name not in PARAMETERS or name in given:
            why = "comes twice" if name in given else f"is not one of {', '.join(PARAMETERS)}"
            raise HttpFault(400, f"the parameter {name[:40]!r} {why}")
        given[name] = text
    return given


def _folder(prefix: str, root: Reference) -> Reference:
    if not prefix:
        return root
    try:
        return root.child(prefix.removesuffix("/"))
    except InvalidKey as error:
        raise HttpFault(400, f"the prefix names a folder: {error}") from error


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= limit <= PAGE_ITEMS:
        raise HttpFault(400, f"limit is {text[:40]!r}: it takes from 1 to {PAGE_ITEMS:,}")
    return limit


def _told(page: Page) -> dict[str, Any]:
    return {
        "objects": [_object(meta) for meta in page.objects],
        "directories": page.folders,
        "next": page.token,
    }


def _object(meta: ObjectMeta) -> dict[str, Any]:
    try:
        modified = meta.modified
    except OverflowError:  # no year that anybody would believe
        modified = None
    return {"key": meta.key, "size": meta.size, "etag": etag_of(meta), "modified": modified}
