"""Nothing is lost, whatever the weather: real sessions of both sides on a faulty network.

`python -m tests.simulation --seeds 10000` plays more of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation.__main__ import main
from tests.simulation.mutants import MENDED, MUTANTS, Mutant
from tests.simulation.play import Broken, Play

SEEDS_FEW = 20
SEEDS_MANY = 2_500
SEEDS_FOR_A_MUTANT = 500


@pytest.mark.parametrize("first", range(1, 200, SEEDS_FEW))
def test_nothing_is_lost_doubled_or_disordered_and_all_is_settled_when_the_weather_ends(
    first: int,
) -> None:
    for seed in range(first, first + SEEDS_FEW):
        Play(seed).run()


@pytest.mark.slow
def test_nothing_is_lost_in_thousands_of_weathers() -> None:
    letters = cuts = 0
    for seed in range(1_000, 1_000 + SEEDS_MANY):
        outcome = Play(seed).run()
        letters += outcome.letters
        cuts += outcome.cuts
    assert letters > 10 * SEEDS_MANY and cuts > SEEDS_MANY, "there was something to lose"


def test_a_seed_plays_the_same_each_time() -> None:
    assert Play(5).run() == Play(5).run() != Play(6).run()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake.__name__)
def test_a_planted_mistake_is_found(mutant: Mutant) -> None:
    with mutant.planted(), pytest.raises(Broken):
        _play(range(1, 1 + SEEDS_FOR_A_MUTANT))


def _play(seeds: Iterable[int]) -> None:
    for seed in seeds:
        Play(seed).run()


def test_a_message_that_came_later_does_not_overtake_what_two_streams_have_lost() -> None:
    """What was due again was forgotten when the stream that should have carried it broke too."""
    _shows_what_was_mended(22542)


def test_a_refill_that_finds_a_full_outbox_does_not_end_every_stream_at_once() -> None:
    """The agent came back, was refilled, counted as slow and was sent away, for ever."""
    _shows_what_was_mended(8)


def test_what_is_never_acknowledged_does_not_stop_the_refill_behind_it() -> None:
    """A message sent at most once was the last that the mailbox ever gave."""
    _shows_what_was_mended(23087)


def test_what_is_refused_in_a_batch_that_comes_again_is_told_once() -> None:
    """The stream broke in its middle; it was judged anew, and admitted."""
    _shows_what_was_mended(3361)


def _shows_what_was_mended(seed: int) -> None:
    Play(seed).run()
    with MENDED[seed].planted(), pytest.raises(Broken):
        Play(seed).run()


def test_a_failing_seed_is_named_with_its_last_events(capsys: pytest.CaptureFixture[str]) -> None:
    twice = next(one for one in MUTANTS if one.mistake.__name__ == "HandsOnTwice")
    with twice.planted():
        assert main(["--seeds", "100", "--from", "2"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("seed ") and "twice" in said.splitlines()[-1]
    assert "is handed" in said


def test_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds from 1 hold, ")
