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
WINDOW = 3

# Tiny sets, so that ids repeat, sizes tie and bounds are met.
IDS = st.sampled_from("abcdef")
SIZES = st.sampled_from([4, 12, 12, 31])
SENDERS = st.sampled_from(["agent://alice", "agent://bob"])


class OutboxUnderChance(RuleBasedStateMachine):
    """Predicts every answer from three lists: what waits, what is sent, what is due again."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(MESSAGES_MAX, BYTES_MAX, FIRST, LONGEST, WINDOW)
        self.now = 0.0
        self.waiting: list[Parcel] = []
        self.sent: list[Parcel] = []
        self.again: list[Parcel] = []
        self.wait = FIRST
        self.repeat_at: float | None = None
        self.is_crowded = False
        self.pushed = 0
        self.numbers: list[int] = []
        """Of everything that was taken, in order, repeats too."""

    @property
    def held(self) -> list[Parcel]:
        return self.sent + self.waiting

    @property
    def owed(self) -> list[Parcel]:
        return [one for one in self.held if one.repeats]

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
        same = [one for one in self.held if one.msg_id == msg_id]
        bytes_held = sum(len(one.envelope) for one in self.held) + size
        if same:
            expected = Pushed.REPEATED if same[0].sender == sender else Pushed.ID_TAKEN
        elif len(self.held) == MESSAGES_MAX or bytes_held > BYTES_MAX:
            expected = Pushed.FULL
        else:
            expected = Pushed.QUEUED
            half = 2 * len(self.held) >= MESSAGES_MAX or 2 * bytes_held > BYTES_MAX
            if half and not self.is_crowded:
                expected, self.is_crowded = Pushed.CROWDED, True
            self.pushed += 1
            self.waiting.append(parcel)
        assert self.outbox.push(parcel) is expected

    @rule(bytes_max=st.sampled_from([1, 24, 24, 40, 1000]))
    def take(self, bytes_max: int) -> None:
        due = self.again or self.covered()
        count = 0
        while count < len(due) and (
            count == 0 or sum(len(one.envelope) for one in due[: count + 1]) <= bytes_max
        ):
            count += 1
        taken = self.outbox.take(self.now, bytes_max)
        assert taken == due[:count]
        self.numbers += [int(one.envelope[:4]) for one in taken]
        if self.again:
            del self.again[:count]
        else:
            self.waiting = [one for one in self.waiting if one not in taken]
            self.sent += [one for one in taken if one.repeats]
        if self.repeat_at is None and self.sent:
            self.repeat_at = self.now + self.wait

    def covered(self) -> list[Parcel]:
        """Return what waits and is covered by credit, up to the first that is not."""
        credit = WINDOW - len(self.sent)
        covered: list[Parcel] = []
        for one in self.waiting if credit > 0 else []:
            credit -= one.repeats
            if credit < 0:
                break
            covered.append(one)
        return covered

    @rule(msg_ids=st.lists(IDS, max_size=4))
    def confirm(self, msg_ids: list[str]) -> None:
        oldest = self.sent[0] if self.sent else None
        left = [one for one in self.sent if one.msg_id not in msg_ids]
        assert self.outbox.confirm(msg_ids, self.now) == len(self.sent) - len(left)
        self.sent = left
        self.again = [one for one in self.again if one in left]
        if oldest not in self.sent:
            self.wait = FIRST
            self.repeat_at = self.now + FIRST if self.sent else None
        few = 4 * len(self.held) < MESSAGES_MAX
        light = 4 * sum(len(one.envelope) for one in self.held) < BYTES_MAX
        self.is_crowded = self.is_crowded and not (few and light)

    @rule(jitter=st.sampled_from([0.0, 0.5, 1.0]))
    def repeat(self, jitter: float) -> None:
        due = self.repeat_at is not None and self.now >= self.repeat_at
        again = due and not self.again and not self.covered()
        assert self.outbox.is_late(self.now) is due
        assert self.outbox.repeat(self.now, jitter) == (len(self.sent) if again else 0)
        if again:
            self.again = list(self.sent)
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
        over = [one for one in self.held if one.expires_at <= self.now]
        assert self.outbox.expire(self.now) == [one for one in over if one.repeats]
        self.gone(over)

    @rule(sender=SENDERS, kind=st.sampled_from(["withhold", "resume", "resume", "empty"]))
    def something_rare_happens(self, sender: str, kind: str) -> None:
        if kind == "withhold":
            theirs = [one for one in self.held if one.sender == sender]
            assert self.outbox.withhold(lambda parcel: parcel.sender == sender) == theirs
            self.gone(theirs)
        elif kind == "resume":
            self.resume(None)
        else:
            assert self.outbox.empty() == self.owed
            self.gone(self.held)
            self.is_crowded = False

    @rule(lost=st.none() | st.sets(IDS, max_size=3))
    def resume(self, lost: set[str] | None) -> None:
        self.outbox.resume(lost)
        self.again = [
            one for one in self.sent if lost is None or one.msg_id in lost or one in self.again
        ]
        self.wait, self.repeat_at = FIRST, None

    def gone(self, parcels: list[Parcel]) -> None:
        self.waiting = [one for one in self.waiting if one not in parcels]
        self.sent = [one for one in self.sent if one not in parcels]
        self.again = [one for one in self.again if one not in parcels]
        if not self.sent:
            self.repeat_at = None

    @invariant()
    def it_holds_what_the_model_holds_and_no_more_than_its_bounds(self) -> None:
        bytes_held = sum(len(one.envelope) for one in self.held)
        assert len(self.outbox) == len(self.held) <= MESSAGES_MAX
        assert self.outbox.sent_count == len(self.sent) <= WINDOW
        assert self.outbox.has_queued == bool(self.again or self.covered())
        assert f"{len(self.sent)} sent, {bytes_held} bytes>" in repr(self.outbox)
        assert bytes_held <= BYTES_MAX

    @invariant()
    def nothing_owed_is_lost(self) -> None:
        for one in self.sent:
            assert int(one.envelope[:4]) in self.numbers

    @invariant()
    def first_copies_left_in_the_order_of_their_pushes(self) -> None:
        first_copies = list(dict.fromkeys(self.numbers))
        assert first_copies == sorted(first_copies)

    def teardown(self) -> None:
        """From wherever chance led, an agent that returns gets all that it is owed, in order."""
        self.expire()
        self.resume(None)
        while self.again or self.covered():
            self.take(24)
            self.confirm([one.msg_id for one in self.sent if one not in self.again])
        assert not self.held and len(self.outbox) == 0
        self.first_copies_left_in_the_order_of_their_pushes()
        self.time_passes(1000.0)
        self.repeat(1.0)
        self.it_holds_what_the_model_holds_and_no_more_than_its_bounds()


OutboxUnderChance.TestCase.settings = settings(max_examples=300, stateful_step_count=30)
test_an_outbox_does_what_its_model_predicts = pytest.mark.slow(OutboxUnderChance.TestCase)
