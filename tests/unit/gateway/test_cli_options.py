"""The options that several commands take."""

from __future__ import annotations

from typing import get_args

from gateway.cli_options import GATEWAY_DEFAULT, AsJson, GatewayAddress, Token, UntilEof
from gateway.commands.access import check_gateways


def test_an_option_says_what_it_is_for_and_where_else_it_is_looked_for():
    for option, variable in ((GatewayAddress, "LLMX_GATEWAY"), (Token, "LLMX_TOKEN")):
        _, told = get_args(option)
        assert told.envvar == variable and told.help
    assert all(get_args(option)[1].help for option in (AsJson, UntilEof))


def test_the_default_gateway_is_one():
    assert check_gateways(GATEWAY_DEFAULT) == GATEWAY_DEFAULT
