"""What an initiator reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmx.events import RankedOffer, offer_of, outcome_of, ranked_offers
from llmx.messages import Message
from llmx.v1.envelope_pb2 import Envelope


def message(**body: Any) -> Message:
    payload = json.dumps(body).encode()
    return Message(
        Envelope(msg_id="o-1", sender="agent://bob", negotiation_id="n", payload=payload)
    )


def test_an_offer_is_read_with_its_id_and_fields():
    offer = offer_of(message(value=40, conditions={"start_in": 2}))
    assert (offer.agent, offer.offer_id, offer.value) == ("agent://bob", "o-1", 40)
    assert offer.conditions == {"start_in": 2} and offer.terms == {}


@pytest.mark.parametrize("value", ["40", True, None])
def test_an_offer_without_a_number_is_none(value: object):
    with pytest.raises(ValueError, match="without a value"):
        offer_of(message(value=value))


def test_an_outcome_names_its_winners_and_keeps_the_rest():
    entry = {"agent": "agent://bob", "offer_id": "o-1", "value": 40, "price": 45, "rank": 1}
    body = {"state": "committed", "winners": [entry], "ranking": [entry], "offers": 3}
    outcome = outcome_of(message(outcome=body))
    assert outcome.winner == RankedOffer("agent://bob", "o-1", 40, rank=1, price=45)
    assert outcome.body["offers"] == 3
    assert outcome.negotiation_id == "n"
    assert outcome_of(message(outcome={"state": "no_award"})).winner is None


def test_what_is_no_list_of_offers_ranks_nobody():
    assert ranked_offers("abc") == () and ranked_offers(None) == () and ranked_offers([1]) == ()
