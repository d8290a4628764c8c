"""Every setting of every backend stands in the documentation."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from holdall.records.registry import _BUILT_IN

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", _BUILT_IN)
def test_a_setting_is_documented(name: str) -> None:
    module, _, class_ = _BUILT_IN[name].partition(":")
    settings = getattr(import_module(module), class_).settings_type
    whole = (DOCS / "records.md").read_text()
    part = whole.partition("### Settings")[2].partition("\n## ")[0]
    if name == "s3":
        part += (DOCS / "s3.md").read_text()
    documented = set(re.findall(r"`([a-z0-9_]+)`", part))
    assert {field.name for field in msgspec.structs.fields(settings)} <= documented
