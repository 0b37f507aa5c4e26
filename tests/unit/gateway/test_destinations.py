"""Where agents are sent: to their region first, and not to who is about to stop too."""

from __future__ import annotations

from pathlib import Path

from federation.membership import MemberInfo
from federation.peer_states import LinkState
from gateway.destinations import Destinations
from gateway.settings import FederationSettings, ServerSettings, Settings


def member(gateway_id: str, region: str, peer: str, agents: str, load: float = 0.0) -> MemberInfo:
    return MemberInfo(
        gateway_id=gateway_id, region=region, peer_address=peer, agents_address=agents, load=load
    )


EU_2 = member("eu-2", "eu", "unix:/run/eu/2.sock,10.0.0.1:7702", "eu.example:7602", 0.9)
EU_3 = member("eu-3", "eu", "unix:/run/eu/3.sock", "eu.example:7603", 0.1)
DE = member("de", "eu", "10.0.0.9:7700", "de.example:7600", 0.5)
US = member("us", "us", "10.0.0.2:7700", "us.example:7600")
MUTE = member("ap", "ap", "10.0.0.3:7700", "")
MEMBERS = (US, EU_2, EU_3, DE, MUTE)


def destinations(shared_port: int | None = 7600, agents: str = "eu.example:7601") -> Destinations:
    settings = Settings(
        server=ServerSettings(gateway_id="eu-1", shared_port=shared_port),
        federation=FederationSettings(region="eu", unix=Path("/run/eu/1.sock")),
    )
    return Destinations(settings, agents)


def link(gateway_id: str, state: str) -> LinkState:
    return LinkState(gateway_id, "eu", state, 0.0, 0, 0, 0, 0, 0, 0.0)


def test_agents_stay_in_their_region_and_go_to_who_has_least_to_do() -> None:
    assert destinations().addresses(MEMBERS) == (
        "eu.example:7603",
        "de.example:7600",
        "eu.example:7602",
        "us.example:7600",
    )


def test_siblings_stop_together_so_nobody_is_sent_from_one_to_the_other() -> None:
    elsewhere = destinations().addresses(MEMBERS, without_siblings=True)
    assert elsewhere == ("de.example:7600", "us.example:7600")


def test_a_gateway_that_shares_no_port_has_no_siblings_whatever_sockets_are_beside_its_own() -> (
    None
):
    alone = destinations(shared_port=None)
    assert not any(map(alone.is_sibling, MEMBERS))
    assert len(alone.addresses(MEMBERS, without_siblings=True)) == 4


def test_an_agent_goes_to_a_sibling_only_while_there_is_a_link_to_it() -> None:
    links = (link("eu-2", "open"), link("eu-3", "down"), link("de", "open"))
    assert destinations().siblings(MEMBERS, links) == {"eu-2": "eu.example:7602"}


def test_an_address_that_all_siblings_have_leads_to_none_of_them() -> None:
    links = (link("eu-2", "open"),)
    assert destinations(agents="eu.example:7602").siblings(MEMBERS, links) == {}
