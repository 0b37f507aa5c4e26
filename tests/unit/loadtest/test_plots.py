"""Pictures hold what they are given, within their frame."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from loadtest.plots import HEIGHT, POINTS_MAX, TOP, WIDTH, bars, lines


def shapes(drawn: str, tag: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith(f"}}{tag}")]


def test_a_group_of_bars_for_each_place_and_none_for_what_is_not_known() -> None:
    drawn = bars("A & B", "ms", ["n=5", "n=9"], {"published": [2.0, None], "ours": [1.0, 4.0]})
    frame, *drawn_bars = shapes(drawn, "rect")
    assert frame.get("height") == str(HEIGHT)
    tall = [float(one.get("height") or 0) for one in drawn_bars]
    assert tall == pytest.approx([tall[2] / 2, tall[2] / 4, tall[2]])
    assert all(float(one.get("y") or 0) >= TOP for one in drawn_bars)
    assert all(0 < float(one.get("x") or 0) < WIDTH for one in drawn_bars)


def test_bars_of_nothing_are_an_empty_frame() -> None:
    assert len(shapes(bars("A", "ms", ["n=5"], {"published": [None]}), "rect")) == 1
    assert len(shapes(bars("A", "ms", ["n=5"], {"ours": [0.0]}), "rect")) == 2


def test_a_line_of_very_many_points_is_thinned_out() -> None:
    drawn = lines("A", "x", "y", {"one": [(float(x), 1.0) for x in range(10 * POINTS_MAX)]})
    (line,) = shapes(drawn, "polyline")
    assert len((line.get("points") or "").split()) <= POINTS_MAX
