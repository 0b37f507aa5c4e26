"""The operator's page in headless Chromium; `make page-test` runs this, and needs `chromium`.

The name of this file keeps it out of `make test`, where the page is tested as far as that goes
without a browser. It leaves docs/operator-page.png, the picture of the README.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

import llmx
from gateway.auth import Authenticator
from gateway.page.door import Door
from gateway.page.server import serving
from gateway.page.settings import PageSettings
from gateway.page.viewers import Viewers
from gateway.settings import ServerSettings
from gateway.tokens import mint_development_token
from tests.browser.chromium import Browser, Page, chromium, found
from tests.support.cluster import Cluster, running_cluster
from tests.support.gateways import ROOT
from tests.unit.gateway.page.scene import Scene

PICTURE = ROOT / "docs" / "operator-page.png"
PICTURE_BYTES_MAX = 200_000
CALLS = 72
SECRET = b"s" * 32
LIVE = "document.getElementById('live').textContent === 'live'"
WIDTHS = (1280, 400)


def test_there_is_a_chromium() -> None:
    assert found(), "this needs a Chromium: apt install chromium"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three regions, each with a page."""
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder, "ap", "eu", "us", page__port=0) as cluster:
        yield cluster


@asynccontextmanager
async def looking(folder: Path, url: str) -> AsyncIterator[tuple[Browser, Page]]:
    """Look at a page, and complain when the browser does."""
    async with chromium(folder) as browser:
        page = await browser.open(url)
        yield browser, page
        assert page.complaints() == []
        assert all(address.startswith(url) for address in page.addresses()), page.addresses()


class Site:
    """A page in this process, of agents whose clock stands still."""

    def __init__(self, **settings: Any) -> None:
        self.scene = Scene()
        self.settings = PageSettings(port=0, **settings)
        self.address = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve it, where it was before if it was."""
        if self.address:
            port = int(self.address.rstrip("/").rpartition(":")[2])
            self.settings = self.settings.model_copy(update={"port": port})
        checks = Authenticator(audience="llmx", issuer="llmx", development_secret=SECRET)
        viewers = Viewers(self.scene.reporter, self.settings.viewers_max, _quickly)
        door = Door(self.settings, checks, time.time)
        async with (
            asyncio.TaskGroup() as tasks,
            serving(self.settings, ServerSettings(), door, viewers) as self.address,
        ):
            running = tasks.create_task(viewers.run())
            try:
                yield self.address
            finally:
                running.cancel()


async def _quickly(_seconds: float) -> None:
    """Let ten digests go out a second."""
    due = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, due.set)
    await due.wait()


# ------------------------------------------------------------------ what is on it


async def test_an_empty_gateway_says_what_to_do(tmp_path: Path, cluster: Cluster) -> None:
    async with looking(tmp_path, cluster.gateways["eu"].life.page) as (_, page):
        await page.until(LIVE)
        text = await page.value("document.body.innerText")
        for part in (
            "eu · in ",
            "etcd answers",
            "Nothing is negotiated at this gateway yet",
            "llmx call examples/gpu-call.json --to topic://gpu",
            f"export LLMX_GATEWAY={cluster.gateways['eu'].life.address}",
            "No message was refused",
        ):
            assert part in text, part
        await page.until("document.querySelectorAll('.edge[data-state=open]').length === 3")
        await page.until("document.querySelectorAll('.edge[data-own=true]').length === 2")


async def test_negotiations_of_real_agents_are_shown(tmp_path: Path, cluster: Cluster) -> None:
    async with (
        looking(tmp_path, cluster.gateways["eu"].life.page) as (_, page),
        AsyncExitStack() as agents,
    ):
        await page.until(LIVE)
        alice = await _crowd(cluster, agents)
        for policy, _ in zip(cycle(("high", "medium", "low", "high")), range(CALLS), strict=False):
            body = {"task": {"kind": "gpu-slot", "secret": "SECRET"}, "reply_within": 5}
            outcome = await alice.call(body, to="topic://gpu", policy=policy)
            assert outcome.winners
        for _ in range(2):
            with pytest.raises(llmx.Refused):
                await alice.send("topic://nobody", "hello")
        with pytest.raises(llmx.Refused):
            await alice.call({"task": 1, "reply_within": 5}, to="topic://gpu")
        decided = alice.negotiate(
            {"task": "SECRET", "reply_within": 20, "decider": "initiator", "decide_within": 60},
            to="topic://gpu",
            policy="high",
        )
        await agents.enter_async_context(decided)
        slow = alice.negotiate(
            {"task": "think", "reply_within": 60}, to="topic://slow", policy="high"
        )
        await agents.enter_async_context(slow)
        winner = outcome.winners[0].agent.removeprefix("agent://")
        states = "[...document.querySelectorAll('.talk .pill')].map((one) => one.textContent)"
        won = (
            "[...document.querySelectorAll('.offer[data-word=won]')].map((one) => one.textContent)"
        )
        more = won.replace("[data-word=won]", "[data-word=more]")
        for wanted in (
            "document.querySelectorAll('.talk .pill[data-state=good]').length >= 10",
            f"{states}.includes('open') && {states}.includes('closed')",
            f"{won}.some((text) => text.startsWith('{winner}') && text.endsWith(' won'))",
            "document.querySelectorAll('.offer[data-word=lost] b').length > 10",
            # Nine have answered, and a closed line has room for five of them.
            f"{more}.includes('+4')",
            "document.querySelector('#tile-refused .figure').textContent === '3'",
            "document.querySelector('#tile-latency .figure').textContent.endsWith('ms')",
            "document.querySelectorAll('#refusals li').length === 2",
            f"document.getElementById('awards').textContent.includes('committed{CALLS}')",
            "document.querySelectorAll('#sessions tbody tr').length >= 4",
        ):
            await page.until(wanted)
        assert "SECRET" not in await page.value("document.documentElement.outerHTML")
        await _photographed(page)
        await _is_as_wide_as_its_window(page)
        # Also in a narrow window an open line ends with the id of its negotiation.
        await page.resize(400, 900)
        await page.value("document.querySelector('.talk details').open = true")
        where = "document.querySelector('details[open] {}').getBoundingClientRect()"
        above, below = where.format(".offers.all"), where.format("code")
        await page.until(f"{above}.bottom <= {below}.top && {above}.height > 10")


async def _crowd(cluster: Cluster, agents: AsyncExitStack) -> llmx.Agent:
    """Have contractors in every region; return who calls them, in eu."""
    names = ("berlin", "tokyo", "oregon", "paris", "mumbai", "texas", "madrid", "seoul", "ohio")
    for number, (name, home) in enumerate(zip(names, cycle(("eu", "ap", "us")), strict=False)):
        agent = llmx.Agent(
            f"agent://{name}",
            topics=["gpu"],
            capabilities=["propose"],
            gateway=cluster.addresses(home),
            token=cluster.token(name),
        )
        low = 34 + number
        agent.follow(
            llmx.strategies.build("random", low=low, high=52, seed=number, delay=0.03 * number)
        )
        await agents.enter_async_context(agent)
    silent = llmx.Agent(
        "agent://monk",
        topics=["slow"],
        capabilities=["propose"],
        gateway=cluster.addresses("us"),
        token=cluster.token("monk"),
    )

    @silent.on_cfp
    async def think(call: llmx.Call) -> None:
        await asyncio.Event().wait()

    await agents.enter_async_context(silent)
    await cluster.until_located([*(f"agent://{name}" for name in names), "agent://monk"])
    alice = llmx.Agent(
        "agent://alice", gateway=cluster.addresses("eu"), token=cluster.token("alice")
    )
    return await agents.enter_async_context(alice)


async def _photographed(page: Page) -> None:
    await page.resize(1280, 1120)
    await page.prefer("light")
    picture = await page.picture(whole=False)
    assert len(picture) < PICTURE_BYTES_MAX
    PICTURE.write_bytes(picture)


async def _is_as_wide_as_its_window(page: Page) -> None:
    """Nothing stands out at the side, whatever the width, and in the dark it is dark."""
    for width in WIDTHS:
        await page.resize(width, 900)
        await page.until(
            f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}"
        )
    for scheme, is_dark in (("light", False), ("dark", True)):
        await page.prefer(scheme)
        ground = await page.value("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 200) is is_dark, ground


async def test_members_that_come_and_go_are_seen(tmp_path: Path, cluster: Cluster) -> None:
    async with looking(tmp_path, cluster.gateways["eu"].life.page) as (_, page):
        await page.until(LIVE)
        await cluster.add("sa")
        await page.until("document.querySelectorAll('.node:not([data-state=gone])').length === 4")
        await page.until("document.querySelectorAll('.edge[data-state=open]').length === 6")
        await cluster.gateways["sa"].kill()
        await page.until("document.querySelector('.edge[data-state=down][data-own=true]') !== null")
        assert "no link" in await page.value("document.getElementById('members').innerText")
        await page.until("document.querySelector('.node[data-state=gone]') !== null", seconds=30)
        assert "left" in await page.value("document.getElementById('members').innerText")
        await page.until("document.querySelectorAll('.edge').length === 3")
        await cluster.gateways["sa"].restart()
        await page.until("document.querySelectorAll('.edge[data-state=open]').length === 6")
        await page.until("document.querySelector('.node[data-state=gone]') === null")


# ------------------------------------------------------------------ how it behaves


async def test_names_are_never_markup(tmp_path: Path) -> None:
    """Addresses and tenants are checked at the door; the page does not count on that."""
    site = Site()
    scene, evil = site.scene, "<img src=x onerror=window.hacked=1>"
    alice, bob = scene.join(f"alice{evil}", f"tenant{evil}"), scene.join(evil, f"tenant{evil}")
    bob.tenant.listen(bob, ["gpu"])
    scene.offer(bob, scene.call(alice, "topic://gpu"), 40)
    scene.view.gateway_id, scene.view.others = f"<b>{evil}", {f"<script>{evil}": "10.0.0.2:1"}
    scene.parts.metrics.refused[evil] = 3
    scene.parts.metrics.finished[f"<h1>{evil}"] = 1
    async with site.served() as address, looking(tmp_path, address) as (_, page):
        await page.until("document.querySelectorAll('#members tbody tr').length === 2")
        await page.until("document.querySelectorAll('.talk').length === 1")
        assert await page.value("window.hacked === undefined")
        assert await page.value("document.querySelectorAll('img').length") == 1, "the logo"
        assert await page.value("document.querySelectorAll('script').length") == 1
        assert await page.value("document.querySelectorAll('main b b, main h1').length") == 0
        text = await page.value("document.body.textContent")
        assert text.count("onerror=window.hacked") >= 5, "it is shown as it is"


async def test_the_policy_stops_what_is_not_from_here(tmp_path: Path) -> None:
    site = Site()
    async with site.served() as address, chromium(tmp_path) as browser:
        page = await browser.open(address)
        await page.until(LIVE)
        tried = """(async () => {
            const said = [];
            const attempt = async (what) => { try { await what(); said.push('done'); }
                catch (error) { said.push(error.message); } };
            await attempt(() => document.body.setAttribute('onclick', 'window.hacked = 1'));
            await attempt(() => { document.body.innerHTML = '<b>hacked</b>'; });
            await attempt(() => fetch('http://127.0.0.1:9/'));
            return said;
        })()"""
        attribute, markup, elsewhere = await page.value(tried)
        assert "TrustedScript" in attribute and "TrustedHTML" in markup
        assert "fetch" in elsewhere.lower()
        assert any("Content Security Policy" in one for one in page.complaints())


async def test_a_lost_connection_is_shown_and_made_again(tmp_path: Path) -> None:
    site = Site()
    async with chromium(tmp_path) as browser:
        async with site.served() as address:
            page = await browser.open(address)
            await page.until(LIVE)
        await page.until("!document.getElementById('lost').hidden")
        await page.until("document.getElementById('live').textContent === 'connection lost'")
        assert await page.value("'stale' in document.body.dataset")
        await page.until("document.getElementById('lost').innerText.includes('does not answer')")
        async with site.served() as again:
            assert again == address
            await page.until(LIVE)
            assert await page.value("document.getElementById('lost').hidden")
            assert not await page.value("'stale' in document.body.dataset")


async def test_a_token_opens_the_page(tmp_path: Path) -> None:
    token = mint_development_token(SECRET, "agent://olga", roles=["exchange-operator"])
    other = mint_development_token(SECRET, "agent://olga", roles=["operator"])
    site = Site(token="always")
    async with site.served() as address, chromium(tmp_path) as browser:
        page = await browser.open(address)
        await page.until("!document.getElementById('token').hidden")
        assert await page.value("document.activeElement.id") == "token-text"
        why = "document.getElementById('token-why').textContent"
        assert "llmx token agent://operator" in await page.value(why)
        await page.ask("Input.insertText", text=other)
        await page.press("Enter")
        await page.until(f"{why}.includes('no operator of the exchange')")
        await page.ask("Input.insertText", text=token)
        await page.press("Enter")
        await page.until(LIVE)
        assert await page.value("document.getElementById('token').hidden")
        await page.ask("Page.reload")
        await page.until(f"document.readyState === 'complete' && {LIVE}")
        assert token not in await page.value("document.documentElement.outerHTML + location.href")


async def test_it_can_be_used_by_keyboard(tmp_path: Path) -> None:
    site = Site()
    alice, bob = site.scene.join("alice"), site.scene.join("bob")
    site.scene.offer(bob, site.scene.call(alice, "bob"), 40)
    async with site.served() as address, looking(tmp_path, address) as (_, page):
        await page.until("document.querySelectorAll('.talk').length === 1")
        await page.press("Tab")
        assert await page.value("document.activeElement.className") == "skip"
        await page.press("Tab")
        assert await page.value("document.activeElement.id") == "pause"
        await page.press("Enter")
        assert await page.value("document.activeElement.getAttribute('aria-pressed')") == "true"
        assert await page.value("document.getElementById('live').textContent") == "paused"
        site.scene.call(alice, "bob")
        await page.press("Enter")
        await page.until("document.querySelectorAll('.talk').length === 2")
        await page.press("Enter")
        await page.press("Enter")
        for _ in range(12):
            await page.press("Tab")
            if await page.value("document.activeElement.tagName === 'SUMMARY'"):
                break
        await page.press("Enter")
        assert await page.value("document.activeElement.parentElement.open")
        named = "document.activeElement.closest('.talk').dataset.key"
        before = await page.value(named)
        for _ in range(3):
            site.scene.call(alice, "bob")
        await page.until("document.querySelectorAll('.talk').length === 5")
        assert await page.value(named) == before, "what is read keeps the focus"
        assert await page.value("document.activeElement.parentElement.open")


async def test_nothing_jumps_while_digests_come(tmp_path: Path) -> None:
    """Rows come and go within their lists; all around them stays where it is."""
    site = Site()
    scene = site.scene
    alice, bob = scene.join("alice"), scene.join("bob")
    places = """JSON.stringify([...document.querySelectorAll('.card, h2, .figure, .spark, .list, '
        + '#graph, .scroll')].map((one) => [one.offsetLeft, one.offsetTop, one.offsetWidth,
        one.offsetHeight]).concat([[document.documentElement.scrollHeight]]))"""
    async with site.served() as address, looking(tmp_path, address) as (_, page):
        for width in WIDTHS:
            await page.resize(width, 900)
            await page.until(f"innerWidth === {width} && {LIVE}")
            before = await page.value(places)
            for number in range(width, width + 10):
                scene.parts.now += 1
                scene.offer(bob, scene.call(alice, "bob"), 40)
                scene.join(f"agent-{number}")
                scene.parts.metrics.refused[f"CODE_{number}"] += 10 ** (number % 10)
                count = len(scene.sessions)
                await page.until(
                    f"document.querySelector('#tile-sessions .figure').textContent === '{count}'"
                )
            assert await page.value(places) == before, width
