"""`llmx agent`: one contractor in this process, until Ctrl-C.

It writes a line for every call, offer and verdict; with `--json`, an object. Ctrl-C is how it
ends, so the exit code is 0 then.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import llmx
from gateway.commands.access import tls_of, token_of
from gateway.commands.interrupts import SIGNAL_EXIT, run
from gateway.commands.lifeline import ignore_line, listen
from gateway.commands.lines import clean, clock, compact, figure, say, show_notes, tell
from gateway.commands.plan import Plan
from gateway.commands.trouble import OK, CommandError, complain, explained
from llmx.channel import Tls
from llmx.concession import Concede
from llmx.v1.envelope_pb2 import Act, Envelope

CONNECT_SECONDS = 3.0
COUNTED_MAX = 100_000
VERDICTS = (Act.ACT_ACCEPT, Act.ACT_REJECT)
ENDINGS = (SIGNAL_EXIT + signal.SIGINT, SIGNAL_EXIT + signal.SIGTERM)


def serve(
    plan: Plan, gateway: str, token: str | None, tls: str | None, *, as_json: bool, until_eof: bool
) -> int:
    """Run a contractor; returns the exit code."""
    try:
        proof, roots = token_of(plan.agent, token), tls_of(tls)
        agent = Performer(plan, gateway, proof, roots, as_json=as_json)
        code = run(_serve(agent, as_json=as_json, until_eof=until_eof))
    except CommandError as error:
        return complain("agent", error)
    return OK if code in ENDINGS else code


async def _serve(agent: Performer, *, as_json: bool, until_eof: bool) -> int:
    released = asyncio.Event()
    if until_eof:
        listen(ignore_line, released.set)
    try:
        async with agent:
            show_notes(as_json=as_json)  # what comes before is told by the error
            agent.announce()
            async with asyncio.TaskGroup() as tasks:
                release = tasks.create_task(released.wait())
                closing = tasks.create_task(agent.closed())
                await asyncio.wait((release, closing), return_when=asyncio.FIRST_COMPLETED)
                release.cancel()
                closing.cancel()
            failure = None if closing.cancelled() else closing.result()
    except llmx.SessionError as error:
        raise explained(error, agent.gateway) from None
    if failure is not None:
        raise explained(failure, agent.gateway)
    return OK


class Performer(llmx.Agent):
    """A contractor that follows its plan and says what it does."""

    def __init__(
        self,
        plan: Plan,
        gateway: str,
        token: str | Callable[[], str],
        tls: Tls = None,
        *,
        as_json: bool,
    ) -> None:
        """Prepare; `async with` connects."""
        super().__init__(
            plan.agent,
            gateway,
            token=token,
            tls=tls,
            topics=plan.topics,
            capabilities=plan.capabilities,
            consents=plan.consents,
            connect_timeout=CONNECT_SECONDS,
        )
        self._plan = plan
        self._strategy = plan.build()
        self._as_json = as_json
        self._judged: Counter[str] = Counter()

    def announce(self) -> None:
        """Say that calls can come."""
        plan = self._plan
        topics = " ".join(f"topic://{topic}" for topic in plan.topics) or "no topic"
        params = ", ".join(f"{name}={compact(value, 60)}" for name, value in plan.params.items())
        self._say(
            "ready",
            f"{self.agent_id} listens to {topics} through {self.gateway} "
            f"({plan.strategy}{': ' if params else ''}{params}); Ctrl-C ends it",
            gateway=self.gateway,
            topics=plan.topics,
        )

    async def on_cfp(self, call: Any, /) -> Any:
        """Answer a call as the strategy says."""
        who, within = clean(call.initiator), figure(call.reply_within)
        self._note(
            "call",
            call.negotiation_id,
            f"from {who}: {compact(call.task) or 'no task'}; {within} s to answer",
            sender=call.initiator,
            task=call.task,
        )
        await asyncio.sleep(self._strategy.think())
        answer = self._strategy(call)
        if isinstance(answer, llmx.Refusal):
            self._note("declined", call.negotiation_id, answer.reason, reason=answer.reason)
            return answer
        if self._plan.first_offer_breaks:
            words = f"{figure(answer.value)} credits"
            self._offered(call.negotiation_id, answer, words)
            return replace(answer, value=cast(float, words))
        self._offered(call.negotiation_id, answer, answer.value)
        return answer

    async def on_bargain(self, bargain: Any, /) -> None:
        """Give way from one price to the other, and say how it ended."""
        prices = self._plan.bargain
        who = clean(bargain.other)
        self._note("bargain", bargain.negotiation_id, f"with {who}", other=bargain.other)
        if prices is None:
            await bargain.leave("no_prices")
            return
        strategy = Concede(start=prices["start"], limit=prices["limit"])
        outcome = await bargain.play(strategy)
        agreement = outcome.agreement
        value = None if agreement is None else agreement.value
        said = clean(outcome.reason) if value is None else f"agreed at {figure(value)}"
        self._note("ended", bargain.negotiation_id, said, by=outcome.ended_by, value=value)

    async def on_refused(self, refused: Any, offer: Any = None, /) -> Any:
        """Mend an offer whose price was written in words; give up on anything else."""
        value: object = offer.value
        mended = None
        if isinstance(value, str):
            mended = replace(offer, value=float(value.split()[0]))
        at = f" at {refused.pointer}" if refused.pointer else ""
        words = str(CommandError(refused.reason.rstrip("."), refused.remedy))
        self._note(
            "refused",
            refused.negotiation_id,
            f"{refused.code}{at}: {clean(words)}",
            code=refused.code,
            pointer=refused.pointer,
            reason=refused.reason,
            remedy=refused.remedy,
            mended=mended is not None,
        )
        if mended is not None:
            self._offered(refused.negotiation_id, mended, mended.value)
        return mended

    def on_outcome(self, verdict: Any, /) -> None:
        """Tell how it ended."""
        self._strategy.heard(verdict)
        price = verdict.price if verdict.price is not None else verdict.offer.value
        self._note(
            "verdict",
            verdict.negotiation_id,
            f"at {figure(price)}" if verdict.won else clean(verdict.reason or "no reason given"),
            word="won" if verdict.won else "lost",
            won=verdict.won,
            price=verdict.price,
            reason=verdict.reason,
        )

    def on_award(self, verdict: Any, /) -> dict[str, Any]:
        """Report the work as done, where the call asks for it."""
        return {"price": verdict.price}

    def _deliver(self, envelope: Envelope) -> bool:
        """Notice a second verdict too, which the library would keep to itself."""
        taken = super()._deliver(envelope)
        if taken and envelope.act in VERDICTS:
            if len(self._judged) >= COUNTED_MAX:
                self._judged.clear()
            self._judged[envelope.negotiation_id] += 1
            if self._judged[envelope.negotiation_id] > 1:
                self._note("verdict_again", envelope.negotiation_id, "a second verdict came")
        return taken

    def _offered(self, negotiation_id: str, offer: llmx.Offer, value: object) -> None:
        shown = figure(value) if isinstance(value, int | float) else compact(value)
        beside = compact(offer.conditions), compact(offer.terms)
        self._note(
            "offer",
            negotiation_id,
            " ".join((shown, *filter(None, beside))),
            value=value,
            conditions=offer.conditions,
            terms=offer.terms,
        )

    def _note(
        self, event: str, negotiation_id: str, text: str, *, word: str = "", **facts: Any
    ) -> None:
        line = f"{clock()}  {word or event:<8} {negotiation_id}  {text}"
        self._say(event, line, negotiation=negotiation_id, **facts)

    def _say(self, event: str, line: str, **facts: Any) -> None:
        if self._as_json:
            tell(event, agent=self.agent_id, **facts)
        else:
            say(line)
