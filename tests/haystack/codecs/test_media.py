"""Media types: which codec they mean, and which one a client wants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import PurePath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import Unsupported
from holdall.haystack.codecs.media import codec_for, codec_of_file, codecs, negotiate


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("text/zinc", "zinc"),
        ("text/zinc; charset=utf-8", "zinc"),
        ('TEXT/Zinc;charset="UTF-8"', "zinc"),
        ("text/zinc;charset=us-ascii", "zinc"),
        (" text/zinc ", "zinc"),
        ("application/json", "json"),
        ("application/json;version=4", "json"),
        ("application/json; version=3", "json3"),
        ("application/json; charset=utf-8", "json"),
        ("application/vnd.haystack+json", "json"),
        ("application/vnd.haystack+json;version=4", "json"),
        ("application/vnd.haystack+json;version=3", "json3"),
        ('application/vnd.haystack+json; version="3"; charset=utf-8', "json3"),
        ("text/trio", "trio"),
        ("text/csv; header=present", "csv"),
    ],
)
def test_a_media_type_means_a_codec(content_type: str, name: str) -> None:
    assert codec_for(content_type).name == name


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "zinc",
        "text/html",
        "text/plain",
        "text/turtle",
        "application/ld+json",
        "application/json;version=5",
        "application/vnd.haystack+json;version=2",
        "text/zinc;charset=latin-1",
        "text/*",
        "*/*",
        "text/zinc, text/csv",
        "text/zinc/x",
        "x" * 10_000,
    ],
)
def test_any_other_media_type_is_refused_with_those_that_there_are(content_type: str) -> None:
    with pytest.raises(Unsupported, match=r"text/zinc, application/json, .*version=3.*text/csv"):
        codec_for(content_type)


def test_every_codec_is_found_by_its_own_media_type() -> None:
    assert [codec_for(codec.media_type) for codec in codecs()] == [*codecs()]


def test_the_first_codec_is_the_default_of_the_standard() -> None:
    assert [codec.name for codec in codecs()] == ["zinc", "json", "json3", "trio", "csv"]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.zinc", "zinc"),
        ("a.json", "json"),
        ("a.hayson.json", "json"),
        ("/x.csv/a.trio", "trio"),
        ("A.CSV", "csv"),
        (PurePath("x/a.zinc"), "zinc"),
    ],
)
def test_the_end_of_a_name_means_a_codec(name: str | PurePath, codec: str) -> None:
    assert codec_of_file(name).name == codec


def test_every_codec_is_found_by_its_own_suffix() -> None:
    assert [codec_of_file(f"a{codec.suffix}") for codec in codecs()] == [*codecs()]


@pytest.mark.parametrize("name", ["", "zinc", "a.txt", "a.zinc.gz", "a.ttl", "csv"])
def test_any_other_name_is_refused_with_the_endings_that_there_are(name: str) -> None:
    with pytest.raises(Unsupported, match=r"\.zinc, .*\.trio, \.csv, \.json"):
        codec_of_file(name)


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "zinc"),
        ("", "zinc"),
        ("  ", "zinc"),
        ("*/*", "zinc"),
        ("text/*", "zinc"),
        ("text/zinc", "zinc"),
        ("application/*", "json"),
        ("application/json", "json"),
        ("application/vnd.haystack+json;version=4", "json"),
        ("application/vnd.haystack+json; version=3", "json3"),
        ("application/json;version=3", "json3"),
        ("text/trio", "trio"),
        ("Text/CSV", "csv"),
        ("text/csv;charset=utf-8", "csv"),
        ("application/json, text/plain, */*", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "zinc"),
        ("text/csv;q=0.5, text/trio;q=0.7", "trio"),
        ("text/csv;q=0.7, text/trio;q=0.7", "csv"),
        ("text/trio, text/csv", "trio"),
        ("*/*, text/csv;q=0.1", "zinc"),
        ("*/*;q=0.1, text/csv;q=0.2", "csv"),
        ("text/zinc;q=0, */*", "json"),
        ("text/zinc;q=0, text/*", "trio"),
        ("text/zinc;q=0.0, application/json;q=0.001", "json"),
        ("text/zinc;Q=0.4, text/csv; q=0.5", "csv"),
        ("text/csv;q=2, text/trio;q=0.1", "trio"),
        ("text/csv;q=x, text/trio;q=0.1", "trio"),
        ("nonsense, text/trio;q=0.1", "trio"),
        ("text/html;title=\"a, text/csv\", text/trio;q=0.3", "trio"),
        ("application/vnd.haystack+json;version=3, application/json;q=0.9", "json3"),
        ("application/json;version=3;q=0.1, application/json;q=0.9", "json"),
        (",,text/csv,,", "csv"),
        ("text/csv;q=1.000", "csv"),
    ],
)  # fmt: skip
def test_what_a_client_accepts_means_a_codec(accept: str | None, name: str) -> None:
    codec = negotiate(accept)
    assert codec is not None
    assert codec.name == name


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/turtle",
        "image/*",
        "*/*;q=0",
        "text/zinc;q=0",
        "text/csv;charset=latin-1",
        "application/json;version=9",
        "nonsense",
        "*/zinc",
        ";q=1",
    ],
)
def test_what_cannot_be_had_is_none(accept: str) -> None:
    assert negotiate(accept) is None


def test_of_a_long_header_whole_elements_are_read() -> None:
    many = "text/html, " * 10_000
    codec = negotiate("text/csv, " + many + "text/trio")
    assert codec is not None
    assert codec.name == "csv"
    assert negotiate("x" * 100_000) is None


@given(st.text('*/,;="\\q.01 textzinc') | st.text())
@example('"' * 5000)
@example('"\\' * 4000)
@example("text/zinc;q=1,text/csv;q=٣")
def test_any_header_has_an_answer(accept: str) -> None:
    codec = negotiate(accept)
    assert codec is None or codec in codecs()


def test_a_codec_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys; from holdall.haystack.codecs.media import codec_for; codec_for('text/csv');"
        "print([name for name in sys.modules if name.startswith('holdall.haystack.codecs.')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert "csv_text" in run.stdout
    for other in ("zinc", "hayson", "json3", "trio"):
        assert f"codecs.{other}'" not in run.stdout
