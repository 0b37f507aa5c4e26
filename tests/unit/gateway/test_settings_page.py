"""The page that tells of every setting."""

from __future__ import annotations

from pathlib import Path

from gateway.settings import setting_fields
from gateway.settings_page import configuration_page, describe_settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text("utf-8") == configuration_page(), "run `make docs` and commit it"


def test_every_setting_is_on_the_page_and_explained() -> None:
    page = describe_settings()
    for group, name, field in setting_fields():
        assert f"`LLMX_{group.upper()}__{name.upper()}`" in page
        assert field.description, f"{group}.{name}"
