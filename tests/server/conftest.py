"""A sample building behind a server of its own thread, asked over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.asking import Asking, building
from server.listening import listening

Serve = Callable[..., Asking]


@pytest.fixture
def adapter() -> InMemoryAdapter:
    """The sample building, in memory."""
    return InMemoryAdapter(building())


@pytest.fixture
def serve(adapter: InMemoryAdapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve a store, the sample building unless given; answers what asks it from this machine."""
    monkeypatch.delenv("HOLDALL_ADMIN", raising=False)
    with ExitStack() as open_things:

        def start(storage: Any = None, **keywords: Any) -> Asking:
            app = create_fastapi_app(adapter if storage is None else storage, **keywords)
            url = open_things.enter_context(listening(app))
            client = httpx.Client(base_url=url, timeout=60, verify=False)
            return Asking(open_things.enter_context(client))

        yield start


@pytest.fixture
def ask(serve: Serve) -> Asking:
    """What asks a server of the sample building, which has no accounts."""
    return serve()
