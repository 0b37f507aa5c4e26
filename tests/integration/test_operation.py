"""What an operator sees of a gateway, and how it starts and stops."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import signal
import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from llmx.v1.envelope_pb2 import Act
from tests.support.gateways import Gateway, command, environment, is_running, running
from tests.support.raw_agent import Crowd, RawAgent, StreamEndedError, refused

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = ("", "llmx.v1.ExchangeService", "llmx.v1.ControlService")


def counted(gateway: Gateway) -> dict[tuple[str, str], float]:
    """Return the samples of a scrape by name and label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(gateway.metrics())
        for sample in family.samples
    }


async def test_a_gateway_that_serves_says_that_it_is_healthy(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    health = health_pb2_grpc.HealthStub(alice.channel)
    for service in SERVICES:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING, service
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="llmx.v1.Unheard"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_what_there_is(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    stub = reflection_pb2_grpc.ServerReflectionStub(alice.channel)
    call = stub.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES[1:], "grpc.health.v1.Health"} <= names
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES[1])
    await call.write(request)
    answer = await call.read()
    assert answer.file_descriptor_response.file_descriptor_proto
    await call.done_writing()


async def test_metrics_count_what_happened_and_name_no_agent(
    crowd: Crowd, gateway: Gateway
) -> None:
    before = counted(gateway)
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    await refused(alice, alice.text("hi"), "NO_RECIPIENTS", "/envelope/to")
    opened = await alice.call_for(crowd.topic())
    await bob.offer(opened.negotiation_id, 10)
    await alice.outcome(opened.negotiation_id)
    await alice.arrival(await alice.say("x" * 10_000, alice.address))
    await alice.is_served()
    after = counted(gateway)
    for name, label, least in (
        ("llmx_frames_received_total", "", 5),
        ("llmx_sent_bytes_total", "", 100),
        ("llmx_messages_admitted_total", "", 3),
        ("llmx_messages_delivered_total", "", 3),
        ("llmx_messages_acknowledged_total", "", 1),
        ("llmx_calls_total", "", 1),
        ("llmx_messages_refused_total", "NO_RECIPIENTS", 1),
        ("llmx_negotiations_finished_total", "committed", 1),
        ("llmx_payloads_validated_total", "inline", 2),
        ("llmx_payloads_validated_total", "worker", 1),
        ("llmx_decision_seconds_count", "", 1),
    ):
        assert after[name, label] - before.get((name, label), 0) >= least, name
    assert after["llmx_streams", ""] >= 2
    assert after["llmx_agents", ""] >= 2
    text = gateway.metrics()
    assert crowd.tag not in text
    assert "agent://" not in text


async def test_logs_hold_neither_what_agents_say_nor_their_tokens(
    crowd: Crowd, gateway: Gateway
) -> None:
    """The gateway of these tests logs all that it can."""
    marker = f"marker{crowd.tag}"
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    await alice.arrival(await alice.say(marker, alice.address))
    await alice.arrival(await alice.say(marker + "x" * 10_000, alice.address))
    for payload in (
        json.dumps({"$schema": "Text.json", "text": marker, marker: marker}).encode(),
        f'{{"$schema": "{marker}"}}'.encode(),
        f'{{"{marker}": {marker}'.encode(),
    ):
        envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
        await alice.send(envelope)
        await alice.refusal(envelope.msg_id)
    opened = await alice.call_for(crowd.topic(), task={"secret": marker}, text=marker)
    await bob.offer(opened.negotiation_id, 10, terms={"iban": marker}, text=marker)
    await alice.outcome(opened.negotiation_id)
    await alice.write_bytes(b"\xff" + marker.encode())
    await alice.refusal("")
    wrong = crowd.agent("mallory", token=f"{alice.token}{marker}")
    wrong.connect()
    await wrong.end()
    await alice.renew(f"{alice.token}{marker}")
    await alice.refusal("")
    log = gateway.log()
    assert opened.negotiation_id in log, "the finished negotiation has its line"
    assert alice.address in log
    for secret in (marker, base64.b64encode(marker.encode()).decode(), alice.token[-40:]):
        assert secret not in log
    for line in log.splitlines():
        assert json.loads(line)["event"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_gateway_that_is_told_to_stop_says_goodbye_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path / "gateway") as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        (bob,) = await crowd.contractors("bob")
        await alice.call_for(crowd.topic(), reply_within=600)
        watch = health_pb2_grpc.HealthStub(bob.channel).Watch(
            health_pb2.HealthCheckRequest(service="")
        )
        assert (await watch.read()).status == SERVING
        workers = gateway.children()
        assert len(workers) == 1
        assert all(map(is_running, workers))
        os.kill(gateway.pid, number)
        for agent in (alice, bob):
            ended = await agent.end()
            assert ended.code is grpc.StatusCode.UNAVAILABLE
            assert ended.goodbye is not None
            assert ended.goodbye.reason == "stopping"
        try:
            assert (await watch.read()).status != SERVING
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
        await crowd.close()
        assert gateway.stop(number) == 0
        assert not any(map(is_running, workers))


@pytest.mark.slow
async def test_a_gateway_that_stops_amid_negotiations_stops_as_cleanly(tmp_path: Path) -> None:
    """Whatever is under way then ends with the stream, not with an error."""
    with running(tmp_path / "gateway") as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        (bob,) = await crowd.contractors("bob")
        with pytest.raises(StreamEndedError):
            await negotiate_on(alice, bob, crowd.topic(), gateway)
        await crowd.close()


async def negotiate_on(alice: RawAgent, bob: RawAgent, topic: str, gateway: Gateway) -> None:
    """Negotiate until the stream ends; in the twentieth round the gateway is told to stop."""
    for number in itertools.count():
        calls = [alice.cfp(topic) for _ in range(10)]
        await alice.send(*calls, alice.text("x" * 20_000, alice.address))
        if number == 20:
            os.kill(gateway.pid, signal.SIGTERM)
        heard = await bob.message(Act.ACT_CFP)
        await bob.offer(heard.negotiation_id, 10)
        await alice.outcome(heard.negotiation_id)


@pytest.mark.slow
async def test_a_gateway_that_is_killed_leaves_no_worker(tmp_path: Path) -> None:
    with running(tmp_path / "gateway", exit_code=-signal.SIGKILL) as gateway:
        workers = gateway.children()
        gateway.stop(signal.SIGKILL)
        for pid in workers:
            wait_until_gone(pid)


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is not a child of ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([descriptor], [], [], 10)
        assert ready, f"process {pid} is still there"
    finally:
        os.close(descriptor)


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path / "gateway") as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        for _ in range(2):
            (worker,) = gateway.children()
            os.kill(worker, signal.SIGKILL)
            wait_until_gone(worker)
            await alice.arrival(await alice.say("x" * 20_000, alice.address))
        await crowd.close()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `llmx` until it ends by itself."""
    return subprocess.run(
        command(*arguments),
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
def test_a_port_that_is_taken_is_told_with_what_would_work(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--metrics-port": "0"} | {option: port}
        ended = run(tmp_path, "gateway", *(word for pair in ports.items() for word in pair))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert port in ended.stderr
    assert option in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "engine.shards=0"), ("engine.shards=0", "1 to 256")),
        (("--set", "engine.shard=4"), ("engine.shard=4", "did you mean engine.shards")),
        (("--port", "99999"), ("server.port=99999", "65,535")),
        (("--log-level", "loud"), ("log.level=loud", "debug")),
        (("--config", "nowhere.toml"), ("nowhere.toml", "name a TOML file")),
        (("--set", "auth.jwks_file=nowhere.json"), ("nowhere.json",)),
        (("--set", "engine.default_policy=magic"), ("engine.default_policy=magic", "flow/high")),
        (("--set", "auth.development_secret_file=nowhere"), ("nowhere",)),
        (("--set", "server.tls_certificate=a.pem"), ("tls_key",)),
    ],
)
def test_a_setting_that_cannot_be_is_told_with_what_would_work(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ended = run(tmp_path, "gateway", "--port", "0", "--metrics-port", "none", *arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
