"""The commands, and what is the same for all of them: errors, exit codes, help."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdall.cli import BROKEN_PIPE, FAILED, INTERRUPTED, USAGE, close_stdout
from holdall.cli.output import complain
from holdall.core.errors import HoldallError, InvalidConfig, InvalidKey, InvalidQuery, InvalidRange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HELP = """Keep files as objects: in a folder, or wherever an address leads.

A place is a plain path (./data, ~/data) or an address (file:///srv/data).
put takes - for standard input, and get takes - for standard output.

\b
  holdall sync ~/photos /mnt/backup/photos       make one hold what the other holds
  holdall sync ~/photos /mnt/backup -n --delete  say first what would be done
  holdall verify /mnt/backup/photos              read everything, compare checksums
  holdall put report.pdf /srv/data/2024/         write an object
  pg_dump app | holdall put - /srv/data/app.sql
  holdall cat /srv/data/app.sql | psql app
  holdall ls -l /srv/data/2024
  holdall rm -r /srv/data/2019
  holdall doctor s3://archive/plant-7           see whether a store works
  holdall db search app.db 'age >= 30'          search the records of a database
  holdall hs read plant.db 'point and temp'     find entities of a building
  holdall serve plant.db                        answer the Haystack HTTP API

\b
Exit codes: 0 all went well; 1 something failed; 2 the command line is wrong;
130 interrupted; 141 the reader of a pipe has gone.
"""

app = typer.Typer(
    name="holdall",
    help=HELP,
    # Plain help: it imports no more, keeps the examples as they are, and reads well in a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from holdall import __version__

        typer.echo(f"holdall {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    _wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    # Options of the command itself; its help is HELP.
    return None


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command of its name; what it answers is the exit code.

    Its errors become one line and an exit code: a user's mistake gives no traceback.
    """
    return command_of(app, function)


def command_of(group: typer.Typer, function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command of a group of them; see `command`."""

    @functools.wraps(function)
    def guarded(*args: Any, **keywords: Any) -> None:
        try:
            code = function(*args, **keywords)
            sys.stdout.flush()
        except KeyboardInterrupt:
            complain("interrupted")
            code = INTERRUPTED
        except BrokenPipeError:
            close_stdout()
            code = BROKEN_PIPE
        except (InvalidKey, InvalidConfig, InvalidRange, InvalidQuery) as error:
            complain(error)
            code = USAGE
        except HoldallError as error:
            complain(error)
            code = FAILED
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            complain(f"{place}{error.strerror or error}")
            code = FAILED
        except (ValueError, TypeError) as error:
            complain(error)  # how the library refuses an argument
            code = USAGE
        if code:
            raise typer.Exit(code)

    group.command(name=function.__name__.strip("_").replace("_", "-"))(guarded)
    return guarded


def load(words: Sequence[str] | None = None) -> None:
    """Register the commands.

    Args:
        words: What was typed: a group whose imports take long is left empty where it is not the
            first of them. None is every command.
    """
    # They do so themselves when imported; not above, because they need what stands there.
    from holdall.cli import (  # noqa: F401
        databases,
        doctor,
        exchanging,
        expiring,
        haystack,
        looking,
        moving,
        removing,
        serving,
        signing,
        syncing,
        tables,
        users,
    )

    if words is None or list(words[:1]) == ["hs"]:
        from holdall.cli import (  # noqa: F401
            hs_copying,
            hs_histories,
            hs_loading,
            hs_reading,
            hs_watching,
        )


def run(words: Sequence[str]) -> int:
    """Run one command; answer the exit code."""
    load(words)
    # A name that the terminal cannot show must not end a listing half way.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(args=list(words), prog_name="holdall")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0
