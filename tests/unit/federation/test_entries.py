"""Entries: what travels is what was told, and eight bytes tell every difference."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from federation import entries as entries_module
from federation.entries import AgentAt, AgentConsent, Pool, mark_of, read, settled, written

GRANT = AgentConsent(
    "c1", "agent://alice", frozenset({"work"}), frozenset({"/price"}), 1_795_219_200.125
)
BOB = AgentAt(
    "acme",
    "agent://bob",
    "gateway-1",
    3,
    frozenset({"drive", "cook"}),
    frozenset({"work", "play"}),
    (GRANT,),
    True,
)
PLAIN = AgentAt("acme", "agent://bob", "gateway-1", 0)


@pytest.mark.parametrize("entry", [BOB, PLAIN])
def test_what_travels_arrives_as_it_was(entry: AgentAt) -> None:
    told = written(entry).SerializeToString()
    assert read(type(written(entry)).FromString(told), "gateway-1", Pool()) == entry


@pytest.mark.parametrize(
    "difference",
    [
        {"tenant": "other"},
        {"agent_id": "agent://bert"},
        {"generation": 4},
        {"capabilities": frozenset({"drive"})},
        {"topics": frozenset({"work", "play", "rest"})},
        {"consents": ()},
        {"consents": (msgspec.structs.replace(GRANT, expires_at=None),)},
        {"is_away": False},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_every_difference_marks(difference: dict[str, object]) -> None:
    assert mark_of(msgspec.structs.replace(BOB, **difference)) != mark_of(BOB)


def test_the_home_does_not_mark() -> None:
    """Each home is compared with itself."""
    assert mark_of(msgspec.structs.replace(BOB, home="gateway-2")) == mark_of(BOB)


@pytest.mark.slow
def test_a_mark_is_the_same_in_every_process() -> None:
    """Sets of names have another order in each: their hashes are salted."""
    program = (
        "from tests.unit.federation.test_entries import BOB\n"
        "from federation.entries import mark_of\n"
        "print(mark_of(BOB))"
    )
    for salt in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        )
        assert int(told.stdout) == mark_of(BOB)


def test_a_mark_is_what_it_was_in_the_last_version() -> None:
    """Gateways of two versions compare digests during an upgrade: keep it, or they never agree."""
    assert f"{mark_of(BOB):016x}" == "9e555a30e6d6002c"
    assert f"{entries_module.EMPTY_DIGEST:016x}" == "e35ade33d543ef57"


def test_the_higher_generation_has_an_agent_and_of_equals_the_id_that_sorts_last() -> None:
    there = msgspec.structs.replace(BOB, home="gateway-2")
    assert there.rank > BOB.rank
    assert msgspec.structs.replace(BOB, generation=10).rank > there.rank


def test_agents_that_can_do_the_same_share_what_says_so() -> None:
    pool = Pool()
    one, other = (read(written(BOB), "gateway-1", pool) for _ in range(2))
    assert one.capabilities is other.capabilities and one.topics is other.topics
    assert one.tenant is other.tenant
    assert one.consents[0].fields is other.consents[0].fields
    some, more = pool.names(["work"]), pool.names(["work", "play", "rest"])
    assert next(iter(some)) is next(name for name in more if name == "work")


def test_a_pool_that_is_full_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries_module, "POOL_MAX", 3)
    pool = Pool()
    for number in range(20):
        assert pool.names([f"topic-{number}"]) == {f"topic-{number}"}
        assert pool.name(f"tenant-{number}") == f"tenant-{number}"
        assert len(pool) <= 6


def test_consents_travel_in_one_order_and_to_the_millisecond() -> None:
    """Or the two sides would keep different ones, and never agree on a digest."""
    told = settled(
        [AgentConsent("b", "*", expires_at=0.0015006), AgentConsent("a", "*", expires_at=None)]
    )
    assert [(one.consent_id, one.expires_at) for one in told] == [("a", None), ("b", 0.002)]
    assert settled(told) == told


@pytest.mark.parametrize("seconds", [0.001, 1_795_219_200.123, 253_402_300_799.999])
def test_a_time_that_travelled_is_not_rounded_again(seconds: float) -> None:
    entry = msgspec.structs.replace(
        BOB, consents=settled([AgentConsent("a", "*", expires_at=seconds)])
    )
    assert read(written(entry), entry.home, Pool()) == entry


def test_a_time_that_cannot_be_does_no_harm() -> None:
    told = written(BOB)
    told.consents[0].expires_at.seconds = 10**15
    told.consents[0].expires_at.nanos = -5
    expires_at = read(told, "gateway-1", Pool()).consents[0].expires_at
    assert expires_at is not None and expires_at > 9e14
