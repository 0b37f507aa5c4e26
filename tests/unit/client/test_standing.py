"""The calls that a contractor was asked, and what it said to each."""

from __future__ import annotations

import time

from llmx.calls import Call
from llmx.standing import STANDING_SECONDS, Standing, Standings
from llmx.v1.envelope_pb2 import Act, Envelope


def standing(number: int, since: float | None = None) -> Standing:
    call = Call(Envelope(sender="agent://alice", msg_id=f"call-{number}", act=Act.ACT_CFP))
    return Standing(call, f"n-{number}", time.monotonic() if since is None else since)


def test_a_call_is_found_by_all_that_it_is_known_by_until_it_is_forgotten() -> None:
    standings, one = Standings(), standing(1)
    standings.remember(one)
    standings.sent(one, Envelope(msg_id="offer-1"))
    assert standings.of_call("agent://alice", "call-1") is one
    assert standings.of_negotiation("n-1") is one
    assert standings.of_offer("offer-1") is one
    assert one in standings and list(standings) == [one] and len(standings) == 1
    standings.forget(one)
    standings.forget(one)
    assert one not in standings and not len(standings)
    assert standings.of_offer("offer-1") is None and standings.of_negotiation("n-1") is None


def test_an_offer_takes_the_place_of_the_one_before_it() -> None:
    standings, one = Standings(), standing(1)
    standings.remember(one)
    standings.sent(one, Envelope(msg_id="offer-1"))
    standings.sent(one, Envelope(msg_id="offer-2"))
    assert standings.of_offer("offer-1") is None
    assert standings.of_offer("offer-2") is one


def test_a_call_moves_to_the_negotiation_that_took_a_lost_ones_place() -> None:
    standings, one = Standings(), standing(1)
    standings.remember(one)
    standings.moved(one, "n-2")
    standings.moved(one, "n-2")
    assert standings.of_negotiation("n-2") is one and one.negotiation_id == "n-2"
    assert one.may_speak_in == {"n-2"}


def test_a_call_is_found_by_the_negotiations_that_it_was_in_before() -> None:
    """Their gateway may only have been slow."""
    standings, one = Standings(), standing(1)
    standings.remember(one)
    standings.moved(one, "n-2")
    assert standings.of_negotiation("n-1") is one
    standings.moved(one, "n-1")
    assert (one.negotiation_id, one.former) == ("n-2", ["n-1"])
    one.accepted_in.add("n-1")
    assert one.may_speak_in == {"n-1", "n-2"}
    standings.forget(one)
    assert standings.of_negotiation("n-1") is standings.of_negotiation("n-2") is None


def test_what_no_gateway_remembers_gives_way() -> None:
    standings = Standings()
    old = standing(1, time.monotonic() - STANDING_SECONDS - 1)
    standings.remember(old)
    standings.remember(standing(2))
    assert old not in standings and len(standings) == 1
    assert "call-2" not in standings
