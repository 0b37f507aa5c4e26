"""A run as a page: Markdown for a repository, HTML with the pictures in it for a reader.

Both say the same, made of the same parts. The HTML needs nothing beside itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:14px}"
    "td,th{border:1px solid #bbb;padding:.2rem .5rem;text-align:left}"
    "th{background:#eee;color:#222}td:first-child{white-space:nowrap}"
    ".wide{overflow-x:auto}svg{max-width:49%;height:auto}code{font-size:13px}"
)
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it."""

    heading: str
    text: Sequence[str] = ()
    """Sentences, a paragraph each."""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    """SVG by the name of its file."""


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the page for a repository; pictures are named, and stand beside it."""
    lines = [f"# {title}", ""]
    for section in sections:
        lines += [f"## {section.heading}", ""]
        for sentence in section.text:
            lines += [sentence, ""]
        if section.rows:
            lines.append(_row(section.columns))
            lines.append("|" + "---|" * len(section.columns))
            lines += [_row(row) for row in section.rows]
            lines.append("")
        for name in section.pictures:
            lines += [f"![{name.removesuffix('.svg')}]({name})", ""]
    return "\n".join(lines)


def as_html(title: str, sections: Sequence[Section]) -> str:
    """Return the page for a reader, pictures included."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{escape(section.heading)}</h2>")
        parts += [
            "<p>" + CODE.sub(r"<code>\1</code>", escape(sentence)) + "</p>"
            for sentence in section.text
        ]
        if section.rows:
            parts.append('<div class="wide"><table><tr>' + _cells("th", section.columns) + "</tr>")
            parts += ["<tr>" + _cells("td", row) + "</tr>" for row in section.rows]
            parts.append("</table></div>")
        parts += section.pictures.values()
    return "\n".join([*parts, "</body></html>", ""])


def write(folder: Path, title: str, sections: Sequence[Section]) -> None:
    """Write report.md, report.html and the pictures into a folder."""
    (folder / "report.md").write_text(as_markdown(title, sections), "utf-8")
    (folder / "report.html").write_text(as_html(title, sections), "utf-8")
    for section in sections:
        for name, picture in section.pictures.items():
            (folder / name).write_text(picture, "utf-8")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(tag: str, cells: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
