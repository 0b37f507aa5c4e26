"""What is measured: our gateway, and the floor beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.tokens import SECRET_FILE, development_secret, mint_development_token
from loadtest.servers import ServerCommand

FLOOR_GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"
"""grpc's older polling: two thread hops fewer per read. It is worth a tenth with one round in
flight, in server and client, and the floor shall have all that helps it."""

TokenOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Target:
    """A server to play rounds through."""

    name: str
    command: ServerCommand
    initiator_decides: bool
    """Does Alice award, because the server decides nothing?"""
    token_of: TokenOf | None
    """Gives an agent its token, None where nobody asks for one."""


def floor() -> Target:
    """Return the relay that checks nothing."""
    return Target(
        name="floor",
        command=ServerCommand(
            "the floor",
            ["-m", "loadtest.floor"],
            {"GRPC_EXPERIMENTS": FLOOR_GRPC_EXPERIMENTS, "GRPC_VERBOSITY": "NONE"},
        ),
        initiator_decides=True,
        token_of=None,
    )


def ours(state: Path, port: int = 0, **settings: object) -> Target:
    """Return the gateway with everything on; only the rate limits are far away.

    `state` is a folder for this run; the secret for its tokens is made there. Port 0 takes a
    free one. `limits__burst=3` is the setting limits.burst.
    """
    secret = development_secret(state)

    def token_of(agent_id: str) -> str:
        return mint_development_token(secret, agent_id)

    return Target(
        name="ours",
        command=ServerCommand(
            "the gateway",
            [
                "-m",
                "gateway.cli",
                "gateway",
                "--port",
                str(port),
                "--metrics-port",
                "0",
                "--announce",
                "json",
            ],
            {
                "LLMX_LIMITS__RATE_PER_SECOND": "1000000",
                "LLMX_LIMITS__BURST": "1000000",
                "LLMX_LIMITS__TENANT_RATE_PER_SECOND": "10000000",
                "LLMX_LIMITS__TENANT_BURST": "10000000",
                "LLMX_STATE_DIR": str(state),
                "LLMX_AUTH__DEVELOPMENT_SECRET_FILE": str(state / SECRET_FILE),
                "GRPC_VERBOSITY": "NONE",
                **{f"LLMX_{name.upper()}": str(value) for name, value in settings.items()},
            },
        ),
        initiator_decides=False,
        token_of=token_of,
    )


def chosen(only: str | None, state: Path) -> list[Target]:
    """Return the targets to play with: both, or the one that is named."""
    targets = []
    if only != "floor":
        targets.append(ours(state))
    if only != "ours":
        targets.append(floor())
    return targets
