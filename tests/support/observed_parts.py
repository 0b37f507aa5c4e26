"""The inside of a gateway whose admission and shards are looked at."""

from __future__ import annotations

from gateway.telemetry.auditing import Auditor
from gateway.telemetry.observing import ObservedAdmission, Observer
from tests.support.gateway_parts import Parts


def observed(parts: Parts, *observers: Observer) -> Parts:
    """Let observers hear of every message; an auditor hears of the engine's refusals too."""
    admission = ObservedAdmission.__new__(ObservedAdmission)
    admission.__dict__.update(vars(parts.admission))
    admission.observers = observers
    parts.admission = admission
    for observer in observers:
        if isinstance(observer, Auditor):
            for shard in parts.negotiations.shards:
                shard.perform = observer.around(shard.perform)
    return parts
