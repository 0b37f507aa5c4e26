"""Admission that others look at: whoever wants to hear of each message whether it came in."""

from __future__ import annotations

from typing import Protocol

from gateway.admission import Admission, Waiting
from gateway.envelope_head import Head
from gateway.members import Member
from gateway.refusals import Fault
from llmx.v1.envelope_pb2 import Envelope


class Observer(Protocol):
    """Hears of messages."""

    def admitted(self, member: Member, head: Head | Envelope, negotiation_id: str) -> None:
        """Hear that a message was let in; the negotiation is what it opened, if it did."""

    def refused(self, member: Member, msg_id: str, fault: Fault, negotiation_id: str) -> None:
        """Hear that a message was refused."""


class ObservedAdmission(Admission):
    """Lets messages in, and has it told of each.

    A durable message is told of before the disk has it. If the disk does not take it, it is told
    of once more, as refused.
    """

    observers: tuple[Observer, ...] = ()
    """To be set before the first message."""

    def _remember(
        self, member: Member, envelope: Head | Envelope, key: str, opened: str, now: float
    ) -> None:
        super()._remember(member, envelope, key, opened, now)
        for observer in self.observers:
            observer.admitted(member, envelope, opened)

    def _refuse(
        self, member: Member, msg_id: str, fault: Fault, negotiation_id: str = ""
    ) -> Waiting | None:
        for observer in self.observers:
            observer.refused(member, msg_id, fault, negotiation_id)
        return super()._refuse(member, msg_id, fault, negotiation_id)
