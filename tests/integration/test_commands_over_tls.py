"""`llmx agent`, `call` and what goes with them, at a gateway that speaks TLS only."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import typed
from tests.support.certificates import Authority
from tests.support.gateways import Gateway, environment, running

pytestmark = pytest.mark.slow

CALL = ("call", "examples/gpu-call.json", "--to", "topic://gpu")


@dataclass
class Secured:
    """A gateway with a certificate, and who signed it."""

    gateway: Gateway
    roots: Path
    strangers: Path
    """Roots that have nothing to do with it."""

    def environment(self, **more: str) -> dict[str, str]:
        given = environment(self.gateway.folder)
        return given | {"LLMX_GATEWAY": self.gateway.address, **more}

    def typed(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = typed.typed(self.environment(**more), *words)
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority()
    certificate, key = authority.signed("gateway").write(folder, "gateway")
    roots, strangers = folder / "roots.pem", folder / "strangers.pem"
    roots.write_bytes(authority.certificate)
    strangers.write_bytes(Authority("elsewhere").certificate)
    files = {"server__tls_certificate": certificate, "server__tls_key": key}
    with running(folder / "gateway", **files) as gateway:
        yield Secured(gateway, roots, strangers)


def test_a_call_is_made_and_answered_over_tls(secured: Secured) -> None:
    """The roots are named by --ca, by --tls, or by a variable."""
    words = ("agent", "agent://bob", "--topic", "gpu", "--strategy", "fixed", "--param", "value=40")
    with typed.typed_on(secured.environment(), *words, "--ca", str(secured.roots)) as bob:
        bob.until("listens to topic://gpu")
        done = secured.typed(*CALL, "--policy", "high", "--tls", str(secured.roots))
        assert (done.returncode, done.stderr) == (0, "")
        assert "committed: agent://bob wins at 40" in done.stdout
        assert "at 40" in bob.until("won")
        listed = secured.typed("agents", "list", LLMX_TLS=str(secured.roots))
        assert listed.returncode == 0 and "agent://bob" in listed.stdout
        assert bob.ended(signal.SIGINT) == (0, "")


def test_who_is_not_connected_is_told_what_is_missing(secured: Secured) -> None:
    """All at once, because each waits some seconds for its gateway."""
    plain = f"127.0.0.1:{secured.gateway.metrics_port}"
    cases = {
        "hung up": (),
        "not of the roots": ("--ca", str(secured.strangers)),
        "speaks no TLS": ("--ca", str(secured.roots), "--gateway", plain),
    }
    with ThreadPoolExecutor(len(cases)) as threads:
        ended = list(threads.map(lambda more: secured.typed(*CALL, *more), cases.values()))
    for said, done in zip(cases, ended, strict=True):
        assert said in done.stderr and "--tls" in done.stderr and done.stderr.count("\n") == 1
        assert (done.returncode, done.stdout) == (1, "")
