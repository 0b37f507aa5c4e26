"""What the methods of all services share: the size of a request, who may ask, how a call ends.

The size is looked at before the content, so that nothing large is ever parsed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import Message

from gateway.auth import Identity
from gateway.refusals import Fault
from gateway.session import Context

OPERATOR: Final = "operator"
"""The role of those who arrange what is their tenant's."""

INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
CANNOT: Final = grpc.StatusCode.FAILED_PRECONDITION

STATUS_OF: Final = {
    "RATE_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_LARGE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NOT_A_PARTY": grpc.StatusCode.PERMISSION_DENIED,
    "UNKNOWN_SCHEMA": grpc.StatusCode.NOT_FOUND,
    "STORE_UNAVAILABLE": CANNOT,
}

Authenticate = Callable[[Context], Awaitable[Identity]]
"""Returns who calls, or ends the call."""

Method = Callable[[Any, Context], Any]


def handlers_of(
    servicer: object,
    messages: ModuleType,
    request_bytes_max: int,
    around: Callable[[Method], Method] = lambda method: method,
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Return the methods of a service for a server; what is too large does not reach them.

    `messages` is the module generated from the file of the service, which has no other one.
    `around` is put around each method.
    """
    (service,) = messages.DESCRIPTOR.services_by_name.values()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in service.methods:
        made, sized = (
            (grpc.unary_stream_rpc_method_handler, _stream_sized)
            if method.server_streaming
            else (grpc.unary_unary_rpc_method_handler, _sized)
        )
        handlers[method.name] = made(
            sized(around(getattr(servicer, method.name)), request_bytes_max),
            request_deserializer=_parser(
                getattr(messages, method.input_type.name), request_bytes_max
            ),
            response_serializer=getattr(messages, method.output_type.name).SerializeToString,
        )
    return handlers


def _parser(kind: type[Message], bytes_max: int) -> Callable[[bytes], Message | None]:
    return lambda raw: kind.FromString(raw) if len(raw) <= bytes_max else None


def _sized(method: Method, bytes_max: int) -> Method:
    async def sized(request: Message | None, context: Context) -> Any:
        await _check_size(context, request, bytes_max)
        return await method(request, context)

    return sized


def _stream_sized(method: Method, bytes_max: int) -> Method:
    async def sized(request: Message | None, context: Context) -> AsyncIterator[Any]:
        await _check_size(context, request, bytes_max)
        async for response in method(request, context):
            yield response

    return sized


async def _check_size(context: Context, request: Message | None, bytes_max: int) -> None:
    if request is None:
        remedy = f"send at most {bytes_max} bytes"
        await abort(context, Fault("TOO_LARGE", "the request is too large", remedy))


async def operator(authenticate: Authenticate, context: Context, *other_roles: str) -> Identity:
    """Return the operator that calls, or end the call; `other_roles` do as well."""
    identity = await authenticate(context)
    await check(
        context,
        not identity.roles.isdisjoint((OPERATOR, *other_roles)),
        grpc.StatusCode.PERMISSION_DENIED,
        f'{identity.agent_id} is no operator: this needs the role "{OPERATOR}" in the token; '
        f"for development: llmx token AGENT --role {OPERATOR}",
    )
    return identity


async def check(context: Context, holds: bool, status: grpc.StatusCode, reason: str) -> None:
    """End the call with a status and a reason unless something holds."""
    if not holds:
        await end(context, status, reason)


async def abort(context: Context, fault: Fault) -> NoReturn:
    """End the call with what was wrong and what would have been right."""
    status = STATUS_OF.get(fault.code, INVALID)
    await end(context, status, f"{fault.code}: {fault.reason}; {fault.remedy}")


async def end(context: Context, status: grpc.StatusCode, reason: str) -> NoReturn:
    """End the call with a status and a reason."""
    await context.abort(status, reason)
    raise AssertionError("abort raises")
