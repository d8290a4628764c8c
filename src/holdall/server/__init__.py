"""The server: the Haystack HTTP API with accounts, over any storage adapter.

from holdall.server import create_fastapi_app

app = create_fastapi_app(storage=holdall.open_adapter("sqlite:///plant.db"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from holdall.server.accounts.users import Users
    from holdall.server.actions import ActionCall
    from holdall.server.app import create_fastapi_app
    from holdall.server.config import ServerConfig

__all__ = ["ActionCall", "ServerConfig", "Users", "create_fastapi_app"]

_HOMES = {
    "ActionCall": "holdall.server.actions",
    "ServerConfig": "holdall.server.config",
    "Users": "holdall.server.accounts.users",
    "create_fastapi_app": "holdall.server.app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdall.server' has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise InvalidConfig(
            f"{error.name} is not installed: pip install 'holdall[server]'"
        ) from error
    globals()[name] = value
    return value
