"""The settings of the operator's page."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings_groups import Group, Port, Word


class PageSettings(Group):
    """The operator's page: where this gateway shows itself in a browser, and to whom."""

    port: Port | None = Field(
        default=None, description="Port of the page; 0 takes a free one, none is off"
    )
    host: Word = Field(
        default="127.0.0.1",
        description="Address of the page. Elsewhere than on this machine it asks for a token, and "
        "is served with `server.tls_certificate` if there is one",
    )
    token: Literal["elsewhere", "always"] = Field(
        default="elsewhere",
        description="Who needs the token of an `exchange-operator`: whoever does not look from "
        "this machine, or everybody. Use always behind a proxy, or where users share a machine",
    )
    viewers_max: Annotated[int, Field(ge=1, le=256)] = Field(
        default=16, description="Viewers at a time; one more is told to come back later"
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address or name, without a port, is this machine's own."""
    bare = host.strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False
