"""What to do when a stream has ended: pure decisions, taken here and carried out by `session`."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from llmx.errors import Replaced, SessionError, Unauthenticated, ending_error

OUR_FAULTS = ("slow_consumer", "out_of_order")
"""Goodbyes after which coming back at once would only end the same way."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended."""

    code: grpc.StatusCode
    detail: str
    welcomed: bool
    """Did the gateway say Welcome on it?"""
    goodbye: str = ""
    """The reason of its Goodbye; empty when it said none."""
    reconnect_after: float | None = None
    """Seconds that the Goodbye asked us to wait."""

    @property
    def was_good(self) -> bool:
        """Did the stream live until something came that another one can make good?

        Then the waits between tries begin anew; otherwise they go on growing.
        """
        return self.welcomed and self.goodbye not in OUR_FAULTS


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Open another stream."""

    after: float | None
    """Seconds to wait before; None means as the backoff says."""


def after(ending: Ending, *, can_renew: bool) -> Reconnect | SessionError:
    """Return what follows a stream's end: another try, or the error that ends the session.

    A token that was good until it expired is replaced at once if there is a source of fresh
    ones. A fresh one that is not taken is final: the next would not be taken either.
    """
    match ending.goodbye:
        case "replaced":
            return Replaced(ending.detail or "the same agent opened a newer session")
        case "token_expired":
            if can_renew:
                return Reconnect(0.0)
            return Unauthenticated(ending.detail or "the token has expired")
        case "":
            pass
        case _:  # "stopping", "silent", "aged", "slow_consumer", "out_of_order", and newer ones
            return Reconnect(ending.reconnect_after)
    error = ending_error(ending.code, ending.detail)
    if error is None:
        return Reconnect(None)
    if isinstance(error, Unauthenticated) and ending.welcomed and can_renew:
        return Reconnect(0.0)
    return error
