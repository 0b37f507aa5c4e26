"""Names, and what stands for them."""

from __future__ import annotations

from hashlib import sha256

from gateway.telemetry.names import hashed, negotiation, plain
from tests.support.gateway_parts import Parts


def test_a_hash_is_the_same_everywhere_and_shows_nothing_of_the_name() -> None:
    assert hashed("agent://bob") == f"~{sha256(b'agent://bob').hexdigest()[:12]}"
    assert hashed("agent://bob") != hashed("agent://bab")


def test_nobody_stays_nobody() -> None:
    assert hashed("") == ""
    assert plain("agent://bob") == "agent://bob"


def test_a_negotiation_is_named_only_by_an_id_that_a_gateway_made() -> None:
    """An agent can write whatever it likes there, a word in the place of the digits too."""
    parts = Parts()
    made = parts.negotiations.mint(parts.members.tenant("acme"))
    assert negotiation(made) == made
    head, tag = made[: -len("0123456789abcdef-0123456789")], made[-11:]
    for wrong in ("", "hush", f"{head}hushhushhushhush{tag}", f"{made}0", f"{made}\n"):
        assert negotiation(wrong) == ""
