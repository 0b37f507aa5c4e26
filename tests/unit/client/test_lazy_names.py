"""The names of `llmx`, which are fetched from their modules when somebody asks for them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import llmx


def modules_after(program: str) -> set[str]:
    """Return which modules of the client a fresh interpreter knows after a program."""
    shown = f"{program}\nimport sys\nprint(*(name for name in sys.modules if 'llmx' in name))"
    line = [sys.executable, "-c", shown]
    return set(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("name", llmx.__all__)
def test_every_name_that_is_promised_is_there(name: str) -> None:
    found = getattr(llmx, name)
    home = getattr(found, "__module__", "") or ""
    if home.startswith("llmx."):
        assert getattr(import_module(home), name) is found
    assert name in dir(llmx)


def test_a_star_fetches_them_all() -> None:
    names: dict[str, object] = {}
    exec("from llmx import *", names)
    assert {*llmx.__all__} <= {*names}


def test_a_module_of_the_client_is_there_without_an_import_of_its_own() -> None:
    assert llmx.zeuthen is import_module("llmx.zeuthen")  # type: ignore[attr-defined] # on demand


def test_a_name_that_nobody_promised_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'llmx' has no attribute 'Auction'"):
        _ = llmx.Auction  # type: ignore[attr-defined] # that is the point
    assert not hasattr(llmx, "__wrapped__")


def test_who_reads_the_wire_alone_does_not_pay_for_the_client() -> None:
    known = modules_after("import llmx.v1.envelope_pb2")
    assert "llmx.v1.envelope_pb2" in known
    assert not {name for name in known if not name.startswith(("llmx.v1", "llmx.wire"))} - {"llmx"}


def test_who_asks_for_a_name_pays_for_what_it_needs() -> None:
    known = modules_after("import llmx\nllmx.Refused")
    assert "llmx.errors" in known and "llmx.agent" not in known
