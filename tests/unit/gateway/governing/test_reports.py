"""Reports of what awards were worth, with a real admission and real shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.causes import Cause
from gateway.governance import Governance, GovernanceRules
from gateway.governing import reports as module
from gateway.governing.facts import Claimed
from gateway.governing.keeping import KeepError, KeptInMemory
from gateway.governing.kept_ratings import KeptRatings
from gateway.governing.reports import Reports
from gateway.members import Member
from gateway.outbox import Parcel
from llmx.v1.envelope_pb2 import Act
from policy.rating import RatingRule
from tests.support.gateway_parts import NOW, Parts, envelope, stream_of
from tests.support.kept_parts import kept

BOB, CAROL = "agent://bob", "agent://carol"


class Slow(KeptInMemory):
    """A keeper that answers when it may, or refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.refuses = False

    async def put(self, name: str, text: bytes) -> None:
        await self.open.wait()
        if self.refuses:
            raise KeepError("away")
        await super().put(name, text)


class Market:
    """Alice, who calls, and two who work for her."""

    def __init__(self, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.keeper = Slow()
        rules = GovernanceRules()
        self.governance = Governance(
            rules, "gw", b"s" * 32, self.parts.members, lambda: self.parts.now
        )
        self.governance.rule(self.parts.negotiations, self.parts.recorder)
        ratings = KeptRatings(self.keeper, RatingRule(), self.governance.know_rating)
        self.keeper.on_text = ratings.hear
        self.reports = Reports(self.governance.claims, ratings, lambda: self.parts.now)
        self.reports.listen(self.parts.negotiations)
        self.alice = self.parts.join("alice")
        self.workers = {name: self.parts.join(name) for name in ("bob", "carol")}
        self.sent = 0

    def act(self, name: str, act: Act, negotiation_id: str = "", *to: str, **body: Any) -> str:
        """Let somebody do something; returns what it was refused as, if it was at once."""
        self.sent += 1
        member = self.alice if name == "alice" else self.workers[name]
        message = envelope(
            name, act, *to, msg_id=f"m-{self.sent}", negotiation_id=negotiation_id, body=body
        )
        self.parts.admit(member, message)
        self.parts.run()
        codes = self.refusals(member)
        return codes.get(f"m-{self.sent}", "")

    def refusals(self, member: Member) -> dict[str, str]:
        """Return what an agent was refused, by msg_id."""
        told = stream_of(member)
        return dict(zip((one.msg_id for one in told.refusals), told.codes(), strict=True))

    def award(self, awards: int = 1, **call: Any) -> str:
        """Award the work of one or two; returns the negotiation."""
        asked = {"reply_within": 60, "max_awards": awards, "report_within": 60} | call
        assert not self.act("alice", Act.ACT_CFP, "", BOB, CAROL, **asked)
        named = stream_of(self.alice).opened[-1].negotiation_id
        for place, name in enumerate(self.workers, 1):
            assert not self.act(name, Act.ACT_OFFER, named, value=10 * place, claimed=40)
        return named

    def worked(self, awards: int = 1, **call: Any) -> str:
        """Award work, and have its end reported; returns the negotiation."""
        named = self.award(awards, **call)
        for name in list(self.workers)[:awards]:
            assert not self.act(name, Act.ACT_INFORM, named, done=True)
        return named

    def report(self, negotiation_id: str, realised: float = 20, **said: Any) -> str:
        return self.act("alice", Act.ACT_INFORM, negotiation_id, realised=realised, **said)

    def tasks(self, agent: str = BOB) -> int:
        return self.governance.ratings("acme").of(agent).tasks

    async def kept(self) -> None:
        """Let what is reported be kept, as far as that goes now."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def market(parts: Parts | None = None) -> AsyncIterator[Market]:
    made = Market(parts)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(made.reports.run())
        yield made
        keeping.cancel()


async def test_the_initiator_rates_the_work_of_its_award_once() -> None:
    async with market() as made:
        named = made.worked()
        assert made.report(named) == ""
        assert made.report(named) == "ALREADY_ANSWERED", "while the first is being kept"
        await made.kept()
        assert made.governance.ratings("acme").of(BOB).rating == pytest.approx(0.95)
        assert made.report(named, 0) == "ALREADY_ANSWERED"
        await made.kept()
        assert made.tasks() == 1 and made.reports.counted == 1
        assert repr(made.reports) == "<Reports: 1 counted, 0 waiting>"


async def test_a_report_counts_long_after_the_negotiation_is_forgotten() -> None:
    async with market() as made:
        named = made.award()
        made.parts.now += 3600
        made.parts.run()
        assert made.report(named) == ""
        await made.kept()
        assert made.tasks() == 1


async def test_the_frame_of_a_report_is_confirmed_in_a_durable_negotiation_too(
    tmp_path: Path,
) -> None:
    """Prices that wait for a report make a call durable. Else its initiator would hang for ever."""
    async with kept(tmp_path / "k.db") as parts, market(parts) as made, asyncio.timeout(5):
        asked = {"reply_within": 60, "max_awards": 1, "report_within": 60, "durable": True}

        async def act(name: str, act: Act, named: str = "", *to: str, **body: Any) -> str:
            made.sent += 1
            member = made.alice if name == "alice" else made.workers[name]
            msg_id = f"m-{made.sent}"
            one = envelope(name, act, *to, msg_id=msg_id, negotiation_id=named, body=body)
            await parts.send(member, one)
            return made.refusals(member).get(msg_id, "")

        assert not await act("alice", Act.ACT_CFP, "", BOB, CAROL, **asked)
        named = stream_of(made.alice).opened[-1].negotiation_id
        for name in made.workers:
            assert not await act(name, Act.ACT_OFFER, named, value=10, claimed=40)
        assert parts.durability.concerns(named)
        assert await act("alice", Act.ACT_INFORM, named, realised=20) == "WRONG_STATE"
        assert not await act("bob", Act.ACT_INFORM, named, done=True)
        assert await act("alice", Act.ACT_INFORM, named, realised=20) == ""
        assert made.tasks() == 1, "a frame is confirmed when its report is kept"
        assert await act("alice", Act.ACT_INFORM, named, realised=20) == "ALREADY_ANSWERED"


async def test_what_is_not_done_yet_cannot_be_judged() -> None:
    """Failed work can, and so can work that is not reported in time."""
    async with market() as made:
        named = made.award()
        assert made.report(named, 0) == "WRONG_STATE"
        assert not made.act("bob", Act.ACT_FAILURE, named, reason="power_cut")
        assert made.report(named, 0) == ""
        late = made.award()
        made.parts.now += 61
        made.parts.run()
        assert made.report(late, 0) == ""
        await made.kept()
        assert made.tasks() == 2


async def test_nobody_else_reports() -> None:
    """Only the award's initiator says what it was worth."""
    async with market() as made:
        named = made.award()
        assert made.act("carol", Act.ACT_INFORM, named, realised=0, agent=BOB) == "NOT_A_PARTY"
        assert made.act("bob", Act.ACT_INFORM, named, realised=99) == "", "its own work is done"
        await made.kept()
        assert made.tasks() == 0
        assert made.act("bob", Act.ACT_INFORM, named, realised=99) == "NOT_A_PARTY"


async def test_of_several_winners_one_is_named() -> None:
    async with market() as made:
        named = made.worked(2, policy="high")
        assert made.report(named) == "OPTIONS_INVALID"
        assert made.report(named, agent="agent://dave") == "OPTIONS_INVALID"
        assert made.report(named, agent=CAROL) == ""
        await made.kept()
        assert (made.tasks(), made.tasks(CAROL)) == (0, 1)


async def test_what_was_not_claimed_cannot_be_reported() -> None:
    async with market() as made:
        tag = made.alice.tenant.tag
        assert made.report(f"gw.0.0123456789abcdef{tag}") == "UNKNOWN_NEGOTIATION"
        assert not made.act("alice", Act.ACT_CFP, "", BOB, reply_within=60)
        named = stream_of(made.alice).opened[-1].negotiation_id
        assert made.report(named) == "WRONG_STATE"
        assert made.act("alice", Act.ACT_INFORM, named) == "NOT_A_PARTY", "no report of a value"


@pytest.mark.parametrize("realised", [float("inf"), 10**400, True])
async def test_a_value_that_cannot_be_counted_is_refused(realised: float) -> None:
    """Whatever a schema lets through, an agent's number ends no gateway."""
    async with market() as made:
        body = {"realised": realised}
        parcel = Parcel("m", b"", 0.0, "", "n", True)
        claim = Claimed("acme", "n", "agent://alice", BOB, 1.0, NOW)
        made.governance.believe(claim)
        fault = made.reports._enter("n", Cause(made.alice, parcel, body), body)
        assert fault is not None and fault.code == "OPTIONS_INVALID"


async def test_what_cannot_be_kept_is_refused_and_may_be_said_again() -> None:
    async with market() as made:
        named = made.worked()
        made.keeper.refuses = True
        assert made.report(named) == ""
        await made.kept()
        assert "STORE_UNAVAILABLE" in made.refusals(made.alice).values()
        assert made.tasks() == 0
        made.keeper.refuses = False
        assert made.report(named) == ""
        await made.kept()
        assert made.tasks() == 1


async def test_a_task_that_another_gateway_has_rated_is_told_so() -> None:
    async with market() as made:
        named = made.worked()
        made.keeper.open.clear()
        assert made.report(named) == ""
        await made.kept()
        elsewhere = KeptRatings(KeptInMemory(), RatingRule(), lambda *one: None)
        elsewhere._keeper = made.keeper  # the same texts
        made.keeper.open.set()
        await made.kept()
        assert not await elsewhere.rate("acme", BOB, 40, 20, f"{named}/{BOB}")
        assert made.tasks() == 1


async def test_only_so_many_reports_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 1)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    async with market() as made:
        made.keeper.open.clear()
        named = [made.worked() for _ in range(3)]
        assert made.report(named[0]) == ""
        await made.kept()  # it is being kept
        assert made.report(named[1]) == ""
        assert made.report(named[2]) == "OVERLOADED"
        made.keeper.open.set()
        await made.kept()
        assert made.tasks() == 2
