"""What somebody sees who opens the server's address in a browser: what there is, and where."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002 (FastAPI reads it in the annotations)
from starlette.responses import HTMLResponse, Response

from holdall import __version__
from holdall.server.accounts.roles import Role
from holdall.server.answering import caller_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from holdall.server.config import ServerConfig

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<style>body {{ font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 44rem }}
td {{ padding-right: 1.5rem }}</style>
<h1>{name}</h1>
<p>Holdall {version}. Haystack clients take the address of this page that ends in
<code>{prefix}</code>.</p>
<table>
{rows}
</table>
</html>
"""


def add_welcome(app: FastAPI, settings: ServerConfig, *, objects: bool, records: bool) -> None:
    """Add the page that says what there is.

    Args:
        app: The application.
        settings: The settings.
        objects: Whether it serves objects.
        records: Whether it serves records.
    """
    api = settings.prefix
    known = [
        (f"{api}/about", "about the server"),
        (f"{api}/ops", "its operations"),
        (f"{api}/nav", "sites, and what lies in them"),
        (f"{api}/read?filter=site", "what a filter means; here the sites"),
    ]
    known += [("/objects", "objects")] if objects else []
    known += [("/records", "records")] if records else []
    known += [("/openapi.json", "all paths, for programs")]
    page = _PAGE.format(
        name=escape(settings.name),
        version=escape(__version__),
        prefix=escape(api),
        rows="\n".join(
            f'<tr><td><a href="{escape(path)}">{escape(path)}</a><td>{escape(text)}'
            for path, text in known
        ),
    )

    async def welcome(request: Request) -> Response:
        caller_of(request, Role.VIEWER)
        return HTMLResponse(page, headers=_HEADERS)

    for path in dict.fromkeys(("/", api, f"{api}/")):
        app.add_api_route(path, welcome, methods=["GET"], include_in_schema=False)
