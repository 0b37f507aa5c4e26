"""What the log says about an agent's connection."""

from __future__ import annotations

import logging

import grpc
import pytest

from llmx.endings import Ending
from llmx.news import News
from llmx.v1.exchange_service_pb2 import Welcome

HERE, THERE = "127.0.0.1:17640", "127.0.0.1:17650"
AWAY = Ending(grpc.StatusCode.UNAVAILABLE, "connection refused", False)
LOST = Ending(grpc.StatusCode.UNAVAILABLE, "cut", True)
STOPPING = Ending(grpc.StatusCode.UNAVAILABLE, "", True, "stopping")
WELCOME = Welcome(agent_id="agent://bob", gateway_id="ga")
RESUMED = Welcome(agent_id="agent://bob", gateway_id="ga", resumed=True)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmx")


def test_a_move_is_told_with_the_agent_and_both_addresses(caplog: pytest.LogCaptureFixture):
    news = News("agent://bob")
    news.connected(WELCOME)
    news.lost(HERE, STOPPING, THERE, 0.33)
    assert told(caplog) == [
        ("INFO", "agent://bob: connected to ga (new session)"),
        ("WARNING", f"agent://bob: {HERE} is stopping; going to {THERE} in 0.33 s"),
    ]


def test_a_loss_and_its_end_are_warnings_and_the_tries_between_are_not(
    caplog: pytest.LogCaptureFixture,
):
    news = News("agent://bob")
    news.connected(WELCOME)
    news.lost(HERE, LOST, HERE, 0.1)
    news.lost(HERE, AWAY, HERE, 0.2)
    news.connected(RESUMED)
    assert told(caplog)[1:] == [
        ("WARNING", f"agent://bob: {HERE} is lost (cut); again in 0.10 s"),
        ("INFO", f"agent://bob: {HERE} does not answer (connection refused); again in 0.20 s"),
        ("WARNING", "agent://bob: connected to ga (resumed)"),
    ]


@pytest.mark.parametrize(("for_ever", "level"), [(True, "WARNING"), (False, "INFO")])
def test_an_agent_that_waits_for_ever_warns_once_that_no_gateway_answers(
    caplog: pytest.LogCaptureFixture, for_ever: bool, level: str
):
    news = News("agent://bob")
    news.waits_for_ever = for_ever
    news.lost(HERE, AWAY, HERE, 0.1)
    news.lost(HERE, AWAY, HERE, 0.1)
    news.connected(WELCOME)
    assert [name for name, _ in told(caplog)] == [level, "INFO", level]
