"""Waiting until gateways have met."""

from __future__ import annotations

from gateway.commands.formation import formed
from gateway.tokens import mint_development_token
from tests.support.admin_view import FakeView, served
from tests.support.fake_streams import SECRET, played

TOKEN = mint_development_token(SECRET, "agent://root", roles=["operator"])


@played
async def test_gateways_that_all_have_open_links_have_met():
    eu, us = FakeView("eu", {"us": "a:1"}), FakeView("us", {"eu": "a:1"})
    async with served(eu, SECRET) as at_eu, served(us, SECRET) as at_us:
        assert await formed([at_eu, at_us], TOKEN, 5) == ""


@played
async def test_one_alone_has_met_everybody():
    async with served(FakeView(), SECRET) as address:
        assert await formed([address], TOKEN, 5) == ""


@played
async def test_what_is_missing_after_some_time_is_told():
    eu, us = FakeView("eu", {"us": "a:1"}), FakeView("us")
    async with served(eu, SECRET) as at_eu, served(us, SECRET) as at_us:
        missing = await formed([at_eu, at_us], TOKEN, 0.01)
        assert missing == f"{at_us} has open links to 0 of 1 others"
    assert "127.0.0.1:1" in await formed(["127.0.0.1:1"], TOKEN, 0.01)
