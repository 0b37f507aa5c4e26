"""Whatever the protocol: it is played across gateways, handed over, and taken up from the disk."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.journal import decoded, encoded
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope
from policy.protocols import PROTOCOLS
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import Parts, received, stream_of
from tests.support.kept_parts import KeptParts, kept
from tests.support.protocol_scripts import SCRIPTS, Script

NAMES = ("alice", "bob", "carol")
HOMES = {"alice": "a", "bob": "b", "carol": "c"}
BREAKS = [
    (protocol, number) for protocol, script in SCRIPTS.items() for number in range(len(script.acts))
]


def outcomes(heard: list[Envelope]) -> list[dict[str, Any]]:
    """Return the outcomes that an agent has heard."""
    bodies = [json.loads(one.payload) for one in heard if one.act == Act.ACT_INFORM]
    return [body["outcome"] for body in bodies if "outcome" in body]


def script_of(protocol: str) -> Script:
    script = SCRIPTS[protocol]
    return replace(script, call={**script.call, "protocol": protocol})


def is_played(script: Script, heard: dict[str, list[Envelope]]) -> None:
    """Expect that everybody was told the outcome once, and nobody else."""
    for name, messages in heard.items():
        told = outcomes(messages)
        assert len(told) == (name in script.hears), name
        for outcome in told:
            assert outcome["state"] == script.state
            assert [winner["price"] for winner in outcome["winners"]] == [script.price]


def played(protocol: str) -> tuple[Script, Parts, dict[str, Member]]:
    """Return the inside of one gateway at which the script of a protocol was played."""
    script, parts = script_of(protocol), Parts()
    members = {name: parts.join(name) for name in NAMES}
    parts.admit(members["alice"], script.opening())
    negotiation_id = stream_of(members["alice"]).opened[-1].negotiation_id
    for said in script.acts:
        parts.admit(members[said.agent], said.envelope(negotiation_id))
    return script, parts, members


def test_every_protocol_has_a_script() -> None:
    assert SCRIPTS.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_a_negotiation_is_played_at_one_gateway(protocol: str) -> None:
    script, parts, members = played(protocol)
    for member in members.values():
        assert not stream_of(member).codes()
    is_played(script, {name: received(member) for name, member in members.items()})
    (record,) = parts.recorder.recent
    assert record.call.protocol == protocol
    assert not parts.negotiations._open_calls._counts


class Scene:
    """Three agents at three gateways, and a call of one of them."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.cluster = ClusterParts("a", "b", "c")
        self.members = {name: self.cluster[home].arrive(name) for name, home in HOMES.items()}
        self.cluster.run()
        self.cluster.admit("a", self.members["alice"], script.opening())
        self.id = stream_of(self.members["alice"]).opened[-1].negotiation_id

    def say(self, first: int, last: int | None = None) -> None:
        for said in self.script.acts[first:last]:
            member = self.members[said.agent]
            self.cluster.admit(HOMES[said.agent], member, said.envelope(self.id))

    def hand_over(self) -> None:
        given = [one.inheritance.hand_over() for one in self.cluster.gateways.values()]
        assert any(given)
        self.cluster.run()

    def is_played(self) -> None:
        for member in self.members.values():
            assert not stream_of(member).codes()
        heard = {name: received(member) for name, member in self.members.items()}
        is_played(self.script, heard)


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_a_negotiation_is_played_across_gateways(protocol: str) -> None:
    scene = Scene(script_of(protocol))
    scene.say(0)
    scene.is_played()


@pytest.mark.parametrize(("protocol", "number"), BREAKS)
def test_an_heir_goes_on_with_it_wherever_it_stood(protocol: str, number: int) -> None:
    scene = Scene(script_of(protocol))
    scene.say(0, number)
    scene.hand_over()
    scene.say(number)
    scene.is_played()


async def mail(parts: KeptParts) -> dict[str, Member]:
    """Return agents that are back at a gateway, with what waited for them in their outboxes."""
    members = {name: parts.join(name) for name in NAMES}
    for member in members.values():
        parts.members.arrive(member)
        parts.absences.back(member)
        await parts.absences.refill(member)
    return members


@pytest.mark.parametrize(("protocol", "number"), BREAKS)
def test_the_next_gateway_takes_it_up_from_the_disk(
    tmp_path: Path, protocol: str, number: int
) -> None:
    script = script_of(protocol)

    async def before() -> str:
        async with kept(tmp_path / "s.db") as parts:
            members = {name: parts.join(name) for name in NAMES}
            for member in members.values():
                parts.roster.note(member)
            await parts.send(members["alice"], script.opening(durable=True))
            negotiation_id = stream_of(members["alice"]).opened[-1].negotiation_id
            for said in script.acts[:number]:
                await parts.send(members[said.agent], said.envelope(negotiation_id))
            return negotiation_id

    async def after(negotiation_id: str) -> None:
        async with kept(tmp_path / "s.db") as parts:
            members = await mail(parts)
            for said in script.acts[number:]:
                await parts.send(members[said.agent], said.envelope(negotiation_id))
            for member in members.values():
                assert not stream_of(member).codes()
            is_played(script, {name: received(member) for name, member in members.items()})
            assert not parts.negotiations._open_calls._counts

    asyncio.run(after(asyncio.run(before())))


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_its_record_is_the_same_after_a_way_through_the_journal(protocol: str) -> None:
    _, parts, _ = played(protocol)
    (record,) = parts.recorder.recent
    for at, event in record.events:
        assert decoded(encoded(at, event)) == (at, event)
        assert orjson.loads(orjson.dumps(at)) == at
