"""What operators see of a cluster, call by call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.admin import REQUEST_BYTES_MAX, AdminService
from gateway.tokens import mint_development_token
from llmx.v1 import admin_service_pb2 as messages
from llmx.v1.cluster_pb2 import Drain, DrainState
from tests.support.admin_view import FakeView, checked_by, detail, located
from tests.support.fake_streams import SECRET, Aborted, FakeStream, played

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
CANNOT = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.NOT_FOUND
OTHERS = {"us": "10.0.0.2:7600", "ap": "10.0.0.3:7600"}


class Operator:
    """Somebody who calls the admin service of a gateway."""

    def __init__(
        self, view: FakeView, roles: Iterable[str] = ("exchange-operator",), tenant: str = "acme"
    ) -> None:
        self.looks = 0
        self.service = AdminService(checked_by(SECRET), view, self._pause)
        self.stream = FakeStream(
            mint_development_token(SECRET, "agent://root", tenant=tenant, roles=roles)
        )

    async def _pause(self, seconds: float) -> None:
        assert seconds > 0
        self.looks += 1

    async def call(self, rpc: str, **fields: Any) -> Any:
        request = getattr(messages, f"{rpc}Request")(**fields)
        answer = await getattr(self.service, rpc)(request, self.stream)
        assert type(answer).__name__ == f"{rpc}Response"
        return answer

    async def drain(self, **fields: Any) -> list[Drain]:
        request = messages.DrainRequest(**fields)
        return [answer.drain async for answer in self.service.Drain(request, self.stream)]  # type: ignore[arg-type]

    async def refused(self, rpc: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        """Call in vain; returns the status and what was said."""
        with pytest.raises(Aborted) as ended:
            await (self.drain(**fields) if rpc == "Drain" else self.call(rpc, **fields))
        return ended.value.code, ended.value.details


def every_rpc() -> list[str]:
    return sorted(messages.DESCRIPTOR.services_by_name["AdminService"].methods_by_name)


@pytest.mark.parametrize("rpc", every_rpc())
@played
async def test_every_call_needs_the_role_of_an_operator(rpc: str) -> None:
    status, said = await Operator(FakeView(), roles=["auditor"]).refused(rpc)
    assert status is DENIED
    role = "exchange-operator" if "Drain" in rpc else "operator"
    assert "agent://root" in said and f'"{role}"' in said and f"--role {role}" in said


@pytest.mark.parametrize("rpc", every_rpc())
@played
async def test_an_operator_of_a_tenant_sees_and_does_not_drain_what_serves_all(rpc: str) -> None:
    operator = Operator(FakeView(), roles=["operator"])
    if "Drain" in rpc:
        status, said = await operator.refused(rpc, gateway_id="eu")
        assert status is DENIED and '"exchange-operator"' in said
    elif rpc != "ShowNegotiation":
        await operator.call(rpc)


@pytest.mark.parametrize("rpc", every_rpc())
@played
async def test_every_call_needs_a_token(rpc: str) -> None:
    stranger = Operator(FakeView())
    stranger.stream = FakeStream("a.b.c")
    assert (await stranger.refused(rpc))[0] is grpc.StatusCode.UNAUTHENTICATED


@played
async def test_members_are_listed_by_id_with_the_one_that_answers() -> None:
    told = await Operator(FakeView(others=OTHERS)).call("ListMembers")
    assert [member.gateway_id for member in told.members] == ["ap", "eu", "us"]
    assert (told.cluster.name, told.cluster.gateway_id) == ("llmx", "eu")
    assert not told.HasField("drain") and told.next_page_token == ""


@played
async def test_a_gateway_that_stands_alone_lists_itself() -> None:
    told = await Operator(FakeView()).call("ListMembers")
    assert [member.gateway_id for member in told.members] == ["eu"]
    assert told.cluster.name == ""
    assert not (await Operator(FakeView()).call("ListLinks")).links


PAGED = {
    "ListMembers": "members",
    "ListLinks": "links",
    "LocateAgents": "agents",
    "ListNegotiations": "negotiations",
}


@pytest.mark.parametrize(("rpc", "rows"), PAGED.items())
@played
async def test_pages_hold_everything_once(rpc: str, rows: str) -> None:
    view = FakeView(
        others={f"g{number}": "a:1" for number in range(6)},
        located={"acme": [located(f"a{number}", "eu") for number in range(7)]},
        details={"acme": [detail(f"eu.0.{number}", "eu") for number in range(7)]},
    )
    operator = Operator(view)
    whole = list(getattr(await operator.call(rpc), rows))
    pages: list[list[Any]] = []
    token = ""
    while token or not pages:
        page = await operator.call(rpc, page_size=3, page_token=token)
        pages.append(list(getattr(page, rows)))
        token = page.next_page_token
    assert [one for page in pages for one in page] == whole
    assert [len(page) for page in pages] == ([3, 3] if rpc == "ListLinks" else [3, 3, 1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"page_size": 1_001}, "at most 1000"), ({"page_token": "x" * 1_025}, "at most 1024")],
)
@played
async def test_a_page_is_bounded_and_so_is_where_it_begins(
    fields: dict[str, Any], said: str
) -> None:
    for rpc in PAGED:
        status, words = await Operator(FakeView()).refused(rpc, **fields)
        assert status is INVALID and said in words


@played
async def test_agents_and_negotiations_are_those_of_the_tenant() -> None:
    view = FakeView(
        located={"acme": [located("bob", "eu")], "umbrella": [located("eve", "eu")]},
        details={"acme": [detail("eu.0.1", "eu")], "umbrella": [detail("eu.0.2", "eu")]},
    )
    for tenant, name, number in (("acme", "bob", "1"), ("umbrella", "eve", "2")):
        operator = Operator(view, tenant=tenant)
        agents = (await operator.call("LocateAgents")).agents
        assert [one.agent.agent_id for one in agents] == [f"agent://{name}"]
        (listed,) = (await operator.call("ListNegotiations")).negotiations
        assert listed.negotiation_id == f"eu.0.{number}"
        shown = await operator.call("ShowNegotiation", negotiation_id=f"eu.0.{number}")
        assert shown.negotiation.summary == listed
        other = "eu.0.2" if number == "1" else "eu.0.1"
        status, said = await operator.refused("ShowNegotiation", negotiation_id=other)
        assert status is UNKNOWN and "gateway eu" in said


@played
async def test_agents_of_one_home_are_found() -> None:
    view = FakeView(located={"acme": [located("bob", "eu"), located("carol", "us")]})
    agents = (await Operator(view).call("LocateAgents", gateway_id="us")).agents
    assert [one.agent.agent_id for one in agents] == ["agent://carol"]


@played
async def test_to_show_nothing_is_a_mistake() -> None:
    assert (await Operator(FakeView()).refused("ShowNegotiation"))[0] is INVALID
    long = {"negotiation_id": "x" * 2_000}
    assert (await Operator(FakeView()).refused("ShowNegotiation", **long))[0] is INVALID


@played
async def test_a_drain_is_told_whenever_a_number_changes_until_it_is_over() -> None:
    view = FakeView(others=OTHERS, steps=2)
    operator = Operator(view)
    told = await operator.drain(gateway_id="eu", agents_per_second=50)
    assert [(one.agents_moved, one.agents_left) for one in told] == [(0, 2), (1, 1), (2, 0)]
    assert told[-1].state == DrainState.DRAIN_STATE_DRAINED
    assert view.asked == (50.0, 600.0) and operator.looks == 2
    assert (await operator.call("ListMembers")).drain.agents_moved == 2


@played
async def test_a_drain_has_a_rate_and_a_deadline_of_its_own() -> None:
    view = FakeView(others=OTHERS)
    await Operator(view).drain(gateway_id="eu", deadline=Duration(seconds=1, nanos=500_000_000))
    assert view.asked == (500.0, 1.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"agents_per_second": 0.5},
        {"agents_per_second": -1},
        {"agents_per_second": float("nan")},
        {"agents_per_second": 1e6},
        {"deadline": Duration()},
        {"deadline": Duration(seconds=90_000)},
    ],
)
@played
async def test_a_drain_that_cannot_be_begins_nothing(fields: dict[str, Any]) -> None:
    view = FakeView(others=OTHERS)
    status, said = await Operator(view).refused("Drain", gateway_id="eu", **fields)
    assert status is INVALID and "must be" in said
    assert view.asked is None


@pytest.mark.parametrize("rpc", ["Drain", "AbortDrain"])
@played
async def test_only_the_gateway_that_is_meant_is_drained(rpc: str) -> None:
    view = FakeView(others=OTHERS)
    status, said = await Operator(view).refused(rpc, gateway_id="us")
    assert status is CANNOT and "this is gateway eu, and us is meant" in said
    assert (await Operator(view).refused(rpc))[0] is INVALID
    assert view.asked is None


@played
async def test_a_gateway_that_stands_alone_cannot_be_drained() -> None:
    view = FakeView()
    status, said = await Operator(view).refused("Drain", gateway_id="eu")
    assert status is CANNOT and "no gateway beside eu" in said
    assert view.asked is None


@played
async def test_a_drain_is_taken_back_and_only_one_that_was_begun() -> None:
    view = FakeView(others=OTHERS)
    operator = Operator(view)
    assert (await operator.refused("AbortDrain", gateway_id="eu"))[0] is CANNOT
    view.drain(1, 1)
    told = (await operator.call("AbortDrain", gateway_id="eu")).drain
    assert told.state == DrainState.DRAIN_STATE_ABORTED


@played
async def test_who_watches_a_drain_hears_that_somebody_took_it_back() -> None:
    view = FakeView(others=OTHERS, steps=1_000)
    operator = Operator(view)
    told = []
    request = messages.DrainRequest(gateway_id="eu")
    async for answer in operator.service.Drain(request, operator.stream):  # type: ignore[arg-type]
        told.append(answer.drain.state)
        view.abort_drain()
    assert told == [DrainState.DRAIN_STATE_MOVING, DrainState.DRAIN_STATE_ABORTED]


@pytest.mark.parametrize("rpc", every_rpc())
@played
async def test_a_request_is_sized_before_it_is_read(rpc: str) -> None:
    operator = Operator(FakeView())
    handler = operator.service.handlers()[rpc]
    assert handler.request_deserializer(b"") is not None
    assert handler.request_deserializer(b"x" * (REQUEST_BYTES_MAX + 1)) is None
    if rpc == "Drain":
        answer = anext(handler.unary_stream(None, operator.stream))
    else:
        answer = handler.unary_unary(None, operator.stream)
    with pytest.raises(Aborted) as ended:
        await answer
    assert ended.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
