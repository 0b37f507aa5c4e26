"""Prometheus and Grafana of `deploy` find what they read, and ask where something answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS, GRAFANA = DEPLOY / "prometheus", DEPLOY / "grafana"
MONITORING = DEPLOY / "kubernetes" / "monitoring"
DASHBOARDS = {file.name for file in GRAFANA.glob("*.json")}
CONFIGS = ("prometheus", "compose", "kubernetes")
PROVIDED = GRAFANA / "provisioning" / "dashboards" / "llmx.yaml"
SOURCE = GRAFANA / "provisioning" / "datasources" / "prometheus.yaml"


@cache
def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def one(file: Path) -> dict[str, Any]:
    (found,) = documents(file)
    return found


def compose() -> dict[str, Any]:
    services: dict[str, Any] = one(DEPLOY / "compose.yaml")["services"]
    return services


def kubernetes(kind: str, name: str) -> dict[str, Any]:
    files = (*MONITORING.glob("*.yaml"), *MONITORING.parent.glob("*.yaml"))
    found = [
        thing
        for file in files
        for thing in documents(file)
        if (thing["kind"], thing.get("metadata", {}).get("name")) == (kind, name)
    ]
    assert len(found) == 1, (kind, name)
    return found[0]


def pod(kind: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = kubernetes(kind, name)["spec"]["template"]["spec"]
    return spec


def mounts(service: str) -> dict[str, Path]:
    """Return what of the repository a service of compose sees, by where it sees it."""
    found = {}
    for volume in compose()[service]["volumes"]:
        host, inside, *how = volume.split(":")
        if host.startswith("."):
            assert how == ["ro"], volume
            found[inside] = DEPLOY / host
    return found


def generated(folder: Path) -> dict[str, set[str]]:
    """Return the files in each ConfigMap of a folder, by their names in it."""
    return {
        made["name"]: {Path(file).name for file in made["files"]}
        for made in one(folder / "kustomization.yaml")["configMapGenerator"]
    }


def config_maps_at(pod: dict[str, Any]) -> dict[str, str]:
    """Return the ConfigMap that a pod's container sees, by where it sees it."""
    (container,) = pod["containers"]
    maps = {
        volume["name"]: volume["configMap"]["name"]
        for volume in pod["volumes"]
        if "configMap" in volume
    }
    given = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    return {where: maps[name] for name, where in given.items() if name in maps}


def option(words: list[str], name: str) -> str:
    (found,) = [word.partition("=")[2] for word in words if word.startswith(f"--{name}=")]
    return found


# ------------------------------------------------------------------------------------ Prometheus


@pytest.mark.parametrize("name", CONFIGS)
def test_every_prometheus_knows_the_rules_and_names_its_job_as_they_do(name: str) -> None:
    config = one(PROMETHEUS / f"{name}.yml")
    assert all((PROMETHEUS / file).is_file() for file in config["rule_files"])
    assert config["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in config["scrape_configs"]] == ["llmx"]
    assert 'up{job="llmx"}' in (PROMETHEUS / "alerts.yml").read_text("utf-8")


def test_compose_scrapes_every_gateway_where_it_has_its_metrics() -> None:
    gateways = {
        f"{name}:{service['environment']['LLMX_SERVER__METRICS_PORT']}"
        for name, service in compose().items()
        if "LLMX_SERVER__GATEWAY_ID" in service.get("environment", {})
    }
    (job,) = one(PROMETHEUS / "compose.yml")["scrape_configs"]
    assert set(job["static_configs"][0]["targets"]) == gateways
    assert len(gateways) == 3


def test_kubernetes_is_asked_for_the_port_that_the_gateways_service_names() -> None:
    (job,) = one(PROMETHEUS / "kubernetes.yml")["scrape_configs"]
    (asked,) = job["dns_sd_configs"]
    assert (asked["names"], asked["type"]) == (["_metrics._tcp.llmx-gateways"], "SRV")
    service = kubernetes("Service", "llmx-gateways")["spec"]
    assert service["clusterIP"] == "None", "else there is one record for all"
    ports = {port["name"]: port["port"] for port in service["ports"]}
    (container,) = pod("StatefulSet", "llmx-eu")["containers"]
    given = {env["name"]: env.get("value") for env in container["env"]}
    assert str(ports["metrics"]) == given["LLMX_SERVER__METRICS_PORT"]
    (policy,) = [
        rule["ports"]
        for rule in kubernetes("NetworkPolicy", "llmx")["spec"]["ingress"]
        if "from" not in rule
    ]
    assert {"port": ports["metrics"]} in policy


def test_prometheus_finds_its_configuration_where_it_is_told_to_look() -> None:
    told = Path(option(compose()["prometheus"]["command"], "config.file"))
    folder = mounts("prometheus")[str(told.parent)]
    assert (folder / told.name).is_file() and (folder / "alerts.yml").is_file()
    within = pod("StatefulSet", "prometheus")
    told = Path(option(within["containers"][0]["args"], "config.file"))
    held = generated(PROMETHEUS)[config_maps_at(within)[str(told.parent)]]
    assert held == {told.name, "alerts.yml"}


# --------------------------------------------------------------------------------------- Grafana


def test_grafana_asks_prometheus_where_that_listens() -> None:
    (source,) = one(SOURCE)["datasources"]
    assert source["url"] == "http://prometheus:9090" and source["isDefault"]
    assert compose()["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    (port,) = kubernetes("Service", "prometheus")["spec"]["ports"]
    (container,) = pod("StatefulSet", "prometheus")["containers"]
    assert [port["port"]] == [one["containerPort"] for one in container["ports"]] == [9090]
    (rule,) = kubernetes("NetworkPolicy", "prometheus")["spec"]["ingress"]
    (who,) = rule["from"]
    labels = kubernetes("Deployment", "grafana")["spec"]["template"]["metadata"]["labels"]
    assert who["podSelector"]["matchLabels"] == labels and rule["ports"] == [{"port": 9090}]


def test_grafana_finds_every_dashboard_where_it_is_told_to_look() -> None:
    (provider,) = one(PROVIDED)["providers"]
    path = provider["options"]["path"]
    assert DASHBOARDS and mounts("grafana")[path] == GRAFANA
    maps = config_maps_at(pod("Deployment", "grafana"))
    assert generated(GRAFANA)[maps[path]] == DASHBOARDS
    for environment in (
        compose()["grafana"]["environment"],
        {env["name"]: env["value"] for env in pod("Deployment", "grafana")["containers"][0]["env"]},
    ):
        home = Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        assert str(home.parent) == path and home.name in DASHBOARDS


def test_grafana_finds_what_it_is_provisioned_with() -> None:
    provisioning = "/etc/grafana/provisioning"
    assert mounts("grafana")[provisioning] == GRAFANA / "provisioning"
    maps = config_maps_at(pod("Deployment", "grafana"))
    assert generated(GRAFANA)[maps[f"{provisioning}/datasources"]] == {SOURCE.name}
    assert generated(GRAFANA)[maps[f"{provisioning}/dashboards"]] == {PROVIDED.name}
    for kustomization in (GRAFANA, PROMETHEUS):
        for made in one(kustomization / "kustomization.yaml")["configMapGenerator"]:
            assert all((kustomization / file).is_file() for file in made["files"])


def test_dashboards_ask_a_source_that_is_chosen_and_a_job_that_is_scraped() -> None:
    """With `current` empty Grafana takes the default source, which is ours."""
    uids = set()
    for name in DASHBOARDS:
        board = json.loads((GRAFANA / name).read_text("utf-8"))
        uids.add(board["uid"])
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        assert variables["datasource"]["query"] == one(SOURCE)["datasources"][0]["type"]
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                assert target["datasource"]["uid"] == "${datasource}", panel["title"]
    assert len(uids) == len(DASHBOARDS)


# ------------------------------------------------------------------------------------------ both


def test_who_does_not_ask_for_monitoring_has_none() -> None:
    profiles = {name: service.get("profiles") for name, service in compose().items()}
    assert {name for name, of in profiles.items() if of} == {"prometheus", "grafana"}
    assert profiles["prometheus"] == profiles["grafana"] == ["monitoring"]
    assert "monitoring" not in (DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8")


def test_both_are_the_same_in_compose_and_in_kubernetes() -> None:
    for name, kind in (("prometheus", "StatefulSet"), ("grafana", "Deployment")):
        (container,) = pod(kind, name)["containers"]
        assert container["image"] == compose()[name]["image"]
        assert not container["image"].endswith(":latest")


def test_nobody_elsewhere_reaches_them_and_nobody_changes_anything() -> None:
    for name in ("prometheus", "grafana"):
        (port,) = compose()[name]["ports"]
        assert port.startswith("127.0.0.1:")
    for environment in (
        compose()["grafana"]["environment"],
        {env["name"]: env["value"] for env in pod("Deployment", "grafana")["containers"][0]["env"]},
    ):
        assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
        assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert kubernetes("NetworkPolicy", "grafana")["spec"]["ingress"] == []


def test_the_kustomization_has_all_of_it() -> None:
    resources = one(MONITORING / "kustomization.yaml")["resources"]
    here = {file.name for file in MONITORING.glob("*.yaml")} - {"kustomization.yaml"}
    bases = {(MONITORING / name).resolve() for name in resources if name not in here}
    assert set(resources) >= here and bases == {PROMETHEUS, GRAFANA}


@pytest.mark.slow
def test_the_tools_of_both_take_these_files() -> None:
    """Where they are installed: promtool of Debian's package `prometheus`, and kubectl."""
    commands = [["kubectl", "kustomize", str(folder)] for folder in (MONITORING, MONITORING.parent)]
    commands += [
        ["promtool", "check", "config", str(PROMETHEUS / f"{name}.yml")] for name in CONFIGS
    ]
    for command in commands:
        if shutil.which(command[0]) is not None:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
