"""The places of a transfer: every pair of stores, through both faces."""

from itertools import count
from pathlib import Path

import pytest

from objects.transfer.places import FACES, PAIRS, Places

_number = count()


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PAIRS)
def places(request: pytest.FixtureRequest, face: str, tmp_path: Path) -> Places:
    """Two empty stores."""
    return make(*str(request.param).split("-"), face=face, folder=tmp_path)


@pytest.fixture
def files(face: str, tmp_path: Path) -> Places:
    """Two empty stores of files."""
    return make("file", "file", face=face, folder=tmp_path)


@pytest.fixture
def memories(face: str, tmp_path: Path) -> Places:
    """Two empty stores in memory."""
    return make("memory", "memory", face=face, folder=tmp_path)


@pytest.fixture
def onto_disk(face: str, tmp_path: Path) -> Places:
    """From memory, which can hold `a` and `a/b`, to files, which cannot."""
    return make("memory", "file", face=face, folder=tmp_path)


def make(source: str, target: str, *, face: str, folder: Path) -> Places:
    urls = []
    for side, scheme in (("source", source), ("target", target)):
        if scheme == "file":
            (folder / "source").mkdir(exist_ok=True)
            urls.append(f"file://{folder / side}?durable=false")
        else:
            urls.append(f"memory://transfer-{next(_number)}-{side}")
    return Places(urls[0], urls[1], face)
