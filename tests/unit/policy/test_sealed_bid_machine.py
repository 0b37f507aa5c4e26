"""Sealed bids beside their model, whatever happens, with and without commitments."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from policy.acceptance import Quorum
from tests.support import plays
from tests.support.contract_machine import AGENTS, ENDINGS, ContractNet, names, numbers, values
from tests.support.contract_rules import INFINITE, Bid, Rules
from tests.support.model_machine import driven
from tests.support.sealed_model import REVEAL_WITHIN, SealedModel


class SealedBid(ContractNet):
    """What can happen to a contract net; bids may be committed, and revealed rightly or not."""

    endings = (*ENDINGS, "reveal")

    @initialize(
        quorum=st.sampled_from([None, None, 1, 2]),
        settle=st.sampled_from([0.0, 2.0]),
        on_expiry=st.sampled_from(["decide", "decide", "no_award", "decide_if"]),
        second=st.booleans(),
        commit=st.sampled_from([True, True, False]),
        final=st.booleans(),
        confirm=st.booleans(),
        units=st.sampled_from([1, 1, 2]),
        reserve=st.sampled_from([None, 2.0]),
    )
    def call(
        self,
        quorum: int | None,
        settle: float,
        on_expiry: str,
        second: bool,
        commit: bool,
        final: bool,
        confirm: bool,
        units: int,
        reserve: float | None,
    ) -> None:
        confirm = confirm and not (second and units > 1)
        select = "vickrey" if second else "best"
        rules = Rules(
            AGENTS,
            quorum,
            settle,
            select,
            on_expiry,
            final,
            confirm,
            False,
            False,
            units,
            None,
            reserve,
        )
        self.model = SealedModel(rules, commit=commit)
        self.record_call = plays.make_call(
            protocol="sealed-bid",
            options={
                "price": "second" if second else "first",
                "commit": commit,
                "reveal_within": REVEAL_WITHIN,
            },
            policy={
                "quorum": Quorum(count=quorum or 0),
                "settle": settle,
                "select": "first",  # which the protocol overrules
                "on_expiry": on_expiry,
                "min_offers": 2,
                "final": "required" if final else "optional",
                "confirm": confirm,
            },
            max_awards=units,
            reserve=reserve,
        )
        self.begin()

    @rule(
        name=names,
        value=values,
        number=numbers,
        until=st.sampled_from([INFINITE, INFINITE, 1.0]),
        revocable=st.booleans(),
    )
    def offer(self, name: str, value: int, number: str, until: float, revocable: bool) -> None:
        if self.model.commit:
            until, revocable = INFINITE, False
        event = plays.offer(
            name,
            value,
            f"{name}-offer" if number == "1" else f"{name}-offer-2",
            valid_until=None if until == INFINITE else until,
            revocable=revocable,
        )
        said = self.overdue()
        bid = Bid(name, value, until, revocable)
        self.happens(event, said + self.model.shown(self.now, bid, event.msg_id, opens=False))

    @rule(name=names, value=values, number=numbers)
    def commit(self, name: str, value: int, number: str) -> None:
        event = plays.sealed(name, value, f"{name}-sealed-{number}")
        said = self.overdue()
        predicted = self.model.committed(self.now, name, value, event.msg_id)
        self.happens(event, said + predicted)
        if self.state.phase.value == "open":
            assert self.state.view().values == {}, "an operator sees no bid"

    @rule(name=names, number=numbers, honest=st.sampled_from([True, True, True, False]))
    def reveal(self, name: str, number: str, honest: bool) -> None:
        value = self.model.secret.get(name, 2) + (not honest)
        event = plays.reveal(name, value, f"{name}-shown-{number}")
        said = self.overdue()
        bid = Bid(name, value, INFINITE, False)
        self.happens(event, said + self.model.shown(self.now, bid, event.msg_id, opens=True))

    @rule(worth=st.permutations([1, 2, 3]), count=st.sampled_from([2, 3, 3]), equal=st.booleans())
    def several_commit(self, worth: list[int], count: int, equal: bool) -> None:
        """Chance alone seldom comes to a reveal."""
        for name, value in list(zip(AGENTS, worth, strict=True))[:count]:
            self.commit(name, 2 if equal else value, "1")

    @rule(order=st.permutations(AGENTS), count=st.sampled_from([1, 2, 3, 3]))
    def several_reveal(self, order: list[str], count: int) -> None:
        for name in order[:count]:
            self.reveal(name, "1", honest=True)

    def end(self, ending: str) -> None:
        if ending == "reveal":
            if not self.model.revealing:
                self.time_is_up(0.0, True)
            self.several_reveal(list(AGENTS), 3)
        super().end(ending)


TestSealedBidsDoWhatTheirModelPredicts = driven(SealedBid, 500)
