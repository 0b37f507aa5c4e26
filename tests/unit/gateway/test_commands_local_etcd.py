"""An etcd on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.commands.local_etcd import (
    Binary,
    command_line,
    endpoint_of,
    found_etcd,
    free_ports,
    is_healthy,
)
from gateway.commands.trouble import CommandError


def program(folder: Path, says: str) -> str:
    """Make a program called etcd that says something."""
    file = folder / "etcd"
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return str(file)


def test_the_etcd_on_the_path_is_preferred(tmp_path: Path):
    path = program(tmp_path, "etcd Version: 3.5.16")
    assert found_etcd(str(tmp_path)) == Binary(path, "3.5.16")


def test_a_program_that_only_has_the_name_is_passed_over(tmp_path: Path):
    path = program(tmp_path, "not what you think")
    assert found_etcd(str(tmp_path)).path != path


@pytest.mark.slow
def test_without_one_on_the_path_the_wheels_is_taken(tmp_path: Path):
    found = found_etcd(str(tmp_path))
    assert (found.version, Path(found.path).parent.name) == ("3.5.1", "etcdbin")


@pytest.mark.parametrize(
    ("version", "loses"),
    [("3.4.23", False), ("3.5.0", True), ("3.5.1", True), ("3.5.5", False), ("3.6.1", False)],
)
def test_a_version_that_may_lose_what_it_acknowledged_says_so(version: str, loses: bool):
    assert bool(Binary("etcd", version).caution) is loses


def test_data_and_ports_are_where_they_were_asked_for(tmp_path: Path):
    line = command_line(Binary("/bin/etcd", "3.5.16"), tmp_path, 11, 12)
    assert line[0] == "/bin/etcd" and f"--data-dir={tmp_path}" in line
    assert "--listen-client-urls=http://127.0.0.1:11" in line
    assert "--initial-cluster=llmx=http://127.0.0.1:12" in line


def test_ports_are_free_and_different():
    ports = free_ports(5)
    assert len(set(ports)) == 5
    with socket.socket() as one:
        one.bind(("127.0.0.1", ports[0]))


def test_where_nobody_listens_nothing_is_healthy():
    assert not is_healthy(f"127.0.0.1:{free_ports(1)[0]}")


@pytest.mark.parametrize("text", ["127.0.0.1:2379", "http://127.0.0.1:2379", "etcd:2379/"])
def test_an_etcd_is_named_by_host_and_port(text: str):
    assert endpoint_of(text).count(":") == 1 and "/" not in endpoint_of(text)


@pytest.mark.parametrize("text", ["", "localhost", "https://etcd:2379", "etcd:0", "etcd:x", ":1"])
def test_what_is_no_address_of_an_etcd_brings_one_that_is(text: str):
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:2379"):
        endpoint_of(text)
