"""The options that several commands of the command line take."""

from __future__ import annotations

from typing import Annotated

import typer

GATEWAY_DEFAULT = "127.0.0.1:7600"

GatewayAddress = Annotated[
    str,
    typer.Option(
        "--gateway",
        "-g",
        envvar="LLMX_GATEWAY",
        help="Gateway, host:port; several with commas are tried in their order.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="LLMX_TOKEN",
        help="JWT; without one, a development token of this user is made.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON objects, one a line, for programs.")]
UntilEof = Annotated[
    bool, typer.Option("--until-eof", help="End when standard input ends, as well.")
]
Tls = Annotated[
    str | None,
    typer.Option(
        "--tls",
        "--ca",
        envvar="LLMX_TLS",
        help="Speak TLS, and believe these roots: a PEM file, or system. Without: no TLS.",
    ),
]
