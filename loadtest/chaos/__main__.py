"""Let faults rage around one gateway and its agents, and account for every message.

    python -m loadtest.chaos --seconds 1800 --agents 50
    python -m loadtest.chaos --seconds 60 --seed 7

Prints its seed first. The gateway is a process of its own on a free port; the agents live in
this process, each behind a proxy of its own. Ends with 0 when every promise was kept, with 1
when one was not; docs/reliability.md says what is promised.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0 when every promise was kept, else 1."""
    options = parse(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # grpc reads it when it is imported
    logging.getLogger("llmx").setLevel(logging.ERROR)
    from loadtest.chaos.plan import Plan
    from loadtest.chaos.run import Run
    from loadtest.chaos.summary import summary

    plan = Plan(options.seed, options.seconds, options.agents, rate=options.rate)
    tell(f"seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="llmx-chaos-") as folder:

        async def run() -> int:
            task = asyncio.current_task()
            assert task is not None, "a coroutine that runs is in a task"
            # So that an end from outside leaves neither a gateway nor a disk behind.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
            result = await Run(plan, options.folder or Path(folder), tell)()
            for line in summary(result):
                tell(line)
            return 0 if result.is_kept else 1

        try:
            return asyncio.run(run())
        except (asyncio.CancelledError, KeyboardInterrupt):
            tell(f"it was ended before it was over (seed {plan.seed})")
            return 130


def tell(line: str) -> None:
    """Print a line now, also into a pipe."""
    print(line, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seconds", type=_within(5.0, 86_400.0), default=1800.0, help="of faults, %(default)g")
    add("--agents", type=lambda text: int(_within(4, 99)(text)), default=50, help="%(default)s")
    add("--rate", type=_within(0.1, 50.0), default=1.0, help="messages a second an agent sends")
    add("--seed", type=int, default=secrets.randbelow(1_000_000), help="draws the faults again")
    add("--folder", type=Path, help="where the files of the run stay; default: nowhere")
    return parser.parse_args(arguments)


def _within(least: float, most: float) -> type[float]:
    class Within(float):
        def __new__(cls, text: str) -> Within:
            value = float.__new__(cls, text)
            if not least <= value <= most:
                raise argparse.ArgumentTypeError(f"{text}: must be {least:g} to {most:g}")
            return value

    return Within


if __name__ == "__main__":
    sys.exit(main())
