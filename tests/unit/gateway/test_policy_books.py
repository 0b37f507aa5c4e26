"""Books of profiles: what a change makes of a text, and what a text means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import policy_books
from gateway.policy_books import Book, book_of, delete, fields_of, put, set_default
from policy.acceptance import PROFILES, PolicyError, parse

SHARED = dict(PROFILES) | {"house": parse({"quorum": 2}, name="house", revision=1)}


def test_nobody_s_book_says_nothing() -> None:
    assert book_of(None, SHARED) == Book()


def test_a_profile_stands_in_a_book_whole() -> None:
    """It means the same on a gateway whose settings know another profile to start from."""
    text = put(None, SHARED, "fast", {"profile": "house", "settle": 0.5})
    book = book_of(text, dict(PROFILES))
    assert book.profiles["fast"].quorum.count == 2 and book.profiles["fast"].settle == 0.5


@pytest.mark.parametrize("name", ["", "bad name!", "a@2", "flow/high*", "a\nb"])
def test_a_name_that_could_be_mistaken_for_a_label_is_no_name(name: str) -> None:
    with pytest.raises(PolicyError, match="name"):
        put(None, SHARED, name, {"settle": 1})


def test_a_profile_may_start_from_one_of_the_tenant_s_own() -> None:
    text = put(None, SHARED, "fast", {"select": "first"})
    text = put(text, SHARED, "faster", {"profile": "fast", "window": 1})
    assert book_of(text, SHARED).profiles["faster"].select == "first"


def test_a_revision_is_given_once() -> None:
    """A label names one content for ever, also when the profile was deleted in between."""
    text = None
    for revision in (1, 2):
        text = put(text, SHARED, "fast", {"settle": revision})
        assert book_of(text, SHARED).profiles["fast"].label == f"fast@{revision}"
    text = delete(text, SHARED, "fast")
    assert "fast" not in book_of(text, SHARED).profiles
    text = put(text, SHARED, "fast", {})
    assert book_of(text, SHARED).profiles["fast"].label == "fast@3"


def test_a_change_of_a_profile_that_ships_counts_on_from_it_and_is_taken_back_by_deleting() -> None:
    text = put(None, SHARED, "flow/high", {"select": "first"})
    assert book_of(text, SHARED).profiles["flow/high"].revision == 2
    text = delete(text, SHARED, "flow/high")
    assert not book_of(text, SHARED).profiles
    text = put(text, SHARED, "flow/high", {})
    assert book_of(text, SHARED).profiles["flow/high"].revision == 3


@pytest.mark.parametrize("name", ["flow/high", "house", "nowhere"])
def test_only_what_was_put_can_be_deleted(name: str) -> None:
    with pytest.raises(PolicyError):
        delete(None, SHARED, name)


def test_the_default_cannot_be_deleted_unless_another_one_has_its_name() -> None:
    text = set_default(put(None, SHARED, "fast", {}), SHARED, "fast")
    with pytest.raises(PolicyError, match="another one the default"):
        delete(text, SHARED, "fast")
    text = set_default(put(None, SHARED, "house", {}), SHARED, "house")
    assert book_of(delete(text, SHARED, "house"), SHARED).default == "house"


def test_a_default_must_be_a_profile() -> None:
    with pytest.raises(PolicyError):
        set_default(None, SHARED, "nowhere")
    assert book_of(set_default(None, SHARED, "flow/low"), SHARED).default == "flow/low"


def test_a_tenant_has_a_bounded_number_of_profiles_and_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy_books, "PROFILES_PER_TENANT_MAX", 2)
    monkeypatch.setattr(policy_books, "NAMES_PER_TENANT_MAX", 3)
    text = None
    for name in ("a", "b", "a"):
        text = put(text, SHARED, name, {})
    with pytest.raises(PolicyError, match="at most 2 profiles"):
        put(text, SHARED, "c", {})
    text = put(delete(text, SHARED, "a"), SHARED, "c", {})
    text = delete(text, SHARED, "c")
    with pytest.raises(PolicyError, match="at most 3 names"):
        put(text, SHARED, "d", {})
    assert "a" in book_of(put(text, SHARED, "a", {}), SHARED).profiles


def test_of_a_profile_that_cannot_be_used_the_one_before_stays_and_the_others_change() -> None:
    text = put(put(None, SHARED, "fast", {"settle": 1}), SHARED, "slow", {"settle": 2})
    before = book_of(text, SHARED)
    written = json.loads(text)
    written["profiles"]["fast"] |= {"revision": 2, "telepathy": True}
    written["profiles"]["slow"] |= {"revision": 2, "settle": 3}
    written["profiles"]["new"] = {"settle": -1}
    book = book_of(json.dumps(written).encode(), SHARED, before)
    assert book.profiles["fast"] == before.profiles["fast"]
    assert book.profiles["slow"].label == "slow@2" and "new" not in book.profiles
    assert len(book.trouble) == 2 and "telepathy" in book.trouble[0]


def test_what_this_release_cannot_use_is_kept_when_a_book_is_changed() -> None:
    written = {"profiles": {"odd": {"telepathy": True}}, "later": [1]}
    text = put(json.dumps(written).encode(), SHARED, "fast", {})
    after = json.loads(text)
    assert after["profiles"]["odd"] == {"telepathy": True} and after["later"] == [1]
    assert book_of(text, SHARED).profiles.keys() == {"fast"}


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"profiles": []}', b'{"gone": 1}', b"\xff"])
def test_a_text_that_is_no_book_changes_nothing(text: bytes) -> None:
    before = book_of(put(None, SHARED, "fast", {}), SHARED)
    book = book_of(text, SHARED, before)
    assert book.profiles == before.profiles and book.trouble
    with pytest.raises(PolicyError):
        put(text, SHARED, "fast", {})


@pytest.mark.parametrize("fields", [1, {"revision": 0}, {"revision": True}, {"revision": "2"}])
def test_a_profile_that_is_written_by_hand_needs_a_revision_that_counts(fields: object) -> None:
    text = json.dumps({"profiles": {"fast": fields}}).encode()
    assert book_of(text, SHARED).trouble and not book_of(text, SHARED).profiles


def test_a_default_that_another_gateway_knows_leaves_this_one_with_its_own() -> None:
    book = book_of(b'{"default": "elsewhere"}', SHARED)
    assert book.default == "" and "elsewhere" in book.trouble[0]


OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "quorum": st.sampled_from([0, 1, 7, 0.07, 0.5, 1.0, "all"]),
        "window": st.sampled_from([None, 0.001, 5.0, 86_400]),
        "settle": st.sampled_from([0, 0.1, 3_600]),
        "counts": st.sampled_from(["valid", "any"]),
        "select": st.sampled_from(["first", "best", "vickrey"]),
        "on_expiry": st.sampled_from(["decide", "no_award", "decide_if"]),
        "min_offers": st.integers(1, 5),
        "final": st.sampled_from(["required", "optional"]),
        "confirm": st.booleans(),
        "late": st.sampled_from(["reject", "record"]),
    },
)


@given(st.sampled_from(sorted(PROFILES)), OVERRIDES)
def test_a_profile_as_plain_values_is_the_same_profile(
    base: str, overrides: dict[str, object]
) -> None:
    overrides.setdefault("min_offers", 1)
    made = parse(overrides, PROFILES[base], name="mine", revision=1)
    assert parse(fields_of(made), name="mine", revision=1) == made
    text = put(None, SHARED, "mine", {"profile": base, **overrides})
    assert book_of(text, SHARED).profiles["mine"] == made
