"""What a scrape says, and what an expression of Prometheus asks of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

TARGET_LABELS = frozenset({"job", "instance"})
"""Every series has these, from Prometheus."""
OF_PROMETHEUS = frozenset({"up"})

_NAME = re.compile(r"\b(?:llmx|process)_[a-z0-9_]+|\bup\b")
_SELECTOR = re.compile(
    r"\b(?P<name>(?:llmx|process)_[a-z0-9_]+|up)\b\s*(?:\{(?P<matchers>[^}]*)\})?"
)
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")
_UNITS = re.compile(
    r"_(?:milliseconds|ms|microseconds|us|minutes|hours|kilobytes|mb|percent)(?:_|$)"
)

Series = Mapping[str, frozenset[str]]
"""The labels of each series that there is, by its name."""


def families(text: str) -> list[Metric]:
    """Return everything that a scrape says."""
    return list(text_string_to_metric_families(text))


def series(text: str) -> dict[str, frozenset[str]]:
    """Return the labels of each series of a scrape; `le` is among those of a bucket."""
    found: dict[str, frozenset[str]] = {}
    for family in families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, frozenset()) | frozenset(sample.labels)
    return found


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all samples, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def faults(text: str) -> list[str]:
    """Return what `promtool check metrics` would complain of: names, helps, units."""
    found = []
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) ?(.*)$", text, re.MULTILINE))
    for name, kind in kinds.items():
        if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
            found.append(f"{name}: use snake case")
        if not helps.get(name):
            found.append(f"{name}: says nothing of itself")
        if (kind == "counter") != name.endswith("_total"):
            found.append(f"{name}: of all metrics counters end in _total, and this is a {kind}")
        if _UNITS.search(name):
            found.append(f"{name}: use base units")
        if kind in name.split("_"):
            found.append(f"{name}: the name repeats its type")
    for name, labels in series(text).items():
        if "le" in labels and not name.endswith("_bucket"):
            found.append(f"{name}: le is for histograms")
    return found


def unknown_in(expression: str, known: Series, shown: str = "") -> Iterator[str]:
    """Yield what an expression asks for, or a legend shows, that no series has."""
    of_all: set[str] = set()
    for match in _SELECTOR.finditer(expression):
        name = match["name"]
        labels = frozenset() if name in OF_PROMETHEUS else known.get(name)
        if labels is None:
            yield f"{name} is not exposed"
            continue
        of_all |= labels
        for label in _MATCHER.findall(match["matchers"] or ""):
            if label not in labels | TARGET_LABELS:
                yield f"{name} has no label {label}"
    for grouping in _GROUPING.findall(expression):
        for label in filter(None, re.split(r"[\s,]+", grouping)):
            if label not in of_all | TARGET_LABELS:
                yield f"nothing in {expression} has the label {label}"
    for label in _SHOWN.findall(shown):
        if label not in of_all | TARGET_LABELS:
            yield f"{shown} shows {label}, which nothing in {expression} has"
    if not _NAME.search(expression):
        yield f"{expression} asks for no metric"
