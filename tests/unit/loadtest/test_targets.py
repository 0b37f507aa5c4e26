"""The gateway is measured with everything on."""

from __future__ import annotations

from pathlib import Path

import jwt

from gateway.tokens import read_secret
from loadtest import targets


def test_the_gateway_is_started_with_its_checks_on(tmp_path: Path) -> None:
    ours = targets.ours(tmp_path / "state")
    assert not ours.initiator_decides
    assert ours.command.arguments[:3] == ["-m", "gateway.cli", "gateway"]
    assert {name for name in ours.command.environment if name.startswith("LLMX_")} == {
        "LLMX_LIMITS__RATE_PER_SECOND",
        "LLMX_LIMITS__BURST",
        "LLMX_LIMITS__TENANT_RATE_PER_SECOND",
        "LLMX_LIMITS__TENANT_BURST",
        "LLMX_STATE_DIR",
        "LLMX_AUTH__DEVELOPMENT_SECRET_FILE",
    }


def test_every_agent_has_a_token_that_the_gateway_can_check(tmp_path: Path) -> None:
    ours = targets.ours(tmp_path)
    assert ours.token_of is not None
    secret = read_secret(Path(ours.command.environment["LLMX_AUTH__DEVELOPMENT_SECRET_FILE"]))
    claims = jwt.decode(ours.token_of("agent://bob"), secret, algorithms=["HS256"], audience="llmx")
    assert claims["sub"] == "agent://bob"


def test_one_target_can_be_played_alone(tmp_path: Path) -> None:
    def names(only: str | None) -> list[str]:
        return [target.name for target in targets.chosen(only, tmp_path)]

    assert names(None) == ["ours", "floor"]
    assert names("ours") == ["ours"]
    assert names("floor") == ["floor"]


def test_a_setting_and_the_port_can_be_chosen(tmp_path: Path) -> None:
    command = targets.ours(tmp_path, 7_600, limits__burst=3).command
    assert command.arguments[command.arguments.index("--port") + 1] == "7600"
    assert command.environment["LLMX_LIMITS__BURST"] == "3"
