"""Who comes in which order, and to which gateway."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from loadtest.load.company import SETTLE_SECONDS, Company, whereabouts
from loadtest.load.plan import LoadPlan
from loadtest.traffic import Group
from tests.unit.loadtest.load.plans import plan


class EveryoneHome(Exception):
    """The test is over, and nobody has to come any more."""


def _company(of: LoadPlan) -> Company:
    return Company(of, 0, lambda agent_id: f"token of {agent_id}", of.agents)


def test_contractors_come_before_their_initiator_and_groups_one_by_one(tmp_path: Path) -> None:
    first, second = _company(plan(tmp_path)).groups
    names = [agent.who.agent_id for agent in (*first.agents, *second.agents)]
    assert names[0] == "agent://c000-w0g0000"
    assert names[9] == "agent://alice-w0g0000"
    assert names[19] == "agent://alice-w0g0001"
    assert len(set(names)) == 20


@pytest.mark.parametrize(("percent", "elsewhere"), [(0, 0), (20, 1), (50, 4), (100, 9)])
def test_so_many_contractors_are_at_other_gateways(
    percent: int, elsewhere: int, tmp_path: Path
) -> None:
    group = _company(plan(tmp_path, elsewhere_percent=percent)).groups[0]
    ports = [agent.who.port for agent in group.agents]
    assert ports[-1] == 7001, "the initiator is at home"
    assert Counter(ports[:-1])[7002] == elsewhere


def test_one_gateway_alone_has_everybody(tmp_path: Path) -> None:
    company = _company(plan(tmp_path, addresses=["127.0.0.1:7001"], elsewhere_percent=100))
    assert {agent.who.port for group in company.groups for agent in group.agents} == {7001}


def test_those_elsewhere_are_spread_over_all_others(tmp_path: Path) -> None:
    addresses = [f"127.0.0.1:{port}" for port in (1, 2, 3, 4)]
    of = plan(tmp_path, addresses=addresses, elsewhere_percent=100)
    who = whereabouts(of, 1, lambda _: "token")
    ports = Counter(who(f"c{index:03d}", ("topic",), ()).port for index in range(9))
    assert ports == {1: 3, 3: 3, 4: 3}


def test_a_group_is_whole_when_all_are_there_and_a_moment_has_passed(tmp_path: Path) -> None:
    company = _company(plan(tmp_path))
    assert company.whole_groups(1e9) == []
    group = company.groups[0]
    company._whole_since[group.name] = 100.0
    assert company.whole_groups(100.0 + SETTLE_SECONDS / 2) == []
    assert company.whole_groups(100.0 + SETTLE_SECONDS) == [group]


async def test_an_initiator_alone_makes_no_group(tmp_path: Path) -> None:
    company = _company(plan(tmp_path, addresses=["127.0.0.1:1"]))
    group = company.groups[0]
    with pytest.raises(ExceptionGroup) as gone:  # so the agents stop waiting for a gateway
        await _come_one_by_one(company, group)
    assert gone.group_contains(EveryoneHome)


async def _come_one_by_one(company: Company, group: Group) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in group.agents:
            company.come(tasks)
        for agent in reversed(group.agents):
            assert company.whole_groups(1e12) == []
            agent._welcomed = True
            assert agent.on_welcome is not None
            agent.on_welcome(False)
        assert company.whole_groups(1e12) == [group]
        assert company.welcomes[0].agent_id == "agent://alice-w0g0000"
        raise EveryoneHome


def test_who_is_not_there_cannot_be_cut_and_has_no_stream(tmp_path: Path) -> None:
    company = _company(plan(tmp_path))
    company.cut()
    company.leave()
    assert (company.here_count, company.open_count, len(company.welcomes)) == (0, 0, 0)
