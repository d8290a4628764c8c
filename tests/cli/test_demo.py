"""The demonstration, on a small folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "demo" / "main.py"


def test_the_demonstration_runs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    # Long names, so that the pipe between the two processes holds only few of them: otherwise
    # the child could be ready before it is interrupted.
    for number in range(1000):
        path = source / f"{number % 30}" / f"{number}{'x' * 200}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number * 50)
    (tmp_path / "work").mkdir()
    environment = os.environ | {
        "HOLDALL_DEMO_FOLDER": str(source),
        "HOLDALL_DEMO_TMP": str(tmp_path / "work"),
        "HOLDALL_DEMO_PLANT": str(tmp_path / "plant.db"),
    }
    (tmp_path / "plant.db").write_bytes(b"from another time")
    done = subprocess.run(
        [sys.executable, str(DEMO)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1,000 ok, 0 damaged" in done.stdout
    assert "All went well" in done.stdout
    assert os.listdir(tmp_path / "work") == []
    assert re.search(rf"HOLDALL_ADMIN=admin \S*holdall serve {tmp_path / 'plant.db'}", done.stdout)
    words = [sys.executable, "-m", "holdall", "hs", "nav", str(tmp_path / "plant.db")]
    tree = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Sample building" in tree


def test_the_demonstration_fails_when_something_is_off(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"HOLDALL_DEMO_FOLDER": str(tmp_path / "empty")}
    done = subprocess.run(
        [sys.executable, str(DEMO)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Something is off" in done.stderr
