"""What a test does that needs a server, or anything else that a machine may lack."""

import os
from typing import NoReturn

import pytest


def require_server(name: str, reason: str) -> NoReturn:
    """Skip the test for want of a server, or fail where all servers are promised.

    Args:
        name: The server, as in `redis` or `postgresql`.
        reason: How it is missing, as in `nothing listens on port 6379`.
    """
    message = f"needs {name}: {reason}"
    if os.environ.get("HOLDALL_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{message} (HOLDALL_REQUIRE_SERVERS=1)", pytrace=False)
    pytest.skip(message)
