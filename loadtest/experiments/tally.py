"""From rounds to figures: rows for the files, and what a table needs of each case.

Four latencies, which the paper does not tell apart, all in milliseconds:

    offer      call due -> an offer of that call heard by Alice; most likely the paper's
    decision   call due -> its outcome heard by Alice
    msg        call admitted by the gateway -> call heard by a contractor
    ack        call due -> Alice heard that a contractor has acknowledged it; real time only
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from loadtest.experiments.cases import Case
from loadtest.experiments.cast import Cast, Round
from loadtest.experiments.round_facts import facts_of
from loadtest.figures import percentile
from loadtest.run_records import Cell, RunRecord
from policy.jain import evenness

MINUTE = 60.0


@dataclass(slots=True)
class Minute:
    """What was called in one minute, and what it came to."""

    calls: int = 0
    decided: int = 0
    offers: int = 0
    offer_ms: array[float] = field(default_factory=lambda: array("d"))
    decision_ms: array[float] = field(default_factory=lambda: array("d"))
    rss_bytes: int | None = None
    """The most memory that the gateway had; None in simulated time."""
    open_files: int | None = None
    gateway_cpu: float | None = None
    """The part of one core that the gateway used, without its workers."""
    workers_cpu: float | None = None
    """The part of one core that its workers used together."""
    own_cpu: float | None = None
    """The part of one core that the agents, all in one process, used."""
    machine_cpu: float | None = None
    """The part of all cores that whatever runs on this machine used."""


@dataclass(slots=True)
class Agent:
    """What one contractor did and got."""

    called: int = 0
    offers: int = 0
    awards: int = 0
    rejects: int = 0
    offer_ms: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class Tally:
    """The figures of one case, as rounds are over."""

    case: Case
    record: RunRecord
    begins_at: float = 0.0
    """What the clock said when the run began."""
    cast: Cast | None = None
    calls: int = 0
    rounds: int = 0
    """Calls that came to an outcome."""
    within: int = 0
    """Outcomes heard while the case was measured, whenever their calls were."""
    judged_in_workers: int | None = None
    """Payloads that the gateway gave to its workers; None where nobody asked it."""
    frames_per_call: float | None = None
    """Frames that the gateway received and sent, by the calls; None where nobody asked it."""
    offers: int = 0
    """Valid offers that contractors made, whenever they came."""
    in_time: int = 0
    late: int = 0
    """Offers that came after the close: rejected, recorded, or refused as LATE."""
    malformed: int = 0
    accepts: int = 0
    rejects: int = 0
    cancels: int = 0
    confirms: int = 0
    awarded: int = 0
    complete: int = 0
    """Rounds that every eligible agent had answered when they closed."""
    empty: int = 0
    """Rounds that nobody offered to, in time or late."""
    lost: int = 0
    """Calls without an outcome, and offers without a verdict where one is due."""
    double_finals: int = 0
    """Outcomes and verdicts that came in addition to the first, under another msg_id."""
    copies: int = 0
    wrong_awards: int = 0
    """Awards to what was malformed, late, or not the first offer of its agent."""
    odd_offers: int = 0
    """Rounds in which the offers are not as many as the contractors."""
    utility: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    policies: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By the label that outcomes name: the first and the last moment of a call that got it."""
    offer_ms: array[float] = field(default_factory=lambda: array("d"))
    round_ms: array[float] = field(default_factory=lambda: array("d"))
    """The mean offer latency of each round."""
    decision_ms: array[float] = field(default_factory=lambda: array("d"))
    msg_ms: array[float] = field(default_factory=lambda: array("d"))
    ack_ms: array[float] = field(default_factory=lambda: array("d"))
    called_at: array[float] = field(default_factory=lambda: array("d"))
    """When measured calls were due, from the end of the warm-up."""
    lag_ms: array[float] = field(default_factory=lambda: array("d"))
    """How late the agents' own process was for each call; empty in simulated time."""
    straddling: Counter[str] = field(default_factory=Counter)
    """Rounds that were open when the profile was switched, by the label of their outcome."""
    agents: dict[str, Agent] = field(default_factory=dict)
    minutes: dict[int, Minute] = field(default_factory=dict)

    def close(self, round_: Round) -> None:
        """Take up a round that is over, or never will be."""
        called_at = round_.called_at - self.begins_at
        warm_up = self.case.is_warm_up(called_at)
        verdicts = Counter(
            act for told in round_.verdicts.values() for act in list(told.values())[:1]
        )
        facts = facts_of(round_)
        outcome = round_.outcome or {}
        offer_ms = sorted((at - round_.called_at) * 1e3 for at in round_.received.values())
        opened_at = outcome.get("opened_at")
        msg_ms = [] if opened_at is None else [(at - opened_at) * 1e3 for at in _moments(round_)]
        ack_ms = [(at - round_.called_at) * 1e3 for at in round_.acked.values()]
        decision_ms = (
            None if round_.decided_at is None else (round_.decided_at - round_.called_at) * 1e3
        )
        row: dict[str, Cell] = {
            **head(self.case),
            "round": round_.number,
            "warm_up": warm_up,
            "msg_id": round_.msg_id,
            "negotiation_id": round_.negotiation_id,
            "called_at": called_at,
            "state": outcome.get("state", "unfinished"),
            "reason": outcome.get("reason", ""),
            "closed_by": outcome.get("closed_by", ""),
            "policy": outcome.get("policy", ""),
            "eligible": len(round_.heard),
            "offers": facts.offers,
            "in_time": facts.in_time,
            "late": facts.late,
            "malformed": outcome.get("malformed", 0),
            "complete": bool(outcome.get("complete", False)),
            "accepts": verdicts["accept"],
            "rejects": verdicts["reject"],
            "confirms": round_.confirms,
            "offer_mean_ms": fmean(offer_ms) if offer_ms else None,
            "offer_p95_ms": percentile(offer_ms, 95) if offer_ms else None,
            "decision_ms": decision_ms,
            "msg_mean_ms": fmean(msg_ms) if msg_ms else None,
            "ack_mean_ms": fmean(ack_ms) if ack_ms else None,
            "winner": facts.winner,
            "price": facts.price,
            "utility": facts.utility,
            "lost": facts.lost,
            "double_finals": facts.double_finals,
        }
        self.record.row("rounds", row)
        # What must never happen counts in the warm-up too.
        self.lost += facts.lost
        self.double_finals += facts.double_finals
        self.wrong_awards += facts.wrong_award
        self.copies += round_.copies
        if round_.decided_at is not None:
            over_at = round_.decided_at - self.begins_at - self.case.warm_up
            self.within += 0 <= over_at < self.case.seconds
        if warm_up:
            return
        self.calls += 1
        self.rounds += bool(outcome)
        self.offers += facts.offers
        self.in_time += facts.in_time
        self.late += facts.late
        self.malformed += int(outcome.get("malformed", 0))
        self.accepts += verdicts["accept"]
        self.rejects += verdicts["reject"]
        self.cancels += verdicts["cancel"]
        self.confirms += round_.confirms
        self.awarded += bool(facts.winner)
        self.complete += bool(outcome.get("complete", False))
        self.empty += not facts.offers
        self.odd_offers += facts.offers != self.case.contractors
        self.utility += facts.utility
        self.refusals.update(code for _, code in round_.refusals)
        self.called_at.append(called_at - self.case.warm_up)
        label = str(outcome.get("policy", ""))
        if self._straddles(round_, called_at):
            self.straddling[label] += 1
        first, last = self.policies.get(label, (called_at, called_at))
        self.policies[label] = (min(first, called_at), max(last, called_at))
        self.offer_ms.extend(offer_ms)
        self.msg_ms.extend(msg_ms)
        self.ack_ms.extend(ack_ms)
        if offer_ms:
            self.round_ms.append(fmean(offer_ms))
        minute = self.minute(called_at)
        minute.calls += 1
        minute.offers += facts.offers
        minute.offer_ms.extend(offer_ms)
        if decision_ms is not None:
            minute.decided += 1
            minute.decision_ms.append(decision_ms)
            self.decision_ms.append(decision_ms)
        self._agents(round_, facts.winner)

    def _straddles(self, round_: Round, called_at: float) -> bool:
        switch = self.case.switch
        if switch is None or round_.decided_at is None:
            return False
        at = self.case.warm_up + switch.at
        return called_at < at < round_.decided_at - self.begins_at

    def minute(self, at: float) -> Minute:
        """Return the minute of a moment, counted from the end of the warm-up."""
        return self.minutes.setdefault(int((at - self.case.warm_up) // MINUTE), Minute())

    def _agents(self, round_: Round, winner: str) -> None:
        for name in round_.heard:
            agent = self.agents.setdefault(name, Agent())
            agent.called += 1
            agent.offers += name in round_.offered
            agent.awards += name == winner
            agent.rejects += "reject" in list(round_.verdicts.get(name, {}).values())[:1]
            if name in round_.received:
                agent.offer_ms.append((round_.received[name] - round_.called_at) * 1e3)

    def end(self) -> None:
        """Write the rows of agents and minutes; no round follows."""
        for name, agent in sorted(self.agents.items()):
            ordered = sorted(agent.offer_ms)
            self.record.row(
                "agents",
                {
                    **head(self.case),
                    "agent": name,
                    "called": agent.called,
                    "offers": agent.offers,
                    "awards": agent.awards,
                    "rejects": agent.rejects,
                    "offer_mean_ms": fmean(ordered) if ordered else None,
                    "offer_p95_ms": percentile(ordered, 95) if ordered else None,
                },
            )
        for number in range(int(self.case.seconds // MINUTE)):
            self.minutes.setdefault(number, Minute())  # in which nobody called
        for number, minute in sorted(self.minutes.items()):
            offers, decisions = sorted(minute.offer_ms), sorted(minute.decision_ms)
            self.record.row(
                "per_minute",
                {
                    **head(self.case),
                    "minute": number,
                    "calls": minute.calls,
                    "offers": minute.offers,
                    "decided": minute.decided,
                    "offer_p50_ms": percentile(offers, 50),
                    "offer_p95_ms": percentile(offers, 95),
                    "decision_p50_ms": percentile(decisions, 50),
                    "decision_p95_ms": percentile(decisions, 95),
                    "rss_bytes": minute.rss_bytes,
                    "open_files": minute.open_files,
                    "gateway_cpu": minute.gateway_cpu,
                    "workers_cpu": minute.workers_cpu,
                    "own_cpu": minute.own_cpu,
                    "machine_cpu": minute.machine_cpu,
                },
            )

    # ------------------------------------------------------------------ figures

    @property
    def completeness(self) -> float:
        """Return which part of the answers that were to come were there at the close."""
        due = self.calls * self.case.contractors
        return self.in_time / due if due else 0.0

    @property
    def agent_means(self) -> list[float]:
        """Return the mean offer latency of each contractor that had one."""
        return [fmean(agent.offer_ms) for agent in self.agents.values() if agent.offer_ms]

    def figures(self) -> dict[str, float | int | str | None]:
        """Return what there is to say of the case, in plain values."""
        means = self.agent_means
        seconds = self.case.seconds
        p95s = [percentile(sorted(one.offer_ms), 95) for one in self.agents.values()]
        return {
            **head(self.case),
            "calls": self.calls,
            "rounds": self.rounds,
            "complete_rounds": self.complete,
            "empty_rounds": self.empty,
            "offers": self.offers,
            "in_time": self.in_time,
            "late": self.late,
            "malformed": self.malformed,
            "confirms": self.confirms,
            "accepts": self.accepts,
            "rejects": self.rejects,
            "awarded": self.awarded,
            "completeness": self.completeness,
            "utility": self.utility / self.calls if self.calls else 0.0,
            "lost": self.lost,
            "double_finals": self.double_finals,
            "wrong_awards": self.wrong_awards,
            "copies": self.copies,
            "offer_mean_ms": _mean(self.offer_ms),
            "offer_p50_ms": _share(self.offer_ms, 50),
            "offer_p95_ms": _share(self.offer_ms, 95),
            "round_mean_ms": _mean(self.round_ms),
            "agent_mean_ms": _mean(means),
            "agent_sd_ms": pstdev(means) if means else None,
            "agent_p95_ms": _mean([p95 for p95 in p95s if p95 == p95]),
            "decision_mean_ms": _mean(self.decision_ms),
            "decision_p50_ms": _share(self.decision_ms, 50),
            "decision_p95_ms": _share(self.decision_ms, 95),
            "msg_mean_ms": _mean(self.msg_ms),
            "ack_mean_ms": _mean(self.ack_ms),
            "own_lag_p99_ms": _share(self.lag_ms, 99),
            "rounds_per_second": self.within / seconds,
            "judged_in_workers": self.judged_in_workers,
            "frames_per_call": self.frames_per_call,
            "gateway_cpu": self._most("gateway_cpu"),
            "workers_cpu": self._most("workers_cpu"),
            "own_cpu": self._most("own_cpu"),
            "machine_cpu": self._most("machine_cpu"),
            "messages_per_second": self.messages / seconds,
            "jain_offers": evenness(one.offers for one in self.agents.values()).index,
            "jain_awards": evenness(one.awards for one in self.agents.values()).index,
        }

    def _most(self, name: str) -> float | None:
        seen = [getattr(minute, name) for minute in self.minutes.values()]
        return max((value for value in seen if value is not None), default=None)

    @property
    def messages(self) -> int:
        """Return how many messages crossed a wire: calls, offers, what the gateway told."""
        called = sum(agent.called for agent in self.agents.values())
        heard = len(self.offer_ms)
        told = self.accepts + self.rejects + self.cancels + self.rounds
        return self.calls + called + self.offers + heard + told + self.confirms


def head(case: Case) -> dict[str, Cell]:
    """Return the columns by which rows of all files find together."""
    return {
        "case": case.name,
        "profile": case.profile,
        "contractors": case.contractors,
        "rate": case.rate,
        "seed": case.seed,
        "fault": case.faults.name,
    }


def _moments(round_: Round) -> list[float]:
    return list(round_.heard.values())


def _mean(values: array[float] | list[float]) -> float | None:
    return fmean(values) if values else None


def _share(values: array[float], percent: float) -> float | None:
    return percentile(sorted(values), percent) if values else None
