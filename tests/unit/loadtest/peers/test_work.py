"""What a peer shall play survives the file, and is valid under the schemas that come along."""

from __future__ import annotations

from pathlib import Path

from loadtest.peers.contract_net import judges_of
from loadtest.peers.orders import work_of
from loadtest.peers.work import read_work
from loadtest.rounds import Case

WORK = work_of(Case(3, 8, 2.0, 100, 0.5, "t"), 1)


def test_both_sides_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    WORK.write(path)
    assert read_work(path) == WORK


def test_every_payload_is_one_that_its_receiver_takes() -> None:
    judges = judges_of(WORK)
    assert judges["cfp"](WORK.call)
    assert judges["accept"](WORK.accept)
    assert judges["reject"](WORK.reject)
    assert len(WORK.offers) == WORK.contractors
    assert all(judges["offer"](offer) for variants in WORK.offers for offer in variants)
    assert not judges["offer"](WORK.reject)
