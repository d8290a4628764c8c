"""The command `serve`: the Haystack HTTP API over a store."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import Struct

import holdall
from holdall.cli.app import command
from holdall.cli.output import complain, say
from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.server.accounts.users import Users

_FILE: Final = "haystack.db"
_SQLITE: Final = (".db", ".sqlite", ".sqlite3")
_MEMORY: Final = frozenset({"memory", "mem"})
_BACKLOG: Final = 2048
URL_HELP = (
    "Where the entities are: an address, or a file of SQLite (plant.db). Without it: "
    "TIMESCALE_DSN, then REDIS_URL, then a file in HOLDALL_DATA or ~/.local/share/holdall."
)
STORE = Annotated[str | None, typer.Argument(help=URL_HELP, metavar="[URL]")]
USERS = Annotated[
    Path | None,
    typer.Option("--users", help="A file with the accounts; without it they are in the store."),
]


class Choice(Struct, frozen=True):
    """Which store is served.

    Attributes:
        url: Its address.
        why: What named it, for people.
    """

    url: str
    why: str

    @property
    def shown(self) -> str:
        """The address without what may be a secret."""
        return _shown(self.url)

    @property
    def is_memory(self) -> bool:
        """Whether it ends with this process."""
        return self.url.partition("://")[0].lower() in _MEMORY


@command
def serve(
    url: STORE = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free.")] = 8080,
    users: USERS = None,
    name: Annotated[str, typer.Option(help="What the server calls itself.")] = "Holdall",
    tls_cert: Annotated[
        Path | None, typer.Option(help="A certificate, PEM, with its chain: serves https.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(help="Who signs the certificates that clients must have, PEM."),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(help="Addresses of proxies that tell for whom they ask, with commas."),
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option(
            envvar="HOLDALL_OBJECTS", help="Objects to serve too: an address, or a folder."
        ),
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            envvar="HOLDALL_RECORDS",
            help="Records to serve too: an address, or a file of SQLite.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many processes serve.")] = 1,
    drain: Annotated[
        float,
        typer.Option(min=0, help="Seconds to serve on, not ready, after being told to end."),
    ] = 0.0,
    debug: Annotated[bool, typer.Option("--debug", help="Tell clients where it failed.")] = False,
) -> int:
    """Serve entities and histories over HTTP, as the Haystack HTTP API.

    Without accounts only this machine may ask, and the server listens nowhere else. A proxy that
    says nothing of itself is not recognised: make an account before one stands in front. Where
    HOLDALL_ADMIN is set and there are no accounts, an admin of that name is made, with the password
    HOLDALL_ADMIN_PASSWORD or one that is printed once.

    \b
    Examples:
      holdall serve plant.db
      holdall user add plant.db alice --role admin
      holdall serve plant.db --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
      holdall serve redis://db --workers 4 --objects s3://files --records postgresql://db/plant
    """
    import asyncio

    from holdall.cli.serving_workers import Serving, run_many, run_one, users_of

    _check_installed()
    choice = chosen(url, os.environ)
    adapter = holdall.open_adapter(choice.url)
    kept = {choice.url: {adapter.stores[0].type}}
    object_place = None if objects is None else _place(objects)
    record_place = None if records is None else _place(records, sqlite=True)
    kept |= _try_out(object_place, record_place)
    if workers > 1:
        _check_shared(kept)
    accounts = users_of(adapter, users)
    # Another adapter than the one that is served: what waited on one loop does not on the next.
    # What is in memory waits on none, and would not be there for another.
    first = adapter if choice.is_memory else holdall.open_adapter(choice.url)
    known = asyncio.run(_ready(first, users_of(first, users), close=not choice.is_memory))
    if not known and not _is_loopback(host):
        raise InvalidConfig(
            f"there are no accounts in {accounts.address}, and without one nothing listens at "
            f"{host}: make one with 'holdall user add', or listen at 127.0.0.1"
        )
    tls = _tls(tls_cert, tls_key, client_ca)
    _check_proxies(proxy)
    if not tls and not _is_loopback(host):
        complain("without --tls-cert everybody on the way reads what is sent, tokens too")
    serving = Serving(
        url=choice.url,
        objects=object_place,
        records=record_place,
        users=users,
        name=name,
        debug=debug,
        tls=tls,
        proxy=proxy,
        drain=drain,
        had_accounts=known,
    )
    with _listening(host, port) as sock:
        shown = f"[{host}]" if ":" in host else host
        at = f"{'https' if tls else 'http'}://{shown}:{sock.getsockname()[1]}"
        by = "" if workers == 1 else f" by {workers} workers"
        say(f"Serving {choice.shown} ({choice.why}){by} at {at}/api/")
        for what, place in (("objects", objects), ("records", records)):
            if place is not None:
                say(f"Serving the {what} of {_shown(place)} at {at}/{what}")
        if not known:
            say(
                "There are no accounts: only this machine may ask, and a proxy on it that says "
                "nothing of itself counts as this machine. 'holdall user add' makes one."
            )
        sys.stdout.flush()
        if workers > 1:
            return run_many(serving, sock, workers)
        run_one(serving, sock, adapter=adapter)
    return 0


def _check_installed() -> None:
    from importlib import import_module

    try:
        for name in ("holdall.server.app", "holdall.server.live.wire"):
            import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidConfig(
            f"{error.name} is not installed: pip install 'holdall[server]'"
        ) from error


def _check_shared(kept: Mapping[str, set[str]]) -> None:
    """Refuse what each worker would have for itself; of each address, which stores are there."""
    for place, types in kept.items():
        if "memory" in types:
            raise InvalidConfig(
                f"{_shown(place)} lives in one process, and each of several workers would have its "
                "own: serve it with --workers 1, or another store"
            )


def _place(text: str, *, sqlite: bool = False) -> str | Path:
    """What opens a store: an address, the path of a folder or configuration, a file of SQLite."""
    if not text:  # what a script left empty must not mean the working folder
        raise InvalidConfig("an address is empty; write . for this folder")
    if "://" in text:
        return text
    path = Path(os.path.abspath(os.path.expanduser(text)))
    return f"sqlite:///{path}" if sqlite and text.endswith(_SQLITE) else path


def _shown(place: str) -> str:
    """An address without what may be a secret; a path as it is."""
    if "://" not in place:
        return place
    scheme, _, rest = place.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def chosen(url: str | None, environment: Mapping[str, str]) -> Choice:
    """Which store to serve: the one that was named, or the first that the environment has."""
    if url is not None:
        path = os.path.abspath(os.path.expanduser(url))
        is_file = "://" not in url and url.endswith(_SQLITE)
        return Choice(f"sqlite:///{path}" if is_file else url, "as asked")
    for variable in ("TIMESCALE_DSN", "REDIS_URL"):
        named = environment.get(variable)
        if named and "://" not in named and variable == "TIMESCALE_DSN":
            named = "timescale://"  # in libpq's form `host=… dbname=…`, which is no address
        if named:
            return Choice(named, f"from {variable}")
    folder = environment.get("HOLDALL_DATA") or os.path.join(
        environment.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "holdall"
    )
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(os.path.abspath(folder), _FILE)
    return Choice(f"sqlite:///{path}", "neither TIMESCALE_DSN nor REDIS_URL is set")


async def _ready(adapter: HaystackAdapter, users: Users, *, close: bool) -> bool:
    """Make the first admin where one is named; answers whether there is any account.

    Whether there are accounts must be known before anything listens.
    """
    import secrets

    from holdall.server.access import first_admin

    await adapter.connect()
    try:
        name = os.environ.get("HOLDALL_ADMIN")
        if name and not await users.exist():
            given = os.environ.get("HOLDALL_ADMIN_PASSWORD")
            password = given or secrets.token_urlsafe(15)
            if await first_admin(users, name, password) and not given:
                say(f"Made the admin {name}, with the password {password} (shown only now)")
        return await users.exist()
    finally:
        if close:
            await adapter.close()


def _try_out(objects: str | Path | None, records: str | Path | None) -> dict[str, set[str]]:
    """Open objects and records once, so that a wrong address is told before anything is served.

    Returns:
        Of each address, the types of the stores that are there.
    """
    import asyncio

    from holdall.records.backends.objects.store import RecordsOnStore

    found: dict[str, set[str]] = {}
    if objects is not None:
        store = holdall.open_async(objects)
        found.setdefault(str(objects), set()).add(store.backend.type)
        asyncio.run(store.close())
    if records is not None:
        database = holdall.open_database_async(records)
        behind = database.store
        inside = behind.objects.stores() if isinstance(behind, RecordsOnStore) else ()
        found.setdefault(str(records), set()).update({behind.type, *(one.type for one in inside)})
        asyncio.run(database.close())
    return found


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> dict[str, Any]:
    if cert is None:
        if key is not None or client_ca is not None:
            raise InvalidConfig("--tls-key and --client-ca need --tls-cert")
        return {}
    for path in (cert, key, client_ca):
        if path is not None and not path.is_file():
            raise InvalidConfig(f"{path}: there is no such file")
    import ssl

    try:
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(cert, key)
        if client_ca is not None:
            trial.load_verify_locations(client_ca)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        names = ", ".join(str(path) for path in (cert, key, client_ca) if path is not None)
        raise InvalidConfig(f"{names}: TLS cannot use them: {error}") from error
    settings: dict[str, Any] = {"ssl_certfile": cert, "ssl_keyfile": key}
    if client_ca is not None:
        settings |= {"ssl_ca_certs": str(client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return settings


def _check_proxies(proxy: str | None) -> None:
    """Refuse what is no address, which would silently mean that no proxy is believed."""
    import ipaddress

    for one in () if proxy is None else proxy.split(","):
        try:
            ipaddress.ip_network(one.strip())
        except ValueError as error:
            raise InvalidConfig(
                f"--proxy {one.strip()!r}: it takes addresses such as 10.0.0.2 or networks such as "
                "10.0.0.0/8, with commas between; anybody else may say to be anybody"
            ) from error


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens: whoever reads the printed address and asks at once is answered."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the name of the protocol, asyncio does not switch Nagle's algorithm off, and each
    # answer waits for 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(_BACKLOG)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise InvalidConfig(f"cannot listen at {host}:{port}: {why}") from error
        yield sock
