"""Acts go by their names on the wire."""

from __future__ import annotations

from gateway.acts import ACT_NAMES, ACTS, act_named
from llmx.v1.envelope_pb2 import Act


def test_every_act_but_the_unspecified_one_has_a_name() -> None:
    assert set(ACT_NAMES) == set(Act.values()) - {Act.ACT_UNSPECIFIED}
    assert {name: act for act, name in ACT_NAMES.items()} == ACTS


def test_the_papers_spelling_names_the_same_acts() -> None:
    assert act_named("CFP") == act_named("cfp") == Act.ACT_CFP
    assert act_named("Not-Understood") == Act.ACT_NOT_UNDERSTOOD
    assert act_named("ack") is None
    assert act_named("") is None
