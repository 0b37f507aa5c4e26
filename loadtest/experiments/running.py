"""Runs an experiment from its cases to its report; what it leaves is a run record.

runs/<id>/   the six files of `loadtest.run_records`, and
    records.jsonl      what the engine was told, as `llmx replay` reads it
    report.md, .html   published / ours, what must hold, the pictures
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import uvloop

from loadtest.experiments import (
    claims,
    comparison,
    excerpt,
    pages,
    paper_claims,
    pictures,
    replayed,
    simulated,
    weighty,
)
from loadtest.experiments.cases import Case
from loadtest.experiments.claims import Claim
from loadtest.experiments.comparison import Row
from loadtest.experiments.programme import EXPERIMENTS, FLOW, Experiment, Wish, cases_of
from loadtest.experiments.published import TABLES
from loadtest.experiments.tally import Tally
from loadtest.report import facts
from loadtest.run_records import RunRecord, new_folder

LATENCIES = (
    "`offer` is call due to offer heard by Alice, most likely what the paper measured; `decision` "
    "is call due to outcome heard by Alice; `msg` is call admitted by the gateway to call heard "
    "by a contractor; `ack` is call due to acknowledgement heard by Alice. Milliseconds."
)
MODEL = (
    "Simulated time: the counts are what the engine decided, the latencies what the model of the "
    "wire says (median 0.3 ms a hop, 60 µs to admit a message, 20 µs to deliver one)."
)
MEASURED = (
    "Real time on {cores} cores ({system}, Python {python}, commit {commit}): a gateway process, "
    "and all agents on streams of their own in one other process. Load before: {load_before}."
)
FIGURES = (
    "calls",
    "rounds",
    "offers",
    "in_time",
    "awarded",
    "completeness",
    "utility",
    "lost",
    "double_finals",
    "offer_mean_ms",
    "offer_p95_ms",
    "decision_p50_ms",
    "decision_p95_ms",
    "msg_mean_ms",
    "ack_mean_ms",
    "rounds_per_second",
    "messages_per_second",
    "gateway_cpu",
    "workers_cpu",
    "own_cpu",
    "machine_cpu",
)

PAGE_CASES_MAX = 30
"""Of more cases than that a page has those of flow/*; the report has all."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an experiment."""

    folder: Path
    rows: Sequence[Row]
    claims: Sequence[Claim]
    excerpt: str
    """What of it stands in a page."""
    events_sha256: str
    seconds: float
    """How long it took."""
    figures: Sequence[Mapping[str, Any]]
    """What a page shows of each case, or of several together."""
    columns: Sequence[str]
    """Which of these figures."""

    @property
    def is_good(self) -> bool:
        """Tell whether nothing failed that must hold."""
        return claims.all_hold(self.claims)


def expected_seconds(cases: Sequence[Case]) -> float:
    """Return about how long cases take in real time."""
    return 3.0 + sum(case.warm_up + case.seconds + 1.5 for case in cases)


def run(name: str, wish: Wish, out: Path, say: Say) -> Result:
    """Run an experiment; raises KeyError for one there is not, LiveFailed, ServerFailed."""
    experiment = EXPERIMENTS[name]
    cases = cases_of(experiment, wish)
    mode = "simulated" if wish.simulated else "live"
    folder = new_folder(out, f"{name}-{mode}-seed{wish.seed}")
    machine = facts()
    began = time.perf_counter()
    config: dict[str, Any] = {
        "experiment": name,
        "mode": mode,
        "wish": asdict(wish),
        "cases": [asdict(case) for case in cases],
        "machine": machine,
    }
    with _gone_if_interrupted(folder), RunRecord(folder, config, experiment.kinds) as record:
        if wish.simulated:
            tallies = _simulate(cases, folder, record, experiment, say)
        else:
            say(f"about {expected_seconds(cases):.0f} s to go")
            tallies = uvloop.run(_live(cases, folder, record, experiment, say))
        made = [claim for judge in experiment.judges for claim in judge(tallies)]
        if experiment.keeps_records:
            made += paper_claims.replay(replayed.replayed(folder / "records.jsonl"))
        rows = _compared(name, wish, tallies)
        figures = _in_short(experiment, tallies)
        record.finish(
            {
                "experiment": name,
                "mode": mode,
                "good": claims.all_hold(made),
                "claims": [asdict(claim) for claim in made],
                "compared": [asdict(row) for row in rows],
                "in_short": figures if experiment.in_short is not None else [],
                "cases": [tally.figures() for tally in tallies],
            }
        )
        sha256 = record.events_sha256
    where = MODEL if wish.simulated else MEASURED.format(**machine)
    pages.write(
        folder,
        experiment.title,
        sections(name, wish, where, tallies, rows, made, figures),
    )
    said = excerpt.excerpt(
        command(name, wish),
        machine,
        _for_a_page(rows, simulated=wish.simulated),
        made,
        figures,
        experiment.columns,
    )
    took = time.perf_counter() - began
    return Result(folder, rows, made, said, sha256, took, figures, experiment.columns)


def _in_short(experiment: Experiment, tallies: Sequence[Tally]) -> Sequence[Mapping[str, Any]]:
    """Return the figures that a page has room for."""
    if experiment.in_short is not None:
        return experiment.in_short(tallies)
    return [
        tally.figures()
        for tally in tallies
        if len(tallies) <= PAGE_CASES_MAX or tally.case.profile in FLOW
    ]


def _compared(name: str, wish: Wish, tallies: Sequence[Tally]) -> list[Row]:
    if name not in TABLES:
        return []
    return comparison.compared(name, tallies, simulated=wish.simulated)


def _for_a_page(rows: Sequence[Row], *, simulated: bool) -> list[Row]:
    """Return the rows of the first rate, the published one if it was run; of a model no times."""
    first = rows[0].of.rpartition(", ")[2] if rows else ""
    return [
        row for row in rows if row.of.endswith(first) and not (simulated and " ms" in row.quantity)
    ]


def _simulate(
    cases: Sequence[Case], folder: Path, record: RunRecord, experiment: Experiment, say: Say
) -> list[Tally]:
    tallies = []
    with (folder / "records.jsonl").open("wb") as kept:
        for number, case in enumerate(cases):
            heard: simulated.Heard = kept.write if experiment.keeps_records else _forget
            tallies.append(simulated.play(case, f"case-{number:03d}", record, heard))
            say(f"{case.name}: {tallies[-1].rounds} rounds")
    if not experiment.keeps_records:
        (folder / "records.jsonl").unlink()
    return tallies


async def _live(
    cases: Sequence[Case], folder: Path, record: RunRecord, experiment: Experiment, say: Say
) -> list[Tally]:
    from loadtest import scenes
    from loadtest.experiments import live

    kept: dict[str, object] = {}
    if experiment.keeps_records:
        kept["engine__records"] = (folder / "records.jsonl").resolve()
    tallies: list[Tally] = []
    # A gateway for those that follow each other and want the same settings.
    for settings, group in groupby(cases, weighty.settings_of):
        with (
            tempfile.TemporaryDirectory(prefix="llmx-experiment-") as state,
            scenes.gateway(Path(state), None, **kept, **settings) as gateway,
        ):
            for case in group:
                tally = await live.play(case, f"case-{len(tallies):03d}", record, gateway)
                tallies.append(tally)
                figures = tally.figures()
                say(
                    f"{case.name}: {tally.rounds} rounds, "
                    f"offer p50 {_shown(figures['offer_p50_ms'])} ms, "
                    f"decision p50 {_shown(figures['decision_p50_ms'])} ms, "
                    f"own lag p99 {_shown(figures['own_lag_p99_ms'])} ms"
                )
    return tallies


@contextmanager
def _gone_if_interrupted(folder: Path) -> Iterator[None]:
    """Leave no part of a run behind that whoever reads `runs/*` would take for one."""
    try:
        yield
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise


def _forget(_: bytes) -> None:
    """Keep no record."""


def sections(
    name: str,
    wish: Wish,
    where: str,
    tallies: Sequence[Tally],
    rows: Sequence[Row],
    made: Sequence[Claim],
    figures: Sequence[Mapping[str, Any]] = (),
) -> list[pages.Section]:
    """Return the parts of a report."""
    parts = [
        pages.Section(
            "What must hold",
            (where, LATENCIES),
            ("claim", "verdict", "seen"),
            [(claim.what, claim.verdict, claim.seen) for claim in made],
        ),
        pages.Section(
            "Cases",
            (f"`{command(name, wish)}`",),
            ("case", *FIGURES),
            [
                (tally.case.name, *(_shown(tally.figures()[column]) for column in FIGURES))
                for tally in tallies
            ],
        ),
        pages.Section("Pictures", (), pictures=pictures.drawn(name, tallies)),
    ]
    experiment = EXPERIMENTS[name]
    if experiment.in_short is not None:
        columns = ("case", *experiment.columns)
        lines = [[_shown(one[column]) for column in columns] for one in figures]
        parts.insert(1, pages.Section("In short", (), columns, lines))
    if rows:
        parts.append(
            pages.Section(
                "Published / ours",
                (),
                ("of", "quantity", "published", "ours", "deviation"),
                [(row.of, row.quantity, row.published, row.ours, row.deviation) for row in rows],
            )
        )
    return parts


def command(name: str, wish: Wish) -> str:
    """Return the command that runs this experiment like this."""
    words = ["llmx experiment run", name]
    words += ["--simulated"] if wish.simulated else []
    words += ["--full"] if wish.full else []
    words += [f"--seed {wish.seed}"] if wish.seed != 1 else []
    for option in ("seeds", "rate", "seconds", "warm_up", "contractors", "profile"):
        value = getattr(wish, option)
        if value is not None:
            words.append(f"--{option.replace('_', '-')} {value}")
    return " ".join(words)


def _shown(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
