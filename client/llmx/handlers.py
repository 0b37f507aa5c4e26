"""Finds what an author wants to hear.

An author subclasses `Agent` and overrides `on_cfp`, or decorates a function with
`@agent.on_cfp`. A function that was given to a decorator goes before a method.

A handler that raises CancelledError, because something it awaits was cancelled, has failed like
any other: only who cancels the task that runs it means the task.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from llmx.errors import HandlerCancelled

Handler = Callable[..., Any]
"""May be async or not. One that is not runs at once and must not block."""


class Handlers:
    """The handlers of one agent, by the name of the hook, "on_cfp"."""

    def __init__(self, owner: object, default: type) -> None:
        """Look for methods that `owner` overrides in its base class `default`."""
        self._found: dict[str, Handler] = {}
        for name in vars(default):
            if name.startswith("on_") and getattr(type(owner), name) is not vars(default)[name]:
                self._found[name] = getattr(owner, name)

    def find(self, name: str) -> Handler | None:
        """Return the handler, or None when the author did not ask for one."""
        return self._found.get(name)

    def put(self, name: str, handler: Handler) -> None:
        """Use this handler from now on."""
        self._found[name] = handler


async def ask(handler: Handler, *subjects: object) -> Any:
    """Return what a handler answers.

    Raises what it raises; HandlerCancelled when it raises CancelledError and nobody cancels it.
    """
    try:
        answer = handler(*subjects)
    except asyncio.CancelledError as cancelled:  # it has not waited, so it cannot be our task's
        raise HandlerCancelled from cancelled
    return await settled(answer)


async def settled(answer: Any) -> Any:
    """Return an answer that may have to be awaited; raises as `ask` does."""
    if not inspect.isawaitable(answer):
        return answer
    try:
        return await answer
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise HandlerCancelled from cancelled
