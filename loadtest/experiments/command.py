"""`llmx experiment …` on the command line, which `llmx` finds by its entry point.

What an experiment needs is imported when one runs, so that `llmx --help` stays quick.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run the paper's experiments, and compare.")

WIDTH = 150
SEEDS_MAX = 100
RATE_MAX = 10_000.0
SECONDS_MAX = 30 * 86_400.0
INTERRUPTED = 128 + signal.SIGINT


@app.command("list")
def list_experiments() -> None:
    """Show which experiments there are."""
    from loadtest.experiments.programme import EXPERIMENTS

    for name, experiment in EXPERIMENTS.items():
        typer.echo(f"{name:8}  {experiment.title}")


@app.command("run")
def run_experiment(
    name: Annotated[
        str,
        typer.Argument(help="table1 to table5, faults, switch, rates, workers or soak."),
    ],
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Simulated time: hours in seconds.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The first seed; others count up from it.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for runs; each gets one in it.")] = Path("runs"),
    full: Annotated[
        bool, typer.Option("--full", help="As long and as often as the paper: hours.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(min=1, max=SEEDS_MAX, help="How many seeds.")] = None,
    rate: Annotated[float | None, typer.Option(help="Calls a second, the mean.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How long each case is measured.")] = None,
    minutes: Annotated[float | None, typer.Option(help="The same in minutes.")] = None,
    warm_up: Annotated[float | None, typer.Option(help="Seconds before that.")] = None,
    contractors: Annotated[
        int | None, typer.Option(min=1, max=99, help="Contractors, in all cases.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Only the cases with this profile, flow/high.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Refresh the figures in this page, docs/experiments.md.")
    ] = None,
) -> None:
    """Run an experiment: a table published / ours, what must hold, and a run record.

    Exit code 0: what must hold does, as far as it could be judged. 1: something does not, or it
    could not be run. 2: something here is not right.

    llmx experiment run table1

    llmx experiment run table5 --simulated --seed 7 --out results
    """
    from loadtest.experiments.programme import EXPERIMENTS, Wish, cases_of

    if name not in EXPERIMENTS:
        raise typer.BadParameter(f"{name}: use one of {', '.join(EXPERIMENTS)}")
    if simulated and EXPERIMENTS[name].only_live:
        raise typer.BadParameter(f"--simulated: {name} is about processes, so it runs in real time")
    if minutes is not None:
        seconds = minutes * 60
    for option, value, most in (
        ("--rate", rate, RATE_MAX),
        ("--seconds", seconds, SECONDS_MAX),
    ):
        if value is not None and not 0 < value <= most:
            raise typer.BadParameter(f"{option} {value:g}: use above 0 to {most:g}")
    if warm_up is not None and not 0 <= warm_up <= SECONDS_MAX:
        raise typer.BadParameter(f"--warm-up {warm_up:g}: use 0 to {SECONDS_MAX:g}")
    wish = replace(
        Wish(simulated, full, seed),
        seeds=seeds,
        rate=rate,
        seconds=seconds,
        warm_up=warm_up,
        contractors=contractors,
        profile=profile,
    )
    cases = cases_of(EXPERIMENTS[name], wish)
    if not cases:
        raise typer.BadParameter(f"--profile {profile}: no case of {name} has it")
    if rate is not None and all(case.in_flight for case in cases):
        raise typer.BadParameter(
            f"--rate: the calls of {name} follow each other, as fast as it goes"
        )
    raise typer.Exit(_run(name, wish, out, page))


def _run(name: str, wish: object, out: Path, page: Path | None) -> int:
    # grpc reads its environment when it is imported, so this comes before.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from rich.console import Console

    from loadtest.experiments import shown
    from loadtest.experiments.excerpt import mark
    from loadtest.experiments.live import LiveFailed
    from loadtest.experiments.programme import Wish
    from loadtest.experiments.running import run
    from loadtest.reliability import PageError, check, refresh
    from loadtest.run_records import RunError
    from loadtest.scenes import SceneFailed
    from loadtest.servers import ServerFailed

    assert isinstance(wish, Wish), "made above; imported late"
    errors = Console(stderr=True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # so all is put away
    try:
        if page is not None:
            check(page, mark(name, simulated=wish.simulated))
        result = run(
            name, wish, out, lambda line: errors.print(line, highlight=False, soft_wrap=True)
        )
        if page is not None:
            refresh(page, mark(name, simulated=wish.simulated), result.excerpt)
    except (LiveFailed, SceneFailed, ServerFailed, RunError, PageError, OSError) as error:
        errors.print(f"experiment {name}: {error}", highlight=False, markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        errors.print(f"experiment {name}: stopped, nothing is kept of this run", highlight=False)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    # A file or a pipe has no width; a terminal knows its own.
    shown.show(result, Console(width=None if sys.stdout.isatty() else WIDTH))
    return 0 if result.is_good else 1
