"""Who a command is to the gateway, and the token that proves it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import grpc

from gateway.commands.state import state_dir
from gateway.commands.trouble import FAILED, CommandError
from llmx.channel import Tls, open_channel
from llmx.route import addresses_of

TOKEN_SECONDS = 3600.0
CONNECT_SECONDS = 3.0
"""How long one of several gateways is waited for."""
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
ROOTS = "name a PEM file of root certificates"
READY = grpc.ChannelConnectivity.READY
FAILED_TO_CONNECT = grpc.ChannelConnectivity.TRANSIENT_FAILURE


def check_agent(address: str) -> str:
    """Return the address of an agent. Raises CommandError when it is none."""
    from gateway.members import AGENT_ADDRESS  # it takes long, and few commands ask

    if AGENT_ADDRESS.fullmatch(address) is None:
        name = address.removeprefix("agent://")
        near = f"agent://{name}"
        meant = near if AGENT_ADDRESS.fullmatch(near) else "agent://alice"
        raise CommandError(f"{address!r} is no address of an agent", f"write for example {meant}")
    return address


def check_gateways(addresses: str) -> str:
    """Return the addresses of one or several gateways, with commas. Raises CommandError."""
    for address in addresses_of(addresses):
        check_gateway(address)
    return addresses


def tls_of(given: str | None) -> Tls:
    """Return how a gateway is spoken to: in plain text, or by TLS and which roots.

    Raises CommandError when they are in no file that can be read.
    """
    if given is None or given == "system":
        return None if given is None else True
    try:
        roots = Path(given).read_bytes()
    except OSError as error:
        reason = f"{given}: {error.strerror or error}"
        raise CommandError(reason, ROOTS) from None
    if CERTIFICATE not in roots:
        raise CommandError(f"{given}: there is no certificate in it", ROOTS)
    return given


async def answering(addresses: str, tls: Tls = None) -> str:
    """Return the first of several gateways that can be connected to; the first if none can.

    Raises OSError when the file with the root certificates cannot be read.
    """
    first, *others = addresses_of(addresses)
    for address in (first, *others) if others else ():
        channel = open_channel(address, tls)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    if await _connects(channel):
                        return address
        finally:
            await channel.close()
    return first


async def _connects(channel: grpc.aio.Channel) -> bool:
    state = channel.get_state(try_to_connect=True)
    while state not in (READY, FAILED_TO_CONNECT):
        await channel.wait_for_state_change(state)
        state = channel.get_state()
    return state is READY


def check_gateway(address: str) -> str:
    """Return the address of a gateway. Raises CommandError when it is none."""
    host, colon, port = address.rpartition(":")
    if address.startswith("unix:"):
        return address
    if not host or not colon or "/" in address or not port.isdigit() or not int(port) <= 65535:
        raise CommandError(
            f"{address!r} is no address of a gateway", "write HOST:PORT, for example 127.0.0.1:7600"
        )
    return address


def agent_named_in(token: str) -> str | None:
    """Return the agent that a token says it speaks for, None when it is not to be read."""
    try:
        claims = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("sub")
    except (IndexError, ValueError, AttributeError):
        return None
    return subject if isinstance(subject, str) else None


def token_of(
    agent_id: str, given: str | None, roles: Iterable[str] = ()
) -> str | Callable[[], str]:
    """Return the token that was given, or a source of development tokens of this user.

    Raises CommandError when neither can be had.
    """
    return given or development_tokens(state_dir(), agent_id, roles)


def development_tokens(folder: Path, agent_id: str, roles: Iterable[str] = ()) -> Callable[[], str]:
    """Return what makes tokens with the secret in a state folder. Raises CommandError."""
    # Only now, because it is a third of what a command has to import.
    from gateway.key_faults import KeysError
    from gateway.tokens import development_secret, mint_development_token

    try:
        secret = development_secret(folder)
    except KeysError as error:
        raise CommandError(str(error), code=FAILED) from None
    except OSError as error:
        reason = f"{folder} cannot keep the development secret: {error.strerror or error}"
        raise CommandError(reason, "set LLMX_STATE_DIR, or give --token", FAILED) from None
    held = tuple(roles)
    return lambda: mint_development_token(secret, agent_id, ttl=TOKEN_SECONDS, roles=held)
