"""Events are facts: frozen, comparable, picklable."""

from __future__ import annotations

import inspect
import pickle
from typing import get_args

import pytest

from policy.events import Event, OfferReceived


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_event_names_its_sender_and_message(kind: type[Event]) -> None:
    """So that an answer finds its way back."""
    assert list(inspect.signature(kind).parameters)[:2] == ["sender", "msg_id"]


def test_an_offer_is_a_value() -> None:
    offer = OfferReceived("agent://bob", "m1", 3.0, {"value": 3.0})
    assert pickle.loads(pickle.dumps(offer)) == offer
    assert not offer.probe and not offer.revocable and offer.valid_until is None
    with pytest.raises(AttributeError):
        offer.value = 4.0  # type: ignore[misc]
