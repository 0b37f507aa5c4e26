"""A server that speaks etcd's wire and answers as it was told: for what no real one does on demand.

    async with ScriptedEtcd() as etcd:
        etcd.answers(RANGE, RangeResponse(), (StatusCode.UNAVAILABLE, "no leader"))

Each call takes the next answer, the last one stays. An answer is a message, a status to end with,
a callable that makes one of them of the request, now or later, or SILENCE. For a stream it is a
list of them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeAlias

import grpc
from google.protobuf.message import Message

from federation.etcd.calls import Method

Status: TypeAlias = tuple[grpc.StatusCode, str]
Answer: TypeAlias = (
    "Message | Status | Callable[[Any], Message | Status | Awaitable[Message]] | object"
)
SILENCE = object()
"""Nothing is said, and nothing ends."""


class ScriptedEtcd:
    """A context manager that listens on a free port."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.heard: dict[str, list[Any]] = defaultdict(list)
        """By path, what was asked."""
        self.metadata: dict[str, list[dict[str, str]]] = defaultdict(list)
        """By path, what came with it."""
        self._answers: dict[str, list[Any]] = {}
        self._methods: dict[str, Method[Any, Any]] = {}
        self._news = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    def answers(self, method: Method[Any, Any], *answers: Answer) -> None:
        """Answer this method so from now on; for a stream each is a list."""
        self._methods[method.path] = method
        self._answers[method.path] = list(answers)

    async def asked(self, method: Method[Any, Any], number: int = 1) -> Any:
        """Wait until it was asked so often, and return what came last."""
        async with asyncio.timeout(5):
            while len(self.heard[method.path]) < number:
                self._news.clear()
                await self._news.wait()
        return self.heard[method.path][-1]

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Handlers(self._serving),))
        self.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every call and stop listening."""
        assert self._server is not None, "it was entered"
        await self._server.stop(None)

    def _serving(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = self._methods.get(details.method)
        if method is None:
            return None
        self.metadata[method.path].append(
            {str(name): str(value) for name, value in details.invocation_metadata or ()}
        )

        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            self._hear(method, request)
            return await self._said(self._next(method), request, context)

        async def stream(
            requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            request = await anext(requests)
            self._hear(method, request)
            async with asyncio.TaskGroup() as tasks:
                rest = tasks.create_task(self._hear_all(method, requests))
                for answer in self._next(method):
                    yield await self._said(answer, request, context)
                rest.cancel()

        coders = method.asked.FromString, method.told.SerializeToString
        if method.streams:
            return grpc.stream_stream_rpc_method_handler(stream, *coders)
        return grpc.unary_unary_rpc_method_handler(call, *coders)

    def _next(self, method: Method[Any, Any]) -> Any:
        answers = self._answers[method.path]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def _said(
        self, answer: Any, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer is SILENCE:
            await asyncio.Event().wait()
        if isinstance(answer, tuple):
            await context.abort(*answer)
        return answer

    def _hear(self, method: Method[Any, Any], request: Any) -> None:
        self.heard[method.path].append(request)
        self._news.set()

    async def _hear_all(self, method: Method[Any, Any], requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            self._hear(method, request)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, serving: Any) -> None:
        self._serving = serving

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: grpc.RpcMethodHandler[Any, Any] | None = self._serving(details)
        return handler
