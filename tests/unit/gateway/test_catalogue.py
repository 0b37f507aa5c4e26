"""The file from which a ledger gets its resources, budgets and first credit."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue import read_catalogue
from gateway.settings import SettingsError
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Committed

FILE = """
[[resources]]
name = "gpu"
units = 8

[[accounts]]
agent = "agent://alice"
credits = 100.5

[[budgets]]
agent = "agent://alice"
credits = 20.0
seconds = 3600

[[budgets]]
project = "vision"
credits = 7
tenant = "acme"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    return path


async def test_a_ledger_becomes_what_the_file_says_and_first_credit_is_given_once(
    tmp_path: Path,
) -> None:
    """However often the gateway starts."""
    catalogue = read_catalogue(written(tmp_path, FILE))
    store = MemoryStore(Writer("g"))
    for life in ("one", "two"):
        for commit in catalogue.commits(life, 100.0):
            assert isinstance(await store.commit(commit), Committed)
    assert (await store.balance("default|agent://alice")).available == 100_500_000
    resource = await store.resource("default|gpu")
    assert resource is not None and resource.units == 8
    own = await store.budget("default|agent://alice", 100.0)
    assert own is not None and (own.grant.micros, own.grant.seconds) == (20_000_000, 3600)
    project = await store.budget("acme|project:vision", 100.0)
    assert project is not None and project.grant.seconds is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[[resources]]\nname = "gpu"\nunits = 5000', "4096"),
        ('[[resources]]\nname = "gpu"\nspeed = 1', "speed"),
        ('[[accounts]]\nagent = ""\ncredits = 1', "agent"),
        ('[[accounts]]\nagent = "agent://a"\ncredits = 0', "above 0"),
        ("[[budgets]]\ncredits = 1", "of an agent or of a project"),
        ('[[budgets]]\nproject = "x"\ncredits = -1', "0 or more"),
        ('[[budgets]]\nproject = "x"\ncredits = 1\nseconds = -1', "above 0"),
        ("[[resources", "market.catalogue"),
        ("x = 1", "x"),
    ],
)
def test_what_cannot_be_is_an_error_that_shows_what_could(
    tmp_path: Path, text: str, word: str
) -> None:
    with pytest.raises(SettingsError) as error:
        read_catalogue(written(tmp_path, text))
    assert word in str(error.value) and "for example" in str(error.value)


def test_a_file_that_is_not_there_or_too_long_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_catalogue(tmp_path / "nothing.toml")
    many = '[[resources]]\nname = "a"\nunits = 1\n' * 10_001
    with pytest.raises(SettingsError, match="more than"):
        read_catalogue(written(tmp_path, many))
