"""What is kept of finished negotiations, and what a full disk does to the rest: nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.records import COMPLAIN_SECONDS, Recorder
from policy.acceptance import PROFILES
from policy.call import Call
from policy.events import DeadlinePassed, OfferReceived
from policy.table import Record


def record(number: int = 1) -> Record:
    call = Call(
        negotiation_id=f"gw.0.{number}",
        initiator="agent://alice",
        msg_id=f"m{number}",
        eligible=("agent://bob",),
        acceptance=PROFILES["flow/high"],
        closes_at=12.0,
        opened_at=10.0,
    )
    offer = OfferReceived("agent://bob", "o1", 3.0, {"value": 3, "text": "günstig"})
    return Record(call, 10.0, ((11.0, offer), (12.0, DeadlinePassed())))


def outcome(number: int = 1, decided_at: float = 12.0) -> dict[str, Any]:
    return {
        "negotiation_id": f"gw.0.{number}",
        "state": "committed",
        "reason": "quorum",
        "policy": "flow/high@1",
        "offers": 1,
        "eligible": 1,
        "opened_at": 10.0,
        "decided_at": decided_at,
        "winners": [{"agent": "agent://bob", "value": 3.0}],
    }


def test_the_last_records_stay_in_memory() -> None:
    recorder = Recorder(2, None)
    for number in range(5):
        recorder.finished(record(number), outcome(number))
    assert [one.call.msg_id for one in recorder.recent] == ["m3", "m4"]
    recorder.close()


def test_records_are_appended_to_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    for number in (1, 2):
        recorder = Recorder(1, path)
        recorder.finished(record(number), outcome(number))
        assert len(path.read_bytes().splitlines()) == number, "on disk before anything closes it"
        recorder.close()
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["call"]["msg_id"] for line in lines] == ["m1", "m2"]


def test_one_line_is_logged_for_each_negotiation_and_nothing_of_what_was_offered() -> None:
    with capture_logs() as logs:
        Recorder(1, None).finished(None, outcome(decided_at=12.5))
    assert len(logs) == 1
    assert logs[0]["negotiation_id"] == "gw.0.1" and logs[0]["seconds"] == 2.5
    assert "winners" not in logs[0] and "bob" not in str(logs)


@pytest.mark.parametrize(
    "ending",
    [
        {"state": "cancelled", "reason": "hush, says alice"},
        {"state": "no_award", "reason": "hush, says bob", "ended_by": "end"},
    ],
)
def test_words_of_agents_are_in_no_line_that_is_logged(ending: dict[str, str]) -> None:
    with capture_logs() as logs:
        Recorder(1, None).finished(None, outcome() | ending)
    assert "hush" not in str(logs)


def test_a_full_disk_stops_nothing_and_is_complained_of_once_a_minute() -> None:
    full = Path("/dev/full")
    assert full.exists(), "every Linux has the disk that is always full"
    with capture_logs() as logs:
        recorder = Recorder(10, full)
        for number, at in enumerate((100.0, 101.0, 159.0, 100.0 + COMPLAIN_SECONDS)):
            recorder.finished(record(number), outcome(number, at))
        recorder.close()
    assert recorder.lost == 4 and len(recorder.recent) == 4
    complaints = [log for log in logs if log["log_level"] == "error"]
    assert [log["lost"] for log in complaints] == [1, 4]


def test_a_line_that_was_cut_short_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up takes the first half of a record."""

    class FillingUp:
        """A file on a disk with a little room left, to which room is added later."""

        def __init__(self, path: Path) -> None:
            self.file = path.open("ab", buffering=0)
            self.room = 10

        def write(self, line: bytes) -> int:
            written = self.file.write(line[: self.room])
            self.room = 1 << 20
            return written

        def close(self) -> None:
            self.file.close()

    path = tmp_path / "records.jsonl"
    recorder = Recorder(10, path)
    recorder.close()
    monkeypatch.setattr(recorder, "_file", FillingUp(path))
    for number in (1, 2, 3):
        recorder.finished(record(number), outcome(number))
    recorder.close()
    torn, *whole = path.read_bytes().splitlines()
    assert recorder.lost == 1 and len(torn) == 10
    assert [json.loads(line)["call"]["msg_id"] for line in whole] == ["m2", "m3"]
