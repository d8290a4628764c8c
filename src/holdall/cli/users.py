"""The commands for accounts of a server: `holdall user …`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import holdall
from holdall.cli.app import app, command_of
from holdall.cli.output import say, say_json
from holdall.cli.serving import USERS, chosen
from holdall.cli.serving_workers import users_of
from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdall.server.accounts.users import Users

HELP = """Accounts of 'holdall serve': who may ask, and what.

Each command takes the address of the store that is served; without it the same one that
'holdall serve' takes without an address.

\b
  holdall user add plant.db alice --role admin
  holdall user add plant.db gateway --machine --role operator
  holdall user list plant.db
"""

group = typer.Typer(
    name="user", help=HELP, rich_markup_mode=None, no_args_is_help=True, add_completion=False
)
app.add_typer(group)

WORDS = Annotated[
    list[str], typer.Argument(help="The store's address, and a name.", metavar="[URL] NAME")
]
PASSWORD = Annotated[
    str | None,
    typer.Option(
        "--password-env", metavar="NAME", help="The environment variable with the password."
    ),
]


def user_command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command of `holdall user`; see `holdall.cli.app.command`."""
    return command_of(group, function)


@user_command
def add(
    words: WORDS,
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    machine: Annotated[
        bool, typer.Option("--machine", help="A key in place of a password; printed once.")
    ] = False,
    password_env: PASSWORD = None,
    users: USERS = None,
) -> None:
    """Make an account. The password is asked for, or read from standard input.

    \b
    Examples:
      holdall user add plant.db alice --role admin
      holdall user add plant.db gateway --machine --role operator
    """
    url, name = _words(words)
    if machine:
        say(_at(url, users, lambda accounts: accounts.add_machine(name, role)))
        return
    password = _password(password_env)
    _at(url, users, lambda accounts: accounts.add(name, password, role))
    say(f"{name} is a user, as {role}")


@user_command
def passwd(words: WORDS, password_env: PASSWORD = None, users: USERS = None) -> None:
    """Change a password, which ends the sessions of the account.

    \b
    Example:
      holdall user passwd plant.db alice
    """
    url, name = _words(words)
    password = _password(password_env)
    _at(url, users, lambda accounts: accounts.change_password(name, password))


@user_command
def rm(words: WORDS, users: USERS = None) -> None:
    """Take an account away, which ends its sessions.

    \b
    Example:
      holdall user rm plant.db alice
    """
    url, name = _words(words)
    _at(url, users, lambda accounts: accounts.remove(name))


@user_command
def _list(
    url: Annotated[str | None, typer.Argument(help="The store's address.", metavar="[URL]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    users: USERS = None,
) -> None:
    """Print the accounts, one a line: name, role, and whether it is a machine.

    \b
    Example:
      holdall user list plant.db
    """
    for one in _at(url, users, lambda accounts: accounts.all()):
        if json:
            say_json({"name": one.name, "role": one.role, "machine": one.is_machine})
        else:
            say("\t".join((one.name, one.role, *(["machine"] if one.is_machine else []))))


def _words(words: list[str]) -> tuple[str | None, str]:
    if len(words) == 1 and "://" not in words[0]:
        return None, words[0]
    if len(words) != 2:
        raise typer.BadParameter("this takes the address of the store, and a name")
    return words[0], words[1]


def _password(variable: str | None) -> str:
    if variable is not None:
        return Secret({"env": variable}).reveal()
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")


def _at(url: str | None, file: Path | None, work: Callable[[Users], Awaitable[Any]]) -> Any:
    """Do something with the accounts of a store."""
    import asyncio

    choice = chosen(url, os.environ)
    if choice.is_memory and file is None:
        raise InvalidConfig(
            "memory:// lives in the process that opens it: its accounts are made there, or kept "
            "in a file with --users"
        )

    async def run() -> Any:
        async with holdall.open_adapter(choice.url) as adapter:
            return await work(users_of(adapter, None))

    if file is None:
        return asyncio.run(run())
    from holdall.server.accounts.users import Users

    accounts = Users.in_file(file.expanduser())

    async def run_file() -> Any:
        return await work(accounts)

    return asyncio.run(run_file())
