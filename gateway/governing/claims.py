"""What agents have claimed of the work that they were awarded, until somebody has said the truth.

Only calls that want a report of the work (`report_within`) leave claims: that report ends the
award, and then its initiator may say what the work was worth. Claims are kept for a while only;
of too many the oldest are forgotten, and cannot be reported any more.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.governing.facts import Claimed
from gateway.refusals import Fault

CLAIMS_MAX = 50_000

UNCLAIMED = Fault(
    "WRONG_STATE",
    "nothing is known that was claimed in this negotiation",
    "report what an award was worth that your call has made; the call must have report_within",
    "/envelope/act",
)
NOT_YOURS = Fault(
    "NOT_A_PARTY",
    "only the initiator of an award says what it was worth",
    "leave realised out, or report awards of your own calls",
    "/payload/realised",
)
WHOSE = Fault(
    "OPTIONS_INVALID",
    "the award is not clear: the negotiation has several, or none for this agent",
    "name in agent one of the winners that the outcome has named",
    "/payload/agent",
)


class Claims:
    """Claims that can still be reported."""

    def __init__(self, keep_seconds: float, claims_max: int = CLAIMS_MAX) -> None:
        """Keep claims for so many seconds."""
        self._keep = keep_seconds
        self._claims_max = claims_max
        self._claims: OrderedDict[tuple[str, str], Claimed] = OrderedDict()
        self._agents: dict[str, list[str]] = {}

    def __len__(self) -> int:
        """Return how many claims can be reported."""
        return len(self._claims)

    def note(self, claim: Claimed) -> None:
        """Keep a claim; one that is known changes nothing."""
        key = claim.negotiation_id, claim.agent
        if key in self._claims:
            return
        self._claims[key] = claim
        self._agents.setdefault(claim.negotiation_id, []).append(claim.agent)
        while len(self._claims) > self._claims_max:
            self._forget_oldest()
        self.forget(claim.at)

    def forget(self, now: float) -> None:
        """Forget the claims that are too old to be reported now."""
        while self._claims and self._is_over(now):
            self._forget_oldest()

    def knows(self, negotiation_id: str) -> bool:
        """Tell whether something was claimed in a negotiation."""
        return negotiation_id in self._agents

    def claim(self, negotiation_id: str, reporter: str, agent: str | None) -> Claimed | Fault:
        """Return the claim that a report is about, or why there is none for this reporter.

        `agent` may be left out where one agent was awarded.
        """
        agents = self._agents.get(negotiation_id)
        if not agents:
            return UNCLAIMED
        if self._claims[negotiation_id, agents[0]].initiator != reporter:
            return NOT_YOURS
        named = agents[0] if agent is None and len(agents) == 1 else agent
        found = None if named is None else self._claims.get((negotiation_id, named))
        return WHOSE if found is None else found

    def _is_over(self, now: float) -> bool:
        oldest = next(iter(self._claims.values()))
        return oldest.at < now - self._keep

    def _forget_oldest(self) -> None:
        (negotiation_id, agent), _ = self._claims.popitem(last=False)
        agents = self._agents[negotiation_id]
        agents.remove(agent)
        if not agents:
            del self._agents[negotiation_id]
