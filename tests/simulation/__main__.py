"""Plays seeds: `python -m tests.simulation --seeds 10000 --from 1`.

Ends with 1 at the first seed that fails, after its last events; then `--from SEED --seeds 1` shows
it again.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.play import Broken, Play, silent_logs


def main(arguments: list[str] | None = None) -> int:
    """Play the seeds; returns 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    chosen = parser.parse_args(arguments)
    began = time.perf_counter()
    letters = settled = cuts = played = 0
    with silent_logs():
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            try:
                outcome = Play(seed).run()
            except Broken as broken:
                sys.stdout.write(f"{broken}\n")
                return 1
            played += 1
            letters += outcome.letters
            settled += outcome.settled
            cuts += outcome.cuts
    seconds = time.perf_counter() - began
    sys.stdout.write(
        f"{played} seeds from {chosen.first} hold, {played / seconds:.0f} a second: "
        f"{letters} messages, {settled} of them settled, {cuts} connections cut\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
