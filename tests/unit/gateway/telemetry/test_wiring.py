"""What is switched off is not there; what is switched on is put where it belongs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.admission import Admission
from gateway.router import Router
from gateway.settings import Settings, SettingsError
from gateway.telemetry.auditing import Auditor, Perform
from gateway.telemetry.names import hashed
from gateway.telemetry.observing import ObservedAdmission
from gateway.telemetry.wiring import Telemetry, running_telemetry
from gateway.validation import Validation
from tests.support.gateway_parts import Parts

ROOT = Path(__file__).resolve().parents[4]


def telemetry(**given: object) -> Telemetry:
    return Telemetry(Settings.model_validate({"telemetry": given}), lambda: 0.0)


def admission_of(watched: Telemetry, parts: Parts) -> Admission:
    known = parts.admission
    return watched.admission(
        known._limits,
        known._call_limits,
        lambda: 0.0,
        parts.metrics,
        known._validation,
        parts.policies,
        parts.router,
        parts.negotiations,
        parts.members.duplicates,
        parts.members.once,
    )


def test_by_default_the_parts_are_those_that_know_nothing_of_it() -> None:
    watched, parts = telemetry(), Parts()
    router = watched.router("gw", lambda: 0.0, parts.members, parts.metrics, 1.0, 9, parts.mailbox)
    assert type(router) is Router
    assert type(admission_of(watched, parts)) is Admission
    assert (watched.audit, watched.auditor, watched.traces) == (None, None, None)
    performs = [shard.perform for shard in parts.negotiations.shards]
    watched.watch_negotiations(parts.negotiations, parts.recorder)
    assert [shard.perform for shard in parts.negotiations.shards] == performs
    propose = parts.router.then
    assert watched.awarding(propose) is propose  # type: ignore[arg-type, comparison-overlap]


@pytest.mark.slow
def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    """It takes a third of a second and some megabytes."""
    program = (
        "import sys; import gateway.app; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    path = f"{ROOT}:{ROOT / 'client'}"
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, check=False)
    assert done.returncode == 0


def test_where_opentelemetry_is_missing_the_operator_hears_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.telemetry.following", raising=False)
    monkeypatch.delitem(sys.modules, "gateway.telemetry.exporting", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'llmx-gateway\[traces\]'"):
        telemetry(traces="console")


def test_classes_that_cannot_be_are_told() -> None:
    with pytest.raises(SettingsError, match=r"telemetry.tenant_classes=acme: must be tenant=class"):
        telemetry(tenant_classes="acme")
    assert telemetry(tenant_classes="acme=gold").traffic.of("acme").name == "gold"


def test_messages_are_audited_unless_the_operator_wants_only_the_rest(tmp_path: Path) -> None:
    parts = Parts()
    for messages in (True, False):
        watched = telemetry(audit=tmp_path / f"{messages}.jsonl", audit_messages=messages)
        assert isinstance(admission_of(watched, parts), ObservedAdmission) is messages
        assert watched.methods.on_ended is not None


@pytest.mark.parametrize("traces", ["none", "file"])
@pytest.mark.parametrize("messages", [True, False])
def test_what_shards_refuse_are_messages_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traces: str, *, messages: bool
) -> None:
    """With traces each step is looked at, but not by an audit that leaves messages out."""
    heard: list[Perform] = []

    def around(_auditor: Auditor, perform: Perform) -> Perform:
        heard.append(perform)
        return perform

    monkeypatch.setattr(Auditor, "around", around)
    parts, given = Parts(), {"audit": tmp_path / "audit.jsonl", "audit_messages": messages}
    if traces == "file":
        given |= {"traces": traces, "traces_file": tmp_path / "spans.jsonl"}
    watched = telemetry(**given)
    watched.watch_negotiations(parts.negotiations, parts.recorder)
    assert bool(heard) is messages
    if watched.traces is not None:
        watched.traces.close()


def test_an_outcome_is_audited_and_told_to_whoever_heard_before(tmp_path: Path) -> None:
    parts, heard = Parts(), []
    parts.recorder.heard = lambda record, outcome: heard.append(outcome["state"])

    async def run() -> None:
        path = {"audit": tmp_path / "audit.jsonl"}
        settings = Settings.model_validate({"telemetry": path, "log": {"names": "hashed"}})
        async with running_telemetry(settings, lambda: 0.0) as watched:
            assert watched.named is hashed
            watched.watch_negotiations(parts.negotiations, parts.recorder)
            parts.recorder.heard(
                None,
                {
                    "negotiation_id": "n",
                    "state": "no_award",
                    "reason": "expired",
                    "policy": "flow/low",
                    "winners": [],
                },
            )

    asyncio.run(run())
    assert heard == ["no_award"]
    text = (tmp_path / "audit.jsonl").read_text("utf-8")
    assert [kind for kind in ("started", "decided", "stopped") if f'"kind":"{kind}"' in text] == [
        "started",
        "decided",
        "stopped",
    ]


def test_traces_are_put_around_what_makes_them(tmp_path: Path) -> None:
    async def run() -> None:
        given = {"traces": "file", "traces_file": tmp_path / "spans.jsonl"}
        settings = Settings.model_validate({"telemetry": given})
        async with running_telemetry(settings, lambda: 0.0) as watched:
            parts = Parts()
            watched.watch_members(parts.members)
            watched.watch_negotiations(parts.negotiations, parts.recorder)
            assert type(parts.join("bob").outbox).__name__ == "TracedOutbox"
            validation = watched.validation(settings.validation, settings.limits, parts.metrics)
            assert type(validation) is not Validation

    asyncio.run(run())
    assert (tmp_path / "spans.jsonl").exists()
