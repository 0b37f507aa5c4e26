"""What the audit says of messages, negotiations, streams and operators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import Identity
from gateway.policies import Policies
from gateway.policy_books import Book
from gateway.telemetry.audit_file import AuditFile
from gateway.telemetry.auditing import STRANGERS_MAX, Auditor, message_of
from gateway.telemetry.names import hashed
from llmx.v1.envelope_pb2 import Act
from tests.support.gateway_parts import NOW, Parts, envelope, received
from tests.support.observed_parts import observed

OLGA = Identity("agent://olga", "acme", frozenset(), None, 0.0, "jti")


class Heard(AuditFile):
    """An audit that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Mapping[str, object]]] = []
        self.at: list[float] = []

    def say(self, at: float, kind: str, said: Mapping[str, object]) -> None:
        self.at.append(at)
        self.said.append((kind, said))

    def of(self, kind: str) -> list[Mapping[str, object]]:
        return [said for one, said in self.said if one == kind]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def auditor(heard: Heard) -> Auditor:
    return Auditor(heard, lambda: 7.0)


def test_what_comes_in_is_said_with_its_act_and_negotiation(heard: Heard, auditor: Auditor) -> None:
    parts = observed(Parts(), auditor)
    alice, bob = parts.join("alice"), parts.join("bob")
    body = {"act": "cfp", "reply_within": 5}
    parts.admit(alice, envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="call", body=body))
    (call,) = received(bob)
    offer = envelope("bob", Act.ACT_OFFER, msg_id="o", body={"value": 7})
    offer.negotiation_id = call.negotiation_id
    parts.admit(bob, offer)
    base = {"tenant": "acme", "negotiation": call.negotiation_id}
    assert heard.of("admitted") == [
        base | {"agent": "agent://alice", "message": message_of("call"), "act": "cfp"},
        base | {"agent": "agent://bob", "message": message_of("o"), "act": "offer"},
    ]
    assert set(heard.at) == {7.0}


def test_what_is_refused_is_said_with_its_code_and_no_word_of_the_agent(
    heard: Heard, auditor: Auditor
) -> None:
    parts = observed(Parts(), auditor)
    alice = parts.join("alice")
    wrong = envelope(
        "alice", Act.ACT_OFFER, msg_id="hush-id", body={"hush-member": 1}, negotiation_id="hush-n"
    )
    parts.admit(alice, wrong)
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://hush", msg_id="m"))
    (first, second) = heard.of("refused")
    assert first == {
        "agent": "agent://alice",
        "tenant": "acme",
        "message": message_of("hush-id"),
        "code": "SCHEMA_VIOLATION",
    }
    assert second["code"] == "AGENT_ABSENT"
    assert "hush" not in str(heard.said)


def test_what_the_engine_refuses_is_said_too(heard: Heard, auditor: Auditor) -> None:
    parts = observed(Parts(), auditor)
    alice, bob, carol = (parts.join(name) for name in ("alice", "bob", "carol"))
    body = {"act": "cfp", "reply_within": 5}
    parts.admit(alice, envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="call", body=body))
    (call,) = received(bob)
    offer = envelope("carol", Act.ACT_OFFER, msg_id="o", body={"value": 7})
    offer.negotiation_id = call.negotiation_id
    parts.admit(carol, offer)
    unknown = envelope("carol", Act.ACT_OFFER, msg_id="p", body={"value": 7})
    unknown.negotiation_id = parts.negotiations.mint(carol.tenant)
    parts.admit(carol, unknown)
    codes = [(said["message"], said["code"]) for said in heard.of("refused")]
    assert codes == [(message_of("o"), "NOT_A_PARTY"), (message_of("p"), "UNKNOWN_NEGOTIATION")]


@pytest.mark.parametrize(
    ("state", "reason", "ended", "told"),
    [
        ("committed", "quorum", {}, "quorum"),
        ("cancelled", "hush, says alice", {}, "cancelled"),
        ("no_award", "hush, says bob", {"ended_by": "end"}, "end"),
        ("no_award", "unreachable", {"ended_by": "end"}, "unreachable"),
        ("no_award", "turn_timeout", {"ended_by": "turn_timeout"}, "turn_timeout"),
    ],
)
def test_an_outcome_is_said_without_prices_and_without_words_of_agents(
    heard: Heard, auditor: Auditor, state: str, reason: str, ended: dict[str, str], told: str
) -> None:
    outcome: dict[str, Any] = {
        "negotiation_id": "gw.0.x",
        "state": state,
        "reason": reason,
        "policy": "flow/high",
        "winners": [{"agent": "agent://bob", "price": 4_711}],
        **ended,
    }
    auditor.decided(None, outcome)
    assert heard.of("decided") == [
        {
            "negotiation": "gw.0.x",
            "state": state,
            "reason": told,
            "policy": "flow/high",
            "winners": ["agent://bob"],
        }
    ]


def test_who_opens_a_stream_is_said_and_nobody_where_the_token_was_not_taken(
    heard: Heard, auditor: Auditor
) -> None:
    auditor.stream("stream_opened", OLGA, "begun")
    auditor.stream("token_refused", None, "expired")
    assert heard.said == [
        ("stream_opened", {"agent": "agent://olga", "tenant": "acme", "how": "begun"}),
        ("token_refused", {"how": "expired"}),
    ]


def test_strangers_do_not_fill_the_disk(heard: Heard) -> None:
    seconds = [7.0]
    auditor = Auditor(heard, lambda: seconds[0])
    for _ in range(STRANGERS_MAX + 7):
        auditor.stream("token_refused", None, "expired")
    assert len(heard.said) == STRANGERS_MAX
    seconds[0] += 1
    auditor.stream("token_refused", None, "expired")
    auditor.stream("token_refused", None, "expired")
    assert heard.said[STRANGERS_MAX:] == [
        ("token_refused", {"how": "expired", "left_out": 7}),
        ("token_refused", {"how": "expired"}),
    ]


@pytest.mark.parametrize(
    ("method", "status", "is_told"),
    [
        ("ControlService.PutPolicy", "OK", True),
        ("ControlService.PutPolicy", "INVALID_ARGUMENT", True),
        ("AdminService.Drain", "PERMISSION_DENIED", True),
        ("AdminService.ListMembers", "OK", False),
        ("AdminService.ListMembers", "PERMISSION_DENIED", True),
        ("LedgerService.GetLedger", "UNAUTHENTICATED", True),
        ("LedgerService.GetLedger", "NOT_FOUND", False),
        ("ServerReflection.ServerReflectionInfo", "OK", False),
        ("Health.Check", "OK", False),
    ],
)
def test_commands_are_said_and_mere_looking_only_where_it_was_denied(
    heard: Heard, auditor: Auditor, method: str, status: str, is_told: bool
) -> None:
    auditor.command(method, OLGA, status)
    who = {"agent": "agent://olga", "tenant": "acme"}
    assert heard.said == [("command", who | {"method": method, "status": status})] * is_told


def test_profiles_are_said_with_their_revisions(heard: Heard, auditor: Auditor) -> None:
    profile = Policies("flow/high", {}).shared["flow/high"]
    auditor.profiles("acme", Book({"quick": profile}, "quick"))
    assert heard.of("profiles") == [
        {"tenant": "acme", "profiles": {"quick": profile.revision}, "default": "quick"}
    ]


def test_names_may_be_hashed_everywhere(heard: Heard) -> None:
    auditor = Auditor(heard, lambda: NOW, hashed)
    parts = observed(Parts(), auditor)
    parts.admit(parts.join("alice"), envelope("alice", Act.ACT_MESSAGE, "agent://nobody"))
    auditor.stream("stream_opened", OLGA, "begun")
    auditor.command("ControlService.PutPolicy", OLGA, "OK")
    auditor.profiles("acme", Book())
    auditor.decided(
        None,
        {
            "negotiation_id": "n",
            "state": "committed",
            "reason": "r",
            "policy": "p",
            "winners": [{"agent": "agent://olga"}],
        },
    )
    assert len(heard.said) == 5
    assert not [name for name in ("alice", "olga", "acme") if name in str(heard.said)]


def test_a_real_file_takes_what_is_said(tmp_path: Path) -> None:
    from gateway.telemetry.audit_file import AuditLimits

    with AuditFile(tmp_path / "audit.jsonl", AuditLimits()) as audit:
        Auditor(audit, lambda: 0.0).stream("stream_opened", OLGA, "begun")
    assert b'"agent":"agent://olga"' in (tmp_path / "audit.jsonl").read_bytes()
