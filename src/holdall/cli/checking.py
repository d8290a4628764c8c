"""Commands about a store itself: doctor, and sign for those who have no account."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from holdall.cli.app import command
from holdall.cli.output import say, say_json
from holdall.cli.places import folder_path, object_at, store_at
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.cli.places import Store

_HINTS: tuple[tuple[type[HoldallError], str], ...] = (
    (Unauthenticated, "check the keys or the token, and the clock of this machine"),
    (PermissionDenied, "these credentials lack a right: reading, writing, listing or deleting"),
    (Timeout, "the service is slow or far: raise the setting 'timeout'"),
    (Unavailable, "check the endpoint, the network, and whether the service runs"),
    (Unsupported, "this service cannot do it; the rest does not depend on it"),
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Fault(HoldallError):
    """The store answered something else than what was written."""


def _expect(right: bool, what: str) -> None:
    if not right:
        raise _Fault(what)


@command
def doctor(
    place: Annotated[str, typer.Argument(help="A folder or store.")],
    read_only: Annotated[bool, typer.Option("--read-only", help="Write nothing.")] = False,
    reindex: Annotated[
        bool, typer.Option("--reindex", help="Redis: take in what other programs wrote.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> int:
    """Look whether a store works, and say what it can do.

    It opens the store, writes one small object, reads, lists, copies and deletes it, tries the
    conditions, and says of each step whether it went well and how to mend what did not.

    \b
    Examples:
      holdall doctor /srv/data
      holdall doctor 's3://archive/plant-7?endpoint=http://127.0.0.1:9000'
      holdall doctor --read-only --json az://reports
      holdall doctor --reindex redis://127.0.0.1
    """
    path = folder_path(place)
    if path is not None and not os.path.isdir(path):
        raise NotFound(f"{path}: there is no folder, and doctor makes none")
    begin = time.perf_counter()
    store = store_at(place)
    rows = [_row("open", begin, None)]
    steps = _reading(store)
    if reindex:
        steps = [("reindex", lambda: _reindex(store)), *steps]
    if not read_only:
        steps += _writing(store)
    with no_new_workspace(store):
        for name, step in steps:
            begin = time.perf_counter()
            try:
                step()
            except HoldallError as error:
                rows.append(_row(name, begin, error))
            else:
                rows.append(_row(name, begin, None))
    good = all(row["ok"] for row in rows)
    capabilities = msgspec.to_builtins(store.capabilities)
    if json:
        where = store.base_path or str(store.root)
        say_json({"place": where, "ok": good, "steps": rows, "capabilities": capabilities})
    else:
        _say(store, rows, capabilities)
    return 0 if good else 1


def _row(name: str, begin: float, error: HoldallError | None) -> dict[str, object]:
    row: dict[str, object] = {
        "step": name,
        "ok": error is None,
        "milliseconds": round((time.perf_counter() - begin) * 1000, 1),
    }
    if error is not None:
        row["error"] = str(error)
        hint = next((text for kind, text in _HINTS if isinstance(error, kind)), None)
        if hint is not None:
            row["hint"] = hint
    return row


def _say(store: Store, rows: list[dict[str, object]], capabilities: dict[str, object]) -> None:
    say(f"{store.type} store at {store.base_path or store.root}")
    for row in rows:
        say(
            f"  {'ok    ' if row['ok'] else 'FAILED'} {row['step']:<28} {row['milliseconds']:>8} ms"
        )
        for name in ("error", "hint"):
            if name in row:
                say(f"         {row[name]}")
    say("it can do:")
    for name, value in capabilities.items():
        say(f"  {name:<20} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "no limit" if value is None else str(value)


def _reindex(store: Store) -> None:
    inner = store.store
    again = getattr(inner, "reindex", None)
    if again is None:
        raise Unsupported(f"{store.root} keeps no index: there is nothing to take in")
    drive(again())


def _reading(store: Store) -> list[tuple[str, Callable[[], object]]]:
    return [("list", lambda: store.list_page(max_items=1))]


def _writing(store: Store) -> list[tuple[str, Callable[[], object]]]:
    """The steps that leave nothing behind when all of them were tried."""
    key = f".holdall-doctor-{uuid.uuid4().hex}"
    other = f"{key}-copy"
    data = b"holdall doctor"

    def read() -> None:
        _expect(store.read(key) == data, "what was read is not what was written")

    def read_range() -> None:
        _expect(store.read(key, start=8) == data[8:], "the range is not the one asked for")

    def listed() -> None:
        _expect(key in store.list(), f"{key} was written, and no listing shows it")

    def stat() -> None:
        _expect(store.stat(key).size == len(data), "the size is not that of what was written")

    def create_twice() -> None:
        _refused(store, AlreadyExists, lambda: store.write(key, data, if_none_match="*"))

    def replace_another() -> None:
        _refused(store, PreconditionFailed, lambda: store.write(key, data, if_match="0" * 32))

    def gone() -> None:
        store.delete_many([key, other])
        _expect(not store.exists(key), f"{key} was deleted, and is still there")

    steps: list[tuple[str, Callable[[], object]]] = [
        ("write", lambda: store.write(key, data)),
        ("read", read),
        ("read a range", read_range),
        ("stat", stat),
        ("find it in the listing", listed),
    ]
    if store.capabilities.conditional:
        steps += [("refuse to create it again", create_twice)]
        steps += [("refuse a stale etag", replace_another)]
    steps += [("copy", lambda: store.copy(key, other)), ("delete", gone)]
    return steps


def _refused(store: Store, kind: type[HoldallError], write: Callable[[], object]) -> None:
    try:
        write()
    except kind:
        return
    raise _Fault(f"{store.root}: a condition that does not hold did not stop a write")


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

    Whoever has the URL needs no account. It cannot be taken back before it expires.

    \b
    Examples:
      holdall sign s3://archive/report.pdf
      holdall sign --method PUT --expires 15m s3://inbox/upload.bin
      curl -T upload.bin "$(holdall sign --method PUT s3://inbox/upload.bin)"
    """
    verb = method.upper()
    if verb not in {"GET", "PUT", "DELETE"}:
        raise typer.BadParameter(f"{method!r} is no method that can be signed: GET, PUT, DELETE")
    spot = object_at(place)
    span = _span(expires)
    url = spot.store.sign(
        spot.key, verb, expires=span, content_type=content_type, content_md5=content_md5
    )
    if json:
        say_json({"url": url, "method": verb, "expires_in": span.total_seconds()})
    else:
        say(url)


def _span(text: str) -> timedelta:
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    if not number.isdecimal() or not int(number):
        raise typer.BadParameter(f"{text!r} is no time: write 90s, 15m, 1h or 7d")
    return timedelta(seconds=int(number) * _UNITS[unit])
