"""Moto, one request at a time.

Its dicts are shared by all requests and guarded by none, so that a listing beside writes now and
then answers 500. A body is read before its turn comes, since who sends it may be slow on purpose.
"""

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto import server

_turn = threading.Lock()
_run: Callable[..., None] = vars(server)["run_simple"]


def _in_turns(host: str, port: int, app: Callable[..., Iterable[bytes]], **options: Any) -> None:
    def one(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
        with _turn:
            return app(environ, start)

    _run(host, port, one, **options)


vars(server)["run_simple"] = _in_turns

if __name__ == "__main__":
    server.main()
