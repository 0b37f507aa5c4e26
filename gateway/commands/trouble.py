"""What can go wrong with a command, as one line that says what would work, and an exit code.

0    done as asked
1    the gateway is away, or it refused
2    the command, a file or a value is not right; nothing was started
3    a call ended without an award
130  Ctrl-C
"""

from __future__ import annotations

import sys

from llmx.errors import (
    ControlError,
    LlmxError,
    NegotiationLost,
    NotAllowed,
    Refused,
    Replaced,
    Unauthenticated,
    Unreachable,
)

OK = 0
FAILED = 1
USAGE = 2
NO_AWARD = 3

UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
HANDSHAKE = "handshake failed"
HUNG_UP = "Socket closed"
"""What grpc says of a connection that came to nothing."""


class CommandError(Exception):
    """A command cannot do what it was asked to."""

    def __init__(self, reason: str, remedy: str = "", code: int = USAGE) -> None:
        """Say why and what would work; `code` is the exit code."""
        joint = ". " if remedy[:1].isupper() else "; "
        super().__init__(f"{reason}{joint}{remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy
        self.code = code


def complain(command: str, error: CommandError) -> int:
    """Print the line to standard error and return the exit code."""
    print(f"llmx {command}: {error}", file=sys.stderr, flush=True)
    return error.code


def unreached(detail: str, gateway: str) -> CommandError:
    """Return why a gateway was not reached, as far as what grpc says of it tells."""
    if UNTRUSTED in detail:
        reason = f"the certificate of the gateway at {gateway} is not of the roots that are given"
        return CommandError(reason, "name those that it is of with --tls ROOTS.pem", FAILED)
    if HANDSHAKE in detail:
        return CommandError(
            f"the gateway at {gateway} speaks no TLS, or not as we do",
            "leave --tls and LLMX_TLS out if it has no certificate",
            FAILED,
        )
    if HUNG_UP in detail:
        return CommandError(
            f"who listens at {gateway} hung up",
            "a gateway with a certificate wants --tls ROOTS.pem, or --tls system",
            FAILED,
        )
    return CommandError(
        f"no gateway answers at {gateway}",
        "start one with: llmx gateway, or name another with --gateway HOST:PORT",
        FAILED,
    )


def explained(error: LlmxError, gateway: str) -> CommandError:
    """Return what an error of the client library means to who typed the command."""
    match error:
        case Unreachable():
            return unreached(str(error), gateway)
        case Unauthenticated():
            return CommandError(
                f"the gateway at {gateway} did not take the token ({error.detail})",
                "give a good one with --token or LLMX_TOKEN, or none where development tokens "
                "of this user are accepted",
                FAILED,
            )
        case NotAllowed():
            return CommandError(
                f"the gateway at {gateway} does not allow this ({error.detail})", code=FAILED
            )
        case Refused():
            at = f" at {error.pointer}" if error.pointer else ""
            reason = f"refused, {error.code}{at}: {error.reason.rstrip('.')}"
            return CommandError(reason, error.remedy, FAILED)
        case Replaced():
            return CommandError(
                f"it gives way to a newer agent of its name ({error.detail})", code=FAILED
            )
        case ControlError() | NegotiationLost():
            return CommandError(str(error), code=FAILED)
        case _:
            return CommandError(str(error) or type(error).__name__, code=FAILED)
