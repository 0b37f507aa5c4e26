"""What peering is told and tells."""

from __future__ import annotations

import pytest

from federation.peer_states import UNHEARD, PeerAddress


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("10.0.0.1:7700", ("10.0.0.1:7700",)),
        ("unix:/run/eu.sock, 10.0.0.1:7700,", ("unix:/run/eu.sock", "10.0.0.1:7700")),
        ("", ()),
    ],
)
def test_an_address_may_be_several_in_the_order_to_try(
    text: str, addresses: tuple[str, ...]
) -> None:
    assert PeerAddress(text, 1, "eu").addresses == addresses


def test_who_was_never_heard_counts_as_heard_before_all_times() -> None:
    assert UNHEARD.heard_at < 0
    assert not UNHEARD.sees_discovery
    assert not UNHEARD.connected
