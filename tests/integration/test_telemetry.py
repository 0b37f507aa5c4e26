"""What two gateways that are watched in every way tell of a call, and what they do not tell.

The story is told once; the tests read what was left of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.commands.audit import verify
from tests.support.exposition import families, faults, series, unknown_in, values
from tests.support.watched_gateways import AGENT_TRACE, MOVED_TRACE, SECRETS, Story, tell, watched

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NAMED_BY_EU = {
    (f"{what} of eu", who) for what in ("audit", "log", "spans") for who in ("agent_name", "tenant")
}
"""It names agents and tenants as they are called."""
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
RULES = sorted((ROOT / "deploy" / "prometheus").glob("alerts*.yml"))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    with watched(tmp_path_factory.mktemp("watched")) as (story, eu, us):
        asyncio.run(tell(story, eu, us))
    return story


# ---------------------------------------------------------------------------------------- traces


def of_call(story: Story, traceparent: str = AGENT_TRACE) -> list[dict[str, Any]]:
    trace = f"0x{traceparent[3:35]}"
    return [span for span in story.spans if span["context"]["trace_id"] == trace]


def test_one_call_is_one_tree_of_spans_across_both_gateways(story: Story) -> None:
    """It hangs on the span of the agent that called, who said so in its envelope."""
    spans = of_call(story)
    ids = {span["context"]["span_id"] for span in spans}
    assert len(ids) == len(spans)
    (root,) = [span for span in spans if span["parent_id"] not in ids]
    assert root["parent_id"] == f"0x{AGENT_TRACE[36:52]}"
    assert (root["name"], root["attributes"]["llmx.act"]) == ("admission", "cfp")
    gateways = {span["resource"]["attributes"]["service.instance.id"] for span in spans}
    assert gateways == {"eu", "us"}


def test_every_part_of_the_way_has_its_span(story: Story) -> None:
    spans = of_call(story)
    by_id = {span["context"]["span_id"]: span for span in spans}
    lines = {
        (by_id[span["parent_id"]]["name"] if span["parent_id"] in by_id else "", span["name"])
        for span in spans
    }
    assert {
        ("", "admission"),
        ("admission", "step"),
        ("step", "delivery"),
        ("step", "hop"),
        ("hop", "delivery"),
        ("hop", "admission"),  # who answers goes on in the trace of the call
        ("admission", "validation"),
        ("admission", "hop"),
        ("hop", "step"),
        ("step", "award"),
        ("award", "hop"),
    } <= lines


def test_the_deciding_step_and_a_refused_act_say_so_in_their_spans(story: Story) -> None:
    spans = of_call(story)
    states = [span["attributes"].get("llmx.state") for span in spans if span["name"] == "step"]
    assert states.count("committed") == 1
    refused = [span for span in story.spans if "llmx.code" in span["attributes"]]
    assert {"SCHEMA_VIOLATION"} <= {span["attributes"]["llmx.code"] for span in refused}
    assert {span["status"]["status_code"] for span in refused} == {"ERROR"}


def test_the_agents_hear_the_trace_that_they_are_part_of(story: Story) -> None:
    deliveries = {
        span["context"]["span_id"][2:] for span in of_call(story) if span["name"] == "delivery"
    }
    assert story.heard_traces
    assert {heard[3:35] for heard in story.heard_traces} == {AGENT_TRACE[3:35]}
    assert {heard[36:52] for heard in story.heard_traces} <= deliveries


def test_a_negotiation_and_its_agents_that_move_stay_in_one_tree(story: Story) -> None:
    """It began at eu, which was drained then; us had never heard of the call."""
    spans = of_call(story, MOVED_TRACE)
    ids = {span["context"]["span_id"] for span in spans}
    (root,) = [span for span in spans if span["parent_id"] not in ids]
    assert root["parent_id"] == f"0x{MOVED_TRACE[36:52]}"

    def told_by(gateway: str, name: str) -> list[dict[str, Any]]:
        return [
            span["attributes"]
            for span in spans
            if (span["name"], span["resource"]["attributes"]["service.instance.id"])
            == (name, gateway)
        ]

    assert [said["llmx.event"] for said in told_by("eu", "step")] == ["Call"]
    (hop,) = [one for one in told_by("us", "hop") if one["llmx.carried"] == "negotiation"]
    assert (hop["llmx.peer"], hop["llmx.negotiation"]) == ("eu", story.moved_id)
    assert [said["llmx.act"] for said in told_by("us", "admission")] == ["offer"]
    states = [said.get("llmx.state") for said in told_by("us", "step")]
    assert states.count("committed") == 1
    assert told_by("us", "award")


# ---------------------------------------------------------------------------------------- audit


def test_both_audits_are_whole_and_a_change_is_found(story: Story, tmp_path: Path) -> None:
    for gateway in (story.eu, story.us):
        assert verify([gateway.audit], None, None, as_json=True) == 0
    lines = story.eu.audit.read_bytes().splitlines(keepends=True)
    changed = tmp_path / "audit.jsonl"
    changed.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    assert verify([changed], None, None, as_json=True) == 1


def test_the_audit_says_who_did_what_and_what_was_decided(story: Story) -> None:
    (decided,) = story.eu.audited("decided")
    assert decided["negotiation"] == story.negotiation_id
    assert (decided["state"], decided["winners"]) == ("committed", [story.names["bob"]])
    admitted = Counter(line["act"] for line in story.eu.audited("admitted"))
    assert admitted["cfp"] == 2 and admitted["offer"] >= 1
    codes = {line["code"] for line in story.us.audited("refused")}
    assert {"SCHEMA_VIOLATION", "UNKNOWN_NEGOTIATION"} <= codes
    assert {line["how"] for line in story.eu.audited("stream_opened")} == {"begun"}
    assert story.eu.audited("token_refused")[0]["how"]
    commands = [(line["method"], line["status"]) for line in story.eu.audited("command")]
    assert ("ControlService.PutPolicy", "OK") in commands
    assert ("AdminService.Drain", "PERMISSION_DENIED") in commands
    assert not [method for method, _ in commands if "ListPolicies" in method]
    (profiles,) = story.eu.audited("profiles")
    assert list(profiles["profiles"]) == ["quick"]
    assert [line["kind"] for line in story.eu.audited("started")] == ["started"]
    assert [line["kind"] for line in story.eu.audited("stopped")] == ["stopped"]


def test_an_engine_refusal_is_audited_where_the_negotiation_is(story: Story) -> None:
    refused = story.eu.audited("refused")
    assert any(
        line["agent"] == story.names["bob"] and line.get("negotiation") == story.negotiation_id
        for line in refused
    )


# ------------------------------------------------------------------------------------- redaction


def test_no_secret_of_any_field_is_in_logs_audit_traces_or_metrics(story: Story) -> None:
    """Each was planted in a field of its own: payload, member names, headers, token, names."""
    us = story.us
    written = {
        "log": us.log,
        "audit": us.audit.read_text("utf-8"),
        "spans": (us.folder / "spans.jsonl").read_text("utf-8"),
        "metrics": us.scrape,
        "log of eu": story.eu.log,
        "audit of eu": story.eu.audit.read_text("utf-8"),
        "spans of eu": (story.eu.folder / "spans.jsonl").read_text("utf-8"),
    }
    assert all(len(text) > 1_000 for text in written.values()), "there is something to look at"
    found = {
        (place, field)
        for place, text in written.items()
        for field, secret in SECRETS.items()
        if secret[:16] in text and (place, field) not in NAMED_BY_EU
    }
    assert not found


def test_what_was_planted_had_reached_the_gateway(story: Story) -> None:
    """Else nothing was proven: the secret messages were delivered, refused and counted."""
    assert story.planted == SECRETS.keys()
    assert story.us.audited("refused") and story.us.audited("admitted")


def test_a_gateway_that_hashes_names_writes_none(story: Story) -> None:
    assert all(line["agent"].startswith("~") for line in story.us.audited("stream_opened"))
    assert story.names["bob"] not in story.us.log
    assert story.names["bob"] in story.eu.audit.read_text("utf-8")


# --------------------------------------------------------------------------------------- metrics


def test_promtool_finds_nothing_in_a_scrape(story: Story) -> None:
    """Debian's package `prometheus` has it; its rules are held to where it is not installed."""
    promtool = shutil.which("promtool")
    for gateway in (story.eu, story.us):
        assert not faults(gateway.scrape)
        if promtool is not None:
            said = subprocess.run(
                [promtool, "check", "metrics"],
                input=gateway.scrape.encode(),
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def asked() -> Iterator[tuple[str, str, str]]:
    """Yield every expression of the dashboards and alerts, with what is shown of it."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.name}: {panel['title']}", target["expr"], target["legendFormat"]
    for file in RULES:
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                yield f"{file.name}: {rule['alert']}", rule["expr"], rule["annotations"]["summary"]


def test_everything_that_a_dashboard_or_an_alert_asks_for_is_exposed_with_its_labels(
    story: Story,
) -> None:
    known = series(story.eu.scrape)
    found = {
        place: wrong
        for place, expression, shown in asked()
        if (wrong := list(unknown_in(expression, known, shown)))
    }
    assert not found
    assert len(DASHBOARDS) == 3 and RULES


def test_every_alert_has_a_line_for_the_operator(story: Story) -> None:
    page = (ROOT / "docs" / "observing.md").read_text("utf-8")
    named = set(re.findall(r"`(Llmx\w+)`", page))
    assert named == {place.partition(": ")[2] for place, _, _ in asked() if ".yml" in place}


def test_acts_are_counted_by_act_and_class_of_tenant(story: Story) -> None:
    found = values(story.eu.scrape)

    def count(name: str, act: str, of: str = "gold") -> float:
        return found[f"llmx_acts_{name}_total", frozenset({("act", act), ("class", of)})]

    assert (count("received", "cfp"), count("admitted", "cfp")) == (2, 2)
    assert count("received", "message") > count("admitted", "message") > 0
    assert count("received", "cfp", "default") == 0
    timed = found[
        "llmx_admission_seconds_count", frozenset({("act", "message"), ("class", "gold")})
    ]
    assert 0 < timed < count("received", "message")


def test_methods_are_counted_by_status_and_those_of_nobody_as_one(story: Story) -> None:
    found = values(story.eu.scrape)

    def count(method: str, status: str) -> float:
        labels = frozenset({("method", method), ("status", status)})
        return found.get(("llmx_methods_called_total", labels), 0.0)

    assert count("ControlService.ListPolicies", "OK") == 1
    assert count("AdminService.Drain", "PERMISSION_DENIED") == 1
    assert count("unknown", "UNIMPLEMENTED") == 1
    assert found["llmx_method_seconds_count", frozenset({("method", "ControlService.PutPolicy")})]


def test_no_label_has_more_values_than_there_are_words_for_it(story: Story) -> None:
    """None names an agent, a negotiation or a message: those have no end."""
    for family in families(story.eu.scrape):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert "://" not in value and len(value) < 64, (sample.name, label, value)
        assert len({frozenset(s.labels.items()) for s in family.samples}) < 600, family.name
