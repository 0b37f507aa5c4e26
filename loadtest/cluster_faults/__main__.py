"""Let faults happen to a cluster under load, one after the other, and account for every message.

    python -m loadtest.cluster_faults                              # eight minutes
    python -m loadtest.cluster_faults --quick --only killed,frozen
    python -m loadtest.cluster_faults --page docs/reliability.md   # and refresh the table there

Three gateways and an etcd are processes of their own; between any two of them there is a line
that can be held up, and to etcd too. Agents, which live in this process, know the addresses of all
gateways, send to each other and call for proposals all the while. Ends with 0 when every
promise was kept, with 1 when one was not, or a fault was not over in time.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MARK = "cluster faults"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0 when every promise was kept, else 1."""
    options = parse(arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # grpc reads it when it is imported
    logging.getLogger("llmx").setLevel(logging.ERROR)
    from loadtest import reliability, report
    from loadtest.cluster_faults import table
    from loadtest.cluster_faults.programme import LONG, QUICK, programme
    from loadtest.cluster_faults.scene import Result
    from tests.support.cluster import running_cluster

    length = QUICK if options.quick else LONG
    wanted = [one for one in programme(length) if not options.only or one[0] in options.only]
    if options.only and len(wanted) < len(set(options.only)):
        known = ", ".join(name for name, _ in programme(length))
        print(f"cluster_faults: --only {','.join(options.only)}: there are {known}")
        return 2
    machine = report.facts()
    results: list[Result] = []
    with (
        tempfile.TemporaryDirectory(prefix="llmx-cluster-") as folder,
        running_cluster(options.folder or Path(folder), **length.settings) as cluster,
    ):
        for name, strike in wanted:
            try:
                results.append(asyncio.run(strike(cluster, length.plan, name)))
            except (TimeoutError, ExceptionGroup) as late:
                print(f"{name} was not over in time: {late!r}", flush=True)
                return 1
            print("\n".join(table.told(results[-1])), flush=True)
    quick = " --quick" if options.quick else ""
    taken_by = reliability.taken_by(f"python -m loadtest.cluster_faults{quick}", machine)
    text = table.table(taken_by, results)
    print(text)
    if options.page is not None and not options.only:
        reliability.refresh(options.page, MARK, text)
    return 0 if all(result.is_kept for result in results) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.cluster_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="short leases and short faults, two minutes")
    add("--only", type=lambda text: text.split(","), help="some of the faults, with commas")
    add("--page", type=Path, help="refresh the table in this page, docs/reliability.md")
    add("--folder", type=Path, help="where the files of the run stay; default: nowhere")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
