"""The index beside a model too simple to be wrong, under whatever chance brings."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.mailbox_index import Entry, MailboxIndex
from gateway.outbox import Parcel, Pushed

PER_AGENT, BYTES_PER_AGENT, ALL, BYTES_ALL = 3, 50, 5, 70
OWNERS = st.sampled_from(["t|agent://bob|", "t|agent://carol|"])
IDS = st.sampled_from("abcde")
SENDERS = st.sampled_from(["agent://alice", "agent://eve"])
SIZES = st.sampled_from([5, 20, 20, 60])


class IndexUnderChance(RuleBasedStateMachine):
    """Predicts every answer from two lists an owner: what is taken, and what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.index = MailboxIndex(PER_AGENT, BYTES_PER_AGENT, ALL, BYTES_ALL)
        self.now = 0.0
        self.taken: dict[str, list[Entry]] = {}
        self.waiting: dict[str, list[Entry]] = {}
        self.reserved: list[tuple[str, Entry]] = []

    def box(self, owner: str) -> list[Entry]:
        return self.taken.get(owner, []) + self.waiting.get(owner, [])

    def sizes(self, owner: str | None = None) -> list[int]:
        """Return the sizes of all that counts, for one owner or for all."""
        owners = {*self.taken, *self.waiting} if owner is None else {owner}
        held = [entry.size for one in owners for entry in self.box(one)]
        return held + [entry.size for of, entry in self.reserved if owner in (None, of)]

    @rule(
        owner=OWNERS,
        msg_id=IDS,
        sender=SENDERS,
        size=SIZES,
        ttl=st.sampled_from([0.5, 2.0, 2.0, 9.0]),
    )
    def reserve(self, owner: str, msg_id: str, sender: str, size: int, ttl: float) -> None:
        parcel = Parcel(msg_id, bytes(size), self.now + ttl, sender, "", True)
        same = [one for one in self.box(owner) if one.parcel.msg_id == msg_id]
        mine, everything = self.sizes(owner), self.sizes()
        if same:
            taken_by_other = same[0].parcel.sender != sender
            expected = Pushed.ID_TAKEN if taken_by_other else Pushed.REPEATED
        elif (
            len(mine) >= PER_AGENT
            or sum(mine) + size > BYTES_PER_AGENT
            or len(everything) >= ALL
            or sum(everything) + size > BYTES_ALL
        ):
            expected = Pushed.FULL
        else:
            expected = Pushed.QUEUED
            self.reserved.append((owner, Entry(0, 0, size, parcel)))
        assert self.index.reserve(owner, parcel) is expected

    @rule(taken=st.booleans(), data=st.data())
    def add(self, taken: bool, data: st.DataObject) -> None:
        if not self.reserved:
            return
        number = data.draw(st.integers(0, len(self.reserved) - 1))
        owner, entry = self.reserved.pop(number)
        taken = taken and not self.waiting.get(owner)  # what waits goes first
        known = any(one.parcel.msg_id == entry.parcel.msg_id for one in self.box(owner))
        assert self.index.add(owner, entry, taken=taken) is not known
        if not known:
            (self.taken if taken else self.waiting).setdefault(owner, []).append(entry)

    @rule()
    def renounce(self) -> None:
        if self.reserved:
            owner, entry = self.reserved.pop()
            self.index.release(owner, entry.size)

    @rule(owner=OWNERS, count=st.integers(1, 3), size=st.sampled_from([1, 25, 99]))
    def take(self, owner: str, count: int, size: int) -> None:
        waiting = self.waiting.get(owner, [])
        fitting = [
            number
            for number in range(1, min(count, len(waiting)) + 1)
            if number == 1 or sum(one.size for one in waiting[:number]) <= size
        ]
        expected = waiting[: max(fitting, default=0)]
        assert self.index.take(owner, count, size) == expected
        self.waiting[owner] = waiting[len(expected) :]
        self.taken.setdefault(owner, []).extend(expected)

    @rule(owner=OWNERS, news=st.lists(st.tuples(IDS, SIZES), max_size=2))
    def go_away(self, owner: str, news: list[tuple[str, int]]) -> None:
        """Put back what is taken, with what only the outbox knew, new ones last."""
        known = {one.parcel.msg_id for one in self.box(owner)}
        fresh = {msg_id: size for msg_id, size in news if msg_id not in known}
        entries = list(self.taken.get(owner, []))
        entries += [
            Entry(0, 0, size, Parcel(msg_id, bytes(size), self.now + 2, "agent://eve", "", True))
            for msg_id, size in fresh.items()
        ]
        stays, homeless = list(self.taken.pop(owner, [])), []
        total = self.sizes() + [one.size for one in stays]
        for entry in entries[len(stays) :]:
            if len(total) >= ALL or sum(total) + entry.size > BYTES_ALL:
                homeless.append(entry)
            else:
                stays.append(entry)
                total.append(entry.size)
        assert self.index.put_back(owner, entries) == homeless
        self.waiting[owner] = stays + self.waiting.get(owner, [])

    @rule(owner=OWNERS, msg_id=IDS)
    def settle(self, owner: str, msg_id: str) -> None:
        found = next((one for one in self.box(owner) if one.parcel.msg_id == msg_id), None)
        assert self.index.find(owner, msg_id) is found
        assert self.index.remove(owner, msg_id) is found
        for boxes in (self.taken, self.waiting):
            boxes[owner] = [one for one in boxes.get(owner, []) if one is not found]

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0]), most=st.sampled_from([1, 99]))
    def time_passes(self, seconds: float, most: int) -> None:
        self.now += seconds
        due = [
            (owner, entry)
            for owner, waiting in self.waiting.items()
            for entry in waiting
            if entry.parcel.expires_at <= self.now
        ]
        over = self.index.expire(self.now, most)
        assert len(over) == min(most, len(due))
        times = [entry.parcel.expires_at for _, entry in over]
        assert times == sorted(times)
        for owner, entry in over:
            assert any(owner == of and entry is one for of, one in due)
            self.waiting[owner] = [one for one in self.waiting[owner] if one is not entry]

    @invariant()
    def counts_agree(self) -> None:
        assert (self.index.messages, self.index.bytes) == (len(self.sizes()), sum(self.sizes()))
        for owner in {*self.taken, *self.waiting}:
            assert self.index.waiting(owner) == len(self.waiting.get(owner, []))
            assert self.index.kept(owner) == len(self.sizes(owner))
            assert self.index.all_waiting(owner) == self.waiting.get(owner, [])

    def teardown(self) -> None:
        """Forget everybody: nothing may be left."""
        for owner, entry in self.reserved:
            self.index.release(owner, entry.size)
        for owner in {*self.taken, *self.waiting}:
            assert len(self.index.clear(owner)) == len(self.box(owner))
        assert repr(self.index) == "<MailboxIndex: 0 messages, 0 bytes, 0 boxes>"


IndexUnderChance.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
test_the_index_does_what_its_model_predicts = pytest.mark.slow(IndexUnderChance.TestCase)
