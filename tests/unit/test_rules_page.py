"""docs/rules.md says which tests prove which rules, truly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.rules_page import ROOT, Proof, RulesError, all_proofs, proofs_in, rules, rules_page

RULES: dict[str, Any] = {
    "waiting": [],
    "N-1": {"title": "One", "1": "The first holds.", "10": "The tenth holds."},
}


def proofs(*rules: str) -> Iterator[tuple[str, Proof]]:
    return ((rule, Proof("tests/unit/test_a.py", f"test_{rule}_holds")) for rule in rules)


def test_the_page_is_what_rules_and_tests_say() -> None:
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert page == rules_page(rules(), all_proofs()), "run `make docs` and commit it"


def test_every_rule_is_there_in_its_order() -> None:
    """None of the 62 was lost when they were written in other words."""
    counts = {name: len(part) - 1 for name, part in rules().items() if name != "waiting"}
    assert counts == {
        "N-1": 12,
        "N-2": 4,
        "N-3": 9,
        "N-4": 7,
        "N-5": 8,
        "N-6": 6,
        "N-7": 10,
        "N-8": 6,
    }
    for part in rules().values():
        if isinstance(part, dict):
            numbers = [int(name) for name in part if name != "title"]
            assert numbers == list(range(1, len(part)))


def test_a_rule_is_shown_with_its_sentence_and_its_tests() -> None:
    page = rules_page(RULES, proofs("N-1.1", "N-1.10", "N-1.1"))
    link = "[N-1.1 holds](../tests/unit/test_a.py)"
    assert f"| N-1.1 | The first holds. | {link}<br>{link} |" in page


@pytest.mark.parametrize(
    ("named", "waiting", "words"),
    [
        (("N-1.1",), (), "N-1.10 has no test"),
        (("N-1.1", "N-1.10", "N-1.2"), (), "N-1.2 is no rule"),
        (("N-1.1", "N-1.10"), ("N-1.1",), "does not wait"),
    ],
)
def test_what_does_not_fit_together_fails(
    named: tuple[str, ...], waiting: tuple[str, ...], words: str
) -> None:
    with pytest.raises(RulesError, match=words):
        rules_page(RULES | {"waiting": waiting}, proofs(*named))


def test_a_rule_may_wait_for_its_test() -> None:
    assert "none yet" in rules_page(RULES | {"waiting": ["N-1.10"]}, proofs("N-1.1"))


def test_a_test_names_rules_at_the_start_of_its_docstring() -> None:
    text = '''
def test_one():
    """N-1.1: the first."""

class TestMany:
    async def test_two(self):
        """N-1.1, N-1.10: both.

        N-1.2 is only mentioned.
        """

def test_three():
    """N-1.3"""

def test_four():
    """What N-1.4 asks for is not proved here."""

class Machine:
    """N-1.5: by chance."""

def helper():
    """N-1.6 is what it helps with."""
'''
    found = sorted((rule, proof.words) for rule, proof in proofs_in(text, "tests/test_x.py"))
    assert found == [
        ("N-1.1", "one"),
        ("N-1.1", "two"),
        ("N-1.10", "two"),
        ("N-1.3", "three"),
        ("N-1.5", "Machine"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'def test_one():\n    """N-1.1 and more."""',
        'def test_one():\n    """N-1.1 for some."""',
    ],
)
def test_a_rule_that_is_named_in_another_way_is_told(text: str) -> None:
    with pytest.raises(RulesError, match=r"tests/test_x\.py:1"):
        list(proofs_in(text, "tests/test_x.py"))
