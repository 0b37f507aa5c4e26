"""Small pictures without a library: lines over an axis, as SVG that is read in both themes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 190, 36, 44
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")

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
    parts = [
        HEAD,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 20, title, weight="bold"),
        _text(LEFT + wide / 2, HEIGHT - 8, across, anchor="middle"),
        _text(8, TOP - 6, up),
    ]
    for tick in range(6):
        x, y = LEFT + wide * tick / 5, TOP + high - high * tick / 5
        parts.append(f'<path d="M{LEFT} {y:.1f}h{wide}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{y_max * tick / 5:.2g}", anchor="end"))
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{x_max * tick / 5:g}", anchor="middle"))
    for place, (name, points) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        drawn = " ".join(
            f"{LEFT + wide * x / x_max:.1f},{TOP + high - high * y / y_max:.1f}" for x, y in points
        )
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        )
        y = TOP + 14 + 18 * place
        parts.append(
            f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h16" stroke="{colour}" stroke-width="3"/>'
        )
        parts.append(_text(WIDTH - RIGHT + 34, y, name))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
