"""Sync a real folder into a store, interrupted, resumed, verified; catalogue it; then a building.

The folder is the standard library of the Python that runs this: thousands of files. Every figure
printed is measured in this run; the exit code is not 0 when anything is off. `HOLDALL_DEMO_FOLDER`
names another folder, and `HOLDALL_DEMO_TMP` where the store is made. `HOLDALL_DEMO_PLANT` names a
file that the building is kept in; without it, it goes with the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from building import building
from catalogue import catalogue

import holdall

EXCLUDED = "site-packages"


class Off(Exception):
    """Something is not as it should be."""


def check(condition: bool, problem: str) -> None:
    if not condition:
        raise Off(problem)


def run(*words: str) -> tuple[list[dict[str, Any]], int, float]:
    """Run `holdall … --json`; answer its documents, its exit code, and the seconds it took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "holdall", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr:
        print(done.stderr, end="", file=sys.stderr)
    seconds = time.perf_counter() - began
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode, seconds


def run_and_interrupt(half: int, *words: str) -> tuple[int, float]:
    """Run `holdall sync --json` and send it SIGINT after so many steps."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "holdall", *words, "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for steps, _ in enumerate(child.stdout, 1):
            if steps == half:
                os.kill(child.pid, signal.SIGINT)
        message = child.stderr.read()
    print(f"   the command said: {message.strip()}")
    check(child.returncode == 130, f"the interrupted sync ended with {child.returncode}")
    return child.returncode, time.perf_counter() - began


def mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def demonstrate(source: str, target: str) -> list[tuple[str, str, str]]:
    """Do everything; answer a row for each step: what, figures, seconds."""
    rows: list[tuple[str, str, str]] = []

    def row(what: str, figures: str, seconds: float) -> None:
        print(f"-> {what}: {figures} [{seconds:.2f} s]", flush=True)
        rows.append((what, figures, f"{seconds:.2f}"))

    print(f"From {source}\nto   {target}\n")
    url = f"file://{target}"
    sync = ("sync", source, url, "--exclude", EXCLUDED)

    documents, code, seconds = run(*sync, "--dry-run")
    plan = documents[-1]["plan"]
    total = plan["copy"]
    check(code == 0, f"the dry run ended with {code}")
    check(total > 1, f"{source} has only {total} files")
    check(not os.path.exists(target), "the dry run made the target")
    row("plan (--dry-run)", f"{total:,} objects to copy, {mib(plan['bytes'])}", seconds)

    code, seconds = run_and_interrupt(total // 2, *sync)
    store = holdall.open(url)
    there = sum(1 for _ in store.list())
    staged = sum(1 for _ in store.uploads())
    check(0 < there < total, f"{there} of {total} objects after the interruption")
    row("sync, interrupted", f"SIGINT at half: {there:,} of {total:,} objects visible", seconds)

    documents, code, seconds = run("verify", url)
    half = documents[-1]
    check(code == 0 and half["ok"] == there, f"after the interruption: {half}")
    left = f"{staged} upload{'' if staged == 1 else 's'} staged, which no listing shows"
    row("verify what is there", f"{half['ok']:,} whole, 0 half-written; {left}", seconds)

    documents, code, seconds = run(*sync)
    report = documents[-1]["report"]
    check(code == 0, f"the second sync ended with {code}: {report['failed'][:3]}")
    check(report["skipped"] == there, f"{report['skipped']} skipped, and {there} were there")
    check(report["copied"] + report["skipped"] == total, f"not all came: {report}")
    figures = f"{report['skipped']:,} were there already, {report['copied']:,} copied"
    if report["resumed"]:
        figures += f", {report['resumed']} from staged bytes"
    row("sync again", figures, seconds)

    documents, code, seconds = run("verify", url)
    whole = documents[-1]
    check(code == 0, f"verify ended with {code}")
    check(whole["ok"] == total, f"{whole['ok']} of {total} verified")
    row("verify every checksum", f"{whole['ok']:,} ok, 0 damaged, {mib(whole['bytes'])}", seconds)

    documents, code, seconds = run("verify", source, url, "--exclude", EXCLUDED)
    check(code == 0 and documents[-1]["ok"] == total, f"source and store differ: {documents[-1]}")
    row("compare with the source", f"{total:,} the same, byte by byte", seconds)

    documents, code, seconds = run("ls", "-r", url)
    check(code == 0 and len(documents) == total, f"ls gave {len(documents)} of {total}")
    row("list", f"{len(documents):,} objects in byte order of the key", seconds)

    began = time.perf_counter()
    largest = max(store.walk(), key=lambda meta: meta.size)
    middle = largest.size // 2
    part = store.read(largest.key, start=middle, end=middle + 16)
    with open(os.path.join(source, largest.key), "rb") as file:
        file.seek(middle)
        check(part == file.read(16), f"the range read from {largest.key} is not the file's")
    check(store.stat(largest.key).sha256 is not None, "no checksum is recorded")
    seconds = time.perf_counter() - began
    print(f"   store.read({largest.key!r}, start={middle}, end={middle + 16}) = {part!r}")
    row("read a range from Python", f"16 bytes from the middle of {mib(largest.size)}", seconds)
    catalogue(store, f"{target}.db", row, check)
    building(_plant() or f"{target}.building.db", row, check)
    store.close()
    return rows


def _plant() -> str:
    """Where the building is kept, which is made anew; empty where it is not kept."""
    plant = os.environ.get("HOLDALL_DEMO_PLANT", "")
    for ending in ("", "-wal", "-shm") if plant else ():
        Path(plant + ending).unlink(missing_ok=True)
    return plant


def show(rows: list[tuple[str, str, str]], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What holdall did", title_justify="left")
    table.add_column("Step", no_wrap=True)
    table.add_column("Figures")
    table.add_column("Seconds", justify="right", no_wrap=True)
    for cells in rows:
        table.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    print(f"All went well, in {seconds:.1f} s; store and database were removed again.")
    if plant := os.environ.get("HOLDALL_DEMO_PLANT"):
        holdall_command = os.path.join(os.path.dirname(sys.executable), "holdall")
        command = os.path.relpath(holdall_command)
        print("The building was kept. Look at it, or serve it to any Haystack client and browser")
        print("at http://127.0.0.1:8080/, with the password of the admin that is printed once:")
        print(f"   {command} hs nav {plant}")
        print(f"   HOLDALL_ADMIN=admin {command} serve {plant}")


def main() -> int:
    began = time.perf_counter()
    source = os.environ.get("HOLDALL_DEMO_FOLDER") or sysconfig.get_path("stdlib")
    with tempfile.TemporaryDirectory(dir=os.environ.get("HOLDALL_DEMO_TMP")) as folder:
        try:
            rows = demonstrate(os.path.realpath(source), str(Path(folder).resolve() / "store"))
        except Off as problem:
            print(f"Something is off: {problem}", file=sys.stderr)
            return 1
    print()
    show(rows, time.perf_counter() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
