"""Utility expressions: what they can say, what they cannot, and what has no utility."""

from __future__ import annotations

import pickle
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.utility import LENGTH_MAX, NODES_MAX, UtilityError, compile_utility

OFFER: dict[str, object] = {
    "value": 30,
    "conditions": {"start_in": 2.5, "revocable": True},
    "terms": {"gpus": 4, "name": "h100"},
    "huge": 10**400,
    "inf": float("inf"),
}


@pytest.mark.parametrize(
    ("text", "utility"),
    [
        ("value", 30),
        (" -value + 2 * conditions.start_in ", -25),
        ("(value - 10) / terms.gpus", 5),
        ("+value", 30),
        ("1e2 + .5 + 3.", 103.5),
        ("min(value, 12, terms.gpus) + max(1, 2) + abs(-3)", 9),
        ("value if terms.gpus >= 4 else 0", 30),
        ("value if terms.gpus > 4 else missing if value < 0 else 7", 7),
        ("(1 < terms.gpus <= 4) + (value != 30) + (value == 30)", 2),
        ("1 < terms.gpus < 2", 0),
        ("value > 1 and terms.gpus > 1", 1),
        ("value > 99 and missing", 0),
        ("value > 99 or not terms.gpus", 0),
        ("value or missing", 1),
    ],
)
def test_an_expression_computes_with_the_fields_of_an_offer(text: str, utility: float) -> None:
    assert compile_utility(text)(OFFER) == utility


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "terms.missing",
        "value.of",
        "terms",
        "terms.name",
        "conditions.revocable",
        "value / (terms.gpus - 4)",
        "huge",
        "inf",
        "1e200 * 1e200",
        "1e200 * 1e200 - 1e200 * 1e200",
    ],
)
def test_an_offer_without_the_fields_or_with_an_endless_result_has_no_utility(text: str) -> None:
    assert compile_utility(text)(OFFER) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "value +",
        "value ** 2",
        "value // 2",
        "value % 2",
        "value << 2",
        "value[0]",
        "'text'",
        "value.__class__()",
        "().value",
        "(value).real + (1).real",
        "abs(1).real",
        "min(1)",
        "min(*value, 1)",
        "abs(1, 2)",
        "pow(2, 3)",
        "max(x for x in y)",
        "value in terms",
        "value is 3",
        "lambda: 1",
        "yield value",
        "await value",
        "True",
        "None",
        "1if 2else 3",
        "9" * 400,
        "1e999",
        "value\0",
        "vаlue",  # its a is Cyrillic
        "-" * 500 + "1",
        "(" * 250 + "1" + ")" * 250,
        "+".join(["1"] * (NODES_MAX + 1)),
        "1 + " * 200,
    ],
)
def test_everything_else_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UtilityError) as caught:
        compile_utility(text)
    assert caught.value.reason and caught.value.remedy
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def seconds(text: str) -> float:
    """Return the shortest of a few times that refusing a text takes."""

    def once() -> float:
        start = time.perf_counter()
        with pytest.raises(UtilityError, match="signs"):
            compile_utility(text)
        return time.perf_counter() - start

    return min(once() for _ in range(5))


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "1",
        "_",
        "a.",
        "a1",
        "a.b",
        "1.5",
        "1e5",
        ".5",
        "a.1",
        "a ",
        " ",
        "\n",
        "1 ",
        "a+",
        "<=",
    ],
)
def test_a_text_that_is_no_expression_is_refused_in_time_linear_in_its_length(part: str) -> None:
    def refused(length: int) -> float:
        return seconds((part * length)[: length - 1] + "!")

    # Reading it in every way that it could be split takes 2**10 times as long.
    assert refused(21) < 50 * refused(11)
    assert refused(LENGTH_MAX) < 50 * refused(LENGTH_MAX // 16)


@given(st.text(string.ascii_letters + string.digits + " .+-*/(),<>=!_'\"[]{}:@\n", max_size=60))
def test_no_text_does_anything_but_compile_or_be_refused(text: str) -> None:
    try:
        utility = compile_utility(text)
    except UtilityError:
        return
    assert isinstance(utility(OFFER), float | None)


def test_expressions_of_one_text_are_equal_and_travel() -> None:
    utility = compile_utility("value + 1")
    assert pickle.loads(pickle.dumps(utility)) == utility
    assert hash(utility) == hash(compile_utility("value + 1"))
    assert utility != compile_utility("value + 2")
    assert repr(utility) == "<Utility value + 1>"
