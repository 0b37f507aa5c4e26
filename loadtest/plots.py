"""Small pictures without a library: lines and bars, as SVG that is read in both themes.

A plotting library would be the largest thing that is installed, for four kinds of pictures that
have to be alike in every run. Refused for that; what these functions cannot draw is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 190, 36, 44
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
POINTS_MAX = 2_000
"""More points of one line than that are thinned out: nobody sees them."""

HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
    'font-family="sans-serif" font-size="12" fill="#555">'
)

Points = Sequence[tuple[float, float]]


def lines(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """Return a picture of some series of points, each a line of its own colour."""
    x_max = max(x for points in series.values() for x, _ in points) or 1.0
    y_max = max(1e-9, *(y for points in series.values() for _, y in points))
    y_max = ceil(y_max * 10) / 10
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = _frame(title, across, up, y_max)
    for tick in range(6):
        x = LEFT + wide * tick / 5
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{x_max * tick / 5:g}", anchor="middle"))
    for place, (name, points) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        drawn = " ".join(
            f"{LEFT + wide * x / x_max:.1f},{TOP + high - high * y / y_max:.1f}"
            for x, y in points[:: max(1, ceil(len(points) / POINTS_MAX))]
        )
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        )
        parts += _legend(place, name, colour)
    return "\n".join([*parts, "</svg>", ""])


def bars(
    title: str, up: str, places: Sequence[str], series: Mapping[str, Sequence[float | None]]
) -> str:
    """Return a picture of groups of bars, a group for each place; None draws no bar."""
    known = [value for values in series.values() for value in values if value is not None]
    y_max = _round_up(max(known, default=1.0) or 1.0)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = _frame(title, "", up, y_max)
    group = wide / max(1, len(places))
    width = group * 0.8 / max(1, len(series))
    for at, place in enumerate(places):
        x = LEFT + group * (at + 0.5)
        parts.append(_text(x, HEIGHT - BOTTOM + 16, place, anchor="middle"))
    for number, (name, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        for at, value in enumerate(values):
            if value is None:
                continue
            tall = high * value / y_max
            x = LEFT + group * (at + 0.1) + width * number
            parts.append(
                f'<rect x="{x:.1f}" y="{TOP + high - tall:.1f}" width="{width * 0.92:.1f}" '
                f'height="{tall:.1f}" fill="{colour}"><title>{value:g}</title></rect>'
            )
        parts += _legend(number, name, colour)
    return "\n".join([*parts, "</svg>", ""])


def _frame(title: str, across: str, up: str, y_max: float) -> list[str]:
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        HEAD,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 20, title, weight="bold"),
        _text(LEFT + wide / 2, HEIGHT - 8, across, anchor="middle"),
        _text(8, TOP - 6, up),
    ]
    for tick in range(6):
        y = TOP + high - high * tick / 5
        parts.append(f'<path d="M{LEFT} {y:.1f}h{wide}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{y_max * tick / 5:.3g}", anchor="end"))
    return parts


def _legend(place: int, name: str, colour: str) -> list[str]:
    y = TOP + 14 + 18 * place
    return [
        f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h16" stroke="{colour}" stroke-width="3"/>',
        _text(WIDTH - RIGHT + 34, y, name),
    ]


def _round_up(value: float) -> float:
    """Return the next number with one or two digits that a scale can end at."""
    unit: float = 10.0 ** floor(log10(value))
    return ceil(value / unit * 2) / 2 * unit


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
