"""Mistakes that somebody could make, each planted in a copy of a real part.

A simulation that passes says something only if it fails on these.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from gateway.duplicates import Duplicates
from gateway.link import Answers, Heard
from gateway.link import Link as GatewayLink
from gateway.mailbox import Mailbox
from gateway.mailbox_index import Entry, MailboxIndex
from gateway.members import Member
from gateway.outbox import NEVER, Parcel, Pushed
from gateway.outbox import Outbox as GatewayOutbox
from llmx.inbox import Inbox, Key
from llmx.link import Arrival
from llmx.link import Link as ClientLink
from llmx.outbox import Outbox as ClientOutbox
from tests.simulation import gateway_side


class ForgetsAnswers(GatewayLink):
    def resume(self, received: int) -> set[str] | None:
        pending, lost = self.pending, super().resume(received)
        self.pending = pending
        return lost


class ResumesFromTheEnd(GatewayLink):
    def resume(self, received: int) -> set[str] | None:
        lost = super().resume(received)
        self.pending = Answers([], [], [])
        return None if lost is None else set()


class HandlesBatchesTwice(GatewayLink):
    def hear(self, number: int) -> Heard:
        heard = super().hear(number)
        return Heard.NEXT if heard is Heard.REPEAT else heard


class SeesNoGaps(GatewayLink):
    def hear(self, number: int) -> Heard:
        heard = super().hear(number)
        return Heard.NEXT if heard is Heard.GAP else heard


class RefusesInABatchThatComesAgain(GatewayLink):
    def resume(self, received: int) -> set[str] | None:
        self.finish()
        return super().resume(received)


class ConfirmsEverything(GatewayOutbox):
    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        return super().confirm(list(self._sent), now)


class ConfirmsWhatWasNotSent(GatewayOutbox):
    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        msg_ids = list(msg_ids)
        for msg_id in msg_ids:
            if msg_id in self._waiting:
                self._sent[msg_id] = self._waiting.pop(msg_id)
        return super().confirm(msg_ids, now)


class IgnoresTheWindow(GatewayOutbox):
    def take(self, now: float, bytes_max: int) -> list[Parcel]:
        window, self.window = self.window, 1000
        taken = super().take(now, bytes_max)
        self.window = window
        return taken


class GoesBackInReverse(GatewayOutbox):
    def resume(self, lost: Container[str] | None = None) -> None:
        super().resume(lost)
        self._again.reverse()


class ForgetsWhatWasDueAgain(GatewayOutbox):
    """As it was: a second break forgot what the stream between had not yet sent again."""

    def resume(self, lost: Container[str] | None = None) -> None:
        self._again = []
        super().resume(lost)


class NeverRepeats(GatewayOutbox):
    def repeat(self, now: float, jitter: float) -> int:
        self._retry_at = NEVER
        return 0


class ExpiresInSilence(GatewayOutbox):
    def expire(self, now: float) -> list[Parcel]:
        super().expire(now)
        return []


class LeavesWhatWasSent(GatewayOutbox):
    def empty(self) -> list[Parcel]:
        sent = set(self._sent)
        return [parcel for parcel in super().empty() if parcel.msg_id not in sent]


class TakesMoreThanItMay(GatewayOutbox):
    def push(self, parcel: Parcel) -> Pushed:
        most, self.messages_max = self.messages_max, 1000
        pushed = super().push(parcel)
        self.messages_max = most
        return pushed


class SeesNoDuplicates(Duplicates):
    def find(self, key: str) -> str | None:
        return None


class PutsBackBehind(MailboxIndex):
    def put_back(self, owner: str, entries: Sequence[Entry]) -> list[Entry]:
        homeless = super().put_back(owner, entries)
        box = self._boxes.get(owner)
        for entry in entries:
            if box is not None and entry.parcel.msg_id in box.waiting:
                box.waiting.move_to_end(entry.parcel.msg_id)
        return homeless


class TakesNewestFirst(MailboxIndex):
    def take(self, owner: str, messages_max: int, bytes_max: int) -> list[Entry]:
        return super().take(owner, messages_max, bytes_max)[::-1]


class NeverSettles(Mailbox):
    def settle(self, owner: str, msg_ids: Iterable[str]) -> None:
        """Forget nothing."""


class KeepsNothingOnDisk(Mailbox):
    async def take(self, owner: str, messages_max: int, bytes_max: int) -> list[Parcel]:
        parcels = await super().take(owner, messages_max, bytes_max)
        self.settle(owner, [parcel.msg_id for parcel in parcels])
        return parcels


class RefillsIntoAFullOutbox(gateway_side.PromptAbsences):
    """As it was until a simulation found that it ended the stream, each time it was opened."""

    def _fill(self, member: Member, parcels: list[Parcel]) -> list[Parcel]:
        for index, parcel in enumerate(parcels):
            if self._router.deliver(member, parcel) is Pushed.FULL:
                return parcels[index:]
        return []


class RefillsAfterAcknowledgements(gateway_side.PromptAbsences):
    """As it was: what is never acknowledged, because it is sent at most once, stopped it."""

    def upkeep(self, now: float) -> None:
        self._without_room.clear()
        super().upkeep(now)


class HandsOnTwice(Inbox):
    def admits(self, key: Key) -> bool:
        return super().admits(key) or key in self._seen


class LetsOthersOvertake(Inbox):
    def turn_away(self, key: Key) -> None:
        self._at_work.discard(key)


class SettlesBeforeWork(Inbox):
    def admits(self, key: Key) -> bool:
        admits = super().admits(key)
        if admits:
            self._acks.append(key[1])
        return admits


class HearsRepeats(ClientLink):
    def hear(self, number: int) -> Arrival:
        arrival = super().hear(number)
        return Arrival.NEW if arrival is Arrival.REPEAT else arrival


class OverhearsGaps(ClientLink):
    def hear(self, number: int) -> Arrival:
        arrival = super().hear(number)
        return Arrival.NEW if arrival is Arrival.GAP else arrival


class RewindsNothing(ClientOutbox):
    def rewind(self, number: int = 0) -> None:
        """Believe that all that was sent has arrived."""


class RewindsInReverse(ClientOutbox):
    def rewind(self, number: int = 0) -> None:
        before = len(self._queue)
        super().rewind(number)
        lost = len(self._queue) - before
        front = [self._queue.popleft() for _ in range(lost)]
        self._queue.extendleft(front)


class CountsAllAsAdmitted(ClientOutbox):
    def confirm(self, number: int) -> list[str]:
        return super().confirm(number + 1)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake, and which name stands for the part in which it is made."""

    part: str
    mistake: type

    def planted(self) -> AbstractContextManager[None]:
        """Make the mistake while the context is open."""
        return _planted(self)


class _planted(AbstractContextManager[None]):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        self._patch.setattr(self._mutant.part, self._mutant.mistake)

    def __exit__(self, *error: object) -> None:
        self._patch.undo()


MUTANTS = [
    *(
        Mutant("tests.simulation.gateway_side.Link", one)
        for one in (
            ForgetsAnswers,
            ResumesFromTheEnd,
            HandlesBatchesTwice,
            SeesNoGaps,
        )
    ),
    *(
        Mutant("gateway.members.Outbox", one)
        for one in (
            ConfirmsEverything,
            ConfirmsWhatWasNotSent,
            IgnoresTheWindow,
            GoesBackInReverse,
            NeverRepeats,
            ExpiresInSilence,
            LeavesWhatWasSent,
            TakesMoreThanItMay,
        )
    ),
    Mutant("gateway.members.Duplicates", SeesNoDuplicates),
    Mutant("gateway.mailbox.MailboxIndex", PutsBackBehind),
    Mutant("gateway.mailbox.MailboxIndex", TakesNewestFirst),
    Mutant("tests.simulation.gateway_side.Mailbox", NeverSettles),
    Mutant("tests.simulation.gateway_side.Mailbox", KeepsNothingOnDisk),
    Mutant("tests.simulation.agent_side.Inbox", HandsOnTwice),
    Mutant("tests.simulation.agent_side.Inbox", LetsOthersOvertake),
    Mutant("tests.simulation.agent_side.Inbox", SettlesBeforeWork),
    Mutant("tests.simulation.agent_side.Link", HearsRepeats),
    Mutant("tests.simulation.agent_side.Link", OverhearsGaps),
    Mutant("tests.simulation.agent_side.Outbox", RewindsNothing),
    Mutant("tests.simulation.agent_side.Outbox", RewindsInReverse),
    Mutant("tests.simulation.agent_side.Outbox", CountsAllAsAdmitted),
]

MENDED = {
    3361: Mutant("tests.simulation.gateway_side.Link", RefusesInABatchThatComesAgain),
    22542: Mutant("gateway.members.Outbox", ForgetsWhatWasDueAgain),
    8: Mutant("tests.simulation.gateway_side.PromptAbsences", RefillsIntoAFullOutbox),
    23087: Mutant("tests.simulation.gateway_side.PromptAbsences", RefillsAfterAcknowledgements),
}
"""Mistakes that were made, by a seed that shows them; it is another when seeds draw otherwise."""
