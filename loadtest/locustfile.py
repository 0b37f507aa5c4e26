"""The cluster under load, to Locust: a user is an agent on a gRPC stream of its own.

    make load GATEWAYS=3 AGENTS=500 SHAPE=storm

`loadtest.load` starts this headless, in `.venv/load`, and tells it by LLMX_LOAD_PLAN what to do.
A driver plays the agents, a child of each worker (`loadtest.load.driver`); a user that comes lets
one more connect, and what they live through comes back as Locust's events. Types and names: `round`
(last offer, decision), `stream` (connect, return), `message` (refused).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, User, constant, events, task
from locust.runners import MasterRunner, WorkerRunner

from loadtest.load.driver_link import DriverLink
from loadtest.load.plan import PLAN_VARIABLE, read_plan
from loadtest.load.shapes import moment

SPAWNED_PER_SECOND = 100
PATIENCE_SECONDS = 3_600
END, ENDED = "llmx_end", "llmx_ended"
END_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.05

PLAN_PATH = Path(os.environ[PLAN_VARIABLE])
PLAN = read_plan(PLAN_PATH)


class Refused(Exception):
    """What Locust shows as the error of an event."""


class Shape(LoadTestShape):
    """How many agents there are, by the shape of the plan."""

    def tick(self) -> tuple[int, int] | None:
        """Return users and how many of them come each second, None when the run is over."""
        at = self.get_run_time()
        if at >= PLAN.seconds:
            return None
        share = moment(PLAN.shape, PLAN.seconds, at).agents_share
        return max(round(PLAN.agents * share), 1), SPAWNED_PER_SECOND


class Agent(User):
    """An agent, whose driver plays it."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Let one more agent connect."""
        driver = self.environment.llmx_driver
        if driver is not None:  # it has ended when the run is
            driver.order(come=1)

    @task
    def live(self) -> None:
        """Wait; the driver reports."""
        gevent.sleep(PATIENCE_SECONDS)


@events.test_start.add_listener
def start_driver(environment: Any, **_: Any) -> None:
    """Start the driver of this worker, and its clock."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        return
    worker = runner.worker_index if isinstance(runner, WorkerRunner) else 0

    def fire(kind: str, name: str, milliseconds: float, error: str) -> None:
        environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=Refused(error) if error else None,
            context={},
        )

    environment.llmx_driver = DriverLink(PLAN.driver_python, PLAN_PATH, worker, fire)
    environment.llmx_driver.order(begin=True)


@events.init.add_listener
def agree_on_the_end(environment: Any, **_: Any) -> None:
    """Let the master hear from each worker that its driver has ended, before it counts up."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        environment.llmx_ended = 0

        def one_more(**_: Any) -> None:
            environment.llmx_ended += 1

        runner.register_message(ENDED, one_more)
    elif isinstance(runner, WorkerRunner):

        def end_and_say_so() -> None:
            end_driver(environment)
            runner.send_message(ENDED)

        runner.register_message(END, lambda **_: gevent.spawn(end_and_say_so))


@events.test_stopping.add_listener
def end_all(environment: Any, **_: Any) -> None:
    """Hear the last of the drivers while Locust still counts."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        runner.send_message(END)
        give_up_at = time.monotonic() + END_SECONDS_MAX
        while environment.llmx_ended < PLAN.workers and time.monotonic() < give_up_at:
            gevent.sleep(LOOK_SECONDS)
    else:
        end_driver(environment)


def end_driver(environment: Any) -> None:
    """End the driver of this process, if it has one."""
    driver = getattr(environment, "llmx_driver", None)
    environment.llmx_driver = None
    if driver is not None:
        driver.end()
