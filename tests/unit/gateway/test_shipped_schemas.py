"""Tests of shipped schemas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway import shipped_schemas


def test_the_documents_are_known_by_their_ids() -> None:
    assert set(shipped_schemas.documents()) == set(
        map(shipped_schemas.schema_id, shipped_schemas.ACTS_OF)
    )
    for schema_id, document in shipped_schemas.documents().items():
        assert document["$id"] == schema_id
        assert schema_id.startswith(shipped_schemas.OWN_PREFIX)


def test_the_schema_of_an_act_stands_on_its_own() -> None:
    for name, acts in shipped_schemas.ACTS_OF.items():
        for act in acts:
            subject = shipped_schemas.subject(name, act)
            assert any(map(shipped_schemas.native(subject).is_valid, subject["examples"]))


@pytest.mark.slow
def test_worker_processes_start_without_the_wire() -> None:
    """Loading grpc and protobuf would more than double what replacing a worker costs."""
    program = (
        "import sys; sys.path[:] = sys.argv[1:]; import gateway.worker_process;"
        "print([name for name in ('grpc', 'google.protobuf', 'llmx') if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
