"""`llmx ctl …` as an operator types it, against admin services on real ports."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.tokens import development_secret, mint_development_token
from tests.support.admin_view import FakeView, detail, located, served
from tests.support.gateways import ROOT, Gateway, command, environment

pytestmark = pytest.mark.slow

NOBODY = "127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    def told(self) -> list[dict[str, Any]]:
        """Return the objects that it wrote."""
        return [json.loads(line) for line in self.out.splitlines()]


class Desk:
    """Where an operator sits: two gateways of a cluster, and a third that does not answer."""

    def __init__(self, folder: Path, eu: str, us: str, views: dict[str, FakeView]) -> None:
        self.folder = folder
        self.eu = eu
        self.us = us
        self.views = views
        self.secret = development_secret(folder / "state")

    async def begin(self, *words: str, gateway: str = "") -> Process:
        return await asyncio.create_subprocess_exec(
            *command("ctl", *words),
            env=environment(self.folder) | {"LLMX_GATEWAY": gateway or self.eu},
            cwd=ROOT,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def typed(self, *words: str, gateway: str = "") -> Ended:
        """Type a command to its end."""
        process = await self.begin(*words, gateway=gateway)
        out, err = await process.communicate()
        assert b"Traceback" not in err, err.decode()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    def token(self, *roles: str) -> str:
        return mint_development_token(self.secret, "agent://bob", roles=roles)


@asynccontextmanager
async def desk(folder: Path, **of_eu: Any) -> AsyncIterator[Desk]:
    secret = development_secret(folder / "state")
    eu = FakeView(
        "eu",
        located={"default": [located("bob", "eu", "gpu"), located("carol", "us", "gpu")]},
        details={"default": [detail("eu.0.11", "eu")]},
    )
    us = replace(eu, gateway_id="us", steps=1, details={"default": [detail("eu.0.22", "us")]})
    async with served(us, secret) as at_us:
        eu = replace(eu, others={"us": at_us, **of_eu.pop("others", {})}, **of_eu)
        async with served(eu, secret) as at_eu:
            us.others = {"eu": at_eu}
            yield Desk(folder, at_eu, at_us, {"eu": eu, "us": us})


async def test_members_are_shown_and_told(tmp_path: Path):
    async with desk(tmp_path) as operator:
        shown = await operator.typed("members")
        assert (shown.code, shown.err) == (0, "")
        head, titles, *rows = shown.out.splitlines()
        assert head.startswith("cluster llmx as gateway eu sees it; etcd at 127.0.0.1:2379 answers")
        assert titles.split()[:2] == ["gateway", "region"]
        assert [row.split()[0] for row in rows] == ["eu", "us"]
        assert " linked " in rows[1] and operator.us in rows[1]
        cluster, eu, us = (await operator.typed("members", "--json")).told()
        assert (cluster["kind"], cluster["discovery"]) == ("cluster", "reached")
        assert (eu["reach"], us["reach"], us["epoch"]) == ("self", "linked", 7)
        assert us["agents_address"] == operator.us


async def test_a_gateway_that_stands_alone_says_how_to_have_others(tmp_path: Path):
    secret = development_secret(tmp_path / "state")
    async with served(FakeView("local"), secret) as address:
        operator = Desk(tmp_path, address, "", {})
        shown = await operator.typed("members")
        assert shown.code == 0 and "llmx up --regions eu,us,ap" in shown.out
        shown = await operator.typed("links")
        assert shown.code == 0 and "federation.etcd" in shown.out
        shown = await operator.typed("drain", "local")
        assert shown.code == 1 and "no gateway beside local" in shown.err
        assert shown.err.count("\n") == 1


async def test_links_and_negotiations_are_asked_of_every_gateway(tmp_path: Path):
    async with desk(tmp_path) as operator:
        links = (await operator.typed("links", "--json")).told()
        assert [(link["gateway_id"], link["peer_id"]) for link in links] == [
            *(("eu", "us"), ("us", "eu"))
        ]
        assert links[0]["round_trip"] == 0.0015 and links[0]["sent"] == 2**40
        found = (await operator.typed("negotiations", "--json")).told()
        assert {one["negotiation_id"]: one["gateway_id"] for one in found} == {
            "eu.0.11": "eu",
            "eu.0.22": "us",
        }
        assert "1 of 1" in (await operator.typed("negotiations")).out


async def test_who_does_not_answer_is_named_and_the_rest_is_shown(tmp_path: Path):
    async with desk(tmp_path, others={"ap": NOBODY}) as operator:
        shown = await operator.typed("links")
        assert shown.code == 1
        assert f"what gateway ap at {NOBODY} knows is missing" in shown.err
        assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["eu", "eu", "us"]


async def test_agents_are_found_with_their_homes(tmp_path: Path):
    async with desk(tmp_path) as operator:
        shown = await operator.typed("agents")
        assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
            *(["agent://bob", "eu"], ["agent://carol", "us"])
        ]
        (carol,) = (await operator.typed("agents", "--at", "us", "--json")).told()
        assert carol["agent"]["agent_id"] == "agent://carol" and carol["gateway_id"] == "us"
        shown = await operator.typed("agents", "--at", "mars")
        assert shown.code == 1 and "there are eu, us" in shown.err
        shown = await operator.typed("agents", "--limit", "1")
        assert shown.out.count("agent://") == 1 and "--limit" in shown.err


async def test_a_negotiation_is_shown_by_whichever_gateway_decides_it(tmp_path: Path):
    async with desk(tmp_path) as operator:
        shown = await operator.typed("show", "eu.0.22")
        assert shown.code == 0 and "decided by gateway us" in shown.out
        (told,) = (await operator.typed("show", "eu.0.22", "--json")).told()
        assert told["summary"]["state"] == "open"
        shown = await operator.typed("show", "eu.0.33")
        assert shown.code == 1 and "llmx ctl negotiations" in shown.err


async def test_a_drain_is_watched_to_its_end_at_the_gateway_that_is_meant(tmp_path: Path):
    async with desk(tmp_path) as operator:
        shown = await operator.typed("drain", "us", "--rate", "50/s", "--deadline", "30")
        assert (shown.code, shown.err) == (0, "")
        assert operator.views["us"].asked == (50.0, 30.0) and operator.views["eu"].asked is None
        lines = shown.out.splitlines()
        assert "0 agents moved, 1 left" in lines[0]
        assert lines[-1].startswith("gateway us is drained: 1 agent moved, 0 left")
        drain = (await operator.typed("drain", "us", "--json", "--abort")).told()
        assert drain[0]["state"] == "aborted"
        shown = await operator.typed("drain", "mars")
        assert shown.code == 1 and "there is no gateway mars" in shown.err


async def test_ctrl_c_leaves_a_drain_going_on_and_says_so(tmp_path: Path):
    async with desk(tmp_path, steps=10_000) as operator:
        process = await operator.begin("drain", "eu")
        assert process.stdout is not None
        assert b"left" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode == 130 and err == b""
        assert "llmx ctl drain eu watches it again" in out.decode()
        shown = await operator.typed("drain", "eu", "--abort")
        assert shown.code == 0 and "takes agents again" in shown.out
        assert (await operator.typed("members", "--json")).told()[1]["state"] == "aborted"


async def test_a_drain_that_is_taken_back_is_no_success(tmp_path: Path):
    async with desk(tmp_path, steps=10_000) as operator:
        process = await operator.begin("drain", "eu")
        assert process.stdout is not None
        await process.stdout.readline()
        operator.views["eu"].abort_drain()
        out, _ = await process.communicate()
        assert process.returncode == 1 and b"takes agents again" in out


@pytest.mark.parametrize("rate", ["fast", "0", "-1", "0.5"])
async def test_a_rate_that_cannot_be_asks_nobody(tmp_path: Path, rate: str):
    operator = Desk(tmp_path, NOBODY, "", {})
    shown = await operator.typed("drain", "eu", f"--rate={rate}")
    assert shown.code == 2 and "agents a second" in shown.err


async def test_without_the_role_an_operator_hears_which_one(tmp_path: Path):
    async with desk(tmp_path) as operator:
        for words, had, lacks in (
            (("members",), "auditor", "operator"),
            (("drain", "us"), "operator", "exchange-operator"),
        ):
            shown = await operator.typed(*words, "--token", operator.token(had))
            assert shown.code == 1 and shown.err.count("\n") == 1
            assert f'needs the role "{lacks}"' in shown.err and f"--role {lacks}" in shown.err


async def test_a_gateway_that_is_not_reached_is_one_line_that_says_what_to_do(tmp_path: Path):
    operator = Desk(tmp_path, NOBODY, "", {})
    shown = await operator.typed("members")
    assert shown.code == 1 and shown.out == "" and shown.err.count("\n") == 1
    assert "llmx gateway" in shown.err and "--gateway" in shown.err
    shown = await operator.typed("members", gateway="localhost")
    assert shown.code == 2 and "HOST:PORT" in shown.err


async def test_of_several_gateways_the_first_that_answers_is_asked(tmp_path: Path):
    async with desk(tmp_path) as operator:
        cluster, *_ = (
            await operator.typed("members", "--json", gateway=f"{NOBODY},{operator.us}")
        ).told()
        assert cluster["gateway_id"] == "us"


async def test_roots_that_cannot_be_read_are_named(tmp_path: Path):
    operator = Desk(tmp_path, NOBODY, "", {})
    shown = await operator.typed("members", "--tls", str(tmp_path / "roots.pem"))
    assert shown.code == 2 and "roots.pem" in shown.err


async def test_a_real_gateway_answers_its_operator(gateway: Gateway):
    operator = Desk(gateway.folder, gateway.address, "", {})
    told = (await operator.typed("members", "--json")).told()
    assert [(one["kind"], one["gateway_id"]) for one in told] == [
        *(("cluster", "local"), ("member", "local"))
    ]
    assert told[0]["discovery"] == "alone" and told[1]["reach"] == "self"
