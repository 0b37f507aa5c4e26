"""`llmx agent`, `call`, `policy` and `agents` as a person types them, against a real gateway."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from tests.support.gateways import ROOT, Gateway, command, environment
from tests.support.typed import Typed, typed_on

pytestmark = pytest.mark.slow

SECONDS_MAX = 30.0
EXAMPLES = ROOT / "examples"


def typed(gateway: Gateway, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Type a command and return what came of it."""
    done = subprocess.run(
        command(*words),
        env=environment(gateway.folder) | {"LLMX_GATEWAY": gateway.address},
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def going_on(gateway: Gateway, *words: str) -> AbstractContextManager[Typed]:
    """Type a command that goes on."""
    return typed_on(environment(gateway.folder) | {"LLMX_GATEWAY": gateway.address}, *words)


def contractor(name: str, topic: str, *more: str) -> tuple[str, ...]:
    return ("agent", f"agent://{name}", "--topic", topic, "--strategy", "fixed", *more)


def test_three_terminals_work_word_for_word(gateway: Gateway):
    words = shlex.split("agent agent://bob --topic gpu --strategy fixed --param value=40")
    with going_on(gateway, *words) as bob:
        bob.until("listens to topic://gpu")
        call = shlex.split("call examples/gpu-call.json --to topic://gpu --policy high")
        done = typed(gateway, *call)
        assert done.returncode == 0 and done.stderr == ""
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines] == ["call", "offer", "1.", "outcome"]
        assert "committed: agent://bob wins at 40" in lines[-1]
        assert "at 40" in bob.until("won")
        assert bob.ended(signal.SIGINT) == (0, "")


def test_the_papers_envelope_is_a_call_as_well(gateway: Gateway):
    with going_on(gateway, "agent", "--file", "examples/bob.json") as bob:
        bob.until("listens")
        done = typed(gateway, "call", str(EXAMPLES / "gpu-call-envelope.json"), "--json")
        assert done.returncode == 3, "its task is words, so that a price per GPU cannot be found"
        assert "no_capacity" in bob.until("declined")
        done = typed(gateway, "call", str(EXAMPLES / "gpu-call.json"), "--to=topic://gpu", "--json")
        assert done.returncode == 0
        outcome = json.loads(done.stdout.splitlines()[-1])
        assert outcome["outcome"]["winners"][0]["price"] == 41.4


def test_several_policies_are_several_negotiations_started_by_lines(gateway: Gateway):
    call = ("call", str(EXAMPLES / "gpu-call.json"), "--to", "topic://steps", "--json", "--step")
    with (
        going_on(gateway, *contractor("stepper", "steps", "--param", "value=4")) as stepper,
        going_on(gateway, *call, "--policy=low", '--policy={"profile":"high"}') as alice,
    ):
        stepper.until("listens")
        alice.until('"ready"')
        for policy in ("flow/low@1", "flow/high@1"):
            alice.step()
            assert policy in alice.until('"opened"')
            assert '"committed"' in alice.until('"outcome"')
        assert alice.ended() == (0, "")


def test_a_call_that_nobody_wins_says_so_by_its_exit_code(gateway: Gateway):
    body = '{"reply_within": 5, "reserve": 10}'
    with going_on(gateway, *contractor("dear", "cheap", "--param", "value=11")) as dear:
        dear.until("listens")
        done = typed(gateway, "call", "-", "--to", "topic://cheap", stdin=body)
    assert done.returncode == 3
    assert "no_award" in done.stdout and "beyond_reserve" in done.stdout


@pytest.fixture(scope="module")
def listener(gateway: Gateway) -> Iterator[None]:
    """Somebody listens to topic://refused."""
    with going_on(gateway, *contractor("ear", "refused", "--param", "value=1")) as ear:
        ear.until("listens")
        yield


@pytest.mark.parametrize(
    ("body", "words", "said"),
    [
        ('{"reply_within": 5}', ["--policy", "hgih"], "POLICY_INVALID at /payload/policy"),
        ('{"reply_within": 0}', [], "SCHEMA_VIOLATION at /payload/reply_within"),
        ('{"reply_within": 5}', ["--as", "agent://x", "--token", "a.b.c"], "--token"),
        ('{"deadline": "2020-01-01T00:00Z"}', [], "deadline"),
    ],
)
@pytest.mark.usefixtures("listener")
def test_a_refused_call_is_one_line_with_what_would_be_right(
    gateway: Gateway, body: str, words: list[str], said: str
):
    done = typed(gateway, "call", "-", "--to", "topic://refused", *words, stdin=body)
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call", "nowhere.json", "--to", "topic://gpu"], "nowhere.json: No such file"),
        (["call", "README.md", "--to", "topic://gpu"], "line 1, column 1"),
        (["call", "examples/gpu-call.json"], "--to topic://gpu"),
        (["call", "-", "--step", "--to", "topic://gpu"], "name a file"),
        (["agent", "agent://bob", "--strategy", "fixe"], "there are fixed"),
        (["agent", "--file", "nowhere.json"], "nowhere.json"),
        (["agent", "agent://bob", "-s", "fixed", "-g", "localhost"], "HOST:PORT"),
        (["policy", "put", "night", '{"quorum": -1}'], "0 to 100000"),
    ],
)
def test_a_command_that_is_not_right_starts_nothing(gateway: Gateway, words: list[str], said: str):
    done = typed(gateway, *words, stdin="{}")
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_gateway_that_is_away_is_one_line_that_says_what_to_do(gateway: Gateway):
    """Typed at once, because each of them waits some seconds for it."""
    commands = (
        ("call", "examples/gpu-call.json", "--to", "topic://gpu"),
        ("agent", "--file", "examples/bob.json"),
        ("agents", "list"),
    )
    with ThreadPoolExecutor() as people:
        away = ("--gateway", "127.0.0.1:1")
        ended = list(people.map(lambda words: typed(gateway, *words, *away), commands))
    for words, done in zip(commands, ended, strict=True):
        assert done.returncode == 1, words
        assert "start one with: llmx gateway" in done.stderr, words
        assert done.stderr.count("\n") == 1 and done.stdout == "", words


def test_ctrl_c_cancels_a_call_that_is_open(gateway: Gateway):
    body = str(EXAMPLES / "gpu-call.json")
    slow = contractor("slow", "slow", "--param", "value=1", "--param", "delay=20")
    with going_on(gateway, *slow) as contractor_:
        contractor_.until("listens")
        with going_on(gateway, "call", body, "--to", "topic://slow", "--json") as alice:
            opened = json.loads(alice.until('"opened"'))
            assert alice.ended(signal.SIGINT) == (130, "")
        assert contractor_.ended(signal.SIGTERM) == (0, "")
    line = next(line for line in gateway.log().splitlines() if opened["negotiation"] in line)
    assert "cancelled" in line


def test_an_agent_ends_when_who_started_it_lets_go(gateway: Gateway):
    words = contractor("tied", "tied", "--param", "value=1", "--until-eof", "--json")
    with going_on(gateway, *words) as tied:
        tied.until('"ready"')
        assert tied.ended() == (0, "")


def test_a_second_agent_of_the_same_name_replaces_the_first_which_says_so(gateway: Gateway):
    words = contractor("twin", "twins", "--param", "value=1")
    with going_on(gateway, *words) as first:
        first.until("listens")
        with going_on(gateway, *words) as second:
            second.until("listens")
            code, said = first.ended()
            assert code == 1
            assert "newer" in said and said.count("\n") == 1
            assert second.ended(signal.SIGINT) == (0, "")


def test_policies_and_agents_are_listed_and_changed(gateway: Gateway):
    done = typed(gateway, "policy", "put", "typed", '{"profile": "flow/low", "quorum": 2}')
    assert (done.returncode, done.stderr) == (0, "") and "typed@1" in done.stdout
    assert typed(gateway, "policy", "set-default", "flow/high").returncode == 0
    listed = typed(gateway, "policy", "list").stdout
    assert "typed@1" in listed and "flow/high@1 *" in listed
    done = typed(gateway, "policy", "set-default", "nothing")
    assert done.returncode == 1 and "POLICY_INVALID" in done.stderr
    with going_on(gateway, *contractor("listed", "lists", "--param", "value=1")) as listed_agent:
        listed_agent.until("listens")
        assert "agent://listed" in typed(gateway, "agents", "list", "--topic", "lists").stdout
        assert "nobody listens" in typed(gateway, "agents", "list", "--topic", "deaf").stdout


def test_without_the_role_policies_cannot_be_changed(gateway: Gateway):
    token = gateway.token("nobody")
    done = typed(gateway, "policy", "set-default", "flow/low", "--token", token)
    assert done.returncode == 1
    assert "operator" in done.stderr


def test_when_nobody_reads_on_a_command_ends_without_a_word(gateway: Gateway):
    with going_on(gateway, *contractor("pipe", "pipes", "--param", "value=1")) as pipe:
        pipe.until("listens")
        assert pipe.process.stdout is not None
        pipe.process.stdout.close()
        done = typed(gateway, "call", "examples/gpu-call.json", "--to", "topic://pipes")
        assert done.returncode in (0, 3)
        assert pipe.process.wait(SECONDS_MAX) == 0
        assert pipe.process.stderr is not None
        assert pipe.process.stderr.read() == b""


def test_help_does_not_wait_for_what_it_does_not_need():
    code = "import sys, gateway.cli; assert not {'grpc', 'jwt', 'rich.table'} & set(sys.modules)"
    path = f"{ROOT}:{ROOT / 'client'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
