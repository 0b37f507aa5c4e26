"""Where the time of a round goes: its stages one after the other, without a wire.

    python -m loadtest.stages
    python -m loadtest.stages --page docs/performance.md

The messages of the bench go through the gateway's own admission, shards, engine, router and
outboxes in this process: twelve contractors, 32 rounds at a time, everything checked that is
checked in the bench. There are no streams and no grpc; what a round takes besides is theirs. A
figure is CPU time of the fastest of many batches, because everything that disturbs makes it longer.
"""

from __future__ import annotations

import argparse
import gc
import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from gateway.admission import Admission
from gateway.app_limits import (
    admission_limits,
    call_limits,
    mailbox_limits,
    member_limits,
)
from gateway.clock import steady_clock
from gateway.consents import ConsentGrant
from gateway.headers import Sender
from gateway.known_resources import KnownResources
from gateway.link import Link
from gateway.logs import set_up_logs
from gateway.mailbox import Mailbox
from gateway.members import Member, Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.policies import Policies
from gateway.records import Recorder
from gateway.router import Router
from gateway.settings import LimitSettings, LogSettings, Settings
from gateway.validation import Validation
from llmx.v1 import envelope_pb2
from llmx.v1.negotiation_pb2 import NegotiationOpened
from loadtest import messages, reliability, report
from loadtest.framing import field

CONTRACTORS = 12
IN_FLIGHT = 32
BATCHES = 150
WARM_UP_BATCHES = 10
FRAME_BYTES = 1 << 28
MARK = "stages"
UNLIMITED = 10_000_000
TENANT, TOPIC, CAPABILITY = "bench", "stages", "propose"

STAGES = (
    "admission of the call, with its audience",
    "opening it, and handing it to twelve agents",
    "admission of twelve offers",
    "eleven offers in the engine, relayed to the initiator",
    "the last offer: award, thirteen verdicts and outcome, record, log",
    "what 37 deliveries take in outboxes",
)


class _Stream:
    """A stream that nobody reads: it is woken, as a real one is."""

    def __init__(self) -> None:
        self.is_due = False

    def wake(self) -> None:
        self.is_due = True

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        raise AssertionError("outboxes are large enough")

    def close(self, reason: str, detail: str) -> None:
        raise AssertionError(f"nothing ends a stream here, but {reason}: {detail}")


class Round:
    """The parts of a gateway, an initiator and its contractors."""

    def __init__(self) -> None:
        """Put the parts together as a gateway does, with its rate limits far away."""
        settings = Settings()
        limits = LimitSettings(
            rate_per_second=UNLIMITED,
            burst=UNLIMITED,
            tenant_rate_per_second=UNLIMITED,
            tenant_burst=UNLIMITED,
        )
        self.now = now = steady_clock()
        metrics = Metrics()
        self.members = members = Members(member_limits(limits), now())
        mailbox = Mailbox(mailbox_limits(settings.mailbox), None)
        router = Router("gateway", now, members, metrics, limits.ttl_default, 1_000, mailbox)
        self.negotiations = Negotiations(
            "gateway",
            now,
            members,
            router,
            metrics,
            Recorder(settings.engine.records_kept, None),
            shards=settings.engine.shards,
            queue_max=settings.engine.shard_queue_max,
            open_max=limits.negotiations_open_max,
            finished_max=limits.negotiations_finished_max,
            ttl_default=limits.ttl_default,
            open_max_tenant=limits.negotiations_open_max,
            open_max_agent=limits.negotiations_open_max,
        )
        self.admission = Admission(
            admission_limits(limits),
            call_limits(limits, settings.market, settings.mailbox, KnownResources()),
            now,
            metrics,
            Validation(settings.validation, limits, metrics),
            Policies("flow/high", {}),
            router,
            self.negotiations,
            members.duplicates,
            members.once,
        )
        self.alice = self._join("alice")
        self.bobs = [self._join(f"c{number:03d}") for number in range(CONTRACTORS)]
        for bob in self.bobs:
            bob.member.tenant.listen(bob.member, [TOPIC])
        self._serial = 0
        self._call = messages.rest_of_envelope(
            self.alice.member.agent_id,
            [f"topic://{TOPIC}"],
            envelope_pb2.ACT_CFP,
            messages.as_bytes(messages.call_payload()),
            (CAPABILITY,),
        )
        self._offers = [
            messages.rest_of_envelope(
                bob.member.agent_id,
                [self.alice.member.agent_id],
                envelope_pb2.ACT_OFFER,
                messages.as_bytes(messages.offer_payload(number, number)),
            )
            for number, bob in enumerate(self.bobs)
        ]

    def _join(self, name: str) -> Sender:
        member = self.members.join(TENANT, messages.address(name), self.now())
        assert member is not None, "there is room"
        member.stream, member.link = _Stream(), Link("token")
        member.consents["all"] = ConsentGrant("all", "*")
        member.capabilities = frozenset({CAPABILITY})
        self.members.arrive(member)
        return Sender(member)

    def play(self) -> list[float]:
        """Play a batch of rounds; returns the CPU seconds of each stage.

        Raises AssertionError when a round did not go as it does in the bench.
        """
        clock, alice = time.process_time, self.alice.member
        link = alice.link
        assert link is not None, "it was given one"
        ids = [b"stages-%d" % (self._serial + number) for number in range(IN_FLIGHT)]
        self._serial += IN_FLIGHT
        calls = [field(messages.MSG_ID, name) + self._call for name in ids]
        times = [clock()]
        self._admit(self.alice, calls)
        times.append(clock())
        self._turn()
        times.append(clock())
        opened = [NegotiationOpened.FromString(one) for one in link.pending.opened]
        assert len(opened) == IN_FLIGHT, "each call is told that it is open"
        link.pending.opened.clear()
        frames = [self._frame(number, opened) for number in range(CONTRACTORS)]
        began = clock()
        for bob, frame in zip(self.bobs[:-1], frames[:-1], strict=True):
            self._admit(bob, frame)
        admitted = clock()
        self._turn()
        engine = clock()
        self._admit(self.bobs[-1], frames[-1])
        last = clock()
        self._turn()
        closed = clock()
        outboxes = self._empty_outboxes()
        assert not link.pending.refusals and not link.at_hand, "nothing is refused"
        return [
            times[1] - times[0],
            times[2] - times[1],
            admitted - began + last - engine,
            engine - admitted,
            closed - last,
            outboxes,
        ]

    def _frame(self, number: int, opened: Sequence[NegotiationOpened]) -> list[bytes]:
        """Return the offers of one contractor to all open rounds."""
        rest = self._offers[number]
        return [
            field(messages.MSG_ID, b"%s-%03d" % (one.msg_id.encode(), number))
            + rest
            + messages.answer_suffix(one.negotiation_id, one.msg_id)
            for one in opened
        ]

    def _admit(self, sender: Sender, frame: Sequence[bytes]) -> None:
        for raw in frame:
            waiting = self.admission.admit(sender, raw)
            assert waiting is None, "all of it is judged at once, and no queue is full"

    def _turn(self) -> None:
        for shard in self.negotiations.shards:
            while shard.queued:
                shard.turn()

    def _empty_outboxes(self) -> float:
        """Take what is owed and acknowledge it; returns the CPU seconds of these two."""
        members: list[Member] = [self.alice.member, *(bob.member for bob in self.bobs)]
        began = time.process_time()
        taken = [member.outbox.take(self.now(), FRAME_BYTES) for member in members]
        spent = time.process_time() - began
        delivered = sum(map(len, taken))
        assert delivered == IN_FLIGHT * (3 * CONTRACTORS + 1), f"{delivered} were delivered"
        acknowledged = [[parcel.msg_id for parcel in parcels] for parcels in taken]
        began = time.process_time()
        for member, msg_ids in zip(members, acknowledged, strict=True):
            member.outbox.confirm(msg_ids, self.now())
        return spent + time.process_time() - began


def measure(batches: int = BATCHES) -> list[float]:
    """Return the microseconds that each of STAGES takes of a round."""
    with _logs_thrown_away():
        round_ = Round()
        for _ in range(WARM_UP_BATCHES):
            round_.play()
        gc.collect()
        gc.freeze()
        played = []
        try:
            for _ in range(batches):
                gc.disable()
                played.append(round_.play())
                gc.enable()
        finally:
            gc.enable()
            gc.unfreeze()
    return [min(stage) / IN_FLIGHT * 1e6 for stage in zip(*played, strict=True)]


@contextmanager
def _logs_thrown_away() -> Iterator[None]:
    """Write log lines, which a round pays for, to nowhere."""
    set_up_logs(LogSettings(), io.StringIO())
    try:
        yield
    finally:
        structlog.reset_defaults()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and show; returns 0, or 1 with a sentence when the page has no place for it."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.stages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--page", type=Path, help="refresh the table in this page")
    options = parser.parse_args(arguments)
    machine = report.facts()
    stages = measure()
    rows = [(what, f"{spent:.0f} µs") for what, spent in zip(STAGES, stages, strict=True)]
    rows.append(("a round without a wire", f"{sum(stages):.0f} µs"))
    table = reliability.as_table("python -m loadtest.stages", machine, rows)
    print(table)
    if options.page is not None:
        try:
            reliability.refresh(options.page, MARK, table)
        except reliability.PageError as error:
            print(f"stages: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
