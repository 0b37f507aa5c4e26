"""Every pair of strategies with every seed, three ways: inside NegMAS, here, and over gateways.

    python -m loadtest.interop                  640 games over two gateways; a minute or two
    python -m loadtest.interop --seeds 1        64 of them
    python -m loadtest.interop --record FILE    write down what NegMAS does, for the tests

NegMAS has to be installed; `make negmas` does both.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from loadtest import report
from loadtest.clusters import cluster
from loadtest.interop import games
from loadtest.interop.games import Game, through_the_protocol
from loadtest.interop.live import over_gateways
from loadtest.interop.table import agrees, rows_of, same
from loadtest.reliability import as_table, refresh


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print the table, and fail when one game differs."""
    options = parse(arguments)
    if find_spec("negmas") is None:
        print("interop: NegMAS is not installed; run `make negmas`", file=sys.stderr)
        return 1
    from loadtest.interop.mirror import STRATEGIES, Mirror, in_process

    began = time.perf_counter()
    inside = [
        in_process(one, two, seed)
        for seed in range(options.seeds)
        for one in STRATEGIES
        for two in STRATEGIES
    ]
    if options.record is not None:
        games.save(inside, options.record)
        return 0
    pure = []
    for game in inside:
        one, two = Mirror(game.one, game.seed, True), Mirror(game.two, game.seed, False)
        result = through_the_protocol(one, two)
        pure.append(all(same(game, told) for told in (result, one.result(), two.result())))

    def cast_of(game: Game) -> tuple[Mirror, Mirror]:
        return Mirror(game.one, game.seed, True), Mirror(game.two, game.seed, False)

    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), 2, None) as gateways:
        asyncio.run(gateways.formed())
        played = time.perf_counter()
        live = asyncio.run(over_gateways(gateways, inside, cast_of))
        seconds = time.perf_counter() - played
    rows = rows_of(inside, pure, live, seconds)
    command = "python -m loadtest.interop" + (
        "" if options.seeds == 10 else f" --seeds {options.seeds}"
    )
    table = as_table(command, report.facts(), rows)
    print(table)
    print(f"{time.perf_counter() - began:.0f} seconds in all", file=sys.stderr)
    if options.page is not None:
        refresh(options.page, "interop", table)
    return 0 if all(pure) and all(map(agrees, inside, live)) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.interop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=10, help="how often each pair plays, %(default)s")
    add("--record", type=Path, help="write the games inside NegMAS to this file, and play no more")
    add("--page", type=Path, help="refresh the table in this page, docs/bargaining.md")
    options = parser.parse_args(arguments)
    if not 1 <= options.seeds <= 1_000:
        parser.error("--seeds must be 1 to 1,000")
    return options


if __name__ == "__main__":
    sys.exit(main())
