"""What comes: handed on once, in order, and acknowledged.

A message is *at work* from the moment it is handed on until it need not come again, then
*done*: it is acknowledged, and so is every repeat of it. One that nobody has room for is *turned
away* and comes again; until then what follows it in the same negotiation of the same sender waits
too, so that nothing overtakes. The gateway repeats in order: when a message comes more often than
one before it, that one has expired, and is not waited for.

An acknowledgement is owed until the frame that carried it is confirmed.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections import deque

from llmx.seen import Seen

Key = tuple[str, str, str]
"""Sender, msg_id and negotiation_id: what makes two messages the same."""

TURNED_AWAY_MAX = 16_384
"""Messages turned away of which the order is kept; beyond it the oldest negotiation's is not."""


class Inbox:
    """The messages that came, and what we owe for them."""

    def __init__(self, window: int) -> None:
        """Know repeats of at least the last `window` messages."""
        self._seen = Seen(window)
        self._at_work: set[Key] = set()
        self._turned_away: dict[tuple[str, str], dict[Key, int]] = {}
        self._turned_away_count = 0
        self._acks: deque[str] = deque()
        self._flights: deque[tuple[int, list[str]]] = deque()

    def __repr__(self) -> str:
        return (
            f"<Inbox: {len(self._at_work)} at work, {self._turned_away_count} turned away, "
            f"{len(self._acks)} to acknowledge>"
        )

    @property
    def has_acks(self) -> bool:
        """Is there something to acknowledge?"""
        return bool(self._acks)

    # ------------------------------------------------------------------ messages

    def admits(self, key: Key) -> bool:
        """Tell whether a message that came is to be handed on; it is at work then.

        A repeat is not; it is acknowledged if the message is done.
        """
        if key in self._seen:
            self._acks.append(key[1])
            return False
        if key in self._at_work:
            return False
        if self._turned_away and not self._is_its_turn(key):
            return False
        self._at_work.add(key)
        return True

    def finish(self, key: Key) -> None:
        """Acknowledge a message that was at work."""
        self._at_work.discard(key)
        self._seen.add(key)
        self._acks.append(key[1])

    def took(self, key: Key) -> None:
        """Hear that a message was handed on, so that the ones behind it may come."""
        if not self._turned_away:
            return
        conversation = (key[0], key[2])
        waiting = self._turned_away.get(conversation)
        if waiting is not None and waiting.pop(key, None) is not None:
            self._turned_away_count -= 1
            if not waiting:
                del self._turned_away[conversation]

    def turn_away(self, key: Key) -> None:
        """Hear that there was no room for a message; it is not acknowledged."""
        self._at_work.discard(key)
        waiting = self._turned_away.setdefault((key[0], key[2]), {})
        if key not in waiting:
            waiting[key] = 1
            self._turned_away_count += 1
            self._forget_oldest()

    def _is_its_turn(self, key: Key) -> bool:
        waiting = self._turned_away.get((key[0], key[2]))
        if waiting is None:
            return True
        times = waiting.get(key, 0) + 1
        waiting[key] = times
        if times == 1:
            self._turned_away_count += 1
            self._forget_oldest()
        for before in list(waiting):
            if before == key:
                break
            if waiting[before] < times:
                del waiting[before]
                self._turned_away_count -= 1
        return next(iter(waiting)) == key

    def _forget_oldest(self) -> None:
        while self._turned_away_count > TURNED_AWAY_MAX:
            oldest = next(iter(self._turned_away))
            self._turned_away_count -= len(self._turned_away.pop(oldest))

    # ------------------------------------------------------------------ acknowledgements

    def take_acks(self, number: int, count_max: int) -> list[str]:
        """Return the msg_ids that frame `number` shall acknowledge."""
        taken = [self._acks.popleft() for _ in range(min(len(self._acks), count_max))]
        if taken:
            self._flights.append((number, taken))
        return taken

    def confirm(self, number: int) -> None:
        """Hear that the frames up to `number` were handled."""
        while self._flights and self._flights[0][0] <= number:
            self._flights.popleft()

    def rewind(self, number: int) -> None:
        """Acknowledge again what the frames after `number` acknowledged: they were lost."""
        self.confirm(number)
        self._acks.extendleft(
            msg_id for _, msg_ids in reversed(self._flights) for msg_id in reversed(msg_ids)
        )
        self._flights.clear()

    def restart(self) -> None:
        """Owe no acknowledgement: in a new session the messages come again and are known.

        They come in the order that the gateway knows, so no order is remembered here: a gateway
        that was started anew may have kept a message and lost the one before it.
        """
        self._turned_away.clear()
        self._turned_away_count = 0
        self._acks.clear()
        self._flights.clear()
