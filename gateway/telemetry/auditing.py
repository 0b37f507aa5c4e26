"""What the audit says, and where that is heard.

| kind | says |
|---|---|
| `started`, `stopped` | gateway, version |
| `stream_opened`, `stream_ended` | agent, tenant, how or why |
| `token_refused` | why, and how many were left out before; ten lines a second at most |
| `admitted`, `refused` | agent, tenant, act, message, negotiation, code |
| `decided` | negotiation, state, reason, policy, winners |
| `command` | method, who called, status; of calls that change something, or were denied |
| `profiles` | tenant, its profiles with their revisions, its default |
| `lost`, `recovered` | see `audit_file` |

Never what agents tell each other: no payload, no price, no pointer into a payload, no word of an
agent's own. Agents choose the ids of their messages, so of each the first characters of its
SHA-256 are told; a negotiation is named only by an id that a gateway made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from gateway.acts import ACT_NAMES
from gateway.answers import fault_of
from gateway.auth import Identity
from gateway.causes import Cause
from gateway.clock import Clock
from gateway.envelope_head import Head
from gateway.members import Member
from gateway.policy_books import Book
from gateway.records import reason_of
from gateway.refusals import Fault
from gateway.telemetry.audit_file import AuditFile
from gateway.telemetry.names import negotiation, plain
from llmx.v1.envelope_pb2 import Envelope
from policy.call import Call
from policy.effects import Effect, Refuse
from policy.events import Event
from policy.shard import Shard
from policy.table import Record

MESSAGE_LENGTH = 16
STRANGERS_MAX = 10
"""Lines a second about tokens that were not taken."""
READING = re.compile(r"\.(?:List|Get|Show|Locate|Watch|Check|ServerReflection)\w*$")
"""Methods that change nothing; only a call that was denied is told of."""
DENIED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})

Naming = Callable[[str], str]
Perform = Callable[[Shard[Cause], str, "Event | Call", "list[Effect] | None", "Cause | None"], None]


def message_of(msg_id: str) -> str:
    """Return what the audit calls a message."""
    return sha256(msg_id.encode()).hexdigest()[:MESSAGE_LENGTH]


class Auditor:
    """Hears what happens in a gateway, and has the audit say it."""

    def __init__(self, file: AuditFile, now: Clock, named: Naming = plain) -> None:
        """Say it in `file`, with names as they shall be written."""
        self._file = file
        self._now = now
        self._named = named
        self._strangers_at = self._strangers = 0

    def say(self, kind: str, said: Mapping[str, object]) -> None:
        """Say something that happened now."""
        self._file.say(self._now(), kind, said)

    # ------------------------------------------------------------------ messages

    def admitted(self, member: Member, head: Head | Envelope, negotiation_id: str) -> None:
        """Say that a message was let in; the negotiation may have been opened by it."""
        self.say(
            "admitted",
            self._message(member, head.msg_id, negotiation_id or head.negotiation_id)
            | {"act": ACT_NAMES.get(head.act, "unknown")},
        )

    def refused(self, member: Member, msg_id: str, fault: Fault, negotiation_id: str) -> None:
        """Say that a message was refused."""
        self.say("refused", self._message(member, msg_id, negotiation_id) | {"code": fault.code})

    def _message(self, member: Any, msg_id: str, negotiation_id: str) -> dict[str, object]:
        said: dict[str, object] = {
            "agent": self._named(member.agent_id),
            "tenant": self._named(member.tenant.name),
        }
        if msg_id:
            said["message"] = message_of(msg_id)
        if negotiation(negotiation_id):
            said["negotiation"] = negotiation_id
        return said

    # ------------------------------------------------------------------ negotiations

    def around(self, perform: Perform) -> Perform:
        """Return what carries out effects, and has the refusals among them told."""

        def performed(
            shard: Shard[Cause],
            negotiation_id: str,
            event: Event | Call,
            effects: list[Effect] | None,
            cause: Cause | None,
        ) -> None:
            if cause is not None and cause.parcel.msg_id:
                if effects is None:
                    self._refused_by_engine(cause, "UNKNOWN_NEGOTIATION", negotiation_id)
                else:
                    for effect in effects:
                        if type(effect) is Refuse and effect.msg_id == cause.parcel.msg_id:
                            code = fault_of(effect).code
                            self._refused_by_engine(cause, code, negotiation_id)
            perform(shard, negotiation_id, event, effects, cause)

        return performed

    def _refused_by_engine(self, cause: Cause, code: str, negotiation_id: str) -> None:
        said = self._message(cause.sender, cause.parcel.msg_id, negotiation_id)
        self.say("refused", said | {"code": code})

    def decided(self, record: Record | None, outcome: Mapping[str, Any]) -> None:
        """Say how a negotiation ended."""
        self.say(
            "decided",
            {
                "negotiation": outcome["negotiation_id"],
                "state": outcome["state"],
                "reason": reason_of(outcome),
                "policy": outcome["policy"],
                "winners": [self._named(winner["agent"]) for winner in outcome["winners"]],
            },
        )

    # ------------------------------------------------------------------ sessions and operators

    def stream(self, kind: str, identity: Identity | None, how: str) -> None:
        """Say that a stream was opened, has ended, or had a token that was not taken.

        Of more than `STRANGERS_MAX` tokens in a second that were not taken the rest is counted
        only, in the next such line: whoever has no token shall not fill the disk.
        """
        said: dict[str, object] = {"how": how}
        if identity is not None:
            said = self._who(identity) | said
        else:
            second = int(self._now())
            if second != self._strangers_at:
                left_out = max(0, self._strangers - STRANGERS_MAX)
                self._strangers_at, self._strangers = second, 0
                said |= {"left_out": left_out} if left_out else {}
            self._strangers += 1
            if self._strangers > STRANGERS_MAX:
                return
        self.say(kind, said)

    def command(self, method: str, identity: Identity | None, status: str) -> None:
        """Say that somebody called a method."""
        if READING.search(method) is None or status in DENIED:
            who = {} if identity is None else self._who(identity)
            self.say("command", who | {"method": method, "status": status})

    def profiles(self, tenant: str, book: Book) -> None:
        """Say which profiles a tenant has from now on."""
        revisions = {name: profile.revision for name, profile in sorted(book.profiles.items())}
        self.say(
            "profiles",
            {"tenant": self._named(tenant), "profiles": revisions, "default": book.default},
        )

    def _who(self, identity: Identity) -> dict[str, object]:
        return {
            "agent": self._named(identity.agent_id),
            "tenant": self._named(identity.tenant),
        }
