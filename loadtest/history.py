"""Say whether the last run of the bench is worse than those before it: `make bench-compare`.

    python -m loadtest.history
    python -m loadtest.history --history other.jsonl

What is compared is ours by the floor of the same run, because both met the same machine in the same
minute. Earlier runs count when they were taken on a machine with the same processor, cores and
CPython, with the same settings, all with the cores kept awake or none (`loadtest.awake`), while
nothing else ran. A figure of a case is worse when it lies beyond the median of the earlier ones by
more than noise: by three of their own deviations (the median absolute deviation, scaled as for a
normal distribution), and by a tenth at least. One run in a few hundred does so by chance: run again
before you believe it.

Exit codes: 0 nothing got worse, 1 something did, 2 it cannot be told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.bench import HISTORY

RUNS_MAX = 20
"""How many of the earlier runs are looked at, the latest ones."""
RUNS_MIN = 3
"""With fewer there is no telling what is noise."""
DEVIATIONS = 3.0
NORMAL = 1.4826
"""What turns a median absolute deviation into a standard deviation."""
NOISE_MIN = 0.10
MORE_IS_BETTER = ("rounds_per_second",)
BUSY_SHARE_MAX = 0.5
"""Of a machine's cores, by the load before the run; a busier machine measures something else."""

Run = Mapping[str, Any]


class CannotTell(Exception):
    """There is nothing to compare, or nothing to compare it with; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure of one case, now and before."""

    contractors: int
    in_flight: int
    figure: str
    now: float
    before: float
    """The median of the earlier runs."""
    noise: float
    """How far from `before` a figure may lie, as a share of it."""
    runs: int

    @property
    def change(self) -> float:
        """Return by what share it has changed, over 0 for worse."""
        grown = self.now / self.before - 1
        return -grown if self.figure in MORE_IS_BETTER else grown

    @property
    def is_worse(self) -> bool:
        """Tell whether it is worse by more than noise."""
        return self.change > self.noise

    @property
    def is_better(self) -> bool:
        """Tell whether it is better by more than noise."""
        return -self.change > self.noise


def compared(runs: Sequence[Run]) -> list[Verdict]:
    """Compare the last run with those before it. Raises CannotTell."""
    if not runs:
        raise CannotTell("there is no run; make bench makes one")
    last = runs[-1]
    if is_busy(last):
        load = last["machine"].get("load_before")
        raise CannotTell(f"the machine was busy before the last run (load {load})")
    earlier = [run for run in runs[:-1] if is_alike(run, last) and not is_busy(run)][-RUNS_MAX:]
    verdicts = []
    for contractors, in_flight, figure, now in ratios(last):
        before = [
            value
            for run in earlier
            for n, f, name, value in ratios(run)
            if (n, f, name) == (contractors, in_flight, figure)
        ]
        if len(before) >= RUNS_MIN:
            middle = statistics.median(before)
            verdicts.append(
                Verdict(contractors, in_flight, figure, now, middle, noise_of(before), len(before))
            )
    if not verdicts:
        raise CannotTell(
            f"{len(earlier)} earlier runs are alike (machine, settings, cases, and nothing else "
            f"running), and {RUNS_MIN} are needed"
        )
    return verdicts


def is_alike(one: Run, other: Run) -> bool:
    """Tell whether two runs can be compared."""
    machine = ("processor", "cores", "python", "cores_awake")
    settings = ("quick", "seconds", "server_core", "client_core")
    return all(
        (one[part].get(name) or None) == (other[part].get(name) or None)
        for part, names in (("machine", machine), ("settings", settings))
        for name in names
    )


def is_busy(run: Run) -> bool:
    """Tell whether others used the machine before a run."""
    machine = run["machine"]
    return bool(machine.get("load_before", 0.0) > BUSY_SHARE_MAX * (machine.get("cores") or 1))


def ratios(run: Run) -> Iterator[tuple[int, int, str, float]]:
    """Yield contractors, rounds in flight, figure, and ours divided by the floor's."""
    for case in run["cases"]:
        for figure, ratio in case.get("ours_over_floor", {}).items():
            if ratio > 0:
                yield case["contractors"], case["in_flight"], figure, ratio


def noise_of(values: Sequence[float]) -> float:
    """Return how far from their median the next one may lie, as a share of it."""
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values) * NORMAL
    return max(NOISE_MIN, DEVIATIONS * deviation / middle)


def as_text(verdicts: Sequence[Verdict], last: Run) -> str:
    """Return what got worse, what got better, and how many figures stayed."""
    lines = [f"{last['machine'].get('commit') or 'unknown'}, ours by the floor:", ""]
    for one in sorted(verdicts, key=lambda verdict: -verdict.change):
        if one.is_worse or one.is_better:
            word = "WORSE " if one.is_worse else "better"
            lines.append(
                f"{word}  n={one.contractors:<3} f={one.in_flight:<4} {one.figure:30} "
                f"{one.before:7.3f} -> {one.now:7.3f}  {abs(one.change):5.0%}, noise "
                f"{one.noise:.0%} of {one.runs} runs"
            )
    same = sum(not one.is_worse and not one.is_better for one in verdicts)
    return "\n".join([*lines, f"{same} of {len(verdicts)} figures lie within noise"])


def read(path: Path) -> list[Run]:
    """Return the runs of a history, the last one at the end. Raises CannotTell."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise CannotTell(
            f"{path} cannot be read ({error.strerror}); make bench makes it"
        ) from error
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            runs.append(json.loads(line))
        except ValueError as error:
            raise CannotTell(f"line {number} of {path} is no JSON: remove it") from error
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what changed; returns the exit code that tells."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.history",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--history", type=Path, default=HISTORY, help="the file of make bench")
    options = parser.parse_args(arguments)
    try:
        runs = read(options.history)
        verdicts = compared(runs)
    except CannotTell as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 2
    print(as_text(verdicts, runs[-1]))
    return 1 if any(one.is_worse for one in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
