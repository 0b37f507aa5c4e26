"""A certificate must bear the id of the gateway that shows it."""

from __future__ import annotations

import pytest

from federation.peer_tls import ALTERNATIVE_NAMES, PeerTls, is_unix, named_in, stranger_fault


def shown(*names: str) -> dict[str, list[bytes]]:
    return {ALTERNATIVE_NAMES: [name.encode() for name in names]}


def test_the_id_among_the_names_is_enough_and_its_case_does_not_matter() -> None:
    assert stranger_fault("Eu-1", "ipv4:10.0.0.1:9", shown("localhost", "eu-1")) is None
    assert named_in(shown("EU-1")) == {"eu-1"}


@pytest.mark.parametrize("names", [(), ("us",), ("*",), ("eu.example",), ("*.eu",)])
def test_without_the_id_as_a_whole_nobody_is_believed(names: tuple[str, ...]) -> None:
    fault = stranger_fault("eu", "ipv4:10.0.0.1:9", shown(*names))
    assert fault is not None
    assert "needs its id there as DNS name" in fault


def test_on_a_unix_socket_the_permissions_of_the_file_say_who_may_talk() -> None:
    assert stranger_fault("eu", "unix:", {}) is None
    assert is_unix("unix:/run/eu.sock")
    assert not is_unix("unix-abstract:eu"), "it has none"
    assert not is_unix("unix.example:7700")


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(PeerTls(b"ca", b"certificate", b"secret"))
