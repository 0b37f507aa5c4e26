"""Counts the calls of every method that gateway's port serves, and says who called what.

An interceptor: it is asked once for each call, so a stream of a million messages costs it nothing
after its first. Names of methods that nobody serves come from strangers; they count as one.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from time import perf_counter
from typing import Any

import grpc

from gateway.auth import Identity
from gateway.session import Context
from gateway.telemetry.timing import LONG, Timing

UNKNOWN = "unknown"
_IDENTITY: ContextVar[list[Identity] | None] = ContextVar("identity", default=None)

Continue = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]
Authenticate = Callable[[Context], Coroutine[Any, Any, Identity]]
Ended = Callable[[str, Identity | None, str], None]
"""Hears of a call: method, who called if that was found out, name of the status."""


class MethodWatch(grpc.aio.ServerInterceptor):
    """Counts calls by method and status, and how long those take that are answered once."""

    def __init__(self) -> None:
        """Start at zero."""
        self._calls: Counter[tuple[str, str]] = Counter()
        self._timings: dict[str, Timing] = {}
        self.on_ended: Ended | None = None
        """Hears of each call to a method that is not a stream from its caller."""

    def calls(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield how many calls ended, by method and status."""
        yield from sorted(self._calls.copy().items())

    def timings(self) -> Iterator[tuple[tuple[str, ...], Timing]]:
        """Yield how long calls took, by method."""
        for method, timing in sorted(self._timings.copy().items()):
            yield (method,), timing

    def around(self, authenticate: Authenticate) -> Authenticate:
        """Return `authenticate`, of which this watch sees the result."""

        async def authenticated(context: Context) -> Identity:
            identity = await authenticate(context)
            seen = _IDENTITY.get()
            if seen is not None:
                seen.append(identity)
            return identity

        return authenticated

    async def intercept_service(
        self, continuation: Continue, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Return the handler of a call, with a look at how it ends."""
        handler = await continuation(handler_call_details)
        if handler is None:
            self._calls[UNKNOWN, grpc.StatusCode.UNIMPLEMENTED.name] += 1
            return None  # grpc answers that itself
        method = str(handler_call_details.method).rpartition(".")[2].replace("/", ".")
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._answered(method, handler.unary_unary),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._one_by_one(method, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._conversed(method, handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return handler

    def _answered(self, method: str, behaviour: Any) -> Any:
        async def answered(request: object, context: Context) -> object:
            began, seen = perf_counter(), list[Identity]()
            _IDENTITY.set(seen)
            code = grpc.StatusCode.CANCELLED
            try:
                response = await behaviour(request, context)
                code = _code_of(context, grpc.StatusCode.OK)
                return response
            except Exception:
                code = _code_of(context, grpc.StatusCode.UNKNOWN)
                raise
            finally:
                timing = self._timings.setdefault(method, Timing(LONG))
                timing.add(perf_counter() - began)
                self._ended(method, seen, code)

        return answered

    def _one_by_one(self, method: str, behaviour: Any) -> Any:
        """Watch what yields its answers, or writes them, as the health service does."""
        yields = inspect.isasyncgenfunction(behaviour)
        return (self._streamed if yields else self._conversed)(method, behaviour)

    def _streamed(self, method: str, behaviour: Any) -> Any:
        async def streamed(request: object, context: Context) -> AsyncIterator[object]:
            seen = list[Identity]()
            _IDENTITY.set(seen)
            code = grpc.StatusCode.CANCELLED
            try:
                async for response in behaviour(request, context):
                    yield response
                code = _code_of(context, grpc.StatusCode.OK)
            except Exception:
                code = _code_of(context, grpc.StatusCode.UNKNOWN)
                raise
            finally:
                self._ended(method, seen, code)

        return streamed

    def _conversed(self, method: str, behaviour: Any) -> Any:
        yields = inspect.isasyncgenfunction(behaviour)

        async def conversed(requests: object, context: Context) -> None:
            code = grpc.StatusCode.CANCELLED
            try:
                if yields:  # as the reflection service does
                    async for response in behaviour(requests, context):
                        await context.write(response)
                else:
                    await behaviour(requests, context)
                code = _code_of(context, grpc.StatusCode.OK)
            except Exception:
                code = _code_of(context, grpc.StatusCode.UNKNOWN)
                raise
            finally:
                self._calls[method, code.name] += 1

        return conversed

    def _ended(self, method: str, seen: list[Identity], code: grpc.StatusCode) -> None:
        self._calls[method, code.name] += 1
        if self.on_ended is not None:
            self.on_ended(method, seen[-1] if seen else None, code.name)


_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def _code_of(context: Context, otherwise: grpc.StatusCode) -> grpc.StatusCode:
    """Return the status that a call was given, which grpc tells as a number, or `otherwise`."""
    code: Any = context.code()
    if not isinstance(code, grpc.StatusCode):
        code = _BY_NUMBER.get(code)
    return code or otherwise
