"""The memory in which a part gathers."""

import hashlib
import os
import threading

import pytest

from holdall.objects.backends.cloud.gathering import Gathering

_MIB = 1024 * 1024
_DATA = os.urandom(3 * _MIB + 7)


def _filled(gathering: Gathering, step: int) -> Gathering:
    view = memoryview(_DATA)
    for at in range(0, len(view), step):
        gathering.add(view[at : at + step])
    return gathering


@pytest.mark.parametrize("step", [1001, 65536, _MIB, len(_DATA)])
def test_what_was_added_is_there_and_hashed(step: int) -> None:
    gathering = _filled(Gathering(len(_DATA)), step)
    assert bytes(gathering.data()) == _DATA
    assert gathering.sha256() == hashlib.sha256(_DATA).hexdigest()


def test_no_more_is_taken_than_there_is_room_for() -> None:
    gathering = Gathering(10)
    assert gathering.add(memoryview(b"0123456")) == 7
    assert gathering.add(memoryview(b"789abc")) == 3
    assert gathering.add(memoryview(b"abc")) == 0
    assert bytes(gathering.data()) == b"0123456789"


def test_what_is_hashed_ahead_changes_no_digest() -> None:
    gathering = Gathering(len(_DATA))
    view = memoryview(_DATA)
    for at in range(0, len(view), 100_000):
        gathering.add(view[at : at + 100_000])
        gathering.hash_ahead(once=at % 200_000 == 0)
    assert gathering.sha256() == hashlib.sha256(_DATA).hexdigest()


def test_several_threads_hash_ahead_together() -> None:
    gathering = Gathering(len(_DATA))
    ended = threading.Event()

    def hash_on() -> None:
        while not ended.is_set():
            gathering.hash_ahead()

    threads = [threading.Thread(target=hash_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    _filled(gathering, 100_000)
    ended.set()
    for thread in threads:
        thread.join()
    assert gathering.sha256() == hashlib.sha256(_DATA).hexdigest()


def test_a_second_filling_knows_nothing_of_the_first() -> None:
    gathering = _filled(Gathering(len(_DATA)), _MIB)
    gathering.sha256()
    gathering.clear()
    gathering.add(memoryview(b"other"))
    assert bytes(gathering.data()) == b"other"
    assert gathering.sha256() == hashlib.sha256(b"other").hexdigest()


def test_memory_that_is_being_sent_outlives_its_release() -> None:
    gathering = _filled(Gathering(len(_DATA)), _MIB)
    sent = gathering.data()
    gathering.release()
    assert sent == _DATA
