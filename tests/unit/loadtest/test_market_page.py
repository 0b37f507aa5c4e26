"""The page and the pictures of the market."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.market.__main__ import Extent, results
from loadtest.market.page import BEGIN, END, placed, table
from loadtest.plots import lines

PAGE = Path(__file__).resolve().parents[3] / "docs" / "market.md"


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"


def test_the_figures_come_between_their_marks_and_nothing_else_changes() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter"
    assert placed(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"
    with pytest.raises(AssertionError, match="a place for the figures"):
        placed("nothing", "new")


def test_the_page_has_its_figures_and_its_pictures() -> None:
    text = PAGE.read_text("utf-8")
    figures = text.split(BEGIN)[1].split(END)[0]
    assert "| Vickrey |" in figures
    for picture in ("in-use.svg", "rings.svg"):
        assert f"market/{picture}" in text
        assert ElementTree.parse(PAGE.parent / "market" / picture).getroot().tag.endswith("svg")


def test_a_picture_shows_every_series_within_its_frame() -> None:
    drawn = lines("A & B", "x", "y", {"one": [(0, 0), (10, 5)], "two": [(0, 2.5), (5, 0)]})
    root = ElementTree.fromstring(drawn)
    strokes = [one.get("points") for one in root.iter() if one.tag.endswith("polyline")]
    assert strokes == ["56.0,296.0 570.0,36.0", "56.0,166.0 313.0,296.0"]
    assert "A &amp; B" in drawn


@pytest.mark.slow
def test_one_command_makes_every_table_and_picture() -> None:
    said: list[str] = []
    text, pictures, raw = results(Extent(1, 0.25, 1.0, 1, (120, 160), (24,)), said.append)
    assert text.count("| --- |") == 8
    assert pictures.keys() == {"in-use.svg", "rings.svg"}
    assert raw.keys() >= {"apart", "together", "liars", "rings", "api"}
    assert said[-1] == "rings done"
