"""Kill a gateway at every step of an award, on every store, and account for every credit.

    python -m loadtest.award_faults                               # 100 times each; half an hour
    python -m loadtest.award_faults --repetitions 3 --only writing,written --store file
    python -m loadtest.award_faults --page docs/settlement.md     # and refresh the table there

Each lane is a gateway of its own, doomed to end by SIGKILL at a step, with an initiator that calls
and two contractors that offer; the next life goes on with what the last one left. Durable calls
take turns with calls that the initiator repeats. Ends with 0 when there was no double award, no
credit lost or made, and nothing held or locked when its time was over.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from loadtest.award_faults.books import Played, Sums, Verdict, judged, owed
from loadtest.award_faults.steps import STEPS
from loadtest.award_faults.table import is_kept, table
from tests.support.etcd import Etcd

MARK = "award faults"
LANES = 4
STORES = ("file", "etcd")
PAID = ("paid at once", "work done")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0 when every promise was kept, else 1."""
    options = parse(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # grpc reads it when it is imported
    logging.getLogger("llmx").setLevel(logging.CRITICAL)
    from loadtest import reliability, report

    steps = [step.name for step in STEPS if not options.only or step.name in options.only]
    paid_for = [step.name for step in STEPS if step.plot in PAID]
    machine = report.facts()
    verdicts: list[Verdict] = []
    sums: list[tuple[str, Sums, int]] = []
    for store in options.store:
        lanes = asyncio.run(_played(store, steps, options.repetitions, options.lanes))
        calls = [call for heard, _ in lanes for call in heard]
        for step in steps:
            own = [call for call in calls if call.step == step]
            verdicts.append(judged(store, step, own))
            print(verdicts[-1], flush=True)
            for call in own:
                if not is_kept([judged(store, step, [call])], []):
                    print(f"  not kept: {call}", flush=True)
        left = [one for _, one in lanes]
        total = Sums(
            sum(one.minted for one in left),
            sum(one.available for one in left),
            sum(one.held for one in left),
            sum(one.paid for one in left),
            sum(one.locks for one in left),
        )
        sums.append((store, total, owed(calls, paid_for)))
    given = f"python -m loadtest.award_faults --repetitions {options.repetitions}"
    text = table(reliability.taken_by(given, machine), verdicts, sums)
    print(text)
    if options.page is not None and not options.only:
        reliability.refresh(options.page, MARK, text)
    return 0 if is_kept(verdicts, sums) else 1


async def _played(store: str, steps: Sequence[str], repetitions: int, lanes: int) -> list[Played]:
    """Let every lane play its steps."""
    from loadtest.award_faults.scene import Scene

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmx-awards-")))
        etcd = await stack.enter_async_context(Etcd(folder)) if store == "etcd" else None
        async with asyncio.TaskGroup() as tasks:
            playing = []
            for lane in range(min(lanes, len(steps))):
                own = folder / f"lane{lane}"
                scene = Scene(own, settings_of(store, own, etcd, lane))
                playing.append(tasks.create_task(scene.play(steps[lane::lanes], repetitions)))
        return [played.result() for played in playing]


def settings_of(store: str, folder: Path, etcd: Etcd | None, lane: int) -> dict[str, object]:
    """Return how the gateway of a lane keeps its ledger."""
    if etcd is None:
        return {"market.store": store, "market.file": folder / "ledger.db"}
    return {
        "market.store": store,
        "federation.etcd": etcd.endpoint.removeprefix("http://"),
        "federation.cluster": f"lane{lane}",
        "server.gateway_id": "one",
        "federation.lease_seconds": 2,
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.award_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repetitions", type=int, default=100, help="how often each step is reached")
    add("--only", type=lambda text: text.split(","), help="some of the steps, with commas")
    add(
        "--store",
        type=lambda text: text.split(","),
        default=STORES,
        help="file, etcd, or both with a comma",
    )
    add("--lanes", type=int, default=LANES, help="gateways that die side by side")
    add("--page", type=Path, help="refresh the table in this page, docs/settlement.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
