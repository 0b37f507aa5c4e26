"""Settings that are right alone and wrong together are said at the start, with what would work."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_contradictions import contradictions


def test_the_defaults_agree_with_each_other() -> None:
    assert list(contradictions(Settings())) == []


@pytest.mark.parametrize(
    ("move_to", "reason"),
    [
        ("nonsense", "must be host:port"),
        (":7600", "must be host:port"),
        ("::1:7600", "must be host:port"),
        ("[a]:7600", "must be host:port"),
        ("b:7600,", "must be host:port"),
        ("b:", "the port must be 1 to 65,535"),
        ("b:x", "the port must be 1 to 65,535"),
        ("b:0", "the port must be 1 to 65,535"),
        ("b:7600,c:70000", "the port must be 1 to 65,535"),
        ("127.0.0.1:7600", "must be another gateway, not this one"),
    ],
)
def test_agents_are_not_sent_where_no_gateway_can_be(move_to: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"server.move_to": move_to})
    assert str(caught.value) == (
        f"server.move_to={move_to}: {reason}{LIST if 'host:port' in reason else ''}, "
        "for example gateway-2.example:7600"
    )


LIST = ", several with commas"


@pytest.mark.parametrize("move_to", ["b:7600", "b:1,[::1]:65535", "127.0.0.1:7610"])
def test_agents_go_where_another_gateway_can_be(move_to: str) -> None:
    assert load_settings(None, {"server.move_to": move_to}).server.move_to == move_to


def test_a_message_sent_once_is_known_for_as_long_as_it_may_live() -> None:
    with pytest.raises(SettingsError, match=r"limits\.once_seconds=60: must be at least ttl_max"):
        load_settings(None, {"limits.once_seconds": 60})
    load_settings(None, {"limits.once_seconds": 60, "limits.ttl_max": 60, "limits.ttl_default": 9})


def test_without_a_file_there_is_nothing_to_flush(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mailbox\.fsync=false: there is no mailbox\.file"):
        load_settings(None, {"mailbox.fsync": "false"})
    load_settings(None, {"mailbox.fsync": "false", "mailbox.file": tmp_path / "m.db"})


def test_a_contradiction_is_told_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=r"^limits\.ttl_default=9999: "):
        load_settings(None, {"limits.ttl_default": 9999})
    file = tmp_path / "gateway.toml"
    file.write_text("[limits]\nttl_default = 9999\n")
    with pytest.raises(SettingsError, match=rf"^{file}: limits\.ttl_default=9999: "):
        load_settings(file)
    monkeypatch.setenv("LLMX_LIMITS__TTL_MAX", "60")
    with pytest.raises(SettingsError, match=r"^LLMX_LIMITS__TTL_DEFAULT=120: "):
        load_settings()


def test_gateways_of_one_machine_are_named_by_their_sockets() -> None:
    peers = "eu-2@eu=unix:/run/2.sock=127.0.0.1:7602,us=us.example:7700"
    given = {"server.gateway_id": "eu-1", "federation.peers": peers}
    assert load_settings(None, given).federation.peers == peers
    for wrong in ("eu-2=unix:relative", "eu-2=unix:/run/2.sock=nowhere", "eu-2=/run/2.sock"):
        with pytest.raises(SettingsError, match=r"federation\.peers=.*must be id=host:port"):
            load_settings(None, {**given, "federation.peers": wrong})


def test_a_gateway_of_a_cluster_can_be_reached_by_the_others() -> None:
    given = {
        "server.gateway_id": "eu-1",
        "federation.peers": "eu-2=unix:/run/2.sock",
        "federation.listen": "none",
    }
    with pytest.raises(SettingsError, match=r"federation\.listen=none: needs unix"):
        load_settings(None, given)
    assert load_settings(None, {**given, "federation.unix": "/run/1.sock"}).federation.is_on


def test_profiles_are_kept_in_one_place() -> None:
    with pytest.raises(SettingsError, match=r"engine\.policies.*federation\.etcd keeps"):
        load_settings(
            None,
            {
                "engine.policies": "p.json",
                "federation.etcd": "127.0.0.1:2379",
                "server.gateway_id": "eu",
            },
        )
