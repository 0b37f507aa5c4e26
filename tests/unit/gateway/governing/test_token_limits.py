"""Which limits are shared, and which gateway keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue import read_catalogue
from gateway.governing.keeping import KeptInMemory
from gateway.governing.token_limits import SharedLimits, hear_purses
from gateway.known_budgets import KnownBudgets
from gateway.settings import SettingsError
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.noise import NoiseRule

TEXT = """
[[limits]]
name = "search"
rate = 10.0
burst = 50.0
gateway = "eu"

[[limits]]
name = "maps"
rate = 1.0
burst = 5.0
purse_max = 1.0
tenant = "acme"
"""


def limits(folder: Path, gateway_id: str = "eu", text: str = TEXT) -> SharedLimits:
    file = folder / "catalogue.toml"
    file.write_text(text)
    return SharedLimits(read_catalogue(file), gateway_id)


def test_a_limit_is_of_one_tenant_and_has_one_keeper(tmp_path: Path) -> None:
    known = limits(tmp_path, "us")
    (search,) = known.of("default")
    assert (search.name, search.gateway, search.limit.rate) == ("search", "eu", 10.0)
    assert known.find("default", "maps") is None
    maps = known.find("acme", "maps")
    assert maps is not None and maps.gateway == "us", "who names none keeps it itself"
    books = known.books(NoiseRule(), KeptInMemory(), lambda: 0.0)
    assert [book.name for book in books] == ["maps"]


def test_two_limits_of_one_name_are_told_and_not_one_of_them_kept(tmp_path: Path) -> None:
    again = TEXT + '[[limits]]\nname = "maps"\ntenant = "acme"\nrate = 5.0\nburst = 5.0\n'
    with pytest.raises(SettingsError, match="tenant 'acme' has two limits 'maps'"):
        limits(tmp_path, text=again)


def test_in_a_cluster_a_limit_names_its_keeper(tmp_path: Path) -> None:
    """Or each gateway would let as much through as the API takes."""
    with pytest.raises(SettingsError, match="limit 'maps' is kept by one gateway of a cluster"):
        limits(tmp_path).join(lambda gateway_id: "")
    named = limits(tmp_path, text=TEXT + 'gateway = "us"\n')
    named.join(lambda gateway_id: f"{gateway_id}:7600")
    assert named.address_of("us") == "us:7600"


def test_a_book_takes_up_what_was_kept_of_it(tmp_path: Path) -> None:
    known = limits(tmp_path)
    books = known.books(NoiseRule(), KeptInMemory(), lambda: 0.0)
    hear_purses(books, "tokens/default/search", b"\x81\xabagent://bob\xce\x00\x0f\x42\x40")
    hear_purses(books, "tokens/default/gone", b"\x80")
    hear_purses(books, "rating/default/bob", b"\x80")
    assert [book.market.held("agent://bob") for book in books] == [1_000_000, 0]
    store = MemoryStore(Writer("eu"))
    desk = known.keep(books, store, KnownBudgets(store, lambda: 0.0), lambda: 0.0)
    assert known.desk is desk and desk.books.keys() == {("default", "search"), ("acme", "maps")}


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('name = ""\nrate = 1.0\nburst = 1.0', "a name of 1 to 128"),
        ('name = "x"\nrate = 0.0\nburst = 1.0', "a rate above 0"),
        ('name = "x"\nrate = 1.0\nburst = 0.5', "a burst of 1 or more"),
        ('name = "x"\nrate = 1.0\nburst = 1.0\nreserve = 1.0', "a reserve of 0 up to 1"),
        ('name = "x"\nrate = 1.0\nburst = 1.0\npurse_max = 0.0', "a purse_max above 0"),
    ],
)
def test_a_limit_that_cannot_be_is_told(tmp_path: Path, said: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        limits(tmp_path, text=f"[[limits]]\n{said}\n")
