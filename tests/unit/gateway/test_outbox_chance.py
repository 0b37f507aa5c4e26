"""An outbox beside a model that is too simple to be wrong, under whatever chance brings."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.outbox import Outbox, Parcel, Pushed

MESSAGES_MAX = 4
BYTES_MAX = 60
FIRST, LONGEST = 1.0, 4.0

# Tiny sets, so that ids repeat, sizes tie and bounds are met.
IDS = st.sampled_from("abcdef")
SIZES = st.sampled_from([4, 12, 12, 31])
SENDERS = st.sampled_from(["agent://alice", "agent://bob"])


class OutboxUnderChance(RuleBasedStateMachine):
    """Predicts every answer from two lists: what is owed, and what waits for the writer."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(MESSAGES_MAX, BYTES_MAX, FIRST, LONGEST)
        self.now = 0.0
        self.owed: list[Parcel] = []
        self.queue: list[bytes] = []
        self.wait = FIRST
        self.repeat_at: float | None = None
        self.pushed = 0
        self.sent: list[int] = []

    @rule(msg_ids=st.lists(IDS, min_size=1, max_size=4), sender=SENDERS, size=SIZES)
    def push_several(self, msg_ids: list[str], sender: str, size: int) -> None:
        for msg_id in msg_ids:
            self.push(msg_id, sender, size, 100.0, repeats=True)

    @rule(
        msg_id=IDS,
        sender=SENDERS,
        size=SIZES,
        ttl=st.sampled_from([0.5, 2.0, 4.0]),
        repeats=st.booleans(),
    )
    def push(self, msg_id: str, sender: str, size: int, ttl: float, repeats: bool) -> None:
        envelope = b"%04d" % self.pushed + bytes(size - 4)
        parcel = Parcel(msg_id, envelope, self.now + ttl, sender, "", repeats)
        same = [one for one in self.owed if one.msg_id == msg_id]
        owed_bytes = sum(len(one.envelope) for one in self.owed)
        is_full = (
            MESSAGES_MAX in (len(self.owed), len(self.queue))
            or max(owed_bytes, sum(map(len, self.queue))) + size > BYTES_MAX
        )
        if same:
            expected = Pushed.REPEATED if same[0].sender == sender else Pushed.ID_TAKEN
        elif is_full:
            expected = Pushed.FULL
        else:
            expected = Pushed.QUEUED
            self.pushed += 1
            self.queue.append(envelope)
            if repeats:
                self.owed.append(parcel)
        assert self.outbox.push(parcel) is expected

    @rule(bytes_max=st.sampled_from([1, 24, 24, 40, 1000]))
    def take(self, bytes_max: int) -> None:
        count = 0
        while count < len(self.queue) and (
            count == 0 or sum(map(len, self.queue[: count + 1])) <= bytes_max
        ):
            count += 1
        taken = self.outbox.take(self.now, bytes_max)
        assert taken == self.queue[:count]
        self.sent += [int(envelope[:4]) for envelope in taken]
        del self.queue[:count]
        if self.repeat_at is None and self.owed:
            self.repeat_at = self.now + self.wait

    @rule(msg_ids=st.lists(IDS, max_size=4))
    def confirm(self, msg_ids: list[str]) -> None:
        oldest = self.owed[0] if self.owed else None
        left = [one for one in self.owed if one.msg_id not in msg_ids]
        assert self.outbox.confirm(msg_ids, self.now) == len(self.owed) - len(left)
        self.owed = left
        if oldest not in self.owed:
            self.wait = FIRST
            self.repeat_at = self.now + FIRST if self.owed else None

    @rule(jitter=st.sampled_from([0.0, 0.5, 1.0]))
    def repeat(self, jitter: float) -> None:
        due = self.repeat_at is not None and self.now >= self.repeat_at
        again = due and not self.queue
        before = self.outbox.repeats_total
        assert self.outbox.repeat(self.now, jitter) is again
        assert self.outbox.repeats_total - before == (len(self.owed) if again else 0)
        if again:
            self.queue = [one.envelope for one in self.owed]
            self.wait = min(2 * self.wait, LONGEST)
            self.repeat_at = self.now + FIRST + jitter * (self.wait - FIRST)
        elif due:
            self.repeat_at = None

    @rule(jitters=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3))
    def the_waits_pass_while_nobody_confirms(self, jitters: list[float]) -> None:
        for jitter in jitters:
            self.take(1000)
            if self.repeat_at is not None:
                self.now = max(self.now, self.repeat_at - 0.125)
                self.repeat(jitter)
                self.now += 0.125
                self.repeat(jitter)

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.expire()

    def expire(self) -> None:
        over = [one for one in self.owed if one.expires_at <= self.now]
        assert self.outbox.expire(self.now) == over
        self.gone(over)

    @rule(sender=SENDERS, kind=st.sampled_from(["withhold", "resume", "resume", "empty"]))
    def something_rare_happens(self, sender: str, kind: str) -> None:
        if kind == "withhold":
            theirs = [one for one in self.owed if one.sender == sender]
            assert self.outbox.withhold(lambda parcel: parcel.sender == sender) == theirs
            self.gone(theirs)
        elif kind == "resume":
            self.resume()
        else:
            assert self.outbox.empty() == self.owed
            self.gone(self.owed)
            self.queue = []

    def resume(self) -> None:
        self.outbox.resume()
        self.queue = [one.envelope for one in self.owed]
        self.wait, self.repeat_at = FIRST, None

    def gone(self, parcels: list[Parcel]) -> None:
        envelopes = [one.envelope for one in parcels]
        self.queue = [one for one in self.queue if one not in envelopes]
        self.owed = [one for one in self.owed if one not in parcels]
        if not self.owed:
            self.repeat_at = None

    @invariant()
    def it_holds_what_the_model_holds_and_no_more_than_its_bounds(self) -> None:
        owed_bytes = sum(len(one.envelope) for one in self.owed)
        assert len(self.outbox) == len(self.owed) <= MESSAGES_MAX
        assert self.outbox.queued_count == len(self.queue) <= MESSAGES_MAX
        assert self.outbox.has_queued == bool(self.queue)
        assert f"{len(self.owed)} unconfirmed, {owed_bytes} bytes>" in repr(self.outbox)
        assert max(owed_bytes, sum(map(len, self.queue))) <= BYTES_MAX

    @invariant()
    def nothing_owed_is_lost(self) -> None:
        for one in self.owed:
            assert one.envelope in self.queue or int(one.envelope[:4]) in self.sent

    @invariant()
    def first_copies_left_in_the_order_of_their_pushes(self) -> None:
        first_copies = list(dict.fromkeys(self.sent))
        assert first_copies == sorted(first_copies)

    def teardown(self) -> None:
        """From wherever chance led, an agent that returns gets all that it is owed, in order."""
        self.expire()
        self.resume()
        while self.queue:
            self.take(24)
        self.first_copies_left_in_the_order_of_their_pushes()
        self.nothing_owed_is_lost()
        self.confirm([one.msg_id for one in self.owed])
        self.time_passes(1000.0)
        self.repeat(1.0)
        self.it_holds_what_the_model_holds_and_no_more_than_its_bounds()
        assert len(self.outbox) == 0 and not self.outbox.has_queued


OutboxUnderChance.TestCase.settings = settings(max_examples=300, stateful_step_count=30)
test_an_outbox_does_what_its_model_predicts = pytest.mark.slow(OutboxUnderChance.TestCase)
