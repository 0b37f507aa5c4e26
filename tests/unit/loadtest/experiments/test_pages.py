"""The two pages of a run say the same, and nothing in it can break them."""

from __future__ import annotations

from pathlib import Path

from loadtest.experiments.pages import Section, as_html, as_markdown, write
from loadtest.plots import bars

PICTURE = bars("A", "ms", ["n=5"], {"ours": [1.0]})
SECTIONS = [
    Section("Cases", ("A | sentence <b> of `code`.",), ("a", "b"), [("1|2", "<i>")]),
    Section("Pictures", pictures={"one.svg": PICTURE}),
]


def test_markdown_keeps_its_cells_apart_and_names_its_pictures() -> None:
    text = as_markdown("Run", SECTIONS)
    assert "| a | b |\n|---|---|\n| 1\\|2 | <i> |" in text
    assert "![one](one.svg)" in text


def test_html_needs_nothing_beside_itself_and_no_text_becomes_markup() -> None:
    text = as_html("Run", SECTIONS)
    assert PICTURE in text
    assert "A | sentence &lt;b&gt; of <code>code</code>." in text
    assert "&lt;i&gt;" in text
    assert "src=" not in text


def test_a_report_is_three_kinds_of_files(tmp_path: Path) -> None:
    write(tmp_path, "Run", SECTIONS)
    assert {one.name for one in tmp_path.iterdir()} == {"report.md", "report.html", "one.svg"}
