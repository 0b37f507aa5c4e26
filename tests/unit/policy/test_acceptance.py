"""The acceptance record: the shipped profiles as printed, and how others are made."""

from __future__ import annotations

import pickle

import pytest

from policy.acceptance import ALL, DEFAULT, PROFILES, PolicyError, Quorum, parse, resolve

SHORT = 5.0
# name: quorum of 12, window, counts, select, on_expiry, min_offers, final, confirm, late
TABLE = {
    "flow/low": (1, None, "valid", "first", "no_award", 0, "required", False, "reject"),
    "flow/medium": (6, SHORT, "valid", "best", "decide", 0, "required", False, "reject"),
    "flow/high": (12, None, "valid", "best", "decide", 0, "required", False, "reject"),
    "proto/low": (1, SHORT, "any", "first", "no_award", 0, "optional", False, "record"),
    "proto/low-timeout": (None, SHORT, "any", "first", "decide", 0, "optional", False, "record"),
    "proto/medium": (1, None, "valid", "first", "no_award", 0, "required", True, "record"),
    "proto/high": (12, None, "valid", "best", "decide_if", 2, "required", False, "reject"),
    "proto/high-multiple": (2, None, "valid", "best", "decide_if", 2, "required", False, "reject"),
    "paper-replay/low": (1, SHORT, "any", "first", "no_award", 0, "optional", False, "record"),
    "paper-replay/medium": (1, None, "valid", "first", "no_award", 0, "optional", True, "record"),
    "paper-replay/high": (12, None, "valid", "best", "decide_if", 2, "optional", False, "record"),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_profile_is_as_documented(name: str) -> None:
    profile = PROFILES[name]
    assert profile.label == f"{name}@1"
    assert TABLE[name] == (
        profile.close_count(12),
        profile.window,
        profile.counts,
        profile.select,
        profile.on_expiry,
        profile.min_offers,
        profile.final,
        profile.confirm,
        profile.late,
    )


def test_the_short_names_mean_flow() -> None:
    assert set(PROFILES) == {*TABLE, "low", "medium", "high"}
    for level in ("low", "medium", "high"):
        assert PROFILES[level] is PROFILES[f"flow/{level}"]


@pytest.mark.parametrize(
    ("quorum", "eligible", "count"),
    [
        (Quorum(), 12, None),
        (Quorum(count=3), 12, 3),
        (Quorum(count=3), 2, 3),
        (Quorum(fraction=0.5), 5, 3),
        (Quorum(fraction=0.07), 100, 7),
        (Quorum(fraction=0.01), 5, 1),
        (ALL, 9, 9),
    ],
)
def test_a_quorum_is_a_count_a_fraction_all_or_time_only(
    quorum: Quorum, eligible: int, count: int | None
) -> None:
    """A count beyond the agents is not lowered: two offers of one agent cannot be had."""
    assert quorum.of(eligible) == count


def test_a_policy_is_a_name_or_a_profile_with_overrides() -> None:
    assert resolve(None) is DEFAULT
    assert resolve("low") is PROFILES["flow/low"]
    assert resolve({}) is not None and resolve({}) == DEFAULT
    medium = resolve({"profile": "medium", "quorum": 0.25, "window": 2})
    assert medium.label == "flow/medium*@1"
    assert (medium.close_count(12), medium.window, medium.select) == (3, 2.0, "best")


def test_every_parameter_can_be_set_from_plain_values() -> None:
    made = parse(
        {
            "quorum": "all",
            "window": None,
            "settle": 1,
            "counts": "any",
            "select": "vickrey",
            "on_expiry": "decide_if",
            "min_offers": 3,
            "final": "optional",
            "confirm": True,
            "late": "record",
        },
        PROFILES["low"],
        name="acme/slow",
        revision=7,
    )
    assert made.label == "acme/slow@7"
    assert (made.quorum, made.window, made.settle, made.select) == (ALL, None, 1.0, "vickrey")
    assert parse({"quorum": 0}, made).close_count(3) is None
    assert parse({"quorum": Quorum(count=2)}, made).close_count(3) == 2
    starred = parse({"settle": 2}, made)
    assert parse({"settle": 3}, starred).name == "acme/slow*"


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"quorums": 1}, "quorums"),
        ({"quorum": -1}, "quorum"),
        ({"quorum": 100_001}, "quorum"),
        ({"quorum": 1.5}, "quorum"),
        ({"quorum": True}, "quorum"),
        ({"quorum": "most"}, "quorum"),
        ({"window": 0}, "window"),
        ({"window": 86_401}, "window"),
        ({"settle": -1}, "settle"),
        ({"settle": float("nan")}, "settle"),
        ({"settle": True}, "settle"),
        ({"settle": "1"}, "settle"),
        ({"counts": "all"}, "counts"),
        ({"select": ["best"]}, "select"),
        ({"on_expiry": "wait"}, "on_expiry"),
        ({"on_expiry": "decide_if"}, "min_offers"),
        ({"min_offers": -1}, "min_offers"),
        ({"min_offers": False}, "min_offers"),
        ({"final": "yes"}, "final"),
        ({"confirm": 1}, "confirm"),
        ({"late": "drop"}, "late"),
        ({"profile": "flow/higher"}, "profile"),
        ({"profile": 3}, "profile"),
    ],
)
def test_what_cannot_be_used_is_named_with_a_remedy(
    overrides: dict[str, object], field: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        resolve(overrides)
    error = caught.value
    assert error.field == field
    assert error.reason and error.remedy
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_has_a_bound(name: str) -> None:
    with pytest.raises(PolicyError, match="name"):
        parse({}, name=name)
