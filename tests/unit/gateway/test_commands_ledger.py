"""What `llmx ctl ledger` and `llmx ctl resources` print, against a service on a real port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Thread

import pytest

from gateway.commands.ledger import LedgerCtl
from gateway.tokens import mint_development_token
from tests.support.ledger_scene import SECRET, LedgerScene, ledger_scene


@pytest.fixture(scope="module")
def here() -> Iterator[tuple[LedgerScene, asyncio.AbstractEventLoop]]:
    """Serve a ledger on a loop of its own, because commands run loops themselves."""
    begun: Future[LedgerScene] = Future()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with ledger_scene() as scene:
            begun.set_result(scene)
            await over.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    yield begun.result(10), loop
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(
    here: tuple[LedgerScene, asyncio.AbstractEventLoop], capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Use a command and return its exit code with what it printed."""
    token = mint_development_token(SECRET, "agent://operator", roles=["operator"])

    def use(name: str, *given: object, as_json: bool = False, by: str = token) -> tuple[int, str]:
        command = LedgerCtl(here[0].address, by, None, as_json=as_json)
        code = getattr(command, name)(*given)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return use


def test_an_operator_sets_a_market_up_and_sees_what_becomes_of_it(
    typed: Typed, here: tuple[LedgerScene, asyncio.AbstractEventLoop]
) -> None:
    code, said = typed("resources", "")
    assert code == 0 and "llmx ctl resources set gpu 8" in said
    kept = "gpu has 8 units, 25% for the system class\n"
    assert typed("set_resource", "gpu", 8, 0.0) == (0, "gpu has 8 units\n")
    assert typed("set_resource", "gpu", 8, 0.25) == (0, kept)
    assert typed("set_resource", "gpu", 8) == (0, kept), "what is not said stays"
    assert typed("set_resource", "gpu", 8, 0.0) == (0, "gpu has 8 units\n")
    code, said = typed("give", "agent://alice", 100_500_000, "")
    assert (code, said) == (0, "agent://alice has 100.5 credits, and 0 are held\n")
    code, said = typed("budget", "agent://alice", 50_000_000, 3600.0)
    assert code == 0 and "may use 50 credits in 3,600 s, and has used 0; it begins anew" in said
    code, said = typed("budget", "vision", 9_000_000, None)
    assert code == 0 and "in all, and has used 0\n" in said
    scene, loop = here
    hold = asyncio.run_coroutine_threadsafe(scene.award(30_000_000), loop).result(10)
    code, said = typed("resources", "")
    assert code == 0 and "agent://alice" in said and "gpu" in said
    code, said = typed("ledger")
    assert code == 0 and "100.5 credits were given: 70.5 are available" in said and "vision" in said
    code, said = typed("statement", "agent://alice", 1)
    assert code == 0 and "settle:" in said and "there are earlier lines" in said
    assert hold in typed("statement", "agent://alice", 9)[1]
    assert "ledger give agent://bob" in typed("statement", "agent://bob", 9)[1]
    assert typed("refund", hold, 10_000_000, "")[1].startswith("agent://alice has 80.5 credits")


def test_programs_get_an_object_a_line(typed: Typed) -> None:
    typed("set_resource", "gpu", 8, 0.25)
    for name, given, kinds in (
        ("set_resource", ("disk", 1, 0.0), {"resource"}),
        ("give", ("agent://alice", 1_000_000, ""), {"account"}),
        ("budget", ("agent://alice", 1_000_000, 3600.0), {"budget"}),
        ("ledger", (), {"totals", "account"}),
        ("statement", ("agent://alice", 100), {"account", "line", "budget"}),
        ("resources", ("",), {"resource"}),
    ):
        code, said = typed(name, *given, as_json=True)
        assert code == 0, (name, said)
        assert kinds <= {json.loads(line)["kind"] for line in said.splitlines()}


def test_what_cannot_be_is_told_in_a_sentence(typed: Typed) -> None:
    code, said = typed("give", "alice", 1_000_000, "")
    assert code == 1 and "agent://alice for example" in said
    nobody = mint_development_token(SECRET, "agent://bob")
    code, said = typed("ledger", by=nobody)
    assert code == 1 and "operator" in said


def test_a_gateway_that_does_not_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    token = mint_development_token(SECRET, "agent://operator", roles=["operator"])
    assert LedgerCtl("127.0.0.1:1", token, None, as_json=False).ledger() != 0
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_of_several_gateways_the_first_that_answers_is_asked(
    here: tuple[LedgerScene, asyncio.AbstractEventLoop],
) -> None:
    token = mint_development_token(SECRET, "agent://operator", roles=["operator"])
    several = f"127.0.0.1:1,{here[0].address}"
    assert LedgerCtl(several, token, None, as_json=False).ledger() == 0


def test_roots_that_cannot_be_read_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert LedgerCtl("127.0.0.1:1", "a.b.c", "/nope.pem", as_json=False).ledger() != 0
    assert "/nope.pem: No such file" in capsys.readouterr().err
