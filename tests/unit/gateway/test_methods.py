"""What the methods of every service do before their work, and instead of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from gateway import methods
from gateway.auth import Identity
from gateway.methods import Method, abort, check, handlers_of, operator
from gateway.refusals import Fault
from llmx.v1 import admin_service_pb2 as messages
from tests.support.fake_streams import Aborted, FakeStream

DENIED = grpc.StatusCode.PERMISSION_DENIED
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


class Service:
    """Answers everything, and remembers what came."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def __getattr__(self, name: str) -> Method:
        async def answer(request: Any, context: Any) -> str:
            self.heard.append(request)
            return name

        async def answers(request: Any, context: Any) -> AsyncIterator[str]:
            self.heard.append(request)
            yield name

        return answers if name == "Drain" else answer


async def test_what_is_too_large_is_neither_parsed_nor_passed_on() -> None:
    service, context = Service(), cast(Any, FakeStream())
    handlers = handlers_of(service, messages, 8)
    one, many = handlers["ListMembers"], handlers["Drain"]
    for parse in (one.request_deserializer, many.request_deserializer):
        assert parse(b"") is not None
        assert parse(bytes(9)) is None
    for answer in (one.unary_unary(None, context), anext(many.unary_stream(None, context))):
        with pytest.raises(Aborted, match=r"TOO_LARGE: .* at most 8 bytes") as ended:
            await answer
        assert ended.value.code is FULL
    assert not service.heard


async def test_every_method_of_the_service_is_reached_through_what_is_around_it() -> None:
    around: list[Method] = []

    def noted(method: Method) -> Method:
        around.append(method)
        return method

    service, context = Service(), cast(Any, FakeStream())
    handlers = handlers_of(service, messages, 8, noted)
    declared = messages.DESCRIPTOR.services_by_name["AdminService"].methods
    assert list(handlers) == [method.name for method in declared]
    assert len(around) == len(handlers)
    request = messages.ListMembersRequest()
    assert await handlers["ListMembers"].unary_unary(request, context) == "ListMembers"
    assert [one async for one in handlers["Drain"].unary_stream(request, context)] == ["Drain"]
    assert service.heard == [request, request]


@pytest.mark.parametrize(
    ("has", "also", "may"),
    [
        ("operator", (), True),
        ("auditor", (), False),
        ("exchange-operator", (), False),
        ("exchange-operator", ("exchange-operator",), True),
        ("operator", ("exchange-operator",), True),
    ],
)
async def test_an_operator_has_the_role(has: str, also: tuple[str, ...], may: bool) -> None:
    identity = SimpleNamespace(agent_id="agent://root", roles=frozenset((has,)))

    async def authenticate(context: Any) -> Identity:
        return cast(Identity, identity)

    asked = operator(authenticate, cast(Any, FakeStream()), *also)
    if may:
        assert await asked is cast(Identity, identity)
        return
    with pytest.raises(Aborted, match=r"agent://root is no operator.*--role operator") as ended:
        await asked
    assert ended.value.code is DENIED


async def test_a_call_ends_with_the_status_of_its_fault() -> None:
    context = cast(Any, FakeStream())
    await check(context, True, DENIED, "nothing is wrong")
    for code, status in (("OVERLOADED", FULL), ("WRONG_STATE", methods.INVALID)):
        with pytest.raises(Aborted, match=f"{code}: it is so; do this") as ended:
            await abort(context, Fault(code, "it is so", "do this"))
        assert ended.value.code is status
