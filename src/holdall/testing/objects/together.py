"""Facts about what many do at the same time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError
from holdall.testing.objects.asking import in_byte_order, keys_of, needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.testing.facts import Work

_SIZE = 2_500_000  # too much to come with the first answer


class TogetherFacts(Facts):
    """Facts about readers and writers beside each other."""

    async def test_a_reader_keeps_its_object_while_it_is_replaced(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", b"o" * _SIZE)
        async with await store.open_reader("a") as reader:
            first = await reader.read(1000)
            await store.write("a", b"n" * _SIZE)
            assert first + await reader.read_all() == b"o" * _SIZE
        assert await store.read("a", start=-1) == b"n"

    async def test_a_stream_keeps_its_object_while_it_is_deleted(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", b"o" * _SIZE)
        size = 0
        async for chunk in store.stream("a", chunk_size=1_000_000):
            await store.delete("a")
            assert chunk == b"o" * len(chunk)
            size += len(chunk)
        assert size == _SIZE
        assert not await store.exists("a")

    async def test_a_reader_never_sees_a_torn_object(self, store: AsyncDataStore) -> None:
        contents = [bytes([48 + number]) * (_SIZE + number) for number in range(4)]
        await store.write("a", contents[0])

        async def write(place: AsyncDataStore) -> None:
            for number in range(1, 9):
                await place.write("a", contents[number % 4])

        async def read(place: AsyncDataStore) -> None:
            for _ in range(8):
                async with await place.open_reader("a") as reader:
                    body = bytearray()
                    while chunk := await reader.read(300_000):
                        body += chunk
                assert body in contents
                assert len(body) == reader.meta.size

        works = [partial(write, self.another()), partial(read, self.another())]
        await self.together([*works, partial(read, store)])

    async def test_what_is_kept_is_never_of_another_write(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        # Of very different lengths, because a store may keep long ones elsewhere.
        most = (store.capabilities.max_metadata_bytes or 4000) // 4

        async def write(place: AsyncDataStore, first: int) -> None:
            for number in range(first, first + 10):
                value = str(number) * (1 + number % 2 * most)
                await place.write("a", b"x" * number, metadata={"number": value})

        async def read(place: AsyncDataStore) -> None:
            for _ in range(30):
                meta = await place.stat("a")
                value = str(meta.size) * (1 + meta.size % 2 * most)
                assert meta.metadata == {"number": value}

        await write(store, 0)
        works = [partial(write, self.another(), 20), partial(write, store, 100)]
        await self.together([*works, partial(read, self.another()), partial(read, store)])

    async def test_20_readers_and_writers_of_their_own_keys(self, store: AsyncDataStore) -> None:
        async def work(number: int) -> None:
            key = f"common/{number % 4}/{number}"
            for size in (0, 10, 100_000):
                data = bytes([number]) * size
                meta = await store.write(key, data)
                assert meta.size == size
                assert await store.read(key) == data
            await store.delete(key)
            await store.write(key, b"%d" % number)

        await self.together([partial(work, number) for number in range(20)])
        keys = in_byte_order(f"common/{number % 4}/{number}" for number in range(20))
        assert await keys_of(store) == keys

    async def test_a_write_survives_the_removal_of_its_folder(self, store: AsyncDataStore) -> None:
        async def write(number: int) -> None:
            for _ in range(15):
                await store.write(f"a/b/{number}", b"data")
                assert await store.read(f"a/b/{number}") == b"data"
                await store.delete(f"a/b/{number}")
            await store.write(f"a/b/{number}", b"last")

        await self.together([partial(write, number) for number in range(4)])
        assert await keys_of(store) == [f"a/b/{number}" for number in range(4)]

    async def test_a_listing_shows_what_stays_while_others_come_and_go(
        self, store: AsyncDataStore
    ) -> None:
        stay = [f"{folder}/{number}" for folder in "bdf" for number in range(3)]
        for key in stay:
            await store.write(key, b"data")

        async def change() -> None:
            for number in range(10):
                for folder in "aceg":
                    await store.write(f"{folder}/{number}", b"data")
                await store.delete_many(f"{folder}/{number}" for folder in "aceg")

        async def look(place: AsyncDataStore) -> None:
            for _ in range(10):
                keys = await keys_of(place)
                assert len(keys) == len(set(keys))
                assert set(stay) <= set(keys)

        looks: list[Work[None]] = [partial(look, store), partial(look, self.another())]
        await self.together([change, *looks])
        assert await keys_of(store) == stay

    async def test_two_moves_of_one_object_move_it_once(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")

        async def move(target: str) -> bool:
            try:
                await store.move("a", target)
            except FileNotFoundError:
                return False
            return True

        moved = await self.together([partial(move, target) for target in ("b", "c", "d")])
        assert moved.count(True) == 1
        target = "bcd"[moved.index(True)]
        assert await store.read(target) == b"data"
        if store.capabilities.atomic_moves:
            assert await keys_of(store) == [target]
        else:
            assert not await store.exists("a")

    async def test_two_moves_of_one_object_to_one_place_lose_nothing(
        self, store: AsyncDataStore
    ) -> None:
        await store.write("a", b"data")

        async def move(place: AsyncDataStore) -> bool:
            try:
                await place.move("a", "b")
            except HoldallError:  # a service may break off a copy whose source goes meanwhile
                return False
            return True

        moved = await self.together([partial(move, store), partial(move, self.another())])
        assert True in moved
        assert await store.read("b") == b"data"
        assert await keys_of(store) == ["b"]
