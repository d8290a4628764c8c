"""A fast server that speaks enough of S3's protocol to measure clients: nginx and a little Lua.

It checks no signature, reads what is written and keeps nothing of it, and lists keys that do not
exist. What it can serve are the files of its folder.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
BUCKET = "bkt"
PAGE_KEYS = 1000
ADVICE = "The byte server is missing: apt-get install nginx-light libnginx-mod-http-lua"
_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"))
_SECONDS_TO_START = 10

_CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{modules}
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type binary/octet-stream;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    client_body_buffer_size 72m;
    large_client_header_buffers 4 32k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        root {folder}/objects;
        location / {{
            rewrite_by_lua_block {{
                local method = ngx.req.get_method()
                if method ~= "GET" and method ~= "HEAD" then return ngx.exec("@changes") end
            }}
        }}
        location ~ ^/{bucket}/?$ {{
            rewrite_by_lua_block {{
                if ngx.req.get_method() ~= "GET" then return ngx.exec("@changes") end
                if {delay} > 0 then ngx.sleep({delay}) end
                local asked = ngx.req.get_uri_args()
                local token, after = asked["continuation-token"], asked["start-after"]
                local page = 0
                if token then
                    page = tonumber(token)
                elseif type(after) == "string" and after ~= "" then
                    local last = tonumber(after:match("(%d+)%.%a+$") or -1)
                    page = math.floor((last + 1) / {page_keys})
                end
                local prefix = asked.prefix
                if type(prefix) == "string" and prefix ~= ""
                    and ("keys/"):sub(1, #prefix) ~= prefix then
                    page = "empty"
                end
                return ngx.exec("/.pages/" .. page .. ".xml")
            }}
        }}
        location /.pages/ {{
            internal;
            alias {folder}/pages/;
            types {{ application/xml xml; }}
        }}
        location @changes {{
            content_by_lua_block {{
                ngx.req.read_body()
                ngx.req.clear_header("If-None-Match")  -- nothing is kept, so nothing is there
                local method, asked = ngx.req.get_method(), ngx.req.get_uri_args()
                if method == "DELETE" then return ngx.exit(204) end
                if method == "PUT" then
                    ngx.header["ETag"] = '"0123456789abcdef0123456789abcdef"'
                    ngx.header["Content-Length"] = 0
                    return ngx.exit(200)
                end
                ngx.header["Content-Type"] = "application/xml"
                local answer
                if asked.uploads then
                    answer = "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket>"
                        .. "<Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                elseif asked.uploadId then
                    answer = "<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>k</Key>"
                        .. '<ETag>"0123456789abcdef0123456789abcdef-8"</ETag>'
                        .. "</CompleteMultipartUploadResult>"
                else
                    answer = "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>"
                end
                ngx.header["Content-Length"] = #answer
                ngx.print(answer)
            }}
        }}
    }}
}}
"""

_PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
    "<Prefix></Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys>{end}{contents}"
    "</ListBucketResult>"
)
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>{time}</LastModified>"
    "<ETag>&quot;{etag:032x}&quot;</ETag><Size>{size}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


class MissingServerError(Exception):
    """What the byte server needs is not installed."""


@dataclass(frozen=True)
class ByteServer:
    """A server that answers.

    Args:
        endpoint: Its URL.
        bucket: The only bucket.
    """

    endpoint: str
    bucket: str = BUCKET


@contextmanager
def byte_server(
    objects: Mapping[str, bytes], pages: int, suffix: str = ".dat", delay: float = 0
) -> Iterator[ByteServer]:
    """Run a server until the block ends.

    Args:
        objects: What can be read, by key.
        pages: How many pages of a thousand keys a listing of the bucket has; the keys are
            `keys/000000.dat` and so on.
        suffix: What they end with, instead of `.dat`.
        delay: How many seconds each page of a listing takes, as on a service that is far away.

    Raises:
        MissingServerError: nginx or its Lua module is not installed; says how to install them.
    """
    program, modules = _installed()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        (folder / "pages").mkdir()
        for number in range(pages):
            (folder / "pages" / f"{number}.xml").write_text(_page(number, pages, suffix))
        (folder / "pages" / "empty.xml").write_text(_page(0, 0, suffix))
        for key, data in objects.items():
            path = folder / "objects" / BUCKET / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        with socket.create_server((HOST, 0)) as listening:
            port = listening.getsockname()[1]
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                modules="\n".join(f"load_module {module};" for module in modules),
                host=HOST,
                port=port,
                bucket=BUCKET,
                page_keys=PAGE_KEYS,
                delay=delay,
            )
        )
        log = folder / "error.log"
        process = subprocess.Popen(
            [program, "-p", name, "-c", str(configuration), "-e", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, port, log)
            yield ByteServer(f"http://{HOST}:{port}")
        finally:
            process.terminate()
            process.wait()


def _installed() -> tuple[str, list[Path]]:
    """The program, and the modules in the order in which they are loaded."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    for folder in _MODULES:
        lua, kit = folder / "ngx_http_lua_module.so", folder / "ndk_http_module.so"
        if program is not None and lua.exists():
            return program, [kit, lua] if kit.exists() else [lua]
    raise MissingServerError(ADVICE)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    said = log.read_text(errors="replace")[-600:].strip() if log.exists() else ""
    raise RuntimeError(f"nginx does not start: {said}")


def _page(number: int, pages: int, suffix: str) -> str:
    first = number * PAGE_KEYS
    keys = range(first, first + PAGE_KEYS) if pages else range(0)
    contents = "".join(
        _ENTRY.format(
            key=f"keys/{key:06}{suffix}", etag=key * 2654435761, size=4096 + key, time=_time(key)
        )
        for key in keys
    )
    more = number + 1 < pages
    end = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    if more:
        end += f"<NextContinuationToken>{number + 1}</NextContinuationToken>"
    return _PAGE.format(bucket=BUCKET, count=len(keys), end=end, contents=contents)


def _time(number: int) -> str:
    """Times that differ, as those of real objects do."""
    day, hour, minute = 1 + number % 28, number // 28 % 24, number // 7 % 60
    return f"2024-02-{day:02}T{hour:02}:{minute:02}:{number % 60:02}.{number % 1000:03}Z"
