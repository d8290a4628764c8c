"""The command that lends one object to whoever holds a URL: sign."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from holdall.cli.app import command
from holdall.cli.output import complain, say, say_json
from holdall.cli.places import object_at
from holdall.core.errors import LimitExceeded

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_METHODS = ("GET", "PUT", "DELETE")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")


@command
def sign(
    place: Annotated[str, typer.Argument(metavar="OBJECT", help="Which object.")],
    method: Annotated[str, typer.Option(help="GET, PUT or DELETE.")] = "GET",
    expires: Annotated[str, typer.Option(help="For how long: 90s, 15m, 1h, 7d.")] = "1h",
    content_type: Annotated[str | None, typer.Option(help="What a PUT must send.")] = None,
    content_md5: Annotated[str | None, typer.Option(help="Its MD5, hexadecimal.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Print a URL that lets its holder do one thing with one object for a while.

    Whoever has the URL needs no account. It cannot be taken back before it expires. For a PUT
    standard error shows the curl line with the headers that must be sent; --json names the url,
    the method, the headers, and when it expires.

    \b
    Examples:
      holdall sign s3://archive/report.pdf
      holdall sign --method PUT --expires 15m s3://inbox/upload.bin
      curl -o report.pdf "$(holdall sign s3://archive/report.pdf)"
      curl -T a.bin -H 'x-ms-blob-type: BlockBlob' "$(holdall sign --method PUT az://inbox/a.bin)"
    """
    verb = method.upper()
    if verb not in _METHODS:
        raise typer.BadParameter(f"{method!r} is no method that can be signed: GET, PUT, DELETE")
    if verb != "PUT" and (content_type is not None or content_md5 is not None):
        raise typer.BadParameter("--content-type and --content-md5 are for --method PUT")
    if content_md5 is not None and not _MD5.fullmatch(content_md5):
        raise typer.BadParameter(f"{content_md5!r} is no MD5: it has 32 hexadecimal digits")
    span = _span(expires)
    # Taken before the service's own clock starts, so that it never promises too much.
    end = _end(span, expires)
    spot = object_at(place)
    with spot.store as store:
        try:
            url = store.sign(
                spot.key, verb, expires=span, content_type=content_type, content_md5=content_md5
            )
        except LimitExceeded as error:
            raise typer.BadParameter(f"--expires {expires}: {error}") from error
    headers = dict(url.headers)
    if json:
        times = {"expires_in": span.total_seconds(), "expires_at": end.isoformat()}
        say_json({"url": str(url), "method": verb, "headers": headers} | times)
        return
    say(url)
    if verb == "PUT":
        # Without the URL: whoever reads a log of errors must not be able to use it.
        sent = "".join(f" -H {shlex.quote(f'{name}: {text}')}" for name, text in headers.items())
        complain(f'send it with: curl -T FILE{sent} "URL"')


def _span(text: str) -> timedelta:
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    if not (number.isascii() and number.isdecimal()) or not int(number):
        raise typer.BadParameter(f"{text!r} is no time: write 90s, 15m, 1h or 7d")
    try:
        return timedelta(seconds=int(number) * _UNITS[unit])
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long for any service") from None


def _end(span: timedelta, text: str) -> datetime:
    try:
        return datetime.now(UTC).replace(microsecond=0) + span
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long for any service") from None
