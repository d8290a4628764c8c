"""The part of `records.py` about records in a bucket: requests are counted, then times compared."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byte_server import ByteServer, MissingServerError, byte_server
from harness import Contender, Goal, compare, each
from records_sides import DEPARTMENT, OURS, PEER, Rows, peer, records_of

import holdall
from holdall import Query

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 16
DELETED = 200
OF_THE_PEER = 500
PAGE_KEYS, MOST_GETS = 1000, 2
QUERY = Query().filter("department", "=", DEPARTMENT).sort("salary", "DESC").limit(10)


@dataclass
class Bucket:
    """A bucket, and how all contenders open a place in it.

    Args:
        server: The server that holds it.
        name: The bucket.
    """

    server: Any
    name: str
    _numbers: Any = field(default_factory=count, init=False)

    def ours(self, prefix: str, endpoint: str = "", **settings: Any) -> holdall.Database:
        """A new database of ours, which knows nothing of the bucket yet."""
        return holdall.open_database(
            {
                "type": "s3",
                "bucket": self.name,
                "prefix": prefix,
                "region": self.server.region,
                "endpoint_url": endpoint or self.server.endpoint,
                "access_key_id": self.server.access_key_id,
                "secret_access_key": self.server.secret_access_key,
                "max_workers": AT_ONCE,
                **settings,
            }
        )

    def raw(self, prefix: str) -> Any:
        """The same place through obstore alone."""
        from obstore.store import S3Store

        return S3Store(
            self.name,
            prefix=prefix,
            endpoint=self.server.endpoint,
            access_key_id=self.server.access_key_id,
            secret_access_key=self.server.secret_access_key,
            region=self.server.region,
            client_options={"allow_http": True},
        )

    def peer(self, prefix: str, endpoint: str) -> Any:
        """A database of dataknobs-data."""
        database = import_module("dataknobs_data.backends.s3").SyncS3Database(
            {
                "bucket": self.name,
                "prefix": prefix,
                "region": self.server.region,
                "endpoint_url": endpoint,
                "access_key_id": self.server.access_key_id,
                "secret_access_key": self.server.secret_access_key,
            }
        )
        database.connect()
        return database

    def fresh(self) -> str:
        """A prefix that nothing is under."""
        return f"round-{next(self._numbers)}"


def objects(rows: Rows, folder: Path) -> bool:
    """Records in a bucket of versitygw, which the tests bring."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import pytest

    from serving.clouds import versity
    from serving.http_proxy import HttpProxy

    with ExitStack() as stack:
        try:
            server = stack.enter_context(versity(folder))
        except pytest.skip.Exception as error:
            print(f"\nRecords in S3 are left out: {error}")
            return True
        bucket = Bucket(server, server.make_container("records"))
        with HttpProxy(server.running.port) as proxy:
            good = _counted(rows, bucket, proxy)
            _counted_of_peer(rows[:OF_THE_PEER], bucket, proxy)
        good &= _timed(rows, bucket)
    return good & _on_bytes(rows)


def _requests(proxy: Any, function: Callable[[], object], title: str) -> Counter[str]:
    """Do it; print and answer which requests it made."""
    proxy.forget()
    begin = time.perf_counter()
    function()
    spent = time.perf_counter() - begin
    found = Counter(
        "LIST" if one.method == "GET" and "list-type=2" in one.target else one.method
        for one in proxy.requests
    )
    shown = ", ".join(f"{number:,} {name}" for name, number in sorted(found.items())) or "none"
    print(f"  {title:44} {shown}   ({spent:.2f} s)")
    return found


def _counted(rows: Rows, bucket: Bucket, proxy: Any) -> bool:
    prefix = bucket.fresh()
    ids = [row["id"] for row in rows]
    print(f"\nRequests of holdall, {len(rows):,} records in S3")
    with closing(bucket.ours(prefix, proxy.endpoint)) as database:
        _requests(proxy, lambda: database.batch_create(records_of(rows)), "batch create")
    with closing(bucket.ours(prefix, proxy.endpoint)) as database:
        _requests(proxy, lambda: database.search(QUERY), "first search")
        second = _requests(proxy, lambda: database.search(QUERY), "second search")
        _write_as_others_do(bucket.raw(prefix), ids[-1])
        after = _requests(proxy, lambda: database.search(QUERY), "after one foreign write")
        found = database.read(ids[-1])
        assert found is not None
        assert found.get_value("department") == "abroad"
        _requests(proxy, database.count, "count")
        again = _requests(proxy, database.count, "count again")
        with closing(bucket.ours(prefix, proxy.endpoint)) as other:
            _requests(proxy, lambda: other.search(QUERY), "first search of another process")
        deleted = _requests(
            proxy, lambda: database.batch_delete(ids[:DELETED]), f"delete of {DELETED}"
        )
    lists = -(-len(rows) // PAGE_KEYS)
    return all(
        [
            _verdict(
                second["LIST"] <= lists and second.total() - second["LIST"] <= MOST_GETS,
                f"a second search makes at most {lists} LIST and {MOST_GETS} GET",
            ),
            _verdict(after["GET"] <= second["GET"] + 1, "after one foreign write, one GET more"),
            _verdict(again.total() == 0, "a second count makes no request"),
            _verdict(
                deleted["LIST"] <= 1 and deleted.total() - deleted["LIST"] == 1,
                f"a delete of {DELETED} is one request, beside the LIST that says which were there",
            ),
        ]
    )


def _write_as_others_do(raw: Any, id_: str) -> None:
    import obstore

    key = f"{id_}.json"
    body = json.loads(bytes(obstore.get(raw, key).bytes()))
    body["fields"]["department"] = "abroad"
    obstore.put(raw, key, json.dumps(body).encode())


def _counted_of_peer(rows: Rows, bucket: Bucket, proxy: Any) -> None:
    module = peer("dataknobs_data")
    if module is None or peer("boto3") is None:
        return
    print(f"\nRequests of {PEER}, {len(rows):,} records in S3")
    database = bucket.peer(bucket.fresh(), proxy.endpoint)
    records = [module.Record(row) for row in rows]
    ids: list[str] = []
    _requests(proxy, lambda: ids.extend(database.create_batch(records)), "batch create")
    query = module.Query().filter("department", "=", DEPARTMENT)
    query = query.sort_by("salary", "desc").limit(10)
    _requests(proxy, lambda: database.search(query), "first search")
    _requests(proxy, lambda: database.search(query), "second search")
    _requests(proxy, lambda: database.delete_batch(ids[:DELETED]), f"delete of {DELETED}")
    database.close()


def _timed(rows: Rows, bucket: Bucket) -> bool:
    import obstore

    number = f"{len(rows):,} records in S3, {AT_ONCE} at once"
    prefixes = {OURS: "", "obstore": ""}
    bodies: dict[str, bytes] = {}
    raw_name = "obstore, the same requests"

    def create(_: int) -> float:
        prefixes[OURS] = bucket.fresh()
        records = records_of(rows)
        with closing(bucket.ours(prefixes[OURS])) as database:
            begin = time.perf_counter()
            database.batch_create(records)
            return time.perf_counter() - begin

    def create_raw(_: int) -> float:
        if not bodies:
            bodies.update(_bodies(bucket.raw(prefixes[OURS])))
        raw = bucket.raw(bucket.fresh())

        def put(key: str) -> None:
            obstore.put(
                raw,
                key,
                bodies[key],
                attributes={"Content-Type": "application/json"},
                tags=_tags(key),
                mode="create",
            )

        begin = time.perf_counter()
        _all_at_once(put, list(bodies))
        return time.perf_counter() - begin

    good = compare(
        f"Create {number}",
        [Contender(OURS, create), Contender(raw_name, create_raw)],
        [Goal(raw_name, 0.9, at_least=True)],
        count=1,
        rounds=3,
    )
    prefix = prefixes[OURS]
    raw = bucket.raw(prefix)

    def search(_: int) -> float:
        with closing(bucket.ours(prefix, snapshot=False)) as database:
            begin = time.perf_counter()
            assert [record.id for record in database.search(QUERY)] == expected
            return time.perf_counter() - begin

    def get(_: int) -> float:
        begin = time.perf_counter()
        assert len(_bodies(raw)) == len(rows)
        return time.perf_counter() - begin

    chosen = [row for row in rows if row["department"] == DEPARTMENT]
    chosen.sort(key=lambda row: row["salary"], reverse=True)
    expected = [row["id"] for row in chosen[:10]]
    good &= compare(
        f"First search in {number}",
        [Contender(OURS, search), Contender(raw_name, get)],
        [Goal(raw_name, 0.9, at_least=True)],
        count=1,
        rounds=3,
    )
    with closing(bucket.ours(prefix)) as database:
        database.search(QUERY)
        return good & compare(
            f"Second search in {number}",
            [
                Contender(OURS, each(lambda: database.search(QUERY))),
                Contender("obstore, the listing alone", each(lambda: _keys(raw))),
            ],
            [Goal("obstore, the listing alone", 1.3)],
            count=1,
            rounds=9,
        )


def _on_bytes(rows: Rows) -> bool:
    """The same on a server that answers at once, so that what is measured is the client.

    It keeps nothing, and its listing has keys and etags of its own: there is a first search on it,
    and no second one.
    """
    number = len(rows) // PAGE_KEYS * PAGE_KEYS
    bodies = {
        f"keys/{at:06}.json": json.dumps({"id": f"{at:06}", "fields": row}).encode()
        for at, row in enumerate(rows[:number])
    }
    try:
        with byte_server(bodies, number // PAGE_KEYS, ".json") as server:
            return _timed_on_bytes(rows[:number], bodies, server)
    except MissingServerError as error:
        print(f"\nThe server that answers at once is left out: {error}")
        return True


def _timed_on_bytes(rows: Rows, bodies: dict[str, bytes], server: ByteServer) -> bool:
    import obstore
    from obstore.store import S3Store

    place = {
        "type": "s3",
        "bucket": server.bucket,
        "prefix": "keys",
        "endpoint": server.endpoint,
        "access_key": "name",
        "secret_key": "secret",
        "probe": False,
        "check": False,
    }
    settings = {"type": "objects", "store": place, "max_workers": AT_ONCE, "snapshot": False}
    raw = S3Store(
        server.bucket,
        prefix="keys",
        endpoint=server.endpoint,
        access_key_id="name",
        secret_access_key="secret",
        region="us-east-1",
        client_options={"allow_http": True},
    )
    number = f"{len(rows):,} records on a server that answers at once, {AT_ONCE} at a time"
    raw_name = "obstore, the same requests"
    keys = [f"{at:06}.json" for at in range(len(rows))]

    def put(key: str) -> None:
        obstore.put(
            raw,
            key,
            bodies[f"keys/{key}"],
            attributes={"Content-Type": "application/json"},
            tags=_tags(key),
            mode="create",
        )

    def create(_: int) -> float:
        records = records_of(rows)
        with closing(holdall.open_database(settings)) as database:
            return _taken(lambda: database.batch_create(records))

    def search(_: int) -> float:
        with closing(holdall.open_database(settings)) as database:
            return _taken(lambda: database.search(QUERY))

    good = compare(
        f"Create {number}",
        [
            Contender(OURS, create),
            Contender(raw_name, lambda _: _taken(lambda: _all_at_once(put, keys))),
        ],
        [Goal(raw_name, 0.9, at_least=True)],
        count=1,
        rounds=9,
    )
    return good & compare(
        f"First search in {number}",
        [
            Contender(OURS, search),
            Contender(raw_name, lambda _: _taken(lambda: _bodies(raw))),
        ],
        [Goal(raw_name, 0.9, at_least=True)],
        count=1,
        rounds=9,
    )


def _taken(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _tags(key: str) -> dict[str, str]:
    """The tags that ours writes, of the same lengths."""
    moment = "2024-02-01T00:00:00.000000Z"
    return {"id": key.removesuffix(".json"), "created_at": moment, "updated_at": moment}


def _keys(raw: Any) -> list[str]:
    import obstore

    return [meta["path"] for chunk in obstore.list(raw, chunk_size=PAGE_KEYS) for meta in chunk]


def _bodies(raw: Any) -> dict[str, bytes]:
    """All records under a prefix, by listing and getting them."""
    import obstore

    keys = [key for key in _keys(raw) if key.endswith(".json")]
    found = _all_at_once(lambda key: bytes(obstore.get(raw, key).bytes()), keys)
    return dict(zip(keys, found, strict=True))


def _all_at_once(function: Callable[[str], Any], keys: list[str]) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, keys))


def _verdict(good: bool, text: str) -> bool:
    print(f"  {'met   ' if good else 'MISSED'} {text}")
    return good
