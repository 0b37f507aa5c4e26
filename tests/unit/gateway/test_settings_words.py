"""What settings accept, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from gateway.settings_words import accepted, as_text, example, may_be_absent


class _Sample(BaseModel):
    plain: int = 1
    count: int = Field(default=4, ge=1, le=256)
    positive: float = Field(default=0.5, gt=0, le=10)
    inside: Annotated[int, Field(ge=2, le=3)] | None = None
    word: Annotated[str, Field(pattern=r"^\S+$")] = "x"
    choice: Literal["a", "b", "c"] = "a"
    only: Literal["a"] = "a"
    yes: bool = True
    path: Path | None = None
    table: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain", "a whole number"),
        ("count", "1 to 256"),
        ("positive", "above 0 and at most 10"),
        ("inside", "2 to 3, or none"),
        ("word", "a word without blanks"),
        ("choice", "a, b or c"),
        ("only", "a"),
        ("yes", "true or false"),
        ("path", "a path, or none"),
        ("table", "a table"),
    ],
)
def test_what_a_field_accepts_is_said_in_words(name: str, words: str) -> None:
    assert accepted(_Sample.model_fields[name]) == words


def test_an_example_is_written_as_the_operator_writes_it() -> None:
    fields = _Sample.model_fields
    assert [example(fields[name]) for name in ("count", "positive", "yes", "path", "table")] == [
        "4",
        "0.5",
        "true",
        "none",
        "{}",
    ]
    assert as_text(5.0) == "5"


def test_some_fields_may_be_absent() -> None:
    assert may_be_absent(_Sample.model_fields["path"])
    assert not may_be_absent(_Sample.model_fields["count"])
