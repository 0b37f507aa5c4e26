"""Play one peer, or say which can be played; see the package."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import signal
import sys
from importlib import metadata
from pathlib import Path

from loadtest.peers import nats_server
from loadtest.peers.roll import PEERS
from loadtest.peers.work import PeerFailed, read_work


def main() -> int:
    """Print one line of JSON; returns 1 with a sentence when the work could not be played."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.peers", description=__doc__)
    parser.add_argument("peer", nargs="?", choices=PEERS)
    parser.add_argument("work", nargs="?", type=Path)
    parser.add_argument("--which", action="store_true")
    options = parser.parse_args()
    if options.which:
        print(json.dumps({name: _found(name) for name in PEERS}))
        return 0
    if options.work is None:
        parser.error("a peer and its work are needed, or --which")
    import uvloop

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and so stops the peer's server
    module = importlib.import_module(PEERS[options.peer].module)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as in loadtest.bench
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            played = runner.run(module.play(read_work(options.work)))
    except PeerFailed as error:
        print(f"{options.peer}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(played))
    return 0


def _found(name: str) -> dict[str, object]:
    """Return the versions of what a peer needs, or why it cannot be played."""
    peer = PEERS[name]
    try:
        importlib.import_module(peer.module)
        versions = {needed: metadata.version(needed) for needed in peer.distributions}
    except (ImportError, metadata.PackageNotFoundError) as error:
        return {"why_not": str(error)}
    if peer.needs_nats_server and nats_server.program() is None:
        return {"why_not": "there is no nats-server"}
    return {"versions": versions}


if __name__ == "__main__":
    sys.exit(main())
