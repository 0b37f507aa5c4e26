"""Who may look at the page."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth import Authenticator
from gateway.page.door import TRIES, Door, Guest, Turned, host_of
from gateway.page.settings import PageSettings
from gateway.tokens import mint_development_token

SECRET = b"s" * 32
HERE = {"Host": "127.0.0.1:7602"}


class Hall:
    """A door at a time that a test sets."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1_755_801_900.0
        authenticator = Authenticator(audience="llmx", issuer="llmx", development_secret=SECRET)
        self.door = Door(PageSettings(port=0, **settings), authenticator, lambda: self.now)

    def token(self, *roles: str, ttl: float = 60.0) -> str:
        return mint_development_token(
            SECRET, "agent://olga", roles=roles, ttl=ttl, now=self.now, tenant="acme"
        )

    async def admit(self, token: str = "", **headers: str) -> Guest | Turned:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        return await self.door.admit({**HERE, **given})


def status(answer: Guest | Turned) -> int:
    return answer.status if isinstance(answer, Turned) else 200


async def test_from_this_machine_everybody_may_look() -> None:
    hall = Hall()
    for host in ("127.0.0.1:7602", "localhost:7602", "[::1]:7602", "LOCALHOST"):
        assert await hall.admit(Host=host) == Guest(None), host


async def test_a_name_that_was_made_to_point_here_is_asked_for_a_token() -> None:
    """A page elsewhere can let its own name lead here; the browser then asks for that name."""
    hall = Hall()
    for host in ("evil.example:7602", "127.0.0.1.evil.example", "", "[::1].evil"):
        assert status(await hall.admit(Host=host)) == 401, host


async def test_another_site_may_not_open_the_stream() -> None:
    hall = Hall()
    for site in ("cross-site", "same-site"):
        assert status(await hall.admit(Sec_Fetch_Site=site)) == 403
    for site in ("same-origin", "none"):
        assert status(await hall.admit(Sec_Fetch_Site=site)) == 200


@pytest.mark.parametrize(
    "settings", [{"host": "0.0.0.0"}, {"host": "10.1.2.3"}, {"token": "always"}]
)
async def test_elsewhere_it_takes_the_token_of_an_operator_of_the_exchange(
    settings: dict[str, Any],
) -> None:
    hall = Hall(**settings)
    turned = await hall.admit()
    assert isinstance(turned, Turned) and turned.status == 401
    assert "llmx token" in turned.remedy
    for roles in ((), ("operator",)):
        turned = await hall.admit(hall.token(*roles))
        assert isinstance(turned, Turned) and turned.status == 403
        assert "exchange-operator" in turned.remedy and "agent://olga" in turned.reason
    guest = await hall.admit(hall.token("exchange-operator"))
    assert isinstance(guest, Guest) and guest.identity is not None
    assert guest.identity.agent_id == "agent://olga"


async def test_a_token_that_does_not_count_is_answered_with_why() -> None:
    hall = Hall(token="always")
    expired = hall.token("exchange-operator", ttl=1)
    hall.now += 2
    turned = await hall.admit(expired)
    assert isinstance(turned, Turned) and "expired" in turned.reason
    assert status(await hall.admit("nonsense")) == 401
    for text in ("Basic b2xnYTpvbGdh", "Bearer", "Bearer  "):
        assert status(await hall.admit(Authorization=text)) == 401, text


async def test_tokens_can_be_tried_slowly_only() -> None:
    hall = Hall(token="always")
    answers = [await hall.admit("guess") for _ in range(int(TRIES) + 1)]
    assert [status(one) for one in answers] == [401] * int(TRIES) + [429]
    last = answers[-1]
    assert isinstance(last, Turned) and 0 < last.retry_after <= 1
    hall.now += last.retry_after
    assert status(await hall.admit(hall.token("exchange-operator"))) == 200


async def test_a_guest_may_stay_until_its_token_ends() -> None:
    hall = Hall(token="always")
    guest = await hall.admit(hall.token("exchange-operator", ttl=60))
    assert isinstance(guest, Guest) and hall.door.ended(guest) == ""
    hall.now += 61
    assert "expired" in hall.door.ended(guest)
    assert hall.door.ended(Guest(None)) == ""


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:7602", "127.0.0.1"),
        ("example", "example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_a_host_is_told_from_its_port(header: str, host: str) -> None:
    assert host_of(header) == host
