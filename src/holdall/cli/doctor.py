"""The command that tries a store out, and says how to mend it: doctor."""

from __future__ import annotations

import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

import holdall
from holdall.cli import FAILED, OK, USAGE
from holdall.cli.app import command
from holdall.cli.hints import hint_for
from holdall.cli.output import complain, say, say_json
from holdall.cli.places import Store, folder_path, is_path, store_at
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    NotFound,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import drive

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE = 4096
_NAMES = {"abfs": "az", "abfss": "az", "rediss": "redis", "mem": "memory"}
# After one of these every later step would wait for, and say, the same.
_HOPELESS = (Unauthenticated, Timeout, Unavailable)

_CONFIGURATIONS = (".toml", ".yaml", ".yml", ".json")


class _Examination:
    """What was tried of one store, and what came of it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rows: list[dict[str, Any]] = []
        self.code = OK
        self.errors: dict[str, Exception] = {}
        self._bad: set[str] = set()
        self._hopeless: str | None = None

    def attempt(self, name: str, work: Callable[[], Any], *needs: str) -> Any:
        """Do one thing and note how it went; answer what it answered, None when it failed.

        Args:
            name: What it is called.
            work: What is done.
            needs: Steps without whose success it is not tried.
        """
        cause = self._hopeless or next((need for need in needs if need in self._bad), None)
        if cause is not None:
            self._bad.add(name)
            self.rows.append(
                {"step": name, "ok": None, "error": f"not tried, since {cause} failed"}
            )
            return None
        begin = time.perf_counter()
        row: dict[str, Any] = {"step": name, "ok": True}
        answer = None
        try:
            answer = work()
        except (HoldallError, OSError) as error:
            row |= {"ok": False, "error": str(error), "kind": type(error).__name__}
            hint = hint_for(error, self.kind, name)
            if hint is not None:
                row["hint"] = hint
            self.errors[name] = error
            self._bad.add(name)
            if isinstance(error, _HOPELESS):
                self._hopeless = name
            mistake = isinstance(error, (InvalidConfig, InvalidKey))
            self.code = self.code or (USAGE if mistake else FAILED)
        row["milliseconds"] = round((time.perf_counter() - begin) * 1000, 1)
        self.rows.append(row)
        return answer


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
    conditions, and says of each step whether it went well and how to mend what did not. What it
    writes begins with .holdall-doctor- and is removed, even after Ctrl-C.

    \b
    Examples:
      holdall doctor /srv/data
      holdall doctor 's3://archive/plant-7?endpoint=http://127.0.0.1:9000'
      holdall doctor storage.toml
      holdall doctor --read-only --json az://reports
      holdall doctor --json s3://archive | jq '.steps[] | select(.ok == false)'
      holdall doctor --reindex redis://127.0.0.1

    \b
    Exit codes: 0 all went well; 1 a step failed; 2 the place or a setting is wrong.
    """
    is_path(place)  # an empty one is refused
    if reindex and read_only:
        raise typer.BadParameter("--reindex writes, and --read-only forbids that")
    examination = _Examination(_kind_of(place))
    store: Store | None = examination.attempt("open", lambda: _open(place))
    if store is not None:
        # The file of a configuration says nothing of it.
        examination.kind = _NAMES.get(store.root.scheme, store.root.scheme)
        with store, no_new_workspace(store):
            if reindex:
                examination.attempt("reindex", lambda: _reindex(store))
            examination.attempt("list", lambda: store.list_page(max_items=1))
            if not read_only:
                _probe(examination, store)
    where = _shown_place(place) if store is None else store.base_path or str(store.root)
    can = None if store is None else msgspec.to_builtins(store.capabilities)
    made_of = [] if store is None else store.describe().splitlines()
    if json:
        answer = {"place": where, "type": examination.kind, "ok": examination.code == OK}
        say_json(answer | {"steps": examination.rows, "capabilities": can, "made_of": made_of})
    else:
        _say(f"{examination.kind} store at {where}", examination.rows, made_of, can or {})
    return examination.code


def _kind_of(place: str) -> str:
    scheme = "file" if is_path(place) else place.partition("://")[0].lower()
    return _NAMES.get(scheme, scheme)


def _shown_place(place: str) -> str:
    """The place without its settings and without a password before the host."""
    if _kind_of(place) == "redis":
        place = re.sub(r"(?<=://).*@", "", place)
    return place.partition("?")[0]


def _open(place: str) -> Store:
    if _kind_of(place) == "memory":
        # Elsewhere memory is refused, but here what is written is read again at once.
        return holdall.open(place)
    path = folder_path(place)
    if path is not None and path.endswith(_CONFIGURATIONS) and os.path.isfile(path):
        return Store.from_config(path)
    if path is not None and not os.path.isdir(path):
        raise NotFound(f"{path}: there is no folder, and doctor makes none")
    return store_at(place)


def _reindex(store: Store) -> None:
    again = getattr(store.backend, "reindex", None)
    if again is None:
        raise Unsupported(f"{store.root} keeps no index: there is nothing to take in")
    drive(again())


def _probe(examination: _Examination, store: Store) -> None:
    """Try everything on objects of its own, and remove them whatever happens."""
    folder = f".holdall-doctor-{secrets.token_hex(16)}"
    probe, copy = f"{folder}/probe", f"{folder}/copy"
    data = os.urandom(_SIZE)
    attempt = examination.attempt

    def read() -> None:
        _expect(store.read(probe) == data, f"{probe}: what was read is not what was written")

    def read_range() -> None:
        part = store.read(probe, start=1000, end=3000)
        _expect(part == data[1000:3000], f"{probe}: the range is not the one asked for")

    def stat() -> None:
        _expect(store.stat(probe).size == _SIZE, f"{probe}: the size is not what was written")

    def listed() -> None:
        _expect(probe in store.list(folder), f"{probe} was written, and no listing shows it")

    def copying() -> None:
        store.copy(probe, copy)
        _expect(store.read(copy) == data, f"{copy}: the copy is not what was copied")

    def create_twice() -> None:
        _refused(AlreadyExists, probe, lambda: store.write(probe, data, if_none_match="*"))

    def replace_another() -> None:
        _refused(PreconditionFailed, probe, lambda: store.write(probe, data, if_match="0" * 32))

    def deleting() -> None:
        store.delete_many([probe, copy])
        left = [key for key in (probe, copy) if store.exists(key)]
        _expect(not left, f"{', '.join(left)}: deleted, and still there")

    removed = False
    try:
        attempt("write", lambda: store.write(probe, data))
        attempt("read", read, "write")
        attempt("read a range", read_range, "write", "read")
        attempt("stat", stat, "write")
        attempt("find it in the listing", listed, "write", "list")
        if store.capabilities.conditional:
            attempt("refuse to create it again", create_twice, "write")
            attempt("refuse a stale etag", replace_another, "write")
        attempt("copy", copying, "write", "read")
        attempt("delete", deleting, "write")
        removed = examination.rows[-1]["ok"] is True
    finally:
        if not removed and _may_be_there(examination):
            _remove(store, folder, [probe, copy])


def _may_be_there(examination: _Examination) -> bool:
    """Whether the probe may have been written: not where nothing was sent, or it was refused."""
    tried = next((row for row in examination.rows if row["step"] == "write"), None)
    if tried is None or tried["ok"]:
        return True  # interrupted within the write, or after it
    error = examination.errors.get("write")
    return isinstance(error, (Timeout, Unavailable)) or getattr(error, "uncertain", False)


def _remove(store: Store, folder: str, keys: list[str]) -> None:
    try:
        store.delete_many(keys)
    except (HoldallError, OSError):
        complain(f"remove by hand what may be left: {store.full_path(folder)}")


def _expect(right: bool, problem: str) -> None:
    if not right:
        raise Corrupt(problem)


def _refused(kind: type[HoldallError], key: str, write: Callable[[], object]) -> None:
    try:
        write()
    except kind:
        return
    raise Unsupported(f"{key}: a condition that does not hold did not stop a write")


def _say(
    title: str, rows: list[dict[str, Any]], made_of: list[str], can: dict[str, object]
) -> None:
    say(title)
    words = {True: "ok", False: "FAILED", None: "-"}
    for row in rows:
        taken = f" {row['milliseconds']:>8} ms" if "milliseconds" in row else ""
        say(f"  {words[row['ok']]:<6} {row['step']:<28}{taken}".rstrip())
        if "error" in row:
            say(f"         {row['error']}")
        if "hint" in row:
            say(f"         to mend it: {row['hint']}")
    if made_of:
        say("it is made of:")
    for line in made_of:
        say(f"  {line}")
    if can:
        say("it can do:")
    for name, value in can.items():
        say(f"  {name:<20} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "no limit" if value is None else str(value)
