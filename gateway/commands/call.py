"""`llmx call`: one call for proposals, its offers as they arrive, and its outcome.

Several policies are several negotiations of the same call, one after the other.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llmx
from gateway.commands.access import agent_named_in, check_agent, tls_of, token_of
from gateway.commands.bargain import Prices, bargain
from gateway.commands.holdings import held, refusal_words
from gateway.commands.interrupts import run
from gateway.commands.json_files import Policy, read_object
from gateway.commands.lifeline import listen
from gateway.commands.lines import clean, compact, figure, say, show_notes, tell
from gateway.commands.trouble import (
    FAILED,
    NO_AWARD,
    OK,
    CommandError,
    complain,
    explained,
)

CONNECT_SECONDS = 3.0
INITIATOR_DEFAULT = "agent://alice"
PLACEHOLDERS = {"msg_id": "call", "ts": "2000-01-01T00:00Z", "from": INITIATOR_DEFAULT, "to": []}


@dataclass(frozen=True, slots=True)
class Order:
    """A call as it was asked for on the command line."""

    body: Mapping[str, Any]
    to: tuple[str, ...]
    sender: str
    capabilities: tuple[str, ...] = ()
    consent: str = ""
    ttl: float | None = None
    durable: bool = False
    prices: Prices | None = None
    """How far a call for a bargain goes; None for any other."""


def order_of(
    path: Path,
    to: Sequence[str],
    sender: str | None,
    token: str | None = None,
    *,
    durable: bool = False,
) -> Order:
    """Return the call in a file: a payload, or the paper's envelope with a payload.

    What the command line says goes before what the envelope says. Raises CommandError.
    """
    written = read_object(path)
    if "envelope" not in written and "payload" not in written:
        head: dict[str, Any] = {}
        body: Any = written
    else:
        head, body = _envelope(written, str(path))
    act = body.get("act", "cfp") if isinstance(body, dict) else None
    if not isinstance(act, str) or act.lower() != "cfp":
        raise CommandError(f"{path} holds no call", "a call has the act cfp, or none")
    recipients = tuple(to) or tuple(head.get("to", ()))
    if not recipients:
        raise CommandError("nobody is called", "say whom with --to topic://gpu")
    spoken_for = agent_named_in(token) if token else None
    scope = head.get("scope", {})
    return Order(
        body,
        recipients,
        check_agent(sender or spoken_for or head.get("from") or INITIATOR_DEFAULT),
        tuple(head.get("capabilities", ())),
        scope.get("consent", ""),
        scope.get("ttl"),
        durable or head.get("durable", False),
    )


def _envelope(written: Mapping[str, Any], name: str) -> tuple[dict[str, Any], Any]:
    """Return the two halves of the paper's form, once they are known to be right."""
    from gateway.paper_form import PaperFormError, from_json

    head, body = written.get("envelope"), written.get("payload")
    filled = dict(written)
    if isinstance(head, dict):
        filled["envelope"] = {**PLACEHOLDERS, **head}
    if isinstance(body, dict):
        filled["payload"] = {"$schema": llmx.NEGOTIATION_SCHEMA, **body}
    try:
        from_json(filled)
    except PaperFormError as error:
        raise CommandError(f"{name}: {error}") from None
    assert isinstance(head, dict), "the form has an envelope"
    return head, body


def call(
    order: Order,
    policies: Sequence[Policy | None],
    gateway: str,
    token: str | None,
    tls: str | None,
    *,
    as_json: bool,
    step: bool,
) -> int:
    """Call under each of the policies; returns the exit code of the worst."""
    show = Telling() if as_json else Showing()
    try:
        agent = llmx.Agent(
            order.sender,
            gateway,
            token=token_of(order.sender, token),
            tls=tls_of(tls),
            connect_timeout=CONNECT_SECONDS,
        )
        return run(_call(agent, order, policies, show, step=step))
    except CommandError as error:
        return complain("call", error)


async def _call(
    agent: llmx.Agent,
    order: Order,
    policies: Sequence[Policy | None],
    show: Showing,
    *,
    step: bool,
) -> int:
    codes: list[int] = []
    steps = asyncio.Semaphore(0)
    if step:
        this = asyncio.current_task()
        assert this is not None, "a command runs in a task"
        listen(steps.release, lambda: _leave(this))
    try:
        async with agent:
            show_notes(as_json=isinstance(show, Telling))
            show.ready(order, agent.gateway)
            for policy in policies:
                if step:
                    await steps.acquire()
                codes.append(await _negotiate(agent, order, policy, show))
    except llmx.LlmxError as error:
        raise explained(error, agent.gateway) from None
    return FAILED if FAILED in codes else max(codes, default=OK)


def _leave(command: asyncio.Task[Any]) -> None:
    """Leave as after Ctrl-C: whoever held our standard input has let go."""
    command.cancel()


async def _negotiate(agent: llmx.Agent, order: Order, policy: Policy | None, show: Showing) -> int:
    if order.prices is not None:
        return await _bargain(agent, order, order.prices, show)
    negotiation = agent.negotiate(
        order.body,
        to=order.to,
        policy=policy,
        capabilities=order.capabilities,
        consent=order.consent,
        ttl=order.ttl,
        durable=order.durable,
    )
    began = time.monotonic()
    try:
        async with negotiation:
            async for event in negotiation:
                show.event(event, order, (time.monotonic() - began) * 1000)
                if isinstance(event, llmx.Ranked):
                    await _decide(negotiation, event)
            if "report_within" in order.body:
                for report in await negotiation.reports():
                    show.event(report, order, (time.monotonic() - began) * 1000)
    except llmx.Refused as error:
        show.refused(error)
        return FAILED
    except asyncio.CancelledError:
        if negotiation.negotiation_id and negotiation.outcome is None:
            show.cancelled(negotiation.negotiation_id)
        raise
    outcome = negotiation.outcome
    return OK if outcome is not None and outcome.winners else NO_AWARD


async def _bargain(agent: llmx.Agent, order: Order, prices: Prices, show: Showing) -> int:
    try:
        return await bargain(
            agent,
            order.body,
            order.to[0],
            prices,
            consent=order.consent,
            durable=order.durable,
            as_json=isinstance(show, Telling),
        )
    except llmx.Refused as error:
        show.refused(error)
        return FAILED


async def _decide(negotiation: llmx.Negotiation, ranked: llmx.Ranked) -> None:
    """Decide where the call says that the initiator does: the first of the ranking wins.

    While more rounds may follow, all that could win are called again.
    """
    able = [offer for offer in ranked.offers if offer.rank is not None]
    if not able:
        await negotiation.reject(reason="none_chosen")
    elif ranked.turn is not None and ranked.turn.rounds_left:
        await negotiation.revise(able)
    else:
        await negotiation.accept(able[0])


class Showing:
    """Lines for people."""

    def ready(self, order: Order, gateway: str) -> None:
        """Say that a call can be sent."""

    def refused(self, error: llmx.Refused) -> None:
        """Say that the gateway did not take the call, or the decision."""
        complain("call", explained(error, ""))

    def cancelled(self, negotiation: str) -> None:
        """Say that the negotiation was cancelled because the command was ended."""
        _line("cancelled", f"{negotiation}: the call is taken back")

    def event(self, event: llmx.Event | llmx.Report, order: Order, ms: float) -> None:
        """Show what happened, `ms` after the call was sent."""
        after = f"+{ms:.1f} ms"
        match event:
            case llmx.Opened():
                where = f"{event.negotiation_id}  {order.sender} to {' '.join(order.to)}"
                _line("call", f"{where}: {len(event.eligible)} may answer, policy {event.policy}")
            case llmx.OfferMade():
                beside = compact(event.conditions), compact(event.terms), clean(event.text)
                words = " ".join((figure(event.value), *filter(None, beside)))
                _line("offer", f"{clean(event.agent)}  {words}  {after}")
            case llmx.OfferRefused():
                word = "refusal" if event.understood else "confused"
                _line(word, f"{clean(event.agent)}  {clean(event.reason)}  {after}")
            case llmx.Thought():
                left = "" if event.granted is None else f"for {event.granted:.1f} s at most"
                _line("thinks", f"{clean(event.agent)}  {left}  {after}")
            case llmx.OfferWithdrawn():
                _line("withdrew", f"{clean(event.agent)}  {clean(event.reason)}  {after}")
            case llmx.Ranked():
                rounds = 0 if event.turn is None else event.turn.rounds_left
                then = f"{rounds} more rounds at most" if rounds else "the first is accepted"
                _line("ranked", f"{len(event.offers)} offers; {then}  {after}")
            case llmx.Outcome():
                _outcome(event, after, with_score="utility" in order.body)
            case llmx.Report():
                word = "done" if event.succeeded else "failed"
                words = compact(event.result) if event.succeeded else clean(event.reason)
                _line(word, f"{clean(event.agent)}  {words}")


def _line(word: str, text: str) -> None:
    say(f"{word:<8} {text}")


def _outcome(outcome: llmx.Outcome, after: str, *, with_score: bool) -> None:
    for offer in outcome.ranking:
        rank = "–" if offer.rank is None else f"{offer.rank}."
        score = f"  score {figure(offer.score)}" if with_score else ""
        words = f"{clean(offer.agent)}  {figure(offer.value)}{score}  {clean(offer.reason)}"
        _line("", f"{rank:<3} {words}")
    won = [f"{clean(winner.agent)} wins at {figure(winner.price)}" for winner in outcome.winners]
    words = " and ".join(won) or clean(outcome.reason)
    closed = f"closed by {outcome.closed_by}" if outcome.closed_by else ""
    complete = "" if outcome.complete else "not everybody answered"
    beside = ", ".join(filter(None, (closed, complete, *refusal_words(outcome))))
    _line("outcome", f"{outcome.state}: {words}{f' ({beside})' if beside else ''}  {after}")
    for word, text in held(outcome):
        _line(word, text)


class Telling(Showing):
    """Objects for programs."""

    def ready(self, order: Order, gateway: str) -> None:
        """Say that a call can be sent."""
        tell("ready", agent=order.sender, gateway=gateway)

    def refused(self, error: llmx.Refused) -> None:
        """Say that the gateway did not take the call, or the decision."""
        facts = {name: getattr(error, name) for name in ("code", "pointer", "reason", "remedy")}
        tell("refused", **facts)

    def cancelled(self, negotiation: str) -> None:
        """Say that the negotiation was cancelled because the command was ended."""
        tell("cancelled", negotiation=negotiation)

    def event(self, event: llmx.Event | llmx.Report, order: Order, ms: float) -> None:
        """Tell what happened, `ms` after the call was sent."""
        name = NAMES[type(event)]
        if isinstance(event, llmx.Outcome):
            tell(name, ms=round(ms, 3), negotiation=event.negotiation_id, outcome=event.body)
            return
        facts = {
            field: getattr(event, field)
            for field in event.__dataclass_fields__
            if field not in ("negotiation_id", "body", "turn")
        }
        if isinstance(event, llmx.Opened | llmx.OfferMade):
            facts["negotiation"] = event.negotiation_id
        if isinstance(event, llmx.Ranked):
            facts = json.loads(json.dumps(event.body))
        tell(name, ms=round(ms, 3), **facts)


NAMES: dict[type, str] = {
    llmx.Opened: "opened",
    llmx.OfferMade: "offer",
    llmx.OfferRefused: "refusal",
    llmx.OfferWithdrawn: "withdrawn",
    llmx.Thought: "thinking",
    llmx.Ranked: "ranked",
    llmx.Outcome: "outcome",
    llmx.Report: "report",
}
