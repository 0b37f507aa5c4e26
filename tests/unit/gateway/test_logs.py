"""What the gateway writes, and what it never writes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from gateway.logs import set_up_logs
from gateway.settings import LogSettings
from gateway.telemetry.names import hashed


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def _written(settings: LogSettings, **event: object) -> str:
    stream = io.StringIO()
    set_up_logs(settings, stream)
    structlog.get_logger().info("offer_received", **event)
    return stream.getvalue()


def test_a_line_for_programs_is_one_json_object() -> None:
    line = _written(LogSettings(format="json"), agent="agent://bob", value=3)
    event = json.loads(line)
    assert line.count("\n") == 1
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "offer_received", "level": "info", "agent": "agent://bob", "value": 3}


def test_a_line_for_people_names_the_event() -> None:
    line = _written(LogSettings(format="console"), agent="agent://bob")
    assert "offer_received" in line
    assert "agent://bob" in line
    assert "\x1b" not in line


def test_where_several_processes_write_each_line_names_its_own() -> None:
    stream = io.StringIO()
    set_up_logs(LogSettings(format="json"), stream, "eu-2")
    structlog.get_logger().info("offer_received")
    assert json.loads(stream.getvalue())["process"] == "eu-2"


@pytest.mark.parametrize("form", ["console", "json"])
def test_payloads_and_tokens_are_not_written(form: str) -> None:
    settings = LogSettings.model_validate({"format": form})
    line = _written(
        settings,
        payload=b"hush",
        token="hush",
        Authorization="Bearer hush",
        secret="hush",
        request={"metadata": [{"authorization": "hush"}], "envelope": {"payload": "hush"}},
        deep={"a": {"b": {"c": {"d": {"e": {"f": {"token": "hush"}}}}}}},
    )
    assert "hush" not in line
    assert "[removed]" in line


def test_payloads_are_written_where_settings_say_so_and_tokens_never() -> None:
    line = _written(LogSettings(format="json", payloads=True), payload="seen", token="hush")
    assert "seen" in line
    assert "hush" not in line


def test_lines_below_the_level_are_not_written() -> None:
    assert _written(LogSettings(level="warning")) == ""


def test_a_mistake_of_ours_is_written_with_its_traceback() -> None:
    stream = io.StringIO()
    set_up_logs(LogSettings(format="json"), stream)
    try:
        raise ValueError("the reason")
    except ValueError:
        structlog.get_logger().exception("task_died")
    assert "the reason" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize("form", ["console", "json"])
def test_names_may_be_hashed(form: str) -> None:
    settings = LogSettings.model_validate({"format": form, "names": "hashed"})
    line = _written(
        settings, agent="agent://hush", tenant="hush", key="hush|x", subject="hush|y", waiting=3
    )
    assert "hush" not in line
    assert hashed("agent://hush") in line and hashed("hush") in line and "3" in line
