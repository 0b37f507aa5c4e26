"""The table shows who did what, and says of each what it does not do."""

from __future__ import annotations

from loadtest.figures import Compared, figures_of
from loadtest.peers import page
from loadtest.peers.roll import PEERS
from loadtest.rounds import Played

MACHINE = {
    "cores": 2,
    "python": "3.11.7",
    "commit": "abc",
    "libraries": {"grpcio": "1.85.1"},
    "peers": {"nats": {"nats-py": "2.16.0"}, "jetstream": {"nats-py": "2.16.0"}},
}


def _figures(rounds: int) -> dict[str, float]:
    return figures_of(
        Played(
            rounds=rounds,
            seconds=1.0,
            server_cpu_seconds=0.5,
            client_cpu_seconds=1.0,
            to_last_offer=[0.001],
            to_last_outcome=[0.002],
        )
    )


PLAYED = {"ours": _figures(1_000), "floor": _figures(4_000), "nats": _figures(2_000)}
COMPARED = [
    Compared(12, 1, PLAYED, {}),
    Compared(50, 1, {"ours": _figures(300), "floor": _figures(900)}, {}),
]


def test_the_fastest_stands_first_and_all_are_seen_against_the_floor() -> None:
    text = page.as_text("make bench", MACHINE, COMPARED)
    rows = [line for line in text.splitlines() if line.startswith("| 12 ")]
    assert [row.split(" | ")[2:5] for row in rows] == [
        ["**floor**", "4,000", "1.00"],
        ["NATS core", "2,000", "0.50"],
        ["**ours**", "1,000", "0.25"],
    ]
    assert rows[2].endswith("| 1 / 1 | 2 / 2 | 0.50 | 1.00 |")
    assert "| 50 " not in text, "peers did not play that"
    assert "commit abc" in text
    assert text.count("nats-py 2.16.0") == 1


def test_every_system_has_a_note_ours_too() -> None:
    notes = [
        line
        for line in page.as_text("make bench", MACHINE, COMPARED).splitlines()
        if line.startswith("- ")
    ]
    assert [note.split(":")[0] for note in notes] == ["- Ours", "- Floor", "- NATS core"]
    assert PEERS["nats"].leaves_out in notes[2]
