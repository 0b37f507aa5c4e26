"""Where to find a gateway."""

from __future__ import annotations

from llmx.route import ADDRESSES_MAX, Route, addresses_of


def tried(route: Route, times: int) -> list[str]:
    """Return the addresses at which nobody answers, one after the other."""
    addresses = []
    for _ in range(times):
        addresses.append(route.address)
        route.failed()
    return addresses


def test_without_a_word_only_the_configured_address_is_tried() -> None:
    route = Route("home:1")
    route.move([])
    assert tried(route, 2) == ["home:1", "home:1"]


def test_named_addresses_are_tried_in_order_before_the_configured_one() -> None:
    route = Route("home:1")
    route.move(["a:1", "b:1", "a:1", ""])
    assert tried(route, 4) == ["a:1", "b:1", "home:1", "a:1"]


def test_a_gateway_that_answers_is_where_the_session_lives() -> None:
    """It is found again there, and at the configured address if it went away for good."""
    route = Route("home:1")
    route.move(["a:1", "b:1"])
    route.failed()
    route.arrived()
    assert tried(route, 3) == ["b:1", "home:1", "b:1"]


def test_back_at_the_configured_address_the_others_are_forgotten() -> None:
    route = Route("home:1")
    route.move(["a:1"])
    route.failed()
    route.arrived()
    assert tried(route, 2) == ["home:1", "home:1"]


def test_the_configured_address_may_be_named_too() -> None:
    route = Route("home:1")
    route.move(["home:1", "a:1"])
    assert tried(route, 3) == ["home:1", "a:1", "home:1"]


def test_the_addresses_of_a_goodbye_are_bounded() -> None:
    route = Route("home:1")
    route.move([f"a:{number}" for number in range(100)])
    assert tried(route, ADDRESSES_MAX + 1)[-1] == "home:1"


def test_of_several_configured_addresses_the_first_is_preferred() -> None:
    """And the others are tried in their order, whoever has answered before."""
    route = Route("a:1, b:1,,c:1")
    assert tried(route, 4) == ["a:1", "b:1", "c:1", "a:1"]
    route.arrived()  # at b:1
    assert tried(route, 4) == ["b:1", "a:1", "c:1", "b:1"]


def test_a_route_knows_whether_there_is_another_address() -> None:
    assert not Route("a:1").has_others
    assert Route("a:1,b:1").has_others
    route = Route("a:1")
    route.move(["b:1"])
    assert route.has_others


def test_who_was_asked_to_move_still_knows_every_configured_address() -> None:
    route = Route("a:1,b:1")
    route.move(["c:1", "b:1"])
    assert tried(route, 4) == ["c:1", "b:1", "a:1", "c:1"]


def test_a_text_without_an_address_is_tried_as_it_stands() -> None:
    """So that the error names what was written."""
    assert addresses_of(" , ") == (" , ",)
    assert addresses_of("unix:/run/llmx.sock") == ("unix:/run/llmx.sock",)
