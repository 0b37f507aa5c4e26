"""An author that erred is told what was wrong, and asked again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import llmx
from llmx.corrections import Correction, corrected, draft_of, takes_correction
from llmx.handlers import Handlers
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker
from tests.unit.client.test_contractor import GPU, sent, strict

REFUSED = llmx.Refused(
    "SCHEMA_VIOLATION",
    "The value is of the wrong type.",
    pointer="/payload/value",
    remedy="Send a number.",
    example='{"value":42.5}',
)
CALL = llmx.Call(Envelope(act=Act.ACT_CFP, payload=b"{}"))


def test_a_correction_in_words_says_what_where_and_what_would_be_right() -> None:
    text = Correction(REFUSED, '{"value":"forty"}', 1, 1).as_text()
    for said in (
        "SCHEMA_VIOLATION at /payload/value",
        "wrong type",
        "Send a number",
        'You sent: {"value":"forty"}',
        'like this: {"value":42.5}',
        "one JSON object",
    ):
        assert said in text
    bare = llmx.Refused("TERMS_INVALID", "the offer has no terms", remedy="say some")
    assert "the offer has no terms; say some\n" in Correction(bare, "{}", 1, 1).as_text()
    short = Correction(llmx.Refused("TOO_LARGE", "Too much."), "x" * 99_999, 1, 1).as_text()
    assert "like this" not in short and len(short) < 5_000


def test_an_author_says_that_it_wants_corrections_by_a_parameter() -> None:
    def plain(call: llmx.Call) -> None: ...
    def eager(call: llmx.Call, correction: llmx.Correction | None = None) -> None: ...

    class Bob(llmx.Agent):
        async def on_cfp(self, call: llmx.Call, correction: Any = None) -> None: ...

    assert takes_correction(eager) and takes_correction(Bob("agent://bob").on_cfp)
    assert not takes_correction(plain)
    assert not takes_correction(dict.fromkeys)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('{"value": 40}', {"value": 40}),
        ('```json\n{"value": 40}\n```', {"value": 40}),
        ('Sure! I offer {"value": 40, "terms": {"gpus": 4}} to you.',
         {"value": 40, "terms": {"gpus": 4}}),
        ('{"act": "Offer", "$schema": "Negotiation.json", "value": 40}',
         {"act": "Offer", "$schema": "Negotiation.json", "value": 40}),
    ],
)  # fmt: skip
def test_the_json_in_the_words_of_a_model_is_found(text: str, body: dict[str, Any]) -> None:
    draft = draft_of(llmx.Words(text))
    assert isinstance(draft, tuple)
    offer, payload = draft
    named = {"$schema": llmx.NEGOTIATION_SCHEMA, "act": "offer", **body}
    assert json.loads(payload) == named
    assert (offer.value, offer.terms) == (40, body.get("terms"))


@pytest.mark.parametrize("text", ["forty", "[1]", "{value: 40}", "} {", "", "{" * 10_000])
def test_words_without_json_go_to_the_gateway_as_they_are(text: str) -> None:
    draft = draft_of(llmx.Words(text))
    assert isinstance(draft, tuple)
    assert draft[1].decode() == text
    assert math.isnan(draft[0].value)


def test_words_may_refuse() -> None:
    refusal = draft_of(llmx.Words('{"act": "Refuse", "reason": "' + "busy " * 99 + '"}'))
    assert isinstance(refusal, llmx.Refusal)
    assert refusal.reason.startswith("busy") and len(refusal.reason) == 256
    assert draft_of(llmx.Words('{"act": "not-understood"}')) == llmx.Refusal("")


class Author:
    """Somebody with handlers."""

    def __init__(self, **handlers: Any) -> None:
        self.handlers = Handlers(self, type("Nobody", (), {}))
        for name, handler in handlers.items():
            self.handlers.put(name, handler)

    async def corrects(self) -> object:
        payload = b'{"value":"x"}'
        return await corrected(self.handlers, CALL, (llmx.Offer(1), payload), REFUSED, (1, 1))


async def test_an_author_without_corrections_gives_up():
    assert await Author().corrects() is None
    assert await Author(on_cfp=lambda call: llmx.Offer(2)).corrects() is None


async def test_a_handler_of_refusals_goes_before_a_corrected_call():
    def again(call: llmx.Call, correction: Any = None) -> llmx.Offer:
        return llmx.Offer(3)

    async def repair(refused: llmx.Refused, offer: llmx.Offer) -> llmx.Offer:
        return llmx.Offer(offer.value + 1)

    assert await Author(on_cfp=again).corrects() == llmx.Offer(3)
    assert await Author(on_cfp=again, on_refused=repair).corrects() == llmx.Offer(2)
    assert await Author(on_refused=lambda refused, offer: "sorry").corrects() is None


async def test_an_author_may_refuse_after_all():
    def refuse(call: llmx.Call, correction: Any = None) -> None:
        return None

    assert await Author(on_cfp=refuse).corrects() == llmx.Refusal()


async def test_an_author_that_raises_has_given_up(caplog: pytest.LogCaptureFixture):
    def broken(call: llmx.Call, correction: Any = None) -> None:
        raise RuntimeError("oops")

    assert await Author(on_cfp=broken).corrects() is None
    assert "oops" in caplog.text


async def test_an_offer_that_was_refused_is_asked_for_again(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.judge = strict
        bob = agent("bob", gateway.address, topics=["gpu"])
        heard: list[tuple[str, int, int]] = []

        @bob.on_cfp
        async def quote(call: llmx.Call, correction: Correction | None = None) -> llmx.Words:
            if correction is None:
                return call.words('I say {"value": 1}')
            heard.append((correction.answer, correction.attempt, correction.attempts_left))
            return call.words(json.dumps({"value": 6 * correction.attempt}))

        async with bob, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
    assert outcome.winner is not None and outcome.winner.value == 12
    assert [json.loads(answer)["value"] for answer, _, _ in heard] == [1, 6]
    assert [tries for _, *tries in heard] == [[1, 1], [2, 0]]


async def test_who_never_gets_it_right_is_asked_three_times_and_refuses(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.judge = strict
        bob = agent("bob", gateway.address, topics=["gpu"])

        @bob.on_cfp
        def quote(call: llmx.Call, correction: Correction | None = None) -> llmx.Offer:
            return call.offer(1)

        async with bob, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
            assert len(bob._contractor) == 0
    assert outcome.state == "no_award"
    assert len(sent(gateway, Act.ACT_OFFER)) == 3
    assert sent(gateway, Act.ACT_REFUSE)[0]["reason"] == "offer_invalid"


async def test_the_words_of_a_refusal_refuse(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.words('{"act": "refuse", "reason": "too hot"}'))
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU, to="topic://gpu")
            assert len(bob._contractor) == 0
    assert sent(gateway, Act.ACT_REFUSE)[0]["reason"] == "too hot"
