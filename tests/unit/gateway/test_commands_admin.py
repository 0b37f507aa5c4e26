"""Talking to the admin services of a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.admin import Reached, reached
from gateway.commands.trouble import FAILED, CommandError
from gateway.tokens import mint_development_token
from llmx.errors import ControlError
from llmx.v1.cluster_pb2 import DrainState
from tests.support.admin_view import FakeView, detail, located, served
from tests.support.certificates import Authority
from tests.support.fake_streams import SECRET, played

NOBODY = "127.0.0.1:1"


def token(*roles: str) -> str:
    return mint_development_token(SECRET, "agent://root", roles=roles)


@asynccontextmanager
async def cluster(**of_eu: Any) -> AsyncIterator[tuple[Reached, FakeView]]:
    """Have two gateways, reached through the first."""
    us = FakeView("us", details={"default": [detail("us.0.1", "us")]})
    async with served(us, SECRET) as at_us:
        others = {"us": at_us, **of_eu.pop("others", {})}
        eu = replace(FakeView(details={"default": [detail("eu.0.1", "eu")]}), others=others)
        us.others = {"eu": NOBODY}
        async with (
            served(replace(eu, **of_eu), SECRET) as at_eu,
            reached(f"{NOBODY},{at_eu}", token("operator", "exchange-operator")) as found,
        ):
            yield found, us


@played
async def test_the_first_gateway_that_answers_tells_of_the_others():
    async with cluster() as (found, _):
        assert [member.gateway_id for member in found.told.members] == ["eu", "us"]
        assert not found.is_alone and found.member("us").region == "us"
        with pytest.raises(CommandError, match="there are eu, us") as caught:
            found.member("mars")
        assert caught.value.code == FAILED


@played
async def test_what_each_knows_is_asked_of_all_at_once():
    async with cluster() as (found, _):
        rows, more = await found.of_all(lambda admin: admin.negotiations(10))
        assert sorted(row.negotiation_id for row in rows) == ["eu.0.1", "us.0.1"]
        assert not more and found.trouble == []


@played
async def test_who_does_not_answer_is_named_and_the_others_are_heard():
    async with cluster(others={"ap": NOBODY}) as (found, _):
        rows, _ = await found.of_all(lambda admin: admin.negotiations(10))
        assert len(rows) == 2
        (sentence,) = found.trouble
        assert f"gateway ap at {NOBODY}" in sentence


@played
async def test_long_lists_come_whole_and_as_far_as_they_are_wanted():
    agents = {"default": [located(f"a{number:04}", "eu") for number in range(2_500)]}
    async with cluster(located=agents) as (found, _):
        rows, more = await found.admin.agents(10_000, "")
        assert len({row.agent.agent_id for row in rows}) == 2_500 and not more
        rows, more = await found.admin.agents(1_200, "")
        assert len(rows) == 1_200 and more


@played
async def test_a_negotiation_of_another_gateway_is_none_of_this_one():
    async with cluster() as (found, _):
        assert await found.admin.show("us.0.1") is None
        shown = await found.of(found.member("us"), lambda admin: admin.show("us.0.1"))
        assert shown is not None and shown.summary.gateway_id == "us"
        with pytest.raises(ControlError, match="negotiation_id is empty"):
            await found.admin.show("")


@played
async def test_a_drain_is_followed_at_the_gateway_that_is_meant():
    async with cluster() as (found, us):
        us.steps = 0
        async with found.at(found.member("us")) as admin:
            told = [drain.state async for drain in admin.drain("us", 10, 2.5)]
            assert told[-1] == DrainState.DRAIN_STATE_DRAINED and us.asked == (10, 2.5)
            assert (await admin.abort_drain("us")).state == DrainState.DRAIN_STATE_ABORTED
            with pytest.raises(ControlError, match="this is gateway us"):
                await admin.abort_drain("eu")


@played
async def test_when_nobody_answers_that_is_said_once_for_all():
    with pytest.raises(CommandError, match=f"no gateway answers at {NOBODY},{NOBODY}1") as caught:
        async with reached(f"{NOBODY},{NOBODY}1", token("operator")):
            pass
    assert caught.value.code == FAILED


@played
async def test_a_token_without_the_role_is_told_what_it_needs():
    async with served(FakeView(), SECRET) as address:
        with pytest.raises(CommandError, match="needs the role"):
            async with reached(address, token("auditor")):
                pass
        with pytest.raises(CommandError, match="did not take the token"):
            async with reached(address, "a.b.c"):
                pass


@played
async def test_what_goes_wrong_later_is_one_sentence_too():
    async def drain(address: str) -> None:
        async with reached(address, token("operator", "exchange-operator")) as found:
            await anext(found.admin.drain("eu", 1, 1))

    async with served(FakeView(), SECRET) as address:
        with pytest.raises(CommandError, match="no gateway beside eu"):
            await drain(address)


@played
async def test_tls_is_judged_by_the_roots_that_are_given(tmp_path: Path):
    authority = Authority()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.certificate)
    async with served(FakeView(), SECRET, authority.signed("gateway")) as address:
        async with reached(address, token("operator"), str(roots)) as found:
            assert found.is_alone
        roots.write_bytes(Authority("others").certificate)
        with pytest.raises(CommandError, match="not of the roots"):
            async with reached(address, token("operator"), str(roots)):
                pass
