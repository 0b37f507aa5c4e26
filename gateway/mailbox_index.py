"""What waits for agents, in order and bounded, wherever the bytes themselves are.

Each agent, named by its *owner* key, has a box. An entry first *waits*; when its agent is back
it is *taken* into the outbox, and it stays in the box until it is acknowledged or its time is
over, because only then may it be deleted from the disk. When the agent goes away again, what it
has not acknowledged is *put back* in front. Room can be *reserved* for what is still on its way to
the disk. Every operation costs a few look-ups, whatever the box holds.

    reserved → waiting ⇄ taken → removed

Pure: time is an argument.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from gateway.outbox import Parcel, Pushed

STALE_TIMERS_MAX = 1_024


class Entry(msgspec.Struct):
    """A message in a box."""

    id: int
    """Names its row on the disk; 0 as long as it has none."""
    place: int
    """Orders the rows of one owner."""
    size: int
    """Bytes of the envelope."""
    parcel: Parcel
    """Without its envelope while the disk has that."""
    is_saved: bool = False
    """Is it on the disk?"""


class _Box:
    """What one agent is owed."""

    __slots__ = ("bytes", "count", "taken", "waiting")

    def __init__(self) -> None:
        self.taken: dict[str, Entry] = {}
        self.waiting: OrderedDict[str, Entry] = OrderedDict()
        self.count = 0  # reserved ones included, as in the bytes
        self.bytes = 0


class MailboxIndex:
    """The boxes of all agents."""

    def __init__(
        self,
        messages_per_agent_max: int,
        bytes_per_agent_max: int,
        messages_max: int,
        bytes_max: int,
        tenant_share: float = 1.0,
    ) -> None:
        """Hold at most so much for each agent, for all together, and this part for one tenant."""
        self._messages_per_agent_max = messages_per_agent_max
        self._bytes_per_agent_max = bytes_per_agent_max
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._tenant_messages_max = messages_max * tenant_share
        self._tenant_bytes_max = bytes_max * tenant_share
        self._tenants: dict[str, tuple[int, int]] = {}  # messages and bytes of each
        self._boxes: dict[str, _Box] = {}
        self._expiries: list[tuple[float, int, str, str]] = []  # some of them stale
        self._added = 0
        self.messages = 0
        self.bytes = 0

    def __len__(self) -> int:
        """Return how many messages are kept, reserved room included."""
        return self.messages

    def __repr__(self) -> str:
        """Tell the state in words."""
        held = f"{self.messages} messages, {self.bytes} bytes"
        return f"<MailboxIndex: {held}, {len(self._boxes)} boxes>"

    def reserve(self, owner: str, parcel: Parcel) -> Pushed:
        """Set room for a message aside; QUEUED means that there was some."""
        size = len(parcel.envelope)
        box = self._boxes.get(owner)
        if box is not None:
            known = box.taken.get(parcel.msg_id) or box.waiting.get(parcel.msg_id)
            if known is not None:
                same = known.parcel.sender == parcel.sender
                return Pushed.REPEATED if same else Pushed.ID_TAKEN
            if (
                box.count >= self._messages_per_agent_max
                or box.bytes + size > self._bytes_per_agent_max
            ):
                return Pushed.FULL
        elif size > self._bytes_per_agent_max:
            return Pushed.FULL
        if self.messages >= self._messages_max or self.bytes + size > self._bytes_max:
            return Pushed.FULL
        messages, held = self._tenants.get(_tenant(owner), (0, 0))
        if messages >= self._tenant_messages_max or held + size > self._tenant_bytes_max:
            return Pushed.FULL  # or one tenant could fill the mailboxes of all
        self._claim(owner, size)
        return Pushed.QUEUED

    def _claim(self, owner: str, size: int) -> _Box:
        box = self._boxes.get(owner)
        if box is None:
            box = self._boxes[owner] = _Box()
        box.count += 1
        box.bytes += size
        self._count(owner, 1, size)
        return box

    def _count(self, owner: str, messages: int, size: int) -> None:
        self.messages += messages
        self.bytes += size
        tenant = _tenant(owner)
        before = self._tenants.get(tenant, (0, 0))
        now = (before[0] + messages, before[1] + size)
        if now[0]:
            self._tenants[tenant] = now
        else:
            self._tenants.pop(tenant, None)

    def release(self, owner: str, size: int) -> None:
        """Give reserved room back."""
        box = self._boxes[owner]
        box.count -= 1
        box.bytes -= size
        self._count(owner, -1, -size)
        if not box.count:
            del self._boxes[owner]

    def add(self, owner: str, entry: Entry, *, taken: bool = False) -> bool:
        """Put a message at the end of a box, into room that was reserved for it.

        False, and the room is given back, when a message with its id came meanwhile.
        """
        box = self._boxes[owner]
        msg_id = entry.parcel.msg_id
        if msg_id in box.taken or msg_id in box.waiting:
            self.release(owner, entry.size)
            return False
        if taken:
            box.taken[msg_id] = entry
        else:
            box.waiting[msg_id] = entry
        self._await_expiry(owner, entry)
        return True

    def restore(self, owner: str, entry: Entry) -> bool:
        """Put a message at the end of a box, whatever the bounds, which may have been lowered."""
        self._claim(owner, entry.size)
        return self.add(owner, entry)

    def _await_expiry(self, owner: str, entry: Entry) -> None:
        self._added += 1
        timer = (entry.parcel.expires_at, self._added, owner, entry.parcel.msg_id)
        heapq.heappush(self._expiries, timer)
        if len(self._expiries) > 2 * self.messages + STALE_TIMERS_MAX:
            self._expiries = [
                (entry.parcel.expires_at, number, owner, entry.parcel.msg_id)
                for number, (owner, entry) in enumerate(self._all_waiting())
            ]
            heapq.heapify(self._expiries)

    def _all_waiting(self) -> Iterator[tuple[str, Entry]]:
        for owner, box in self._boxes.items():
            for entry in box.waiting.values():
                yield owner, entry

    def find(self, owner: str, msg_id: str) -> Entry | None:
        """Return a message that is kept for an agent."""
        box = self._boxes.get(owner)
        return None if box is None else box.taken.get(msg_id) or box.waiting.get(msg_id)

    def waiting(self, owner: str) -> int:
        """Return how many messages wait for an agent; taken ones do not."""
        box = self._boxes.get(owner)
        return 0 if box is None else len(box.waiting)

    def kept(self, owner: str) -> int:
        """Return how many messages are kept for an agent, reserved room included."""
        box = self._boxes.get(owner)
        return 0 if box is None else box.count

    def take(self, owner: str, messages_max: int, bytes_max: int) -> list[Entry]:
        """Return the next messages for an agent that is back, one at least if there is one."""
        box = self._boxes.get(owner)
        if box is None or messages_max < 1:
            return []
        entries: list[Entry] = []
        size = 0
        for entry in box.waiting.values():
            size += entry.size
            if entries and (size > bytes_max or len(entries) >= messages_max):
                break
            entries.append(entry)
        for entry in entries:
            del box.waiting[entry.parcel.msg_id]
            box.taken[entry.parcel.msg_id] = entry
        return entries

    def put_back(self, owner: str, entries: Sequence[Entry]) -> list[Entry]:
        """Let messages wait in front of all others, in this order.

        Some may be new here: an outbox held them. They were admitted, so only the bound of all
        boxes together counts for them; returns those that found no room.
        """
        homeless: list[Entry] = []
        placed: list[str] = []
        for entry in entries:
            msg_id = entry.parcel.msg_id
            box = self._boxes.get(owner)
            if box is not None and msg_id in box.taken:
                del box.taken[msg_id]
            elif box is None or msg_id not in box.waiting:
                if self.messages >= self._messages_max or self.bytes + entry.size > self._bytes_max:
                    homeless.append(entry)
                    continue
                box = self._claim(owner, entry.size)
            box.waiting[msg_id] = entry
            self._await_expiry(owner, entry)
            placed.append(msg_id)
        for msg_id in reversed(placed):
            self._boxes[owner].waiting.move_to_end(msg_id, last=False)
        return homeless

    def remove(self, owner: str, msg_id: str) -> Entry | None:
        """Forget a message, acknowledged or not; returns what it was."""
        box = self._boxes.get(owner)
        if box is None:
            return None
        entry = box.taken.pop(msg_id, None) or box.waiting.pop(msg_id, None)
        if entry is not None:
            self.release(owner, entry.size)
        return entry

    def clear(self, owner: str) -> list[Entry]:
        """Forget everything of an agent that is forgotten itself; returns what it was."""
        box = self._boxes.get(owner)
        if box is None:
            return []
        entries = [*box.taken.values(), *box.waiting.values()]
        for entry in entries:
            self.remove(owner, entry.parcel.msg_id)
        return entries

    def all_waiting(self, owner: str) -> list[Entry]:
        """Return what waits for an agent, in order."""
        box = self._boxes.get(owner)
        return [] if box is None else list(box.waiting.values())

    def expire(self, now: float, count_max: int) -> list[tuple[str, Entry]]:
        """Remove and return, with their owners, messages that waited too long.

        At most `count_max` a time, the longest over first. Those that are taken are the outbox's
        to expire.
        """
        over: list[tuple[str, Entry]] = []
        expiries = self._expiries
        while expiries and expiries[0][0] <= now and len(over) < count_max:
            at, _, owner, msg_id = heapq.heappop(expiries)
            box = self._boxes.get(owner)
            entry = None if box is None else box.waiting.get(msg_id)
            if entry is not None and entry.parcel.expires_at == at:  # else one of its name is gone
                self.remove(owner, msg_id)
                over.append((owner, entry))
        return over


def _tenant(owner: str) -> str:
    """Return whose room an owner uses: its key begins with the tenant's name."""
    return owner.partition("|")[0]
