"""Alternating offers beside a model, driven by chance; then every ending from wherever it led."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from policy.deals import terms_sha256
from policy.effects import Effect, Finish, Relay, Tell
from tests.support.bargain_machine import NAMES, BargainMachine, names, numbers
from tests.support.bargain_model import INFINITE, OffersModel, Proposal
from tests.support.bargains import make_bargain, propose, take
from tests.support.model_machine import driven

prices = st.sampled_from([3.0, 5.0, 5.0, 7.0])
ENDINGS = ("wait", "cancel", "accept", "propose", "think", "leave")


class AlternatingOffers(BargainMachine):
    """What can happen to any bargain, and proposals."""

    endings = ENDINGS

    @initialize(
        max_rounds=st.sampled_from([2, 3, 5, 100]),
        turn_within=st.sampled_from([None, 2.0, 4.0]),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    )
    def call(self, max_rounds: int, turn_within: float | None, flags: tuple[bool, ...]) -> None:
        repeats, must_concede, first = flags
        self.model = OffersModel(
            max_rounds,
            INFINITE if turn_within is None else turn_within,
            repeats,
            movers=["alice" if first else "bob"],
            must_concede=must_concede,
        )
        options: dict[str, Any] = {} if turn_within is None else {"turn_within": turn_within}
        self.record_call = make_bargain(
            max_rounds=max_rounds,
            on_timeout="repeat" if repeats else "end",
            must_concede=must_concede,
            first="initiator" if first else "responder",
            **options,
        )
        self.begin()

    @rule(
        name=names,
        price=prices,
        number=numbers,
        until=st.sampled_from([INFINITE, INFINITE, 1.0, 6.0]),
    )
    def propose(self, name: str, price: float, number: str, until: float) -> None:
        msg_id = f"{name}-{price:g}-{number}"
        valid_until = None if until == INFINITE else until
        event = propose(name, price, msg_id, valid_until=valid_until)
        said = self.overdue()
        offer = Proposal(name, price, msg_id, until)
        self.happens(event, said + self.model.propose(self.now, offer))

    @rule(prices=st.lists(prices, min_size=1, max_size=4), number=numbers)
    def haggle(self, prices: list[float], number: str) -> None:
        """Chance alone seldom finds whose turn it is."""
        for turn, price in enumerate(prices):
            if self.model.movers:
                self.propose(self.model.movers[0], price, f"{number}-{turn}", INFINITE)

    @rule(name=names, stale=st.booleans(), number=numbers)
    def accept(self, name: str, stale: bool, number: str) -> None:
        said = self.overdue()
        standing = self.model.standing
        offer_id = "nothing" if standing is None or stale else standing.msg_id
        event = take(name, offer_id, f"{name}-yes-{number}")
        self.happens(event, said + self.model.accept(self.now, name, offer_id, event.msg_id))

    def end_turn(self, ending: str, turn: int) -> None:
        super().end_turn(ending, turn)
        for name in NAMES:
            if ending == "accept":
                self.accept(name, False, f"last-{turn}")
            elif ending == "propose":
                self.propose(name, 5.0, f"last-{turn}", INFINITE)

    def check_whole(self, effects: list[Effect]) -> None:
        """What was agreed was proposed, and the turns are strict."""
        super().check_whole(effects)
        (outcome,) = [effect.outcome for effect in effects if isinstance(effect, Finish)]
        agreement: Any = outcome.get("agreement")
        assert (agreement is not None) is (outcome["state"] == "committed")
        if agreement is not None:
            proposed = {event.msg_id: event for _, event in self.events if hasattr(event, "terms")}
            terms = {"value": proposed[agreement["offer_id"]].value}
            assert agreement["terms"] == terms
            assert agreement["terms_sha256"] == terms_sha256(terms)
        movers = [
            e.recipient for e in effects if isinstance(e, Relay | Tell) and e.turn is not None
        ]
        turns = [
            e.turn.round for e in effects if isinstance(e, Relay | Tell) and e.turn is not None
        ]
        assert turns == sorted(set(turns)), "every round has one turn"
        assert all(one != two for one, two in pairwise(movers)), "strict turns"


TestAlternatingOffersDoWhatTheirModelPredicts = driven(AlternatingOffers, 200)
