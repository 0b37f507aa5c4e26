"""A contract net beside a model: what can happen to it, and how it can end.

The machines of protocols that are made of its rounds are derived from this one: they make another
call, and their models know what is heard in addition.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from policy.acceptance import Quorum
from policy.contract_net import Phase, State
from policy.effects import Effect, Finish, Tell
from tests.support import plays
from tests.support.contract_model import Model
from tests.support.contract_rules import INFINITE, Bid, Rules
from tests.support.model_machine import BesideAModel

AGENTS = ("bob", "carol", "dave")
names = st.sampled_from(AGENTS)
values = st.sampled_from([1, 2, 2, 3])
numbers = st.sampled_from(["1", "1", "2"])
ENDINGS = ("wait", "cancel", "confirm", "refuse", "accept", "think")


class ContractNet(BesideAModel):
    """What can happen between one that calls and those that answer."""

    endings = ENDINGS
    turns_max = 12

    @initialize(
        quorum=st.sampled_from([None, 1, 2, 3]),
        settle=st.sampled_from([0.0, 2.0]),
        select=st.sampled_from(["first", "best", "best", "vickrey"]),
        on_expiry=st.sampled_from(["decide", "decide", "no_award", "decide_if"]),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
        units=st.sampled_from([1, 1, 2]),
        report_within=st.sampled_from([None, 5.0]),
        reserve=st.sampled_from([None, 2.0]),
        window=st.sampled_from([None, 4.0]),
    )
    def call(
        self,
        quorum: int | None,
        settle: float,
        select: str,
        on_expiry: str,
        flags: tuple[bool, bool, bool, bool],
        units: int,
        report_within: float | None,
        reserve: float | None,
        window: float | None,
    ) -> None:
        final, confirm, record, decides = flags
        decides = decides and select != "vickrey"
        self.model = Model(
            Rules(
                AGENTS,
                quorum,
                settle,
                select,
                on_expiry,
                final,
                confirm,
                record,
                decides,
                units,
                report_within,
                reserve,
                plays.DEADLINE if window is None else window,
                plays.DEADLINE,
            )
        )
        self.record_call = plays.make_call(
            policy={
                "quorum": Quorum(count=quorum or 0),
                "settle": settle,
                "select": select,
                "on_expiry": on_expiry,
                "min_offers": 2,
                "final": "required" if final else "optional",
                "confirm": confirm,
                "late": "record" if record else "reject",
                "window": window,
            },
            deadline=None if window is None else plays.DEADLINE,
            decider="initiator" if decides else "engine",
            max_awards=units,
            report_within=report_within,
            reserve=reserve,
        )
        self.begin()

    @property
    def net(self) -> State:
        """The round that is played, or was the last."""
        net: State = getattr(self.state, "net", self.state)
        return net

    def compare(self, effects: list[Effect], predicted: list[str]) -> None:
        """Compare what was said, without order and reasons."""
        said = []
        for effect in effects:
            words = plays.words(effect)
            if words.startswith(("reject", "cancel", "outcome")):
                words = words.partition(":")[0]
            elif words.startswith("show"):
                words = "show alice"
            if not isinstance(effect, Finish):
                said.append(words)
        assert Counter(said) == Counter(predicted)

    @rule(
        name=names,
        value=values,
        number=numbers,
        until=st.sampled_from([INFINITE, INFINITE, 1.0, 12.0]),
        revocable=st.booleans(),
    )
    def offer(self, name: str, value: int, number: str, until: float, revocable: bool) -> None:
        event = plays.offer(
            name,
            value,
            f"{name}-offer" if number == "1" else f"{name}-offer-2",
            valid_until=None if until == INFINITE else until,
            revocable=revocable,
        )
        said = self.overdue()
        bid = Bid(name, value, until, revocable)
        self.happens(event, said + self.model.offer(self.now, bid, event.msg_id))

    @rule(name=names, number=numbers)
    def refuse(self, name: str, number: str) -> None:
        event = plays.refusal(name, f"{name}-no-{number}")
        said = self.overdue()
        self.happens(event, said + self.model.refuse(self.now, name, event.msg_id))

    @rule(
        name=st.sampled_from([*AGENTS, *AGENTS, "alice"]),
        seconds=st.sampled_from([0.5, 3.0, 3.0, 100.0]),
        number=numbers,
    )
    def think(self, name: str, seconds: float, number: str) -> None:
        event = plays.thinking(name, seconds, f"{name}-thinks-{number}")
        said = self.overdue()
        self.happens(event, said + self.model.think(self.now, name, seconds, event.msg_id))

    @rule(name=names)
    def gone(self, name: str) -> None:
        said = self.overdue()
        self.happens(plays.gone(name), said + self.model.gone(self.now, name))

    @rule(name=names, number=numbers)
    def accept(self, name: str, number: str) -> None:
        said = self.overdue()
        bid = self.model.said.get(name) or self.model.late.get(name)
        event = plays.accept(name, msg_id=f"accept-{name}-{number}")
        if bid not in (None, event.offer_id):
            event = type(event)(event.sender, event.msg_id, str(bid))
        self.happens(event, said + self.model.accept(self.now, name, event.msg_id))

    @rule(number=numbers)
    def reject_all(self, number: str) -> None:
        event = plays.reject("", msg_id=f"reject-{number}")
        said = self.overdue()
        self.happens(event, said + self.model.reject_all(self.now, event.msg_id))

    @rule(name=names, number=numbers)
    def confirm(self, name: str, number: str) -> None:
        said = self.overdue()
        event = plays.confirmation(name, self.model.said.get(name) or "", f"{name}-yes-{number}")
        self.happens(event, said + self.model.confirm(self.now, name, event.msg_id))

    @rule(name=names, number=numbers)
    def withdraw(self, name: str, number: str) -> None:
        event = plays.cancellation(name, msg_id=f"{name}-back-{number}")
        said = self.overdue()
        self.happens(event, said + self.model.withdraw(self.now, name, event.msg_id))

    @rule(number=numbers, sure=st.sampled_from([True, False, False, False]))
    def cancel(self, number: str, sure: bool) -> None:
        if sure:  # not every other time, or little else would happen
            event = plays.cancellation(msg_id=f"stop-{number}")
            said = self.overdue()
            self.happens(event, said + self.model.cancel(self.now, event.msg_id))

    @rule(name=names, number=numbers, succeeded=st.booleans())
    def report(self, name: str, number: str, succeeded: bool) -> None:
        event = plays.report(name, succeeded, f"{name}-report-{number}")
        said = self.overdue()
        self.happens(event, said + self.model.report(name, event.msg_id, succeeded))

    @rule(worth=st.permutations([1, 2, 3]), count=st.sampled_from([2, 3, 3]))
    def several_offer(self, worth: list[int], count: int) -> None:
        """Chance alone seldom fills a round."""
        for name, value in list(zip(AGENTS, worth, strict=True))[:count]:
            self.offer(name, value, "1", INFINITE, revocable=False)

    def end_turn(self, ending: str, turn: int) -> None:
        number = f"last-{turn}"
        if ending == "cancel":
            self.cancel("last", True)
        for name in AGENTS:
            if ending == "confirm":
                self.confirm(name, number)
            elif ending == "refuse":
                self.refuse(name, number)
            elif ending == "accept":
                self.accept(name, number)
                self.confirm(name, number)
                self.report(name, number, turn % 2 == 0)
            elif ending == "think":
                self.think(name, 100.0, number)
                self.think("alice", 100.0, number)

    def check_whole(self, effects: list[Effect]) -> None:
        """Each offer has one verdict, and nobody is accepted after a cancel."""
        super().check_whole(effects)
        rules, state = self.model.rules, self.net
        tells = [e for e in effects if isinstance(e, Tell)]
        verdicts = Counter(t.recipient for t in tells if t.act in ("accept", "reject"))
        assert all(count == 1 for count in verdicts.values()), "one verdict each"
        cancelled = [n for n, t in enumerate(tells) if t.body.get("reason") == "cancelled"]
        assert not any(t.act == "accept" for t in tells[min(cancelled, default=len(tells)) :])
        assert state.course is not None and state.course.outcome is not None
        assert len(state.course.awards) <= rules.units
        offered = {f"agent://{name}" for name in AGENTS if state.answers.get(f"agent://{name}")}
        offered -= state.aside.declined | state.aside.withdrawn
        if rules.final and state.phase is not Phase.CANCELLED:
            assert offered <= set(verdicts), "who offered heard accept or reject"
