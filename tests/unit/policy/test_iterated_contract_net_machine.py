"""The iterated contract net beside its model, whatever happens, over one to three rounds."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from policy.acceptance import Quorum
from tests.support import plays
from tests.support.contract_machine import AGENTS, ENDINGS, ContractNet, names, numbers, values
from tests.support.contract_rules import INFINITE, Bid, Rules
from tests.support.iterated_model import IteratedModel
from tests.support.model_machine import driven


class IteratedContractNet(ContractNet):
    """What can happen to a contract net, and calls to another round."""

    endings = (*ENDINGS, "revise")

    @initialize(
        quorum=st.sampled_from([None, None, 1, 2]),
        final=st.booleans(),
        confirm=st.booleans(),
        units=st.sampled_from([1, 1, 2]),
        on_expiry=st.sampled_from(["decide", "decide", "no_award"]),
        reserve=st.sampled_from([None, 2.0]),
        rounds_max=st.sampled_from([1, 2, 3, 3]),
    )
    def call(
        self,
        quorum: int | None,
        final: bool,
        confirm: bool,
        units: int,
        on_expiry: str,
        reserve: float | None,
        rounds_max: int,
    ) -> None:
        rules = Rules(
            AGENTS,
            quorum,
            0.0,
            "best",
            on_expiry,
            final,
            confirm,
            False,
            True,
            units,
            None,
            reserve,
        )
        self.model = IteratedModel(rules, rounds_max=rounds_max)
        self.record_call = plays.make_call(
            protocol="iterated-contract-net",
            options={"rounds_max": rounds_max},
            policy={
                "quorum": Quorum(count=quorum or 0),
                "on_expiry": on_expiry,
                "final": "required" if final else "optional",
                "confirm": confirm,
            },
            decider="initiator",
            max_awards=units,
            reserve=reserve,
        )
        self.begin()
        self.called = 0

    @rule(
        name=names,
        value=values,
        number=numbers,
        until=st.sampled_from([INFINITE, INFINITE, 1.0]),
        revocable=st.booleans(),
        of_earlier=st.sampled_from([False, False, False, True]),
    )
    def offer(
        self,
        name: str,
        value: int,
        number: str,
        until: float,
        revocable: bool,
        of_earlier: bool = False,
    ) -> None:
        said = self.overdue()
        round_ = max(1, self.model.number - of_earlier)
        event = plays.offer(
            name,
            value,
            f"{name}-offer-{round_}-{number}",
            valid_until=None if until == INFINITE else until,
            revocable=revocable,
        )
        bid = Bid(name, value, until, revocable)
        self.happens(event, said + self.model.offer(self.now, bid, event.msg_id))

    @rule(
        chosen=st.sampled_from(["all", "all", "but one", "and one", "nobody"]),
        plus=st.sampled_from([None, 1, 1, 1, 2]),
        within=st.sampled_from([0.0, 4.0, 4.0, 4.0]),
        again=st.sampled_from([False, False, False, True]),
    )
    def revise(self, chosen: str, plus: int | None, within: float, again: bool) -> None:
        said = self.overdue()
        stand = [bid.agent for bid in self.model.bids if bid.agent not in self.model.out]
        others = [name for name in AGENTS if name not in stand]
        among = {"all": stand, "but one": stand[1:], "and one": stand + others[:1], "nobody": []}
        invited = [name for name in AGENTS if name in among[chosen]]
        self.called += not again
        number = 0 if plus is None else self.model.number + plus
        until = self.now + within
        event = plays.revision(
            " ".join(invited),
            number,
            closes_at=until,
            deadline=until,
            msg_id=f"revised-{self.called}",
        )
        predicted = self.model.revise(self.now, invited, number, until, event.msg_id)
        self.happens(event, said + predicted)
        assert self.state.terms.round == self.model.number <= self.model.rounds_max

    @rule(
        chosen=st.sampled_from(["all", "but one", "and one"]),
        late=st.booleans(),
        lapsed=st.sampled_from([False, False, True]),
    )
    def another_round(self, chosen: str, late: bool, lapsed: bool) -> None:
        """Chance alone seldom comes to a second round, and less often to a third."""
        if self.model.phase == "open":
            agents = self.model.rules.agents
            for name in agents[1:] if late else agents:
                self.offer(name, 2, "1", INFINITE, revocable=False)
            if late:
                self.time_is_up(0.0, True)
                self.offer(agents[0], 2, "1", INFINITE, revocable=False)
        if lapsed:
            self.accept(AGENTS[2], f"lapsed-{self.model.number}")
            self.refuse(AGENTS[2], f"lapsed-{self.model.number}")
        self.revise(chosen, 1, 4.0, False)
        for name in AGENTS if late else ():
            self.offer(name, 2, "1", INFINITE, revocable=False, of_earlier=True)

    def end(self, ending: str) -> None:
        if ending == "revise":
            for turn in range(3):
                self.another_round("but one" if turn == 1 else "all", turn == 0, False)
        super().end(ending)


TestAnIteratedContractNetDoesWhatItsModelPredicts = driven(IteratedContractNet, 400)
