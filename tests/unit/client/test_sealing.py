"""What a bidder commits first, and what opens it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmx.calls import Call
from llmx.sealing import commitment, is_sealed, sealed
from llmx.v1.envelope_pb2 import Envelope
from policy.auction import opens


def call(**body: Any) -> Call:
    return Call(Envelope(payload=json.dumps(body).encode()))


SEALED = call(protocol="sealed-bid", sealed={"commit": True})


@pytest.mark.parametrize(
    "open_call",
    [
        call(),
        call(protocol="sealed-bid"),
        call(protocol="sealed-bid", sealed={"commit": False}),
        call(sealed={"commit": True}),
    ],
)
def test_where_no_commitment_is_asked_for_the_offer_goes_as_it_is(open_call: Call) -> None:
    assert not is_sealed(open_call)
    assert sealed(open_call, {"value": 4}) == ({"value": 4}, None)


def test_what_is_revealed_is_what_was_committed() -> None:
    offer = {"value": 40.5, "terms": {"gpus": 4, "wo": "Köln"}, "text": "Cheap."}
    sent, reveal = sealed(SEALED, offer)
    assert reveal is not None and sent.keys() == {"commitment"}
    assert reveal == {**offer, "nonce": reveal["nonce"]}
    bid = {"value": 40.5, "terms": {"gpus": 4, "wo": "Köln"}}
    assert opens(sent["commitment"], reveal["nonce"], bid)
    assert not opens(sent["commitment"], reveal["nonce"], {**bid, "value": 40})


def test_no_two_commitments_of_one_bid_are_the_same() -> None:
    """Or whoever guesses the bid could see whether it is right."""
    first, second = (sealed(SEALED, {"value": 40})[0] for _ in range(2))
    assert first != second


def test_a_commitment_is_the_hash_of_the_nonce_and_the_canonical_bid() -> None:
    assert commitment(b"n" * 32, {"value": 40, "terms": {}}) == commitment(
        b"n" * 32, {"terms": {}, "value": 40}
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        commitment(b"n" * 32, {"value": float("nan")})
