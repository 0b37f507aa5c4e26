"""What a setting accepts, in words for the person who sets it."""

from __future__ import annotations

import math
import types
import typing
from pathlib import Path
from typing import Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo


def accepted(field: FieldInfo) -> str:
    """Return what a setting may be: "1 to 256", "debug, info or error", "true or false"."""
    kind = _kind_of(field)
    if typing.get_origin(kind) is Literal:
        words = _listed([str(choice) for choice in typing.get_args(kind)])
    elif kind is bool:
        words = "true or false"
    elif kind in (int, float):
        words = _range_of(field, "a whole number" if kind is int else "a number")
    elif kind is Path:
        words = "a path"
    elif kind is str:
        words = _pattern_of(field)
    else:
        words = "a table"
    return f"{words}, or none" if may_be_absent(field) else words


def example(field: FieldInfo) -> str:
    """Return a value that works, as it is written in the environment."""
    default = field.get_default(call_default_factory=True)
    return as_text(default)


def as_text(value: object) -> str:
    """Return a value as the operator writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def may_be_absent(field: FieldInfo) -> bool:
    """Is `none` a value of it?"""
    return type(None) in typing.get_args(field.annotation)


def _kind_of(field: FieldInfo) -> object:
    """Return the type of a field without what Annotated and Optional put around it."""
    kind = field.annotation
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _constraints_of(field: FieldInfo) -> list[object]:
    """Return what the field, or the type inside its Optional, is held to."""
    found = list(field.metadata)
    for part in typing.get_args(field.annotation):
        for mark in getattr(part, "__metadata__", ()):
            found.extend(mark.metadata if isinstance(mark, FieldInfo) else [mark])
    return found


def _range_of(field: FieldInfo, otherwise: str) -> str:
    low, high, above = -math.inf, math.inf, False
    for mark in _constraints_of(field):
        match mark:
            case Ge(ge=bound) if isinstance(bound, int | float):
                low = bound
            case Gt(gt=bound) if isinstance(bound, int | float):
                low, above = bound, True
            case Le(le=bound) | Lt(lt=bound) if isinstance(bound, int | float):
                high = bound
    if not math.isfinite(low) or not math.isfinite(high):
        return otherwise
    between = "above {} and at most {}" if above else "{} to {}"
    return between.format(_number(low), _number(high))


def _number(value: float) -> str:
    return f"{value:,g}" if abs(value) < 1_000_000 else f"{value:,.0f}"


def _pattern_of(field: FieldInfo) -> str:
    patterns = [getattr(mark, "pattern", None) for mark in _constraints_of(field)]
    return "a word without blanks" if r"^\S+$" in patterns else "a name of A-Z a-z 0-9 -"


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
