"""Measure what it costs that messages cross gateways.

    python -m loadtest.hops --quick
    python -m loadtest.hops --page docs/performance.md
    python -m loadtest.hops --only awards --out result.json

Three comparisons, the sides of each in turn within one run: a direct message on one gateway and
between two; rounds at one to four gateways whose contractors are here, there or both; rounds with
and without an award in etcd. In the first two the gateways know each other from a list, so that
nothing but the hop is measured. docs/performance.md says what each figure means.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loadtest.bench import CLIENT_GRPC_EXPERIMENTS
from loadtest.hops_plan import Plan, parse, plan_of

MARK = "hops"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0, or 1 with a sentence when it could not be done."""
    options = parse(arguments, __doc__ or "")
    # grpc reads its environment when it is imported, so this comes before.
    os.environ.setdefault("GRPC_EXPERIMENTS", CLIENT_GRPC_EXPERIMENTS)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if options.client_core is not None:
        os.sched_setaffinity(0, {options.client_core})
    import uvloop

    from gateway.commands.trouble import CommandError
    from loadtest import hops_page, reliability, report
    from loadtest.conducting import RoundsFailed
    from loadtest.servers import ServerFailed

    plan = plan_of(options)
    machine = report.facts()
    try:
        with tempfile.TemporaryDirectory(prefix="llmx-hops-") as folder:
            measured = uvloop.run(measure(plan, Path(folder), _tell))
        result = {"machine": machine, **measured}
        if options.out is not None:
            options.out.write_text(json.dumps(result, indent=1) + "\n")
        command = "python -m loadtest.hops" + " --quick" * plan.is_quick
        command += "" if options.only is None else f" --only {options.only}"
        text = hops_page.as_text(command, result)
        print(f"\n{text}")
        if options.page is not None:
            reliability.refresh(options.page, MARK, text)
    except (RoundsFailed, ServerFailed, CommandError, reliability.PageError) as error:
        print(f"hops: {error}", file=sys.stderr)
        return 1
    return 0


async def measure(plan: Plan, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Play every case of the plan, and again as often as it asks for and time allows.

    Raises RoundsFailed, ServerFailed, CommandError.
    """
    from loadtest.hops_cases import Cases

    gc.set_threshold(50_000, 20, 100)
    cases = Cases(plan, folder, tell)
    began = time.monotonic()
    longest = 0.0
    for repeat in range(plan.repeats):
        started = time.monotonic()
        if repeat and started - began + longest > plan.seconds_max:
            tell(f"no time for repeat {repeat + 1} of {plan.repeats}")
            break
        await cases.play(repeat)
        longest = max(longest, time.monotonic() - started)
    return {"seconds": round(time.monotonic() - began, 1), **cases.result()}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
