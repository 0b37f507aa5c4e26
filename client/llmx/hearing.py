"""What an agent can hear: the hooks, each a method to override and a decorator to apply.

Both share one name, so a hook takes and returns Any; what a handler takes and returns stands in
its docstring.
"""

from __future__ import annotations

from typing import Any

from llmx.handlers import Handlers


class Hearing:
    """The hooks of an agent."""

    _handlers: Handlers

    def on_cfp(self, call: Any, /) -> Any:
        """Answer a call: takes a Call, returns an Offer, a Refusal, or None to refuse."""
        return self._hook("on_cfp", call)

    def on_outcome(self, verdict: Any, /) -> Any:
        """Hear how a negotiation ended in which an offer was made: takes a Verdict."""
        return self._hook("on_outcome", verdict)

    def on_confirm(self, verdict: Any, /) -> Any:
        """Stand by an offer that won: takes a Verdict, returns a bool. Default: True."""
        return self._hook("on_confirm", verdict)

    def on_award(self, verdict: Any, /) -> Any:
        """Do the work that was won: takes a Verdict.

        Where the call asks for a report, what is returned is reported as the result and an
        exception as the failure.
        """
        return self._hook("on_award", verdict)

    def on_bargain(self, bargain: Any, /) -> Any:
        """Bargain with one that called this agent: takes a Bargain, and runs to its end."""
        return self._hook("on_bargain", bargain)

    def on_refused(self, refused: Any, offer: Any = None, /) -> Any:
        """Repair an offer that the gateway refused: takes a Refused and the Offer.

        Returns a better Offer, or None to give up. Asked at most `repairs_max` times a call.
        """
        return self._hook("on_refused", refused)

    def on_offer(self, offer: Any, /) -> Any:
        """Hear an offer to any negotiation of this agent: takes an OfferMade."""
        return self._hook("on_offer", offer)

    def on_message(self, message: Any, /) -> Any:
        """Hear a plain message, whether or not it is about a negotiation: takes a Message."""
        return self._hook("on_message", message)

    def on_failure(self, message: Any, /) -> Any:
        """Hear that a message could not be delivered: takes a Message, see its `body`."""
        return self._hook("on_failure", message)

    def on_slow_consumer(self, warning: Any, /) -> Any:
        """Hear that messages come faster than they are handled: takes a SlowConsumer."""
        return self._hook("on_slow_consumer", warning)

    def _hook(self, name: str, handler: Any) -> Any:
        if not callable(handler):
            raise TypeError(f"{name} decorates a function, or is overridden in a subclass")
        self._handlers.put(name, handler)
        return handler
