"""What `deploy` holds can be read, and names settings, ports and commands that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
import yaml

from gateway import cli
from gateway.settings import load_settings, setting_fields

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
KUBERNETES = DEPLOY / "kubernetes"
BIND = re.compile(r"\$\(([A-Z_]+)\)")


@cache
def _documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def _objects(kind: str) -> Iterator[dict[str, Any]]:
    for file in sorted(KUBERNETES.glob("*.yaml")):
        yield from (one for one in _documents(file) if one["kind"] == kind)


def _object(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in _objects(kind) if one["metadata"]["name"] == name)


def _gateway_of_kubernetes() -> tuple[dict[str, Any], dict[str, str]]:
    """Return the container of a gateway, with its environment as it is for llmx-eu-0."""
    pod = _object("StatefulSet", "llmx-eu")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one.get("value", "llmx-eu-0") for one in container["env"]}
    return container, {
        name: BIND.sub(lambda match: given[match[1]], value) for name, value in given.items()
    }


def _gateways_of_compose() -> dict[str, dict[str, str]]:
    (compose,) = _documents(DEPLOY / "compose.yaml")
    services = compose["services"]
    given = {name: one.get("environment", {}) for name, one in services.items()}
    return {name: one for name, one in given.items() if "LLMX_SERVER__GATEWAY_ID" in one}


def _every_environment() -> list[tuple[str, dict[str, str]]]:
    return [("kubernetes", _gateway_of_kubernetes()[1]), *_gateways_of_compose().items()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_manifest_can_be_read(file: Path):
    documents = _documents(file)
    assert documents and all(isinstance(one, dict) for one in documents)
    if file.parent == KUBERNETES:
        assert all({"apiVersion", "kind"} <= one.keys() for one in documents)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_setting_that_is_named_exists(file: Path):
    known = {f"LLMX_{group}__{name}".upper() for group, name, _ in setting_fields()}
    named = set(re.findall(r"LLMX_[A-Z]+__[A-Z_]+", file.read_text("utf-8")))
    assert {name for name in named if not name.endswith("__")} <= known
    dotted = set(re.findall(r"\b(?:server|limits|federation|mailbox)\.[a-z_]+\b", file.read_text()))
    assert {name for name in dotted if not name.endswith(".yaml")} <= {
        f"{group}.{name}" for group, name, _ in setting_fields()
    }


@pytest.mark.parametrize(("where", "given"), _every_environment())
def test_a_gateway_would_take_the_settings_it_is_given(
    where: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.federation.is_on
    assert settings.federation.listen == "0.0.0.0:7602"
    assert settings.federation.advertise and settings.federation.agents_address
    assert settings.server.gateway_id != "local"


def test_regions_of_compose_differ_in_what_must_differ():
    gateways = _gateways_of_compose()
    assert sorted(gateways) == ["ap", "eu", "us"]
    for name in ("SERVER__GATEWAY_ID", "FEDERATION__REGION", "FEDERATION__AGENTS_ADDRESS"):
        assert len({given[f"LLMX_{name}"] for given in gateways.values()}) == 3


def test_probes_ask_the_health_service_but_for_life():
    """A gateway that drains is not ready and must not be killed for it."""
    container, _ = _gateway_of_kubernetes()
    assert container["readinessProbe"]["grpc"] == {"port": 7600}
    assert "grpc" not in container["livenessProbe"] and "exec" not in container["livenessProbe"]


def test_a_gateway_has_longer_to_stop_than_it_takes_for_it():
    _, given = _gateway_of_kubernetes()
    grace = float(given["LLMX_SERVER__SHUTDOWN_GRACE"])
    spec = _object("StatefulSet", "llmx-eu")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > grace


def test_ports_are_the_ones_the_settings_say():
    container, given = _gateway_of_kubernetes()
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert str(ports["agents"]) == given["LLMX_SERVER__PORT"]
    assert str(ports["metrics"]) == given["LLMX_SERVER__METRICS_PORT"]
    assert given["LLMX_FEDERATION__LISTEN"].endswith(f":{ports['peers']}")


def test_a_pod_is_reached_by_its_name_in_the_headless_service():
    _, given = _gateway_of_kubernetes()
    service = _object("Service", "llmx-gateways")["spec"]
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"]
    assert given["LLMX_FEDERATION__ADVERTISE"] == "llmx-eu-0.llmx-gateways:7602"
    assert _object("StatefulSet", "llmx-eu")["spec"]["serviceName"] == "llmx-gateways"


def test_no_more_than_one_may_be_away_and_streams_scale():
    for name in ("llmx", "etcd"):
        assert _object("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
    spec = _object("HorizontalPodAutoscaler", "llmx")["spec"]
    (metric,) = spec["metrics"]
    gauges = (ROOT / "gateway").glob("*.py")
    assert any(f'"{metric["pods"]["metric"]["name"]}"' in file.read_text() for file in gauges)
    target = spec["scaleTargetRef"]
    assert _object(target["kind"], target["name"])


def test_every_object_is_part_of_the_kustomization():
    (whole,) = _documents(KUBERNETES / "kustomization.yaml")
    others = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(whole["resources"]) == others


def test_etcd_is_none_that_loses_what_it_acknowledged():
    for file in FILES:
        for version in re.findall(r"coreos/etcd:v(\d+)\.(\d+)\.(\d+)", file.read_text("utf-8")):
            assert tuple(map(int, version)) >= (3, 5, 13)


def test_what_a_comment_tells_to_type_is_a_command():
    command = typer.main.get_command(cli.app)
    assert isinstance(command, typer.core.TyperGroup)
    for file in [*FILES, DEPLOY / "Dockerfile"]:
        for line in re.findall(
            r"(?:exec \w+ |run --rm )llmx ([a-z][a-z-]*)", file.read_text("utf-8")
        ):
            assert line in command.commands, file


def test_the_image_is_made_of_files_that_are_there():
    for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            assert (ROOT / line.split()[1]).exists(), line
