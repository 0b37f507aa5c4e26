"""What viewers are told each second, and what it costs when nobody looks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.page import digest
from gateway.page.digest import (
    FIGURES,
    LABELLED_MAX,
    LABELLED_SECONDS,
    REFUSALS_MAX,
    SESSIONS_MAX,
    Ledger,
    Reporter,
)
from gateway.router import Parcel
from tests.support.admin_view import FakeView
from tests.support.gateway_parts import NOW
from tests.unit.gateway.page.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


def told(raw: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(raw)
    return decoded


def test_a_gateway_without_agents_has_a_digest(scene: Scene) -> None:
    digest = told(scene.reporter.next())
    assert (digest["sessions"], digest["seats"], digest["refusals"]) == (0, [], [])
    assert digest["floor"] == {"open": 0, "known": 0, "talks": []}
    assert digest["ledger"] is None and digest["point"] is None and digest["p50"] is None
    assert digest["graph"]["gateway"] == "gw" and digest["draining"] is False


def test_a_viewer_that_comes_late_gets_the_past(scene: Scene) -> None:
    for _ in range(3):
        scene.reporter.look()
        scene.parts.now += 1
    beginning = told(scene.reporter.begin())
    assert [point[0] for point in beginning["points"]] == [NOW + 1, NOW + 2]
    assert beginning["digest"]["point"] == beginning["points"][-1]


def test_counters_become_figures(scene: Scene) -> None:
    scene.reporter.look()
    alice, bob = scene.join("alice"), scene.join("bob")
    negotiation = scene.call(alice, "bob")
    scene.parts.now += 0.2
    scene.offer(bob, negotiation, 40)
    scene.offer(bob, "gw.0.unheard-of" + alice.tenant.tag, 1)
    scene.parts.now += 0.8
    scene.reporter.look()
    digest = told(scene.reporter.next())
    assert digest["outcomes"] == {"committed": 1}
    assert digest["refusals"] == [{"code": "UNKNOWN_NEGOTIATION", "lately": 1, "total": 1}]
    at, sessions, open_, messages, finished, refused, p50, p95 = digest["point"]
    assert (at, sessions, open_, finished, refused) == (NOW + 1, 2, 0, 1.0, 1.0)
    assert messages == 2.0, "what was refused was not admitted"
    assert 0.1 < p50 < p95 <= 0.25, "the bucket of a decision that took 0.2 s"
    assert (digest["p50"], digest["p95"]) == (p50, p95)


def test_sessions_for_which_most_waits_are_shown(scene: Scene) -> None:
    for number in range(SESSIONS_MAX + 3):
        scene.parts.now += 1
        member = scene.join(f"agent-{number:02}")
        for waiting in range(number % 3):
            parcel = Parcel(f"m{waiting}", b"SECRET", scene.parts.now + 60, "", "", False)
            member.outbox.push(parcel)
    digest = told(scene.reporter.next())
    seats = digest["seats"]
    assert digest["sessions"] == SESSIONS_MAX + 3 and len(seats) == SESSIONS_MAX
    assert [seat["waiting"] for seat in seats] == [2, 2, 2, 1, 1, 1, 1, 0]
    assert seats[0] | {"since": 0} == {
        "agent": "agent://agent-08",
        "tenant": "acme",
        "since": 0,
        "waiting": 2,
    }
    assert "SECRET" not in str(digest)


def test_only_so_many_sessions_are_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "SESSIONS_LOOKED_AT_MAX", 2)
    for number in range(5):
        scene.join(f"agent-{number}")
    assert len(told(scene.reporter.next())["seats"]) == 2


def test_only_so_many_codes_are_listed(scene: Scene) -> None:
    for number in range(REFUSALS_MAX + 5):
        scene.parts.metrics.refused[f"CODE_{number}"] = number + 1
    scene.reporter.look()
    listed = told(scene.reporter.next())["refusals"]
    assert len(listed) == REFUSALS_MAX and listed[0]["code"] == "CODE_14"


def test_figures_are_those_that_the_gateway_has(scene: Scene) -> None:
    metrics = scene.parts.metrics
    metrics.gauges["llmx_shard_queue"] = ("", lambda: 3)
    metrics.sums["llmx_awards_written_total"] = ("", lambda: 7)
    metrics.gauges["llmx_outbox_messages"] = ("", lambda: pytest.fail("it looks at every agent"))
    metrics.labelled["llmx_jain"] = ("", ("tenant", "of"), lambda: [(("acme", "awards"), 0.5)])
    digest = told(scene.reporter.next())
    assert digest["figures"] == {"llmx_shard_queue": 3.0, "llmx_awards_written_total": 7.0}
    assert "llmx_outbox_messages" not in FIGURES
    assert digest["labelled"] == {"llmx_jain": {"acme · awards": 0.5}}


def test_of_labels_only_the_first_are_told_and_not_anew_each_second(scene: Scene) -> None:
    """A Jain's index for each of many tenants looks at all their agents."""
    rows = [((f"tenant-{number:03}", "awards"), 1.0) for number in range(100)]
    read: list[float] = []

    def indices() -> list[tuple[tuple[str, str], float]]:
        read.append(scene.parts.now)
        return rows

    scene.parts.metrics.labelled["llmx_jain"] = ("", ("tenant", "of"), indices)
    moved = [(("held",), 12.5), (("paid",), 3.0)]
    scene.parts.metrics.labelled_sums["llmx_credits_moved_total"] = (
        "",
        ("movement",),
        lambda: moved,
    )
    labelled = told(scene.reporter.next())["labelled"]
    assert len(labelled["llmx_jain"]) == LABELLED_MAX
    assert labelled["llmx_credits_moved_total"] == {"held": 12.5, "paid": 3.0}
    for _ in range(20):
        scene.parts.now += 1
        scene.reporter.next()
    assert read == [NOW, NOW + LABELLED_SECONDS], "it is not read each second"


def test_a_gateway_that_is_being_emptied_says_so(scene: Scene) -> None:
    scene.view.drain(10.0, 60.0)
    assert told(scene.reporter.next())["draining"] is True
    scene.view.abort_drain()
    assert told(scene.reporter.next())["draining"] is False


def test_a_ledger_is_shown_where_there_is_one(scene: Scene) -> None:
    parts = scene.parts
    reporter = Reporter(
        FakeView("gw"),
        parts.members,
        parts.negotiations,
        parts.metrics,
        (),
        parts.recorder,
        lambda: parts.now,
        ledger=lambda: Ledger(settled=4, refused=1, undone=0, working=2),
    )
    assert told(reporter.next())["ledger"] == {
        "settled": 4,
        "refused": 1,
        "undone": 0,
        "working": 2,
    }


def test_names_of_tenants_are_told_apart(scene: Scene) -> None:
    alice, _ = scene.join("alice", "acme"), scene.join("bob", "acme")
    zoe, _ = scene.join("zoe", "rivals"), scene.join("bob", "rivals")
    scene.call(alice, "bob")
    scene.call(zoe, "bob")
    talks = told(scene.reporter.next())["floor"]["talks"]
    assert {(talk["initiator"], talk["tenant"]) for talk in talks} == {
        ("agent://alice", "acme"),
        ("agent://zoe", "rivals"),
    }
